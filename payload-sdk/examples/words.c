/* How often each word of the input occurs, most frequent first. */
#include <serverkernel.h>
#include <sk_text.h>

struct word {
    const uint8_t *at;
    uint32_t len, n; /* n: how often */
};

/* As bytes go: the shorter one first if it begins the other. */
static int by_text(const struct word *a, const struct word *b)
{
    int order = __builtin_memcmp(a->at, b->at, a->len < b->len ? a->len : b->len);
    return order ? order : (a->len > b->len) - (a->len < b->len);
}

static int by_count(const struct word *a, const struct word *b)
{
    return a->n == b->n ? by_text(a, b) : a->n < b->n ? 1 : -1;
}

/* Shell's sort. */
static void sort(struct word *w, uint32_t n, int (*order)(const struct word *, const struct word *))
{
    for (uint32_t gap = n / 2; gap > 0; gap = gap == 2 ? 1 : gap * 5 / 11)
        for (uint32_t i = gap, j; i < n; i++) {
            struct word moved = w[i];
            for (j = i; j >= gap && order(&w[j - gap], &moved) > 0; j -= gap)
                w[j] = w[j - gap];
            w[j] = moved;
        }
}

int main(void)
{
    const uint8_t *at = sk_input(), *end = at + sk_input_len(), *start = at;
    struct word *words = sk_mem_alloc((sk_input_len() / 2 + 1) * sizeof *words, 0);
    uint32_t n = 0, different = 0;
    sk_assert(words);
    for (; at <= end; at++)
        if (at == end || *at == ' ' || (*at >= '\t' && *at <= '\r' && *at != '\v')) {
            if (at > start)
                words[n++] = (struct word){ start, (uint32_t)(at - start), 1 };
            start = at + 1;
        }
    sort(words, n, by_text);
    for (uint32_t i = 0; i < n; i++)
        if (different > 0 && by_text(&words[different - 1], &words[i]) == 0)
            words[different - 1].n++;
        else
            words[different++] = words[i];
    sort(words, different, by_count);
    for (uint32_t i = 0; i < different; i++) {
        sk_put_u64(words[i].n), sk_put(" ");
        sk_io_write(words[i].at, words[i].len);
        sk_put("\n");
    }
    return 0;
}

/* Everything in C that holds an address, and a digest of what comes of it: the
 * digest is the same wherever the payload is loaded. Where that is goes to the
 * error stream. */
#include "position.h"
#include <serverkernel.h>
#include <sk_text.h>

/* .bss, larger than the reach of an ARM load (4 KiB). */
static uint8_t zeroed[64 * 1024];
/* .data. */
static uint32_t counter = 7;
/* .rodata: no addresses, so text. */
static const uint32_t WEIGHTS[8] = { 3, 5, 7, 11, 13, 17, 19, 23 };
/* .data.rel.ro: constants that are addresses of constants. */
static const char *const NAMES[] = { "text", "data", "bss", "constants" };
/* .data: addresses of variables, into the middle of bss too. */
static void *places[] = { &counter, zeroed + 40000, &shared, places, (void *)WEIGHTS };

/* A ring of constants, each the address of the next. */
static const struct link {
    const struct link *next;
    uint32_t value;
} ring[3] = { { &ring[1], 101 }, { &ring[2], 202 }, { &ring[0], 303 } };

static uint32_t add(uint32_t a, uint32_t b) { return a + b; }
static uint32_t mix(uint32_t a, uint32_t b) { return (a << 5 | a >> 27) ^ b; }
static uint32_t divide(uint32_t a, uint32_t b) { return a / (b | 1) + a % (b | 1); }

/* A table of functions: ours, the other file's, the compiler's. */
static uint32_t (*const OPERATIONS[])(uint32_t, uint32_t) = { add, mix, divide, elsewhere };

static uint32_t digest = 0x811c9dc5;

static void take(const void *bytes, uint32_t len)
{
    for (const uint8_t *b = bytes; len > 0; b++, len--)
        digest = (digest ^ *b) * 0x01000193;
}

static void take_number(uint32_t n)
{
    take(&n, sizeof n);
}

/* Dense enough for a table of branches. */
static const char *word(uint32_t n)
{
    switch (n % 8) {
    case 0: return "zero";
    case 1: counter++; return "one";
    case 2: shared += 2; return "two";
    case 3: zeroed[n % sizeof zeroed] = 3; return "three";
    case 4: return NAMES[n % 4];
    case 5: digest ^= n; return "five";
    case 6: return word(n + 1);
    default: return "seven";
    }
}

int main(void)
{
    /* As it was loaded: zeros, initial values, distances between addresses. */
    take(zeroed, sizeof zeroed);
    take_number(counter);
    take_number((uint32_t)((uint8_t *)places[1] - zeroed));
    take_number(*(uint32_t *)places[0] + *(uint32_t *)places[2]);
    take_number(places[3] == (void *)places);
    take(places[4], sizeof WEIGHTS);
    for (uint32_t i = 0; i < 4; i++)
        take(NAMES[i], sk_strlen(NAMES[i]));
    /* As it runs. */
    const struct link *at = ring;
    uint32_t n = 1;
    for (uint32_t i = 0; i < 20000; i++, at = at->next) {
        n = OPERATIONS[i % 4](n, WEIGHTS[i % 8] + at->value);
        zeroed[(n ^ i) % sizeof zeroed] ^= (uint8_t)n;
        const char *text = word(n);
        take(text, sk_strlen(text));
    }
    double root = __builtin_sqrt((double)n) * 1.5;
    take(&root, sizeof root);
    take(zeroed, sizeof zeroed);
    take_number(counter + shared);

    sk_put_base(digest, 16, 8);
    sk_puts("");
    char line[9] = { [8] = '\n' };
    for (int i = 0; i < 8; i++)
        line[i] = "0123456789abcdef"[(sk_info->text >> (28 - 4 * i)) & 15];
    sk_io_error(line, sizeof line);
    return 0;
}

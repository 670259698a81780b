/* The sieve of Eratosthenes: how many primes there are up to a number, which is
 * its argument (or 100000), and the largest. */
#include <serverkernel.h>
#include <sk_text.h>

static uint32_t parse(const char *text)
{
    uint32_t n = 0;
    for (; *text; text++) {
        if (*text < '0' || *text > '9' || n > 99999999) {
            sk_io_error("error: a number, please\n", 24);
            sk_task_exit(1);
        }
        n = n * 10 + (uint32_t)(*text - '0');
    }
    return n;
}

int main(int argc, char **argv)
{
    uint32_t limit = argc > 1 ? parse(argv[1]) : 100000;
    uint8_t *composite = sk_mem_calloc(limit + 1, 1);
    sk_assert(composite);
    uint32_t count = 0, largest = 0;
    for (uint32_t n = 2; n <= limit; n++) {
        if (composite[n])
            continue;
        count++;
        largest = n;
        for (uint64_t m = (uint64_t)n * n; m <= limit; m += n)
            composite[m] = 1;
    }
    sk_put_u64(count);
    sk_put(" primes up to ");
    sk_put_u64(limit);
    sk_put(", the largest ");
    sk_put_u64(largest);
    sk_put("\n");
    sk_mem_free(composite);
    return 0;
}

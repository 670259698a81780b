/* Checks what is below a payload's main: arguments, the functions that the
 * compiler calls, the services. Its first argument says which. */
#include <serverkernel.h>
#include <sk_text.h>

SK_STACK(32 * 1024);

/* As a C library declares them. */
void *memcpy(void *restrict to, const void *restrict from, size_t len);
void *memmove(void *to, const void *from, size_t len);
void *memset(void *to, int byte, size_t len);
int memcmp(const void *a, const void *b, size_t len);

static volatile int zero;
static uint8_t a[96], b[96];

static void fill(void)
{
    for (uint32_t i = 0; i < sizeof a; i++)
        a[i] = (uint8_t)(i * 37 + 1), b[i] = a[i];
}

/* Each function at each alignment, next to a loop that does the same. */
static void memory(void)
{
    for (uint32_t from = 0; from < 24; from++)
        for (uint32_t to = 0; to < 24; to++)
            for (uint32_t len = 0; len < 70; len++) {
                fill();
                sk_assert(memmove(a + to, a + from, len) == a + to);
                for (uint32_t i = 0; i < sizeof a; i++)
                    sk_assert(a[i] == b[i >= to && i < to + len ? i - to + from : i]);
                sk_assert(memset(a + to, 0x1c3, len) == a + to);
                for (uint32_t i = 0; i < sizeof a; i++)
                    sk_assert(!(i >= to && i < to + len) || a[i] == 0xc3);
                fill();
                sk_assert(memcpy(b + to, a + from, len) == b + to);
                for (uint32_t i = 0; i < sizeof b; i++)
                    sk_assert(b[i] == a[i >= to && i < to + len ? i - to + from : i]);
            }
    fill();
    sk_assert(memcmp(a, b, sizeof a) == 0);
    a[50] = 200, b[50] = 100;
    sk_assert(memcmp(a, b, 50) == 0 && memcmp(a, b, 51) > 0 && memcmp(b, a, 96) < 0);
}

static void numbers(void)
{
    sk_put_u64(0), sk_put(" ");
    sk_put_u64(UINT64_MAX), sk_put(" ");
    sk_put_i64(INT64_MIN), sk_put(" ");
    sk_put_base(0xbeef, 16, 8), sk_put(" ");
    sk_put_f64(-0.5, 3), sk_put(" ");
    sk_put_f64(1234.9996, 3), sk_put(" ");
    sk_put_f64(2.5, 0);
    sk_puts("");
}

static void services(void)
{
    sk_assert(sk_resolve(0x12345678) == NULL && sk_resolve(SK_ID_IO_LOG) != NULL);
    sk_assert(sk_task_info() == sk_info && sk_info->abi == SK_ABI_VERSION);
    sk_assert(sk_info->stack_end - sk_info->stack_start == 32 * 1024);
    uint64_t began = sk_time_now();
    sk_time_sleep_until(began + 2000);
    sk_assert(sk_time_now() - began >= 2000 && sk_task_remaining() > 0);
    uint32_t *block = sk_mem_alloc(100, 64);
    sk_assert(block && (uintptr_t)block % 64 == 0 && sk_mem_used() >= 100);
    block = sk_mem_realloc(block, 100000, 64);
    sk_assert(block && sk_mem_peak() >= 100000 && sk_mem_size() == sk_info->heap_len);
    sk_mem_free(block);
    uint8_t byte[4];
    sk_assert(sk_io_read(byte, 3) == 3 && memcmp(byte, sk_input(), 3) == 0);
    sk_assert(sk_io_read(byte, 4) == sk_input_len() - 3 && sk_io_read(byte, 4) == 0);
    sk_io_log("below main", 10);
    sk_task_yield();
    sk_task_beat();
    sk_assert(sk_task_should_stop() == 0);
    sk_task_sync_code(byte, 0);
    (void)sk_time_cycles();
    sk_task_exit(77);
}

int main(int argc, char **argv)
{
    sk_assert(argc >= 1 && argv[0][0] == 0 && argv[argc] == NULL);
    switch (argc > 1 ? argv[1][0] : '-') {
    case 'm': memory(); return 0;
    case 'n': numbers(); return 0;
    case 's': services(); return 1;
    case 'i': return argc * 100 / zero;
    case 'l': return (int)((argc + 100ll) % zero);
    }
    for (int i = 0; i < argc; i++) {
        argv[i][0] = argv[i][0] ? '*' : 0;
        sk_put("<"), sk_put(argv[i]), sk_put(">");
    }
    return argc;
}

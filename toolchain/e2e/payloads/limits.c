/* What the tests of limits want to see ended: the first two letters of
 * its argument say how. */
#include <serverkernel.h>

static void pause_ms(unsigned ms)
{
    sk_time_sleep_until(sk_time_now() + 1000ull * ms);
}

/* Works for about so long. */
static void work_ms(unsigned ms)
{
    uint64_t end = sk_time_now() + 1000ull * ms;
    while (sk_time_now() < end) {
    }
}

static int is(const char *how, char first, char second)
{
    return how[0] == first && how[1] == second;
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "spin";

    if (is(how, 's', 'l')) { /* most of its time is not processor time */
        pause_ms(300);
        return 0;
    }
    if (is(how, 'd', 'o')) { /* waits, and gives no sign of life */
        pause_ms(60000);
        return 0;
    }
    if (is(how, 'c', 'o')) { /* a fixed number of instructions, counted */
        pause_ms(400);
        unsigned left = 60u * 1000 * 1000;
        __asm__ volatile("orr r2, r2, r2\n" /* tells that it is about to begin */
                         "orr r3, r3, r3\n"
                         "orr r0, r0, r0\n"
                         "1: subs %0, %0, #1\n"
                         "bne 1b\n"
                         "orr r1, r1, r1"
                         : "+r"(left) : : "cc");
        return 0;
    }
    if (is(how, 'b', 'e')) { /* signs of life, ten times, then none */
        for (int i = 0; i < 10; i++) {
            work_ms(50);
            sk_task_beat();
        }
    }
    if (is(how, 'm', 'a')) { /* masks interrupts, if it may, and goes on */
        __asm__ volatile("cpsid i");
    }
    if (is(how, 's', 't')) { /* ends when it should */
        while (!sk_task_should_stop()) {
        }
        sk_io_write("stopped", 7);
        return 7;
    }
    for (;;) {
    }
}

/* Says hello to each argument, and what it runs on. */
#include <serverkernel.h>
#include <sk_text.h>

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        sk_put("hello, ");
        sk_puts(argv[i]);
    }
    sk_put("board ");
    sk_put_base(sk_info->board_revision, 16, 6);
    sk_put(" at up to ");
    sk_put_u64(sk_info->cpu_mhz_max);
    sk_puts(" MHz");
    return 0;
}

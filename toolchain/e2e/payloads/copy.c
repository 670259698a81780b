/* The input is the output. */
#include <serverkernel.h>

int main(void)
{
    sk_io_write(sk_input(), sk_input_len());
    return 0;
}

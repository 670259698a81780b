/* Calls itself until its stack is used up: the kernel names the reason. */
#include <serverkernel.h>

SK_STACK(4096);

static __attribute__((noinline)) uint32_t deeper(uint32_t n)
{
    volatile uint32_t frame[16];
    frame[n % 16] = n;
    return n == UINT32_MAX ? 0 : deeper(n + 1) ^ frame[n % 16];
}

int main(void)
{
    /* The input cannot be that long, so this never ends by itself. */
    return (int)deeper(sk_input_len());
}

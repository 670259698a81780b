/* Gives up: the client is told where and why. */
#include <serverkernel.h>
#include <sk_text.h>

int main(void)
{
    const uint8_t *input = sk_input();
    uint32_t at = sk_input_len() * 2 + 7;
    sk_assert(at < sk_input_len());
    return input[at];
}

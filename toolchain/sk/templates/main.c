/* Counts lines, words and bytes of its input. */
#include <serverkernel.h>
#include <sk_text.h>

int main(void)
{
    const uint8_t *input = sk_input();
    uint32_t len = sk_input_len(), lines = 0, words = 0;
    int in_word = 0;
    for (uint32_t i = 0; i < len; i++) {
        int space = input[i] == ' ' || (input[i] >= '\t' && input[i] <= '\r');
        lines += input[i] == '\n';
        words += !space && !in_word;
        in_word = !space;
    }
    sk_put_u64(lines), sk_put(" lines, ");
    sk_put_u64(words), sk_put(" words, ");
    sk_put_u64(len), sk_puts(" bytes");
    return 0;
}

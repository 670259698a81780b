/* What is in the ELF file beside this one: a little of everything that a linker
 * has to place. Made by `sk build small.c` with GCC 12.2 and GNU ld 2.40, then
 * `arm-none-eabi-strip --strip-debug`. */
#include <serverkernel.h>

SK_STACK(8 * 1024);

static uint32_t counter = 3;
static uint8_t zeroed[100];
static const char *const NAMES[] = { "one", "two" };

static uint32_t twice(uint32_t n) { return 2 * n; }
static uint32_t third(uint32_t n) { return n / 3; }
static uint32_t (*functions[])(uint32_t) = { twice, third };

int main(int argc, char **argv)
{
    (void)argv;
    zeroed[argc & 63]++;
    counter += functions[argc & 1](counter) + zeroed[0];
    sk_io_write(NAMES[counter & 1], 3);
    return (int)counter;
}

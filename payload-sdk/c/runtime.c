/* What is below a payload's main: the entry, and the functions that the
 * compiler calls without being asked (Arm's Run-time ABI, section 4.3; GCC's
 * manual, "Language Standards Supported by GCC"). `sk build` compiles it with
 * each payload in C; what is not used is not linked.
 */
#include "serverkernel.h"

int main(int argc, char **argv);

sk_resolver sk_resolve;
const struct sk_task_info *sk_info;

/* The kernel enters here: r0 and r1. Out of the arguments, which lie read-only
 * and apart by one 0x00, comes what a C program expects, below this frame. */
__attribute__((section(".text.sk_entry"))) int32_t _start(sk_resolver resolve,
                                                          const struct sk_task_info *info)
{
    const char *args = (const char *)(uintptr_t)info->args;
    uint32_t len = info->args_len;
    int argc = 1;
    sk_resolve = resolve;
    sk_info = info;
    /* One empty string is no argument, not an empty one. */
    if (len > 0)
        argc += 1;
    for (uint32_t i = 0; i < len; i++)
        argc += args[i] == 0;

    char *argv[argc + 1];
    char text[len + 1];
    int n = 1;
    argv[0] = text + len;
    if (len > 0)
        argv[n++] = text;
    for (uint32_t i = 0; i < len; i++) {
        text[i] = args[i];
        if (args[i] == 0)
            argv[n++] = text + i + 1;
    }
    text[len] = 0;
    argv[n] = NULL;
    return main(argc, argv);
}

/* Without these attributes the compiler would make each of the loops a call of
 * the very function it is in. Weak, so that a payload may bring its own. */
#define MEMORY __attribute__((weak, optimize("no-tree-loop-distribute-patterns")))

/* Four bytes at any address: ARMv6 reads and writes them in one access. */
typedef struct {
    uint32_t word;
} __attribute__((packed, may_alias)) any4;

MEMORY void *memcpy(void *restrict to, const void *restrict from, size_t len)
{
    unsigned char *d = to;
    const unsigned char *s = from;
    for (; len >= 16; len -= 16, d += 16, s += 16) {
        uint32_t a = ((const any4 *)s)[0].word, b = ((const any4 *)s)[1].word;
        uint32_t e = ((const any4 *)s)[2].word, f = ((const any4 *)s)[3].word;
        ((any4 *)d)[0].word = a, ((any4 *)d)[1].word = b;
        ((any4 *)d)[2].word = e, ((any4 *)d)[3].word = f;
    }
    while (len--)
        *d++ = *s++;
    return to;
}

MEMORY void *memmove(void *to, const void *from, size_t len)
{
    unsigned char *d = to;
    const unsigned char *s = from;
    /* Forward is right unless the destination begins inside the source. */
    if ((uintptr_t)d - (uintptr_t)s >= len)
        return memcpy(to, from, len);
    while (len--)
        d[len] = s[len];
    return to;
}

MEMORY void *memset(void *to, int byte, size_t len)
{
    unsigned char *d = to;
    uint32_t word = (unsigned char)byte * 0x01010101u;
    for (; len >= 4; len -= 4, d += 4)
        ((any4 *)d)->word = word;
    while (len--)
        *d++ = (unsigned char)byte;
    return to;
}

MEMORY int memcmp(const void *a, const void *b, size_t len)
{
    const unsigned char *x = a, *y = b;
    for (; len > 0; len--, x++, y++) {
        if (*x != *y)
            return *x - *y;
    }
    return 0;
}

/* ARMv6 has no divide instruction; the compiler's own division comes here with
 * a divisor of 0 (Run-time ABI, section 4.3.2), by a branch: lr is still where
 * the division stands. The number is the kernel's for it (DIV_ZERO). */
__attribute__((naked, noreturn, cold)) void __aeabi_idiv0(void);
__attribute__((naked, noreturn, cold)) void __aeabi_idiv0(void)
{
    __asm__ volatile("udf #0xD140");
}

__attribute__((naked, noreturn, cold)) void __aeabi_ldiv0(void);
__attribute__((naked, noreturn, cold)) void __aeabi_ldiv0(void)
{
    __asm__ volatile("udf #0xD140");
}

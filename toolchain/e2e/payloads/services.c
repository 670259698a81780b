/* For a client from which the net services may be withheld: what the resolver
 * says of one, and what the gate does. Imports nothing of them. */
#include <serverkernel.h>

int main(int argc, char **argv)
{
    if (argc > 1 && argv[1][0] == 'r')
        return sk_resolve(SK_ID_NET_BIND) != 0;
    register uint32_t r0 __asm__("r0") = 0;
    register uint32_t r1 __asm__("r1") = 0;
    register uint32_t r12 __asm__("r12") = 40; /* net.bind */
    __asm__ volatile("svc #0" : "+r"(r0), "+r"(r1) : "r"(r12) : "memory");
    return 0;
}

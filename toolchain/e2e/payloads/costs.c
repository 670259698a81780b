/* What calls and work cost, between markers that the counting plugin knows
 * (toolchain/plugin): 0 = task.beat, 1 = task.info, 2 = MD5 of the input. */
#define main md5_main
#include "../../../payload-sdk/examples/md5.c"
#undef main

#define BEGIN(n) __asm__ volatile("orr r" #n ", r" #n ", r" #n : : : "memory")

int main(void)
{
    uint32_t beat = (uint32_t)(uintptr_t)sk_resolve(SK_ID_TASK_BEAT);
    uint32_t info = (uint32_t)(uintptr_t)sk_resolve(SK_ID_TASK_INFO);
    for (int i = 0; i < 50; i++) {
        __asm__ volatile("orr r0, r0, r0\n blx %0\n orr r1, r1, r1"
                         : : "r"(beat) : "r0", "r1", "r2", "r3", "r12", "lr", "cc", "memory");
        __asm__ volatile("orr r2, r2, r2\n blx %0\n orr r3, r3, r3"
                         : : "r"(info) : "r0", "r1", "r2", "r3", "r12", "lr", "cc", "memory");
    }
    BEGIN(4);
    int code = md5_main();
    BEGIN(5);
    return code;
}

/* One way for a payload to go wrong per case; the first argument names it, the
 * second, where one is needed, is an address. What must come of each is in
 * tests/faults.rs. A case that comes back ends with 0 if all it saw was right. */
#include <serverkernel.h>
#include <sk_text.h>

typedef volatile uint32_t word;
typedef void (*code)(void);

#define ASM __asm__ volatile
/* The raw gate: any number, any arguments. */
static uint32_t gate(uint32_t slot, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    register uint32_t r0 __asm__("r0") = a;
    register uint32_t r1 __asm__("r1") = b;
    register uint32_t r2 __asm__("r2") = c;
    register uint32_t r3 __asm__("r3") = d;
    register uint32_t r12 __asm__("r12") = slot;
    ASM("svc #0" : "+r"(r0), "+r"(r1) : "r"(r2), "r"(r3), "r"(r12) : "memory");
    return r0;
}
enum { EXIT = 1, YIELD = 2, BEAT = 3, READ = 16, WRITE = 17, LOG = 19, FREE = 27, UNTIL = 42 };

static uint32_t at; /* the second argument */
static uint32_t data[4] = {0xE3A00000, 0xE12FFF1E, 3, 4}; /* mov r0, #0; bx lr */
static volatile int zero;

static int shielded(void)
{
    return sk_info->flags & SK_TASK_SHIELDED;
}

/* ---- F1: what is not an instruction here */
static void f1_udf(void) { ASM("udf #0"); }
static void f1_coprocessor(void) { ASM("cdp p3, 0, c0, c0, c0, 0"); }
static void f1_cp15_read(void)
{
    uint32_t control;
    ASM("mrc p15, 0, %0, c1, c0, 0" : "=r"(control));
    sk_assert(control & 1);
}
static void f1_cp15_write(void)
{
    ASM("mcr p15, 0, %0, c3, c0, 0" : : "r"(0xFFFFFFFF));
}
static void f1_barriers(void)
{
    ASM("mcr p15, 0, %0, c7, c10, 4\n mcr p15, 0, %0, c7, c10, 5\n mcr p15, 0, %0, c7, c5, 4" : : "r"(0));
}

/* ---- F2, F7, F22: addresses */
static void read(void) { (void)*(word *)at; }
static void write(void)
{
    /* Without the shield this works: what was there goes back. */
    *(word *)at = shielded() ? 0 : *(word *)at;
}
static void own_text(void) { *(word *)(sk_info->text) = *(word *)(sk_info->text); }
static void own_input(void) { *(word *)(sk_info->input) = 0; }
static void own_info(void) { *(word *)sk_info = 1; }
static void above_stack(void) { (void)*(word *)sk_info->stack_end; }

/* ---- F3, F8: jumps */
static void jump(void) { ((code)at)(); }
static void f3_data(void) { ((code)data)(); }
static void f3_stack(void)
{
    uint32_t code_here[2] = {data[0], data[1]};
    ((code)(uintptr_t)code_here)();
}
static void f3_smashed(void) { ASM("mov lr, %0\n bx lr" : : "r"(0x3EADBEE0)); }
static void f8_stub(void)
{
    /* Past its first instruction, with another service's number: a call. */
    uint32_t stub = (uint32_t)(uintptr_t)sk_resolve(SK_ID_TASK_YIELD) + 4;
    register uint32_t r0 __asm__("r0") = 9;
    register uint32_t r12 __asm__("r12") = EXIT;
    ASM("blx %0" : : "r"(stub), "r"(r0), "r"(r12) : "lr");
}

/* ---- F4: alignment */
static char odd[64] __attribute__((aligned(8)));
static void f4_ldm(void) { ASM("ldmia %0, {r2, r3}" : : "r"(odd + 1) : "r2", "r3"); }
static void f4_ldrd(void) { ASM("ldrd r2, r3, [%0]" : : "r"(odd + 1) : "r2", "r3"); }
static void f4_strex(void)
{
    ASM("ldrex r2, [%0]\n strex r3, r2, [%0]" : : "r"(odd + 2) : "r2", "r3", "memory");
}
static void f4_plain(void)
{
    uint32_t value;
    for (int i = 0; i < 8; i++)
        odd[i] = (char)i;
    ASM("ldr %0, [%1]" : "=r"(value) : "r"(odd + 1) : "memory");
    sk_assert(value == 0x04030201);
}

/* ---- F5: stacks */
#pragma GCC diagnostic ignored "-Winfinite-recursion"
static int deep(volatile int *up)
{
    volatile int here[16];
    here[0] = *up + 1;
    return deep(here) + here[0];
}
static void f5_recursion(void)
{
    volatile int start = 0;
    data[2] = (uint32_t)deep(&start);
}
static void f5_frame(void)
{
    volatile char large[2 << 20];
    large[16] = 1;
    data[2] = large[16];
}

/* ---- F6: for ever, and deaf */
static void f6_spin(void)
{
    if (shielded())
        ASM("cpsid aif");
    for (;;)
        ASM("");
}

/* ---- F7: what only a payload without the shield can do, and only on purpose */
static void f7_flip(void)
{
    /* Every domain without permissions; then a byte of the kernel's code. */
    ASM("mcr p15, 0, %0, c3, c0, 0\n mcr p15, 0, %1, c7, c5, 4" : : "r"(0xFFFFFFFF), "r"(0));
    *(volatile uint8_t *)at ^= 1;
}

/* ---- F9: services */
static void f9_unknown(void) { gate(127, 0, 0, 0, 0); }
static void f9_unknown_large(void) { gate(0xFFFFFFFF, 0, 0, 0, 0); }
static void f9_write(void) { gate(WRITE, at, 16, 0, 0); }
static void f9_wraps(void) { gate(WRITE, 0xFFFFFFF0, 64, 0, 0); }
static void f9_long(void) { gate(WRITE, (uint32_t)(uintptr_t)odd, 1u << 31, 0, 0); }
static void f9_over_the_end(void) { gate(WRITE, sk_info->stack_end - 8, 16, 0, 0); }
static void f9_into_text(void) { gate(READ, sk_info->text, 4, 0, 0); }
static void f9_into_kernel(void) { gate(READ, 0x00100000, 4, 0, 0); }
static void f9_log_endless(void) { gate(LOG, (uint32_t)(uintptr_t)odd, 0xFFFFFFFF, 0, 0); }
static void f9_struct_outside(void) { gate(UNTIL, 0x8000, 0, 0, 0); }
static void f9_struct_odd(void)
{
    /* Misaligned is no fault for the kernel: nothing is bound, so it is told so. */
    sk_assert((int32_t)gate(UNTIL, (uint32_t)(uintptr_t)odd + 1, 0, 0, 0) < 0);
}
static void f9_many(void)
{
    /* F19: a storm of calls comes to its end. */
    for (int i = 0; i < 50000; i++)
        sk_task_beat();
}

/* ---- F10: the heap */
static void f10_until_null(void)
{
    uint32_t blocks = 0;
    while (sk_mem_alloc(4096, 0))
        blocks++;
    sk_assert(blocks > 100);
    sk_assert(!sk_mem_alloc(0xFFFFFFFF, 0) && !sk_mem_calloc(0x10000, 0x10001));
}
static void f10_twice(void)
{
    void *block = sk_mem_alloc(64, 0);
    sk_mem_free(block), sk_mem_free(block);
}
static void f10_foreign(void) { gate(FREE, 0x8000, 0, 0, 0); }

/* ---- F11, F12: numbers */
static void f11_int(void) { data[2] = (uint32_t)(7 / zero); }
static void f11_vfp(void)
{
    volatile double one = 1.0, none = 0.0;
    sk_assert(one / none == __builtin_inf());
}
static void f12_denormal(void)
{
    volatile double tiny = 2.3e-308;
    volatile float small = 1.2e-38f;
    /* RunFast: flushed to zero, in the unit, without a trap. */
    sk_assert(tiny / 1e6 == 0.0 && small * 0.01f == 0.0f);
}

/* ---- F13: the other end first */
static void f13_service(void)
{
    register uint32_t r12 __asm__("r12") = YIELD;
    ASM("setend be\n svc #0\n setend le" : : "r"(r12) : "r0", "r1", "memory");
}
static void f13_fault(void) { ASM("setend be\n udf #1"); }
static void f13_exit(void)
{
    register uint32_t r0 __asm__("r0") = 5;
    register uint32_t r12 __asm__("r12") = EXIT;
    ASM("setend be\n svc #0" : : "r"(r0), "r"(r12));
}

/* ---- F14: other instruction sets */
static void f14_bxj(void)
{
    ASM("adr r2, 1f\n bxj r2\n 1: mov r2, #0" : : : "r2");
}
/* The packer refuses Thumb code; as constants it gets in. */
static const uint16_t thumb_svc[] __attribute__((aligned(4))) = {0xDF00, 0x4770}; /* svc; bx lr */
static const uint16_t thumb_udf[] __attribute__((aligned(4))) = {0x46C0, 0xDE05}; /* nop; udf #5 */
static void f14_thumb_svc(void)
{
    register uint32_t r12 __asm__("r12") = YIELD;
    ASM("blx %0" : : "r"((uint32_t)(uintptr_t)thumb_svc + 1), "r"(r12) : "r0", "r1", "lr", "memory");
}
static void f14_thumb_udf(void)
{
    ASM("blx %0" : : "r"((uint32_t)(uintptr_t)thumb_udf + 1) : "lr", "memory");
}

/* ---- F15, F16: for debuggers and kernels */
static void f15_bkpt(void) { ASM("bkpt #0"); }
static void f15_wfi(void) { ASM("mcr p15, 0, %0, c7, c0, 4" : : "r"(0)); }
static void f16_mode(void)
{
    uint32_t before, after;
    ASM("mrs %0, cpsr" : "=r"(before));
    /* SVC mode, deaf: in user mode these bits do not move. */
    if (shielded())
        ASM("msr cpsr_c, #0xD3\n cps #0x13\n cpsid if");
    ASM("mrs %0, cpsr" : "=r"(after));
    sk_assert(((before ^ after) & 0xDF) == 0 && (after & 0x1F) == (shielded() ? 0x10 : 0x1F));
}
static void f16_srs(void) { ASM("srsdb sp!, #0x13"); }
static void f16_rfe(void)
{
    uint32_t frame[2] = {(uint32_t)(uintptr_t)&f1_udf, 0xD3};
    ASM("rfeia %0" : : "r"(frame) : "memory");
}

/* ---- F17, F18: secrets, for the next one to look for */
#define SECRET 0x5EC2E7A5u
static void f17_plant(void)
{
    uint32_t *heap = NULL;
    for (uint32_t *block; (block = sk_mem_alloc(16384, 0)); heap = block)
        for (uint32_t i = 0; i < 4096; i++)
            block[i] = SECRET;
    sk_assert(heap);
    for (word *p = (word *)sk_info->stack_start; p < (word *)__builtin_frame_address(0) - 64; p++)
        *p = SECRET;
    for (uint32_t i = 0; i < 64; i++)
        sk_io_write(heap, 4096), sk_io_error(heap, 64);
    ASM("fmdrr d0, %0, %0\n fmdrr d7, %0, %0\n fmdrr d15, %0, %0\n fmsr s13, %0\n"
        "mcr p15, 0, %0, c13, c0, 2\n"
        "msr cpsr_fs, %1\n"
        "mov r0, %0\n mov r2, %0\n mov r3, %0\n mov r4, %0\n mov r5, %0\n mov r6, %0\n"
        "mov r8, %0\n mov r9, %0\n mov r10, %0\n mov r11, %0\n mov lr, %0\n"
        "mov r12, #1\n svc #0"
        : : "r"(SECRET), "r"(0xF80F0000)
        : "r0", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r12", "lr", "memory");
}

static uint32_t found;
static void scan(uint32_t from, uint32_t to)
{
    /* Words, at every place where one could be. */
    for (uint32_t p = from; p + 4 <= to; p += 4)
        if (*(word *)p == ~(uint32_t)data[3])
            found++;
}
static void f18_seek(void)
{
    uint32_t low[32], fpscr, thread[3], flags;
    ASM("fstmiad %0, {d0-d15}" : : "r"(low) : "memory");
    ASM("fmrx %0, fpscr" : "=r"(fpscr));
    ASM("mrs %0, cpsr" : "=r"(flags));
    ASM("mrc p15, 0, %0, c13, c0, 2\n mrc p15, 0, %1, c13, c0, 3" : "=r"(thread[0]), "=r"(thread[1]));
    for (int i = 0; i < 32; i++)
        sk_assert(low[i] == 0);
    /* RunFast, and no flag of the one before; nor its Q and GE. */
    sk_assert((fpscr & 0x0FF0009F) == 0x03000000 && (flags & 0x080F0200) == 0);
    sk_assert(thread[0] == 0 && thread[1] == 0);
    /* The number looked for is nowhere but here, upside down. */
    data[3] = ~SECRET;
    const struct sk_task_info *t = sk_info;
    scan(t->stack_start, t->stack_end);
    scan(t->text, (t->text + t->text_len + 4095) & ~4095u);
    scan((uint32_t)(uintptr_t)data & ~4095u, ((uint32_t)(uintptr_t)&found + 4095) & ~4095u);
    scan(t->heap, t->heap + t->heap_len);
    scan((uint32_t)(uintptr_t)t & ~4095u, ((uint32_t)(uintptr_t)t & ~4095u) + 4096);
    if (t->input_len)
        scan(t->input, (t->input + t->input_len + 4095) & ~4095u);
    /* The resolver's table, and the page with its code. */
    scan(t->region_start - 4096, t->region_start);
    uint32_t resolver = (uint32_t)(uintptr_t)sk_resolve & ~4095u;
    scan(resolver, resolver + 4096);
    /* One is the constant in the code of f17_plant. */
    sk_put_u64(found);
}

/* ---- F21: code written where data is */
static void f21_heap(void)
{
    uint32_t *heap = sk_mem_alloc(64, 0);
    heap[0] = data[0], heap[1] = data[1];
    sk_task_sync_code(heap, 8);
    ((code)(uintptr_t)heap)();
}

/* ---- F23: ways out */
static void f23_abort(void) { sk_task_abort("on purpose", 10); }
static void f23_return(void) { sk_task_exit(-7); }

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
#define CASE(name) {#name, name}
    CASE(f1_udf), CASE(f1_coprocessor), CASE(f1_cp15_read), CASE(f1_cp15_write), CASE(f1_barriers),
    CASE(read), CASE(write), CASE(own_text), CASE(own_input), CASE(own_info), CASE(above_stack),
    CASE(jump), CASE(f3_data), CASE(f3_stack), CASE(f3_smashed), CASE(f8_stub),
    CASE(f4_ldm), CASE(f4_ldrd), CASE(f4_strex), CASE(f4_plain), CASE(f5_recursion), CASE(f5_frame),
    CASE(f6_spin), CASE(f7_flip), CASE(f9_unknown), CASE(f9_unknown_large), CASE(f9_write), CASE(f9_wraps),
    CASE(f9_long), CASE(f9_over_the_end), CASE(f9_into_text), CASE(f9_into_kernel),
    CASE(f9_log_endless), CASE(f9_struct_outside), CASE(f9_struct_odd), CASE(f9_many),
    CASE(f10_until_null), CASE(f10_twice), CASE(f10_foreign), CASE(f11_int), CASE(f11_vfp),
    CASE(f12_denormal), CASE(f13_service), CASE(f13_fault), CASE(f13_exit), CASE(f14_bxj),
    CASE(f14_thumb_svc), CASE(f14_thumb_udf), CASE(f15_bkpt), CASE(f15_wfi), CASE(f16_mode),
    CASE(f16_srs), CASE(f16_rfe), CASE(f17_plant), CASE(f18_seek), CASE(f21_heap), CASE(f23_abort),
    CASE(f23_return),
};

int main(int argc, char **argv)
{
    sk_assert(argc >= 2);
    for (const char *p = argc > 2 ? argv[2] : ""; *p; p++)
        at = at << 4 | (uint32_t)(*p <= '9' ? *p - '0' : *p - 'a' + 10);
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *a = cases[i].name, *b = argv[1];
        while (*a && *a == *b)
            a++, b++;
        if (*a == *b) {
            cases[i].run();
            return 0;
        }
    }
    return 99;
}

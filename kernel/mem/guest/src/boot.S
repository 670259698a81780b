@ From reset to Rust: a flat map with holes around the two arenas, so that a
@ byte too much on either side is a data abort; then MMU and caches on, with
@ unaligned access allowed. In short what kernel/src/boot.S does.

    .syntax unified
    .arm
    .pushsection .text.boot, "ax", %progbits
    .global _start
_start:
    cpsid   aif
    ldr     sp, =__stack_top
    mrc     p15, 0, r0, c1, c0, 0
    bic     r0, r0, #0x3000             @ V, I
    bic     r0, r0, #0x0005             @ C, M
    mcr     p15, 0, r0, c1, c0, 0
    ldr     r0, =vectors
    mcr     p15, 0, r0, c12, c0, 0

    ldr     r4, =__l1_table
    mov     r0, r4
    mov     r1, #0
    add     r2, r4, #16384
1:  str     r1, [r0], #4
    cmp     r0, r2
    blo     1b
    ldr     r0, =0x0040e                @ section 0: write-back, executable
    str     r0, [r4]
    ldr     r0, =0x0110041e             @ FROM: write-back, never executed
    str     r0, [r4, #(0x011 * 4)]
    ldr     r0, =0x0130041e             @ TO
    str     r0, [r4, #(0x013 * 4)]
    ldr     r0, =0x20210416             @ UART: device, shared
    str     r0, [r4, #(0x202 * 4)]

    mov     r0, #0
    mcr     p15, 0, r0, c7, c10, 4      @ DSB
    mcr     p15, 0, r0, c2, c0, 2       @ TTBCR
    mcr     p15, 0, r4, c2, c0, 0       @ TTBR0
    mov     r1, #1
    mcr     p15, 0, r1, c3, c0, 0       @ domain 0: client
    mcr     p15, 0, r0, c7, c7, 0       @ both caches
    mcr     p15, 0, r0, c7, c5, 6       @ branch predictor
    mcr     p15, 0, r0, c8, c7, 0       @ TLB
    mcr     p15, 0, r0, c7, c10, 4      @ DSB
    mcr     p15, 0, r0, c7, c5, 4       @ prefetch flush
    mrc     p15, 0, r0, c1, c0, 0
    ldr     r1, =0x00c01805             @ XP U I Z C M
    orr     r0, r0, r1
    bic     r0, r0, #0x0002             @ A
    mcr     p15, 0, r0, c1, c0, 0
    mov     r0, #0
    mcr     p15, 0, r0, c7, c5, 4

    ldr     r0, =__bss_start
    ldr     r1, =__bss_end
    mov     r2, #0
2:  cmp     r0, r1
    strlo   r2, [r0], #4
    blo     2b
    b       guest_main
    .ltorg

    .p2align 5
vectors:
    .rept   4
    b       .
    .endr
    b       1f                          @ data abort
    .rept   3
    b       .
    .endr
1:  ldr     sp, =__stack_top
    mrc     p15, 0, r1, c6, c0, 0       @ the address it was for
    sub     r0, lr, #8
    b       guest_aborted
    .ltorg

    @ call(routine, a, b, c): calls it with a, b, c and sees to it that it
    @ keeps what the procedure call standard says it must.
    .macro  guarded begin, end
    push    {r4-r11, lr}
    mov     r12, r0
    mov     r0, r1
    mov     r1, r2
    mov     r2, r3
    mov     r4, #0x44
    mov     r5, #0x55
    mov     r6, #0x66
    mov     r7, #0x77
    mov     r8, #0x88
    mov     r9, #0x99
    mov     r10, #0xaa
    mov     r11, #0xbb
    \begin
    blx     r12
    \end
    cmp     r4, #0x44
    cmpeq   r5, #0x55
    cmpeq   r6, #0x66
    cmpeq   r7, #0x77
    cmpeq   r8, #0x88
    cmpeq   r9, #0x99
    cmpeq   r10, #0xaa
    cmpeq   r11, #0xbb
    pop     {r4-r11, lr}
    bne     guest_spoiled
    bx      lr
    .endm

    .global call, call_counted
call:
    guarded "", ""
    @ The same between the markers of the counting plugin's interval 0.
call_counted:
    guarded "orr r0, r0, r0", "orr r1, r1, r1"
    .popsection

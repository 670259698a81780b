@ memset(to, byte, len); __aeabi_memset(to, len, byte); __aeabi_memclr(to, len).
@
@ Stores may overlap, so up to 32 bytes the same word goes to both ends. Above,
@ the first 16 bytes are stored where they are, and from the next boundary of
@ 16 on stm does the rest: the data cache does not allocate on a write, and the
@ write buffer takes whole aligned lots best.

    .syntax unified
    .arm
    .pushsection .text.memset, "ax", %progbits
    .p2align 5
    .global memset, __aeabi_memset, __aeabi_memset4, __aeabi_memset8
    .global __aeabi_memclr, __aeabi_memclr4, __aeabi_memclr8
    .type   memset, %function
    .type   __aeabi_memset, %function
    .type   __aeabi_memset4, %function
    .type   __aeabi_memset8, %function
    .type   __aeabi_memclr, %function
    .type   __aeabi_memclr4, %function
    .type   __aeabi_memclr8, %function
memset:
    and     r3, r1, #255
    mov     r1, r2
    orr     r2, r3, r3, lsl #8
    b       1f
__aeabi_memset:
__aeabi_memset4:
__aeabi_memset8:
    and     r2, r2, #255
    orr     r2, r2, r2, lsl #8
1:  orr     r2, r2, r2, lsl #16
    b       .Lfill
__aeabi_memclr:
__aeabi_memclr4:
__aeabi_memclr8:
    mov     r2, #0

    @ r1 bytes, of which r2 holds four; keeps r0.
.Lfill:
    cmp     r1, #16
    bhi     3f
    cmp     r1, #8
    blo     1f
    add     r1, r0, r1
    str     r2, [r0]
    str     r2, [r0, #4]
    str     r2, [r1, #-8]
    str     r2, [r1, #-4]
    bx      lr
1:  cmp     r1, #4
    blo     2f
    add     r1, r0, r1
    str     r2, [r0]
    str     r2, [r1, #-4]
    bx      lr
2:  subs    r1, r1, #1
    bxlo    lr
    strb    r2, [r0, r1]
    strhne  r2, [r0]
    bx      lr

3:  str     r2, [r0]
    str     r2, [r0, #4]
    str     r2, [r0, #8]
    str     r2, [r0, #12]
    cmp     r1, #32
    bhi     4f
    add     r1, r0, r1
    str     r2, [r1, #-16]
    str     r2, [r1, #-12]
    str     r2, [r1, #-8]
    str     r2, [r1, #-4]
    bx      lr

4:  push    {r0, lr}
    and     r3, r0, #15
    rsb     r3, r3, #16
    add     r0, r0, r3
    sub     r1, r1, r3
    mov     r3, r2
    mov     r12, r2
    mov     lr, r2
    subs    r1, r1, #64
    blo     6f
5:  stm     r0!, {r2, r3, r12, lr}
    stm     r0!, {r2, r3, r12, lr}
    stm     r0!, {r2, r3, r12, lr}
    stm     r0!, {r2, r3, r12, lr}
    subs    r1, r1, #64
    bhs     5b
6:  movs    r1, r1, lsl #27             @ C: 32 more, N: 16
    stmcs   r0!, {r2, r3, r12, lr}
    stmcs   r0!, {r2, r3, r12, lr}
    stmmi   r0!, {r2, r3, r12, lr}
    movs    r1, r1, lsl #2              @ C: 8, N: 4
    stmcs   r0!, {r2, r3}
    strmi   r2, [r0], #4
    movs    r1, r1, lsl #2              @ C: 2, N: 1
    strhcs  r2, [r0], #2
    strbmi  r2, [r0]
    pop     {r0, pc}
    .size   memset, . - memset
    .popsection

@ memcmp(a, b, len): below, equal to or above zero, as the first byte that
@ differs says. bcmp is the same.
@
@ Not for secrets: the time it takes tells where the difference is.

    .syntax unified
    .arm
    .pushsection .text.memcmp, "ax", %progbits
    .p2align 5
    .global memcmp, bcmp
    .type   memcmp, %function
    .type   bcmp, %function
memcmp:
bcmp:
    cmp     r2, #16
    bhs     .Lcompare_blocks
    subs    r2, r2, #4
    blo     3f

    @ Words, at any alignment; the last one overlaps bytes known to be equal.
.Lcompare_words:
1:  ldr     r3, [r0], #4
    ldr     r12, [r1], #4
    cmp     r3, r12
    bne     .Ldifferent
    subs    r2, r2, #4
    bhs     1b
.Lcompare_rest:
    adds    r2, r2, #4
    beq     2f
    add     r0, r0, r2
    add     r1, r1, r2
    ldr     r3, [r0, #-4]
    ldr     r12, [r1, #-4]
    cmp     r3, r12
    bne     .Ldifferent
2:  mov     r0, #0
    bx      lr

3:  adds    r2, r2, #4
    beq     2b
4:  ldrb    r3, [r0], #1
    ldrb    r12, [r1], #1
    subs    r3, r3, r12
    bne     5f
    subs    r2, r2, #1
    bne     4b
5:  mov     r0, r3
    bx      lr

    @ The byte that lies first in memory becomes the one that weighs most.
.Ldifferent:
    rev     r3, r3
    rev     r12, r12
    cmp     r3, r12
    mvnlo   r0, #0
    movhi   r0, #1
    bx      lr

.Lcompare_blocks:
    push    {r4-r8, lr}
    ands    r4, r0, #3
    beq     6f
    @ A word at any alignment, then on from the next boundary of `a`.
    ldr     r3, [r0]
    ldr     r7, [r1]
    cmp     r3, r7
    bne     .Ldifferent_block
    rsb     r4, r4, #4
    add     r0, r0, r4
    add     r1, r1, r4
    sub     r2, r2, r4
6:  tst     r1, #3
    bne     8f
    subs    r2, r2, #16
    blo     9f
7:  ldm     r0!, {r3-r6}
    ldm     r1!, {r7, r8, r12, lr}
    cmp     r3, r7
    cmpeq   r4, r8
    cmpeq   r5, r12
    cmpeq   r6, lr
    bne     .Ldifferent_block
    subs    r2, r2, #16
    bhs     7b
    b       9f
8:  subs    r2, r2, #16
    blo     9f
1:  ldm     r0!, {r3-r6}
    ldr     r7, [r1], #16
    ldr     r8, [r1, #-12]
    ldr     r12, [r1, #-8]
    ldr     lr, [r1, #-4]
    cmp     r3, r7
    cmpeq   r4, r8
    cmpeq   r5, r12
    cmpeq   r6, lr
    bne     .Ldifferent_block
    subs    r2, r2, #16
    bhs     1b
9:  pop     {r4-r8, lr}
    adds    r2, r2, #12                 @ 4 less than what is left
    bcs     .Lcompare_words
    b       .Lcompare_rest

    @ The first pair that differs, of r3 and r7 to r6 and lr.
.Ldifferent_block:
    cmp     r3, r7
    bne     1f
    mov     r3, r4
    mov     r7, r8
    cmp     r3, r7
    bne     1f
    mov     r3, r5
    mov     r7, r12
    cmp     r3, r7
    moveq   r3, r6
    moveq   r7, lr
1:  mov     r12, r7
    pop     {r4-r8, lr}
    b       .Ldifferent
    .size   memcmp, . - memcmp
    .popsection

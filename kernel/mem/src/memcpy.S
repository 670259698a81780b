@ memcpy(to, from, len), and what memmove shares with it.
@
@ Up to 16 bytes every load comes before the first store, the last bytes loaded
@ from the end back over the first ones: two or four words whatever the length,
@ and right for any overlap.
@
@ Above, `to` is brought to a word boundary, then whole words go. If `from`
@ then lies on one as well, 64 bytes at a time by ldm and stm; if not, 32 at a
@ time by eight single loads, which may be unaligned, and one stm, which may
@ not. Nothing is loaded twice and nothing ahead of a store that could reach
@ it, so this holds for overlaps with `to` below `from`.
@
@ The loops ask for lines ahead only as far as the bytes reach: the neighbour
@ may be a buffer that a bus master is filling.

    .syntax unified
    .arm
    .pushsection .text.memcpy, "ax", %progbits
    .p2align 5
    .global memcpy, __aeabi_memcpy, __aeabi_memcpy4, __aeabi_memcpy8
    .global sk_copy_small, sk_copy_forward, sk_copy_32
    .type   memcpy, %function
    .type   __aeabi_memcpy, %function
    .type   __aeabi_memcpy4, %function
    .type   __aeabi_memcpy8, %function
    .type   sk_copy_small, %function
    .type   sk_copy_forward, %function
    .type   sk_copy_32, %function
memcpy:
__aeabi_memcpy:
__aeabi_memcpy4:
__aeabi_memcpy8:
    cmp     r2, #16
    bhi     sk_copy_forward

    @ At most 16 bytes; keeps r0.
sk_copy_small:
    cmp     r2, #8
    blo     1f
    str     r4, [sp, #-8]!
    ldr     r3, [r1]
    ldr     r12, [r1, #4]
    add     r1, r1, r2
    add     r2, r0, r2
    ldr     r4, [r1, #-8]
    ldr     r1, [r1, #-4]
    str     r3, [r0]
    str     r12, [r0, #4]
    str     r4, [r2, #-8]
    str     r1, [r2, #-4]
    ldr     r4, [sp], #8
    bx      lr
1:  cmp     r2, #4
    blo     2f
    ldr     r3, [r1]
    add     r1, r1, r2
    ldr     r1, [r1, #-4]
    str     r3, [r0]
    add     r2, r0, r2
    str     r1, [r2, #-4]
    bx      lr
2:  subs    r2, r2, #1
    bxlo    lr
    ldrb    r3, [r1, r2]
    ldrhne  r12, [r1]
    strhne  r12, [r0]
    strb    r3, [r0, r2]
    bx      lr

    @ More than 16 bytes.
sk_copy_forward:
    push    {r0, r4-r8, lr}
    orr     r3, r0, r1
    tst     r3, #3
    bne     .Lcopy_unaligned

    @ Both on word boundaries. r2 counts 192 less than there are: while it is
    @ not negative, the lines asked for are within.
.Lcopy_aligned:
    subs    r2, r2, #192
    blt     3f
1:  pld     [r1, #128]
    pld     [r1, #160]
2:  ldm     r1!, {r3-r8, r12, lr}
    stm     r0!, {r3-r8, r12, lr}
    ldm     r1!, {r3-r8, r12, lr}
    stm     r0!, {r3-r8, r12, lr}
    subs    r2, r2, #64
    bge     1b
3:  cmn     r2, #128
    bge     2b
    movs    r3, r2, lsl #27             @ C: 32 more, N: 16
    ldmcs   r1!, {r3-r8, r12, lr}
    stmcs   r0!, {r3-r8, r12, lr}
    ldmmi   r1!, {r3-r6}
    stmmi   r0!, {r3-r6}
    movs    r3, r2, lsl #29             @ C: 8, N: 4
    ldmcs   r1!, {r3-r4}
    stmcs   r0!, {r3-r4}
    ldrmi   r3, [r1], #4
    strmi   r3, [r0], #4
    movs    r3, r2, lsl #31             @ C: 2, N: 1
    ldrhcs  r3, [r1], #2
    strhcs  r3, [r0], #2
    ldrbmi  r3, [r1]
    strbmi  r3, [r0]
    pop     {r0, r4-r8, pc}

.Lcopy_unaligned:
    cmp     r2, #32
    bhi     1f

    @ 17 to 32 bytes at any alignment, in any overlap: all loads first. With
    @ {r0, r4-r8, lr} pushed.
sk_copy_32:
    ldr     r3, [r1]
    ldr     r4, [r1, #4]
    ldr     r5, [r1, #8]
    ldr     r6, [r1, #12]
    add     r1, r1, r2
    add     r2, r0, r2
    ldr     r7, [r1, #-16]
    ldr     r8, [r1, #-12]
    ldr     r12, [r1, #-8]
    ldr     lr, [r1, #-4]
    str     r3, [r0]
    str     r4, [r0, #4]
    str     r5, [r0, #8]
    str     r6, [r0, #12]
    str     r7, [r2, #-16]
    str     r8, [r2, #-12]
    str     r12, [r2, #-8]
    str     lr, [r2, #-4]
    pop     {r0, r4-r8, pc}

1:  rsb     r3, r0, #0
    ands    r3, r3, #3
    beq     2f
    sub     r2, r2, r3
    movs    r3, r3, lsl #31             @ C: 2, N: 1
    ldrbmi  r3, [r1], #1
    strbmi  r3, [r0], #1
    ldrhcs  r3, [r1], #2
    strhcs  r3, [r0], #2
    tst     r1, #3
    beq     .Lcopy_aligned

    @ `to` on a word boundary, `from` not. As above, with 128.
2:  subs    r2, r2, #128
    blt     5f
3:  pld     [r1, #96]
4:  ldr     r3, [r1], #32
    ldr     r4, [r1, #-28]
    ldr     r5, [r1, #-24]
    ldr     r6, [r1, #-20]
    ldr     r7, [r1, #-16]
    ldr     r8, [r1, #-12]
    ldr     r12, [r1, #-8]
    ldr     lr, [r1, #-4]
    stm     r0!, {r3-r8, r12, lr}
    subs    r2, r2, #32
    bge     3b
5:  cmn     r2, #96
    bge     4b
    movs    r3, r2, lsl #28             @ C: 16 more, N: 8
    ldrcs   r3, [r1], #4
    ldrcs   r4, [r1], #4
    ldrcs   r5, [r1], #4
    ldrcs   r6, [r1], #4
    stmcs   r0!, {r3-r6}
    ldrmi   r3, [r1], #4
    ldrmi   r4, [r1], #4
    stmmi   r0!, {r3-r4}
    movs    r2, r2, lsl #30             @ C: 4, N: 2
    ldrcs   r3, [r1], #4
    strcs   r3, [r0], #4
    ldrhmi  r3, [r1], #2
    strhmi  r3, [r0], #2
    tst     r2, #0x40000000             @ 1
    ldrbne  r3, [r1]
    strbne  r3, [r0]
    pop     {r0, r4-r8, pc}
    .size   memcpy, . - memcpy
    .popsection

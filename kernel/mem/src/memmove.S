@ memmove(to, from, len): memcpy where its order of bytes serves, which is
@ everywhere but for `to` within the bytes to be moved; there the same from the
@ end to the beginning.

    .syntax unified
    .arm
    .pushsection .text.memmove, "ax", %progbits
    .p2align 5
    .global memmove, __aeabi_memmove, __aeabi_memmove4, __aeabi_memmove8
    .type   memmove, %function
    .type   __aeabi_memmove, %function
    .type   __aeabi_memmove4, %function
    .type   __aeabi_memmove8, %function
memmove:
__aeabi_memmove:
__aeabi_memmove4:
__aeabi_memmove8:
    cmp     r2, #16
    bls     sk_copy_small
    sub     r3, r0, r1                  @ `to` below `from`: a large number
    cmp     r3, r2
    bhs     sk_copy_forward

    push    {r0, r4-r8, lr}
    cmp     r2, #32
    bls     sk_copy_32
    add     r0, r0, r2
    add     r1, r1, r2
    orr     r3, r0, r1
    tst     r3, #3
    bne     4f

    @ Both ends on word boundaries. r2 counts as in memcpy.
.Lmove_aligned:
    subs    r2, r2, #192
    blt     3f
1:  pld     [r1, #-160]
    pld     [r1, #-192]
2:  ldmdb   r1!, {r3-r8, r12, lr}
    stmdb   r0!, {r3-r8, r12, lr}
    ldmdb   r1!, {r3-r8, r12, lr}
    stmdb   r0!, {r3-r8, r12, lr}
    subs    r2, r2, #64
    bge     1b
3:  cmn     r2, #128
    bge     2b
    movs    r3, r2, lsl #27             @ C: 32 more, N: 16
    ldmdbcs r1!, {r3-r8, r12, lr}
    stmdbcs r0!, {r3-r8, r12, lr}
    ldmdbmi r1!, {r3-r6}
    stmdbmi r0!, {r3-r6}
    movs    r3, r2, lsl #29             @ C: 8, N: 4
    ldmdbcs r1!, {r3-r4}
    stmdbcs r0!, {r3-r4}
    ldrmi   r3, [r1, #-4]!
    strmi   r3, [r0, #-4]!
    movs    r3, r2, lsl #31             @ C: 2, N: 1
    ldrhcs  r3, [r1, #-2]!
    strhcs  r3, [r0, #-2]!
    ldrbmi  r3, [r1, #-1]
    strbmi  r3, [r0, #-1]
    pop     {r0, r4-r8, pc}

4:  ands    r3, r0, #3
    beq     5f
    sub     r2, r2, r3
    movs    r3, r3, lsl #31             @ C: 2, N: 1
    ldrbmi  r3, [r1, #-1]!
    strbmi  r3, [r0, #-1]!
    ldrhcs  r3, [r1, #-2]!
    strhcs  r3, [r0, #-2]!
    tst     r1, #3
    beq     .Lmove_aligned

    @ The end of `to` on a word boundary, that of `from` not.
5:  subs    r2, r2, #128
    blt     8f
6:  pld     [r1, #-128]
7:  ldr     lr, [r1, #-4]
    ldr     r12, [r1, #-8]
    ldr     r8, [r1, #-12]
    ldr     r7, [r1, #-16]
    ldr     r6, [r1, #-20]
    ldr     r5, [r1, #-24]
    ldr     r4, [r1, #-28]
    ldr     r3, [r1, #-32]!
    stmdb   r0!, {r3-r8, r12, lr}
    subs    r2, r2, #32
    bge     6b
8:  cmn     r2, #96
    bge     7b
    movs    r3, r2, lsl #28             @ C: 16 more, N: 8
    ldrcs   r6, [r1, #-4]!
    ldrcs   r5, [r1, #-4]!
    ldrcs   r4, [r1, #-4]!
    ldrcs   r3, [r1, #-4]!
    stmdbcs r0!, {r3-r6}
    ldrmi   r4, [r1, #-4]!
    ldrmi   r3, [r1, #-4]!
    stmdbmi r0!, {r3-r4}
    movs    r2, r2, lsl #30             @ C: 4, N: 2
    ldrcs   r3, [r1, #-4]!
    strcs   r3, [r0, #-4]!
    ldrhmi  r3, [r1, #-2]!
    strhmi  r3, [r0, #-2]!
    tst     r2, #0x40000000             @ 1
    ldrbne  r3, [r1, #-1]
    strbne  r3, [r0, #-1]
    pop     {r0, r4-r8, pc}
    .size   memmove, . - memmove
    .popsection

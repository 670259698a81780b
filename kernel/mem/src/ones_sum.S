@ sk_ones_sum(from, len): one's complement sum of little-endian words, the last
@ one padded with zeros (RFC 1071).
@
@ Words may be loaded from anywhere, so short data is added as it lies. Long
@ data goes by ldm, which needs word boundaries: the bytes before the first one
@ are put where they would be in a word of their own, and the sum, in which
@ every byte then weighs 256 times as much as it should for each place `from`
@ was off, is rotated back in the end (section 2 (B): so are sums).
@
@ The last carry goes in without another: sum and carry are never all ones at
@ once, as no addition of a word to anything else makes them so.
@
@ r0 address, r1 bytes left, r2 sum, r12 places to be rotated, in bits.

    .syntax unified
    .arm
    .pushsection .text.sk_ones_sum, "ax", %progbits
    .p2align 5
    .global sk_ones_sum
    .type   sk_ones_sum, %function
sk_ones_sum:
    cmp     r1, #4
    blo     5f
    cmp     r1, #128
    bhs     6f
    mov     r2, #0
    mov     r12, #0

    @ Up to 31 words, entered where as many are left as there are: two
    @ instructions, 8 bytes, for each.
.Lsum_words:
    bic     r3, r1, #3
    rsb     r3, r3, #124
    adds    r2, r2, #0                  @ C := 0
    add     pc, pc, r3, lsl #1
    nop
    .rept   31
    ldr     r3, [r0], #4
    adcs    r2, r2, r3
    .endr
    ands    r1, r1, #3                  @ leaves C
    beq     4f
    @ The last four bytes, less those that have been added.
    add     r0, r0, r1
    ldr     r3, [r0, #-4]
    rsb     r1, r1, #4
    mov     r1, r1, lsl #3
    mov     r3, r3, lsr r1
    adcs    r2, r2, r3
4:  adc     r2, r2, #0
    mov     r0, r2, ror r12
    bx      lr

    @ Less than a word.
5:  mov     r2, #0
    mov     r12, #0
    movs    r1, r1, lsl #31             @ C: 2, N: 1
    ldrhcs  r2, [r0], #2
    movcs   r12, #16
    ldrbmi  r3, [r0]
    orrmi   r2, r2, r3, lsl r12
    mov     r0, r2
    bx      lr

6:  ands    r12, r0, #3
    moveq   r2, #0
    beq     7f
    ldr     r2, [r0]
    bic     r0, r0, #3
    add     r0, r0, #4
    sub     r1, r1, #4
    add     r1, r1, r12
    mov     r12, r12, lsl #3
    mov     r2, r2, lsl r12
    cmp     r1, #128
    blo     .Lsum_words

    @ 64 bytes at a time as long as there are 64 more, in which the lines that
    @ are asked for lie. The loop's end is found without touching C.
7:  push    {r4-r10, lr}
    sub     r10, r1, #64
    bic     r10, r10, #63
    sub     r1, r1, r10
    add     r10, r10, r0
    adds    r2, r2, #0                  @ C := 0
1:  pld     [r0, #64]
    pld     [r0, #96]
    ldm     r0!, {r3-r9, lr}
    adcs    r2, r2, r3
    adcs    r2, r2, r4
    adcs    r2, r2, r5
    adcs    r2, r2, r6
    adcs    r2, r2, r7
    adcs    r2, r2, r8
    adcs    r2, r2, r9
    adcs    r2, r2, lr
    ldm     r0!, {r3-r9, lr}
    adcs    r2, r2, r3
    adcs    r2, r2, r4
    adcs    r2, r2, r5
    adcs    r2, r2, r6
    adcs    r2, r2, r7
    adcs    r2, r2, r8
    adcs    r2, r2, r9
    adcs    r2, r2, lr
    teq     r0, r10
    bne     1b
    adc     r2, r2, #0
    pop     {r4-r10, lr}
    b       .Lsum_words
    .size   sk_ones_sum, . - sk_ones_sum
    .popsection

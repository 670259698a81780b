@ sk_ones_sum(from, len): one's complement sum of little-endian words, the last
@ one padded with zeros (RFC 1071).
@
@ Words are loaded from word boundaries only. If `from` is on none, the bytes
@ before it in its word are taken out, and the sum, in which now every byte
@ weighs 256 times as much as it should for each place it is off, is rotated
@ back (section 2 (B): so are sums). The last word is loaded whole and its
@ bytes beyond the end are taken out: no word is touched that has none of ours.
@
@ r0 address, r1 bytes left, r2 sum, r12 places to be rotated, in bits.

    .syntax unified
    .arm
    .pushsection .text.sk_ones_sum, "ax", %progbits
    .p2align 5
    .global sk_ones_sum
    .type   sk_ones_sum, %function
sk_ones_sum:
    ands    r12, r0, #3
    mov     r2, #0
    bne     5f

.Lsum_words:
    cmp     r1, #128
    bhs     3f

    @ Up to 31 words, entered where as many are left as there are: two
    @ instructions, 8 bytes, for each.
2:  bic     r3, r1, #3
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
    ldr     r3, [r0]
    rsb     r1, r1, #4
    mov     r1, r1, lsl #3
    mov     r3, r3, lsl r1
    mov     r3, r3, lsr r1
    adcs    r2, r2, r3
4:  adcs    r2, r2, #0
    adc     r2, r2, #0
    mov     r0, r2, ror r12
    bx      lr

    @ 64 bytes at a time as long as there are 64 more, in which the lines that
    @ are asked for lie. The loop's end is found without touching C.
3:  push    {r4-r10, lr}
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
    adcs    r2, r2, #0
    adc     r2, r2, #0
    pop     {r4-r10, lr}
    b       2b

    @ From within a word.
5:  cmp     r1, #0
    beq     6f
    bic     r0, r0, #3
    ldr     r2, [r0], #4
    add     r1, r1, r12
    mov     r12, r12, lsl #3
    mov     r2, r2, lsr r12
    mov     r2, r2, lsl r12
    subs    r1, r1, #4
    bhs     .Lsum_words
    @ To within the same word.
    rsb     r1, r1, #0
    mov     r1, r1, lsl #3
    mov     r2, r2, lsl r1
    mov     r2, r2, lsr r1
6:  mov     r0, r2, ror r12
    bx      lr
    .size   sk_ones_sum, . - sk_ones_sum
    .popsection

@ resolve(id: r0) -> r0: address of the service's code, 0 if there is none.
@
@ Ten instructions, whatever the id: conditional execution instead of a branch.
@ The literals lie behind the code, so they are readable where it is executable.
@ Clobbers r1, r2, r3 and the flags, as AAPCS allows. To be assembled with
@
@   global_asm!(include_str!(".../asm/resolver.S"),
@       multiplier = const HASH.multiplier, shift = const HASH.shift,
@       table = sym TABLE);
@
@ where TABLE is ENTRIES pairs of words, aligned to 8 bytes (LDRD).
    .section .text.sk_resolve, "ax", %progbits
    .arm
    .balign 32
    .global sk_resolve
    .type   sk_resolve, %function
sk_resolve:
    ldr     r1, 1f
    ldr     r2, 2f
    mul     r3, r0, r1
    mov     r3, r3, lsr #{shift}
    add     r2, r2, r3, lsl #3
    ldrd    r2, r3, [r2]        @ id, address
    cmp     r2, r0
    moveq   r0, r3
    movne   r0, #0
    bx      lr
1:  .word   {multiplier}
2:  .word   {table}
    .size   sk_resolve, . - sk_resolve

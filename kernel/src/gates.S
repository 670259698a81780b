@ Gate stubs: what the resolver hands to a shielded payload. Twelve bytes each,
@ slot in r12 and into the kernel; the arguments are where they are. They lie
@ in the page that payloads may read and execute, beside the resolver.

    .arch armv6k
    .arm
    .section .text.sk_gates, "ax", %progbits
    .balign 32
    .global sk_gates
sk_gates:
    .set    slot, 0
    .rept   128
    mov     r12, #slot
    svc     #0
    bx      lr
    .set    slot, slot + 1
    .endr

@ Where a payload's entry function returns to: task.exit, slot 1.
    .global sk_gate_return
sk_gate_return:
    mov     r12, #1
    svc     #0
    udf     #0

@ Exceptions, and the way in and out of a payload.
@
@ There is one kernel thread, in SVC mode with interrupts masked for ever.
@ `enter_task` lets the payload run and *returns* when something ends its turn:
@ a service call, an interrupt, a fault. So every vector does the same: save
@ the payload's registers in its context and return from `enter_task` with the
@ reason. VFP registers stay where they are: the kernel is soft-float.
@
@ A fault of the kernel itself is another matter: its registers go to the
@ stack of the exception's mode and to `kernel_fault`, which never returns.

    .arch armv6k
    .fpu vfpv2
    .arm
    .section .text.vectors, "ax"
    .balign 32
    .global vectors
vectors:
    ldr     pc, =on_reset
    ldr     pc, =on_undefined
    ldr     pc, =on_svc
    ldr     pc, =on_prefetch_abort
    ldr     pc, =on_data_abort
    ldr     pc, =on_reset
    ldr     pc, =on_irq
    ldr     pc, =on_fiq
    .ltorg

    @ Offsets in `task::Context`: r0-r14 at 0, pc at 60, cpsr at 64.
    .set    CTX_PC, 60
    .set    CTX_CPSR, 64

@ extern "C" fn enter_task(context: *mut Context) -> u32 (reason)
    .section .text.enter_task, "ax"
    .global enter_task
enter_task:
    push    {r4-r11, lr}
    ldr     r1, =current_context
    str     r0, [r1]
    ldr     r1, [r0, #CTX_CPSR]
    ldr     lr, [r0, #CTX_PC]
    msr     spsr_cxsf, r1
    clrex
    ldmia   r0, {r0-r14}^
    nop
    movs    pc, lr
    .ltorg

@ SVC stack: pc, cpsr of the payload; reason in \reason.
    .macro  leave_task reason
    ldr     lr, =current_context
    ldr     lr, [lr]
    stmia   lr, {r0-r14}^
    nop
    pop     {r1, r2}
    str     r1, [lr, #CTX_PC]
    str     r2, [lr, #CTX_CPSR]
    mov     r0, #\reason
    pop     {r4-r11, pc}
    .endm

@ Was it the payload (user or system mode)? Else a fault of the kernel.
    .macro  from_task kind
    push    {r0}
    mrs     r0, spsr
    and     r0, r0, #0x1f
    cmp     r0, #0x10
    cmpne   r0, #0x1f
    pop     {r0}
    bne     kernel_\kind
    .endm

    .section .text.exceptions, "ax"
on_svc:
    srsdb   sp!, #0x13
    leave_task 0

on_irq:
    sub     lr, lr, #4
    srsdb   sp!, #0x13
    cps     #0x13
    leave_task 1

on_undefined:
    from_task undefined
    sub     lr, lr, #4
    srsdb   sp!, #0x13
    cps     #0x13
    leave_task 2

on_prefetch_abort:
    from_task prefetch
    sub     lr, lr, #4
    srsdb   sp!, #0x13
    cps     #0x13
    leave_task 3

on_data_abort:
    from_task data
    sub     lr, lr, #8
    srsdb   sp!, #0x13
    cps     #0x13
    leave_task 4

@ The software watchdog. FIQ is open always, so this interrupts anything, the
@ ways in and out of a payload too; it returns to where it came from, unless the
@ executive is struck out: then {r0-r12, sp of SVC, lr of SVC, pc, cpsr}, of
@ which r8-r12 are banked, go to `kernel_fault`.
on_fiq:
    sub     lr, lr, #4
    push    {r0-r4, lr}
    bl      fiq_strike
    cmp     r0, #0
    bne     1f
    ldm     sp!, {r0-r4, pc}^
1:  pop     {r0-r4, lr}
    sub     sp, sp, #64
    stmia   sp, {r0-r7}
    str     lr, [sp, #60]
    mrs     r4, spsr
    add     r5, sp, #32
    mov     r1, sp
    cps     #0x13
    stmia   r5, {r8-r12, sp, lr}
    cps     #0x11
    mov     r0, #5
    mov     r2, r4
    b       kernel_fault
    .ltorg

@ Kernel faults: {r0-r12, sp of SVC, lr of SVC, pc, cpsr} on this mode's stack.
    .macro  fault kind, adjust
    sub     lr, lr, #\adjust
    push    {lr}                        @ pc (cpsr is read from SPSR below)
    sub     sp, sp, #8                  @ room for sp, lr of SVC
    push    {r0-r12}
    mrs     r4, spsr
    mov     r5, sp
    mrs     r6, cpsr
    cps     #0x13
    mov     r7, sp
    mov     r8, lr
    msr     cpsr_c, r6
    str     r7, [r5, #52]
    str     r8, [r5, #56]
    mov     r0, #\kind
    mov     r1, r5
    mov     r2, r4
    b       kernel_fault
    .endm

kernel_undefined:
    fault   2, 4
kernel_prefetch:
    fault   3, 4
kernel_data:
    push    {r0, r1}
    ldr     r0, =draining
    ldr     r1, [r0]
    cmp     r1, #1
    bne     1f
    @ The abort that `drain_aborts` waits for: go on after it, with its status.
    mrc     p15, 0, r1, c5, c0, 0
    str     r1, [r0]
    ldr     lr, =drained
    pop     {r0, r1}
    movs    pc, lr
1:  pop     {r0, r1}
    fault   4, 8
on_reset:
    fault   0, 0
    .ltorg

@ extern "C" fn drain_aborts() -> u32 (fault status, 0 = none)
@ The kernel runs with imprecise aborts masked, so one that a payload's store
@ caused can still be pending when its turn is over. A store that is still in
@ the write buffer is made to arrive, then the mask is lifted for a moment.
    .section .text.drain_aborts, "ax"
    .global drain_aborts
drain_aborts:
    ldr     r3, =draining
    mov     r2, #0
    mov     r1, #1
    mcr     p15, 0, r2, c7, c10, 4      @ DSB
    str     r1, [r3]
    cpsie   a
    nop
    nop
drained:
    cpsid   a
    ldr     r0, [r3]
    str     r2, [r3]
    cmp     r0, #1
    moveq   r0, #0
    bx      lr
    .ltorg

    @ 1 while an abort is waited for, then its fault status. .bss: 0.
    .section .bss.draining, "aw", %nobits
    .balign 4
draining:
    .space  4

    .section .noinit.current_context, "aw", %nobits
    .balign 4
current_context:
    .space  4

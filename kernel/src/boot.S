@ From reset to Rust.
@
@ The firmware enters at 0x8000 in SVC mode with interrupts masked, MMU and
@ D-cache off, r0 = 0, r1 = machine type, r2 = ATAGs or DTB. With the MMU off
@ all data is strongly ordered and an unaligned access faults, so no compiled
@ code runs before it is on. Order: a stack per mode, VFP, a coarse boot map,
@ caches and branch predictor invalidated, then on (ARM1176JZF-S TRM 3.2.7,
@ 5.5, 20.4), then `early` takes the boot data, and only then is .bss cleared:
@ the blob may lie inside it.

    .arch armv6k
    .fpu vfpv2
    .arm
    .section .text.boot, "ax"
    .global _start
_start:
    cpsid   aif
    mov     r8, r0
    mov     r9, r1
    mov     r10, r2

    @ Caches and MMU off, whatever came before us; vectors to our own table.
    mrc     p15, 0, r0, c1, c0, 0
    bic     r0, r0, #0x1000
    bic     r0, r0, #0x2000             @ V = 0: vectors where VBAR says
    bic     r0, r0, #0x0005             @ C, M
    mcr     p15, 0, r0, c1, c0, 0
    ldr     r0, =vectors
    mcr     p15, 0, r0, c12, c0, 0

    @ A stack per mode.
    cps     #0x11
    ldr     sp, =__fiq_stack_top
    cps     #0x12
    ldr     sp, =__irq_stack_top
    cps     #0x17
    ldr     sp, =__abt_stack_top
    cps     #0x1b
    ldr     sp, =__und_stack_top
    cps     #0x13
    ldr     sp, =__svc_stack_top

    @ VFP on, RunFast: flush to zero, default NaN (TRM 20.4). The kernel is
    @ soft-float; the unit belongs to the payload.
    mrc     p15, 0, r0, c1, c0, 2
    orr     r0, r0, #0x00f00000
    mcr     p15, 0, r0, c1, c0, 2
    mov     r0, #0
    mcr     p15, 0, r0, c7, c5, 4
    mov     r0, #0x40000000
    fmxr    fpexc, r0
    mov     r0, #0x03000000
    fmxr    fpscr, r0

    @ Boot map: the first 512 MiB as normal memory, privileged, only the first
    @ megabyte executable; 16 MiB of peripherals as shared device. Replaced by
    @ the real one as soon as Rust runs.
    ldr     r4, =__l1_table
    mov     r0, r4
    mov     r1, #0
    add     r2, r4, #16384
1:  str     r1, [r0], #4
    cmp     r0, r2
    blo     1b
    ldr     r1, =0x0041e                @ write-back, XN
    mov     r0, r4
    mov     r2, #512
2:  str     r1, [r0], #4
    add     r1, r1, #0x100000
    subs    r2, r2, #1
    bne     2b
    ldr     r1, =0x0040e                @ section 0: executable
    str     r1, [r4]
    add     r0, r4, #(0x200 * 4)
    ldr     r1, =0x20010416             @ device, shared, XN
    mov     r2, #16
3:  str     r1, [r0], #4
    add     r1, r1, #0x100000
    subs    r2, r2, #1
    bne     3b

    mov     r0, #0
    mcr     p15, 0, r0, c7, c10, 4      @ DSB: the table is in memory
    mcr     p15, 0, r0, c2, c0, 2       @ TTBCR = 0
    mcr     p15, 0, r4, c2, c0, 0       @ TTBR0
    mov     r1, #1
    mcr     p15, 0, r1, c3, c0, 0       @ domain 0: client
    @ Invalidate. The instruction cache four times: erratum 411920/415045.
    mcr     p15, 0, r0, c7, c6, 0       @ D
    mcr     p15, 0, r0, c7, c5, 0       @ I
    mcr     p15, 0, r0, c7, c5, 0
    mcr     p15, 0, r0, c7, c5, 0
    mcr     p15, 0, r0, c7, c5, 0
    .rept   11
    nop
    .endr
    mcr     p15, 0, r0, c7, c5, 6       @ branch predictor
    mcr     p15, 0, r0, c8, c7, 0       @ TLB
    mcr     p15, 0, r0, c7, c10, 4      @ DSB
    mcr     p15, 0, r0, c7, c5, 4       @ prefetch flush

    mrc     p15, 0, r0, c1, c0, 0
    ldr     r1, =0x00c01805             @ XP U I Z C M
    orr     r0, r0, r1
    bic     r0, r0, #0x0002             @ A = 0: unaligned access works
    mcr     p15, 0, r0, c1, c0, 0
    mov     r0, #0
    mcr     p15, 0, r0, c7, c5, 4

    @ The cycle counter on, not divided; where it stands still, that is told.
    mov     r0, #5                      @ E | C
    mcr     p15, 0, r0, c15, c12, 0

    mov     r0, r8
    mov     r1, r9
    mov     r2, r10
    bl      early

    @ .bss := 0
    ldr     r0, =__bss_start
    ldr     r1, =__bss_end
    mov     r2, #0
    mov     r3, #0
    mov     r4, #0
    mov     r5, #0
4:  cmp     r0, r1
    stmialo r0!, {r2-r5}
    blo     4b
    @ .data := its load copy
    ldr     r0, =__data_start
    ldr     r1, =__data_end
    ldr     r2, =__data_load
5:  cmp     r0, r1
    ldmialo r2!, {r3-r6}
    stmialo r0!, {r3-r6}
    blo     5b

    bl      kernel_main
6:  b       6b
    .ltorg

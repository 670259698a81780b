//! A QEMU plugin that counts executed instructions: of the whole board, by
//! range of addresses, and between markers in the guest's code.
//!
//! ```text
//! qemu-system-arm … -plugin libsk_plugin.so,out=FILE[,range=8000-28000:kernel]…
//! ```
//!
//! # Markers
//!
//! `orr rN, rN, rN` (0xE180_0000 | N << 16 | N << 12 | N) changes nothing on any
//! ARM, and no compiler emits it:
//!
//! | instruction | meaning |
//! | --- | --- |
//! | `orr r0, r0, r0` | start of interval 0 |
//! | `orr r1, r1, r1` | end of interval 0 |
//! | `orr r2, r2, r2`, `orr r3, r3, r3` | start and end of interval 1 |
//! | … `orr r10, r10, r10`, `orr r11, r11, r11` | start and end of interval 5 |
//! | `orr r12, r12, r12` | report the total so far |
//!
//! `mark=ADDRESS:N` makes the instruction at an address one, too.
//!
//! An interval counts the instructions between its markers, neither included.
//! A second start restarts it; an end without a start is ignored.
//!
//! # The file
//!
//! ```text
//! marker 0 2000 kernel=0        at each end: interval, instructions, by range
//! total 2008                    at each r12 marker: everything, markers included
//! interval 0 1 2000 2000 2000   at exit: interval, times, least, most, sum
//! range kernel 17               at exit
//! at 8004 17                    at exit: address, times it was executed (`each=START-END`)
//! exit 2512                     at exit: everything
//! ```
//!
//! Lines are written as they come, so those of markers survive a killed QEMU.
//! An instruction whose condition fails, or that faults, counts as executed.
//!
//! # Version
//!
//! The interface is version 1 of QEMU's plugin API, which QEMU 6.0 to 8.2
//! accept; 9.0 asks for version 2, which 7.2 does not have.

mod count;
mod options;
// The tests are no plugin: there is no QEMU to link them with.
#[cfg(not(test))]
mod qemu;

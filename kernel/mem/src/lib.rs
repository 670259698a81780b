//! memcpy, memmove, memset, memcmp and the internet checksum, in assembly for
//! the ARM1176JZF-S, used by kernel and payloads alike.
//!
//! The compiler calls `memcpy` and its kin for every slice that is copied,
//! cleared or compared. Those of `compiler_builtins` move a word at a time, and
//! compare a byte at a time; they are weak symbols, so linking this crate
//! (`use sk_mem as _;`) is all it takes to replace them, under fat LTO too. Each
//! routine is a section of its own: what nobody calls is not linked.
//!
//! | file | symbols |
//! | --- | --- |
//! | `memcpy.S` | `memcpy`, `__aeabi_memcpy{,4,8}` |
//! | `memmove.S` | `memmove`, `__aeabi_memmove{,4,8}`; needs `memcpy.S` |
//! | `memset.S` | `memset`, `__aeabi_memset{,4,8}`, `__aeabi_memclr{,4,8}` |
//! | `memcmp.S` | `memcmp`, `bcmp` |
//! | `ones_sum.S` | behind [`ones_sum`] |
//!
//! What they rely on (ARM1176JZF-S TRM 4.2): SCTLR.U = 1 and A = 0, and normal
//! memory, where LDR, STR, LDRH and STRH need no alignment.
//! So none of them may be called before the MMU is on, nor on registers of
//! devices. LDM and STM get word boundaries only. No byte is loaded that was not
//! asked for, and no line prefetched that holds none: neighbours may be a bus
//! master's. VFP registers are not touched: the kernel has none.
//!
//! What each call may cost, in instructions, is in `budgets.toml`; a guest
//! (`guest/`) counts and checks every one on the emulated core
//! (`toolchain/e2e/tests/memory.rs`). Why so: docs/decisions/0009.
//!
//! On the host there is nothing to replace, and [`ones_sum`] is plain Rust.
#![no_std]

#[cfg(all(target_arch = "arm", target_os = "none"))]
mod arm {
    use core::arch::global_asm;

    global_asm!(include_str!("memcpy.S"), options(raw));
    global_asm!(include_str!("memmove.S"), options(raw));
    global_asm!(include_str!("memset.S"), options(raw));
    global_asm!(include_str!("memcmp.S"), options(raw));
    global_asm!(include_str!("ones_sum.S"), options(raw));

    unsafe extern "C" {
        fn sk_ones_sum(from: *const u8, len: usize) -> u32;
    }

    #[inline(always)]
    pub(crate) fn ones_sum(data: &[u8]) -> u32 {
        // SAFETY: it reads the slice and writes nothing.
        unsafe { sk_ones_sum(data.as_ptr(), data.len()) }
    }
}

#[cfg(not(all(target_arch = "arm", target_os = "none")))]
mod plain;

#[cfg(all(target_arch = "arm", target_os = "none"))]
use arm as imp;
#[cfg(not(all(target_arch = "arm", target_os = "none")))]
use plain as imp;

/// One's complement sum of `data` as 32-bit words in the byte order of the
/// machine, the last one padded with zeros (RFC 1071, not inverted). Folded to
/// 16 bits it is the sum of the 16-bit words.
///
/// Zero if and only if all of `data` is; a sum that comes to zero otherwise is
/// all ones.
#[must_use]
#[inline]
pub fn ones_sum(data: &[u8]) -> u32 {
    imp::ones_sum(data)
}

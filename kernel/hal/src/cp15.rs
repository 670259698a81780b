//! The operations of coprocessor 15 that concern caches, barriers and the MMU,
//! one method per instruction, and the sequences made of them.
//!
//! The sequences are here and not beside the instructions so that they can be
//! run where a mistake shows: on the board [`Cp15Ops`] is one `mcr` or `mcrr`
//! each (ARM1176JZF-S TRM DDI0301H section 3.2.22), on the host a memory with
//! write-back lines, a write buffer and stale instruction fetches (`sk-models`,
//! `memory`). The order of the operations, the ends of the ranges and the
//! workarounds for errata are then a matter of tests. QEMU shows none of it: it
//! has no caches.
//!
//! Everything is inlined, so on the board no more is left than the
//! instructions.

/// Coprocessor operations. Addresses are virtual; the kernel maps all memory
/// onto itself.
pub trait Cp15Ops {
    /// Data synchronisation barrier (c7, c10, 4): stores and maintenance
    /// operations before it are complete.
    fn dsb(&self);
    /// Data memory barrier (c7, c10, 5): orders accesses, completes nothing.
    fn dmb(&self);
    /// Cleans the data cache lines of `start ..= last` (MCRR c12). `last` is a
    /// byte of the last line.
    fn clean_range(&self, start: u32, last: u32);
    /// Cleans and invalidates the lines of `start ..= last` (MCRR c14).
    fn clean_invalidate_range(&self, start: u32, last: u32);
    /// Invalidates the lines of `start ..= last` (MCRR c6): what was not
    /// written back is lost.
    fn invalidate_range(&self, start: u32, last: u32);
    /// Invalidates the whole instruction cache, once (c7, c5, 0).
    fn instruction_invalidate(&self);
    /// Eleven NOPs, the pause of erratum 411920.
    fn eleven_nops(&self);
    /// Flushes the branch predictor (c7, c5, 6).
    fn branch_flush(&self);
    /// Flushes the prefetch buffer (c7, c5, 4).
    fn prefetch_flush(&self);
    /// Invalidates the whole TLB (c8, c7, 0).
    fn tlb_invalidate(&self);
    /// Sets the domain access control register (c3, c0, 0).
    fn set_domains(&self, dacr: u32);
    /// Sets translation table base 0 (c2, c0, 0).
    fn set_tables(&self, l1: u32);
    /// Waits for an interrupt (c7, c0, 4).
    fn wait_for_interrupt(&self);
    /// Not an instruction: `words` were stored at `start`. The core knows that
    /// by itself; a double can only be told.
    #[inline(always)]
    fn stored(&self, start: u32, words: &[u32]) {
        let _ = (start, words);
    }
}

/// The last byte of `len` bytes at `start`; nothing of nothing.
#[inline(always)]
fn last(start: u32, len: u32) -> Option<u32> {
    len.checked_sub(1).map(|to_last| start.wrapping_add(to_last))
}

/// Writes `start .. start + len` back to memory. Complete at the next
/// [`Cp15Ops::dsb`], which has to come before any store to the same lines:
/// erratum 716151 lets a clean by address corrupt such a store.
#[inline(always)]
pub fn clean(ops: &(impl Cp15Ops + ?Sized), start: u32, len: u32) {
    if let Some(last) = last(start, len) {
        ops.clean_range(start, last);
    }
}

/// Gives up the cached lines of `start .. start + len`. Unlike [`invalidate`]
/// this loses nothing of a neighbour that shares a line. Complete at the next
/// [`Cp15Ops::dsb`].
#[inline(always)]
pub fn discard(ops: &(impl Cp15Ops + ?Sized), start: u32, len: u32) {
    if let Some(last) = last(start, len) {
        ops.clean_invalidate_range(start, last);
    }
}

/// Drops the cached lines of `start .. start + len`, whole lines none of which
/// is dirty. Complete on return, for what follows is a load: maintenance is
/// done when a DSB is (TRM 3.2.22).
#[inline(always)]
pub fn invalidate(ops: &(impl Cp15Ops + ?Sized), start: u32, len: u32) {
    if let Some(last) = last(start, len) {
        ops.invalidate_range(start, last);
        ops.dsb();
    }
}

/// Code was written to `start .. start + len` as data; afterwards it can be
/// executed. Interrupts are masked.
///
/// The instruction cache is invalidated as a whole, four times and with a
/// pause, because once may leave lines behind (erratum 411920, 415045 on this
/// core) and invalidation by address is not reliable either (720013, 714068).
#[inline(always)]
pub fn sync_code(ops: &(impl Cp15Ops + ?Sized), start: u32, len: u32) {
    clean(ops, start, len);
    ops.dsb();
    ops.instruction_invalidate();
    ops.instruction_invalidate();
    ops.instruction_invalidate();
    ops.instruction_invalidate();
    ops.eleven_nops();
    ops.branch_flush();
    ops.dsb();
    ops.prefetch_flush();
}

/// Page table words were changed at `start`: writes them back, because the
/// table walk does not look into the data cache (TRM 3.2.13).
/// [`tables_changed`] has to follow.
#[inline(always)]
pub fn clean_tables(ops: &(impl Cp15Ops + ?Sized), start: u32, words: &[u32]) {
    ops.stored(start, words);
    clean(ops, start, 4 * words.len() as u32);
}

/// Makes changed and cleaned page tables the ones in force.
#[inline(always)]
pub fn tables_changed(ops: &(impl Cp15Ops + ?Sized)) {
    ops.dsb();
    forget_translations(ops);
}

/// Switches to the tables at `l1`, which are cleaned.
#[inline(always)]
pub fn switch_tables(ops: &(impl Cp15Ops + ?Sized), l1: u32, dacr: u32) {
    ops.dsb();
    ops.set_domains(dacr);
    ops.set_tables(l1);
    forget_translations(ops);
}

/// Whatever was translated is translated anew, by the tables now in force.
#[inline(always)]
pub fn forget_translations(ops: &(impl Cp15Ops + ?Sized)) {
    ops.tlb_invalidate();
    ops.branch_flush();
    ops.dsb();
    ops.prefetch_flush();
}

/// Between the kernel's accesses to peripherals and those of a payload that has
/// some of its own: it may have been interrupted between a read and the barrier
/// after it (BCM2835 ARM Peripherals section 1.3), and goes on as if nobody else
/// had written anything.
#[inline(always)]
pub fn hand_over_peripherals(ops: &(impl Cp15Ops + ?Sized)) {
    ops.dmb();
}

/// Sleeps until an interrupt is pending, masked in CPSR or not (TRM 10.2.2).
#[inline(always)]
pub fn sleep(ops: &(impl Cp15Ops + ?Sized)) {
    ops.dsb();
    ops.wait_for_interrupt();
}

//! Direct mode: what the resolver hands to a payload that runs privileged.
//!
//! Services that need nothing of the kernel's state but a word are functions of
//! the kernel, called as the payload calls its own: no gate, interrupts open,
//! so a deadline can fall into one as into any code of the payload. They keep
//! to words nobody else writes meanwhile. All other services are the stubs a
//! shielded payload gets: the exception they take masks interrupts, which is
//! what handlers that change the kernel's state need, and it saves the
//! registers that a turn of another part of the kernel needs saved.

use crate::task::Mode;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use sk_abi::TaskInfo;
use sk_abi::service::{TaskBeat, TaskInfoGet, TimeCycles, TimeNow, Typed};
use sk_bcm2835::{Mmio, cp15, map};
use sk_drivers::systimer::SysTimer;
use sk_hal::Clock;

/// Signs of life by direct calls. Written by the payload, read by the kernel:
/// no read-modify-write is needed, for they never run at the same time.
static BEATS: AtomicU32 = AtomicU32::new(0);
/// Address of the task's [`TaskInfo`].
static INFO: AtomicU32 = AtomicU32::new(0);

/// A task is about to be entered.
pub fn begin(info: u32) {
    BEATS.store(0, Relaxed);
    INFO.store(info, Relaxed);
}

/// Signs of life since then.
pub fn beats() -> u32 {
    BEATS.load(Relaxed)
}

extern "C" fn task_info() -> *const TaskInfo {
    core::ptr::with_exposed_provenance(INFO.load(Relaxed) as usize)
}

extern "C" fn task_beat() {
    BEATS.store(BEATS.load(Relaxed).wrapping_add(1), Relaxed);
}

extern "C" fn time_now() -> u64 {
    // SAFETY: the system timer, mapped as device memory in every map of ours;
    // reading its counter changes nothing.
    SysTimer::new(unsafe { Mmio::new(map::SYSTEM_TIMER) }).now()
}

extern "C" fn time_cycles() -> u32 {
    cp15::cycles()
}

/// The function for a slot, if it is called without the gate. Each has the type
/// that the list of services says, safe instead of unsafe.
pub fn function(mode: Mode, slot: u8) -> Option<u32> {
    const INFO_SLOT: u8 = <TaskInfoGet as Typed>::SERVICE.slot;
    const BEAT_SLOT: u8 = <TaskBeat as Typed>::SERVICE.slot;
    const NOW_SLOT: u8 = <TimeNow as Typed>::SERVICE.slot;
    const CYCLES_SLOT: u8 = <TimeCycles as Typed>::SERVICE.slot;
    let address = match slot {
        _ if mode == Mode::Shielded => return None,
        INFO_SLOT => (task_info as <TaskInfoGet as Typed>::Fn) as usize,
        BEAT_SLOT => (task_beat as <TaskBeat as Typed>::Fn) as usize,
        NOW_SLOT => (time_now as <TimeNow as Typed>::Fn) as usize,
        CYCLES_SLOT => (time_cycles as <TimeCycles as Typed>::Fn) as usize,
        _ => return None,
    };
    Some(address as u32)
}

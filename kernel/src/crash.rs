//! The end of a boot: what is left in memory for the next one, and the reset.
//!
//! In the order of a crash: the record is written and cleaned to memory, the
//! last words go to the UART, polled, and the board is reset, all of it with
//! FIQ masked, in bounded time, without the heap, a lock or anything of the
//! kernel's that may be broken. A fault on the way resets at once. Where the
//! record says that this happens again and again, the board stops instead.

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicU32, Ordering};
use sk_bcm2835::{Cp15, Mmio, cp15, map};
use sk_drivers::crash::{REGISTERS, ROW, Record, State, WORDS};
use sk_drivers::pm::Pm;
use sk_drivers::systimer::SysTimer;
use sk_drivers::watchdog;
use sk_hal::{Bus32, Clock, Cp15Ops, Micros};
use sk_wire::LastEnd;

/// The UART in an emergency: polled, each byte waited for a bounded time.
pub struct Emergency {
    uart: Mmio,
    /// It does not take bytes; nothing more is waited for.
    stuck: bool,
}

const DR: u32 = 0x00;
const FR: u32 = 0x18;
const FR_BUSY: u32 = 1 << 3;
const FR_TXFF: u32 = 1 << 5;
/// Polls per byte: at 115,200 Bd a byte takes 87 us, some 1,000 reads.
const POLLS: u32 = 200_000;

impl Emergency {
    /// The PL011 as the kernel left it.
    pub fn new() -> Self {
        // SAFETY: UART0 is the PL011, mapped as device memory in every map of
        // ours; DR and FR are registers of it.
        Self { uart: unsafe { Mmio::new(map::UART0) }, stuck: false }
    }

    fn wait_for(&mut self, busy: u32) {
        let mut left = if self.stuck { 0 } else { POLLS };
        while self.uart.read(FR) & busy != 0 {
            if left == 0 {
                self.stuck = true;
                return;
            }
            left -= 1;
        }
    }
}

impl Write for Emergency {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        for byte in s.bytes() {
            self.wait_for(FR_TXFF);
            if !self.stuck {
                self.uart.write(DR, u32::from(byte));
            }
        }
        Ok(())
    }
}

/// How far the end has come: 0 none, 1 told and recorded, 2 final.
static ENDING: AtomicU32 = AtomicU32::new(0);
/// Time since reset in milliseconds at which this boot began: the counter goes
/// on over a warm reset in some emulators.
static BEGAN_MS: AtomicU32 = AtomicU32::new(0);

// SAFETY: used for barriers, and to write the record's lines back.
const CORE: Cp15 = unsafe { Cp15::new() };

fn timer() -> SysTimer<Mmio> {
    // SAFETY: the system timer, mapped as device memory; it is read here, and
    // its compare 3 is this module's.
    SysTimer::new(unsafe { Mmio::new(map::SYSTEM_TIMER) })
}

#[inline(never)]
fn load() -> [u32; WORDS] {
    let mut words = [0; WORDS];
    for (at, word) in (map::CRASH_RECORD..).step_by(4).zip(&mut words) {
        // SAFETY: mapped, aligned memory of ours that no reference points to;
        // words of any value.
        *word = unsafe { (at as *const u32).read_volatile() };
    }
    words
}

#[inline(never)]
fn store(record: &Record) {
    for (at, word) in (map::CRASH_RECORD..).step_by(4).zip(record.words()) {
        // SAFETY: as in `load`.
        unsafe { (at as *mut u32).write_volatile(word) }
    }
    sk_hal::cp15::clean(&CORE, map::CRASH_RECORD, 4 * WORDS as u32);
    CORE.dsb();
}

/// What the boot before left, if it left anything.
pub struct Last {
    /// Its record.
    pub record: Option<Record>,
    /// Crashes in a row until now.
    pub row: u32,
}

impl Last {
    /// How it ended.
    pub fn end(&self) -> LastEnd {
        match self.record.map(|r| (r.state, r.cause)) {
            None => LastEnd::Unknown,
            Some((State::Running, _)) => LastEnd::NoWord,
            Some((State::Restarted, _)) => LastEnd::Restart,
            Some((State::Crashed, cause)) => LastEnd::from_byte(cause).unwrap_or(LastEnd::Unknown),
        }
    }

    /// Crashed so often that nothing should be run.
    pub fn is_loop(&self) -> bool {
        self.row >= ROW
    }
}

/// Takes the record of the boot before, and begins that of this one. Once.
pub fn begin(now: Micros) -> Last {
    let record = Record::read(&load());
    let running = Record::running(record.as_ref());
    BEGAN_MS.store((now / 1000) as u32, Ordering::Relaxed);
    store(&running);
    canaries::plant();
    Last { record, row: running.row }
}

/// Registers for the record: r0 to r12, sp, lr, pc, cpsr, DFSR, IFSR, FAR.
pub type Registers = [u32; REGISTERS];

/// Records the end of this boot. Only the first end counts.
pub fn note(cause: LastEnd, detail: u32, registers: &Registers, text: fmt::Arguments<'_>) {
    cp15::mask_fiq();
    // Not a read-modify-write: nothing interrupts from here on, and the
    // exclusive monitor may be in any state.
    if ENDING.load(Ordering::Relaxed) != 0 {
        return;
    }
    ENDING.store(1, Ordering::Relaxed);
    let now_ms = (timer().now() / 1000) as u32;
    let uptime = Micros::from(now_ms.wrapping_sub(BEGAN_MS.load(Ordering::Relaxed))) * 1000;
    let mut record = Record::read(&load()).unwrap_or_else(|| Record::running(None));
    (record.detail, record.registers) = (detail, *registers);
    let _ = write!(record.text, "{text}");
    record.crashed(cause as u8, uptime);
    store(&record);
}

/// Ends this boot: reset, or a stop when that has been in vain. The words that
/// `tell` writes go to the UART first. Entered anew, it does not try again.
pub fn end(tell: &dyn Fn(&mut Emergency)) -> ! {
    cp15::mask_fiq();
    if ENDING.load(Ordering::Relaxed) >= 2 {
        reset();
    }
    ENDING.store(2, Ordering::Relaxed);
    let mut out = Emergency::new();
    tell(&mut out);
    let row = Record::read(&load()).map_or(0, |record| record.row);
    if row > ROW {
        let _ = writeln!(out, "\r\n*** {row} crashes in a row; stopped\r");
        out.wait_for(FR_BUSY);
        stop();
    }
    let _ = writeln!(out, "\r\n*** resetting\r");
    out.wait_for(FR_BUSY);
    let_transfers_end();
    reset()
}

/// Time for what the USB adapter has been asked: its answer ends the transfer,
/// and nobody asks again. QEMU aborts when an answer meets a reset.
fn let_transfers_end() {
    const ENOUGH: Micros = 50_000;
    let (timer, mut looks) = (timer(), 4 * POLLS);
    let end = timer.now() + ENOUGH;
    while looks > 0 && timer.now() < end {
        looks -= 1;
    }
}

fn power() -> Pm<Mmio> {
    // SAFETY: the power-management block, mapped as device memory; whoever else
    // drives it has been interrupted for good.
    Pm::new(unsafe { Mmio::new(map::POWER) })
}

fn reset() -> ! {
    CORE.dsb();
    power().reboot();
    loop {
        cp15::wfi();
    }
}

fn stop() -> ! {
    // Or it would be reset all the same.
    power().stop_watchdog();
    loop {
        cp15::wfi();
    }
}

/// Strikes against the executive.
pub static STRIKES: AtomicU32 = AtomicU32::new(0);

/// FIQ: the executive was not heard of. 0 = it gets another chance.
#[unsafe(no_mangle)]
extern "C" fn fiq_strike() -> u32 {
    // The interrupted code may have a read of another peripheral under way.
    CORE.dmb();
    u32::from(watchdog::strike(&timer(), &STRIKES))
}

/// Words at the bottom of every stack that nothing writes while all is well.
pub mod canaries {
    const CANARY: u32 = 0x5AFE_57AC;

    unsafe extern "C" {
        static mut __fiq_stack: u32;
        static mut __irq_stack: u32;
        static mut __abt_stack: u32;
        static mut __und_stack: u32;
        static mut __svc_stack: u32;
    }

    /// The lowest word of each stack.
    fn all() -> [*mut u32; 5] {
        [
            &raw mut __fiq_stack,
            &raw mut __irq_stack,
            &raw mut __abt_stack,
            &raw mut __und_stack,
            &raw mut __svc_stack,
        ]
    }

    /// Writes them. Stacks grow down from far above.
    pub(super) fn plant() {
        for at in all() {
            // SAFETY: mapped, aligned, and of no other use.
            unsafe { at.write_volatile(CANARY) }
        }
    }

    /// Is none of them dead?
    pub fn live() -> bool {
        // SAFETY: as in `plant`.
        all().into_iter().all(|at| unsafe { at.read_volatile() } == CANARY)
    }
}

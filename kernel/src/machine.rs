//! Brings the board's blocks up, in an order in which each has what it needs,
//! and says so on the UART. Nothing here is fatal that need not be: without a
//! mailbox answer there are defaults, without a blob there is a reason.

use crate::crash::{self, Last};
use crate::dma;
use crate::early::{Blob, Taken};
use crate::memory::Memory;
use crate::region::Region;
use core::fmt::Write;
use core::mem::MaybeUninit;
use rpi_mbox::Mailbox;
use rpi_mbox::cpufreq::CpuFreq;
use rpi_mbox::tags::{
    ArmMemory, BoardRevision, BoardSerial, ClockId, ClockRate, FirmwareRevision, MacAddress,
    PowerDevice, SetPower,
};
use sk_bcm2835::{Caches, Claim, Mmio, cp15, map};
use sk_drivers::board::Board;
use sk_drivers::gpio::Gpio;
use sk_drivers::irq::Irq;
use sk_drivers::pl011::Pl011;
use sk_drivers::pm::Pm;
use sk_drivers::rng::Rng;
use sk_drivers::systimer::SysTimer;
use sk_hal::Clock;
use sk_session::drbg::{Drbg, SeedMaterial};
use sk_session::keys::{DeviceKeys, StaticKey};
use sk_wire::blob::Config;
use sk_wire::{LastEnd, Reason};

/// Baud rate of the console.
const BAUD: u32 = 115_200;
/// UART clock when the firmware does not say: its default since 2016.
const UART_CLOCK: u32 = 48_000_000;

/// The configuration, once it was read.
static CONFIG: Claim<MaybeUninit<Config>> = Claim::new(MaybeUninit::uninit());

/// The time source.
pub type Timer = SysTimer<Mmio>;
/// The console.
pub type Console = Pl011<Mmio>;

/// The board, brought up.
pub struct Machine {
    /// Time source and tick.
    pub timer: Timer,
    /// Interrupt controller.
    pub irq: Irq<Mmio>,
    /// Console.
    pub console: Console,
    /// Property mailbox.
    pub mailbox: Mailbox<Mmio, Caches>,
    /// GPIO, for the LED.
    pub gpio: Gpio<Mmio>,
    /// What board it is.
    pub board: Board,
    /// The ARM's clock; `None`: the firmware does not say.
    pub cpufreq: Option<CpuFreq>,
    /// Page tables.
    pub memory: Memory,
    /// Memory for tasks.
    pub region: Region,
    /// Randomness; `None`: the generator failed its test.
    pub drbg: Option<Drbg>,
    /// The board's Noise key; a throw-away one in FAULT.
    pub identity: StaticKey,
    /// The configuration, if there is a valid one.
    pub config: Option<&'static Config>,
    /// Why there is none.
    pub reason: Reason,
    /// Does the cycle counter count?
    pub cycles_run: bool,
    /// Station address for adapters without one.
    pub mac: [u8; 6],
    /// Reset and watchdog.
    pub power: Pm<Mmio>,
    /// How the boot before ended.
    pub last_end: LastEnd,
}

/// What the firmware told through the mailbox, with defaults where it did not.
struct Told {
    revision: u32,
    serial: u64,
    uart_clock: u32,
    memory_end: u32,
    mac: [u8; 6],
    firmware: u32,
}

/// A peripheral of the map.
macro_rules! block {
    ($base:ident) => {
        // SAFETY: base of that block, mapped as device memory; each is given to
        // one driver, which keeps to the block's registers.
        unsafe { Mmio::new(map::$base) }
    };
}

impl Machine {
    /// Everything up to, but not including, USB and the network.
    pub fn bring_up(taken: &mut Taken, memory: Memory) -> Self {
        let timer = SysTimer::new(block!(SYSTEM_TIMER));
        let last = crash::begin(timer.now());
        let irq = Irq::new(block!(INTERRUPTS));
        let mut console: Console = Pl011::new(block!(UART0));
        let mut gpio = Gpio::new(block!(GPIO));
        let mut mailbox = Mailbox::new(block!(MAILBOX), Caches, dma::mailbox());

        let told = Told::ask(&mut mailbox, &timer, taken);
        let board = Board::from_revision(told.revision);
        let routed = gpio.route_uart(&timer);
        let uart = console.init(&timer, told.uart_clock, BAUD);
        let mut say = |args: core::fmt::Arguments<'_>| {
            let _ = write!(console, "{args}\r\n");
            // During the boot nobody drains the ring but us: what the FIFO
            // takes, so that a boot that dies has said how far it came.
            console.drain(256);
        };
        say(format_args!("\r\nserverkernel {} on {}", env!("CARGO_PKG_VERSION"), board.name()));
        say(format_args!(
            "board: revision {:x}, serial {:x}, core {:08x}, firmware {}",
            told.revision,
            told.serial,
            cp15::main_id(),
            told.firmware
        ));
        if let Err(error) = uart {
            say(format_args!("uart: {error:?}, left as the firmware set it"));
        }
        if let Err(error) = routed {
            say(format_args!("uart: pins {error:?}"));
        }
        report_boot_data(&mut say, taken);

        let pm = Pm::new(block!(POWER));
        say(format_args!("reset: {:?}", pm.reset_reason()));
        report_last(&mut say, &last);

        let cycles_run = cycle_counter_runs(&timer);
        let cpufreq = CpuFreq::new(&mut mailbox, &timer).ok();
        match &cpufreq {
            Some(f) => say(format_args!(
                "clock: arm {} MHz now, {} to {} MHz; uart {} Hz; cycle counter {}",
                f.now / 1_000_000,
                f.min / 1_000_000,
                f.max / 1_000_000,
                told.uart_clock,
                if cycles_run { "runs" } else { "stands still" }
            )),
            None => say(format_args!("clock: the firmware does not say; left as it is")),
        }
        if !sk_drivers::watchdog::may_arm(cycles_run) {
            say(format_args!("watchdog: not armed, for the cycle counter stands still"));
        }
        // SAFETY: made once; the end was taken as the least of what firmware
        // and boot data say the ARM has.
        let region = unsafe { Region::new(told.memory_end) };
        say(format_args!(
            "memory: {} MiB for the ARM, {} MiB for tasks",
            told.memory_end >> 20,
            (region.end - region.start) >> 20
        ));

        let seed = Rng::new(block!(RNG)).collect(&timer);
        let (mut config, identity, drbg, mut reason) =
            secrets(taken, &told, &timer, seed.as_ref().ok());
        if last.is_loop() {
            (config, reason) = (None, Reason::CrashLoop);
        }
        match seed {
            Ok(_) => say(format_args!("random numbers: generator passed its test")),
            Err(error) => say(format_args!("random numbers: generator failed: {error:?}")),
        }
        match config {
            Some(c) => say(format_args!(
                "configuration: {}, {} client(s), address by {}",
                c.device_label.as_str(),
                c.clients().len(),
                if c.net.mode == sk_wire::blob::NetMode::Static { "configuration" } else { "DHCP" }
            )),
            None => say(format_args!("FAULT: {}; nothing will be run", reason.text())),
        }

        let power = SetPower { device: PowerDevice::Usb, on: true };
        match mailbox.get(&timer, &power) {
            Ok(state) if state.is_on() => say(format_args!("usb: powered")),
            other => {
                say(format_args!("usb: power request answered {other:?}; trying all the same"));
            }
        }
        Self {
            timer,
            irq,
            console,
            mailbox,
            gpio,
            board,
            cpufreq,
            memory,
            region,
            drbg,
            identity,
            config,
            reason,
            cycles_run,
            mac: told.mac,
            power: pm,
            last_end: last.end(),
        }
    }
}

impl Told {
    fn ask(mailbox: &mut Mailbox<Mmio, Caches>, timer: &Timer, taken: &Taken) -> Self {
        let data = taken.data.as_ref().ok();
        let from_boot = data.and_then(sk_drivers::bootdata::BootData::memory_end);
        let from_firmware =
            mailbox.get(timer, &ArmMemory).ok().map(|m| m.base.saturating_add(m.size));
        let memory_end = match (from_boot, from_firmware) {
            (Some(a), Some(b)) => a.min(b),
            (Some(a), None) | (None, Some(a)) => a,
            // The least any of these boards has, less what the GPU takes.
            (None, None) => 192 << 20,
        };
        Self {
            revision: mailbox
                .get(timer, &BoardRevision)
                .ok()
                .or(data.and_then(|d| d.revision))
                .unwrap_or(0),
            serial: mailbox
                .get(timer, &BoardSerial)
                .ok()
                .filter(|&s| s != 0)
                .or(data.and_then(|d| d.serial))
                .unwrap_or(0),
            uart_clock: mailbox
                .get(timer, &ClockRate(ClockId::Uart))
                .ok()
                .filter(|&hz| hz != 0)
                .unwrap_or(UART_CLOCK),
            memory_end,
            // Locally administered, when the firmware has none.
            mac: mailbox.get(timer, &MacAddress).unwrap_or([0x02, 0x53, 0x4B, 0, 0, 1]),
            firmware: mailbox.get(timer, &FirmwareRevision).unwrap_or(0),
        }
    }
}

fn report_boot_data(say: &mut impl FnMut(core::fmt::Arguments<'_>), taken: &Taken) {
    let [r0, r1, r2] = taken.registers;
    match &taken.data {
        Ok(data) => say(format_args!(
            "boot data: {:?} at {:#x} (r0 {r0:x}, r1 {r1:x}, r2 {r2:x}), blob {:?}",
            data.form, data.place.start, taken.blob
        )),
        Err(error) => say(format_args!("boot data: {error:?} (r0 {r0:x}, r1 {r1:x}, r2 {r2:x})")),
    }
}

/// How the last boot ended, if it has left word.
fn report_last(say: &mut impl FnMut(core::fmt::Arguments<'_>), last: &Last) {
    let Some(record) = &last.record else { return };
    say(format_args!("last boot: {}", last.end().text()));
    if record.state != sk_drivers::crash::State::Crashed {
        return;
    }
    say(format_args!(
        "last boot: {} ({:#x}), {} ms after its start; {} in a row",
        record.text.as_str(),
        record.detail,
        record.uptime_ms,
        last.row
    ));
    for (row, values) in record.registers.chunks(5).enumerate() {
        if record.registers.iter().any(|&value| value != 0)
            && let [a, b, c, d, e] = values
        {
            let n = row * 5;
            say(format_args!("last boot: {n:2}: {a:08x} {b:08x} {c:08x} {d:08x} {e:08x}"));
        }
    }
}

/// Reads the blob, wipes its copy, and makes keys and randomness.
fn secrets(
    taken: &mut Taken,
    told: &Told,
    timer: &Timer,
    seed: Option<&sk_drivers::rng::Seed>,
) -> (Option<&'static Config>, StaticKey, Option<Drbg>, Reason) {
    let (mut config, mut reason) = match taken.blob {
        Blob::None => (None, Reason::NoBlob),
        Blob::TooLong(_) => (None, Reason::BlobLength),
        Blob::Misplaced => (None, Reason::Memory),
        Blob::Taken(_) => {
            let config = CONFIG.take().expect("read once").write(Config::empty());
            match config.decode_into(taken.blob_bytes()) {
                Ok(()) => (Some(&*config), Reason::None),
                Err(error) => (None, error.reason()),
            }
        }
    };
    taken.blob_bytes().fill(0);
    if let Some(c) = config
        && let Err(why) = c.policy.check_board(told.serial, told.revision)
    {
        (config, reason) = (None, why);
    }
    let keys = config.map(|c| DeviceKeys::derive(c.device_seed()));
    let drbg = seed.map(|words| {
        let mut hardware = [0; 4 * sk_drivers::rng::SEED_WORDS];
        for (bytes, word) in hardware.as_chunks_mut().0.iter_mut().zip(words) {
            *bytes = word.to_le_bytes();
        }
        Drbg::new(&SeedMaterial {
            hardware: &hardware,
            rng_seed: keys.as_ref().map_or(&[0; 32], |k| &k.rng_seed),
            serial: told.serial,
            jitter: &timer.now().to_le_bytes(),
        })
    });
    if drbg.is_none() {
        (config, reason) = (None, Reason::Rng);
    }
    // In FAULT nobody can open a session, so the key matters to no one.
    let identity = keys.map_or_else(|| StaticKey::from_secret([1; 32]), |k| k.noise);
    (config, identity, drbg, reason)
}

/// Does CCNT count? Some ten microseconds tell.
fn cycle_counter_runs(timer: &Timer) -> bool {
    let before = cp15::cycles();
    let start = timer.now();
    for _ in 0..10_000 {
        if timer.now() > start + 10 {
            break;
        }
    }
    cp15::cycles() != before
}

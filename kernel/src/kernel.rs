//! Everything that lives, the steps the timetable calls, and the loop.
//!
//! One thread, interrupts masked but while a payload runs. Idle means asleep
//! until the next thing that is due or an interrupt; `wfi` wakes with the mask
//! set, so no handler is needed. While a payload runs, a 1 kHz tick brings the
//! kernel back; that is all the preemption there is.

use crate::dma;
use crate::machine::{Console, Machine, Timer};
use crate::tasks::{Tasks, Turn};
use crate::timetable::{CONSOLE, EVENTS, NET, SESSION, SLOTS, TABLE, USB};
use crate::watch::Watch;
use crate::wire::Wire;
use core::fmt::Write;
use core::mem::MaybeUninit;
use core::net::{Ipv4Addr, SocketAddrV4};
use core::task::Poll;
use rpi_mbox::cpufreq::{CpuFreq, Demand};
use rpi_mbox::tags::{GetThrottled, Temperature};
use rpi_mbox::{Mailbox, Slot};
use sk_bcm2835::{Caches, Claim, Mmio, cp15, map};
use sk_drivers::board::Led;
use sk_drivers::dwc2::Dwc2;
use sk_drivers::gpio::Gpio;
use sk_drivers::irq::{Irq, Source};
use sk_drivers::systimer::{Armed, Channel};
use sk_exec::{Executive, Share};
use sk_hal::net::FrameDevice;
use sk_hal::{Clock, Micros};
use sk_net::{Address, Net, NetConfig, NetMode, NetStorage, SendError, Sockets, UdpMeta, UdpSink};
use sk_session::base::{Destination, Endpoint};
use sk_session::server::{Event, Server};
use sk_usb::UsbNet;
use sk_wire::MAX_DATAGRAM;
use sk_wire::control::Phase;

/// Period of the tick while a payload runs.
const TICK: Micros = 1_000;
/// How much of the time of a payload that could run the kernel takes for the
/// network and its other slots, in thousandths; all of it in a build with the
/// feature `uncapped`, to see what the limit is good for.
const SHARE: u32 = if cfg!(feature = "uncapped") { 1000 } else { 100 };
/// So much is saved up at most, and so much overdrawn: a key agreement is not
/// divided. With this debt the network comes back after 40 ms.
const BURST: Micros = 1_000;
const DEBT: Micros = 4_000;
/// The timer is set no farther ahead than this.
const FARTHEST: Micros = 1 << 30;
/// Frames handled in one run of the net slot.
const FRAMES: u32 = 16;
/// Datagrams sent in one run of the session slot.
const DATAGRAMS: usize = 16;
/// While a payload runs the engine looks for new output so often.
const OUTPUT_EVERY: Micros = 10_000;
/// A datagram whose neighbour is being asked for is tried again so often.
const RESOLVE_TRIES: u8 = 20;
const RESOLVE_EVERY: Micros = 2_000;

/// The adapter on this board.
pub type Usb = UsbNet<Dwc2<Mmio, Caches>>;

/// Large things live in static memory, not on the stack.
type Place<T> = Claim<MaybeUninit<T>>;
static SERVER: Place<Server<'static>> = Claim::new(MaybeUninit::uninit());
static NETWORK: Place<Net<'static>> = Claim::new(MaybeUninit::uninit());
static STORAGE: Place<NetStorage<'static>> = Claim::new(MaybeUninit::uninit());
static TASKS: Place<Tasks<Timer>> = Claim::new(MaybeUninit::uninit());
static USB_NET: Place<Usb> = Claim::new(MaybeUninit::uninit());
static CONSOLE_PLACE: Place<Console> = Claim::new(MaybeUninit::uninit());
/// What waits for a task that is busy: about 32 datagrams of full length.
static QUEUE: Claim<[u8; 48 * 1024]> = Claim::new([0; 48 * 1024]);
static SCRATCH: Claim<[u8; MAX_DATAGRAM]> = Claim::new([0; MAX_DATAGRAM]);

fn place<T>(at: &'static Place<T>, value: T) -> &'static mut T {
    at.take().expect("each place is taken once").write(value)
}

/// A datagram that could not be sent yet.
struct Held {
    to: SocketAddrV4,
    len: usize,
    tries: u8,
}

/// All there is.
pub struct Kernel {
    pub(crate) timer: Timer,
    irq: Irq<Mmio>,
    console: &'static mut Console,
    mailbox: Mailbox<Mmio, Caches>,
    /// Health was asked for; the answer is due.
    asked: Option<(Slot<Temperature>, Slot<GetThrottled>)>,
    demand: Demand,
    cpufreq: Option<CpuFreq>,
    gpio: Gpio<Mmio>,
    pub(crate) watch: Watch,
    share: Share,
    led: Option<Led>,
    usb: &'static mut Usb,
    net: &'static mut Net<'static>,
    pub(crate) server: &'static mut Server<'static>,
    pub(crate) tasks: &'static mut Tasks<Timer>,
    port: u16,
    scratch: &'static mut [u8; MAX_DATAGRAM],
    held: Option<Held>,
    /// The session slot had to stop for want of a transmit buffer.
    blocked: bool,
    /// There is an address, as of the last run of the net slot.
    reachable: bool,
    phase: Phase,
    /// The match the timer is set for; passed: none.
    alarm: Micros,
}

/// Puts the kernel together on a board that was brought up.
pub fn start(m: Machine) -> Kernel {
    let now = m.timer.now();
    let mut gpio = m.gpio;
    let led = m.board.led.filter(|&led| gpio.init_led(led).is_ok());
    let port = m.config.map_or(sk_wire::PORT, |c| c.net.port);
    let queue = QUEUE.take().expect("taken once");
    let sockets = Sockets::new(queue, port, now as u16);
    let tasks = Tasks::new(m.timer, m.memory, m.region, m.drbg, m.config, sockets);
    let tasks = place(&TASKS, tasks);
    tasks.facts.abi = u16::from(sk_abi::ABI_VERSION);
    tasks.facts.mhz = m.cpufreq.as_ref().map_or(0, |f| (f.now / 1_000_000) as u16);
    tasks.facts.wall_ms_max = m.config.map_or(0, |c| c.policy.wall_ms_max);
    tasks.facts.last_end = m.last_end;
    tasks.emulated = !m.cycles_run;
    let mut watch = Watch::new(m.timer, m.power, m.cycles_run, tasks.tables());
    watch.learn(tasks.tables());
    tasks.board = (m.board.code, m.cpufreq.as_ref().map_or(0, |f| f.max / 1_000_000));

    let mut random = [0; 24];
    // Without randomness the board is in FAULT and a boot id of zeros is told.
    let _ = sk_session::server::Board::random(tasks, &mut random);
    let (boot_id, seed) = random.split_first_chunk::<16>().unwrap_or((&[0; 16], &[]));
    let seed = seed.first_chunk().map_or(0, |s| u64::from_le_bytes(*s));
    let server = place(&SERVER, Server::new(m.config, m.reason, m.identity, *boot_id));

    let label = m.config.map_or("", |c| c.device_label.as_str());
    let mode = match m.config.map(|c| &c.net) {
        Some(net) if net.mode == sk_wire::blob::NetMode::Static => NetMode::Static(Address {
            ip: Ipv4Addr::from(net.ip),
            prefix: net.prefix,
            gateway: net.gateway.map(Ipv4Addr::from),
        }),
        // A board in FAULT still says so on the network.
        _ => NetMode::Dhcp,
    };
    let storage = place(&STORAGE, NetStorage::new());
    let config = NetConfig { mode, hostname: label, seed };
    let net = place(&NETWORK, Net::new(&config, storage, now));

    // SAFETY: base of the DWC2 controller, mapped as device memory, given to
    // its one driver.
    let bus = unsafe { Mmio::new(map::USB) };
    let usb = place(&USB_NET, UsbNet::new(Dwc2::new(bus, Caches, dma::usb()), m.mac));
    Kernel {
        timer: m.timer,
        irq: m.irq,
        console: place(&CONSOLE_PLACE, m.console),
        mailbox: m.mailbox,
        asked: None,
        demand: Demand::Idle,
        cpufreq: m.cpufreq,
        gpio,
        watch,
        share: Share::new(SHARE, BURST, DEBT),
        led,
        usb,
        net,
        server,
        tasks,
        port,
        alarm: 0,
        scratch: SCRATCH.take().expect("taken once"),
        held: None,
        blocked: false,
        reachable: false,
        phase: Phase::Idle,
    }
}

impl Kernel {
    /// The loop. Never returns.
    pub fn run(mut self) -> ! {
        let timer = self.timer;
        self.irq.enable(Source::TIMER_1);
        self.irq.select_fiq(Source::TIMER_3);
        // SAFETY: `vectors.S` handles it wherever it comes.
        unsafe { cp15::open_fiq() }
        let mut executive: Executive<'_, Kernel, SLOTS> =
            Executive::new(&TABLE, &EVENTS, timer.now());
        EVENTS.raise(USB | SESSION | CONSOLE);
        loop {
            let ran = self.tasks.is_running();
            executive.poll(&mut self, &timer);
            self.watch_over(&executive);
            if !self.tasks.is_running() {
                if let Some(due) = executive.next_due(timer.now()) {
                    self.sleep_until(due);
                }
                continue;
            }
            if ran && !self.tasks.is_waiting() {
                // The payload could have had this time.
                let now = timer.now();
                self.share.spend(now, now.saturating_sub(executive.polled()));
                // An event may be with its slot already.
                let more = executive.next_due(now).is_some_and(|due| due <= now);
                if more && self.share.is_left(now) && now < self.tasks.next_look() {
                    continue;
                }
            }
            // Frames stay in the adapter, and are dropped there, until some of
            // the share is left.
            loop {
                self.task_turn(&executive);
                let busy = self.tasks.is_running() && !self.tasks.is_waiting();
                if !busy || self.share.is_left(timer.now()) {
                    break;
                }
            }
        }
    }

    /// Turns of the payload, until a tick or something else is due. While it
    /// does nothing but wait for datagrams and answer them, it goes round here,
    /// past the timetable: see [`Kernel::network_turn`].
    fn task_turn(&mut self, executive: &Executive<'_, Kernel, SLOTS>) {
        // Slots wish for nothing new while none runs.
        let mut due = None;
        loop {
            let now = self.timer.now();
            let at = (now + TICK).min(self.tasks.next_look().max(now + 1));
            let turn = if self.wake_by(now, at) {
                self.tasks.turn(&mut Wire { net: self.net, usb: self.usb })
            } else {
                Turn::Interrupted
            };
            while let Some(line) = self.tasks.log_line() {
                self.say(format_args!("payload: {line}"));
            }
            match turn {
                // USB does not interrupt a payload: it is looked after once a tick.
                Turn::Interrupted => {
                    self.timer.ack(Channel::C1);
                    self.alarm = 0;
                    return EVENTS.raise(USB);
                }
                Turn::Over => return EVENTS.raise(SESSION),
                Turn::Waiting(until) => {
                    let due = executive.next_due(self.timer.now()).unwrap_or(until);
                    return self.sleep_until(until.min(due));
                }
                Turn::Network(until) => {
                    let due = *due.get_or_insert_with(|| {
                        executive.next_due(self.timer.now()).unwrap_or(Micros::MAX)
                    });
                    if !self.network_turn(until, due) {
                        return;
                    }
                }
            }
        }
    }

    /// Sees to it that the timer interrupts at `at` or before. `false` = that
    /// time has passed.
    fn wake_by(&mut self, now: Micros, at: Micros) -> bool {
        // A match that comes too early costs less than arming for each wait.
        if now < self.alarm && self.alarm <= at {
            return true;
        }
        let at = at.min(now + FARTHEST);
        let armed = self.timer.arm(Channel::C1, at) == Armed::Set;
        self.alarm = if armed { at } else { 0 };
        armed
    }

    /// Waits with the payload for the network, at most until `until`, or until
    /// `due`, when the timetable must have its turn. `true` = the payload can
    /// go on.
    ///
    /// This is what an echo costs, so nothing else is done here: a finished
    /// transfer is taken from the controller, a frame from the adapter, and a
    /// datagram put into the payload's buffer. Whatever else comes in goes
    /// where it always goes, and ends the wait if a slot has to act on it.
    fn network_turn(&mut self, until: Micros, due: Micros) -> bool {
        let at = until.min(due);
        loop {
            let now = self.timer.now();
            if now >= until {
                return true;
            }
            if now >= due || EVENTS.any() {
                return false;
            }
            // A payload that can send nothing reads nothing: what there is to be
            // read stays in the adapter's buffers.
            let stuck = self.tasks.is_sending() && !self.usb.can_transmit();
            if !stuck && self.take_frames(now) {
                return true;
            }
            if EVENTS.any() {
                return false;
            }
            self.irq.enable(Source::USB);
            if self.wake_by(now, at) {
                cp15::wfi();
            }
            let usb = self.irq.pending().contains(Source::USB);
            self.irq.disable(Source::USB);
            if usb {
                let now = self.timer.now();
                self.usb.poll(now);
                self.usb_events();
                self.unblock();
                // A send that could not be made may work now; the session, if
                // it waits for a buffer too, comes first.
                if !EVENTS.any() && self.tasks.is_sending() && self.usb.can_transmit() {
                    return true;
                }
            }
        }
    }

    /// Frames, one after the other until the payload has what it waits for; the
    /// rest can stay in the adapter's buffers.
    fn take_frames(&mut self, now: Micros) -> bool {
        for _ in 0..FRAMES {
            if !self.usb.has_frame() {
                return false;
            }
            let address = self.net.address();
            let mut sink =
                Sink { server: self.server, tasks: self.tasks, port: self.port, address };
            self.net.poll(now, self.usb, 1, &mut sink);
            self.net_events();
            if EVENTS.any() {
                return false;
            }
            if !self.tasks.is_receiving() {
                return true;
            }
        }
        EVENTS.raise(NET);
        false
    }

    /// Sleeps until `at` or an interrupt, whichever is first.
    fn sleep_until(&mut self, at: Micros) {
        self.irq.enable(Source::USB);
        let now = self.timer.now();
        if self.wake_by(now, at) {
            cp15::wfi();
        }
        if self.irq.pending().contains(Source::USB) {
            EVENTS.raise(USB);
        }
        self.irq.disable(Source::USB);
    }

    pub(crate) fn say(&mut self, line: core::fmt::Arguments<'_>) {
        let s = self.timer.now() / 1000;
        let _ = write!(self.console, "[{:4}.{:03}] {line}\r\n", s / 1000, s % 1000);
        EVENTS.raise(CONSOLE);
    }

    /// Slot usb.
    pub fn usb_step(&mut self, now: Micros) -> Option<Micros> {
        self.usb.poll(now);
        self.usb_events();
        self.usb.next_deadline()
    }

    fn usb_events(&mut self) {
        while let Some(event) = self.usb.event() {
            self.say(format_args!("usb: {event:?}"));
        }
    }

    fn net_events(&mut self) {
        while let Some(event) = self.net.take_event() {
            self.say(format_args!("net: {event:?}"));
            // The session engine is told of the address by the slot.
            EVENTS.raise(NET);
        }
    }

    /// Slot net: events to be raised, and when next.
    pub fn net_step(&mut self, now: Micros) -> (u32, Option<Micros>) {
        let address = self.net.address();
        let mut sink = Sink { server: self.server, tasks: self.tasks, port: self.port, address };
        let frames = self.net.poll(now, self.usb, FRAMES, &mut sink);
        self.net_events();
        let reachable = self.net.address().is_some();
        self.server.set_address_valid(reachable);
        let mut raised = 0;
        if frames == FRAMES {
            // The next transfer may be through by now; nobody interrupts for it
            // while a payload runs.
            raised |= USB | NET;
        }
        // The session slot is dear; an idle pass of this one is no reason for it.
        if reachable != self.reachable {
            raised |= SESSION;
        }
        self.unblock();
        self.reachable = reachable;
        (raised, self.net.next_deadline())
    }

    /// Wakes the session slot, if it waits for a transmit buffer and there is one.
    fn unblock(&self) {
        if self.blocked && self.usb.can_transmit() {
            EVENTS.raise(SESSION);
        }
    }

    /// Slot session: more to do at once?, and when next.
    pub fn session_step(&mut self, now: Micros) -> (bool, Option<Micros>) {
        let more = self.server.poll(now, self.tasks);
        let again = self.send(now);
        let mut wish = self.server.next_deadline();
        if self.blocked {
            // What is overdue waits for a transmit buffer; the net slot wakes us.
            wish = wish.filter(|&at| at > now);
        }
        if self.tasks.is_running() {
            // New output is not a deadline of the engine's.
            let at = now + OUTPUT_EVERY;
            wish = Some(wish.map_or(at, |w| w.min(at)));
        }
        if let Some(at) = again {
            wish = Some(wish.map_or(at, |w| w.min(at)));
        }
        while let Some(event) = self.server.event() {
            self.report(event);
        }
        let phase = self.server.phase();
        if phase != self.phase {
            self.phase_changed(phase);
        }
        (more, wish)
    }

    /// Sends what there is; a time at which to try again, if something is held.
    fn send(&mut self, now: Micros) -> Option<Micros> {
        self.blocked = false;
        for _ in 0..DATAGRAMS {
            let held = match self.held.take() {
                Some(held) => held,
                None => {
                    if !self.usb.can_transmit() {
                        // The end of a transfer wakes the slot again.
                        self.blocked = true;
                        return None;
                    }
                    let (to, len) = self.server.transmit(now, self.tasks, self.scratch)?;
                    let to = match to {
                        Destination::Endpoint(e) => SocketAddrV4::new(e.ip.into(), e.port),
                        Destination::Broadcast => {
                            SocketAddrV4::new(Ipv4Addr::BROADCAST, sk_wire::PORT)
                        }
                    };
                    Held { to, len, tries: 0 }
                }
            };
            let bytes = self.scratch.get(..held.len).unwrap_or(&[]);
            let sent = self.net.send(now, self.usb, self.port, held.to, held.len, &mut |buffer| {
                buffer.copy_from_slice(bytes);
            });
            if matches!(sent, Err(SendError::ArpPending | SendError::NoBuffer))
                && held.tries < RESOLVE_TRIES
            {
                self.held = Some(Held { tries: held.tries + 1, ..held });
                return Some(now + RESOLVE_EVERY);
            }
        }
        Some(now)
    }

    fn report(&mut self, event: Event) {
        match event {
            Event::SessionUp { client, from, took } => {
                let [a, b, c, d] = from.ip;
                self.say(format_args!(
                    "session: client {client} at {a}.{b}.{c}.{d}:{}, open in {took} us",
                    from.port
                ));
            }
            Event::SessionDown { client } => {
                self.say(format_args!("session: client {client} left"));
            }
            Event::Denied => self.say(format_args!("session: somebody was refused")),
            Event::Accepted { task, client } => {
                self.say(format_args!("task {}: from client {client}", task.seq));
            }
            Event::Started(task) => self.say(format_args!("task {}: running", task.seq)),
            Event::Ended(task, status) => {
                self.say(format_args!("task {}: {}", task.seq, status.name()));
            }
            Event::Idle => {
                self.say(format_args!("ready"));
                self.sweep();
            }
        }
    }

    /// Highest clock and LED while there is a task, lowest when idle.
    fn phase_changed(&mut self, phase: Phase) {
        self.phase = phase;
        let busy = !matches!(phase, Phase::Idle | Phase::Fault);
        self.demand = if busy { Demand::Work } else { Demand::Idle };
        self.set_clock();
        if let Some(led) = self.led {
            let _ = self.gpio.set_led(led, busy);
        }
    }

    /// Does nothing if the clock is as wanted; a failure is tried again by the
    /// health slot.
    fn set_clock(&mut self) {
        if let Some(cpufreq) = &mut self.cpufreq
            && let Ok(hz) = cpufreq.set(&mut self.mailbox, &self.timer, self.demand)
        {
            self.tasks.facts.mhz = (hz / 1_000_000) as u16;
        }
    }

    /// Slot console: is there more?
    pub fn console_step(&mut self) -> bool {
        self.console.drain(16);
        self.console.queued() > 0
    }

    /// Slot health: takes the answer to what the run before asked, and asks.
    pub fn health_step(&mut self) {
        if let Some((temperature, throttled)) = self.asked.take()
            && matches!(self.mailbox.poll(), Poll::Ready(Ok(())))
            && let Ok(reply) = self.mailbox.response()
        {
            let temperature = reply.get(temperature);
            let throttled = reply.get(throttled);
            if let Ok(millidegrees) = temperature {
                self.tasks.facts.temperature_mc = millidegrees as i32;
            }
            if let Ok(state) = throttled
                && state.0 != self.tasks.facts.throttle
            {
                self.tasks.facts.throttle = state.0;
                self.say(format_args!(
                    "power: {}{}{}",
                    if state.under_voltage() { "under-voltage, " } else { "" },
                    if state.any_now() { "throttled" } else { "as it should be" },
                    if state.since_boot().0 != 0 { "; was throttled since boot" } else { "" }
                ));
            }
        }
        self.set_clock();
        self.asked = self
            .mailbox
            .send(&self.timer, |request| {
                Ok((request.add(&Temperature)?, request.add(&GetThrottled)?))
            })
            .ok();
    }
}

/// Takes datagrams for the service port to the session engine, those for the
/// task's ports to the task.
struct Sink<'k> {
    server: &'k mut Server<'static>,
    tasks: &'k mut Tasks<Timer>,
    port: u16,
    address: Option<Address>,
}

impl UdpSink for Sink<'_> {
    #[inline]
    fn wants(&self, port: u16) -> bool {
        port == self.port || self.tasks.wants(port)
    }

    #[inline]
    fn datagram(&mut self, now: Micros, meta: &UdpMeta, payload: &mut [u8]) {
        if meta.dst.port() != self.port {
            return self.tasks.datagram(meta, self.address, payload);
        }
        let from = Endpoint { ip: meta.src.ip().octets(), port: meta.src.port() };
        self.server.receive(now, from, meta.broadcast, payload, self.tasks);
        EVENTS.raise(SESSION);
    }
}

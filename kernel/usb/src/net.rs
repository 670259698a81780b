//! The object the kernel polls: whatever is plugged in, as an Ethernet adapter.
//!
//! ```text
//!  port Ready      configured        pipes open
//!  Vacant -> Enumerating -> Adapter(setting up, running)
//!    ^ ^          | no driver: Unsupported (until unplugged)
//!    | |          | error        | error
//!    | +--- Resetting <-- Pausing <-+     pause grows 100 ms .. 25.6 s
//!    +------ port Empty, from anywhere: everything closed
//! ```

use crate::enumerate::{Enumerator, Progress, SCRATCH};
use crate::event::{Driver, Fault, MacSource, Stage, UsbEvent};
use crate::function::{Function, Layout, Signal};
use crate::statistics::{Statistics, count};
use heapless::Deque;
use sk_hal::Micros;
use sk_hal::net::FrameDevice;
use sk_hal::usb::{Port, Speed, UsbHost};

/// The address of the device at the root port.
const ROOT_ADDRESS: u8 = 1;
/// First pause before a port reset. A stopped bulk IN gets its 50 ms to finish.
const FIRST_PAUSE: Micros = 100_000;
/// The pause doubles so many times: 25.6 s.
const PAUSE_DOUBLINGS: u32 = 8;
/// A port that has not come back from a reset by then is reset again.
const RESET_LIMIT: Micros = 5_000_000;
/// An adapter that ran so long has proved itself: the next pause is short again.
const PROVEN: Micros = 10_000_000;
/// State changes in one poll.
const MAX_STEPS: u8 = 4;
/// Events kept for the log.
const EVENTS: usize = 8;

/// The adapter in use, for status displays.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Adapter {
    /// idVendor.
    pub vendor: u16,
    /// idProduct.
    pub product: u16,
    /// Signalling rate.
    pub speed: Speed,
    /// Who drives it.
    pub driver: Driver,
    /// Station address.
    pub mac: [u8; 6],
    /// Whose address that is.
    pub source: MacSource,
    /// The longest frame the device says it takes (header included).
    pub max_frame: u16,
}

#[derive(Debug)]
enum Phase {
    Vacant,
    Enumerating(Enumerator<Layout>),
    Adapter(Function),
    Unsupported,
    Pausing { until: Micros },
    Resetting { since: Micros },
}

#[derive(Clone, Copy, Debug)]
struct Identity {
    vendor: u16,
    product: u16,
    speed: Speed,
}

/// A USB Ethernet adapter at the root port, from plugging in to unplugging.
#[derive(Debug)]
pub struct UsbNet<H> {
    host: H,
    fallback_mac: [u8; 6],
    phase: Phase,
    identity: Option<Identity>,
    configuration: u8,
    failures: u32,
    last_poll: Micros,
    events: Deque<UsbEvent, EVENTS>,
    statistics: Statistics,
    scratch: [u8; SCRATCH],
}

impl<H: UsbHost> UsbNet<H> {
    /// Over a controller that was started. `fallback_mac` is used for adapters
    /// that do not know their own station address.
    pub const fn new(host: H, fallback_mac: [u8; 6]) -> Self {
        Self {
            host,
            fallback_mac,
            phase: Phase::Vacant,
            identity: None,
            configuration: 0,
            failures: 0,
            last_poll: 0,
            events: Deque::new(),
            statistics: Statistics::ZERO,
            scratch: [0; SCRATCH],
        }
    }

    /// The controller.
    pub const fn host(&self) -> &H {
        &self.host
    }

    /// The controller, for its interrupt handler and its own counters.
    pub const fn host_mut(&mut self) -> &mut H {
        &mut self.host
    }

    /// Counters since boot.
    pub const fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// The next thing that happened, oldest first. If nobody asks, the oldest
    /// are lost and counted.
    pub fn event(&mut self) -> Option<UsbEvent> {
        self.events.pop_front()
    }

    /// The adapter in use.
    #[must_use]
    pub fn adapter(&self) -> Option<Adapter> {
        let (Phase::Adapter(function), Some(identity)) = (&self.phase, self.identity) else {
            return None;
        };
        let (mac, source) = function.mac()?;
        let Identity { vendor, product, speed } = identity;
        let (driver, max_frame) = (function.driver(), function.max_frame());
        Some(Adapter { vendor, product, speed, driver, mac, source, max_frame })
    }

    /// When `poll` wants to be called at the latest, if nothing interrupts.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Micros> {
        let own = match &self.phase {
            Phase::Vacant | Phase::Unsupported => None,
            Phase::Enumerating(enumerator) => enumerator.deadline(),
            Phase::Adapter(function) => function.deadline(self.last_poll),
            Phase::Pausing { until } => Some(*until),
            Phase::Resetting { since } => Some(since.saturating_add(RESET_LIMIT)),
        };
        match (own, self.host.next_deadline()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Advances the controller and everything above it. Bounded; never waits.
    pub fn poll(&mut self, now: Micros) {
        self.last_poll = now;
        self.host.poll(now);
        for _ in 0..MAX_STEPS {
            if !self.step(now) {
                break;
            }
        }
    }

    /// One state change; `false` = nothing more to do now.
    fn step(&mut self, now: Micros) -> bool {
        let port = self.host.port();
        match (&mut self.phase, port) {
            (Phase::Vacant, Port::Ready(speed)) => {
                count(&mut self.statistics.enumerations);
                self.phase = Phase::Enumerating(Enumerator::new(speed, ROOT_ADDRESS, None));
                true
            }
            (Phase::Vacant, Port::Empty) => {
                // The next device is another one.
                self.failures = 0;
                false
            }
            (Phase::Vacant, _) => false,
            (Phase::Resetting { .. }, Port::Ready(_)) => {
                self.phase = Phase::Vacant;
                true
            }
            (Phase::Resetting { since }, Port::Settling | Port::Starting) => {
                if now.saturating_sub(*since) >= RESET_LIMIT {
                    self.fail(now, Stage::Port, Fault::Late);
                }
                false
            }
            // Gone, or the controller is starting over: either way what we know
            // of the device is void.
            (_, Port::Empty | Port::Settling | Port::Starting) => {
                self.detach(now);
                true
            }
            (Phase::Unsupported, _) => false,
            (Phase::Pausing { until }, _) => {
                if now >= *until {
                    count(&mut self.statistics.port_resets);
                    self.host.reset_port(now);
                    self.phase = Phase::Resetting { since: now };
                }
                false
            }
            (Phase::Enumerating(enumerator), Port::Ready(speed)) => {
                let progress = enumerator.poll(
                    &mut self.host,
                    now,
                    &mut self.scratch,
                    Layout::find,
                    &mut self.statistics,
                );
                self.enumerated(now, speed, progress)
            }
            (Phase::Adapter(function), Port::Ready(_)) => {
                let signal =
                    function.poll(&mut self.host, now, &mut self.scratch, &mut self.statistics);
                if function.running_since().is_some_and(|since| now.saturating_sub(since) >= PROVEN)
                {
                    self.failures = 0;
                }
                self.signalled(now, signal)
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn enumerated(&mut self, now: Micros, speed: Speed, progress: Progress<Layout>) -> bool {
        match progress {
            Progress::Running => return false,
            Progress::Identified(device) => {
                let (vendor, product) = (device.vendor, device.product);
                self.identity = Some(Identity { vendor, product, speed });
                self.report(UsbEvent::Attached { vendor, product, speed });
            }
            Progress::Configured { target, configuration, function: layout } => {
                self.configuration = configuration;
                self.phase = Phase::Adapter(Function::new(layout, target, self.fallback_mac));
            }
            Progress::Unsupported(device) => {
                self.phase = Phase::Unsupported;
                self.report(UsbEvent::Unsupported {
                    vendor: device.vendor,
                    product: device.product,
                });
            }
            Progress::Failed(stage, fault) => self.fail(now, stage, fault),
        }
        true
    }

    fn signalled(&mut self, now: Micros, signal: Signal) -> bool {
        match signal {
            Signal::None => return false,
            Signal::Up { mac, source } => {
                let Phase::Adapter(function) = &self.phase else {
                    return false;
                };
                let (driver, configuration) = (function.driver(), self.configuration);
                self.report(UsbEvent::Configured { driver, mac, source, configuration });
            }
            Signal::Link { up } => self.report(UsbEvent::Link { up }),
            Signal::Failed(stage, fault) => self.fail(now, stage, fault),
        }
        true
    }

    /// Closes what is open and tries again after a pause.
    fn fail(&mut self, now: Micros, stage: Stage, fault: Fault) {
        self.close(now);
        let pause = FIRST_PAUSE << self.failures.min(PAUSE_DOUBLINGS);
        self.failures = self.failures.saturating_add(1);
        self.phase = Phase::Pausing { until: now.saturating_add(pause) };
        let failures = self.failures;
        self.report(UsbEvent::Error { stage, fault, failures });
    }

    fn detach(&mut self, now: Micros) {
        self.close(now);
        self.phase = Phase::Vacant;
        count(&mut self.statistics.detaches);
        self.report(UsbEvent::Detached);
    }

    fn close(&mut self, now: Micros) {
        if let Phase::Adapter(function) = &mut self.phase {
            function.close(&mut self.host, now);
        }
        self.identity = None;
    }

    fn report(&mut self, event: UsbEvent) {
        if self.events.is_full() {
            let _ = self.events.pop_front();
            count(&mut self.statistics.events_lost);
        }
        let _ = self.events.push_back(event);
    }
}

impl<H: UsbHost> FrameDevice for UsbNet<H> {
    fn mac(&self) -> Option<[u8; 6]> {
        match &self.phase {
            Phase::Adapter(function) => function.mac().map(|(mac, _)| mac),
            _ => None,
        }
    }

    fn link_up(&self) -> bool {
        matches!(&self.phase, Phase::Adapter(function) if function.link_up())
    }

    fn has_frame(&self) -> bool {
        matches!(&self.phase, Phase::Adapter(function) if function.has_frame(&self.host))
    }

    fn receive(&mut self, now: Micros, take: &mut dyn FnMut(&mut [u8])) -> bool {
        match &mut self.phase {
            Phase::Adapter(function) => {
                function.receive(&mut self.host, now, take, &mut self.statistics)
            }
            _ => false,
        }
    }

    fn can_transmit(&self) -> bool {
        matches!(&self.phase, Phase::Adapter(function) if function.can_transmit(&self.host))
    }

    fn transmit(&mut self, now: Micros, len: usize, fill: &mut dyn FnMut(&mut [u8])) -> bool {
        match &mut self.phase {
            Phase::Adapter(function) => {
                function.transmit(&mut self.host, now, len, fill, &mut self.statistics)
            }
            _ => false,
        }
    }
}

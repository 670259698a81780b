//! The object the kernel polls: the root port, and the adapter's life.
//!
//! ```text
//!  port Ready     hubs and their ports: `topology`
//!  Vacant -> Attached -> a network function: the adapter (setting up, running)
//!    ^ ^         | the device at the root port fails, or the last resort
//!    | +--- Resetting <-- Pausing     pause grows 100 ms .. 25.6 s
//!    +------ port Empty, from anywhere: everything closed
//! ```
//!
//! The first network function that is found is the adapter, wherever it is
//! plugged in; other devices are named and left alone.

use crate::enumerate::SCRATCH;
use crate::event::{Driver, Fault, Identity, MacSource, Stage, UsbEvent};
use crate::function::{Function, Layout, Signal};
use crate::hub::Place;
use crate::line::{Holder, Line, Party};
use crate::statistics::{Statistics, count};
use crate::topology::Tree;
use heapless::Deque;
use sk_hal::Micros;
use sk_hal::net::FrameDevice;
use sk_hal::usb::{DeviceTarget, Port, Speed, UsbHost};

/// The address of the device at the root port.
pub(crate) const ROOT_ADDRESS: u8 = 1;
/// First pause before a port reset. A stopped bulk IN gets its 50 ms to finish.
pub(crate) const FIRST_PAUSE: Micros = 100_000;
/// The pause doubles so many times: 25.6 s.
pub(crate) const PAUSE_DOUBLINGS: u32 = 8;
/// A port that has not come back from a reset by then is reset again.
const RESET_LIMIT: Micros = 5_000_000;
/// An adapter that ran so long has proved itself: the next pause is short again.
pub(crate) const PROVEN: Micros = 10_000_000;
/// A request whose party is gone ends by then, or never.
const ORPHAN_LIMIT: Micros = 6_000_000;
/// Its end is looked for so often, if nothing interrupts.
const ORPHAN_LOOK: Micros = 10_000;
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

/// The root port.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Root {
    Vacant,
    /// A device is there; once it has named itself, who.
    Attached(Option<Identity>),
    Pausing {
        until: Micros,
    },
    Resetting {
        since: Micros,
    },
}

/// The function in use.
#[derive(Debug)]
pub(crate) struct InUse {
    pub(crate) function: Function,
    pub(crate) place: Place,
    identity: Identity,
    configuration: u8,
}

/// The USB port with whatever is plugged in, of which the first network
/// function is the adapter.
#[derive(Debug)]
pub struct UsbNet<H> {
    pub(crate) host: H,
    pub(crate) holder: Holder,
    fallback_mac: [u8; 6],
    pub(crate) root: Root,
    pub(crate) tree: Tree,
    pub(crate) adapter: Option<InUse>,
    /// Of the device at the root port, in a row.
    failures: u32,
    last_poll: Micros,
    events: Deque<UsbEvent, EVENTS>,
    pub(crate) statistics: Statistics,
    pub(crate) scratch: [u8; SCRATCH],
}

impl<H: UsbHost> UsbNet<H> {
    /// Over a controller that was started. `fallback_mac` is used for adapters
    /// that do not know their own station address.
    pub const fn new(host: H, fallback_mac: [u8; 6]) -> Self {
        Self {
            host,
            holder: Holder::Nobody,
            fallback_mac,
            root: Root::Vacant,
            tree: Tree::new(),
            adapter: None,
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
        let InUse { function, identity, .. } = self.adapter.as_ref()?;
        let (mac, source) = function.mac()?;
        let Identity { vendor, product, speed } = *identity;
        let (driver, max_frame) = (function.driver(), function.max_frame());
        Some(Adapter { vendor, product, speed, driver, mac, source, max_frame })
    }

    /// When `poll` wants to be called at the latest, if nothing interrupts.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Micros> {
        let root = match self.root {
            Root::Vacant | Root::Attached(_) => None,
            Root::Pausing { until } => Some(until),
            Root::Resetting { since } => Some(since.saturating_add(RESET_LIMIT)),
        };
        let orphan = match self.holder {
            Holder::Orphan { .. } => Some(self.last_poll.saturating_add(ORPHAN_LOOK)),
            _ => None,
        };
        let adapter = self.adapter.as_ref().and_then(|a| a.function.deadline(self.last_poll));
        let tree = self.tree.deadline(self.last_poll);
        [root, orphan, adapter, tree, self.host.next_deadline()].into_iter().flatten().min()
    }

    /// Advances the controller and everything above it. Bounded; never waits.
    pub fn poll(&mut self, now: Micros) {
        self.last_poll = now;
        self.host.poll(now);
        if !self.tree.is_idle() {
            self.listen(now);
        }
        for _ in 0..MAX_STEPS {
            let more = match (&self.root, self.host.port()) {
                (Root::Attached(_), Port::Ready(_)) => {
                    // Hubs first: what they find is gone need not be polled.
                    let hubs = !self.tree.is_idle() && self.work(now);
                    self.look_after_adapter(now) || hubs
                }
                (_, port) => self.root_step(now, port),
            };
            if !more {
                break;
            }
        }
        if let Holder::Orphan { since } = self.holder {
            self.await_orphan(now, since);
        }
    }

    /// A request whose party is gone: its result is nobody's.
    #[cold]
    #[inline(never)]
    fn await_orphan(&mut self, now: Micros, since: Micros) {
        if self.host.control_result().is_some() {
            self.holder = Holder::Nobody;
        } else if now.saturating_sub(since) >= ORPHAN_LIMIT
            && matches!(self.root, Root::Attached(_))
        {
            // In the controller's hands for good: only a port reset helps.
            self.fail(now, Stage::Port, Fault::Late);
        }
    }

    /// One state change of the root port, but while a device is there;
    /// `false` = nothing more to do now.
    #[cold]
    #[inline(never)]
    fn root_step(&mut self, now: Micros, port: Port) -> bool {
        match (self.root, port) {
            (Root::Attached(_), Port::Ready(_)) => false,
            (Root::Vacant, Port::Ready(speed)) => {
                self.root = Root::Attached(None);
                self.begin_enumeration(None, speed);
                true
            }
            (Root::Vacant, Port::Empty) => {
                // The next device is another one.
                self.failures = 0;
                false
            }
            (Root::Vacant, _) => false,
            (Root::Resetting { .. }, Port::Ready(_)) => {
                self.root = Root::Vacant;
                true
            }
            (Root::Resetting { since }, Port::Settling | Port::Starting) => {
                if now.saturating_sub(since) >= RESET_LIMIT {
                    self.fail(now, Stage::Port, Fault::Late);
                }
                false
            }
            // Gone, or the controller is starting over: either way what we know
            // of what was there is void.
            (_, Port::Empty | Port::Settling | Port::Starting) => {
                self.close_at(now, None);
                self.root = Root::Vacant;
                count(&mut self.statistics.detaches);
                self.report(UsbEvent::Detached);
                true
            }
            (Root::Pausing { until }, _) => {
                if now >= until {
                    count(&mut self.statistics.port_resets);
                    self.host.reset_port(now);
                    // Whatever was in progress has ended.
                    self.holder = Holder::Nobody;
                    self.root = Root::Resetting { since: now };
                }
                false
            }
        }
    }

    /// A network function was configured: the adapter from now on.
    #[cold]
    #[inline(never)]
    pub(crate) fn adopt(
        &mut self,
        place: Place,
        target: DeviceTarget,
        configuration: u8,
        layout: Layout,
    ) {
        let Some(identity) = self.identity(place) else { return };
        let function = Function::new(layout, target, self.fallback_mac);
        self.adapter = Some(InUse { function, place, identity, configuration });
    }

    fn look_after_adapter(&mut self, now: Micros) -> bool {
        let Some(InUse { function, place, configuration, .. }) = &mut self.adapter else {
            return false;
        };
        let mut line =
            Line { host: &mut self.host, holder: &mut self.holder, party: Party::Adapter };
        match function.poll(&mut line, now, &mut self.scratch, &mut self.statistics) {
            Signal::None => return false,
            Signal::Up { mac, source } => {
                let (driver, configuration) = (function.driver(), *configuration);
                self.report(UsbEvent::Configured { driver, mac, source, configuration });
            }
            Signal::Link { up } => self.report(UsbEvent::Link { up }),
            Signal::Failed(stage, fault) => {
                let place = *place;
                self.place_failed(now, place, stage, fault);
            }
        }
        true
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn close_adapter(&mut self, now: Micros) {
        let Some(mut adapter) = self.adapter.take() else { return };
        let since = adapter.function.running_since();
        if since.is_some_and(|since| now.saturating_sub(since) >= PROVEN) {
            self.failures = 0;
        }
        let mut line =
            Line { host: &mut self.host, holder: &mut self.holder, party: Party::Adapter };
        adapter.function.close(&mut line, now);
        self.holder.abandon(now, Party::Adapter);
    }

    /// Closes everything, and resets the root port after a pause.
    #[cold]
    #[inline(never)]
    pub(crate) fn fail(&mut self, now: Micros, stage: Stage, fault: Fault) {
        self.close_at(now, None);
        let pause = FIRST_PAUSE << self.failures.min(PAUSE_DOUBLINGS);
        self.failures = self.failures.saturating_add(1);
        self.root = Root::Pausing { until: now.saturating_add(pause) };
        let failures = self.failures;
        self.report(UsbEvent::Error { stage, fault, failures });
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn report(&mut self, event: UsbEvent) {
        if self.events.is_full() {
            let _ = self.events.pop_front();
            count(&mut self.statistics.events_lost);
        }
        let _ = self.events.push_back(event);
    }
}

impl<H: UsbHost> FrameDevice for UsbNet<H> {
    fn mac(&self) -> Option<[u8; 6]> {
        self.adapter.as_ref()?.function.mac().map(|(mac, _)| mac)
    }

    fn link_up(&self) -> bool {
        matches!(&self.adapter, Some(adapter) if adapter.function.link_up())
    }

    fn has_frame(&self) -> bool {
        matches!(&self.adapter, Some(adapter) if adapter.function.has_frame(&self.host))
    }

    fn receive(&mut self, now: Micros, take: &mut dyn FnMut(&mut [u8])) -> bool {
        match &mut self.adapter {
            Some(adapter) => {
                adapter.function.receive(&mut self.host, now, take, &mut self.statistics)
            }
            None => false,
        }
    }

    fn can_transmit(&self) -> bool {
        matches!(&self.adapter, Some(adapter) if adapter.function.can_transmit(&self.host))
    }

    fn transmit(&mut self, now: Micros, len: usize, fill: &mut dyn FnMut(&mut [u8])) -> bool {
        match &mut self.adapter {
            Some(adapter) => {
                adapter.function.transmit(&mut self.host, now, len, fill, &mut self.statistics)
            }
            None => false,
        }
    }
}

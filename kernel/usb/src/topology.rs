//! What is plugged in where: hubs, and the devices on their ports, brought up
//! one after the other.
//!
//! One thing is done at a time, and the control pipe allows no more: a device
//! is enumerated, or one port of one hub is looked after. That also keeps
//! address 0 to one device: from a port's reset until its device has an
//! address, or has failed, nothing else is begun.
//!
//! A port is looked at when its hub's status change endpoint says so, when its
//! device is due, or in its turn (rarely, but on a hub without such an endpoint of use):
//!
//! ```text
//!  look: GET_STATUS, each change acknowledged, GET_STATUS again
//!    connection changed or lost: what was there is closed; Pending if there is one
//!    Pending and due: SET_FEATURE(RESET), looked at until it is over
//!       -> recovery -> enumeration -> hub: descriptor, power, its ports
//!                                     network function: the adapter
//!    over-current: closed; power again when it is over
//! ```
//!
//! What fails is closed with all that is behind it, and its port tried again
//! after a pause; a hub that fails is a device that fails. If there is no
//! adapter at all, every fourth failure in a row resets the root port.

use crate::descriptor::{Configuration, DeviceDescriptor};
use crate::enumerate::{Enumerator, Progress};
use crate::event::{Fault, Identity, Stage, UsbEvent};
use crate::function::Layout;
use crate::hub::descriptor::{
    C_CONNECTION, C_OVER_CURRENT, HubDescriptor, HubLayout, PortStatus, changes,
};
use crate::hub::{Hub, MAX_HUBS, MAX_PORTS, Place, PortState};
use crate::line::{Line, Party};
use crate::net::{FIRST_PAUSE, PAUSE_DOUBLINGS, PROVEN, ROOT_ADDRESS, Root, UsbNet};
use crate::request::{
    Outcome, Requester, clear_hub_feature, clear_port_feature, clear_tt_buffer, get_hub_descriptor,
    get_port_status, set_port_feature,
};
use crate::statistics::count;
use sk_hal::Micros;
use sk_hal::usb::{DeviceTarget, PipeConfig, PipeKind, Setup, Speed, TransferError, UsbHost};

/// PORT_ENABLE.
const ENABLE: u16 = 1;
/// PORT_RESET.
const RESET: u16 = 4;
/// PORT_POWER.
const POWER: u16 = 8;
/// A port's power is good after that, whatever the hub says: some devices take
/// longer than hubs know.
const POWER_GOOD: Micros = 510_000;
/// Debounce interval (USB 2.0 section 7.1.7.3).
const DEBOUNCE: Micros = 100_000;
/// It doubles with each connection that did not last, so often: 6.4 s.
const DEBOUNCE_DOUBLINGS: u8 = 6;
/// A hub drives reset for 10 to 20 ms (section 7.1.7.5).
const RESET_TIME: Micros = 20_000;
/// A reset not over by then: looked at again after this, ...
const RESET_AGAIN: Micros = 10_000;
/// ... and given up after that.
const RESET_LIMIT: Micros = 250_000;
/// Recovery (10 ms), and some.
const RECOVERY: Micros = 20_000;
/// A status change endpoint is asked no more often (its own interval is 256 ms).
const CHANGE_INTERVAL: u32 = 256_000;
/// Hubs with such a pipe; interrupt pipes are few and the adapter wants one.
const HUB_PIPES: usize = 2;
/// Without one, a port is looked at in turn.
const SCAN: Micros = 250_000;
/// With one, too, but rarely: a change may have been lost, or lied away.
const SLOW_SCAN: Micros = 2_000_000;
/// A port without power is looked at so often, changed or not.
const OFF: Micros = 5_000_000;
/// Times that changes are acknowledged in one look.
const ROUNDS: u8 = 4;
/// Failures in a row that make other devices a candidate for the adapter.
const OTHERS_TURN: u8 = 3;
/// Failures in a row, without an adapter, that reset the root port.
const LAST_RESORT: u8 = 4;

/// What a configuration is good for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found {
    Network(Layout),
    Hub(HubLayout),
}

fn find_hubs(d: &DeviceDescriptor, c: &Configuration<'_>, speed: Speed) -> Option<Found> {
    HubLayout::find(d, c, speed).map(Found::Hub)
}

fn find_all(d: &DeviceDescriptor, c: &Configuration<'_>, speed: Speed) -> Option<Found> {
    find_hubs(d, c, speed).or_else(|| Layout::find(d, c, speed).map(Found::Network))
}

/// A look at a port.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Look {
    /// Changes acknowledged.
    seen: u16,
    /// Changes to be acknowledged.
    left: u16,
    rounds: u8,
    /// Reset was begun then.
    reset: Option<Micros>,
}

/// What is being done with a hub, or a port of one.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Descriptor,
    /// Power for this port and those after it.
    Power,
    /// Power for this port, after over-current.
    Repower,
    /// A change of the hub itself is acknowledged (both are, unseen).
    HubChange(u16),
    Status(Look),
    Acknowledge(Look),
    Reset,
    Recovery(Speed),
    /// What failed at address 0 must not answer for the next one.
    Disable,
    /// A buffer of the translator is freed.
    Free(Setup),
}

/// What is being done.
#[derive(Debug)]
pub(crate) enum Work {
    Idle,
    Enumerate {
        place: Place,
        speed: Speed,
        /// Network functions are wanted.
        offered: bool,
        enumerator: Enumerator<Found>,
    },
    Hub {
        hub: u8,
        port: u8,
        step: Step,
        /// Not before.
        from: Micros,
    },
}

/// The hubs, and what is being done.
#[derive(Debug)]
pub(crate) struct Tree {
    hubs: [Option<Hub>; MAX_HUBS],
    /// How many there are.
    pub(crate) used: u8,
    pub(crate) work: Work,
    requester: Requester,
    last_address: u8,
}

impl Tree {
    pub(crate) const fn new() -> Self {
        Self {
            hubs: [None; MAX_HUBS],
            used: 0,
            work: Work::Idle,
            requester: Requester::new(),
            last_address: ROOT_ADDRESS,
        }
    }

    /// There is no hub, and nothing is being enumerated.
    pub(crate) const fn is_idle(&self) -> bool {
        self.used == 0 && matches!(self.work, Work::Idle)
    }

    fn hub(&mut self, hub: u8) -> Option<&mut Hub> {
        self.hubs.get_mut(usize::from(hub))?.as_mut()
    }

    fn port(&mut self, (hub, port): (u8, u8)) -> Option<&mut crate::hub::Port> {
        self.hub(hub)?.ports_mut().get_mut(usize::from(port).checked_sub(1)?)
    }

    fn place_of(&self, hub: u8) -> Place {
        self.hubs.get(usize::from(hub)).and_then(|hub| hub.as_ref()?.place)
    }

    /// Is `inner` the same place as `outer`, or behind it?
    fn within(&self, mut inner: Place, outer: Place) -> bool {
        for _ in 0..=MAX_HUBS {
            if inner == outer {
                return true;
            }
            let Some((hub, _)) = inner else { return false };
            inner = self.place_of(hub);
        }
        false
    }

    /// An address nobody has, and nobody had for long: a device that failed may
    /// still listen to its own.
    fn allot(&mut self) -> u8 {
        for _ in 0..MAX_HUBS * (MAX_PORTS + 1) {
            self.last_address = if self.last_address >= 127 { 2 } else { self.last_address + 1 };
            let last = self.last_address;
            let taken = self.hubs.iter().flatten().any(|hub| {
                hub.ports().iter().any(
                    |port| matches!(port.state, PortState::Device { address, .. } if address == last),
                )
            });
            if !taken {
                break;
            }
        }
        self.last_address
    }

    /// When there is something to do if the controller has nothing.
    pub(crate) fn deadline(&self, last_poll: Micros) -> Option<Micros> {
        match &self.work {
            Work::Enumerate { enumerator, .. } => enumerator.deadline(),
            Work::Hub { from, .. } if last_poll < *from => Some(*from),
            Work::Hub { .. } => Some(self.requester.deadline().unwrap_or(last_poll)),
            Work::Idle if self.used == 0 => None,
            Work::Idle => self.hubs.iter().flatten().filter_map(|hub| hub.due(last_poll)).min(),
        }
    }
}

impl Hub {
    /// When something is to be looked at.
    fn due(&self, last_poll: Micros) -> Option<Micros> {
        let pending = self.ports().iter().filter_map(|port| match port.state {
            PortState::Pending { from } | PortState::Off { from } => Some(from),
            _ => None,
        });
        let changed = (self.changed != 0).then_some(last_poll);
        let scan = (self.count != 0).then_some(self.scan.0);
        pending.chain(changed).chain(scan).min().map(|at| at.max(self.ready))
    }

    /// What is to be looked at now: bit 0 the hub, bit n port n.
    fn next(&mut self, now: Micros) -> Option<u8> {
        if now < self.ready || self.count == 0 {
            return None;
        }
        if now >= self.scan.0 {
            let every = if self.pipe.is_none() { SCAN } else { SLOW_SCAN };
            let port = if self.scan.1 >= self.count { 1 } else { self.scan.1 + 1 };
            self.scan = (now.saturating_add(every), port);
            self.changed |= 1 << port;
        }
        if self.changed != 0 {
            let bit = self.changed.trailing_zeros();
            self.changed &= self.changed - 1;
            return Some(bit as u8);
        }
        let due = |port: &crate::hub::Port| {
            matches!(
                port.state,
                PortState::Pending { from } | PortState::Off { from } if now >= from
            )
        };
        self.ports().iter().position(due).map(|at| at as u8 + 1)
    }
}

impl<H: UsbHost> UsbNet<H> {
    /// Takes what the hubs' status change endpoints have said.
    #[cold]
    #[inline(never)]
    pub(crate) fn listen(&mut self, now: Micros) {
        for hub in self.tree.hubs.iter_mut().flatten() {
            let Some(pipe) = hub.pipe else { continue };
            if !self.host.has_received(pipe) {
                continue;
            }
            let mut bits = 0;
            match self.host.receive(now, pipe, &mut |bytes| bits = changes(bytes)) {
                None => {}
                Some(Ok(())) => hub.changed |= bits & (hub.all_ports() | 1),
                Some(Err(_)) => {
                    // It can be asked all the same.
                    self.host.close(now, pipe);
                    hub.pipe = None;
                    hub.scan.0 = now;
                }
            }
        }
    }

    /// One step of what is being done; `false` = nothing more to do now.
    #[cold]
    #[inline(never)]
    pub(crate) fn work(&mut self, now: Micros) -> bool {
        match self.tree.work {
            Work::Idle => self.tree.used != 0 && self.pick(now),
            Work::Enumerate { .. } => self.enumerate(now),
            Work::Hub { hub, port, step, from } => now >= from && self.attend(now, hub, port, step),
        }
    }

    /// Finds something to do.
    fn pick(&mut self, now: Micros) -> bool {
        if let Some(stale) = self.host.stale_split() {
            let named = |hub: &Option<Hub>| matches!(hub, Some(h) if h.target.address == stale.hub);
            if let Some(hub) = self.tree.hubs.iter().position(named) {
                self.begin(hub as u8, 0, Step::Free(clear_tt_buffer(&stale)), now);
                return true;
            }
        }
        for n in 0..MAX_HUBS as u8 {
            let next = self.tree.hub(n).and_then(|hub| hub.next(now));
            if let Some(port) = next {
                let look = Step::Status(Look::default());
                self.begin(n, port, if port == 0 { Step::HubChange(0) } else { look }, now);
                return true;
            }
        }
        false
    }

    fn begin(&mut self, hub: u8, port: u8, step: Step, from: Micros) {
        self.tree.work = Work::Hub { hub, port, step, from };
    }

    /// A device answers at address 0.
    pub(crate) fn begin_enumeration(&mut self, place: Place, speed: Speed) {
        count(&mut self.statistics.enumerations);
        let (address, behind) = match place {
            None => (ROOT_ADDRESS, None),
            Some((hub, port)) => {
                let address = self.tree.allot();
                (address, self.tree.hub(hub).and_then(|hub| hub.route(port, speed)))
            }
        };
        let enumerator = Enumerator::new(speed, address, behind);
        let offered = self.adapter.is_none();
        self.tree.work = Work::Enumerate { place, speed, offered, enumerator };
    }

    fn enumerate(&mut self, now: Micros) -> bool {
        let Work::Enumerate { place, speed, offered, enumerator } = &mut self.tree.work else {
            return false;
        };
        let (place, speed, offered) = (*place, *speed, *offered);
        let matcher = if offered { find_all } else { find_hubs };
        let mut line =
            Line { host: &mut self.host, holder: &mut self.holder, party: Party::Topology };
        let progress =
            enumerator.poll(&mut line, now, &mut self.scratch, matcher, &mut self.statistics);
        match progress {
            Progress::Running => return false,
            Progress::Identified(device) => {
                let (vendor, product) = (device.vendor, device.product);
                self.identified(place, Identity { vendor, product, speed });
                self.report(UsbEvent::Attached { vendor, product, speed });
            }
            Progress::Configured { target, configuration, function } => {
                self.tree.work = Work::Idle;
                match function {
                    Found::Network(layout) => self.adopt(place, target, configuration, layout),
                    Found::Hub(layout) => self.add_hub(now, place, target, layout),
                }
            }
            Progress::Unsupported(DeviceDescriptor { vendor, product, .. }) => {
                self.tree.work = Work::Idle;
                if offered {
                    self.report(UsbEvent::Unsupported { vendor, product });
                } else {
                    self.set_aside(now, place);
                    self.report(UsbEvent::Unused { vendor, product });
                }
            }
            Progress::Failed(stage, fault) => {
                self.tree.work = Work::Idle;
                self.place_failed(now, place, stage, fault);
                self.disable(now, place);
            }
        }
        true
    }

    /// A port whose device failed on its way from address 0 is switched off.
    fn disable(&mut self, now: Micros, place: Place) {
        if let Some((hub, port)) = place
            && self.tree.hub(hub).is_some()
        {
            self.begin(hub, port, Step::Disable, now);
        }
    }

    fn identified(&mut self, place: Place, identity: Identity) {
        let address = self.tree.last_address;
        match place {
            None => self.root = Root::Attached(Some(identity)),
            Some(at) => {
                if let Some(port) = self.tree.port(at) {
                    port.flaps = 0;
                    port.state = PortState::Device { address, identity, spare: false };
                }
            }
        }
    }

    /// What the device at `place` called itself.
    pub(crate) fn identity(&mut self, place: Place) -> Option<Identity> {
        match place {
            None => match self.root {
                Root::Attached(identity) => identity,
                _ => None,
            },
            Some(at) => match self.tree.port(at)?.state {
                PortState::Device { identity, .. } => Some(identity),
                _ => None,
            },
        }
    }

    /// The class drivers have not seen it: an adapter is in use, or was.
    fn set_aside(&mut self, now: Micros, place: Place) {
        if let Some(PortState::Device { spare, .. }) =
            place.and_then(|at| self.tree.port(at)).map(|port| &mut port.state)
        {
            *spare = true;
        }
        if self.adapter.is_none() {
            self.offer_spares(now);
        }
    }

    /// Devices that were set aside are brought up anew: one may be an adapter.
    fn offer_spares(&mut self, now: Micros) {
        for hub in self.tree.hubs.iter_mut().flatten() {
            for port in hub.ports_mut() {
                if matches!(port.state, PortState::Device { spare: true, .. }) {
                    port.state = PortState::Pending { from: now.saturating_add(DEBOUNCE) };
                }
            }
        }
    }

    fn add_hub(&mut self, now: Micros, place: Place, target: DeviceTarget, layout: HubLayout) {
        let Some(identity) = self.identity(place) else { return };
        let Some(free) = self.tree.hubs.iter().position(Option::is_none) else {
            let Identity { vendor, product, .. } = identity;
            self.report(UsbEvent::Unsupported { vendor, product });
            return;
        };
        if let Some(slot) = self.tree.hubs.get_mut(free) {
            *slot = Some(Hub::new(place, target, layout));
            self.tree.used += 1;
            self.begin(free as u8, 0, Step::Descriptor, now);
        }
    }

    /// Goes on with a request to a hub.
    fn attend(&mut self, now: Micros, hub: u8, port: u8, step: Step) -> bool {
        let Some(target) = self.tree.hub(hub).map(|hub| hub.target) else {
            self.tree.work = Work::Idle;
            return true;
        };
        let setup = match step {
            Step::Descriptor => get_hub_descriptor(),
            Step::Power | Step::Repower => set_port_feature(port, POWER),
            Step::HubChange(feature) => clear_hub_feature(feature),
            Step::Status(_) => get_port_status(port),
            Step::Acknowledge(look) => {
                clear_port_feature(port, 16 + look.left.trailing_zeros() as u16)
            }
            Step::Reset => set_port_feature(port, RESET),
            Step::Disable => clear_port_feature(port, ENABLE),
            Step::Recovery(speed) => {
                self.begin_enumeration(Some((hub, port)), speed);
                return true;
            }
            Step::Free(setup) => setup,
        };
        let mut line =
            Line { host: &mut self.host, holder: &mut self.holder, party: Party::Topology };
        let mut answer = [0; 8];
        let outcome = self.tree.requester.poll(
            &mut line,
            now,
            target,
            setup,
            &mut answer,
            &mut self.statistics,
        );
        let fault = match outcome {
            Outcome::Running => return false,
            Outcome::Done(length) => {
                let answer = answer.get(..length).unwrap_or(&[]);
                self.tree.work = Work::Idle;
                match self.answered(now, hub, port, step, answer) {
                    Ok(()) => return true,
                    Err(fault) => fault,
                }
            }
            Outcome::Failed(error) => {
                self.tree.work = Work::Idle;
                // These the hub may refuse; the look that follows tells.
                let may_refuse = matches!(
                    step,
                    Step::Power | Step::Repower | Step::HubChange(_) | Step::Acknowledge(_)
                );
                if may_refuse
                    && error == TransferError::Stall
                    && self.answered(now, hub, port, step, &[]).is_ok()
                    || matches!(step, Step::Free(_) | Step::Disable)
                {
                    return true;
                }
                Fault::Transfer(error)
            }
            Outcome::Refused(error) => Fault::Start(error),
        };
        self.tree.work = Work::Idle;
        self.place_failed(now, self.tree.place_of(hub), Stage::Hub, fault);
        true
    }

    /// The hub has answered.
    fn answered(
        &mut self,
        now: Micros,
        n: u8,
        port: u8,
        step: Step,
        answer: &[u8],
    ) -> Result<(), Fault> {
        let Some(hub) = self.tree.hub(n) else { return Ok(()) };
        match step {
            Step::Descriptor => {
                let descriptor = HubDescriptor::parse(answer).map_err(Fault::Descriptor)?;
                hub.count = descriptor.ports.min(MAX_PORTS as u8);
                // How long; from when is known when all have been switched on.
                hub.ready = POWER_GOOD.max(Micros::from(descriptor.power_good) * 1_000);
                self.begin(n, 1, Step::Power, now);
            }
            Step::Power if port < hub.count => self.begin(n, port + 1, Step::Power, now),
            Step::Power => self.powered(now, n),
            Step::Repower => self.wait(now, (n, port), POWER_GOOD),
            Step::HubChange(0) => self.begin(n, 0, Step::HubChange(1), now),
            Step::HubChange(_) => hub.changed |= hub.all_ports(),
            Step::Acknowledge(mut look) => {
                look.left &= look.left.wrapping_sub(1);
                let step =
                    if look.left == 0 { Step::Status(look) } else { Step::Acknowledge(look) };
                self.begin(n, port, step, now);
            }
            Step::Status(mut look) => {
                let status = PortStatus::parse(answer).map_err(Fault::Descriptor)?;
                look.seen |= status.change;
                if status.change != 0 && look.rounds < ROUNDS {
                    look.left = status.change;
                    look.rounds += 1;
                    self.begin(n, port, Step::Acknowledge(look), now);
                } else {
                    self.seen(now, (n, port), status, look);
                }
            }
            Step::Reset => {
                let look = Look { reset: Some(now), ..Look::default() };
                self.begin(n, port, Step::Status(look), now.saturating_add(RESET_TIME));
            }
            Step::Recovery(_) | Step::Disable | Step::Free(_) => {}
        }
        Ok(())
    }

    /// All ports have power: from here the hub speaks up by itself.
    fn powered(&mut self, now: Micros, n: u8) {
        let pipes = self.tree.hubs.iter().flatten().filter(|hub| hub.pipe.is_some()).count();
        let Some(hub) = self.tree.hub(n) else { return };
        hub.ready = now.saturating_add(hub.ready);
        hub.changed = hub.all_ports();
        let (target, layout, ports) = (hub.target, hub.layout, hub.count);
        // An interrupt endpoint behind a translator wants more punctuality than
        // a board that runs a payload has.
        if layout.endpoint != 0 && target.behind.is_none() && pipes < HUB_PIPES {
            let config = PipeConfig {
                target,
                endpoint: layout.endpoint,
                max_packet: layout.max_packet,
                kind: PipeKind::InterruptIn { every: CHANGE_INTERVAL },
            };
            hub.pipe = self.host.open(now, config, layout.max_packet.into()).ok();
        }
        self.report(UsbEvent::Hub { ports });
    }

    /// The port is looked at again after a while.
    fn wait(&mut self, now: Micros, at: (u8, u8), pause: Micros) {
        if let Some(port) = self.tree.port(at) {
            port.state = PortState::Pending { from: now.saturating_add(pause) };
        }
    }

    /// The port has been looked at: what now?
    fn seen(&mut self, now: Micros, at: (u8, u8), status: PortStatus, look: Look) {
        let (n, port) = at;
        let speed = self.tree.hub(n).map_or(Speed::Full, |hub| status.speed(hub.target.speed));
        let Some(entry) = self.tree.port(at) else { return };
        let state = entry.state;
        if status.over_current() || look.seen & C_OVER_CURRENT != 0 {
            let known = matches!(state, PortState::Off { .. });
            self.unplugged(now, at, PortState::Off { from: now.saturating_add(OFF) });
            if let Some(entry) = self.tree.port(at) {
                entry.failures = entry.failures.saturating_add(1);
            }
            if !status.over_current() {
                let pause = self.pause(at);
                self.begin(n, port, Step::Repower, now.saturating_add(pause));
            } else if !known {
                self.report(UsbEvent::OverCurrent { port });
            }
            return;
        }
        if !status.powered() && !status.connected() {
            // The hub refused to switch it on, or has switched it off.
            if matches!(state, PortState::Off { from } if now >= from) {
                self.begin(n, port, Step::Repower, now);
            } else {
                self.unplugged(now, at, PortState::Off { from: now.saturating_add(OFF) });
            }
            return;
        }
        let unbroken = status.connected() && look.seen & C_CONNECTION == 0;
        match (look.reset, state) {
            _ if !unbroken => {
                entry.flaps = entry.flaps.saturating_add(1);
                let pause = DEBOUNCE << (entry.flaps - 1).min(DEBOUNCE_DOUBLINGS);
                let from = now.saturating_add(pause);
                let connected = PortState::Pending { from };
                let next = if status.connected() { connected } else { PortState::Empty };
                self.unplugged(now, at, next);
            }
            (Some(since), _) => {
                let over = status.enabled() && !status.resetting();
                let step = if over { Step::Recovery(speed) } else { Step::Status(look) };
                let pause = if over { RECOVERY } else { RESET_AGAIN };
                if over || now.saturating_sub(since) < RESET_LIMIT {
                    self.begin(n, port, step, now.saturating_add(pause));
                } else {
                    self.place_failed(now, Some(at), Stage::Port, Fault::Late);
                    self.disable(now, Some(at));
                }
            }
            (None, PortState::Pending { from }) if now >= from => {
                self.begin(n, port, Step::Reset, now);
            }
            (None, PortState::Pending { .. }) => {}
            (None, PortState::Device { .. }) if status.enabled() => {}
            // The hub has switched it off, or it has come without a change.
            (None, _) => {
                let from = now.saturating_add(DEBOUNCE);
                self.unplugged(now, at, PortState::Pending { from });
            }
        }
    }

    /// What was at a port is gone; `next` is what is known of it now.
    fn unplugged(&mut self, now: Micros, at: (u8, u8), next: PortState) {
        self.close_at(now, Some(at));
        let Some(port) = self.tree.port(at) else { return };
        let was_there = match port.state {
            PortState::Device { .. } => true,
            // It had failed, often because it was being pulled.
            PortState::Pending { .. } => port.failures > 0,
            _ => false,
        };
        port.state = next;
        if let PortState::Empty = next {
            // The next device is another one.
            (port.failures, port.flaps) = (0, 0);
        }
        if was_there {
            count(&mut self.statistics.detaches);
            self.report(UsbEvent::Detached);
        }
        if self.adapter.is_none() {
            self.offer_spares(now);
        }
    }

    /// The pause before a port that failed so often is tried again.
    fn pause(&mut self, at: (u8, u8)) -> Micros {
        let failures = self.tree.port(at).map_or(1, |port| u32::from(port.failures).max(1));
        FIRST_PAUSE << (failures - 1).min(PAUSE_DOUBLINGS)
    }

    /// The device at `place` is given up for now, with all that is behind it.
    #[cold]
    #[inline(never)]
    pub(crate) fn place_failed(&mut self, now: Micros, place: Place, stage: Stage, fault: Fault) {
        let Some(at) = place else {
            return self.fail(now, stage, fault);
        };
        let proven = |since: Micros| now.saturating_sub(since) >= PROVEN;
        let mut ran = matches!(&self.adapter, Some(adapter) if adapter.place == place
            && adapter.function.running_since().is_some_and(proven));
        let hubs = self.tree.hubs.iter().flatten();
        ran |= hubs.filter(|hub| hub.place == place).any(|hub| hub.count != 0 && proven(hub.ready));
        self.close_at(now, place);
        let Some(port) = self.tree.port(at) else { return };
        port.failures = if ran { 1 } else { port.failures.saturating_add(1) };
        let failures = port.failures;
        let pause = self.pause(at);
        self.wait(now, at, pause);
        self.report(UsbEvent::Error { stage, fault, failures: failures.into() });
        if self.adapter.is_some() {
            return;
        }
        if failures.is_multiple_of(LAST_RESORT) {
            self.fail(now, stage, fault);
        } else if failures >= OTHERS_TURN {
            self.offer_spares(now);
        }
    }

    /// Closes everything at and behind `place`.
    #[cold]
    #[inline(never)]
    pub(crate) fn close_at(&mut self, now: Micros, place: Place) {
        if matches!(&self.adapter, Some(adapter) if self.tree.within(adapter.place, place)) {
            self.close_adapter(now);
        }
        let concerned = match &self.tree.work {
            Work::Idle => false,
            Work::Enumerate { place: inner, .. } => self.tree.within(*inner, place),
            Work::Hub { hub, .. } => self.tree.within(self.tree.place_of(*hub), place),
        };
        if concerned {
            self.tree.work = Work::Idle;
            self.tree.requester = Requester::new();
            self.holder.abandon(now, Party::Topology);
        }
        if self.tree.used == 0 {
            return;
        }
        let doomed = core::array::from_fn::<bool, MAX_HUBS, _>(|n| {
            self.tree.within(self.tree.place_of(n as u8), place)
        });
        for (n, _) in doomed.into_iter().enumerate().filter(|(_, doomed)| *doomed) {
            let Some(hub) = self.tree.hubs.get_mut(n).and_then(Option::take) else { continue };
            self.tree.used -= 1;
            if let Some(pipe) = hub.pipe {
                self.host.close(now, pipe);
            }
            for port in hub.ports() {
                if let PortState::Device { .. } = port.state {
                    count(&mut self.statistics.detaches);
                    self.report(UsbEvent::Detached);
                }
            }
        }
        if place.is_none() {
            self.tree.last_address = ROOT_ADDRESS;
        }
    }
}

//! Both drivers on the register model of the controller, with nothing but
//! interrupts and deadlines to wake them, and every wake-up counted.

use std::cell::RefCell;
use std::rc::Rc;

use sk_drivers::dwc2::{Buffers, Dwc2, Resources};
use sk_hal::Micros;
use sk_hal::net::FrameDevice;
use sk_models::dwc2::{Dwc2Model, Personality};
use sk_models::ecm::EcmFunction;
use sk_models::hub::Hub;
use sk_models::lan9512::{LAN9512, Lan9512};
use sk_models::memory::Memory;
use sk_models::usb::UsbFunction;
use sk_usb::{UsbEvent, UsbNet};

pub const MAC: [u8; 6] = [0xb8, 0x27, 0xeb, 1, 2, 3];
pub const MS: Micros = 1_000;
pub const SECOND: Micros = 1_000_000;
const TICK: Micros = 125;
/// An answer that takes longer is lost.
const ANSWER: Micros = 20 * MS;
/// No fault may wake the stack more often than this, in any second. (A slow
/// device behind a fast hub takes one or two wake-ups for each split.)
pub const PER_SECOND: u32 = 9_000;
/// And no fault may keep it from working longer than this once it is over.
pub const LONGEST: Micros = 40 * SECOND;

pub const NOTHING_OPEN: Resources =
    Resources { channels: 8, retired: 0, held: 0, control: 2, rx: 4, tx: 4, int: 3 };

/// Which adapter, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// CDC-ECM, high speed, at the root port.
    Ecm,
    /// CDC-ECM, full speed, behind a high-speed hub: split transactions.
    EcmBehindHub,
    /// CDC-ECM, full speed, on QEMU's controller.
    EcmInQemu,
    /// LAN9512's Ethernet function at the root port: a USB adapter.
    Lan,
    /// The same behind its hub: the 1B.
    LanBehindHub,
}

pub enum Adapter {
    Ecm(Rc<RefCell<EcmFunction>>),
    Lan(Rc<RefCell<Lan9512>>),
}

pub struct World {
    pub place: Place,
    pub model: Dwc2Model,
    pub hub: Option<Hub>,
    pub adapter: Adapter,
    pub net: UsbNet<Dwc2<Dwc2Model, Memory>>,
    pub events: Vec<UsbEvent>,
    pub polls: u32,
    /// Channels hung: the driver may keep them until the core is reset.
    pub hung: bool,
    /// Start of the second, and the polls up to then.
    second: (Micros, u32),
    seed: usize,
}

impl World {
    /// A controller nobody has touched yet, with everything plugged in.
    pub fn cold(place: Place) -> Self {
        let memory = Memory::new();
        let personality = match place {
            Place::EcmInQemu => Personality::QemuSync,
            _ => Personality::Silicon,
        };
        let model = Dwc2Model::new(memory.clone(), personality);
        let buffers = Buffers {
            control: core::array::from_fn(|_| memory.buffer(1056)),
            rx: core::array::from_fn(|_| memory.buffer(4096)),
            tx: core::array::from_fn(|_| memory.buffer(1568)),
            int: core::array::from_fn(|_| memory.buffer(64)),
        };
        let net = UsbNet::new(Dwc2::new(model.clone(), memory, buffers), MAC);
        let adapter = match place {
            Place::Ecm => Adapter::Ecm(Rc::new(RefCell::new(EcmFunction::high_speed(MAC)))),
            Place::EcmBehindHub | Place::EcmInQemu => {
                Adapter::Ecm(Rc::new(RefCell::new(EcmFunction::qemu(MAC))))
            }
            Place::Lan | Place::LanBehindHub => {
                let mut chip = Lan9512::new(LAN9512);
                chip.set_autoneg_time(5 * MS);
                Adapter::Lan(Rc::new(RefCell::new(chip)))
            }
        };
        let hub =
            matches!(place, Place::EcmBehindHub | Place::LanBehindHub).then(|| Hub::high_speed(3));
        let (events, second) = (vec![], (0, 0));
        let mut world = Self {
            place,
            model,
            hub,
            adapter,
            net,
            events,
            polls: 0,
            hung: false,
            second,
            seed: 0,
        };
        if let Some(hub) = &world.hub {
            hub.plug(1, world.function());
        }
        world.plug();
        world
    }

    /// One that carries frames.
    pub fn running(place: Place) -> Self {
        let mut world = Self::cold(place);
        assert!(world.flows(5 * SECOND), "{}", world.report());
        world.pass(300 * MS);
        world
    }

    fn function(&self) -> Box<dyn UsbFunction> {
        match &self.adapter {
            Adapter::Ecm(ecm) => Box::new(ecm.clone()),
            Adapter::Lan(lan) => Box::new(lan.clone()),
        }
    }

    /// Into the root port.
    pub fn plug(&mut self) {
        let root = match &self.hub {
            Some(hub) => Box::new(hub.clone()),
            None => self.function(),
        };
        self.model.attach(root);
    }

    /// The adapter out of its port, wherever that is.
    pub fn pull(&mut self) {
        match &self.hub {
            Some(hub) => hub.unplug(1),
            None => self.model.detach(),
        }
    }

    pub fn plug_again(&mut self) {
        match &self.hub {
            Some(hub) => hub.plug(1, self.function()),
            None => self.plug(),
        }
    }

    fn poll(&mut self) {
        let now = self.model.now();
        if now >= self.second.0 + SECOND {
            self.second = (now, self.polls);
        }
        self.net.poll(now);
        self.polls += 1;
        self.events.extend(std::iter::from_fn(|| self.net.event()));
        let busy = self.polls - self.second.1;
        assert!(busy < PER_SECOND, "{busy} polls in a second: {}", self.report());
    }

    /// Sleeps until a deadline or an interrupt, polls, and so on.
    pub fn until(&mut self, limit: Micros, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.model.now() + limit;
        while self.model.now() < end {
            self.poll();
            if done(self) {
                return true;
            }
            let due = self.net.next_deadline().unwrap_or(end).min(end);
            self.model.advance(TICK);
            while self.model.now() < due && !self.model.irq() {
                self.model.advance(TICK);
            }
        }
        done(self)
    }

    pub fn pass(&mut self, time: Micros) {
        self.until(time, |_| false);
    }

    /// Takes the frames that are left.
    pub fn drain(&mut self) {
        let now = self.model.now();
        while self.net.receive(now, &mut |_| {}) {}
    }

    pub fn push(&self, frame: Vec<u8>) -> bool {
        match &self.adapter {
            Adapter::Ecm(ecm) => ecm.borrow_mut().push_frame(frame),
            Adapter::Lan(lan) => lan.borrow_mut().push_frame(frame),
        }
    }

    fn pop(&self) -> Option<Vec<u8>> {
        match &self.adapter {
            Adapter::Ecm(ecm) => ecm.borrow_mut().pop_frame(),
            Adapter::Lan(lan) => lan.borrow_mut().pop_frame(),
        }
    }

    /// Sends a frame each way and waits for both a little: have they come?
    fn exchange(&mut self) -> bool {
        self.seed += 1;
        let frame: Vec<u8> =
            MAC.into_iter().chain((0..90).map(|n| ((n * 7 + self.seed) % 127) as u8)).collect();
        let now = self.model.now();
        let mut here = false;
        let pushed = self.push(frame.clone());
        let sent = self.net.transmit(now, frame.len(), &mut |to| to.copy_from_slice(&frame));
        let mut there = false;
        if !sent || !pushed {
            // Not up, or not ready: nothing to wait for but that.
            self.until(ANSWER, |w| !sent && w.net.can_transmit());
            self.drain();
            return false;
        }
        self.until(ANSWER, |w| {
            let now = w.model.now();
            // What is late from a try before does not count.
            while w.net.receive(now, &mut |got| here |= got == frame) {}
            while let Some(got) = w.pop() {
                there |= got == frame;
            }
            here && there
        });
        here && there
    }

    /// Tries until a frame has come in each direction.
    pub fn flows(&mut self, limit: Micros) -> bool {
        let end = self.model.now() + limit;
        while self.model.now() < end {
            if self.exchange() {
                return true;
            }
        }
        false
    }

    /// The faults of the function, as it left the shop.
    pub fn mend(&mut self) {
        match &self.adapter {
            Adapter::Ecm(ecm) => ecm.borrow_mut().faults = Default::default(),
            Adapter::Lan(lan) => {
                lan.borrow_mut().faults = Default::default();
                lan.borrow_mut().set_link(true);
            }
        }
        if let Some(hub) = &self.hub {
            hub.faults(|f| *f = Default::default());
            hub.over_current(1, false);
        }
        self.model.faults(|f| *f = Default::default());
    }

    pub fn resources(&self) -> Resources {
        self.net.host().resources()
    }

    /// What is free while all is up and idle: bulk IN, the interrupt endpoint
    /// and the hub's have a channel and a buffer each, bulk OUT a channel.
    pub fn whole(&self) -> Resources {
        let hubs = usize::from(self.hub.is_some());
        Resources { channels: 5 - hubs, rx: 3, int: 2 - hubs, ..NOTHING_OPEN }
    }

    /// Nothing is missing. An interrupt endpoint that fails may have been given
    /// up for good: links and ports are asked for instead.
    pub fn is_whole(&self) -> bool {
        let Resources { channels, int, .. } = self.whole();
        let given_up =
            |n: usize| Resources { channels: channels + n, int: int + n, ..self.whole() };
        let now = self.resources();
        (0..=1 + usize::from(self.hub.is_some())).any(|n| now == given_up(n))
            || self.hung && now.channels + now.retired >= channels && now.held <= now.retired
    }

    /// Something was told that names what is wrong.
    pub fn named(&self) -> bool {
        self.events.iter().any(|event| {
            matches!(
                event,
                UsbEvent::Error { .. }
                    | UsbEvent::Detached
                    | UsbEvent::Unsupported { .. }
                    | UsbEvent::OverCurrent { .. }
                    | UsbEvent::Link { up: false }
            )
        })
    }

    /// Everything there is to know when a test fails.
    pub fn report(&self) -> String {
        format!(
            "{:?} at {} us, {} polls, deadline {:?}: {:?}\n{:?}\n{:?} {}",
            self.place,
            self.model.now(),
            self.polls,
            self.net.next_deadline(),
            self.events,
            self.resources(),
            self.net.host().stats(),
            self.net.host().dump(),
        )
    }
}

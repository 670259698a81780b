//! The parts put together as the kernel does it: the same slots in the same
//! order, woken by the same events, asleep until what is due.

use core::net::{Ipv4Addr, SocketAddrV4};

use sk_drivers::dwc2::{Buffers, Dwc2};
use sk_exec::{Events, Slot};
use sk_hal::net::FrameDevice;
use sk_hal::{Clock, Micros};
use sk_models::dwc2::Dwc2Model;
use sk_models::memory::Memory;
use sk_net::{Address, AddressEvent, Net, NetConfig, NetMode, NetStorage, SendError};
use sk_net::{UdpMeta, UdpSink};
use sk_session::base::{Destination, Endpoint};
use sk_session::keys::StaticKey;
use sk_session::server::{Event, Server};
use sk_usb::{UsbEvent, UsbNet};
use sk_wire::blob::Config;
use sk_wire::{MAX_DATAGRAM, Reason};

use super::machine::Machine;

pub const USB: u32 = 1 << 0;
const NET: u32 = 1 << 1;
pub const SESSION: u32 = 1 << 2;

const FRAMES: u32 = 16;
const DATAGRAMS: usize = 16;
const RESOLVE_TRIES: u8 = 20;
const RESOLVE_EVERY: Micros = 2_000;
const OUTPUT_EVERY: Micros = 10_000;

/// What a slot takes, and what a key agreement takes beside that.
const SLOT_TIME: Micros = 25;
const AGREEMENT_TIME: Micros = 3_000;

pub const SLOTS: usize = 3;
pub const TABLE: [Slot<Kernel>; SLOTS] = [
    Slot { name: "usb", period: 0, budget: 200, wake: USB, run: usb },
    Slot { name: "net", period: 0, budget: 1_500, wake: USB | NET, run: net },
    Slot { name: "session", period: 0, budget: 4_000, wake: SESSION, run: session },
];

fn usb(kernel: &mut Kernel, now: Micros) -> Option<Micros> {
    kernel.usb.poll(now);
    kernel.usb_events.extend(std::iter::from_fn(|| kernel.usb.event()));
    kernel.model.advance(SLOT_TIME);
    kernel.events.raise(NET);
    kernel.usb.next_deadline()
}

fn net(kernel: &mut Kernel, now: Micros) -> Option<Micros> {
    let mut sink = Sink { server: &mut kernel.server, machine: &mut kernel.machine };
    let frames = kernel.net.poll(now, &mut kernel.usb, FRAMES, &mut sink);
    kernel.net_events.extend(std::iter::from_fn(|| kernel.net.take_event()));
    let reachable = kernel.net.address().is_some();
    kernel.server.set_address_valid(reachable);
    kernel.model.advance(SLOT_TIME);
    if frames == FRAMES {
        kernel.events.raise(NET);
    }
    let unblocked = kernel.blocked && kernel.usb.can_transmit();
    if frames > 0 || reachable != kernel.reachable || unblocked {
        kernel.events.raise(SESSION);
    }
    kernel.reachable = reachable;
    kernel.net.next_deadline()
}

fn session(kernel: &mut Kernel, now: Micros) -> Option<Micros> {
    let before = kernel.server.counters().agreements;
    let more = kernel.server.poll(now, &mut kernel.machine);
    let spent = kernel.server.counters().agreements.wrapping_sub(before);
    let again = kernel.send(now);
    let mut wish = kernel.server.next_deadline();
    if kernel.blocked {
        // What is overdue is something to be sent, and waits for that.
        wish = wish.filter(|at| *at > now);
    }
    let output = kernel.machine.ends_at().map(|_| now + OUTPUT_EVERY);
    let wish = [wish, again, output].into_iter().flatten().min();
    kernel.session_events.extend(std::iter::from_fn(|| kernel.server.event()));
    kernel.model.advance(SLOT_TIME + Micros::from(spent) * AGREEMENT_TIME);
    if more {
        kernel.events.raise(SESSION);
    }
    wish
}

/// A datagram that could not be sent yet.
struct Held {
    to: SocketAddrV4,
    len: usize,
    tries: u8,
}

/// Time as the model has it.
#[derive(Clone)]
pub struct ModelClock(pub Dwc2Model);

impl Clock for ModelClock {
    fn now(&self) -> Micros {
        self.0.now()
    }
}

pub struct Kernel {
    pub model: Dwc2Model,
    pub events: &'static Events,
    pub usb: UsbNet<Dwc2<Dwc2Model, Memory>>,
    pub net: Net<'static>,
    pub server: Box<Server<'static>>,
    pub machine: Machine,
    scratch: [u8; MAX_DATAGRAM],
    held: Option<Held>,
    /// Something is to be sent, and the adapter takes nothing.
    blocked: bool,
    reachable: bool,
    pub usb_events: Vec<UsbEvent>,
    pub net_events: Vec<AddressEvent>,
    pub session_events: Vec<Event>,
}

impl Kernel {
    pub fn new(
        model: Dwc2Model,
        memory: Memory,
        config: &'static Config,
        key: StaticKey,
        machine: Machine,
        seed: u64,
    ) -> Self {
        let buffers = Buffers {
            control: core::array::from_fn(|_| memory.buffer(1056)),
            rx: core::array::from_fn(|_| memory.buffer(4096)),
            tx: core::array::from_fn(|_| memory.buffer(1568)),
            int: core::array::from_fn(|_| memory.buffer(64)),
        };
        let mode = match config.net.mode {
            sk_wire::blob::NetMode::Static => NetMode::Static(Address {
                ip: Ipv4Addr::from(config.net.ip),
                prefix: config.net.prefix,
                gateway: config.net.gateway.map(Ipv4Addr::from),
            }),
            sk_wire::blob::NetMode::Dhcp => NetMode::Dhcp,
        };
        let storage = Box::leak(Box::new(NetStorage::new()));
        let net_config = NetConfig { mode, hostname: config.device_label.as_str(), seed };
        let net = Net::new(&net_config, storage, model.now());
        let usb = UsbNet::new(Dwc2::new(model.clone(), memory, buffers), [2, 0xb8, 0x27, 1, 2, 3]);
        let server = Server::new(
            Some(config),
            Reason::None,
            key,
            seed.to_le_bytes().repeat(2).try_into().expect("16"),
        );
        Self {
            model,
            events: Box::leak(Box::new(Events::new())),
            usb,
            net,
            server: Box::new(server),
            machine,
            scratch: [0; MAX_DATAGRAM],
            held: None,
            blocked: false,
            reachable: false,
            usb_events: vec![],
            net_events: vec![],
            session_events: vec![],
        }
    }

    fn send(&mut self, now: Micros) -> Option<Micros> {
        self.blocked = false;
        for _ in 0..DATAGRAMS {
            let held = match self.held.take() {
                Some(held) => held,
                None => {
                    if !self.usb.can_transmit() {
                        self.blocked = true;
                        return None;
                    }
                    let (to, len) =
                        self.server.transmit(now, &mut self.machine, &mut self.scratch)?;
                    let to = match to {
                        Destination::Endpoint(e) => e.into(),
                        Destination::Broadcast => {
                            SocketAddrV4::new(Ipv4Addr::BROADCAST, sk_wire::PORT)
                        }
                    };
                    Held { to, len, tries: 0 }
                }
            };
            let bytes = &self.scratch[..held.len];
            let fill = &mut |buffer: &mut [u8]| buffer.copy_from_slice(bytes);
            let sent = self.net.send(now, &mut self.usb, sk_wire::PORT, held.to, held.len, fill);
            if matches!(sent, Err(SendError::ArpPending | SendError::NoBuffer))
                && held.tries < RESOLVE_TRIES
            {
                self.held = Some(Held { tries: held.tries + 1, ..held });
                return Some(now + RESOLVE_EVERY);
            }
        }
        Some(now)
    }
}

struct Sink<'k> {
    server: &'k mut Server<'static>,
    machine: &'k mut Machine,
}

impl UdpSink for Sink<'_> {
    fn wants(&self, port: u16) -> bool {
        port == sk_wire::PORT
    }

    fn datagram(&mut self, now: Micros, meta: &UdpMeta, payload: &mut [u8]) {
        let from = Endpoint { ip: meta.src.ip().octets(), port: meta.src.port() };
        self.server.receive(now, from, meta.broadcast, payload, self.machine);
    }
}

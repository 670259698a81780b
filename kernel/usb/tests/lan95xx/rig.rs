//! A stack over a mock controller over a model chip, with a clock.

use sk_hal::Micros;
use sk_hal::net::FrameDevice;
use sk_models::lan9512::{LAN9512, Lan9512};
use sk_models::mockhost::MockHost;
use sk_usb::{Driver, Fault, MacSource, Stage, UsbEvent, UsbNet};

pub(crate) const MAC: [u8; 6] = [0xb8, 0x27, 0xeb, 1, 2, 3];
pub(crate) const MS: Micros = 1_000;
pub(crate) const SECOND: Micros = 1_000_000;
/// Autonegotiation, where the test is not about its length.
pub(crate) const QUICK: Micros = 20 * MS;

pub(crate) struct Rig {
    pub(crate) net: UsbNet<MockHost<Lan9512>>,
    pub(crate) now: Micros,
    pub(crate) events: Vec<UsbEvent>,
    pub(crate) polls: u32,
}

/// A LAN9512 whose link is quickly up.
pub(crate) fn quick() -> Lan9512 {
    let mut chip = Lan9512::new(LAN9512);
    chip.set_autoneg_time(QUICK);
    chip
}

pub(crate) fn variants() -> [Lan9512; 2] {
    [quick(), quick().full_speed()]
}

impl Rig {
    pub(crate) fn new(chip: Lan9512) -> Self {
        Self::with_mac(chip, MAC)
    }

    pub(crate) fn with_mac(chip: Lan9512, mac: [u8; 6]) -> Self {
        let net = UsbNet::new(MockHost::new(chip), mac);
        Self { net, now: 1_000, events: Vec::new(), polls: 0 }
    }

    /// A rig whose chip carries frames.
    pub(crate) fn running(chip: Lan9512) -> Self {
        let mut rig = Self::new(chip);
        assert!(rig.until(5 * SECOND, |rig| rig.net.link_up()), "{:?}", rig.events);
        rig
    }

    pub(crate) fn poll(&mut self) {
        self.net.poll(self.now);
        self.polls += 1;
        while let Some(event) = self.net.event() {
            self.events.push(event);
        }
    }

    /// Polls at deadlines, and once a millisecond.
    pub(crate) fn run(&mut self, time: Micros) {
        let end = self.now + time;
        while self.now < end {
            self.poll();
            let next = self.net.next_deadline().unwrap_or(end).clamp(self.now + 50, end);
            self.now = next.min(self.now + MS);
        }
        self.poll();
    }

    /// Polls at deadlines only; anything `next_deadline` forgets comes late.
    pub(crate) fn run_by_deadlines(&mut self, time: Micros) {
        let end = self.now + time;
        while self.now < end {
            self.poll();
            self.now = self.net.next_deadline().unwrap_or(end).clamp(self.now + 1, end);
        }
        self.poll();
    }

    pub(crate) fn until(&mut self, limit: Micros, done: impl Fn(&mut Self) -> bool) -> bool {
        let end = self.now + limit;
        while self.now < end {
            if done(self) {
                return true;
            }
            self.run(MS);
        }
        done(self)
    }

    /// The same, polling at deadlines only.
    pub(crate) fn soon(&mut self, limit: Micros, done: impl Fn(&mut Self) -> bool) -> bool {
        let end = self.now + limit;
        while self.now < end && !done(self) {
            self.poll();
            self.now = self.net.next_deadline().unwrap_or(end).clamp(self.now + 1, end);
        }
        done(self)
    }

    pub(crate) fn chip(&mut self) -> &mut Lan9512 {
        &mut self.net.host_mut().function
    }

    pub(crate) fn host(&mut self) -> &mut MockHost<Lan9512> {
        self.net.host_mut()
    }

    pub(crate) fn receive(&mut self) -> Option<Vec<u8>> {
        let mut frame = None;
        let got = self.net.receive(self.now, &mut |bytes| frame = Some(bytes.to_vec()));
        assert_eq!(got, frame.is_some());
        frame
    }

    /// All frames there are now.
    pub(crate) fn receive_all(&mut self) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        for _ in 0..100 {
            self.poll();
            while let Some(frame) = self.receive() {
                frames.push(frame);
            }
            if !self.chip().has_input() {
                break;
            }
        }
        frames
    }

    pub(crate) fn transmit(&mut self, frame: &[u8]) -> bool {
        self.net.transmit(self.now, frame.len(), &mut |to| to.copy_from_slice(frame))
    }

    /// Forgets what is on its way: frames, and the empty transfers that the
    /// chip gives while it is set up.
    pub(crate) fn drain(&mut self) {
        for _ in 0..4 {
            self.receive_all();
        }
        while self.chip().pop_frame().is_some() {}
    }

    /// One frame each way.
    pub(crate) fn echo(&mut self, length: usize, seed: usize) {
        assert!(self.transmit(&frame(length, seed)), "length {length}");
        self.poll();
        assert_eq!(self.chip().pop_frame(), Some(padded(length, seed)));
        assert_eq!(self.chip().unfinished(), 0, "length {length}");
        let frame = to_us(length, seed);
        assert!(self.chip().push_frame(frame.clone()));
        self.poll();
        let got = self.receive();
        assert_eq!(
            got.map(|mut f| {
                f.truncate(length);
                f
            }),
            Some(frame),
            "length {length}"
        );
        assert_eq!(self.receive(), None);
    }

    /// The errors reported, in order.
    pub(crate) fn errors(&self) -> Vec<(Stage, Fault)> {
        let error = |event: &UsbEvent| match *event {
            UsbEvent::Error { stage, fault, .. } => Some((stage, fault)),
            _ => None,
        };
        self.events.iter().filter_map(error).collect()
    }

    /// Nothing that silicon would not forgive was done.
    pub(crate) fn assert_clean(&mut self) {
        let host = self.host();
        assert_eq!((host.toggle_errors, host.too_early, host.stale_handles), (0, 0, 0));
        let seen = self.chip().counters;
        assert_eq!((seen.reserved, seen.mii_overlaps, seen.lost_sync), (0, 0, 0), "{seen:?}");
        assert_eq!((seen.wrong_duplex, seen.bad_size, seen.bad_fcs), (0, 0, 0), "{seen:?}");
        assert_eq!((seen.checksums, seen.mangled), (0, 0));
    }
}

pub(crate) const CONFIGURED: UsbEvent = UsbEvent::Configured {
    driver: Driver::Smsc95xx,
    mac: MAC,
    source: MacSource::Fallback,
    configuration: 1,
};

/// A frame of any bytes, but never with a tag.
pub(crate) fn frame(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|i| u8::try_from((i * 7 + seed) % 251).unwrap() & 0x7F).collect()
}

/// The same, to our address.
pub(crate) fn to_us(length: usize, seed: usize) -> Vec<u8> {
    let mut bytes = frame(length, seed);
    bytes[..6].copy_from_slice(&MAC);
    bytes
}

/// As it goes out.
pub(crate) fn padded(length: usize, seed: usize) -> Vec<u8> {
    let mut bytes = frame(length, seed);
    bytes.resize(length.max(60), 0);
    bytes
}

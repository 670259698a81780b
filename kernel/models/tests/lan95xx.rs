//! The LAN95xx driver on the DWC2 driver on its register model: frames in
//! number, and cables pulled often, with nothing but interrupts and deadlines to
//! wake it. What it all costs in buffers and channels is the same at the end.

use std::cell::RefCell;
use std::rc::Rc;

use sk_drivers::dwc2::{Buffers, Dwc2, Resources};
use sk_hal::Micros;
use sk_hal::net::FrameDevice;
use sk_models::dwc2::{Dwc2Model, Personality};
use sk_models::lan9512::{LAN9512, Lan9512};
use sk_models::memory::Memory;
use sk_usb::UsbNet;

const MAC: [u8; 6] = [0xb8, 0x27, 0xeb, 1, 2, 3];
const MS: Micros = 1_000;
const SECOND: Micros = 1_000_000;
const TICK: Micros = 125;

const NOTHING_OPEN: Resources =
    Resources { channels: 8, retired: 0, held: 0, control: 2, rx: 4, tx: 4, int: 3 };
/// Three pipes; bulk IN and the interrupt endpoint have a buffer armed.
const RUNNING: Resources = Resources { channels: 5, rx: 3, int: 2, ..NOTHING_OPEN };

struct Board {
    model: Dwc2Model,
    chip: Rc<RefCell<Lan9512>>,
    net: UsbNet<Dwc2<Dwc2Model, Memory>>,
}

impl Board {
    fn new(personality: Personality) -> Self {
        let memory = Memory::new();
        let model = Dwc2Model::new(memory.clone(), personality);
        let buffers = Buffers {
            control: core::array::from_fn(|_| memory.buffer(1056)),
            rx: core::array::from_fn(|_| memory.buffer(4096)),
            tx: core::array::from_fn(|_| memory.buffer(1568)),
            int: core::array::from_fn(|_| memory.buffer(64)),
        };
        let net = UsbNet::new(Dwc2::new(model.clone(), memory, buffers), MAC);
        let mut board = Self { model, chip: chip(), net };
        board.plug();
        board
    }

    fn running(personality: Personality) -> Self {
        let mut board = Self::new(personality);
        assert!(board.until(3 * SECOND, |b| b.net.link_up()));
        board
    }

    fn plug(&mut self) {
        self.chip = chip();
        self.model.attach(Box::new(self.chip.clone()));
    }

    fn poll(&mut self) {
        self.net.poll(self.model.now());
        while self.net.event().is_some() {}
    }

    /// Sleeps until a deadline or an interrupt, polls, and so on.
    fn until(&mut self, limit: Micros, done: impl Fn(&mut Self) -> bool) -> bool {
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

    fn pass(&mut self, time: Micros) {
        self.until(time, |_| false);
    }

    fn resources(&self) -> Resources {
        self.net.host().resources()
    }
}

/// A chip whose link is quickly up.
fn chip() -> Rc<RefCell<Lan9512>> {
    let mut chip = Lan9512::new(LAN9512);
    chip.set_autoneg_time(5 * MS);
    Rc::new(RefCell::new(chip))
}

fn frame(length: usize, seed: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..length).map(|i| ((i * 7 + seed) % 127) as u8).collect();
    bytes[..6].copy_from_slice(&MAC);
    bytes
}

#[test]
fn frames_in_number_both_ways() {
    for personality in [Personality::Silicon, Personality::QemuSync] {
        let mut board = Board::running(personality);
        // Every length, the rest short; multiples of the packet size among both.
        let length = |n: usize| if n < 1_455 { 60 + n } else { 60 + n % 5 };
        const ALL: usize = 6_000;
        let (mut sent, mut arrived, mut pushed, mut received) = (0, 0, 0, 0);
        let start = board.model.now();
        while arrived < ALL || received < ALL {
            while pushed < ALL && pushed - received < 12 {
                assert!(board.chip.borrow_mut().push_frame(frame(length(pushed), pushed)));
                pushed += 1;
            }
            let now = board.model.now();
            while sent < ALL
                && board.net.transmit(now, length(sent), &mut |to| {
                    to.copy_from_slice(&frame(length(sent), sent));
                })
            {
                sent += 1;
            }
            let before = received;
            while board.net.receive(now, &mut |got| {
                assert!(got == frame(length(received), received), "frame {received}");
            }) {
                received += 1;
            }
            while let Some(got) = board.chip.borrow_mut().pop_frame() {
                assert!(got == frame(length(arrived), arrived), "frame {arrived}");
                arrived += 1;
            }
            if before == received {
                board.until(10 * MS, |b| b.net.has_frame() || b.net.can_transmit());
                board.model.advance(TICK);
                board.poll();
            }
            assert!(board.model.now() - start < 60 * SECOND, "{arrived} {received}");
        }
        let per_frame = (board.model.now() - start) / ALL as u64;
        println!("{personality:?}: {per_frame} us for a frame each way");
        board.pass(10 * MS);
        let statistics = board.net.statistics();
        assert_eq!((statistics.frames_in, statistics.frames_out), (ALL as u32, ALL as u32));
        assert_eq!((statistics.pipe_stops, statistics.bad_transfers_in), (0, 0));
        assert_eq!(board.chip.borrow().counters.lost_sync, 0);
        assert_eq!(board.resources(), RUNNING);
    }
}

#[test]
fn a_partly_taken_transfer_holds_its_buffer_and_no_other() {
    let mut board = Board::running(Personality::Silicon);
    let now = board.model.now();
    for seed in 0..3 {
        assert!(board.chip.borrow_mut().push_frame(frame(60, seed)));
    }
    assert!(board.until(10 * MS, |b| b.net.has_frame()));
    board.pass(MS);
    for seed in 0..3 {
        // One armed, one here.
        assert_eq!(board.resources(), Resources { rx: 2, ..RUNNING });
        assert!(board.net.receive(now, &mut |got| assert_eq!(got, frame(60, seed))));
    }
    assert_eq!(board.resources(), RUNNING);
    assert!(!board.net.receive(now, &mut |_| panic!("a fourth")));

    // Pulled with one half taken.
    for seed in 0..3 {
        assert!(board.chip.borrow_mut().push_frame(frame(60, seed)));
    }
    assert!(board.until(10 * MS, |b| b.net.has_frame()));
    assert!(board.net.receive(now, &mut |got| assert_eq!(got, frame(60, 0))));
    board.model.detach();
    board.pass(2 * SECOND);
    assert_eq!(board.resources(), NOTHING_OPEN);
}

#[test]
fn flaps_of_the_link_leave_nothing_behind() {
    let mut board = Board::running(Personality::Silicon);
    for round in 0..200 {
        board.chip.borrow_mut().set_link(false);
        assert!(board.until(1_300 * MS, |b| !b.net.link_up()), "round {round}");
        board.chip.borrow_mut().set_link(true);
        assert!(board.until(1_300 * MS, |b| b.net.link_up()), "round {round}");
    }
    board.pass(10 * MS);
    assert_eq!(board.resources(), RUNNING);
    assert_eq!(board.net.statistics().port_resets, 0);
}

#[test]
fn fifty_replugs_leave_nothing_behind() {
    let mut board = Board::running(Personality::Silicon);
    for round in 0..50 {
        // At any moment: in the port reset, bring-up, or later; frames both ways.
        board.pass((round * 37 % 400) * MS);
        let now = board.model.now();
        board.chip.borrow_mut().push_frame(frame(512, 1));
        let _ = board.net.transmit(now, 1500, &mut |to| to.fill(1));
        let _ = board.net.receive(now, &mut |_| {});
        board.model.detach();
        board.pass((round * 53 % 300) * MS);
        if round % 5 == 4 {
            board.pass(2 * SECOND);
            assert_eq!(board.resources(), NOTHING_OPEN, "round {round}");
        }
        board.plug();
    }
    assert!(board.until(3 * SECOND, |b| b.net.link_up()));
    board.pass(100 * MS);
    assert_eq!(board.resources(), RUNNING);
}

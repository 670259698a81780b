//! A LAN95xx that says anything: in its registers, on its interrupt endpoint,
//! in its transfers of frames.

use std::collections::VecDeque;

use sk_hal::Micros;
use sk_hal::net::FrameDevice;
use sk_hal::usb::{Setup, Speed};
use sk_models::lan9512::{BULK_IN, LAN9512, Lan9512, offset};
use sk_models::mockhost::MockHost;
use sk_models::usb::{Answer, UsbFunction};
use sk_usb::smsc95xx::stream::Stream;
use sk_usb::{Statistics, UsbNet};

use crate::bytes::Bytes;

/// The registers the driver reads.
const READ: [u16; 6] = [
    offset::HW_CFG,
    offset::PM_CTRL,
    offset::INT_STS,
    offset::INT_EP_CTL,
    offset::MII_ADDR,
    offset::MII_DATA,
];

/// The chip, but for what it sends: any packets.
struct Liar {
    chip: Lan9512,
    packets: VecDeque<Vec<u8>>,
}

impl UsbFunction for Liar {
    fn speed(&self) -> Speed {
        self.chip.speed()
    }
    fn reset(&mut self) {
        self.chip.reset();
    }
    fn control(&mut self, setup: Setup, out: &[u8]) -> Answer {
        self.chip.control(setup, out)
    }
    fn packet_out(&mut self, endpoint: u8, data: &[u8]) -> Answer {
        self.chip.packet_out(endpoint, data)
    }
    fn packet_in(&mut self, endpoint: u8, max_packet: usize) -> Answer {
        match self.packets.pop_front() {
            Some(packet) if endpoint == BULK_IN => Answer::Data(packet),
            Some(packet) => {
                self.packets.push_front(packet);
                self.chip.packet_in(endpoint, max_packet)
            }
            None => self.chip.packet_in(endpoint, max_packet),
        }
    }
    fn advance(&mut self, now: Micros) {
        self.chip.advance(now);
    }
}

/// One transfer: what is handed up is a frame that lies in it, each once.
fn transfer(data: &[u8]) {
    let mut bytes = data.to_vec();
    let whole = bytes.as_ptr_range();
    let mut stream = Stream::new();
    let mut statistics = Statistics::ZERO;
    let mut last = whole.start;
    for _ in 0..=data.len() / 8 {
        if let Some(frame) = stream.next(&mut bytes, &mut statistics) {
            let inside = frame.as_ptr_range();
            assert!(inside.start >= last && inside.end <= whole.end);
            assert!((14..=1514).contains(&frame.len()));
            last = inside.end;
            frame.fill(0xFF);
        }
        if stream.is_over() {
            return;
        }
    }
    panic!("no end");
}

/// See the module. All pipes are closed in the end, and without the lies the
/// chip works.
pub(crate) fn lan95xx(data: &[u8]) {
    let mut bytes = Bytes(data);
    let mode = bytes.byte();
    if mode & 1 == 0 {
        return transfer(bytes.take(usize::MAX));
    }
    let mut chip = Lan9512::new(LAN9512);
    chip.set_autoneg_time(1_000);
    if mode & 2 != 0 {
        chip = chip.full_speed();
    }
    for (at, register) in READ.into_iter().enumerate() {
        if mode & 4 << at != 0 {
            let length = usize::from(bytes.byte() % 5);
            chip.faults.replies.push((register, bytes.take(length).to_vec()));
        }
    }
    let host = MockHost::new(Liar { chip, packets: VecDeque::new() });
    let mut net = UsbNet::new(host, [2, 0, 0, 0, 0, 1]);
    let mut now = 0;
    let mut step = |net: &mut UsbNet<MockHost<Liar>>| {
        net.poll(now);
        while net.event().is_some() {}
        now = net.next_deadline().map_or(now + 1_000, |at| at.clamp(now + 100, now + 100_000));
        now
    };
    for _ in 0..300 {
        let now = step(&mut net);
        if net.link_up() {
            if bytes.is_empty() {
                break;
            }
            let packet = bytes.piece();
            let device = &mut net.host_mut().function;
            let size = if device.speed() == Speed::High { 512 } else { 64 };
            device.packets.extend(packet.chunks(size).map(<[u8]>::to_vec));
            device.chip.faults.interrupt = Some(packet.iter().take(8).copied().collect());
            net.receive(now, &mut |frame| assert!((14..=1514).contains(&frame.len())));
            net.transmit(now, 14 + packet.len() % 1500, &mut |out| out.fill(1));
        }
    }
    assert!(net.host().open_pipes() <= 3);
    // The truth again: it comes up, after the longest pause.
    let device = &mut net.host_mut().function;
    device.packets.clear();
    device.chip.faults = Default::default();
    let up = (0..3_000).any(|_| {
        step(&mut net);
        net.link_up()
    });
    assert!(up, "it does not come up any more");
    net.host_mut().detach();
    let now = step(&mut net);
    net.poll(now);
    assert_eq!(net.host().open_pipes(), 0);
}

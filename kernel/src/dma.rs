//! Buffers shared with bus masters: whole cache lines, claimed once.

use sk_bcm2835::{Claim, map};
use sk_drivers::dwc2::Buffers;
use sk_hal::{BusAddr, CpuOwned, DmaBuf};

/// On a line of its own, whole lines long: no neighbour shares one.
#[repr(C, align(32))]
struct Lines<const N: usize>([u8; N]);

impl<const N: usize> Lines<N> {
    const fn new() -> Claim<Self> {
        assert!(N.is_multiple_of(sk_hal::dma::LINE));
        Claim::new(Self([0; N]))
    }
}

fn claim<const N: usize>(lines: &'static Claim<Lines<N>>) -> DmaBuf<CpuOwned> {
    let bytes: &'static mut [u8] = &mut lines.take().expect("each buffer is claimed once").0;
    let bus = BusAddr(map::bus(bytes.as_ptr() as u32));
    DmaBuf::new(bytes, bus).expect("aligned by its type")
}

static MAILBOX: Claim<Lines<256>> = Lines::new();
static CONTROL: [Claim<Lines<1056>>; 2] = [const { Lines::new() }; 2];
static RX: [Claim<Lines<4096>>; 4] = [const { Lines::new() }; 4];
static TX: [Claim<Lines<1568>>; 4] = [const { Lines::new() }; 4];
static INT: [Claim<Lines<64>>; 3] = [const { Lines::new() }; 3];

/// The mailbox's message buffer. Once.
pub fn mailbox() -> DmaBuf<CpuOwned> {
    claim(&MAILBOX)
}

/// The USB controller's buffers. Once.
pub fn usb() -> Buffers {
    Buffers {
        control: CONTROL.each_ref().map(claim),
        rx: RX.each_ref().map(claim),
        tx: TX.each_ref().map(claim),
        int: INT.each_ref().map(claim),
    }
}

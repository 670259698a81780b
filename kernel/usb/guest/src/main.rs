//! Counts, on the emulated core, what a frame costs between the controller and
//! the IP stack: class driver and `UsbNet`, over a controller that costs next to
//! nothing.
//!
//! One line `cost NAME` for each call between the markers of the counting
//! plugin, which writes down the instructions in the same order, then
//! `phase: costed`. Read by `toolchain/e2e/tests/adapter.rs`.
#![no_std]
#![no_main]
#![allow(unreachable_pub)]

mod host;
#[path = "../../../mem/guest/src/uart.rs"]
mod uart;

use core::arch::{asm, global_asm};
use core::hint::black_box;
use host::{Device, Host};
use sk_hal::net::FrameDevice;
// memcpy and its kin.
use sk_mem as _;
use sk_usb::UsbNet;
use uart::say;

global_asm!(include_str!("../../../mem/guest/src/boot.S"), options(raw));

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
type Net = UsbNet<Host>;

/// What is counted. Never inlined, so that the markers stand around the call.
type Call = fn(&mut Net, u64) -> bool;

#[inline(never)]
fn has_frame(net: &mut Net, _now: u64) -> bool {
    net.has_frame()
}

#[inline(never)]
fn receive(net: &mut Net, now: u64) -> bool {
    net.receive(now, &mut |frame| {
        black_box(frame);
    })
}

#[inline(never)]
fn can_transmit(net: &mut Net, _now: u64) -> bool {
    net.can_transmit()
}

#[inline(never)]
fn transmit_60(net: &mut Net, now: u64) -> bool {
    transmit(net, now, 60)
}

#[inline(never)]
fn transmit_1514(net: &mut Net, now: u64) -> bool {
    transmit(net, now, 1514)
}

#[inline(always)]
fn transmit(net: &mut Net, now: u64, length: usize) -> bool {
    net.transmit(now, length, &mut |frame| {
        black_box(frame);
    })
}

#[inline(never)]
fn poll(net: &mut Net, now: u64) -> bool {
    net.poll(now);
    true
}

/// Between the markers: the call, and the branch to it.
fn count(name: &str, device: &str, net: &mut Net, now: u64, call: Call, expected: bool) {
    say!("cost {device} {name}");
    let call = black_box(call);
    let (net, now) = black_box((net, now));
    // SAFETY: changes nothing; a marker of the counting plugin.
    unsafe { asm!("orr r0, r0, r0") };
    let done = call(net, now);
    // SAFETY: as above.
    unsafe { asm!("orr r1, r1, r1") };
    if done != expected {
        say!("phase: wrong: {device} {name}");
        stop();
    }
}

/// Puts a block of the LAN95xx into the transfer, `length` bytes without FCS.
fn put_block(host: &mut Host, length: usize) {
    let start = host.received.next_multiple_of(4);
    let status = (length as u32 + 4) << 16;
    host.input[start..start + 4].copy_from_slice(&status.to_le_bytes());
    host.received = start + 4 + length + 4;
}

/// Brings the device up and counts what is the same for all.
fn run(device: Device, name: &str, net: &mut Net) -> u64 {
    let mut now = 1_000;
    while !net.link_up() {
        net.poll(now);
        now += 10_000;
        if now > 100_000_000 {
            say!("phase: wrong: {name} does not come up");
            stop();
        }
    }
    for _ in 0..1_000 {
        // Into the time between two looks at the link.
        net.poll(now);
        now += 100;
    }
    while net.event().is_some() {}
    count("poll", name, net, now, poll, true);
    count("can_transmit", name, net, now, can_transmit, true);
    count("transmit 60", name, net, now, transmit_60, true);
    count("transmit 1514", name, net, now, transmit_1514, true);
    count("has_frame, none", name, net, now, has_frame, false);
    count("receive, none", name, net, now, receive, false);
    match device {
        Device::Lan => put_block(net.host_mut(), 60),
        Device::Ecm => net.host_mut().received = 60,
    }
    count("has_frame, one", name, net, now, has_frame, true);
    count("receive 60", name, net, now, receive, true);
    now
}

/// Entered by `boot.S`: caches and MMU on, .bss cleared.
#[unsafe(no_mangle)]
extern "C" fn guest_main() -> ! {
    let mut net = UsbNet::new(Host::new(Device::Ecm), MAC);
    run(Device::Ecm, "ecm", &mut net);
    let mut net = UsbNet::new(Host::new(Device::Lan), MAC);
    let now = run(Device::Lan, "lan95xx", &mut net);
    for length in [60, 1514, 61] {
        put_block(net.host_mut(), length);
    }
    for name in ["receive, first of three", "receive, second of three", "receive, last of three"] {
        count(name, "lan95xx", &mut net, now, receive, true);
    }
    say!("phase: costed");
    stop()
}

#[unsafe(no_mangle)]
extern "C" fn guest_aborted(pc: u32, address: u32) -> ! {
    say!("phase: wrong: data abort at pc {pc:#x}, address {address:#x}");
    stop()
}

/// For `boot.S`, whose guarded calls are not used here.
#[unsafe(no_mangle)]
extern "C" fn guest_spoiled() -> ! {
    stop()
}

#[panic_handler]
fn panicked(info: &core::panic::PanicInfo) -> ! {
    say!("phase: wrong: {}", info.message());
    stop()
}

fn stop() -> ! {
    loop {
        core::hint::spin_loop();
    }
}

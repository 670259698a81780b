//! The driver against QEMU itself, over its qtest protocol: registers and
//! guest RAM by hand, no kernel. Needs `qemu-system-arm`, so it
//! is run on demand: `cargo test -p sk-drivers -- --ignored qemu`.

use super::*;
use sk_hal::BusAddr;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::string::String;

struct Machine {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Machine {
    fn ask(&mut self, line: &str) -> String {
        writeln!(self.to, "{line}").expect("QEMU lives");
        loop {
            let mut answer = String::new();
            let n = self.from.read_line(&mut answer).expect("QEMU answers");
            assert!(n > 0, "QEMU ended at: {line}");
            assert!(!answer.starts_with("FAIL"), "{line}: {answer}");
            if let Some(rest) = answer.strip_prefix("OK") {
                return String::from(rest.trim());
            }
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Clone)]
struct Qemu(Rc<RefCell<Machine>>);

impl Qemu {
    fn new(device: &[&str]) -> Self {
        let mut child = Command::new("qemu-system-arm")
            .args(["-M", "raspi0", "-display", "none", "-monitor", "none", "-serial", "none"])
            .args(["-qtest", "stdio"])
            // The processor stays at `b .`; time is real time.
            .args(["-device", "loader,addr=0,data=0xeafffffe,data-len=4"])
            .args(device)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("qemu-system-arm is installed");
        let to = child.stdin.take().expect("piped");
        let from = BufReader::new(child.stdout.take().expect("piped"));
        Self(Rc::new(RefCell::new(Machine { child, to, from })))
    }

    fn ask(&self, line: &str) -> String {
        self.0.borrow_mut().ask(line)
    }
}

impl Bus32 for Qemu {
    fn read(&self, off: u32) -> u32 {
        let answer = self.ask(&std::format!("readl {:#x}", 0x2098_0000 + off));
        let hex = answer.trim_start_matches("0x");
        u64::from_str_radix(hex, 16).expect("a number") as u32
    }
    fn write(&self, off: u32, value: u32) {
        self.ask(&std::format!("writel {:#x} {value:#x}", 0x2098_0000 + off));
    }
}

impl CacheOps for Qemu {
    fn clean(&self, bus: BusAddr, mem: &[u8]) {
        let hex: String = mem.iter().map(|b| std::format!("{b:02x}")).collect();
        self.ask(&std::format!("write {:#x} {:#x} 0x{hex}", bus.0 & 0x3FFF_FFFF, mem.len()));
    }
    fn discard(&self, _: BusAddr, mem: &mut [u8]) {
        mem.fill(0xCD);
    }
    fn invalidate(&self, bus: BusAddr, mem: &mut [u8]) {
        let line = std::format!("read {:#x} {:#x}", bus.0 & 0x3FFF_FFFF, mem.len());
        let answer = self.ask(&line);
        for (i, b) in mem.iter_mut().enumerate() {
            *b = u8::from_str_radix(&answer[2 + 2 * i..4 + 2 * i], 16).expect("hex");
        }
    }
    fn dsb(&self) {}
    fn dmb(&self) {}
    fn sync_code(&self, _: &[u8]) {}
}

struct Bench {
    host: Dwc2<Qemu, Qemu>,
    start: std::time::Instant,
    now: u64,
}

impl Bench {
    fn new(device: &[&str]) -> Self {
        let qemu = Qemu::new(device);
        let memory = Memory::new();
        let buffers = Buffers {
            control: core::array::from_fn(|_| memory.buffer(32 + 1024)),
            rx: core::array::from_fn(|_| memory.buffer(2048)),
            tx: core::array::from_fn(|_| memory.buffer(2048)),
            int: core::array::from_fn(|_| memory.buffer(64)),
        };
        let host = Dwc2::new(qemu.clone(), qemu, buffers);
        Self { host, start: std::time::Instant::now(), now: 0 }
    }

    fn until(&mut self, micros: u64, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.now + micros;
        while self.now < end {
            self.host.poll(self.now);
            if done(self) {
                return true;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
            self.now = self.start.elapsed().as_micros() as u64;
        }
        false
    }

    fn request(&mut self, address: u8, setup: Setup) -> Result<Vec<u8>, TransferError> {
        let Port::Ready(speed) = self.host.port() else { panic!("no device") };
        let target = DeviceTarget { address, speed, max_packet0: 64, behind: None };
        self.host.control(self.now, target, setup, &[]).expect("starts");
        let mut result = None;
        self.until(6_000_000, |b| {
            result = b.host.control_result().map(|r| r.map(<[u8]>::to_vec));
            result.is_some()
        });
        result.unwrap_or_else(|| panic!("no end: {}", self.host.dump()))
    }

    fn enumerate(&mut self) {
        let ready = self.until(2_000_000, |b| b.host.port() == Port::Ready(Speed::Full));
        assert!(ready, "{}", self.host.dump());
        let device = self.request(0, setup(0x80, 6, 0x100, 18)).expect("descriptor");
        assert_eq!(device[8..12], [0x25, 0x05, 0xa2, 0xa4]);
        self.request(0, setup(0x00, 5, 7, 0)).expect("SET_ADDRESS");
        self.until(3_000, |_| false);
        self.request(7, setup(0x00, 9, 1, 0)).expect("SET_CONFIGURATION");
        let alt = Setup { request_type: 1, request: 11, value: 1, index: 1, length: 0 };
        self.request(7, alt).expect("SET_INTERFACE");
    }

    fn open(&mut self, kind: PipeKind, endpoint: u8, max_packet: u16) -> PipeId {
        let target = DeviceTarget { address: 7, speed: Speed::Full, max_packet0: 64, behind: None };
        let config = PipeConfig { target, endpoint, max_packet, kind };
        self.host.open(self.now, config, 2048).expect("opens")
    }

    /// Asks slirp for its address until it answers.
    fn arp(&mut self, rx: PipeId, tx: PipeId) {
        let mac = [0x52, 0x54, 0, 0x12, 0x34, 0x57];
        let mut frame = Vec::from([0xFF; 6]);
        frame.extend(mac);
        frame.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        frame.extend(mac);
        frame.extend([10, 0, 2, 15, 0, 0, 0, 0, 0, 0, 10, 0, 2, 2]);
        let len = frame.len();
        self.host.send(self.now, tx, len, true, &mut |b| b.copy_from_slice(&frame)).expect("room");
        let mut reply = Vec::new();
        let got = self.until(2_000_000, |b| {
            let now = b.now;
            let got = b.host.receive(now, rx, &mut |b| reply = b.to_vec());
            assert!(!matches!(got, Some(Err(_))), "{got:?}");
            got.is_some() && reply.get(12..14) == Some(&[8, 6])
        });
        assert!(got, "no ARP reply; {}", self.host.dump());
        assert_eq!(reply[28..32], [10, 0, 2, 2]);
        assert_eq!(reply.len(), 64);
    }
}

#[test]
#[ignore = "starts qemu-system-arm"]
fn usb_net_answers_and_survives_close_and_reset() {
    let net =
        ["-netdev", "user,id=n0", "-device", "usb-net,netdev=n0,port=1,mac=52:54:00:12:34:57"];
    let mut bench = Bench::new(&net);
    bench.enumerate();
    for round in 0..4 {
        let rx = bench.open(PipeKind::BulkIn, 2, 64);
        let tx = bench.open(PipeKind::BulkOut, 2, 64);
        let int = bench.open(PipeKind::InterruptIn { every: 32_000 }, 1, 16);
        for _ in 0..5 {
            bench.arp(rx, tx);
        }
        let mut event = Vec::new();
        let now = bench.now;
        let got = bench.host.receive(now, int, &mut |b| event = b.to_vec());
        assert_eq!((got, &event[..2]), (Some(Ok(())), &[0xA1, 0][..]));
        if round % 2 == 0 {
            // A pending IN that never ends by itself, closed.
            for pipe in [rx, tx, int] {
                bench.host.close(bench.now, pipe);
            }
            bench.until(200_000, |_| false);
            let alt = Setup { request_type: 1, request: 11, value: 1, index: 1, length: 0 };
            bench.request(7, alt).expect("SET_INTERFACE");
        } else {
            // And reset away: without the flush QEMU ends here.
            bench.host.reset_port(bench.now);
            assert_eq!(bench.host.port(), Port::Settling);
            bench.enumerate();
        }
        let r = bench.host.resources();
        assert_eq!((r.channels, r.retired, r.rx, r.tx), (CHANNELS, 0, RX_BUFFERS, TX_BUFFERS));
    }
    assert_eq!(bench.host.stats().starts, 1);
}

#[test]
#[ignore = "starts qemu-system-arm"]
fn an_empty_port_and_an_absent_address() {
    let mut bench = Bench::new(&[]);
    assert!(!bench.until(800_000, |b| b.host.port() == Port::Ready(Speed::Full)));
    assert_eq!(bench.host.port(), Port::Empty);
    let mut bench = Bench::new(&["-device", "usb-kbd,port=1"]);
    assert!(bench.until(800_000, |b| matches!(b.host.port(), Port::Ready(_))));
    for _ in 0..2 {
        assert_eq!(bench.request(99, setup(0x80, 6, 0x100, 8)), Err(TransferError::Timeout));
    }
    assert_eq!(bench.request(0, setup(0x80, 6, 0x100, 18)).expect("answers").len(), 18);
}

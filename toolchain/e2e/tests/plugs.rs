//! The two plugs of a network adapter, pulled and pushed twenty times: the
//! board comes back each time, with all its memory, and runs a payload.

use std::fs;
use std::time::{Duration, Instant};

use e2e::bench::{noise, payload};
use md5::{Digest, Md5};
use sk_client::{Addressing, Client, Events, Phase, Selector, Store, Task};
use sk_emulator::{Adapter, Board, Front, Lan9512};

const TIMES: u32 = 20;

/// A board with a modelled adapter, and its user.
struct Bench {
    client: Client,
    board: Board,
    _dir: tempfile::TempDir,
}

/// Keeps the output.
#[derive(Default)]
struct Output(Vec<u8>);

impl Events for Output {
    fn stdout(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn stderr(&mut self, _bytes: &[u8]) -> std::io::Result<()> {
        Ok(())
    }
}

impl Bench {
    fn new(name: &str, adapter: Adapter) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::at(dir.path());
        let made = store.provision(name, Addressing::Dhcp).unwrap();
        let mut config = e2e::zero();
        config.adapter = adapter;
        config.blob = Some(made.blob.clone());
        let mut board = e2e::start(config);
        e2e::expect(&mut board, "DhcpBound");
        let mut client = Client::new(store);
        client.targets = vec![board.address().unwrap()];
        client.broadcast = false;
        Self { client, board, _dir: dir }
    }

    fn front(&self) -> &Front {
        self.board.adapter().expect("a modelled adapter")
    }

    /// Free memory in KiB of an idle board.
    fn memory(&mut self) -> u32 {
        let end = Instant::now() + e2e::PATIENCE;
        loop {
            let found = self.client.find(&Selector::Known).and_then(|b| self.client.ping(&b));
            match found {
                Ok(pong) if pong.phase == Phase::Idle => return pong.memory_kib,
                other => assert!(Instant::now() < end, "{other:?}\n{}", self.said()),
            }
        }
    }

    fn works(&self) {
        let found = self.client.find(&Selector::Known).unwrap_or_else(|e| panic!("{e}"));
        let (image, input) = (fs::read(payload("md5")).unwrap(), noise(20_000, 3));
        let mut output = Output::default();
        let report = self.client.run(&found, &Task::new(&image, &input), &mut output);
        assert_eq!(report.unwrap_or_else(|e| panic!("{e}")).receipt.exit, 0);
        let sum: String = Md5::digest(&input).iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(output.0, (sum + "\n").as_bytes());
    }

    fn said(&self) -> String {
        self.board.lines().join("\n")
    }
}

fn unplugged(name: &str, adapter: Adapter) {
    let mut bench = Bench::new(name, adapter);
    let before = bench.memory();
    for round in 0..TIMES {
        bench.front().set_plugged(false).unwrap_or_else(|e| panic!("round {round}: {e}"));
        e2e::expect(&mut bench.board, "usb: Detached");
        // Also when it comes back before the kernel has looked twice.
        std::thread::sleep(Duration::from_millis(u64::from(round % 4) * 40));
        bench.front().set_plugged(true).unwrap_or_else(|e| panic!("round {round}: {e}"));
        e2e::expect(&mut bench.board, "net: LinkUp");
    }
    assert_eq!(bench.memory(), before);
    bench.works();
}

fn flapping(name: &str, adapter: Adapter) {
    let mut bench = Bench::new(name, adapter);
    let before = bench.memory();
    for round in 0..TIMES {
        bench.front().set_link(false);
        e2e::expect(&mut bench.board, "net: LinkDown");
        bench.front().set_link(true);
        // Some end before the two ends of the cable have agreed.
        if round % 5 != 4 && round + 1 != TIMES {
            std::thread::sleep(Duration::from_millis(u64::from(round % 5) * 60));
            bench.front().set_link(false);
            bench.front().set_link(true);
        }
        e2e::expect(&mut bench.board, "net: LinkUp");
    }
    assert_eq!(bench.memory(), before);
    bench.works();
}

/// What a LAN9512 may do to its driver, on a controller that ends QEMU when it
/// is not used just so: halted endpoints, a broken transfer, no answers at all
/// until the port is reset.
#[test]
fn a_lan9512_that_breaks_down() {
    let mut bench = Bench::new("broken", Adapter::Lan9512);
    let before = bench.memory();
    let model = |bench: &Bench, change: &dyn Fn(&mut Lan9512)| {
        change(&mut bench.front().lan9512().expect("a LAN9512"));
    };
    for round in 0..3 {
        model(&bench, &|lan| lan.halt(0x81));
        bench.works();
        model(&bench, &|lan| lan.halt(0x02));
        bench.works();
        model(&bench, &|lan| lan.faults.babble = true);
        bench.works();
        model(&bench, &|lan| lan.faults.gone = true);
        e2e::expect(&mut bench.board, "usb: Error");
        std::thread::sleep(Duration::from_millis(100 << (2 * round)));
        model(&bench, &|lan| lan.faults.gone = false);
        e2e::expect(&mut bench.board, "usb: Configured");
        bench.memory();
        bench.works();
    }
    println!("{}", bench.said());
    assert_eq!(bench.memory(), before);
}

#[test]
fn a_lan9512_pulled_out_of_its_port() {
    unplugged("unplugged", Adapter::Lan9512);
}

#[test]
fn a_lan9512_with_a_loose_cable() {
    flapping("flapping", Adapter::Lan9512);
}

#[test]
fn an_ecm_adapter_pulled_out_of_its_port() {
    unplugged("unplugged-ecm", Adapter::Ecm);
}

#[test]
fn an_ecm_adapter_with_a_loose_cable() {
    flapping("flapping-ecm", Adapter::Ecm);
}

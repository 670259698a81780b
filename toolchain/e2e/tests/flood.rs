//! A flood of short frames while a payload works: the kernel takes its share of
//! the time and no more, and is there again when the flood is over.
//!
//! The board's time is its instructions here, four nanoseconds each, about what
//! the processor of a Zero makes of them; so a share of the time is a share of the
//! instructions, whatever else the host does.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use e2e::bench::Desk;
use sk_client::{
    Addressing, Client, Events, Limits, Patience, Selector, Status, Step, Store, Task,
};
use sk_emulator::{Board, Plugin};

/// All instructions over the payload's: a tenth of the time is the kernel's, and
/// the ticks come on top.
const MOST: f64 = 1.12;
/// Frames per second of the board's time that a kernel without a limit takes.
const FLOOD: u64 = 50_000;
/// After the flood the board answers within.
const BACK: Duration = Duration::from_secs(1);
/// Instructions are 1 << SHIFT nanoseconds.
const SHIFT: u32 = 2;
/// The flood ends after so many frames, or a kernel without a limit hears of
/// nothing else.
const FRAMES: u64 = 200_000;

/// Says when the payload has been entered.
struct Ear(mpsc::Sender<()>);

impl Events for Ear {
    fn step(&mut self, step: Step) {
        if step == Step::Started {
            let _ = self.0.send(());
        }
    }
    fn stdout(&mut self, _: &[u8]) -> std::io::Result<()> {
        Ok(())
    }
    fn stderr(&mut self, _: &[u8]) -> std::io::Result<()> {
        Ok(())
    }
}

/// What came of a run.
#[derive(Debug)]
struct Outcome {
    /// Instructions between the payload's markers.
    all: u64,
    /// Of these, the payload's.
    payload: u64,
    /// Frames taken from the adapter meanwhile, by and large.
    frames: u64,
    /// From the end of the flood to the answer to a ping.
    back: Duration,
}

impl Outcome {
    fn ratio(&self) -> f64 {
        self.all as f64 / self.payload as f64
    }

    /// Frames per second of the board's time.
    fn rate(&self) -> u64 {
        self.frames * 1_000_000_000 / (self.all << SHIFT)
    }
}

/// A datagram of 18 bytes for the board's service port: 64 bytes with the check
/// sequence.
fn frame(board: [u8; 6]) -> Vec<u8> {
    let mut ip = vec![0x45, 0, 0, 46, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 2, 2, 10, 0, 2, 15];
    let words = ip.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let sum: u32 = words.sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    let mut frame = board.to_vec();
    frame.extend([0x52, 0x55, 10, 0, 2, 2, 8, 0]);
    frame.extend(ip);
    frame.extend(4_242u16.to_be_bytes());
    frame.extend(sk_emulator::GUEST_PORT.to_be_bytes());
    // No checksum: it is for the sender to decide.
    frame.extend([0, 26, 0, 0]);
    frame.extend([0x5a; 18]);
    assert_eq!(frame.len(), 60);
    frame
}

/// What the plugin wrote behind `prefix`, once it has.
fn said(counts: &Path, prefix: &str) -> Option<String> {
    let text = fs::read_to_string(counts).ok()?;
    text.lines().find_map(|line| line.strip_prefix(prefix)).map(str::to_owned)
}

/// All instructions of the payload's work, and its own of these.
fn interval(counts: &Path) -> Option<(u64, u64)> {
    let line = said(counts, "marker 0 ")?;
    let (all, payload) = line.split_once(" payload=")?;
    Some((all.parse().ok()?, payload.parse().ok()?))
}

fn built(desk: &Desk) -> Vec<u8> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("payloads/limits.c");
    let image = desk.folder().join("limits.skp");
    let ran = desk.run(&["build", source.to_str().unwrap(), "-o", image.to_str().unwrap()], b"");
    assert_eq!(ran.code, 0, "{}", ran.err);
    fs::read(image).unwrap()
}

fn flooded(kernel: PathBuf, name: &str) -> Outcome {
    let desk = Desk::new();
    let store = Store::at(&desk.folder().join("store"));
    let made = store.provision(name, Addressing::Dhcp).unwrap();
    let counts = desk.folder().join("count.txt");
    let mut config = e2e::one_b();
    config.kernel = kernel;
    config.blob = Some(made.blob.clone());
    config.extra = vec!["-icount".into(), format!("shift={SHIFT}").into()];
    let mut plugin = Plugin::built(&counts).expect("cargo builds it with this test");
    plugin.options.push(format!("range={}", e2e::layers::PAYLOAD));
    config.plugin = Some(plugin);
    let mut board = e2e::start(config);
    e2e::expect(&mut board, "DhcpBound");
    let address = board.address().unwrap();
    let mut client = Client::new(store);
    client.targets = vec![address];
    client.broadcast = false;
    client.patience = Patience { connect: 60_000_000, busy: 1_000_000, silence: 60_000_000 };
    let known = client.find(&Selector::Address(address)).unwrap();
    let image = built(&desk);
    let mut task = Task::new(&image, b"");
    task.args = vec!["count".into()];
    task.limits = Limits { wall: Some(Duration::from_secs(60)), ..Limits::default() };
    let (started, when) = mpsc::channel();
    let (report, frames, back) = std::thread::scope(|scope| {
        let runner = scope.spawn(|| client.run(&known, &task, &mut Ear(started)));
        let frames = when.recv().map_or(0, |()| flood(&board, &counts));
        let over = Instant::now();
        let pong = client.ping(&known);
        let back = over.elapsed();
        pong.unwrap_or_else(|error| panic!("{error}; {:?}", board.lines()));
        (runner.join().unwrap(), frames, back)
    });
    let report = report.unwrap_or_else(|error| panic!("{error}; {:?}", board.lines()));
    assert_eq!(report.receipt.status(), Status::OK);
    let (all, payload) = interval(&counts).expect("counted");
    let outcome = Outcome { all, payload, frames, back };
    println!("{name}: {outcome:?}, ratio {:.4}, {} frames/s", outcome.ratio(), outcome.rate());
    println!("{:?}", report.receipt.usage);
    outcome
}

/// Opens the flood until the payload has done its work, or it has been going on
/// for long. The frames that the board took while the payload worked.
fn flood(board: &Board, counts: &Path) -> u64 {
    let adapter = || board.adapter().unwrap().lan9512().unwrap();
    let until = Instant::now() + e2e::PATIENCE;
    let wait = |over: &dyn Fn() -> bool| {
        while !over() {
            assert!(Instant::now() < until, "{:?}", board.lines());
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    assert_eq!(said(counts, "marker 1 "), None, "the flood comes too late");
    {
        let mut lan = adapter();
        lan.faults.flood = Some(frame(lan.mac()));
    }
    wait(&|| said(counts, "marker 1 ").is_some());
    let before = adapter().counters.fetched;
    let taken = || adapter().counters.fetched - before;
    wait(&|| said(counts, "marker 0 ").is_some() || taken() >= FRAMES);
    let mut lan = adapter();
    lan.faults.flood = None;
    lan.counters.fetched - before
}

#[test]
fn a_flood_takes_no_more_than_its_share() {
    let outcome = flooded(e2e::artefacts().join("kernel.img"), "dam");
    assert!(outcome.ratio() <= MOST, "{outcome:?}");
    assert!(outcome.back <= BACK, "{outcome:?}");
}

/// That the test above can fail.
#[test]
fn without_a_limit_it_takes_more() {
    let outcome = flooded(e2e::artefacts().join("kernel-uncapped.img"), "burst");
    assert!(outcome.ratio() > MOST, "{outcome:?}");
    assert!(outcome.rate() >= FLOOD, "{outcome:?}");
}

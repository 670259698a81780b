//! The limits of a running payload: time, processor time, signs of life, and
//! being told to stop. What is measured is the board's own clock, which its
//! receipts carry.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use e2e::bench::{Desk, ended, payload};
use sk_client::{
    Addressing, Client, ClientEntry, Error, Events, Guest, LastEnd, Limits, Patience, Receipt,
    Roles, Selector, Status, Step, Store, Task, flags,
};
use sk_emulator::{Board, BoardConfig};

/// What may come on top: a tick, and a step of the kernel that has begun.
const SLACK: u64 = 4_000;
/// With a handshake in progress: that step is a key agreement.
const DIALLED: u64 = 8_000;
/// An authenticated ABORT ends it within.
const ABORT: u32 = 50_000;
/// And that of a new session, from the first message on, within.
const KILL: u64 = 500_000;

struct Bench {
    client: Client,
    known: sk_client::Board,
    board: Board,
    image: Vec<u8>,
    spin: Vec<u8>,
    _desk: Desk,
}

fn ms(ms: u64) -> Option<Duration> {
    Some(Duration::from_millis(ms))
}

fn built(desk: &Desk, source: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("payloads").join(source);
    let image = desk.folder().join("built.skp");
    let ran = desk.run(&["build", source.to_str().unwrap(), "-o", image.to_str().unwrap()], b"");
    assert_eq!(ran.code, 0, "{}", ran.err);
    image
}

/// Output, and a word when the payload has been entered.
struct Ear {
    out: Vec<u8>,
    started: mpsc::Sender<()>,
}

impl Events for Ear {
    fn step(&mut self, step: Step) {
        if step == Step::Started {
            let _ = self.started.send(());
        }
    }

    fn stdout(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    fn stderr(&mut self, _: &[u8]) -> std::io::Result<()> {
        Ok(())
    }
}

impl Bench {
    /// `exact`: the board's time is its instructions, whatever the host does.
    fn new(name: &str, exact: bool) -> Self {
        Self::with(name, |config| config.icount = exact)
    }

    fn with(name: &str, set: impl FnOnce(&mut BoardConfig)) -> Self {
        let desk = Desk::new();
        let store = Store::at(&desk.folder().join("store"));
        let mut made = store.provision(name, Addressing::Dhcp).unwrap();
        let all = Roles::OBSERVE.or(Roles::SUBMIT).or(Roles::OPERATE).or(Roles::DIRECT);
        let owner = ClientEntry::new(store.public_key().unwrap(), all);
        store.admit(&mut made, &[Guest { client: owner, services: None }]).unwrap();
        let mut config = e2e::zero();
        config.blob = Some(made.blob.clone());
        set(&mut config);
        let mut board = e2e::start(config);
        e2e::expect(&mut board, "DhcpBound");
        let address = board.address().unwrap();
        let mut client = Client::new(store);
        client.targets = vec![address];
        client.broadcast = false;
        // Exact time may be much slower than the host's.
        client.patience = Patience { connect: 60_000_000, busy: 1_000_000, silence: 60_000_000 };
        let known = client.find(&Selector::Address(address)).unwrap();
        let image = fs::read(built(&desk, "limits.c")).unwrap();
        let spin = fs::read(payload("spin")).unwrap();
        Self { client, known, board, image, spin, _desk: desk }
    }

    /// Runs `limits.c` as told; `meanwhile` happens once it has been entered.
    fn run(
        &self,
        how: &str,
        limits: Limits,
        meanwhile: impl FnOnce(&Client, &sk_client::Board) + Send,
    ) -> (Receipt, Vec<u8>) {
        let (started, when) = mpsc::channel();
        let mut ear = Ear { out: Vec::new(), started };
        let image = if how.is_empty() { &self.spin } else { &self.image };
        let mut task = Task::new(image, b"");
        task.args = vec![how.into()];
        task.limits = limits;
        let (other, known) = (self.client.clone(), &self.known);
        let result = std::thread::scope(|scope| {
            scope.spawn(move || {
                if when.recv().is_ok() {
                    meanwhile(&other, known);
                }
            });
            let result = self.client.run(&self.known, &task, &mut ear);
            // Or who waits for a start waits for ever.
            drop(std::mem::replace(&mut ear.started, mpsc::channel().0));
            result
        });
        let receipt = match result {
            Ok(report) => report.receipt,
            Err(Error::Ended(ended)) => ended.report.receipt,
            Err(error) => panic!("{how}: {error}; the board said {:?}", self.board.lines()),
        };
        (receipt, ear.out)
    }

    fn quietly(&self, how: &str, limits: Limits) -> (Receipt, Vec<u8>) {
        self.run(how, limits, |_, _| {})
    }
}

#[test]
fn time_is_over_when_it_is_over() {
    let bench = Bench::new("clock", true);
    for wall in [1, 40, 200] {
        let limits = Limits { wall: ms(wall), ..Limits::default() };
        let (receipt, _) = bench.quietly("", limits);
        let took = receipt.usage.wall_us;
        println!("{wall} ms: ended after {took} us");
        assert_eq!(receipt.status(), Status::WALL_DEADLINE);
        assert!((wall * 1000..=wall * 1000 + SLACK).contains(&took), "{took} us of {wall} ms");
        assert!(receipt.usage.cpu_us <= took);
    }
    // Processor time: of all of it the payload had nine tenths at least.
    let limits = Limits { cpu: ms(100), ..Limits::default() };
    let (receipt, _) = bench.quietly("", limits);
    let (cpu, wall) = (receipt.usage.cpu_us, receipt.usage.wall_us);
    println!("100 ms of processor time: {cpu} us in {wall} us");
    assert_eq!(receipt.status(), Status::CPU_LIMIT);
    assert!((100_000..=100_000 + SLACK).contains(&cpu), "{cpu} us");
    assert!(wall * 9 <= cpu * 10 + 50_000, "{cpu} us in {wall} us");
}

/// Two others open sessions as soon as the payload has been entered, so that
/// there is a key agreement to be made in its first milliseconds, and again when
/// the kernel may, 40 ms later. Two nanoseconds for an instruction make it as
/// long as it is on the board. Repeated until a deadline has fallen into one, which
/// is chance: mostly within ten runs, so sixteen without are no failure.
#[test]
fn who_dials_meanwhile_gains_it_little() {
    let bench = Bench::with("dialled", |config| {
        config.extra = ["-icount", "shift=1"].map(Into::into).into();
    });
    let (mut most, mut hits, mut runs) = (0, 0, 0);
    for wall in (3..=6).cycle().take(16) {
        let limits = Limits { wall: ms(wall), ..Limits::default() };
        let (receipt, _) = bench.run("", limits, |client, known| {
            std::thread::scope(|scope| {
                // Whether they have their answers is not the question.
                for _ in 0..2 {
                    scope.spawn(|| client.ping(known).is_ok());
                }
            });
        });
        assert_eq!(receipt.status(), Status::WALL_DEADLINE);
        let late = receipt.usage.wall_us - wall * 1000;
        println!("{wall} ms: {late} us late");
        most = most.max(late);
        hits += u32::from(late > 100);
        runs += 1;
        if hits > 0 {
            break;
        }
    }
    println!("{most} us late at most; {hits} of {runs} were held up");
    assert!(most <= DIALLED, "{most} us");
}

/// A shielded payload has no say in it: the instruction does nothing.
#[test]
fn interrupts_are_not_for_a_payload_to_mask() {
    let bench = Bench::new("deaf", true);
    let limits = Limits { wall: ms(40), ..Limits::default() };
    let (receipt, _) = bench.quietly("mask", limits);
    let took = receipt.usage.wall_us;
    assert_eq!(receipt.status(), Status::WALL_DEADLINE);
    assert!((40_000..=40_000 + SLACK).contains(&took), "{took} us");
}

/// A direct one has: then nothing comes round any more, and the watchdog that
/// FIQ drives ends the boot. (With FIQ masked as well it is the hardware's turn,
/// which the emulator has not got.)
#[test]
fn a_direct_payload_that_masks_interrupts_costs_a_reset() {
    let mut bench = Bench::with("deafer", |config| config.reboot = true);
    let mut task = Task::new(&bench.image, b"");
    task.args = vec!["mask".into()];
    task.flags = flags::DIRECT;
    task.limits = Limits { wall: ms(100), ..Limits::default() };
    let (started, _) = mpsc::channel();
    bench.client.patience = Patience { connect: 60_000_000, busy: 1_000_000, silence: 60_000_000 };
    let error = bench.client.run(&bench.known, &task, &mut Ear { out: Vec::new(), started });
    let error = error.expect_err("it was reset");
    println!("{error}");
    assert!(matches!(error, Error::Restarted { .. }), "{error:?}");
    e2e::expect(&mut bench.board, &format!("last boot: {}", LastEnd::Hang.text()));
    let pong = bench.client.ping(&bench.known).unwrap();
    assert_eq!(LastEnd::from_byte(pong.last_end), Some(LastEnd::Hang));
    let (receipt, _) = bench.quietly("sleep", Limits::default());
    assert_eq!(receipt.status(), Status::OK);
    assert_eq!(bench.board.resets(), 1);
}

#[test]
fn waiting_is_no_processor_time() {
    let bench = Bench::new("sleeper", false);
    let limits = Limits { cpu: ms(100), ..Limits::default() };
    let (receipt, _) = bench.quietly("sleep", limits);
    assert_eq!(receipt.status(), Status::OK);
    assert!(receipt.usage.wall_us >= 300_000, "{:?}", receipt.usage);
    assert!(receipt.usage.cpu_us < 100_000, "{:?}", receipt.usage);
    // But it counts for the deadline.
    let limits = Limits { wall: ms(100), ..Limits::default() };
    let (receipt, _) = bench.quietly("sleep", limits);
    assert_eq!(receipt.status(), Status::WALL_DEADLINE);
}

#[test]
fn who_gives_no_sign_of_life_is_ended() {
    let bench = Bench::new("pulse", false);
    let limits = Limits { heartbeat: ms(200), ..Limits::default() };
    for (how, at_least) in [("beat", 700_000), ("spin", 200_000), ("doze", 200_000)] {
        let (receipt, _) = bench.quietly(how, limits);
        println!("{how}: ended after {} us", receipt.usage.wall_us);
        assert_eq!(receipt.status(), Status::HEARTBEAT, "{how}");
        assert!(receipt.usage.wall_us >= at_least, "{how}: {:?}", receipt.usage);
        assert!(receipt.usage.wall_us < 5_000_000, "{how}: {:?}", receipt.usage);
    }
}

#[test]
fn who_asks_whether_to_stop_is_told_in_time() {
    let bench = Bench::new("polite", false);
    // Before the deadline: it has the rest of its time for a good end.
    let limits = Limits { wall: ms(2_000), ..Limits::default() };
    let (receipt, out) = bench.quietly("stop", limits);
    assert_eq!((receipt.status(), receipt.exit, out.as_slice()), (Status::OK, 7, &b"stopped"[..]));
    assert!((1_900_000..2_000_000).contains(&receipt.usage.wall_us), "{:?}", receipt.usage);
    // And when it is aborted: what it still writes arrives.
    let limits = Limits { wall: ms(20_000), ..Limits::default() };
    let (receipt, out) = bench.run("stop", limits, |client, known| {
        assert_eq!(client.abort(known).unwrap(), Status::ABORTED_OWNER);
    });
    assert_eq!(receipt.status(), Status::ABORTED_OWNER);
    assert_eq!((receipt.exit, out.as_slice()), (7, &b"stopped"[..]));
}

#[test]
fn an_abort_ends_it_at_once() {
    let bench = Bench::new("victim", true);
    let limits = Limits { wall: ms(20_000), ..Limits::default() };
    let (tell, told) = mpsc::channel();
    let (receipt, _) = bench.run("", limits, move |client, known| {
        let status = client.status(known).unwrap();
        tell.send(status.wall_us).unwrap();
        assert_eq!(client.abort(known).unwrap(), Status::ABORTED_OWNER);
    });
    let asked = told.recv().unwrap();
    let (wall, took) = (receipt.usage.wall_us, receipt.detail);
    println!("ended {took} us after ABORT, {} us after STATUS in a session before", wall - asked);
    assert_eq!(receipt.status(), Status::ABORTED_OWNER);
    assert!(took <= ABORT, "{took} us");
    assert!(wall - asked <= KILL, "{} us", wall - asked);
}

#[test]
fn sk_kill_ends_what_sk_run_started() {
    let desk = Desk::new();
    let _board = desk.emu("target", &[]);
    let nothing = desk.run(&["kill", "--board", "target"], b"");
    assert_eq!(nothing.code, 1, "{}", nothing.err);
    assert!(nothing.error().contains("no task"), "{}", nothing.err);
    let mut run = desk
        .sk()
        .args(["run", "--board", "target", "--timeout", "30s"])
        .arg(payload("spin"))
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let killed = loop {
        let killed = desk.run(&["kill", "--board", "target"], b"");
        if killed.code == 0 {
            break killed;
        }
        assert!(ended(&mut run, Duration::ZERO).is_none(), "{}", killed.err);
    };
    assert!(killed.err.contains("target: ended by its owner"), "{}", killed.err);
    assert_eq!(ended(&mut run, Duration::from_secs(20)), Some(143));
    let err = e2e::bench::all(run.stderr.as_mut().unwrap());
    assert!(err.contains("by another program of its owner"), "{err}");
}

/// Nine of ten from the session that started it, as Ctrl-C does, one from a new
/// one. After each the kernel sums its page tables, so what a kill left behind
/// in them would end the board. `SK_KILLS` says how many; the name's number takes
/// minutes.
#[test]
fn a_thousand_kills_leave_the_board_whole() {
    let kills = std::env::var("SK_KILLS").map_or(50, |kills| kills.parse().unwrap());
    let bench = Bench::new("phoenix", false);
    let stop = bench.client.stop_flag();
    let before = bench.client.ping(&bench.known).unwrap();
    let image = &bench.spin;
    for kill in 0..kills {
        let (started, when) = mpsc::channel();
        let mut ear = Ear { out: Vec::new(), started };
        let mut task = Task::new(image, b"");
        task.limits = Limits { wall: ms(30_000), heap: 64 << 10, ..Limits::default() };
        let (other, known, stop) = (bench.client.clone(), &bench.known, &stop);
        let result = std::thread::scope(|scope| {
            scope.spawn(move || {
                if when.recv().is_err() {
                    return;
                }
                if kill % 10 == 9 {
                    other.abort(known).unwrap_or_else(|e| panic!("kill {kill}: {e}"));
                } else {
                    stop.store(true, std::sync::atomic::Ordering::Relaxed);
                }
            });
            let result = bench.client.run(&bench.known, &task, &mut ear);
            drop(ear);
            result
        });
        stop.store(false, std::sync::atomic::Ordering::Relaxed);
        match result {
            Err(Error::Interrupted { .. }) => {}
            Err(Error::Ended(ended)) => {
                assert_eq!(ended.report.receipt.status(), Status::ABORTED_OWNER, "kill {kill}");
            }
            other => panic!("kill {kill}: {other:?}; {:?}", bench.board.lines().last()),
        }
    }
    let after = bench.client.ping(&bench.known).unwrap();
    assert_eq!((after.memory_kib, after.phase), (before.memory_kib, before.phase));
    assert_eq!(after.tasks - before.tasks, kills);
    let (receipt, _) = bench.quietly("sleep", Limits::default());
    assert_eq!(receipt.status(), Status::OK);
}

//! A kernel that breaks: it says so, resets the board, and the next boot knows
//! why. The tests break it through the emulator's debugger port, which writes
//! where the MMU would not let anybody.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use e2e::bench::payload;
use e2e::gdb::{self, Stopped};
use sk_client::{
    Addressing, Client, Error, LastEnd, Reason, Search, Selector, Silent, State, Store, Task,
};
use sk_emulator::Board;

/// `b .`
const HANG: u32 = 0xEAFF_FFFE;
/// `udf #0`
const UNDEFINED: u32 = 0xE7F0_00F0;
/// The longest from a hang to the reset: patience, chances, the way there; and
/// a host with other work.
const LONG: Duration = Duration::from_secs(60);

struct Bench {
    board: Board,
    client: Client,
    known: sk_client::Board,
    socket: PathBuf,
    _dir: tempfile::TempDir,
}

impl Bench {
    fn new(name: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::at(&dir.path().join("keys"));
        let made = store.provision(name, Addressing::Dhcp).unwrap();
        let socket = dir.path().join("gdb");
        let mut config = e2e::zero();
        config.blob = Some(made.blob.clone());
        config.reboot = true;
        config.extra = gdb::option(&socket).into();
        let mut board = e2e::start(config);
        e2e::expect(&mut board, "DhcpBound");
        let address = board.address().unwrap();
        let mut client = Client::new(store);
        client.targets = vec![address];
        client.broadcast = false;
        let known = client.find(&Selector::Address(address)).unwrap();
        Self { board, client, known, socket, _dir: dir }
    }

    /// Writes a word into the standing board.
    fn poke(&self, address: u32, word: u32) {
        let mut stopped = Stopped::at(&self.socket);
        assert_ne!(stopped.word(address), word, "nothing would change");
        stopped.set_word(address, word);
        stopped.go();
    }

    fn flip(&self, address: u32) {
        let mut stopped = Stopped::at(&self.socket);
        let word = stopped.word(address);
        stopped.set_word(address, word ^ 0x0100);
        stopped.go();
    }

    fn say(&mut self, pattern: &str) -> String {
        self.board.wait_for_line(pattern, LONG).unwrap_or_else(|error| panic!("{error}"))
    }

    /// It is up again, knows how it ended, and does its work.
    fn is_back(&mut self, end: LastEnd) {
        self.say(&format!("last boot: {}", end.text()));
        self.say("DhcpBound");
        let pong = self.client.ping(&self.known).unwrap();
        assert_eq!(LastEnd::from_byte(pong.last_end), Some(end));
        let image = fs::read(payload("hello")).unwrap();
        self.client.run(&self.known, &Task::new(&image, b""), &mut Silent).unwrap();
        assert_eq!(self.board.resets(), 1);
    }
}

/// The function of the health slot, which runs every two seconds.
fn health() -> u32 {
    gdb::address("timetable::health")
}

#[test]
fn a_hung_executive_is_struck_out() {
    let mut bench = Bench::new("hung");
    bench.poke(health(), HANG);
    bench.say("kernel fault: the executive does not come round");
    bench.say("*** resetting");
    bench.is_back(LastEnd::Hang);
    let said = bench.board.lines();
    let told = said.iter().find(|line| line.contains("does not come round at"));
    let told = told.unwrap_or_else(|| panic!("{said:#?}"));
    assert!(told.contains(&format!("at {:#x}", health())), "{told}");
}

#[test]
fn a_kernel_fault_ends_in_a_reset() {
    let mut bench = Bench::new("faulty");
    bench.poke(health(), UNDEFINED);
    bench.say("kernel fault: undefined instruction");
    bench.is_back(LastEnd::Fault);
}

#[test]
fn a_changed_byte_of_the_kernel_is_found_after_the_next_payload() {
    for (name, address, area) in [
        // Code that runs in a panic only; a page of nobody's in the tables.
        ("text", gdb::address("rust_begin_unwind"), "image"),
        ("tables", gdb::address("__l1_final") + 4 * 0x3FF, "page table, first level"),
    ] {
        let mut bench = Bench::new(name);
        bench.flip(address);
        let image = fs::read(payload("hello")).unwrap();
        bench.client.run(&bench.known, &Task::new(&image, b""), &mut Silent).unwrap();
        bench.say(&format!("INTEGRITY: {area} changed in memory; resetting"));
        bench.is_back(LastEnd::Integrity);
    }
}

#[test]
fn and_without_a_payload_by_the_patrol() {
    let mut bench = Bench::new("patrol");
    bench.flip(gdb::address("rust_begin_unwind"));
    let told = bench.board.wait_for_line("INTEGRITY", Duration::from_secs(120));
    told.unwrap_or_else(|error| panic!("{error}"));
    bench.is_back(LastEnd::Integrity);
}

#[test]
fn a_broken_setting_of_the_processor_is_found_before_the_watchdog_is_fed() {
    let mut bench = Bench::new("setting");
    // The lowest word of the stack: where only an overflow comes to.
    bench.poke(gdb::address("__svc_stack"), 0);
    bench.say("kernel invariant 0x30000: a stack was used to its last word");
    bench.is_back(LastEnd::Invariant);
}

#[test]
fn a_reset_without_a_word_is_told_apart() {
    let mut bench = Bench::new("silent");
    bench.board.qmp().execute("system_reset", serde_json::json!({})).unwrap();
    bench.say(&format!("last boot: {}", LastEnd::NoWord.text()));
    bench.say("DhcpBound");
    let pong = bench.client.ping(&bench.known).unwrap();
    assert_eq!(LastEnd::from_byte(pong.last_end), Some(LastEnd::NoWord));
}

#[test]
fn who_crashes_again_and_again_is_stopped() {
    let mut bench = Bench::new("sisyphus");
    for crash in 1..=3 {
        bench.poke(health(), UNDEFINED);
        bench.say("*** resetting");
        bench.say(&format!("{crash} in a row"));
        if crash < 3 {
            bench.say("DhcpBound");
        }
    }
    bench.say(&format!("FAULT: {}", Reason::CrashLoop.text()));
    bench.say("DhcpBound");
    // It is there, says why, and runs nothing.
    let search = Search {
        targets: bench.client.targets.clone(),
        broadcast: false,
        timeout: Duration::from_secs(10),
        every: Duration::from_millis(200),
    };
    let found = sk_client::search(&search, |found, _| !found.is_empty()).unwrap();
    assert_eq!((found[0].state, found[0].reason), (State::Fault, Reason::CrashLoop));
    let image = fs::read(payload("hello")).unwrap();
    let ran = bench.client.run(&bench.known, &Task::new(&image, b""), &mut Silent);
    assert!(matches!(ran, Err(Error::Fault { .. })), "{ran:?}");
    // And one more is the last.
    bench.poke(health(), UNDEFINED);
    bench.say("4 crashes in a row; stopped");
    assert_eq!(bench.board.resets(), 3);
}

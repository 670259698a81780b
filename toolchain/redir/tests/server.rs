//! The thread: sockets, cables, the two plugs, and its end.

mod guest;

use std::io::{Read, Write};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use guest::{Ear, ask_in, hello, say, send_out};
use sk_models::ecm::{EcmFunction, HIGH_SPEED_ECM};
use sk_redir::wire::Message;
use sk_redir::{Cable, Pcap, Server};

const LONG: Duration = Duration::from_secs(10);

struct Bench {
    dir: tempfile::TempDir,
    server: Server,
    adapter: Arc<Mutex<EcmFunction>>,
    wire: UnixDatagram,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let adapter = Arc::new(Mutex::new(EcmFunction::high_speed([2, 0, 0, 0, 0, 1])));
        let (cable, wire) = Cable::pair().unwrap();
        wire.set_read_timeout(Some(LONG)).unwrap();
        let pcap = Pcap::create(&dir.path().join("frames.pcap")).unwrap();
        let socket = dir.path().join("usb");
        let server = Server::start(&socket, Arc::clone(&adapter), cable, Some(pcap)).unwrap();
        Self { dir, server, adapter, wire }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("usb")
    }

    fn until(&self, what: impl Fn(&sk_redir::Status) -> bool) {
        let end = Instant::now() + LONG;
        while !what(&self.server.status()) {
            assert!(Instant::now() < end, "{:?}", self.server.status());
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A guest that waits for what it wants to hear.
struct Guest {
    stream: UnixStream,
    ear: Ear,
}

impl Guest {
    fn new(bench: &Bench) -> Self {
        let stream = UnixStream::connect(bench.path()).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        let mut guest = Self { stream, ear: Ear::default() };
        guest.stream.write_all(&hello()).unwrap();
        guest.hear(|m| matches!(m, Message::DeviceConnect(_)));
        guest
    }

    fn say(&mut self, id: u64, message: Message) {
        self.stream.write_all(&say(id, message)).unwrap();
    }

    fn hear(&mut self, wanted: impl Fn(&Message) -> bool) -> Message {
        let mut buffer = [0; 4096];
        loop {
            let length = self.stream.read(&mut buffer).expect("an answer");
            assert_ne!(length, 0, "the server hung up");
            let mut heard = self.ear.hear(&buffer[..length]).into_iter();
            if let Some((_, message)) = heard.find(|(_, message)| wanted(message)) {
                return message;
            }
        }
    }

    fn configure(&mut self) {
        self.say(1, Message::SetConfiguration(HIGH_SPEED_ECM));
        self.say(2, Message::SetAlternate { interface: 1, alternate: 1 });
        self.hear(|m| matches!(m, Message::AlternateStatus { status: 0, .. }));
    }
}

#[test]
fn frames_go_both_ways_and_into_the_file() {
    let bench = Bench::new();
    let mut guest = Guest::new(&bench);
    guest.configure();
    bench.until(|status| status.configuration == HIGH_SPEED_ECM);
    guest.say(3, send_out(0x02, b"a frame to the cable"));
    let mut buffer = [0; 2000];
    let length = bench.wire.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"a frame to the cable");
    guest.say(4, ask_in(0x82, 512));
    bench.wire.send(b"and one from it").unwrap();
    let Message::Bulk(answer) =
        guest.hear(|m| matches!(m, Message::Bulk(bulk) if !bulk.data.is_empty()))
    else {
        unreachable!("asked for")
    };
    assert_eq!(answer.data, b"and one from it");
    let status = bench.server.status();
    assert_eq!((status.frames_in, status.frames_out), (1, 1));
    let pcap = std::fs::read(bench.dir.path().join("frames.pcap")).unwrap();
    assert_eq!(pcap.len(), 24 + 16 + 20 + 16 + 15);
    assert!(pcap.ends_with(b"and one from it"));
}

#[test]
fn the_plug_goes_out_and_in() {
    let bench = Bench::new();
    let mut guest = Guest::new(&bench);
    guest.configure();
    for _ in 0..3 {
        bench.server.set_plugged(false);
        guest.hear(|m| matches!(m, Message::DeviceDisconnect));
        bench.until(|status| !status.attached);
        bench.server.set_plugged(true);
        guest.hear(|m| matches!(m, Message::DeviceConnect(_)));
        guest.configure();
    }
    bench.server.set_link(false);
    guest.say(9, Message::StartInterrupt(0x81));
    guest.hear(|m| matches!(m, Message::Interrupt(i) if i.data[2] == 1));
    guest.hear(|m| matches!(m, Message::Interrupt(i) if i.data[2] == 0));
}

#[test]
fn the_next_guest_finds_it_as_new() {
    let bench = Bench::new();
    for _ in 0..3 {
        let mut guest = Guest::new(&bench);
        guest.configure();
        bench.until(|status| status.configuration == HIGH_SPEED_ECM);
        drop(guest);
        bench.until(|status| !status.connected && status.configuration == 0);
        assert_eq!(bench.adapter.lock().unwrap().configuration(), 0);
    }
    let mut guest = Guest::new(&bench);
    guest.stream.write_all(&[0xff; 100]).unwrap();
    bench.until(|status| status.violations == 1 && !status.connected);
    assert_eq!(guest.stream.read(&mut [0; 4096]).unwrap_or(0), 0);
}

#[test]
fn it_ends_with_its_value() {
    let bench = Bench::new();
    let guest = Guest::new(&bench);
    let Bench { server, adapter, .. } = bench;
    let began = Instant::now();
    drop(server);
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!(Arc::strong_count(&adapter), 1, "the thread has let go of it");
    drop(guest);
}

//! Payloads that speak UDP: every datagram comes back, the kernel's ports stay
//! the kernel's, no wait is without an end, and nothing of a task's sockets is
//! there for the next one. And what an echo costs.

use std::collections::BTreeMap;
use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use e2e::bench::payload;
use sk_client::{Addressing, Client, Error, Events, Limits, Report, Selector, Store, Task};
use sk_emulator::{Adapter, Board, Plugin};
use sk_wire::blob::{Config, MAX_BLOB_LEN};

const PORT: u16 = 7;

/// A board and its user.
struct Bench {
    client: Client,
    known: sk_client::Board,
    board: Board,
    dir: tempfile::TempDir,
}

/// Keeps what the payload writes, and tells when it has begun to: both examples
/// have their ports by then.
struct Watch {
    begun: mpsc::Sender<()>,
    out: Vec<u8>,
    err: Vec<u8>,
}

impl Events for Watch {
    fn stdout(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let _ = self.begun.send(());
        self.out.extend(bytes);
        Ok(())
    }
    fn stderr(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let _ = self.begun.send(());
        self.err.extend(bytes);
        Ok(())
    }
}

/// The board's configuration with another pace for its user's tasks.
fn paced(blob: &[u8], packets_per_s: u32) -> Vec<u8> {
    let old = Config::decode(blob).unwrap();
    let mut new = Config::empty();
    new.device_label.clone_from(&old.device_label);
    new.set_device_seed(old.device_seed());
    let mut client = old.clients()[0].clone();
    client.packets_per_s = packets_per_s;
    new.add_client(client, None, old.psk(0).unwrap()).unwrap();
    let mut bytes = vec![0; MAX_BLOB_LEN];
    let len = new.encode(&mut bytes).unwrap();
    bytes.truncate(len);
    bytes
}

impl Bench {
    fn new(name: &str, packets_per_s: u32, count: Option<&Path>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::at(dir.path());
        let made = store.provision(name, Addressing::Dhcp).unwrap();
        let mut config = e2e::zero();
        config.blob = Some(paced(&made.blob, packets_per_s));
        config.plugin = count.map(|out| {
            let mut plugin = Plugin::built(out).expect("cargo builds it with this test");
            plugin.options =
                e2e::layers::ranges().iter().map(|range| format!("range={range}")).collect();
            if profile().is_some() {
                plugin.options.push("each=8000-100000".into());
            }
            plugin
        });
        let mut board = e2e::start(config);
        e2e::expect(&mut board, "DhcpBound");
        let address = board.address().unwrap();
        let mut client = Client::new(store);
        client.targets = vec![address];
        client.broadcast = false;
        let known = client.find(&Selector::Address(address)).unwrap();
        Self { client, known, board, dir }
    }

    /// Runs a payload, and meanwhile `during`.
    fn run<T>(
        &self,
        name: &str,
        args: &[&str],
        wall: Duration,
        during: impl FnOnce() -> T,
    ) -> (Result<Report, Error>, Watch, T) {
        let image = fs::read(payload(name)).unwrap();
        let mut task = Task::new(&image, b"");
        task.args = args.iter().map(|a| (*a).to_owned()).collect();
        task.limits = Limits { wall: Some(wall), ..Limits::default() };
        let (begun, has_begun) = mpsc::channel();
        let mut watch = Watch { begun, out: Vec::new(), err: Vec::new() };
        let (client, known) = (&self.client, &self.known);
        std::thread::scope(|scope| {
            let runner = scope.spawn(|| {
                let result = client.run(known, &task, &mut watch);
                (result, watch)
            });
            // One that writes nothing ends the channel.
            let _ = has_begun.recv();
            let value = during();
            let (result, watch) = runner.join().unwrap();
            (result, watch, value)
        })
    }

    fn socket(&self, port: u16) -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(self.board.forward(port).unwrap()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket
    }
}

/// A datagram that tells itself from all others.
fn datagram(number: u32, len: usize) -> Vec<u8> {
    let mut x = number.wrapping_mul(0x9E37_79B1) | 1;
    let noise = std::iter::repeat_with(|| {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        x as u8
    });
    number.to_le_bytes().into_iter().chain(noise).take(len).collect()
}

/// Sends `count` datagrams, `window` at a time, and takes them back in order.
fn echo(socket: &UdpSocket, count: u32, window: u32, len: impl Fn(u32) -> usize) {
    let mut sent = 0;
    let mut buf = [0; 2000];
    for expected in 0..count {
        while sent < count && sent - expected < window {
            socket.send(&datagram(sent, len(sent))).unwrap();
            sent += 1;
        }
        let n = socket.recv(&mut buf).unwrap_or_else(|e| panic!("echo {expected}: {e}"));
        let wanted = datagram(expected, len(expected));
        assert!(buf[..n] == wanted, "echo {expected}: {n} bytes of {}", wanted.len());
    }
}

const LONG: Duration = Duration::from_secs(60);

#[test]
fn every_datagram_comes_back() {
    let bench = Bench::new("echo", 1_000_000, None);
    let socket = bench.socket(PORT);
    for name in ["udp-echo", "udp-echo-c"] {
        let (result, watch, ()) = bench.run(name, &["7"], LONG, || {
            echo(&socket, 1_000, 1, |_| 64);
            echo(&socket, 1_000, 16, |_| 64);
            echo(&socket, 1_472, 1, |n| n as usize + 1);
            socket.send(b"stop").unwrap();
        });
        assert_eq!(result.unwrap().receipt.exit, 0, "{name}: {:?}", watch.err);
    }
}

#[test]
fn the_pace_of_the_client_is_kept() {
    let bench = Bench::new("pace", 200, None);
    let socket = bench.socket(PORT);
    let (result, _, took) = bench.run("udp-echo", &["7", "120"], LONG, || {
        let began = Instant::now();
        echo(&socket, 120, 1, |_| 64);
        began.elapsed()
    });
    assert_eq!(result.unwrap().receipt.exit, 0);
    // 20 at once, then 5 ms each.
    assert!(took > Duration::from_millis(450), "{took:?}");
}

#[test]
fn ports_waits_and_the_next_task() {
    let bench = Bench::new("ports", 1_000, None);
    for port in ["24139", "68", "5353"] {
        let (result, watch, ()) = bench.run("udp-echo", &[port], LONG, || ());
        assert_eq!(result.unwrap().receipt.exit, 1, "{port}");
        assert_eq!(watch.err, b"error: the port belongs to the kernel\n");
    }

    // A wait with an end; what comes meanwhile, cut to the buffer.
    let socket = bench.socket(4_321);
    let began = Instant::now();
    let (result, watch, ()) = bench.run("network", &["400"], LONG, || {
        socket.send(&[9; 40]).unwrap();
    });
    assert_eq!(result.unwrap().receipt.exit, 0);
    assert!(began.elapsed() > Duration::from_millis(400));
    let text = String::from_utf8(watch.out).unwrap();
    assert!(text.contains("address [10, 0, 2, 15]/24, router [10, 0, 2, 2]"), "{text}");
    assert!(text.contains("neighbour [10, 0, 2, 2] is ["), "{text}");
    assert!(text.contains("40 bytes from [10, 0, 2, 2] to port 4321: [9, 9"), "{text}");

    // Ended while it waits; the next task gets the port, and nothing that was
    // sent to the one before or to nobody.
    let socket = bench.socket(PORT);
    let (result, ..) = bench.run("udp-echo", &["7"], Duration::from_millis(500), || {
        echo(&socket, 3, 1, |_| 64);
    });
    match result {
        Err(Error::Ended(ended)) => {
            assert_eq!(ended.report.receipt.status(), sk_client::Status::WALL_DEADLINE);
        }
        other => panic!("{other:?}"),
    }
    socket.send(b"stop").unwrap();
    std::thread::sleep(Duration::from_millis(100));
    let (result, ..) = bench.run("udp-echo", &["7", "3"], LONG, || echo(&socket, 3, 1, |_| 64));
    assert_eq!(result.unwrap().receipt.exit, 0);
}

/// Where the counts of each instruction are to go, `$SK_PROFILE`.
fn profile() -> Option<PathBuf> {
    std::env::var_os("SK_PROFILE").map(PathBuf::from)
}

/// Instructions from power on to the end of a task that sends back `count`
/// datagrams, by layer; `""` is the whole board.
fn counted(name: &str, count: u32, window: u32) -> BTreeMap<String, u64> {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("count.txt");
    let bench = Bench::new(name, 1_000_000, Some(&out));
    let socket = bench.socket(PORT);
    let number = count.to_string();
    let (result, ..) =
        bench.run("udp-echo", &["7", &number], LONG, || echo(&socket, count, window, |_| 64));
    assert_eq!(result.unwrap().receipt.exit, 0);
    let Bench { board, dir: _dir, .. } = bench;
    board.quit(LONG).unwrap();
    if let Some(folder) = profile() {
        fs::copy(&out, folder.join(format!("{name}.txt"))).unwrap();
    }
    let text = fs::read_to_string(out).unwrap();
    let mut counts = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        let (layer, number) = match words[..] {
            ["exit", number] => ("", number),
            ["range", layer, number] => (layer, number),
            _ => continue,
        };
        *counts.entry(layer.to_owned()).or_default() += number.parse::<u64>().unwrap();
    }
    counts
}

/// The first number of the line `name = number` in the file of budgets.
fn budget(name: &str) -> u64 {
    let text = include_str!("../budgets.toml");
    let line =
        text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix('='));
    line.unwrap_or_else(|| panic!("no {name} in budgets.toml")).trim().parse().unwrap()
}

fn cost(name: &str, window: u32) {
    const FEW: u32 = 1_000;
    const MANY: u32 = 21_000;
    let few = counted(&format!("{name}-few"), FEW, window);
    let many = counted(&format!("{name}-many"), MANY, window);
    let each = |layer: &str| many[layer].saturating_sub(few[layer]) / u64::from(MANY - FEW);
    let all = each("");
    println!("{name}: {all} instructions per echo of 64 bytes");
    let mut known = 0;
    for layer in many.keys().filter(|layer| !layer.is_empty()) {
        println!("  {layer:10} {:5}", each(layer));
        known += each(layer);
    }
    println!("  {:10} {:5}", "unnamed", all.saturating_sub(known));
    assert!(each("payload") > 0 && known * 100 >= all * 95, "{known} of {all} are accounted for");
    let name = match e2e::zero().adapter {
        Adapter::UsbNet => name.to_owned(),
        Adapter::Ecm => format!("{name}-ecm"),
        Adapter::Lan9512 => format!("{name}-lan9512"),
    };
    let budget = budget(&name);
    assert!(all <= budget, "{name}: {all} instructions per echo, {budget} allowed");
}

#[test]
fn cost_of_an_echo_ping_pong() {
    cost("echo-1", 1);
}

#[test]
fn cost_of_an_echo_16_in_flight() {
    cost("echo-16", 16);
}

//! Large objects, many runs, a bad cable: what is fine once must be fine for
//! long.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use e2e::bench::{Desk, noise, payload};
use md5::{Digest, Md5};
use sk_client::{Addressing, Client, Events, Limits, Store, Task};
use sk_emulator::Faults;

const MIB: usize = 1 << 20;

fn hex(bytes: &[u8]) -> String {
    Md5::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

fn copy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("payloads/copy.c")
}

/// What `sk info` says of memory.
fn memory(desk: &Desk, board: &str) -> String {
    let info = desk.run(&["info", "--board", board], b"");
    let text = String::from_utf8_lossy(&info.out).into_owned();
    let line = text.lines().find(|line| line.starts_with("memory"));
    line.unwrap_or_else(|| panic!("{info:?}")).to_owned()
}

/// `mov r0, #0; bx lr`, and a mebibyte of text after it.
fn large_image() -> Vec<u8> {
    let text_len = MIB as u32;
    let mut image = vec![b'K', sk_abi::image::VERSION, 0];
    let mut rest = text_len;
    while rest >= 0x80 {
        image.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    image.push(rest as u8);
    let code = [0xE3A0_0000_u32, 0xE12F_FF1E];
    image.extend(code.iter().flat_map(|word| word.to_le_bytes()));
    image.extend(noise(MIB - 8, 5));
    image
}

#[test]
fn the_largest_image_and_input() {
    let desk = Desk::new();
    let _board = desk.emu("large", &[]);
    let before = memory(&desk, "large");
    let image = desk.folder().join("large.skp");
    fs::write(&image, large_image()).unwrap();
    let ran = desk.run_payload("large", &image, &[], b"");
    assert_eq!((ran.code, ran.out.len()), (0, 0), "{}", ran.err);
    let input = noise(16 * MIB, 9);
    let ran = desk.run_payload("large", &payload("md5"), &["--timeout", "1m"], &input);
    assert_eq!((ran.code, ran.out), (0, (hex(&input) + "\n").into_bytes()), "{}", ran.err);
    assert_eq!(memory(&desk, "large"), before);
}

/// On a board with a LAN9512: QEMU's own adapter sends a datagram in 13 ms, and
/// would take minutes.
#[test]
fn the_largest_output() {
    let desk = Desk::new();
    let _board = desk.emu_1b("talker");
    let input = noise(16 * MIB, 11);
    let options = ["--max-output", "16M", "--timeout", "1m"];
    let ran = desk.run_payload("talker", &copy(), &options, &input);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out == input, "{} bytes of output differ", ran.out.len());
}

#[test]
fn two_hundred_runs_in_a_row() {
    let desk = Desk::new();
    let _board = desk.emu("worker", &[]);
    let before = memory(&desk, "worker");
    let (md5, panics) = (payload("md5"), payload("panics"));
    for run in 0..200_u32 {
        // A fault now and then must leave nothing behind either.
        if run % 20 == 19 {
            assert_eq!(desk.run_payload("worker", &panics, &["--", "x"], b"").code, 134);
            continue;
        }
        let input = noise(run as usize * 331, run);
        let ran = desk.run_payload("worker", &md5, &[], &input);
        assert_eq!(
            (ran.code, ran.out),
            (0, (hex(&input) + "\n").into_bytes()),
            "run {run}: {}",
            ran.err
        );
    }
    assert_eq!(memory(&desk, "worker"), before);
}

/// Collects the output.
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

/// `copy.c` with so many more bytes in its image.
fn copy_with_ballast(desk: &Desk, len: usize) -> PathBuf {
    let bytes: String = noise(len, 3).iter().map(|b| format!("{b},")).collect();
    let text = fs::read_to_string(copy()).unwrap();
    let text = text.replace("int main(void)\n{\n", &format!(
        "static const volatile unsigned char ballast[] = {{{bytes}}};\nint main(void)\n{{\n    (void)ballast[sk_input_len() % {len}];\n"
    ));
    let (source, image) = (desk.folder().join("ballast.c"), desk.folder().join("ballast.skp"));
    fs::write(&source, text).unwrap();
    let built = desk.run(&["build", source.to_str().unwrap(), "-o", image.to_str().unwrap()], b"");
    assert_eq!(built.code, 0, "{}", built.err);
    assert!(fs::metadata(&image).unwrap().len() >= len as u64);
    image
}

/// 64 KiB of image, 1 MiB in, 1 MiB out, over a cable that loses, doubles and
/// reorders 5 % of the frames each way and damages 1 % of those to the board.
/// On a board with a LAN9512, for the same reason; `SK_RUNS` says how often.
#[test]
fn a_cable_that_loses_doubles_reorders_and_damages_frames() {
    let runs = std::env::var("SK_RUNS").map_or(10, |runs| runs.parse().unwrap());
    let seed = std::env::var("SK_SEED").map_or(0x5EED, |seed| seed.parse().unwrap());
    let desk = Desk::new();
    let image = fs::read(copy_with_ballast(&desk, 64 << 10)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(&dir.path().join("keys"));
    let provisioned = store.provision("frayed", Addressing::Dhcp).unwrap();
    let faults = Faults { lost: 50, doubled: 50, reordered: 50, damaged: 10, seed };
    println!("{runs} runs, seed {seed}");
    let mut config = e2e::one_b();
    config.blob = Some(provisioned.blob.clone());
    config.faults = faults;
    let mut board = e2e::start(config);
    e2e::expect(&mut board, "DhcpBound");
    let mut client = Client::new(store);
    client.broadcast = false;
    client.targets = vec![board.address().expect("an address")];
    for run in 0..runs {
        let input = noise(MIB, run);
        let found = client.find(&sk_client::Selector::Known).unwrap_or_else(|e| panic!("{e}"));
        let mut output = Output::default();
        let wall = Some(Duration::from_secs(60));
        let limits = Limits { stdout: MIB as u32, wall, ..Limits::default() };
        let task = Task { limits, ..Task::new(&image, &input) };
        client.run(&found, &task, &mut output).unwrap_or_else(|e| panic!("run {run}: {e}"));
        assert_eq!(hex(&output.0), hex(&input), "run {run}");
    }
}

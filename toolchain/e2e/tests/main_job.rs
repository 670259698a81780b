//! The main job as a user does it: a board is found, a payload sent, run, and
//! its result brought back; and every way in which that may go wrong ends in
//! one clear sentence, a documented exit code, and a board that runs the next
//! payload right.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use e2e::bench::{Desk, all, ended, noise, payload};
use md5::{Digest, Md5};

fn md5_of(bytes: &[u8]) -> String {
    Md5::digest(bytes).iter().map(|b| format!("{b:02x}")).collect::<String>() + "\n"
}

/// A good run: what every test of a bad one ends with.
fn works(desk: &Desk, board: &str) {
    let input = noise(20_000, 7);
    let ran = desk.run_payload(board, &payload("md5"), &[], &input);
    assert_eq!((ran.code, ran.out), (0, md5_of(&input).into_bytes()), "{}", ran.err);
}

#[test]
fn a_large_file_is_hashed_by_a_board_found_by_itself() {
    let desk = Desk::new();
    let _board = desk.emu("finder", &[]);
    let input = noise(1_400_000, 1);
    let image = payload("md5");
    let ran = desk.run(&["run", image.to_str().unwrap()], &input);
    assert_eq!((ran.code, ran.out), (0, md5_of(&input).into_bytes()), "{}", ran.err);
    assert!(ran.err.contains("finder: sent"), "{}", ran.err);
    let scan = desk.run(&["scan"], b"");
    assert!(String::from_utf8_lossy(&scan.out).contains("finder"), "{scan:?}");
}

#[test]
fn the_smallest_payload_is_ended_by_its_deadline() {
    let desk = Desk::new();
    let _board = desk.emu("spinner", &[]);
    let spin = payload("spin");
    assert!(fs::metadata(&spin).unwrap().len() <= 14);
    let ran = desk.run_payload("spinner", &spin, &["--timeout", "1s"], b"");
    assert_eq!(ran.code, 124, "{}", ran.err);
    assert!(ran.error().contains("still running"), "{}", ran.err);
    works(&desk, "spinner");
}

#[test]
fn bad_images_are_refused_by_name() {
    let desk = Desk::new();
    let _board = desk.emu("checker", &[]);
    let good = fs::read(payload("hello")).unwrap();
    let flipped = |at: usize, bits: u8| {
        let mut bytes = good.clone();
        bytes[at] ^= bits;
        bytes
    };
    for (what, bytes, sentence) in [
        ("truncated", good[..good.len() / 2].to_vec(), "does not fit its announced size"),
        ("a length with a bit flipped", flipped(3, 0x40), "does not fit its announced size"),
        ("another ABI", flipped(1, 0x03), "another ABI version"),
        ("another format", flipped(1, 0x30), "does not accept this image format"),
        ("no image at all", b"hello".to_vec(), "not a payload image"),
    ] {
        let file = desk.folder().join("bad.skp");
        fs::write(&file, bytes).unwrap();
        let ran = desk.run_payload("checker", &file, &[], b"");
        assert_eq!(ran.code, 126, "{what}: {}", ran.err);
        assert!(ran.error().contains(sentence), "{what}: {}", ran.err);
        works(&desk, "checker");
    }
}

#[test]
fn faults_and_exit_codes_come_through() {
    let desk = Desk::new();
    let _board = desk.emu("faulty", &[]);
    for (name, arguments, code, sentence) in [
        ("panics", &["--", "x"][..], 134, "panicked"),
        ("recursion", &[][..], 139, "stack overflow"),
        ("exit-code", &["--", "42"][..], 42, ""),
        ("flood", &["--max-output", "64K", "--timeout", "20s"][..], 139, "output"),
    ] {
        let ran = desk.run_payload("faulty", &payload(name), arguments, b"");
        assert_eq!(ran.code, code, "{name}: {}", ran.err);
        assert!(sentence.is_empty() || ran.error().contains(sentence), "{name}: {}", ran.err);
        works(&desk, "faulty");
    }
}

#[test]
fn without_a_configuration_a_board_says_so_and_runs_nothing() {
    let desk = Desk::new();
    let board = desk.emu("blank", &["--no-blob"]);
    assert!(board.ready.contains("no configuration"), "{}", board.ready);
    let scan = desk.run(&["scan"], b"");
    let table = String::from_utf8_lossy(&scan.out).into_owned();
    assert!(table.contains("fault") && table.contains("no configuration"), "{table}");
    let image = payload("hello");
    let address = address_of(&desk, "fault");
    let ran = desk.run(&["run", "--board", &address, image.to_str().unwrap()], b"");
    assert_eq!(ran.code, 125, "{ran:?}");
    assert!(ran.err.contains("no configuration"), "{}", ran.err);
}

#[test]
fn a_strangers_key_is_refused() {
    let owner = Desk::new();
    let _board = owner.emu("private", &[]);
    // Knows everything of the board but holds another client key.
    let stranger = Desk::new();
    let copy = |from: &str| {
        let to = stranger.keys().join(from);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(owner.keys().join(from), to).unwrap();
    };
    for entry in fs::read_dir(owner.keys().join("boards")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        copy(&format!("boards/{name}"));
    }
    let address = address_of(&owner, "private");
    let image = payload("hello");
    let ran = stranger.run(&["run", "--board", &address, image.to_str().unwrap()], b"");
    assert_eq!(ran.code, 125, "{}", ran.err);
    assert!(!ran.error().is_empty());
    works(&owner, "private");
}

/// Where the board answers whose line in `sk scan` holds `word`.
fn address_of(desk: &Desk, word: &str) -> String {
    let scan = desk.run(&["scan"], b"");
    let table = String::from_utf8_lossy(&scan.out).into_owned();
    let line = table.lines().find(|line| line.contains(word)).unwrap_or_else(|| panic!("{table}"));
    let field = line.split_whitespace().find(|field| field.starts_with("127.0.0.1:"));
    field.unwrap_or_else(|| panic!("{table}")).to_owned()
}

#[test]
fn no_board_is_no_riddle() {
    let desk = Desk::new();
    let image = payload("hello");
    let ran = desk.run(&["run", "--board", "nobody", image.to_str().unwrap()], b"");
    assert_eq!(ran.code, 127, "{}", ran.err);
    assert!(ran.error().contains("nobody"), "{}", ran.err);
}

#[test]
fn a_board_gone_in_mid_transfer_is_missed() {
    let desk = Desk::new();
    let mut board = desk.emu("mortal", &[]);
    let input = desk.folder().join("input");
    fs::write(&input, noise(12_000_000, 3)).unwrap();
    let mut child = desk
        .sk()
        .args(["run", "--board", "mortal", "--input"])
        .arg(&input)
        .arg(payload("md5"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(1200));
    assert_eq!(ended(&mut child, Duration::ZERO), None, "the transfer was over before the cut");
    board.cut();
    let code = ended(&mut child, Duration::from_secs(60)).expect("sk gives up");
    let err = all(child.stderr.as_mut().unwrap());
    assert_eq!(code, 125, "{err}");
    assert!(err.contains("error: ") && err.contains("mortal"), "{err}");
    drop(board);
    let _again = desk.emu("mortal", &[]);
    works(&desk, "mortal");
}

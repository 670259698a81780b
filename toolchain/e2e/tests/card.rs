//! From a card and from a new project to a running payload.
//!
//! QEMU has no VideoCore: what the firmware would do with a card (find the
//! partition, read `config.txt`, load two files) is done here.

use std::fs;
use std::io::{Cursor, Read};
use std::path::Path;
use std::process::Stdio;

use e2e::bench::{Desk, payload};
use e2e::{artefacts, expect, start};
use fatfs::{FileSystem, FsOptions};
use mbrman::MBR;
use sk_emulator::{BLOB_ADDRESS, BoardConfig};

/// Files with the firmware's names.
fn firmware(folder: &Path) {
    fs::create_dir(folder).unwrap();
    for (name, bytes) in [
        ("bootcode.bin", &b"boot"[..]),
        ("start_cd.elf", b"\x7fELF"),
        ("fixup_cd.dat", b"fixup"),
        ("LICENCE.broadcom", b"licence"),
    ] {
        fs::write(folder.join(name), bytes).unwrap();
    }
}

/// What the firmware loads: the kernel, and the initial RAM disk with its place.
fn load(card: &Path) -> (Vec<u8>, Vec<u8>, u32) {
    let disk = fs::read(card).unwrap();
    let table = MBR::read_from(&mut Cursor::new(&disk), 512).unwrap();
    let start = table[1].starting_lba as usize * 512;
    let volume = FileSystem::new(Cursor::new(disk[start..].to_vec()), FsOptions::new()).unwrap();
    let read = |name: &str| {
        let mut bytes = Vec::new();
        volume.root_dir().open_file(name).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    };
    let config = String::from_utf8(read("config.txt")).unwrap();
    let kernel = config.lines().find_map(|line| line.strip_prefix("kernel=")).unwrap();
    let blob = config.lines().find_map(|line| line.strip_prefix("initramfs ")).unwrap();
    let (blob, place) = blob.split_once(" 0x").unwrap();
    (read(kernel), read(blob), u32::from_str_radix(place, 16).unwrap())
}

#[test]
fn a_card_makes_a_board_that_its_owner_can_use_at_once() {
    let desk = Desk::new();
    firmware(&desk.folder().join("fw"));
    let card = desk.folder().join("sd.img");
    let made = desk
        .sk()
        .args(["image", "--board", "zero", "--name", "carded", "--out"])
        .arg(&card)
        .arg("--firmware")
        .arg(desk.folder().join("fw"))
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let (kernel, blob, place) = load(&card);
    assert!(kernel == fs::read(artefacts().join("kernel.img")).unwrap());
    assert_eq!(place, BLOB_ADDRESS);

    let image = desk.folder().join("from-card.img");
    fs::write(&image, kernel).unwrap();
    let mut config = BoardConfig::new(&image);
    config.blob = Some(blob);
    // Of a size that QEMU takes for a card.
    let drive = format!("if=sd,format=raw,file={}", card.display());
    config.extra = vec!["-drive".into(), drive.into()];
    let mut board = start(config);
    expect(&mut board, "configuration: carded, 1 client");
    expect(&mut board, "DhcpBound");

    let address = board.address().unwrap().to_string();
    let ran = desk.run_payload(&address, &payload("md5"), &[], b"hello");
    assert_eq!(
        (ran.code, ran.out),
        (0, b"5d41402abc4b2a76b9719d911017c592\n".to_vec()),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("carded: sent"), "{}", ran.err);

    let ran = desk.run(&["ping", "--board", &address, "--count", "5", "--interval", "10ms"], b"");
    let said = String::from_utf8(ran.out).unwrap();
    assert_eq!((ran.code, said.lines().count()), (0, 6), "{said}{}", ran.err);
    assert!(said.contains(": seq=5 time=") && said.contains("carded: 5 answers"), "{said}");
}

#[test]
fn a_new_project_runs_on_a_board() {
    let desk = Desk::new();
    let _board = desk.emu("host", &[]);
    for (project, language, what) in [("in-rust", "rust", "."), ("in-c", "c", "main.c")] {
        let folder = desk.folder().join(project);
        let sk = |arguments: &[&str], place: &Path| {
            let mut command = desk.sk();
            command.args(arguments).current_dir(place).stdin(Stdio::null());
            let output = command.output().unwrap();
            assert!(output.status.success(), "{arguments:?}: {output:?}");
        };
        // With a copy of the SDK, as of an sk without its checkout.
        let mut arguments = vec!["new", project, "--lang", language];
        if language == "rust" {
            arguments.push("--copy-sdk");
        }
        sk(&arguments, desk.folder());
        sk(&["build", what, "--output", "it.skp", "--quiet"], &folder);
        let ran = desk.run_payload("host", &folder.join("it.skp"), &[], b"to be\nor not\n");
        let out = String::from_utf8_lossy(&ran.out).into_owned();
        assert_eq!((ran.code, out.as_str()), (0, "2 lines, 4 words, 13 bytes\n"), "{}", ran.err);
    }
}

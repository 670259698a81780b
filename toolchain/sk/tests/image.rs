//! `sk image`: what is on a card, and whose it is.

mod common;

use std::fs;
use std::io::{Cursor, Read};
use std::path::Path;

use common::Sk;
use fatfs::{FatType, FileSystem, FsOptions};
use mbrman::MBR;
use sk_wire::blob::{Config, NetMode};

const KERNEL: &[u8] = b"\x12\x00\x00\xeano kernel, but its bytes";

/// A user with a kernel and what looks like firmware.
fn user() -> Sk {
    let sk = Sk::new();
    fs::create_dir(sk.path("fw")).unwrap();
    for (name, bytes) in firmware() {
        sk.file(&format!("fw/{name}"), &bytes);
    }
    sk.file("kernel.img", KERNEL);
    sk
}

fn firmware() -> Vec<(&'static str, Vec<u8>)> {
    let program = |len: usize| {
        let mut bytes: Vec<u8> = (0..len).map(|n| ((n * n) >> 4) as u8).collect();
        bytes[..4].copy_from_slice(b"\x7fELF");
        bytes
    };
    vec![
        ("bootcode.bin", vec![1; 52_460]),
        ("start_cd.elf", program(803_964)),
        ("fixup_cd.dat", vec![3; 3_170]),
        ("start.elf", program(2_973_536)),
        ("fixup.dat", vec![4; 7_262]),
        ("LICENCE.broadcom", b"only with a Raspberry Pi".to_vec()),
    ]
}

const USUAL: [&str; 8] =
    ["image", "--out", "sd.img", "--board", "zero", "--firmware", "fw", "--kernel=kernel.img"];

fn usual<'a>(more: &[&'a str]) -> Vec<&'a str> {
    USUAL.iter().chain(more).copied().collect()
}

/// The files of a card, read as a board does: table, partition, root folder.
fn card(path: &str) -> Vec<(String, Vec<u8>)> {
    let disk = fs::read(path).unwrap();
    assert!(disk.len().is_power_of_two());
    let table = MBR::read_from(&mut Cursor::new(&disk), 512).unwrap();
    let (first, rest) = (&table[1], [&table[2], &table[3], &table[4]]);
    assert_eq!((first.sys, first.starting_lba), (0x0C, 8192));
    assert_eq!(u64::from(first.starting_lba + first.sectors) * 512, disk.len() as u64);
    assert!(rest.iter().all(|entry| entry.is_unused()));
    let volume =
        FileSystem::new(Cursor::new(disk[8192 * 512..].to_vec()), FsOptions::new()).unwrap();
    assert_eq!(volume.fat_type(), FatType::Fat32);
    let root = volume.root_dir();
    root.iter()
        .map(Result::unwrap)
        .filter(|entry| entry.is_file())
        .map(|entry| {
            let mut bytes = Vec::new();
            entry.to_file().read_to_end(&mut bytes).unwrap();
            (entry.file_name(), bytes)
        })
        .collect()
}

fn file<'a>(card: &'a [(String, Vec<u8>)], name: &str) -> &'a [u8] {
    let found = card.iter().find(|(other, _)| other == name);
    &found.unwrap_or_else(|| panic!("no {name}")).1
}

/// The configuration, found as the firmware finds it: by `config.txt`.
fn config(card: &[(String, Vec<u8>)]) -> Config {
    let text = std::str::from_utf8(file(card, "config.txt")).unwrap();
    let line = text.lines().find(|line| line.starts_with("initramfs ")).unwrap();
    let words: Vec<&str> = line.split(' ').collect();
    let [_, name, "0x02000000"] = words[..] else { panic!("{line}") };
    Config::decode(file(card, name)).unwrap()
}

#[test]
fn everything_is_on_the_card_as_it_was() {
    let sk = user();
    let said = sk.run(&usual(&["--name", "attic-1"]));
    assert_eq!((said.code, said.out.as_str()), (0, "sd.img\n"), "{}", said.err);
    let card = card(&sk.path("sd.img"));
    for (name, bytes) in firmware() {
        assert!(file(&card, name) == bytes, "{name}");
    }
    let text = std::str::from_utf8(file(&card, "config.txt")).unwrap();
    let value = |key: &str| {
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        let value = lines.next().unwrap_or_else(|| panic!("no {key}"));
        assert_eq!(lines.next(), None, "{key} twice");
        value
    };
    assert_eq!(file(&card, value("kernel")), KERNEL);
    assert_eq!((value("device_tree"), value("gpu_mem")), ("", "16"));
    for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
        assert!(file(&card, licence).len() > 500);
    }
    assert_eq!(card.len(), firmware().len() + 6);

    let config = config(&card);
    assert_eq!((config.device_label.as_str(), config.clients().len()), ("attic-1", 1));
    assert_eq!(config.net.mode, NetMode::Dhcp);
    // The board is on record: its key, in short, is in the page for people.
    let store = sk_client::Store::at(Path::new(&sk.path("home")));
    let board = store.board("attic-1").unwrap().unwrap();
    let readme = String::from_utf8_lossy(file(&card, "README.txt")).into_owned();
    assert!(readme.contains(&sk_client::to_hex(&board.fingerprint())), "{readme}");
    assert_eq!(
        config.find(&config.clients()[0].public_key).and_then(|at| config.psk(at)),
        Some(&board.psk)
    );
}

#[test]
fn keys_stay_until_new_ones_are_asked_for() {
    let sk = user();
    let seed = |more: &[&str]| {
        let said = sk.run(&usual(more));
        assert_eq!(said.code, 0, "{}", said.err);
        (*config(&card(&sk.path("sd.img"))).device_seed(), said.err)
    };
    let (first, said) = seed(&[]);
    assert!(said.contains("made keys for zero"), "{said}");
    let before = fs::read(sk.path("sd.img")).unwrap();
    let (again, said) = seed(&["--force"]);
    assert_eq!(again, first);
    assert!(said.contains("zero keeps its keys"), "{said}");
    assert!(fs::read(sk.path("sd.img")).unwrap() == before, "the same card, byte for byte");
    let (new, said) = seed(&["--force", "--new-keys"]);
    assert_ne!(new, first);
    assert!(said.contains("made keys for zero"), "{said}");
    assert!(Path::new(&sk.path("home/boards/zero.toml.old")).is_file());
}

#[test]
fn a_fixed_address_and_a_larger_card() {
    let sk = user();
    let said = sk.run(&usual(&["--static", "192.168.1.9/24,192.168.1.1", "--size", "128M"]));
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(fs::metadata(sk.path("sd.img")).unwrap().len(), 128 << 20);
    let net = config(&card(&sk.path("sd.img"))).net;
    assert_eq!((net.mode, net.ip, net.prefix), (NetMode::Static, [192, 168, 1, 9], 24));
    assert_eq!(net.gateway, Some([192, 168, 1, 1]));
}

#[test]
fn a_1b_lacks_nothing() {
    let said = user().run(&[
        "image",
        "-o",
        "1b.img",
        "-b",
        "1b",
        "--firmware",
        "fw",
        "--kernel",
        "kernel.img",
    ]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(!said.err.contains("warning"), "{}", said.err);
}

#[test]
fn refusals_leave_everything_as_it_was() {
    let sk = user();
    sk.file("kernel.elf", b"\x7fELF");
    sk.file("old.img", b"precious");
    for (args, code, sentence) in [
        (&["--size", "100M"][..], 2, "'100M' is no power of two from 64M to 2G"),
        (&["--name", "a name"], 1, "'a name' is no board name"),
        (&["--static", "10.0.2"], 2, "not of the form"),
        (&["--static", "127.0.0.1/8"], 1, "address"),
    ] {
        let said = sk.run(&usual(args));
        assert_eq!(said.code, code, "{args:?}: {}", said.err);
        assert!(said.err.contains(sentence), "{args:?}: {}", said.err);
    }
    for (args, sentence, cure) in [
        ([("--out", "old.img")], "old.img exists", "--force"),
        ([("--out", "/dev/null")], "neither a file nor a disk", "/dev/sdX"),
        ([("--out", "no/folder/sd.img")], "no/folder/sd.img: No such file", "folder"),
        ([("--firmware", "home")], "there is no bootcode.bin in home", "dpkg-deb -x"),
        ([("--kernel", "kernel.elf")], "kernel.elf is an ELF file", "cargo xtask build"),
    ] {
        let mut all = vec!["image", "--board", "zero"];
        let [(changed, to)] = args;
        for (name, value) in [("--out", "sd.img"), ("--firmware", "fw"), ("--kernel", "kernel.img")]
        {
            all.extend([name, if name == changed { to } else { value }]);
        }
        let said = sk.run(&all);
        assert_eq!((said.code, said.out.as_str()), (1, ""), "{to}: {}", said.err);
        let (error, help) =
            said.err.split_once("\n  help: ").unwrap_or_else(|| panic!("{}", said.err));
        assert!(error.contains(sentence) && help.contains(cure), "{}", said.err);
    }
    assert_eq!(fs::read(sk.path("old.img")).unwrap(), b"precious");
    assert!(!Path::new(&sk.path("sd.img")).exists());
    let boards = fs::read_dir(sk.path("home/boards"));
    let left: Vec<_> = boards.into_iter().flatten().flatten().map(|e| e.file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains(' ')), "{left:?}");
    let drafts = fs::read_dir(sk.path(".")).unwrap().flatten();
    assert_eq!(
        drafts.filter(|e| e.file_name().to_string_lossy().starts_with(".sk-image")).count(),
        0
    );
}

#[test]
fn without_firmware_it_says_where_to_get_it() {
    if Path::new("/usr/lib/raspi-firmware/bootcode.bin").is_file() {
        return;
    }
    let said = user().run(&["image", "-o", "sd.img", "-b", "zero", "--kernel", "kernel.img"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("apt-get download raspi-firmware\n"), "{}", said.err);
    assert!(said.err.contains("sk image --firmware firmware"), "{}", said.err);
}

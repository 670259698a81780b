//! Boards that boot a guest of a few instructions: registers, tags, blob,
//! serial port, network, registry, and every way to end.

use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use sk_emulator::{Atags, Board, BoardConfig, BootData, Error, Machine, Net, registry};

const LONG: Duration = Duration::from_secs(20);

/// Prints r0, r1, r2, the second word at r2 and the word at 0x200_0000 in
/// hexadecimal on the PL011; waits for a byte, prints it, and resets the board
/// through the power manager.
const GUEST: [u32; 40] = [
    0xe1a0_4000, // 8000: mov r4, r0
    0xe1a0_5001, // 8004: mov r5, r1
    0xe1a0_6002, // 8008: mov r6, r2
    0xe3a0_d902, // 800c: mov sp, #32768
    0xe59f_807c, // 8010: ldr r8, [pc, #124]
    0xe1a0_0004, // 8014: mov r0, r4
    0xeb00_0011, // 8018: bl 8064
    0xe1a0_0005, // 801c: mov r0, r5
    0xeb00_000f, // 8020: bl 8064
    0xe1a0_0006, // 8024: mov r0, r6
    0xeb00_000d, // 8028: bl 8064
    0xe596_0004, // 802c: ldr r0, [r6, #4]
    0xeb00_000b, // 8030: bl 8064
    0xe3a0_9402, // 8034: mov r9, #33554432
    0xe599_0000, // 8038: ldr r0, [r9]
    0xeb00_0008, // 803c: bl 8064
    0xe598_0018, // 8040: ldr r0, [r8, #24]
    0xe310_0010, // 8044: tst r0, #16
    0x1aff_fffc, // 8048: bne 8040
    0xe598_0000, // 804c: ldr r0, [r8]
    0xeb00_0003, // 8050: bl 8064
    0xe59f_103c, // 8054: ldr r1, [pc, #60]
    0xe59f_003c, // 8058: ldr r0, [pc, #60]
    0xe581_001c, // 805c: str r0, [r1, #28]
    0xeaff_fffe, // 8060: b 8060
    0xe3a0_201c, // 8064: mov r2, #28
    0xe1a0_1230, // 8068: lsr r1, r0, r2
    0xe201_100f, // 806c: and r1, r1, #15
    0xe351_000a, // 8070: cmp r1, #10
    0xb281_1030, // 8074: addlt r1, r1, #48
    0xa281_1057, // 8078: addge r1, r1, #87
    0xe588_1000, // 807c: str r1, [r8]
    0xe252_2004, // 8080: subs r2, r2, #4
    0xaaff_fff7, // 8084: bge 8068
    0xe3a0_100a, // 8088: mov r1, #10
    0xe588_1000, // 808c: str r1, [r8]
    0xe12f_ff1e, // 8090: bx lr
    0x2020_1000, // 8094: .word 0x20201000
    0x2010_0000, // 8098: .word 0x20100000
    0x5a00_0020, // 809c: .word 0x5a000020
];

/// Waits for ever: `mcr p15, 0, r0, c7, c0, 4` in a loop.
const IDLE: [u32; 3] = [0xe3a0_0000, 0xee07_0f90, 0xeaff_fffd];

fn image(dir: &Path, words: &[u32]) -> PathBuf {
    let path = dir.join("kernel.img");
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    std::fs::write(&path, bytes).unwrap();
    path
}

fn five_lines(board: &mut Board) -> Vec<String> {
    (0..5).map(|_| board.wait_for_line("", LONG).unwrap()).collect()
}

#[test]
fn boots_as_the_firmware_does() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = BoardConfig::new(image(dir.path(), &GUEST));
    config.blob = Some(b"CONF, and more".to_vec());
    let mut board = Board::start(config).unwrap();
    assert_eq!(
        five_lines(&mut board),
        ["00000000", "00000c42", "00000100", "54410001", "464e4f43"]
    );
    board.send(b"!").unwrap();
    assert_eq!(board.wait_for_line("", LONG).unwrap(), "00000021");
    let exit = board.wait_exit(LONG).unwrap();
    assert_eq!(exit.code, Some(0));
    assert_eq!(exit.reason.as_deref(), Some("guest-reset"));
    let error = board.wait_for_line("more", LONG).unwrap_err();
    assert!(matches!(error, Error::Ended { .. }), "{error}");
    assert!(error.to_string().contains("00000c42"), "{error}");
}

#[test]
fn hands_over_a_device_tree() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = BoardConfig::new(image(dir.path(), &GUEST));
    config.machine = Machine::Raspi1ap;
    config.network = Net::None;
    config.boot_data = BootData::Dtb(b"\xd0\x0d\xfe\xed\x01\x02\x03\x04".to_vec());
    let mut board = Board::start(config).unwrap();
    assert_eq!(board.address(), None);
    assert_eq!(
        five_lines(&mut board),
        ["00000000", "00000c42", "01f00000", "04030201", "00000000"]
    );
    let screen = dir.path().join("screen.png");
    board.screendump(&screen).unwrap();
    assert!(std::fs::read(screen).unwrap().starts_with(b"\x89PNG"));
}

#[test]
fn is_listed_while_it_runs() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = BoardConfig::new(image(dir.path(), &IDLE));
    config.noise_pk = Some([0xab; 32]);
    let name = config.name.clone();
    let board = Board::start(config.clone()).unwrap();
    let entry = registry::find(&name).unwrap();
    assert_eq!(Some(entry.address), board.address());
    assert_eq!(entry.pid, board.pid());
    assert_eq!(entry.noise_pk.unwrap(), "ab".repeat(32));
    // The port is QEMU's now.
    UdpSocket::bind(entry.address).unwrap_err();
    assert!(matches!(Board::start(config), Err(Error::NameTaken { .. })));
    board.kill();
    assert_eq!(registry::find(&name), None);
    assert!(ends(entry.pid));
}

#[test]
fn a_silent_board_is_an_error_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let mut board = Board::start(BoardConfig::new(image(dir.path(), &IDLE))).unwrap();
    let error = board.wait_for_line("ready", Duration::from_millis(100)).unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert!(error.to_string().contains("\"ready\""), "{error}");
    let exit = board.quit(LONG).unwrap();
    assert_eq!(exit.code, Some(0));
}

#[test]
fn says_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = BoardConfig::new(image(dir.path(), &IDLE));
    config.qemu = "qemu-system-arm-of-nowhere".into();
    let error = Board::start(config.clone()).err().unwrap();
    assert!(error.to_string().contains("apt install qemu-system-arm"), "{error}");

    config = BoardConfig::new(dir.path().join("no-such.img"));
    let error = Board::start(config).err().unwrap();
    assert!(error.to_string().contains("no-such.img"), "{error}");

    config = BoardConfig::new(image(dir.path(), &IDLE));
    config.extra = vec!["-no-such-option".into()];
    let error = Board::start(config).err().unwrap();
    assert!(error.to_string().contains("no-such-option"), "{error}");

    config = BoardConfig::new(image(dir.path(), &IDLE));
    config.boot_data = BootData::Atags(Atags { mem_mib: 4096, ..Atags::default() });
    Board::start(config).err().unwrap();
}

/// The owner of the board in the test below: dies without cleaning up.
#[test]
#[ignore = "run by a_board_ends_with_its_owner"]
fn owner() {
    let Some(kernel) = std::env::var_os("OWNED_KERNEL") else {
        return;
    };
    let board = Board::start(BoardConfig::new(kernel)).unwrap();
    eprintln!("pid {}", board.pid());
    std::process::abort();
}

#[test]
fn a_board_ends_with_its_owner() {
    let dir = tempfile::tempdir().unwrap();
    let kernel = image(dir.path(), &IDLE);
    let owner = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "owner"])
        .env("OWNED_KERNEL", kernel)
        .output()
        .unwrap();
    assert!(!owner.status.success());
    let said = String::from_utf8_lossy(&owner.stderr);
    let pid = said.split("pid ").nth(1).unwrap().lines().next().unwrap();
    assert!(ends(pid.parse().unwrap()), "process {pid} is still there");
}

/// Whether a process is gone, or only waits to be collected, within a second.
fn ends(pid: u32) -> bool {
    let until = Instant::now() + Duration::from_secs(1);
    while Instant::now() < until {
        match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) if !stat.contains(") Z ") => std::thread::sleep(Duration::from_millis(10)),
            _ => return true,
        }
    }
    false
}

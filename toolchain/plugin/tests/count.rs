//! Has QEMU load the plugin and run a guest whose instructions are known to the
//! last one.

use std::path::Path;
use std::time::Duration;

use sk_emulator::{Board, BoardConfig, Net, Plugin};

const LONG: Duration = Duration::from_secs(20);

/// Interval 0: a loop of 1,000 times 2 instructions. Interval 1: a loop of 100
/// times 4, of which two touch a device, where QEMU under `-icount` gives up a
/// block half-way and translates it anew.
const GUEST: &[u32] = &[
    0xe18c_c00c, // 8000: orr ip, ip, ip
    0xe3a0_0ffa, // 8004: mov r0, #1000
    0xe180_0000, // 8008: orr r0, r0, r0
    0xe250_0001, // 800c: subs r0, r0, #1
    0x1aff_fffd, // 8010: bne 800c
    0xe181_1001, // 8014: orr r1, r1, r1
    0xe59f_2030, // 8018: ldr r2, [pc, #48]
    0xe3a0_302e, // 801c: mov r3, #46
    0xe3a0_0064, // 8020: mov r0, #100
    0xe182_2002, // 8024: orr r2, r2, r2
    0xe582_3000, // 8028: str r3, [r2]
    0xe592_1018, // 802c: ldr r1, [r2, #24]
    0xe250_0001, // 8030: subs r0, r0, #1
    0x1aff_fffb, // 8034: bne 8028
    0xe183_3003, // 8038: orr r3, r3, r3
    0xe18c_c00c, // 803c: orr ip, ip, ip
    0xe3a0_300a, // 8040: mov r3, #10
    0xe582_3000, // 8044: str r3, [r2]
    0xee07_0f90, // 8048: mcr 15, 0, r0, cr7, cr0, {4}
    0xeaff_fffd, // 804c: b 8048
    0x2020_1000, // 8050: .word 0x20201000
];

/// The shim at address 0: `mov`, `ldr`, `ldr`, `mov pc`.
const SHIM: u64 = 4;

fn count(icount: bool, dir: &Path) -> String {
    let kernel = dir.join("kernel.img");
    let bytes: Vec<u8> = GUEST.iter().flat_map(|word| word.to_le_bytes()).collect();
    std::fs::write(&kernel, bytes).unwrap();
    // A comma in a path is doubled on the way.
    let out = dir.join("count,1.txt");
    let mut plugin = Plugin::built(&out).expect("cargo builds it with this test");
    plugin.options = vec!["range=0-8000:shim".into(), "range=800c-8014:loop".into()];
    let mut config = BoardConfig::new(kernel);
    config.network = Net::None;
    config.plugin = Some(plugin);
    config.icount = icount;
    let mut board = Board::start(config).unwrap();
    assert_eq!(board.wait_for_line("", LONG).unwrap(), ".".repeat(100));
    board.quit(LONG).unwrap();
    std::fs::read_to_string(out).unwrap()
}

fn check(text: &str) {
    let lines: Vec<&str> = text.lines().collect();
    // From the first to the second r12 marker, both included, without loops.
    let outside = 10;
    let total = SHIM + outside + 2000 + 400;
    assert_eq!(lines[0], format!("total {}", SHIM + 1));
    assert_eq!(lines[1], "marker 0 2000 shim=0 loop=2000");
    assert_eq!(lines[2], "marker 1 400 shim=0 loop=0");
    assert_eq!(lines[3], format!("total {total}"));
    assert_eq!(lines[4], "interval 0 1 2000 2000 2000");
    assert_eq!(lines[5], "interval 1 1 400 400 400");
    assert_eq!(lines[6], "range shim 4");
    assert_eq!(lines[7], "range loop 2000");
    let last: u64 = lines[8].strip_prefix("exit ").unwrap().parse().unwrap();
    // The line feed, and once or more through the loop of WFI.
    assert!((total + 3..total + 100).contains(&last), "{last}");
    assert_eq!(lines.len(), 9);
}

#[test]
fn counts_are_exact() {
    let dir = tempfile::tempdir().unwrap();
    check(&count(false, dir.path()));
}

#[test]
fn counts_are_exact_when_blocks_are_cut_short() {
    let dir = tempfile::tempdir().unwrap();
    check(&count(true, dir.path()));
}

#[test]
fn a_wrong_option_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let kernel = dir.path().join("kernel.img");
    std::fs::write(&kernel, [0; 4]).unwrap();
    let mut config = BoardConfig::new(kernel);
    let mut plugin = Plugin::built(dir.path().join("out")).unwrap();
    plugin.options = vec!["speed=9".to_owned()];
    config.plugin = Some(plugin);
    let error = Board::start(config).err().unwrap();
    assert!(error.to_string().contains("unknown option speed=9"), "{error}");
}

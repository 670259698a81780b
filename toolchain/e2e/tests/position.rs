//! A payload computes the same wherever it lies.
//!
//! Twice: on the kernel, which puts the text above the stack, so that the
//! stack's size moves it from 65 MiB to above 80 MiB; and at addresses of our
//! choice, where the image is laid out and relocated by the kernel's own loader
//! on this host, put into the memory of an emulated board without a kernel, and
//! entered by a few instructions that stand in for one.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use e2e::bench::{Desk, payload};
use sk_abi::{TaskInfo, image};
use sk_emulator::{Board, BoardConfig, Net};
use sk_hal::dma::{BusAddr, CacheOps};
use sk_loader::{Layout, Load, Part, Plan, Progress, Request, TaskMemory};

const LONG: Duration = Duration::from_secs(30);
/// Where one of the addresses must lie above.
const HIGH: u32 = 80 << 20;
/// What `payloads/position.c` comes to. The same as of the program compiled
/// for x86-64 with the sanitizers for addresses and undefined behaviour.
const DIGEST: &str = "e2f57b69";
/// What the example `nbody` comes to: `core::fmt`, with its tables of functions.
const ENERGY: &str = "-0.000000032138891 -0.000000032141015";

/// The C payload, of two files, built as a user would.
fn position(desk: &Desk) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("payloads");
    let image = desk.folder().join("position.skp");
    let files = ["position.c", "position_part.c"].map(|name| source.join(name));
    let arguments = ["build", files[0].to_str().unwrap(), files[1].to_str().unwrap(), "-o"];
    let ran = desk.run(&[&arguments[..], &[image.to_str().unwrap()]].concat(), b"");
    assert_eq!(ran.code, 0, "{}", ran.err);
    image
}

#[test]
fn the_kernel_may_load_it_anywhere() {
    let desk = Desk::new();
    let _board = desk.emu("mover", &[]);
    let mut addresses = Vec::new();
    for stack in ["16K", "4M", "16M"] {
        for (image, text) in [(position(&desk), DIGEST), (payload("nbody"), ENERGY)] {
            let ran = desk.run_payload("mover", &image, &["--stack", stack], b"");
            assert_eq!(ran.code, 0, "{}", ran.err);
            assert_eq!(ran.out, format!("{text}\n").into_bytes(), "stack {stack}");
            let told = ran.err.lines().next().and_then(|line| u32::from_str_radix(line, 16).ok());
            addresses.extend(told);
        }
    }
    addresses.dedup();
    assert_eq!(addresses.len(), 3, "{addresses:x?}");
    assert!(addresses.iter().any(|&at| at > HIGH), "{addresses:x?}");
}

#[test]
fn so_may_the_loader_without_a_kernel() {
    let desk = Desk::new();
    let c = fs::read(position(&desk)).unwrap();
    let rust = fs::read(payload("nbody")).unwrap();
    for region in [0x0001_0000, 0x02ab_c000, 0x1234_5000] {
        for (image, text) in [(&c, DIGEST), (&rust, ENERGY)] {
            assert_eq!(bare(image, region), [text, "0"], "region at {region:#x}");
        }
    }
}

/// From the loader's addresses to a vector's.
struct Region {
    start: u32,
    bytes: Vec<u8>,
}

impl TaskMemory for Region {
    fn bytes(&mut self, at: u32, len: u32) -> Option<&mut [u8]> {
        let from = at.checked_sub(self.start)? as usize;
        self.bytes.get_mut(from..from.checked_add(len as usize)?)
    }
}

/// The board starts with what is written here: there is nothing to upkeep.
struct NoCaches;

impl CacheOps for NoCaches {
    fn clean(&self, _: BusAddr, _: &[u8]) {}
    fn discard(&self, _: BusAddr, _: &mut [u8]) {}
    fn invalidate(&self, _: BusAddr, _: &mut [u8]) {}
    fn dsb(&self) {}
    fn dmb(&self) {}
    fn sync_code(&self, _: &[u8]) {}
}

/// Runs an image in a region that starts at `region` and returns the line it
/// wrote and its exit code.
fn bare(image: &[u8], region: u32) -> [String; 2] {
    let plan = Plan::parse(image).unwrap();
    plan.check().unwrap();
    let request = Request {
        region_start: region,
        region_end: region + plan.bss_len + (4 << 20),
        heap: image::PAGE,
        ..Request::default()
    };
    let layout = Layout::new(&plan, &request).unwrap();
    let start = layout.area(Part::Stack).start;
    let mut memory = Region { start, bytes: vec![0xAA; (layout.end() - start) as usize] };
    let mut load = Load::new();
    while load.step(&plan, &layout, &mut memory, &NoCaches, 4096).unwrap() == Progress::More {}
    let info = layout.area(Part::Info).start;
    let told = layout.describe(TaskInfo::default());
    memory.bytes(info, 80).unwrap().copy_from_slice(&told.to_bytes());

    let dir = tempfile::tempdir().unwrap();
    let (kernel, task) = (dir.path().join("enter.img"), dir.path().join("task.bin"));
    let words = enter(told.stack_end, info, layout.entry);
    fs::write(&kernel, words.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<_>>()).unwrap();
    fs::write(&task, &memory.bytes).unwrap();
    let mut config = BoardConfig::new(kernel);
    config.network = Net::None;
    let device = format!("loader,file={},addr={start:#x},force-raw=on", task.display());
    config.extra = vec!["-device".into(), device.into()];
    let mut board = Board::start(config).unwrap();
    [(); 2].map(|()| board.wait_for_line("", LONG).unwrap())
}

/// Enters a payload as the kernel does, but privileged and without the MMU.
/// The only service is `io.write`; any other does nothing.
fn enter(stack: u32, info: u32, entry: u32) -> [u32; 43] {
    [
        0xee11_0f50, // 8000: mrc p15, 0, r0, c1, c0, 2    VFP on for all
        0xe380_060f, // 8004: orr r0, r0, #0xf00000
        0xee01_0f50, // 8008: mcr p15, 0, r0, c1, c0, 2
        0xee11_0f10, // 800c: mrc p15, 0, r0, c1, c0, 0    unaligned access
        0xe380_0501, // 8010: orr r0, r0, #1 << 22
        0xee01_0f10, // 8014: mcr p15, 0, r0, c1, c0, 0
        0xe3a0_0000, // 8018: mov r0, #0
        0xee07_0f95, // 801c: mcr p15, 0, r0, c7, c5, 4    prefetch flush
        0xe3a0_0101, // 8020: mov r0, #1 << 30
        0xeee8_0a10, // 8024: vmsr fpexc, r0
        0xe3a0_0403, // 8028: mov r0, #3 << 24             RunFast
        0xeee1_0a10, // 802c: vmsr fpscr, r0
        0xe59f_d068, // 8030: ldr sp, [pc, #104]
        0xe59f_1068, // 8034: ldr r1, [pc, #104]
        0xe59f_c068, // 8038: ldr ip, [pc, #104]
        0xe28f_0018, // 803c: add r0, pc, #24              the resolver, at 805c
        0xe12f_ff3c, // 8040: blx ip
        0xe59f_204c, // 8044: ldr r2, [pc, #76]            UART
        0xe280_0030, // 8048: add r0, r0, #'0'
        0xe582_0000, // 804c: str r0, [r2]
        0xe3a0_000a, // 8050: mov r0, #10
        0xe582_0000, // 8054: str r0, [r2]
        0xeaff_fffe, // 8058: b 8058
        0xe59f_1038, // 805c: ldr r1, [pc, #56]            is it io.write?
        0xe150_0001, // 8060: cmp r0, r1
        0x028f_0004, // 8064: addeq r0, pc, #4             then 8070
        0x128f_0020, // 8068: addne r0, pc, #32            else 8090
        0xe12f_ff1e, // 806c: bx lr
        0xe59f_2020, // 8070: ldr r2, [pc, #32]            UART
        0xe1a0_c001, // 8074: mov ip, r1
        0xe251_1001, // 8078: subs r1, r1, #1
        0x41a0_000c, // 807c: movmi r0, ip                 how many
        0x412f_ff1e, // 8080: bxmi lr
        0xe4d0_3001, // 8084: ldrb r3, [r0], #1
        0xe582_3000, // 8088: str r3, [r2]
        0xeaff_fff9, // 808c: b 8078
        0xe1a0_0001, // 8090: mov r0, r1
        0xe12f_ff1e, // 8094: bx lr
        0x2020_1000, // 8098: UART
        sk_abi::service::hash("io.write/1"),
        stack,
        info,
        entry,
    ]
}

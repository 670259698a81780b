//! The shield: every way for a payload to go wrong ends as it should, leaves
//! the kernel's memory as it was, and the next payload is none the wiser. The
//! same without the shield, where the outcome is what docs/security.md says.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use e2e::bench::Desk;
use object::{Object, ObjectSymbol};
use sk_abi::fault::{Cause, cause};
use sk_abi::status::FaultRecord;
use sk_client::{
    Addressing, Client, ClientEntry, Error, Events, Guest, LastEnd, Limits, Receipt, Roles,
    Selector, Status, Store, Task, flags, receipt_flags,
};
use sk_emulator::{Board, Plugin};

/// What a run came to.
struct Outcome {
    receipt: Option<Receipt>,
    refused: Option<Error>,
    out: Vec<u8>,
}

impl Outcome {
    fn status(&self) -> Status {
        self.receipt.as_ref().unwrap_or_else(|| panic!("{:?}", self.refused)).status()
    }

    fn fault(&self) -> FaultRecord {
        self.receipt.as_ref().and_then(|r| r.fault.as_ref()).expect("a fault record").0
    }
}

#[derive(Default)]
struct Sink(Vec<u8>);

impl Events for Sink {
    fn stdout(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.extend(bytes);
        Ok(())
    }
    fn stderr(&mut self, _: &[u8]) -> std::io::Result<()> {
        Ok(())
    }
}

/// A board with two clients: its owner, who may do all, and a guest.
struct Bench {
    desk: Desk,
    board: Board,
    owner: (Client, sk_client::Board),
    guest: (Client, sk_client::Board),
    /// Nothing here may change while a payload runs: (address, bytes).
    kept: [(u64, u64); 2],
    kernel_main: u64,
    tables: u64,
}

/// A payload in C of this folder.
fn build(desk: &Desk, name: &str) -> Vec<u8> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("payloads/{name}.c"));
    let image = desk.folder().join(format!("{name}.skp"));
    let built = desk
        .sk()
        .args(["build", "--quiet", "-o"])
        .args([&image, &source])
        .output()
        .expect("sk starts");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    fs::read(image).unwrap()
}

impl Bench {
    /// `services`: what the guest's payloads get.
    fn new(name: &str, services: Option<Vec<u32>>, count: Option<&Path>) -> Self {
        let desk = Desk::new();
        let (mine, other) = (Store::at(&desk.keys()), Store::at(&desk.folder().join("guest")));
        let mut made = mine.provision(name, Addressing::Dhcp).unwrap();
        let plain = Roles::OBSERVE.or(Roles::SUBMIT);
        let entry = |store: &Store, roles| ClientEntry::new(store.public_key().unwrap(), roles);
        let guests = [
            Guest { client: entry(&mine, plain.or(Roles::DIRECT)), services: None },
            Guest { client: entry(&other, plain), services },
        ];
        let handed = mine.admit(&mut made, &guests).unwrap();
        other.accept(&handed[0].record).unwrap();

        let mut config = e2e::zero();
        config.blob = Some(made.blob);
        config.reboot = true;
        config.plugin = count.map(|out| {
            let mut plugin = Plugin::built(out).expect("cargo builds it with this test");
            plugin.options = vec!["range=4000000-1c000000:payload".into()];
            plugin
        });
        let mut board = e2e::start(config);
        e2e::expect(&mut board, "DhcpBound");
        let address = board.address().unwrap();
        let dial = |store| {
            let mut client = Client::new(store);
            client.targets = vec![address];
            client.broadcast = false;
            let known = client.find(&Selector::Address(address)).unwrap();
            (client, known)
        };
        let symbols = symbols();
        let from = |start: &str, end: &str| (symbols[start], symbols[end] - symbols[start]);
        Self {
            owner: dial(mine),
            guest: dial(other),
            kept: [from("__image_start", "__image_end"), from("__l1_final", "__stacks_start")],
            kernel_main: symbols["kernel_main"],
            tables: symbols["__l1_final"],
            desk,
            board,
        }
    }

    fn run(
        &self,
        who: &(Client, sk_client::Board),
        image: &[u8],
        args: &[&str],
        input: &[u8],
        direct: bool,
    ) -> Outcome {
        let mut task = Task::new(image, input);
        task.args = args.iter().map(|a| (*a).to_owned()).collect();
        task.flags = if direct { flags::DIRECT } else { 0 };
        task.limits = Limits {
            wall: Some(Duration::from_secs(if args.contains(&"f6_spin") { 1 } else { 20 })),
            heap: 1 << 20,
            ..Limits::default()
        };
        let mut sink = Sink::default();
        let result = who.0.run(&who.1, &task, &mut sink);
        let (receipt, refused) = match result {
            Ok(report) => (Some(report.receipt), None),
            Err(Error::Ended(ended)) => (Some(ended.report.receipt), None),
            Err(error) => (None, Some(error)),
        };
        if let Some(receipt) = &receipt {
            assert_eq!(receipt.flags & receipt_flags::UNSHIELDED != 0, direct, "{args:?}");
        }
        Outcome { receipt, refused, out: sink.0 }
    }

    /// The kernel's image and its page tables, once the board is idle.
    fn kernel_memory(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        for (at, len) in self.kept {
            let file = self.desk.folder().join("memory");
            let arguments = serde_json::json!({ "val": at, "size": len, "filename": file });
            self.board.qmp().execute("pmemsave", arguments).unwrap();
            all.extend(fs::read(file).unwrap());
        }
        all
    }

    /// It is as it was, at the latest when the task's memory is scrubbed.
    fn assert_unchanged(&mut self, before: &[u8], what: &str) {
        let end = Instant::now() + e2e::PATIENCE;
        loop {
            let now = self.kernel_memory();
            if now == before {
                return;
            }
            if Instant::now() > end {
                let at = now.iter().zip(before).position(|(a, b)| a != b);
                panic!("{what}: the kernel's memory has changed, first at byte {at:?} of it");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn symbols() -> BTreeMap<String, u64> {
    let file = fs::read(e2e::artefacts().join("kernel.elf")).unwrap();
    let elf = object::File::parse(&*file).unwrap();
    elf.symbols().filter_map(|s| Some((s.name().ok()?.to_owned(), s.address()))).collect()
}

/// What must come of a case.
#[derive(Clone, Copy)]
enum Must {
    /// It ends by itself with this code.
    Exit(i32),
    /// Without address, or with one that depends on the build.
    End(Status),
    /// With an address.
    At(Status, u32),
    /// As `At`, and the bus refused.
    External(u32),
    /// Not run: it would take the board with it.
    Never,
}

/// Case, its address, and what must come of it with the shield and without.
fn cases(kernel_main: u64, tables: u64) -> Vec<(&'static str, Option<u32>, Must, Must)> {
    use Must::{At, End, Exit, External, Never};
    let (main, tables) = (kernel_main as u32, tables as u32);
    let same = |name, must| (name, None, must, must);
    let address = |name, at, shielded, direct| (name, Some(at), shielded, direct);
    let kernel = |at| At(Status::KERNEL_ACCESS, at);
    let nowhere = |at| At(Status::DATA_ABORT, at);
    let unreachable = |at| At(Status::PREFETCH_ABORT, at);
    vec![
        same("f1_udf", End(Status::UNDEF)),
        same("f1_coprocessor", End(Status::UNDEF)),
        ("f1_cp15_read", None, End(Status::UNDEF), Exit(0)),
        ("f1_cp15_write", None, End(Status::UNDEF), Exit(0)),
        same("f1_barriers", Exit(0)),
        address("read", 0, nowhere(0), nowhere(0)),
        address("write", 4, nowhere(4), nowhere(4)),
        address("write", 0x3000_0000, nowhere(0x3000_0000), nowhere(0x3000_0000)),
        // Where an earlier task could have been.
        address("read", 0x0800_0000, nowhere(0x0800_0000), nowhere(0x0800_0000)),
        ("own_text", None, End(Status::DATA_ABORT), Exit(0)),
        ("own_input", None, End(Status::DATA_ABORT), Exit(0)),
        ("own_info", None, End(Status::DATA_ABORT), Exit(0)),
        same("above_stack", End(Status::DATA_ABORT)),
        address("jump", 0x3000_0000, unreachable(0x3000_0000), unreachable(0x3000_0000)),
        same("f3_data", End(Status::PREFETCH_ABORT)),
        same("f3_stack", End(Status::PREFETCH_ABORT)),
        same("f3_smashed", unreachable(0x3EAD_BEE0)),
        same("f4_ldm", End(Status::ALIGNMENT)),
        same("f4_ldrd", End(Status::ALIGNMENT)),
        same("f4_strex", End(Status::ALIGNMENT)),
        same("f4_plain", Exit(0)),
        same("f5_recursion", End(Status::STACK)),
        same("f5_frame", End(Status::STACK)),
        same("f6_spin", End(Status::WALL_DEADLINE)),
        // Kernel text is read-only for the kernel, too; its data is not.
        address("write", main, kernel(main), kernel(main)),
        address("read", main, kernel(main), Exit(0)),
        address("write", 0x0010_0000, kernel(0x0010_0000), Exit(0)),
        address("write", tables, kernel(tables), Exit(0)),
        address("write", 0xFFFF_0000, kernel(0xFFFF_0000), kernel(0xFFFF_0000)),
        address("write", 0x2020_1030, kernel(0x2020_1030), Exit(0)),
        address("jump", main, kernel(main), Never),
        address("jump", 0x2020_1000, kernel(0x2020_1000), kernel(0x2020_1000)),
        same("f8_stub", Exit(9)),
        same("f9_unknown", At(Status::SYSCALL_UNKNOWN, 127)),
        same("f9_unknown_large", At(Status::SYSCALL_UNKNOWN, u32::MAX)),
        address("f9_write", 0x8000, At(Status::SYSCALL_ARG, 0), At(Status::SYSCALL_ARG, 0)),
        address("f9_write", 0x3000_0000, At(Status::SYSCALL_ARG, 0), At(Status::SYSCALL_ARG, 0)),
        address("f9_write", 0, At(Status::SYSCALL_ARG, 0), At(Status::SYSCALL_ARG, 0)),
        same("f9_wraps", At(Status::SYSCALL_ARG, 0)),
        same("f9_long", At(Status::SYSCALL_ARG, 0)),
        same("f9_over_the_end", At(Status::SYSCALL_ARG, 0)),
        same("f9_into_text", At(Status::SYSCALL_ARG, 0)),
        same("f9_into_kernel", At(Status::SYSCALL_ARG, 0)),
        // A line is cut at 120 bytes, whatever its length claims.
        same("f9_log_endless", Exit(0)),
        same("f9_struct_outside", At(Status::SYSCALL_ARG, 0)),
        same("f9_struct_odd", Exit(0)),
        same("f9_many", Exit(0)),
        same("f10_until_null", Exit(0)),
        same("f10_twice", At(Status::SYSCALL_ARG, 0)),
        same("f10_foreign", At(Status::SYSCALL_ARG, 0)),
        same("f11_int", End(Status::DIV_ZERO)),
        same("f11_vfp", Exit(0)),
        same("f12_denormal", Exit(0)),
        same("f13_service", Exit(0)),
        same("f13_fault", End(Status::UNDEF)),
        same("f13_exit", Exit(5)),
        same("f14_bxj", Exit(0)),
        same("f14_thumb_svc", At(Status::SYSCALL_UNKNOWN, u32::MAX)),
        same("f14_thumb_udf", End(Status::UNDEF)),
        same("f15_bkpt", End(Status::BKPT)),
        ("f15_wfi", None, End(Status::UNDEF), Exit(0)),
        same("f16_mode", Exit(0)),
        ("f16_srs", None, End(Status::UNDEF), Never),
        ("f16_rfe", None, End(Status::UNDEF), Never),
        same("f21_heap", End(Status::PREFETCH_ABORT)),
        address("read", 0x2100_0000, nowhere(0x2100_0000), nowhere(0x2100_0000)),
        address("read", 0x2000_A000, kernel(0x2000_A000), External(0x2000_A000)),
        same("f23_abort", End(Status::PANIC)),
        same("f23_return", Exit(-7)),
    ]
}

/// One case, then a payload that is right.
fn check(bench: &mut Bench, image: &[u8], case: (&str, Option<u32>), must: Must, direct: bool) {
    let (name, at) = case;
    let what = format!("{name} {at:x?}, {}", if direct { "direct" } else { "shielded" });
    let address = at.map(|at| format!("{at:x}"));
    let args: Vec<&str> = [name].into_iter().chain(address.as_deref()).collect();
    let outcome = bench.run(&bench.owner, image, &args, b"input", direct);
    let status = outcome.status();
    match must {
        Must::Exit(code) => {
            assert_eq!(status, Status::OK, "{what}");
            assert_eq!(outcome.receipt.unwrap().exit, code, "{what}");
        }
        Must::End(expected) => {
            assert_eq!(status, expected, "{what}");
            if status.is_fault() && status != Status::PANIC {
                let fault = outcome.fault();
                assert_eq!((Status(fault.kind), fault.base & 0xFFF), (status, 0), "{what}");
            }
        }
        Must::At(expected, far) => {
            let fault = outcome.fault();
            assert_eq!((status, fault.far), (expected, far), "{what}");
            assert!(outcome.out.is_empty(), "{what}: something was copied");
        }
        Must::External(far) => {
            let fault = outcome.fault();
            let seen = (status, fault.far, cause(fault.fsr));
            assert_eq!(seen, (Status::DATA_ABORT, far, Cause::External), "{what}");
        }
        Must::Never => unreachable!("not run"),
    }
    let good = bench.run(&bench.owner, image, &["f12_denormal"], b"", false);
    assert_eq!(good.status(), Status::OK, "after {what}");
}

fn every_case(direct: bool) {
    let mut bench = Bench::new(if direct { "direct" } else { "shielded" }, None, None);
    let image = build(&bench.desk, "faults");
    let before = bench.kernel_memory();
    for (name, at, shielded, unshielded) in cases(bench.kernel_main, bench.tables) {
        let must = if direct { unshielded } else { shielded };
        if matches!(must, Must::Never) {
            continue;
        }
        check(&mut bench, &image, (name, at), must, direct);
        bench.assert_unchanged(&before, name);
    }
}

#[test]
fn every_fault_shielded() {
    every_case(false);
}

#[test]
fn every_fault_direct() {
    every_case(true);
}

#[test]
fn a_byte_of_the_kernel_flipped_by_a_direct_payload_is_found() {
    let mut bench = Bench::new("flip", None, None);
    let image = build(&bench.desk, "faults");
    // Code that runs in a panic only.
    let symbols = symbols();
    let panic = symbols.iter().find(|(name, _)| name.contains("rust_begin_unwind"));
    let at = format!("{:x}", panic.expect("a panic handler").1);
    let args = ["f7_flip", &at];
    assert_eq!(bench.run(&bench.owner, &image, &args, b"", false).status(), Status::UNDEF);
    let outcome = bench.run(&bench.owner, &image, &args, b"", true);
    assert_eq!(outcome.status(), Status::OK);
    e2e::expect(&mut bench.board, "INTEGRITY: image changed in memory; resetting");
    e2e::expect(&mut bench.board, &format!("last boot: {}", LastEnd::Integrity.text()));
    e2e::expect(&mut bench.board, "DhcpBound");
    let good = bench.run(&bench.owner, &image, &["f12_denormal"], b"", false);
    assert_eq!(good.status(), Status::OK);
}

/// An image of ARM instructions alone.
fn raw(code: &[u32]) -> Vec<u8> {
    let mut image = vec![b'K', 0x11, 0, 4 * u8::try_from(code.len()).unwrap()];
    image.extend(code.iter().flat_map(|word| word.to_le_bytes()));
    image
}

#[test]
fn nothing_of_one_payload_is_there_for_the_next() {
    let bench = Bench::new("secrets", None, None);
    let image = build(&bench.desk, "faults");
    // r2 to r12 or'ed together; r0 and r1 are for the payload.
    let registers = raw(&[
        0xE182_0003,
        0xE180_0004,
        0xE180_0005,
        0xE180_0006,
        0xE180_0007,
        0xE180_0008,
        0xE180_0009,
        0xE180_000A,
        0xE180_000B,
        0xE180_000C,
        0xE12F_FF1E,
    ]);
    let seek = |who: &(Client, sk_client::Board)| {
        let found = bench.run(who, &image, &["f18_seek"], b"xyz", false);
        assert_eq!(found.status(), Status::OK);
        found.out
    };
    let alone = seek(&bench.owner);
    for direct in [false, true] {
        let planted = bench.run(&bench.owner, &image, &["f17_plant"], &[0xA5; 9000], direct);
        assert_eq!(planted.status(), Status::OK);
        let seen = bench.run(&bench.guest, &registers, &[], b"", false);
        assert_eq!(seen.receipt.unwrap().exit, 0, "a register was left");
        let planted = bench.run(&bench.owner, &image, &["f17_plant"], &[0xA5; 9000], direct);
        assert_eq!(planted.status(), Status::OK);
        assert_eq!(seek(&bench.guest), alone, "words of the payload before");
    }
}

#[test]
fn services_are_withheld_from_one_client_and_not_from_the_other() {
    let services = sk_abi::SERVICES.iter().filter(|s| !s.name.starts_with("net."));
    let mut ids: Vec<u32> = services.map(|s| s.id).collect();
    ids.sort_unstable();
    let bench = Bench::new("services", Some(ids), None);
    let image = build(&bench.desk, "services");
    for (who, resolved, raw) in [
        (&bench.owner, 1, Status::OK),
        (&bench.guest, 0, Status::SYSCALL_UNKNOWN),
        (&bench.owner, 1, Status::OK),
    ] {
        let outcome = bench.run(who, &image, &["resolve"], b"", false);
        assert_eq!(outcome.receipt.unwrap().exit, resolved);
        let outcome = bench.run(who, &image, &["gate"], b"", false);
        assert_eq!(outcome.status(), raw);
        if raw == Status::SYSCALL_UNKNOWN {
            assert_eq!((outcome.fault().service, outcome.fault().far), (41, 40));
        }
    }
    // An image that cannot do without is refused before it runs.
    let needs = fs::read(e2e::bench::payload("udp-echo")).unwrap();
    match bench.run(&bench.guest, &needs, &[], b"", false).refused {
        Some(Error::Rejected { status: Status::UNRESOLVED, .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn without_the_role_there_is_no_direct_run() {
    let bench = Bench::new("roles", None, None);
    let image = build(&bench.desk, "services");
    let error = bench.run(&bench.guest, &image, &["resolve"], b"", true).refused.unwrap();
    assert_eq!(error.exit_code(), 126, "{error}");
    assert!(error.to_string().contains("has the roles observe, submit"), "{error}");
    // Built to run without the shield, sent to run with it.
    let mut needs = raw(&[0xE3A0_0000, 0xE12F_FF1E]);
    needs[2] = 1 << 6;
    needs.insert(4, 2);
    let error = bench.run(&bench.owner, &needs, &[], b"", false).refused.unwrap();
    assert_eq!(error.exit_code(), 126, "{error}");
    assert!(error.help().unwrap().contains("--direct"), "{error}");
    assert_eq!(bench.run(&bench.owner, &needs, &[], b"", true).status(), Status::OK);
}

/// Instructions between the markers of costs.c, least of all rounds, and the
/// payload's own among them.
fn costs(direct: bool) -> [(u64, u64); 3] {
    let dir = tempfile::tempdir().unwrap();
    let out: PathBuf = dir.path().join("count.txt");
    let bench = Bench::new(if direct { "cost-d" } else { "cost-s" }, None, Some(&out));
    let image = build(&bench.desk, "costs");
    let input = e2e::bench::noise(1 << 20, 7);
    let outcome = bench.run(&bench.owner, &image, &[], &input, direct);
    assert_eq!(outcome.status(), Status::OK);
    bench.board.quit(e2e::PATIENCE).unwrap();
    let text = fs::read_to_string(out).unwrap();
    [0, 1, 2].map(|interval| {
        let prefix = format!("marker {interval} ");
        let lines = text.lines().filter_map(|line| line.strip_prefix(&prefix));
        let counts = lines.map(|line| {
            let (all, rest) = line.split_once(' ').unwrap();
            let own = rest.split_once("payload=").unwrap().1.split(' ').next().unwrap();
            (all.parse::<u64>().unwrap(), own.parse::<u64>().unwrap())
        });
        counts.min().expect("a marker")
    })
}

#[test]
fn what_the_shield_costs() {
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("budgets.toml")).unwrap();
    let budgets: BTreeMap<String, u64> = toml::from_str(&text).unwrap();
    let (shielded, direct) = (costs(false), costs(true));
    println!("task.beat: {} instructions shielded, {} direct", shielded[0].0, direct[0].0);
    println!("task.info: {} instructions shielded, {} direct", shielded[1].0, direct[1].0);
    let [md5s, md5d] = [shielded[2], direct[2]];
    println!("MD5 of 1 MiB: {md5s:?} instructions shielded, {md5d:?} direct (all, the payload's)");
    assert!(shielded[0].0 <= budgets["beat-shielded"], "{}", shielded[0].0);
    assert!(direct[0].0 <= budgets["beat-direct"], "{}", direct[0].0);
    // The payload's own instructions; what a tick adds is a share of the host's
    // time here, in both modes alike.
    assert!(md5s.1.abs_diff(md5d.1) * 200 <= md5d.1, "{md5s:?} {md5d:?}");
}

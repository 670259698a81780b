//! Writes the seeds: what the golden files of the crates hold, and orders that
//! lead a session through a task. `cargo run -p sk-fuzz --example seeds`.

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;

use blake2::{Blake2s256, Digest};
use sk_models::ecm::EcmFunction;
use sk_models::lan::Host;
use sk_wire::control::{self, Abort, Close, Fetch, Op};
use sk_wire::frames::{FrameWriter, Object};
use sk_wire::manifest::{Manifest, Memory, Part, TaskId, Time};
use smoltcp::wire::IpProtocol;

#[allow(dead_code)]
#[path = "../../../kernel/wire/tests/golden/blob_v1.rs"]
mod blob;
#[allow(dead_code)]
#[path = "../../../kernel/wire/tests/golden/datagrams_v1.rs"]
mod datagrams;
#[path = "../../pack/tests/common/mod.rs"]
mod elf;
#[allow(dead_code)]
#[path = "../../../kernel/wire/tests/golden/control_v1.rs"]
mod golden;

fn main() {
    let seeds: Vec<(&str, &str, Vec<u8>)> =
        [wire(), images(), boot(), adapters(), frames(), screens(), sessions()].concat();
    for (target, name, bytes) in seeds {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(target);
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join(name), bytes).expect("a file");
    }
}

type Seeds = Vec<(&'static str, &'static str, Vec<u8>)>;

fn wire() -> Seeds {
    let mut seeds: Seeds = vec![
        ("datagram", "beacon", datagrams::BEACON.to_vec()),
        ("datagram", "hello", datagrams::HELLO.to_vec()),
        ("datagram", "hello-reply", datagrams::HELLO_REPLY.to_vec()),
        ("datagram", "hs-init", datagrams::HS_INIT.to_vec()),
        ("datagram", "hs-resp", datagrams::HS_RESP.to_vec()),
        ("datagram", "data", datagrams::DATA.to_vec()),
        ("manifest", "golden", golden::MANIFEST.to_vec()),
        ("frames", "golden", golden::FRAMES.to_vec()),
        ("blob", "golden", blob::BLOB.to_vec()),
    ];
    for (name, bytes) in [
        ("receipt", golden::RECEIPT),
        ("refusal", golden::REFUSAL),
        ("accepted", golden::ACCEPTED),
        ("started", golden::STARTED),
        ("task-status", golden::TASK_STATUS),
        ("abort", golden::ABORT),
        ("aborted", golden::ABORTED),
        ("fetch", golden::FETCH),
        ("fetched", golden::FETCHED),
        ("close", golden::CLOSE),
        ("pong", golden::PONG),
        ("progress", golden::PROGRESS),
        ("commit", golden::COMMIT_REQUEST),
        ("commit-answer", golden::COMMIT_ANSWER),
    ] {
        seeds.push(("control", name, bytes.to_vec()));
    }
    seeds
}

fn screens() -> Seeds {
    // Three bytes of where it goes; two rows of three pixels of 8 bits, with two
    // colours, and of 24 bits.
    let header = |bits: u8, data: u8| {
        let mut file = vec![0, 0, 100, b'B', b'M'];
        file.resize(3 + 54, 0);
        for (at, byte) in [(10, data), (14, 40), (18, 3), (22, 2), (26, 1), (28, bits)] {
            file[3 + at] = byte;
        }
        file
    };
    let mut indexed = header(8, 62);
    indexed[3 + 46] = 2;
    indexed.extend([0, 0, 0, 0, 255, 255, 255, 0, 0, 1, 0, 0, 1, 0, 1, 0]);
    let mut plain = header(24, 54);
    plain.extend(0..24);
    let format = |format: &[u8], arguments: &[u8]| {
        let length = (format.len() as u16).to_le_bytes();
        [&length, format, arguments].concat()
    };
    let numbers: Vec<u8> = (1..80).collect();
    // What an honest firmware says of the sizes and bits it was asked for is
    // already in the message; the words between stay as they are.
    let words = |words: &[(u8, u32)]| -> Vec<u8> {
        let word = |(skip, word): &(u8, u32)| [&[*skip][..], &word.to_le_bytes()].concat();
        words.iter().flat_map(word).collect()
    };
    let answered = |bytes: u32| 1 << 31 | bytes;
    let look = [(3, answered(8)), (0, 1280), (0, 720), (31, 0), (31, 0)];
    let set = [
        (3, answered(8)),
        (4, answered(8)),
        (4, answered(4)),
        (4, answered(4)),
        (4, answered(8)),
        (4, answered(8)),
        (0, 0xDC10_0000),
        (0, 8 << 20),
        (2, answered(4)),
        (0, 2560),
        (31, 0),
    ];
    vec![
        ("bmp", "indexed", indexed),
        ("bmp", "plain", plain),
        ("printf", "numbers", format(b"%d %-8u|%#010x %+.3e %g %5.1f %lld%%", &numbers)),
        ("printf", "text", format(b"%s|%-10.3s|%c %p", &[0, 0, 0, 0, 1, 0, 0, 0, 65, b'a', b'b', 0])),
        ("text", "sizes", b"\x0chello\nworld\t\x01\x08large\xc3\xa4\x02\x09huge\nmore\x03\x05\0\x02\0\x07there\n\n".to_vec()),
        ("framebuffer", "honest", [words(&look), words(&set)].concat()),
    ]
}

fn images() -> Seeds {
    let files = [("spin", elf::Elf::spin()), ("full", elf::Elf::full())];
    let mut seeds = Seeds::new();
    for (name, file) in files {
        let file = file.bytes();
        let image = sk_pack::pack(&file, sk_pack::PackOptions::default()).expect("good").bytes;
        // 64 pages, 4 KiB of heap, 16 bytes of input, 256 of output, no
        // arguments, input in its turn.
        seeds.push(("image", name, [&[64, 0, 16, 16, 0, 1, 0, 0][..], &image].concat()));
        seeds.push(("elf", name, [&[0][..], &file].concat()));
    }
    seeds
}

fn boot() -> Seeds {
    let words: [u32; 26] = [
        5,
        0x5441_0001,
        1,
        0x1000,
        0, // CORE
        4,
        0x5441_0002,
        0x1C00_0000,
        0, // MEM
        4,
        0x5442_0005,
        0x0800_0000,
        0x1234, // INITRD2
        4,
        0x5441_0006,
        0x9ABC_DEF0,
        1, // SERIAL
        3,
        0x5441_0007,
        2, // REVISION
        4,
        0x5441_0009,
        0x736E_6F63,
        0x0030_414D, // CMDLINE
        0,
        0,
    ];
    let list = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let tree = |name| {
        let folder = "../../kernel/drivers/tests/fixtures";
        fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(name)).expect("a tree")
    };
    vec![
        ("atags", "all", list),
        ("dtb", "zero", tree("zero-512.dtb")),
        ("dtb", "b", tree("b-256.dtb")),
    ]
}

fn piece(bytes: &[u8]) -> Vec<u8> {
    let len = u16::try_from(bytes.len()).expect("short");
    [&len.to_le_bytes()[..], bytes].concat()
}

fn adapters() -> Seeds {
    let mac = [0x52, 0x54, 0, 0x12, 0x34, 0x57];
    let functions = [EcmFunction::qemu(mac), EcmFunction::high_speed(mac)];
    let [full, high] = functions.map(|f| f.configuration_bytes(1).to_vec());
    let device: Vec<u8> = vec![18, 1, 0, 2, 2, 0, 0, 64, 0x25, 5, 0xa2, 0xa4, 0, 0, 1, 2, 10, 1];
    let text = "525400123457".encode_utf16().flat_map(u16::to_le_bytes);
    let name: Vec<u8> = [26, 3].into_iter().chain(text).collect();
    let told = |mode: u8, parts: &[&[u8]], rest: &[u8]| {
        let parts: Vec<u8> = parts.iter().flat_map(|part| piece(part)).collect();
        [&[mode][..], &parts, rest].concat()
    };
    let frame = piece(&[0x5A; 60]);
    // Two frames of the LAN95xx, the second behind three bytes of padding.
    let burst: Vec<u8> = [65_u8, 64]
        .into_iter()
        .flat_map(|length| {
            [&[0, 0, length, 0][..], &vec![0x5A; usize::from((length + 3) & !3)]].concat()
        })
        .collect();
    let mut hub = vec![9, 2, 25, 0, 1, 1, 0, 0xe0, 0, 9, 4, 0, 0, 1, 9, 0, 0, 0];
    hub.extend([7, 5, 0x81, 3, 1, 0, 12]);
    // Connected, connection changed; connected and enabled; over-current.
    let flaps = [1, 1, 1, 0, 6, 0, 3, 1, 0, 0, 2, 0, 8, 1, 8, 0, 2, 0].repeat(4);
    vec![
        ("descriptors", "device", device.clone()),
        ("descriptors", "full", full.clone()),
        ("descriptors", "high", high.clone()),
        ("descriptors", "name", name.clone()),
        ("hub", "descriptor", vec![9, 0x29, 3, 9, 0, 50, 1, 2, 0xff]),
        ("hub", "configuration", hub),
        ("hub", "plain", vec![0]),
        ("hub", "full", vec![1]),
        ("hub", "lies", told(2 | 64 | 128, &[&[9, 0x29, 4, 9, 0, 50, 1, 2, 0xff]], &flaps)),
        ("hub", "noise", told(0x28, &[], &[])),
        ("adapter", "plain", told(0, &[], &frame)),
        ("adapter", "full", told(2 | 4 | 32, &[&device, &full, &name], &frame)),
        ("adapter", "high", told(1 | 8, &[&high], &frame)),
        ("lan95xx", "transfer", [&[0][..], &burst].concat()),
        ("lan95xx", "high", [&[1][..], &piece(&burst), &piece(&[0, 0x80, 0, 0])].concat()),
        ("lan95xx", "full", [&[3][..], &piece(&burst), &piece(&[])].concat()),
        ("hub_answers", "descriptor", vec![0, 9, 0x29, 4, 0xe9, 0, 50, 1, 0, 0xff]),
        ("hub_answers", "status", vec![0, 3, 1, 1, 0]),
        ("hub_answers", "map", vec![0, 2, 0x04]),
        // The descriptor is true; a port changes, has a device, is reset.
        (
            "hub_answers",
            "high",
            vec![1, 255, 1, 4, 4, 1, 1, 1, 0, 4, 1, 1, 0, 0, 4, 3, 5, 16, 0, 4, 3, 5, 0, 0],
        ),
        ("hub_answers", "full", vec![7, 255, 1, 2, 4, 0, 1, 9, 0, 3, 0, 1, 0, 0, 2, 0xff, 0xff]),
        ("property", "plain", vec![0]),
        ("property", "bent", vec![0, 7, 0, 0, 4, 0x80, 2, 0x44, 0x33, 0x22, 0x11]),
        ("property", "words", vec![1, 1, 0x18, 0, 0, 0x10, 2, 0, 3, 0, 0, 5, 4, 0, 0, 0x80, 255]),
        // HW_CFG and MII_DATA say something else.
        (
            "lan95xx",
            "registers",
            [&[5 | 0x80, 4, 0, 0, 0, 0, 4, 4, 0, 0, 0][..], &piece(&burst)].concat(),
        ),
        ("adapter", "notice", told(64, &[], &[0xa1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
    ]
}

fn frames() -> Seeds {
    let mac = [0xB8, 0x27, 0xEB, 1, 2, 3];
    let (ip, peer) = (Ipv4Addr::new(192, 168, 7, 2), Host::new(9, Ipv4Addr::new(192, 168, 7, 9)));
    let group = Ipv4Addr::new(224, 0, 0, 1);
    let query = [0x11, 100, 0xEE, 0x9B, 0, 0, 0, 0];
    let to_group = ([1, 0, 0x5E, 0, 0, 1], peer.mac);
    let all = [
        ("who-has", peer.who_has(ip)),
        ("is-at", peer.is_at((mac, ip))),
        ("ping", peer.ping(mac, ip, 1, 2, b"abcdefgh")),
        ("udp", peer.udp(mac, 4000, SocketAddrV4::new(ip, sk_wire::PORT), b"payload")),
        ("dhcp", peer.udp(mac, 67, SocketAddrV4::new(ip, 68), &[2; 300])),
        ("igmp", sk_models::lan::ipv4(to_group, peer.ip, group, IpProtocol::Igmp, 1, &query)),
    ];
    let order = |how: u8, frame: &[u8]| [&[how, 100][..], &piece(frame)].concat();
    let mut seeds = Seeds::new();
    let mut together = vec![0];
    for (name, frame) in &all {
        seeds.push(("net", name, [&[0][..], &order(0, frame)].concat()));
        together.extend(order(0x60, frame));
    }
    seeds.push(("net", "searching", [&[1][..], &order(5, &all[4].1)].concat()));
    seeds.push(("net", "all", together));
    seeds
}

fn sessions() -> Seeds {
    let (image, input) = ([0xAA; 100], [0xBB; 50]);
    let part = |bytes: &[u8]| Part {
        size: u32::try_from(bytes.len()).expect("short"),
        digest: Blake2s256::digest(bytes).into(),
    };
    let task = TaskId { seq: 1, random: 2 };
    let manifest = Manifest {
        version: 1,
        boot_id: [0x20; 16],
        format: 0,
        abi: 1,
        image: part(&image),
        input: part(&input),
        memory: Memory { heap: 4096, stack: 4096, stdout: 4096, stderr: 0 },
        time: Time { wall_ms: 1000, cpu_ms: 0, heartbeat_ms: 0 },
        flags: 0,
        class: 0,
        task_id: task,
        args: "x".parse().expect("short"),
    };
    fn ask<T: serde::Serialize>(id: u32, op: Op, body: &T) -> Vec<u8> {
        let mut buffer = [0; 900];
        control::request(id, op, body, &mut buffer).expect("room").to_vec()
    }
    let sealed = |write: &dyn Fn(&mut FrameWriter<'_>)| {
        let mut buffer = [0; 1408];
        let mut writer = FrameWriter::new(&mut buffer);
        write(&mut writer);
        let len = writer.len();
        [&[0][..], &piece(&buffer[..len])].concat()
    };
    let ctrl = |body: Vec<u8>| sealed(&|w: &mut FrameWriter<'_>| assert!(w.ctrl(&body)));
    let submit = ctrl(ask(1, Op::Submit, &manifest));
    let put = sealed(&|w: &mut FrameWriter<'_>| {
        assert!(w.put(Object::Image, 0, &image) && w.put(Object::Input, 0, &input));
    });
    let commit = ctrl(ask(2, Op::Commit, &task));
    let (finish, run, second) = (vec![200], vec![255], vec![170, 0xE8, 3]);
    let status = ctrl(ask(3, Op::Status, &TaskId::ACTIVE));
    let fetch = ctrl(ask(4, Op::Fetch, &Fetch { object: 2, offset: 0, count: 8 }));
    let result = ctrl(ask(5, Op::Result, &task));
    let done = ctrl(ask(6, Op::ResultAck, &task));
    let close = ctrl(ask(7, Op::Close, &Close { code: 0 }));
    let ping = ctrl(ask(8, Op::Ping, &()));
    let abort = ctrl(ask(9, Op::Abort, &Abort { task_id: task, reason: 1 }));
    let hello = [&[128][..], &piece(&datagrams::HELLO)].concat();
    let start = [&submit[..], &put, &commit, &run].concat();
    let sealed_all: Vec<u8> = [
        (Op::Submit as u8, 1, golden::ACCEPTED),
        (Op::Commit as u8, 2, golden::STARTED),
        (Op::Status as u8, 3, golden::TASK_STATUS),
        (Op::Result as u8, 4, golden::RECEIPT),
    ]
    .into_iter()
    .flat_map(|(op, id, body)| {
        let mut buffer = [0; 900];
        let head = control::answer(id, op, sk_abi::Status::OK, &(), &mut buffer);
        let answer = [head.expect("room"), body].concat();
        sealed(&|w: &mut FrameWriter<'_>| assert!(w.ctrl(&answer)))
    })
    .collect();
    let output = sealed(&|w: &mut FrameWriter<'_>| {
        assert!(w.chunk(Object::Stdout, 0, &[7; 1000]) && w.event(golden::PROGRESS));
    });
    vec![
        ("client", "answers", [&sealed_all[..], &output, &run].concat()),
        (
            "session",
            "task",
            [&start[..], &status, &finish, &run, &fetch, &result, &done, &close].concat(),
        ),
        ("session", "abort", [&start[..], &ping, &abort, &run, &result].concat()),
        ("session", "half", [&submit[..], &commit, &second, &status, &second].concat()),
        ("session", "left", [&start[..], &close, &second, &hello, &run].concat()),
    ]
}

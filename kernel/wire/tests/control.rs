//! Frames, control messages and the manifest: frozen bytes, and nothing else
//! is accepted.

#[path = "golden/control_v1.rs"]
mod golden;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use sk_abi::Status;
use sk_abi::status::FaultRecord;
use sk_wire::control::*;
use sk_wire::frames::{Ack, CHUNK, Frame, FrameWriter, Frames, Object};
use sk_wire::manifest::{self, Manifest, Memory, Part, TaskId, Time};

const TASK: TaskId = TaskId { seq: 300, random: 0x0102_0304_0506_0708 };

fn count_up<const N: usize>(start: u8) -> [u8; N] {
    core::array::from_fn(|i| start.wrapping_add(i as u8))
}

fn manifest() -> Manifest {
    Manifest {
        version: 1,
        boot_id: count_up(0x20),
        format: 0,
        abi: 1,
        image: Part { size: 4096, digest: count_up(0x40) },
        input: Part { size: 5, digest: count_up(0x60) },
        memory: Memory { heap: 65_536, stack: 0, stdout: 1_048_576, stderr: 4096 },
        time: Time { wall_ms: 10_000, cpu_ms: 0, heartbeat_ms: 500 },
        flags: manifest::flags::DETACH | manifest::flags::DROP_OLDEST,
        class: 0,
        task_id: TASK,
        args: "-n 3 'ü'".parse().unwrap(),
    }
}

fn receipt() -> Receipt {
    Receipt {
        boot_id: count_up(0x20),
        task_id: TASK,
        status: Status::DATA_ABORT.0,
        exit: -2,
        image_digest: count_up(0x40),
        input_digest: count_up(0x60),
        stdout: Output { start: 0, len: 300, digest: count_up(0x80) },
        stderr_len: 7,
        usage: Usage { cpu_us: 1_000_000, wall_us: 2_000_000, peak_mem: 70_000, syscalls: 12 },
        flags: receipt_flags::UNSHIELDED,
        detail: 9,
        fault: Some(Fault(FaultRecord {
            kind: 0x603,
            service: 4,
            fsr: 5,
            far: 0xDEAD_BEEF,
            pc: 0x400_1000,
            lr: 1,
            sp: 2,
            cpsr: 0x10,
            r: count_up(1).map(u32::from),
            elapsed_us: 1_999_999,
            base: 0x400_0000,
        })),
        message: message("at main.rs"),
    }
}

/// The golden bytes are made, and read back as what they were made from.
fn frozen<T: Serialize + for<'a> Deserialize<'a> + PartialEq + core::fmt::Debug>(
    value: &T,
    golden: &[u8],
) {
    let mut buffer = [0; CONTROL_MAX];
    let bytes = encode(value, &mut buffer).unwrap();
    assert_eq!(bytes, golden, "{value:?}");
    assert_eq!(decode::<T>(golden).as_ref(), Ok(value));
    let mut longer = golden.to_vec();
    longer.push(0);
    assert_eq!(decode::<T>(&longer), Err(CodecError::Malformed));
    for cut in 0..golden.len() {
        assert!(decode::<T>(&golden[..cut]).is_err(), "cut to {cut}");
    }
}

#[test]
fn every_body_is_frozen() {
    frozen(&manifest(), golden::MANIFEST);
    frozen(&receipt(), golden::RECEIPT);
    frozen(&Refusal { detail: 1500, message: message("no") }, golden::REFUSAL);
    frozen(&Accepted { credit: 32, expires_ms: 10_062, phase: Phase::Receiving }, golden::ACCEPTED);
    frozen(&Started { phase: Phase::Running }, golden::STARTED);
    let status = TaskStatus {
        task_id: TASK,
        phase: Phase::Running,
        status: 0,
        cpu_us: 5,
        wall_us: 300,
        stdout: 1,
        stderr: 2,
        beats: 3,
        last_service: 4,
    };
    frozen(&status, golden::TASK_STATUS);
    frozen(&Abort { task_id: TASK, reason: 1 }, golden::ABORT);
    frozen(&Aborted { task_id: TASK, status: Status::ABORTED_OWNER.0 }, golden::ABORTED);
    frozen(&Fetch { object: 2, offset: 1400, count: 32 }, golden::FETCH);
    frozen(&Fetched { start: 0, end: 60_000 }, golden::FETCHED);
    frozen(&Close { code: 0 }, golden::CLOSE);
    let pong = Pong {
        uptime_ms: 123_456,
        phase: Phase::Idle,
        task_id: TaskId::ACTIVE,
        memory_kib: 400_000,
        mhz: 700,
        temperature_mc: -5,
        throttle: 0x50005,
        tasks: 6,
        drops: 7,
        last_end: 5,
    };
    frozen(&pong, golden::PONG);
    frozen(
        &Event::Progress { task_id: TASK, phase: Phase::Running, stdout: 9, stderr: 0 },
        golden::PROGRESS,
    );
    let ended: Vec<u8> = [&[1], golden::RECEIPT].concat();
    frozen(&Event::Ended(receipt()), &ended);
}

#[test]
fn heads_are_frozen() {
    let mut buffer = [0; CONTROL_MAX];
    let bytes = request(300, Op::Commit, &TASK, &mut buffer).unwrap();
    assert_eq!(bytes, golden::COMMIT_REQUEST);
    let parsed = Request::parse(bytes).unwrap();
    assert_eq!((parsed.id, parsed.op, decode(parsed.body)), (300, 4, Ok(TASK)));
    let mut buffer = [0; CONTROL_MAX];
    let bytes = answer(300, 4, Status::INCOMPLETE, &Refusal::default(), &mut buffer).unwrap();
    assert_eq!(bytes, golden::COMMIT_ANSWER);
    let parsed = Answer::parse(bytes).unwrap();
    assert_eq!(
        (parsed.id, parsed.op, parsed.status, decode(parsed.body)),
        (300, 4, Status::INCOMPLETE, Ok(Refusal::default()))
    );
    // A request is no answer; longer varints than needed are refused.
    assert_eq!(Answer::parse(golden::COMMIT_REQUEST), Err(CodecError::Malformed));
    assert_eq!(Request::parse(&[0xAC, 0x82, 0x00, 4]), Err(CodecError::NotCanonical));
    assert_eq!(decode::<Close>(&[0x80, 0x00]), Err(CodecError::NotCanonical));
}

#[test]
fn the_longest_messages_fit() {
    let mut longest = receipt();
    longest.message = message(&"x".repeat(1000));
    assert_eq!(longest.message.len(), MESSAGE_MAX);
    (longest.usage.cpu_us, longest.usage.wall_us) = (u64::MAX, u64::MAX);
    longest.task_id = TaskId { seq: u64::MAX, random: u64::MAX };
    if let Some(fault) = &mut longest.fault {
        fault.0 = FaultRecord {
            kind: u16::MAX,
            service: u16::MAX,
            fsr: u32::MAX,
            far: u32::MAX,
            pc: u32::MAX,
            lr: u32::MAX,
            sp: u32::MAX,
            cpsr: u32::MAX,
            r: [u32::MAX; 13],
            elapsed_us: u32::MAX,
            base: u32::MAX,
        };
    }
    let mut buffer = [0; CONTROL_MAX];
    answer(u32::MAX, 7, Status::OK, &longest, &mut buffer).unwrap();
    let mut long = manifest();
    long.args = "y".repeat(256).parse().unwrap();
    request(u32::MAX, Op::Submit, &long, &mut buffer).unwrap();
    assert_eq!(message("a\u{fc}".repeat(100).as_str()).len(), 199, "cut between characters");
}

#[test]
fn frames_are_frozen() {
    let mut buffer = [0; 200];
    let mut writer = FrameWriter::new(&mut buffer);
    let ack =
        Ack { object: 1, base: 7, credit: 32, highest: 0x1234, bitmap: &[0b101, 0, 0x80, 0, 0] };
    assert!(writer.put(Object::Image, 1400, b"abc"));
    assert!(writer.ack(&ack));
    assert!(writer.ctrl(&[1, 13]));
    assert!(writer.chunk(Object::Stderr, 5, b"z"));
    assert!(writer.event(&[9]));
    assert!(writer.pad());
    let len = writer.len();
    assert_eq!(&buffer[..len], golden::FRAMES);
    let short = Ack { bitmap: &[0b101, 0, 0x80], ..ack };
    let read: Vec<_> = Frames::new(golden::FRAMES).map(Result::unwrap).collect();
    assert_eq!(
        read,
        [
            Frame::Put { object: 0, offset: 1400, bytes: b"abc" },
            Frame::Ack(short),
            Frame::Ctrl(&[1, 13]),
            Frame::Chunk { object: 7, offset: 5, bytes: b"z" },
            Frame::Event(&[9]),
            Frame::Pad,
        ]
    );
    // Chunks 0 to 6, not 7, 8 and 10, not 9, and 31.
    assert!(
        short.has(6)
            && !short.has(7)
            && short.has(8)
            && !short.has(9)
            && short.has(10)
            && short.has(31)
            && !short.has(2000)
    );
}

#[test]
fn a_datagram_holds_one_full_chunk() {
    let mut buffer = [0; 2000];
    let mut writer = FrameWriter::new(&mut buffer);
    assert!(!writer.put(Object::Input, 0, &[0; CHUNK + 1]));
    assert!(writer.put(Object::Input, 0, &[0; CHUNK]));
    assert_eq!((writer.len(), writer.room()), (1408, None));
    assert!(!writer.pad());
}

#[test]
fn bad_frames_end_the_reading() {
    let bad: [&[u8]; 8] = [
        &[7, 0, 0, 0, 0, 0, 0, 0],
        &[0, 0, 0, 0, 0, 0, 0, 0],
        &[3, 1, 0, 0, 0, 0, 0, 0],
        &[3, 0, 0, 0, 1, 0, 0, 0],
        &[6, 0, 1, 0, 0, 0, 0, 0, 1],
        &[1, 0, 2, 0, 0, 0, 0, 0, 1],
        &[2, 0, 0, 0, 0, 0, 0, 0],
        &[1, 0, 0],
    ];
    for bytes in bad {
        let mut frames = Frames::new(bytes);
        assert!(matches!(frames.next(), Some(Err(_))), "{bytes:?}");
        assert_eq!(frames.next(), None);
    }
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_stumble(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        for _ in Frames::new(&bytes) {}
        let _ = decode::<Manifest>(&bytes);
        let _ = decode::<Receipt>(&bytes);
        let _ = decode::<Event>(&bytes);
        let _ = Request::parse(&bytes);
        let _ = Answer::parse(&bytes);
    }

    #[test]
    fn what_decodes_has_one_encoding(mut bytes in Just(golden::MANIFEST.to_vec()), at in any::<prop::sample::Index>(), bit in 0..8_u32) {
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(manifest) = decode::<Manifest>(&bytes) {
            let mut buffer = [0; CONTROL_MAX];
            prop_assert_eq!(encode(&manifest, &mut buffer).unwrap(), &bytes[..]);
        }
    }
}

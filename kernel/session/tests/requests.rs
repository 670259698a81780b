//! Requests written by hand: what no well-behaved client would send, and every
//! row of the table of SUBMIT (T2 to T5, T8 to T15 of the protocol).

mod sim;

use blake2::{Blake2s256, Digest as _};
use sim::*;
use sk_abi::Status;
use sk_session::base::{Destination, Endpoint, MS, SECOND};
use sk_session::keys::Ephemeral;
use sk_session::noise::Initiator;
use sk_session::transport::Transport;
use sk_wire::control::{self, Abort, Answer, Fetch, Op, Phase, Receipt, Refusal, TaskStatus};
use sk_wire::frames::{Ack, CHUNK, Frame, FrameWriter, Frames, Object};
use sk_wire::manifest::{FORMAT_SKX1, MANIFEST_VERSION, Manifest, Memory, Part, TaskId, Time};
use sk_wire::{Hello, HelloReply, HsResp, InitPayload, MAX_DATAGRAM, Prologue, Roles};

/// A session driven by hand over a perfect wire.
struct Raw {
    transport: Transport,
    from: Endpoint,
    id: u32,
    answers: Vec<(u32, u8, Status, Vec<u8>)>,
    acks: Vec<(u8, u32, u16)>,
    chunks: Vec<(u8, u32, usize)>,
    ended: Vec<Receipt>,
}

fn drain(world: &mut World<'_>, to: Endpoint) -> Vec<Vec<u8>> {
    let mut got = vec![];
    let mut out = [0; MAX_DATAGRAM];
    for _ in 0..200 {
        world.now += 500;
        world.machine.tick(world.now);
        let more = world.server.poll(world.now, &mut world.machine);
        let mut sent = false;
        while let Some((destination, len)) =
            world.server.transmit(world.now, &mut world.machine, &mut out)
        {
            sent = true;
            if destination == Destination::Endpoint(to) {
                got.push(out[..len].to_vec());
            }
        }
        while let Some(event) = world.server.event() {
            world.events.push(event);
        }
        if !more && !sent {
            break;
        }
    }
    got
}

impl Raw {
    fn open(world: &mut World<'_>, n: u8, counter: u64, roles: Roles) -> Raw {
        let from = Endpoint { ip: [10, 0, 2, n], port: 6000 + counter as u16 };
        drain(world, from);
        let hello = Hello::new([n; 16]);
        world.inject(from, &hello.emit(), false);
        let reply = drain(world, from)
            .iter()
            .find_map(|bytes| HelloReply::parse(bytes))
            .expect("HELLO_REPLY");
        let payload = InitPayload {
            hs_counter: counter,
            want_roles: roles,
            features: 0,
            boot_id: reply.boot_id,
        };
        let ephemeral = Ephemeral::from_secret([counter as u8; 32]);
        let prologue = Prologue::from_exchange(&hello, &reply);
        let (initiator, init) = Initiator::start(
            &client_key(n),
            board_key().public(),
            &psk(n),
            ephemeral,
            &prologue,
            &payload,
            0x1111,
        )
        .expect("starts");
        world.inject(from, &init.emit(), false);
        let resp =
            drain(world, from).iter().find_map(|bytes| HsResp::parse(bytes)).expect("HS_RESP");
        let (_, keys) = initiator.finish(&resp).expect("authentic");
        let transport = Transport::new(keys, 0x1111, resp.sender_index, world.now);
        let mut raw = Raw {
            transport,
            from,
            id: 0,
            answers: vec![],
            acks: vec![],
            chunks: vec![],
            ended: vec![],
        };
        // Only now the session is more than pending.
        assert_eq!(raw.status_of(world, Op::Ping, &()), Status::OK);
        raw
    }

    fn send(&mut self, world: &mut World<'_>, fill: impl FnOnce(&mut FrameWriter<'_>)) {
        self.queue(world, fill);
        self.read(world);
    }

    fn queue(&mut self, world: &mut World<'_>, fill: impl FnOnce(&mut FrameWriter<'_>)) {
        let mut out = [0; MAX_DATAGRAM];
        let mut writer = FrameWriter::new(&mut out[Transport::HEADER..]);
        fill(&mut writer);
        let len = writer.len();
        let total = self.transport.seal(world.now, &mut out, len).expect("seals");
        world.inject(self.from, &out[..total], false);
    }

    fn read(&mut self, world: &mut World<'_>) {
        for mut datagram in drain(world, self.from) {
            let Ok(text) = self.transport.open(world.now, &mut datagram) else { continue };
            for frame in Frames::new(text) {
                match frame.expect("a good frame") {
                    Frame::Ctrl(body) => {
                        let answer = Answer::parse(body).expect("an answer");
                        self.answers.push((
                            answer.id,
                            answer.op,
                            answer.status,
                            answer.body.to_vec(),
                        ));
                    }
                    Frame::Ack(Ack { object, base, credit, .. }) => {
                        self.acks.push((object, base, credit));
                    }
                    Frame::Chunk { object, offset, bytes } => {
                        self.chunks.push((object, offset, bytes.len()));
                    }
                    Frame::Event(body) => {
                        if let control::Event::Ended(receipt) =
                            control::decode(body).expect("an event")
                        {
                            self.ended.push(receipt);
                        }
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    }

    /// Asks under a fresh id; status and body of the answer, if one came at once.
    fn ask<T: serde::Serialize>(
        &mut self,
        world: &mut World<'_>,
        op: Op,
        body: &T,
    ) -> Option<(Status, Vec<u8>)> {
        self.id += 1;
        self.ask_as(world, self.id, op, body)
    }

    fn ask_as<T: serde::Serialize>(
        &mut self,
        world: &mut World<'_>,
        id: u32,
        op: Op,
        body: &T,
    ) -> Option<(Status, Vec<u8>)> {
        let mut buffer = [0; 900];
        let bytes = control::request(id, op, body, &mut buffer).expect("fits").to_vec();
        self.answers.clear();
        self.send(world, |writer| assert!(writer.ctrl(&bytes)));
        self.answers
            .iter()
            .find(|(got, ..)| *got == id)
            .map(|(_, _, status, body)| (*status, body.clone()))
    }

    fn status_of<T: serde::Serialize>(
        &mut self,
        world: &mut World<'_>,
        op: Op,
        body: &T,
    ) -> Status {
        self.ask(world, op, body).expect("an answer").0
    }

    fn upload(&mut self, world: &mut World<'_>, object: Object, bytes: &[u8]) {
        for (k, chunk) in bytes.chunks(CHUNK).enumerate() {
            self.queue(world, |writer| assert!(writer.put(object, (k * CHUNK) as u32, chunk)));
        }
        self.read(world);
    }
}

fn part(bytes: &[u8]) -> Part {
    Part { size: bytes.len() as u32, digest: Blake2s256::digest(bytes).into() }
}

fn manifest(seq: u64, image: &[u8], input: &[u8], args: &str) -> Manifest {
    Manifest {
        version: MANIFEST_VERSION,
        boot_id: [1; 16],
        format: FORMAT_SKX1,
        abi: ABI,
        image: part(image),
        input: part(input),
        memory: Memory { heap: 0, stack: 0, stdout: 100_000, stderr: 1000 },
        time: Time::default(),
        flags: 0,
        class: 0,
        task_id: TaskId { seq, random: 77 },
        args: args.parse().expect("short"),
    }
}

const IMAGE: &[u8] = &[0x55; 3000];

/// A world with boot id `[1; 16]`.
fn world(config: &sk_wire::blob::Config) -> World<'_> {
    World::new(config, 1, FINE)
}

#[test]
fn submit_answers_by_the_table() {
    let config = config();
    let mut w = world(&config);
    let mut a = Raw::open(&mut w, 0, 1, Roles::SUBMIT);
    let mut b = Raw::open(&mut w, 1, 2, Roles::SUBMIT);
    let good = manifest(5, IMAGE, b"in", "echo");
    // Another boot.
    let other_boot = Manifest { boot_id: [2; 16], ..good.clone() };
    assert_eq!(a.status_of(&mut w, Op::Submit, &other_boot), Status::BOOT_CHANGED);
    // Accepted; again the same; the same name for something else.
    assert_eq!(a.status_of(&mut w, Op::Submit, &good), Status::OK);
    assert_eq!(a.status_of(&mut w, Op::Submit, &good), Status::OK);
    let other = manifest(5, IMAGE, b"IN", "echo");
    assert_eq!(a.status_of(&mut w, Op::Submit, &other), Status::CONFLICT);
    // An old number; a new one while busy; another client.
    assert_eq!(
        a.status_of(&mut w, Op::Submit, &manifest(4, IMAGE, b"", "echo")),
        Status::STALE_TASK
    );
    assert_eq!(a.status_of(&mut w, Op::Submit, &manifest(6, IMAGE, b"", "echo")), Status::BUSY);
    let (status, body) =
        b.ask(&mut w, Op::Submit, &manifest(1, IMAGE, b"", "echo")).expect("an answer");
    let refusal: Refusal = control::decode(&body).expect("a refusal");
    assert_eq!(status, Status::BUSY);
    assert!(refusal.detail > 0);
    // Run it; afterwards the same SUBMIT tells that it is over.
    a.upload(&mut w, Object::Image, IMAGE);
    a.upload(&mut w, Object::Input, b"in");
    assert_eq!(a.status_of(&mut w, Op::Commit, &good.task_id), Status::OK);
    for _ in 0..10 {
        a.read(&mut w);
    }
    assert_eq!(a.ended.len(), 1);
    assert_eq!(a.status_of(&mut w, Op::ResultAck, &good.task_id), Status::OK);
    for _ in 0..1000 {
        let (status, body) = a.ask(&mut w, Op::Submit, &good).expect("an answer");
        let accepted: control::Accepted = control::decode(&body).expect("accepted");
        assert_eq!((status, accepted.phase), (Status::OK, Phase::Done));
    }
    let (status, body) = a.ask(&mut w, Op::Result, &good.task_id).expect("an answer");
    assert_eq!(status, Status::OK);
    assert_eq!(control::decode::<Receipt>(&body).expect("a receipt"), a.ended[0]);
    assert_eq!(a.status_of(&mut w, Op::Submit, &other), Status::CONFLICT);
    assert_eq!(b.status_of(&mut w, Op::Result, &good.task_id), Status::BAD_STATE);
    assert_eq!(w.machine.entered.len(), 1);
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_touched() {
    let config = config();
    let mut w = world(&config);
    let mut a = Raw::open(&mut w, 0, 1, Roles::SUBMIT);
    let good = manifest(5, IMAGE, b"", "echo");
    let sized = |image, input| Manifest {
        image: Part { size: image, ..good.image },
        input: Part { size: input, ..good.input },
        ..good.clone()
    };
    for (bad, status) in [
        (sized((16 << 20) + 1, 0), Status::TOO_BIG),
        (sized(u32::MAX, 0), Status::TOO_BIG),
        (sized(1, u32::MAX), Status::TOO_BIG),
        (sized(16 << 20, 16 << 20).with_heap(32 << 20), Status::TOO_BIG),
        (sized(100, 100).with_heap(u32::MAX), Status::TOO_BIG),
        (sized(0, 0), Status::BAD_FIELD),
        (Manifest { version: 2, ..good.clone() }, Status::VERSION),
        (Manifest { format: 1, ..good.clone() }, Status::FORMAT),
        (Manifest { abi: 9, ..good.clone() }, Status::ABI),
        (Manifest { flags: 0x8000, ..good.clone() }, Status::BAD_FIELD),
        (Manifest { class: 1, ..good.clone() }, Status::BAD_FIELD),
        (Manifest { flags: 1, ..good.clone() }, Status::ROLE),
        (
            Manifest { time: Time { wall_ms: WALL_MAX + 1, ..Time::default() }, ..good.clone() },
            Status::TIME_TOO_LONG,
        ),
    ] {
        assert_eq!(a.status_of(&mut w, Op::Submit, &bad), status, "{bad:?}");
        assert_eq!(w.machine.reserved, 0);
    }
    // None of them used the number up.
    assert_eq!(a.status_of(&mut w, Op::Submit, &good), Status::OK);
    let mut o = Raw::open(&mut w, 2, 3, Roles::OBSERVE);
    assert_eq!(o.status_of(&mut w, Op::Submit, &good), Status::ROLE);
}

trait WithHeap {
    fn with_heap(self, heap: u32) -> Self;
}

impl WithHeap for Manifest {
    fn with_heap(mut self, heap: u32) -> Self {
        self.memory.heap = heap;
        self
    }
}

#[test]
fn chunks_that_do_not_belong_are_ignored_and_the_first_bytes_stay() {
    let config = config();
    let mut w = world(&config);
    let mut a = Raw::open(&mut w, 0, 1, Roles::SUBMIT);
    let mut b = Raw::open(&mut w, 1, 2, Roles::SUBMIT);
    let good = manifest(5, IMAGE, b"", "echo");
    a.send(&mut w, |writer| assert!(writer.put(Object::Image, 0, &[1; CHUNK])));
    assert_eq!(a.status_of(&mut w, Op::Submit, &good), Status::OK);
    assert_eq!(a.status_of(&mut w, Op::Commit, &good.task_id), Status::INCOMPLETE);
    let bad = w.server.counters().bad_frames;
    for (object, offset, len) in [
        (Object::Image, 1, CHUNK),
        (Object::Image, 2800, 201),
        (Object::Image, 2800, 199),
        (Object::Image, 4200, 100),
        (Object::Stdout, 0, CHUNK),
        (Object::Input, 0, 1),
        (Object::Image, u32::MAX - 3, 3),
    ] {
        a.send(&mut w, |writer| assert!(writer.put(object, offset, &vec![9; len])));
    }
    b.send(&mut w, |writer| assert!(writer.put(Object::Image, 0, &[9; CHUNK])));
    assert_eq!(w.server.counters().bad_frames - bad, 8);
    a.upload(&mut w, Object::Image, IMAGE);
    // Other bytes at a place that is filled: acknowledged, not written.
    a.send(&mut w, |writer| assert!(writer.put(Object::Image, 0, &[9; CHUNK])));
    assert_eq!(a.acks.last(), Some(&(0, 3, 32)));
    assert_eq!(b.status_of(&mut w, Op::Commit, &good.task_id), Status::NOT_OWNER);
    assert_eq!(a.status_of(&mut w, Op::Commit, &TaskId { seq: 99, random: 1 }), Status::BAD_STATE);
    assert_eq!(a.status_of(&mut w, Op::Commit, &good.task_id), Status::OK);
    assert_eq!(a.status_of(&mut w, Op::Commit, &good.task_id), Status::OK);
    assert_eq!(w.machine.entered.len(), 1);
}

#[test]
fn one_wrong_bit_is_found_by_the_digest() {
    for object in [Object::Image, Object::Input] {
        let config = config();
        let mut w = world(&config);
        let mut a = Raw::open(&mut w, 0, 1, Roles::SUBMIT);
        let good = manifest(5, IMAGE, IMAGE, "echo");
        assert_eq!(a.status_of(&mut w, Op::Submit, &good), Status::OK);
        let mut bent = IMAGE.to_vec();
        bent[1234] ^= 0x10;
        a.upload(&mut w, Object::Image, if object == Object::Image { &bent } else { IMAGE });
        a.upload(&mut w, Object::Input, if object == Object::Input { &bent } else { IMAGE });
        let (status, body) = a.ask(&mut w, Op::Commit, &good.task_id).expect("an answer");
        let refusal: Refusal = control::decode(&body).expect("a refusal");
        assert_eq!((status, refusal.detail), (Status::DIGEST, object as u32));
        assert!(w.machine.entered.is_empty());
        a.read(&mut w);
        assert_eq!(w.server.phase(), Phase::Idle);
        // The same number never runs any more.
        let (_, body) = a.ask(&mut w, Op::Submit, &good).expect("an answer");
        assert_eq!(
            control::decode::<control::Accepted>(&body).expect("accepted").phase,
            Phase::Done
        );
        assert_eq!(a.status_of(&mut w, Op::Commit, &good.task_id), Status::DIGEST);
    }
}

#[test]
fn an_id_is_carried_out_once_whatever_it_says_later() {
    let config = config();
    let mut w = world(&config);
    let mut a = Raw::open(&mut w, 0, 1, Roles::SUBMIT);
    let good = manifest(5, IMAGE, b"", "spin");
    assert_eq!(a.ask_as(&mut w, 9, Op::Submit, &good).expect("an answer").0, Status::OK);
    // The same id with a body that would be refused, and with another op.
    assert_eq!(
        a.ask_as(&mut w, 9, Op::Submit, &Manifest { boot_id: [0; 16], ..good.clone() })
            .expect("an answer")
            .0,
        Status::OK
    );
    let abort = Abort { task_id: good.task_id, reason: 0 };
    assert_eq!(a.ask_as(&mut w, 9, Op::Abort, &abort).expect("an answer").0, Status::OK);
    assert_eq!(w.server.phase(), Phase::Receiving);
    // Garbage, trailing bytes, a longer varint than needed, unknown requests.
    assert_eq!(a.ask(&mut w, Op::Submit, &1_u8).expect("an answer").0, Status::BAD_FIELD);
    assert_eq!(
        a.ask(&mut w, Op::Status, &(good.task_id, 0_u8)).expect("an answer").0,
        Status::BAD_FIELD
    );
    assert_eq!(a.ask(&mut w, Op::Ping, &1_u8).expect("an answer").0, Status::BAD_FIELD);
    assert_eq!(a.ask(&mut w, Op::Reboot, &()).expect("an answer").0, Status::UNKNOWN_OP);
    a.answers.clear();
    a.send(&mut w, |writer| assert!(writer.ctrl(&[50, 4, 0x85, 0x00, 77])));
    assert_eq!(a.answers[0].2, Status::NOT_CANONICAL);
    a.answers.clear();
    a.send(&mut w, |writer| assert!(writer.ctrl(&[0x85, 0x00, 13])));
    assert!(a.answers.is_empty(), "an id that is not canonical cannot be answered");
    a.send(&mut w, |writer| assert!(writer.ctrl(&[51, 200])));
    assert_eq!((a.answers[0].0, a.answers[0].2), (51, Status::UNKNOWN_OP));
}

#[test]
fn abort_in_each_state_gives_one_final_status() {
    let config = config();
    let mut w = world(&config);
    let mut a = Raw::open(&mut w, 0, 1, Roles::SUBMIT);
    let abort = |seq| Abort { task_id: TaskId { seq, random: 77 }, reason: 0 };
    let ask_abort = |a: &mut Raw, w: &mut World<'_>, seq| {
        let (status, body) = a.ask(w, Op::Abort, &abort(seq)).expect("an answer");
        (
            status,
            control::decode::<control::Aborted>(&body)
                .map(|aborted| Status(aborted.status))
                .unwrap_or_default(),
        )
    };
    // IDLE.
    assert_eq!(ask_abort(&mut a, &mut w, 1).0, Status::BAD_STATE);
    // RECEIVING, and again when it is over.
    assert_eq!(a.status_of(&mut w, Op::Submit, &manifest(1, IMAGE, b"", "spin")), Status::OK);
    for _ in 0..3 {
        assert_eq!(ask_abort(&mut a, &mut w, 1), (Status::OK, Status::ABORTED_OWNER));
    }
    // RUNNING.
    assert_eq!(a.status_of(&mut w, Op::Submit, &manifest(2, IMAGE, b"", "spin")), Status::OK);
    a.upload(&mut w, Object::Image, IMAGE);
    assert_eq!(a.status_of(&mut w, Op::Commit, &abort(2).task_id), Status::OK);
    let before = w.now;
    assert_eq!(ask_abort(&mut a, &mut w, 2), (Status::OK, Status::ABORTED_OWNER));
    assert!(w.now - before < 50 * MS);
    assert_eq!(a.ended.iter().filter(|receipt| receipt.task_id.seq == 2).count(), 1);
    // REPLYING: what it came to by itself stays.
    assert_eq!(a.status_of(&mut w, Op::ResultAck, &abort(2).task_id), Status::OK);
    a.read(&mut w);
    assert_eq!(a.status_of(&mut w, Op::Submit, &manifest(3, IMAGE, b"", "fault")), Status::OK);
    a.upload(&mut w, Object::Image, IMAGE);
    assert_eq!(a.status_of(&mut w, Op::Commit, &abort(3).task_id), Status::OK);
    while w.server.phase() != Phase::Replying {
        a.read(&mut w);
    }
    assert_eq!(ask_abort(&mut a, &mut w, 3), (Status::OK, Status::DATA_ABORT));
    let (_, body) = a.ask(&mut w, Op::Status, &abort(3).task_id).expect("an answer");
    let status: TaskStatus = control::decode(&body).expect("a status");
    assert_eq!((status.phase, Status(status.status)), (Phase::Replying, Status::DATA_ABORT));
    // SCRUB and after.
    assert_eq!(a.status_of(&mut w, Op::ResultAck, &abort(3).task_id), Status::OK);
    assert_eq!(ask_abort(&mut a, &mut w, 3), (Status::OK, Status::DATA_ABORT));
}

#[test]
fn fetch_stays_within_its_bounds() {
    let config = config();
    let mut w = world(&config);
    let mut a = Raw::open(&mut w, 0, 1, Roles::SUBMIT);
    let mut b = Raw::open(&mut w, 1, 2, Roles::SUBMIT);
    let mut o = Raw::open(&mut w, 3, 3, Roles::OPERATE);
    let fetch = |object, offset, count| Fetch { object, offset, count };
    assert_eq!(a.status_of(&mut w, Op::Fetch, &fetch(2, 0, 1)), Status::BAD_STATE);
    assert_eq!(a.status_of(&mut w, Op::Submit, &manifest(1, IMAGE, b"", "out 60000")), Status::OK);
    a.upload(&mut w, Object::Image, IMAGE);
    assert_eq!(a.status_of(&mut w, Op::Commit, &TaskId { seq: 1, random: 77 }), Status::OK);
    while w.server.phase() != Phase::Replying {
        a.read(&mut w);
    }
    a.read(&mut w);
    a.chunks.clear();
    assert_eq!(a.status_of(&mut w, Op::Fetch, &fetch(2, 0, 255)), Status::OK);
    assert_eq!(a.chunks.len(), 32);
    a.chunks.clear();
    assert_eq!(a.status_of(&mut w, Op::Fetch, &fetch(2, 59_000, 8)), Status::OK);
    assert_eq!(a.chunks, [(2, 59_000, 1000)]);
    a.chunks.clear();
    assert_eq!(a.status_of(&mut w, Op::Fetch, &fetch(2, 60_000, 8)), Status::OK);
    assert_eq!(a.status_of(&mut w, Op::Fetch, &fetch(2, u32::MAX, 8)), Status::OK);
    assert!(a.chunks.is_empty());
    assert_eq!(a.status_of(&mut w, Op::Fetch, &fetch(2, 0, 0)), Status::RANGE);
    assert_eq!(a.status_of(&mut w, Op::Fetch, &fetch(0, 0, 1)), Status::OBJECT);
    assert_eq!(a.status_of(&mut w, Op::Fetch, &fetch(99, 0, 1)), Status::OBJECT);
    assert_eq!(a.status_of(&mut w, Op::Fetch, &fetch(4, 0, 1)), Status::ROLE);
    assert_eq!(b.status_of(&mut w, Op::Fetch, &fetch(2, 0, 1)), Status::NOT_OWNER);
    assert_eq!(o.status_of(&mut w, Op::Fetch, &fetch(4, 0, 1)), Status::OK);
    assert_eq!(o.chunks, [(4, 0, 7)]);
}

#[test]
fn time_limits_lead_back_to_idle() {
    let config = config();
    // No chunk for 5 s.
    let mut w = world(&config);
    let mut a = Raw::open(&mut w, 0, 1, Roles::SUBMIT);
    let task = TaskId { seq: 1, random: 77 };
    assert_eq!(a.status_of(&mut w, Op::Submit, &manifest(1, IMAGE, b"", "echo")), Status::OK);
    w.now += 4900 * MS;
    a.read(&mut w);
    assert_eq!(w.server.phase(), Phase::Receiving);
    w.now += 200 * MS;
    a.read(&mut w);
    a.read(&mut w);
    assert_eq!(w.server.phase(), Phase::Idle);
    assert_eq!(a.ended[0].status(), Status::TIMEOUT);
    assert_eq!(a.status_of(&mut w, Op::Commit, &task), Status::TIMEOUT);
    // Progress, but too slow in all: 10 s and a little.
    assert_eq!(
        a.status_of(&mut w, Op::Submit, &manifest(2, &[0; 70_000], b"", "echo")),
        Status::OK
    );
    for k in 0..4 {
        w.now += 3 * SECOND;
        a.send(&mut w, |writer| assert!(writer.put(Object::Image, k * 1400, &[0; CHUNK])));
    }
    a.read(&mut w);
    assert_eq!(a.ended[1].status(), Status::WALL_DEADLINE);
    assert!(w.machine.entered.is_empty());
    // A result nobody wants.
    assert_eq!(a.status_of(&mut w, Op::Submit, &manifest(3, IMAGE, b"", "echo")), Status::OK);
    a.upload(&mut w, Object::Image, IMAGE);
    assert_eq!(a.status_of(&mut w, Op::Commit, &TaskId { seq: 3, random: 77 }), Status::OK);
    w.now += 50 * MS;
    a.read(&mut w);
    assert_eq!(w.server.phase(), Phase::Replying);
    w.now += 61 * SECOND;
    a.read(&mut w);
    a.read(&mut w);
    assert_eq!(w.server.phase(), Phase::Idle);
}

#[test]
fn a_lost_owner_ends_its_task_unless_it_was_detached() {
    for detach in [false, true] {
        let config = config();
        let mut w = world(&config);
        let mut a = Raw::open(&mut w, 0, 1, Roles::SUBMIT);
        let mut m = manifest(1, IMAGE, b"", "drip 400 100");
        m.flags = if detach { sk_wire::manifest::flags::DETACH } else { 0 };
        assert_eq!(a.status_of(&mut w, Op::Submit, &m), Status::OK);
        a.upload(&mut w, Object::Image, IMAGE);
        assert_eq!(a.status_of(&mut w, Op::Commit, &m.task_id), Status::OK);
        w.now += 29 * SECOND;
        drain(&mut w, a.from);
        assert_eq!(w.server.phase(), Phase::Running);
        w.now += 2 * SECOND;
        drain(&mut w, a.from);
        assert_eq!(w.server.phase() == Phase::Running, detach);
        w.now += 20 * SECOND;
        drain(&mut w, a.from);
        // The same key comes back in a new session.
        let mut again = Raw::open(&mut w, 0, 2, Roles::SUBMIT);
        let (status, body) = again.ask(&mut w, Op::Result, &m.task_id).expect("an answer");
        assert_eq!(status, Status::OK);
        let receipt: Receipt = control::decode(&body).expect("a receipt");
        let expected = if detach { Status::OK } else { Status::SESSION_LOST };
        assert_eq!(receipt.status(), expected);
    }
}

#[test]
fn close_ends_the_session_and_an_undetached_task() {
    let config = config();
    let mut w = world(&config);
    let mut a = Raw::open(&mut w, 0, 1, Roles::SUBMIT);
    let m = manifest(1, IMAGE, b"", "spin");
    assert_eq!(a.status_of(&mut w, Op::Submit, &m), Status::OK);
    a.upload(&mut w, Object::Image, IMAGE);
    assert_eq!(a.status_of(&mut w, Op::Commit, &m.task_id), Status::OK);
    assert_eq!(a.status_of(&mut w, Op::Close, &control::Close { code: 0 }), Status::OK);
    drain(&mut w, a.from);
    assert!(!w.machine.is_running());
    let dropped = w.server.counters().dropped;
    assert_eq!(a.ask(&mut w, Op::Ping, &()), None);
    assert_eq!(w.server.counters().dropped, dropped + 1);
}

#[test]
fn output_beyond_its_room_is_a_limit_or_drops_the_oldest() {
    let config = config();
    for drop_oldest in [false, true] {
        let mut w = World::new(&config, 3, FINE);
        let mut spec = spec(1, IMAGE, b"", "flood 300000");
        spec.memory.stdout = 60_000;
        spec.flags = if drop_oldest { sk_wire::manifest::flags::DROP_OLDEST } else { 0 };
        let n = w.add(params(0, 1, Roles::SUBMIT), sk_session::client::Job::Run(spec));
        assert!(w.finish(n, 60 * SECOND), "{:?}", w.players[n].client.doing());
        let told = &w.players[n].told;
        assert_eq!(told.error, None);
        let receipt = told.receipt.as_ref().expect("a receipt");
        if drop_oldest {
            assert_eq!((receipt.status(), receipt.stdout.len), (Status::OK, 300_000));
            assert!(receipt.stdout.start > 0);
        } else {
            assert_eq!((receipt.status(), told.stdout.len()), (Status::OUTPUT_LIMIT, 60_000));
        }
    }
}

#[test]
fn the_engine_is_small() {
    let size = size_of::<sk_session::server::Server<'_>>();
    assert!(size <= 40 * 1024, "{size} bytes");
}

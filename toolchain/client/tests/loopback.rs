//! The client against the kernel's protocol engine, over UDP on this host:
//! what is told when all goes well, and what when it does not.

mod common;

use std::io;
use std::net::UdpSocket;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use common::{IMAGE, Rig, Script, UNLOADABLE};
use sk_abi::status::FaultRecord;
use sk_client::{
    Board, Client, Error, Events, KnownBoard, Selector, Silent, State, Status, Step, Store, Task,
};
use sk_session::server::board::Ending;

/// Gives back its input and its arguments.
fn echo(args: &str, input: &[u8]) -> Script {
    let ending = Some(Ending { exit: 7, ..Ending::default() });
    Script { stdout: input.to_vec(), stderr: args.replace('\0', "|").into_bytes(), ending }
}

fn spin(_: &str, _: &[u8]) -> Script {
    Script { stdout: b"so far".to_vec(), ..Script::default() }
}

#[derive(Default)]
struct Collect {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    steps: Vec<Step>,
    broken: bool,
}

impl Events for Collect {
    fn step(&mut self, step: Step) {
        self.steps.push(step);
    }

    fn stdout(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.broken {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.stdout.extend_from_slice(bytes);
        Ok(())
    }

    fn stderr(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stderr.extend_from_slice(bytes);
        Ok(())
    }
}

/// Sentence and exit code of a task that must not end well.
fn fails(rig: &Rig, task: &Task<'_>) -> (String, u8) {
    let error = rig.client.run(&rig.board(), task, &mut Silent).unwrap_err();
    (error.to_string(), error.exit_code())
}

#[test]
fn a_good_run_gives_output_code_and_receipt() {
    let rig = Rig::new(echo);
    let board = rig.client.find(&Selector::Any).unwrap();
    assert_eq!((board.name(), board.address), ("attic-1", rig.address));
    let input: Vec<u8> = (0..300_000_u32).map(|n| ((n * 31) >> 3) as u8).collect();
    let mut task = Task::new(IMAGE, &input);
    task.args = vec!["one".into(), "two three".into()];
    let mut sink = Collect::default();
    let report = rig.client.run(&board, &task, &mut sink).unwrap();
    assert_eq!(report.exit_code(), 7);
    assert_eq!(report.sent, IMAGE.len() + input.len());
    assert!(sink.stdout == input, "{} of {} bytes", sink.stdout.len(), input.len());
    assert_eq!(sink.stderr, b"one|two three");
    assert_eq!(sink.steps.first(), Some(&Step::Connected));
    assert_eq!(sink.steps.last(), Some(&Step::Started));
    assert!(sink.steps.contains(&Step::Accepted));
    // And once more, and a small one: sessions and numbers do not clash.
    for input in [&b""[..], b"hello"] {
        let mut sink = Collect::default();
        rig.client.run(&board, &Task::new(IMAGE, input), &mut sink).unwrap();
        assert_eq!(sink.stdout, input);
    }
    assert_eq!(rig.client.ping(&board).unwrap().memory_kib, 65_536);
}

#[test]
fn round_trips_over_one_session() {
    let rig = Rig::new(echo);
    let mut echoes = Vec::new();
    let every = Duration::from_millis(20);
    rig.client.pings(&rig.board(), 5, every, &mut |echo| echoes.push(echo)).unwrap();
    assert_eq!(echoes.iter().map(|echo| echo.seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert!(echoes.iter().filter_map(|echo| echo.time).all(|time| time < Duration::from_secs(1)));
    assert!(echoes.iter().any(|echo| echo.time.is_some()), "{echoes:?}");
    assert!(echoes.iter().all(|echo| echo.pong.memory_kib == 65_536));
}

/// Two megabytes at once.
fn numbers(_: &str, _: &[u8]) -> Script {
    let stdout = (0..500_000_u32).flat_map(u32::to_le_bytes).collect();
    Script { stdout, ending: Some(Ending::default()), ..Script::default() }
}

#[test]
fn much_output_arrives_whole() {
    let rig = Rig::new(numbers);
    let mut task = Task::new(IMAGE, b"");
    task.limits.stdout = 2 << 20;
    let mut sink = Collect::default();
    rig.client.run(&rig.board(), &task, &mut sink).unwrap();
    assert!(sink.stdout == numbers("", b"").stdout, "{} bytes", sink.stdout.len());
}

#[test]
fn output_that_nobody_takes_is_not_fetched_and_the_board_is_free() {
    let rig = Rig::new(numbers);
    let mut sink = Collect { broken: true, ..Collect::default() };
    let error = rig.client.run(&rig.board(), &Task::new(IMAGE, b""), &mut sink).unwrap_err();
    assert_eq!(error.exit_code(), 141);
    assert_eq!(rig.client.find(&Selector::Any).unwrap().state, State::Idle);
}

#[test]
fn nobody_there_is_127_and_quick_to_say() {
    let rig = Rig::new(echo);
    let error = rig.client.find(&Selector::parse("127.0.0.1:9").unwrap()).unwrap_err();
    assert!(error.to_string().starts_with("no board at 127.0.0.1:9 was found in 3."), "{error}");
    assert_eq!(error.exit_code(), 127);
}

#[test]
fn a_board_that_vanished_after_it_was_found_did_not_answer() {
    let rig = Rig::new(echo);
    let gone = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let board = Board { address: gone, ..rig.board() };
    let error = rig.client.run(&board, &Task::new(IMAGE, b""), &mut Silent).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with(&format!("attic-1 at {gone} did not answer for 2.0 s")), "{text}");
    assert!(text.contains("refused"), "{text}");
    assert_eq!(error.exit_code(), 125);
}

#[test]
fn another_board_at_the_address_is_noticed() {
    let rig = Rig::new(echo);
    let known = KnownBoard { noise_pk: [9; 32], ..rig.known.clone() };
    let board = Board { known, ..rig.board() };
    let error = rig.client.run(&board, &Task::new(IMAGE, b""), &mut Silent).unwrap_err();
    assert!(error.to_string().starts_with(&format!("{} is not attic-1", rig.address)), "{error}");
    assert!(error.help().unwrap().contains("sk scan"));
    assert_eq!(error.exit_code(), 125);
}

#[test]
fn another_shared_key_is_noticed() {
    let rig = Rig::new(echo);
    let known = KnownBoard { psk: [9; 32], ..rig.known.clone() };
    let board = Board { known, ..rig.board() };
    let error = rig.client.run(&board, &Task::new(IMAGE, b""), &mut Silent).unwrap_err();
    assert_eq!(error.to_string(), "attic-1 does not prove that it holds the key shared with it");
    assert_eq!(error.exit_code(), 125);
}

#[test]
fn a_client_that_is_not_on_the_list_is_refused() {
    let rig = Rig::new(echo);
    let dir = tempfile::tempdir().unwrap();
    let mut stranger = Client::new(Store::at(dir.path()));
    (stranger.targets, stranger.broadcast) = (rig.client.targets.clone(), false);
    stranger.patience.connect = 600_000;
    // It has no record of the board ...
    let error = stranger.find(&Selector::Any).unwrap_err();
    assert!(
        error.to_string().ends_with(&format!("at {} is not known here", rig.address)),
        "{error}"
    );
    // ... and were it to get one, it is not on the board's list.
    let error = stranger.run(&rig.board(), &Task::new(IMAGE, b""), &mut Silent).unwrap_err();
    assert_eq!(error.to_string(), "attic-1 (idle) does not accept this client's key");
    assert_eq!(error.exit_code(), 125);
}

#[test]
fn a_board_gone_in_mid_transfer_is_said_to_be_silent() {
    let rig = Rig::new(echo);
    rig.switches.deaf_after.store(40, Ordering::Relaxed);
    let input = vec![1; 1 << 20];
    let began = Instant::now();
    let (text, code) = fails(&rig, &Task::new(IMAGE, &input));
    assert!(
        text.starts_with(
            "attic-1 fell silent while sending the task: nothing was heard of it for 1.5 s"
        ),
        "{text}"
    );
    assert_eq!(code, 125);
    assert!(began.elapsed() < Duration::from_secs(8));
}

#[test]
fn a_rejected_image_names_the_service_it_needs() {
    let rig = Rig::new(echo);
    let (text, code) = fails(&rig, &Task::new(UNLOADABLE, b"x"));
    let service = sk_abi::service::SERVICES[0].name;
    let end = format!("the image needs a service that the board does not offer ({service})");
    assert!(
        text.starts_with("attic-1 rejected the payload while ") && text.ends_with(&end),
        "{text}"
    );
    assert_eq!(code, 126);
}

#[test]
fn too_much_memory_is_rejected() {
    let rig = Rig::new(echo);
    let mut task = Task::new(IMAGE, b"");
    task.limits.heap = 100 << 20;
    let (text, code) = fails(&rig, &task);
    assert!(text.contains("more memory than the board has"), "{text}");
    assert_eq!(code, 126);
}

#[test]
fn what_no_board_takes_is_not_sent() {
    let rig = Rig::new(echo);
    assert_eq!(
        fails(&rig, &Task::new(b"#!/bin/sh", b"")),
        ("this is not a payload image: it does not start with 'K'".into(), 126)
    );
    let input = vec![0; (16 << 20) + 1];
    let (text, code) = fails(&rig, &Task::new(IMAGE, &input));
    assert_eq!(
        (text.as_str(), code),
        ("the input must not be longer than 16777216 bytes: 16777217", 126)
    );
    let mut task = Task::new(IMAGE, b"");
    task.args = vec!["x".repeat(257)];
    assert_eq!(fails(&rig, &task).0, "the arguments must not be longer than 256 bytes: 257");
}

#[test]
fn time_over_is_124_and_output_is_kept() {
    let rig = Rig::new(spin);
    let mut task = Task::new(IMAGE, b"");
    task.limits.wall = Some(Duration::from_millis(400));
    let mut sink = Collect::default();
    let error = rig.client.run(&rig.board(), &task, &mut sink).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the payload was still running on attic-1 when its 0.4 s were over"
    );
    assert_eq!(error.help().unwrap(), "allow it more: --timeout 1m");
    assert_eq!(error.exit_code(), 124);
    assert_eq!(sink.stdout, b"so far");
}

fn ends_with(status: Status, fault: Option<FaultRecord>, message: &str) -> Script {
    let message = message.parse().unwrap();
    Script {
        ending: Some(Ending { status, fault, message, ..Ending::default() }),
        ..Script::default()
    }
}

#[test]
fn a_fault_is_one_sentence_and_139() {
    fn fault(_: &str, _: &[u8]) -> Script {
        let record =
            FaultRecord { far: 4, pc: 0x0410_1234, base: 0x0410_0000, ..FaultRecord::default() };
        ends_with(Status::DATA_ABORT, Some(record), "")
    }
    let rig = Rig::new(fault);
    let (text, code) = fails(&rig, &Task::new(IMAGE, b""));
    assert_eq!(
        text,
        "the payload failed on attic-1: read of 0x00000004, through a null pointer (DATA_ABORT) \
         at offset 0x1234 of the image"
    );
    assert_eq!(code, 139);
}

#[test]
fn a_panic_keeps_its_message_and_is_134() {
    fn panics(_: &str, _: &[u8]) -> Script {
        ends_with(Status::PANIC, None, "src/main.rs:3: of all things")
    }
    let rig = Rig::new(panics);
    let (text, code) = fails(&rig, &Task::new(IMAGE, b""));
    assert_eq!(text, "the payload panicked on attic-1: src/main.rs:3: of all things");
    assert_eq!(code, 134);
}

#[test]
fn ctrl_c_ends_the_task_on_the_board() {
    let rig = Rig::new(spin);
    let stop = rig.client.stop_flag();
    let task = Task::new(IMAGE, b"");
    let error = std::thread::scope(|scope| {
        let running = scope.spawn(|| rig.client.run(&rig.board(), &task, &mut Silent));
        std::thread::sleep(Duration::from_millis(400));
        stop.store(true, Ordering::Relaxed);
        running.join().unwrap().unwrap_err()
    });
    assert_eq!(error.to_string(), "interrupted; the task was ended on the board");
    assert_eq!(error.exit_code(), 130);
    stop.store(false, Ordering::Relaxed);
    assert_eq!(rig.client.find(&Selector::Any).unwrap().state, State::Idle);
}

#[test]
fn ctrl_c_is_heard_when_the_board_is_not() {
    let rig = Rig::new(spin);
    let stop = rig.client.stop_flag();
    let task = Task::new(IMAGE, b"");
    let began = Instant::now();
    let error = std::thread::scope(|scope| {
        let running = scope.spawn(|| rig.client.run(&rig.board(), &task, &mut Silent));
        std::thread::sleep(Duration::from_millis(400));
        rig.switches.deaf_after.store(1, Ordering::Relaxed);
        stop.store(true, Ordering::Relaxed);
        running.join().unwrap().unwrap_err()
    });
    // Whichever patience ends first.
    assert!(matches!(error, Error::Interrupted { .. } | Error::Lost { .. }), "{error}");
    assert!(began.elapsed() < Duration::from_secs(6));
}

#[test]
fn output_that_nobody_takes_ends_the_task() {
    let rig = Rig::new(spin);
    let mut sink = Collect { broken: true, ..Collect::default() };
    let error = rig.client.run(&rig.board(), &Task::new(IMAGE, b""), &mut sink).unwrap_err();
    assert!(matches!(error, Error::Output(_)), "{error}");
    assert_eq!(error.exit_code(), 141);
    assert_eq!(rig.client.find(&Selector::Any).unwrap().state, State::Idle);
}

#[test]
fn a_busy_board_says_so_and_an_abort_frees_it() {
    let rig = Rig::new(spin);
    let task = Task::new(IMAGE, b"");
    std::thread::scope(|scope| {
        let first = scope.spawn(|| rig.client.run(&rig.board(), &task, &mut Silent));
        std::thread::sleep(Duration::from_millis(400));
        let error = rig.client.find(&Selector::Any).unwrap_err();
        assert!(
            error.to_string().contains("attic-1 at") && error.to_string().contains("(running)"),
            "{error}"
        );
        let error = rig.client.run(&rig.board(), &task, &mut Silent).unwrap_err();
        assert!(error.to_string().starts_with("attic-1 is busy with another task"), "{error}");
        assert_eq!(error.exit_code(), 125);
        rig.client.abort(&rig.board()).unwrap();
        let error = first.join().unwrap().unwrap_err();
        assert_eq!(
            error.to_string(),
            "the payload was ended on attic-1 by another program of its owner"
        );
        assert_eq!(error.exit_code(), 143);
    });
}

//! Client and board in fair weather: one test per thing a user does.

mod sim;

use sim::*;
use sk_abi::Status;
use sk_session::base::{MS, SECOND};
use sk_session::client::{ClientError, Job};
use sk_wire::Roles;
use sk_wire::control::Phase;
use sk_wire::manifest::TaskId;

#[test]
fn a_small_task_is_one_round_trip_after_the_handshake() {
    let config = config();
    let mut world = World::new(&config, 1, FINE);
    let image = vec![0xAA; 300];
    let n =
        world.add(params(0, 1, Roles::SUBMIT), Job::Run(spec(1, &image, b"some input", "echo")));
    assert!(world.finish(n, 5 * SECOND), "{:?}", world.players[n].told);
    let told = &world.players[n].told;
    assert_eq!(told.error, None);
    assert_eq!(told.stdout, b"some input");
    let receipt = told.receipt.as_ref().expect("a receipt");
    assert_eq!((receipt.status(), receipt.exit), (Status::OK, 7));
    assert!(told.connected && told.started);
    assert_eq!(world.machine.entered.len(), 1);
    world.until(SECOND, |world| world.players[n].client.is_done());
    // HELLO and reply, HS_INIT and HS_RESP, the task, its start, its end,
    // RESULT_ACK with CLOSE, and the answer to that.
    assert_eq!(world.datagrams, 9);
    assert!(world.until(SECOND, |world| world.server.phase() == Phase::Idle));
    assert_eq!(world.machine.scrubs, 1);
}

#[test]
fn a_large_task_arrives_whole() {
    let config = config();
    let mut world =
        World::new(&config, 2, Weather { rate: 250_000, delay: 1000, jitter: 3000, ..FINE });
    let (image, input) = (world.dice.bytes(100_001), world.dice.bytes(333_333));
    let n = world.add(params(0, 1, Roles::SUBMIT), Job::Run(spec(1, &image, &input, "echo")));
    assert!(world.finish(n, 60 * SECOND), "{:?}", world.players[n].client.doing());
    let told = &world.players[n].told;
    assert_eq!(told.error, None);
    assert!(told.stdout == input);
}

#[test]
fn output_streams_while_the_task_runs() {
    let config = config();
    let mut world = World::new(&config, 3, FINE);
    let n = world.add(params(0, 1, Roles::SUBMIT), Job::Run(spec(1, &[1; 10], b"", "drip 20 100")));
    assert!(world.until(SECOND, |world| world.players[n].told.stdout.len() >= 16));
    assert!(world.machine.is_running());
    assert!(world.finish(n, 10 * SECOND));
    let lines: String = (0..20).map(|i| format!("{i:07}\n")).collect();
    assert_eq!(world.players[n].told.stdout, lines.as_bytes());
}

#[test]
fn large_output_and_error_output_come_whole() {
    let config = config();
    let mut world = World::new(&config, 4, FINE);
    let n = world.add(params(0, 1, Roles::SUBMIT), Job::Run(spec(1, &[1; 10], b"", "out 500000")));
    assert!(world.finish(n, 20 * SECOND), "{:?}", world.players[n].told.stdout.len());
    let told = &world.players[n].told;
    assert_eq!(told.error, None);
    assert_eq!((told.stdout.len(), told.stderr.as_slice()), (500_000, &b"some words of error"[..]));
}

#[test]
fn a_fault_keeps_the_last_words() {
    let config = config();
    let mut world = World::new(&config, 5, FINE);
    let n = world.add(params(0, 1, Roles::SUBMIT), Job::Run(spec(1, &[1; 10], b"", "fault")));
    assert!(world.finish(n, 5 * SECOND));
    let told = &world.players[n].told;
    assert_eq!(told.stdout, b"last words\n");
    let receipt = told.receipt.as_ref().expect("a receipt");
    assert_eq!(receipt.status(), Status::DATA_ABORT);
    assert_eq!(receipt.fault.expect("a record").0.far, 0xDEAD_BEEF);
}

#[test]
fn a_panic_brings_its_message() {
    let config = config();
    let mut world = World::new(&config, 6, FINE);
    let n = world.add(params(0, 1, Roles::SUBMIT), Job::Run(spec(1, &[1; 10], b"", "panic")));
    assert!(world.finish(n, 5 * SECOND));
    let receipt = world.players[n].told.receipt.clone().expect("a receipt");
    assert_eq!(receipt.status(), Status::PANIC);
    assert!(receipt.message.contains("of all things"));
}

#[test]
fn what_cannot_be_loaded_is_named() {
    let config = config();
    let mut world = World::new(&config, 7, FINE);
    let n = world.add(params(0, 1, Roles::SUBMIT), Job::Run(spec(1, &[1; 10], b"", "unresolved")));
    assert!(world.finish(n, 5 * SECOND));
    let Some(ClientError::Rejected { status, detail, .. }) = world.players[n].told.error.clone()
    else {
        panic!()
    };
    assert_eq!((status, detail), (Status::UNRESOLVED, 0x1234_5678));
    assert!(world.machine.entered.is_empty());
    assert!(world.until(SECOND, |world| world.server.phase() == Phase::Idle));
}

#[test]
fn round_trips_are_timed_over_one_session() {
    let config = config();
    let mut world = World::new(&config, 9, FINE);
    let job = Job::Pings { count: 4, every: 2 * SECOND };
    let before = world.now;
    let n = world.add(params(2, 1, Roles::OBSERVE), job);
    assert!(world.until(30 * SECOND, |world| world.players[n].client.is_done()));
    let told = &world.players[n].told;
    assert_eq!((told.error.as_ref(), told.pongs, told.round_trips.len()), (None, 4, 4));
    assert!(told.round_trips.iter().all(|time| (1..100 * MS).contains(time)), "{told:?}");
    assert!((6 * SECOND..7 * SECOND).contains(&(world.now - before)), "{}", world.now - before);
}

#[test]
fn a_question_that_was_sent_twice_has_no_time() {
    let config = config();
    let mut world = World::new(&config, 10, Weather { loss: 20, ..FINE });
    let n = world.add(params(2, 1, Roles::OBSERVE), Job::Pings { count: 40, every: 100 * MS });
    assert!(world.until(60 * SECOND, |world| world.players[n].client.is_done()));
    let told = &world.players[n].told;
    assert_eq!((told.error.as_ref(), told.pongs), (None, 40));
    assert!((1..40).contains(&told.round_trips.len()), "{told:?}");
    assert!(told.round_trips.iter().all(|time| *time < 100 * MS), "{told:?}");
}

#[test]
fn ping_status_and_abort_from_a_second_session() {
    let config = config();
    let mut world = World::new(&config, 8, FINE);
    let n = world.add(params(0, 1, Roles::SUBMIT), Job::Run(spec(1, &[1; 10], b"", "spin")));
    assert!(world.until(2 * SECOND, |world| world.players[n].told.started));
    let p = world.add(params(2, 1, Roles::OBSERVE), Job::Ping);
    assert!(world.finish(p, 2 * SECOND));
    let pong = world.players[p].told.pong.expect("a pong");
    assert_eq!((pong.phase, pong.mhz, pong.task_id), (Phase::Running, 700, TaskId::ACTIVE));
    let s = world.add(params(3, 1, Roles::OBSERVE), Job::Status(TaskId::ACTIVE));
    assert!(world.finish(s, 2 * SECOND));
    let status = world.players[s].told.status.expect("a status");
    assert_eq!(
        (status.phase, Some(status.task_id)),
        (Phase::Running, world.players[n].told.accepted)
    );
    // The owner's key in another process.
    let before = world.now;
    let a =
        world.add(params(0, 100, Roles::SUBMIT), Job::Abort { task_id: TaskId::ACTIVE, reason: 1 });
    assert!(world.finish(a, 2 * SECOND));
    assert!(world.now - before < 500 * MS);
    assert_eq!(world.players[a].told.aborted.expect("aborted").1, Status::ABORTED_OWNER);
    assert!(world.finish(n, 2 * SECOND));
    assert_eq!(
        world.players[n].told.receipt.as_ref().expect("receipt").status(),
        Status::ABORTED_OWNER
    );
}

#[test]
fn busy_is_said_with_a_time() {
    let config = config();
    let mut world = World::new(&config, 9, FINE);
    let mut long = spec(1, &[1; 10], b"", "spin");
    long.time.wall_ms = 5000;
    let n = world.add(params(0, 1, Roles::SUBMIT), Job::Run(long));
    assert!(world.until(2 * SECOND, |world| world.players[n].told.started));
    let m = world.add(params(1, 1, Roles::SUBMIT), Job::Run(spec(1, &[1; 10], b"", "echo")));
    assert!(world.finish(m, 3 * SECOND));
    let Some(ClientError::Busy { free_in_ms }) = world.players[m].told.error else {
        panic!("{:?}", world.players[m].told)
    };
    assert!((1..=5000).contains(&free_in_ms));
    assert!(world.finish(n, 8 * SECOND));
    assert_eq!(
        world.players[n].told.receipt.as_ref().expect("receipt").status(),
        Status::WALL_DEADLINE
    );
}

#[test]
fn tasks_follow_each_other() {
    let config = config();
    let mut world = World::new(&config, 10, FINE);
    for seq in 1..=12 {
        let n = world.add(
            params(0, seq * 10, Roles::SUBMIT),
            Job::Run(spec(seq, &[1; 100], b"again", "echo")),
        );
        assert!(world.finish(n, 5 * SECOND), "task {seq}");
        assert_eq!(world.players[n].told.stdout, b"again", "{:?}", world.players[n].told.error);
        world.pass(500 * MS);
    }
    assert_eq!(world.machine.entered.len(), 12);
}

/// Upload time of 1 MB in this weather, us, and chunks sent again.
fn upload_time(loss: u64) -> (u64, u32) {
    let config = config();
    let mut world = World::new(&config, 11, Weather { loss, delay: 500, ..FINE });
    let input = world.dice.bytes(1_000_000);
    let n = world.add(params(0, 1, Roles::SUBMIT), Job::Run(spec(1, &[1; 10], &input, "echo")));
    assert!(world.until(5 * SECOND, |world| world.players[n].told.accepted.is_some()));
    let before = world.now;
    assert!(world.until(60 * SECOND, |world| world.players[n].told.started));
    (world.now - before, world.players[n].client.retransmitted())
}

#[test]
fn losses_are_noticed_without_waiting() {
    let (fine, none) = upload_time(0);
    let (bad, again) = upload_time(2);
    assert_eq!(none, 0);
    assert!((5..100).contains(&again), "{again} chunks of 715 sent again");
    // 2.5 times: the window is halved now and then. With timers alone it is 2.9.
    assert!(bad * 10 < fine * 27, "{fine} us without loss, {bad} us with");
}

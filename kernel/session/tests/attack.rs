//! Strangers, forgers and replays: what is dropped must change nothing
//! (H1 to H11, D1 to D3, I1 to I4, P1 to P3 of the protocol).

mod sim;

use sim::*;
use sk_session::base::{Endpoint, MS, SECOND};
use sk_session::client::{ClientError, Job};
use sk_session::server::{Event, Server};
use sk_wire::control::Phase;
use sk_wire::manifest::TaskId;
use sk_wire::{Beacon, Hello, HelloReply, MAX_DATAGRAM, Reason, Roles, State};

const STRANGER: Endpoint = Endpoint { ip: [10, 0, 9, 9], port: 5555 };

/// Everything a ping session sends to the board.
fn ping_session(world: &mut World<'_>, hs_counter: u64) -> Vec<Vec<u8>> {
    world.keep = true;
    world.to_board.clear();
    let n = world.add(params(0, hs_counter, Roles::SUBMIT), Job::Ping);
    assert!(world.finish(n, 5 * SECOND), "{:?}", world.players[n].client.doing());
    assert!(world.players[n].told.pong.is_some(), "{:?}", world.players[n].told.error);
    world.to_board.clone()
}

fn init_of(sent: &[Vec<u8>]) -> Vec<u8> {
    sent.iter().find(|datagram| datagram[3] == 0x10).expect("an HS_INIT").clone()
}

#[test]
fn a_handshake_without_a_good_cookie_costs_nothing() {
    let config = config();
    let mut world = World::new(&config, 1, FINE);
    let sent = ping_session(&mut world, 1);
    let init = init_of(&sent);
    let own = world.players[0].endpoint;
    let before = world.server.counters();
    // From another address, another port, with a flipped MAC, and too late.
    world.inject(STRANGER, &init, false);
    world.inject(Endpoint { port: own.port + 1, ..own }, &init, false);
    world.inject(own, &init, true);
    let mut flipped = init.clone();
    flipped[167] ^= 1;
    world.inject(own, &flipped, false);
    world.pass(130 * SECOND);
    world.inject(own, &init, false);
    world.pass(SECOND);
    let after = world.server.counters();
    assert_eq!(after.agreements, before.agreements, "a key agreement was spent");
    assert_eq!(after.dropped - before.dropped, 5);
}

#[test]
fn every_bit_of_a_handshake_counts() {
    let config = config();
    let mut world = World::new(&config, 2, FINE);
    let sent = ping_session(&mut world, 1);
    let (init, own) = (init_of(&sent), world.players[0].endpoint);
    for bit in 0..init.len() * 8 {
        let mut bent = init.clone();
        bent[bit / 8] ^= 1 << (bit % 8);
        world.inject(own, &bent, false);
    }
    world.pass(SECOND);
    let ups = world.events.iter().filter(|event| matches!(event, Event::SessionUp { .. })).count();
    assert_eq!(ups, 1, "a bent handshake opened a session");
}

#[test]
fn a_handshake_serves_once() {
    let config = config();
    let mut world = World::new(&config, 3, FINE);
    let sent = ping_session(&mut world, 5);
    let (init, own) = (init_of(&sent), world.players[0].endpoint);
    // Long enough for the rate limit, short enough for the cookie.
    world.pass(2 * SECOND);
    let denied = world.server.counters().denied;
    world.inject(own, &init, false);
    world.pass(SECOND);
    assert_eq!(world.server.counters().denied, denied + 1);
    // A counter not above the last one is refused in a new handshake too.
    let n = world.add(params(0, 1, Roles::SUBMIT), Job::Ping);
    world.players[n].endpoint.port = 1234;
    assert!(world.finish(n, 20 * SECOND));
    // The client counts up at every try and gets through in the end.
    assert!(
        world.players[n].told.pong.is_some()
            || matches!(world.players[n].told.error, Some(ClientError::HandshakeRefused { .. }))
    );
}

#[test]
fn replayed_data_changes_nothing() {
    let config = config();
    let mut world = World::new(&config, 4, FINE);
    world.keep = true;
    let n = world.add(params(0, 1, Roles::SUBMIT), Job::Run(spec(1, &[7; 500], b"once", "echo")));
    assert!(world.finish(n, 5 * SECOND));
    let own = world.players[n].endpoint;
    let dropped = world.server.counters().dropped;
    for datagram in world.to_board.clone().iter().filter(|datagram| datagram[3] == 0x20) {
        world.inject(own, datagram, false);
        world.inject(STRANGER, datagram, false);
    }
    assert!(world.server.counters().dropped > dropped);
    world.pass(SECOND);
    assert_eq!(world.machine.entered.len(), 1);
    assert_eq!(world.machine.reserved, 1);
}

#[test]
fn strangers_are_told_apart_by_their_errors() {
    let config = config();
    // Not on the list.
    let mut world = World::new(&config, 5, FINE);
    let mut unknown = params(0, 1, Roles::SUBMIT);
    unknown.credentials.key = client_key(99);
    let n = world.add(unknown, Job::Ping);
    assert!(world.finish(n, 30 * SECOND));
    assert_eq!(
        world.players[n].told.error,
        Some(ClientError::HandshakeRefused { state: State::Idle })
    );
    assert!(world.server.counters().denied > 0);
    assert!(world.events.contains(&Event::Denied));
    // Wrong and zero pre-shared key.
    for wrong in [[1; 32], [0; 32]] {
        let mut world = World::new(&config, 6, FINE);
        let mut bad = params(0, 1, Roles::SUBMIT);
        bad.credentials.psk = wrong;
        let n = world.add(bad, Job::Ping);
        assert!(world.finish(n, 30 * SECOND));
        assert_eq!(world.players[n].told.error, Some(ClientError::WrongPsk));
        assert!(!world.events.iter().any(|event| matches!(event, Event::SessionUp { .. })));
    }
    // Another board than the one expected.
    let mut world = World::new(&config, 7, FINE);
    let mut other = params(0, 1, Roles::SUBMIT);
    other.credentials.board = *client_key(55).public();
    let n = world.add(other, Job::Ping);
    assert!(world.finish(n, 5 * SECOND));
    assert!(matches!(world.players[n].told.error, Some(ClientError::WrongKey { .. })));
    // A role that is not given.
    let mut world = World::new(&config, 8, FINE);
    let n = world.add(params(2, 1, Roles::SUBMIT), Job::Run(spec(1, &[1], b"", "echo")));
    assert!(world.finish(n, 5 * SECOND));
    assert_eq!(
        world.players[n].told.error,
        Some(ClientError::RoleRefused { granted: Roles::NONE })
    );
    // Nobody there.
    let mut world = World::new(&config, 9, Weather { loss: 100, ..FINE });
    let n = world.add(params(0, 1, Roles::SUBMIT), Job::Ping);
    assert!(world.finish(n, 30 * SECOND));
    assert!(matches!(
        world.players[n].told.error,
        Some(ClientError::NoAnswer { waited_ms: 10_000.. })
    ));
}

#[test]
fn a_board_without_configuration_says_why_and_does_nothing() {
    let config = config();
    let mut world = World::new(&config, 10, FINE);
    world.server = Server::new(None, Reason::BlobDigest, board_key(), [1; 16]);
    world.server.set_address_valid(true);
    let n = world.add(params(0, 1, Roles::SUBMIT), Job::Run(spec(1, &[1], b"", "echo")));
    assert!(world.finish(n, 5 * SECOND));
    assert_eq!(
        world.players[n].told.error,
        Some(ClientError::BoardFault { reason: Reason::BlobDigest })
    );
    world.pass(21 * SECOND);
    let beacon = Beacon::parse(&world.beacons[0].1).expect("a beacon");
    assert_eq!((beacon.state, beacon.reason), (State::Fault, Reason::BlobDigest));
    assert!((4..=7).contains(&world.beacons.len()), "{}", world.beacons.len());
    assert_eq!(world.server.phase(), Phase::Fault);
}

#[test]
fn a_broken_kernel_says_so_three_times() {
    let config = config();
    let mut world = World::new(&config, 14, FINE);
    world.pass(3 * SECOND);
    world.beacons.clear();
    world.server.fail(world.now, Reason::Integrity);
    world.pass(SECOND);
    let told: Vec<_> = world.beacons.iter().filter_map(|(_, b)| Beacon::parse(b)).collect();
    assert_eq!(told.len(), 3);
    assert!(told.iter().all(|b| (b.state, b.reason) == (State::Panic, Reason::Integrity)));
    assert!(world.beacons[2].0 - world.beacons[0].0 <= 110 * MS, "before the reset");
    let n = world.add(params(0, 1, Roles::SUBMIT), Job::Run(spec(1, &[1], b"", "echo")));
    world.finish(n, 20 * SECOND);
    assert!(world.players[n].told.error.is_some(), "it runs nothing any more");
}

#[test]
fn without_randomness_there_are_no_sessions() {
    let config = config();
    let mut world = World::new(&config, 11, FINE);
    world.machine.random_ok = false;
    let n = world.add(params(0, 1, Roles::SUBMIT), Job::Ping);
    world.finish(n, 20 * SECOND);
    assert!(world.players[n].told.error.is_some());
    assert_eq!(world.server.state(), State::Fault);
}

#[test]
fn beacons_keep_their_time_and_count() {
    let config = config();
    let mut world = World::new(&config, 12, FINE);
    world.pass(60 * SECOND);
    let times: Vec<_> = world.beacons.iter().map(|(at, _)| *at).collect();
    for (i, pair) in times.windows(2).enumerate() {
        let (gap, period) = (pair[1] - pair[0], if i < 9 { SECOND } else { 5 * SECOND });
        assert!(gap >= period * 3 / 4 && gap <= period * 5 / 4 + MS, "beacon {i} after {gap} us");
    }
    assert!((15..=30).contains(&times.len()), "{}", times.len());
    for (i, (_, bytes)) in world.beacons.iter().enumerate() {
        assert_eq!(bytes.len(), 80);
        let beacon = Beacon::parse(bytes).expect("parses");
        assert_eq!((beacon.sequence, beacon.state), (i as u32 + 1, State::Idle));
    }
}

#[test]
fn no_beacon_while_busy_or_without_address() {
    let config = config();
    let mut world = World::new(&config, 13, FINE);
    let n =
        world.add(params(0, 1, Roles::SUBMIT), Job::Run(spec(1, &[1; 10], b"", "drip 100 100")));
    assert!(world.until(2 * SECOND, |world| world.players[n].told.accepted.is_some()));
    world.beacons.clear();
    assert!(world.finish(n, 20 * SECOND));
    assert!(world.beacons.is_empty());
    world.pass(2 * SECOND);
    assert!(!world.beacons.is_empty(), "idle again, and silent");
    world.server.set_address_valid(false);
    world.pass(100 * MS);
    world.beacons.clear();
    world.pass(10 * SECOND);
    assert!(world.beacons.is_empty());
}

#[test]
fn hellos_are_answered_twenty_times_a_second_and_never_longer() {
    let config = config();
    let mut world = World::new(&config, 14, FINE);
    world.pass(100 * MS);
    let mut out = [0; MAX_DATAGRAM];
    let mut replies = vec![];
    for i in 0..2000_u32 {
        world.now += MS;
        let mut nonce = [0; 16];
        nonce[..4].copy_from_slice(&i.to_le_bytes());
        let mut hello = Hello::new(nonce).emit();
        let (now, machine) = (world.now, &mut world.machine);
        world.server.receive(now, STRANGER, true, &mut hello, machine);
        world.server.poll(now, machine);
        while let Some((_, len)) = world.server.transmit(now, machine, &mut out) {
            if let Some(reply) = HelloReply::parse(&out[..len]) {
                assert!(len <= Hello::LEN);
                assert!(reply.client_nonce[4..] == [0; 12]);
                replies.push(now);
            }
        }
    }
    for start in &replies {
        let within = replies.iter().filter(|at| (*start..start + SECOND).contains(*at)).count();
        assert!(within <= 20, "{within} replies in a second");
    }
    assert!(replies.len() >= 20);
}

#[test]
fn noise_on_the_port_is_dropped() {
    let config = config();
    let mut world = World::new(&config, 15, FINE);
    world.pass(10 * MS);
    let dropped = world.server.counters().dropped;
    let mut count = 0;
    for len in 0..1500 {
        for kind in [0x00, 0x01, 0x03, 0x04, 0x10, 0x11, 0x20, 0x30] {
            let mut bytes = world.dice.bytes(len);
            let head = [b'S', b'K', 1, kind];
            let n = len.min(4);
            bytes[..n].copy_from_slice(&head[..n]);
            let (now, machine) = (world.now, &mut world.machine);
            world.server.receive(now, STRANGER, false, &mut bytes, machine);
            count += 1;
        }
    }
    assert_eq!(world.server.counters().dropped - dropped, count);
    let mut out = [0; MAX_DATAGRAM];
    let sent = world.server.transmit(world.now, &mut world.machine, &mut out);
    assert!(sent.is_none_or(|(_, len)| len == Beacon::LEN), "an answer to noise");
    assert_eq!(world.server.counters().agreements, 1, "only the key made in advance");
}

#[test]
fn a_pending_session_is_forgotten_and_confirmed_ones_stay() {
    let config = config();
    let mut world = World::new(&config, 16, FINE);
    let n =
        world.add(params(0, 1, Roles::SUBMIT), Job::Run(spec(1, &[1; 10], b"", "drip 300 100")));
    assert!(world.until(2 * SECOND, |world| world.players[n].told.started));
    // Observers that get a session and then say nothing.
    for i in 0..6 {
        let p = world.add(params(2, 10 + i, Roles::OBSERVE), Job::Ping);
        world.until(SECOND, |world| world.players[p].told.connected);
        world.players[p].vanished = true;
        world.pass(300 * MS);
    }
    assert!(world.finish(n, 60 * SECOND), "the owner lost its session");
    assert_eq!(world.players[n].told.stdout.len(), 2400);
}

#[test]
fn edits_of_the_hello_exchange_are_found_out() {
    // Each byte of what the client learns in HELLO_REPLY and then relies on.
    let config = config();
    for at in [24, 40, 64] {
        let mut world = World::new(&config, 17, FINE);
        let n = world.add(params(0, 1, Roles::SUBMIT), Job::Ping);
        let mut out = [0; MAX_DATAGRAM];
        world.now += MS;
        let now = world.now;
        world.server.poll(now, &mut world.machine);
        let client = &mut world.players[n].client;
        client.poll(now);
        let len = client.transmit(now, &mut out).expect("HELLO");
        let mut hello = out[..len].to_vec();
        let from = world.players[n].endpoint;
        world.server.receive(now, from, false, &mut hello, &mut world.machine);
        let mut reply = vec![];
        while let Some((_, len)) = world.server.transmit(now, &mut world.machine, &mut out) {
            if out[3] == 3 {
                reply = out[..len].to_vec();
            }
        }
        // boot_id, cookie, caps_digest begin at 24, 40 and 64.
        reply[at] ^= 1;
        let client = &mut world.players[n].client;
        client.receive(now, &mut reply);
        client.poll(now);
        if let Some(len) = client.transmit(now, &mut out) {
            let mut init = out[..len].to_vec();
            world.server.receive(now, from, false, &mut init, &mut world.machine);
        }
        for _ in 0..20 {
            world.now += MS;
            world.server.poll(world.now, &mut world.machine);
            while let Some((_, len)) =
                world.server.transmit(world.now, &mut world.machine, &mut out)
            {
                assert_ne!(out[..len][3], 0x11, "byte {at} was edited and the handshake answered");
            }
        }
    }
}

#[test]
fn floods_of_good_cookies_are_limited() {
    let config = config();
    let mut world = World::new(&config, 18, FINE);
    world.pass(SECOND);
    let before = world.server.counters().agreements;
    // One source, a new handshake every 5 ms for two seconds: unknown keys.
    let mut players = vec![];
    for i in 0..100 {
        let mut p = params(0, 1000 + i, Roles::SUBMIT);
        p.credentials.key = client_key(77);
        let n = world.add(p, Job::Ping);
        world.players[n].endpoint = Endpoint { ip: [10, 0, 7, 7], port: 1000 + i as u16 };
        players.push(n);
        world.pass(20 * MS);
    }
    let spent = world.server.counters().agreements - before;
    assert!(spent <= 2 * 5 + 5 + 1, "{spent} key agreements for strangers in two seconds");
}

#[test]
fn abort_of_nothing_and_of_others() {
    let config = config();
    let mut world = World::new(&config, 19, FINE);
    let a =
        world.add(params(0, 1, Roles::SUBMIT), Job::Abort { task_id: TaskId::ACTIVE, reason: 0 });
    assert!(world.finish(a, 5 * SECOND));
    assert!(matches!(
        world.players[a].told.error,
        Some(ClientError::Rejected { status: sk_abi::Status::BAD_STATE, .. })
    ));
    world.pass(SECOND);
    let n = world.add(params(0, 50, Roles::SUBMIT), Job::Run(spec(1, &[1; 10], b"", "spin")));
    assert!(world.until(2 * SECOND, |world| world.players[n].told.started));
    // An observer may not; an operator may.
    let o =
        world.add(params(2, 1, Roles::OBSERVE), Job::Abort { task_id: TaskId::ACTIVE, reason: 0 });
    assert!(world.finish(o, 5 * SECOND));
    assert!(matches!(
        world.players[o].told.error,
        Some(ClientError::Rejected { status: sk_abi::Status::NOT_OWNER, .. })
    ));
    let p =
        world.add(params(3, 1, Roles::OPERATE), Job::Abort { task_id: TaskId::ACTIVE, reason: 0 });
    assert!(world.finish(p, 5 * SECOND));
    assert_eq!(world.players[p].told.aborted.expect("aborted").1, sk_abi::Status::ABORTED_OPERATOR);
    assert!(world.finish(n, 5 * SECOND));
    assert_eq!(
        world.players[n].told.receipt.as_ref().expect("receipt").status(),
        sk_abi::Status::ABORTED_OPERATOR
    );
}

//! The board's engine with a live session: what an authenticated client may
//! say, and what a stranger may.
//!
//! The bytes are orders: a sealed plaintext, a raw datagram, time that passes,
//! the payload's end. Whatever happened, the board is idle again in the end.

#[path = "../../../kernel/models/tests/stack/machine.rs"]
#[allow(dead_code, unreachable_pub, missing_docs)] // a test of the models uses the rest
mod machine;

use std::sync::OnceLock;

use sk_session::base::{Destination, Endpoint, MS, Micros, SECOND};
use sk_session::drbg::{Drbg, SeedMaterial};
use sk_session::keys::{Ephemeral, StaticKey};
use sk_session::noise::Initiator;
use sk_session::server::Server;
use sk_session::transport::Transport;
use sk_wire::blob::{self, Config};
use sk_wire::control::Phase;
use sk_wire::frames::Frames;
use sk_wire::{Datagram, Hello, InitPayload, MAX_DATAGRAM, MAX_PLAINTEXT, Prologue, Reason, Roles};

use self::machine::Machine;
use crate::bytes::Bytes;

const CLIENT: Endpoint = Endpoint { ip: [10, 0, 0, 2], port: 4000 };
pub(crate) const PSK: [u8; 32] = [0x80; 32];
/// The boot id, which manifests name.
pub(crate) const BOOT: [u8; 16] = [0x20; 16];

struct World<'c> {
    server: Server<'c>,
    machine: Machine,
    transport: Option<Transport>,
    now: Micros,
    /// The last datagram for the client that was no DATA.
    answer: Option<Datagram>,
}

/// The client's key is 7, the board's 8. Made once: most of the time of a run
/// would go there.
pub(crate) fn key(secret: u8) -> StaticKey {
    static KEYS: [OnceLock<StaticKey>; 9] = [const { OnceLock::new() }; 9];
    let make = || StaticKey::from_secret([secret; 32]);
    KEYS[usize::from(secret)].get_or_init(make).clone()
}

/// The same random numbers in every run.
pub(crate) fn drbg() -> Drbg {
    Drbg::new(&SeedMaterial { hardware: &[3; 64], rng_seed: &[4; 32], serial: 5, jitter: &[] })
}

fn config() -> Config {
    let mut config = Config::empty();
    config.set_device_seed(&[9; 32]);
    let roles = Roles::SUBMIT.or(Roles::OBSERVE).or(Roles::OPERATE);
    let client = blob::Client::new(*key(7).public(), roles);
    config.add_client(client, None, &PSK).expect("valid");
    config
}

impl World<'_> {
    fn receive(&mut self, from: Endpoint, broadcast: bool, mut datagram: Vec<u8>) {
        self.server.receive(self.now, from, broadcast, &mut datagram, &mut self.machine);
    }

    /// Polls as long as there is something to do, and takes what is sent.
    fn run(&mut self) {
        for _ in 0..200 {
            let more = self.server.poll(self.now, &mut self.machine);
            let mut out = [0; MAX_DATAGRAM];
            let mut sent = 0;
            while let Some((to, len)) = self.server.transmit(self.now, &mut self.machine, &mut out)
            {
                self.take(to, &mut out[..len]);
                sent += 1;
                assert!(sent < 500, "the board does not stop sending");
            }
            while self.server.event().is_some() {}
            if !more {
                return;
            }
            self.now += 100;
        }
    }

    /// What the board sends must make sense to the client.
    fn take(&mut self, to: Destination, datagram: &mut [u8]) {
        let parsed = Datagram::parse(datagram).expect("the board's datagrams parse");
        if let (Datagram::Data(_), Some(transport)) = (parsed, &mut self.transport) {
            assert_eq!(to, Destination::Endpoint(CLIENT));
            let text = transport.open(self.now, datagram).expect("sealed for the client");
            assert!(Frames::new(text).all(|frame| frame.is_ok()));
        } else if to == Destination::Endpoint(CLIENT) {
            self.answer = Some(parsed);
        }
    }

    fn connect(&mut self) {
        let hello = Hello::new([1; 16]);
        self.receive(CLIENT, false, hello.emit().to_vec());
        self.run();
        let Some(Datagram::HelloReply(reply)) = self.answer else { panic!("no reply") };
        let ephemeral = Ephemeral::generate(&mut drbg()).expect("random");
        let said = InitPayload {
            hs_counter: 1,
            want_roles: Roles::SUBMIT.or(Roles::OBSERVE).or(Roles::OPERATE),
            features: 0,
            boot_id: BOOT,
        };
        let prologue = Prologue::from_exchange(&hello, &reply);
        let (initiator, init) =
            Initiator::start(&key(7), key(8).public(), &PSK, ephemeral, &prologue, &said, 99)
                .expect("good keys");
        self.receive(CLIENT, false, init.emit().to_vec());
        self.run();
        let Some(Datagram::HsResp(resp)) = self.answer else { panic!("refused") };
        let (_, keys) = initiator.finish(&resp).expect("the board's keys");
        self.transport = Some(Transport::new(keys, 99, resp.sender_index, self.now));
    }

    fn seal(&mut self, plaintext: &[u8]) {
        let mut buffer = [0; MAX_DATAGRAM];
        let len = plaintext.len().min(MAX_PLAINTEXT);
        buffer[Transport::HEADER..][..len].copy_from_slice(&plaintext[..len]);
        let Some(transport) = &mut self.transport else { return };
        if let Ok(len) = transport.seal(self.now, &mut buffer, len) {
            self.receive(CLIENT, false, buffer[..len].to_vec());
        }
    }
}

/// Orders to a board and its client.
pub(crate) fn session(data: &[u8]) {
    let config = config();
    let mut world = World {
        server: Server::new(Some(&config), Reason::None, key(8), BOOT),
        machine: Machine::new(1, |input| input.to_vec()),
        transport: None,
        now: SECOND,
        answer: None,
    };
    world.server.set_address_valid(true);
    world.connect();
    let mut bytes = Bytes(data);
    for _ in 0..64 {
        if bytes.is_empty() {
            break;
        }
        match bytes.byte() {
            order @ 0..=127 => {
                world.seal(bytes.piece());
                if order & 1 == 0 {
                    world.run();
                }
            }
            order @ 128..=159 => {
                let from = Endpoint { port: CLIENT.port + u16::from(order & 1), ..CLIENT };
                world.receive(from, order & 2 != 0, bytes.piece().to_vec());
            }
            160..=191 => world.now += Micros::from(bytes.word()) * MS,
            192..=223 if world.machine.ends_at().is_some() => world.machine.finish(),
            _ => world.run(),
        }
    }
    if world.machine.ends_at().is_some() {
        world.machine.finish();
    }
    // A result is kept for a minute.
    let patience = world.now + 200 * SECOND;
    world.run();
    while world.server.phase() != Phase::Idle && world.now < patience {
        world.now = world.server.next_deadline().unwrap_or(patience).max(world.now + 100 * MS);
        world.run();
    }
    assert_eq!(world.server.phase(), Phase::Idle);
    assert!(world.machine.is_clean());
}

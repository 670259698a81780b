//! The client's engine with a live session: what a board that has turned bad
//! may say. Whatever that is, the client comes to an end.

use sk_session::base::{MS, Micros, SECOND};
use sk_session::client::{Client, Credentials, Job, Params, Patience, TaskSpec};
use sk_session::keys::Ephemeral;
use sk_session::noise::Responder;
use sk_session::transport::Transport;
use sk_wire::manifest::{Memory, Time};
use sk_wire::{
    Datagram, HelloReply, MAX_DATAGRAM, MAX_PLAINTEXT, Prologue, Reason, RespPayload, Roles, State,
    key_id,
};

use crate::bytes::Bytes;
use crate::session::{BOOT, PSK, drbg, key};

struct World<'a> {
    client: Client<'a>,
    now: Micros,
    sent: Vec<Vec<u8>>,
}

impl World<'_> {
    /// Lets the client do what it wants to do now.
    fn run(&mut self) {
        self.client.poll(self.now);
        let mut out = [0; MAX_DATAGRAM];
        for count in 0.. {
            assert!(count < 500, "the client does not stop sending");
            let Some(len) = self.client.transmit(self.now, &mut out) else { break };
            self.sent.push(out[..len].to_vec());
        }
        while self.client.event().is_some() {}
    }

    /// The first datagram the client sent since.
    fn heard(&mut self) -> Datagram {
        self.run();
        let first = self.sent.first().expect("something");
        let datagram = Datagram::parse(first).expect("it parses");
        self.sent.clear();
        datagram
    }

    /// The board's side of the handshake.
    fn connect(&mut self) -> Transport {
        let Datagram::Hello(hello) = self.heard() else { panic!("no HELLO") };
        let reply = HelloReply {
            ver: 1,
            state: State::Idle,
            flags: 0,
            client_nonce: hello.client_nonce,
            boot_id: BOOT,
            cookie: [5; 16],
            fingerprint: key_id(key(8).public()),
            caps_digest: [0; 16],
            uptime_s: 1,
            free_in_ms: 0,
            reason: Reason::None,
        };
        self.client.receive(self.now, &mut reply.emit());
        let Datagram::HsInit(init) = self.heard() else { panic!("no HS_INIT") };
        let prologue = Prologue::from_exchange(&hello, &reply);
        let mut responder = Responder::begin(key(8).public(), &prologue, &init);
        let peer = responder.step_es(&key(8)).expect("the client's");
        responder.step_ss(&key(8).agree(&peer).expect("a good key")).expect("the client's");
        responder.step_ee(Ephemeral::generate(&mut drbg()).expect("random")).expect("in order");
        let answer = RespPayload {
            boot_id: BOOT,
            caps_digest: [0; 16],
            state: State::Idle,
            ver: 1,
            granted_roles: Roles::SUBMIT,
            window: 32,
            features: 0,
            session_ms: 900_000,
        };
        let (resp, keys) = responder.step_se_psk(&PSK, &answer, 77).expect("in order");
        self.client.receive(self.now, &mut resp.emit());
        Transport::new(keys, 77, resp.receiver_index, self.now)
    }
}

/// Orders to the board of a client that has a task for it.
pub(crate) fn client(data: &[u8]) {
    let credentials =
        Credentials { key: key(7), psk: PSK, board: *key(8).public(), roles: Roles::SUBMIT };
    let params =
        Params { credentials, hs_counter: 1, seed: [6; 64], patience: Patience::default() };
    let spec = TaskSpec {
        image: &[0xAA; 3000],
        input: &[0xBB; 2000],
        args: "x",
        abi: 1,
        memory: Memory { heap: 4096, stack: 4096, stdout: 65_536, stderr: 4096 },
        time: Time { wall_ms: 1000, cpu_ms: 0, heartbeat_ms: 0 },
        flags: 0,
        seq: 1,
    };
    let client = Client::new(params, Job::Run(spec)).expect("it fits");
    let mut world = World { client, now: SECOND, sent: vec![] };
    let mut board = world.connect();
    world.run();
    let mut bytes = Bytes(data);
    for _ in 0..64 {
        if bytes.is_empty() {
            break;
        }
        match bytes.byte() {
            order @ 0..=159 => {
                let text = bytes.piece();
                let mut datagram = [0; MAX_DATAGRAM];
                let len = text.len().min(MAX_PLAINTEXT);
                datagram[Transport::HEADER..][..len].copy_from_slice(&text[..len]);
                if let Ok(len) = board.seal(world.now, &mut datagram, len) {
                    world.client.receive(world.now, &mut datagram[..len]);
                }
                if order & 1 == 0 {
                    world.run();
                }
            }
            160..=175 => world.client.receive(world.now, &mut bytes.piece().to_vec()),
            176..=183 => world.client.abort(),
            184..=223 => world.now += Micros::from(bytes.word()) * MS,
            _ => world.run(),
        }
        world.sent.clear();
    }
    let patience = world.now + 60 * SECOND;
    while !world.client.is_done() && world.now < patience {
        let next = world.client.next_deadline(world.now).unwrap_or(patience);
        world.now = next.max(world.now + 10 * MS);
        world.run();
    }
    assert!(world.client.is_done(), "still {:?}", world.client.doing());
}

//! The handshake against two independent implementations of Noise, `snow` and
//! `noise-protocol`: same inputs, same bytes, same keys, in all combinations.

mod common;

use blake2::{Blake2s256, Digest};
use common::{Inputs, inputs};
use noise_protocol::patterns::noise_ik_psk2;
use noise_protocol::{Cipher, DH, HandshakeState, Hash, U8Array};
use proptest::prelude::*;
use sk_session::{aead, noise::PROTOCOL_NAME};
use sk_wire::{HsInit, HsResp};
use x25519_dalek::{PublicKey, StaticSecret};

/// One end of a handshake, as both oracles have it.
trait Oracle {
    fn new(inputs: &Inputs, initiator: bool) -> Self;
    fn write(&mut self, payload: &[u8]) -> Vec<u8>;
    fn read(&mut self, message: &[u8]) -> Vec<u8>;
    /// `(initiator to responder, responder to initiator, handshake hash)`.
    fn end(self) -> ([u8; 32], [u8; 32], [u8; 32]);
}

impl Oracle for snow::HandshakeState {
    fn new(inputs: &Inputs, initiator: bool) -> Self {
        let name = core::str::from_utf8(PROTOCOL_NAME).unwrap();
        let (prologue, board_public) = (inputs.prologue.emit(), inputs.board_public());
        let (s, e) = if initiator {
            (&inputs.client, &inputs.client_e)
        } else {
            (&inputs.board, &inputs.board_e)
        };
        let builder = snow::Builder::new(name.parse().unwrap())
            .prologue(&prologue)
            .and_then(|b| b.psk(2, &inputs.psk))
            .and_then(|b| b.local_private_key(s))
            .unwrap()
            .fixed_ephemeral_key_for_testing_only(e);
        if initiator {
            builder.remote_public_key(&board_public).unwrap().build_initiator().unwrap()
        } else {
            builder.build_responder().unwrap()
        }
    }

    fn write(&mut self, payload: &[u8]) -> Vec<u8> {
        let mut message = vec![0; 256];
        let len = self.write_message(payload, &mut message).unwrap();
        message.truncate(len);
        message
    }

    fn read(&mut self, message: &[u8]) -> Vec<u8> {
        let mut payload = vec![0; 256];
        let len = self.read_message(message, &mut payload).unwrap();
        payload.truncate(len);
        payload
    }

    fn end(mut self) -> ([u8; 32], [u8; 32], [u8; 32]) {
        let (first, second) = self.dangerously_get_raw_split();
        (first, second, self.get_handshake_hash().try_into().unwrap())
    }
}

struct X25519;

impl DH for X25519 {
    type Key = [u8; 32];
    type Pubkey = [u8; 32];
    type Output = [u8; 32];

    fn name() -> &'static str {
        "25519"
    }

    fn genkey() -> Self::Key {
        unreachable!("every ephemeral key is given")
    }

    fn pubkey(key: &Self::Key) -> Self::Pubkey {
        PublicKey::from(&StaticSecret::from(*key)).to_bytes()
    }

    fn dh(key: &Self::Key, public: &Self::Pubkey) -> Result<Self::Output, ()> {
        let shared = StaticSecret::from(*key).diffie_hellman(&PublicKey::from(*public));
        Ok(shared.to_bytes())
    }
}

struct ChaChaPoly;

impl Cipher for ChaChaPoly {
    type Key = [u8; 32];

    fn name() -> &'static str {
        "ChaChaPoly"
    }

    fn encrypt(k: &Self::Key, nonce: u64, ad: &[u8], text: &[u8], out: &mut [u8]) {
        out[..text.len()].copy_from_slice(text);
        Self::encrypt_in_place(k, nonce, ad, out, text.len());
    }

    fn encrypt_in_place(
        k: &Self::Key,
        nonce: u64,
        ad: &[u8],
        in_out: &mut [u8],
        len: usize,
    ) -> usize {
        let tag = aead::seal(k, nonce, ad, &mut in_out[..len]).unwrap();
        in_out[len..len + 16].copy_from_slice(&tag);
        len + 16
    }

    fn decrypt(
        k: &Self::Key,
        nonce: u64,
        ad: &[u8],
        text: &[u8],
        out: &mut [u8],
    ) -> Result<(), ()> {
        let mut buffer = text.to_vec();
        let len = Self::decrypt_in_place(k, nonce, ad, &mut buffer, text.len())?;
        out.copy_from_slice(&buffer[..len]);
        Ok(())
    }

    fn decrypt_in_place(
        k: &Self::Key,
        nonce: u64,
        ad: &[u8],
        in_out: &mut [u8],
        len: usize,
    ) -> Result<usize, ()> {
        let (text, tag) = in_out[..len].split_last_chunk_mut().ok_or(())?;
        if aead::open(k, nonce, ad, text, tag) { Ok(text.len()) } else { Err(()) }
    }
}

#[derive(Default)]
struct Blake2s(Blake2s256);

impl Hash for Blake2s {
    type Block = [u8; 64];
    type Output = [u8; 32];

    fn name() -> &'static str {
        "BLAKE2s"
    }

    fn input(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn result(&mut self) -> Self::Output {
        core::mem::take(&mut self.0).finalize().into()
    }
}

impl Oracle for HandshakeState<X25519, ChaChaPoly, Blake2s> {
    fn new(inputs: &Inputs, initiator: bool) -> Self {
        let (s, e) = if initiator {
            (inputs.client, inputs.client_e)
        } else {
            (inputs.board, inputs.board_e)
        };
        let rs = initiator.then(|| inputs.board_public());
        let mut state = HandshakeState::new(
            noise_ik_psk2(),
            initiator,
            inputs.prologue.emit(),
            Some(s),
            Some(e),
            rs,
            None,
        );
        state.push_psk(&inputs.psk);
        state
    }

    fn write(&mut self, payload: &[u8]) -> Vec<u8> {
        let mut message = vec![0; payload.len() + self.get_next_message_overhead()];
        self.write_message(payload, &mut message).unwrap();
        message
    }

    fn read(&mut self, message: &[u8]) -> Vec<u8> {
        let mut payload = vec![0; message.len() - self.get_next_message_overhead()];
        self.read_message(message, &mut payload).unwrap();
        payload
    }

    fn end(self) -> ([u8; 32], [u8; 32], [u8; 32]) {
        assert!(self.completed());
        let hash = U8Array::from_slice(self.get_hash());
        let (first, second) = self.get_ciphers();
        (first.extract().0, second.extract().0, hash)
    }
}

/// The Noise message within the datagram.
fn init_message(init: &HsInit) -> Vec<u8> {
    [&init.e[..], &init.s, &init.payload].concat()
}

fn resp_message(resp: &HsResp) -> Vec<u8> {
    [&resp.e[..], &resp.payload].concat()
}

fn split(message: &[u8], init: &HsInit) -> HsInit {
    HsInit {
        e: message[..32].try_into().unwrap(),
        s: message[32..80].try_into().unwrap(),
        payload: message[80..].try_into().unwrap(),
        ..*init
    }
}

fn agrees<O: Oracle>(inputs: &Inputs) {
    let (initiator, init) = inputs.initiate();
    let answer = inputs.respond(&init).unwrap();

    // Our message 1 into the oracle, its message 2 back to us.
    let mut board = O::new(inputs, false);
    assert_eq!(board.read(&init_message(&init)), inputs.said.emit());
    let message = board.write(&inputs.answered.emit());
    assert_eq!(message, resp_message(&answer.resp));
    let resp = HsResp {
        e: message[..32].try_into().unwrap(),
        payload: message[32..].try_into().unwrap(),
        ..answer.resp
    };
    let (answered, keys) = initiator.finish(&resp).unwrap();
    assert_eq!(answered, inputs.answered);
    let client_keys = (*keys.send, *keys.recv, keys.handshake_hash);
    assert_eq!(board.end(), client_keys);

    // The oracle's message 1 to us, our message 2 back to it.
    let mut client = O::new(inputs, true);
    let message = client.write(&inputs.said.emit());
    assert_eq!(message, init_message(&init));
    let answer = inputs.respond(&split(&message, &init)).unwrap();
    assert_eq!(client.read(&resp_message(&answer.resp)), inputs.answered.emit());
    assert_eq!(answer.said, inputs.said);
    let keys = answer.keys;
    let board_keys = (*keys.recv, *keys.send, keys.handshake_hash);
    assert_eq!(client.end(), board_keys);
    assert_eq!(board_keys, client_keys);
}

#[test]
fn snow_agrees() {
    agrees::<snow::HandshakeState>(&inputs());
}

#[test]
fn noise_protocol_agrees() {
    agrees::<HandshakeState<X25519, ChaChaPoly, Blake2s>>(&inputs());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn both_agree_on_any_keys(
        keys in any::<[[u8; 32]; 5]>(),
        hello in any::<[[u8; 16]; 4]>(),
        hs_counter in any::<u64>(),
    ) {
        let [client, board, client_e, board_e, psk] = keys;
        let mut inputs = Inputs { client, board, client_e, board_e, psk, ..inputs() };
        let [nonce, cookie, boot_id, caps_digest] = hello;
        (inputs.prologue.client_nonce, inputs.prologue.cookie) = (nonce, cookie);
        (inputs.prologue.boot_id, inputs.prologue.caps_digest) = (boot_id, caps_digest);
        inputs.said.hs_counter = hs_counter;
        agrees::<snow::HandshakeState>(&inputs);
        agrees::<HandshakeState<X25519, ChaChaPoly, Blake2s>>(&inputs);
    }
}

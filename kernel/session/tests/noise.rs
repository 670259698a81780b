//! Attacks on the handshake (conformance ids H2, H5 to H8), and the order of
//! its steps.

mod common;

use common::{BOARD_INDEX, CLIENT_INDEX, inputs};
use sk_session::cookie;
use sk_session::keys::{Ephemeral, StaticKey};
use sk_session::noise::{Initiator, NoiseError, Responder, Step};
use sk_wire::{HsInit, HsResp, Prologue};

#[test]
fn both_sides_end_with_the_same_keys() {
    let inputs = inputs();
    let (initiator, init) = inputs.initiate();
    let answer = inputs.respond(&init).unwrap();
    assert_eq!(answer.client_public, *StaticKey::from_secret(inputs.client).public());
    assert_eq!(answer.said, inputs.said);
    assert_eq!(answer.resp.sender_index, BOARD_INDEX);
    assert_eq!(answer.resp.receiver_index, CLIENT_INDEX);
    assert_eq!(init.mac, cookie::mac(&inputs.prologue.cookie, &init));

    let (answered, keys) = initiator.finish(&answer.resp).unwrap();
    assert_eq!(answered, inputs.answered);
    assert_eq!(keys.send, answer.keys.recv);
    assert_eq!(keys.recv, answer.keys.send);
    assert_eq!(keys.handshake_hash, answer.keys.handshake_hash);
    assert_ne!(keys.send, keys.recv);
}

/// H2, behind the cookie: an attacker who knows the cookie can make the MAC
/// right again, so the handshake itself must notice every bit.
#[test]
fn every_flipped_bit_of_hs_init_ends_the_handshake() {
    let inputs = inputs();
    let (_, init) = inputs.initiate();
    let bytes = init.emit();
    for bit in 0..HsInit::MACED_LEN * 8 {
        let mut bad = bytes;
        bad[bit / 8] ^= 1 << (bit % 8);
        let Some(bad) = HsInit::parse(&bad) else {
            assert!(bit < 32, "bit {bit}");
            continue;
        };
        assert_ne!(cookie::mac(&inputs.prologue.cookie, &bad), init.mac, "bit {bit}");
        // The board takes nonce and prologue from what it received.
        let mut board = inputs.clone();
        board.prologue.client_nonce = bad.client_nonce;
        match board.respond(&bad) {
            Err(error) => assert_eq!(error, NoiseError::Decrypt, "bit {bit}"),
            // Not part of the Noise message; the answer then goes astray.
            Ok(answer) => {
                assert!((32..64).contains(&bit), "bit {bit}");
                let (initiator, _) = inputs.initiate();
                assert_eq!(initiator.finish(&answer.resp).err(), Some(NoiseError::WrongIndex));
            }
        }
    }
}

#[test]
fn every_flipped_bit_of_hs_resp_is_an_error_at_the_client() {
    let inputs = inputs();
    let (initiator, init) = inputs.initiate();
    let answer = inputs.respond(&init).unwrap();
    let bytes = answer.resp.emit();
    for bit in 0..HsResp::LEN * 8 {
        let mut bad = bytes;
        bad[bit / 8] ^= 1 << (bit % 8);
        let Some(bad) = HsResp::parse(&bad) else {
            assert!(bit < 32, "bit {bit}");
            continue;
        };
        match initiator.finish(&bad) {
            Err(NoiseError::WrongIndex) => assert!((64..96).contains(&bit), "bit {bit}"),
            Err(error) => assert_eq!((error, bit >= 96), (NoiseError::Decrypt, true), "bit {bit}"),
            // Noise does not cover the board's index. The board will not know
            // datagrams to another, so no session comes of it.
            Ok(_) => assert!((32..64).contains(&bit), "bit {bit}"),
        }
    }
    // None of the forgeries has spoilt the handshake.
    assert!(initiator.finish(&answer.resp).is_ok());
}

/// H5: the board cannot tell, the client can.
#[test]
fn a_wrong_psk_fails_at_the_client() {
    let inputs = inputs();
    let (initiator, init) = inputs.initiate();
    for psk in [[0; 32], [0x96; 32]] {
        let board = common::Inputs { psk, ..inputs.clone() };
        let answer = board.respond(&init).unwrap();
        assert_eq!(initiator.finish(&answer.resp).err(), Some(NoiseError::Decrypt));
    }
}

/// H7, H8: an edit to any part of the HELLO exchange.
#[test]
fn another_prologue_fails_before_the_client_is_known() {
    let inputs = inputs();
    let (_, init) = inputs.initiate();
    let edits: [fn(&mut Prologue); 7] = [
        |p| p.ver ^= 1,
        |p| p.ver_min ^= 1,
        |p| p.ver_max ^= 2,
        |p| p.client_nonce[15] ^= 1,
        |p| p.cookie[0] ^= 1,
        |p| p.boot_id[7] ^= 0x80,
        |p| p.caps_digest[0] ^= 1,
    ];
    for edit in edits {
        let mut board = inputs.clone();
        edit(&mut board.prologue);
        assert_eq!(board.respond(&init).err(), Some(NoiseError::Decrypt));
    }
}

#[test]
fn another_board_cannot_answer() {
    let inputs = inputs();
    let (_, init) = inputs.initiate();
    let board = common::Inputs { board: [0xB3; 32], ..inputs };
    assert_eq!(board.respond(&init).err(), Some(NoiseError::Decrypt));
}

/// A cached static-static key of another client must not open the payload.
#[test]
fn another_clients_static_static_key_fails() {
    let inputs = inputs();
    let (_, init) = inputs.initiate();
    let board = StaticKey::from_secret(inputs.board);
    let mut responder = Responder::begin(board.public(), &inputs.prologue, &init);
    responder.step_es(&board).unwrap();
    let other = board.agree(StaticKey::from_secret([7; 32]).public()).unwrap();
    assert_eq!(responder.step_ss(&other).err(), Some(NoiseError::Decrypt));
    assert_eq!(responder.next(), Step::Over);
}

/// H6: points whose multiples are zero for every clamped scalar, with and
/// without the ignored top bit (the list of RFC 7748 security considerations
/// and of the usual test suites).
#[test]
fn low_order_points_are_refused_everywhere() {
    let order_8_a = common::hex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800");
    let order_8_b = common::hex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157");
    let near_p = |low: u8| {
        let mut point = [0xFF; 32];
        (point[0], point[31]) = (low, 0x7F);
        point
    };
    let small = |low: u8| {
        let mut point = [0; 32];
        point[0] = low;
        point
    };
    let points =
        [small(0), small(1), order_8_a, order_8_b, near_p(0xEC), near_p(0xED), near_p(0xEE)];

    let inputs = inputs();
    let board = StaticKey::from_secret(inputs.board);
    let client = StaticKey::from_secret(inputs.client);
    let (initiator, init) = inputs.initiate();
    let answer = inputs.respond(&init).unwrap();
    for mut point in points {
        for top in [0, 0x80] {
            point[31] = point[31] & 0x7F | top;
            assert!(board.agree(&point).is_err(), "{point:x?}");

            let bad = HsInit { e: point, ..init };
            let mut responder = Responder::begin(board.public(), &inputs.prologue, &bad);
            assert_eq!(responder.step_es(&board).err(), Some(NoiseError::LowOrder));

            let bad = HsResp { e: point, ..answer.resp };
            assert_eq!(initiator.finish(&bad).err(), Some(NoiseError::LowOrder));

            let started = Initiator::start(
                &client,
                &point,
                &inputs.psk,
                Ephemeral::from_secret(inputs.client_e),
                &inputs.prologue,
                &inputs.said,
                1,
            );
            assert_eq!(started.err(), Some(NoiseError::LowOrder));
        }
    }
}

#[test]
fn steps_out_of_order_are_refused_and_end_the_handshake() {
    let inputs = inputs();
    let (_, init) = inputs.initiate();
    let board = StaticKey::from_secret(inputs.board);
    let static_static = board.agree(StaticKey::from_secret(inputs.client).public()).unwrap();
    let ephemeral = || Ephemeral::from_secret(inputs.board_e);
    type Take<'a> = &'a dyn Fn(&mut Responder) -> Option<NoiseError>;
    let steps: [Take<'_>; 4] = [
        &|r| r.step_es(&board).err(),
        &|r| r.step_ss(&static_static).err(),
        &|r| r.step_ee(ephemeral()).err(),
        &|r| r.step_se_psk(&inputs.psk, &inputs.answered, 1).err(),
    ];
    for good in 0..=steps.len() {
        for (wrong, take) in steps.iter().enumerate().filter(|&(at, _)| at != good) {
            let mut responder = Responder::begin(board.public(), &inputs.prologue, &init);
            for step in &steps[..good] {
                assert_eq!(step(&mut responder), None);
            }
            assert_eq!(take(&mut responder), Some(NoiseError::Order), "{good} {wrong}");
            assert_eq!(responder.next(), Step::Over);
            for step in &steps {
                assert_eq!(step(&mut responder), Some(NoiseError::Order));
            }
        }
    }
}

/// An authentic client with a payload this version does not know.
#[test]
fn an_undefined_payload_is_told_from_a_forgery() {
    use sk_session::{aead, hash::blake2s, hash::hkdf, noise::PROTOCOL_NAME};

    // The initiator's first message, spelt out, with an undefined role.
    let inputs = inputs();
    let client = StaticKey::from_secret(inputs.client);
    let ephemeral = StaticKey::from_secret(inputs.client_e);
    let board_public = inputs.board_public();
    let (_, mut init) = inputs.initiate();

    let mut hash = blake2s(&[PROTOCOL_NAME]);
    let mut chain = hash;
    for mixed in [&inputs.prologue.emit()[..], &board_public, &init.e] {
        hash = blake2s(&[&hash, mixed]);
    }
    [chain, _, _] = hkdf(&chain, &init.e).map(|z| *z);
    let es = ephemeral.agree(&board_public).unwrap();
    [chain, _, _] = hkdf(&chain, es.as_bytes()).map(|z| *z);
    hash = blake2s(&[&hash, &init.s]);
    let [_, key, _] = hkdf(&chain, client.agree(&board_public).unwrap().as_bytes());

    let mut text = inputs.said.emit();
    text[8] |= 0x10;
    let tag = aead::seal(&key, 0, &hash, &mut text).unwrap();
    init.payload = [&text[..], &tag].concat().try_into().unwrap();
    assert_eq!(inputs.respond(&init).err(), Some(NoiseError::Payload));
}

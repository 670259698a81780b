//! Known answers for what the protocol is built of.

mod common;

use common::{Fixed, hex};
use sk_hal::Entropy;
use sk_session::drbg::{Drbg, MIN_HARDWARE_BYTES, SeedMaterial};
use sk_session::keys::{DeviceKeys, Ephemeral, StaticKey};
use sk_session::{aead, hash};

/// RFC 7748, 5.2, first vector.
#[test]
fn x25519_of_rfc_7748() {
    let scalar = hex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4");
    let point = hex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c");
    let shared = StaticKey::from_secret(scalar).agree(&point).unwrap();
    let expected = hex("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
    assert_eq!(*shared.as_bytes(), expected);
}

/// RFC 7748, 5.2, the iterated vector after 1 and 1000 rounds.
#[test]
fn x25519_iterated() {
    let mut point = [0; 32];
    point[0] = 9;
    let mut scalar = point;
    for round in 1..=1000 {
        let next = *StaticKey::from_secret(scalar).agree(&point).unwrap().as_bytes();
        (point, scalar) = (scalar, next);
        if round == 1 {
            let expected = hex("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
            assert_eq!(scalar, expected);
        }
    }
    assert_eq!(scalar, hex("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"));
}

/// RFC 8439, A.5: the vector whose nonce begins with four zero bytes, as
/// Noise's do.
#[test]
fn chacha20_poly1305_of_rfc_8439() {
    let key = hex("1c9240a5eb55d38af333888604f6b5f0473917c1402b80099dca5cbc207075c0");
    let ad: [u8; 12] = hex("f33388860000000000004e91");
    let tag = hex("eead9d67890cbb22392336fea1851f38");
    let counter = 0x0807_0605_0403_0201;
    let plain = "Internet-Drafts are draft documents valid for a maximum of six months \
        and may be updated, replaced, or obsoleted by other documents at any time. It is \
        inappropriate to use Internet-Drafts as reference material or to cite them other \
        than as /\u{201c}work in progress./\u{201d}";
    let mut text = plain.as_bytes().to_vec();
    assert_eq!(aead::seal(&key, counter, &ad, &mut text), Some(tag));
    let begin: [u8; 16] = hex("64a0861575861af460f062c79be643bd");
    assert_eq!(text[..16], begin);
    assert!(!aead::open(&key, counter + 1, &ad, &mut text, &tag));
    assert!(!aead::open(&key, counter, &ad[1..], &mut text, &tag));
    assert_eq!(text[..16], begin, "a refused text is left alone");
    assert!(aead::open(&key, counter, &ad, &mut text, &tag));
    assert_eq!(text, plain.as_bytes());
}

/// RFC 7693, appendix B; the keyed mode from the BLAKE2 known-answer file.
#[test]
fn blake2s_plain_and_keyed() {
    let abc = hex("508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982");
    assert_eq!(hash::blake2s(&[b"abc"]), abc);
    assert_eq!(hash::blake2s(&[b"a", b"", b"bc"]), abc);
    let key: [u8; 32] = core::array::from_fn(|i| i as u8);
    let empty: [u8; 32] = hex("48a8997da407876b3d79c0d92325ad3b89cbb754d86ab71aee047ad345fd2c49");
    assert_eq!(*hash::keyed256(&key, &[]), empty);
}

#[test]
fn device_keys_are_what_another_program_derives() {
    let seed = core::array::from_fn(|i| i as u8);
    let keys = DeviceKeys::derive(&seed);
    let noise = hex("dfd0cab047769129dcf887a1a152bc29d3c45212a2236f780d5ef267c0abe3fb");
    assert_eq!(keys.noise.public(), StaticKey::from_secret(noise).public());
    assert_eq!(keys.noise.id(), sk_wire::key_id(keys.noise.public()));
    let attest = hex("6a54e425553681275b9d94499f6578b3888e33b59c3ad532f624f74935c5edb2");
    assert_eq!(*keys.attest_seed, attest);
    let rng = hex("cd91784cfce9b0e5bee4b8c61cfaaacd7ab4ed5d0451f69d5c4554a49c7525ce");
    assert_eq!(*keys.rng_seed, rng);
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let key = StaticKey::from_secret([0x5A; 32]);
    let shared = key.agree(StaticKey::from_secret([1; 32]).public()).unwrap();
    let shown = format!("{key:?} {shared:?} {:?}", Ephemeral::from_secret([0x5A; 32]));
    assert!(!shown.contains("90, 90, 90"), "{shown}");
}

#[test]
fn no_ephemeral_key_without_randomness() {
    assert!(Ephemeral::generate(&mut Fixed::Failed).is_none());
    let made = Ephemeral::generate(&mut Fixed::Good(3)).unwrap();
    assert_eq!(made.public(), Ephemeral::from_secret([3; 32]).public());
}

const SEED: SeedMaterial<'_> = SeedMaterial {
    hardware: &[0x77; MIN_HARDWARE_BYTES],
    rng_seed: &[
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24,
        25, 26, 27, 28, 29, 30, 31,
    ],
    serial: 0x1234,
    jitter: b"jit",
};

fn draw<const N: usize>(drbg: &mut Drbg) -> [u8; N] {
    let mut out = [0xEE; N];
    assert!(drbg.fill(&mut out));
    out
}

#[test]
fn random_bytes_are_what_another_program_computes() {
    // Bytes 32 to 96 of the key stream; the first 32 are the next key.
    let expected: [u8; 64] = hex("7fc3d766a7bbe056f736c51a48cbd1a4451a8908825b25fcf8dabffbec9e20c5
         b16461379fbc72ed08ad57207ef8aaa334684ff4039ddfdd0fcc2839a4ac267d");
    assert_eq!(draw::<64>(&mut Drbg::new(&SEED)), expected);
}

#[test]
fn the_generator_never_repeats_itself() {
    let mut drbg = Drbg::new(&SEED);
    let mut seen = std::collections::HashSet::new();
    for _ in 0..1000 {
        assert!(seen.insert(draw::<16>(&mut drbg)));
    }
    assert!(drbg.reseed(&[0x77; 64]));
    assert!(seen.insert(draw::<16>(&mut drbg)));
}

#[test]
fn every_input_of_the_seed_counts() {
    let first = draw::<32>(&mut Drbg::new(&SEED));
    let others = [
        SeedMaterial { hardware: &[0x78; MIN_HARDWARE_BYTES], ..SEED },
        SeedMaterial { hardware: &[0x77; MIN_HARDWARE_BYTES + 1], ..SEED },
        SeedMaterial { rng_seed: &[9; 32], ..SEED },
        SeedMaterial { serial: 0x1235, ..SEED },
        SeedMaterial { jitter: b"jiT", ..SEED },
    ];
    for other in others {
        assert_ne!(draw::<32>(&mut Drbg::new(&other)), first);
    }
}

#[test]
fn an_unhealthy_generator_gives_nothing() {
    let short = SeedMaterial { hardware: &[0x77; MIN_HARDWARE_BYTES - 1], ..SEED };
    let mut failed = Drbg::new(&SEED);
    failed.fail();
    for mut drbg in [Drbg::unseeded(), Drbg::new(&short), failed] {
        let mut out = [0xEE; 40];
        assert!(!drbg.is_healthy() && !drbg.fill(&mut out));
        assert_eq!(out, [0; 40]);
        assert!(!drbg.reseed(&[0x77; 64]), "a failure is for good");
    }
    let mut drbg = Drbg::new(&SEED);
    assert!(!drbg.reseed(&[0x77; MIN_HARDWARE_BYTES - 1]) && drbg.is_healthy());
}

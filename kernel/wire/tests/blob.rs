//! The configuration blob: frozen bytes, postcard as an oracle, every error.

#[path = "golden/blob_v1.rs"]
mod golden;

use std::sync::LazyLock;

use blake2::{Blake2s256, Digest};
use golden::{BLOB, PUBLIC_LEN};
use proptest::prelude::*;
use serde::Serialize;
use sk_wire::blob::*;
use sk_wire::{Label, PORT, Reason, Roles};

const SECRET_AT: usize = 16 + PUBLIC_LEN;

/// The configuration of the frozen bytes.
fn config() -> Config {
    let mut config = Config::empty();
    config.device_label = Label::new("bench-1").unwrap();
    config.net = Net {
        mode: NetMode::Static,
        ip: [192, 168, 7, 2],
        prefix: 24,
        gateway: Some([192, 168, 7, 1]),
        port: PORT,
    };
    config.policy = Policy {
        task_mem_max: 64 << 20,
        cpu_ms_max: 3_600_000,
        wall_ms_max: 7_200_000,
        out_max: 16 << 20,
        hold_ms: 60_000,
        hold_ms_max: 600_000,
        session_lost_ms: 30_000,
        gpio_mask: 0x3F_FFFF,
        serial_mask: 3,
        public_attest: true,
        author_required: false,
        board_serial: Some(0xDEAD_BEEF),
        board_revision: Some(0x90_0093),
    };
    (config.owner, config.epoch) = ([0x0F; 32], 3);
    config.set_device_seed(&[0x5E; 32]);
    let anna = Client {
        roles: Roles::OBSERVE.or(Roles::SUBMIT).or(Roles::DIRECT),
        quotas: Quotas {
            mem: 1 << 20,
            cpu_ms: 1000,
            wall_ms: 2000,
            out: 65_536,
            tasks_per_hour: 60,
        },
        authors: [[0xAA; 32]].into_iter().collect(),
        label: "anna".try_into().unwrap(),
        gpio_mask: 1 << 17 | 1 << 4,
        serial_mask: 1,
        packets_per_s: 100,
        ..Client::new([0x11; 32], Roles::NONE)
    };
    config.add_client(anna, Some(&[5, 0x8000_0000, 0xFFFF_FFF0]), &[0x71; 32]).unwrap();
    let everywhere =
        UdpDestination { ip: [10, 0, 0, 0], prefix: 8, port_min: 1024, port_max: 65_535 };
    let other = Client {
        udp: UdpPolicy::List([everywhere].into_iter().collect()),
        ..Client::new([0x22; 32], Roles::OBSERVE)
    };
    config.add_client(other, None, &[0x72; 32]).unwrap();
    config.set_policy_services(Some(&[5])).unwrap();
    config
}

fn encode(config: &Config) -> Vec<u8> {
    let mut buffer = vec![0xEE; MAX_BLOB_LEN];
    let len = config.encode(&mut buffer).unwrap();
    buffer.truncate(len);
    buffer
}

fn error(blob: &[u8]) -> Option<BlobError> {
    Config::decode(blob).err()
}

/// A blob around these parts, with right lengths and checksum.
fn frame(public: &[u8], secret: &[u8]) -> Vec<u8> {
    let mut blob = b"SKCF\x01\0\0\0".to_vec();
    blob.extend((public.len() as u32).to_le_bytes());
    blob.extend((secret.len() as u32).to_le_bytes());
    blob.extend(public);
    blob.extend(secret);
    blob.extend([0; 64]);
    let digest = Blake2s256::digest(&blob);
    blob.extend(digest);
    blob
}

fn parts() -> (Vec<u8>, Vec<u8>) {
    (BLOB[16..SECRET_AT].to_vec(), BLOB[SECRET_AT..BLOB.len() - 96].to_vec())
}

#[test]
fn encoding_gives_the_frozen_bytes() {
    assert_eq!(encode(&config()), BLOB);
}

#[test]
fn decoding_gives_the_values_back() {
    let read = Config::decode(&BLOB).unwrap();
    let made = config();
    assert_eq!(read.device_label, made.device_label);
    assert_eq!(read.net, made.net);
    assert_eq!(read.policy, made.policy);
    assert_eq!((read.owner, read.epoch), (made.owner, made.epoch));
    assert_eq!(read.clients(), made.clients());
    assert_eq!(read.device_seed(), &[0x5E; 32]);
    assert_eq!(read.psk(0), Some(&[0x71; 32]));
    assert_eq!(read.psk(1), Some(&[0x72; 32]));
    assert_eq!(read.psk(2), None);
    assert_eq!(read.find(&[0x22; 32]), Some(1));
    assert_eq!(read.find(&[0x33; 32]), None);
    assert_eq!(encode(&read), BLOB);
    assert_eq!(public_part(&BLOB).unwrap(), &BLOB[16..SECRET_AT]);
}

#[test]
fn a_service_must_be_on_both_lists() {
    let mut config = config();
    assert_eq!(config.client_services(0), Some(&[5, 0x8000_0000, 0xFFFF_FFF0][..]));
    assert_eq!(config.client_services(1), None);
    assert_eq!(config.policy_services(), Some(&[5][..]));
    assert!(config.offers(0, 5) && config.offers(1, 5));
    assert!(!config.offers(0, 0x8000_0000) && !config.offers(1, 6) && !config.offers(2, 5));
    config.set_policy_services(None).unwrap();
    assert!(config.offers(0, 0x8000_0000) && config.offers(1, 6) && !config.offers(0, 6));
}

/// The public part as one structure, encoded by postcard in one go.
#[derive(Serialize)]
struct Mirror<'a> {
    device_label: Label,
    net: Net,
    clients: &'a [(&'a Client, Option<&'a [u32]>)],
    policy: (&'a Policy, Option<&'a [u32]>),
    owner: [u8; 32],
    epoch: u32,
}

#[test]
fn the_parts_are_plain_postcard() {
    let config = config();
    let clients = config.clients().iter().enumerate();
    let clients: Vec<_> =
        clients.map(|(at, client)| (client, config.client_services(at))).collect();
    let mirror = Mirror {
        device_label: config.device_label,
        net: config.net,
        clients: &clients,
        policy: (&config.policy, config.policy_services()),
        owner: config.owner,
        epoch: config.epoch,
    };
    let mut buffer = [0; 4096];
    assert_eq!(postcard::to_slice(&mirror, &mut buffer).unwrap(), parts().0);
    let secret = (*config.device_seed(), &[[0x71u8; 32], [0x72; 32]][..]);
    assert_eq!(postcard::to_slice(&secret, &mut buffer).unwrap(), parts().1);
}

#[test]
fn sixty_four_clients_fit() {
    let mut full = config();
    let ids: Vec<u32> = (0..16).collect();
    for n in 2..=64u8 {
        let mut key = [n; 32];
        key[0] = 0xFF;
        let mut client = Client::new(key, Roles::SUBMIT);
        client.label = "x".repeat(MAX_CLIENT_LABEL).as_str().try_into().unwrap();
        client.authors = [[n; 32], [0xFF; 32]].into_iter().collect();
        let to = UdpDestination { ip: [n; 4], prefix: 32, port_min: 0, port_max: u16::MAX };
        client.udp = UdpPolicy::List([to; MAX_UDP_DESTINATIONS].into_iter().collect());
        let services = (n < 60).then_some(&ids[..]);
        let added = full.add_client(client, services, &[n; 32]);
        let expected = if n < 64 { Ok(()) } else { Err(BlobError::TooManyClients) };
        assert_eq!(added, expected, "client {n}");
    }
    let blob = encode(&full);
    let read = Config::decode(&blob).unwrap();
    assert_eq!(read.clients(), full.clients());
    assert_eq!(read.client_services(59), Some(&ids[..]));
    assert_eq!(encode(&read), blob);
}

#[test]
fn the_frame_is_checked() {
    let edit = |at: usize, bytes: &[u8]| {
        let mut blob = BLOB.to_vec();
        blob[at..at + bytes.len()].copy_from_slice(bytes);
        error(&blob)
    };
    assert_eq!(error(&[]), Some(BlobError::Missing));
    assert_eq!(error(b"kernel="), Some(BlobError::Magic));
    assert_eq!(error(b"SKCF"), Some(BlobError::Length));
    assert_eq!(edit(0, b"SKCE"), Some(BlobError::Magic));
    assert_eq!(edit(4, &[0, 0]), Some(BlobError::Version(0)));
    assert_eq!(edit(4, &[2, 0]), Some(BlobError::Version(2)));
    assert_eq!(edit(6, &[1, 0]), Some(BlobError::Flags(1)));
    assert_eq!(edit(8, &[0xFF; 4]), Some(BlobError::Length));
    assert_eq!(edit(12, &[0xFF; 4]), Some(BlobError::Length));
    assert_eq!(edit(8, &[0xFF; 8]), Some(BlobError::Length));
    assert_eq!(edit(8, &0u32.to_le_bytes()), Some(BlobError::Length));
    let mut long = BLOB.to_vec();
    long.push(0);
    assert_eq!(error(&long), Some(BlobError::Length));
    let huge = frame(&vec![0; MAX_BLOB_LEN], &[]);
    assert_eq!(error(&huge), Some(BlobError::Length));
}

#[test]
fn every_cut_and_every_flipped_bit_is_found() {
    for len in 0..BLOB.len() {
        assert!(error(&BLOB[..len]).is_some(), "{len} bytes");
    }
    for bit in 0..BLOB.len() * 8 {
        let mut blob = BLOB;
        blob[bit / 8] ^= 1 << (bit % 8);
        let found = error(&blob);
        assert!(found.is_some(), "bit {bit}");
        if bit / 8 >= 16 {
            assert_eq!(found, Some(BlobError::Digest), "bit {bit}");
        }
    }
}

/// Position of `needle` in the public part.
fn at(needle: &[u8]) -> usize {
    parts().0.windows(needle.len()).position(|w| w == needle).unwrap()
}

/// The error if the public part has `bytes` at `at`, with a right checksum.
fn public_with(at: usize, bytes: &[u8]) -> Option<BlobError> {
    let (mut public, secret) = parts();
    public[at..at + bytes.len()].copy_from_slice(bytes);
    error(&frame(&public, &secret))
}

#[test]
fn fields_are_checked() {
    let first = at(&[0x11; 32]);
    let count = first - 8 - 1;
    assert_eq!(parts().0[count], 2);
    assert_eq!(public_with(count, &[0]), Some(BlobError::NoClients));
    assert_eq!(public_with(count, &[65]), Some(BlobError::TooManyClients));
    assert_eq!(public_with(first, &[0x12]), Some(BlobError::KeyId(0)));
    assert_eq!(public_with(first - 8, &[0]), Some(BlobError::KeyId(0)));
    assert_eq!(public_with(first, &[0; 32]), Some(BlobError::Client(0, "the public key")));
    // Roles: 0x10003 as a varint; bit 4 means nothing.
    assert_eq!(public_with(first + 32, &[0x93]), Some(BlobError::Client(0, "a field")));
    assert_eq!(public_with(at(b"anna"), b"an\na"), Some(BlobError::Client(0, "the label")));
    assert_eq!(public_with(at(b"anna"), &[0xFF]), Some(BlobError::Client(0, "a field")));
    assert_eq!(
        public_with(at(&[10, 0, 0, 0, 8]) + 4, &[33]),
        Some(BlobError::Client(1, "a UDP destination"))
    );
    // The second id, which starts with 0x80, becomes 0x8000_0000 -> 0.
    let ids = at(&[1, 3, 5, 0x80, 0x80, 0x80, 0x80, 8]);
    assert_eq!(public_with(ids + 7, &[0]), Some(BlobError::Client(0, "a service id")));
    assert_eq!(public_with(ids, &[2]), Some(BlobError::Client(0, "a service id")));
    assert_eq!(public_with(0, b"\x07"), Some(BlobError::Field("the board's label")));
    assert_eq!(public_with(16, &[2]), Some(BlobError::Field("the network part")));
    assert_eq!(public_with(17, &[0]), Some(BlobError::Field("the address")));
    assert_eq!(public_with(17, &[224]), Some(BlobError::Field("the address")));
    assert_eq!(public_with(21, &[32]), Some(BlobError::Field("the address")));
    assert_eq!(public_with(23, &[127]), Some(BlobError::Field("the gateway")));
}

#[test]
fn a_client_listed_twice_is_found() {
    let (public, secret) = parts();
    let key = |byte| [&sk_wire::key_id(&[byte; 32])[..], &[byte; 32]].concat();
    let second = at(&key(0x22));
    let mut public = public;
    public[second..second + 40].copy_from_slice(&key(0x11));
    assert_eq!(error(&frame(&public, &secret)), Some(BlobError::DuplicateClient(1)));
    let mut config = config();
    let again = Client::new([0x11; 32], Roles::OBSERVE);
    assert_eq!(config.add_client(again, None, &[1; 32]), Err(BlobError::DuplicateClient(2)));
    assert_eq!(encode(&config), BLOB, "a refused client leaves nothing behind");
}

#[test]
fn nothing_may_follow_a_part() {
    let (mut public, secret) = parts();
    public.push(0);
    assert_eq!(error(&frame(&public, &secret)), Some(BlobError::TrailingPublic));
    let (public, mut secret) = parts();
    secret.push(0);
    assert_eq!(error(&frame(&public, &secret)), Some(BlobError::TrailingSecret));
    for len in 0..PUBLIC_LEN {
        assert!(error(&frame(&public[..len], &parts().1)).is_some(), "{len} bytes");
    }
}

#[test]
fn secrets_are_checked() {
    let (public, secret) = parts();
    let with = |at: usize, bytes: &[u8]| {
        let mut secret = secret.clone();
        secret[at..at + bytes.len()].copy_from_slice(bytes);
        error(&frame(&public, &secret))
    };
    assert_eq!(with(0, &[0; 32]), Some(BlobError::ZeroSeed));
    assert_eq!(with(32, &[1]), Some(BlobError::PskCount));
    assert_eq!(with(32, &[3]), Some(BlobError::PskCount));
    assert_eq!(with(33, &[0; 32]), Some(BlobError::ZeroPsk(0)));
    assert_eq!(with(65, &[0; 32]), Some(BlobError::ZeroPsk(1)));
    assert_eq!(error(&frame(&public, &secret[..64])), Some(BlobError::PskCount));
    assert_eq!(error(&frame(&public, &secret[..31])), Some(BlobError::Field("the device seed")));
}

#[test]
fn the_pool_of_services_has_an_end() {
    let mut config = config();
    let ids: Vec<u32> = (0..MAX_SERVICE_IDS as u32).collect();
    let client = || Client::new([0x33; 32], Roles::SUBMIT);
    let mut add = |ids| config.add_client(client(), Some(ids), &[1; 32]);
    assert_eq!(add(&ids), Err(BlobError::TooManyServices));
    assert_eq!(add(&[2, 1]), Err(BlobError::Client(2, "a service id")));
    assert_eq!(add(&ids[..MAX_SERVICE_IDS - 4]), Ok(()));
}

#[test]
fn a_failed_read_leaves_nothing() {
    let mut config = config();
    let (mut public, secret) = parts();
    public.push(0);
    assert!(config.decode_into(&frame(&public, &secret)).is_err());
    assert!(config.clients().is_empty() && config.psk(0).is_none());
    assert_eq!(config.device_seed(), &[0; 32]);
    assert_eq!(config.encode(&mut [0; 1024]), Err(BlobError::NoClients));
}

#[test]
fn encoding_refuses_a_short_buffer() {
    for len in 0..BLOB.len() {
        assert_eq!(config().encode(&mut vec![0; len]), Err(BlobError::BufferTooSmall));
    }
}

#[test]
fn the_pin_names_the_board() {
    let policy = &config().policy;
    assert_eq!(policy.check_board(0xDEAD_BEEF, 0x90_0093), Ok(()));
    assert_eq!(policy.check_board(0xDEAD_BEE0, 0x90_0093), Err(Reason::WrongBoard));
    assert_eq!(policy.check_board(0xDEAD_BEEF, 0x90_0092), Err(Reason::WrongBoard));
    assert_eq!(Policy::default().check_board(1, 2), Ok(()));
}

#[test]
fn errors_tell_strangers_a_reason() {
    assert_eq!(BlobError::Missing.reason(), Reason::NoBlob);
    assert_eq!(BlobError::Digest.reason(), Reason::BlobDigest);
    assert_eq!(BlobError::ZeroPsk(1).reason(), Reason::BlobField);
    assert_eq!(
        BlobError::Client(3, "the label").to_string(),
        "the label of client 3 in the configuration is not valid"
    );
}

static PARTS: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(parts);

proptest! {
    /// Edits behind a right checksum: no panic, and what is read is written
    /// back so that it reads the same.
    #[test]
    fn edited_parts_do_not_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let (mut public, secret) = PARTS.clone();
        for (at, value) in edits {
            let at = at.index(public.len());
            public[at] = value;
        }
        if let Ok(read) = Config::decode(&frame(&public, &secret)) {
            let again = Config::decode(&encode(&read)).unwrap();
            prop_assert_eq!(read.clients(), again.clients());
            prop_assert_eq!(&read.policy, &again.policy);
        }
    }

    #[test]
    fn random_parts_do_not_panic(
        public in prop::collection::vec(any::<u8>(), 0..600),
        secret in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let _ = Config::decode(&frame(&public, &secret));
    }
}

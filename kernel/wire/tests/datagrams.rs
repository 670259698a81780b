//! The fixed datagrams: frozen bytes, exact lengths, reserved bits.

#[path = "golden/datagrams_v1.rs"]
mod golden;

use proptest::prelude::*;
use sk_wire::discovery::{FLAG_INSECURE_DEV, FLAG_LINK_LOCAL, FLAG_PUBLIC_ATTEST, FORMAT_SKX1};
use sk_wire::*;

fn count_up<const N: usize>(from: u8) -> [u8; N] {
    core::array::from_fn(|i| from + i as u8)
}

fn beacon() -> Beacon {
    Beacon {
        state: State::Fault,
        flags: FLAG_INSECURE_DEV | FLAG_PUBLIC_ATTEST,
        port: PORT,
        boot_id: count_up(0x20),
        fingerprint: count_up(0x50),
        caps_digest: count_up(0x30),
        sequence: 7,
        uptime_s: 0x0102_0304,
        free_kib: 393_216,
        mhz: 700,
        formats: FORMAT_SKX1,
        reason: Reason::NoBlob,
        label: Label::new("küche").unwrap(),
    }
}

fn reply() -> HelloReply {
    HelloReply {
        ver: 1,
        state: State::Running,
        flags: FLAG_LINK_LOCAL,
        client_nonce: count_up(0x10),
        boot_id: count_up(0x20),
        cookie: count_up(0x40),
        fingerprint: count_up(0x50),
        caps_digest: count_up(0x30),
        uptime_s: 0xA0B0_C0D0,
        free_in_ms: 59_999,
        reason: Reason::None,
    }
}

fn init() -> HsInit {
    HsInit {
        sender_index: 0xDEAD_BEEF,
        client_nonce: count_up(0x10),
        e: [0xE1; 32],
        s: [0x51; 48],
        payload: [0x9A; 48],
        mac: *golden::HS_INIT.last_chunk().unwrap(),
    }
}

fn resp() -> HsResp {
    HsResp {
        sender_index: 0x0102_0304,
        receiver_index: 0xDEAD_BEEF,
        e: [0xE2; 32],
        payload: [0x9B; 64],
    }
}

const DATA: DataHeader = DataHeader { receiver_index: 0x0102_0304, counter: 0x1122_3344_5566_7788 };

fn every_golden() -> [(&'static [u8], Datagram); 6] {
    [
        (&golden::BEACON, Datagram::Beacon(beacon())),
        (&golden::HELLO, Datagram::Hello(Hello::new(count_up(0x10)))),
        (&golden::HELLO_REPLY, Datagram::HelloReply(reply())),
        (&golden::HS_INIT, Datagram::HsInit(init())),
        (&golden::HS_RESP, Datagram::HsResp(resp())),
        (&golden::DATA, Datagram::Data(DATA)),
    ]
}

#[test]
fn values_read_from_the_frozen_bytes() {
    for (bytes, value) in every_golden() {
        assert_eq!(Datagram::parse(bytes), Some(value));
    }
}

#[test]
fn values_written_as_the_frozen_bytes() {
    assert_eq!(beacon().emit(), golden::BEACON);
    assert_eq!(Hello::new(count_up(0x10)).emit(), golden::HELLO);
    assert_eq!(reply().emit(), golden::HELLO_REPLY);
    assert_eq!(init().emit(), golden::HS_INIT);
    assert_eq!(resp().emit(), golden::HS_RESP);
    assert_eq!(DATA.emit(), golden::DATA[..16]);
    assert_eq!(init().maced_part(), golden::HS_INIT[..152]);
}

#[test]
fn payloads_and_prologue_have_the_frozen_bytes() {
    let said = InitPayload {
        hs_counter: 0x0102_0304_0506_0708,
        want_roles: Roles::OBSERVE.or(Roles::SUBMIT).or(Roles::OPERATE).or(Roles::DIRECT),
        features: 0,
        boot_id: count_up(0x20),
    };
    assert_eq!(said.emit(), golden::INIT_PAYLOAD);
    assert_eq!(InitPayload::parse(&golden::INIT_PAYLOAD), Some(said));

    let answered = RespPayload {
        boot_id: count_up(0x20),
        caps_digest: count_up(0x30),
        state: State::Idle,
        ver: 1,
        granted_roles: Roles::OBSERVE.or(Roles::SUBMIT).or(Roles::DIRECT),
        window: 32,
        features: 0,
        session_ms: 900_000,
    };
    assert_eq!(answered.emit(), golden::RESP_PAYLOAD);
    assert_eq!(RespPayload::parse(&golden::RESP_PAYLOAD), Some(answered));

    let prologue = Prologue::from_exchange(&Hello::new(count_up(0x10)), &reply());
    assert_eq!(prologue.emit(), golden::PROLOGUE);
}

/// P1: every length from 0 to 1500 for every type; only the exact one passes.
#[test]
fn only_the_exact_length_is_read() {
    for (bytes, _) in every_golden() {
        let mut long = bytes.to_vec();
        long.resize(1500, 0);
        for len in 0..=long.len() {
            let is_data = bytes[3] == Kind::Data as u8;
            let right = if is_data { (33..=1440).contains(&len) } else { len == bytes.len() };
            assert_eq!(Datagram::parse(&long[..len]).is_some(), right, "{len} bytes");
        }
    }
}

/// P2: magic, version, type.
#[test]
fn a_wrong_prelude_is_dropped() {
    for (bytes, _) in every_golden() {
        for (at, value) in [(0, b's'), (1, b'S'), (2, 0), (2, 2), (2, 255), (3, 0), (3, 0x7F)] {
            let mut bad = bytes.to_vec();
            bad[at] = value;
            // HELLO alone may carry the number of a later version.
            let later_hello = bytes[3] == Kind::Hello as u8 && at == 2 && value != 0;
            assert_eq!(Datagram::parse(&bad).is_some(), later_hello, "byte {at} = {value}");
        }
    }
}

/// P3: padding, reserved fields, undefined bits.
#[test]
fn reserved_bits_must_be_zero() {
    let dropped = |bytes: &[u8], at: usize, bit: u8| {
        let mut bad = bytes.to_vec();
        bad[at] ^= bit;
        assert_eq!(Datagram::parse(&bad), None, "type {:#x}, byte {at}, bit {bit}", bytes[3]);
    };
    for bit in (0..8).map(|n| 1 << n) {
        (6..8).chain(24..128).for_each(|at| dropped(&golden::HELLO, at, bit));
        (89..96).for_each(|at| dropped(&golden::HELLO_REPLY, at, bit));
        dropped(&golden::HELLO_REPLY, 7, bit);
        // Behind the label's end.
        (71..80).for_each(|at| dropped(&golden::BEACON, at, bit));
    }
    for bit in [0x10, 0x20, 0x40, 0x80] {
        dropped(&golden::BEACON, 5, bit);
        dropped(&golden::HELLO_REPLY, 6, bit);
        dropped(&golden::BEACON, 4, bit);
        dropped(&golden::BEACON, 63, bit);
        dropped(&golden::HELLO_REPLY, 88, bit);
    }
    for (at, bad) in [(8, 0x10), (9, 0x40), (10, 1), (11, 1)] {
        let mut payload = golden::INIT_PAYLOAD;
        payload[at] |= bad;
        assert_eq!(InitPayload::parse(&payload), None, "byte {at}");
    }
    for (at, bad) in [(32, 0x80), (33, 2), (34, 0x20), (35, 1), (38, 1), (39, 1)] {
        let mut payload = golden::RESP_PAYLOAD;
        payload[at] ^= bad;
        assert_eq!(RespPayload::parse(&payload), None, "byte {at}");
    }
}

#[test]
fn hello_needs_a_possible_version_range() {
    for (min, max, right) in [(0, 1, false), (2, 1, false), (1, 1, true), (1, 255, true)] {
        let mut bytes = golden::HELLO;
        (bytes[4], bytes[5]) = (min, max);
        assert_eq!(Datagram::parse(&bytes).is_some(), right, "{min} to {max}");
    }
}

#[test]
fn labels_are_clean_text() {
    assert_eq!(Label::new("0123456789abcdeü").unwrap().as_str(), "0123456789abcde");
    assert_eq!(Label::new("0123456789abcdef!").unwrap().as_str(), "0123456789abcdef");
    assert_eq!(Label::new("").unwrap(), Label::EMPTY);
    assert_eq!(Label::new("\x1b[2J"), None);
    assert_eq!(Label::from_bytes(*b"ab\0cd\0\0\0\0\0\0\0\0\0\0\0"), None);
    assert_eq!(Label::from_bytes([0xFF; 16]), None);
}

#[test]
fn direct_is_bit_16_at_rest_and_bit_15_on_the_wire() {
    assert_eq!(Roles::DIRECT.bits(), 1 << 16);
    assert_eq!(Roles::DIRECT.to_wire(), 1 << 15);
    for bits in (0..0x20u32).flat_map(|low| [low, low | 1 << 16, low | 1 << 15]) {
        let defined = bits & !0x1_000F == 0;
        assert_eq!(Roles::from_bits(bits).map(Roles::bits), defined.then_some(bits));
        if let Some(roles) = Roles::from_bits(bits) {
            assert_eq!(Roles::from_wire(roles.to_wire()), Some(roles));
        }
    }
    for bit in 4..15 {
        assert_eq!(Roles::from_wire(1 << bit), None);
    }
}

#[test]
fn numbers_of_states_and_reasons_are_their_bytes() {
    for byte in 0..=255 {
        assert!(State::from_byte(byte).is_none_or(|state| state as u8 == byte));
        assert!(Reason::from_byte(byte).is_none_or(|reason| reason as u8 == byte));
        assert!(Kind::from_byte(byte).is_none_or(|kind| kind as u8 == byte));
    }
    assert_eq!((0..=255).filter_map(State::from_byte).count(), 7);
    assert_eq!((0..=255).filter_map(Reason::from_byte).count(), Reason::ALL.len());
}

fn emit(datagram: &Datagram) -> Vec<u8> {
    match datagram {
        Datagram::Beacon(d) => d.emit().to_vec(),
        Datagram::Hello(d) => d.emit().to_vec(),
        Datagram::HelloReply(d) => d.emit().to_vec(),
        Datagram::HsInit(d) => d.emit().to_vec(),
        Datagram::HsResp(d) => d.emit().to_vec(),
        Datagram::Data(d) => d.emit().to_vec(),
    }
}

proptest! {
    /// Whatever is read is written back as the same bytes: one encoding per
    /// value. (HELLO's own version byte is the one exception.)
    #[test]
    fn what_is_read_is_written_back(
        which in 0usize..6,
        edits in prop::collection::vec((4usize..168, any::<u8>()), 0..6),
    ) {
        let mut bytes = every_golden()[which].0.to_vec();
        for (at, value) in edits {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        if let Some(datagram) = Datagram::parse(&bytes) {
            let written = emit(&datagram);
            prop_assert_eq!(&written[..], &bytes[..written.len()]);
        }
    }

    #[test]
    fn noise_does_not_panic(
        kind in any::<u8>(),
        mut bytes in prop::collection::vec(any::<u8>(), 0..1500),
    ) {
        let _ = Datagram::parse(&bytes);
        if let Some(prelude) = bytes.first_chunk_mut() {
            *prelude = [b'S', b'K', 1, kind];
        }
        let _ = Datagram::parse(&bytes);
    }
}

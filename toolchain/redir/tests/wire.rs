//! The messages' bytes, and what is made of bytes that are none.

use proptest::prelude::*;
use sk_redir::wire::{
    Bulk, Connect, Control, EndpointInfo, EndpointType, Format, InterfaceInfo, Interrupt, MAX_BODY,
    Malformed, Message, Packet, caps, endpoint_index,
};

/// All that both can do.
fn full() -> Format {
    Format::of(caps::OURS)
}

fn bytes(format: Format, id: u64, message: Message) -> Vec<u8> {
    let mut out = Vec::new();
    Packet { id, message }.encode(format, &mut out);
    out
}

#[test]
fn hello_has_a_short_id_always() {
    let hello = Message::Hello { version: "sk".into(), caps: caps::OURS };
    for format in [Format::default(), full()] {
        let bytes = bytes(format, 0, hello.clone());
        assert_eq!(bytes[..14], [0, 0, 0, 0, 68, 0, 0, 0, 0, 0, 0, 0, b's', b'k']);
        assert_eq!(bytes[14..76], [0; 62]);
        assert_eq!(bytes[76..], [0x72, 0, 0, 0]);
    }
    let long = Message::Hello { version: "x".repeat(100), caps: 0 };
    assert_eq!(bytes(full(), 0, long).len(), 12 + 68);
}

/// What QEMU 7.2 said, from a trace.
#[test]
fn qemus_hello() {
    let mut hello = vec![0, 0, 0, 0, 68, 0, 0, 0, 0, 0, 0, 0];
    hello.extend(b"qemu usb-redir guest 7.2.22");
    hello.resize(12 + 64, 0);
    hello.extend([0xff, 0, 0, 0]);
    let (packet, length) = Packet::decode(Format::default(), &hello).unwrap().unwrap();
    assert_eq!(length, 80);
    let Message::Hello { version, caps } = packet.message else { panic!("{packet:?}") };
    assert_eq!((version.as_str(), caps), ("qemu usb-redir guest 7.2.22", 0xff));
}

#[test]
fn what_is_said_of_a_device() {
    let connect = Connect {
        speed: 2,
        class: 0xff,
        subclass: 0,
        protocol: 1,
        vendor: 0x0424,
        product: 0xec00,
        version: 0x0200,
    };
    assert_eq!(
        bytes(full(), 0, Message::DeviceConnect(connect)),
        [1, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0xff, 0, 1, 0x24, 4, 0, 0xec, 0, 2]
    );
    let interface = InterfaceInfo { number: 1, class: 2, subclass: 6, protocol: 9 };
    let info = bytes(full(), 0, Message::InterfaceInfo(vec![interface]));
    assert_eq!(info.len(), 16 + 132);
    assert_eq!(info[16..20], [1, 0, 0, 0]);
    assert_eq!([info[20], info[52], info[84], info[116]], [1, 2, 6, 9]);
    assert!(info[21..52].iter().all(|byte| *byte == 0));

    let mut endpoints = Box::new([EndpointInfo::ABSENT; 32]);
    endpoints[endpoint_index(0x81)] =
        EndpointInfo { kind: EndpointType::Bulk, interval: 3, interface: 4, max_packet: 0x201 };
    let info = bytes(full(), 0, Message::EndpointInfo(endpoints.clone()));
    assert_eq!(info.len(), 16 + 160);
    let at = 16 + 17;
    assert_eq!([info[at], info[at + 32], info[at + 64]], [2, 3, 4]);
    assert_eq!(info[16 + 96 + 2 * 17..][..2], [1, 2]);
    assert_eq!(info[16], 255);
    // Without the capability there are no packet sizes.
    assert_eq!(bytes(Format::default(), 0, Message::EndpointInfo(endpoints)).len(), 12 + 96);
}

#[test]
fn data_packets() {
    let control = Control {
        endpoint: 0x80,
        request: 0xa1,
        request_type: 0xc0,
        status: 0,
        value: 0,
        index: 0x104,
        length: 4,
        data: vec![1, 2, 3, 4],
    };
    assert_eq!(
        bytes(full(), 0x1_0000_0002, Message::Control(control)),
        [
            100, 0, 0, 0, 14, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0x80, 0xa1, 0xc0, 0, 0, 0, 4, 1, 4,
            0, 1, 2, 3, 4
        ]
    );
    let bulk = Bulk { endpoint: 0x81, status: 4, length: 0x1_0203, stream: 0, data: vec![9] };
    assert_eq!(
        bytes(full(), 7, Message::Bulk(bulk.clone())),
        [101, 0, 0, 0, 11, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0x81, 4, 3, 2, 0, 0, 0, 0, 1, 0, 9]
    );
    assert_eq!(bytes(Format::default(), 7, Message::Bulk(bulk)).len(), 12 + 9);
    let interrupt = Interrupt { endpoint: 0x83, status: 0, length: 4, data: vec![0, 0x80, 0, 0] };
    assert_eq!(
        bytes(full(), 1, Message::Interrupt(interrupt)),
        [103, 0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0x83, 0, 4, 0, 0, 0x80, 0, 0]
    );
}

#[test]
fn types_and_lengths() {
    use Message as M;
    let types: [(Message, u32, u32); 14] = [
        (M::DeviceDisconnect, 2, 0),
        (M::Reset, 3, 0),
        (M::SetConfiguration(1), 6, 1),
        (M::GetConfiguration, 7, 0),
        (M::ConfigurationStatus { status: 0, configuration: 1 }, 8, 2),
        (M::SetAlternate { interface: 1, alternate: 1 }, 9, 2),
        (M::GetAlternate(1), 10, 1),
        (M::AlternateStatus { status: 0, interface: 1, alternate: 1 }, 11, 3),
        (M::StartInterrupt(0x83), 15, 1),
        (M::StopInterrupt(0x83), 16, 1),
        (M::InterruptStatus { status: 0, endpoint: 0x83 }, 17, 2),
        (M::Cancel, 21, 0),
        (M::Other { kind: 12, body: vec![1, 2, 3] }, 12, 3),
        (M::Other { kind: 0xffff_ffff, body: vec![] }, 0xffff_ffff, 0),
    ];
    for (message, kind, length) in types {
        let bytes = bytes(full(), 5, message.clone());
        assert_eq!(bytes[..4], kind.to_le_bytes(), "{message:?}");
        assert_eq!(bytes[4..8], length.to_le_bytes(), "{message:?}");
        assert_eq!(
            Packet::decode(full(), &bytes),
            Ok(Some((Packet { id: 5, message }, bytes.len())))
        );
    }
}

#[test]
fn lengths_that_cannot_be() {
    let mut long = vec![101, 0, 0, 0];
    long.extend((MAX_BODY as u32 + 1).to_le_bytes());
    let error = Packet::decode(full(), &long);
    assert_eq!(error, Err(Malformed::TooLong(MAX_BODY as u32 + 1)));
    for (kind, good) in [(0, 68), (1, 10), (4, 132), (5, 160), (6, 1), (9, 2), (100, 10), (101, 10)]
    {
        for length in [good - 1, good + 1] {
            // Data may follow, and more words of capabilities.
            if matches!(kind, 0 | 100 | 101) && length > good {
                continue;
            }
            let mut bytes = vec![kind, 0, 0, 0, length, 0, 0, 0];
            bytes.resize(16 + usize::from(length), 0);
            let found = Packet::decode(full(), &bytes);
            assert!(matches!(found, Err(Malformed::Length { .. })), "{kind} {length}: {found:?}");
        }
    }
    let mut bytes = bytes(full(), 0, Message::EndpointInfo(Box::new([EndpointInfo::ABSENT; 32])));
    bytes[20] = 4;
    assert_eq!(Packet::decode(full(), &bytes), Err(Malformed::Value { kind: 5 }));
}

fn data() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..600)
}

fn message() -> impl Strategy<Value = Message> {
    let numbers = any::<(u8, u8, u8, u8, u16, u16, u16, u32)>();
    (0..9, numbers, data()).prop_map(|(kind, (a, b, c, d, e, f, g, h), data)| match kind {
        0 => Message::Hello { version: "a".repeat(usize::from(a) % 64), caps: h },
        1 => Message::DeviceConnect(Connect {
            speed: a,
            class: b,
            subclass: c,
            protocol: d,
            vendor: e,
            product: f,
            version: g,
        }),
        2 => {
            let row = InterfaceInfo { number: a, class: b, subclass: c, protocol: d };
            Message::InterfaceInfo(vec![row; usize::from(e) % 33])
        }
        3 => {
            let mut rows = Box::new([EndpointInfo::ABSENT; 32]);
            rows[usize::from(d) % 32] = EndpointInfo {
                kind: EndpointType::Interrupt,
                interval: b,
                interface: c,
                max_packet: e,
            };
            Message::EndpointInfo(rows)
        }
        4 => Message::AlternateStatus { status: a, interface: b, alternate: c },
        5 => Message::Control(Control {
            endpoint: a,
            request: b,
            request_type: c,
            status: d,
            value: e,
            index: f,
            length: g,
            data,
        }),
        6 => Message::Bulk(Bulk { endpoint: a, status: b, length: h, stream: e.into(), data }),
        7 => Message::Interrupt(Interrupt { endpoint: a, status: b, length: e, data }),
        _ => Message::Other { kind: 200 + u32::from(a), body: data },
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back(id in any::<u64>(), message in message(), more in data()) {
        let id = if matches!(message, Message::Hello { .. }) { id & 0xffff_ffff } else { id };
        let packet = Packet { id, message };
        let mut bytes = Vec::new();
        packet.encode(full(), &mut bytes);
        let length = bytes.len();
        for cut in 0..length {
            prop_assert_eq!(Packet::decode(full(), &bytes[..cut]), Ok(None));
        }
        bytes.extend(more);
        prop_assert_eq!(Packet::decode(full(), &bytes), Ok(Some((packet, length))));
    }

    #[test]
    fn any_bytes_have_an_answer(caps in any::<u32>(), bytes in data(), kind in 0_u32..110) {
        let mut input = kind.to_le_bytes().to_vec();
        input.extend((bytes.len() as u32).to_le_bytes());
        input.extend([0; 8]);
        input.extend(&bytes);
        let _ = Packet::decode(Format::of(caps), &input);
        let _ = Packet::decode(Format::of(caps), &bytes);
    }
}

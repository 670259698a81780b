//! The protocol's messages, and the configuration blob.

use blake2::{Blake2s256, Digest};
use sk_wire::Datagram;
use sk_wire::blob::Config;
use sk_wire::control::{self, Answer, CONTROL_MAX, Request};
use sk_wire::frames::{ACK_SPAN, Frame, FrameWriter, Frames, MAX_FRAMES, Object};
use sk_wire::manifest::{Manifest, TaskId};

/// A datagram. What parses has one encoding.
pub(crate) fn datagram(data: &[u8]) {
    match Datagram::parse(data) {
        None => {}
        Some(Datagram::Beacon(d)) => assert_eq!(d.emit(), data),
        // A HELLO may be of any version; ours is of one.
        Some(Datagram::Hello(d)) => assert_eq!(d.emit()[3..], data[3..]),
        Some(Datagram::HelloReply(d)) => assert_eq!(d.emit(), data),
        Some(Datagram::HsInit(d)) => assert_eq!(d.emit(), data),
        Some(Datagram::HsResp(d)) => assert_eq!(d.emit(), data),
        Some(Datagram::Data(header)) => assert_eq!(header.emit(), data[..16]),
    }
}

/// Decodes as each of these types; what decodes has one encoding.
macro_rules! bodies {
    ($data:expr, $($kind:ty),*) => {$(
        if let Ok(value) = control::decode::<$kind>($data) {
            let mut buffer = [0; 4096];
            assert_eq!(control::encode(&value, &mut buffer).expect("room"), $data);
        }
    )*};
}

/// A control message: its envelope, and its body as any of the bodies.
pub(crate) fn control(data: &[u8]) {
    let body = match (data.first(), Request::parse(data), Answer::parse(data)) {
        (_, Ok(request), _) => request.body,
        (_, _, Ok(answer)) => answer.body,
        _ => data,
    };
    for body in [body, data] {
        bodies!(
            body,
            control::Refusal,
            control::Accepted,
            control::Started,
            control::TaskStatus,
            control::Abort,
            control::Aborted,
            control::Fetch,
            control::Fetched,
            control::Close,
            control::Pong,
            control::Receipt,
            control::Event,
            TaskId,
            ()
        );
    }
}

/// SUBMIT's body. One that fits a message can be sent on.
pub(crate) fn manifest(data: &[u8]) {
    bodies!(data, Manifest);
    if let Ok(manifest) = control::decode::<Manifest>(data) {
        let mut buffer = [0; CONTROL_MAX];
        control::request(1, control::Op::Submit, &manifest, &mut buffer).expect("it fits");
    }
}

/// The frames of a plaintext, written again.
pub(crate) fn frames(data: &[u8]) {
    let mut buffer = [0; MAX_FRAMES];
    let mut writer = FrameWriter::new(&mut buffer);
    // Frames of which there is more than one encoding or that a writer would
    // not write: read only.
    let mut plain = data.len() <= MAX_FRAMES;
    for frame in Frames::new(data) {
        let written = match frame {
            Ok(Frame::Put { object, offset, bytes }) => {
                Object::new(object).is_some_and(|o| writer.put(o, offset, bytes))
            }
            Ok(Frame::Chunk { object, offset, bytes }) => {
                Object::new(object).is_some_and(|o| writer.chunk(o, offset, bytes))
            }
            Ok(Frame::Ack(ack)) => {
                for index in [0, ack.base, ack.base.wrapping_add(1), u32::MAX] {
                    let _ = ack.has(index);
                }
                assert!(ack.bitmap.len() <= ACK_SPAN / 8);
                ack.bitmap.last() != Some(&0) && writer.ack(&ack)
            }
            Ok(Frame::Ctrl(body)) => writer.ctrl(body),
            Ok(Frame::Event(body)) => writer.event(body),
            Ok(Frame::Pad) => false,
            Err(_) => false,
        };
        plain &= written;
    }
    if plain {
        let len = writer.len();
        assert_eq!(buffer[..len], *data);
    }
}

/// A blob: as it is, and with its lengths and digest mended, or no change of
/// it would be looked into.
pub(crate) fn blob(data: &[u8]) {
    whole_blob(data);
    let mut mended = data.to_vec();
    if let Some(parts) = data.len().checked_sub(16 + 64 + 32) {
        let public = u32::from_le_bytes([data[8], data[9], 0, 0]).min(parts as u32);
        mended[..8].copy_from_slice(b"SKCF\x01\0\0\0");
        mended[8..12].copy_from_slice(&public.to_le_bytes());
        mended[12..16].copy_from_slice(&(parts as u32 - public).to_le_bytes());
        let digest = Blake2s256::digest(&mended[..data.len() - 32]);
        mended[data.len() - 32..].copy_from_slice(&digest);
        whole_blob(&mended);
    }
}

fn whole_blob(data: &[u8]) {
    let Ok(config) = Config::decode(data) else { return };
    for at in 0..=config.clients().len() {
        let _ = (config.psk(at), config.client_services(at), config.offers(at, 7));
    }
    assert!(
        config.clients().iter().enumerate().all(|(at, client)| {
            config.find(&client.public_key).is_some_and(|first| first <= at)
        })
    );
    // Numbers may have been longer than they need be; and the signature is not
    // the configuration's, and so not written.
    let again = encoded(&config);
    assert!(again.len() <= data.len());
    let config = Config::decode(&again).expect("what was written can be read");
    assert_eq!(encoded(&config), again);
}

fn encoded(config: &Config) -> Vec<u8> {
    let mut blob = vec![0; sk_wire::blob::MAX_BLOB_LEN];
    let len = config.encode(&mut blob).expect("what was read can be written");
    blob.truncate(len);
    blob
}

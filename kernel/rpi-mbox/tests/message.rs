//! Messages as bytes: frozen examples, and arbitrary answers.

use proptest::prelude::*;
use rpi_mbox::tags::*;
use rpi_mbox::{MessageError, Request, Response, TagError};

fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_le_bytes()).collect()
}

#[test]
fn a_request_word_by_word() {
    let mut mem = [0xEE; 96];
    let mut r = Request::new(&mut mem).unwrap();
    r.add(&MacAddress).unwrap();
    r.add(&SetClockRate { clock: ClockId::Arm, hz: 1_000_000_000, skip_turbo: false }).unwrap();
    r.add(&SetPower { device: PowerDevice::Usb, on: true }).unwrap();
    let length = r.finish();
    let expected = bytes(&[
        76,
        0, // length, request
        0x0001_0003,
        8,
        0,
        0,
        0, // MAC
        0x0003_8002,
        12,
        0,
        3,
        1_000_000_000,
        0, // set clock
        0x0002_8001,
        8,
        0,
        3,
        3, // power on and wait
        0, // end
    ]);
    assert_eq!(&mem[..length], &expected);
    assert!(mem[length..].iter().all(|b| *b == 0), "leftovers cleared");
}

#[test]
fn room_is_whole_words_and_never_more_than_there_is() {
    let mut mem = [0; 28];
    let mut r = Request::new(&mut mem).unwrap();
    r.add(&CommandLine { room: 3 }).unwrap();
    assert!(matches!(r.add(&BoardRevision), Err(MessageError::NoRoom)));
    assert_eq!(r.finish(), 28);
    assert!(matches!(Request::new(&mut [0; 11]), Err(MessageError::NoRoom)));
}

#[test]
fn a_tag_overwritten_by_the_firmware_is_named() {
    let mut mem = [0; 64];
    let mut r = Request::new(&mut mem).unwrap();
    let slot = r.add(&BoardRevision).unwrap();
    let length = r.finish();
    mem[4..8].copy_from_slice(&0x8000_0000u32.to_le_bytes());
    mem[8] ^= 1;
    let response = Response::new(&mem, length).unwrap();
    assert_eq!(response.get(slot), Err(TagError::Overwritten { id: 0x0001_0002 }));
}

proptest! {
    /// Whatever the firmware leaves in the buffer, reading it is safe, and a
    /// value comes only out of an answered tag that is where it was put.
    #[test]
    fn any_answer_is_read_without_harm(mut mem in proptest::collection::vec(any::<u8>(), 128),
                                       keep in any::<bool>(), third in any::<u32>()) {
        let mut clean = vec![0; 128];
        let mut r = Request::new(&mut clean).unwrap();
        let revision = r.add(&BoardRevision).unwrap();
        let line = r.add(&CommandLine { room: 40 }).unwrap();
        let length = r.finish();
        if keep {
            mem[..24].copy_from_slice(&clean[..24]);
            mem[4..8].copy_from_slice(&0x8000_0000u32.to_le_bytes());
            mem[16..20].copy_from_slice(&third.to_le_bytes());
        }
        if let Ok(response) = Response::new(&mem, length) {
            let got = response.get(revision);
            if keep {
                let expected = third >> 31 == 1 && third << 1 >> 1 == 4;
                prop_assert_eq!(got.is_ok(), expected);
            }
            if let Ok(line) = response.get(line) {
                prop_assert!(line.len() <= 40);
            }
        }
    }
}

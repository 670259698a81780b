//! The negotiation with firmware that is honest, old, poor, or lies.

use proptest::prelude::*;
use rpi_mbox::{MessageError, Request, Response, TagError};
use sk_screen::setup::{Display, FALLBACK, MESSAGE, Refused, Step, Wish};
use sk_screen::{Depth, Framebuffer, Order, Setup};
use std::collections::BTreeMap;

const ARM_END: u32 = 0x1C00_0000;
const WISH: Wish = Wish { size: None, depth: Depth::Bits16, arm_end: ARM_END };

/// Firmware, by what it answers to a tag: words, or that it does not know it.
#[derive(Clone, Default)]
struct Firmware {
    /// Instead of the honest answer.
    lies: BTreeMap<u32, Option<Vec<u32>>>,
    size: (u32, u32),
    depth: u32,
    /// Bytes it has for a framebuffer.
    memory: u32,
    edid: Option<Vec<u8>>,
    /// Tags of each message.
    seen: Vec<Vec<u32>>,
}

const SIZE: u32 = 0x0004_0003;
const SET_SIZE: u32 = 0x0004_8003;
const VIRTUAL: u32 = 0x0004_8004;
const DEPTH: u32 = 0x0004_8005;
const ORDER: u32 = 0x0004_8006;
const OFFSET: u32 = 0x0004_8009;
const ALLOCATE: u32 = 0x0004_0001;
const RELEASE: u32 = 0x0004_8001;
const PITCH: u32 = 0x0004_0008;
const EDID: u32 = 0x0003_0020;

impl Firmware {
    fn honest() -> Self {
        Self { size: (1280, 720), depth: 32, memory: 16 << 20, ..Self::default() }
    }

    fn lying(tag: u32, words: &[u32]) -> Self {
        Self { lies: BTreeMap::from([(tag, Some(words.to_vec()))]), ..Self::honest() }
    }

    fn work(&mut self, message: &mut [u8]) {
        let word = |m: &[u8], at: usize| u32::from_le_bytes(m[at..at + 4].try_into().unwrap());
        let mut at = 8;
        let mut tags = Vec::new();
        while word(message, at) != 0 {
            let (id, room) = (word(message, at), word(message, at + 4) as usize);
            tags.push(id);
            let asked = (word(message, at + 12), if room > 4 { word(message, at + 16) } else { 0 });
            let answer = match self.lies.get(&id) {
                Some(lie) => lie.clone(),
                None => self.answer(id, asked),
            };
            if let Some(words) = answer {
                let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
                let fits = bytes.len().min(room);
                message[at + 12..at + 12 + fits].copy_from_slice(&bytes[..fits]);
                message[at + 8..at + 12]
                    .copy_from_slice(&(1 << 31 | bytes.len() as u32).to_le_bytes());
            }
            at += 12 + room;
        }
        self.seen.push(tags);
        message[4..8].copy_from_slice(&0x8000_0000u32.to_le_bytes());
    }

    fn answer(&mut self, id: u32, asked: (u32, u32)) -> Option<Vec<u32>> {
        let pitch = (self.size.0 * self.depth / 8).next_multiple_of(32);
        Some(match id {
            SIZE => vec![self.size.0, self.size.1],
            SET_SIZE | VIRTUAL => {
                self.size = asked;
                vec![asked.0, asked.1]
            }
            DEPTH => {
                self.depth = asked.0;
                vec![asked.0]
            }
            ORDER => vec![asked.0],
            OFFSET => vec![0, 0],
            ALLOCATE if pitch * self.size.1 > self.memory => vec![0, 0],
            ALLOCATE => vec![0xDC10_0000, (pitch * self.size.1).next_multiple_of(4096)],
            PITCH => vec![pitch],
            RELEASE => vec![],
            EDID => match &self.edid {
                None => vec![0, 1],
                Some(block) => {
                    let words = block.chunks(4).map(|w| u32::from_le_bytes(w.try_into().unwrap()));
                    [0, 0].into_iter().chain(words).collect()
                }
            },
            _ => return None,
        })
    }
}

fn negotiate(wish: Wish, firmware: &mut Firmware) -> (Step, Setup) {
    let mut setup = Setup::new(wish);
    for _ in 0..10 {
        let mut memory = [0u8; MESSAGE];
        let mut request = Request::new(&mut memory).unwrap();
        setup.ask(&mut request).expect("it fits");
        let length = request.finish();
        firmware.work(&mut memory[..length]);
        match setup.answer(Response::new(&memory, length)) {
            Step::Ask => {}
            end => return (end, setup),
        }
    }
    panic!("it never ends");
}

fn got(wish: Wish, firmware: &mut Firmware) -> Framebuffer {
    match negotiate(wish, firmware) {
        (Step::Done(framebuffer), _) => framebuffer,
        (other, _) => panic!("{other:?}"),
    }
}

fn edid(width: u16, height: u16, name: &[u8]) -> Vec<u8> {
    let mut block = vec![0u8; 128];
    block[..8].copy_from_slice(&[0, 255, 255, 255, 255, 255, 255, 0]);
    block[54..56].copy_from_slice(&[1, 29]);
    (block[56], block[58]) = (width as u8, (width >> 4) as u8 & 0xF0);
    (block[59], block[61]) = (height as u8, (height >> 4) as u8 & 0xF0);
    block[72 + 3] = 0xFC;
    block[77..90].fill(b' ');
    block[77..77 + name.len()].copy_from_slice(name);
    block[77 + name.len()] = b'\n';
    block[127] = block.iter().fold(0u8, |sum, b| sum.wrapping_sub(*b));
    block
}

#[test]
fn an_honest_firmware_gives_what_the_display_has() {
    let mut firmware = Firmware::honest();
    let f = got(WISH, &mut firmware);
    assert_eq!((f.width, f.height, f.pitch, f.base), (1280, 720, 2560, 0x1C10_0000));
    assert_eq!((f.format.depth, f.format.order), (Depth::Bits16, Order::Rgb));
    assert_eq!(f.bytes, 2560 * 720);
    assert_eq!(firmware.seen.len(), 2, "a look and one message");
    assert!(!firmware.seen[1].contains(&RELEASE));
    let deep = got(Wish { depth: Depth::Bits32, ..WISH }, &mut Firmware::honest());
    assert_eq!((deep.pitch, deep.format.depth), (5120, Depth::Bits32));
    let small = got(Wish { size: Some((800, 600)), ..WISH }, &mut Firmware::honest());
    assert_eq!((small.width, small.height, small.pitch), (800, 600, 1600));
}

#[test]
fn the_pitch_is_the_firmware_s() {
    let mut firmware = Firmware { size: (650, 410), ..Firmware::honest() };
    assert_eq!(got(WISH, &mut firmware).pitch, 1312);
}

#[test]
fn a_physical_address_and_a_swapped_order_are_fine() {
    let mut firmware = Firmware::lying(ALLOCATE, &[0x1C20_0000, 8 << 20]);
    assert_eq!(got(WISH, &mut firmware).base, 0x1C20_0000);
    assert_eq!(got(WISH, &mut Firmware::lying(ORDER, &[0])).format.order, Order::Bgr);
    let mut old = Firmware::honest();
    old.lies.insert(ORDER, None);
    assert_eq!(got(WISH, &mut old).format.order, Order::Rgb);
}

#[test]
fn monitors_and_none() {
    let mut firmware =
        Firmware { edid: Some(edid(1920, 1080, b"DELL U2412M")), ..Firmware::honest() };
    let (_, setup) = negotiate(WISH, &mut firmware);
    let Display::Monitor(monitor) = setup.display() else { panic!("{:?}", setup.display()) };
    assert_eq!((monitor.width, monitor.height, monitor.name()), (1920, 1080, "DELL U2412M"));
    // Firmware that tells no size: the monitor's.
    firmware.lies.insert(SIZE, Some(vec![0, 0]));
    assert_eq!(got(WISH, &mut firmware).width, 1920);
    // A bent block is no monitor; no size, no monitor: 640x480.
    firmware.edid.as_mut().unwrap()[100] ^= 1;
    let f = got(WISH, &mut firmware);
    assert_eq!((u32::from(f.width), u32::from(f.height)), FALLBACK);
    let mut headless = Firmware::lying(SIZE, &[2, 2]);
    let (step, setup) = negotiate(WISH, &mut headless);
    assert_eq!(setup.display(), Display::Silent);
    assert!(matches!(step, Step::Done(f) if f.width == 640));
    // Sizes nobody can want.
    let mut absurd = Firmware::lying(SIZE, &[u32::MAX, 5]);
    assert_eq!(got(WISH, &mut absurd).width, 640);
}

#[test]
fn little_memory_means_less_is_asked_for_and_what_was_had_given_back() {
    let mut firmware = Firmware { size: (1920, 1080), memory: 5 << 20, ..Firmware::honest() };
    let f = got(Wish { depth: Depth::Bits32, ..WISH }, &mut firmware);
    assert_eq!((f.width, f.format.depth), (1920, Depth::Bits16));
    assert_eq!(firmware.seen[2][0], RELEASE);
    let mut poor = Firmware { size: (1920, 1080), memory: 1 << 20, ..Firmware::honest() };
    let (step, setup) = negotiate(WISH, &mut poor);
    assert!(matches!(step, Step::Done(f) if f.width == 640), "{step:?}");
    assert_eq!(setup.refused(), Some(Refused::NoMemory));
    let mut none = Firmware { memory: 0, ..Firmware::honest() };
    assert_eq!(negotiate(WISH, &mut none).0, Step::None(Refused::NoMemory));
    assert_eq!(none.seen.len(), 5, "a look and four attempts");
}

#[test]
fn every_lie_is_refused_by_name() {
    use Refused::*;
    let pair = |x, y| rpi_mbox::framebuffer::Pair { x, y };
    let fallback = pair(640, 480);
    for (tag, words, refused) in [
        (SET_SIZE, &[656, 416][..], Size { physical: pair(656, 416), virtual_: fallback }),
        (VIRTUAL, &[640, 960], Size { physical: fallback, virtual_: pair(640, 960) }),
        (DEPTH, &[8], Depth(8)),
        (ORDER, &[7], Order(7)),
        (OFFSET, &[0, 100], Offset(pair(0, 100))),
        (PITCH, &[0], Pitch(0)),
        (PITCH, &[1276], Pitch(1276)),
        (PITCH, &[2561], Pitch(2561)),
        (PITCH, &[u32::MAX - 3], Pitch(u32::MAX - 3)),
        (ALLOCATE, &[0, 1 << 20], NoMemory),
        (ALLOCATE, &[0xC000_0000, 8 << 20], NoMemory),
        (ALLOCATE, &[0xDC10_0000, 0], NoMemory),
        (ALLOCATE, &[0xDC10_0002, 8 << 20], Misaligned(0x1C10_0002)),
        (ALLOCATE, &[0xDC10_0000, 1000], TooSmall { size: 1000, needs: 2560 * 480 }),
        (ALLOCATE, &[0xC010_0000, 8 << 20], InArmMemory(0x0010_0000)),
        (ALLOCATE, &[0x1BFF_F000, 8 << 20], InArmMemory(0x1BFF_F000)),
        (ALLOCATE, &[0x1FF0_0000, 8 << 20], BeyondMemory { base: 0x1FF0_0000, size: 8 << 20 }),
        (ALLOCATE, &[0xFC10_0000, 8 << 20], BeyondMemory { base: 0x3C10_0000, size: 8 << 20 }),
        (ALLOCATE, &[0xDC10_0000, u32::MAX], BeyondMemory { base: 0x1C10_0000, size: u32::MAX }),
        (ALLOCATE, &[0xDC10_0000], Tag(TagError::Short { id: ALLOCATE, got: 4 })),
        (PITCH, &[], Tag(TagError::Short { id: PITCH, got: 0 })),
        (SET_SIZE, &[640, 480, 0], Tag(TagError::Truncated { id: SET_SIZE, needs: 12 })),
    ] {
        let (step, _) = negotiate(WISH, &mut Firmware::lying(tag, words));
        assert_eq!(step, Step::None(refused), "{tag:#x} {words:?}");
    }
    let mut unknown = Firmware::honest();
    unknown.lies.insert(ALLOCATE, None);
    let (step, _) = negotiate(WISH, &mut unknown);
    assert_eq!(step, Step::None(Tag(TagError::Unknown(ALLOCATE))));
}

#[test]
fn silence_ends_in_no_screen() {
    let mut setup = Setup::new(WISH);
    let mut steps = 0;
    let end = loop {
        match setup.answer(Err(MessageError::BadCode(0))) {
            Step::Ask => steps += 1,
            end => break end,
        }
    };
    assert_eq!((end, steps), (Step::None(Refused::Message(MessageError::BadCode(0))), 4));
}

proptest! {
    /// Whatever is answered: no framebuffer outside of the VideoCore's memory,
    /// none with rows beyond its end, and an end.
    #[test]
    fn what_is_accepted_holds_together(
        lies in proptest::collection::btree_map(
            prop::sample::select(vec![SIZE, SET_SIZE, VIRTUAL, DEPTH, ORDER, OFFSET, ALLOCATE, PITCH, EDID]),
            proptest::option::of(proptest::collection::vec(
                prop_oneof![any::<u32>(), 0..3000u32, Just(0xDC10_0000), Just(1280), Just(720)], 0..36)),
            0..4,
        ),
    ) {
        let mut firmware = Firmware { lies, ..Firmware::honest() };
        if let (Step::Done(f), _) = negotiate(WISH, &mut firmware) {
            let row = u32::from(f.width) * f.format.depth.bits() / 8;
            prop_assert!(f.pitch >= row && f.bytes == f.pitch * u32::from(f.height));
            prop_assert!(f.base >= ARM_END && f.base % 4 == 0);
            prop_assert!(u64::from(f.base) + u64::from(f.bytes) <= 0x2000_0000);
            prop_assert!(f.width >= 320 && f.height >= 200);
        }
    }
}

//! What is accepted and what is refused, and with which words.

mod common;

use common::{Image, check, image};
use proptest::prelude::*;
use sk_abi::Status;
use sk_loader::{Field, Plan};

const LOOP: [u8; 8] = [b'K', 0x11, 0, 4, 0xFE, 0xFF, 0xFF, 0xEA];

fn refused(bytes: &[u8]) -> (Status, Field) {
    match Plan::parse(bytes).and_then(|p| p.check()) {
        Ok(()) => panic!("{bytes:x?} was accepted"),
        Err(r) => (r.status, r.field),
    }
}

#[test]
fn the_smallest_image_is_eight_bytes() {
    let plan = Plan::parse(&LOOP).unwrap();
    assert_eq!((plan.text, plan.header_len()), (&LOOP[4..], 4));
    assert_eq!((plan.entry, plan.bss_len, plan.stack_len, plan.flags), (0, 0, 16384, 0));
    assert_eq!(plan.data_offset(), 4096);
    assert_eq!(LOOP.len(), sk_abi::image::SMALLEST);
}

#[test]
fn each_field_is_refused_by_its_name() {
    use Field::*;
    let with = |at: usize, byte: u8| {
        let mut bytes = LOOP;
        bytes[at] = byte;
        bytes
    };
    assert_eq!(refused(&[]), (Status::HEADER, Magic));
    assert_eq!(refused(&with(0, b'E')), (Status::HEADER, Magic));
    assert_eq!(refused(b"\x7fELF\x01\x01\x01"), (Status::HEADER, Magic));
    assert_eq!(refused(b"K"), (Status::HEADER, Format));
    assert_eq!(refused(&with(1, 0x21)), (Status::FORMAT, Format));
    assert_eq!(refused(&with(1, 0x12)), (Status::ABI, Abi));
    assert_eq!(refused(&with(2, 0x80)), (Status::HEADER, Presence));
    assert_eq!(refused(&with(3, 0)), (Status::HEADER, TextLen));
    assert_eq!(refused(&with(3, 3)), (Status::HEADER, TextLen));
    assert_eq!(refused(&with(3, 5)), (Status::SEGMENT, Text));
    assert_eq!(refused(b"K\x11\0"), (Status::HEADER, TextLen));
    assert_eq!(refused(b"K\x11\0\x84\x00\xFE\xFF\xFF\xEA"), (Status::HEADER, TextLen), "long form");
    assert_eq!(refused(b"K\x11\0\xFF\xFF\xFF\xFF\xFF\x01"), (Status::HEADER, TextLen));
    assert_eq!(refused(b"K\x11\0\xFF\xFF\xFF\xFF\x0F"), (Status::TOO_BIG, TextLen));
    for (bit, field) in
        [Entry, DataLen, BssLen, Stack, Relocs, Imports, Flags].into_iter().enumerate()
    {
        let zero = [b'K', 0x11, 1 << bit, 4, 0, 1, 2, 3, 4];
        assert_eq!(refused(&zero), (Status::HEADER, field), "zero is not written");
        assert_eq!(refused(&zero[..4]), (Status::HEADER, field), "cut off");
    }

    let good = Image {
        text: vec![0; 8],
        data: vec![0; 8],
        relocs: vec![0, 1],
        imports: vec![5, 9],
        ..Image::default()
    };
    let change = |f: &dyn Fn(&mut Image)| {
        let mut image = good.clone();
        f(&mut image);
        image.bytes()
    };
    assert!(Plan::parse(&good.bytes()).unwrap().check().is_ok());
    assert_eq!(refused(&change(&|i| i.entry = 2)), (Status::ENTRY, Entry));
    assert_eq!(refused(&change(&|i| i.entry = 8)), (Status::ENTRY, Entry));
    assert_eq!(refused(&change(&|i| i.entry = 0xFFFF_FFFC)), (Status::ENTRY, Entry));
    assert_eq!(refused(&change(&|i| i.bss = 0x1000_0001)), (Status::TOO_BIG, BssLen));
    assert_eq!(refused(&change(&|i| i.stack = 0x1_0001)), (Status::TOO_BIG, Stack));
    assert_eq!(refused(&change(&|i| i.flags = 4)), (Status::HEADER, Flags));
    assert_eq!(
        refused(&change(&|i| i.relocs = vec![1, 2])),
        (Status::RELOC, Relocs),
        "past the end"
    );
    assert_eq!(
        refused(&change(&|i| i.relocs = vec![0, 1, 2])),
        (Status::RELOC, Relocs),
        "too many"
    );
    assert_eq!(refused(&change(&|i| i.relocs = vec![1, 1])), (Status::RELOC, Relocs), "twice");
    assert_eq!(refused(&change(&|i| i.relocs = vec![1, 0])), (Status::RELOC, Relocs), "descending");
    assert_eq!(refused(&change(&|i| i.imports = vec![9, 5])), (Status::HEADER, Imports));
    assert_eq!(refused(&change(&|i| i.imports = vec![5, 5])), (Status::HEADER, Imports));
    assert_eq!(refused(&change(&|i| i.imports = (1..130).collect())), (Status::TOO_BIG, Imports));
    let mut longer = good.bytes();
    longer.push(0);
    assert!(Plan::parse(&longer).and_then(|p| p.check()).is_err());
    let mut longer = LOOP.to_vec();
    longer.push(0);
    assert_eq!(refused(&longer), (Status::HEADER, Trailing));
}

#[test]
fn imports_are_looked_up() {
    let image = Image { text: vec![0; 4], imports: vec![5, 9, 70_000], ..Image::default() }.bytes();
    let plan = Plan::parse(&image).unwrap();
    assert_eq!(plan.imports().collect::<Vec<_>>(), [5, 9, 70_000]);
    assert_eq!(plan.unresolved(|id| id != 9), Some(9));
    assert_eq!(plan.unresolved(|_| true), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_right_image_is_read_back(image in image()) {
        let bytes = image.bytes();
        prop_assert_eq!(check(&bytes), Ok(()));
        let plan = Plan::parse(&bytes).unwrap();
        plan.check().unwrap();
        prop_assert_eq!(plan.text, &image.text[..]);
        prop_assert_eq!(plan.data, &image.data[..]);
        prop_assert_eq!(plan.bss_len, image.bss);
        prop_assert_eq!(plan.entry, image.entry);
        prop_assert_eq!(plan.imports().collect::<Vec<_>>(), image.imports);
        prop_assert_eq!(plan.needs_direct(), image.flags & 2 != 0);
    }

    #[test]
    fn no_beginning_of_an_image_is_accepted(image in image(), cut in any::<prop::sample::Index>()) {
        let bytes = image.bytes();
        let cut = &bytes[..cut.index(bytes.len())];
        prop_assert!(Plan::parse(cut).and_then(|p| p.check()).is_err());
    }

    /// The loader and the checker agree on every image with some bits flipped.
    #[test]
    fn accepted_means_the_checker_agrees(
        image in image(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0u8..8, any::<bool>()), 1..4),
    ) {
        let mut bytes = image.bytes();
        let header = bytes.len() - image.text.len();
        for (at, bit, early) in flips {
            let at = at.index(if early { header.min(24).min(bytes.len()) } else { bytes.len() });
            bytes[at] ^= 1 << bit;
        }
        let ours = Plan::parse(&bytes).and_then(|p| p.check());
        prop_assert_eq!(ours.is_ok(), check(&bytes).is_ok(), "{:?} {:?}", ours, check(&bytes));
    }

    #[test]
    fn any_bytes_have_an_answer(
        mut bytes in prop::collection::vec(any::<u8>(), 0..64), start in any::<bool>(),
    ) {
        if start && bytes.len() > 3 {
            bytes[..2].copy_from_slice(&[b'K', 0x11]);
            bytes[3] &= 0x1F;
        }
        let ours = Plan::parse(&bytes).and_then(|p| p.check());
        prop_assert_eq!(ours.is_ok(), check(&bytes).is_ok(), "{:?} {:?}", ours, check(&bytes));
    }
}

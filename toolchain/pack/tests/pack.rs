//! ELF files that become images, and ones that do not.

mod common;

use common::{A, AX, Elf, LOOP, WAX, nobits, progbits};
use proptest::prelude::*;
use sk_pack::{PackOptions, inspect, pack};

fn packed(elf: &Elf) -> Vec<u8> {
    pack(&elf.bytes(), PackOptions::default()).expect("a good file").bytes
}

/// The sentence a refusal comes with.
fn refused(change: impl FnOnce(&mut Elf)) -> String {
    let mut elf = Elf::full();
    change(&mut elf);
    pack(&elf.bytes(), PackOptions::default()).expect_err("a bad file").to_string()
}

#[test]
fn a_loop_is_eight_bytes() {
    assert_eq!(packed(&Elf::spin()), [&b"K\x11\0\x04"[..], &LOOP].concat());
}

#[test]
fn everything_has_its_place() {
    let mut expected = b"K\x11\x36".to_vec(); // data, bss, relocs, imports
    expected.extend([12, 13, 107, 2, 2]);
    expected.extend([LOOP, LOOP, LOOP].concat());
    expected.extend([1, 2, 3, 4, 8, 0, 0, 0, 0, 0, 0, 0, 5]); // zeros at the end are bss
    expected.extend([2, 1]);
    expected.extend([5, 0, 0, 0, 9, 0, 0, 0]);
    let image = packed(&Elf::full());
    assert_eq!(image, expected);
    let report = inspect(&image).unwrap();
    assert_eq!((report.relocs, report.imports), (vec![4, 8], vec![5, 9]));
    let s = report.sizes;
    assert_eq!((s.header, s.text, s.data, s.relocs, s.imports), (8, 12, 13, 2, 8));
    assert_eq!((s.total as usize, s.bss, s.stack), (image.len(), 107, 16384));
}

#[test]
fn a_relocated_word_of_zeros_is_kept() {
    let mut elf = Elf::full();
    elf.relocs = vec![(0x1010, 23, 0)];
    let report = inspect(&packed(&elf)).unwrap();
    assert_eq!((report.sizes.data, report.sizes.bss), (20, 100));
    assert_eq!(report.relocs, [16]);
}

#[test]
fn padding_before_bss_is_bss() {
    let mut elf = Elf::full();
    elf.sections[2] = nobits(".bss", 0x1020, 8);
    assert_eq!(inspect(&packed(&elf)).unwrap().sizes.bss, 7 + 12 + 8);
}

#[test]
fn options_and_notes_reach_the_header() {
    let mut elf = Elf::full();
    elf.entry = 8;
    elf.sections.push(progbits(".sk.stack", 0, 0, &4096u32.to_le_bytes()));
    let report = inspect(&packed(&elf)).unwrap();
    assert_eq!((report.entry, report.sizes.stack, report.direct), (8, 4096, false));
    let options = PackOptions { stack: Some(512), direct: true, ..PackOptions::default() };
    let report = inspect(&pack(&elf.bytes(), options).unwrap().bytes).unwrap();
    assert_eq!((report.sizes.stack, report.direct), (512, true));
    for stack in [0, 100, 32 << 20] {
        let options = PackOptions { stack: Some(stack), ..options };
        let error = pack(&elf.bytes(), options).unwrap_err().to_string();
        assert!(error.starts_with(&format!("a stack of {stack} bytes")), "{error}");
    }
}

#[test]
fn vfp_instructions_are_noticed() {
    let mut elf = Elf::spin();
    let vadd = 0xEE30_0A81u32; // vadd.f32 s0, s1, s2
    elf.sections[0] = progbits(".text", AX, 0, &[vadd.to_le_bytes(), LOOP].concat());
    assert!(inspect(&packed(&elf)).unwrap().hard_float);
    assert!(!inspect(&packed(&Elf::spin())).unwrap().hard_float);
}

#[test]
fn relocations_are_refused_with_section_and_symbol() {
    assert_eq!(
        refused(|e| {
            e.dynamic = vec![("memcpy", 4, 4, 2, 1)];
            e.relocs.push((0x1008, 21, 1));
        }),
        "relocation R_ARM_GLOB_DAT in `.data` at 0x1008 (in `TABLE`, to `memcpy`): \
         only R_ARM_RELATIVE can be carried out by a board"
    );
    assert_eq!(
        refused(|e| e.relocs.push((4, 23, 0))),
        "relocation R_ARM_RELATIVE in `.text` at 0x4 (in `_start`): \
         addresses can be kept in data only (compile with -fpic)"
    );
    assert!(refused(|e| e.relocs.push((0x100A, 23, 0))).ends_with("the word is not aligned"));
    assert!(refused(|e| e.relocs.push((0x1018, 23, 0))).contains("in `.bss` at 0x1018"));
    assert!(refused(|e| e.relocs.push((0xFFFF_FFFC, 23, 0))).contains("in `?`"));
    assert!(refused(|e| e.relocs.push((0x1008, 99, 0))).contains("relocation number 99"));
}

#[test]
fn wrong_files_are_refused_in_words() {
    let is = |sentence: String, words: &str| assert!(sentence.contains(words), "{sentence}");
    is(refused(|e| e.machine = 3), "x86");
    is(refused(|e| e.machine = 183), "machine number");
    is(refused(|e| e.kind = 2), "linked for a fixed address; link it with -pie");
    is(refused(|e| e.kind = 1), "not linked");
    is(refused(|e| e.flags = 0x0400_0400), "ABI other than EABI 5");
    is(refused(|e| e.flags = 0x0500_0200), "soft-float");
    is(refused(|e| e.flags = 0x0580_0400), "BE8");
    is(refused(|e| e.sections[0].flags = WAX), "section `.text` would be writable and executable");
    is(
        refused(|e| e.sections.push(progbits(".fancy", A, 0x5000, &[1]))),
        "section `.fancy` is not",
    );
    is(refused(|e| e.sections.push(progbits(".sk.tls", A, 0x5000, &[1]))), "`.sk.tls`");
    is(refused(|e| e.sections.remove(0).data.clear()), ".text (missing)");
    is(refused(|e| e.sections[0].addr = 0x8000), "section `.text` is at 0x8000");
    is(refused(|e| e.sections[1].addr = 0x2000), "put it at 0x1000");
    is(refused(|e| e.sections[2].addr = 0x4000), "section `.bss` is at 0x4000");
    is(refused(|e| e.entry = 12), "the entry point 0xc is not");
    is(refused(|e| e.entry = 1), "the entry point 0x1 is not");
    is(refused(|e| e.symbols.push(("add", 9, 4, 2, 1))), "`add` is Thumb code");
    is(refused(|e| e.symbols.push(("$t", 4, 0, 0, 1))), "`_start` is Thumb code");
    is(refused(|e| e.dynamic = vec![("puts", 0, 0, 2, 0)]), "`puts` is to be found at load time");
    is(refused(|e| e.symbols.push(("puts", 0, 0, 2, 0))), "`puts` is to be found");
    let big = [0x7F, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    is(pack(&big, PackOptions::default()).unwrap_err().to_string(), "64-bit");
    is(pack(b"#!/bin/sh", PackOptions::default()).unwrap_err().to_string(), "not an ELF file");
    let soft = PackOptions { soft_float: true, ..PackOptions::default() };
    let mut elf = Elf::spin();
    elf.flags = 0x0500_0200;
    assert!(pack(&elf.bytes(), soft).is_ok());
}

#[test]
fn reports_read_well() {
    let mut elf = Elf::full();
    let id = sk_abi::service::hash("io.write/1").to_le_bytes();
    elf.sections[3] = progbits(".sk.imports", 0, 0, &[id, [1, 0, 0, 0]].concat());
    let text = inspect(&packed(&elf)).unwrap().to_string();
    for line in [
        "format skx1, ABI 1\n",
        "entry at text + 0x0\n",
        "text               12 B\n",
        "bss               107 B  not in the file\n",
        "needs 00000001  a service this version does not know\n",
        "needs e0c34520  io.write/1\n",
        "address at data + 0x4\n",
    ] {
        assert!(text.contains(line), "{line:?} in\n{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    /// A damaged file is refused or packed, never a panic; what is packed is
    /// what the loader takes.
    #[test]
    fn any_damage_has_an_answer(
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = Elf::full().bytes();
        for (at, byte) in hits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(packed) = pack(&bytes, PackOptions::default()) {
            prop_assert!(inspect(&packed.bytes).is_ok());
        }
    }
}

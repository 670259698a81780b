//! Resolving a service takes the same few instructions for every id, known or
//! not, whatever the size of the table. Counted: the look-up's very
//! instructions, taken from the kernel as it was built, over tables of 31, 64
//! and 256 entries made as the kernel's is.

use object::{Object, ObjectSymbol};
use sk_emulator::{Board, BoardConfig, Net, Plugin};
use sk_services::resolver::{self, Entry, Hash};
use std::fs;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(30);
/// What an id may cost, from the first instruction of the look-up to its
/// return; the caller's branch comes on top.
const BUDGET: u64 = 12;
const UNKNOWN: [u32; 6] = [0, 1, 0xFFFF_FFFF, 0x8000_0000, 0x1234_5678, 0xDEAD_BEEF];

const LOAD: u32 = 0x8000;
const RESOLVE: u32 = 0x8100;
const TABLE: u32 = 0x9000;
const IDS: u32 = 0x1_A000;
const EXPECTED: u32 = 0x1_B000;

/// The look-up in the kernel: ten instructions and two literals, the
/// multiplier and the table's address.
fn look_up_code() -> Vec<u32> {
    let file = fs::read(e2e::artefacts().join("kernel.elf")).unwrap();
    let elf = object::File::parse(&*file).unwrap();
    let symbol = elf.symbols().find(|s| s.name() == Ok("sk_resolve")).expect("sk_resolve");
    let section = elf.section_by_index(symbol.section_index().unwrap()).unwrap();
    let bytes = object::ObjectSection::data_range(&section, symbol.address(), symbol.size())
        .unwrap()
        .unwrap();
    bytes.chunks_exact(4).map(|w| u32::from_le_bytes(w.try_into().unwrap())).collect()
}

/// `code` with another hash and another table.
fn patched(mut code: Vec<u32>, hash: Hash) -> Vec<u32> {
    let len = code.len();
    assert_eq!(code[len - 2], resolver::HASH.multiplier, "the literals are not where they were");
    code[len - 2] = hash.multiplier;
    code[len - 1] = TABLE;
    // mov r3, r3, lsr #shift
    let shift = code.iter_mut().find(|w| **w & 0xFFFF_F07F == 0xE1A0_3023).expect("the shift");
    assert_eq!(*shift >> 7 & 31, resolver::HASH.shift);
    *shift = 0xE1A0_3023 | hash.shift << 7;
    code
}

/// Resolves every id between markers and prints `ok`, or `bad` if a value was
/// not the expected one.
fn guest(code: &[u32], table: &[Entry<u32>], ids: &[u32], expected: &[u32]) -> Vec<u8> {
    let start = [
        0xe59f_4040, // 8000: ldr r4, [pc, #64]   ids
        0xe59f_5040, // 8004: ldr r5, [pc, #64]   expected
        0xe59f_6040, // 8008: ldr r6, [pc, #64]   how many
        0xe3a0_8000, // 800c: mov r8, #0
        0xe494_0004, // 8010: ldr r0, [r4], #4
        0xe180_0000, // 8014: orr r0, r0, r0      interval 0 begins
        0xeb00_0038, // 8018: bl 8100
        0xe181_1001, // 801c: orr r1, r1, r1      interval 0 ends
        0xe495_1004, // 8020: ldr r1, [r5], #4
        0xe150_0001, // 8024: cmp r0, r1
        0x1288_8001, // 8028: addne r8, r8, #1
        0xe256_6001, // 802c: subs r6, r6, #1
        0x1aff_fff6, // 8030: bne 8010
        0xe59f_2018, // 8034: ldr r2, [pc, #24]   UART
        0xe358_0000, // 8038: cmp r8, #0
        0x03a0_3059, // 803c: moveq r3, #'Y'
        0x13a0_304e, // 8040: movne r3, #'N'
        0xea00_0004, // 8044: b 805c
        IDS,         // 8048
        EXPECTED,    // 804c
        u32::try_from(ids.len()).unwrap(),
        0x2020_1000, // 8054: UART
        0,
        0xe582_3000, // 805c: str r3, [r2]
        0xe3a0_300a, // 8060: mov r3, #10
        0xe582_3000, // 8064: str r3, [r2]
        0xeaff_fffe, // 8068: b 8068
    ];
    let mut image = vec![0u8; (EXPECTED - LOAD) as usize + 4 * expected.len()];
    let mut put = |at: u32, words: &[u32]| {
        for (i, word) in words.iter().enumerate() {
            let at = (at - LOAD) as usize + 4 * i;
            image[at..at + 4].copy_from_slice(&word.to_le_bytes());
        }
    };
    put(LOAD, &start);
    put(RESOLVE, code);
    let words: Vec<u32> = table.iter().flat_map(|e| [e.id, e.value]).collect();
    put(TABLE, &words);
    put(IDS, ids);
    put(EXPECTED, expected);
    image
}

/// The costs seen, one for each id.
fn costs<const IDS: usize, const PLACES: usize>() -> Vec<u64> {
    let ids: Vec<u32> = (0..IDS).map(|i| sk_abi::service::hash(&format!("test.s{i}/1"))).collect();
    let values: Vec<u32> = (0..IDS as u32).map(|i| 0x4000 + 12 * i).collect();
    let hash = resolver::search::<PLACES>(&ids, 10_000_000).expect("a perfect hash");
    let table = resolver::table::<u32, PLACES>(hash, &ids, &values, 0);
    let asked: Vec<u32> = ids.iter().copied().chain(UNKNOWN).collect();
    let expected: Vec<u32> = values.iter().copied().chain(UNKNOWN.map(|_| 0)).collect();

    let dir = tempfile::tempdir().unwrap();
    let kernel = dir.path().join("resolve.img");
    fs::write(&kernel, guest(&patched(look_up_code(), hash), &table, &asked, &expected)).unwrap();
    let out = dir.path().join("count.txt");
    let mut config = BoardConfig::new(kernel);
    config.network = Net::None;
    config.plugin = Some(Plugin::built(&out).expect("cargo builds it with this test"));
    let mut board = Board::start(config).unwrap();
    assert_eq!(board.wait_for_line("", LONG).unwrap(), "Y", "a service resolved wrongly");
    board.quit(LONG).unwrap();
    let text = fs::read_to_string(out).unwrap();
    let costs: Vec<u64> = text
        .lines()
        .filter_map(|line| line.strip_prefix("marker 0 "))
        .map(|rest| rest.split(' ').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(costs.len(), asked.len(), "{text}");
    costs
}

fn check(costs: &[u64]) {
    // The branch to the look-up is counted, too.
    let cost = costs[0] - 1;
    assert!(cost <= BUDGET, "{cost} instructions");
    assert!(costs.iter().all(|&c| c == costs[0]), "not the same for every id: {costs:?}");
    println!("resolve: {cost} instructions, {} ids", costs.len());
}

#[test]
fn table_of_31() {
    check(&costs::<31, 128>());
}

#[test]
fn table_of_64() {
    check(&costs::<64, 512>());
}

#[test]
fn table_of_256() {
    check(&costs::<256, 8192>());
}

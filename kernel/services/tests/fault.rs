//! Every kind of fault, and whom an address belongs to.

use sk_abi::Status;
use sk_abi::fault::{DIVISION_BY_ZERO, udf};
use sk_services::fault::{Map, Trap, classify};

const STACK: std::ops::Range<u32> = 0x0410_1000..0x0410_5000;
const PC: u32 = 0x0410_6004;

fn map() -> Map<'static> {
    Map {
        stack: STACK,
        guard: 1 << 20,
        kernel: &[0x1000..0x0400_1000, 0x1BE0_0000..0x1BF0_0000, 0x2000_0000..0x2100_0000],
    }
}

fn data(status: u32, address: u32) -> (Status, u32) {
    data_sp(status, address, STACK.end - 64)
}

fn data_sp(status: u32, address: u32, sp: u32) -> (Status, u32) {
    classify(Trap::Data { status, address }, PC, sp, &map())
}

fn fetch(status: u32, pc: u32) -> (Status, u32) {
    classify(Trap::Prefetch { status }, pc, STACK.end, &map())
}

#[test]
fn undefined() {
    let undefined =
        |instruction, vfp| classify(Trap::Undefined { instruction, vfp }, PC, STACK.end, &map());
    assert_eq!(undefined(Some(udf(0)), false), (Status::UNDEF, PC));
    assert_eq!(undefined(None, false), (Status::UNDEF, PC));
    assert_eq!(undefined(Some(udf(DIVISION_BY_ZERO)), false), (Status::DIV_ZERO, PC));
    // FPEXC.EX: only with traps switched on, which RunFast has off.
    assert_eq!(undefined(Some(0xEE80_0A00), true), (Status::VFP, PC));
    assert_eq!(undefined(Some(0xEE80_0A00), false), (Status::UNDEF, PC));
}

#[test]
fn fetches() {
    assert_eq!(fetch(0x002, PC), (Status::BKPT, PC));
    assert_eq!(fetch(0x007, 0x3000_0000), (Status::PREFETCH_ABORT, 0x3000_0000));
    // Data, and never executed.
    assert_eq!(fetch(0x00F, 0x0410_8000), (Status::PREFETCH_ABORT, 0x0410_8000));
    assert_eq!(fetch(0x00F, 0x8000), (Status::KERNEL_ACCESS, 0x8000));
    assert_eq!(fetch(0x00D, 0x2020_1000), (Status::KERNEL_ACCESS, 0x2020_1000));
}

#[test]
fn whose_address_it_was() {
    assert_eq!(data(0x007, 0), (Status::DATA_ABORT, 0), "null is nobody's");
    assert_eq!(data(0x80F, 0x8000), (Status::KERNEL_ACCESS, 0x8000));
    assert_eq!(data(0x80F, 0x1BEF_FFFC), (Status::KERNEL_ACCESS, 0x1BEF_FFFC));
    assert_eq!(data(0x80D, 0x2020_1000), (Status::KERNEL_ACCESS, 0x2020_1000));
    assert_eq!(data(0x805, 0x3000_0000), (Status::DATA_ABORT, 0x3000_0000));
    // Its own, but only to be read.
    assert_eq!(data(0x80F, PC), (Status::DATA_ABORT, PC));
    assert_eq!(data(0x001, 0x0410_8001), (Status::ALIGNMENT, 0x0410_8001));
}

#[test]
fn stacks() {
    assert_eq!(data(0x807, STACK.start - 4), (Status::STACK, STACK.start - 4));
    let bottom = STACK.start - (1 << 20);
    assert_eq!(data(0x807, bottom).0, Status::STACK);
    assert_eq!(data(0x80F, bottom - 4).0, Status::KERNEL_ACCESS);
    // A frame of 2 MiB jumps over the guard: the pointer gives it away.
    let sp = STACK.start - (2 << 20);
    assert_eq!(data_sp(0x80F, sp + 8, sp).0, Status::STACK);
    assert_eq!(data_sp(0x80F, sp - 64, sp).0, Status::STACK);
    assert_eq!(data_sp(0x80F, 0x8000, sp).0, Status::KERNEL_ACCESS);
    // A pointer that is no stack's.
    assert_eq!(data_sp(0x80F, 0x8000, 0).0, Status::KERNEL_ACCESS);
    assert_eq!(data_sp(0x007, 0, 0).0, Status::DATA_ABORT);
}

#[test]
fn external_aborts() {
    // Precise: the instruction and the address are known.
    assert_eq!(data(0x808, 0x2000_A000), (Status::DATA_ABORT, 0x2000_A000));
    // Imprecise: neither is; what the address register holds is of no account.
    for status in [0x406, 0xC06] {
        assert_eq!(data(status, 0x2000_A000), (Status::DATA_ABORT, 0));
        assert_eq!(data(status, STACK.start - 4), (Status::DATA_ABORT, 0));
    }
}

//! `sk-mem` on the emulated core: what its routines do, at every alignment,
//! length and overlap, and what they cost, in instructions, against
//! `kernel/mem/budgets.toml`. The guest is `kernel/mem/guest`.

use e2e::costs::{count, expect, start, within_budget};

const GUEST: &str = "mem-guest";

#[test]
fn right_at_every_alignment_length_and_overlap() {
    let mut board = start(GUEST, None);
    expect(&mut board, "costed");
    expect(&mut board, "all right");
}

#[test]
fn costs_are_within_budget() {
    within_budget(&count(GUEST), "kernel/mem/budgets.toml");
}

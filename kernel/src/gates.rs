//! The page of the kernel that payloads may read and execute: the resolver
//! (`sk-services`) and a stub per service.
//!
//! The resolver's *table* lies at the start of the task region, because it
//! differs from client to client: a service that is withheld is unknown.

use crate::direct;
use crate::region::Region;
use crate::task::Mode;
use core::arch::global_asm;
use sk_bcm2835::map;
use sk_services::Allowed;
use sk_services::resolver::{self, HASH};

global_asm!(
    include_str!("../services/asm/resolver.S"),
    multiplier = const HASH.multiplier,
    shift = const HASH.shift,
    table = const TABLE,
);
global_asm!(include_str!("gates.S"), options(raw));

/// Where the resolver's table is.
pub const TABLE: u32 = map::TASK_REGION;
/// Its length: one page.
pub const TABLE_LEN: u32 = 4096;
const _: () = assert!(resolver::ENTRIES * resolver::ENTRY_SIZE == TABLE_LEN as usize);

/// Slots of the two services that end a task.
pub const EXIT: u8 = 1;
/// As [`EXIT`], with a message.
pub const ABORT: u8 = 6;

/// Bytes of one stub.
const STUB: u32 = 12;

unsafe extern "C" {
    static sk_resolve: u8;
    static sk_gates: u8;
    static sk_gate_return: u8;
}

/// What a payload is given in r0.
pub fn resolver() -> u32 {
    (&raw const sk_resolve) as u32
}

/// Where a payload's entry function returns to.
pub fn return_address() -> u32 {
    (&raw const sk_gate_return) as u32
}

/// Writes the table for a task that may call `allowed`; the page is mapped.
pub fn fill_table(region: &mut Region, allowed: &Allowed, mode: Mode) {
    let gates = (&raw const sk_gates) as u32;
    if let Some(words) = region.words_mut(TABLE, TABLE_LEN)
        && let Some(table) = words.first_chunk_mut::<{ resolver::ENTRIES * 2 }>()
    {
        resolver::fill(table, |slot| {
            let stub = || gates + STUB * u32::from(slot);
            allowed.has(u32::from(slot)).then(|| direct::function(mode, slot).unwrap_or_else(stub))
        });
    }
}

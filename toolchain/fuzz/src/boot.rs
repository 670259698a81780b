//! What the firmware leaves in memory: a list of tags, or a device tree.

use sk_drivers::bootdata::{Form, Range, Window, parse};

const TREE: u32 = 0x0B00_0000;

/// The legacy list at 0x100.
pub(crate) fn atags(data: &[u8]) {
    check(0x100, 0x100, data);
    // Found without being told where.
    check(0x100, 0, data);
}

/// A device tree where r2 says.
pub(crate) fn dtb(data: &[u8]) {
    check(TREE, TREE, data);
}

fn check(base: u32, r2: u32, data: &[u8]) {
    let mut memory = data.to_vec();
    memory.resize(data.len().next_multiple_of(4), 0);
    let Ok(found) = parse(&Window { base, bytes: &memory }, r2) else { return };
    assert!(matches!(found.form, Form::Atags | Form::DeviceTree));
    // Its length is the tree's own word; what it needs of it was read.
    assert!(found.place.start == base && found.place.size > 0, "{:?}", found.place);
    let _ = found.memory_end();
    let _ = found.check_initrd(&[found.place, Range { start: 0x8000, size: 0x10_0000 }]);
}

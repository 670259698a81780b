//! Payload images, and the ELF files they are made of.

use sk_hal::{BusAddr, CacheOps};
use sk_loader::{Layout, Load, Plan, Progress, Request, TaskMemory};
use sk_pack::{PackOptions, inspect, pack};

use crate::bytes::Bytes;

const REGION: u32 = 0x0400_0000;

/// Memory of a task that notes nothing.
struct Memory(Vec<u8>);

impl TaskMemory for Memory {
    fn bytes(&mut self, at: u32, len: u32) -> Option<&mut [u8]> {
        let at = at.checked_sub(REGION)? as usize;
        self.0.get_mut(at..at.checked_add(len as usize)?)
    }
}

struct NoCache;

impl CacheOps for NoCache {
    fn clean(&self, _: BusAddr, _: &[u8]) {}
    fn discard(&self, _: BusAddr, _: &mut [u8]) {}
    fn invalidate(&self, _: BusAddr, _: &mut [u8]) {}
    fn dsb(&self) {}
    fn dmb(&self) {}
    fn sync_code(&self, _: &[u8]) {}
}

/// An image: eight bytes say what is asked for, the rest is the file.
pub(crate) fn image(data: &[u8]) {
    let mut ask = Bytes(data);
    let pages = u32::from(ask.byte());
    let region_end = REGION + (pages << 12);
    let request = Request {
        region_start: REGION,
        region_end,
        heap: u32::from(ask.word()),
        input: u32::from(ask.word()),
        output: u32::from(ask.byte()) << 8,
        args: u32::from(ask.byte()),
        input_at: match ask.byte() {
            0 => None,
            page => Some(REGION + (u32::from(page) << 12)),
        },
    };
    let _ = inspect(ask.0);
    let Ok(plan) = Plan::parse(ask.0) else { return };
    let checked = plan.check();
    let _ = (plan.unresolved(|id| id != 5), plan.needs_direct());
    let Ok(layout) = Layout::new(&plan, &request) else { return };
    let mut last = REGION;
    for area in layout.areas() {
        assert!(area.start >= last && area.end() <= area.start + area.mapped, "{layout:?}");
        assert!(area.start + area.mapped <= region_end, "{layout:?}");
        assert!(area.len == 0 || layout.find(area.start, area.len) == Some(*area));
        last = area.start + area.mapped;
    }
    let mut memory = Memory(vec![0xEE; (pages << 12) as usize]);
    let mut load = Load::new();
    let loaded = loop {
        match load.step(&plan, &layout, &mut memory, &NoCache, 1 << 14) {
            Ok(Progress::More) => {}
            Ok(Progress::Done) => break Ok(()),
            Err(refusal) => break Err(refusal),
        }
    };
    assert_eq!(loaded, checked);
}

/// A linked file. What is packed is an image that can be loaded.
pub(crate) fn elf(data: &[u8]) {
    let mut ask = Bytes(data);
    let options = ask.byte();
    let options = PackOptions {
        stack: (options & 4 != 0).then_some(4096),
        direct: options & 1 != 0,
        soft_float: options & 2 != 0,
    };
    match pack(ask.0, options) {
        Ok(packed) => {
            Plan::parse(&packed.bytes).and_then(|plan| plan.check()).expect("an image");
            inspect(&packed.bytes).expect("an image");
            let _ = packed.sizes.to_string();
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

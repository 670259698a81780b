//! Where the parts of a task lie in its region, and what may be done there.
//!
//! Ascending: 1 MiB that is never mapped, stack, a page that is never mapped,
//! text, data with bss, heap, information page, input, output. All areas start
//! on a page. Below the stack is only unmapped space, so an overflow faults
//! however large the frame that caused it; data follows text at the next page,
//! as `payload.ld` links it.

use crate::{Field, Plan, Refusal};
use sk_abi::{Status, TaskInfo, image, task};

/// Unmapped space at the start of a region.
pub const GUARD: u32 = 1 << 20;
/// Unmapped space above the stack.
pub const GUARD_ABOVE: u32 = image::PAGE;

/// What a payload may do with an area. Nothing is writable and executable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Read and execute.
    ReadExecute,
    /// Read and write, never execute.
    ReadWrite,
    /// Read, never execute.
    Read,
}

/// The parts of a task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// The stack.
    Stack,
    /// Code and constants.
    Text,
    /// Initialised and zeroed data.
    Data,
    /// What the `mem` services hand out.
    Heap,
    /// [`TaskInfo`] and the argument string.
    Info,
    /// The bytes sent with the payload.
    Input,
    /// Room for the bytes it sends back.
    Output,
}

/// A range of addresses with one access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Area {
    /// What it is for.
    pub part: Part,
    /// First address: a multiple of [`image::PAGE`].
    pub start: u32,
    /// Bytes in use.
    pub len: u32,
    /// Bytes to map: `len` in whole pages.
    pub mapped: u32,
    /// What the payload may do there.
    pub access: Access,
}

impl Area {
    /// First address after the bytes in use.
    #[must_use]
    pub const fn end(&self) -> u32 {
        self.start + self.len
    }

    /// Does `at .. at + len` lie in the bytes in use? Never overflows.
    #[must_use]
    pub const fn contains(&self, at: u32, len: u32) -> bool {
        at >= self.start && at - self.start <= self.len && len <= self.len - (at - self.start)
    }
}

/// What is asked for besides what the image itself says.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Request {
    /// Start of the region: a multiple of [`image::PAGE`].
    pub region_start: u32,
    /// First address after the region.
    pub region_end: u32,
    /// Bytes of heap.
    pub heap: u32,
    /// Bytes of input.
    pub input: u32,
    /// Bytes of room for output.
    pub output: u32,
    /// Bytes of argument string, at most [`task::ARGS_MAX`].
    pub args: u32,
    /// Where the input lies already, because it arrived before the image was
    /// understood: a multiple of [`image::PAGE`] above everything else. `None`:
    /// right after the information page.
    pub input_at: Option<u32>,
}

/// Addresses for one image in one region.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    /// Start of the region.
    pub region_start: u32,
    /// First address after the region.
    pub region_end: u32,
    /// Where to enter.
    pub entry: u32,
    /// Where the relocated words are: start of the initialised data.
    pub data_start: u32,
    /// Bytes of argument string, right after the [`TaskInfo`] in the
    /// information page.
    pub args_len: u32,
    areas: [Area; 7],
}

impl Layout {
    /// Lays an image out.
    ///
    /// # Errors
    /// `TOO_BIG` when it does not fit the region, `RANGE` for a region that is
    /// none or an argument string that is too long.
    pub fn new(plan: &Plan<'_>, request: &Request) -> Result<Self, Refusal> {
        let too_big = Refusal::new(Status::TOO_BIG, Field::Region);
        let Request { region_start, region_end, heap, input, output, args, input_at } = *request;
        if region_start % image::PAGE != 0
            || input_at.is_some_and(|at| at % image::PAGE != 0)
            || args > task::ARGS_MAX
        {
            return Err(Refusal::new(Status::RANGE, Field::Region));
        }
        let len = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(|_| too_big);
        let data = len(plan.data)?.checked_add(plan.bss_len).ok_or(too_big)?;
        let parts = [
            (Part::Stack, plan.stack_len, Access::ReadWrite),
            (Part::Text, len(plan.text)?, Access::ReadExecute),
            (Part::Data, data, Access::ReadWrite),
            (Part::Heap, heap, Access::ReadWrite),
            (Part::Info, sk_abi::task::TASK_INFO_SIZE + args, Access::Read),
            (Part::Input, input, Access::Read),
            (Part::Output, output, Access::ReadWrite),
        ];
        let mut next = region_start.checked_add(GUARD).ok_or(too_big)?;
        let mut place = |(part, len, access): (Part, u32, Access)| {
            let mapped = len.checked_next_multiple_of(image::PAGE)?;
            if let (Part::Input, Some(at)) = (part, input_at) {
                // The gap between is never mapped.
                next = (next <= at).then_some(at)?;
            }
            let area = Area { part, start: next, len, mapped, access };
            next = next.checked_add(mapped)?;
            if part == Part::Stack {
                next = next.checked_add(GUARD_ABOVE)?;
            }
            (next <= region_end).then_some(area)
        };
        let mut areas =
            [Area { part: Part::Stack, start: 0, len: 0, mapped: 0, access: Access::Read }; 7];
        for (area, part) in areas.iter_mut().zip(parts) {
            *area = place(part).ok_or(too_big)?;
        }
        // A stack of less than a page ends where its page ends.
        let [stack, text, data, ..] = &mut areas;
        stack.len = stack.mapped;
        let entry = text.start.checked_add(plan.entry).ok_or(too_big)?;
        let data_start = data.start;
        Ok(Self { region_start, region_end, entry, data_start, args_len: args, areas })
    }

    /// All areas, ascending; those without bytes are there with `len` 0.
    #[must_use]
    pub const fn areas(&self) -> &[Area; 7] {
        &self.areas
    }

    /// One area.
    #[must_use]
    pub const fn area(&self, part: Part) -> Area {
        let [stack, text, data, heap, info, input, output] = self.areas;
        match part {
            Part::Stack => stack,
            Part::Text => text,
            Part::Data => data,
            Part::Heap => heap,
            Part::Info => info,
            Part::Input => input,
            Part::Output => output,
        }
    }

    /// The area whose bytes in use hold all of `at .. at + len`.
    #[must_use]
    pub fn find(&self, at: u32, len: u32) -> Option<Area> {
        self.areas.iter().find(|a| a.contains(at, len)).copied()
    }

    /// May the payload read `at .. at + len`? Areas that touch count as one,
    /// so an object may reach from the text into the data.
    #[must_use]
    pub fn readable(&self, at: u32, len: u32) -> bool {
        self.covered(at, len, |_| true)
    }

    /// May the payload write `at .. at + len`?
    #[must_use]
    pub fn writable(&self, at: u32, len: u32) -> bool {
        self.covered(at, len, |a| a.access == Access::ReadWrite)
    }

    fn covered(&self, at: u32, len: u32, ok: impl Fn(&Area) -> bool) -> bool {
        let Some(end) = at.checked_add(len) else {
            return false;
        };
        let mut at = at;
        for area in self.areas.iter().filter(|a| ok(a)) {
            // Whole pages are mapped, and the bytes up to the page's end are
            // the payload's to use: nobody else's are there.
            let area_end = area.start + area.mapped;
            if at >= area.start && at < area_end {
                if end <= area_end {
                    return true;
                }
                at = area_end;
            }
        }
        // Nothing to access: any address will do, as for an empty slice.
        len == 0
    }

    /// First address after everything that was laid out.
    #[must_use]
    pub const fn end(&self) -> u32 {
        let [.., output] = self.areas;
        output.start + output.mapped
    }

    /// Fills in what a [`TaskInfo`] says of addresses; the board's facts and
    /// the deadline are the caller's.
    #[must_use]
    pub fn describe(&self, info: TaskInfo) -> TaskInfo {
        let [stack, text, _, heap, page, input, _] = self.areas;
        TaskInfo {
            abi: u32::from(sk_abi::ABI_VERSION),
            size: task::TASK_INFO_SIZE,
            input: input.start,
            input_len: input.len,
            args: page.start + task::TASK_INFO_SIZE,
            args_len: self.args_len,
            region_start: self.region_start,
            region_end: self.region_end,
            text: text.start,
            text_len: text.len,
            stack_start: stack.start,
            stack_end: stack.end(),
            heap: heap.start,
            heap_len: heap.len,
            ..info
        }
    }
}

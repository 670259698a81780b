//! From an image as received to a payload that can be entered.

use super::Tasks;
use crate::gates;
use crate::region::Region;
use crate::task::{Context, Mode};
use sk_abi::{Status, TaskInfo};
use sk_bcm2835::Caches;
use sk_drivers::mmu::{Area, Attr};
use sk_hal::Clock;
use sk_loader::{Access, Layout, Load, Part, Plan, Request};
use sk_services::{Allowed, resolver};

impl<K: Clock + Copy> Tasks<K> {
    /// Lays out, checks, copies, relocates and maps the image.
    pub(super) fn prepare(&mut self) -> Result<(), (Status, u32)> {
        let refuse = |r: sk_loader::Refusal| (r.status, r.field as u32);
        let too_big = (Status::TOO_BIG, 0);
        // The image lies apart from all that loading writes.
        let mut low = Region { end: self.input.at, ..self.region };
        let received = self.region;
        let image = received.bytes(self.image.at, self.image.len).ok_or(too_big)?;
        let mut plan = Plan::parse(image).map_err(refuse)?;
        plan.check().map_err(refuse)?;
        if plan.needs_direct() && self.mode != Mode::Direct {
            return Err((Status::ROLE, sk_loader::Field::Flags as u32));
        }
        if self.stack != 0 {
            plan.stack_len = self.stack;
        }
        let mut allowed = match self.config {
            Some(config) => Allowed::by_id(|id| config.offers(self.client, id)),
            None => Allowed::NONE,
        };
        // Ways out are not for anybody to withhold.
        for way_out in [gates::EXIT, gates::ABORT] {
            allowed.set(way_out, true);
        }
        let offered =
            |id| resolver::ids_and_slots().any(|(i, slot)| i == id && allowed.has(u32::from(slot)));
        if let Some(id) = plan.unresolved(offered) {
            return Err((Status::UNRESOLVED, id));
        }
        let layout = Layout::new(
            &plan,
            &Request {
                region_start: gates::TABLE + gates::TABLE_LEN,
                region_end: self.region.end,
                heap: self.heap,
                input: self.input.len,
                output: 0,
                args: self.args.len() as u32,
                input_at: Some(self.input.at),
            },
        )
        .map_err(refuse)?;
        let info_page = layout.area(Part::Info);
        let low_end = info_page.start + info_page.mapped;
        if low_end > self.input.at {
            return Err(too_big);
        }
        self.map_low(&layout)?;
        self.layout = Some(layout);
        self.zero_unknown(low_end);

        let mut load = Load::new();
        load.step(&plan, &layout, &mut low, &Caches, u32::MAX).map_err(refuse)?;

        let info = layout.describe(TaskInfo {
            deadline_us: u64::MAX,
            board_revision: self.board.0,
            cpu_mhz_max: self.board.1,
            flags: if self.mode == Mode::Shielded { sk_abi::task::flags::SHIELDED } else { 0 }
                | if self.emulated { sk_abi::task::flags::EMULATED } else { 0 },
            ..TaskInfo::default()
        });
        if let Some(to) = low.bytes_mut(info.args, info.args_len) {
            to.copy_from_slice(self.args.as_bytes());
        }
        let heap = layout.area(Part::Heap);
        let words = low.words_mut(heap.start, heap.mapped).unwrap_or(&mut []);
        let mut task = sk_services::Task::new(
            info_page.start,
            layout.area(Part::Input).start,
            self.input.len,
            heap.start,
            words,
        );
        task.allowed = allowed;
        gates::fill_table(&mut low, &allowed, self.mode);
        self.services = Some(task);
        self.info = info;
        let stack = layout.area(Part::Stack);
        self.context = Context::at_entry(
            self.mode,
            layout.entry,
            gates::resolver(),
            info_page.start,
            stack.start + stack.mapped,
            gates::return_address(),
        );
        Ok(())
    }

    fn map_low(&mut self, layout: &Layout) -> Result<(), (Status, u32)> {
        let mut areas: heapless::Vec<Area, 8> = heapless::Vec::new();
        let table = gates::TABLE;
        let _ =
            areas.push(Area { start: table, end: table + gates::TABLE_LEN, attr: Attr::TaskRo });
        for part in layout.areas() {
            if part.mapped == 0 || matches!(part.part, Part::Input | Part::Output) {
                continue;
            }
            let attr = match part.access {
                Access::ReadExecute => Attr::TaskText,
                Access::ReadWrite => Attr::TaskData,
                Access::Read => Attr::TaskRo,
            };
            let end = part.start + part.mapped;
            let _ = areas.push(Area { start: part.start, end, attr });
        }
        self.memory.map(&areas).map_err(|_| (Status::TOO_BIG, 0))
    }

    /// Memory comes up with anything in it; what no scrubbing has zeroed yet is
    /// zeroed before a payload sees it.
    fn zero_unknown(&mut self, end: u32) {
        let Some(layout) = &self.layout else { return };
        for area in layout.areas() {
            let from = area.start.max(self.clean_to);
            let to = (area.start + area.mapped).min(end);
            if from < to
                && let Some(bytes) = self.region.bytes_mut(from, to - from)
            {
                bytes.fill(0);
            }
        }
        self.clean_to = self.clean_to.max(end);
    }

    /// The ranges a task may have left something in, ascending: stack, the rest
    /// of the low part, high part. What lies between them is not mapped.
    pub(super) fn touched(&self) -> [(u32, u32); 3] {
        let (stack, low) = self.layout.as_ref().map_or(((0, 0), (0, 0)), |l| {
            let (stack, last) = (l.area(Part::Stack), l.area(Part::Info));
            let stack = (stack.start, stack.start + stack.mapped);
            (stack, (l.area(Part::Text).start, last.start + last.mapped))
        });
        let high = if self.image.at == 0 { (0, 0) } else { (self.input.at, self.region.end) };
        [stack, low, high]
    }
}

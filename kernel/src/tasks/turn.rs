//! A payload's turns: what ends one, and what it comes to.

use super::{State, Tasks, Turn, View};
use crate::fault;
use crate::task::{Mode, Reason, pending_abort};
use crate::wire::{Desk, Wire};
use sk_abi::Status;
use sk_abi::status::FaultRecord;
use sk_bcm2835::cp15;
use sk_hal::Clock;
use sk_loader::Part;
use sk_services::fault::{Map, Trap, classify};
use sk_services::{Fault, Outcome, Park, dispatch};
use sk_session::server::Ending;
use sk_wire::control::{Message, Usage};

impl<K: Clock + Copy> Tasks<K> {
    /// Lets the payload have a turn, until an interrupt, a wait or its end.
    pub fn turn(&mut self, wire: &mut Wire<'_>) -> Turn {
        if !self.is_running() {
            return Turn::Over;
        }
        let now = self.clock.now();
        if let Some(status) = self.overdue(now) {
            return self.finish(status, 0, None);
        }
        self.clocks.resume(now);
        let turn = self.go_on(wire);
        if turn == Turn::Over {
            return turn;
        }
        let now = self.clock.now();
        self.clocks.charge(now);
        if turn != Turn::Interrupted {
            return turn;
        }
        if turn != Turn::Interrupted {
            return turn;
        }
        // At once, not after what others may do in between.
        match self.overdue(now) {
            Some(status) => self.finish(status, 0, None),
            None => turn,
        }
    }

    fn go_on(&mut self, wire: &mut Wire<'_>) -> Turn {
        if let Some(park) = self.parked.take() {
            let outcome = self.with_services(wire, |ctx| park.resume(ctx));
            match self.settle(outcome) {
                Some(turn) => return turn,
                None if self.parked.is_some() => return self.waiting(),
                None => {}
            }
        }
        loop {
            match self.context.run() {
                Reason::Service => {
                    let slot = self.context.r[12];
                    let [a, b, c, d, ..] = self.context.r;
                    self.syscalls = self.syscalls.saturating_add(1);
                    self.last_service = (slot as u16).saturating_add(1);
                    let outcome = if self.context.is_thumb() {
                        // Its stubs are ARM code; whatever r12 is, it is no slot.
                        Outcome::Fault(Fault::Unknown { slot: u32::MAX })
                    } else {
                        self.with_services(wire, |ctx| dispatch(slot, [a, b, c, d], ctx))
                    };
                    if let Some(turn) = self.settle(outcome) {
                        return turn;
                    }
                    if self.parked.is_some() {
                        return self.waiting();
                    }
                }
                Reason::Interrupt => return Turn::Interrupted,
                reason => return self.faulted(reason),
            }
        }
    }

    fn waiting(&self) -> Turn {
        let limit = self.clocks.limit;
        match self.parked {
            Some(Park::SleepUntil(at)) => Turn::Waiting(at.min(limit)),
            Some(Park::Receive(wait)) => Turn::Network(wait.until.min(limit)),
            Some(Park::Send(wait)) => Turn::Network(wait.again.min(wait.until).min(limit)),
            _ => Turn::Waiting(0),
        }
    }

    fn with_services(
        &mut self,
        wire: &mut Wire<'_>,
        call: impl FnOnce(&mut sk_services::Context<'_, View<'_>, Desk<'_, '_, K>>) -> Outcome,
    ) -> Outcome {
        let (Some(layout), Some(task)) = (&self.layout, &mut self.services) else {
            return Outcome::End(sk_services::Ending { status: Status::KERNEL_BUG, code: -1 });
        };
        let mut view = View { region: &mut self.region, layout };
        let mut desk = Desk { streams: &mut self.streams, sockets: &mut self.sockets, wire };
        call(&mut sk_services::Context { memory: &mut view, board: &mut desk, task })
    }

    /// Acts on what a service call came to; `None` = the payload goes on, or
    /// is parked.
    pub(super) fn settle(&mut self, outcome: Outcome) -> Option<Turn> {
        match outcome {
            Outcome::Return(value) => {
                self.context.r[0] = value as u32;
                self.context.r[1] = (value >> 32) as u32;
                self.last_service = 0;
                None
            }
            Outcome::Park(park) => {
                self.parked = Some(park);
                None
            }
            Outcome::End(ending) => Some(self.finish(ending.status, ending.code, None)),
            Outcome::Fault(fault) => {
                let mut record = self.record(fault.status(), 0, 0);
                record.service = fault.service();
                Some(self.finish(fault.status(), 0, Some(record)))
            }
        }
    }

    fn faulted(&mut self, reason: Reason) -> Turn {
        if reason == Reason::Undefined && self.context.is_thumb() {
            // The vector took four bytes off; it was two.
            self.context.pc = self.context.pc.wrapping_add(2);
        }
        let (trap, fsr) = fault::trap(reason, self.instruction());
        self.ended_by(trap, fsr)
    }

    /// The word at the program counter, if it is ARM code of the payload's.
    fn instruction(&self) -> Option<u32> {
        let (pc, layout) = (self.context.pc, self.layout.as_ref()?);
        let readable = !self.context.is_thumb() && layout.readable(pc, 4);
        let bytes = self.region.bytes(pc, 4).filter(|_| readable)?;
        bytes.first_chunk().map(|word| u32::from_le_bytes(*word))
    }

    fn ended_by(&mut self, trap: Trap, fsr: u32) -> Turn {
        let record = self.fault_record(trap, fsr);
        self.finish(Status(record.kind), 0, Some(record))
    }

    fn fault_record(&self, trap: Trap, fsr: u32) -> FaultRecord {
        let stack = self.layout.as_ref().map_or(0..0, |l| {
            let area = l.area(Part::Stack);
            area.start..area.end()
        });
        let [memory, devices, vectors] = fault::KERNEL;
        let kernel = [memory, devices, vectors, self.image.at..self.region.end];
        let map = Map { stack, guard: sk_loader::GUARD, kernel: &kernel };
        let (status, far) = classify(trap, self.context.pc, self.context.r[13], &map);
        self.record(status, fsr, far)
    }

    fn record(&self, kind: Status, fsr: u32, far: u32) -> FaultRecord {
        let c = &self.context;
        FaultRecord {
            kind: kind.0,
            service: self.last_service,
            fsr,
            far,
            pc: c.pc,
            lr: c.r[14],
            sp: c.r[13],
            cpsr: c.cpsr,
            r: c.r.first_chunk().copied().unwrap_or_default(),
            elapsed_us: u32::try_from(self.clock.now() - self.clocks.started).unwrap_or(u32::MAX),
            base: self.layout.as_ref().map_or(0, |l| l.area(Part::Text).start),
        }
    }

    pub(super) fn finish(
        &mut self,
        mut status: Status,
        exit: i32,
        mut fault: Option<FaultRecord>,
    ) -> Turn {
        let late = pending_abort();
        if late != 0 && fault.is_none() {
            let record = self.fault_record(Trap::Data { status: late, address: 0 }, late);
            (status, fault) = (Status(record.kind), Some(record));
        }
        if self.mode == Mode::Direct {
            self.memory.control().restore();
        }
        let mut message = Message::new();
        if let Some(task) = &self.services {
            for chunk in task.message().utf8_chunks() {
                let _ = message.push_str(chunk.valid());
            }
        }
        let now = self.clock.now();
        self.clocks.charge(now);
        let usage = Usage {
            cpu_us: self.clocks.cpu_us,
            wall_us: now - self.clocks.started,
            // A direct payload may have written anything over the heap's numbers.
            peak_mem: self
                .services
                .as_ref()
                .map_or(0, |t| t.heap.peak())
                .saturating_add(self.stack_used()),
            syscalls: self.syscalls,
        };
        // Who was told to stop has been stopped, even if it came to its end by
        // itself; but a crash is worth being told.
        let (status, detail) = match self.clocks.stop.take() {
            Some(stop) if !status.is_fault() => {
                (stop.why, u32::try_from(now - stop.asked).unwrap_or(u32::MAX))
            }
            _ => (status, 0),
        };
        self.parked = None;
        self.sockets.end();
        self.state = State::Ended(Ending { status, exit, usage, fault, detail, message });
        cp15::reset_task_registers();
        Turn::Over
    }

    /// Bytes of stack that are not zero any more, from the top.
    fn stack_used(&mut self) -> u32 {
        let Some(area) = self.layout.as_ref().map(|l| l.area(Part::Stack)) else { return 0 };
        let Some(words) = self.region.words_mut(area.start, area.mapped) else { return 0 };
        let untouched = words.iter().position(|&w| w != 0).unwrap_or(words.len());
        area.mapped - 4 * untouched as u32
    }
}

//! The handlers of the groups task, io, mem and time; those of net are in
//! [`net`](crate::net).

use crate::context::{Board, Context, Memory, Network, Stream};
use crate::gate::{Ending, Job, Park, STEP, Services, Stop, UserPtr};
use crate::heap::{Change, Corrupt};
use core::convert::Infallible;
use sk_abi::Status;

/// Longest line of `io.log` in bytes.
const LOG_MAX: u32 = 120;

/// Slots of services that can fail in the middle of a job.
const REALLOC: u8 = 26;
const CALLOC: u8 = 25;
const SYNC: u8 = 7;

fn end(status: Status) -> Stop {
    Stop::End(Ending { status, code: -1 })
}

impl<M: Memory, B: Board + Network> Services for Context<'_, M, B> {
    fn task_info(&mut self) -> Result<UserPtr, Stop> {
        Ok(UserPtr(self.task.info))
    }

    fn task_exit(&mut self, code: i32) -> Result<Infallible, Stop> {
        Err(Stop::End(Ending { status: Status::OK, code }))
    }

    fn task_yield(&mut self) -> Result<(), Stop> {
        Err(Stop::Park(Park::Yield))
    }

    fn task_beat(&mut self) -> Result<(), Stop> {
        self.board.beat();
        Ok(())
    }

    fn task_remaining(&mut self) -> Result<u64, Stop> {
        Ok(self.task.deadline.saturating_sub(self.board.now()))
    }

    fn task_should_stop(&mut self) -> Result<u32, Stop> {
        Ok(u32::from(self.board.stop_requested()))
    }

    fn task_abort(&mut self, message: UserPtr, len: u32) -> Result<Infallible, Stop> {
        let kept = len.min(sk_abi::task::MESSAGE_MAX as u32);
        let bytes = self.memory.readable(message.0, kept).ok_or(Stop::Arg(0))?;
        self.task.set_message(bytes);
        Err(end(Status::PANIC))
    }

    fn task_sync_code(&mut self, start: UserPtr, len: u32) -> Result<(), Stop> {
        self.memory.readable(start.0, len).ok_or(Stop::Arg(0))?;
        self.run(Job::Sync { at: start.0, len }).map(drop)
    }

    fn io_read(&mut self, buf: UserPtr, len: u32) -> Result<u32, Stop> {
        let left = self.task.input_len.saturating_sub(self.task.input_read);
        let n = len.min(left).min(STEP);
        // The whole buffer is checked: a bad one does not go unseen because
        // little was left to read.
        self.memory.writable(buf.0, len).ok_or(Stop::Arg(0))?;
        let from = self.task.input.wrapping_add(self.task.input_read);
        if !self.memory.copy(from, buf.0, n) {
            return Err(Stop::Arg(0));
        }
        self.task.input_read += n;
        Ok(n)
    }

    fn io_write(&mut self, buf: UserPtr, len: u32) -> Result<u32, Stop> {
        self.write(Stream::Output, buf, len, 17)
    }

    fn io_error(&mut self, buf: UserPtr, len: u32) -> Result<u32, Stop> {
        self.write(Stream::Error, buf, len, 18)
    }

    fn io_log(&mut self, text: UserPtr, len: u32) -> Result<(), Stop> {
        let bytes = self.memory.readable(text.0, len.min(LOG_MAX)).ok_or(Stop::Arg(0))?;
        let line = match core::str::from_utf8(bytes) {
            Ok(line) => line,
            // Cut at the first byte that is not text, which is also where a
            // character was split by the limit.
            Err(e) => bytes
                .get(..e.valid_up_to())
                .and_then(|b| core::str::from_utf8(b).ok())
                .unwrap_or_default(),
        };
        self.board.log(line);
        Ok(())
    }

    fn mem_alloc(&mut self, size: u32, align: u32) -> Result<UserPtr, Stop> {
        let align = alignment(align).ok_or(Stop::Arg(1))?;
        let block = self.task.heap.alloc(self.memory.heap(), size, align);
        self.block(block)
    }

    fn mem_calloc(&mut self, count: u32, size: u32) -> Result<UserPtr, Stop> {
        let Some(len) = count.checked_mul(size) else {
            return Ok(UserPtr(0));
        };
        let block = self.mem_alloc(len, 0)?;
        if block.0 == 0 {
            return Ok(block);
        }
        self.run(Job::Zero { at: block.0, len, block: block.0 }).map(UserPtr)
    }

    fn mem_realloc(&mut self, block: UserPtr, size: u32, align: u32) -> Result<UserPtr, Stop> {
        if block.0 == 0 {
            return self.mem_alloc(size, align).map_err(|stop| match stop {
                Stop::Arg(_) => Stop::Arg(2),
                stop => stop,
            });
        }
        let align = alignment(align).ok_or(Stop::Arg(2))?;
        let at = self.offset(block).ok_or(Stop::Arg(0))?;
        let change = self.task.heap.realloc(self.memory.heap(), at, size, align);
        match change {
            Err(Corrupt) => Err(self.corrupt()),
            Ok(Change::NotABlock) => Err(Stop::Arg(0)),
            Ok(Change::NoRoom) => Ok(UserPtr(0)),
            Ok(Change::InPlace) => Ok(block),
            Ok(Change::Moved { to, len }) => {
                let new = self.task.heap_start.wrapping_add(to);
                let job = Job::Move { from: block.0, to: new, len, old: block.0, new };
                self.run(job).map(UserPtr)
            }
        }
    }

    fn mem_free(&mut self, block: UserPtr) -> Result<(), Stop> {
        if block.0 == 0 {
            return Ok(());
        }
        let at = self.offset(block).ok_or(Stop::Arg(0))?;
        match self.task.heap.free(self.memory.heap(), at) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Stop::Arg(0)),
            Err(Corrupt) => Err(self.corrupt()),
        }
    }

    fn mem_size(&mut self) -> Result<u32, Stop> {
        Ok(self.task.heap.size())
    }

    fn mem_used(&mut self) -> Result<u32, Stop> {
        Ok(self.task.heap.used())
    }

    fn mem_peak(&mut self) -> Result<u32, Stop> {
        Ok(self.task.heap.peak())
    }

    fn time_now(&mut self) -> Result<u64, Stop> {
        Ok(self.board.now())
    }

    fn time_sleep_until(&mut self, us: u64) -> Result<(), Stop> {
        if self.board.now() >= us { Ok(()) } else { Err(Stop::Park(Park::SleepUntil(us))) }
    }

    fn time_cycles(&mut self) -> Result<u32, Stop> {
        Ok(self.board.cycles())
    }

    fn net_bind(&mut self, port: u32, flags: u32) -> Result<i32, Stop> {
        self.bind(port, flags)
    }

    fn net_recv(&mut self, buf: UserPtr, len: u32, info: UserPtr) -> Result<i32, Stop> {
        self.recv(buf, len, info)
    }

    fn net_recv_until(&mut self, args: UserPtr) -> Result<i32, Stop> {
        self.recv_until(args)
    }

    fn net_send(&mut self, peer: UserPtr, buf: UserPtr, len: u32) -> Result<i32, Stop> {
        self.send_to(peer, buf, len)
    }

    fn net_addresses(&mut self, out: UserPtr) -> Result<i32, Stop> {
        self.addresses(out)
    }

    fn net_arp(&mut self, out: UserPtr, max: u32) -> Result<u32, Stop> {
        self.arp(out, max)
    }

    fn net_close(&mut self, port: u32) -> Result<i32, Stop> {
        self.close(port)
    }
}

/// 0 stands for the usual alignment.
fn alignment(align: u32) -> Option<u32> {
    match align {
        0 => Some(8),
        a if a.is_power_of_two() && a <= 4096 => Some(a.max(8)),
        _ => None,
    }
}

impl<M: Memory, B: Board + Network> Context<'_, M, B> {
    fn write(&mut self, stream: Stream, buf: UserPtr, len: u32, slot: u8) -> Result<u32, Stop> {
        self.memory.readable(buf.0, len).ok_or(Stop::Arg(0))?;
        self.run(Job::Write { stream, at: buf.0, len, total: len, slot })
    }

    /// An address of the heap as an offset in it.
    fn offset(&self, block: UserPtr) -> Option<u32> {
        block.0.checked_sub(self.task.heap_start)
    }

    fn block(&mut self, offset: Result<Option<u32>, Corrupt>) -> Result<UserPtr, Stop> {
        match offset {
            Ok(Some(offset)) => Ok(UserPtr(self.task.heap_start.wrapping_add(offset))),
            Ok(None) => Ok(UserPtr(0)),
            Err(Corrupt) => Err(self.corrupt()),
        }
    }

    /// The payload wrote over the allocator's words. Nothing of the kernel is
    /// lost, but what it asks for cannot be done any more.
    fn corrupt(&mut self) -> Stop {
        self.task.set_message(b"the heap's bookkeeping was overwritten");
        end(Status::PANIC)
    }

    fn run(&mut self, job: Job) -> Result<u32, Stop> {
        self.step(job).map_err(|(_, stop)| stop)
    }

    /// One piece of a job: its result, or `Park` with what is left.
    pub(crate) fn step(&mut self, job: Job) -> Result<u32, (u8, Stop)> {
        match job {
            Job::Zero { at, len, block } => {
                let n = len.min(STEP);
                self.memory.writable(at, n).ok_or((CALLOC, Stop::Arg(0)))?.fill(0);
                more(len - n, block, Job::Zero { at: at.wrapping_add(n), len: len - n, block })
                    .map_err(|stop| (CALLOC, stop))
            }
            Job::Move { from, to, len, old, new } => {
                let n = len.min(STEP);
                if !self.memory.copy(from, to, n) {
                    return Err((REALLOC, Stop::Arg(0)));
                }
                let (from, to, len) = (from.wrapping_add(n), to.wrapping_add(n), len - n);
                if len == 0 {
                    self.mem_free(UserPtr(old)).map_err(|stop| (REALLOC, stop))?;
                }
                more(len, new, Job::Move { from, to, len, old, new })
                    .map_err(|stop| (REALLOC, stop))
            }
            Job::Write { stream, at, len, total, slot } => {
                let n = len.min(STEP);
                let bytes = self.memory.readable(at, n).ok_or((slot, Stop::Arg(0)))?;
                if self.board.push(stream, bytes) < bytes.len() {
                    return Err((slot, end(Status::OUTPUT_LIMIT)));
                }
                let (at, len) = (at.wrapping_add(n), len - n);
                more(len, total, Job::Write { stream, at, len, total, slot })
                    .map_err(|stop| (slot, stop))
            }
            Job::Sync { at, len } => {
                let n = len.min(STEP);
                let code = self.memory.readable(at, n).ok_or((SYNC, Stop::Arg(0)))?;
                self.board.sync_code(code);
                more(len - n, 0, Job::Sync { at: at.wrapping_add(n), len: len - n })
                    .map_err(|stop| (SYNC, stop))
            }
        }
    }
}

fn more(left: u32, result: u32, job: Job) -> Result<u32, Stop> {
    if left == 0 { Ok(result) } else { Err(Stop::Park(Park::Job(job))) }
}

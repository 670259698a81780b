//! One register operation at a time, in as many vendor requests as it takes.
//!
//! Nothing is waited for without a limit: a busy bit that does not clear ends
//! in [`Fault::Late`].

use super::registers::{MII_ADDR, MII_BUSY, MII_DATA, MII_WRITE, mii, read, write};
use crate::event::Fault;
use crate::request::{Outcome, Requester};
use crate::statistics::Statistics;
use sk_hal::Micros;
use sk_hal::usb::{DeviceTarget, UsbHost};

/// Bits that clear themselves have so long.
const BUSY_LIMIT: Micros = 1_000_000;
/// Between two looks at a reset bit.
const RESET_PAUSE: Micros = 10_000;
/// Between two looks at the MII's busy bit: an access takes 26 us, so the first
/// look, a USB transfer later, finds it done.
const MII_PAUSE: Micros = 1_000;

/// What to do with a register of the chip or of its PHY.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op {
    /// Read.
    Read(u16),
    /// Write.
    Write(u16, u32),
    /// Read, clear some bits, set others, write.
    Modify {
        /// Register.
        register: u16,
        /// Bits to clear.
        clear: u32,
        /// Bits to set.
        set: u32,
    },
    /// Read until these bits are clear, 10 ms apart.
    Await(u16, u32),
    /// Read; of these bits, those must be set and the others clear.
    Expect {
        /// Register.
        register: u16,
        /// The bits that matter.
        mask: u32,
        /// What they must be.
        value: u32,
    },
    /// Read a register of the PHY.
    PhyRead(u8),
    /// Write one.
    PhyWrite(u8, u16),
    /// Read, clear some bits, set others, write.
    PhyModify {
        /// Register.
        register: u8,
        /// Bits to clear.
        clear: u16,
        /// Bits to set.
        set: u16,
    },
    /// Read until these bits are clear, 10 ms apart.
    PhyAwait(u8, u16),
}

/// A part of an operation: one request, but for the last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    Read(u16),
    Write(u16, u32),
    /// Read until these bits are clear, the second number apart.
    Clear(u16, u32, Micros),
    /// The value just read, changed, for the next part.
    Change {
        clear: u32,
        set: u32,
    },
    /// From the start again, after a pause, unless these bits are clear.
    Repeat(u32),
    /// The end, if these bits are so.
    Demand {
        mask: u32,
        value: u32,
    },
    End,
}

/// How an operation stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reply {
    Running,
    /// Done; the value read last, or written.
    Done(u32),
    Failed(Fault),
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Access {
    pub(super) requester: Requester,
    part: u8,
    value: u32,
    not_before: Micros,
    limit: Option<Micros>,
}

impl Access {
    /// When `poll` has something to do if the controller has not, while an
    /// operation is under way.
    pub(super) fn deadline(&self) -> Micros {
        self.requester.deadline().unwrap_or(self.not_before)
    }

    /// Starts or continues `op`. The caller repeats the call with the same
    /// arguments until it is not `Running`.
    pub(super) fn poll<H: UsbHost>(
        &mut self,
        host: &mut H,
        now: Micros,
        target: DeviceTarget,
        op: Op,
        statistics: &mut Statistics,
    ) -> Reply {
        // The end of one request and the start of the next, and what lies between.
        for _ in 0..4 {
            match self.advance(host, now, target, op, statistics) {
                Ok(true) => {}
                Ok(false) => return Reply::Running,
                Err(reply) => {
                    self.part = 0;
                    self.limit = None;
                    return reply;
                }
            }
        }
        Reply::Running
    }

    /// Carries on with the present part; `false` = nothing more to do now,
    /// `Err` = this is the end of the operation.
    fn advance<H: UsbHost>(
        &mut self,
        host: &mut H,
        now: Micros,
        target: DeviceTarget,
        op: Op,
        statistics: &mut Statistics,
    ) -> Result<bool, Reply> {
        if now < self.not_before {
            return Ok(false);
        }
        let mut bytes = [0; 4];
        let part = op.part(self.part, self.value);
        let outcome = match part {
            Part::Read(register) | Part::Clear(register, ..) => {
                self.requester.poll(host, now, target, read(register), &mut bytes, statistics)
            }
            Part::Write(register, value) => {
                let setup = write(register);
                let out = value.to_le_bytes();
                self.requester.poll_out(host, now, target, setup, &out, statistics)
            }
            Part::Change { clear, set } => {
                self.value = self.value & !clear | set;
                self.part += 1;
                return Ok(true);
            }
            Part::Repeat(mask) if self.value & mask != 0 => {
                self.part = 0;
                return self.pause(now, RESET_PAUSE);
            }
            Part::Demand { mask, value } if self.value & mask != value => {
                return Err(Reply::Failed(Fault::Forgotten));
            }
            Part::Repeat(_) | Part::Demand { .. } | Part::End => {
                return Err(Reply::Done(self.value));
            }
        };
        match outcome {
            Outcome::Running => return Ok(false),
            Outcome::Done(length) => {
                let reads = !matches!(part, Part::Write(..));
                if reads && length < bytes.len() {
                    return Err(Reply::Failed(Fault::Short));
                }
                if reads {
                    self.value = u32::from_le_bytes(bytes);
                }
            }
            Outcome::Failed(error) => return Err(Reply::Failed(Fault::Transfer(error))),
            Outcome::Refused(error) => return Err(Reply::Failed(Fault::Start(error))),
        }
        if let Part::Clear(_, mask, pause) = part
            && self.value & mask != 0
        {
            return self.pause(now, pause);
        }
        self.part += 1;
        Ok(true)
    }

    /// The bit is not clear: again later, if there is a later.
    fn pause(&mut self, now: Micros, pause: Micros) -> Result<bool, Reply> {
        let limit = *self.limit.get_or_insert(now.saturating_add(BUSY_LIMIT));
        if now >= limit {
            return Err(Reply::Failed(Fault::Late));
        }
        self.not_before = now.saturating_add(pause);
        Ok(false)
    }
}

impl Op {
    /// Its parts, by number; `value` is what was read or changed last.
    fn part(self, number: u8, value: u32) -> Part {
        match (self, number) {
            (Self::Write(register, value), 0) => Part::Write(register, value),

            (
                Self::Read(register)
                | Self::Modify { register, .. }
                | Self::Expect { register, .. },
                0,
            ) => Part::Read(register),
            (Self::Expect { mask, value, .. }, 1) => Part::Demand { mask, value },
            (Self::Modify { clear, set, .. }, 1) => Part::Change { clear, set },
            (Self::Modify { register, .. }, 2) => Part::Write(register, value),

            (Self::Await(register, mask), 0) => Part::Clear(register, mask, RESET_PAUSE),

            (
                Self::PhyRead(register)
                | Self::PhyModify { register, .. }
                | Self::PhyAwait(register, _),
                0..=3,
            ) => phy_read(register, number),
            (Self::PhyWrite(register, value), 0..=3) => phy_write(register, value.into(), number),
            (Self::PhyModify { clear, set, .. }, 4) => {
                Part::Change { clear: clear.into(), set: set.into() }
            }
            // Not before it is known to be at rest: it is, since the read.
            (Self::PhyModify { register, .. }, 5..=7) => phy_write(register, value, number - 4),
            (Self::PhyAwait(_, mask), 4) => Part::Repeat(mask.into()),
            _ => Part::End,
        }
    }
}

const fn phy_read(register: u8, number: u8) -> Part {
    match number {
        0 | 2 => Part::Clear(MII_ADDR, MII_BUSY, MII_PAUSE),
        1 => Part::Write(MII_ADDR, mii(register, 0)),
        _ => Part::Read(MII_DATA),
    }
}

const fn phy_write(register: u8, value: u32, number: u8) -> Part {
    match number {
        0 | 3 => Part::Clear(MII_ADDR, MII_BUSY, MII_PAUSE),
        1 => Part::Write(MII_DATA, value & 0xFFFF),
        _ => Part::Write(MII_ADDR, mii(register, MII_WRITE)),
    }
}

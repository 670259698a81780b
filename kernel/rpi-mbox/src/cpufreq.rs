//! The ARM clock by demand: highest while there is work, lowest when idle.
//!
//! The firmware leaves the ARM at its lowest rate until somebody raises it, so
//! a kernel that does nothing runs at 700 of 1000 MHz. Highest and lowest are
//! asked for once; every change is read back, because firmware that is short
//! of volts or too hot grants less than it was asked for.

use crate::message::{MessageError, Request, Response, Slot, Tag, TagError};
use crate::tags::{
    ClockId, ClockRate, GetThrottled, MaxClockRate, MinClockRate, SetClockRate, Throttled,
};
use crate::transport::{Error, Mailbox};
use core::task::Poll;
use sk_hal::{Bus32, CacheOps, Clock};

/// What the ARM is needed for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Demand {
    /// Nothing: lowest rate.
    Idle,
    /// A payload runs: highest rate.
    Work,
}

/// The ARM clock's limits and state, in Hz.
#[derive(Clone, Copy, Debug)]
pub struct CpuFreq {
    /// Lowest rate.
    pub min: u32,
    /// Highest rate.
    pub max: u32,
    /// Rate at the last read-back.
    pub now: u32,
    demand: Option<Demand>,
    asked: Option<(Demand, Slot<SetClockRate>, Slot<ClockRate>)>,
}

impl CpuFreq {
    /// Asks for the limits and the present rate, in one message.
    ///
    /// # Errors
    /// As [`Mailbox::call`]; [`TagError::Refused`] if the limits make no sense.
    pub fn new<B: Bus32, C: CacheOps>(
        mailbox: &mut Mailbox<B, C>,
        clock: &(impl Clock + ?Sized),
    ) -> Result<Self, Error> {
        let (slots, reply) = mailbox.call(clock, |request| {
            Ok((
                request.add(&MinClockRate(ClockId::Arm))?,
                request.add(&MaxClockRate(ClockId::Arm))?,
                request.add(&ClockRate(ClockId::Arm))?,
            ))
        })?;
        let (min, max, now) = (reply.get(slots.0)?, reply.get(slots.1)?, reply.get(slots.2)?);
        if min == 0 || min > max {
            return Err(TagError::Refused { id: MinClockRate::ID }.into());
        }
        Ok(Self { min, max, now, demand: None, asked: None })
    }

    /// Sets the rate for `demand`, unless that is what was set last, reads it
    /// back, and waits for that: at most [`crate::TIMEOUT`], as a rule some
    /// milliseconds. Returns the rate now, in Hz.
    ///
    /// # Errors
    /// As [`Mailbox::call`]; the next call then tries again.
    pub fn set<B: Bus32, C: CacheOps>(
        &mut self,
        mailbox: &mut Mailbox<B, C>,
        clock: &(impl Clock + ?Sized),
        demand: Demand,
    ) -> Result<u32, Error> {
        if self.demand == Some(demand) {
            return Ok(self.now);
        }
        self.demand = None;
        let hz = self.rate(demand);
        let ((set, read), reply) = mailbox.call(clock, |request| ask(request, hz))?;
        self.take(demand, reply, set, read)
    }

    /// As [`CpuFreq::set`] without waiting: sends the request, and
    /// [`CpuFreq::poll`] finishes it. `false` = nothing to change. Using the
    /// mailbox for anything else meanwhile gives the answer up.
    ///
    /// # Errors
    /// As [`Mailbox::send`].
    pub fn begin<B: Bus32, C: CacheOps>(
        &mut self,
        mailbox: &mut Mailbox<B, C>,
        clock: &(impl Clock + ?Sized),
        demand: Demand,
    ) -> Result<bool, Error> {
        if self.demand == Some(demand) && self.asked.is_none() {
            return Ok(false);
        }
        let hz = self.rate(demand);
        let (set, read) = mailbox.send(clock, |request| ask(request, hz))?;
        self.demand = None;
        self.asked = Some((demand, set, read));
        Ok(true)
    }

    /// The rate, once what was begun is done.
    pub fn poll<B: Bus32, C: CacheOps>(
        &mut self,
        mailbox: &mut Mailbox<B, C>,
    ) -> Poll<Result<u32, Error>> {
        let Some((demand, set, read)) = self.asked else { return Poll::Ready(Err(Error::Idle)) };
        let done = match mailbox.poll() {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(done) => done,
        };
        self.asked = None;
        let reply = done.and_then(|()| mailbox.response());
        Poll::Ready(reply.and_then(|reply| self.take(demand, reply, set, read)))
    }

    fn take(
        &mut self,
        demand: Demand,
        reply: Response<'_>,
        set: Slot<SetClockRate>,
        read: Slot<ClockRate>,
    ) -> Result<u32, Error> {
        reply.get(set)?;
        self.now = reply.get(read)?;
        self.demand = Some(demand);
        Ok(self.now)
    }

    const fn rate(&self, demand: Demand) -> u32 {
        match demand {
            Demand::Idle => self.min,
            Demand::Work => self.max,
        }
    }

    /// Is the last rate read back what was asked for, within 1 %?
    #[must_use]
    pub const fn granted(&self) -> bool {
        let Some(demand) = self.demand else { return false };
        let wanted = self.rate(demand);
        self.now.abs_diff(wanted) <= wanted / 100
    }
}

fn ask(
    request: &mut Request<'_>,
    hz: u32,
) -> Result<(Slot<SetClockRate>, Slot<ClockRate>), MessageError> {
    let set = SetClockRate { clock: ClockId::Arm, hz, skip_turbo: false };
    Ok((request.add(&set)?, request.add(&ClockRate(ClockId::Arm))?))
}

/// Under-voltage and throttling; `None` when this firmware cannot tell.
///
/// # Errors
/// As [`Mailbox::get`], but for the tag being unknown.
pub fn throttled<B: Bus32, C: CacheOps>(
    mailbox: &mut Mailbox<B, C>,
    clock: &(impl Clock + ?Sized),
) -> Result<Option<Throttled>, Error> {
    match mailbox.get(clock, &GetThrottled) {
        Ok(state) => Ok(Some(state)),
        // Some answer an unknown tag with nothing in it.
        Err(Error::Tag(TagError::Unknown(_) | TagError::Short { .. })) => Ok(None),
        Err(error) => Err(error),
    }
}

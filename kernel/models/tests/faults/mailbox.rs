//! The firmware's ways to fail: each ends in an answer or a named error within
//! a bound of looks at the clock, one a microsecond; then the mailbox works.

use std::cell::Cell;

use rpi_mbox::tags::BoardRevision;
use rpi_mbox::{Error, Mailbox, MessageError, TagError};
use sk_hal::{Clock, Micros};
use sk_models::mbox::{Fault, MboxModel};
use sk_models::memory::Memory;
use sk_models::systimer::SimClock;

const REVISION: u32 = 0x0001_0002;
const RIGHT: Result<u32, Error> = Ok(0x0090_0092);

/// The fault after this one. A new one does not compile without a place here.
fn successor(fault: Option<Fault>) -> Option<Fault> {
    match fault {
        None => Some(Fault::None),
        Some(Fault::None) => Some(Fault::Silent),
        Some(Fault::Silent) => Some(Fault::OtherChannel),
        Some(Fault::OtherChannel) => Some(Fault::OtherAddress),
        Some(Fault::OtherAddress) => Some(Fault::Flood),
        Some(Fault::Flood) => Some(Fault::PlainAddress),
        Some(Fault::PlainAddress) => Some(Fault::ParseError),
        Some(Fault::ParseError) => Some(Fault::Untouched),
        Some(Fault::Untouched) => Some(Fault::Unknown(REVISION)),
        Some(Fault::Unknown(_)) => Some(Fault::Empty(REVISION)),
        Some(Fault::Empty(_)) => Some(Fault::TooLong(REVISION)),
        Some(Fault::TooLong(_)) => Some(Fault::Full),
        Some(Fault::Full) => None,
    }
}

/// How a call ends, and how many looks it may take.
fn end(fault: Fault) -> (Result<u32, Error>, u32) {
    let id = REVISION;
    match fault {
        Fault::None | Fault::OtherChannel | Fault::OtherAddress | Fault::PlainAddress => {
            (RIGHT, 100)
        }
        Fault::Silent => (Err(Error::NoReply), 1_000_100),
        Fault::Flood => (Err(Error::Flooded), 100),
        Fault::ParseError => (Err(MessageError::Refused.into()), 100),
        Fault::Untouched => (Err(MessageError::BadCode(0).into()), 100),
        Fault::Unknown(_) => (Err(TagError::Unknown(id).into()), 100),
        Fault::Empty(_) => (Err(TagError::Short { id, got: 0 }.into()), 100),
        Fault::TooLong(_) => (Err(TagError::Truncated { id, needs: 8 }.into()), 100),
        Fault::Full => (Err(Error::Full), 1_100),
    }
}

struct Counted(SimClock, Cell<u32>);

impl Clock for Counted {
    fn now(&self) -> Micros {
        self.1.set(self.1.get() + 1);
        self.0.now()
    }
}

#[test]
fn the_mailbox() {
    for fault in std::iter::successors(successor(None), |fault| successor(Some(*fault))) {
        let (memory, clock) = (Memory::new(), SimClock::new());
        let model = MboxModel::new(&memory, &clock);
        let mut mailbox = Mailbox::new(&model, &memory, memory.buffer(256));
        let clock = Counted(clock, Cell::new(0));
        model.fault.set(fault);
        let (expected, bound) = end(fault);
        assert_eq!(mailbox.get(&clock, &BoardRevision), expected, "{fault:?}");
        assert!(clock.1.take() <= bound, "{fault:?}");
        model.fault.set(Fault::None);
        if fault == Fault::Silent {
            // The buffer stays the firmware's, which may yet write there: until
            // the next boot nothing is asked any more, and that is told soon.
            let again = mailbox.get(&clock, &BoardRevision);
            assert_eq!(again, Err(Error::StillWaiting));
            assert!(clock.1.take() <= 100_100);
            continue;
        }
        if matches!(fault, Fault::Flood) {
            clock.0.advance(1_000);
        }
        assert_eq!(mailbox.get(&clock, &BoardRevision), RIGHT, "after {fault:?}");
        assert!(clock.1.take() <= 100_100, "after {fault:?}");
    }
}

//! Every knob of the models turned, on the whole stack, and how that ends:
//! frames flow in spite of it, or what is wrong is named, or there is silence
//! as there has to be; and once the knob is back, frames flow within a stated
//! number of polls, and not a channel or buffer is missing.
//!
//! A poll is a wake-up by an interrupt or a deadline. A knob without a row does
//! not compile (`knobs!`, `Fault`'s successor) or fails. The table for readers
//! is in `docs/testing.md`.
#![allow(unreachable_pub, missing_docs)]

mod knobs;
mod mailbox;
mod packets;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use sk_hal::Micros;
use sk_usb::UsbEvent;
use world::{LONGEST, MS, NOTHING_OPEN, Place, SECOND, World};

/// How it ends while the knob is turned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// Frames flow in both directions.
    Flows,
    /// An event names it, and frames do not flow.
    Named,
    /// Nothing flows and nothing is told: so it looks to a host.
    Quiet,
}

/// One turn of one knob.
pub struct Case {
    pub name: String,
    pub place: Place,
    /// From power on, or on an adapter that carries frames.
    pub cold: bool,
    pub turn: Box<dyn Fn(&mut World)>,
    /// How long it stays turned: at least, so that what is looked at rarely has
    /// its turn, and at most, until it ends one way or the other.
    pub held: (Micros, Micros),
    /// It passes by itself, and frames flow then.
    pub passes: bool,
    /// It may be any of these.
    pub ends: &'static [End],
    /// Polls until then, and from the knob's return until frames flow.
    pub bounds: (u32, u32),
}

/// Runs a case; the polls it took.
fn run(case: &Case) -> (End, u32, u32) {
    let mut world = if case.cold { World::cold(case.place) } else { World::running(case.place) };
    world.events.clear();
    let before = world.polls;
    (case.turn)(&mut world);
    let start = world.model.now();
    let mut flows = false;
    loop {
        let turned = world.model.now() - start;
        let over = flows || world.named() && !case.passes;
        if turned >= case.held.1 || over && (case.passes || turned >= case.held.0) {
            break;
        }
        flows = world.flows(10 * MS);
        if flows && !case.passes {
            world.pass(10 * MS);
        }
    }
    let reached = match (flows, world.named()) {
        (true, _) => End::Flows,
        (false, true) => End::Named,
        (false, false) => End::Quiet,
    };
    let first = world.polls - before;
    assert!(case.ends.contains(&reached), "{reached:?}: {}", world.report());
    assert!(first <= case.bounds.0, "{first} polls: {}", world.report());

    world.mend();
    if world.events.iter().any(|event| matches!(event, UsbEvent::Unsupported { .. })) {
        // Named once and left alone until somebody does something about it.
        world.pull();
        world.pass(200 * MS);
        world.plug_again();
    }
    let before = world.polls;
    assert!(world.flows(LONGEST), "it does not come back: {}", world.report());
    let second = world.polls - before;
    assert!(second <= case.bounds.1, "{second} polls to come back: {}", world.report());

    // Not a channel, not a buffer: while it runs, and when it is pulled.
    assert!(
        world.until(2 * SECOND, |w| {
            w.drain();
            w.is_whole()
        }),
        "{}",
        world.report()
    );
    if case.place == Place::EcmInQemu || world.hung {
        // QEMU itself may end here; and a channel that hung is kept.
        return (reached, first, second);
    }
    world.model.detach();
    world.until(SECOND, |w| w.resources() == NOTHING_OPEN);
    assert_eq!(world.resources(), NOTHING_OPEN, "{}", world.report());
    assert_eq!(world.model.enabled(), 0);
    (reached, first, second)
}

/// Runs all of them, and fails with the names of those that failed.
pub fn all(cases: Vec<Case>) {
    let mut failed = vec![];
    for case in cases {
        match catch_unwind(AssertUnwindSafe(|| run(&case))) {
            Ok((end, first, second)) => {
                println!("{:?} {}: {end:?} {first} {second}", case.place, case.name);
            }
            Err(_) => failed.push(format!("{:?} {}", case.place, case.name)),
        }
    }
    assert!(failed.is_empty(), "{} failed: {failed:#?}", failed.len());
}

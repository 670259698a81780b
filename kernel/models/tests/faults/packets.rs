//! Faults of single packets: each kind, at each endpoint, once, three times,
//! and for ever.

use sk_models::dwc2::Fault;

use crate::world::{MS, Place, World};
use crate::{Case, End, all};

/// The fault after this one. A new one does not compile without a place here.
fn successor(fault: Option<Fault>) -> Option<Fault> {
    match fault {
        None => Some(Fault::None),
        Some(Fault::None) => Some(Fault::Nak),
        Some(Fault::Nak) => Some(Fault::Nyet),
        Some(Fault::Nyet) => Some(Fault::Stall),
        Some(Fault::Stall) => Some(Fault::Babble),
        Some(Fault::Babble) => Some(Fault::Lost),
        Some(Fault::Lost) => Some(Fault::AckLost),
        Some(Fault::AckLost) => Some(Fault::ToggleError),
        Some(Fault::ToggleError) => Some(Fault::EmptyHalt),
        Some(Fault::EmptyHalt) => Some(Fault::DoubleHalt(300)),
        Some(Fault::DoubleHalt(_)) => Some(Fault::LostInterrupt),
        Some(Fault::LostInterrupt) => Some(Fault::Never),
        Some(Fault::Never) => Some(Fault::FrameOverrun),
        Some(Fault::FrameOverrun) => Some(Fault::AhbError),
        Some(Fault::AhbError) => None,
    }
}

/// Where packets go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum At {
    ControlOut,
    ControlIn,
    BulkIn,
    BulkOut,
    Interrupt,
}

impl At {
    const ALL: [Self; 5] =
        [Self::ControlOut, Self::ControlIn, Self::BulkIn, Self::BulkOut, Self::Interrupt];

    /// Control transfers are those of bring-up.
    fn cold(self) -> bool {
        matches!(self, Self::ControlOut | Self::ControlIn)
    }

    fn endpoint(self, place: Place) -> u8 {
        let lan = matches!(place, Place::Lan | Place::LanBehindHub);
        match (self, lan) {
            (Self::ControlOut, _) => 0,
            (Self::ControlIn, _) => 0x80,
            (Self::BulkIn, true) => 0x80 | sk_models::lan9512::BULK_IN,
            (Self::BulkOut, true) => sk_models::lan9512::BULK_OUT,
            (Self::Interrupt, true) => 0x80 | sk_models::lan9512::INTERRUPT,
            (Self::BulkIn, false) => 0x80 | sk_models::ecm::DATA,
            (Self::BulkOut, false) => sk_models::ecm::DATA,
            (Self::Interrupt, false) => 0x80 | sk_models::ecm::NOTIFICATION,
        }
    }
}

/// What cannot happen on a bus, or in that emulator.
fn impossible(place: Place, at: At, fault: Fault, times: u32) -> bool {
    let silicon = matches!(
        fault,
        Fault::Nyet
            | Fault::AckLost
            | Fault::ToggleError
            | Fault::EmptyHalt
            | Fault::DoubleHalt(_)
            | Fault::FrameOverrun
    );
    match fault {
        // The core itself hangs, and keeps the channel until its reset: not where a
        // host cannot tell it from a device that has nothing to say, and once only
        // where a reset of the core gives nothing back.
        Fault::Never => at == At::BulkIn || place == Place::EcmInQemu && times > 1,
        // Its controller raises none.
        Fault::AhbError if place == Place::EcmInQemu => true,
        _ if silicon && place == Place::EcmInQemu => true,
        // SETUP is never answered NAK (USB 2.0 section 8.5.3).
        Fault::Nak if at == At::ControlOut => times > 3,
        // Nor is a periodic start split.
        Fault::Nak => at == At::Interrupt && place == Place::EcmBehindHub,
        Fault::None => times > 1,
        Fault::Nyet => place != Place::EcmBehindHub,
        Fault::ToggleError => matches!(at, At::ControlOut | At::BulkOut),
        Fault::FrameOverrun => at != At::Interrupt,
        _ => false,
    }
}

/// Polls until it ends, and until frames flow once it is over.
fn bounds(fault: Fault) -> (u32, u32) {
    match fault {
        Fault::None => (1_000, 20),
        Fault::Nak => (50_000, 1_000),
        Fault::Stall => (5_000, 1_000),
        Fault::Babble => (5_000, 1_000),
        Fault::Lost => (5_000, 1_000),
        Fault::AckLost => (5_000, 1_000),
        Fault::ToggleError => (5_000, 1_000),
        Fault::EmptyHalt => (5_000, 1_000),
        Fault::DoubleHalt(_) => (5_000, 50),
        Fault::LostInterrupt => (5_000, 1_000),
        Fault::Never => (26_000, 1_000),
        Fault::FrameOverrun => (2_000, 50),
        Fault::AhbError => (2_000, 1_000),
        Fault::Nyet => (2_000, 500),
    }
}

const FEW: [End; 1] = [End::Flows];
const ANY: [End; 3] = [End::Flows, End::Named, End::Quiet];

fn cases(place: Place) -> Vec<Case> {
    let faults = std::iter::successors(successor(None), |fault| successor(Some(*fault)));
    let mut cases = vec![];
    for fault in faults {
        for at in At::ALL {
            for times in [1, 3, u32::MAX] {
                if impossible(place, at, fault, times) {
                    continue;
                }
                let turn = move |world: &mut World| {
                    let endpoint = at.endpoint(world.place);
                    world.hung = fault == Fault::Never;
                    world.model.faults(|f| {
                        // The translator's buffer is freed when the next transfer may
                        // have begun: its complete split then finds none.
                        f.lax = fault == Fault::Never;
                        if (fault, at) == (Fault::Nak, At::ControlOut) {
                            f.inject(endpoint, Fault::None, 1);
                        }
                        if !matches!(fault, Fault::DoubleHalt(_) | Fault::LostInterrupt) {
                            return f.inject(endpoint, fault, times);
                        }
                        // These come with a packet, not in its place.
                        for _ in 0..times.min(10_000) {
                            f.inject(endpoint, fault, 1);
                            f.inject(endpoint, Fault::None, 1);
                        }
                    });
                };
                cases.push(Case {
                    name: format!("{fault:?} {at:?} {times}"),
                    place,
                    cold: at.cold(),
                    turn: Box::new(turn),
                    ends: if times > 3 { &ANY } else { &FEW },
                    held: (300 * MS, 8_000 * MS),
                    passes: times <= 3,
                    bounds: bounds(fault),
                });
            }
        }
    }
    cases
}

#[test]
fn ecm() {
    all(cases(Place::Ecm));
}

#[test]
fn ecm_behind_a_hub() {
    all(cases(Place::EcmBehindHub));
}

#[test]
fn ecm_in_qemu() {
    all(cases(Place::EcmInQemu));
}

#[test]
fn lan9512() {
    all(cases(Place::Lan));
}

#[test]
fn lan9512_behind_its_hub() {
    all(cases(Place::LanBehindHub));
}

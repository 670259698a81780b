//! Everything else that can be made to go wrong: with the controller and its
//! port, with the devices, with the hub.

use sk_models::dwc2::Faults;
use sk_models::ecm::{self, EcmFaults};
use sk_models::hub::HubFaults;
use sk_models::lan9512::{self, LanFaults, RxFault, offset};

use crate::world::{Adapter, MS, Place, SECOND, World};
use crate::{Case, End, all};

/// The names of all fields of a structure of faults, and of those that are not
/// as by default. A field that is not listed does not compile.
macro_rules! knobs {
    ($faults:expr, $kind:ident { $($field:ident),* $(,)? }) => {{
        let $kind { $($field),* } = &$faults;
        let default = $kind::default();
        vec![$((stringify!($field), *$field != default.$field)),*]
    }};
}

type Knobs = Vec<(&'static str, bool)>;

fn of_ecm(faults: &EcmFaults) -> Knobs {
    knobs!(
        *faults,
        EcmFaults {
            replace,
            total_length,
            stall,
            silent,
            nak_control,
            broken,
            empty_ins,
            babble,
            nak_out,
            notification,
        }
    )
}

fn of_lan(faults: &LanFaults) -> Knobs {
    knobs!(
        *faults,
        LanFaults {
            replace,
            stall,
            gone,
            nak_control,
            stall_registers,
            silent_registers,
            replies,
            reset_sticks,
            phy_reset_sticks,
            mii_sticks,
            broken,
            empty_ins,
            babble,
            nak_out,
            tx_stuck,
            rx,
            interrupt,
            silent_interrupt,
            flap,
            flood,
        }
    )
}

fn of_hub(faults: &HubFaults) -> Knobs {
    knobs!(
        *faults,
        HubFaults {
            descriptor,
            status,
            bitmap,
            stall,
            halted,
            silent,
            endless_reset,
            refuse_enable,
            noise,
        }
    )
}

/// The knobs of whose model a row turns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Of {
    Controller,
    Ecm,
    Lan,
    Hub,
    /// Plugs and cables: no field anywhere.
    World,
}

fn turned(world: &World, of: Of) -> Knobs {
    match (of, &world.adapter) {
        (Of::Controller, _) => world.model.faults(|f| f.knobs().to_vec()),
        (Of::Ecm, Adapter::Ecm(ecm)) => of_ecm(&ecm.borrow().faults),
        (Of::Lan, Adapter::Lan(lan)) => of_lan(&lan.borrow().faults),
        (Of::Hub, _) => world.hub.as_ref().expect("a hub").faults(|f| of_hub(f)),
        (Of::World, _) => vec![],
        _ => panic!("that adapter is elsewhere"),
    }
}

struct Row {
    of: Of,
    knob: &'static str,
    how: &'static str,
    cold: bool,
    turn: fn(&mut World),
    ends: &'static [End],
    bounds: (u32, u32),
}

const COLD: bool = true;
const WARM: bool = false;
const FLOWS: &[End] = &[End::Flows];
const NAMED: &[End] = &[End::Named];
const QUIET: &[End] = &[End::Quiet];

const fn row(
    of: Of,
    knob: &'static str,
    how: &'static str,
    cold: bool,
    turn: fn(&mut World),
    ends: &'static [End],
    bounds: (u32, u32),
) -> Row {
    Row { of, knob, how, cold, turn, ends, bounds }
}

fn ecm(world: &World, f: impl FnOnce(&mut ecm::EcmFunction)) {
    let Adapter::Ecm(function) = &world.adapter else { panic!("no ECM") };
    f(&mut function.borrow_mut());
}

fn lan(world: &World, f: impl FnOnce(&mut lan9512::Lan9512)) {
    let Adapter::Lan(function) = &world.adapter else { panic!("no LAN9512") };
    f(&mut function.borrow_mut());
}

fn hub(world: &World, f: impl FnOnce(&mut HubFaults)) {
    world.hub.as_ref().expect("a hub").faults(f);
    // Told lies, a host does what is wrong.
    world.model.faults(|f| f.lax = true);
}

fn bus(world: &World, f: impl FnOnce(&mut Faults)) {
    world.model.faults(f);
}

const CONTROLLER: &[Row] = &[
    row(
        Of::Controller,
        "connect_delay",
        "1 s",
        COLD,
        |w| bus(w, |f| f.connect_delay = 1_000 * MS),
        FLOWS,
        (1_000, 10),
    ),
    row(
        Of::Controller,
        "over_current",
        "from the start",
        COLD,
        |w| bus(w, |f| f.over_current = true),
        QUIET,
        (1_000, 1_000),
    ),
    row(
        Of::Controller,
        "over_current",
        "while running",
        WARM,
        |w| bus(w, |f| f.over_current = true),
        NAMED,
        (100, 1_000),
    ),
    row(
        Of::Controller,
        "ahb_busy",
        "",
        COLD,
        |w| bus(w, |f| f.ahb_busy = true),
        QUIET,
        (2_000, 1_000),
    ),
    row(
        Of::Controller,
        "reset_stuck",
        "",
        COLD,
        |w| bus(w, |f| f.reset_stuck = true),
        QUIET,
        (1_000, 1_000),
    ),
    row(
        Of::Controller,
        "flush_stuck",
        "",
        COLD,
        |w| bus(w, |f| f.flush_stuck = true),
        QUIET,
        (1_000, 1_000),
    ),
    row(
        Of::Controller,
        "refuse_enable",
        "3 resets",
        COLD,
        |w| bus(w, |f| f.refuse_enable = 3),
        FLOWS,
        (1_000, 10),
    ),
    row(
        Of::Controller,
        "refuse_enable",
        "all resets",
        COLD,
        |w| bus(w, |f| f.refuse_enable = u32::MAX),
        QUIET,
        (1_000, 1_000),
    ),
    row(
        Of::Controller,
        "phy_select",
        "bits 3, 4, 6",
        COLD,
        |w| bus(w, |f| f.phy_select = 0x58),
        FLOWS,
        (1_000, 10),
    ),
    row(
        Of::Controller,
        "answers_after_reset",
        "",
        COLD,
        |w| bus(w, |f| f.answers_after_reset = true),
        FLOWS,
        (1_000, 10),
    ),
    row(
        Of::Controller,
        "halt_stuck",
        "and pulled",
        WARM,
        |w| {
            bus(w, |f| f.halt_stuck = true);
            w.pull();
            w.pass(300 * MS);
            w.plug_again();
        },
        ANY,
        (1_000, 10),
    ),
    row(Of::Controller, "lax", "", COLD, |w| bus(w, |f| f.lax = true), FLOWS, (1_000, 10)),
    row(Of::Controller, "bounces", "20", COLD, |w| bus(w, |f| f.bounces = 20), FLOWS, (1_000, 10)),
];

const ANY: &[End] = &[End::Flows, End::Named, End::Quiet];

const ECM: &[Row] = &[
    row(
        Of::Ecm,
        "replace",
        "device descriptor: nothing",
        COLD,
        |w| ecm(w, |e| e.faults.replace = vec![(1, 0, vec![])]),
        NAMED,
        (200, 500),
    ),
    row(
        Of::Ecm,
        "replace",
        "device descriptor: noise",
        COLD,
        |w| ecm(w, |e| e.faults.replace = vec![(1, 0, noise(18))]),
        NAMED,
        (200, 500),
    ),
    row(
        Of::Ecm,
        "replace",
        "configurations: noise",
        COLD,
        |w| ecm(w, |e| e.faults.replace = vec![(2, 0, noise(67)), (2, 1, noise(80))]),
        NAMED,
        (500, 500),
    ),
    row(
        Of::Ecm,
        "replace",
        "address string: noise",
        COLD,
        |w| ecm(w, |e| e.faults.replace = vec![(3, 3, noise(26))]),
        FLOWS,
        (1_000, 50),
    ),
    row(
        Of::Ecm,
        "total_length",
        "65535",
        COLD,
        |w| ecm(w, |e| e.faults.total_length = Some(u16::MAX)),
        ANY,
        (1_000, 50),
    ),
    row(
        Of::Ecm,
        "total_length",
        "9",
        COLD,
        |w| ecm(w, |e| e.faults.total_length = Some(9)),
        NAMED,
        (500, 500),
    ),
    row(
        Of::Ecm,
        "total_length",
        "0",
        COLD,
        |w| ecm(w, |e| e.faults.total_length = Some(0)),
        NAMED,
        (500, 500),
    ),
    row(
        Of::Ecm,
        "stall",
        "GET_DESCRIPTOR",
        COLD,
        |w| ecm(w, |e| e.faults.stall = vec![(0x80, 6)]),
        NAMED,
        (200, 500),
    ),
    row(
        Of::Ecm,
        "stall",
        "SET_ADDRESS",
        COLD,
        |w| ecm(w, |e| e.faults.stall = vec![(0, 5)]),
        NAMED,
        (500, 500),
    ),
    row(
        Of::Ecm,
        "stall",
        "SET_CONFIGURATION",
        COLD,
        |w| ecm(w, |e| e.faults.stall = vec![(0, 9)]),
        NAMED,
        (500, 500),
    ),
    row(
        Of::Ecm,
        "stall",
        "packet filter",
        COLD,
        |w| ecm(w, |e| e.faults.stall = vec![(0x21, 0x43)]),
        FLOWS,
        (1_000, 50),
    ),
    row(
        Of::Ecm,
        "silent",
        "from the start",
        COLD,
        |w| ecm(w, |e| e.faults.silent = true),
        NAMED,
        (500, 500),
    ),
    row(
        Of::Ecm,
        "silent",
        "while running: control only",
        WARM,
        |w| ecm(w, |e| e.faults.silent = true),
        ANY,
        (500, 500),
    ),
    row(
        Of::Ecm,
        "nak_control",
        "",
        COLD,
        |w| ecm(w, |e| e.faults.nak_control = true),
        NAMED,
        (5_000, 500),
    ),
    row(
        Of::Ecm,
        "broken",
        "bulk IN",
        WARM,
        |w| ecm(w, |e| e.faults.broken = vec![0x80 | ecm::DATA]),
        NAMED,
        (1_000, 500),
    ),
    row(
        Of::Ecm,
        "broken",
        "bulk OUT",
        WARM,
        |w| ecm(w, |e| e.faults.broken = vec![ecm::DATA]),
        NAMED,
        (2_000, 500),
    ),
    row(
        Of::Ecm,
        "broken",
        "notifications",
        WARM,
        |w| ecm(w, |e| e.faults.broken = vec![0x80 | ecm::NOTIFICATION]),
        FLOWS,
        (10_000, 50),
    ),
    row(
        Of::Ecm,
        "empty_ins",
        "1,000",
        WARM,
        |w| ecm(w, |e| e.faults.empty_ins = 1_000),
        FLOWS,
        (10_000, 50),
    ),
    row(
        Of::Ecm,
        "empty_ins",
        "without end",
        WARM,
        |w| ecm(w, |e| e.faults.empty_ins = usize::MAX),
        FLOWS,
        (20_000, 20),
    ),
    row(Of::Ecm, "babble", "", WARM, |w| ecm(w, |e| e.faults.babble = true), FLOWS, (10_000, 50)),
    row(Of::Ecm, "nak_out", "", WARM, |w| ecm(w, |e| e.faults.nak_out = true), ANY, (50_000, 500)),
    row(
        Of::Ecm,
        "notification",
        "noise",
        WARM,
        |w| ecm(w, |e| e.faults.notification = Some(noise(16))),
        FLOWS,
        (10_000, 50),
    ),
    row(
        Of::World,
        "halt",
        "bulk IN, once",
        WARM,
        |w| ecm(w, |e| e.halt(0x80 | ecm::DATA)),
        FLOWS,
        (10_000, 50),
    ),
    row(
        Of::World,
        "halt",
        "bulk OUT, once",
        WARM,
        |w| ecm(w, |e| e.halt(ecm::DATA)),
        FLOWS,
        (10_000, 50),
    ),
    row(
        Of::World,
        "frames",
        "runts, oversize",
        WARM,
        |w| {
            for length in [0, 1, 13, 1_515, 4_096, 9_000] {
                w.push(vec![0xFF; length]);
            }
        },
        FLOWS,
        (10_000, 50),
    ),
];

const LAN: &[Row] = &[
    row(
        Of::Lan,
        "replace",
        "device descriptor: nothing",
        COLD,
        |w| lan(w, |c| c.faults.replace = vec![(1, 0, vec![])]),
        NAMED,
        (200, 500),
    ),
    row(
        Of::Lan,
        "replace",
        "configuration: noise",
        COLD,
        |w| lan(w, |c| c.faults.replace = vec![(2, 0, noise(39))]),
        NAMED,
        (200, 500),
    ),
    row(
        Of::Lan,
        "stall",
        "SET_CONFIGURATION",
        COLD,
        |w| lan(w, |c| c.faults.stall = vec![(0, 9)]),
        NAMED,
        (500, 500),
    ),
    row(
        Of::Lan,
        "gone",
        "from the start",
        COLD,
        |w| lan(w, |c| c.faults.gone = true),
        NAMED,
        (500, 500),
    ),
    row(
        Of::Lan,
        "gone",
        "while running",
        WARM,
        |w| lan(w, |c| c.faults.gone = true),
        NAMED,
        (500, 1_000),
    ),
    row(
        Of::Lan,
        "nak_control",
        "from the start",
        COLD,
        |w| lan(w, |c| c.faults.nak_control = true),
        NAMED,
        (1_000, 500),
    ),
    row(
        Of::Lan,
        "nak_control",
        "while running",
        WARM,
        |w| lan(w, |c| c.faults.nak_control = true),
        FLOWS,
        (500, 10),
    ),
    row(
        Of::Lan,
        "stall_registers",
        "3",
        COLD,
        |w| lan(w, |c| c.faults.stall_registers = 3),
        ANY,
        (500, 500),
    ),
    row(
        Of::Lan,
        "stall_registers",
        "all",
        COLD,
        |w| lan(w, |c| c.faults.stall_registers = u32::MAX),
        NAMED,
        (500, 500),
    ),
    row(
        Of::Lan,
        "silent_registers",
        "3",
        COLD,
        |w| lan(w, |c| c.faults.silent_registers = 3),
        ANY,
        (1_000, 10),
    ),
    row(
        Of::Lan,
        "silent_registers",
        "all",
        COLD,
        |w| lan(w, |c| c.faults.silent_registers = u32::MAX),
        NAMED,
        (500, 500),
    ),
    row(
        Of::Lan,
        "replies",
        "HW_CFG: 0 bytes",
        COLD,
        |w| lan(w, |c| c.faults.replies = vec![(offset::HW_CFG, vec![])]),
        NAMED,
        (500, 500),
    ),
    row(
        Of::Lan,
        "replies",
        "MII_DATA: ones",
        COLD,
        |w| lan(w, |c| c.faults.replies = vec![(offset::MII_DATA, vec![0xFF; 4])]),
        ANY,
        (5_000, 500),
    ),
    row(
        Of::Lan,
        "reset_sticks",
        "",
        COLD,
        |w| lan(w, |c| c.faults.reset_sticks = true),
        NAMED,
        (1_000, 500),
    ),
    row(
        Of::Lan,
        "phy_reset_sticks",
        "",
        COLD,
        |w| lan(w, |c| c.faults.phy_reset_sticks = true),
        NAMED,
        (1_000, 500),
    ),
    row(
        Of::Lan,
        "mii_sticks",
        "",
        COLD,
        |w| lan(w, |c| c.faults.mii_sticks = true),
        NAMED,
        (5_000, 500),
    ),
    row(
        Of::Lan,
        "broken",
        "bulk IN",
        WARM,
        |w| lan(w, |c| c.faults.broken = vec![0x80 | lan9512::BULK_IN]),
        NAMED,
        (2_000, 500),
    ),
    row(
        Of::Lan,
        "broken",
        "bulk OUT",
        WARM,
        |w| lan(w, |c| c.faults.broken = vec![lan9512::BULK_OUT]),
        NAMED,
        (5_000, 500),
    ),
    row(
        Of::Lan,
        "broken",
        "interrupt",
        WARM,
        |w| lan(w, |c| c.faults.broken = vec![0x80 | lan9512::INTERRUPT]),
        FLOWS,
        (1_000, 10),
    ),
    row(
        Of::Lan,
        "empty_ins",
        "1,000",
        WARM,
        |w| lan(w, |c| c.faults.empty_ins = 1_000),
        FLOWS,
        (2_000, 10),
    ),
    row(
        Of::Lan,
        "empty_ins",
        "without end",
        WARM,
        |w| lan(w, |c| c.faults.empty_ins = usize::MAX),
        FLOWS,
        (20_000, 10),
    ),
    row(Of::Lan, "babble", "", WARM, |w| lan(w, |c| c.faults.babble = true), FLOWS, (1_000, 10)),
    row(Of::Lan, "nak_out", "", WARM, |w| lan(w, |c| c.faults.nak_out = true), ANY, (1_000, 100)),
    row(Of::Lan, "tx_stuck", "", WARM, |w| lan(w, |c| c.faults.tx_stuck = true), ANY, (1_000, 100)),
    row(Of::Lan, "rx", "one of each", WARM, rx_faults, FLOWS, (500, 10)),
    row(
        Of::Lan,
        "interrupt",
        "ones",
        WARM,
        |w| lan(w, |c| c.faults.interrupt = Some(vec![0xFF; 4])),
        FLOWS,
        (1_000, 10),
    ),
    row(
        Of::Lan,
        "interrupt",
        "too short",
        WARM,
        |w| lan(w, |c| c.faults.interrupt = Some(vec![0xFF])),
        FLOWS,
        (1_000, 10),
    ),
    row(
        Of::Lan,
        "silent_interrupt",
        "",
        COLD,
        |w| lan(w, |c| c.faults.silent_interrupt = true),
        FLOWS,
        (1_000, 10),
    ),
    row(
        Of::Lan,
        "flap",
        "every 200 ms",
        WARM,
        |w| {
            lan(w, |c| c.faults.flap = Some(200 * MS));
            w.pass(MS * 1_500);
        },
        ANY,
        (2_000, 200),
    ),
    row(
        Of::Lan,
        "flood",
        "frames for all",
        WARM,
        |w| lan(w, |c| c.faults.flood = Some(vec![0xFF; 60])),
        ANY,
        (10_000, 1_000),
    ),
    row(
        Of::World,
        "halt",
        "bulk IN, once",
        WARM,
        |w| lan(w, |c| c.halt(0x80 | lan9512::BULK_IN)),
        FLOWS,
        (10_000, 50),
    ),
    row(
        Of::World,
        "halt",
        "bulk OUT, once",
        WARM,
        |w| lan(w, |c| c.halt(lan9512::BULK_OUT)),
        FLOWS,
        (10_000, 50),
    ),
];

const HUB: &[Row] = &[
    row(
        Of::Hub,
        "descriptor",
        "nothing",
        COLD,
        |w| hub(w, |f| f.descriptor = Some(vec![])),
        NAMED,
        (200, 1_000),
    ),
    row(
        Of::Hub,
        "descriptor",
        "255 ports",
        COLD,
        |w| hub(w, |f| f.descriptor = Some(vec![7, 0x29, 255, 0, 0, 255, 0])),
        ANY,
        (500, 1_000),
    ),
    row(
        Of::Hub,
        "status",
        "ones",
        COLD,
        |w| hub(w, |f| f.status = Some(vec![0xFF; 4])),
        ANY,
        (500, 1_000),
    ),
    row(
        Of::Hub,
        "status",
        "ones, while running",
        WARM,
        |w| hub(w, |f| f.status = Some(vec![0xFF; 4])),
        ANY,
        (10_000, 50),
    ),
    row(
        Of::Hub,
        "status",
        "two bytes",
        COLD,
        |w| hub(w, |f| f.status = Some(vec![1, 1])),
        NAMED,
        (200, 500),
    ),
    row(
        Of::Hub,
        "bitmap",
        "ones, while running",
        WARM,
        |w| hub(w, |f| f.bitmap = Some(vec![0xFF; 2])),
        FLOWS,
        (10_000, 50),
    ),
    row(
        Of::Hub,
        "bitmap",
        "empty",
        COLD,
        |w| hub(w, |f| f.bitmap = Some(vec![])),
        ANY,
        (1_000, 50),
    ),
    row(
        Of::Hub,
        "stall",
        "GET_STATUS of ports",
        COLD,
        |w| hub(w, |f| f.stall = vec![(0xa3, 0)]),
        NAMED,
        (200, 500),
    ),
    row(
        Of::Hub,
        "stall",
        "port power",
        COLD,
        |w| hub(w, |f| f.stall = vec![(0x23, 3)]),
        QUIET,
        (1_000, 1_000),
    ),
    row(Of::Hub, "halted", "", WARM, |w| hub(w, |f| f.halted = true), FLOWS, (10_000, 50)),
    row(
        Of::Hub,
        "silent",
        "from the start",
        COLD,
        |w| hub(w, |f| f.silent = true),
        NAMED,
        (200, 1_000),
    ),
    row(
        Of::Hub,
        "silent",
        "while running",
        WARM,
        |w| hub(w, |f| f.silent = true),
        ANY,
        (1_000, 1_000),
    ),
    row(
        Of::Hub,
        "endless_reset",
        "",
        COLD,
        |w| hub(w, |f| f.endless_reset = true),
        NAMED,
        (500, 500),
    ),
    row(
        Of::Hub,
        "refuse_enable",
        "3 resets",
        COLD,
        |w| hub(w, |f| f.refuse_enable = 3),
        ANY,
        (500, 500),
    ),
    row(
        Of::Hub,
        "refuse_enable",
        "all resets",
        COLD,
        |w| hub(w, |f| f.refuse_enable = u32::MAX),
        NAMED,
        (500, 500),
    ),
    row(Of::Hub, "noise", "from the start", COLD, |w| hub(w, |f| f.noise = 7), ANY, (200, 1_000)),
    row(Of::Hub, "noise", "while running", WARM, |w| hub(w, |f| f.noise = 11), ANY, (10_000, 50)),
    row(
        Of::World,
        "over-current of a port",
        "",
        WARM,
        |w| w.hub.as_ref().expect("a hub").over_current(1, true),
        NAMED,
        (200, 500),
    ),
    row(
        Of::World,
        "port flapping",
        "50 times",
        WARM,
        |w| {
            for _ in 0..50 {
                w.hub.as_ref().expect("a hub").flap(1);
                w.pass(20 * MS);
            }
        },
        ANY,
        (500, 1_000),
    ),
];

/// At either kind of adapter.
const PLUGS: &[Row] = &[
    row(
        Of::World,
        "device gone",
        "and back after 1 ms",
        WARM,
        |w| {
            w.pull();
            w.pass(MS);
            w.plug_again();
        },
        ANY,
        (10_000, 50),
    ),
    row(
        Of::World,
        "device gone",
        "and back after 2 s",
        WARM,
        |w| {
            w.pull();
            w.pass(2_000 * MS);
            w.plug_again();
        },
        ANY,
        (10_000, 50),
    ),
    row(
        Of::World,
        "device gone",
        "and back, 10 times",
        WARM,
        |w| {
            for _ in 0..10 {
                w.pull();
                w.pass(30 * MS);
                w.plug_again();
                w.pass(170 * MS);
            }
        },
        ANY,
        (5_000, 50),
    ),
];

fn noise(length: usize) -> Vec<u8> {
    (0..length as u32).map(|n| (n.wrapping_mul(0x9E37_79B9) >> 24) as u8).collect()
}

/// The lie after this one. A new one does not compile without a place here.
fn successor(fault: Option<RxFault>) -> Option<RxFault> {
    match fault {
        None => Some(RxFault::None),
        Some(RxFault::None) => Some(RxFault::Length(0)),
        Some(RxFault::Length(_)) => Some(RxFault::TooLong(100)),
        Some(RxFault::TooLong(_)) => Some(RxFault::TooShort(5)),
        Some(RxFault::TooShort(_)) => Some(RxFault::Status(0x8000)),
        Some(RxFault::Status(_)) => Some(RxFault::Fcs),
        Some(RxFault::Fcs) => Some(RxFault::Cut(7)),
        Some(RxFault::Cut(_)) => None,
    }
}

/// One frame with each of them.
fn rx_faults(world: &mut World) {
    let lies: Vec<_> = std::iter::successors(successor(None), |f| successor(Some(*f))).collect();
    for _ in &lies {
        let frame = crate::world::MAC.into_iter().chain([0x11; 94]).collect();
        assert!(world.push(frame));
    }
    lan(world, |chip| chip.faults.rx = lies.into_iter().skip(1).collect());
}

fn cases(place: Place, rows: &'static [Row]) -> Vec<Case> {
    let case = |row: &'static Row| Case {
        name: format!("{:?}.{} {}", row.of, row.knob, row.how),
        place,
        cold: row.cold,
        turn: Box::new(row.turn),
        held: (SECOND, 8 * SECOND),
        passes: false,
        ends: row.ends,
        bounds: row.bounds,
    };
    rows.iter().map(case).collect()
}

/// Every knob has a row, and every row turns the knob it says.
#[test]
fn every_knob_has_a_row() {
    let tables = [
        (Of::Controller, Place::Ecm, CONTROLLER),
        (Of::Ecm, Place::Ecm, ECM),
        (Of::Lan, Place::Lan, LAN),
        (Of::Hub, Place::EcmBehindHub, HUB),
    ];
    for (of, place, rows) in tables {
        let names: Vec<_> = turned(&World::cold(place), of).into_iter().map(|(n, _)| n).collect();
        for name in &names {
            assert!(rows.iter().any(|row| (row.of, row.knob) == (of, *name)), "{of:?}.{name}");
        }
        for row in rows.iter().filter(|row| row.of == of) {
            let mut world = if row.cold { World::cold(place) } else { World::running(place) };
            (row.turn)(&mut world);
            let on = turned(&world, of).into_iter().find(|(name, _)| *name == row.knob);
            // A knob for the next frames may have done its work by then.
            assert_eq!(on.map(|(_, on)| on), Some(true), "{of:?}.{} {}", row.knob, row.how);
        }
    }
}

#[test]
fn the_controller() {
    all(cases(Place::Ecm, CONTROLLER));
}

#[test]
fn the_controller_with_a_hub() {
    all(cases(Place::LanBehindHub, CONTROLLER));
}

#[test]
fn an_ecm_adapter() {
    all(cases(Place::Ecm, ECM));
}

#[test]
fn an_ecm_adapter_behind_a_hub() {
    all(cases(Place::EcmBehindHub, ECM));
}

#[test]
fn a_lan9512() {
    all(cases(Place::Lan, LAN));
}

#[test]
fn a_lan9512_behind_its_hub() {
    all(cases(Place::LanBehindHub, LAN));
}

#[test]
fn a_hub() {
    all(cases(Place::EcmBehindHub, HUB));
    all(cases(Place::LanBehindHub, HUB));
}

#[test]
fn plugs() {
    // QEMU itself may end when a device is pulled: see `abort_traps` of the driver.
    for place in [Place::Ecm, Place::EcmBehindHub, Place::Lan, Place::LanBehindHub] {
        all(cases(place, PLUGS));
    }
}

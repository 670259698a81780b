//! Our model of the LAN9512 before Linux's `smsc95xx`, `usbnet` and SMSC PHY
//! drivers.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use sk_models::lan9512::{LAN9512, Lan9512, offset};
use sk_redir::{Cable, Server};

use crate::boot::Machine;
use crate::station::Station;
use crate::trial;
use crate::verdict::Verdict;

pub(crate) const NAME: &str = "LAN9512";
/// All hosts (RFC 1112) and all nodes (RFC 2464): every Linux is a member.
const ALL_HOSTS: [u8; 6] = [0x01, 0, 0x5E, 0, 0, 1];
const ALL_NODES: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];
/// A group nobody here is a member of.
const OTHER_GROUP: [u8; 6] = [0x01, 0, 0x5E, 1, 1, 1];

fn lock(model: &Mutex<Lan9512>) -> MutexGuard<'_, Lan9512> {
    model.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Boots, asks, ends.
pub(crate) fn run(verdict: &mut Verdict, machine: &Machine, logs: &Path) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let socket = dir.path().join("usb");
    let mut plugged = None;
    let mut guest = trial::boot(machine, &logs.join("lan9512.log"), || {
        // The old socket's server ends first.
        drop(plugged.take());
        let _ = std::fs::remove_file(&socket);
        let model = Arc::new(Mutex::new(Lan9512::new(LAN9512)));
        let (cable, end) = Cable::pair()?;
        let server = Server::start(&socket, Arc::clone(&model), cable, None)?;
        plugged = Some((server, model, Station::new(end, None)));
        let chardev = format!("socket,id=usb,path={}", socket.display());
        let device = "usb-redir,chardev=usb,port=1";
        Ok(["-chardev", &chardev, "-device", device].map(Into::into).to_vec())
    })?;
    let (_server, model, mut station) = plugged.context("no boot")?;

    let report = |word: &str| guest.report(word).unwrap_or_default().to_owned();
    verdict.equal(format!("{NAME}: driver"), report("driver").as_str(), "smsc95xx");
    verdict.equal(format!("{NAME}: Mbit/s of the bus"), report("speed").as_str(), "480");
    let up = report("up");
    let mut words = up.split(' ');
    let link: Vec<&str> = words.by_ref().take(3).collect();
    verdict.equal(
        format!("{NAME}: carrier, Mbit/s, duplex"),
        link.join(" ").as_str(),
        "1 100 full",
    );
    verdict.tell(format!("{NAME}: link after s of uptime"), words.next().unwrap_or_default());
    trial::common(verdict, &guest, &mut station, NAME)?;

    let patience = Duration::from_secs(10);
    let [.., x, y, z] = station.guest();
    // Of its own address (RFC 4291 section 2.7.1), so another one in each run;
    // the two others happen to be each other's mirror image in the hash table.
    let solicited = [0x33, 0x33, 0xFF, x, y, z];
    let mut joined = 0;
    for group in [ALL_HOSTS, ALL_NODES, solicited] {
        joined += u32::from(station.ping_at(group, [224, 0, 0, 1], 100, patience)?);
    }
    let answer = format!("{joined} of 3");
    verdict.judge(format!("{NAME}: echoes to groups it is in"), answer, joined == 3);
    let before = lock(&model).counters.filtered;
    let short = Duration::from_millis(300);
    let other = station.ping_at(OTHER_GROUP, [224, 0, 0, 1], 100, short)?;
    // Frames come in their order: once this is answered, that has been seen.
    let alive = station.ping(100, patience)?;
    let kept_out = alive && !other && lock(&model).counters.filtered > before;
    verdict.judge(format!("{NAME}: frame to another group kept out"), yes(kept_out), kept_out);

    let before = lock(&model).counters.checksums;
    guest.order("syn")?;
    let right = station.refuse(Duration::from_secs(10))?;
    let by_chip = lock(&model).counters.checksums > before;
    let answer = match right {
        Some(true) => "right",
        Some(false) => "wrong",
        None => "no TCP segment came",
    };
    verdict.judge(format!("{NAME}: TCP checksum"), answer, right == Some(true));
    verdict.tell(format!("{NAME}: put in by the chip"), yes(by_chip));
    guest.wait("did syn", Duration::from_secs(10))?;
    trial::end(verdict, &mut guest, NAME)?;
    model_side(verdict, &lock(&model));
    Ok(())
}

/// What the model saw of the driver. A driver that works makes none of these
/// mistakes, so where one is counted, it is likely the model's.
fn model_side(verdict: &mut Verdict, model: &Lan9512) {
    let c = &model.counters;
    let wrong = [
        ("out of step", c.lost_sync),
        ("checksums mangled", c.mangled),
        ("bad sizes", c.bad_size),
        ("bad check sequences", c.bad_fcs),
        ("wrong duplex", c.wrong_duplex),
        ("MII overlaps", c.mii_overlaps),
        ("reserved registers", c.reserved),
        ("requests refused", c.refused),
        ("frames lost for want of room", c.overrun),
    ];
    let seen: Vec<String> = wrong
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(what, count)| format!("{what} {count}"))
        .collect();
    let shown = if seen.is_empty() { "none".to_owned() } else { seen.join(", ") };
    verdict.judge(format!("{NAME}: mistakes the model saw"), shown, seen.is_empty());
    let sent = format!("{} sent, {} received, {} filtered", c.sent, c.received, c.filtered);
    verdict.tell(format!("{NAME}: frames"), sent);
    let registers = [
        ("HW_CFG", offset::HW_CFG),
        ("BURST_CAP", offset::BURST_CAP),
        ("MAC_CR", offset::MAC_CR),
        ("COE_CR", offset::COE_CR),
        ("AFC_CFG", offset::AFC_CFG),
        ("INT_EP_CTL", offset::INT_EP_CTL),
    ];
    let left: Vec<String> =
        registers.iter().map(|(name, at)| format!("{name} {:#x}", model.register(*at))).collect();
    verdict.tell(format!("{NAME}: registers at the end"), left.join(", "));
}

fn yes(right: bool) -> &'static str {
    if right { "yes" } else { "no" }
}

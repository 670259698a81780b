//! QEMU's `usb-net` under Linux's `cdc_ether`, and our model of it: what QEMU's
//! device did on the bus is done again with the model, request by request and
//! packet by packet.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use anyhow::{Context, Result};
use sk_hal::usb::Setup;
use sk_models::ecm::{DATA, EcmFunction};
use sk_models::usb::{Answer, UsbFunction};

use crate::boot::Machine;
use crate::station::Station;
use crate::trial;
use crate::usbmon::{self, BULK, Event, INTERRUPT};
use crate::verdict::Verdict;

pub(crate) const NAME: &str = "usb-net";
/// As QEMU gives it if not told otherwise.
const MAC: [u8; 6] = [0x52, 0x54, 0x00, 0x12, 0x34, 0x57];
/// Strings whose text is not what the model is for: all but the list of
/// languages and the station address.
const COMPARED_STRINGS: [u8; 2] = [0, 3];
/// Differences that are printed.
const SHOWN: usize = 5;

/// Boots, asks, ends, compares.
pub(crate) fn run(verdict: &mut Verdict, machine: &Machine, logs: &Path) -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (ours, theirs) = (dir.path().join("ours"), dir.path().join("qemu"));
    let capture = logs.join("usb-net.pcap");
    let mut station = None;
    let mut guest = trial::boot(machine, &logs.join("usb-net.log"), || {
        let _ = fs::remove_file(&ours);
        let _ = fs::remove_file(&theirs);
        station = Some(Station::new(UnixDatagram::bind(&ours)?, Some(theirs.clone())));
        let netdev = format!(
            "dgram,id=n0,local.type=unix,local.path={},remote.type=unix,remote.path={}",
            theirs.display(),
            ours.display()
        );
        let mac = MAC.map(|octet| format!("{octet:02x}")).join(":");
        let device = format!("usb-net,netdev=n0,port=1,mac={mac},pcap={}", capture.display());
        Ok(["-netdev", &netdev, "-device", &device].map(Into::into).to_vec())
    })?;
    let mut station = station.context("no boot")?;

    let report = |word: &'static str| guest.report(word).unwrap_or_default();
    verdict.equal(format!("{NAME}: driver"), report("driver"), "cdc_ether");
    verdict.equal(format!("{NAME}: Mbit/s of the bus"), report("speed"), "12");
    let carrier = report("up").split(' ').next().unwrap_or_default();
    verdict.equal(format!("{NAME}: carrier"), carrier, "1");
    // Newer ones begin the address that they tell with 0x40.
    let shown = report("address").split(':').map(|octet| u8::from_str_radix(octet, 16));
    let shown: Vec<u8> = shown.collect::<Result<_, _>>()?;
    let shown: [u8; 6] = shown.try_into().ok().context("the guest's address")?;
    verdict.judge(
        format!("{NAME}: the address it was given"),
        report("address"),
        shown[1..] == MAC[1..],
    );
    let model = EcmFunction::qemu(shown);
    let same = report("descriptors") == hex(&descriptors(model.clone()));
    let answer = if same { "as the model's" } else { report("descriptors") };
    verdict.judge(format!("{NAME}: descriptors, as Linux has them"), answer, same);
    trial::common(verdict, &guest, &mut station, NAME)?;
    trial::end(verdict, &mut guest, NAME)?;
    for counter in guest.all("counter rx_errors") {
        verdict.equal(format!("{NAME}: frames received in error"), counter, "0");
    }
    // The last records are written when QEMU ends.
    drop(guest);
    let file = fs::read(&capture).with_context(|| capture.display().to_string())?;
    replay(verdict, model, &usbmon::events(&file)?, &station);
    fs::remove_file(&capture)?;
    Ok(())
}

/// Device and configurations in a row, as sysfs shows them.
fn descriptors(mut model: EcmFunction) -> Vec<u8> {
    let mut all = Vec::new();
    for value in [0x100, 0x200, 0x201] {
        let setup = Setup { request_type: 0x80, request: 6, value, index: 0, length: 255 };
        if let Answer::Data(bytes) = model.control(setup, &[]) {
            all.extend(bytes);
        }
    }
    all
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One kind of transfer: how many were done again, and what came out otherwise.
#[derive(Default)]
struct Tally {
    all: usize,
    other: Vec<String>,
}

impl Tally {
    fn add(&mut self, same: bool, what: impl FnOnce() -> String) {
        self.all += 1;
        if !same {
            self.other.push(what());
        }
    }

    fn judge(self, verdict: &mut Verdict, what: &str) {
        for line in self.other.iter().take(SHOWN) {
            eprintln!("    {line}");
        }
        let same = self.all - self.other.len();
        let answer = format!("{same} of {} the model does alike", self.all);
        verdict.judge(format!("{NAME}: {what}"), answer, same == self.all && same > 0);
    }
}

fn replay(verdict: &mut Verdict, mut model: EcmFunction, events: &[Event], station: &Station) {
    let (mut control, mut notices) = (Tally::default(), Tally::default());
    let (mut ins, mut outs) = (Tally::default(), Tally::default());
    let mut to_guest = station.sent.iter();
    let mut from_guest = station.received.iter();
    let mut texts = 0;
    for event in events {
        match event {
            Event::Control(setup, out, answer) => {
                let [index, kind] = setup.value.to_le_bytes();
                let got = match model.control(*setup, out) {
                    Answer::Data(bytes) => Some(bytes),
                    Answer::Ack => Some(Vec::new()),
                    _ => None,
                };
                let string = (setup.request_type, setup.request, kind) == (0x80, 6, 3);
                if string && !COMPARED_STRINGS.contains(&index) {
                    texts += 1;
                    control.add(got.is_some() == answer.is_some(), || format!("{setup:x?}"));
                } else {
                    control
                        .add(got == *answer, || format!("{setup:x?}: {answer:x?}, not {got:x?}"));
                }
            }
            Event::In(INTERRUPT, endpoint, data) => {
                let got = model.packet_in(*endpoint, 16);
                notices
                    .add(got == Answer::Data(data.clone()), || format!("{data:x?}, not {got:x?}"));
            }
            Event::In(BULK, DATA, data) => {
                if model.pending() == 0
                    && let Some(frame) = to_guest.next()
                {
                    model.push_frame(frame.clone());
                }
                let got = gather(&mut model, data.len());
                ins.add(got == *data, || format!("{} bytes, not {}", data.len(), got.len()));
            }
            Event::Out(BULK, DATA, data) => {
                let taken =
                    data.chunks(64).all(|packet| model.packet_out(DATA, packet) == Answer::Ack)
                        && (!data.is_empty() || model.packet_out(DATA, &[]) == Answer::Ack);
                let right = match model.pop_frame() {
                    // Frames that the station had no time for any more are not missed.
                    Some(frame) => from_guest.next().is_none_or(|seen| *seen == frame),
                    None => true,
                };
                outs.add(taken && right, || format!("{} bytes to the cable", data.len()));
            }
            other => verdict.tell(format!("{NAME}: unexpected"), format!("{other:?}")),
        }
    }
    control.judge(verdict, "control transfers");
    verdict.tell(format!("{NAME}: of these, strings with a text of their own"), texts);
    notices.judge(verdict, "notifications");
    ins.judge(verdict, "packets to the host");
    outs.judge(verdict, "packets from the host, and frames of them");
    let left = (to_guest.len(), from_guest.len(), model.unfinished());
    let answer = format!("{} to the guest, {} from it, {} bytes", left.0, left.1, left.2);
    verdict.judge(format!("{NAME}: frames not accounted for"), answer, left == (0, 0, 0));
}

/// What the model gives for a request that `length` bytes came for.
fn gather(model: &mut EcmFunction, length: usize) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        match model.packet_in(DATA, 64) {
            Answer::Data(bytes) => {
                let full = bytes.len() == 64;
                all.extend(bytes);
                if !full || all.len() >= length {
                    return all;
                }
            }
            _ => return all,
        }
    }
}

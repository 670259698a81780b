//! What both trials share: a boot that may have to be repeated, and the
//! questions that any adapter must answer.

use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::boot::{Guest, Machine};
use crate::station::{LONGEST, Station, frame_length};
use crate::verdict::Verdict;

/// Boots that may hang early, as about one in twelve does on a busy host.
const BOOTS: usize = 3;
/// From the start of QEMU to the first report: three seconds on an idle host.
const EARLY: Duration = Duration::from_secs(60);
/// From the first report to the network: four seconds there, minutes where many
/// share a host with an emulated bus of 8,000 frames a second.
const LATE: Duration = Duration::from_secs(240);
/// One echo. Late on a busy host is not lost.
const ECHO: Duration = Duration::from_secs(10);

/// Boots until the guest reports that its network is up. Only a boot that hangs
/// before the first report is repeated: what fails later is an answer.
pub(crate) fn boot(
    machine: &Machine,
    log: &Path,
    mut plug: impl FnMut() -> Result<Vec<OsString>>,
) -> Result<Guest> {
    for attempt in 1..=BOOTS {
        let devices = plug()?;
        let mut guest = Guest::start(machine, &devices, log)?;
        match guest.wait("kernel", EARLY) {
            Ok(_) => {
                guest.wait("up", LATE)?;
                return Ok(guest);
            }
            Err(error) => eprintln!("boot {attempt} of {BOOTS}: {error:#}"),
        }
    }
    bail!("the guest does not start; its serial line is in {}", log.display())
}

/// What the guest says of the adapter, and echoes of all sizes.
pub(crate) fn common(
    verdict: &mut Verdict,
    guest: &Guest,
    station: &mut Station,
    name: &str,
) -> Result<()> {
    let mac = station.find()?;
    let shown: Vec<String> = mac.iter().map(|octet| format!("{octet:02x}")).collect();
    let address = guest.report("address").unwrap_or_default();
    verdict.equal(format!("{name}: broadcast ARP answered from"), shown.join(":"), address.into());

    let began = Instant::now();
    let answered = count(station, std::iter::repeat_n(1400, 300))?;
    let time = began.elapsed().as_secs_f32();
    verdict.judge(
        format!("{name}: echoes of 1,400 bytes"),
        format!("{answered} of 300 in {time:.1} s, {} replies", station.replies()),
        answered == 300,
    );
    let began = Instant::now();
    let answered = count(station, 0..=LONGEST)?;
    let time = began.elapsed().as_secs_f32();
    verdict.judge(
        format!("{name}: echoes of every size ({} to {} bytes)", 60, frame_length(LONGEST)),
        format!("{answered} of {} in {time:.1} s", LONGEST + 1),
        answered == LONGEST + 1,
    );
    Ok(())
}

/// How many of the echoes come back. Gives up after five in a row.
fn count(station: &mut Station, lengths: impl Iterator<Item = usize>) -> Result<usize> {
    let (mut answered, mut lost) = (0, 0);
    for length in lengths {
        if station.ping(length, ECHO)? {
            answered += 1;
            lost = 0;
        } else {
            eprintln!("  no echo of {length} bytes");
            lost += 1;
            if lost == 5 {
                break;
            }
        }
    }
    Ok(answered)
}

/// Ends the guest and judges its counters and its log.
pub(crate) fn end(verdict: &mut Verdict, guest: &mut Guest, name: &str) -> Result<()> {
    guest.order("end")?;
    guest.wait("end", Duration::from_secs(20))?;
    let counters: Vec<&str> = guest.all("counter").collect();
    // usbnet counts an empty transfer as rx_errors, and only there; the port
    // answers an idle request with one. Frames have counters of their own.
    let bad: Vec<&str> = counters
        .iter()
        .copied()
        .filter(|c| c.contains("_errors") || c.contains("_dropped"))
        .filter(|c| !c.ends_with(" 0") && !c.starts_with("rx_errors"))
        .collect();
    let shown = if bad.is_empty() { "none".to_owned() } else { bad.join(", ") };
    verdict.judge(format!("{name}: errors the driver counted"), shown, bad.is_empty());
    let alarms = &guest.alarms;
    let shown = if alarms.is_empty() { "none".to_owned() } else { alarms.join("; ") };
    verdict.judge(format!("{name}: alarms of the kernel"), shown, alarms.is_empty());
    for line in guest.all("log") {
        verdict.tell(format!("{name}: in the kernel's log"), line);
    }
    Ok(())
}

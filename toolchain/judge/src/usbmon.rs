//! What QEMU's `pcap` property writes: a pcap file of usbmon records (link type
//! 220, Documentation/usb/usbmon.rst in Linux), little endian.

use anyhow::{Context, Result, ensure};
use sk_hal::usb::Setup;

const MAGIC: u32 = 0xA1B2_C3D4;
const USB_LINUX_MMAPPED: u32 = 220;
const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;
const URB_HEADER: usize = 64;

/// Kinds of transfers, as usbmon numbers them.
pub(crate) const INTERRUPT: u8 = 1;
const CONTROL: u8 = 2;
pub(crate) const BULK: u8 = 3;

/// One thing that happened on the bus.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A control transfer, the bytes of its OUT stage, and its answer's bytes;
    /// `None` = refused.
    Control(Setup, Vec<u8>, Option<Vec<u8>>),
    /// Data to an endpoint of this kind.
    Out(u8, u8, Vec<u8>),
    /// Data from an endpoint of this kind.
    In(u8, u8, Vec<u8>),
}

struct Urb<'a> {
    submitted: bool,
    kind: u8,
    endpoint: u8,
    setup: Option<Setup>,
    data: &'a [u8],
}

/// All events of a capture. A last record cut short ends it: QEMU may have been
/// killed.
pub(crate) fn events(file: &[u8]) -> Result<Vec<Event>> {
    let word = |at: usize| -> Option<u32> {
        Some(u32::from_le_bytes(file.get(at..at + 4)?.try_into().ok()?))
    };
    ensure!(word(0) == Some(MAGIC), "no pcap file");
    ensure!(word(20) == Some(USB_LINUX_MMAPPED), "no usbmon records");
    let mut events = Vec::new();
    let mut asked: Option<(Setup, Vec<u8>)> = None;
    let mut at = FILE_HEADER;
    while let Some(length) = word(at + 8) {
        at += RECORD_HEADER;
        let Some(record) = file.get(at..at + length as usize) else { break };
        at += record.len();
        let urb = urb(record).context("a record too short")?;
        match (urb.kind, urb.submitted) {
            (CONTROL, true) => {
                // What got no answer was refused.
                events.extend(asked.take().map(|(s, out)| Event::Control(s, out, None)));
                asked = urb.setup.map(|setup| (setup, urb.data.to_vec()));
            }
            (CONTROL, false) => {
                let answer = urb.data.to_vec();
                events.extend(asked.take().map(|(s, o)| Event::Control(s, o, Some(answer))));
            }
            (kind, true) if urb.endpoint & 0x80 == 0 => {
                events.push(Event::Out(kind, urb.endpoint, urb.data.to_vec()));
            }
            (kind, false) if urb.endpoint & 0x80 != 0 => {
                events.push(Event::In(kind, urb.endpoint & 15, urb.data.to_vec()));
            }
            // An IN that was asked for, an OUT that was taken.
            _ => {}
        }
    }
    Ok(events)
}

fn urb(record: &[u8]) -> Option<Urb<'_>> {
    let (header, data) = record.split_at_checked(URB_HEADER)?;
    let half = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
    // flag_setup is 0 where there is one.
    let setup = (header[14] == 0).then(|| Setup {
        request_type: header[40],
        request: header[41],
        value: half(42),
        index: half(44),
        length: half(46),
    });
    let submitted = header[8] == b'S';
    Some(Urb { submitted, kind: header[9], endpoint: header[10], setup, data })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: u8, submitted: bool, endpoint: u8, setup: [u8; 8], data: &[u8]) -> Vec<u8> {
        let mut urb = vec![0; URB_HEADER];
        urb[8] = if submitted { b'S' } else { b'C' };
        (urb[9], urb[10]) = (kind, endpoint);
        urb[14] = if submitted && kind == CONTROL { 0 } else { b'-' };
        urb[40..48].copy_from_slice(&setup);
        urb.extend(data);
        let mut bytes = vec![0; 8];
        bytes.extend((urb.len() as u32).to_le_bytes());
        bytes.extend((urb.len() as u32).to_le_bytes());
        bytes.extend(urb);
        bytes
    }

    #[test]
    fn events_of_a_capture() {
        let mut file = MAGIC.to_le_bytes().to_vec();
        file.resize(20, 0);
        file.extend(USB_LINUX_MMAPPED.to_le_bytes());
        let ask = [0x80, 6, 0, 6, 0, 0, 10, 0];
        let setup = Setup { request_type: 0x80, request: 6, value: 0x600, index: 0, length: 10 };
        file.extend(record(CONTROL, true, 0x80, ask, &[]));
        file.extend(record(CONTROL, true, 0x80, ask, &[]));
        file.extend(record(CONTROL, false, 0x80, [0; 8], &[1, 2]));
        file.extend(record(BULK, true, 0x82, [0; 8], &[]));
        file.extend(record(BULK, false, 0x82, [0; 8], &[3]));
        file.extend(record(BULK, true, 0x02, [0; 8], &[4]));
        file.extend(record(BULK, false, 0x02, [0; 8], &[]));
        let expected = [
            Event::Control(setup, vec![], None),
            Event::Control(setup, vec![], Some(vec![1, 2])),
            Event::In(BULK, 2, vec![3]),
            Event::Out(BULK, 2, vec![4]),
        ];
        assert_eq!(events(&file).unwrap(), expected);
        let cut = file.len() - 1;
        assert_eq!(events(&file[..cut]).unwrap(), expected);
        assert!(events(&file[4..]).is_err());
    }
}

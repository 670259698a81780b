//! The other end of the cable: answers ARP, sends echo requests (RFC 792) and
//! checks every byte of the replies.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

/// Our address, and the guest's.
const MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x01];
const IP: [u8; 4] = [10, 0, 0, 1];
pub(crate) const GUEST_IP: [u8; 4] = [10, 0, 0, 2];
const BROADCAST: [u8; 6] = [0xFF; 6];
/// Longest payload of an echo request in one frame.
pub(crate) const LONGEST: usize = 1472;
/// Ethernet, IPv4 and ICMP headers.
const HEADERS: usize = 14 + 20 + 8;

/// The other end of a cable of datagrams, each a frame without check sequence.
pub(crate) struct Station {
    socket: UnixDatagram,
    /// Where to send; `None` = the socket is connected.
    peer: Option<PathBuf>,
    guest: [u8; 6],
    sequence: u16,
    /// Frames sent, in order.
    pub(crate) sent: Vec<Vec<u8>>,
    /// Frames received, in order.
    pub(crate) received: Vec<Vec<u8>>,
}

impl Station {
    pub(crate) fn new(socket: UnixDatagram, peer: Option<PathBuf>) -> Self {
        let (sent, received) = (Vec::new(), Vec::new());
        Self { socket, peer, guest: BROADCAST, sequence: 0, sent, received }
    }

    /// The guest's address, once [`find`](Self::find) has found it.
    pub(crate) fn guest(&self) -> [u8; 6] {
        self.guest
    }

    fn send(&mut self, frame: Vec<u8>) -> io::Result<()> {
        match &self.peer {
            Some(path) => self.socket.send_to(&frame, path)?,
            None => self.socket.send(&frame)?,
        };
        self.sent.push(frame);
        Ok(())
    }

    /// The first frame until then of which `wanted` makes something. ARP
    /// requests for our address are answered meanwhile.
    fn receive<T>(
        &mut self,
        until: Instant,
        wanted: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Option<T>> {
        let mut buffer = [0; 2048];
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.socket.set_read_timeout(Some(left))?;
            let frame = match self.socket.recv(&mut buffer) {
                Ok(length) => buffer[..length].to_vec(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let asks = frame.get(12..14) == Some(&[8, 6]) && frame.get(20..22) == Some(&[0, 1]);
            if asks && frame.get(38..42) == Some(&IP[..]) {
                let asker: [u8; 6] = frame[22..28].try_into()?;
                self.send(arp(2, asker, asker))?;
            }
            let answer = wanted(&frame);
            self.received.push(frame);
            if answer.is_some() {
                return Ok(answer);
            }
        }
    }

    /// Asks for the guest's address by broadcast, a few times.
    pub(crate) fn find(&mut self) -> Result<[u8; 6]> {
        for _ in 0..5 {
            self.send(arp(1, BROADCAST, [0; 6]))?;
            let until = Instant::now() + Duration::from_secs(1);
            let found = self.receive(until, |frame| {
                let reply =
                    frame.get(12..14) == Some(&[8, 6]) && frame.get(20..22) == Some(&[0, 2]);
                let from = frame.get(28..32) == Some(&GUEST_IP[..]);
                (reply && from).then(|| <[u8; 6]>::try_from(&frame[22..28]).ok())?
            })?;
            if let Some(found) = found {
                self.guest = found;
                return Ok(found);
            }
        }
        bail!("nobody answers ARP for 10.0.0.2")
    }

    /// One echo of `length` bytes to the guest; `false` = no reply in time.
    pub(crate) fn ping(&mut self, length: usize, patience: Duration) -> Result<bool> {
        self.ping_at(self.guest, GUEST_IP, length, patience)
    }

    /// The same to another address, which the guest may feel addressed by.
    pub(crate) fn ping_at(
        &mut self,
        mac: [u8; 6],
        ip: [u8; 4],
        length: usize,
        patience: Duration,
    ) -> Result<bool> {
        ensure!(length <= LONGEST, "too long for a frame");
        self.sequence = self.sequence.wrapping_add(1);
        let sequence = self.sequence.to_be_bytes();
        let mut icmp = vec![8, 0, 0, 0, 0x4A, 0x55, sequence[0], sequence[1]];
        icmp.extend((0..length).map(|at| (at as u8).wrapping_mul(7).wrapping_add(sequence[1])));
        let sum = checksum(&[&icmp]);
        icmp[2..4].copy_from_slice(&sum);
        self.send(ipv4(mac, ip, 1, &icmp))?;
        let until = Instant::now() + patience;
        let reply = self.receive(until, |frame| {
            let body = payload(frame, 1)?;
            let ours = body.len() == icmp.len() && body[0] == 0 && body[4..8] == icmp[4..8];
            ours.then(|| body[8..] == icmp[8..] && checksum(&[body]) == [0, 0])
        })?;
        match reply {
            Some(true) => Ok(true),
            Some(false) => bail!("echo {} came back changed", self.sequence),
            None => Ok(false),
        }
    }

    /// Waits for a TCP SYN, refuses it, and says whether its checksum is right.
    pub(crate) fn refuse(&mut self, patience: Duration) -> Result<Option<bool>> {
        let until = Instant::now() + patience;
        let syn = self.receive(until, |frame| {
            let body = payload(frame, 6)?;
            let syn = body.len() >= 20 && body[13] & 2 != 0;
            syn.then(|| body.to_vec())
        })?;
        let Some(syn) = syn else { return Ok(None) };
        let right = checksum(&[&pseudo(GUEST_IP, IP, syn.len()), &syn]) == [0, 0];
        let number = u32::from_be_bytes(syn[4..8].try_into()?).wrapping_add(1);
        let mut reset = syn[2..4].to_vec();
        reset.extend(&syn[..2]);
        reset.extend([0; 4]);
        reset.extend(number.to_be_bytes());
        reset.extend([0x50, 0x14, 0, 0, 0, 0, 0, 0]);
        let sum = checksum(&[&pseudo(IP, GUEST_IP, reset.len()), &reset]);
        reset[16..18].copy_from_slice(&sum);
        self.send(ipv4(self.guest, GUEST_IP, 6, &reset))?;
        Ok(Some(right))
    }

    /// Echo replies so far, those included that came too late.
    pub(crate) fn replies(&self) -> usize {
        let replies = self.received.iter().filter_map(|frame| payload(frame, 1));
        replies.filter(|body| body.first() == Some(&0)).count()
    }
}

/// A frame's length by the payload of its echo request.
pub(crate) fn frame_length(payload: usize) -> usize {
    HEADERS + payload
}

fn arp(operation: u8, to: [u8; 6], target: [u8; 6]) -> Vec<u8> {
    let mut frame = to.to_vec();
    frame.extend(MAC);
    frame.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, operation]);
    frame.extend(MAC);
    frame.extend(IP);
    frame.extend(target);
    frame.extend(GUEST_IP);
    frame.resize(60, 0);
    frame
}

fn ipv4(mac: [u8; 6], to: [u8; 4], protocol: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = mac.to_vec();
    frame.extend(MAC);
    frame.extend([8, 0]);
    let [high, low] = ((20 + body.len()) as u16).to_be_bytes();
    let mut header = vec![0x45, 0, high, low, 0, 0, 0x40, 0, 64, protocol, 0, 0];
    header.extend(IP);
    header.extend(to);
    let sum = checksum(&[&header]);
    header[10..12].copy_from_slice(&sum);
    frame.extend(header);
    frame.extend(body);
    frame.resize(frame.len().max(60), 0);
    frame
}

/// What an IPv4 packet from the guest to us carries, if its header is right.
fn payload(frame: &[u8], protocol: u8) -> Option<&[u8]> {
    let header = frame.get(14..34)?;
    let good = frame[12..14] == [8, 0]
        && header[0] == 0x45
        && header[9] == protocol
        && header[12..16] == GUEST_IP
        && header[16..20] == IP
        && checksum(&[header]) == [0, 0];
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    good.then(|| frame.get(34..14 + length))?
}

fn pseudo(from: [u8; 4], to: [u8; 4], length: usize) -> Vec<u8> {
    let mut bytes = [from, to].concat();
    bytes.extend([0, 6]);
    bytes.extend((length as u16).to_be_bytes());
    bytes
}

/// RFC 1071. All parts but the last are of even length.
fn checksum(parts: &[&[u8]]) -> [u8; 2] {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let mut sum: u32 = words
        .map(|word| u32::from(word[0]) << 8 | u32::from(word.get(1).copied().unwrap_or(0)))
        .sum();
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_of_rfc_1071() {
        assert_eq!(checksum(&[&[0, 1, 0xF2, 3, 0xF4, 0xF5, 0xF6, 0xF7]]), [0x22, 0x0D]);
    }

    #[test]
    fn only_whole_replies_count() {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        let mut station = Station::new(ours, None);
        let echo = std::thread::spawn(move || {
            let mut buffer = [0; 2048];
            for change in [None, Some(50)] {
                let length = theirs.recv(&mut buffer).unwrap();
                let mut frame = buffer[..length].to_vec();
                let (from, to) = (frame[26..30].to_vec(), frame[30..34].to_vec());
                frame[26..30].copy_from_slice(&to);
                frame[30..34].copy_from_slice(&from);
                frame[34] = 0;
                // Type 8 became 0.
                let sum = u16::from_be_bytes([frame[36], frame[37]]);
                let (sum, carry) = sum.overflowing_add(0x800);
                frame[36..38].copy_from_slice(&(sum + u16::from(carry)).to_be_bytes());
                if let Some(at) = change {
                    frame[at] ^= 1;
                }
                theirs.send(&frame).unwrap();
            }
            theirs
        });
        let patience = Duration::from_secs(5);
        assert!(station.ping(100, patience).unwrap());
        assert!(station.ping(100, patience).is_err());
        let _theirs = echo.join().unwrap();
        assert!(!station.ping(100, Duration::from_millis(10)).unwrap());
    }
}

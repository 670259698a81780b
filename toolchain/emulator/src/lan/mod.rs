//! A network of one cable: a board at one end, this host's loopback at the
//! other, and a gateway in between that speaks ARP, DHCP and UDP.
//!
//! QEMU has a user-mode network of its own ([`Net::Slirp`](crate::Net)). This
//! one exists because
//!
//! * that one shows the board 127.0.0.1 as the sender of a datagram once the
//!   board has broadcast, and a correct stack refuses such a sender
//!   (RFC 1122 section 3.2.1.3);
//! * it can lose, double, reorder and damage frames, reproducibly;
//! * it takes a frame with a wrong checksum or length for what it is, and counts
//!   it ([`Traffic::malformed`]);
//! * its port on the host is bound before QEMU starts, so none is taken in
//!   between, and nothing leads from the board to the outer world.
//!
//! What the board sends to 10.0.2.2 goes to 127.0.0.1, same port; so does what
//! it broadcasts. Each of its ports has one socket on the host: the forwarded
//! ones from the start, others when the board first sends from them.

mod dice;
mod frame;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::{Error, Result};
use dice::{Dice, Late};
use frame::{Datagram, Mac, Seen};

/// The board's address unless it chose one by itself.
const BOARD: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
/// The host.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
const MASK: Ipv4Addr = Ipv4Addr::new(255, 255, 255, 0);
const BROADCAST: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 255);
const GATEWAY_MAC: Mac = [0x52, 0x55, 10, 0, 2, 2];

/// How often a thread looks whether it is to end.
const TICK: Duration = Duration::from_millis(100);

/// A frame that QEMU does not take within this time is lost, as it would be on
/// a cable.
const PATIENCE: Duration = Duration::from_millis(200);

/// A board that sends from ever new ports does not use up the host's.
const MAX_PORTS: usize = 64;

/// What is to go wrong on the cable, in frames of 1,000. The same seed gives
/// the same sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Frames that do not arrive, in either direction.
    pub lost: u16,
    /// Frames that arrive twice.
    pub doubled: u16,
    /// Frames that one to eight later ones overtake, in either direction.
    pub reordered: u16,
    /// Frames to the board in which a bit is turned.
    pub damaged: u16,
    /// Where the sequence begins.
    pub seed: u64,
}

/// What went over the cable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// UDP datagrams to the board.
    pub to_board: u64,
    /// UDP datagrams from the board.
    pub from_board: u64,
    /// Frames from the board with a wrong checksum or length.
    pub malformed: u64,
}

/// The running network, ended with this value.
pub(crate) struct Lan {
    cable: Arc<Cable>,
    address: SocketAddr,
}

struct Cable {
    /// Our end; QEMU's is at `qemu`.
    socket: UnixDatagram,
    qemu: PathBuf,
    board: Mutex<(Mac, Ipv4Addr)>,
    ports: Mutex<HashMap<u16, UdpSocket>>,
    dice: Mutex<Dice>,
    /// Frames on their way to the board that others are to overtake.
    late_in: Mutex<Late>,
    /// Those from the board.
    late_out: Mutex<Late>,
    ended: AtomicBool,
    to_board: AtomicU64,
    from_board: AtomicU64,
    malformed: AtomicU64,
}

/// The paths of the two ends in a board's folder: ours, then QEMU's.
pub(crate) fn ends(dir: &Path) -> (PathBuf, PathBuf) {
    (dir.join("cable"), dir.join("adapter"))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lan {
    /// Binds `host_port` (0: a free one) for the board's `guest_port`, and our
    /// end of the cable.
    pub(crate) fn start(
        dir: &Path,
        mac: Mac,
        host_port: u16,
        guest_port: u16,
        faults: Faults,
    ) -> Result<Self> {
        let (ours, qemu) = ends(dir);
        let socket = UnixDatagram::bind(&ours).map_err(Error::io("the board's cable"))?;
        socket
            .set_read_timeout(Some(TICK))
            .and_then(|()| socket.set_write_timeout(Some(PATIENCE)))
            .map_err(Error::io("the board's cable"))?;
        let cable = Arc::new(Cable {
            socket,
            qemu,
            board: Mutex::new((mac, BOARD)),
            ports: Mutex::default(),
            dice: Mutex::new(Dice::new(faults)),
            late_in: Mutex::default(),
            late_out: Mutex::default(),
            ended: AtomicBool::new(false),
            to_board: AtomicU64::new(0),
            from_board: AtomicU64::new(0),
            malformed: AtomicU64::new(0),
        });
        // From here on an error ends the threads, too.
        let mut lan = Self { cable, address: SocketAddr::from((Ipv4Addr::LOCALHOST, host_port)) };
        lan.address = lan.forward(host_port, guest_port)?;
        let cable = Arc::clone(&lan.cable);
        spawn(move || cable.from_board())?;
        Ok(lan)
    }

    /// Where the forwarded port is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Forwards one more port and returns where it is.
    pub(crate) fn forward(&self, host_port: u16, guest_port: u16) -> Result<SocketAddr> {
        let socket = open(&self.cable, host_port, guest_port)
            .map_err(Error::io("a UDP port of this host"))?;
        socket.local_addr().map_err(Error::io("a UDP port of this host"))
    }

    pub(crate) fn traffic(&self) -> Traffic {
        Traffic {
            to_board: self.cable.to_board.load(Relaxed),
            from_board: self.cable.from_board.load(Relaxed),
            malformed: self.cable.malformed.load(Relaxed),
        }
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        self.cable.ended.store(true, Relaxed);
    }
}

fn spawn(work: impl FnOnce() + Send + 'static) -> Result<()> {
    std::thread::Builder::new()
        .name("lan".to_owned())
        .spawn(work)
        .map(drop)
        .map_err(Error::io("a thread for the network"))
}

/// The socket for one of the board's ports, and the thread that takes what
/// comes in on it.
fn open(cable: &Arc<Cable>, host_port: u16, guest_port: u16) -> std::io::Result<UdpSocket> {
    let mut ports = lock(&cable.ports);
    if let Some(socket) = ports.get(&guest_port) {
        return socket.try_clone();
    }
    if ports.len() >= MAX_PORTS {
        return Err(std::io::Error::other("the board uses too many ports"));
    }
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, host_port))?;
    socket.set_read_timeout(Some(TICK))?;
    ports.insert(guest_port, socket.try_clone()?);
    let (own, cable) = (socket.try_clone()?, Arc::clone(cable));
    std::thread::Builder::new()
        .name("lan".to_owned())
        .spawn(move || cable.to_board(&own, guest_port))?;
    Ok(socket)
}

impl Cable {
    /// From the host's socket for `guest_port` to the board, until the end.
    fn to_board(&self, socket: &UdpSocket, guest_port: u16) {
        let mut buffer = [0; frame::MAX_PAYLOAD + 1];
        while !self.ended.load(Relaxed) {
            let Ok((length, SocketAddr::V4(from))) = socket.recv_from(&mut buffer) else {
                continue;
            };
            // What would have to be cut in fragments is lost.
            if length > frame::MAX_PAYLOAD {
                continue;
            }
            let (mac, ip) = *lock(&self.board);
            let datagram = Datagram {
                from: SocketAddrV4::new(GATEWAY, from.port()),
                to: SocketAddrV4::new(ip, guest_port),
                payload: buffer[..length].to_vec(),
            };
            self.to_board.fetch_add(1, Relaxed);
            self.put(datagram.frame(GATEWAY_MAC, mac));
        }
    }

    /// From the board to wherever it belongs, until the end.
    fn from_board(self: Arc<Self>) {
        let mut buffer = [0; 2048];
        while !self.ended.load(Relaxed) {
            let due = match self.socket.recv(&mut buffer) {
                Ok(length) => {
                    let overtakers = lock(&self.dice).overtakers();
                    lock(&self.late_out).pass(buffer[..length].to_vec(), overtakers)
                }
                // Nothing is left to overtake what is late.
                Err(_) => {
                    for frame in lock(&self.late_in).flush() {
                        self.deliver(frame);
                    }
                    lock(&self.late_out).flush()
                }
            };
            for frame in due {
                let Some(seen) = frame::parse(&frame) else {
                    self.malformed.fetch_add(1, Relaxed);
                    continue;
                };
                let copies = lock(&self.dice).copies();
                for _ in 0..copies {
                    self.take(&seen);
                }
            }
        }
    }

    fn take(self: &Arc<Self>, seen: &Seen) {
        match seen {
            Seen::ArpRequest { mac, ip, wanted } => {
                self.learn(*mac, *ip);
                if *wanted == GATEWAY {
                    self.put(frame::arp_reply(GATEWAY_MAC, GATEWAY, *mac, *ip));
                }
            }
            Seen::Udp { mac, datagram } => {
                if datagram.to.port() == 67 {
                    if let Some(reply) = frame::dhcp_reply(&datagram.payload, BOARD, GATEWAY, MASK)
                    {
                        self.put(reply.frame(GATEWAY_MAC, *mac));
                    }
                    return;
                }
                self.learn(*mac, *datagram.from.ip());
                self.from_board.fetch_add(1, Relaxed);
                if matches!(*datagram.to.ip(), GATEWAY | BROADCAST | Ipv4Addr::BROADCAST) {
                    let to = (Ipv4Addr::LOCALHOST, datagram.to.port());
                    if let Ok(socket) = open(self, 0, datagram.from.port()) {
                        // Nobody may be listening: that is the sender's risk.
                        let _ = socket.send_to(&datagram.payload, to);
                    }
                }
            }
            Seen::Other => {}
        }
    }

    /// Where the board is, so that nobody need ask it.
    fn learn(&self, mac: Mac, ip: Ipv4Addr) {
        if ip & MASK == GATEWAY & MASK && ip != GATEWAY {
            *lock(&self.board) = (mac, ip);
        }
    }

    /// Sends a frame to the board, or loses it, sooner or later.
    fn put(&self, frame: Vec<u8>) {
        let overtakers = lock(&self.dice).overtakers();
        let due = lock(&self.late_in).pass(frame, overtakers);
        for frame in due {
            self.deliver(frame);
        }
    }

    fn deliver(&self, mut frame: Vec<u8>) {
        let copies = {
            let mut dice = lock(&self.dice);
            dice.damage(&mut frame);
            dice.copies()
        };
        for _ in 0..copies {
            let _ = self.socket.send_to(&frame, &self.qemu);
        }
    }
}

#[cfg(test)]
mod tests;

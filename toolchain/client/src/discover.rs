//! Finding boards: HELLO to everybody, and an ear for beacons.
//!
//! Three ways at once, because each fails somewhere: a broadcast HELLO (limited,
//! and directed on every interface), a HELLO to each address the caller names
//! (a board on another subnet, or an emulated one behind a port forward), and
//! listening for beacons, which boards send while idle. Nothing heard here is
//! trusted: it is a list of addresses to dial, told apart by key fingerprint.

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use sk_wire::discovery::{Beacon, Hello, HelloReply};
use sk_wire::prelude::{PORT, Reason, State};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

/// A board that was heard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// Where it answers.
    pub address: SocketAddr,
    /// Short name of its key.
    pub fingerprint: [u8; 8],
    /// What it is doing.
    pub state: State,
    /// Why it is in FAULT.
    pub reason: Reason,
    /// Seconds since its boot.
    pub uptime_s: u32,
    /// Its name, when a beacon was heard.
    pub label: Option<String>,
    /// Memory for a task in KiB, when a beacon was heard.
    pub free_kib: Option<u32>,
    /// Clock in MHz, when a beacon was heard.
    pub mhz: Option<u16>,
}

/// Where and how long to look.
#[derive(Clone, Debug)]
pub struct Search {
    /// Addresses to ask besides the broadcast ones.
    pub targets: Vec<SocketAddr>,
    /// Ask by broadcast, and listen for beacons?
    pub broadcast: bool,
    /// When to stop.
    pub timeout: Duration,
    /// HELLO is repeated this often meanwhile.
    pub every: Duration,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            targets: Vec::new(),
            broadcast: true,
            timeout: Duration::from_millis(1500),
            every: Duration::from_millis(400),
        }
    }
}

/// Looks for boards until the time is over or `enough` says so, which is asked
/// after each board newly heard.
///
/// # Errors
/// When no socket can be opened at all.
pub fn search(
    search: &Search,
    mut enough: impl FnMut(&[Found]) -> bool,
) -> io::Result<Vec<Found>> {
    let asking = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    asking.set_broadcast(true)?;
    // The ear is optional: another program may hold the port for itself.
    let ear = if search.broadcast { beacon_socket().ok() } else { None };
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).map_err(|e| io::Error::other(e.to_string()))?;
    let hello = Hello::new(nonce).emit();

    let mut targets = search.targets.clone();
    if search.broadcast {
        targets.extend(broadcast_addresses());
    }
    let start = Instant::now();
    let mut next_hello = start;
    let mut found: BTreeMap<[u8; 8], Found> = BTreeMap::new();
    loop {
        let now = Instant::now();
        if now >= start + search.timeout {
            break;
        }
        if now >= next_hello {
            for target in &targets {
                // An interface without a route is no reason to give up on the others.
                let _ = asking.send_to(&hello, target);
            }
            next_hello = now + search.every;
        }
        let before = found.len();
        let wait = (next_hello.min(start + search.timeout) - now).min(Duration::from_millis(50));
        for datagram in receive(&asking, wait.max(Duration::from_millis(1)))? {
            if let Some(board) = from_reply(&datagram, &nonce) {
                merge(&mut found, board);
            }
        }
        if let Some(ear) = &ear {
            for datagram in receive(ear, Duration::from_millis(1))? {
                if let Some(board) = from_beacon(&datagram) {
                    merge(&mut found, board);
                }
            }
        }
        if found.len() > before {
            let list: Vec<Found> = found.values().cloned().collect();
            if enough(&list) {
                return Ok(list);
            }
        }
    }
    Ok(found.into_values().collect())
}

type Datagram = (Vec<u8>, SocketAddr);

/// Everything that is there, waiting at most `wait` for the first.
fn receive(socket: &UdpSocket, wait: Duration) -> io::Result<Vec<Datagram>> {
    let mut all = Vec::new();
    let mut buffer = [0; 2048];
    socket.set_read_timeout(Some(wait))?;
    // Bounded: a flood must not keep us here.
    for _ in 0..64 {
        match socket.recv_from(&mut buffer) {
            Ok((len, from)) => all.push((buffer[..len].to_vec(), from)),
            // ICMP errors of earlier sends surface here; they mean "nobody there".
            Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(_) => break,
        }
        socket.set_read_timeout(Some(Duration::from_millis(1)))?;
    }
    Ok(all)
}

fn from_reply((bytes, from): &Datagram, nonce: &[u8; 16]) -> Option<Found> {
    let reply = HelloReply::parse(bytes).filter(|r| r.client_nonce == *nonce)?;
    Some(Found {
        address: *from,
        fingerprint: reply.fingerprint,
        state: reply.state,
        reason: reply.reason,
        uptime_s: reply.uptime_s,
        label: None,
        free_kib: None,
        mhz: None,
    })
}

fn from_beacon((bytes, from): &Datagram) -> Option<Found> {
    let beacon = Beacon::parse(bytes)?;
    // Behind a port forward the port of the service is not the port that
    // reaches it; the address a beacon comes from always does.
    let address = if from.ip().is_loopback() {
        *from
    } else {
        SocketAddr::new(from.ip(), beacon.port)
    };
    Some(Found {
        address,
        fingerprint: beacon.fingerprint,
        state: beacon.state,
        reason: beacon.reason,
        uptime_s: beacon.uptime_s,
        label: Some(beacon.label.as_str().to_owned()).filter(|l| !l.is_empty()),
        free_kib: Some(beacon.free_kib),
        mhz: Some(beacon.mhz),
    })
}

/// A beacon adds what a reply does not say; a reply's address was seen to answer.
fn merge(found: &mut BTreeMap<[u8; 8], Found>, board: Found) {
    let Some(known) = found.get_mut(&board.fingerprint) else {
        found.insert(board.fingerprint, board);
        return;
    };
    if board.label.is_none() {
        known.address = board.address;
        known.state = board.state;
        known.reason = board.reason;
    } else {
        known.label = board.label;
        known.free_kib = board.free_kib;
        known.mhz = board.mhz;
    }
    known.uptime_s = known.uptime_s.max(board.uptime_s);
}

/// The beacon port, shared with whoever else listens.
fn beacon_socket() -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    #[cfg(unix)]
    socket.set_reuse_port(true)?;
    socket.bind(&SockAddr::from(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, PORT)))?;
    Ok(socket.into())
}

/// 255.255.255.255, and the directed broadcast of each interface that is up.
fn broadcast_addresses() -> Vec<SocketAddr> {
    let mut all = vec![SocketAddr::from((Ipv4Addr::BROADCAST, PORT))];
    for interface in if_addrs::get_if_addrs().unwrap_or_default() {
        if let if_addrs::IfAddr::V4(v4) = interface.addr
            && !v4.ip.is_loopback()
            && let Some(broadcast) = v4.broadcast
        {
            all.push(SocketAddr::new(IpAddr::V4(broadcast), PORT));
        }
    }
    all.dedup();
    all
}

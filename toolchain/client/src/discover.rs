//! Finding boards: HELLO to everybody, and an ear for beacons.
//!
//! Three ways at once, because each fails somewhere: a broadcast HELLO (limited,
//! and directed on every interface), a HELLO to each address the caller names
//! (a board on another subnet, or an emulated one behind a port forward), and
//! listening for beacons, which boards send while idle. Nothing heard here is
//! trusted: it is a list of addresses to dial, told apart by key fingerprint.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::{Duration, Instant};

use sk_wire::discovery::{Beacon, Hello, HelloReply};
use sk_wire::{PORT, Reason, State};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

/// Boards remembered in one search; what a flood claims beyond that is ignored.
const MOST: usize = 1024;

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
/// every few milliseconds with the boards heard so far and the time it took.
///
/// # Errors
/// When no socket can be opened at all.
pub fn search(
    search: &Search,
    mut enough: impl FnMut(&[Found], Duration) -> bool,
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
    targets.sort();
    targets.dedup();
    let start = Instant::now();
    let mut next_hello = Duration::ZERO;
    let mut found = Heard::default();
    loop {
        let now = start.elapsed();
        if now >= search.timeout {
            break;
        }
        if now >= next_hello {
            for target in &targets {
                // An interface without a route is no reason to give up on the others.
                let _ = asking.send_to(&hello, target);
            }
            next_hello = now + search.every;
        }
        let wait =
            next_hello.min(search.timeout).saturating_sub(now).min(Duration::from_millis(50));
        for datagram in receive(&asking, Some(wait.max(Duration::from_millis(1))))? {
            found.reply(&datagram, &nonce);
        }
        if let Some(ear) = &ear {
            for datagram in receive(ear, None)? {
                found.beacon(&datagram);
            }
        }
        if enough(&found.list(), start.elapsed()) {
            break;
        }
    }
    Ok(found.list())
}

type Datagram = (Vec<u8>, SocketAddr);

/// Everything that is there, waiting for the first if a time is given.
fn receive(socket: &UdpSocket, wait: Option<Duration>) -> io::Result<Vec<Datagram>> {
    let mut all = Vec::new();
    let mut buffer = [0; 2048];
    if let Some(wait) = wait {
        socket.set_nonblocking(false)?;
        socket.set_read_timeout(Some(wait))?;
        match socket.recv_from(&mut buffer) {
            Ok((len, from)) => all.push((buffer[..len].to_vec(), from)),
            // Time over, a signal, or an ICMP error of an earlier send.
            Err(e) if is_silence(&e) => return Ok(all),
            Err(e) => return Err(e),
        }
    }
    socket.set_nonblocking(true)?;
    // Bounded: a flood must not keep us here.
    for _ in 0..64 {
        match socket.recv_from(&mut buffer) {
            Ok((len, from)) => all.push((buffer[..len].to_vec(), from)),
            Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {}
            Err(_) => break,
        }
    }
    Ok(all)
}

/// Does the error only mean that nothing was received?
pub(crate) fn is_silence(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::WouldBlock
            | Kind::TimedOut
            | Kind::Interrupted
            | Kind::ConnectionRefused
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
    )
}

/// What was heard. Two addresses with one key are two entries: one of them may
/// be a liar, and only a handshake can tell which.
#[derive(Default)]
struct Heard(BTreeMap<([u8; 8], SocketAddr), Found>);

impl Heard {
    fn list(&self) -> Vec<Found> {
        self.0.values().cloned().collect()
    }

    fn reply(&mut self, (bytes, from): &Datagram, nonce: &[u8; 16]) {
        let Some(reply) = HelloReply::parse(bytes).filter(|r| r.client_nonce == *nonce) else {
            return;
        };
        let Some(entry) = self.entry(reply.fingerprint, *from) else { return };
        (entry.state, entry.reason, entry.uptime_s) = (reply.state, reply.reason, reply.uptime_s);
    }

    /// A beacon adds what a reply does not say.
    fn beacon(&mut self, (bytes, from): &Datagram) {
        let Some(beacon) = Beacon::parse(bytes) else { return };
        // Behind a port forward the port of the service is not the port that
        // reaches it; the address a beacon comes from always does.
        let address =
            if from.ip().is_loopback() { *from } else { SocketAddr::new(from.ip(), beacon.port) };
        let Some(entry) = self.entry(beacon.fingerprint, address) else { return };
        (entry.state, entry.reason, entry.uptime_s) =
            (beacon.state, beacon.reason, beacon.uptime_s);
        entry.label = Some(beacon.label.as_str().to_owned()).filter(|label| !label.is_empty());
        (entry.free_kib, entry.mhz) = (Some(beacon.free_kib), Some(beacon.mhz));
    }

    fn entry(&mut self, fingerprint: [u8; 8], address: SocketAddr) -> Option<&mut Found> {
        let key = (fingerprint, address);
        if self.0.len() >= MOST && !self.0.contains_key(&key) {
            return None;
        }
        Some(self.0.entry(key).or_insert_with(|| Found {
            address,
            fingerprint,
            state: State::Boot,
            reason: Reason::None,
            uptime_s: 0,
            label: None,
            free_kib: None,
            mhz: None,
        }))
    }
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
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use sk_wire::Label;

    fn beacon() -> Beacon {
        Beacon {
            state: State::Idle,
            flags: 0,
            port: 4000,
            boot_id: [1; 16],
            fingerprint: [2; 8],
            caps_digest: [0; 16],
            sequence: 1,
            uptime_s: 7,
            free_kib: 1024,
            mhz: 700,
            formats: 1,
            reason: Reason::None,
            label: Label::new("attic-1").unwrap(),
        }
    }

    fn reply(nonce: [u8; 16]) -> HelloReply {
        HelloReply {
            ver: 1,
            state: State::Running,
            flags: 0,
            client_nonce: nonce,
            boot_id: [1; 16],
            cookie: [3; 16],
            fingerprint: [2; 8],
            caps_digest: [0; 16],
            uptime_s: 9,
            free_in_ms: 5,
            reason: Reason::None,
        }
    }

    #[test]
    fn reply_and_beacon_make_one_entry() {
        let mut heard = Heard::default();
        let from: SocketAddr = "192.0.2.7:4000".parse().unwrap();
        heard.beacon(&(beacon().emit().to_vec(), "192.0.2.7:9".parse().unwrap()));
        heard.reply(&(reply([5; 16]).emit().to_vec(), from), &[5; 16]);
        let list = heard.list();
        assert_eq!(list.len(), 1);
        assert_eq!(list[0].address, from);
        assert_eq!((list[0].state, list[0].uptime_s), (State::Running, 9));
        assert_eq!(list[0].label.as_deref(), Some("attic-1"));
    }

    #[test]
    fn an_emulated_board_is_reached_where_its_beacon_comes_from() {
        let mut heard = Heard::default();
        let from: SocketAddr = "127.0.0.1:5001".parse().unwrap();
        heard.beacon(&(beacon().emit().to_vec(), from));
        assert_eq!(heard.list()[0].address, from);
    }

    #[test]
    fn an_answer_to_somebody_else_is_ignored_and_a_flood_is_bounded() {
        let mut heard = Heard::default();
        let from: SocketAddr = "192.0.2.7:4000".parse().unwrap();
        heard.reply(&(reply([5; 16]).emit().to_vec(), from), &[6; 16]);
        heard.reply(&(vec![0; 96], from), &[6; 16]);
        assert!(heard.list().is_empty());
        for port in 1..3000 {
            heard.reply(
                &(reply([5; 16]).emit().to_vec(), SocketAddr::new(from.ip(), port)),
                &[5; 16],
            );
        }
        assert_eq!(heard.list().len(), MOST);
    }

    #[test]
    fn a_board_on_this_host_is_found_at_its_address() {
        let board = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = board.local_addr().unwrap();
        let answering = std::thread::spawn(move || {
            let mut buffer = [0; 2048];
            let (len, from) = board.recv_from(&mut buffer).unwrap();
            let hello = Hello::parse(&buffer[..len]).unwrap();
            board.send_to(&reply(hello.client_nonce).emit(), from).unwrap();
        });
        let search_for = Search {
            targets: vec![address],
            broadcast: false,
            timeout: Duration::from_secs(5),
            ..Search::default()
        };
        let found = search(&search_for, |list, _| !list.is_empty()).unwrap();
        answering.join().unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].address, address);
    }
}

//! From what a user says to the one board that is meant.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

use sk_wire::{PORT, State};

use crate::discover::{Found, Search, search};
use crate::hex;
use crate::store::{Inventory, KnownBoard, StoreError};
use crate::{Client, Error};

/// How long a board that was named is waited for.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long to listen for a second idle board before the first is taken: HELLO
/// goes out twice meanwhile, and a board answers within 50 ms.
const SETTLE: Duration = Duration::from_millis(700);

/// Which board.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Selector {
    /// The only one that is idle and known.
    #[default]
    Any,
    /// The only one that is known, whatever it does.
    Known,
    /// The one of this name.
    Name(String),
    /// The one with this key.
    Fingerprint([u8; 8]),
    /// The one that answers here.
    Address(SocketAddr),
}

impl Selector {
    /// Reads `NAME`, `FINGERPRINT` (16 hexadecimal digits) or `ADDRESS` (an
    /// IPv4 address or host name, with or without a port). Asks the resolver
    /// for host names.
    ///
    /// # Errors
    /// When a host name does not resolve.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if let Some(fingerprint) = hex::decode(text) {
            return Ok(Self::Fingerprint(fingerprint));
        }
        // Names of boards have neither.
        if text.contains(['.', ':']) || text == "localhost" {
            return address(text).map(Self::Address);
        }
        Ok(Self::Name(text.into()))
    }

    const fn is_open(&self) -> bool {
        matches!(self, Self::Any | Self::Known)
    }

    fn accepts(&self, sighting: &Sighting) -> bool {
        match self {
            Self::Any | Self::Known => true,
            Self::Name(name) => sighting.name() == Some(name),
            Self::Fingerprint(fingerprint) => sighting.found.fingerprint == *fingerprint,
            Self::Address(address) => sighting.found.address == *address,
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any | Self::Known => f.write_str("at all"),
            Self::Name(name) => write!(f, "named {name}"),
            Self::Fingerprint(fingerprint) => {
                write!(f, "with the key {}", hex::encode(fingerprint))
            }
            Self::Address(address) => write!(f, "at {address}"),
        }
    }
}

/// An IPv4 address or host name, with or without a port.
fn address(text: &str) -> Result<SocketAddr, Error> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if let Ok(ip) = text.parse::<Ipv4Addr>() {
        return Ok(SocketAddr::from((ip, PORT)));
    }
    let resolved =
        if text.contains(':') { text.to_socket_addrs() } else { (text, PORT).to_socket_addrs() };
    resolved.into_iter().flatten().find(SocketAddr::is_ipv4).ok_or_else(|| Error::NotFound {
        wanted: format!("at {text}, which is no address,"),
        waited: Duration::ZERO,
        heard: Vec::new(),
    })
}

/// A board that was heard, and whether it is one of ours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sighting {
    /// What was heard.
    pub found: Found,
    /// The record of the board with this key.
    pub known: Option<KnownBoard>,
}

impl Sighting {
    /// The name on record, else the one it gives itself (which proves nothing).
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.known.as_ref().map(|board| board.name.as_str()).or(self.found.label.as_deref())
    }

    /// In a few words.
    #[must_use]
    pub fn describe(&self) -> String {
        let name = self.name().map_or_else(|| hex::encode(&self.found.fingerprint), str::to_owned);
        let trust = if self.known.is_some() { "" } else { ", unknown" };
        format!("{name} at {} ({}{trust})", self.found.address, self.found.state.text())
    }
}

/// A board that can be dialled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Board {
    /// Its record.
    pub known: KnownBoard,
    /// Where it was heard.
    pub address: SocketAddr,
    /// What it was doing then.
    pub state: State,
}

impl Board {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.known.name
    }
}

impl Client {
    /// Everybody who answers within `timeout`, known or not.
    ///
    /// # Errors
    /// When no socket can be opened, or the store's folder not read; boards on
    /// record that cannot be read count as unknown.
    pub fn scan(&self, timeout: Duration) -> Result<Vec<Sighting>, Error> {
        let inventory = self.store.boards()?;
        let found = search(&self.search(timeout), |_, _| self.stopped()).map_err(Error::Socket)?;
        Ok(sightings(found, &inventory))
    }

    /// The board that `selector` means.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Unknown`], [`Error::Ambiguous`],
    /// [`Error::NoneIdle`], [`Error::Fault`].
    pub fn find(&self, selector: &Selector) -> Result<Board, Error> {
        let inventory = self.store.boards()?;
        if let Selector::Name(name) = selector
            && let Err(damaged @ StoreError::Damaged { .. }) = self.store.board(name)
        {
            return Err(damaged.into());
        }
        let mut wanted = self.search(PATIENCE);
        if let Selector::Address(address) = selector {
            wanted.targets = vec![*address];
            wanted.broadcast = false;
        }
        let start = Instant::now();
        let enough = |found: &[Found], time: Duration| {
            self.stopped()
                || self.is_enough(
                    selector,
                    &sightings(found.to_vec(), &inventory),
                    &inventory,
                    time,
                )
        };
        let found = search(&wanted, enough).map_err(Error::Socket)?;
        if self.stopped() {
            return Err(Error::Interrupted { how: crate::Aborted::BeforeStart });
        }
        choose(selector, sightings(found, &inventory), start.elapsed())
    }

    fn search(&self, timeout: Duration) -> Search {
        Search {
            targets: self.targets.clone(),
            broadcast: self.broadcast,
            timeout,
            ..Search::default()
        }
    }

    fn is_enough(
        &self,
        selector: &Selector,
        all: &[Sighting],
        inventory: &Inventory,
        time: Duration,
    ) -> bool {
        if !selector.is_open() {
            // A stranger that bears the name must not end the search.
            return all.iter().any(|s| {
                selector.accepts(s)
                    && (s.known.is_some() || matches!(selector, Selector::Address(_)))
            });
        }
        let heard = |board: &&KnownBoard| all.iter().any(|s| s.known.as_ref() == Some(*board));
        let fits = |s: &Sighting| s.found.state == State::Idle || *selector == Selector::Known;
        let one = all.iter().any(|s| s.known.is_some() && fits(s));
        let everybody = !inventory.boards.is_empty()
            && inventory.boards.iter().filter(heard).count() == inventory.boards.len();
        one && (everybody || time >= SETTLE)
    }
}

fn sightings(found: Vec<Found>, inventory: &Inventory) -> Vec<Sighting> {
    let mut all: Vec<Sighting> = found
        .into_iter()
        .map(|found| Sighting {
            known: inventory.by_fingerprint(&found.fingerprint).cloned(),
            found,
        })
        .collect();
    all.sort_by(|a, b| {
        (a.known.is_none(), a.name(), a.found.address).cmp(&(
            b.known.is_none(),
            b.name(),
            b.found.address,
        ))
    });
    all
}

/// The one board among those heard, or why there is none.
fn choose(selector: &Selector, all: Vec<Sighting>, waited: Duration) -> Result<Board, Error> {
    let heard: Vec<String> = all.iter().map(Sighting::describe).collect();
    let mut fitting: Vec<Sighting> = all.into_iter().filter(|s| selector.accepts(s)).collect();
    if fitting.is_empty() {
        return Err(Error::NotFound { wanted: selector.to_string(), waited, heard });
    }
    let stranger = fitting
        .first()
        .map(|s| (s.found.fingerprint, s.found.address, s.found.state, s.found.reason));
    fitting.retain(|s| s.known.is_some());
    let mut ours: Vec<Board> = fitting.iter().filter_map(board).collect();
    if let (true, Some((fingerprint, address, state, reason))) = (ours.is_empty(), stranger) {
        // Without a configuration a board has no key that anybody could know.
        if state == State::Fault && !selector.is_open() {
            return Err(Error::Fault { board: format!("the board at {address}"), reason });
        }
        return Err(Error::Unknown { fingerprint, address });
    }
    if selector.is_open() {
        let boards = fitting.iter().map(Sighting::describe).collect();
        ours.retain(|board| board.state == State::Idle || *selector == Selector::Known);
        let mut names: Vec<String> = ours.iter().map(|board| board.known.name.clone()).collect();
        names.dedup();
        if names.len() > 1 {
            return Err(Error::Ambiguous { names });
        }
        return ours.into_iter().next().ok_or(Error::NoneIdle { boards });
    }
    // An idle one first, should a board be heard at two addresses.
    ours.sort_by_key(|board| board.state != State::Idle);
    let reason = fitting.first().map(|s| s.found.reason).unwrap_or_default();
    match ours.into_iter().next() {
        Some(board) if board.state == State::Fault => {
            Err(Error::Fault { board: board.known.name, reason })
        }
        Some(board) => Ok(board),
        None => Err(Error::NotFound { wanted: selector.to_string(), waited, heard }),
    }
}

fn board(sighting: &Sighting) -> Option<Board> {
    let known = sighting.known.clone()?;
    Some(Board { known, address: sighting.found.address, state: sighting.found.state })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sk_wire::Reason;

    fn known(name: &str, key: u8) -> KnownBoard {
        KnownBoard { name: name.into(), noise_pk: [key; 32], psk: [1; 32] }
    }

    fn heard(board: &KnownBoard, port: u16, state: State) -> Found {
        Found {
            address: SocketAddr::from(([127, 0, 0, 1], port)),
            fingerprint: board.fingerprint(),
            state,
            reason: Reason::None,
            uptime_s: 1,
            label: None,
            free_kib: None,
            mhz: None,
        }
    }

    fn pick(selector: &str, found: Vec<Found>, boards: Vec<KnownBoard>) -> Result<Board, Error> {
        let selector =
            if selector.is_empty() { Selector::Any } else { Selector::parse(selector).unwrap() };
        choose(
            &selector,
            sightings(found, &Inventory { boards, damaged: Vec::new() }),
            Duration::from_secs(1),
        )
    }

    #[test]
    fn selectors_are_told_apart() {
        assert_eq!(Selector::parse("attic-1").unwrap(), Selector::Name("attic-1".into()));
        assert_eq!(
            Selector::parse("0011223344556677").unwrap(),
            Selector::Fingerprint([0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77])
        );
        assert_eq!(
            Selector::parse("10.0.0.1").unwrap(),
            Selector::Address(([10, 0, 0, 1], PORT).into())
        );
        assert_eq!(
            Selector::parse("10.0.0.1:7").unwrap(),
            Selector::Address(([10, 0, 0, 1], 7).into())
        );
        let error = Selector::parse("no.such.host.invalid").unwrap_err();
        assert_eq!(error.exit_code(), 127);
        assert!(error.to_string().contains("no.such.host.invalid"), "{error}");
    }

    #[test]
    fn the_only_idle_board_is_taken() {
        let (a, b) = (known("a", 1), known("b", 2));
        let found = vec![heard(&a, 1, State::Running), heard(&b, 2, State::Idle)];
        assert_eq!(pick("", found, vec![a, b]).unwrap().name(), "b");
    }

    #[test]
    fn several_idle_boards_are_named() {
        let (a, b) = (known("a", 1), known("b", 2));
        let found = vec![heard(&a, 1, State::Idle), heard(&b, 2, State::Idle)];
        let error = pick("", found, vec![a, b]).unwrap_err();
        assert_eq!(error.to_string(), "2 boards could be meant: a, b");
        assert_eq!(error.help().unwrap(), "choose one: --board a");
    }

    #[test]
    fn the_only_known_board_may_be_busy() {
        let a = known("a", 1);
        let all = sightings(
            vec![heard(&a, 1, State::Running)],
            &Inventory { boards: vec![a], damaged: Vec::new() },
        );
        assert_eq!(choose(&Selector::Known, all, Duration::ZERO).unwrap().name(), "a");
    }

    #[test]
    fn busy_boards_are_listed() {
        let a = known("a", 1);
        let error = pick("", vec![heard(&a, 1, State::Running)], vec![a]).unwrap_err();
        assert_eq!(error.to_string(), "no board is idle: a at 127.0.0.1:1 (running)");
    }

    #[test]
    fn a_stranger_is_refused_whatever_it_calls_itself() {
        let stranger = known("x", 9);
        let mut found = heard(&stranger, 7, State::Idle);
        found.label = Some("attic-1".into());
        for selector in ["", "attic-1", "127.0.0.1:7"] {
            let error = pick(selector, vec![found.clone()], Vec::new()).unwrap_err();
            assert!(matches!(error, Error::Unknown { .. }), "{selector}: {error}");
            assert!(error.to_string().ends_with("at 127.0.0.1:7 is not known here"), "{error}");
            assert_eq!(error.exit_code(), 125);
        }
        // The real one wins over it.
        let real = known("attic-1", 1);
        let both = vec![found, heard(&real, 8, State::Idle)];
        assert_eq!(pick("attic-1", both, vec![real]).unwrap().address.port(), 8);
    }

    #[test]
    fn a_board_in_fault_says_why() {
        let mut found = heard(&known("x", 9), 7, State::Fault);
        found.reason = Reason::NoBlob;
        let error = pick("127.0.0.1:7", vec![found], Vec::new()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the board at 127.0.0.1:7 runs no tasks: no configuration was loaded beside the kernel"
        );
        assert_eq!(error.exit_code(), 125);
    }

    #[test]
    fn silence_is_127() {
        let error = pick("attic-1", Vec::new(), Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "no board named attic-1 was found in 1.0 s");
        assert_eq!(error.exit_code(), 127);
        let a = known("a", 1);
        let error = pick("b", vec![heard(&a, 1, State::Idle)], vec![a]).unwrap_err();
        assert_eq!(error.help().unwrap(), "heard instead: a at 127.0.0.1:1 (idle)");
    }
}

//! The board's end of SKP/1, sans-IO.
//!
//! The kernel hands every datagram for its port to [`Server::receive`], which
//! decrypts in place and does only what is cheap; calls [`Server::poll`] for
//! the rest, one bounded step a call (one key agreement, or 16 KiB of digest,
//! or timers); and sends what [`Server::transmit`] gives until that is `None`.
//! To receive everything there is before polling lets one ACK stand for many
//! chunks. There is no allocation, no retransmission timer and no error
//! datagram: what cannot be authenticated is dropped and counted.

mod admission;
mod answers;
pub mod board;
mod discovery;
mod output;
mod requests;
mod sessions;

use heapless::Deque;
use sk_abi::Status;
use sk_hal::Entropy;
use sk_wire::blob::Config;
use sk_wire::control::Phase;
use sk_wire::frames::{Frame, Frames};
use sk_wire::manifest::TaskId;
use sk_wire::{BootId, Datagram, PORT, Prologue, Reason, State, VERSION};

use crate::base::{Destination, Endpoint, MS, Micros, earliest};
use crate::cookie::CookieJar;
use crate::keys::StaticKey;
use crate::tasks::{Change, Limits, Tasks};
use crate::transport::{REJECT_AGE_US, Transport};

use admission::{About, Admissions, Progress};
use discovery::Discovery;
use output::Feed;
use sessions::{Gone, Pending, Session, Sessions};

pub use board::{Board, Ending, Facts, TaskState};

/// Something worth a line on the UART or a change of the LED.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// A client proved that it holds its keys.
    SessionUp {
        /// Its number in the configuration.
        client: u8,
        /// Its address.
        from: Endpoint,
        /// From its first message to the proof, us.
        took: Micros,
    },
    /// A session was closed, replaced or lost.
    SessionDown {
        /// The client's number in the configuration.
        client: u8,
    },
    /// Somebody without a valid key, counter or reason tried.
    Denied,
    /// A task was accepted; image and input are awaited.
    Accepted {
        /// The task.
        task: TaskId,
        /// Its owner's number in the configuration.
        client: u8,
    },
    /// Everything is checked and loaded; the payload runs.
    Started(TaskId),
    /// The task has its receipt.
    Ended(TaskId, Status),
    /// The board is ready for the next task.
    Idle,
}

/// Counters, since boot.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counters {
    /// Datagrams dropped without effect.
    pub dropped: u32,
    /// Handshakes refused after their cookie was right.
    pub denied: u32,
    /// Frames of clients that made no sense.
    pub bad_frames: u32,
    /// Key agreements spent on handshakes.
    pub agreements: u32,
}

/// The engine. About 20 KiB; belongs into static memory.
pub struct Server<'c> {
    config: Option<&'c Config>,
    reason: Reason,
    failing: bool,
    identity: StaticKey,
    boot_id: BootId,
    address_valid: bool,
    flags: u8,
    credit: u16,
    cookies: CookieJar,
    admissions: Admissions,
    sessions: Sessions,
    discovery: Discovery,
    tasks: Tasks,
    feed: Feed,
    events: Deque<Event, 8>,
    counters: Counters,
}

/// A board as a source of randomness.
struct Dice<'b, B>(&'b mut B);

impl<B: Board> Entropy for Dice<'_, B> {
    fn fill(&mut self, out: &mut [u8]) -> bool {
        self.0.random(out)
    }
}

impl<'c> Server<'c> {
    /// An engine for one boot. Without a configuration, or with a `reason`
    /// other than `None`, it stays in FAULT: it announces itself with the
    /// reason, answers HELLO, and neither opens sessions nor runs anything.
    ///
    /// `identity` is the board's Noise key; `boot_id` is drawn at random per boot.
    #[must_use]
    pub const fn new(
        config: Option<&'c Config>,
        reason: Reason,
        identity: StaticKey,
        boot_id: BootId,
    ) -> Self {
        let (config, reason) = match (config, reason) {
            (None, Reason::None) => (None, Reason::NoBlob),
            (Some(config), Reason::None) => (Some(config), Reason::None),
            (_, reason) => (None, reason),
        };
        let limits = match config {
            Some(config) => Limits::of(&config.policy),
            None => Limits::DEFAULT,
        };
        Server {
            config,
            reason,
            failing: false,
            identity,
            boot_id,
            address_valid: false,
            flags: 0,
            credit: 32,
            cookies: CookieJar::new(),
            admissions: Admissions::new(),
            sessions: Sessions::new(),
            discovery: Discovery::new(),
            tasks: Tasks::new(boot_id, limits),
            feed: Feed::new(),
            events: Deque::new(),
            counters: Counters { dropped: 0, denied: 0, bad_frames: 0, agreements: 0 },
        }
    }

    /// There is (no) address to be reached at; no beacon before.
    pub fn set_address_valid(&mut self, valid: bool) {
        self.address_valid = valid;
    }

    /// `FLAG_*` bits of BEACON and HELLO_REPLY ([`sk_wire::discovery`]).
    pub fn set_flags(&mut self, flags: u8) {
        self.flags = flags;
    }

    /// Datagrams the receive ring has room for; 32 unless said otherwise.
    pub fn set_credit(&mut self, credit: u16) {
        self.credit = credit.max(1);
    }

    /// What strangers are told.
    #[must_use]
    pub fn state(&self) -> State {
        match self.phase() {
            _ if self.failing => State::Panic,
            Phase::Fault => State::Fault,
            Phase::Idle | Phase::Done if self.address_valid => State::Idle,
            Phase::Idle | Phase::Done => State::Boot,
            Phase::Receiving | Phase::Verifying | Phase::Loading => State::Reserved,
            Phase::Running | Phase::Replying | Phase::Scrub => State::Running,
        }
    }

    /// Where the board is in the life of a task.
    #[must_use]
    pub fn phase(&self) -> Phase {
        if self.config.is_some() { self.tasks.phase() } else { Phase::Fault }
    }

    /// The kernel is broken and about to reset the board: no session is opened
    /// and nothing is run any more, and three beacons, 50 ms apart, tell of it.
    pub fn fail(&mut self, now: Micros, reason: Reason) {
        (self.config, self.reason, self.failing) = (None, reason, true);
        self.discovery.set_state(now, self.state(), self.address_valid);
    }

    /// Counters since boot.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters { agreements: self.admissions.agreements, ..self.counters }
    }

    /// The next thing worth a line; the oldest are lost when nobody asks.
    pub fn event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn tell(&mut self, event: Event) {
        if self.events.is_full() {
            self.events.pop_front();
        }
        // Cannot fail: there is room now.
        let _ = self.events.push_back(event);
    }

    fn port(&self) -> u16 {
        self.config.map_or(PORT, |config| config.net.port)
    }

    /// Takes in a datagram that came for the service port. `broadcast`: it was
    /// sent to everybody. The cheap part only; the bytes are decrypted in place.
    pub fn receive(
        &mut self,
        now: Micros,
        from: Endpoint,
        broadcast: bool,
        datagram: &mut [u8],
        board: &mut impl Board,
    ) {
        let used = match Datagram::parse(datagram) {
            Some(Datagram::Hello(hello)) => {
                self.discovery.hello(now, from, broadcast, hello, &mut Dice(board))
            }
            Some(Datagram::HsInit(init)) if !broadcast => self.handshake(now, from, &init),
            Some(Datagram::Data(_)) if !broadcast => {
                self.data(now, from, datagram, board).is_some()
            }
            _ => false,
        };
        if !used {
            self.counters.dropped = self.counters.dropped.saturating_add(1);
        }
    }

    fn handshake(&mut self, now: Micros, from: Endpoint, init: &sk_wire::HsInit) -> bool {
        if self.config.is_none() || !self.address_valid {
            return false;
        }
        let Some(cookie) = self.cookies.check(from.into(), init) else { return false };
        let prologue = Prologue {
            ver: VERSION,
            ver_min: VERSION,
            ver_max: VERSION,
            client_nonce: init.client_nonce,
            cookie,
            boot_id: self.boot_id,
            caps_digest: [0; 16],
        };
        self.admissions.receive(now, from, &self.identity, &prologue, init)
    }

    fn data(
        &mut self,
        now: Micros,
        from: Endpoint,
        datagram: &mut [u8],
        board: &mut impl Board,
    ) -> Option<()> {
        let owner = self.tasks.active().map(|(_, client)| client);
        let opened = self.sessions.open(now, from, datagram, owner)?;
        self.drop_session(opened.gone);
        let id = opened.id;
        let (client, roles, knocked) = self
            .sessions
            .get(id)
            .map(|session| (session.client, session.roles, session.knocked))?;
        if opened.up {
            let took = now.saturating_sub(knocked);
            self.tell(Event::SessionUp { client, from, took });
        }
        self.tasks.heard(now, client);
        let text = datagram.get(Transport::HEADER..)?.get(..opened.len)?;
        for frame in Frames::new(text) {
            let fine = match frame {
                Ok(Frame::Put { object, offset, bytes }) => {
                    self.feed.uploader = id;
                    self.tasks.put(now, board, client, object, offset, bytes)
                }
                Ok(Frame::Ctrl(body)) => self.request(now, board, id, client, roles, body),
                Ok(Frame::Pad) => true,
                Ok(Frame::Ack(_) | Frame::Chunk { .. } | Frame::Event(_)) | Err(_) => false,
            };
            if !fine {
                self.counters.bad_frames = self.counters.bad_frames.saturating_add(1);
            }
        }
        Some(())
    }

    /// Clears up after a session. A silent owner is the task's own business
    /// (it may come back in another session), so nothing is ended here.
    fn drop_session(&mut self, gone: Option<Gone>) {
        if let Some(gone) = gone {
            self.feed.forget(gone.id);
            self.tell(Event::SessionDown { client: gone.client });
        }
    }

    /// One bounded step of whatever there is to do; `true` = call again soon.
    pub fn poll(&mut self, now: Micros, board: &mut impl Board) -> bool {
        let healthy = self.cookies.rotate(now, &mut Dice(board));
        if !healthy && self.reason == Reason::None {
            // No good randomness: no keys, no sessions, and it is said so.
            (self.config, self.reason) = (None, Reason::Rng);
        }
        for (_, upload) in self.tasks.uploads() {
            upload.queue_empty();
        }
        let gone = self.sessions.expire(now);
        self.drop_session(gone);
        let agreed = self.admit(now, board);
        if !agreed || !self.tasks.has_work() {
            self.advance(now, board);
        }
        self.settle();
        self.discovery.set_state(now, self.state(), self.address_valid);
        self.admissions.has_work() || self.tasks.has_work()
    }

    /// One key agreement, if one is wanted.
    fn admit(&mut self, now: Micros, board: &mut impl Board) -> bool {
        let Some(config) = self.config else { return false };
        let about = About {
            boot_id: self.boot_id,
            caps_digest: [0; 16],
            state: self.state(),
            window: self.credit,
            session_ms: u32::try_from(REJECT_AGE_US / MS).unwrap_or(u32::MAX),
            owner: self.tasks.active().map(|(_, client)| client),
        };
        let Some(index) = self.new_index(board) else { return false };
        match self.admissions.step(&self.identity, config, &about, index, &mut Dice(board)) {
            Progress::Nothing => {
                self.phase() == Phase::Idle && self.admissions.prepare(&mut Dice(board))
            }
            Progress::Working => true,
            Progress::Denied => {
                self.counters.denied = self.counters.denied.saturating_add(1);
                self.tell(Event::Denied);
                true
            }
            Progress::Done(done) => {
                let transport = Transport::new(done.keys, index, done.resp.receiver_index, now);
                let mut session = Session::new(transport, done.from, done.client, done.roles, now);
                session.knocked = done.since;
                self.sessions.pend(Pending { session, resp: done.resp.emit(), unsent: true });
                true
            }
        }
    }

    /// A name for a session that no other has.
    fn new_index(&self, board: &mut impl Board) -> Option<u32> {
        if !self.admissions.has_work() {
            return Some(0);
        }
        let mut bytes = [0; 4];
        let index = board.random(&mut bytes).then(|| u32::from_le_bytes(bytes))?;
        (!self.sessions.is_taken(index)).then_some(index)
    }

    fn advance(&mut self, now: Micros, board: &mut impl Board) {
        let event = match self.tasks.step(now, board) {
            Some(Change::Started(task)) => Event::Started(task),
            Some(Change::Ended(task, status)) => {
                self.feed.ended(task);
                Event::Ended(task, status)
            }
            Some(Change::Idle) => Event::Idle,
            None => return,
        };
        self.tell(event);
    }

    /// The next time something happens by itself. Later datagrams, and the end
    /// of a task, are for the kernel to notice.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Micros> {
        let mut at = self.discovery.next_deadline();
        earliest(&mut at, self.sessions.next_deadline());
        earliest(&mut at, self.tasks.next_deadline());
        at
    }

    /// Writes the next datagram to be sent into `out`, which must have room for
    /// [`sk_wire::MAX_DATAGRAM`] bytes: where it goes and how long it is.
    pub fn transmit(
        &mut self,
        now: Micros,
        board: &mut impl Board,
        out: &mut [u8],
    ) -> Option<(Destination, usize)> {
        if out.len() < sk_wire::MAX_DATAGRAM {
            return None;
        }
        self.transmit_response(out)
            .or_else(|| self.transmit_session(now, board, out))
            .or_else(|| self.transmit_reply(now, board, out))
            .or_else(|| self.transmit_beacon(now, board, out))
    }
}

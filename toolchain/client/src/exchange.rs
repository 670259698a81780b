//! The engine and its socket: one job with one board.
//!
//! The socket is connected, so that the system drops what does not come from
//! the board's address. Errors of sending are kept, not acted on: an
//! unreachable network heals, or the engine's patience ends.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use sk_session::client::{
    Client as Engine, ClientError, ClientEvent, Credentials, Doing, Job, Params,
};
use sk_session::keys::StaticKey;
use sk_wire::{MAX_DATAGRAM, Roles};

use crate::discover::is_silence;
use crate::store::{Counters, random};
use crate::{Aborted, Board, Client, Error};

/// The stop flag is looked at this often.
const GLANCE: Duration = Duration::from_millis(50);
/// How long a board has to confirm an abort.
const GRACE: Duration = Duration::from_secs(3);
/// How long the last output of an interrupted task is waited for.
const LAST_OUTPUT: Duration = Duration::from_millis(500);
/// Datagrams taken in before the engine may answer: one ACK for many.
const BATCH: usize = 32;
/// The longest datagram a board may send, and one more to notice longer ones.
const ROOM: usize = MAX_DATAGRAM + 1;

/// What is done with an event.
pub(crate) enum Verdict {
    Continue,
    /// End the task; its receipt is still waited for.
    Abort,
}

/// How an exchange went.
pub(crate) enum Outcome {
    /// The engine said all it had to say.
    Done,
    /// It failed.
    Failed(Error),
}

impl Client {
    /// Does `job` with `board`, telling `on_event` everything but a failure.
    pub(crate) fn exchange(
        &self,
        board: &Board,
        roles: Roles,
        counters: Counters,
        job: Job<'_>,
        on_event: &mut dyn FnMut(ClientEvent<'_>) -> Verdict,
    ) -> Result<Outcome, Error> {
        let credentials = Credentials {
            key: StaticKey::from_secret(self.store.client_secret()?),
            psk: board.known.psk,
            board: board.known.noise_pk,
            roles,
        };
        let params = Params {
            credentials,
            hs_counter: counters.handshake,
            seed: random()?,
            patience: self.patience,
        };
        let is_task = matches!(job, Job::Run(_));
        let mut engine = match Engine::new(params, job) {
            // 70 KiB: off the stack.
            Ok(engine) => Box::new(engine),
            Err(error) => return Err(Error::of(error, board, None, is_task)),
        };
        let mut wire = Wire::open(board.address).map_err(Error::Socket)?;
        let mut abort_since: Option<Instant> = None;
        let mut failed: Option<ClientError> = None;
        let mut aborting = false;
        loop {
            if self.stopped() || aborting {
                let since = *abort_since.get_or_insert_with(|| {
                    engine.abort();
                    Instant::now()
                });
                let dropping = aborting || since.elapsed() > LAST_OUTPUT;
                if dropping && engine.doing() == Doing::Collecting {
                    // Once more: the task has ended, its output is not wanted.
                    engine.abort();
                }
                if since.elapsed() > GRACE || !is_task {
                    let how = if is_task { Aborted::Unconfirmed } else { Aborted::BeforeStart };
                    return Ok(Outcome::Failed(Error::Interrupted { how }));
                }
            }
            let now = wire.now();
            engine.poll(now);
            while let Some(len) = engine.transmit(now, &mut wire.buffer) {
                wire.send(len);
            }
            while let Some(event) = engine.event() {
                match event {
                    ClientEvent::Failed(error) => failed = Some(error),
                    event => aborting |= matches!(on_event(event), Verdict::Abort),
                }
            }
            if engine.is_done() {
                break;
            }
            let wake = engine
                .next_deadline(now)
                .map_or(GLANCE, |at| Duration::from_micros(at.saturating_sub(now)));
            wire.receive(wake.min(GLANCE), |now, datagram| engine.receive(now, datagram))
                .map_err(Error::Socket)?;
        }
        Ok(match failed {
            Some(error) => Outcome::Failed(Error::of(error, board, wire.trouble, is_task)),
            None => Outcome::Done,
        })
    }
}

struct Wire {
    socket: UdpSocket,
    start: Instant,
    buffer: [u8; ROOM],
    /// What the system said about sending, last.
    trouble: Option<io::Error>,
}

impl Wire {
    fn open(address: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect(address)?;
        Ok(Self { socket, start: Instant::now(), buffer: [0; ROOM], trouble: None })
    }

    /// Microseconds since the socket was opened.
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn send(&mut self, len: usize) {
        let Some(datagram) = self.buffer.get(..len) else { return };
        match self.socket.send(datagram) {
            Ok(_) => {}
            // A full buffer loses a datagram as the network does.
            Err(e)
                if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(e) => self.trouble = Some(e),
        }
    }

    /// Hands over what has come, waiting at most `wait` for the first.
    fn receive(&mut self, wait: Duration, mut take: impl FnMut(u64, &mut [u8])) -> io::Result<()> {
        // Zero would mean for ever.
        self.socket.set_read_timeout(Some(wait.max(Duration::from_micros(100))))?;
        for n in 0..BATCH {
            match self.socket.recv(&mut self.buffer) {
                Ok(len) => {
                    self.trouble = None;
                    let now = self.now();
                    if let Some(datagram) = self.buffer.get_mut(..len) {
                        take(now, datagram);
                    }
                }
                Err(e) if is_silence(&e) => {
                    if !matches!(
                        e.kind(),
                        io::ErrorKind::WouldBlock
                            | io::ErrorKind::TimedOut
                            | io::ErrorKind::Interrupted
                    ) {
                        self.trouble = Some(e);
                        // "Nobody here" comes at once: no busy loop.
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    break;
                }
                Err(e) => return Err(e),
            }
            if n == 0 {
                self.socket.set_nonblocking(true)?;
            }
        }
        self.socket.set_nonblocking(false)
    }
}

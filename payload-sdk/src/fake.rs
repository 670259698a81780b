//! A kernel in memory, for `cargo test` of a payload.
//!
//! ```
//! use payload_sdk::{Error, Kernel, fake::{End, Fake}};
//!
//! fn run(k: &Kernel) -> Result<(), Error> {
//!     let name = k.args().next().ok_or("whom?")?;
//!     writeln!(k.output(), "hello {name}")?;
//!     Ok(())
//! }
//!
//! let report = Fake::new().args(["you"]).run(run);
//! assert_eq!(report.end, End::Exit(0));
//! assert_eq!(report.output, b"hello you\n");
//! ```
//!
//! It keeps the rules of the real one that a test can depend on: the output's
//! limit ends the task, time passes only when the payload sleeps or (by
//! [`Fake::tick`]) asks for it, a deadline that is over ends the task at its
//! next call, the log is cut. Memory is the host's.

use crate::{IntoCode, Kernel};
use sk_abi::net::{self, Addresses, Neighbour, NetError, UdpInfo, UdpPeer};
use sk_abi::{TaskInfo, task};
use std::any::Any;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddrV4;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// How the payload ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    /// It returned or called `exit`.
    Exit(i32),
    /// It called `abort`.
    Aborted(String),
    /// It panicked, with this message.
    Panicked(String),
    /// It wrote more than the output has room for.
    OutputLimit,
    /// Its time was over.
    Deadline,
}

/// What a run left behind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// How it ended.
    pub end: End,
    /// The stream of results.
    pub output: Vec<u8>,
    /// The error stream.
    pub error: Vec<u8>,
    /// Lines for the board's log.
    pub log: Vec<String>,
    /// Signs of life given.
    pub beats: u32,
    /// Microseconds from start to end.
    pub elapsed_us: u64,
    /// Datagrams sent: where to and from which port, and their bytes.
    pub sent: Vec<(UdpPeer, Vec<u8>)>,
}

impl Report {
    /// The stream of results as text.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.output).expect("the output is not UTF-8")
    }
}

/// A kernel to be run with: what the client would send, and limits.
#[derive(Clone, Debug)]
pub struct Fake {
    input: Vec<u8>,
    args: String,
    room: usize,
    tick: u64,
    limit: u64,
    stop_at: u64,
    info: TaskInfo,
    datagrams: Vec<Datagram>,
}

/// A datagram of the script.
#[derive(Clone, Debug)]
struct Datagram {
    at: u64,
    peer: UdpPeer,
    bytes: Vec<u8>,
}

impl Default for Fake {
    fn default() -> Self {
        Self::new()
    }
}

impl Fake {
    /// No input, no arguments, 16 MiB of output, an hour of time.
    #[must_use]
    pub fn new() -> Self {
        Self {
            input: Vec::new(),
            args: String::new(),
            room: 16 << 20,
            tick: 0,
            limit: 3_600_000_000,
            stop_at: u64::MAX,
            datagrams: Vec::new(),
            info: TaskInfo {
                abi: u32::from(sk_abi::ABI_VERSION),
                size: task::TASK_INFO_SIZE,
                flags: task::flags::SHIELDED | task::flags::EMULATED,
                board_revision: 0x0090_0092, // a Zero, 1.2
                cpu_mhz_max: 1000,
                ..TaskInfo::default()
            },
        }
    }

    /// The bytes sent with the payload.
    #[must_use]
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = bytes.into();
        self
    }

    /// Its arguments.
    #[must_use]
    pub fn args<'a>(mut self, args: impl IntoIterator<Item = &'a str>) -> Self {
        self.args = args.into_iter().collect::<Vec<_>>().join("\0");
        self
    }

    /// Room for output (both streams together) in bytes.
    #[must_use]
    pub fn output_limit(mut self, bytes: usize) -> Self {
        self.room = bytes;
        self
    }

    /// Microseconds that pass each time the payload looks at the clock.
    #[must_use]
    pub fn tick(mut self, us: u64) -> Self {
        self.tick = us;
        self
    }

    /// Microseconds until the deadline.
    #[must_use]
    pub fn deadline(mut self, us: u64) -> Self {
        self.limit = us;
        self
    }

    /// After how many microseconds the client asks the payload to stop.
    #[must_use]
    pub fn stop_after(mut self, us: u64) -> Self {
        self.stop_at = us;
        self
    }

    /// A datagram that arrives `at` microseconds after the start, from `from`,
    /// at port `to`; lost if that port is not bound by then. The board's address
    /// is 192.168.7.2/24.
    ///
    /// ```
    /// use payload_sdk::{Error, Kernel, fake::Fake};
    ///
    /// fn run(k: &Kernel) -> Result<(), Error> {
    ///     let net = k.net();
    ///     net.bind(7)?;
    ///     let got = net.recv(&mut [0; 100])?.peer;
    ///     net.send(&got, b"pong")?;
    ///     Ok(())
    /// }
    ///
    /// let from = "192.168.7.9:4000".parse().unwrap();
    /// let report = Fake::new().datagram(20, from, 7, *b"ping").run(run);
    /// assert_eq!(report.sent[0].1, b"pong");
    /// assert_eq!(report.elapsed_us, 20);
    /// ```
    #[must_use]
    pub fn datagram(
        mut self,
        at: u64,
        from: SocketAddrV4,
        to: u16,
        bytes: impl Into<Vec<u8>>,
    ) -> Self {
        let peer = UdpPeer { ip: from.ip().octets(), port: from.port(), local_port: to };
        self.datagrams.push(Datagram { at, peer, bytes: bytes.into() });
        self.datagrams.sort_by_key(|d| d.at);
        self
    }

    /// The board it runs on.
    #[must_use]
    pub fn board(mut self, board: crate::Board) -> Self {
        self.info.board_revision = board.revision;
        self.info.cpu_mhz_max = board.cpu_mhz_max;
        self.info.flags = if board.shielded { task::flags::SHIELDED } else { 0 }
            | if board.emulated { task::flags::EMULATED } else { 0 };
        self
    }

    /// Runs a payload to its end, whichever that is.
    pub fn run<T: IntoCode>(self, run: impl FnOnce(&Kernel) -> T) -> Report {
        let start = 1_000_000;
        let state = State {
            now: start,
            room: self.room,
            read: 0,
            output: Vec::new(),
            error: Vec::new(),
            log: Vec::new(),
            beats: 0,
            ports: Vec::new(),
            any: false,
            coming: self
                .datagrams
                .into_iter()
                .map(|d| Datagram { at: start.saturating_add(d.at), ..d })
                .collect(),
            arrived: VecDeque::new(),
            sent: Vec::new(),
        };
        let deadline_us = start.saturating_add(self.limit);
        let info = TaskInfo {
            input_len: self.input.len() as u32,
            args_len: self.args.len() as u32,
            deadline_us,
            ..self.info
        };
        let stop_at = start.saturating_add(self.stop_at);
        let sys = Sys {
            info,
            input: self.input,
            args: self.args,
            tick: self.tick,
            stop_at,
            state: RefCell::new(state),
        };
        let k = Kernel { sys };
        let end = match catch_unwind(AssertUnwindSafe(|| run(&k).into_code(&k))) {
            Ok(code) => End::Exit(code),
            Err(thrown) => match thrown.downcast::<End>() {
                Ok(end) => *end,
                Err(thrown) => End::Panicked(message(thrown.as_ref())),
            },
        };
        let state = k.sys.state.into_inner();
        Report {
            end,
            output: state.output,
            error: state.error,
            log: state.log,
            beats: state.beats,
            elapsed_us: state.now - start,
            sent: state.sent,
        }
    }
}

fn message(thrown: &(dyn Any + Send)) -> String {
    let text = thrown.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| thrown.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panic".to_owned())
}

#[derive(Debug)]
struct State {
    now: u64,
    room: usize,
    read: usize,
    output: Vec<u8>,
    error: Vec<u8>,
    log: Vec<String>,
    beats: u32,
    ports: Vec<u16>,
    any: bool,
    coming: VecDeque<Datagram>,
    arrived: VecDeque<Datagram>,
    sent: Vec<(UdpPeer, Vec<u8>)>,
}

impl State {
    fn wants(&self, port: u16) -> bool {
        port != 0 && !is_kernels(port) && (self.any || self.ports.contains(&port))
    }

    /// What has come by now, if its port was bound.
    fn arrive(&mut self) {
        while let Some(datagram) = self.coming.pop_front_if(|d| d.at <= self.now) {
            if self.wants(datagram.peer.local_port) {
                self.arrived.push_back(datagram);
            }
        }
    }
}

fn is_kernels(port: u16) -> bool {
    [net::SKP_PORT, net::DHCP_CLIENT_PORT, net::MDNS_PORT].contains(&port)
}

/// The fake board's address.
const IP: [u8; 4] = [192, 168, 7, 2];

/// The other half of [`Kernel`]: what the veneer is on a board.
#[derive(Debug)]
pub(crate) struct Sys {
    info: TaskInfo,
    input: Vec<u8>,
    args: String,
    tick: u64,
    stop_at: u64,
    state: RefCell<State>,
}

/// Ends the payload from inside a call, without the message a panic prints.
fn end(end: End) -> ! {
    resume_unwind(Box::new(end))
}

impl Sys {
    /// Every call comes through here: the deadline is looked at.
    fn state(&self) -> std::cell::RefMut<'_, State> {
        let mut state = self.state.borrow_mut();
        state.arrive();
        if state.now >= self.info.deadline_us {
            drop(state);
            end(End::Deadline);
        }
        state
    }

    pub(crate) fn info(&self) -> &TaskInfo {
        &self.info
    }

    pub(crate) fn input(&self) -> &[u8] {
        &self.input
    }

    pub(crate) fn args(&self) -> &str {
        &self.args
    }

    pub(crate) fn read(&self, buf: &mut [u8]) -> usize {
        let mut state = self.state();
        let rest = self.input.get(state.read..).unwrap_or_default();
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        state.read += n;
        n
    }

    pub(crate) fn write(&self, error: bool, bytes: &[u8]) -> usize {
        let mut state = self.state();
        let n = bytes.len().min(state.room);
        state.room -= n;
        let stream = if error { &mut state.error } else { &mut state.output };
        stream.extend_from_slice(&bytes[..n]);
        if n < bytes.len() {
            drop(state);
            end(End::OutputLimit);
        }
        n
    }

    pub(crate) fn log(&self, line: &str) {
        let line = &line[..line.floor_char_boundary(120)];
        self.state().log.push(line.to_owned());
    }

    pub(crate) fn exit(&self, code: i32) -> ! {
        end(End::Exit(code))
    }

    pub(crate) fn abort(&self, message: &str) -> ! {
        let message = &message[..message.floor_char_boundary(task::MESSAGE_MAX)];
        end(End::Aborted(message.to_owned()))
    }

    pub(crate) fn yield_now(&self) {
        self.state().now += self.tick;
    }

    pub(crate) fn beat(&self) {
        self.state().beats += 1;
    }

    pub(crate) fn should_stop(&self) -> bool {
        let mut state = self.state();
        state.now += self.tick;
        state.now >= self.stop_at
    }

    pub(crate) fn now(&self) -> u64 {
        let mut state = self.state();
        state.now += self.tick;
        state.now
    }

    pub(crate) fn remaining(&self) -> u64 {
        let now = self.now();
        self.info.deadline_us.saturating_sub(now)
    }

    pub(crate) fn sleep_until(&self, us: u64) {
        let mut state = self.state();
        // One does not sleep past the deadline: it ends the task.
        state.now = state.now.max(us.min(self.info.deadline_us));
        drop(state);
        drop(self.state());
    }

    pub(crate) fn cycles(&self) -> u32 {
        0
    }

    pub(crate) fn net_bind(&self, port: u16, flags: u32) -> i32 {
        let mut state = self.state();
        if flags & net::flags::ANY != 0 {
            state.any = true;
            return 0;
        }
        if is_kernels(port) {
            return NetError::Reserved.code();
        }
        if state.ports.contains(&port) {
            return NetError::InUse.code();
        }
        if state.ports.len() >= net::PORTS_MAX {
            return NetError::NoRoom.code();
        }
        let free = (49_152..).find(|p| !state.ports.contains(p));
        let port = if port == 0 { free.unwrap_or(49_152) } else { port };
        state.ports.push(port);
        port.into()
    }

    pub(crate) fn net_close(&self, port: u16) -> i32 {
        let mut state = self.state();
        let before = (state.ports.len(), state.any);
        state.ports.retain(|p| port != 0 && *p != port);
        state.any &= port != 0;
        let same = before == (state.ports.len(), state.any);
        if same { NetError::NotBound.code() } else { 0 }
    }

    pub(crate) fn net_recv(&self, buf: &mut [u8], info: &mut UdpInfo) -> i32 {
        self.net_recv_until(buf, info, u64::MAX)
    }

    pub(crate) fn net_recv_until(&self, buf: &mut [u8], info: &mut UdpInfo, until: u64) -> i32 {
        loop {
            let mut state = self.state();
            if let Some(datagram) = state.arrived.pop_front() {
                let copied = datagram.bytes.len().min(buf.len());
                buf[..copied].copy_from_slice(&datagram.bytes[..copied]);
                let cut = copied < datagram.bytes.len();
                *info = UdpInfo {
                    peer: datagram.peer,
                    len: datagram.bytes.len() as u32,
                    flags: if cut { net::flags::TRUNCATED } else { 0 },
                };
                return copied as i32;
            }
            if state.ports.is_empty() && !state.any {
                return NetError::NotBound.code();
            }
            if until != u64::MAX && state.now >= until {
                return NetError::Timeout.code();
            }
            // Time passes until the next datagram, the end of the wait or of
            // the task.
            let next = state.coming.front().map_or(u64::MAX, |d| d.at);
            state.now = next.min(until).min(self.info.deadline_us);
        }
    }

    pub(crate) fn net_send(&self, peer: &UdpPeer, bytes: &[u8]) -> i32 {
        let mut state = self.state();
        let first = state.ports.first().copied().unwrap_or(0);
        let local_port = if peer.local_port == 0 { first } else { peer.local_port };
        if !state.wants(local_port) {
            return NetError::NotBound.code();
        }
        if bytes.len() > net::DATAGRAM_MAX as usize {
            return NetError::TooLong.code();
        }
        state.sent.push((UdpPeer { local_port, ..*peer }, bytes.to_vec()));
        0
    }

    pub(crate) fn net_addresses(&self, out: &mut Addresses) -> i32 {
        drop(self.state());
        *out = Addresses {
            ip: IP,
            mask: [255, 255, 255, 0],
            gateway: [192, 168, 7, 1],
            mac: [0xB8, 0x27, 0xEB, 1, 2, 3],
            prefix: 24,
            flags: net::flags::LINK | net::flags::ADDRESS,
        };
        0
    }

    pub(crate) fn net_arp(&self, _: &mut [Neighbour]) -> usize {
        drop(self.state());
        0
    }

    pub(crate) fn heap(&self) -> [u32; 3] {
        [0; 3]
    }
}

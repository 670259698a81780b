//! A thread that serves a device on a Unix socket, to one guest at a time.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sk_hal::Micros;

use crate::cable::MAX_FRAME;
use crate::{Adapter, Cable, Device, Pcap};

/// How this side calls itself.
const VERSION: &str = concat!("serverkernel usbredir ", env!("CARGO_PKG_VERSION"));

/// The longest the thread sleeps.
const NAP: Duration = Duration::from_millis(100);

/// Frames for a cable that takes none just now; more are lost, oldest first.
const BACKLOG: usize = 256;

/// Frames taken from the cable before the guest is looked at again.
const BURST: usize = 32;

/// How things stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// QEMU is there.
    pub connected: bool,
    /// The guest was given the device.
    pub attached: bool,
    /// bConfigurationValue that the guest has set.
    pub configuration: u8,
    /// Frames from the cable to the adapter.
    pub frames_in: u64,
    /// Frames from the adapter to the cable.
    pub frames_out: u64,
    /// Connections ended because the guest broke the protocol.
    pub violations: u64,
}

/// A served device; gone with this value.
#[derive(Debug)]
pub struct Server {
    /// One byte for a command; its end ends the thread.
    control: Option<UnixStream>,
    status: Arc<Mutex<Status>>,
    thread: Option<JoinHandle<()>>,
}

const PLUG: u8 = b'p';
const UNPLUG: u8 = b'u';
const LINK_UP: u8 = b'L';
const LINK_DOWN: u8 = b'l';

impl Server {
    /// Listens at `socket`, which must not exist, and serves `adapter` to
    /// whoever connects, with `cable` at its other end. What goes over the
    /// cable is written to `pcap` as well.
    ///
    /// The caller may keep a clone of `adapter` to look at it or to break it;
    /// the thread waits while it is locked, and looks again within 100 ms.
    ///
    /// # Errors
    /// What the system says.
    pub fn start<A: Adapter + 'static>(
        socket: &Path,
        adapter: Arc<Mutex<A>>,
        cable: Cable,
        pcap: Option<Pcap>,
    ) -> io::Result<Self> {
        let listener = UnixListener::bind(socket)?;
        listener.set_nonblocking(true)?;
        let (control, commands) = UnixStream::pair()?;
        commands.set_nonblocking(true)?;
        let status = Arc::new(Mutex::new(Status::default()));
        let mut front = Front {
            adapter,
            device: Device::new(),
            guest: None,
            cable,
            backlog: VecDeque::new(),
            pcap,
            status: Arc::clone(&status),
            began: Instant::now(),
        };
        let thread = std::thread::Builder::new()
            .name("usb".to_owned())
            .spawn(move || front.run(&listener, &commands))?;
        Ok(Self { control: Some(control), status, thread: Some(thread) })
    }

    /// Plugs the device into the guest's port, or pulls it out.
    pub fn set_plugged(&self, plugged: bool) {
        self.command(if plugged { PLUG } else { UNPLUG });
    }

    /// Plugs the network cable into the adapter, or pulls it out.
    pub fn set_link(&self, up: bool) {
        self.command(if up { LINK_UP } else { LINK_DOWN });
    }

    /// How things stand.
    #[must_use]
    pub fn status(&self) -> Status {
        *lock(&self.status)
    }

    fn command(&self, command: u8) {
        if let Some(mut control) = self.control.as_ref() {
            // Fails only if the thread has ended.
            let _ = control.write_all(&[command]);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.control = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Front<A> {
    adapter: Arc<Mutex<A>>,
    device: Device,
    guest: Option<UnixStream>,
    cable: Cable,
    backlog: VecDeque<Vec<u8>>,
    pcap: Option<Pcap>,
    status: Arc<Mutex<Status>>,
    began: Instant,
}

impl<A: Adapter> Front<A> {
    fn now(&self) -> Micros {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn run(&mut self, listener: &UnixListener, commands: &UnixStream) {
        loop {
            self.sleep(listener, commands);
            if !self.obey(commands) {
                return;
            }
            self.accept(listener);
            self.hear();
            self.frames_in();
            self.device.poll(self.now(), &mut *lock(&self.adapter));
            self.frames_out();
            self.speak();
            let mut status = lock(&self.status);
            status.connected = self.guest.is_some();
            status.attached = self.device.is_attached();
            status.configuration = self.device.configuration();
        }
    }

    /// Until something can be done.
    fn sleep(&mut self, listener: &UnixListener, commands: &UnixStream) {
        let now = self.now();
        let due = self.device.next_deadline(now).unwrap_or(Micros::MAX).saturating_sub(now);
        let nap = NAP.min(Duration::from_micros(due));
        let nap = Timespec { tv_sec: 0, tv_nsec: nap.subsec_nanos().into() };
        let mut cable = PollFlags::empty();
        cable.set(PollFlags::IN, lock(&self.adapter).wants_frame());
        cable.set(PollFlags::OUT, !self.backlog.is_empty());
        let mut guest = PollFlags::IN;
        guest.set(PollFlags::OUT, !self.device.output().is_empty());
        let peer = match &self.guest {
            Some(stream) => PollFd::from_borrowed_fd(stream.as_fd(), guest),
            None => PollFd::from_borrowed_fd(listener.as_fd(), PollFlags::IN),
        };
        let mut all = [
            PollFd::from_borrowed_fd(commands.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.cable.fd(), cable),
            peer,
        ];
        // An interrupted sleep is a short one.
        let _ = poll(&mut all, Some(&nap));
    }

    /// Carries out commands; `false` at their end.
    fn obey(&mut self, mut commands: &UnixStream) -> bool {
        let mut buffer = [0; 16];
        let taken = match commands.read(&mut buffer) {
            Ok(0) => return false,
            Ok(length) => &buffer[..length],
            Err(_) => &[],
        };
        for command in taken {
            match *command {
                PLUG | UNPLUG => self.device.set_plugged(self.now(), *command == PLUG),
                LINK_UP | LINK_DOWN => lock(&self.adapter).set_link(*command == LINK_UP),
                _ => {}
            }
        }
        true
    }

    fn accept(&mut self, listener: &UnixListener) {
        if self.guest.is_some() {
            return;
        }
        if let Ok((stream, _)) = listener.accept()
            && stream.set_nonblocking(true).is_ok()
        {
            self.device.connected(VERSION);
            self.guest = Some(stream);
        }
    }

    fn hear(&mut self) {
        let mut buffer = [0; 1 << 16];
        let now = self.now();
        let Some(stream) = &mut self.guest else {
            return;
        };
        let taken = match stream.read(&mut buffer) {
            Ok(length @ 1..) => &buffer[..length],
            Err(error) if waits(&error) => return,
            Ok(0) | Err(_) => return self.hang_up(),
        };
        let heard = self.device.receive(now, &mut *lock(&self.adapter), taken);
        if heard.is_err() {
            lock(&self.status).violations += 1;
            self.hang_up();
        }
    }

    fn speak(&mut self) {
        let Some(stream) = &mut self.guest else {
            return;
        };
        let output = self.device.output();
        while !output.is_empty() {
            match stream.write(output) {
                Ok(length @ 1..) => drop(output.drain(..length)),
                Err(error) if waits(&error) => return,
                Ok(0) | Err(_) => return self.hang_up(),
            }
        }
    }

    fn hang_up(&mut self) {
        self.guest = None;
        self.device.disconnected(&mut *lock(&self.adapter));
    }

    fn frames_in(&mut self) {
        let mut buffer = [0; MAX_FRAME];
        for _ in 0..BURST {
            if !lock(&self.adapter).wants_frame() {
                return;
            }
            let Some(frame) = self.cable.receive(&mut buffer) else {
                return;
            };
            note(&mut self.pcap, frame);
            lock(&self.status).frames_in += 1;
            lock(&self.adapter).frame_in(frame);
        }
    }

    fn frames_out(&mut self) {
        while let Some(frame) = lock(&self.adapter).frame_out() {
            note(&mut self.pcap, &frame);
            lock(&self.status).frames_out += 1;
            self.backlog.push_back(frame);
        }
        while self.backlog.len() > BACKLOG {
            self.backlog.pop_front();
        }
        while let Some(frame) = self.backlog.front() {
            if !self.cable.send(frame) {
                return;
            }
            self.backlog.pop_front();
        }
    }
}

/// A full disk ends the file, not the board.
fn note(pcap: &mut Option<Pcap>, frame: &[u8]) {
    if pcap.as_mut().is_some_and(|pcap| pcap.frame(frame).is_err()) {
        *pcap = None;
    }
}

fn waits(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

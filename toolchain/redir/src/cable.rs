//! What a network adapter is plugged into: datagrams, each a raw Ethernet frame
//! without checksum, or a tap interface of the host.
//!
//! The datagrams are those of QEMU's `-netdev dgram`, so whatever is at the
//! other end need not know which of the two it talks to.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use crate::tap;

/// Room for the longest frame: 1,514 bytes, or what somebody thinks is one.
pub(crate) const MAX_FRAME: usize = 2048;

/// One end of a network cable. Nothing here waits.
#[derive(Debug)]
pub struct Cable(Kind);

#[derive(Debug)]
enum Kind {
    Pair(UnixDatagram),
    Unix(UnixDatagram, PathBuf),
    Udp(UdpSocket, SocketAddr),
    Tap(File),
}

impl Cable {
    /// A cable whose other end is the socket that comes with it, blocking.
    ///
    /// # Errors
    /// What the system says.
    pub fn pair() -> io::Result<(Self, UnixDatagram)> {
        let (ours, theirs) = UnixDatagram::pair()?;
        ours.set_nonblocking(true)?;
        Ok((Self(Kind::Pair(ours)), theirs))
    }

    /// Receives at the path `local`, sends to the one bound at `remote`, as
    /// soon as it is.
    ///
    /// # Errors
    /// What the system says.
    pub fn unix(local: &Path, remote: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::bind(local)?;
        socket.set_nonblocking(true)?;
        Ok(Self(Kind::Unix(socket, remote.to_path_buf())))
    }

    /// Receives at `local`, from whomever, and sends to `remote`.
    ///
    /// # Errors
    /// What the system says.
    pub fn udp(local: SocketAddr, remote: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind(local)?;
        socket.set_nonblocking(true)?;
        Ok(Self(Kind::Udp(socket, remote)))
    }

    /// A tap interface; made if there is none of this name. Linux only.
    ///
    /// # Errors
    /// What the system says; without `CAP_NET_ADMIN` (root), or an interface
    /// that belongs to the user, `PermissionDenied`.
    pub fn tap(name: &str) -> io::Result<Self> {
        Ok(Self(Kind::Tap(tap::open(name)?)))
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        match &self.0 {
            Kind::Pair(socket) | Kind::Unix(socket, _) => socket.as_fd(),
            Kind::Udp(socket, _) => socket.as_fd(),
            Kind::Tap(file) => file.as_fd(),
        }
    }

    /// The next frame, if one is there.
    pub(crate) fn receive<'a>(&mut self, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
        let length = match &mut self.0 {
            Kind::Pair(socket) | Kind::Unix(socket, _) => socket.recv(buffer),
            Kind::Udp(socket, _) => socket.recv(buffer),
            Kind::Tap(file) => file.read(buffer),
        };
        buffer.get(..length.ok()?)
    }

    /// Sends a frame; `false` = not now. Where there is nobody it is lost.
    pub(crate) fn send(&mut self, frame: &[u8]) -> bool {
        let sent = match &mut self.0 {
            Kind::Pair(socket) => socket.send(frame),
            Kind::Unix(socket, to) => socket.send_to(frame, to),
            Kind::Udp(socket, to) => socket.send_to(frame, *to),
            Kind::Tap(file) => file.write(frame),
        };
        !sent.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }
}

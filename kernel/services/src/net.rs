//! The handlers of the group net.
//!
//! A task that waits for a datagram is parked with the place where it goes. One
//! that arrives then is put there at once ([`Park::deliver`]); one that arrives
//! while the task is busy waits in the kernel's queue for the next call.
//!
//! [`Park::deliver`]: crate::Park::deliver

use crate::context::{Board, Context, Memory, Network, Sent};
use crate::gate::{Park, Receive, Send, Stop, UserPtr};
use sk_abi::net::{DATAGRAM_MAX, NEIGHBOURS_MAX};
use sk_abi::net::{Neighbour, NetError, PORTS_MAX, UdpInfo, UdpPeer, UdpRecv, flags};

/// Slots of the services that can wait.
const RECV: u8 = 41;
const RECV_UNTIL: u8 = 42;

/// The longest a send waits: a neighbour is asked for twice, a second apart; a
/// transmit buffer is free much sooner.
const SEND_LIMIT: u64 = 1_500_000;

const _: () = assert!(PORTS_MAX == 8, "the pages of net.bind and net.close say eight");

impl Receive {
    /// Puts a datagram where it is to go: how many bytes were copied.
    #[inline]
    pub(crate) fn fill<M: Memory>(
        self,
        memory: &mut M,
        info: &UdpInfo,
        bytes: &[u8],
    ) -> Result<i32, Stop> {
        let copied = (bytes.len() as u32).min(self.len);
        let to = memory.writable(self.buf, copied).ok_or(self.bad_buf())?;
        let from = bytes.get(..to.len()).unwrap_or_default();
        // Equal lengths: a slice is as long as was asked for.
        if from.len() == to.len() {
            to.copy_from_slice(from);
        }
        self.tell(memory, info, copied)
    }

    /// Writes the information on a datagram of which `copied` bytes were taken.
    #[inline]
    fn tell<M: Memory>(self, memory: &mut M, info: &UdpInfo, copied: u32) -> Result<i32, Stop> {
        if self.info != 0 {
            let cut = if copied < info.len { flags::TRUNCATED } else { 0 };
            let info = UdpInfo { flags: info.flags | cut, ..*info };
            write(memory, self.info, &info.to_bytes()).ok_or(self.bad_info())?;
        }
        Ok(copied as i32)
    }

    const fn bad_buf(self) -> Stop {
        Stop::Arg(0)
    }

    /// The place of `info` among the parameters.
    const fn bad_info(self) -> Stop {
        Stop::Arg(if self.slot == RECV { 2 } else { 0 })
    }
}

impl<M: Memory, B: Board + Network> Context<'_, M, B> {
    pub(crate) fn bind(&mut self, port: u32, bits: u32) -> Result<i32, Stop> {
        if bits & !flags::ANY != 0 {
            return Err(Stop::Arg(1));
        }
        if bits & flags::ANY != 0 {
            self.board.bind_any();
            return Ok(0);
        }
        Ok(match u16::try_from(port) {
            Ok(port) => match self.board.bind(port) {
                Ok(port) => i32::from(port),
                Err(error) => error.code(),
            },
            Err(_) => NetError::Reserved.code(),
        })
    }

    pub(crate) fn close(&mut self, port: u32) -> Result<i32, Stop> {
        let closed = u16::try_from(port).is_ok_and(|port| self.board.close(port));
        Ok(if closed { 0 } else { NetError::NotBound.code() })
    }

    #[inline]
    pub(crate) fn recv(&mut self, buf: UserPtr, len: u32, info: UserPtr) -> Result<i32, Stop> {
        self.receive(Receive { buf: buf.0, len, info: info.0, until: u64::MAX, slot: RECV })
    }

    pub(crate) fn recv_until(&mut self, args: UserPtr) -> Result<i32, Stop> {
        let bytes = self.memory.readable(args.0, UdpRecv::SIZE as u32);
        let bytes = bytes.and_then(|b| b.first_chunk()).ok_or(Stop::Arg(0))?;
        let UdpRecv { deadline_us, buf, len, info, .. } = UdpRecv::from_bytes(bytes);
        self.receive(Receive { buf, len, info, until: deadline_us, slot: RECV_UNTIL })
    }

    /// What has arrived; nothing yet: parked, or the time is over.
    #[inline]
    pub(crate) fn receive(&mut self, wait: Receive) -> Result<i32, Stop> {
        // All of both is checked, before anything is taken that could be lost.
        if wait.info != 0 {
            self.memory.writable(wait.info, UdpInfo::SIZE as u32).ok_or(wait.bad_info())?;
        }
        // No datagram is longer, so no more is needed; but a wrong length does
        // not go unseen.
        let to = self.memory.writable(wait.buf, wait.len).ok_or(wait.bad_buf())?;
        match self.board.take(to) {
            Some(info) => wait.tell(self.memory, &info, info.len.min(wait.len)),
            None if !self.board.is_bound() => Ok(NetError::NotBound.code()),
            None if wait.until != u64::MAX && self.board.now() >= wait.until => {
                Ok(NetError::Timeout.code())
            }
            None => Err(Stop::Park(Park::Receive(wait))),
        }
    }

    #[inline]
    pub(crate) fn send_to(&mut self, peer: UserPtr, buf: UserPtr, len: u32) -> Result<i32, Stop> {
        let bytes = self.memory.readable(peer.0, UdpPeer::SIZE as u32);
        let bytes = bytes.and_then(|b| b.first_chunk()).ok_or(Stop::Arg(0))?;
        self.send(UdpPeer::from_bytes(bytes), buf.0, len, u64::MAX)
    }

    /// Sends, or parks until `until` (`u64::MAX`: this is the first try).
    #[inline]
    pub(crate) fn send(
        &mut self,
        peer: UdpPeer,
        buf: u32,
        len: u32,
        until: u64,
    ) -> Result<i32, Stop> {
        let bytes = self.memory.readable(buf, len).ok_or(Stop::Arg(1))?;
        if len > DATAGRAM_MAX {
            return Ok(NetError::TooLong.code());
        }
        match self.board.send(&peer, bytes) {
            Sent::Done => Ok(0),
            Sent::Failed(error) => Ok(error.code()),
            Sent::Later(again, error) => {
                let now = self.board.now();
                if now >= until {
                    return Ok(error.code());
                }
                let until = until.min(now.saturating_add(SEND_LIMIT));
                Err(Stop::Park(Park::Send(Send { peer, buf, len, again, until })))
            }
        }
    }

    pub(crate) fn addresses(&mut self, out: UserPtr) -> Result<i32, Stop> {
        let addresses = self.board.addresses();
        write(self.memory, out.0, &addresses.to_bytes()).ok_or(Stop::Arg(0))?;
        let known = addresses.flags & flags::ADDRESS != 0;
        Ok(if known { 0 } else { NetError::NoAddress.code() })
    }

    pub(crate) fn arp(&mut self, out: UserPtr, max: u32) -> Result<u32, Stop> {
        let size = Neighbour::SIZE as u32;
        let room = max.checked_mul(size).ok_or(Stop::Arg(1))?;
        self.memory.writable(out.0, room).ok_or(Stop::Arg(0))?;
        let mut written = 0;
        while written < max.min(NEIGHBOURS_MAX) {
            let Some(entry) = self.board.neighbour(written) else { break };
            let at = out.0.wrapping_add(written * size);
            write(self.memory, at, &entry.to_bytes()).ok_or(Stop::Arg(0))?;
            written += 1;
        }
        Ok(written)
    }
}

/// Copies to the task's memory; `None` if it may not write there.
#[inline]
fn write<M: Memory>(memory: &mut M, at: u32, bytes: &[u8]) -> Option<()> {
    let to = memory.writable(at, bytes.len() as u32)?;
    (to.len() == bytes.len()).then(|| to.copy_from_slice(bytes))
}

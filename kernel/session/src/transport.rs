//! DATA datagrams, sealed and opened in place.
//!
//! Noise transport messages with an explicit nonce (rev. 34, 11.4): the header
//! carries the counter, the associated data is empty. Duplicates and reordering
//! are met by a [`ReplayWindow`] that moves only after the tag was verified; a
//! forged counter changes nothing (RUSTSEC-2024-0011 was this fault).
//!
//! Keys have a life: from [`REKEY_AGE_US`] or [`REKEY_PACKETS`] on the client
//! makes a new handshake, at [`REJECT_AGE_US`] or [`REJECT_PACKETS`] both ends
//! refuse the old keys. A (key, counter) pair is used for sealing at most once,
//! because the counter only grows and belongs to the one owner of the keys.

use sk_hal::Micros;
use sk_wire::{DataHeader, MAX_DATAGRAM, MAX_PLAINTEXT, TAG_LEN};

use crate::aead;
use crate::noise::Keys;
use crate::window::ReplayWindow;

/// The client makes a new handshake when its keys are this old.
pub const REKEY_AGE_US: Micros = 600_000_000;
/// The client makes a new handshake when it has sent this many packets.
pub const REKEY_PACKETS: u64 = 1 << 24;
/// Keys this old are refused.
pub const REJECT_AGE_US: Micros = 900_000_000;
/// Counters from this one on are refused.
pub const REJECT_PACKETS: u64 = 1 << 25;

/// Why nothing was sealed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SealError {
    /// The plaintext is empty or too long, or the buffer too short for it.
    Length,
    /// The keys are too old; a new handshake is needed.
    Expired,
}

/// Why a datagram was dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OpenError {
    /// Not a DATA datagram of a valid length.
    Malformed,
    /// For another session.
    WrongIndex,
    /// The keys are too old; a new handshake is needed.
    Expired,
    /// Received before, or too old to tell.
    Replay,
    /// The tag is wrong.
    Forged,
}

/// One end of a session.
pub struct Transport {
    keys: Keys,
    local_index: u32,
    remote_index: u32,
    born: Micros,
    next_send: u64,
    window: ReplayWindow,
}

impl Transport {
    /// Room to leave before the plaintext in a buffer to be sealed.
    pub const HEADER: usize = DataHeader::LEN;
    /// What sealing adds in all.
    pub const OVERHEAD: usize = DataHeader::LEN + TAG_LEN;

    /// The session with `keys`, made at `now`. The indices are the two sides'
    /// names for it, from HS_INIT and HS_RESP.
    #[must_use]
    pub const fn new(keys: Keys, local_index: u32, remote_index: u32, now: Micros) -> Self {
        let window = ReplayWindow::new();
        Self { keys, local_index, remote_index, born: now, next_send: 0, window }
    }

    /// This side's name for the session.
    #[must_use]
    pub const fn local_index(&self) -> u32 {
        self.local_index
    }

    /// The other side's name for the session.
    #[must_use]
    pub const fn remote_index(&self) -> u32 {
        self.remote_index
    }

    /// See [`Keys::handshake_hash`].
    #[must_use]
    pub const fn handshake_hash(&self) -> &[u8; 32] {
        &self.keys.handshake_hash
    }

    /// Packets sealed so far.
    #[must_use]
    pub const fn sent(&self) -> u64 {
        self.next_send
    }

    /// The highest counter received with a valid tag.
    #[must_use]
    pub const fn highest_received(&self) -> Option<u64> {
        self.window.next().checked_sub(1)
    }

    /// Whether a client should make a new handshake.
    #[must_use]
    pub const fn wants_rekey(&self, now: Micros) -> bool {
        now.saturating_sub(self.born) >= REKEY_AGE_US || self.next_send >= REKEY_PACKETS
    }

    /// Whether the keys are refused by now.
    #[must_use]
    pub const fn is_expired(&self, now: Micros) -> bool {
        now.saturating_sub(self.born) >= REJECT_AGE_US || self.next_send >= REJECT_PACKETS
    }

    /// Seals the `len` bytes that stand at [`Transport::HEADER`] in `buffer`,
    /// puts header and tag around them, and returns the datagram's length.
    ///
    /// # Errors
    /// [`SealError`]; `buffer` is as before.
    pub fn seal(&mut self, now: Micros, buffer: &mut [u8], len: usize) -> Result<usize, SealError> {
        if self.is_expired(now) {
            return Err(SealError::Expired);
        }
        if !(1..=MAX_PLAINTEXT).contains(&len) {
            return Err(SealError::Length);
        }
        let total = len + Self::OVERHEAD;
        let (header, rest) = buffer
            .get_mut(..total)
            .and_then(|datagram| datagram.split_first_chunk_mut::<{ Self::HEADER }>())
            .ok_or(SealError::Length)?;
        let (text, tag) = rest.split_at_mut(len);
        let counter = self.next_send;
        // Counted before it is used: no path can use it again.
        self.next_send += 1;
        *header = DataHeader { receiver_index: self.remote_index, counter }.emit();
        let sealed = aead::seal(&self.keys.send, counter, &[], text).ok_or(SealError::Length)?;
        tag.copy_from_slice(&sealed);
        Ok(total)
    }

    /// Opens a DATA datagram in place and returns its plaintext.
    ///
    /// # Errors
    /// [`OpenError`]; `datagram` and the session are as before.
    pub fn open<'d>(
        &mut self,
        now: Micros,
        datagram: &'d mut [u8],
    ) -> Result<&'d mut [u8], OpenError> {
        let header = DataHeader::parse(datagram).ok_or(OpenError::Malformed)?;
        if header.receiver_index != self.local_index {
            return Err(OpenError::WrongIndex);
        }
        let expired = now.saturating_sub(self.born) >= REJECT_AGE_US;
        if expired || header.counter >= REJECT_PACKETS {
            return Err(OpenError::Expired);
        }
        if !self.window.is_fresh(header.counter) {
            return Err(OpenError::Replay);
        }
        let (_, sealed) =
            datagram.split_at_mut_checked(Self::HEADER).ok_or(OpenError::Malformed)?;
        let (text, tag) = sealed.split_last_chunk_mut::<TAG_LEN>().ok_or(OpenError::Malformed)?;
        if !aead::open(&self.keys.recv, header.counter, &[], text, tag) {
            return Err(OpenError::Forged);
        }
        self.window.accept(header.counter);
        Ok(text)
    }
}

const _: () = assert!(MAX_PLAINTEXT + Transport::OVERHEAD == MAX_DATAGRAM);

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::Zeroizing;

    /// 2^25 packets would take a minute to seal; the counter is set instead.
    #[test]
    fn the_last_counter_is_used_once() {
        let key = || Zeroizing::new([7; 32]);
        let keys = Keys { send: key(), recv: key(), handshake_hash: [0; 32] };
        let mut transport = Transport::new(keys, 1, 1, 0);
        transport.next_send = REKEY_PACKETS - 1;
        assert!(!transport.wants_rekey(0));
        let mut buffer = [0; 40];
        assert_eq!(transport.seal(0, &mut buffer, 8), Ok(40));
        assert!(transport.wants_rekey(0) && !transport.is_expired(0));
        transport.next_send = REJECT_PACKETS - 1;
        assert_eq!(transport.seal(0, &mut buffer, 8), Ok(40));
        assert!(transport.is_expired(0));
        assert_eq!(transport.seal(0, &mut buffer, 8), Err(SealError::Expired));
        assert_eq!(transport.sent(), REJECT_PACKETS);
        assert!(transport.open(0, &mut buffer).is_ok(), "the other end takes the last one");
    }
}

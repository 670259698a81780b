//! Reading and writing the blob: the frame around the two parts, then each part
//! field by field. The bytes are what postcard makes of the whole structure,
//! but no piece larger than one client is ever held on the stack.

use blake2::{Blake2s256, Digest};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{BLOB_VERSION, BlobError, Client, Config, MAX_CLIENTS, PoolRange};
use crate::bytes::Reader;
use crate::codec;

const MAGIC: [u8; 4] = *b"SKCF";
const HEADER_LEN: usize = 16;
const SIGNATURE_LEN: usize = 64;
const DIGEST_LEN: usize = 32;
const TRAILER_LEN: usize = SIGNATURE_LEN + DIGEST_LEN;

/// Longest blob that is looked at: 64 clients with every list full come to less.
pub const MAX_BLOB_LEN: usize = 32 * 1024;

/// A blob whose frame is right: magic, version, lengths, checksum.
#[derive(Clone, Copy)]
pub struct Envelope<'a> {
    /// The public part, the only one that is ever measured or shown.
    pub public: &'a [u8],
    /// The owner's signature over the public part; zero if there is none.
    pub signature: &'a [u8; SIGNATURE_LEN],
    secret: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Checks the frame of `blob`.
    ///
    /// # Errors
    /// [`BlobError`], the first thing found wrong.
    pub fn open(blob: &'a [u8]) -> Result<Self, BlobError> {
        if blob.is_empty() {
            return Err(BlobError::Missing);
        }
        let (header, rest) = blob.split_first_chunk::<HEADER_LEN>().ok_or({
            // A short file of another kind is better called that.
            if blob.starts_with(&MAGIC) { BlobError::Length } else { BlobError::Magic }
        })?;
        let mut r = Reader::new(header);
        if r.array() != Some(MAGIC) {
            return Err(BlobError::Magic);
        }
        match r.u16() {
            Some(BLOB_VERSION) => {}
            other => return Err(BlobError::Version(other.unwrap_or(0))),
        }
        match r.u16() {
            Some(0) => {}
            other => return Err(BlobError::Flags(other.unwrap_or(0))),
        }
        let mut len = || usize::try_from(r.u32()?).ok();
        let (public_len, secret_len) = len().zip(len()).ok_or(BlobError::Length)?;
        let announced = public_len
            .checked_add(secret_len)
            .and_then(|len| len.checked_add(HEADER_LEN + TRAILER_LEN));
        if announced != Some(blob.len()) || blob.len() > MAX_BLOB_LEN {
            return Err(BlobError::Length);
        }
        let (digested, digest) = blob.split_last_chunk::<DIGEST_LEN>().ok_or(BlobError::Length)?;
        if <[u8; DIGEST_LEN]>::from(Blake2s256::digest(digested)) != *digest {
            return Err(BlobError::Digest);
        }
        let (public, rest) = rest.split_at_checked(public_len).ok_or(BlobError::Length)?;
        let (secret, rest) = rest.split_at_checked(secret_len).ok_or(BlobError::Length)?;
        let signature = rest.first_chunk().ok_or(BlobError::Length)?;
        Ok(Self { public, signature, secret })
    }
}

/// The public part of `blob`: what a configuration digest covers.
///
/// # Errors
/// [`BlobError`] if the frame is not right.
pub fn public_part(blob: &[u8]) -> Result<&[u8], BlobError> {
    Envelope::open(blob).map(|envelope| envelope.public)
}

/// Takes one value off the front of a part.
fn take<'a, T: Deserialize<'a>>(part: &mut &'a [u8], error: BlobError) -> Result<T, BlobError> {
    let (value, rest) = codec::take(part).map_err(|_| error)?;
    *part = rest;
    Ok(value)
}

/// Takes an array of bytes, which postcard writes as they are.
fn take_bytes<const N: usize>(part: &mut &[u8], error: BlobError) -> Result<[u8; N], BlobError> {
    let (bytes, rest) = part.split_first_chunk().ok_or(error)?;
    *part = rest;
    Ok(*bytes)
}

/// Takes the length of a list; postcard writes it like a `u32`.
fn take_len(part: &mut &[u8], error: BlobError) -> Result<usize, BlobError> {
    usize::try_from(take::<u32>(part, error)?).map_err(|_| error)
}

/// Takes an optional list of service ids and hands it on as it is read.
fn take_services<'p, 'a>(
    part: &'p mut &'a [u8],
    error: BlobError,
) -> Result<Option<impl Iterator<Item = Result<u32, BlobError>> + use<'p, 'a>>, BlobError> {
    // postcard writes an option as one byte, 0 or 1.
    match take::<u8>(part, error)? {
        0 => Ok(None),
        1 => {
            let len = take_len(part, error)?;
            // An announced length costs nothing: reading stops where the part
            // ends, or the pool is full.
            Ok(Some((0..len).map(move |_| take(part, error))))
        }
        _ => Err(error),
    }
}

/// Puts values one after the other.
struct Out<'b> {
    buffer: &'b mut [u8],
    at: usize,
}

impl Out<'_> {
    fn raw(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        let end = self.at.checked_add(bytes.len()).ok_or(BlobError::BufferTooSmall)?;
        let place = self.buffer.get_mut(self.at..end).ok_or(BlobError::BufferTooSmall)?;
        place.copy_from_slice(bytes);
        self.at = end;
        Ok(())
    }

    fn put<T: Serialize>(&mut self, value: &T) -> Result<(), BlobError> {
        let rest = self.buffer.get_mut(self.at..).ok_or(BlobError::BufferTooSmall)?;
        let used = codec::write(value, rest).map_err(|_| BlobError::BufferTooSmall)?;
        self.at += used;
        Ok(())
    }
}

impl Config {
    /// Reads `blob` into `self`, which is wiped first, and again on failure.
    /// The caller overwrites `blob` afterwards: it holds the secrets.
    ///
    /// # Errors
    /// [`BlobError`], the first thing found wrong.
    pub fn decode_into(&mut self, blob: &[u8]) -> Result<(), BlobError> {
        self.wipe();
        let read = Envelope::open(blob).and_then(|envelope| {
            self.read_public(envelope.public)?;
            self.read_secret(envelope.secret)
        });
        if read.is_err() {
            self.wipe();
        }
        read
    }

    /// Reads `blob` into a new value: for hosts, as it needs 24 KiB of stack.
    ///
    /// # Errors
    /// As [`Config::decode_into`].
    pub fn decode(blob: &[u8]) -> Result<Self, BlobError> {
        let mut config = Self::empty();
        config.decode_into(blob)?;
        Ok(config)
    }

    fn read_public(&mut self, mut part: &[u8]) -> Result<(), BlobError> {
        let part = &mut part;
        self.device_label = take(part, BlobError::Field("the board's label"))?;
        self.net = take(part, BlobError::Field("the network part"))?;
        self.net.check()?;
        let clients = take_len(part, BlobError::Field("the number of clients"))?;
        match clients {
            0 => return Err(BlobError::NoClients),
            1..=MAX_CLIENTS => {}
            _ => return Err(BlobError::TooManyClients),
        }
        for at in 0..clients {
            let client: Client = take(part, BlobError::Client(at, "a field"))?;
            let services = take_services(part, BlobError::Client(at, "a service id"))?;
            self.push_client(client, services)?;
        }
        self.policy = take(part, BlobError::Field("the policy"))?;
        self.policy.check()?;
        let error = BlobError::Field("a service id");
        self.policy_services = match take_services(part, error)? {
            None => None,
            Some(ids) => Some(self.add_services(ids, error)?),
        };
        self.owner = take_bytes(part, BlobError::Field("the owner's key"))?;
        self.epoch = take(part, BlobError::Field("the epoch"))?;
        if part.is_empty() { Ok(()) } else { Err(BlobError::TrailingPublic) }
    }

    fn read_secret(&mut self, mut part: &[u8]) -> Result<(), BlobError> {
        let part = &mut part;
        self.device_seed = take_bytes(part, BlobError::Field("the device seed"))?;
        if self.device_seed == [0; 32] {
            return Err(BlobError::ZeroSeed);
        }
        if take_len(part, BlobError::PskCount)? != self.clients.len() {
            return Err(BlobError::PskCount);
        }
        for at in 0..self.clients.len() {
            let psk: Zeroizing<[u8; 32]> = Zeroizing::new(take_bytes(part, BlobError::PskCount)?);
            if *psk == [0; 32] {
                return Err(BlobError::ZeroPsk(at));
            }
            self.psks.push(*psk).map_err(|_| BlobError::PskCount)?;
        }
        if part.is_empty() { Ok(()) } else { Err(BlobError::TrailingSecret) }
    }

    /// Writes the blob to the front of `buffer` and returns its length.
    ///
    /// # Errors
    /// What a board would object to, or [`BlobError::BufferTooSmall`]; a buffer
    /// of [`MAX_BLOB_LEN`] is always large enough.
    pub fn encode(&self, buffer: &mut [u8]) -> Result<usize, BlobError> {
        self.net.check()?;
        self.policy.check()?;
        match () {
            () if self.clients.is_empty() => return Err(BlobError::NoClients),
            () if self.psks.len() != self.clients.len() => return Err(BlobError::PskCount),
            () if self.device_seed == [0; 32] => return Err(BlobError::ZeroSeed),
            () => {}
        }
        let mut out = Out { buffer, at: 0 };
        out.raw(&[0; HEADER_LEN])?;
        self.write_public(&mut out)?;
        let public_end = out.at;
        out.put(&self.device_seed)?;
        out.put(&(self.psks.len() as u32))?;
        for psk in &self.psks {
            out.put(psk)?;
        }
        let secret_end = out.at;
        out.raw(&[0; SIGNATURE_LEN])?;

        let len = |from: usize, to: usize| {
            u32::try_from(to - from).map(u32::to_le_bytes).map_err(|_| BlobError::Length)
        };
        let fields: [&[u8]; 5] = [
            &MAGIC,
            &BLOB_VERSION.to_le_bytes(),
            &0u16.to_le_bytes(),
            &len(HEADER_LEN, public_end)?,
            &len(public_end, secret_end)?,
        ];
        let digested = out.at;
        out.at = 0;
        for field in fields {
            out.raw(field)?;
        }
        out.at = digested;
        let written = out.buffer.get(..digested).ok_or(BlobError::BufferTooSmall)?;
        let digest: [u8; DIGEST_LEN] = Blake2s256::digest(written).into();
        out.raw(&digest)?;
        if out.at > MAX_BLOB_LEN { Err(BlobError::Length) } else { Ok(out.at) }
    }

    fn write_public(&self, out: &mut Out<'_>) -> Result<(), BlobError> {
        out.put(&self.device_label)?;
        out.put(&self.net)?;
        out.put(&(self.clients.len() as u32))?;
        for (client, &services) in self.clients.iter().zip(&self.client_services) {
            out.put(client)?;
            self.write_services(out, services)?;
        }
        out.put(&self.policy)?;
        self.write_services(out, self.policy_services)?;
        out.put(&self.owner)?;
        out.put(&self.epoch)
    }

    fn write_services(
        &self,
        out: &mut Out<'_>,
        services: Option<PoolRange>,
    ) -> Result<(), BlobError> {
        out.put(&services.map(|range| self.pool(range)))
    }
}

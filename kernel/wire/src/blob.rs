//! The configuration blob: who may use a board, for what, and the board's one
//! secret. It lies beside the kernel on the card and is read once, at boot.
//!
//! ```text
//! "SKCF" | u16 version | u16 flags | u32 len_public | u32 len_secret
//!        | public | secret | signature[64] | BLAKE2s-256 of all before
//! ```
//!
//! Both parts are postcard. The checksum finds damage, not malice: who can
//! write the card owns the board. The signature is for configurations that
//! arrive over the network; it is zero on the card and not looked at there.
//!
//! [`Config`] is filled in place ([`Config::decode_into`]), field by field:
//! 64 clients would not fit the stack of the kernel, where a value returned
//! from a deserialiser passes through. For the same reason the lists of service
//! ids, of which a client may have any number, share one pool.

mod codec;

use heapless::{String, Vec};
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use crate::discovery::Label;
use crate::prelude::{KeyId, PORT, Reason, Roles, key_id};

pub use codec::{Envelope, MAX_BLOB_LEN, public_part};

/// Version of the blob, not of the protocol.
pub const BLOB_VERSION: u16 = 1;
/// Most clients in one configuration.
pub const MAX_CLIENTS: usize = 64;
/// Most author keys per client.
pub const MAX_AUTHORS: usize = 2;
/// Most UDP destinations per client.
pub const MAX_UDP_DESTINATIONS: usize = 4;
/// Most service ids in all allow-lists of one configuration together.
pub const MAX_SERVICE_IDS: usize = 1024;
/// Longest label of a client, in bytes.
pub const MAX_CLIENT_LABEL: usize = 24;

/// What is wrong with a configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BlobError {
    /// There are no bytes at all.
    Missing,
    /// It does not start with `SKCF`.
    Magic,
    /// Another version of the blob.
    Version(u16),
    /// A flag that version 1 does not define.
    Flags(u16),
    /// Cut short, longer than its lengths say, or longer than any can be.
    Length,
    /// The checksum is wrong.
    Digest,
    /// A field outside the client list cannot be read, or has a bad value.
    Field(&'static str),
    /// As [`BlobError::Field`], in the client with this place in the list.
    Client(usize, &'static str),
    /// Bytes are left over in the public part.
    TrailingPublic,
    /// Bytes are left over in the secret part.
    TrailingSecret,
    /// The client list is empty.
    NoClients,
    /// More than [`MAX_CLIENTS`].
    TooManyClients,
    /// The client at this place has the key of an earlier one.
    DuplicateClient(usize),
    /// A key id that is not the BLAKE2s-64 of its key.
    KeyId(usize),
    /// The allow-lists hold more than [`MAX_SERVICE_IDS`] ids together.
    TooManyServices,
    /// Not one pre-shared key per client.
    PskCount,
    /// The pre-shared key at this place is zero.
    ZeroPsk(usize),
    /// The device seed is zero.
    ZeroSeed,
    /// Encoding only: the buffer is too small.
    BufferTooSmall,
}

impl BlobError {
    /// What a board with this configuration tells strangers.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Self::Missing => Reason::NoBlob,
            Self::Magic => Reason::BlobMagic,
            Self::Version(_) => Reason::BlobVersion,
            Self::Length | Self::TrailingPublic | Self::TrailingSecret => Reason::BlobLength,
            Self::Digest => Reason::BlobDigest,
            Self::NoClients => Reason::NoClients,
            Self::DuplicateClient(_) => Reason::DuplicateClient,
            _ => Reason::BlobField,
        }
    }
}

impl core::fmt::Display for BlobError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Version(found) => {
                write!(f, "the configuration has version {found}, not {BLOB_VERSION}")
            }
            Self::Flags(flags) => write!(f, "the configuration has undefined flags {flags:#06x}"),
            Self::Field(field) => write!(f, "{field} of the configuration is not valid"),
            Self::Client(at, field) => {
                write!(f, "{field} of client {at} in the configuration is not valid")
            }
            Self::TooManyClients => write!(f, "there are more than {MAX_CLIENTS} clients"),
            Self::DuplicateClient(at) => write!(f, "client {at} has the key of an earlier one"),
            Self::KeyId(at) => write!(f, "the key id of client {at} does not belong to its key"),
            Self::TooManyServices => {
                write!(f, "the allow-lists hold more than {MAX_SERVICE_IDS} service ids together")
            }
            Self::PskCount => f.write_str("there is not one pre-shared key per client"),
            Self::ZeroPsk(at) => write!(f, "the pre-shared key of client {at} is zero"),
            Self::ZeroSeed => f.write_str("the device seed is zero"),
            Self::BufferTooSmall => f.write_str("the buffer is too small for the configuration"),
            _ => f.write_str(self.reason().text()),
        }
    }
}

impl core::error::Error for BlobError {}

/// How the board gets its address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum NetMode {
    /// DHCP, then IPv4 link-local.
    #[default]
    Dhcp,
    /// As written in [`Net`].
    Static,
}

/// Network settings. With [`NetMode::Dhcp`], only `port` counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Net {
    /// Where the address comes from.
    pub mode: NetMode,
    /// The address.
    pub ip: [u8; 4],
    /// Length of the network part: the mask.
    pub prefix: u8,
    /// Default router, if any.
    pub gateway: Option<[u8; 4]>,
    /// UDP port of the service.
    pub port: u16,
}

impl Default for Net {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Net {
    const DEFAULT: Self =
        Self { mode: NetMode::Dhcp, ip: [0; 4], prefix: 0, gateway: None, port: PORT };

    fn check(&self) -> Result<(), BlobError> {
        let unicast = |ip: [u8; 4]| (1..=223).contains(&ip[0]) && ip[0] != 127;
        let address_ok = match self.mode {
            NetMode::Dhcp => true,
            NetMode::Static => unicast(self.ip) && (1..=31).contains(&self.prefix),
        };
        match () {
            () if !address_ok => Err(BlobError::Field("the address")),
            () if !self.gateway.is_none_or(unicast) => Err(BlobError::Field("the gateway")),
            () if self.port == 0 => Err(BlobError::Field("the port")),
            () => Ok(()),
        }
    }
}

/// What one task of a client, or all of them in an hour, may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Quotas {
    /// Memory of a task, in bytes.
    pub mem: u32,
    /// Processor time of a task, in ms.
    pub cpu_ms: u32,
    /// Time of a task from start to end, in ms.
    pub wall_ms: u32,
    /// Output of a task, in bytes.
    pub out: u32,
    /// Tasks started per hour.
    pub tasks_per_hour: u32,
}

impl Default for Quotas {
    /// No limit beyond the policy's.
    fn default() -> Self {
        let all = u32::MAX;
        Self { mem: all, cpu_ms: all, wall_ms: all, out: all, tasks_per_hour: all }
    }
}

/// A range of UDP destinations.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct UdpDestination {
    /// Network address.
    pub ip: [u8; 4],
    /// Length of the network part; 0 = everywhere, 32 = one host.
    pub prefix: u8,
    /// Lowest port.
    pub port_min: u16,
    /// Highest port.
    pub port_max: u16,
}

/// Where a client's tasks may send UDP.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum UdpPolicy {
    /// The board's own subnet.
    #[default]
    OwnSubnet,
    /// These destinations; an empty list is none.
    List(Vec<UdpDestination, MAX_UDP_DESTINATIONS>),
}

/// Part of the pool of service ids.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct PoolRange {
    start: u16,
    len: u16,
}

/// An entry of the allow-list. Its list of services, read with
/// [`Config::client_services`], follows it on the wire.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Client {
    /// [`key_id`] of `public_key`.
    pub key_id: KeyId,
    /// X25519.
    #[serde(deserialize_with = "crate::codec::array")]
    pub public_key: [u8; 32],
    /// What it may do.
    pub roles: Roles,
    /// What its tasks may use.
    pub quotas: Quotas,
    /// Ed25519 keys of authors whose tasks it may submit.
    #[serde(deserialize_with = "crate::codec::list")]
    pub authors: Vec<[u8; 32], MAX_AUTHORS>,
    /// A name for people, without control characters.
    pub label: String<MAX_CLIENT_LABEL>,
    /// Pins its tasks may touch.
    pub gpio_mask: u64,
    /// UARTs its tasks may use.
    pub serial_mask: u8,
    /// Where its tasks may send UDP.
    pub udp: UdpPolicy,
    /// UDP packets per second its tasks may send.
    pub packets_per_s: u32,
}

impl Client {
    /// A client that may do what `roles` say, within the policy.
    #[must_use]
    pub fn new(public_key: [u8; 32], roles: Roles) -> Self {
        let packets_per_s = 1000;
        Self { key_id: key_id(&public_key), public_key, roles, packets_per_s, ..Self::default() }
    }

    fn check(&self, at: usize) -> Result<(), BlobError> {
        let udp_ok = match &self.udp {
            UdpPolicy::OwnSubnet => true,
            UdpPolicy::List(list) => {
                list.iter().all(|d| d.prefix <= 32 && d.port_min <= d.port_max)
            }
        };
        match () {
            () if self.public_key == [0; 32] => Err(BlobError::Client(at, "the public key")),
            () if self.key_id != key_id(&self.public_key) => Err(BlobError::KeyId(at)),
            () if self.label.chars().any(char::is_control) => {
                Err(BlobError::Client(at, "the label"))
            }
            () if !udp_ok => Err(BlobError::Client(at, "a UDP destination")),
            () => Ok(()),
        }
    }
}

/// Limits for everybody, and what ties the configuration to a board. The list
/// of services offered, read with [`Config::policy_services`], follows it on
/// the wire.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Policy {
    /// Most memory for a task, in bytes.
    pub task_mem_max: u32,
    /// Most processor time of a task, in ms.
    pub cpu_ms_max: u32,
    /// Most time of a task from start to end, in ms.
    pub wall_ms_max: u32,
    /// Most output of a task, in bytes.
    pub out_max: u32,
    /// How long a result is kept if the task does not say, in ms.
    pub hold_ms: u32,
    /// How long a result is kept at most, in ms.
    pub hold_ms_max: u32,
    /// How long a task goes on without its client's session, in ms.
    pub session_lost_ms: u32,
    /// Pins that tasks may touch at all.
    pub gpio_mask: u64,
    /// UARTs that tasks may use at all.
    pub serial_mask: u8,
    /// Whether anybody may ask for Evidence.
    pub public_attest: bool,
    /// Whether a task needs an author's signature.
    pub author_required: bool,
    /// The one board this is for, by serial number.
    pub board_serial: Option<u64>,
    /// The one board revision this is for.
    pub board_revision: Option<u32>,
}

impl Default for Policy {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Policy {
    const DEFAULT: Self = Self {
        task_mem_max: u32::MAX,
        cpu_ms_max: 3_600_000,
        wall_ms_max: 3_600_000,
        out_max: u32::MAX,
        hold_ms: 60_000,
        hold_ms_max: 600_000,
        session_lost_ms: 30_000,
        gpio_mask: 0,
        serial_mask: 0,
        public_attest: false,
        author_required: false,
        board_serial: None,
        board_revision: None,
    };

    fn check(&self) -> Result<(), BlobError> {
        if self.hold_ms > self.hold_ms_max {
            return Err(BlobError::Field("the time to keep results"));
        }
        Ok(())
    }

    /// Whether the configuration is for the board with this serial number and
    /// revision.
    ///
    /// # Errors
    /// [`Reason::WrongBoard`] if it names another.
    pub fn check_board(&self, serial: u64, revision: u32) -> Result<(), Reason> {
        let right = self.board_serial.is_none_or(|pinned| pinned == serial)
            && self.board_revision.is_none_or(|pinned| pinned == revision);
        if right { Ok(()) } else { Err(Reason::WrongBoard) }
    }
}

/// A whole configuration, public and secret. Wiped when dropped.
pub struct Config {
    /// Name of the board.
    pub device_label: Label,
    /// Network settings.
    pub net: Net,
    /// Limits for everybody.
    pub policy: Policy,
    /// Ed25519 key that signs configurations sent over the network.
    pub owner: [u8; 32],
    /// Grows with each configuration; a lower one is not taken over the network.
    pub epoch: u32,
    clients: Vec<Client, MAX_CLIENTS>,
    /// In the order of `clients`; `None`: no list.
    client_services: Vec<Option<PoolRange>, MAX_CLIENTS>,
    policy_services: Option<PoolRange>,
    service_ids: Vec<u32, MAX_SERVICE_IDS>,
    device_seed: [u8; 32],
    psks: Vec<[u8; 32], MAX_CLIENTS>,
}

// It lives in static memory of the kernel.
const _: () = assert!(size_of::<Config>() <= 24 * 1024);

impl Default for Config {
    fn default() -> Self {
        Self::empty()
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        self.wipe();
    }
}

impl Config {
    /// No clients, no secrets: not valid, but a place to decode into.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            device_label: Label::EMPTY,
            net: Net::DEFAULT,
            policy: Policy::DEFAULT,
            owner: [0; 32],
            epoch: 0,
            clients: Vec::new(),
            client_services: Vec::new(),
            policy_services: None,
            service_ids: Vec::new(),
            device_seed: [0; 32],
            psks: Vec::new(),
        }
    }

    /// Overwrites the secrets and forgets everything else.
    pub fn wipe(&mut self) {
        self.device_seed.zeroize();
        for psk in &mut self.psks {
            psk.zeroize();
        }
        self.psks.clear();
        self.clients.clear();
        self.client_services.clear();
        self.policy_services = None;
        self.service_ids.clear();
        (self.device_label, self.net, self.policy) = (Label::EMPTY, Net::DEFAULT, Policy::DEFAULT);
        (self.owner, self.epoch) = ([0; 32], 0);
    }

    /// The secret everything of the board is derived from.
    #[must_use]
    pub const fn device_seed(&self) -> &[u8; 32] {
        &self.device_seed
    }

    /// Sets [`Config::device_seed`].
    pub fn set_device_seed(&mut self, seed: &[u8; 32]) {
        self.device_seed = *seed;
    }

    /// The allow-list.
    #[must_use]
    pub fn clients(&self) -> &[Client] {
        &self.clients
    }

    /// Place of the client with this key.
    #[must_use]
    pub fn find(&self, public_key: &[u8; 32]) -> Option<usize> {
        self.clients.iter().position(|client| client.public_key == *public_key)
    }

    /// The pre-shared key of the client at place `at`.
    #[must_use]
    pub fn psk(&self, at: usize) -> Option<&[u8; 32]> {
        self.psks.get(at)
    }

    /// Ids of the services the client at place `at` may use, ascending; `None`:
    /// all that the policy offers, or no such client.
    #[must_use]
    pub fn client_services(&self, at: usize) -> Option<&[u32]> {
        Some(self.pool((*self.client_services.get(at)?)?))
    }

    /// Ids of the services offered to anybody, ascending; `None`: all.
    #[must_use]
    pub fn policy_services(&self) -> Option<&[u32]> {
        Some(self.pool(self.policy_services?))
    }

    /// Whether tasks of the client at place `at` may use `service`.
    #[must_use]
    pub fn offers(&self, at: usize, service: u32) -> bool {
        let listed = |list: Option<&[u32]>| list.is_none_or(|l| l.binary_search(&service).is_ok());
        at < self.clients.len()
            && listed(self.policy_services())
            && listed(self.client_services(at))
    }

    fn pool(&self, range: PoolRange) -> &[u32] {
        let start = usize::from(range.start);
        // Ranges are made by `add_services` alone, from what it has put there.
        self.service_ids.get(start..start + usize::from(range.len)).unwrap_or(&[])
    }

    /// Offers these services only, ascending by id; `None`: all.
    ///
    /// # Errors
    /// Ids out of order, or too many in all.
    pub fn set_policy_services(&mut self, ids: Option<&[u32]>) -> Result<(), BlobError> {
        self.policy_services = match ids {
            None => None,
            Some(ids) => {
                let ids = ids.iter().map(|&id| Ok(id));
                Some(self.add_services(ids, BlobError::Field("a service id"))?)
            }
        };
        Ok(())
    }

    /// Adds a client, its services (ascending by id; `None`: all that the
    /// policy offers) and its pre-shared key.
    ///
    /// # Errors
    /// [`BlobError`], as a board would find when reading it.
    pub fn add_client(
        &mut self,
        client: Client,
        services: Option<&[u32]>,
        psk: &[u8; 32],
    ) -> Result<(), BlobError> {
        let at = self.clients.len();
        if *psk == [0; 32] {
            return Err(BlobError::ZeroPsk(at));
        }
        let services = services.map(|ids| ids.iter().map(|&id| Ok(id)));
        self.push_client(client, services)?;
        self.psks.push(*psk).map_err(|_| BlobError::PskCount)
    }

    fn push_client(
        &mut self,
        client: Client,
        services: Option<impl Iterator<Item = Result<u32, BlobError>>>,
    ) -> Result<(), BlobError> {
        let at = self.clients.len();
        client.check(at)?;
        if at == MAX_CLIENTS {
            return Err(BlobError::TooManyClients);
        }
        if self.find(&client.public_key).is_some() {
            return Err(BlobError::DuplicateClient(at));
        }
        let services = match services {
            None => None,
            Some(ids) => Some(self.add_services(ids, BlobError::Client(at, "a service id"))?),
        };
        self.client_services.push(services).map_err(|_| BlobError::TooManyClients)?;
        self.clients.push(client).map_err(|_| BlobError::TooManyClients)
    }

    /// Appends to the pool. Each id must be above the one before it.
    fn add_services(
        &mut self,
        ids: impl Iterator<Item = Result<u32, BlobError>>,
        disorder: BlobError,
    ) -> Result<PoolRange, BlobError> {
        let start = self.service_ids.len();
        let mut last = None;
        for id in ids {
            let added = id.and_then(|id| {
                if last.replace(id).is_some_and(|last| last >= id) {
                    return Err(disorder);
                }
                self.service_ids.push(id).map_err(|_| BlobError::TooManyServices)
            });
            if added.is_err() {
                self.service_ids.truncate(start);
            }
            added?;
        }
        let len = self.service_ids.len() - start;
        let narrow = |n: usize| u16::try_from(n).map_err(|_| BlobError::TooManyServices);
        Ok(PoolRange { start: narrow(start)?, len: narrow(len)? })
    }
}

//! The transfer trait: what a USB host controller does for class drivers.
//!
//! Everything is started by one call and finished by a later poll; no call
//! waits. The controller owns DMA buffers, NAK retries, software timeouts and
//! (per pipe) the data toggle: USB 2.0 section 8.5.2 wants one owner for it.

use crate::Micros;

/// Signalling rate of a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Speed {
    /// 480 Mbit/s.
    High,
    /// 12 Mbit/s.
    Full,
    /// 1.5 Mbit/s.
    Low,
}

/// State of the root port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Port {
    /// The controller is still being powered or initialised, or has failed and
    /// is being initialised again.
    Starting,
    /// No device.
    Empty,
    /// A device is there; the port is being debounced or reset.
    Settling,
    /// A device answers at address 0 (or where SET_ADDRESS put it).
    Ready(Speed),
}

/// The eight bytes of a SETUP packet (USB 2.0 section 9.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Setup {
    /// bmRequestType: bit 7 = device to host.
    pub request_type: u8,
    /// bRequest.
    pub request: u8,
    /// wValue.
    pub value: u16,
    /// wIndex.
    pub index: u16,
    /// wLength: bytes of the data stage.
    pub length: u16,
}

impl Setup {
    /// The packet's bytes.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 8] {
        let (v, i, l) =
            (self.value.to_le_bytes(), self.index.to_le_bytes(), self.length.to_le_bytes());
        [self.request_type, self.request, v[0], v[1], i[0], i[1], l[0], l[1]]
    }

    /// Does the data stage go from the device to the host?
    #[must_use]
    pub const fn is_in(self) -> bool {
        self.request_type & 0x80 != 0
    }
}

/// A device as the controller must know it to address it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeviceTarget {
    /// USB address, 0 before SET_ADDRESS.
    pub address: u8,
    /// Signalling rate.
    pub speed: Speed,
    /// bMaxPacketSize0: 8, 16, 32 or 64.
    pub max_packet0: u8,
    /// For a full- or low-speed device behind a high-speed hub: that hub's
    /// address and the port on it (split transactions).
    pub behind: Option<(u8, u8)>,
}

/// How a pipe's endpoint works.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PipeKind {
    /// Bulk IN; the controller gives it a channel of its own and keeps it armed.
    BulkIn,
    /// Bulk OUT.
    BulkOut,
    /// Interrupt IN, asked at most every so many microseconds.
    InterruptIn {
        /// Shortest distance between two polls.
        every: u32,
    },
}

/// An endpoint to be opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PipeConfig {
    /// The device.
    pub target: DeviceTarget,
    /// Endpoint number, 1 to 15.
    pub endpoint: u8,
    /// wMaxPacketSize (bits 10:0).
    pub max_packet: u16,
    /// Kind and direction.
    pub kind: PipeKind,
}

/// A handle to an open pipe. Stale handles are refused, never reused silently.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PipeId(pub u16);

/// Why a transfer did not give its bytes. Each names the party at fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TransferError {
    /// The device refused (STALL).
    Stall,
    /// The device did not answer within the time given.
    Timeout,
    /// Three bus errors in a row (CRC, no handshake, PID).
    Transaction,
    /// The device sent more than it was asked for, or out of turn.
    Babble,
    /// The controller reported an AHB error: a wrong address of ours.
    Bus,
    /// The device went away.
    Gone,
}

/// Why a transfer could not be started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StartError {
    /// One is already in progress, or no buffer is free: poll and try again.
    Busy,
    /// Longer than the controller's buffer.
    TooLong,
    /// No such pipe, or wrong kind or direction.
    BadPipe,
    /// Nothing is attached.
    Gone,
    /// All channels are taken.
    NoChannel,
}

/// A transaction a hub's translator may still hold, because nobody fetched its
/// result: CLEAR_TT_BUFFER (USB 2.0 section 11.24.2.3) frees the buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StaleSplit {
    /// The hub's address.
    pub hub: u8,
    /// The port on it.
    pub port: u8,
    /// The device's address.
    pub address: u8,
    /// Endpoint number.
    pub endpoint: u8,
    /// Bulk, else control.
    pub bulk: bool,
    /// IN?
    pub input: bool,
}

/// A USB host controller with one root port.
pub trait UsbHost {
    /// Advances everything: finished channels, port changes, timeouts. Bounded.
    fn poll(&mut self, now: Micros);

    /// When `poll` wants to be called at the latest, if nothing interrupts.
    fn next_deadline(&self) -> Option<Micros>;

    /// The root port.
    fn port(&self) -> Port;

    /// Resets the root port and everything known of what is attached: all
    /// pipes are closed, the control transfer ends with `Gone`. The port
    /// becomes `Ready` again after the times of USB 2.0 section 7.1.7.5.
    fn reset_port(&mut self, now: Micros);

    /// Starts a control transfer. `out` are the bytes of an OUT data stage.
    ///
    /// # Errors
    /// `Busy` while another is in progress, `TooLong`, `Gone`.
    fn control(
        &mut self,
        now: Micros,
        target: DeviceTarget,
        setup: Setup,
        out: &[u8],
    ) -> Result<(), StartError>;

    /// The finished control transfer: its IN bytes (empty for OUT), once.
    fn control_result(&mut self) -> Option<Result<&[u8], TransferError>>;

    /// Opens a pipe with toggle DATA0. A `BulkIn` pipe is armed at once with
    /// room for `transfer` bytes a time; ignored for other kinds.
    ///
    /// # Errors
    /// `NoChannel`, `TooLong`, `Gone`, `BadPipe` for a nonsensical endpoint.
    fn open(
        &mut self,
        now: Micros,
        config: PipeConfig,
        transfer: usize,
    ) -> Result<PipeId, StartError>;

    /// Stops a pipe gently (a bulk IN is let finish) and forgets it.
    fn close(&mut self, now: Micros, pipe: PipeId);

    /// Sets the pipe's toggle to DATA0 and re-arms it: after CLEAR_FEATURE(HALT),
    /// SET_CONFIGURATION or SET_INTERFACE.
    fn reset_toggle(&mut self, now: Micros, pipe: PipeId);

    /// May `send` be called now?
    fn can_send(&self, pipe: PipeId) -> bool;

    /// May `receive` have something to tell of the pipe? `false` spares the
    /// call; a controller that does not know says `true`.
    fn has_received(&self, pipe: PipeId) -> bool {
        let _ = pipe;
        true
    }

    /// Sends one bulk OUT transfer of `len` bytes that `fill` writes straight
    /// into a DMA buffer. With `zlp`, a zero-length packet follows when `len`
    /// is a multiple of the packet size.
    ///
    /// # Errors
    /// `Busy`, `TooLong`, `BadPipe`, `Gone`; `fill` is then not called.
    fn send(
        &mut self,
        now: Micros,
        pipe: PipeId,
        len: usize,
        zlp: bool,
        fill: &mut dyn FnMut(&mut [u8]),
    ) -> Result<(), StartError>;

    /// Takes the next finished IN transfer of a pipe, if any; `take` sees its
    /// bytes in place and may change them. The pipe is re-armed before this
    /// returns. A failed transfer is returned as an error, once; the pipe stays
    /// stopped until `reset_toggle` or `close`.
    fn receive(
        &mut self,
        now: Micros,
        pipe: PipeId,
        take: &mut dyn FnMut(&mut [u8]),
    ) -> Option<Result<(), TransferError>> {
        self.receive_some(now, pipe, &mut |bytes| {
            take(bytes);
            true
        })
    }

    /// As `receive`, for a transfer that holds several things to be taken one
    /// at a time: unless `take` says `true`, finished, the transfer stays where
    /// it is and the next call shows all of it again, as it was left. What has
    /// been taken is the caller's to remember; the pipe goes on receiving
    /// behind it while it has buffers.
    fn receive_some(
        &mut self,
        now: Micros,
        pipe: PipeId,
        take: &mut dyn FnMut(&mut [u8]) -> bool,
    ) -> Option<Result<(), TransferError>>;

    /// The next split transaction that was given up between its start and its
    /// end, once.
    fn stale_split(&mut self) -> Option<StaleSplit> {
        None
    }

    /// The error that stopped an OUT pipe, once; the pipe stays stopped until
    /// `reset_toggle` or `close`.
    fn send_error(&mut self, pipe: PipeId) -> Option<TransferError>;
}

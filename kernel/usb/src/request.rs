//! Control requests (USB 2.0 section 9.4, CDC 1.2 / ECM 1.2 section 6.2) and
//! the patience with which one is carried out.
//!
//! The controller gives each transfer a time limit of its own. `Requester`
//! tries again after bus errors (a STALL is an answer, not an error) and has a
//! limit beyond the controller's, so that a controller that forgets a transfer
//! cannot hold up the stack for ever.

use crate::statistics::{Statistics, count};
use sk_hal::Micros;
use sk_hal::usb::{DeviceTarget, Setup, StaleSplit, StartError, TransferError, UsbHost};

/// GET_DESCRIPTOR; `language` is 0 but for strings.
#[must_use]
pub const fn get_descriptor(kind: u8, index: u8, language: u16, length: u16) -> Setup {
    let value = u16::from_le_bytes([index, kind]);
    Setup { request_type: 0x80, request: 6, value, index: language, length }
}

/// SET_ADDRESS.
#[must_use]
pub const fn set_address(address: u8) -> Setup {
    let value = u16::from_le_bytes([address, 0]);
    Setup { request_type: 0x00, request: 5, value, index: 0, length: 0 }
}

/// SET_CONFIGURATION.
#[must_use]
pub const fn set_configuration(configuration: u8) -> Setup {
    let value = u16::from_le_bytes([configuration, 0]);
    Setup { request_type: 0x00, request: 9, value, index: 0, length: 0 }
}

/// SET_INTERFACE.
#[must_use]
pub const fn set_interface(interface: u8, alternate: u8) -> Setup {
    let (value, index) = (u16::from_le_bytes([alternate, 0]), u16::from_le_bytes([interface, 0]));
    Setup { request_type: 0x01, request: 11, value, index, length: 0 }
}

/// CLEAR_FEATURE(ENDPOINT_HALT) for an endpoint address (bit 7 = IN). It also
/// sets the device's toggle to DATA0, halted or not (USB 2.0 section 9.4.5).
#[must_use]
pub const fn clear_halt(endpoint: u8) -> Setup {
    let index = u16::from_le_bytes([endpoint, 0]);
    Setup { request_type: 0x02, request: 1, value: 0, index, length: 0 }
}

/// SetEthernetPacketFilter (ECM 1.2 section 6.2.4) to the control interface.
#[must_use]
pub const fn set_packet_filter(interface: u8, filter: u16) -> Setup {
    let index = u16::from_le_bytes([interface, 0]);
    Setup { request_type: 0x21, request: 0x43, value: filter, index, length: 0 }
}

/// GET_DESCRIPTOR(hub) (USB 2.0 section 11.24.2.5): the fixed part.
#[must_use]
pub const fn get_hub_descriptor() -> Setup {
    Setup { request_type: 0xa0, request: 6, value: 0x2900, index: 0, length: 7 }
}

/// GET_STATUS of a hub's port (section 11.24.2.7).
#[must_use]
pub const fn get_port_status(port: u8) -> Setup {
    Setup { request_type: 0xa3, request: 0, value: 0, index: port as u16, length: 4 }
}

/// SET_FEATURE of a hub's port (table 11-17): PORT_RESET 4, PORT_POWER 8.
#[must_use]
pub const fn set_port_feature(port: u8, feature: u16) -> Setup {
    Setup { request_type: 0x23, request: 3, value: feature, index: port as u16, length: 0 }
}

/// CLEAR_FEATURE of a hub's port: C_PORT_CONNECTION 16 to C_PORT_RESET 20.
#[must_use]
pub const fn clear_port_feature(port: u8, feature: u16) -> Setup {
    Setup { request_type: 0x23, request: 1, value: feature, index: port as u16, length: 0 }
}

/// CLEAR_FEATURE of a hub: C_HUB_LOCAL_POWER 0, C_HUB_OVER_CURRENT 1.
#[must_use]
pub const fn clear_hub_feature(feature: u16) -> Setup {
    Setup { request_type: 0x20, request: 1, value: feature, index: 0, length: 0 }
}

/// CLEAR_TT_BUFFER (section 11.24.2.3) for what a hub's only translator holds.
#[must_use]
pub const fn clear_tt_buffer(stale: &StaleSplit) -> Setup {
    let value = stale.endpoint as u16
        | (stale.address as u16) << 4
        | if stale.bulk { 2 << 11 } else { 0 }
        | (stale.input as u16) << 15;
    Setup { request_type: 0x23, request: 8, value, index: 1, length: 0 }
}

/// Tries of one request.
const TRIES: u8 = 3;
/// Pause before trying again, times the number of tries so far.
const PAUSE: Micros = 10_000;
/// Pause before asking a busy controller again.
const BUSY_PAUSE: Micros = 1_000;
/// Time for one try. USB 2.0 section 9.2.6.1 gives a device 5 s at most; the
/// controller ends it before this.
const LIMIT: Micros = 6_000_000;

/// How a request stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// Not finished: poll again.
    Running,
    /// Done; so many bytes were copied.
    Done(usize),
    /// Failed for good.
    Failed(TransferError),
    /// The controller will not start it.
    Refused(StartError),
}

#[derive(Clone, Copy, Debug)]
struct Attempt {
    tries: u8,
    started: bool,
    not_before: Micros,
    limit: Micros,
}

/// Carries out one control request at a time.
#[derive(Debug, Default)]
pub(crate) struct Requester {
    attempt: Option<Attempt>,
}

impl Requester {
    /// Nothing under way.
    pub(crate) const fn new() -> Self {
        Self { attempt: None }
    }

    /// When `poll` has something to do if the controller has not.
    pub(crate) fn deadline(&self) -> Option<Micros> {
        self.attempt.map(|a| if a.started { a.limit } else { a.not_before })
    }

    /// Starts or continues `setup`, a request without an OUT data stage. The
    /// caller repeats the call with the same arguments until it is not
    /// `Running`. IN bytes go to `into`, as many as fit.
    pub(crate) fn poll<H: UsbHost>(
        &mut self,
        host: &mut H,
        now: Micros,
        target: DeviceTarget,
        setup: Setup,
        into: &mut [u8],
        statistics: &mut Statistics,
    ) -> Outcome {
        self.exchange(host, now, target, (setup, &[]), into, statistics)
    }

    /// As `poll`, for a request whose data stage sends `out`.
    pub(crate) fn poll_out<H: UsbHost>(
        &mut self,
        host: &mut H,
        now: Micros,
        target: DeviceTarget,
        setup: Setup,
        out: &[u8],
        statistics: &mut Statistics,
    ) -> Outcome {
        self.exchange(host, now, target, (setup, out), &mut [], statistics)
    }

    fn exchange<H: UsbHost>(
        &mut self,
        host: &mut H,
        now: Micros,
        target: DeviceTarget,
        (setup, out): (Setup, &[u8]),
        into: &mut [u8],
        statistics: &mut Statistics,
    ) -> Outcome {
        let mut attempt = self.attempt.take().unwrap_or(Attempt {
            tries: 0,
            started: false,
            not_before: now,
            limit: now.saturating_add(LIMIT),
        });

        if !attempt.started {
            if now >= attempt.not_before {
                // The result of an abandoned request must not pass for ours.
                let _ = host.control_result();
                match host.control(now, target, setup, out) {
                    Ok(()) => attempt.started = true,
                    Err(StartError::Busy) => {
                        if now >= attempt.limit {
                            count(&mut statistics.control_failures);
                            return Outcome::Failed(TransferError::Timeout);
                        }
                        attempt.not_before = now.saturating_add(BUSY_PAUSE);
                    }
                    Err(error) => return Outcome::Refused(error),
                }
            }
            self.attempt = Some(attempt);
            return Outcome::Running;
        }

        let error = match host.control_result() {
            None if now < attempt.limit => {
                self.attempt = Some(attempt);
                return Outcome::Running;
            }
            None => {
                // Still in the controller's hands: only a port reset helps.
                count(&mut statistics.control_failures);
                return Outcome::Failed(TransferError::Timeout);
            }
            Some(Ok(bytes)) => {
                let mut length = 0;
                for (to, from) in into.iter_mut().zip(bytes) {
                    *to = *from;
                    length += 1;
                }
                return Outcome::Done(length);
            }
            Some(Err(error)) => error,
        };
        attempt.tries = attempt.tries.saturating_add(1);
        match error {
            TransferError::Stall => count(&mut statistics.control_stalls),
            TransferError::Gone => {}
            _ if attempt.tries < TRIES => {
                count(&mut statistics.control_retries);
                attempt.started = false;
                attempt.not_before =
                    now.saturating_add(PAUSE.saturating_mul(Micros::from(attempt.tries)));
                attempt.limit = attempt.not_before.saturating_add(LIMIT);
                self.attempt = Some(attempt);
                return Outcome::Running;
            }
            _ => count(&mut statistics.control_failures),
        }
        Outcome::Failed(error)
    }
}

//! From "a device answers at address 0" to "configured" (USB 2.0 section 9.1.2).
//!
//! The order is the one every host uses: eight bytes of the device descriptor
//! (for bMaxPacketSize0), SET_ADDRESS, the recovery time of section 9.2.6.3,
//! the whole device descriptor, then each configuration: header first, then as
//! much of it as the buffer holds.
//!
//! The configuration is chosen by what is in it, not by its place: adapters
//! offer RNDIS or a vendor's own protocol first and CDC-ECM second. Each is
//! shown to a [`Matcher`]; the first for which a class driver speaks up is set.
//!
//! Nothing here knows of the root port: the target carries the route
//! (`behind`), so a hub driver can run the same machine.

use crate::descriptor::{
    CONFIGURATION_HEADER, Configuration, DescriptorError, DeviceDescriptor, configuration_length,
    kind,
};
use crate::event::{Fault, Stage};
use crate::request::{Outcome, Requester, get_descriptor, set_address, set_configuration};
use crate::statistics::{Statistics, count};
use sk_hal::Micros;
use sk_hal::usb::{DeviceTarget, Setup, Speed, TransferError, UsbHost};

/// Bytes of the buffer descriptors are read into; what is longer is truncated.
pub const SCRATCH: usize = 512;

/// After SET_ADDRESS: 2 ms by section 9.2.6.3; slow devices want more.
const ADDRESS_RECOVERY: Micros = 10_000;
/// More configurations than this are not looked at.
const MAX_CONFIGURATIONS: u8 = 8;

/// Says whether a class driver wants a configuration, and what it needs to
/// know of it later.
pub type Matcher<M> = fn(&DeviceDescriptor, &Configuration<'_>, Speed) -> Option<M>;

/// How enumeration stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress<M> {
    /// Not finished: poll again.
    Running,
    /// The device has named itself (once; enumeration goes on).
    Identified(DeviceDescriptor),
    /// SET_CONFIGURATION was accepted.
    Configured {
        /// The device.
        target: DeviceTarget,
        /// bConfigurationValue.
        configuration: u8,
        /// What the matcher found.
        function: M,
    },
    /// No configuration suits a class driver.
    Unsupported(DeviceDescriptor),
    /// Given up: the port needs a reset.
    Failed(Stage, Fault),
}

#[derive(Clone, Copy, Debug)]
enum Step<M> {
    FirstBytes,
    Address,
    Recovery { until: Micros },
    Device,
    Header { device: DeviceDescriptor, index: u8 },
    Whole { device: DeviceDescriptor, index: u8, length: u16 },
    Configure { configuration: u8, function: M },
    Finished,
}

/// Enumerates one device.
#[derive(Debug)]
pub struct Enumerator<M> {
    target: DeviceTarget,
    address: u8,
    step: Step<M>,
    requester: Requester,
    /// A configuration that could not be read: not the same as unsupported.
    malformed: Option<DescriptorError>,
}

impl<M: Copy> Enumerator<M> {
    /// For a device that answers at address 0 and shall get `address`.
    #[must_use]
    pub const fn new(speed: Speed, address: u8, behind: Option<(u8, u8)>) -> Self {
        // Section 5.5.3: 8 at low speed, 64 at high speed; at full speed any
        // of the four, and eight bytes fit in one packet of each.
        let max_packet0 = if matches!(speed, Speed::Low) { 8 } else { 64 };
        Self {
            target: DeviceTarget { address: 0, speed, max_packet0, behind },
            address,
            step: Step::FirstBytes,
            requester: Requester::new(),
            malformed: None,
        }
    }

    /// When `poll` has something to do if the controller has not.
    #[must_use]
    pub fn deadline(&self) -> Option<Micros> {
        match self.step {
            Step::Recovery { until } => Some(until),
            _ => self.requester.deadline(),
        }
    }

    /// Goes on as far as it can without waiting.
    #[cold]
    #[inline(never)]
    pub fn poll<H: UsbHost>(
        &mut self,
        host: &mut H,
        now: Micros,
        scratch: &mut [u8; SCRATCH],
        matcher: Matcher<M>,
        statistics: &mut Statistics,
    ) -> Progress<M> {
        // A request ends in a later poll than it starts in, so two rounds
        // (end of one, start of the next) are the rule.
        for _ in 0..4 {
            if let Some(progress) = self.advance(host, now, scratch, matcher, statistics) {
                return progress;
            }
        }
        Progress::Running
    }

    /// One step; `None` = took one, there may be more to do.
    fn advance<H: UsbHost>(
        &mut self,
        host: &mut H,
        now: Micros,
        scratch: &mut [u8; SCRATCH],
        matcher: Matcher<M>,
        statistics: &mut Statistics,
    ) -> Option<Progress<M>> {
        let (setup, stage) = match self.step {
            Step::FirstBytes => (get_descriptor(kind::DEVICE, 0, 0, 8), Stage::DeviceDescriptor),
            Step::Address => (set_address(self.address), Stage::Address),
            Step::Recovery { until } if now < until => return Some(Progress::Running),
            Step::Recovery { .. } => {
                self.step = Step::Device;
                return None;
            }
            Step::Device => (get_descriptor(kind::DEVICE, 0, 0, 18), Stage::DeviceDescriptor),
            Step::Header { device, index }
                if index >= device.configurations.min(MAX_CONFIGURATIONS) =>
            {
                self.step = Step::Finished;
                return Some(match self.malformed {
                    Some(error) => {
                        Progress::Failed(Stage::ConfigurationDescriptor, Fault::Descriptor(error))
                    }
                    None => Progress::Unsupported(device),
                });
            }
            Step::Header { index, .. } => {
                let length = u16::try_from(CONFIGURATION_HEADER).unwrap_or(9);
                (
                    get_descriptor(kind::CONFIGURATION, index, 0, length),
                    Stage::ConfigurationDescriptor,
                )
            }
            Step::Whole { index, length, .. } => (
                get_descriptor(kind::CONFIGURATION, index, 0, length),
                Stage::ConfigurationDescriptor,
            ),
            Step::Configure { configuration, .. } => {
                (set_configuration(configuration), Stage::Configuration)
            }
            Step::Finished => return Some(Progress::Running),
        };
        let length = match self.ask(host, now, setup, scratch, statistics) {
            Ok(Some(length)) => length,
            Ok(None) => return Some(Progress::Running),
            Err(fault) => {
                if let (Step::Header { device, index } | Step::Whole { device, index, .. }, true) =
                    (self.step, fault == Fault::Transfer(TransferError::Stall))
                {
                    // It owns to fewer configurations than it announced.
                    self.step = Step::Header { device, index: index.saturating_add(1) };
                    return None;
                }
                self.step = Step::Finished;
                return Some(Progress::Failed(stage, fault));
            }
        };
        let received = scratch.get(..length).unwrap_or(&[]);
        match self.digest(now, received, matcher) {
            Ok(progress) => progress,
            Err(error) => {
                count(&mut statistics.bad_descriptors);
                if let Step::Header { device, index } | Step::Whole { device, index, .. } =
                    self.step
                {
                    self.malformed = Some(error);
                    self.step = Step::Header { device, index: index.saturating_add(1) };
                    return None;
                }
                self.step = Step::Finished;
                Some(Progress::Failed(stage, Fault::Descriptor(error)))
            }
        }
    }

    /// Polls the request of this step: its length when done, `None` while it runs.
    fn ask<H: UsbHost>(
        &mut self,
        host: &mut H,
        now: Micros,
        setup: Setup,
        scratch: &mut [u8; SCRATCH],
        statistics: &mut Statistics,
    ) -> Result<Option<usize>, Fault> {
        match self.requester.poll(host, now, self.target, setup, scratch, statistics) {
            Outcome::Running => Ok(None),
            Outcome::Done(length) => Ok(Some(length)),
            Outcome::Failed(error) => Err(Fault::Transfer(error)),
            Outcome::Refused(error) => Err(Fault::Start(error)),
        }
    }

    /// Reads the answer of this step and goes to the next one.
    fn digest(
        &mut self,
        now: Micros,
        received: &[u8],
        matcher: Matcher<M>,
    ) -> Result<Option<Progress<M>>, DescriptorError> {
        match self.step {
            Step::FirstBytes => {
                self.target.max_packet0 = DeviceDescriptor::max_packet0(received)?;
                self.step = Step::Address;
            }
            Step::Address => {
                self.target.address = self.address;
                self.step = Step::Recovery { until: now.saturating_add(ADDRESS_RECOVERY) };
            }
            Step::Device => {
                let device = DeviceDescriptor::parse(received)?;
                self.step = Step::Header { device, index: 0 };
                return Ok(Some(Progress::Identified(device)));
            }
            Step::Header { device, index } => {
                let total = configuration_length(received)?;
                let most = u16::try_from(SCRATCH).unwrap_or(u16::MAX);
                self.step = Step::Whole { device, index, length: total.min(most) };
            }
            Step::Whole { device, index, .. } => {
                let configuration = Configuration::parse(received)?;
                self.step = match matcher(&device, &configuration, self.target.speed) {
                    Some(function) => {
                        Step::Configure { configuration: configuration.value, function }
                    }
                    None => Step::Header { device, index: index.saturating_add(1) },
                };
            }
            Step::Configure { configuration, function } => {
                self.step = Step::Finished;
                return Ok(Some(Progress::Configured {
                    target: self.target,
                    configuration,
                    function,
                }));
            }
            Step::Recovery { .. } | Step::Finished => {}
        }
        Ok(None)
    }
}

//! What the stack reports: facts for the log, each naming the party at fault.

use crate::descriptor::DescriptorError;
use sk_hal::usb::{Speed, StartError, TransferError};

/// A class driver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Driver {
    /// [`crate::cdc_ecm`].
    CdcEcm,
    /// [`crate::smsc95xx`].
    Smsc95xx,
}

/// Where an adapter's station address comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MacSource {
    /// The device's own string.
    Device,
    /// The caller's: the device has none that is usable.
    Fallback,
}

/// What a device calls itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// idVendor.
    pub vendor: u16,
    /// idProduct.
    pub product: u16,
    /// Signalling rate.
    pub speed: Speed,
}

/// What was being done when something went wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// The port did not come back from a reset.
    Port,
    /// Asking a hub, or telling it something.
    Hub,
    /// Reading the device descriptor.
    DeviceDescriptor,
    /// SET_ADDRESS.
    Address,
    /// Reading configuration descriptors.
    ConfigurationDescriptor,
    /// SET_CONFIGURATION.
    Configuration,
    /// Reading the station address (not fatal by itself).
    MacString,
    /// SET_INTERFACE.
    Interface,
    /// SetEthernetPacketFilter.
    PacketFilter,
    /// Waiting for the adapter's own reset to end.
    LiteReset,
    /// Waiting for the resets of its PHY to end.
    PhyReset,
    /// Setting its registers.
    Registers,
    /// Setting its PHY.
    Phy,
    /// Looking after the link while running.
    Link,
    /// Opening pipes.
    Open,
    /// The bulk IN pipe while running.
    BulkIn,
    /// The bulk OUT pipe while running.
    BulkOut,
}

/// What went wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// A transfer failed, after all tries.
    Transfer(TransferError),
    /// The controller refused to start one.
    Start(StartError),
    /// The device described itself wrongly.
    Descriptor(DescriptorError),
    /// A register does not hold what was written to it.
    Forgotten,
    /// Nothing happened within the time allowed.
    Late,
    /// An answer was shorter than it must be.
    Short,
}

/// Something worth a line in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UsbEvent {
    /// A device was addressed and named itself.
    Attached {
        /// idVendor.
        vendor: u16,
        /// idProduct.
        product: u16,
        /// Signalling rate.
        speed: Speed,
    },
    /// An adapter is ready for frames.
    Configured {
        /// Who drives it.
        driver: Driver,
        /// Its station address.
        mac: [u8; 6],
        /// Whose address that is.
        source: MacSource,
        /// bConfigurationValue chosen.
        configuration: u8,
    },
    /// The adapter's cable was plugged in (or out), as far as it tells.
    Link {
        /// Is there a carrier?
        up: bool,
    },
    /// No class driver for it: left alone until it is unplugged.
    Unsupported {
        /// idVendor.
        vendor: u16,
        /// idProduct.
        product: u16,
    },
    /// An adapter is in use already: left alone as long as it is.
    Unused {
        /// idVendor.
        vendor: u16,
        /// idProduct.
        product: u16,
    },
    /// A hub's ports have power.
    Hub {
        /// How many are used.
        ports: u8,
    },
    /// Too much current is drawn at a hub's port; it is without power.
    OverCurrent {
        /// The port.
        port: u8,
    },
    /// The device is given up for now; the port is reset after a pause.
    Error {
        /// What was being done.
        stage: Stage,
        /// What went wrong.
        fault: Fault,
        /// How often in a row, this one included.
        failures: u32,
    },
    /// The device went away.
    Detached,
}

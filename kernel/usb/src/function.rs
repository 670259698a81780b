//! The class drivers, as one: which of them a configuration is for, and the
//! calls that [`crate::UsbNet`] makes to whichever it is.

use crate::cdc_ecm::EcmLayout;
use crate::cdc_ecm::driver::Ecm;
use crate::descriptor::{Configuration, DeviceDescriptor};
use crate::enumerate::SCRATCH;
use crate::event::{Driver, Fault, MacSource, Stage};
use crate::smsc95xx::SmscLayout;
use crate::smsc95xx::driver::Smsc95xx;
use crate::statistics::Statistics;
use sk_hal::Micros;
use sk_hal::usb::{DeviceTarget, Speed, UsbHost};

/// What a poll of a class driver brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Signal {
    None,
    /// Frames can be carried, once there is a link.
    Up {
        mac: [u8; 6],
        source: MacSource,
    },
    Link {
        up: bool,
    },
    /// Given up: the port needs a reset.
    Failed(Stage, Fault),
}

/// A function that a class driver knows how to use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Layout {
    Ecm(EcmLayout),
    Smsc95xx(SmscLayout),
}

impl Layout {
    /// The first such function of a configuration (a [`crate::enumerate::Matcher`]).
    pub(crate) fn find(
        device: &DeviceDescriptor,
        configuration: &Configuration<'_>,
        speed: Speed,
    ) -> Option<Self> {
        let smsc = SmscLayout::find(device, configuration, speed).map(Self::Smsc95xx);
        smsc.or_else(|| EcmLayout::find(device, configuration, speed).map(Self::Ecm))
    }
}

/// The class driver in use.
#[derive(Debug)]
pub(crate) enum Function {
    Ecm(Ecm),
    Smsc95xx(Smsc95xx),
}

impl Function {
    /// For a function whose configuration was just set.
    pub(crate) fn new(layout: Layout, target: DeviceTarget, fallback_mac: [u8; 6]) -> Self {
        match layout {
            Layout::Ecm(layout) => Self::Ecm(Ecm::new(layout, target, fallback_mac)),
            Layout::Smsc95xx(layout) => Self::Smsc95xx(Smsc95xx::new(layout, target, fallback_mac)),
        }
    }

    /// Its name.
    pub(crate) fn driver(&self) -> Driver {
        match self {
            Self::Ecm(_) => Driver::CdcEcm,
            Self::Smsc95xx(_) => Driver::Smsc95xx,
        }
    }

    /// Goes on as far as it can without waiting.
    // On its own, so that the loop around it is short: it runs for each frame.
    #[inline(never)]
    pub(crate) fn poll<H: UsbHost>(
        &mut self,
        host: &mut H,
        now: Micros,
        scratch: &mut [u8; SCRATCH],
        statistics: &mut Statistics,
    ) -> Signal {
        match self {
            Self::Ecm(ecm) => ecm.poll(host, now, scratch, statistics),
            Self::Smsc95xx(smsc) => smsc.poll(host, now, statistics),
        }
    }

    /// When `poll` has something to do if the controller has not. `now` = at once.
    pub(crate) fn deadline(&self, now: Micros) -> Option<Micros> {
        match self {
            Self::Ecm(ecm) => ecm.deadline(now),
            Self::Smsc95xx(smsc) => smsc.deadline(now),
        }
    }

    /// Closes all pipes: before the device is forgotten.
    pub(crate) fn close<H: UsbHost>(&mut self, host: &mut H, now: Micros) {
        match self {
            Self::Ecm(ecm) => ecm.close(host, now),
            Self::Smsc95xx(smsc) => smsc.close(host, now),
        }
    }

    /// Station address and whose it is, once frames can be carried.
    pub(crate) fn mac(&self) -> Option<([u8; 6], MacSource)> {
        match self {
            Self::Ecm(ecm) => ecm.mac(),
            Self::Smsc95xx(smsc) => smsc.mac(),
        }
    }

    /// The longest frame the device says it takes (header included).
    pub(crate) fn max_frame(&self) -> u16 {
        match self {
            Self::Ecm(ecm) => ecm.max_frame(),
            Self::Smsc95xx(smsc) => smsc.max_frame(),
        }
    }

    /// Since when frames are carried.
    pub(crate) fn running_since(&self) -> Option<Micros> {
        match self {
            Self::Ecm(ecm) => ecm.running_since(),
            Self::Smsc95xx(smsc) => smsc.running_since(),
        }
    }

    pub(crate) fn link_up(&self) -> bool {
        match self {
            Self::Ecm(ecm) => ecm.link_up(),
            Self::Smsc95xx(smsc) => smsc.link_up(),
        }
    }

    /// See [`sk_hal::net::FrameDevice::has_frame`].
    pub(crate) fn has_frame<H: UsbHost>(&self, host: &H) -> bool {
        match self {
            Self::Ecm(ecm) => ecm.has_frame(host),
            Self::Smsc95xx(smsc) => smsc.has_frame(host),
        }
    }

    /// See [`sk_hal::net::FrameDevice::receive`].
    pub(crate) fn receive<H: UsbHost>(
        &mut self,
        host: &mut H,
        now: Micros,
        take: &mut dyn FnMut(&mut [u8]),
        statistics: &mut Statistics,
    ) -> bool {
        match self {
            Self::Ecm(ecm) => ecm.receive(host, now, take, statistics),
            Self::Smsc95xx(smsc) => smsc.receive(host, now, take, statistics),
        }
    }

    /// See [`sk_hal::net::FrameDevice::can_transmit`].
    pub(crate) fn can_transmit<H: UsbHost>(&self, host: &H) -> bool {
        match self {
            Self::Ecm(ecm) => ecm.can_transmit(host),
            Self::Smsc95xx(smsc) => smsc.can_transmit(host),
        }
    }

    /// See [`sk_hal::net::FrameDevice::transmit`].
    pub(crate) fn transmit<H: UsbHost>(
        &mut self,
        host: &mut H,
        now: Micros,
        length: usize,
        fill: &mut dyn FnMut(&mut [u8]),
        statistics: &mut Statistics,
    ) -> bool {
        match self {
            Self::Ecm(ecm) => ecm.transmit(host, now, length, fill, statistics),
            Self::Smsc95xx(smsc) => smsc.transmit(host, now, length, fill, statistics),
        }
    }
}

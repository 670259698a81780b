//! A controller that costs next to nothing, with a device behind it that says
//! what its driver wants to hear.

use sk_hal::Micros;
use sk_hal::usb::{
    DeviceTarget, PipeConfig, PipeId, PipeKind, Port, Setup, Speed, StartError, TransferError,
    UsbHost,
};
use sk_usb::smsc95xx::registers::{ADDRL, BMSR_LINK, MAC_CR, MII_DATA};

const IN: u16 = 1;
const OUT: u16 = 2;
const NOTIFICATION: u16 = 3;

/// Descriptors of a LAN9512's Ethernet.
const LAN_DEVICE: &[u8] = &[18, 1, 0, 2, 0xFF, 0, 1, 64, 0x24, 0x04, 0, 0xEC, 0, 2, 0, 0, 0, 1];
const LAN_CONFIGURATION: &[u8] = &[
    9, 2, 39, 0, 1, 1, 0, 0xE0, 1, // configuration
    9, 4, 0, 0, 3, 0xFF, 0, 0xFF, 0, // interface
    7, 5, 0x81, 2, 0, 2, 0, // bulk IN
    7, 5, 0x02, 2, 0, 2, 0, // bulk OUT
    7, 5, 0x83, 3, 16, 0, 4, // interrupt IN
];
/// Descriptors of a CDC-ECM adapter without a station address.
const ECM_DEVICE: &[u8] = &[18, 1, 0, 2, 2, 0, 0, 64, 1, 2, 3, 4, 0, 1, 0, 0, 0, 1];
const ECM_CONFIGURATION: &[u8] = &[
    9, 2, 63, 0, 2, 1, 0, 0xC0, 0, // configuration
    9, 4, 0, 0, 0, 2, 6, 0, 0, // communications interface
    13, 0x24, 0x0F, 0, 0, 0, 0, 0, 0xEA, 5, 0, 0, 0, // Ethernet networking
    9, 4, 1, 0, 0, 0x0A, 0, 0, 0, // data interface, mute
    9, 4, 1, 1, 2, 0x0A, 0, 0, 0, // and with its endpoints:
    7, 5, 0x82, 2, 0, 2, 0, // bulk IN
    7, 5, 0x02, 2, 0, 2, 0, // bulk OUT
];

/// Which device.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Device {
    Lan,
    Ecm,
}

/// See the module.
pub struct Host {
    device: Device,
    asked: Option<Setup>,
    /// What the registers were set to that are read back: address and MAC control.
    kept: [(u16, [u8; 4]); 2],
    reply: [u8; 64],
    /// Room for the longest transfer IN.
    pub input: [u8; 4096],
    /// Bytes of it that are to be received.
    pub received: usize,
    output: [u8; 1568],
}

impl Host {
    pub const fn new(device: Device) -> Self {
        Self {
            device,
            asked: None,
            kept: [(ADDRL, [0; 4]), (MAC_CR, [0; 4])],
            reply: [0; 64],
            input: [0; 4096],
            received: 0,
            output: [0; 1568],
        }
    }

    /// The answer to a request.
    fn answer(&mut self, setup: Setup) -> usize {
        let (device, configuration) = match self.device {
            Device::Lan => (LAN_DEVICE, LAN_CONFIGURATION),
            Device::Ecm => (ECM_DEVICE, ECM_CONFIGURATION),
        };
        let kept = self.kept.iter().find(|(register, _)| *register == setup.index);
        let register = match kept {
            Some((_, bytes)) => *bytes,
            None => u32::to_le_bytes(if setup.index == MII_DATA { BMSR_LINK } else { 0 }),
        };
        let bytes = match (setup.request_type, setup.request, setup.value >> 8) {
            (0x80, 6, 1) => device,
            (0x80, 6, 2) => configuration,
            (0xC0, ..) => &register,
            _ => &[],
        };
        let length = bytes.len().min(usize::from(setup.length));
        self.reply[..length].copy_from_slice(&bytes[..length]);
        length
    }
}

impl UsbHost for Host {
    fn poll(&mut self, _now: Micros) {}

    fn next_deadline(&self) -> Option<Micros> {
        None
    }

    fn port(&self) -> Port {
        Port::Ready(Speed::High)
    }

    fn reset_port(&mut self, _now: Micros) {}

    fn control(
        &mut self,
        _now: Micros,
        _target: DeviceTarget,
        setup: Setup,
        out: &[u8],
    ) -> Result<(), StartError> {
        if let Ok(bytes) = out.try_into() {
            for (register, kept) in &mut self.kept {
                if *register == setup.index {
                    *kept = bytes;
                }
            }
        }
        self.asked = Some(setup);
        Ok(())
    }

    fn control_result(&mut self) -> Option<Result<&[u8], TransferError>> {
        let setup = self.asked.take()?;
        let length = self.answer(setup);
        Some(Ok(&self.reply[..length]))
    }

    fn open(
        &mut self,
        _now: Micros,
        config: PipeConfig,
        _transfer: usize,
    ) -> Result<PipeId, StartError> {
        Ok(PipeId(match config.kind {
            PipeKind::BulkIn => IN,
            PipeKind::BulkOut => OUT,
            PipeKind::InterruptIn { .. } => NOTIFICATION,
        }))
    }

    fn close(&mut self, _now: Micros, _pipe: PipeId) {}

    fn reset_toggle(&mut self, _now: Micros, _pipe: PipeId) {}

    fn can_send(&self, _pipe: PipeId) -> bool {
        true
    }

    fn has_received(&self, pipe: PipeId) -> bool {
        pipe.0 == IN && self.received > 0
    }

    fn send(
        &mut self,
        _now: Micros,
        _pipe: PipeId,
        len: usize,
        _zlp: bool,
        fill: &mut dyn FnMut(&mut [u8]),
    ) -> Result<(), StartError> {
        fill(self.output.get_mut(..len).ok_or(StartError::TooLong)?);
        Ok(())
    }

    fn receive_some(
        &mut self,
        _now: Micros,
        pipe: PipeId,
        take: &mut dyn FnMut(&mut [u8]) -> bool,
    ) -> Option<Result<(), TransferError>> {
        if !self.has_received(pipe) {
            return None;
        }
        if take(self.input.get_mut(..self.received)?) {
            self.received = 0;
        }
        Some(Ok(()))
    }

    fn send_error(&mut self, _pipe: PipeId) -> Option<TransferError> {
        None
    }
}

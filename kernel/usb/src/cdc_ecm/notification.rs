//! Notifications of the communications interface (ECM 1.2 section 6.3).
//!
//! Eight bytes of header, then wLength bytes of data, which at a packet size
//! of 8 come in packets of their own. wIndex is not checked: QEMU's device
//! names its data interface there.

/// bmRequestType of a notification.
const REQUEST_TYPE: u8 = 0xa1;
/// bNotification: NETWORK_CONNECTION, wValue = connected.
const NETWORK_CONNECTION: u8 = 0x00;

/// What a transfer on the notification endpoint said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Notice {
    /// Nothing: no bytes, or the data of an earlier header.
    Nothing,
    /// The cable is in, or out.
    Connection(bool),
    /// Something else, understood but not used (speed change).
    Other,
    /// Not a notification.
    Malformed,
}

/// Reads notifications from transfers that may be cut at packets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Notices {
    /// Bytes of data the last header announced and that have not come.
    missing: usize,
}

impl Notices {
    pub(crate) const fn new() -> Self {
        Self { missing: 0 }
    }

    /// Reads one transfer.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Notice {
        if bytes.is_empty() {
            return Notice::Nothing;
        }
        let header = matches!(bytes, [REQUEST_TYPE, _, _, _, _, _, _, _, ..]);
        if self.missing > 0 && (!header || self.missing >= bytes.len()) {
            self.missing = self.missing.saturating_sub(bytes.len());
            return Notice::Nothing;
        }
        self.missing = 0;
        let [REQUEST_TYPE, notification, value, _, _, _, low, high, data @ ..] = bytes else {
            return Notice::Malformed;
        };
        // A length beyond what any notification has is not waited for.
        let announced = usize::from(u16::from_le_bytes([*low, *high]));
        if announced <= 16 {
            self.missing = announced.saturating_sub(data.len());
        }
        match *notification {
            NETWORK_CONNECTION => Notice::Connection(*value != 0),
            _ => Notice::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Notice, Notices};

    /// CONNECTION_SPEED_CHANGE whose data looks like a NETWORK_CONNECTION.
    const SPEED: [u8; 16] = [0xa1, 0x2a, 0, 0, 0, 0, 8, 0, 0xa1, 0, 1, 0, 0, 0, 0, 0];
    const UP: [u8; 8] = [0xa1, 0, 1, 0, 0, 0, 0, 0];

    #[test]
    fn data_in_a_packet_of_its_own_is_not_taken_for_a_header() {
        let mut notices = Notices::new();
        assert_eq!(notices.take(&SPEED[..8]), Notice::Other);
        assert_eq!(notices.take(&SPEED[8..]), Notice::Nothing);
        assert_eq!(notices.take(&UP), Notice::Connection(true));
        assert_eq!(notices.take(&SPEED), Notice::Other);
        assert_eq!(notices.take(&UP), Notice::Connection(true));
    }

    #[test]
    fn a_header_may_come_instead_of_lost_data() {
        let mut notices = Notices::new();
        assert_eq!(notices.take(&SPEED[..8]), Notice::Other);
        assert_eq!(notices.take(&SPEED), Notice::Other);
        assert_eq!(notices.take(&UP), Notice::Connection(true));
    }
}

//! Our own address, and which other addresses may speak to us.

use core::net::Ipv4Addr;

/// The address in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Address {
    /// Our IPv4 address.
    pub ip: Ipv4Addr,
    /// Length of the network prefix, 0 to 32.
    pub prefix: u8,
    /// The default gateway, on the same network.
    pub gateway: Option<Ipv4Addr>,
}

impl Address {
    /// Is this a host address one can use, with a gateway (if any) that lies
    /// on its network? What a DHCP server says is checked with this, too.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let ip = u32::from(self.ip);
        self.prefix <= 32
            && is_host(ip)
            && (self.prefix >= 31 || (ip & !self.mask() != 0 && ip != self.broadcast()))
            && self.gateway.is_none_or(|gateway| {
                gateway != self.ip
                    && self.accepts_source(gateway.into())
                    && self.on_link(gateway.into())
            })
    }

    /// The network mask as a number.
    #[must_use]
    pub fn mask(&self) -> u32 {
        u32::MAX.checked_shl(32 - u32::from(self.prefix.min(32))).unwrap_or(0)
    }

    /// The subnet broadcast address as a number; all ones where there is none
    /// (RFC 3021: a /31 has no broadcast address, nor has a /32).
    pub(crate) fn broadcast(&self) -> u32 {
        if self.prefix >= 31 {
            return u32::MAX;
        }
        u32::from(self.ip) | !self.mask()
    }

    /// On our own network?
    pub(crate) fn on_link(&self, ip: u32) -> bool {
        (ip ^ u32::from(self.ip)) & self.mask() == 0
    }

    /// May a packet come from here? Not from broadcast, multicast, loopback,
    /// unspecified or our own address (RFC 1122 section 3.2.1.3).
    pub(crate) fn accepts_source(&self, ip: u32) -> bool {
        is_host(ip) && ip != u32::from(self.ip) && ip != self.broadcast()
    }
}

/// Neither unspecified ("this network"), loopback, multicast, reserved nor
/// broadcast.
pub(crate) fn is_host(ip: u32) -> bool {
    !matches!(ip >> 24, 0 | 127 | 224..)
}

/// 224.0.0.0/4.
pub(crate) fn is_multicast(ip: u32) -> bool {
    ip >> 28 == 0xE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(ip: [u8; 4], prefix: u8, gateway: Option<[u8; 4]>) -> Address {
        Address { ip: ip.into(), prefix, gateway: gateway.map(Into::into) }
    }

    #[test]
    fn what_is_a_host_address() {
        assert!(address([192, 168, 7, 2], 24, Some([192, 168, 7, 1])).is_valid());
        assert!(address([10, 0, 0, 1], 8, None).is_valid());
        assert!(address([10, 0, 0, 0], 31, None).is_valid());
        assert!(address([10, 0, 0, 255], 32, None).is_valid());
        for (ip, prefix, gateway) in [
            ([0, 0, 0, 0], 24, None),
            ([127, 0, 0, 1], 8, None),
            ([224, 0, 0, 1], 24, None),
            ([255, 255, 255, 255], 24, None),
            ([192, 168, 7, 0], 24, None),
            ([192, 168, 7, 255], 24, None),
            ([192, 168, 7, 2], 33, None),
            ([192, 168, 7, 2], 24, Some([192, 168, 8, 1])),
            ([192, 168, 7, 2], 24, Some([192, 168, 7, 2])),
            ([192, 168, 7, 2], 24, Some([192, 168, 7, 255])),
            ([192, 168, 7, 2], 24, Some([255, 255, 255, 255])),
        ] {
            assert!(!address(ip, prefix, gateway).is_valid(), "{ip:?}/{prefix} {gateway:?}");
        }
    }

    #[test]
    fn masks_at_the_edges() {
        assert_eq!(address([1, 2, 3, 4], 0, None).mask(), 0);
        assert_eq!(address([1, 2, 3, 4], 0, None).broadcast(), u32::MAX);
        assert_eq!(address([1, 2, 3, 4], 32, None).mask(), u32::MAX);
        assert_eq!(address([10, 1, 2, 3], 20, None).broadcast(), 0x0A01_0FFF);
    }
}

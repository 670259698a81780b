//! What came, what went, and why the rest was dropped.

/// Counts since start; each wraps at 2^32.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "each name is its own sentence; the groups are explained")]
pub struct Counters {
    // Frames taken from the adapter, and those we sent or could not send.
    pub received: u32,
    pub transmitted: u32,
    pub transmit_failed: u32,

    // Datagrams delivered and sent, and how many of them took the flow cache.
    pub udp_in: u32,
    pub udp_out: u32,
    pub flow_in: u32,
    pub flow_out: u32,

    // Dropped at the Ethernet header.
    pub runt: u32,
    pub not_for_us: u32,
    pub bad_source: u32,
    pub other_ethertype: u32,

    // Dropped at the IPv4 header.
    pub ip_malformed: u32,
    pub ip_options: u32,
    pub ip_checksum: u32,
    pub ip_fragment: u32,
    pub ip_protocol: u32,
    pub no_address: u32,

    // Dropped at the UDP header.
    pub udp_length: u32,
    pub udp_port_zero: u32,
    pub udp_no_listener: u32,
    pub udp_checksum: u32,

    // ARP.
    pub arp_in: u32,
    pub arp_malformed: u32,
    pub arp_unsolicited: u32,
    pub arp_changed: u32,
    pub arp_conflict: u32,
    pub arp_limited: u32,

    // Frames given to smoltcp, and those it was spared.
    pub icmp_echo: u32,
    pub icmp_limited: u32,
    pub icmp_ignored: u32,
    pub dhcp_in: u32,
    pub dhcp_ignored: u32,
    pub igmp_in: u32,

    // Address events that nobody took in time.
    pub events_lost: u32,
}

impl Counters {
    /// Received frames that were thrown away as wrong or unwanted.
    #[must_use]
    pub fn dropped(&self) -> u32 {
        [
            self.runt,
            self.not_for_us,
            self.bad_source,
            self.other_ethertype,
            self.ip_malformed,
            self.ip_options,
            self.ip_checksum,
            self.ip_fragment,
            self.ip_protocol,
            self.no_address,
            self.udp_length,
            self.udp_port_zero,
            self.udp_no_listener,
            self.udp_checksum,
            self.arp_malformed,
            self.arp_unsolicited,
            self.arp_limited,
            self.icmp_limited,
            self.icmp_ignored,
            self.dhcp_ignored,
        ]
        .into_iter()
        .fold(0, u32::wrapping_add)
    }
}

/// Counts one.
#[inline(always)]
pub(crate) fn count(counter: &mut u32) {
    *counter = counter.wrapping_add(1);
}

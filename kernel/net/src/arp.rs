//! The ARP table (RFC 826): 16 entries, bounded in every direction.
//!
//! What a stranger can do to it is small by rule:
//! * a reply nobody asked for creates nothing;
//! * a request for our address creates an entry (RFC 826: the sender is about
//!   to talk to us), but one that is first to be thrown out until we have used
//!   it ourselves, so a storm of made-up senders does not displace a client;
//! * a known address may move to another adapter, but not within a second of
//!   having been heard from the old one, unless we have just asked.

use core::net::Ipv4Addr;

use sk_hal::Micros;

/// How many neighbours are known at once.
pub const ARP_ENTRIES: usize = 16;

/// An entry is dropped this long after its address was last confirmed.
pub(crate) const LIFETIME: Micros = 60_000_000;
/// In use and older than this: ask again before it runs out.
const REFRESH: Micros = 45_000_000;
/// Between two requests for one address (RFC 1122 section 2.3.2.1).
const ASK_SPACING: Micros = 1_000_000;
/// A reply counts as solicited this long after the request.
const SOLICITED: Micros = 3_000_000;
/// No unasked change of a binding this soon after it was confirmed.
const LOCK: Micros = 1_000_000;

/// One neighbour, as services show it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ArpEntry {
    /// Protocol address.
    pub ip: Ipv4Addr,
    /// Hardware address.
    pub mac: [u8; 6],
    /// Microseconds since it was last confirmed.
    pub age: Micros,
}

/// Where to send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lookup {
    /// To this adapter.
    Known([u8; 6]),
    /// To this adapter, but ask whether it is still there.
    Refresh([u8; 6]),
    /// Nobody knows; ask.
    Unknown,
}

/// What an ARP packet's sender taught us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Learned {
    /// Nothing: unsolicited, or too soon.
    Nothing,
    /// A known binding holds.
    Same,
    /// A new neighbour.
    New,
    /// A neighbour's adapter changed.
    Changed,
}

#[derive(Clone, Copy, Default)]
struct Entry {
    /// 0 = free.
    ip: u32,
    mac: [u8; 6],
    known: bool,
    confirmed: Micros,
    used: Micros,
    asked: Option<Micros>,
}

impl Entry {
    fn is_live(&self, now: Micros) -> bool {
        self.ip != 0 && self.known && now.saturating_sub(self.confirmed) < LIFETIME
    }

    fn is_asked(&self, now: Micros) -> bool {
        self.asked.is_some_and(|asked| now.saturating_sub(asked) <= SOLICITED)
    }
}

/// The table.
pub(crate) struct Table {
    entries: [Entry; ARP_ENTRIES],
}

impl Default for Table {
    fn default() -> Self {
        // Derived, it would be one piece of code for each entry.
        Self { entries: [Entry::default(); ARP_ENTRIES] }
    }
}

impl Table {
    /// Forgets everybody (link or address changed).
    pub(crate) fn clear(&mut self) {
        self.entries.fill(Entry::default());
    }

    fn find(&mut self, ip: u32) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|e| ip != 0 && e.ip == ip)
    }

    /// The adapter that has `ip`; marks the entry as used.
    pub(crate) fn lookup(&mut self, ip: u32, now: Micros) -> Lookup {
        match self.find(ip) {
            Some(entry) if entry.is_live(now) => {
                entry.used = now;
                if now.saturating_sub(entry.confirmed) < REFRESH {
                    Lookup::Known(entry.mac)
                } else {
                    Lookup::Refresh(entry.mac)
                }
            }
            _ => Lookup::Unknown,
        }
    }

    /// May a request for `ip` go out now?
    pub(crate) fn may_ask(&mut self, ip: u32, now: Micros) -> bool {
        self.find(ip)
            .and_then(|e| e.asked)
            .is_none_or(|asked| now.saturating_sub(asked) >= ASK_SPACING)
    }

    /// A request for `ip` has gone out: its reply may come in.
    pub(crate) fn asked(&mut self, ip: u32, now: Micros) {
        if ip == 0 {
            return;
        }
        match self.find(ip) {
            Some(entry) => entry.asked = Some(now),
            None => {
                *self.victim(now) = Entry { ip, used: now, asked: Some(now), ..Entry::default() };
            }
        }
    }

    /// `ip` says it is at `mac`; `request` = while asking for us.
    pub(crate) fn learn(&mut self, ip: u32, mac: [u8; 6], request: bool, now: Micros) -> Learned {
        let Some(entry) = self.find(ip) else {
            if !request || ip == 0 {
                return Learned::Nothing;
            }
            *self.victim(now) = Entry { ip, mac, known: true, confirmed: now, ..Entry::default() };
            return Learned::New;
        };
        let learned = if !entry.is_live(now) {
            // Never answered, or run out: as if it were not there, except that
            // a request of ours may be under way.
            if !request && !entry.is_asked(now) {
                return Learned::Nothing;
            }
            if entry.known && entry.mac != mac { Learned::Changed } else { Learned::New }
        } else if entry.mac == mac {
            Learned::Same
        } else if now.saturating_sub(entry.confirmed) < LOCK && !entry.is_asked(now) {
            return Learned::Nothing;
        } else {
            Learned::Changed
        };
        entry.mac = mac;
        entry.known = true;
        entry.confirmed = now;
        entry.asked = None;
        learned
    }

    /// A valid datagram came from `ip` at `mac`: the binding holds.
    pub(crate) fn confirm(&mut self, ip: u32, mac: &[u8; 6], now: Micros) {
        if let Some(entry) = self.find(ip)
            && entry.is_live(now)
            && entry.mac == *mac
        {
            entry.confirmed = now;
        }
    }

    /// What is known, for the table service.
    pub(crate) fn view(&self, now: Micros) -> [Option<ArpEntry>; ARP_ENTRIES] {
        self.entries.map(|e| {
            e.is_live(now).then(|| ArpEntry {
                ip: e.ip.into(),
                mac: e.mac,
                age: now.saturating_sub(e.confirmed),
            })
        })
    }

    /// The entry to give up: a free one, else one that has run out, else the
    /// one we have not used for longest.
    fn victim(&mut self, now: Micros) -> &mut Entry {
        let rank = |e: &Entry| match () {
            () if e.ip == 0 => (0, 0, 0),
            () if e.known && !e.is_live(now) => (1, e.confirmed, 0),
            () => (2, e.used, e.confirmed),
        };
        let [first, rest @ ..] = &mut self.entries;
        rest.iter_mut().fold(first, |best, e| if rank(e) < rank(best) { e } else { best })
    }
}

/// An ARP packet of ours, after the Ethernet header: IPv4 over Ethernet.
pub(crate) const PACKET_LEN: usize = 28;
/// `ar$op` of a request.
pub(crate) const REQUEST: u16 = 1;
/// `ar$op` of a reply.
pub(crate) const REPLY: u16 = 2;

/// The frame of an ARP packet, without padding.
pub(crate) fn frame(
    operation: u16,
    to: [u8; 6],
    sender: ([u8; 6], u32),
    target: ([u8; 6], u32),
) -> [u8; 14 + PACKET_LEN] {
    let mut out = [0; 14 + PACKET_LEN];
    let parts: [&[u8]; 9] = [
        &to,
        &sender.0,
        &[0x08, 0x06],
        &[0, 1, 0x08, 0, 6, 4],
        &operation.to_be_bytes(),
        &sender.0,
        &sender.1.to_be_bytes(),
        &target.0,
        &target.1.to_be_bytes(),
    ];
    for (to, from) in out.iter_mut().zip(parts.into_iter().flatten()) {
        *to = *from;
    }
    out
}

#[cfg(test)]
mod tests;

//! The list of services: every fact about one in one line.
//!
//! A service is known by its *name* `group.name/major`. Its *id* is a 32-bit
//! hash of the name, which is what a payload asks the resolver for; its *slot*
//! indexes the kernel's tables and is what a shielded payload's stub passes
//! through the gate. Slots are never reused; a changed signature or meaning is
//! a new major version, hence a new name, id and slot.
//!
//! [`for_each_service!`](crate::for_each_service) hands the list to another
//! macro, so the dispatcher, the payload's veneer and the C header cannot
//! disagree with it.

use crate::net::{Addresses, Neighbour, UdpInfo, UdpPeer, UdpRecv};
use crate::{Never, TaskInfo};

/// Size of the kernel's tables: slots are below this.
pub const SLOTS: usize = 128;

/// Passes the list of services to the macro `$then`, one line per service:
///
/// ```text
/// slot Type function "group.name/major" (name: type, ...) -> type, "what it does"
/// ```
///
/// Pointers in a signature are checked against the task's own memory before
/// use; a `len` parameter belongs to the pointer before it.
#[macro_export]
macro_rules! for_each_service {
    ($then:ident) => { $then! {
        0 TaskInfoGet task_info "task.info/1" () -> *const TaskInfo,
            "Address of the task's `TaskInfo`.";
        1 TaskExit task_exit "task.exit/1" (code: i32) -> Never,
            "Ends the task with an exit code.";
        2 TaskYield task_yield "task.yield/1" () -> (),
            "Lets the kernel do what is due, then goes on.";
        3 TaskBeat task_beat "task.beat/1" () -> (),
            "A sign of life, for tasks that promised some.";
        4 TaskRemaining task_remaining "task.remaining/1" () -> u64,
            "Microseconds until the deadline; 0 when it has passed.";
        5 TaskShouldStop task_should_stop "task.should_stop/1" () -> u32,
            "1 when the task should come to an end: it was told to, or its time is almost over; else 0.";
        6 TaskAbort task_abort "task.abort/1" (message: *const u8, len: u32) -> Never,
            "Ends the task as failed, with a message for the client.";
        7 TaskSyncCode task_sync_code "task.sync_code/1" (start: *const u8, len: u32) -> (),
            "Makes code that was written to memory fit to be executed.";

        16 IoRead io_read "io.read/1" (buf: *mut u8, len: u32) -> u32,
            "Copies the next bytes of the input; how many, 0 at its end.";
        17 IoWrite io_write "io.write/1" (buf: *const u8, len: u32) -> u32,
            "Appends all the bytes to the task's output; how many.";
        18 IoError io_error "io.error/1" (buf: *const u8, len: u32) -> u32,
            "Appends all the bytes to the task's error stream; how many.";
        19 IoLog io_log "io.log/1" (text: *const u8, len: u32) -> (),
            "One line of UTF-8 text for the board's log, cut at 120 bytes.";

        24 MemAlloc mem_alloc "mem.alloc/1" (size: u32, align: u32) -> *mut u8,
            "A block of the task's heap; align is 0 (8) or a power of two up to 4096. Null: no room.";
        25 MemCalloc mem_calloc "mem.calloc/1" (count: u32, size: u32) -> *mut u8,
            "A zeroed block of count * size bytes. Null: no room.";
        26 MemRealloc mem_realloc "mem.realloc/1" (block: *mut u8, size: u32, align: u32) -> *mut u8,
            "Changes a block's size, moving it if need be; null block: as alloc. Null: no room, the block stays.";
        27 MemFree mem_free "mem.free/1" (block: *mut u8) -> (),
            "Gives a block back; null does nothing.";
        28 MemSize mem_size "mem.size/1" () -> u32,
            "Bytes of the task's heap.";
        29 MemUsed mem_used "mem.used/1" () -> u32,
            "Bytes of it in use now, bookkeeping included.";
        30 MemPeak mem_peak "mem.peak/1" () -> u32,
            "The most that was ever in use.";

        32 TimeNow time_now "time.now/1" () -> u64,
            "Microseconds since the board started.";
        33 TimeSleepUntil time_sleep_until "time.sleep_until/1" (us: u64) -> (),
            "Waits until `time.now` reaches a value.";
        34 TimeCycles time_cycles "time.cycles/1" () -> u32,
            "The core's cycle counter (wraps; means nothing in an emulator).";

        40 NetBind net_bind "net.bind/1" (port: u32, flags: u32) -> i32,
            "Takes the datagrams for a UDP port, 0: any free one; which. Flag 1: for all ports but the kernel's; 0.";
        41 NetRecv net_recv "net.recv/1" (buf: *mut u8, len: u32, info: *mut UdpInfo) -> i32,
            "Waits for a datagram and copies it; how many bytes.";
        42 NetRecvUntil net_recv_until "net.recv_until/1" (args: *const UdpRecv) -> i32,
            "As `net.recv`, but waits no longer than until a value of `time.now`.";
        43 NetSend net_send "net.send/1" (peer: *const UdpPeer, buf: *const u8, len: u32) -> i32,
            "Sends a datagram; 0.";
        44 NetAddresses net_addresses "net.addresses/1" (out: *mut Addresses) -> i32,
            "Writes the board's addresses; 0.";
        45 NetArp net_arp "net.arp/1" (out: *mut Neighbour, max: u32) -> u32,
            "Writes at most `max` entries of the ARP table; how many.";
        46 NetClose net_close "net.close/1" (port: u32) -> i32,
            "Gives a port back, 0: all of them; 0.";
    } };
}

/// One service, as data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Service {
    /// Index in the kernel's tables.
    pub slot: u8,
    /// [`hash`] of the name.
    pub id: u32,
    /// `group.name/major`.
    pub name: &'static str,
    /// The function's name in Rust; in C with `sk_` before it.
    pub function: &'static str,
    /// Parameters: name and Rust type.
    pub params: &'static [(&'static str, &'static str)],
    /// The result's Rust type.
    pub result: &'static str,
    /// What it does, in a sentence.
    pub text: &'static str,
}

/// A service as a type: its facts and the signature of its code.
pub trait Typed {
    /// The facts.
    const SERVICE: Service;
    /// `unsafe extern "C" fn` with the service's parameters.
    type Fn;
}

/// The id of a service name: FNV-1a, 32 bits (offset basis 0x811c9dc5, prime
/// 0x01000193).
#[must_use]
pub const fn hash(name: &str) -> u32 {
    let bytes = name.as_bytes();
    let mut h: u32 = 0x811C_9DC5;
    let mut i = 0;
    while i < bytes.len() {
        h = (h ^ bytes[i] as u32).wrapping_mul(0x0100_0193);
        i += 1;
    }
    h
}

macro_rules! list {
    ($($slot:literal $ty:ident $f:ident $name:literal
       ($($p:ident: $pt:ty),*) -> $ret:ty, $text:literal;)*) => {
        $(
            #[doc = concat!("`", $name, "`: ", $text)]
            #[derive(Clone, Copy, Debug)]
            pub enum $ty {}
            impl Typed for $ty {
                const SERVICE: Service = Service {
                    slot: $slot,
                    id: hash($name),
                    name: $name,
                    function: stringify!($f),
                    params: &[$((stringify!($p), stringify!($pt))),*],
                    result: stringify!($ret),
                    text: $text,
                };
                type Fn = unsafe extern "C" fn($($p: $pt),*) -> $ret;
            }
        )*

        /// Every service, ascending by slot.
        pub const SERVICES: &[Service] = &[$(<$ty as Typed>::SERVICE),*];
    };
}
for_each_service!(list);

// Two names with one id, two services in one slot: the build ends here.
const _: () = {
    let mut i = 0;
    while i < SERVICES.len() {
        assert!((SERVICES[i].slot as usize) < SLOTS, "a slot is outside the kernel's table");
        assert!(SERVICES[i].id != 0, "id 0 marks an empty place of the resolver's table");
        let mut j = i + 1;
        while j < SERVICES.len() {
            assert!(SERVICES[i].slot < SERVICES[j].slot, "slots must ascend, each used once");
            assert!(SERVICES[i].id != SERVICES[j].id, "two service names have the same id");
            j += 1;
        }
        i += 1;
    }
};

/// The service with an id, if this version knows it.
#[must_use]
pub fn by_id(id: u32) -> Option<&'static Service> {
    SERVICES.iter().find(|s| s.id == id)
}

/// The service in a slot, if there is one.
#[must_use]
pub fn by_slot(slot: u8) -> Option<&'static Service> {
    SERVICES.binary_search_by_key(&slot, |s| s.slot).ok().and_then(|i| SERVICES.get(i))
}

/// The service with a name, if this version knows it.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Service> {
    SERVICES.iter().find(|s| s.name == name)
}

/// The C type that stands for a Rust type of a signature. The compiler prints
/// a pointer type that has been through two macros with a space in it.
#[must_use]
pub fn c_type(rust: &str) -> Option<&'static str> {
    Some(match rust {
        "()" | "Never" => "void",
        "u8" => "uint8_t",
        "u16" => "uint16_t",
        "u32" => "uint32_t",
        "u64" => "uint64_t",
        "i32" => "int32_t",
        "*const u8" | "* const u8" => "const void *",
        "*mut u8" | "* mut u8" => "void *",
        "*const u32" | "* const u32" => "const uint32_t *",
        "*mut u32" | "* mut u32" => "uint32_t *",
        "*mut u64" | "* mut u64" => "uint64_t *",
        "*const TaskInfo" | "* const TaskInfo" => "const struct sk_task_info *",
        "*mut UdpInfo" | "* mut UdpInfo" => "struct sk_udp_info *",
        "*const UdpRecv" | "* const UdpRecv" => "const struct sk_udp_recv *",
        "*const UdpPeer" | "* const UdpPeer" => "const struct sk_udp_peer *",
        "*mut Addresses" | "* mut Addresses" => "struct sk_addresses *",
        "*mut Neighbour" | "* mut Neighbour" => "struct sk_neighbour *",
        _ => return None,
    })
}

/// The C prototype of a service, for headers: `uint32_t (buf, len)` with the
/// function's name in between.
impl core::fmt::Display for Service {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let ty = |rust| c_type(rust).ok_or(core::fmt::Error);
        let gap = |c: &str| if c.ends_with('*') { "" } else { " " };
        let result = ty(self.result)?;
        write!(f, "{result}{}sk_{}(", gap(result), self.function)?;
        for (i, (name, rust)) in self.params.iter().enumerate() {
            let c = ty(rust)?;
            write!(f, "{}{c}{}{name}", if i == 0 { "" } else { ", " }, gap(c))?;
        }
        f.write_str(if self.params.is_empty() { "void)" } else { ")" })
    }
}

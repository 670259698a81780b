//! What the firmware handed over, taken before anything of ours overwrites it.
//!
//! Runs on the boot map, with the MMU on, before .bss is cleared and .data is
//! filled: it uses no static but its own, which lies outside of both. The
//! configuration blob holds secrets, so its original is wiped once copied.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use sk_drivers::bootdata::{self, BootData, BootError, PhysRead, Range};

/// Longest configuration blob that is taken.
pub const BLOB_MAX: usize = 32 * 1024;
/// Memory a board of this family can have: all that the boot map shows.
const MEMORY_MAX: u32 = 512 << 20;

unsafe extern "C" {
    static __image_start: u8;
    static __image_end: u8;
    static __l1_table: u8;
    static __kernel_ram_start: u8;
    static __kernel_ram_end: u8;
}

/// What became of the blob.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blob {
    /// No ramdisk was named.
    None,
    /// Copied; this many bytes.
    Taken(usize),
    /// Named, but longer than [`BLOB_MAX`].
    TooLong(u32),
    /// Named where the kernel's image, tables or stacks are: it was overwritten.
    Misplaced,
}

/// Everything taken.
pub struct Taken {
    /// Memory, revision and the rest, or why there is nothing.
    pub data: Result<BootData, BootError>,
    /// r0 to r2 as the firmware left them.
    pub registers: [u32; 3],
    /// The blob.
    pub blob: Blob,
    bytes: [u8; BLOB_MAX],
}

impl Taken {
    /// The blob's bytes; empty if there are none.
    pub fn blob_bytes(&mut self) -> &mut [u8] {
        let len = if let Blob::Taken(len) = self.blob { len } else { 0 };
        self.bytes.get_mut(..len).unwrap_or(&mut [])
    }
}

struct NoInit(UnsafeCell<MaybeUninit<Taken>>);

// SAFETY: written by `early` before `kernel_main` starts, read once by `taken`;
// there is one thread and no interrupt touches it.
unsafe impl Sync for NoInit {}

#[unsafe(link_section = ".noinit.taken")]
static TAKEN: NoInit = NoInit(UnsafeCell::new(MaybeUninit::uninit()));

/// Physical memory through the boot map.
struct BootMemory;

impl PhysRead for BootMemory {
    fn read32(&self, addr: u32) -> Option<u32> {
        if !addr.is_multiple_of(4) || addr >= MEMORY_MAX {
            return None;
        }
        // SAFETY: the boot map shows these 512 MiB as normal memory; an aligned
        // word below the limit is inside. Volatile: Rust owns none of it.
        Some(unsafe { (addr as *const u32).read_volatile() })
    }
}

#[unsafe(no_mangle)]
extern "C" fn early(r0: u32, r1: u32, r2: u32) {
    // SAFETY: called once by the boot code, alone.
    let taken = unsafe { &mut *TAKEN.0.get() }.as_mut_ptr();
    let data = bootdata::parse(&BootMemory, r2);
    let blob = match data.as_ref().ok().and_then(|d| d.initrd) {
        None => Blob::None,
        Some(at) if at.size as usize > BLOB_MAX || at.end() > MEMORY_MAX => Blob::TooLong(at.size),
        Some(at) if overwritten().iter().flatten().any(|ours| ours.overlaps(&at)) => {
            Blob::Misplaced
        }
        Some(at) => {
            // SAFETY: the source was checked to lie in mapped memory; `copy`
            // allows it to overlap the destination; fields of `taken` are
            // written through raw pointers, so nothing uninitialised is read.
            unsafe {
                let to = (&raw mut (*taken).bytes).cast::<u8>();
                core::ptr::copy(at.start as *const u8, to, at.size as usize);
            }
            wipe(at);
            Blob::Taken(at.size as usize)
        }
    };
    let used = if let Blob::Taken(len) = blob { len } else { 0 };
    // SAFETY: memory of ours; `used` is at most BLOB_MAX.
    unsafe {
        (&raw mut (*taken).bytes).cast::<u8>().add(used).write_bytes(0, BLOB_MAX - used);
        (&raw mut (*taken).data).write(data);
        (&raw mut (*taken).registers).write([r0, r1, r2]);
        (&raw mut (*taken).blob).write(blob);
    }
}

/// What the boot code has written by now, and what was there before it ran.
fn overwritten() -> [Option<Range>; 2] {
    let range = |start: *const u8, end: *const u8| {
        Range::new(start as u32, (end as u32).saturating_sub(start as u32))
    };
    [
        range(&raw const __image_start, &raw const __image_end),
        range(&raw const __l1_table, &raw const __kernel_ram_end),
    ]
}

/// Overwrites the original, unless it lies in memory of ours (then it is ours
/// to use, and cleared or reused anyway).
fn wipe(at: Range) {
    let ours = Range::new(
        (&raw const __kernel_ram_start) as u32,
        (&raw const __kernel_ram_end) as u32 - (&raw const __kernel_ram_start) as u32,
    );
    if ours.is_none_or(|ours| !ours.overlaps(&at)) {
        // SAFETY: memory the firmware set aside for the ramdisk, inside RAM and
        // outside of the kernel's; nothing else refers to it.
        unsafe { core::ptr::write_bytes(at.start as *mut u8, 0, at.size as usize) }
    }
}

/// What was taken; once.
///
/// # Safety
/// Called once, from `kernel_main`.
pub unsafe fn taken() -> &'static mut Taken {
    // SAFETY: `early` has run and written every field.
    unsafe { (*TAKEN.0.get()).assume_init_mut() }
}

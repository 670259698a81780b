//! The one unsafe module: from typed calls to code addresses, and back from
//! what the kernel passes at entry.
//!
//! A service's address is asked for when it is first needed and kept in a
//! static of its own, so a payload has only those it uses. Ids that a payload
//! cannot do without are also written to the section `.sk.imports`, which is
//! not part of the image; the packer makes the import list of them.

use crate::{IntoCode, Kernel};
use core::mem::transmute;
use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};
use sk_abi::net::{Addresses, Neighbour, UdpInfo, UdpPeer, UdpRecv};
use sk_abi::{Never, Resolve, TaskInfo, for_each_service, service::Typed};

/// The resolver, as it was handed over at entry.
static RESOLVER: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());

/// The kernel of the board.
#[derive(Debug)]
pub(crate) struct Sys {
    info: &'static TaskInfo,
}

/// What `_start` calls.
///
/// # Safety
/// `resolve` and `info` are what the kernel passed at entry: a resolver, and a
/// `TaskInfo` that is never changed.
#[inline(always)]
pub unsafe fn start<T: IntoCode>(
    resolve: Resolve,
    info: *const TaskInfo,
    run: impl FnOnce(&Kernel) -> T,
) -> i32 {
    RESOLVER.store(resolve as *mut (), Relaxed);
    // SAFETY: the caller's promise.
    let k = Kernel { sys: Sys { info: unsafe { &*info } } };
    run(&k).into_code(&k)
}

/// Asks the kernel; null for a service it does not have.
#[cold]
#[inline(never)]
fn resolve(kept: &AtomicPtr<()>, id: u32) -> *mut () {
    let resolver = RESOLVER.load(Relaxed);
    if resolver.is_null() {
        return resolver;
    }
    // SAFETY: not null, so it is what `start` stored, a `Resolve`.
    let code = unsafe { transmute::<*mut (), Resolve>(resolver)(id) }.cast_mut();
    kept.store(code, Relaxed);
    code
}

/// An undefined instruction: the kernel ends the task and says where. For a
/// service that was in the import list and yet is not there.
#[cold]
fn absent() -> ! {
    // SAFETY: does not return, and touches nothing.
    unsafe { core::arch::asm!("udf #0xAB5", options(noreturn, nomem, nostack)) }
}

macro_rules! address {
    ($($slot:literal $ty:ident $f:ident $name:literal
       ($($p:ident: $pt:ty),*) -> $ret:ty, $text:literal;)*) => {$(
        /// Where the service's code is, if the kernel has it.
        #[inline(always)]
        pub(super) fn $f() -> Option<<sk_abi::service::$ty as Typed>::Fn> {
            static KEPT: AtomicPtr<()> = AtomicPtr::new(core::ptr::null_mut());
            let mut code = KEPT.load(Relaxed);
            if code.is_null() {
                code = resolve(&KEPT, <sk_abi::service::$ty as Typed>::SERVICE.id);
            }
            // SAFETY: null is None, and everything else the resolver returns
            // for this id has the signature that the list of services says.
            unsafe { transmute::<*mut (), Option<unsafe extern "C" fn($($pt),*) -> $ret>>(code) }
        }
    )*};
}

/// Addresses, by the services' function names.
#[allow(dead_code)]
mod at {
    use super::*;
    for_each_service!(address);
}

/// A service the payload cannot do without: its id goes to the import list.
macro_rules! required {
    ($ty:ident, $f:ident) => {{
        // SAFETY: assembles four bytes into a section that is not loaded; no
        // instruction.
        unsafe {
            core::arch::asm!(
                ".pushsection .sk.imports,\"\",%progbits",
                ".4byte {}",
                ".popsection",
                const <sk_abi::service::$ty as Typed>::SERVICE.id,
                options(nomem, nostack, preserves_flags)
            );
        }
        match at::$f() {
            Some(code) => code,
            None => absent(),
        }
    }};
}

impl Sys {
    pub(crate) fn info(&self) -> &TaskInfo {
        self.info
    }

    pub(crate) fn input(&self) -> &[u8] {
        bytes(self.info.input, self.info.input_len)
    }

    pub(crate) fn args(&self) -> &str {
        core::str::from_utf8(bytes(self.info.args, self.info.args_len)).unwrap_or_default()
    }

    pub(crate) fn read(&self, buf: &mut [u8]) -> usize {
        let code = required!(IoRead, io_read);
        // SAFETY: the kernel writes to at most these bytes.
        unsafe { code(buf.as_mut_ptr(), buf.len() as u32) as usize }
    }

    pub(crate) fn write(&self, error: bool, bytes: &[u8]) -> usize {
        let code = if error {
            match at::io_error() {
                Some(code) => code,
                None => return bytes.len(),
            }
        } else {
            required!(IoWrite, io_write)
        };
        // SAFETY: the kernel reads these bytes.
        unsafe { code(bytes.as_ptr(), bytes.len() as u32) as usize }
    }

    pub(crate) fn log(&self, line: &str) {
        if let Some(code) = at::io_log() {
            // SAFETY: the kernel reads these bytes.
            unsafe { code(line.as_ptr(), line.len() as u32) }
        }
    }

    pub(crate) fn exit(&self, code: i32) -> ! {
        let exit = required!(TaskExit, task_exit);
        // SAFETY: takes a number.
        match unsafe { exit(code) } {}
    }

    pub(crate) fn abort(&self, message: &str) -> ! {
        abort(message.as_bytes())
    }

    pub(crate) fn yield_now(&self) {
        if let Some(code) = at::task_yield() {
            // SAFETY: takes nothing.
            unsafe { code() }
        }
    }

    pub(crate) fn beat(&self) {
        if let Some(code) = at::task_beat() {
            // SAFETY: takes nothing.
            unsafe { code() }
        }
    }

    pub(crate) fn should_stop(&self) -> bool {
        // SAFETY: takes nothing.
        at::task_should_stop().is_some_and(|code| unsafe { code() } != 0)
    }

    pub(crate) fn now(&self) -> u64 {
        let code = required!(TimeNow, time_now);
        // SAFETY: takes nothing.
        unsafe { code() }
    }

    pub(crate) fn remaining(&self) -> u64 {
        let code = required!(TaskRemaining, task_remaining);
        // SAFETY: takes nothing.
        unsafe { code() }
    }

    pub(crate) fn sleep_until(&self, us: u64) {
        let code = required!(TimeSleepUntil, time_sleep_until);
        // SAFETY: takes a number.
        unsafe { code(us) }
    }

    pub(crate) fn cycles(&self) -> u32 {
        // SAFETY: takes nothing.
        at::time_cycles().map_or(0, |code| unsafe { code() })
    }

    pub(crate) fn net_bind(&self, port: u16, flags: u32) -> i32 {
        let code = required!(NetBind, net_bind);
        // SAFETY: takes numbers.
        unsafe { code(port.into(), flags) }
    }

    pub(crate) fn net_recv(&self, buf: &mut [u8], info: &mut UdpInfo) -> i32 {
        let code = required!(NetRecv, net_recv);
        // SAFETY: the kernel writes to at most these bytes and to `info`, which
        // is plain data laid out as it expects.
        unsafe { code(buf.as_mut_ptr(), buf.len() as u32, info) }
    }

    pub(crate) fn net_recv_until(
        &self,
        buf: &mut [u8],
        info: &mut UdpInfo,
        deadline_us: u64,
    ) -> i32 {
        let code = required!(NetRecvUntil, net_recv_until);
        let args = UdpRecv {
            deadline_us,
            buf: buf.as_mut_ptr().expose_provenance() as u32,
            len: buf.len() as u32,
            info: core::ptr::from_mut(info).expose_provenance() as u32,
            reserved: 0,
        };
        // SAFETY: as in `net_recv`.
        unsafe { code(&raw const args) }
    }

    pub(crate) fn net_send(&self, peer: &UdpPeer, bytes: &[u8]) -> i32 {
        let code = required!(NetSend, net_send);
        // SAFETY: the kernel reads these bytes.
        unsafe { code(peer, bytes.as_ptr(), bytes.len() as u32) }
    }

    pub(crate) fn net_addresses(&self, out: &mut Addresses) -> i32 {
        let code = required!(NetAddresses, net_addresses);
        // SAFETY: the kernel writes the structure, plain data.
        unsafe { code(out) }
    }

    pub(crate) fn net_arp(&self, out: &mut [Neighbour]) -> usize {
        let code = required!(NetArp, net_arp);
        // SAFETY: the kernel writes at most so many entries, plain data.
        unsafe { code(out.as_mut_ptr(), out.len() as u32) as usize }
    }

    pub(crate) fn net_close(&self, port: u16) -> i32 {
        let code = required!(NetClose, net_close);
        // SAFETY: takes a number.
        unsafe { code(port.into()) }
    }

    pub(crate) fn heap(&self) -> [u32; 3] {
        let size = required!(MemSize, mem_size);
        let used = required!(MemUsed, mem_used);
        let peak = required!(MemPeak, mem_peak);
        // SAFETY: they take nothing.
        unsafe { [size(), used(), peak()] }
    }
}

/// Memory the kernel described in [`TaskInfo`].
fn bytes(at: u32, len: u32) -> &'static [u8] {
    if len == 0 {
        return &[];
    }
    let start = core::ptr::with_exposed_provenance(at as usize);
    // SAFETY: input and arguments are mapped read-only for the whole task.
    unsafe { core::slice::from_raw_parts(start, len as usize) }
}

fn abort(message: &[u8]) -> ! {
    match at::task_abort() {
        // SAFETY: the kernel reads these bytes.
        Some(code) => match unsafe { code(message.as_ptr(), message.len() as u32) } {},
        None => absent(),
    }
}

/// The message kept by the kernel: `src/main.rs:12: index out of bounds ...`,
/// cut to its limit.
struct Message {
    text: [u8; sk_abi::task::MESSAGE_MAX],
    len: usize,
}

impl Message {
    fn push(&mut self, more: &[u8]) {
        for (to, from) in self.text.iter_mut().skip(self.len).zip(more) {
            *to = *from;
            self.len += 1;
        }
    }
}

impl core::fmt::Write for Message {
    fn write_str(&mut self, s: &str) -> core::fmt::Result {
        self.push(s.as_bytes());
        Ok(())
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let mut message = Message { text: [0; sk_abi::task::MESSAGE_MAX], len: 0 };
    if let Some(place) = info.location() {
        message.push(place.file().as_bytes());
        // The line in decimal, without linking core::fmt for it.
        let mut digits = [b':'; 12];
        let mut line = place.line();
        let mut at = digits.len() - 1;
        while line > 0 && at > 1 {
            at -= 1;
            digits[at] = b'0' + (line % 10) as u8;
            line /= 10;
        }
        message.push(&digits[at - 1..]);
        message.push(b" ");
    }
    #[cfg(feature = "panic-text")]
    {
        let _ = core::fmt::Write::write_fmt(&mut message, format_args!("{}", info.message()));
    }
    #[cfg(not(feature = "panic-text"))]
    message.push(info.message().as_str().unwrap_or("panic").as_bytes());
    abort(message.text.get(..message.len).unwrap_or_default())
}

/// The task's heap behind `alloc`.
#[cfg(feature = "alloc")]
mod heap {
    use super::{absent, at};
    use core::alloc::{GlobalAlloc, Layout};
    use sk_abi::service::Typed;

    struct Heap;

    #[global_allocator]
    static HEAP: Heap = Heap;

    // SAFETY: blocks come from the kernel's allocator: disjoint, aligned as
    // asked (up to 4096; beyond that there are none), alive until freed.
    unsafe impl GlobalAlloc for Heap {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            if layout.align() > 4096 {
                return core::ptr::null_mut();
            }
            let code = required!(MemAlloc, mem_alloc);
            // SAFETY: takes numbers.
            unsafe { code(layout.size() as u32, layout.align() as u32) }
        }

        unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
            let code = required!(MemFree, mem_free);
            // SAFETY: the caller's promise: a block from `alloc`.
            unsafe { code(block) }
        }

        unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            let code = required!(MemRealloc, mem_realloc);
            // SAFETY: the caller's promise; the alignment was accepted before.
            unsafe { code(block, size as u32, layout.align() as u32) }
        }
    }
}

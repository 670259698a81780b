//! Entry into a payload, and what it is told there.

/// The resolver handed over in r0 at entry: service id to code address, null
/// for an id this kernel does not know. Nothing else in a payload knows an
/// address of the kernel.
pub type Resolve = unsafe extern "C" fn(id: u32) -> *const ();

/// A payload's entry point (AAPCS; stack 8-byte aligned and zeroed, VFP on in
/// RunFast mode). The result is the exit code.
pub type Entry = unsafe extern "C" fn(resolve: Resolve, info: *const TaskInfo) -> i32;

/// What a service that does not come back returns.
#[derive(Clone, Copy, Debug)]
pub enum Never {}

/// What a payload is told at entry: read-only for it, written once by the
/// kernel. Fields are only ever added at the end; `size` says how many bytes
/// this kernel wrote.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct TaskInfo {
    /// [`crate::ABI_VERSION`] of the kernel.
    pub abi: u32,
    /// Bytes of this structure.
    pub size: u32,
    /// Address of the input sent with the payload (read-only).
    pub input: u32,
    /// Bytes of input.
    pub input_len: u32,
    /// Address of the argument string: UTF-8, arguments apart by one 0x00.
    pub args: u32,
    /// Bytes of the argument string.
    pub args_len: u32,
    /// Lowest address of the task's region.
    pub region_start: u32,
    /// First address after the task's region.
    pub region_end: u32,
    /// Where the text was loaded: address 0 of the ELF file.
    pub text: u32,
    /// Bytes of text.
    pub text_len: u32,
    /// Lowest address of the stack; what lies below is not mapped.
    pub stack_start: u32,
    /// First address after the stack; the stack pointer at entry.
    pub stack_end: u32,
    /// Address of the heap the `mem` services hand out.
    pub heap: u32,
    /// Bytes of heap.
    pub heap_len: u32,
    /// When the task will be ended: microseconds on the clock of `time.now`.
    pub deadline_us: u64,
    /// The board's revision code, as the firmware reports it.
    pub board_revision: u32,
    /// Highest clock of the ARM core in MHz.
    pub cpu_mhz_max: u32,
    /// [`flags`].
    pub flags: u32,
    /// Zero.
    pub reserved: u32,
}

/// Bits of [`TaskInfo::flags`].
pub mod flags {
    /// The payload runs in user mode behind the MMU (else: privileged, direct).
    pub const SHIELDED: u32 = 1 << 0;
    /// The board is known to be emulated: cycle counts mean nothing.
    pub const EMULATED: u32 = 1 << 1;
}

/// Largest argument string in bytes: it shares a page with [`TaskInfo`].
pub const ARGS_MAX: u32 = 2048;

/// Largest message of `task.abort` that is kept, in bytes.
pub const MESSAGE_MAX: usize = 200;

const _: () = {
    use core::mem::{align_of, offset_of, size_of};
    assert!(size_of::<TaskInfo>() == 80 && align_of::<TaskInfo>() == 8);
    assert!(offset_of!(TaskInfo, abi) == 0);
    assert!(offset_of!(TaskInfo, size) == 4);
    assert!(offset_of!(TaskInfo, input) == 8);
    assert!(offset_of!(TaskInfo, input_len) == 12);
    assert!(offset_of!(TaskInfo, args) == 16);
    assert!(offset_of!(TaskInfo, args_len) == 20);
    assert!(offset_of!(TaskInfo, region_start) == 24);
    assert!(offset_of!(TaskInfo, region_end) == 28);
    assert!(offset_of!(TaskInfo, text) == 32);
    assert!(offset_of!(TaskInfo, text_len) == 36);
    assert!(offset_of!(TaskInfo, stack_start) == 40);
    assert!(offset_of!(TaskInfo, stack_end) == 44);
    assert!(offset_of!(TaskInfo, heap) == 48);
    assert!(offset_of!(TaskInfo, heap_len) == 52);
    assert!(offset_of!(TaskInfo, deadline_us) == 56);
    assert!(offset_of!(TaskInfo, board_revision) == 64);
    assert!(offset_of!(TaskInfo, cpu_mhz_max) == 68);
    assert!(offset_of!(TaskInfo, flags) == 72);
    assert!(offset_of!(TaskInfo, reserved) == 76);
};

/// Bytes of [`TaskInfo`] in this version.
pub const TASK_INFO_SIZE: u32 = 80;

impl TaskInfo {
    /// The structure as the kernel writes it into the task's memory
    /// (little-endian, field by field at the offsets asserted above).
    #[must_use]
    pub fn to_bytes(&self) -> [u8; TASK_INFO_SIZE as usize] {
        let words = [
            self.abi,
            self.size,
            self.input,
            self.input_len,
            self.args,
            self.args_len,
            self.region_start,
            self.region_end,
            self.text,
            self.text_len,
            self.stack_start,
            self.stack_end,
            self.heap,
            self.heap_len,
            self.deadline_us as u32,
            (self.deadline_us >> 32) as u32,
            self.board_revision,
            self.cpu_mhz_max,
            self.flags,
            self.reserved,
        ];
        let mut out = [0; TASK_INFO_SIZE as usize];
        for (to, word) in out.chunks_exact_mut(4).zip(words) {
            to.copy_from_slice(&word.to_le_bytes());
        }
        out
    }
}

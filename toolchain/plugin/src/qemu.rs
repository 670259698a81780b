//! QEMU's plugin interface, version 1: the declarations this plugin needs, and
//! the three functions that QEMU calls.
//!
//! Everything unsafe is here. What it relies on, from QEMU's documentation
//! ("QEMU TCG Plugins", docs/devel/tcg-plugins):
//!
//! * Handles of blocks and instructions are valid during the translation
//!   callback that got them, and so is the memory behind `insn_data`, which
//!   holds `insn_size` bytes of the instruction in the guest's byte order.
//! * Pointers given as counter or user data are kept until the plugin is gone;
//!   ours live as long as the process.
//! * The code that adds to a counter runs on a virtual processor's thread. These
//!   boards have one processor.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::fs::File;
use std::sync::OnceLock;

use crate::count::{Counting, Marker};
use crate::options::Options;

type Id = u64;

/// A translated block; only QEMU knows what is in it.
#[repr(C)]
pub(crate) struct Block {
    _private: [u8; 0],
}

/// An instruction of a block; only QEMU knows what is in it.
#[repr(C)]
pub(crate) struct Instruction {
    _private: [u8; 0],
}

/// The beginning of what QEMU tells of itself; there is more behind it.
#[repr(C)]
pub(crate) struct Info {
    target_name: *const c_char,
}

/// The callback reads and writes no registers.
const NO_REGISTERS: c_int = 0;
/// Add to a 64-bit counter.
const ADD_U64: c_int = 0;

type TranslateCallback = extern "C" fn(Id, *mut Block);
type ExecuteCallback = extern "C" fn(c_uint, *mut c_void);
type ExitCallback = extern "C" fn(Id, *mut c_void);

unsafe extern "C" {
    fn qemu_plugin_register_vcpu_tb_trans_cb(id: Id, callback: TranslateCallback);
    fn qemu_plugin_register_atexit_cb(id: Id, callback: ExitCallback, data: *mut c_void);
    fn qemu_plugin_tb_n_insns(block: *const Block) -> usize;
    fn qemu_plugin_tb_get_insn(block: *const Block, index: usize) -> *mut Instruction;
    fn qemu_plugin_insn_data(instruction: *const Instruction) -> *const c_void;
    fn qemu_plugin_insn_size(instruction: *const Instruction) -> usize;
    fn qemu_plugin_insn_vaddr(instruction: *const Instruction) -> u64;
    fn qemu_plugin_register_vcpu_insn_exec_inline(
        instruction: *mut Instruction,
        operation: c_int,
        counter: *mut c_void,
        value: u64,
    );
    fn qemu_plugin_register_vcpu_insn_exec_cb(
        instruction: *mut Instruction,
        callback: ExecuteCallback,
        flags: c_int,
        data: *mut c_void,
    );
}

/// The version of the interface that this plugin is written for.
// SAFETY: QEMU looks this symbol up as an `int`; no other library has it.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
pub(crate) static qemu_plugin_version: c_int = 1;

static COUNTING: OnceLock<Counting> = OnceLock::new();

/// Called by QEMU once, after loading the plugin. Not 0 makes QEMU give up.
///
/// # Safety
/// As QEMU calls it: `info` points to its description, `argv` to `argc`
/// strings.
// SAFETY: QEMU looks this symbol up as its entry point; no other library has it.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn qemu_plugin_install(
    id: Id,
    info: *const Info,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    // SAFETY: `info` points to a structure that begins so in every version, and
    // its first field to a string.
    let target = unsafe { CStr::from_ptr((*info).target_name) };
    let words = (0..usize::try_from(argc).unwrap_or(0)).map(|index| {
        // SAFETY: there are `argc` pointers to strings, which live on.
        let word = unsafe { CStr::from_ptr(*argv.add(index)) };
        word.to_str().unwrap_or("")
    });
    match prepare(target, words) {
        Ok(counting) => {
            if COUNTING.set(counting).is_err() {
                eprintln!("sk-plugin: loaded twice");
                return 1;
            }
        }
        Err(problem) => {
            eprintln!("sk-plugin: {problem}");
            return 1;
        }
    }
    // SAFETY: `id` is ours, and the functions are of the types asked for.
    unsafe {
        qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
        qemu_plugin_register_atexit_cb(id, ended, std::ptr::null_mut());
    }
    0
}

fn prepare<'a>(target: &CStr, words: impl Iterator<Item = &'a str>) -> Result<Counting, String> {
    if target != c"arm" {
        return Err(format!("for 32-bit ARM only, not {}", target.to_string_lossy()));
    }
    let options = Options::parse(words)?;
    let file = File::create(&options.out)
        .map_err(|error| format!("{}: {error}", options.out.display()))?;
    Ok(Counting::new(options, Box::new(file)))
}

/// QEMU has translated a block: each of its instructions gets its counters.
extern "C" fn translated(_: Id, block: *mut Block) {
    let Some(counting) = COUNTING.get() else {
        return;
    };
    // SAFETY: `block` is valid during this call.
    let instructions = unsafe { qemu_plugin_tb_n_insns(block) };
    for index in 0..instructions {
        // SAFETY: `index` is below the number of instructions.
        let instruction = unsafe { qemu_plugin_tb_get_insn(block, index) };
        // SAFETY: `instruction` is valid during this call.
        let (address, word) =
            unsafe { (qemu_plugin_insn_vaddr(instruction), arm_word(instruction)) };
        if let Some(marker) = word.and_then(Marker::of).or_else(|| counting.mark(address)) {
            // SAFETY: the callback is of the type asked for; its data is a
            // number, which nobody follows.
            unsafe {
                qemu_plugin_register_vcpu_insn_exec_cb(
                    instruction,
                    marked,
                    NO_REGISTERS,
                    std::ptr::without_provenance_mut(pack(marker, address)),
                );
            }
            continue;
        }
        for counter in counting.counters(address) {
            // SAFETY: the counter is 64 bits wide, aligned, may be written
            // through a shared reference, and lives as long as the process.
            unsafe {
                qemu_plugin_register_vcpu_insn_exec_inline(
                    instruction,
                    ADD_U64,
                    counter.as_ptr().cast(),
                    1,
                );
            }
        }
    }
}

/// The instruction's word if it is one of ARM, not Thumb.
///
/// # Safety
/// `instruction` is valid.
unsafe fn arm_word(instruction: *const Instruction) -> Option<u32> {
    // SAFETY: the caller vouches for the handle.
    if unsafe { qemu_plugin_insn_size(instruction) } != 4 {
        return None;
    }
    // SAFETY: as above; 4 bytes are there, at an address of any alignment.
    let bytes = unsafe { qemu_plugin_insn_data(instruction).cast::<[u8; 4]>().read_unaligned() };
    Some(u32::from_le_bytes(bytes))
}

/// A marker and its 32-bit address in one number.
fn pack(marker: Marker, address: u64) -> usize {
    (address as usize) << 4 | marker.register()
}

/// A marker is about to be executed.
extern "C" fn marked(_processor: c_uint, data: *mut c_void) {
    let packed = data.addr();
    if let (Some(counting), Some(marker)) = (COUNTING.get(), Marker::from_register(packed & 0xf)) {
        counting.reached(marker, (packed >> 4) as u64);
    }
}

/// QEMU ends.
extern "C" fn ended(_: Id, _: *mut c_void) {
    if let Some(counting) = COUNTING.get() {
        counting.finish();
    }
}

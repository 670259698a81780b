//! Status codes and the fault record (protocol section 1.12).
//!
//! 0 is success; the high byte is the range, which names the guilty party:
//! 1 protocol, 2 identity, 3 admission, 4 image, 5 transfer, 6 execution,
//! 7 resources, 8 ended from outside, 9 internal.

macro_rules! statuses {
    ($($code:literal $name:ident $text:literal,)*) => {
        /// How a request or a task ended. Unknown codes are kept as they are.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
        pub struct Status(pub u16);

        impl Status {
            $(#[doc = $text] pub const $name: Status = Status($code);)*

            /// Every code this version knows.
            pub const ALL: &[Status] = &[$(Status($code),)*];

            /// The code's name, `"?"` for one this version does not know.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self.0 { $($code => stringify!($name),)* _ => "?" }
            }

            /// What the code means, in a clause without a full stop.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self.0 { $($code => $text,)* _ => "a status this version does not know" }
            }
        }
    };
}

statuses! {
    0x0000 OK "success",
    0x0101 BAD_LENGTH "a message has the wrong length",
    0x0102 BAD_FIELD "a field of a message has a value that is not allowed",
    0x0103 NOT_CANONICAL "a message is not in its one valid encoding",
    0x0104 UNKNOWN_OP "the board does not know this request",
    0x0105 BAD_STATE "the board cannot do this in its present state",
    0x0106 TOO_MANY_REQUESTS "too many requests at once",
    0x0107 VERSION "no protocol version in common",
    0x0201 NOT_ALLOWED "this client's key is not on the board's list",
    0x0202 ROLE "this client's roles do not allow it",
    0x0203 NOT_OWNER "the task belongs to another client",
    0x0204 AUTHOR_SIG "the author's signature is missing or wrong",
    0x0205 QUOTA "the client's quota is used up",
    0x0301 BUSY "another task is active",
    0x0302 TOO_BIG "the task asks for more memory than the board has for it",
    0x0303 TIME_TOO_LONG "the task asks for more time than the board allows",
    0x0304 FORMAT "the board does not accept this image format",
    0x0305 ABI "the image was built for another ABI version",
    0x0306 SYMBOLS_DIGEST "the image was linked against other kernel symbols",
    0x0307 BOOT_CHANGED "the board was restarted since the task was prepared",
    0x0308 STALE_TASK "the task number was used before",
    0x0309 CONFLICT "the same task number was used for another task",
    0x030A PERIPHERAL "the task asks for a peripheral it may not use",
    0x0401 DIGEST "the bytes received do not have the digest announced",
    0x0402 HEADER "the image header is malformed",
    0x0403 MACHINE "the image is not for this machine",
    0x0404 SEGMENT "a part of the image does not fit its announced size",
    0x0405 WX "a part of the image would be writable and executable",
    0x0406 RELOC "a relocation of the image is out of range or order",
    0x0407 UNRESOLVED "the image needs a service that the board does not offer",
    0x0408 ENTRY "the image's entry point is outside its code",
    0x0409 OVERLAP "parts of the image overlap",
    0x0501 RANGE "bytes outside the object",
    0x0502 INCOMPLETE "not all bytes have arrived",
    0x0503 TIMEOUT "nothing arrived for too long",
    0x0504 OBJECT "no such object",
    0x0601 UNDEF "undefined instruction",
    0x0602 PREFETCH_ABORT "instruction fetch from where no code is",
    0x0603 DATA_ABORT "access to an address that is not mapped",
    0x0604 ALIGNMENT "misaligned access by an instruction that needs alignment",
    0x0605 STACK "stack overflow",
    0x0606 KERNEL_ACCESS "access to memory of the kernel or to a device",
    0x0607 SYSCALL_ARG "a service was given a bad pointer or length",
    0x0608 SYSCALL_UNKNOWN "a service number that does not exist or is withheld",
    0x0609 DIV_ZERO "division by zero",
    0x060A VFP "floating-point exception",
    0x060B PANIC "the payload panicked",
    0x060C BKPT "breakpoint instruction",
    0x0701 WALL_DEADLINE "the time allowed is over",
    0x0702 CPU_LIMIT "the CPU time allowed is used up",
    0x0703 HEARTBEAT "the payload stopped giving signs of life",
    0x0704 OUT_OF_MEMORY "out of memory",
    0x0705 OUTPUT_LIMIT "more output than the task asked room for",
    0x0706 SYSCALL_RATE "too many service calls",
    0x0801 ABORTED_OWNER "ended by its owner",
    0x0802 ABORTED_OPERATOR "ended by an operator",
    0x0803 SESSION_LOST "the client was not heard of any more",
    0x0804 REBOOTED "the board restarted",
    0x0901 KERNEL_BUG "a fault of the kernel",
    0x0902 RNG "the random number generator failed its test",
    0x0903 NET "the network failed",
}

impl Status {
    /// Success?
    #[must_use]
    pub const fn is_ok(self) -> bool {
        self.0 == 0
    }

    /// Did the payload cause a fault (range 6)?
    #[must_use]
    pub const fn is_fault(self) -> bool {
        self.0 >> 8 == 6
    }
}

impl core::fmt::Display for Status {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} ({:#06x}): {}", self.name(), self.0, self.text())
    }
}

/// What is known of a payload's fault. Goes to the task's owner only.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct FaultRecord {
    /// Why ([`Status`] of range 6).
    pub kind: u16,
    /// Slot of the service in progress plus 1; 0 = none.
    pub service: u16,
    /// Fault status register (DFSR or IFSR), 0 where it does not apply.
    pub fsr: u32,
    /// Fault address. SYSCALL_ARG: which parameter, from 0; SYSCALL_UNKNOWN: the
    /// number that was called.
    pub far: u32,
    /// Program counter.
    pub pc: u32,
    /// Link register.
    pub lr: u32,
    /// Stack pointer.
    pub sp: u32,
    /// Program status.
    pub cpsr: u32,
    /// r0 to r12.
    pub r: [u32; 13],
    /// Microseconds since entry.
    pub elapsed_us: u32,
    /// Where the task's text was loaded: `pc - base` is an offset in the image.
    pub base: u32,
}

//! The PL011 as QEMU gives it: ready, and never full.

use core::fmt::{self, Write};

const DATA: *mut u32 = 0x2020_1000 as *mut u32;

pub struct Uart;

impl Write for Uart {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            // SAFETY: the data register, mapped as a device by the boot code.
            unsafe { DATA.write_volatile(byte.into()) };
        }
        Ok(())
    }
}

macro_rules! say {
    ($($what:tt)*) => {{
        use core::fmt::Write as _;
        let _ = writeln!($crate::uart::Uart, $($what)*);
    }};
}
pub(crate) use say;

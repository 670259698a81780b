//! Tap interfaces of Linux (Documentation/networking/tuntap.rst): a file whose
//! reads and writes are the frames of an interface of the host.

use std::fs::File;
use std::io;

#[cfg(not(target_os = "linux"))]
pub(crate) fn open(_name: &str) -> io::Result<File> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "tap interfaces are Linux's"))
}

#[cfg(target_os = "linux")]
pub(crate) fn open(name: &str) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    let mut request = Request { name: [0; 16], flags: FLAGS, rest: [0; 22] };
    if name.is_empty() || name.len() >= request.name.len() || name.contains(['\0', '/']) {
        let text = format!("\"{name}\" cannot name a network interface (1 to 15 bytes)");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    for (to, from) in request.name.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let file =
        File::options().read(true).write(true).custom_flags(nonblocking).open("/dev/net/tun")?;
    set_interface(&file, request)?;
    Ok(file)
}

/// IFF_TAP | IFF_NO_PI: Ethernet frames with nothing before them.
#[cfg(target_os = "linux")]
const FLAGS: i16 = 0x0002 | 0x1000;

/// `struct ifreq` as TUNSETIFF reads it, 40 bytes.
#[cfg(target_os = "linux")]
#[repr(C)]
struct Request {
    name: [u8; 16],
    flags: i16,
    rest: [u8; 22],
}

#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn set_interface(file: &File, request: Request) -> io::Result<()> {
    use rustix::ioctl::{Setter, ioctl, opcode};

    const TUNSETIFF: rustix::ioctl::Opcode = opcode::write::<i32>(b'T', 202);
    // SAFETY: TUNSETIFF reads a `struct ifreq`, of which `Request` has the
    // layout, and writes nothing that this program relies on.
    let setter = unsafe { Setter::<TUNSETIFF, Request>::new(request) };
    // SAFETY: the descriptor is open, and the operation is as said above.
    unsafe { ioctl(file, setter) }?;
    Ok(())
}

//! Tap interfaces of Linux (Documentation/networking/tuntap.rst): a file whose
//! reads and writes are the frames of an interface of the host.

use std::fs::File;
use std::io;

#[cfg(not(target_os = "linux"))]
pub(crate) fn open(_name: &str) -> io::Result<File> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "tap interfaces are Linux's"))
}

#[cfg(target_os = "linux")]
/// IFNAMSIZ, with the zero at the end.
const NAME_LEN: usize = 16;

#[cfg(target_os = "linux")]
/// Whether an interface can have this name: the system would take another.
fn check_name(name: &str) -> io::Result<()> {
    let bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | ':' | '%');
    if name.is_empty() || name.len() >= NAME_LEN || name.contains(bad) {
        let text = "no name of a network interface: 1 to 15 letters or digits";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok(())
}

#[cfg(target_os = "linux")]
pub(crate) fn open(name: &str) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    check_name(name)?;
    let mut request = Request { name: [0; NAME_LEN], flags: FLAGS, rest: [0; 22] };
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
    name: [u8; NAME_LEN],
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn names_of_interfaces() {
        for good in ["sk0", "a-b_c.1", "fifteen-letters"] {
            check_name(good).unwrap();
        }
        for bad in ["", "sixteen-letters-", "a/b", "a b", "tap%d", "a\0b", "a:1"] {
            assert_eq!(check_name(bad).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{bad}");
        }
    }

    /// As root there is an interface as long as the file is open; others are
    /// told why not.
    #[test]
    fn an_interface_while_it_is_open() {
        let name = format!("sk{}", std::process::id());
        let path = std::path::Path::new("/sys/class/net").join(&name);
        match open(&name) {
            Ok(file) => {
                assert!(path.exists());
                assert_eq!(open(&name).unwrap_err().kind(), io::ErrorKind::ResourceBusy);
                drop(file);
                assert!(!path.exists());
            }
            Err(error) => {
                let kind = error.kind();
                assert!(
                    matches!(kind, io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound),
                    "{error}"
                );
            }
        }
    }
}

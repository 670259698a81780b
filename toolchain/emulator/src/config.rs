//! What a board is to be.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{Error, Faults, Result};

/// The UDP port of the serverkernel protocol.
pub const GUEST_PORT: u16 = 24139;

/// Which of QEMU's two BCM2835 boards. Both have 512 MiB and one USB port.
/// There is none of a 1B; a 1 A+ with [`Adapter::Lan9512`] comes close.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Machine {
    /// Raspberry Pi Zero, board revision 0x920092.
    #[default]
    Raspi0,
    /// Raspberry Pi 1 A+, board revision 0x900021.
    Raspi1ap,
}

impl Machine {
    /// QEMU's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Raspi0 => "raspi0",
            Self::Raspi1ap => "raspi1ap",
        }
    }

    /// The revision word that QEMU's mailbox answers with.
    #[must_use]
    pub fn revision(self) -> u32 {
        match self {
            Self::Raspi0 => 0x0092_0092,
            Self::Raspi1ap => 0x0090_0021,
        }
    }
}

/// What the firmware leaves in memory for the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootData {
    /// A list of tags at 0x100, with INITRD2 naming the blob.
    Atags(Atags),
    /// A flattened device tree, passed on as it is: whoever made it has put
    /// memory, `bootargs` and `linux,initrd-start` (the blob is at
    /// [`BLOB_ADDRESS`](crate::BLOB_ADDRESS)) into it.
    Dtb(Vec<u8>),
    /// Nothing; r2 is 0.
    None,
}

/// The part of the tags that a test may want to vary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Atags {
    /// Memory of the ARM in MiB: 448 of 512, or 192 of 256.
    pub mem_mib: u32,
    /// The text of cmdline.txt.
    pub cmdline: String,
}

impl Default for Atags {
    fn default() -> Self {
        Self { mem_mib: 448, cmdline: String::new() }
    }
}

/// The network adapter on the board's USB port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Adapter {
    /// QEMU's own `usb-net`: CDC-ECM at full speed.
    #[default]
    UsbNet,
    /// A model of a CDC-ECM adapter at high speed, in this process.
    Ecm,
    /// A model of the LAN9512's Ethernet function, the adapter of a 1B, in
    /// this process; without the chip's hub, which QEMU could not pass on. The
    /// board has its address from the firmware's mailbox.
    Lan9512,
}

/// How the board's USB network adapter is connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Net {
    /// A gateway of our own (see [`Faults`] for what it can do to frames). The
    /// board gets 10.0.2.15 by DHCP, without a way to the outer world.
    /// Datagrams sent to 127.0.0.1:`host_port` reach its `guest_port` and seem
    /// to come from 10.0.2.2, from the sender's port.
    ///
    /// What the board broadcasts to port 24139 arrives at 127.0.0.1:24139, with
    /// 127.0.0.1:`host_port` as its source: answering that source reaches the
    /// board. Multicasts do not arrive.
    User {
        /// Port on the host, 0 for a free one.
        host_port: u16,
        /// Port on the board.
        guest_port: u16,
    },
    /// QEMU's own user-mode network, for comparison with other systems on it;
    /// addresses and ports are those of `User`. Broadcasts must go to
    /// 255.255.255.255.
    ///
    /// The board sees its clients as 10.0.2.2 until its first broadcast, and as
    /// **127.0.0.1** from then on, until it sends to 10.0.2.2 again (libslirp
    /// 4.7): a stack that refuses such senders, as it should, is cut off.
    Slirp {
        /// Port on the host, 0 for a free one.
        host_port: u16,
        /// Port on the board.
        guest_port: u16,
    },
    /// Raw Ethernet frames, each in one datagram: a test harness at `remote`
    /// is the cable.
    Dgram {
        /// Where QEMU receives.
        local: SocketAddr,
        /// Where QEMU sends.
        remote: SocketAddr,
    },
    /// A tap interface of this host (Linux), made if it is not there, which
    /// takes `CAP_NET_ADMIN` (root) unless it belongs to the user.
    Tap(String),
    /// No adapter on the USB port.
    None,
}

impl Default for Net {
    fn default() -> Self {
        Self::User { host_port: 0, guest_port: GUEST_PORT }
    }
}

/// Where the text of the serial port (PL011) goes. It is kept in memory in any
/// case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Serial {
    /// To memory only.
    #[default]
    Capture,
    /// To standard output too.
    Inherit,
    /// To a file too.
    File(PathBuf),
}

/// The instruction-counting plugin (`toolchain/plugin`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugin {
    /// The shared object.
    pub library: PathBuf,
    /// The file it writes.
    pub out: PathBuf,
    /// More of its options, such as `range=8000-28000:kernel`.
    pub options: Vec<String>,
}

impl Plugin {
    /// The plugin as cargo built it: `$SK_PLUGIN`, or in one of the folders
    /// above the running program.
    ///
    /// # Errors
    /// [`Error::NoPlugin`].
    pub fn built(out: impl Into<PathBuf>) -> Result<Self> {
        let found = match std::env::var_os("SK_PLUGIN") {
            Some(path) => Some(PathBuf::from(path)).filter(|path| path.is_file()),
            None => std::env::current_exe().ok().and_then(|exe| {
                exe.ancestors()
                    .skip(1)
                    .take(3)
                    // Cargo builds into `deps` and links from there.
                    .flat_map(|dir| [dir.join("deps"), dir.to_path_buf()])
                    .map(|dir| dir.join("libsk_plugin.so"))
                    .find(|path| path.is_file())
            }),
        };
        Ok(Self { library: found.ok_or(Error::NoPlugin)?, out: out.into(), options: Vec::new() })
    }
}

/// Everything that [`Board::start`](crate::Board::start) needs.
#[derive(Clone, Debug)]
pub struct BoardConfig {
    /// Name in the registry: letters, digits, `.`, `_`, `-`; at most 63.
    pub name: String,
    /// The board.
    pub machine: Machine,
    /// The raw kernel.img.
    pub kernel: PathBuf,
    /// The configuration blob.
    pub blob: Option<Vec<u8>>,
    /// What the firmware leaves in memory.
    pub boot_data: BootData,
    /// QEMU: a path, or a name to be looked up in `$PATH`.
    pub qemu: PathBuf,
    /// The network adapter.
    pub adapter: Adapter,
    /// How many hubs, one behind the other, it is plugged into; QEMU's are at
    /// full speed and have eight ports each.
    pub hubs: u8,
    /// What it is connected to.
    pub network: Net,
    /// What [`Net::User`] does to frames.
    pub faults: Faults,
    /// A file for what goes over the cable, both ways (classic pcap).
    pub pcap: Option<PathBuf>,
    /// The serial port.
    pub serial: Serial,
    /// The counting plugin.
    pub plugin: Option<Plugin>,
    /// A reset by the board starts it anew, with its memory as it was, instead
    /// of ending the emulation.
    pub reboot: bool,
    /// One instruction takes 1 ns of the board's time, whatever the host does.
    pub icount: bool,
    /// The board's Noise public key, for those who find it in the registry.
    pub noise_pk: Option<[u8; 32]>,
    /// Further arguments for QEMU.
    pub extra: Vec<OsString>,
}

impl BoardConfig {
    /// A Zero that boots `kernel`, on QEMU's user-mode network, under a name
    /// that no other board has. `$SK_QEMU` overrides the QEMU that is used.
    #[must_use]
    pub fn new(kernel: impl AsRef<Path>) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self {
            name: format!("emu-{}-{number}", std::process::id()),
            machine: Machine::default(),
            kernel: kernel.as_ref().to_path_buf(),
            blob: None,
            boot_data: BootData::Atags(Atags::default()),
            qemu: std::env::var_os("SK_QEMU")
                .map_or_else(|| PathBuf::from("qemu-system-arm"), PathBuf::from),
            adapter: Adapter::default(),
            hubs: 0,
            network: Net::default(),
            faults: Faults::default(),
            pcap: None,
            serial: Serial::default(),
            plugin: None,
            reboot: false,
            icount: false,
            noise_pk: None,
            extra: Vec::new(),
        }
    }
}

//! `sk image`: an SD card that boots, with keys of its own.

use std::path::{Path, PathBuf};

use sk_client::{Addressing, Provisioned, Store};

use crate::card::{self, Entry, Facts, Firmware, Model, System, Target};
use crate::failure::Failure;
use crate::{clients, kernel, payload, terminal, units};

/// FAT32 has at least 65,525 clusters, and a sector is the smallest cluster.
const LEAST: u32 = 64 << 20;
const MOST: u32 = 2 << 30;
/// The kernel is loaded at 0x8000 and the configuration at 0x0200_0000.
const KERNEL_MOST: usize = 16 << 20;

/// Writes an SD card that boots: firmware, kernel, and keys for one board
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  sk image --out sd.img --board zero --name attic-1\n  sk image --out /dev/sdX --board zero-w --name attic-2 --yes\n\n\
                        Copy a file to a card with `dd if=sd.img of=/dev/sdX bs=4M conv=fsync`, or with rpi-imager\n\
                        (\"Use custom\", no customisation). The board's keys are made on first use and kept under its\n\
                        name in $SK_HOME, so that `sk run` knows it at once; a second card of the same name is the same\n\
                        board. The firmware is Debian's package raspi-firmware, installed or unpacked."
)]
pub(crate) struct Args {
    /// Where the card goes: a file, or a whole disk in /dev
    #[arg(long, short, value_name = "FILE|DISK")]
    out: PathBuf,
    /// Which board it is for
    #[arg(long, short, value_enum)]
    board: Model,
    /// The board's name: 1 to 16 letters, digits, '-' or '_'; without it the
    /// word for its model
    #[arg(long, short)]
    name: Option<String>,
    /// kernel.img or its folder; without it target/serverkernel here or above,
    /// then the installed one
    #[arg(long, short, env = "SK_KERNEL", value_name = "FILE")]
    kernel: Option<PathBuf>,
    /// Folder with bootcode.bin, or with the unpacked package raspi-firmware;
    /// without it where that package is installed
    #[arg(long, env = "SK_FIRMWARE", value_name = "DIR")]
    firmware: Option<PathBuf>,
    /// A fixed address instead of DHCP
    #[arg(long = "static", value_name = "IP/PREFIX[,ROUTER]", value_parser = units::addressing)]
    fixed: Option<Addressing>,
    #[command(flatten)]
    clients: clients::Choice,
    /// Size of the card: a power of two, 64M to 2G
    #[arg(long, default_value = "64M", value_parser = card_size)]
    size: u32,
    /// New keys, though there are some for this name: a card made before is no
    /// longer this board
    #[arg(long)]
    new_keys: bool,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
    /// Erase the disk
    #[arg(long)]
    yes: bool,
}

/// QEMU takes a disk for an SD card only if its size is a power of two.
fn card_size(text: &str) -> Result<u32, String> {
    let size = units::size(text)?;
    if size.is_power_of_two() && (LEAST..=MOST).contains(&size) {
        return Ok(size);
    }
    Err(format!("'{text}' is no power of two from 64M to 2G"))
}

impl Args {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        // Whatever can go wrong goes wrong before keys are made.
        let kernel = kernel_image(&kernel::find(self.kernel.as_deref())?)?;
        let firmware = Firmware::read(self.firmware.as_deref())?;
        let size = self.size.into();
        let target = Target::choose(&self.out, size, self.force, self.yes, &System::default())?;
        let mut draft = target.draft()?;

        let store = Store::open()?;
        let guests = self.clients.read(&store)?;
        let mut made = self.keys(&store)?;
        clients::admit(&store, &mut made, guests.as_deref())?;
        let board = made.board.clone();
        let fingerprint = board.fingerprint();
        let serial =
            u32::from_le_bytes([fingerprint[0], fingerprint[1], fingerprint[2], fingerprint[3]]);
        let folder = firmware.folder.clone();
        let files = self.files(firmware, kernel, made);
        let failed = |error| Failure::file(&self.out, &error);
        card::write(draft.as_file_mut(), size, serial, &files).map_err(failed)?;
        card::check(draft.as_file_mut(), &files).map_err(failed)?;
        if let Some(warning) = target.warning() {
            terminal::warning(&warning);
        }
        target.put(draft)?;

        terminal::say(&format!(
            "{}: {} for {}, address {}; firmware from {}",
            board.name,
            units::show_size(self.size as usize),
            self.board.name(),
            self.address(),
            folder.display()
        ));
        terminal::data(&format!("{}\n", self.out.display()))
    }

    /// The board's keys, and a word on where they come from.
    fn keys(&self, store: &Store) -> Result<Provisioned, Failure> {
        let name = self.name.as_deref().unwrap_or(self.board.word());
        let addressing = self.fixed.unwrap_or_default();
        let made = if self.new_keys {
            store.provision_anew(name, addressing)?
        } else {
            store.provision(name, addressing)?
        };
        terminal::say(&if made.is_new {
            format!("made keys for {name} in {}", store.root().display())
        } else {
            format!(
                "{name} keeps its keys: every card of this name is the same board \
                 (another board needs another --name, a lost card --new-keys)"
            )
        });
        Ok(made)
    }

    fn files(&self, firmware: Firmware, kernel: Vec<u8>, made: Provisioned) -> Vec<Entry> {
        let facts = Facts {
            model: self.board,
            name: &made.board.name,
            id: &sk_client::to_hex(&made.board.fingerprint()),
            address: &self.address(),
            kernel_bytes: kernel.len(),
        };
        let texts = [
            Entry::new("config.txt", card::config_txt(self.board)),
            Entry::new("README.txt", card::readme(&facts)),
            Entry::new("LICENSE-MIT", include_str!("../../../../LICENSE-MIT")),
            Entry::new("LICENSE-APACHE", include_str!("../../../../LICENSE-APACHE")),
        ];
        let mut files = firmware.files;
        files.push(Entry::new("kernel.img", kernel));
        files.push(Entry::new(card::BLOB, made.blob));
        files.extend(texts);
        files
    }

    fn address(&self) -> String {
        match self.fixed {
            Some(Addressing::Static { ip, prefix, .. }) => format!("{ip}/{prefix}"),
            _ => "given by DHCP".into(),
        }
    }
}

/// Reads kernel.img, after a look whether the firmware could start it.
fn kernel_image(path: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = std::fs::read(path).map_err(|error| Failure::file(path, &error))?;
    let not = |what: &str| {
        Failure::new(format!("{} {what}", path.display()))
            .help("`cargo xtask build` makes kernel.img, in target/serverkernel")
    };
    if payload::is_elf(&bytes) {
        return Err(not("is an ELF file; the firmware starts only the flat kernel.img"));
    }
    match bytes.len() {
        0 => Err(not("is empty")),
        len if len > KERNEL_MOST => Err(not("is too large to be a kernel")),
        _ => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_qemu_takes() {
        assert_eq!(card_size("64M"), Ok(64 << 20));
        assert_eq!(card_size("2G"), Ok(2 << 30));
        for bad in ["32M", "100M", "3G", "0", "4G"] {
            assert!(card_size(bad).is_err(), "{bad}");
        }
    }
}

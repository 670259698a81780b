//! The VideoCore's firmware: where it is found, what of it goes on a card.
//!
//! Of the four variants of `start*.elf` the cut-down one is used: `gpu_mem=16`
//! leaves all but 16 MiB to the ARM, and with so little the firmware loads
//! `start_cd.elf` and `fixup_cd.dat`, whatever else is there; it has no codecs
//! and no 3D, which nothing here asks for. `start.elf` and `fixup.dat` ride
//! along if both are there, so that a card whose `gpu_mem` somebody raises still
//! boots. A pair must be of one version, or the board shows a rainbow, sees the
//! wrong amount of memory, or does not boot: everything comes out of one folder.
//!
//! The licence of these files allows their redistribution if its text goes with
//! them, so a card is not made without it.

use std::io;
use std::path::{Path, PathBuf};

use super::Entry;
use crate::failure::Failure;

/// Where Debian's package puts it.
const INSTALLED: &str = "/usr/lib/raspi-firmware";
/// Below the folder that was named: itself, the unpacked package of Debian, a
/// checkout of github.com/raspberrypi/firmware.
const BELOW: [&str; 3] = ["", "usr/lib/raspi-firmware", "boot"];
/// From the folder with the firmware to the licence; Debian's text holds those
/// of the whole package.
const LICENCES: [&str; 3] =
    ["LICENCE.broadcom", "copyright", "../../share/doc/raspi-firmware/copyright"];
/// How the licence is called on the card.
pub(crate) const LICENCE: &str = "LICENCE.broadcom";

const FIRST: &str = "bootcode.bin";
const CUT_DOWN: [&str; 2] = ["start_cd.elf", "fixup_cd.dat"];
const WHOLE: [&str; 2] = ["start.elf", "fixup.dat"];

const HOW: &str = "unpack Debian's package (component non-free-firmware; no root needed) and name the folder:\n    \
     apt-get download raspi-firmware\n    \
     dpkg-deb -x raspi-firmware_*.deb firmware\n    \
     sk image --firmware firmware ...\n  \
     or on a Raspberry Pi: apt install raspi-firmware; or from https://packages.debian.org/raspi-firmware";

/// The files of one version, and their licence.
#[derive(Debug)]
pub(crate) struct Firmware {
    pub(crate) folder: PathBuf,
    pub(crate) files: Vec<Entry>,
}

impl Firmware {
    /// Reads it from the folder named, else from where the package puts it.
    pub(crate) fn read(named: Option<&Path>) -> Result<Self, Failure> {
        let folder = find(named)?;
        let mut files = vec![part(&folder, FIRST)?];
        for name in CUT_DOWN {
            files.push(part(&folder, name)?);
        }
        if WHOLE.iter().all(|name| folder.join(name).is_file()) {
            for name in WHOLE {
                files.push(part(&folder, name)?);
            }
        }
        let licence = LICENCES.iter().map(|place| folder.join(place)).find(|path| path.is_file());
        let licence = licence.ok_or_else(|| {
            Failure::new(format!("{} lacks the firmware's licence", folder.display())).help(format!(
                "its text must go with the files: put it there as {LICENCE}; in Debian's package it is \
                 usr/share/doc/raspi-firmware/copyright"
            ))
        })?;
        let text = std::fs::read(&licence).map_err(|error| Failure::file(&licence, &error))?;
        files.push(Entry::new(LICENCE, text));
        Ok(Self { folder, files })
    }
}

fn find(named: Option<&Path>) -> Result<PathBuf, Failure> {
    let Some(named) = named else {
        let folder = PathBuf::from(INSTALLED);
        if folder.join(FIRST).is_file() {
            return Ok(folder);
        }
        let what = format!("the firmware of the Raspberry Pi is not in {INSTALLED}");
        return Err(Failure::new(what).help(HOW));
    };
    BELOW
        .iter()
        .map(|place| named.join(place))
        .find(|folder| folder.join(FIRST).is_file())
        .ok_or_else(|| {
            Failure::new(format!("there is no {FIRST} in {}", named.display())).help(HOW)
        })
}

/// One file, after a look whether it can be what its name says.
fn part(folder: &Path, name: &str) -> Result<Entry, Failure> {
    let path = folder.join(name);
    let bytes = std::fs::read(&path).map_err(|error| {
        let failure = Failure::file(&path, &error);
        if error.kind() == io::ErrorKind::NotFound { failure.help(HOW) } else { failure }
    })?;
    // The VideoCore's programs are ELF files; a web page saved in their place,
    // or the pointer that Git LFS leaves, is not.
    let fine =
        if name.ends_with(".elf") { bytes.starts_with(b"\x7fELF") } else { !bytes.is_empty() };
    if !fine {
        return Err(Failure::new(format!("{} is not the firmware", path.display())).help(HOW));
    }
    Ok(Entry::new(name, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    fn names(firmware: &Firmware) -> Vec<&str> {
        firmware.files.iter().map(|file| file.name.as_str()).collect()
    }

    #[test]
    fn the_unpacked_package() {
        let dir = folder(&[
            ("usr/lib/raspi-firmware/bootcode.bin", "b"),
            ("usr/lib/raspi-firmware/start_cd.elf", "\x7fELF"),
            ("usr/lib/raspi-firmware/fixup_cd.dat", "f"),
            ("usr/lib/raspi-firmware/start.elf", "\x7fELF"),
            ("usr/share/doc/raspi-firmware/copyright", "words"),
        ]);
        let firmware = Firmware::read(Some(dir.path())).unwrap();
        // Half a pair is left out.
        assert_eq!(
            names(&firmware),
            ["bootcode.bin", "start_cd.elf", "fixup_cd.dat", "LICENCE.broadcom"]
        );
        assert_eq!(firmware.files[3].bytes, b"words");
        fs::write(firmware.folder.join("fixup.dat"), "f").unwrap();
        assert_eq!(Firmware::read(Some(dir.path())).unwrap().files.len(), 6);
        assert_eq!(Firmware::read(Some(&firmware.folder)).unwrap().files.len(), 6);
    }

    #[test]
    fn what_is_missing_is_named() {
        let failure = Firmware::read(Some(folder(&[]).path())).unwrap_err();
        assert!(failure.message.starts_with("there is no bootcode.bin in "), "{failure:?}");
        assert!(failure.help.unwrap().contains("dpkg-deb -x"));
        let mut files = vec![("bootcode.bin", "b"), ("fixup_cd.dat", "f"), ("copyright", "words")];
        let failure = Firmware::read(Some(folder(&files).path())).unwrap_err();
        assert!(failure.message.contains("start_cd.elf: No such file"), "{failure:?}");
        files.push(("start_cd.elf", "<html>"));
        let failure = Firmware::read(Some(folder(&files).path())).unwrap_err();
        assert!(failure.message.ends_with("start_cd.elf is not the firmware"), "{failure:?}");
    }

    #[test]
    fn no_card_without_the_licence() {
        let files = [("bootcode.bin", "b"), ("fixup_cd.dat", "f"), ("start_cd.elf", "\x7fELF")];
        let failure = Firmware::read(Some(folder(&files).path())).unwrap_err();
        assert!(failure.message.ends_with("lacks the firmware's licence"), "{failure:?}");
    }
}

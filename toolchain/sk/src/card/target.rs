//! Where a card goes: a file, or a disk that is about to be erased.
//!
//! A disk is written only if nothing of it is in use, if it is as small as
//! cards are, and if the user says so after having been told what it is. What
//! the kernel says of it is read from `/sys` and `/proc`; opening it
//! exclusively (`O_EXCL`, which Linux defines for block devices) refuses once
//! more what is mounted.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, OFlags, fadvise, major, minor};
use tempfile::NamedTempFile;

use crate::failure::Failure;
use crate::units;

/// A card is not larger; a disk with somebody's files often is.
const LARGEST: u64 = 256 << 30;
const CHUNK: usize = 1 << 20;

/// Where the system tells of its disks.
pub(crate) struct System {
    pub(crate) sys: PathBuf,
    pub(crate) proc: PathBuf,
}

impl Default for System {
    fn default() -> Self {
        Self { sys: "/sys".into(), proc: "/proc".into() }
    }
}

/// A whole disk that may be erased.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Disk {
    bytes: u64,
    model: String,
}

/// Where the card goes.
#[derive(Debug)]
pub(crate) enum Target {
    File(PathBuf),
    Disk(PathBuf, Disk),
}

impl Target {
    /// Looks at `path`: may a card of `size` bytes be written there?
    pub(crate) fn choose(
        path: &Path,
        size: u64,
        force: bool,
        yes: bool,
        system: &System,
    ) -> Result<Self, Failure> {
        let meta = match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.starts_with("/dev") => {
                return Ok(Self::File(path.into()));
            }
            Err(error) => {
                return Err(Failure::file(path, &error)
                    .help("`lsblk -d -o NAME,SIZE,MODEL` lists the disks of this machine"));
            }
            Ok(meta) => meta,
        };
        if meta.is_file() {
            if force {
                return Ok(Self::File(path.into()));
            }
            return Err(Failure::new(format!("{} exists", path.display()))
                .help("choose another name, or replace it: --force"));
        }
        if !meta.file_type().is_block_device() {
            return Err(Failure::new(format!("{} is neither a file nor a disk", path.display()))
                .help("--out takes a file name such as sd.img, or a disk such as /dev/sdX"));
        }
        let number = format!("{}:{}", major(meta.rdev()), minor(meta.rdev()));
        let disk = system.disk(path, &number, size)?;
        if yes {
            return Ok(Self::Disk(path.into(), disk));
        }
        Err(Failure::new(format!("everything on {} would be lost", disk.describe(path)))
            .help("if that is the card, say so: --yes"))
    }

    /// What is about to be lost, in words.
    pub(crate) fn warning(&self) -> Option<String> {
        match self {
            Self::File(_) => None,
            Self::Disk(path, disk) => Some(format!("erasing {}", disk.describe(path))),
        }
    }

    /// Room for the card while it is made: for a file beside it, so that it
    /// appears there complete or not at all. Its owner alone may read it.
    pub(crate) fn draft(&self) -> Result<NamedTempFile, Failure> {
        let (folder, what) = match self {
            Self::File(path) => {
                let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
                let folder = parent.map_or_else(|| PathBuf::from("."), Path::to_path_buf);
                (folder, path)
            }
            Self::Disk(path, _) => (std::env::temp_dir(), path),
        };
        tempfile::Builder::new().prefix(".sk-image-").tempfile_in(&folder).map_err(|error| {
            Failure::file(what, &error).help("does the folder exist, and is it yours?")
        })
    }

    /// Puts the card where it belongs, and compares what is there with it.
    pub(crate) fn put(&self, mut draft: NamedTempFile) -> Result<(), Failure> {
        match self {
            Self::File(path) => {
                draft.persist(path).map_err(|error| Failure::file(path, &error.error))?;
                Ok(())
            }
            Self::Disk(path, _) => {
                let failed = |error: io::Error| Failure::file(path, &error).help(cure(&error));
                let mut disk = OpenOptions::new()
                    .read(true)
                    .write(true)
                    .custom_flags(i32::try_from(OFlags::EXCL.bits()).unwrap_or(0))
                    .open(path)
                    .map_err(failed)?;
                copy(draft.as_file_mut(), &mut disk).map_err(failed)?;
                // What is read now must come from the card.
                fadvise(&disk, 0, None, Advice::DontNeed).map_err(|error| failed(error.into()))?;
                match first_difference(draft.as_file_mut(), &mut disk).map_err(failed)? {
                    None => Ok(()),
                    Some(at) => Err(Failure::new(format!(
                        "{} does not read as it was written, at byte {at} or after",
                        path.display()
                    ))
                    .help("the card or its reader is broken: try another")),
                }
            }
        }
    }
}

fn cure(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "disks belong to root and the group disk; write a file instead and copy it with `sudo dd`"
        }
        io::ErrorKind::ResourceBusy => "something on it is in use: `lsblk` shows what; umount it",
        _ => "is the card still in its reader, and its lock open?",
    }
}

fn copy(from: &mut File, to: &mut File) -> io::Result<()> {
    from.rewind()?;
    to.rewind()?;
    let mut buffer = vec![0; CHUNK];
    loop {
        let len = from.read(&mut buffer)?;
        if len == 0 {
            return to.sync_all();
        }
        to.write_all(&buffer[..len])?;
    }
}

/// Where the chunk starts that `b` does not have as `a` has it.
fn first_difference(a: &mut File, b: &mut File) -> io::Result<Option<u64>> {
    a.rewind()?;
    b.rewind()?;
    let (mut wanted, mut have) = (vec![0; CHUNK], vec![0; CHUNK]);
    let mut at = 0;
    loop {
        let len = a.read(&mut wanted)?;
        if len == 0 {
            return Ok(None);
        }
        b.read_exact(&mut have[..len])?;
        if wanted[..len] != have[..len] {
            return Ok(Some(at));
        }
        at += len as u64;
    }
}

impl Disk {
    fn describe(&self, path: &Path) -> String {
        let size = match self.bytes >> 30 {
            0 => units::show_size(usize::try_from(self.bytes).unwrap_or(usize::MAX)),
            _ => format!("{:.1} GiB", self.bytes as f64 / f64::from(1 << 30)),
        };
        format!("{} ({}, {size})", path.display(), self.model)
    }
}

impl System {
    /// The disk with this device number, if it may be erased.
    fn disk(&self, path: &Path, number: &str, size: u64) -> Result<Disk, Failure> {
        let shown = path.display();
        let dir = self.sys.join("dev/block").join(number);
        let Ok(dir) = dir.canonicalize() else {
            return Err(Failure::new(format!("the system tells nothing of {shown}"))
                .help("write a file instead, and copy it with `sudo dd`"));
        };
        let read =
            |name: &str| fs::read_to_string(dir.join(name)).ok().map(|text| text.trim().to_owned());
        if dir.join("partition").exists() {
            let whole =
                dir.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
            return Err(Failure::new(format!("{shown} is a partition"))
                .help(format!("a card needs the whole disk: /dev/{whole}")));
        }
        if let Some(user) = self.user(&dir, number) {
            return Err(Failure::new(format!("{shown} is in use: {user}"))
                .help("if it is the card, unmount it first; if not, think again"));
        }
        let sectors: u64 = read("size").and_then(|text| text.parse().ok()).unwrap_or(0);
        let bytes = sectors.saturating_mul(512);
        let model =
            ["device/model", "device/name", "loop/backing_file"].iter().find_map(|name| read(name));
        let disk = Disk { bytes, model: model.unwrap_or_else(|| "unknown model".into()) };
        let described = disk.describe(path);
        if bytes > LARGEST {
            return Err(Failure::new(format!(
                "{described} is larger than any card should be (256 GiB)"
            ))
            .help("write a file instead, and copy it with `dd` if you are sure"));
        }
        if bytes < size {
            return Err(Failure::new(format!("{described} is too small"))
                .help("is a card in the reader? --size 64M is the least"));
        }
        if read("ro").is_some_and(|text| text != "0") {
            return Err(Failure::new(format!("{described} cannot be written"))
                .help("open the lock at the side of the card"));
        }
        Ok(disk)
    }

    /// Who uses a disk or a part of it.
    fn user(&self, dir: &Path, number: &str) -> Option<String> {
        let parts = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
        let parts: Vec<PathBuf> = parts.filter(|path| path.join("partition").is_file()).collect();
        let number_of = |path: &PathBuf| fs::read_to_string(path.join("dev")).ok();
        let mut numbers: Vec<String> = parts.iter().filter_map(number_of).collect();
        numbers.push(number.to_owned());
        let dirs: Vec<&Path> = parts.iter().map(PathBuf::as_path).chain([dir]).collect();
        let is_ours = |device: &str| {
            let name = Path::new(device).file_name();
            device.starts_with("/dev/") && dirs.iter().any(|dir| dir.file_name() == name)
        };

        let mounts = fs::read_to_string(self.proc.join("self/mountinfo")).unwrap_or_default();
        for line in mounts.lines() {
            // proc(5): id, parent, major:minor, root, mount point, ... - type source options.
            let words: Vec<&str> = line.split(' ').collect();
            let (Some(device), Some(place)) = (words.get(2), words.get(4)) else { continue };
            let source =
                words.iter().position(|word| *word == "-").and_then(|at| words.get(at + 2));
            if numbers.iter().any(|own| own.trim() == *device)
                || source.is_some_and(|source| is_ours(source))
            {
                return Some(format!("mounted on {place}"));
            }
        }
        let swaps = fs::read_to_string(self.proc.join("swaps")).unwrap_or_default();
        if swaps.lines().any(|line| is_ours(line.split_whitespace().next().unwrap_or(""))) {
            return Some("there is swap space on it".into());
        }
        // What lies over it: LVM, encryption, RAID.
        let held =
            |dir: &&Path| fs::read_dir(dir.join("holders")).is_ok_and(|mut d| d.next().is_some());
        dirs.iter().any(held).then(|| "another device is made of it".into())
    }
}

#[cfg(test)]
mod tests;

//! The emulated boards of this user that are running now.
//!
//! One file for each, `$XDG_RUNTIME_DIR/serverkernel/boards/NAME.json` (without
//! that variable, `serverkernel-UID/boards` in the temporary folder), made when
//! a board starts and removed when it ends. A file whose process is gone is
//! removed by whoever sees it first. A client sends HELLO to the addresses
//! listed here besides broadcasting on the network.
//!
//! The folder must belong to the user and be closed to all others, for an entry
//! sends a client somewhere. It still proves nothing: the session does.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// One running board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The name given when it was started.
    pub name: String,
    /// Where its port is reached on this host.
    pub address: SocketAddr,
    /// QEMU's process.
    pub pid: u32,
    /// Its Noise public key, 64 hexadecimal digits, if the starter knew it.
    #[serde(default)]
    pub noise_pk: Option<String>,
    /// QEMU's name of the board.
    pub machine: String,
}

/// An entry's file, removed with this value.
pub(crate) struct Registration(PathBuf);

impl Drop for Registration {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// The boards that are running, by name. A folder that is missing or cannot be
/// trusted lists none.
#[must_use]
pub fn list() -> Vec<Entry> {
    directory().map_or_else(|_| Vec::new(), |dir| list_in(&dir))
}

/// A running board by its name.
#[must_use]
pub fn find(name: &str) -> Option<Entry> {
    list().into_iter().find(|entry| entry.name == name)
}

/// Whether a name can be a file's name on every system and stands for itself in
/// QEMU's options.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > 63 || name.starts_with('.') || !name.chars().all(good) {
        return Err(Error::Config(format!(
            "\"{name}\" cannot name a board: 1 to 63 letters, digits, '.', '_' or '-'"
        )));
    }
    Ok(())
}

pub(crate) fn register(entry: &Entry) -> Result<Registration> {
    register_in(&directory()?, entry)
}

fn register_in(dir: &Path, entry: &Entry) -> Result<Registration> {
    if let Some(other) = list_in(dir).into_iter().find(|e| e.name == entry.name) {
        return Err(Error::NameTaken { name: other.name, pid: other.pid });
    }
    let text = serde_json::to_vec(entry)
        .map_err(|error| Error::Config(format!("the registry's entry: {error}")))?;
    let path = dir.join(format!("{}.json", entry.name));
    // Written beside and moved, so that nobody reads half of it.
    let partial = dir.join(format!(".{}.{}", entry.name, entry.pid));
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&partial)
        .and_then(|mut file| file.write_all(&text))
        .and_then(|()| fs::rename(&partial, &path))
        .map_err(Error::io("the list of running boards"))?;
    Ok(Registration(path))
}

fn list_in(dir: &Path) -> Vec<Entry> {
    let Ok(files) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut entries = Vec::new();
    for path in files.flatten().map(|file| file.path()) {
        if path.extension().is_none_or(|end| end != "json") {
            continue;
        }
        let entry =
            File::open(&path).ok().and_then(|file| serde_json::from_reader::<_, Entry>(file).ok());
        match entry {
            Some(entry) if alive(&entry) => entries.push(entry),
            _ => {
                let _ = fs::remove_file(&path);
            }
        }
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    entries
}

/// Whether the process is still that board's QEMU: its number may have gone to
/// another. Where there is no /proc, an entry is believed.
fn alive(entry: &Entry) -> bool {
    if !Path::new("/proc/self").exists() {
        return true;
    }
    let Ok(command) = fs::read(format!("/proc/{}/cmdline", entry.pid)) else {
        return false;
    };
    if command.is_empty() {
        // Just being started, its arguments not in place yet; or a zombie.
        let stat = fs::read_to_string(format!("/proc/{}/stat", entry.pid)).unwrap_or_default();
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        return state.is_some_and(|state| !matches!(state, 'Z' | 'X'));
    }
    let name = format!("serverkernel:{}", entry.name);
    command.split(|&byte| byte == 0).any(|word| word == name.as_bytes())
}

/// The folder, made if it is missing.
fn directory() -> Result<PathBuf> {
    let base = match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(dir) if Path::new(&dir).is_dir() => Path::new(&dir).join("serverkernel"),
        _ => std::env::temp_dir().join(format!("serverkernel-{}", uid()?)),
    };
    let dir = base.join("boards");
    for dir in [&base, &dir] {
        make_private(dir)?;
    }
    Ok(dir)
}

fn make_private(dir: &Path) -> Result<()> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(Error::io("the list of running boards")(error));
        }
        _ => {}
    }
    let meta = fs::symlink_metadata(dir).map_err(Error::io("the list of running boards"))?;
    if !meta.is_dir() || meta.uid() != uid()? || meta.mode() & 0o077 != 0 {
        return Err(Error::Config(format!(
            "{} must be a folder of your own, closed to others (mode 0700)",
            dir.display()
        )));
    }
    Ok(())
}

/// The user's number: the owner of what this process makes.
fn uid() -> Result<u32> {
    let owner = |path: &str| fs::metadata(path).map(|meta| meta.uid());
    if let Ok(uid) = owner("/proc/self") {
        return Ok(uid);
    }
    let file = tempfile::tempfile().map_err(Error::io("a temporary file"))?;
    let meta = file.metadata().map_err(Error::io("a temporary file"))?;
    Ok(meta.uid())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, pid: u32) -> Entry {
        Entry {
            name: name.to_owned(),
            address: SocketAddr::from(([127, 0, 0, 1], 4000)),
            pid,
            noise_pk: None,
            machine: "raspi0".to_owned(),
        }
    }

    #[test]
    fn the_entry_of_a_dead_process_is_cleaned_away() {
        let dir = tempfile::tempdir().unwrap();
        // Our own process is alive but not that board's QEMU.
        let kept = register_in(dir.path(), &entry("a", std::process::id())).unwrap();
        assert!(kept.0.exists());
        assert_eq!(list_in(dir.path()), []);
        assert!(!kept.0.exists());
    }

    #[test]
    fn the_entry_of_a_running_process_is_listed_and_its_name_taken() {
        let dir = tempfile::tempdir().unwrap();
        let mut child = std::process::Command::new("sh")
            .args(["-c", "read line; exit 0", "serverkernel:b"])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let kept = register_in(dir.path(), &entry("b", child.id())).unwrap();
        assert_eq!(list_in(dir.path()), [entry("b", child.id())]);
        let second = register_in(dir.path(), &entry("b", 1));
        assert!(matches!(second, Err(Error::NameTaken { .. })));
        drop(kept);
        assert_eq!(list_in(dir.path()), []);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn rubbish_is_not_an_entry() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("x.json"), b"{\"name\":3}").unwrap();
        assert_eq!(list_in(dir.path()), []);
        assert!(!dir.path().join("x.json").exists());
    }

    #[test]
    fn names_are_names_of_files() {
        for good in ["a", "zero-1", "A.b_c"] {
            check_name(good).unwrap();
        }
        for bad in ["", "../x", "a b", ".hidden", "a,b", "ä"] {
            check_name(bad).unwrap_err();
        }
    }
}

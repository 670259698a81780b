//! What a user owns: a client key, the boards it has made cards for, and the
//! counters that must never go back.
//!
//! Everything lies in one folder (`$SK_HOME`, else the data folder of the XDG
//! specification), readable by its owner only:
//!
//! ```text
//! client.key               X25519 secret of this user, made on first use
//! boards/NAME.toml         what is needed to dial a board: its Noise key, the PSK
//! boards/NAME.blob         the configuration blob that was made for it
//! boards/NAME.*.old        both, as they were before the last new keys
//! boards/NAME.clients/     what other clients of it need to dial it, a file each
//! counters/FINGERPRINT     the last hs_counter and task sequence given out for it
//! lock                     held while anything above is made
//! ```
//!
//! A board is recognised by its key, never by its address.

use crate::hex;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Why the store could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Neither `$SK_HOME` nor a home folder.
    #[error("no folder for keys: set SK_HOME or HOME")]
    NoHome,
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path}: {what}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A board name that cannot be a file name.
    #[error("'{0}' is no board name: use 1 to 16 letters, digits, '-' or '_'")]
    BadName(String),
    /// There is a board of this name, with another key.
    #[error("a board named '{0}' is recorded already")]
    NameTaken(String),
    /// A list of clients without the user who makes it.
    #[error("your own key is not on the list of clients")]
    NotOnList,
    /// The system gave no randomness.
    #[error("no randomness from the system: {0}")]
    Random(String),
}

/// A board this user may dial.
#[derive(Clone, PartialEq, Eq)]
pub struct KnownBoard {
    /// Its name, as on its card.
    pub name: String,
    /// Its Noise public key.
    pub noise_pk: [u8; 32],
    /// The symmetric key shared with it.
    pub psk: [u8; 32],
}

impl KnownBoard {
    /// Short name of the board's key, as in its beacons.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 8] {
        sk_wire::key_id(&self.noise_pk)
    }
}

impl fmt::Debug for KnownBoard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownBoard")
            .field("name", &self.name)
            .field("fingerprint", &hex::encode(&self.fingerprint()))
            .finish_non_exhaustive()
    }
}

/// Every board on record, and the records that cannot be read: one bad file
/// must not hide the others.
#[derive(Debug, Default)]
pub struct Inventory {
    /// The boards, by name.
    pub boards: Vec<KnownBoard>,
    /// What is wrong with the rest.
    pub damaged: Vec<StoreError>,
}

impl Inventory {
    /// The board with this key.
    #[must_use]
    pub fn by_fingerprint(&self, fingerprint: &[u8; 8]) -> Option<&KnownBoard> {
        self.boards.iter().find(|board| board.fingerprint() == *fingerprint)
    }

    /// The board with this name.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&KnownBoard> {
        self.boards.iter().find(|board| board.name == name)
    }
}

/// Numbers for one client: nobody else gets them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counters {
    /// The first of [`HANDSHAKES`] handshake counters.
    pub handshake: u64,
    /// The task's number.
    pub task: u64,
}

/// How many handshake counters [`Store::next_counters`] gives out at once: a
/// client that gets no answer tries again, each time with the next.
pub const HANDSHAKES: u64 = 32;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BoardFile {
    name: String,
    noise_pk: String,
    psk: String,
}

/// The folder.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
}

impl Store {
    /// The user's store.
    ///
    /// # Errors
    /// [`StoreError::NoHome`].
    pub fn open() -> Result<Self, StoreError> {
        if let Some(home) = std::env::var_os("SK_HOME").filter(|h| !h.is_empty()) {
            return Ok(Self::at(Path::new(&home)));
        }
        let dirs =
            directories::ProjectDirs::from("", "", "serverkernel").ok_or(StoreError::NoHome)?;
        Ok(Self::at(dirs.data_dir()))
    }

    /// A store in the folder `root`.
    #[must_use]
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_path_buf() }
    }

    /// Where it is.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The user's secret key; made on first use.
    ///
    /// # Errors
    /// When the file cannot be read or made, or is damaged.
    pub fn client_secret(&self) -> Result<[u8; 32], StoreError> {
        if let Some(secret) = self.read_secret()? {
            return Ok(secret);
        }
        // Two programs may be here for the first time at once.
        let _lock = self.lock()?;
        if let Some(secret) = self.read_secret()? {
            return Ok(secret);
        }
        let secret: [u8; 32] = random()?;
        write_private(&self.secret_path(), format!("{}\n", hex::encode(&secret)).as_bytes())?;
        Ok(secret)
    }

    fn secret_path(&self) -> PathBuf {
        self.root.join("client.key")
    }

    fn read_secret(&self) -> Result<Option<[u8; 32]>, StoreError> {
        let path = self.secret_path();
        match fs::read_to_string(&path) {
            Ok(text) => match hex::decode(&text) {
                Some(secret) => Ok(Some(secret)),
                None => Err(StoreError::Damaged { path, what: "not 64 hexadecimal digits".into() }),
            },
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StoreError::Io { path, source }),
        }
    }

    /// Keeps other programs from making things until the file is dropped.
    pub(crate) fn lock(&self) -> Result<File, StoreError> {
        private_dir(&self.root)?;
        open_locked(&self.root.join("lock"))
    }

    /// Records a board and the blob made for it. A board that is recorded
    /// already may get another blob, never other keys.
    ///
    /// # Errors
    /// [`StoreError::BadName`], [`StoreError::NameTaken`], or when a file
    /// cannot be read or written.
    pub fn add_board(&self, board: &KnownBoard, blob: &[u8]) -> Result<(), StoreError> {
        check_name(&board.name)?;
        let _lock = self.lock()?;
        let dir = self.root.join("boards");
        private_dir(&dir)?;
        if self.board(&board.name)?.is_some_and(|old| old != *board) {
            return Err(StoreError::NameTaken(board.name.clone()));
        }
        write_private(&dir.join(format!("{}.blob", board.name)), blob)?;
        write_board(&dir.join(format!("{}.toml", board.name)), board)
    }

    /// Records a board that somebody else has made.
    pub(crate) fn add_record(&self, board: &KnownBoard) -> Result<(), StoreError> {
        check_name(&board.name)?;
        let _lock = self.lock()?;
        let dir = self.root.join("boards");
        private_dir(&dir)?;
        if self.board(&board.name)?.is_some_and(|old| old != *board) {
            return Err(StoreError::NameTaken(board.name.clone()));
        }
        write_board(&dir.join(format!("{}.toml", board.name)), board)
    }

    /// Puts the record of board `name` aside, as `NAME.toml.old` and
    /// `NAME.blob.old`: the name is free, and what was there is not lost.
    pub(crate) fn set_aside(&self, name: &str) -> Result<(), StoreError> {
        check_name(name)?;
        let _lock = self.lock()?;
        let dir = self.root.join("boards");
        // The record first: without it the blob is nobody's.
        for end in ["toml", "blob"] {
            let path = dir.join(format!("{name}.{end}"));
            match fs::rename(&path, dir.join(format!("{name}.{end}.old"))) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                result => result.map_err(|source| StoreError::Io { path, source })?,
            }
        }
        Ok(())
    }

    /// The blob made for board `name`, if there is one.
    ///
    /// # Errors
    /// [`StoreError::BadName`], or when the file cannot be read.
    pub fn blob(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        check_name(name)?;
        let path = self.root.join("boards").join(format!("{name}.blob"));
        match fs::read(&path) {
            Ok(blob) => Ok(Some(blob)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StoreError::Io { path, source }),
        }
    }

    /// The board named `name`, if there is one.
    ///
    /// # Errors
    /// [`StoreError::BadName`], or when its file is damaged.
    pub fn board(&self, name: &str) -> Result<Option<KnownBoard>, StoreError> {
        check_name(name)?;
        let path = self.root.join("boards").join(format!("{name}.toml"));
        match read_board(&path, Some(name)) {
            Ok(board) => Ok(Some(board)),
            Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Every board recorded.
    ///
    /// # Errors
    /// When the folder cannot be read; what is wrong with single files is in
    /// the answer.
    pub fn boards(&self) -> Result<Inventory, StoreError> {
        let dir = self.root.join("boards");
        let mut all = Inventory::default();
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(all),
            Err(source) => return Err(StoreError::Io { path: dir, source }),
        };
        for entry in entries {
            let path = entry.map_err(|source| StoreError::Io { path: dir.clone(), source })?.path();
            if path.extension().is_some_and(|e| e == "toml") {
                let stem = path.file_stem().and_then(|stem| stem.to_str());
                match read_board(&path, Some(stem.unwrap_or_default())) {
                    Ok(board) => all.boards.push(board),
                    Err(error) => all.damaged.push(error),
                }
            }
        }
        all.boards.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    /// Takes the next handshake counters and the next task number for a board,
    /// under a file lock: each value is given out once, whatever runs in parallel.
    ///
    /// Both are max(milliseconds since 1970, last + 1), so that a lost file
    /// does no harm either (protocol section 1.9.2).
    ///
    /// # Errors
    /// When the file cannot be locked, read or written.
    pub fn next_counters(&self, fingerprint: [u8; 8]) -> Result<Counters, StoreError> {
        let dir = self.root.join("counters");
        private_dir(&dir)?;
        let path = dir.join(hex::encode(&fingerprint));
        let mut file = open_locked(&path)?;
        let io = |source| StoreError::Io { path: path.clone(), source };
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(io)?;
        let mut last = text.split_whitespace().map(|n| n.parse::<u64>().unwrap_or(0));
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX));
        let mut next = || now.max(last.next().unwrap_or(0).saturating_add(1));
        let counters = Counters { handshake: next(), task: next() };
        let last = counters.handshake.saturating_add(HANDSHAKES - 1);
        file.rewind().map_err(io)?;
        file.set_len(0).map_err(io)?;
        writeln!(file, "{last} {}", counters.task).map_err(io)?;
        file.sync_data().map_err(io)?;
        Ok(counters)
    }
}

/// Opens a file for reading and writing, made if it is missing, and waits for
/// the lock on it; dropping the file gives it back.
fn open_locked(path: &Path) -> Result<File, StoreError> {
    let io = |source| StoreError::Io { path: path.into(), source };
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(io)?;
    file.lock().map_err(io)?;
    Ok(file)
}

/// `N` random bytes from the system.
///
/// # Errors
/// [`StoreError::Random`].
pub fn random<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|e| StoreError::Random(e.to_string()))?;
    Ok(bytes)
}

/// Reads a record; `name` is what it must say it is called.
pub(crate) fn read_board(path: &Path, name: Option<&str>) -> Result<KnownBoard, StoreError> {
    let damaged = |what: &str| StoreError::Damaged { path: path.into(), what: what.into() };
    let text =
        fs::read_to_string(path).map_err(|source| StoreError::Io { path: path.into(), source })?;
    let file: BoardFile = toml::from_str(&text).map_err(|e| damaged(e.message()))?;
    if name.is_some_and(|name| name != file.name) {
        return Err(damaged("the name inside is not the file's"));
    }
    Ok(KnownBoard {
        noise_pk: hex::decode(&file.noise_pk).ok_or_else(|| damaged("noise_pk is no key"))?,
        psk: hex::decode(&file.psk).ok_or_else(|| damaged("psk is no key"))?,
        name: file.name,
    })
}

fn check_name(name: &str) -> Result<(), StoreError> {
    let fine = (1..=16).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if fine { Ok(()) } else { Err(StoreError::BadName(name.into())) }
}

pub(crate) fn private_dir(path: &Path) -> Result<(), StoreError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| StoreError::Io { path: path.into(), source })
}

pub(crate) fn write_board(path: &Path, board: &KnownBoard) -> Result<(), StoreError> {
    let file = BoardFile {
        name: board.name.clone(),
        noise_pk: hex::encode(&board.noise_pk),
        psk: hex::encode(&board.psk),
    };
    let text = toml::to_string(&file).expect("three strings are valid TOML");
    write_private(path, text.as_bytes())
}

/// Writes a file only its owner may read; complete or not at all.
fn write_private(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let io = |source| StoreError::Io { path: path.into(), source };
    // The caller holds the lock; a file of this name is what a crash left.
    let temporary = path.with_extension("new");
    let _ = fs::remove_file(&temporary);
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary).map_err(io)?;
    file.write_all(bytes).map_err(io)?;
    file.sync_all().map_err(io)?;
    fs::rename(&temporary, path).map_err(io)
}

#[cfg(test)]
mod tests;

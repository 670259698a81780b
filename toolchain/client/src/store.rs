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
//! counters/FINGERPRINT     the last hs_counter and task sequence used with it
//! ```
//!
//! A board is recognised by its key, never by its address.

use crate::hex;
use serde::{Deserialize, Serialize};
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
    #[error("{path}: {what}; move it away to have it made anew")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A board name that cannot be a file name.
    #[error("'{0}' is no board name: use 1 to 16 letters, digits, '-' or '_'")]
    BadName(String),
    /// The system gave no randomness.
    #[error("no randomness from the system: {0}")]
    Random(String),
}

/// A board this user may dial.
#[derive(Clone, PartialEq, Eq, Debug)]
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
        let path = self.root.join("client.key");
        match fs::read_to_string(&path) {
            Ok(text) => hex::decode(&text).ok_or_else(|| StoreError::Damaged {
                path,
                what: "not 64 hexadecimal digits".into(),
            }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let secret: [u8; 32] = random()?;
                private_dir(&self.root)?;
                write_private(&path, format!("{}\n", hex::encode(&secret)).as_bytes())?;
                Ok(secret)
            }
            Err(source) => Err(StoreError::Io { path, source }),
        }
    }

    /// Records a board and the blob made for it.
    ///
    /// # Errors
    /// [`StoreError::BadName`], or when a file cannot be written.
    pub fn add_board(&self, board: &KnownBoard, blob: &[u8]) -> Result<(), StoreError> {
        check_name(&board.name)?;
        let dir = self.root.join("boards");
        private_dir(&dir)?;
        let file = BoardFile {
            name: board.name.clone(),
            noise_pk: hex::encode(&board.noise_pk),
            psk: hex::encode(&board.psk),
        };
        let text = toml::to_string(&file).expect("three strings are valid TOML");
        write_private(&dir.join(format!("{}.blob", board.name)), blob)?;
        write_private(&dir.join(format!("{}.toml", board.name)), text.as_bytes())
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

    /// Every board recorded, by name.
    ///
    /// # Errors
    /// When the folder or one of its files cannot be read.
    pub fn boards(&self) -> Result<Vec<KnownBoard>, StoreError> {
        let dir = self.root.join("boards");
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(StoreError::Io { path: dir, source }),
        };
        let mut boards = Vec::new();
        for entry in entries {
            let path = entry.map_err(|source| StoreError::Io { path: dir.clone(), source })?.path();
            if path.extension().is_some_and(|e| e == "toml") {
                boards.push(read_board(&path)?);
            }
        }
        boards.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(boards)
    }

    /// Takes the next hs_counter and the next task sequence for a board, under
    /// a file lock: each value is given out once, whatever runs in parallel.
    ///
    /// Both are max(milliseconds since 1970, last + 1), so that a lost file
    /// does no harm either (protocol section 1.9.2).
    ///
    /// # Errors
    /// When the file cannot be locked, read or written.
    pub fn next_counters(&self, fingerprint: [u8; 8]) -> Result<(u64, u64), StoreError> {
        let dir = self.root.join("counters");
        private_dir(&dir)?;
        let path = dir.join(hex::encode(&fingerprint));
        let io = |source| StoreError::Io { path: path.clone(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(io)?;
        file.lock().map_err(io)?;
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(io)?;
        let mut last = text.split_whitespace().map(|n| n.parse::<u64>().unwrap_or(0));
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX));
        let mut next = || now.max(last.next().unwrap_or(0).saturating_add(1));
        let (handshake, task) = (next(), next());
        file.rewind().map_err(io)?;
        file.set_len(0).map_err(io)?;
        writeln!(file, "{handshake} {task}").map_err(io)?;
        file.sync_data().map_err(io)?;
        Ok((handshake, task))
    }
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

fn read_board(path: &Path) -> Result<KnownBoard, StoreError> {
    let damaged = |what: &str| StoreError::Damaged { path: path.into(), what: what.into() };
    let text = fs::read_to_string(path)
        .map_err(|source| StoreError::Io { path: path.into(), source })?;
    let file: BoardFile = toml::from_str(&text).map_err(|e| damaged(e.message()))?;
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

fn private_dir(path: &Path) -> Result<(), StoreError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| StoreError::Io { path: path.into(), source })
}

/// Writes a file only its owner may read; complete or not at all.
fn write_private(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let io = |source| StoreError::Io { path: path.into(), source };
    let temporary = path.with_extension(format!("new-{}", std::process::id()));
    let mut file: File = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .map_err(io)?;
    file.write_all(bytes).map_err(io)?;
    file.sync_all().map_err(io)?;
    fs::rename(&temporary, path).map_err(io)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_made_once_and_kept_private() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let store = Store::at(&dir.path().join("new"));
        let first = store.client_secret().unwrap();
        assert_eq!(store.client_secret().unwrap(), first);
        let mode = fs::metadata(store.root().join("client.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn damaged_key_is_named_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("client.key"), "abc").unwrap();
        let error = Store::at(dir.path()).client_secret().unwrap_err().to_string();
        assert!(error.contains("client.key") && error.contains("hexadecimal"), "{error}");
        assert_eq!(fs::read(dir.path().join("client.key")).unwrap(), b"abc");
    }

    #[test]
    fn boards_come_back_and_bad_names_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::at(dir.path());
        assert!(store.boards().unwrap().is_empty());
        let board = KnownBoard { name: "attic-1".into(), noise_pk: [7; 32], psk: [9; 32] };
        store.add_board(&board, b"blob").unwrap();
        assert_eq!(store.boards().unwrap(), vec![board.clone()]);
        assert_eq!(store.blob("attic-1").unwrap().as_deref(), Some(&b"blob"[..]));
        assert_eq!(store.blob("other").unwrap(), None);
        for name in ["", "../x", "a/b", "seventeen-letters"] {
            assert!(store.add_board(&KnownBoard { name: name.into(), ..board.clone() }, b"").is_err());
        }
    }

    #[test]
    fn counters_never_repeat() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::at(dir.path());
        let mut seen = std::collections::BTreeSet::new();
        let all: Vec<_> = std::thread::scope(|s| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    s.spawn(|| (0..20).map(|_| store.next_counters([1; 8]).unwrap()).collect::<Vec<_>>())
                })
                .collect();
            threads.into_iter().flat_map(|t| t.join().unwrap()).collect()
        });
        for (handshake, task) in all {
            assert!(seen.insert(handshake));
            assert_eq!(handshake, task);
        }
    }
}

//! Clients of a board besides the user who owns it: who is on its list, and the
//! record that each of them needs to dial it.
//!
//! A board and each of its clients share a key of their own. The owner makes
//! it, keeps it in `boards/NAME.clients/KEYID.toml`, and hands that file to the
//! client, whose store takes it ([`Store::accept`]). Made once, it stays: a
//! client is not locked out by the next card or the next start of an emulator.

use std::fs;
use std::path::{Path, PathBuf};

use sk_session::keys::StaticKey;
use sk_wire::blob::{Client, Config};
use sk_wire::key_id;

use crate::hex;
use crate::provision::Provisioned;
use crate::store::{KnownBoard, Store, StoreError, private_dir, random, read_board, write_board};

/// A client as it is to be on a board's list.
#[derive(Clone, Debug)]
pub struct Guest {
    /// Key, roles, quotas, label.
    pub client: Client,
    /// Ids of the services its payloads get, ascending; `None`: all of them.
    pub services: Option<Vec<u32>>,
}

/// The record of a client that is not the owner, to be handed to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Handed {
    /// The client's label.
    pub label: String,
    /// Where the record is.
    pub record: PathBuf,
    /// Made just now?
    pub is_new: bool,
}

impl Store {
    /// This user's public key: what an owner puts on a board's list.
    ///
    /// # Errors
    /// When the key cannot be read or made.
    pub fn public_key(&self) -> Result<[u8; 32], StoreError> {
        Ok(*StaticKey::from_secret(self.client_secret()?).public())
    }

    /// Makes `guests` the only clients of a board that was provisioned, and says
    /// which records there are to be handed out. The blob on record stays as
    /// it is: the list is for this card, or this run of an emulator.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] with what the board would object to, or
    /// [`StoreError::NotOnList`] when this user's key is missing.
    pub fn admit(
        &self,
        made: &mut Provisioned,
        guests: &[Guest],
    ) -> Result<Vec<Handed>, StoreError> {
        let name = made.board.name.clone();
        let old = Config::decode(&made.blob).map_err(|e| self.damaged(&name, e))?;
        let mut config = Config::empty();
        config.device_label = old.device_label;
        config.net = old.net;
        config.policy = old.policy.clone();
        (config.owner, config.epoch) = (old.owner, old.epoch);
        config.set_device_seed(old.device_seed());
        let me = self.public_key()?;
        if !guests.iter().any(|guest| guest.client.public_key == me) {
            return Err(StoreError::NotOnList);
        }
        let mut handed = Vec::new();
        for guest in guests {
            let psk = if guest.client.public_key == me {
                made.board.psk
            } else {
                let (psk, record) = self.record(&made.board, &guest.client)?;
                handed.push(record);
                psk
            };
            config
                .add_client(guest.client.clone(), guest.services.as_deref(), &psk)
                .map_err(|e| self.damaged(&name, e))?;
        }
        made.blob = self.encode(&name, &config)?;
        Ok(handed)
    }

    /// The record of one client: as it is, or made.
    fn record(
        &self,
        board: &KnownBoard,
        client: &Client,
    ) -> Result<([u8; 32], Handed), StoreError> {
        let dir = self.root().join("boards").join(format!("{}.clients", board.name));
        let id = hex::encode(&key_id(&client.public_key));
        let path = dir.join(format!("{id}.toml"));
        let _lock = self.lock()?;
        let known = match read_board(&path, None) {
            // A board with new keys is another board.
            Ok(known) => Some(known).filter(|known| known.noise_pk == board.noise_pk),
            Err(StoreError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                None
            }
            Err(error) => return Err(error),
        };
        let is_new = known.is_none();
        let psk = match known {
            Some(known) => known.psk,
            None => {
                let record = KnownBoard { psk: random()?, ..board.clone() };
                private_dir(&dir)?;
                write_board(&path, &record)?;
                record.psk
            }
        };
        Ok((psk, Handed { label: client.label.as_str().into(), record: path, is_new }))
    }

    /// Takes a record that the owner of a board has handed over.
    ///
    /// # Errors
    /// When it cannot be read, or another board has its name.
    pub fn accept(&self, record: &Path) -> Result<KnownBoard, StoreError> {
        let board = read_board(record, None)?;
        self.add_record(&board)?;
        Ok(board)
    }

    /// Removes the records handed out for board `name`: its keys are new.
    pub(crate) fn forget_guests(&self, name: &str) -> Result<(), StoreError> {
        let path = self.root().join("boards").join(format!("{name}.clients"));
        match fs::remove_dir_all(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
            result => result.map_err(|source| StoreError::Io { path, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Addressing;
    use sk_wire::Roles;

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::at(dir.path());
        (dir, store)
    }

    fn guest(key: [u8; 32], label: &str, services: Option<Vec<u32>>) -> Guest {
        let mut client = Client::new(key, Roles::OBSERVE.or(Roles::SUBMIT));
        client.label = label.parse().unwrap();
        Guest { client, services }
    }

    #[test]
    fn a_guest_can_dial_with_the_record_it_was_handed() {
        let (_a, owner) = store();
        let (_b, ada) = store();
        let mut made = owner.provision("attic", Addressing::Dhcp).unwrap();
        let guests = [
            guest(owner.public_key().unwrap(), "owner", None),
            guest(ada.public_key().unwrap(), "ada", Some(vec![3, 7])),
        ];
        let handed = owner.admit(&mut made, &guests).unwrap();
        assert!(handed.len() == 1 && handed[0].is_new && handed[0].label == "ada");

        let record = ada.accept(&handed[0].record).unwrap();
        assert_eq!(ada.board("attic").unwrap(), Some(record.clone()));
        let config = Config::decode(&made.blob).unwrap();
        assert_eq!(config.clients().len(), 2);
        let at = config.find(&ada.public_key().unwrap()).unwrap();
        assert_eq!(config.psk(at), Some(&record.psk));
        assert_eq!(config.client_services(at), Some(&[3, 7][..]));
        let me = config.find(&owner.public_key().unwrap()).unwrap();
        assert_eq!(config.psk(me), Some(&made.board.psk));

        // Again: the same keys for everybody.
        let mut again = owner.provision("attic", Addressing::Dhcp).unwrap();
        let handed = owner.admit(&mut again, &guests).unwrap();
        assert!(!handed[0].is_new);
        assert_eq!(again.blob, made.blob);
        // A board with new keys shares new ones with its guests.
        let mut anew = owner.provision_anew("attic", Addressing::Dhcp).unwrap();
        assert!(owner.admit(&mut anew, &guests).unwrap()[0].is_new);
        assert!(ada.accept(&handed[0].record).is_err(), "the name is taken by the old board");
    }

    #[test]
    fn the_owner_must_be_on_the_list() {
        let (_dir, owner) = store();
        let mut made = owner.provision("attic", Addressing::Dhcp).unwrap();
        let before = made.blob.clone();
        let error = owner.admit(&mut made, &[guest([7; 32], "b", None)]).unwrap_err();
        assert!(matches!(error, StoreError::NotOnList), "{error}");
        assert_eq!(made.blob, before);
    }
}

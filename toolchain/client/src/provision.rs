//! Making a board: its keys, and the configuration that its card or its
//! emulator hands to the kernel.

use std::net::Ipv4Addr;

use sk_session::keys::{DeviceKeys, StaticKey};
use sk_wire::blob::{BlobError, Client, Config, MAX_BLOB_LEN, Net, NetMode};
use sk_wire::{Label, Roles};

use crate::store::{KnownBoard, Store, StoreError, random};

/// How a board gets its address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Addressing {
    /// DHCP, then IPv4 link-local.
    #[default]
    Dhcp,
    /// As written here.
    Static {
        /// The address.
        ip: Ipv4Addr,
        /// Length of the network part.
        prefix: u8,
        /// Default router.
        gateway: Option<Ipv4Addr>,
    },
}

impl Addressing {
    fn net(self) -> Net {
        match self {
            Self::Dhcp => Net::default(),
            Self::Static { ip, prefix, gateway } => Net {
                mode: NetMode::Static,
                ip: ip.octets(),
                prefix,
                gateway: gateway.map(|ip| ip.octets()),
                ..Net::default()
            },
        }
    }
}

/// A board that is on record, and its configuration.
#[derive(Clone, Debug)]
pub struct Provisioned {
    /// What is needed to dial it.
    pub board: KnownBoard,
    /// What its kernel needs at boot; holds the board's secrets.
    pub blob: Vec<u8>,
    /// Made just now?
    pub is_new: bool,
}

impl Store {
    /// The board of this name: made with random keys on first use, with this
    /// user as its only client, who may observe, submit and operate. Its keys
    /// stay; how it gets its address may differ each time.
    ///
    /// # Errors
    /// [`StoreError::BadName`]; [`StoreError::Damaged`] when what is on record
    /// does not fit together, or the addressing is not valid.
    pub fn provision(&self, name: &str, addressing: Addressing) -> Result<Provisioned, StoreError> {
        if self.board(name)?.is_none() {
            match self.make_board(name) {
                Ok(()) => {
                    return Ok(Provisioned { is_new: true, ..self.known_board(name, addressing)? });
                }
                // Another program was faster.
                Err(StoreError::NameTaken(_)) => {}
                Err(error) => return Err(error),
            }
        }
        self.known_board(name, addressing)
    }

    /// As [`Store::provision`], but with new keys: a card made before is no
    /// longer this board. What was on record is kept as `NAME.*.old`.
    ///
    /// # Errors
    /// As [`Store::provision`].
    pub fn provision_anew(
        &self,
        name: &str,
        addressing: Addressing,
    ) -> Result<Provisioned, StoreError> {
        self.set_aside(name)?;
        self.forget_guests(name)?;
        self.provision(name, addressing)
    }

    fn make_board(&self, name: &str) -> Result<(), StoreError> {
        let (seed, psk) = (random()?, random()?);
        let me = StaticKey::from_secret(self.client_secret()?);
        let mut config = Config::empty();
        config.device_label = Label::new(name).unwrap_or_default();
        config.set_device_seed(&seed);
        let mut client =
            Client::new(*me.public(), Roles::OBSERVE.or(Roles::SUBMIT).or(Roles::OPERATE));
        client.label = "owner".parse().unwrap_or_default();
        config.add_client(client, None, &psk).map_err(|e| self.damaged(name, e))?;
        let noise_pk = *DeviceKeys::derive(&seed).noise.public();
        let blob = self.encode(name, &config)?;
        self.add_board(&KnownBoard { name: name.into(), noise_pk, psk }, &blob)
    }

    fn known_board(&self, name: &str, addressing: Addressing) -> Result<Provisioned, StoreError> {
        let damaged = |what: &str| self.damaged(name, what);
        let board = self.board(name)?.ok_or_else(|| damaged("the record beside it is gone"))?;
        let blob =
            self.blob(name)?.ok_or_else(|| damaged("there is no configuration of this board"))?;
        let mut config = Config::decode(&blob).map_err(|e| damaged(&e.to_string()))?;
        if DeviceKeys::derive(config.device_seed()).noise.public() != &board.noise_pk {
            return Err(damaged("its key is not the one on record"));
        }
        let me = StaticKey::from_secret(self.client_secret()?);
        let psk = config.find(me.public()).and_then(|at| config.psk(at));
        if psk != Some(&board.psk) {
            return Err(damaged("it was made for another client.key"));
        }
        config.net = addressing.net();
        let blob = self.encode(name, &config)?;
        Ok(Provisioned { board, blob, is_new: false })
    }

    pub(crate) fn encode(&self, name: &str, config: &Config) -> Result<Vec<u8>, StoreError> {
        let mut blob = vec![0; MAX_BLOB_LEN];
        let len = config.encode(&mut blob).map_err(|e: BlobError| self.damaged(name, e))?;
        blob.truncate(len);
        Ok(blob)
    }

    pub(crate) fn damaged(&self, name: &str, what: impl ToString) -> StoreError {
        StoreError::Damaged {
            path: self.root().join("boards").join(format!("{name}.blob")),
            what: what.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::at(dir.path());
        (dir, store)
    }

    #[test]
    fn a_board_is_made_once_and_can_be_dialled() {
        let (_dir, store) = store();
        let first = store.provision("attic-1", Addressing::Dhcp).unwrap();
        assert!(first.is_new);
        let config = Config::decode(&first.blob).unwrap();
        assert_eq!(config.device_label.as_str(), "attic-1");
        assert_eq!(config.clients().len(), 1);
        assert_eq!(config.net, Net::default());
        let again = store.provision("attic-1", Addressing::Dhcp).unwrap();
        assert!(!again.is_new);
        assert_eq!((again.board, again.blob), (first.board.clone(), first.blob));
        assert_eq!(store.boards().unwrap().boards, std::slice::from_ref(&first.board));
        let other = store.provision("attic-2", Addressing::Dhcp).unwrap();
        assert_ne!(other.board.noise_pk, first.board.noise_pk);
        assert_ne!(other.board.psk, first.board.psk);
    }

    #[test]
    fn the_address_changes_and_the_keys_stay() {
        let (_dir, store) = store();
        let first = store.provision("a", Addressing::Dhcp).unwrap();
        let fixed = Addressing::Static {
            ip: [10, 0, 2, 15].into(),
            prefix: 24,
            gateway: Some([10, 0, 2, 2].into()),
        };
        let second = store.provision("a", fixed).unwrap();
        assert_eq!(second.board, first.board);
        let config = Config::decode(&second.blob).unwrap();
        assert_eq!(
            (config.net.mode, config.net.ip, config.net.prefix),
            (NetMode::Static, [10, 0, 2, 15], 24)
        );
        let nonsense = Addressing::Static { ip: [127, 0, 0, 1].into(), prefix: 24, gateway: None };
        let error = store.provision("a", nonsense).unwrap_err().to_string();
        assert!(error.contains("address"), "{error}");
    }

    #[test]
    fn new_keys_on_demand_and_the_old_ones_kept_aside() {
        let (dir, store) = store();
        let first = store.provision("a", Addressing::Dhcp).unwrap();
        let second = store.provision_anew("a", Addressing::Dhcp).unwrap();
        assert!(second.is_new);
        assert_ne!(second.board.noise_pk, first.board.noise_pk);
        assert_eq!(store.boards().unwrap().boards, [second.board]);
        assert_eq!(std::fs::read(dir.path().join("boards/a.blob.old")).unwrap(), first.blob);
        assert!(store.provision_anew("b", Addressing::Dhcp).unwrap().is_new);
    }

    #[test]
    fn a_configuration_for_another_client_is_refused() {
        let (dir, store) = store();
        store.provision("a", Addressing::Dhcp).unwrap();
        std::fs::remove_file(dir.path().join("client.key")).unwrap();
        let error = store.provision("a", Addressing::Dhcp).unwrap_err().to_string();
        assert!(error.contains("another client.key"), "{error}");
    }

    #[test]
    fn a_damaged_configuration_is_named() {
        let (dir, store) = store();
        store.provision("a", Addressing::Dhcp).unwrap();
        let path = dir.path().join("boards/a.blob");
        let mut blob = std::fs::read(&path).unwrap();
        blob[20] ^= 1;
        std::fs::write(&path, blob).unwrap();
        let error = store.provision("a", Addressing::Dhcp).unwrap_err().to_string();
        assert!(error.contains("a.blob") && error.contains("checksum"), "{error}");
        std::fs::remove_file(&path).unwrap();
        assert!(store.provision("a", Addressing::Dhcp).is_err());
    }
}

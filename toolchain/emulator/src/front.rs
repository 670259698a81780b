//! A modelled network adapter on the board's USB port: served by a thread of
//! this process over a socket in the board's folder.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sk_models::ecm::EcmFunction;
use sk_models::lan9512::{LAN9512, Lan9512};
use sk_redir::{Cable, Pcap, Server, Status};

use crate::command::MAC;
use crate::lan;
use crate::{Adapter, BoardConfig, Error, Net, Result};

/// How often something waited for is looked at.
const GLANCE: Duration = Duration::from_millis(2);

/// The adapter of a running board, and both of its plugs.
#[derive(Debug)]
pub struct Front(Server);

/// The socket's path in a board's folder.
pub(crate) fn socket(dir: &Path) -> PathBuf {
    dir.join("usb")
}

/// Starts the adapter's thread, if the board has a modelled adapter.
pub(crate) fn start(config: &BoardConfig, dir: &Path) -> Result<Option<Front>> {
    let cable = match (config.adapter, &config.network) {
        (Adapter::UsbNet, _) | (_, Net::None) => return Ok(None),
        (_, Net::User { .. }) => {
            let (lan, adapter) = lan::ends(dir);
            Cable::unix(&adapter, &lan).map_err(Error::io("the board's cable"))
        }
        (_, Net::Dgram { local, remote }) => Cable::udp(*local, *remote)
            .map_err(|source| Error::Cable { cable: format!("udp {local}"), source }),
        (_, Net::Tap(name)) => {
            Cable::tap(name).map_err(|source| Error::Cable { cable: format!("tap {name}"), source })
        }
        (_, Net::Slirp { .. }) => Err(Error::Config(
            "QEMU's own user network has no plug for a modelled adapter".to_owned(),
        )),
    }?;
    let pcap = match &config.pcap {
        Some(path) => Some(Pcap::create(path).map_err(|source| Error::Unwritable {
            what: "the file for frames",
            path: path.clone(),
            source,
        })?),
        None => None,
    };
    let socket = socket(dir);
    let server = match config.adapter {
        Adapter::UsbNet | Adapter::Ecm => {
            let ecm = EcmFunction::high_speed(MAC);
            Server::start(&socket, Arc::new(Mutex::new(ecm)), cable, pcap)
        }
        Adapter::Lan9512 => {
            let lan = Lan9512::new(LAN9512);
            Server::start(&socket, Arc::new(Mutex::new(lan)), cable, pcap)
        }
    };
    Ok(Some(Front(server.map_err(Error::io("the board's USB port"))?)))
}

impl Front {
    /// How things stand.
    #[must_use]
    pub fn status(&self) -> Status {
        self.0.status()
    }

    /// Pulls the adapter out of the USB port, or plugs it in, and waits until
    /// QEMU was told. QEMU puts off a plugging-in for 200 ms after the last
    /// pulling out.
    ///
    /// # Errors
    /// [`Error::Timeout`] if QEMU is not there any more.
    pub fn set_plugged(&self, plugged: bool) -> Result<()> {
        let patience = Duration::from_secs(2);
        self.0.set_plugged(plugged);
        let until = Instant::now() + patience;
        while self.status().attached != plugged {
            if Instant::now() >= until {
                return Err(Error::Timeout {
                    what: "a change at the USB port".to_owned(),
                    after: patience,
                    stderr: String::new(),
                    serial: String::new(),
                });
            }
            std::thread::sleep(GLANCE);
        }
        Ok(())
    }

    /// Pulls the network cable out of the adapter, or plugs it in.
    pub fn set_link(&self, up: bool) {
        self.0.set_link(up);
    }
}

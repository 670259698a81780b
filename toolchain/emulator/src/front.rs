//! A modelled network adapter on the board's USB port: served by a thread of
//! this process over a socket in the board's folder.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
pub struct Front {
    server: Server,
    model: Model,
}

#[derive(Debug)]
enum Model {
    Ecm(Arc<Mutex<EcmFunction>>),
    Lan9512(Arc<Mutex<Lan9512>>),
}

/// The socket's path in a board's folder.
pub(crate) fn socket(dir: &Path) -> PathBuf {
    dir.join("usb")
}

/// The adapter's end of a cable that leads out of this process.
fn outer_cable(network: &Net) -> Result<Option<Cable>> {
    let (cable, name) = match network {
        Net::Tap(name) => (Cable::tap(name), format!("tap {name}")),
        Net::Dgram { local, remote } => (Cable::udp(*local, *remote), format!("udp {local}")),
        Net::User { .. } | Net::Slirp { .. } | Net::None => return Ok(None),
    };
    Ok(Some(cable.map_err(|source| Error::Cable { cable: name, source })?))
}

/// Starts the adapter's thread, if the board has a modelled adapter.
pub(crate) fn start(config: &BoardConfig, dir: &Path) -> Result<Option<Front>> {
    let outer = outer_cable(&config.network)?;
    let cable = match (outer, config.adapter, &config.network) {
        // QEMU plugs it in itself, if it can: now it is known that it can.
        (_, Adapter::UsbNet, _) | (_, _, Net::None) => return Ok(None),
        (Some(cable), ..) => cable,
        (None, _, Net::Slirp { .. }) => {
            return Err(Error::Config(
                "QEMU's own user network has no plug for a modelled adapter".to_owned(),
            ));
        }
        (None, ..) => {
            let (lan, adapter) = lan::ends(dir);
            Cable::unix(&adapter, &lan).map_err(Error::io("the board's cable"))?
        }
    };
    let pcap = match &config.pcap {
        Some(path) => {
            Some(Pcap::create(path).map_err(Error::unwritable("the file for frames", path))?)
        }
        None => None,
    };
    let socket = socket(dir);
    let (server, model) = match config.adapter {
        Adapter::UsbNet | Adapter::Ecm => {
            let ecm = Arc::new(Mutex::new(EcmFunction::high_speed(MAC)));
            let server = Server::start(&socket, Arc::clone(&ecm), cable, pcap);
            (server, Model::Ecm(ecm))
        }
        Adapter::Lan9512 => {
            let lan = Arc::new(Mutex::new(Lan9512::new(LAN9512)));
            let server = Server::start(&socket, Arc::clone(&lan), cable, pcap);
            (server, Model::Lan9512(lan))
        }
    };
    Ok(Some(Front { server: server.map_err(Error::io("the board's USB port"))?, model }))
}

impl Front {
    /// How things stand.
    #[must_use]
    pub fn status(&self) -> Status {
        self.server.status()
    }

    /// Pulls the adapter out of the USB port, or plugs it in, and waits until
    /// QEMU was told. QEMU puts off a plugging-in for 200 ms after the last
    /// pulling out.
    ///
    /// # Errors
    /// [`Error::Timeout`] if QEMU is not there any more.
    pub fn set_plugged(&self, plugged: bool) -> Result<()> {
        let patience = Duration::from_secs(2);
        self.server.set_plugged(plugged);
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
        self.server.set_link(up);
    }

    /// The CDC-ECM adapter itself, to be looked at or broken: it stands still
    /// as long as it is held.
    #[must_use]
    pub fn ecm(&self) -> Option<MutexGuard<'_, EcmFunction>> {
        match &self.model {
            Model::Ecm(ecm) => Some(ecm.lock().unwrap_or_else(PoisonError::into_inner)),
            Model::Lan9512(_) => None,
        }
    }

    /// The LAN9512 itself, likewise.
    #[must_use]
    pub fn lan9512(&self) -> Option<MutexGuard<'_, Lan9512>> {
        match &self.model {
            Model::Lan9512(lan) => Some(lan.lock().unwrap_or_else(PoisonError::into_inner)),
            Model::Ecm(_) => None,
        }
    }
}

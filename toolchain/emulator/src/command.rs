//! From a [`BoardConfig`] to QEMU's arguments and the files they name.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;

use crate::boot::{ATAGS_ADDRESS, BLOB_ADDRESS, DTB_ADDRESS, atags, shim};
use crate::{Adapter, BoardConfig, BootData, Error, Net, Plugin, Result};
use crate::{front, lan};

/// The adapter's own address; the mailbox answers with ...56.
pub(crate) const MAC: [u8; 6] = [0x52, 0x54, 0x00, 0x12, 0x34, 0x57];

/// Arguments for QEMU, whose files are written into `dir`. `port` is the port
/// on the host for [`Net::Slirp`].
pub(crate) fn arguments(config: &BoardConfig, dir: &Path, port: u16) -> Result<Vec<OsString>> {
    let mut arguments = Vec::new();
    let mut add = |words: &[&OsStr]| arguments.extend(words.iter().map(OsString::from));
    let name = format!("serverkernel:{}", config.name);
    for words in [
        ["-name", name.as_str()],
        ["-machine", config.machine.name()],
        ["-display", "none"],
        ["-monitor", "none"],
        ["-serial", "stdio"],
    ] {
        add(&words.map(OsStr::new));
    }
    // The machine waits for `cont`, so that nothing is missed.
    add(&["-S"].map(OsStr::new));
    if !config.reboot {
        add(&["-no-reboot"].map(OsStr::new));
    }
    add(&["-qmp".as_ref(), &option(&["unix:"], &dir.join("qmp"), ",server=on,wait=off")]);
    let kernel = fs::canonicalize(&config.kernel).map_err(|source| Error::Unreadable {
        what: "the kernel",
        path: config.kernel.clone(),
        source,
    })?;
    add(&["-bios".as_ref(), kernel.as_os_str()]);

    for (file, address, bytes) in memory(config)? {
        let path = dir.join(file);
        fs::write(&path, bytes).map_err(Error::io("a file for QEMU"))?;
        let rest = format!(",addr={address:#x},force-raw=on");
        add(&["-device".as_ref(), &option(&["loader,file="], &path, &rest)]);
    }

    let netdev = match &config.network {
        Net::User { .. } => {
            let (ours, qemu) = lan::ends(dir);
            let local = option(&["dgram,id=n0,local.type=unix,local.path="], &qemu, "");
            let remote = option(&[",remote.type=unix,remote.path="], &ours, "");
            Some([local, remote].join(OsStr::new("")))
        }
        Net::Slirp { guest_port, .. } => {
            Some(format!("user,id=n0,hostfwd=udp:127.0.0.1:{port}-:{guest_port}").into())
        }
        Net::Dgram { local, remote } => {
            let end = |name, end: &SocketAddr| {
                let (ip, port) = (end.ip(), end.port());
                format!(",{name}.type=inet,{name}.host={ip},{name}.port={port}")
            };
            let ends = [end("local", local), end("remote", remote)].concat();
            Some(format!("dgram,id=n0{ends}").into())
        }
        Net::Tap(name) => {
            let name = name.replace(',', ",,");
            Some(format!("tap,id=n0,ifname={name},script=no,downscript=no").into())
        }
        Net::None => None,
    };
    // A port of its own for each, or QEMU would put further hubs in between.
    let mut usb = "1".to_owned();
    for _ in 0..config.hubs {
        add(&["-device".as_ref(), format!("usb-hub,port={usb}").as_ref()]);
        usb.push_str(".1");
    }
    if netdev.is_some() && config.adapter != Adapter::UsbNet {
        let chardev = option(&["socket,id=usb,path="], &front::socket(dir), "");
        let device = format!("usb-redir,chardev=usb,port={usb}");
        add(&["-chardev".as_ref(), &chardev, "-device".as_ref(), device.as_ref()]);
    } else if let Some(netdev) = netdev {
        let mac = MAC.map(|byte| format!("{byte:02x}")).join(":");
        let device = format!("usb-net,netdev=n0,mac={mac},port={usb}");
        add(&["-netdev".as_ref(), &netdev, "-device".as_ref(), device.as_ref()]);
        if let Some(path) = &config.pcap {
            // For the sentence: QEMU's own names no cause.
            File::create(path).map_err(Error::unwritable("the file for frames", path))?;
            let dump = option(&["filter-dump,id=frames,netdev=n0,file="], path, "");
            add(&["-object".as_ref(), &dump]);
        }
    }
    if config.icount {
        add(&["-icount", "shift=0"].map(OsStr::new));
    }
    if let Some(plugin) = &config.plugin {
        add(&["-plugin".as_ref(), &plugin_option(plugin)]);
    }
    arguments.extend(config.extra.iter().cloned());
    Ok(arguments)
}

/// What the loader devices put into memory besides the kernel.
fn memory(config: &BoardConfig) -> Result<Vec<(&'static str, u32, Vec<u8>)>> {
    let mut pieces = Vec::new();
    let blob = config.blob.as_ref().map(Vec::len);
    let blob = blob
        .map(u32::try_from)
        .transpose()
        .map_err(|_| Error::Config("the blob is too large".to_owned()))?;
    let r2 = match &config.boot_data {
        BootData::Atags(tags) => {
            pieces.push(("atags", ATAGS_ADDRESS, atags(config.machine, tags, blob)?));
            ATAGS_ADDRESS
        }
        BootData::Dtb(tree) => {
            if tree.len() > (BLOB_ADDRESS - DTB_ADDRESS) as usize {
                let size = tree.len();
                return Err(Error::Config(format!("a device tree of {size} bytes is too large")));
            }
            pieces.push(("dtb", DTB_ADDRESS, tree.clone()));
            DTB_ADDRESS
        }
        BootData::None => 0,
    };
    pieces.push(("shim", 0, shim(r2)));
    if let Some(blob) = config.blob.as_ref().filter(|blob| !blob.is_empty()) {
        pieces.push(("blob", BLOB_ADDRESS, blob.clone()));
    }
    Ok(pieces)
}

/// Removes the files again. QEMU has read them, and the blob holds a board's
/// secrets: it must not stay when the owner dies without cleaning up.
pub(crate) fn forget(dir: &Path) {
    for file in ["shim", "atags", "dtb", "blob"] {
        let _ = fs::remove_file(dir.join(file));
    }
}

fn plugin_option(plugin: &Plugin) -> OsString {
    let mut text = option(&[], &plugin.library, ",out=");
    text.push(option(&[], &plugin.out, ""));
    for more in &plugin.options {
        text.push(",");
        text.push(more.replace(',', ",,"));
    }
    text
}

/// An option with a path in it, whose commas QEMU wants doubled.
fn option(before: &[&str], path: &Path, after: &str) -> OsString {
    let mut text = OsString::from(before.concat());
    text.push(path.to_string_lossy().replace(',', ",,"));
    text.push(after);
    text
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> Result<u16> {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|socket| socket.local_addr())
        .map(|address| address.port())
        .map_err(Error::io("no free UDP port"))
}

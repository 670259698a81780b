//! The guest's root file system: busybox, a few kernel modules and one script,
//! as an archive in the kernel's own format (cpio "newc",
//! Documentation/driver-api/early-userspace/buffer-format).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::packages::Packages;

/// The drivers on trial; what they need follows from their own lists. `smsc` is
/// the PHY's: nothing depends on it by name.
const DRIVERS: [&str; 3] = ["smsc", "smsc95xx", "cdc_ether"];

/// Run as the first process. It reports in lines that begin with `JUDGE`, and
/// then does what it reads from the console.
const INIT: &str = r#"#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t sysfs sysfs /sys
/bin/busybox mount -t devtmpfs devtmpfs /dev
/bin/busybox --install -s /bin
export PATH=/bin
stty -echo
uname -r | sed 's/^/JUDGE kernel /'
for module in $(cat /modules/order); do
    insmod /modules/$module.ko || echo "JUDGE broken $module"
done
tries=0
while interface=$(ls /sys/class/net | grep -v '^lo$' | head -n 1)
      [ -z "$interface" ] && [ $tries -lt 300 ]; do
    sleep 0.1
    tries=$((tries + 1))
done
cd /sys/class/net/$interface || echo "JUDGE broken interface"
echo "JUDGE driver $(basename $(readlink device/driver))"
usb=$(readlink -f device/..)
echo "JUDGE speed $(cat $usb/speed)"
echo "JUDGE descriptors $(hexdump -ve '1/1 "%02x"' $usb/descriptors)"
for text in manufacturer product serial; do
    echo "JUDGE text $text $(cat $usb/$text 2>/dev/null)"
done
echo 0 > /proc/sys/net/ipv4/icmp_echo_ignore_broadcasts
echo 0 > /proc/sys/net/ipv4/icmp_ratelimit
ip link set $interface up
ip addr add 10.0.0.2/24 broadcast 10.0.0.255 dev $interface
tries=0
while [ "$(cat carrier 2>/dev/null)" != 1 ] && [ $tries -lt 300 ]; do
    sleep 0.1
    tries=$((tries + 1))
done
echo "JUDGE address $(cat address)"
echo "JUDGE up $(cat carrier) $(cat speed 2>/dev/null) $(cat duplex 2>/dev/null) $(cut -d ' ' -f 1 /proc/uptime)"
while read word; do
    case $word in
        syn) nc -w 1 10.0.0.1 80 </dev/null 2>/dev/null; echo "JUDGE did syn" ;;
        end) break ;;
    esac
done
for counter in rx_packets rx_errors rx_dropped rx_length_errors rx_crc_errors tx_packets tx_errors tx_dropped; do
    echo "JUDGE counter $counter $(cat statistics/$counter)"
done
dmesg | grep -i -E 'timed out|timeout|failed' | sed 's/^/JUDGE log /'
echo "JUDGE end"
poweroff -f
"#;

/// The archive, as bytes.
pub(crate) fn archive(packages: &Packages) -> Result<Vec<u8>> {
    let mut cpio = Cpio::default();
    for dir in ["bin", "dev", "modules"] {
        cpio.add(dir, 0o040_755, (0, 0), &[]);
    }
    // Until devtmpfs is there.
    cpio.add("dev/console", 0o020_600, (5, 1), &[]);
    cpio.add("init", 0o100_755, (0, 0), INIT.as_bytes());
    let busybox = packages.busybox();
    let busybox = fs::read(&busybox).with_context(|| busybox.display().to_string())?;
    cpio.add("bin/busybox", 0o100_755, (0, 0), &busybox);
    let all = modules(&packages.modules())?;
    let mut order = Vec::new();
    for driver in DRIVERS {
        with_needed(driver, &all, &mut order)?;
    }
    let mut names = String::new();
    for (name, bytes) in order {
        cpio.add(&format!("modules/{name}.ko"), 0o100_644, (0, 0), &bytes);
        names += &name;
        names.push('\n');
    }
    cpio.add("modules/order", 0o100_644, (0, 0), names.as_bytes());
    Ok(cpio.end())
}

/// All modules below `dir`, by their names.
fn modules(dir: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![dir.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).with_context(|| dir.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() && !path.is_symlink() {
                dirs.push(path);
            } else if path.extension().is_some_and(|end| end == "ko")
                && let Some(name) = path.file_stem()
            {
                // A file's name may have hyphens where the module's has not.
                found.insert(name.to_string_lossy().replace('-', "_"), path);
            }
        }
    }
    Ok(found)
}

/// Adds a module to the list, behind what it needs.
fn with_needed(
    name: &str,
    all: &BTreeMap<String, PathBuf>,
    order: &mut Vec<(String, Vec<u8>)>,
) -> Result<()> {
    if order.iter().any(|(known, _)| known == name) {
        return Ok(());
    }
    let path = all.get(name).with_context(|| format!("the kernel has no module {name}"))?;
    let bytes = fs::read(path)?;
    for needed in depends(&bytes) {
        with_needed(&needed, all, order)?;
    }
    order.push((name.to_owned(), bytes));
    Ok(())
}

/// The list in a module's `.modinfo`: `depends=a,b` up to a NUL.
fn depends(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = module.windows(KEY.len()).position(|bytes| bytes == KEY) else {
        return Vec::new();
    };
    let list = module[at + KEY.len()..].split(|byte| *byte == 0).next().unwrap_or_default();
    let list = String::from_utf8_lossy(list);
    list.split(',').filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect()
}

#[derive(Default)]
struct Cpio {
    bytes: Vec<u8>,
    inode: u32,
}

impl Cpio {
    fn add(&mut self, name: &str, mode: u32, device: (u32, u32), content: &[u8]) {
        self.inode += 1;
        let size = u32::try_from(content.len()).expect("small");
        let length = u32::try_from(name.len() + 1).expect("short");
        // Inode, mode, owner, group, links, time, size, the device it is on,
        // the device it is, name, checksum.
        let fields = [self.inode, mode, 0, 0, 1, 0, size, 0, 0, device.0, device.1, length, 0];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(name.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn end(mut self) -> Vec<u8> {
        self.add("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_archive_entry() {
        let mut cpio = Cpio::default();
        cpio.add("abc", 0o100_644, (0, 0), b"hello");
        let expected = "07070100000001000081a400000000000000000000000100000000000000050000000000000000000000000000000000000004\
                        00000000abc\0\0\0hello\0\0\0";
        assert_eq!(String::from_utf8(cpio.bytes).unwrap(), expected);
    }

    #[test]
    fn a_module_names_what_it_needs() {
        assert_eq!(depends(b"x\0depends=mii,usb-net\0y"), ["mii", "usb_net"]);
        assert_eq!(depends(b"x\0depends=\0y"), Vec::<String>::new());
        assert_eq!(depends(b"x"), Vec::<String>::new());
    }
}

//! Disks as `/sys` and `/proc` tell of them, in a folder of our own.

use super::*;
use std::os::unix::fs::symlink;

const CARD: u64 = 64 << 20;

/// A machine with one disk, sdb, and one partition on it.
struct Machine {
    dir: tempfile::TempDir,
    system: System,
}

impl Machine {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let system = System { sys: dir.path().join("sys"), proc: dir.path().join("proc") };
        let machine = Self { dir, system };
        machine.file("sys/devices/usb/sdb/dev", "8:16\n");
        machine.file("sys/devices/usb/sdb/size", "62333952\n");
        machine.file("sys/devices/usb/sdb/ro", "0\n");
        machine.file("sys/devices/usb/sdb/device/model", "SD/MMC CRW      \n");
        machine.file("sys/devices/usb/sdb/sdb1/dev", "8:17\n");
        machine.file("sys/devices/usb/sdb/sdb1/partition", "1\n");
        fs::create_dir_all(machine.system.sys.join("dev/block")).unwrap();
        symlink("../../devices/usb/sdb", machine.system.sys.join("dev/block/8:16")).unwrap();
        symlink("../../devices/usb/sdb/sdb1", machine.system.sys.join("dev/block/8:17")).unwrap();
        machine.file("proc/self/mountinfo", "22 1 254:1 / / rw - ext4 /dev/vda1 rw\n");
        machine
            .file("proc/swaps", "Filename Type Size Used Priority\n/dev/vda2 partition 1 0 -2\n");
        machine
    }

    fn file(&self, name: &str, text: &str) {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn look(&self, name: &str, number: &str) -> Result<Disk, String> {
        self.system.disk(Path::new(name), number, CARD).map_err(|failure| failure.message)
    }
}

#[test]
fn a_card_in_its_reader() {
    let disk = Machine::new().look("/dev/sdb", "8:16").unwrap();
    assert_eq!(disk.describe(Path::new("/dev/sdb")), "/dev/sdb (SD/MMC CRW, 29.7 GiB)");
}

#[test]
fn a_partition_is_not_a_disk() {
    assert_eq!(Machine::new().look("/dev/sdb1", "8:17").unwrap_err(), "/dev/sdb1 is a partition");
}

#[test]
fn what_is_in_use_is_not_erased() {
    for (name, text, why) in [
        (
            "proc/self/mountinfo",
            "22 1 254:1 / / rw - ext4 /dev/vda1 rw\n30 22 8:17 / /media/card rw,nosuid shared:1 - vfat /dev/sdb1 rw\n",
            "mounted on /media/card",
        ),
        // Btrfs has numbers of its own.
        (
            "proc/self/mountinfo",
            "30 22 0:35 /@home /home rw - btrfs /dev/sdb1 rw,subvol=/@home\n",
            "mounted on /home",
        ),
        ("proc/self/mountinfo", "30 22 8:16 / /mnt rw - ext4 /dev/root rw\n", "mounted on /mnt"),
        ("proc/swaps", "Filename\n/dev/sdb1 partition 1 0 -2\n", "there is swap space on it"),
        ("sys/devices/usb/sdb/sdb1/holders/dm-0", "", "another device is made of it"),
    ] {
        let machine = Machine::new();
        machine.file(name, text);
        let said = machine.look("/dev/sdb", "8:16").unwrap_err();
        assert_eq!(said, format!("/dev/sdb is in use: {why}"));
    }
}

#[test]
fn disks_that_are_no_cards() {
    let machine = Machine::new();
    let size = "sys/devices/usb/sdb/size";
    machine.file(size, &(LARGEST / 512 + 1).to_string());
    assert!(machine.look("/dev/sdb", "8:16").unwrap_err().contains("larger than any card"));
    machine.file(size, &(LARGEST / 512).to_string());
    assert!(machine.look("/dev/sdb", "8:16").is_ok());
    // A reader without a card.
    machine.file(size, "0");
    assert!(machine.look("/dev/sdb", "8:16").unwrap_err().ends_with("is too small"));
    machine.file(size, &(CARD / 512).to_string());
    assert!(machine.look("/dev/sdb", "8:16").is_ok());
    machine.file("sys/devices/usb/sdb/ro", "1\n");
    assert!(machine.look("/dev/sdb", "8:16").unwrap_err().ends_with("cannot be written"));
    assert!(machine.look("/dev/sdc", "8:32").unwrap_err().contains("tells nothing"));
}

#[test]
fn files_are_replaced_only_on_demand() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sd.img");
    let choose = |path: &Path, force| {
        Target::choose(path, CARD, force, false, &System::default()).map_err(|f| f.message)
    };
    assert!(matches!(choose(&path, false), Ok(Target::File(_))));
    fs::write(&path, b"old").unwrap();
    assert_eq!(choose(&path, false).unwrap_err(), format!("{} exists", path.display()));
    let target = choose(&path, true).unwrap();
    let mut draft = target.draft().unwrap();
    draft.write_all(b"new").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"old");
    target.put(draft).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600, "it holds keys");
    assert!(choose(dir.path(), true).unwrap_err().ends_with("is neither a file nor a disk"));
    assert!(choose(Path::new("/dev/null"), true).unwrap_err().ends_with("nor a disk"));
    assert!(choose(Path::new("/dev/no-such-disk"), true).is_err(), "no files in /dev");
}

#[test]
fn a_card_that_forgets_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let open = |name: &str| {
        let path = dir.path().join(name);
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).unwrap()
    };
    let (mut card, mut disk) = (open("card"), open("disk"));
    card.write_all(&vec![3; 3 * CHUNK + 5]).unwrap();
    disk.set_len(8 << 20).unwrap();
    copy(&mut card, &mut disk).unwrap();
    assert_eq!(first_difference(&mut card, &mut disk).unwrap(), None);
    disk.seek(io::SeekFrom::Start(2 * CHUNK as u64 + 9)).unwrap();
    disk.write_all(&[4]).unwrap();
    assert_eq!(first_difference(&mut card, &mut disk).unwrap(), Some(2 * CHUNK as u64));
}

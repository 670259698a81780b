//! The bytes of a card: a partition table with one FAT32 partition.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use fatfs::{
    Date, DateTime, FatType, FileSystem, FormatVolumeOptions, FsOptions, Time, TimeProvider,
    format_volume,
};
use mbrman::{BOOT_INACTIVE, CHS, MBR, MBRPartitionEntry};

use super::Entry;

const SECTOR: u64 = 512;
/// Where the partition starts: 4 MiB, a multiple of the erase blocks of cards
/// (the SD association's formatter does so, and so do Raspberry Pi's images).
const START: u64 = 8192;
/// FAT32 with sectors counted from the start of the disk (LBA).
const FAT32_LBA: u8 = 0x0C;
/// Where a boot sector says how many sectors are before it, and where the
/// second copy of it is (Microsoft's FAT specification, 3.1 and 3.5).
const HIDDEN_SECTORS: u64 = 0x1C;
const BACKUP_BOOT_SECTOR: u64 = 6;

/// The first day that FAT knows: a card is the same whenever it is made.
#[derive(Debug)]
struct FirstDay;

impl TimeProvider for FirstDay {
    fn get_current_date(&self) -> Date {
        Date { year: 1980, month: 1, day: 1 }
    }

    fn get_current_date_time(&self) -> DateTime {
        let time = Time { hour: 0, min: 0, sec: 0, millis: 0 };
        DateTime { date: self.get_current_date(), time }
    }
}

/// Writes a card of `size` bytes with `files` into an empty file. `id` goes
/// where a disk's and a volume's serial number go.
pub(crate) fn write(disk: &mut File, size: u64, id: u32, files: &[Entry]) -> io::Result<()> {
    disk.set_len(size)?;
    let sectors = u32::try_from(size / SECTOR - START).map_err(io::Error::other)?;
    let start = START as u32;
    let mut table =
        MBR::new_from(disk, SECTOR as u32, id.to_le_bytes()).map_err(io::Error::other)?;
    // Beyond what cylinders, heads and sectors can say.
    let chs = CHS::new(1023, 254, 63);
    table[1] = MBRPartitionEntry {
        boot: BOOT_INACTIVE,
        first_chs: chs,
        sys: FAT32_LBA,
        last_chs: chs,
        starting_lba: start,
        sectors,
    };
    table.write_into(disk).map_err(io::Error::other)?;

    let options = FormatVolumeOptions::new()
        .fat_type(FatType::Fat32)
        .volume_id(id)
        .volume_label(*b"SERVERKERNL");
    format_volume(partition(disk, sectors.into()), options)?;
    let mut slice = partition(disk, sectors.into());
    for sector in [0, BACKUP_BOOT_SECTOR] {
        slice.seek(SeekFrom::Start(sector * SECTOR + HIDDEN_SECTORS))?;
        slice.write_all(&start.to_le_bytes())?;
    }

    let options = FsOptions::new().time_provider(&FirstDay);
    let volume = FileSystem::new(partition(disk, sectors.into()), options)?;
    for file in files {
        let mut out = volume.root_dir().create_file(&file.name)?;
        out.truncate()?;
        out.write_all(&file.bytes)?;
        out.flush()?;
    }
    volume.unmount()?;
    disk.sync_all()
}

/// Reads a card back: the first file that is not as it was written.
pub(crate) fn check(disk: &mut File, files: &[Entry]) -> io::Result<()> {
    let table = MBR::read_from(disk, SECTOR as u32).map_err(io::Error::other)?;
    let volume = FileSystem::new(partition(disk, table[1].sectors.into()), FsOptions::new())?;
    for file in files {
        let mut bytes = Vec::with_capacity(file.bytes.len());
        volume.root_dir().open_file(&file.name)?.read_to_end(&mut bytes)?;
        if bytes != file.bytes {
            return Err(io::Error::other(format!("{} does not read as it was written", file.name)));
        }
    }
    let there = volume.root_dir().iter().filter(|e| e.as_ref().is_ok_and(|e| e.is_file())).count();
    if there != files.len() {
        return Err(io::Error::other(format!("there are {there} files, not {}", files.len())));
    }
    Ok(())
}

/// The part of a disk that is the partition.
struct Slice<'d> {
    disk: &'d mut File,
    len: u64,
    at: u64,
}

fn partition(disk: &mut File, sectors: u64) -> Slice<'_> {
    Slice { disk, len: sectors * SECTOR, at: 0 }
}

impl Slice<'_> {
    /// Goes where the slice is, and says how much of `wanted` is before its end.
    fn go(&mut self, wanted: usize) -> io::Result<usize> {
        self.disk.seek(SeekFrom::Start(START * SECTOR + self.at))?;
        let left = self.len.saturating_sub(self.at);
        Ok(usize::try_from(left).unwrap_or(usize::MAX).min(wanted))
    }
}

impl Read for Slice<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = self.go(buffer.len())?;
        let n = self.disk.read(&mut buffer[..most])?;
        self.at += n as u64;
        Ok(n)
    }
}

impl Write for Slice<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let most = self.go(bytes.len())?;
        let n = self.disk.write(&bytes[..most])?;
        self.at += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Slice<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Vec<Entry> {
        let big: Vec<u8> = (0..3_000_000_u32).map(|n| ((n * 7) >> 5) as u8).collect();
        vec![
            Entry::new("bootcode.bin", b"boot".to_vec()),
            Entry::new("start_cd.elf", big),
            Entry::new("serverkernel.cfg", vec![7; 513]),
            Entry::new("LICENCE.broadcom", b"words".to_vec()),
        ]
    }

    #[test]
    fn the_boot_roms_names_are_there_and_every_bit_counts() {
        let mut disk = tempfile::tempfile().unwrap();
        write(&mut disk, 64 << 20, 0x1234_5678, &files()).unwrap();
        assert_eq!(disk.metadata().unwrap().len(), 64 << 20);
        check(&mut disk, &files()).unwrap();

        let volume = FileSystem::new(partition(&mut disk, 122_880), FsOptions::new()).unwrap();
        assert_eq!((volume.fat_type(), volume.volume_id()), (FatType::Fat32, 0x1234_5678));
        // The boot ROM and bootcode.bin know short names only.
        let short: Vec<String> = volume
            .root_dir()
            .iter()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.is_file())
            .map(|entry| entry.short_file_name())
            .collect();
        assert_eq!(short[..2], ["BOOTCODE.BIN", "START_CD.ELF"]);
        drop(volume);

        let mut other = files();
        other[1].bytes[2_999_999] ^= 1;
        let error = check(&mut disk, &other).unwrap_err().to_string();
        assert_eq!(error, "start_cd.elf does not read as it was written");
        assert!(check(&mut disk, &files()[1..]).is_err(), "a file too many");
    }

    #[test]
    fn both_boot_sectors_say_where_the_partition_is() {
        let mut disk = tempfile::tempfile().unwrap();
        write(&mut disk, 64 << 20, 1, &files()).unwrap();
        let mut sectors = vec![0; 7 * 512];
        disk.seek(SeekFrom::Start(START * SECTOR)).unwrap();
        disk.read_exact(&mut sectors).unwrap();
        for boot in [&sectors[..512], &sectors[6 * 512..]] {
            assert_eq!(boot[0x1C..0x20], 8192_u32.to_le_bytes());
            assert_eq!(boot[510..], [0x55, 0xAA]);
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let mut disk = tempfile::tempfile().unwrap();
        let files = [Entry::new("big", vec![0; 64 << 20])];
        assert!(write(&mut disk, 64 << 20, 1, &files).is_err());
    }
}

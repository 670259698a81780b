//! Frames in a file that Wireshark and tcpdump read: the classic format of
//! libpcap, version 2.4 (draft-ietf-opsawg-pcap), little endian, microseconds.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// More of a frame is cut off.
const SNAP: usize = 65_535;

/// LINKTYPE_ETHERNET: frames without preamble and checksum.
const ETHERNET: u32 = 1;

/// A file of frames.
#[derive(Debug)]
pub struct Pcap<W: Write = BufWriter<File>>(W);

impl Pcap {
    /// Begins a file; one that is there is replaced.
    ///
    /// # Errors
    /// What the system says.
    pub fn create(path: &Path) -> io::Result<Self> {
        Self::begin(BufWriter::new(File::create(path)?))
    }
}

impl<W: Write> Pcap<W> {
    /// Writes what stands before the first frame.
    ///
    /// # Errors
    /// What the writer says.
    pub fn begin(mut to: W) -> io::Result<Self> {
        let mut head = Vec::with_capacity(24);
        head.extend(0xa1b2_c3d4_u32.to_le_bytes());
        head.extend(2_u16.to_le_bytes());
        head.extend(4_u16.to_le_bytes());
        head.extend([0; 8]); // UTC, accuracy not stated
        head.extend((SNAP as u32).to_le_bytes());
        head.extend(ETHERNET.to_le_bytes());
        to.write_all(&head)?;
        to.flush()?;
        Ok(Self(to))
    }

    /// Adds a frame, seen now. It is in the file when this returns, for the
    /// writer may be killed at any time.
    ///
    /// # Errors
    /// What the writer says.
    pub fn frame(&mut self, frame: &[u8]) -> io::Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.frame_at(now, frame)
    }

    fn frame_at(&mut self, since_1970: Duration, frame: &[u8]) -> io::Result<()> {
        let kept = &frame[..frame.len().min(SNAP)];
        let mut record = Vec::with_capacity(16 + kept.len());
        // The format's seconds end in 2106.
        record.extend((since_1970.as_secs() as u32).to_le_bytes());
        record.extend(since_1970.subsec_micros().to_le_bytes());
        record.extend((kept.len() as u32).to_le_bytes());
        record.extend((frame.len() as u32).to_le_bytes());
        record.extend_from_slice(kept);
        self.0.write_all(&record)?;
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_file_with_one_frame() {
        let mut bytes = Vec::new();
        let mut pcap = Pcap::begin(&mut bytes).unwrap();
        pcap.frame_at(Duration::from_micros(0x1_0000_0003), &[0xaa, 0xbb]).unwrap();
        assert_eq!(
            bytes,
            [
                0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 1, 0,
                0, 0, // head
                0xc6, 0x10, 0, 0, 0x83, 0xc2, 0x0e, 0, // 4294.967299 s
                2, 0, 0, 0, 2, 0, 0, 0, 0xaa, 0xbb,
            ]
        );
    }
}

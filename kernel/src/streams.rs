//! Output, error output and log lines of the task, and the other things a
//! service asks of the kernel while the payload's memory is borrowed.

use crate::region::Region;
use sk_bcm2835::{Caches, cp15};
use sk_hal::{CacheOps, Clock};
use sk_services::Stream;
use sk_wire::frames::Object;

/// One stream's bytes in the region.
#[derive(Clone, Copy, Default)]
struct Buffer {
    at: u32,
    room: u32,
    len: u32,
    dropped: u32,
}

impl Buffer {
    /// Appends; returns how many bytes were taken.
    fn push(&mut self, region: &mut Region, bytes: &[u8], drop_oldest: bool) -> usize {
        let mut bytes = bytes;
        let offered = bytes.len();
        let free = (self.room - self.len) as usize;
        if bytes.len() > free {
            if !drop_oldest {
                bytes = bytes.get(..free).unwrap_or(&[]);
            } else {
                bytes = self.make_room(region, bytes);
            }
        }
        if let Some(to) = region.bytes_mut(self.at + self.len, bytes.len() as u32) {
            to.copy_from_slice(bytes);
            self.len += bytes.len() as u32;
        }
        if drop_oldest { offered } else { bytes.len() }
    }

    /// Drops the oldest half (or all that must go), so that it is moved rarely.
    fn make_room<'b>(&mut self, region: &mut Region, bytes: &'b [u8]) -> &'b [u8] {
        let room = self.room as usize;
        let skip = bytes.len().saturating_sub(room);
        let kept = bytes.get(skip..).unwrap_or(&[]);
        let must = (self.len as usize + kept.len()).saturating_sub(room);
        let drop = must.max(room / 2).min(self.len as usize);
        if let Some(all) = region.bytes_mut(self.at, self.len) {
            all.copy_within(drop.., 0);
        }
        self.len -= drop as u32;
        self.dropped = self.dropped.saturating_add((drop + skip) as u32);
        kept
    }
}

/// What a running task writes, and what it asks of the kernel.
pub struct Streams<K> {
    clock: K,
    /// The region again: output buffers lie apart from all the payload can
    /// name as memory of its own, so slices of both never overlap.
    region: Region,
    out: Buffer,
    err: Buffer,
    drop_oldest: bool,
    beats: u32,
    stop_requested: bool,
    log: heapless::Deque<heapless::String<128>, 8>,
}

impl<K: Clock> Streams<K> {
    /// No task yet.
    pub fn new(clock: K, region: Region) -> Self {
        Self {
            clock,
            region,
            out: Buffer::default(),
            err: Buffer::default(),
            drop_oldest: false,
            beats: 0,
            stop_requested: false,
            log: heapless::Deque::new(),
        }
    }

    /// Rooms for a task: (address, bytes) of output and error output.
    pub fn reserve(&mut self, out: (u32, u32), err: (u32, u32), drop_oldest: bool) {
        self.out = Buffer { at: out.0, room: out.1, len: 0, dropped: 0 };
        self.err = Buffer { at: err.0, room: err.1, len: 0, dropped: 0 };
        self.drop_oldest = drop_oldest;
    }

    /// The task is about to be entered.
    pub fn begin(&mut self) {
        self.beats = 0;
        self.stop_requested = false;
    }

    /// The task's memory is gone.
    pub fn end(&mut self) {
        self.out = Buffer::default();
        self.err = Buffer::default();
    }

    /// Output so far, or what is kept of it.
    pub fn stdout(&self) -> &[u8] {
        self.region.bytes(self.out.at, self.out.len).unwrap_or(&[])
    }

    /// Error output so far, or what is kept of it.
    pub fn stderr(&self) -> &[u8] {
        self.region.bytes(self.err.at, self.err.len).unwrap_or(&[])
    }

    /// Bytes dropped from the start of a stream.
    pub fn dropped(&self, object: Object) -> u32 {
        match object {
            Object::Stdout => self.out.dropped,
            Object::Stderr => self.err.dropped,
            _ => 0,
        }
    }

    /// The payload is to come to an end; it may ask.
    pub fn request_stop(&mut self) {
        self.stop_requested = true;
    }

    /// Signs of life, through the gate and past it.
    pub fn beats(&self) -> u32 {
        self.beats.wrapping_add(crate::direct::beats())
    }

    /// The oldest line logged and not yet taken.
    pub fn log_line(&mut self) -> Option<heapless::String<128>> {
        self.log.pop_front()
    }
}

impl<K: Clock> sk_services::Board for Streams<K> {
    fn now(&self) -> u64 {
        self.clock.now()
    }

    fn cycles(&self) -> u32 {
        cp15::cycles()
    }

    fn push(&mut self, stream: Stream, bytes: &[u8]) -> usize {
        let buffer = match stream {
            Stream::Output => &mut self.out,
            Stream::Error => &mut self.err,
        };
        buffer.push(&mut self.region, bytes, self.drop_oldest)
    }

    fn log(&mut self, line: &str) {
        let mut text: heapless::String<128> = heapless::String::new();
        for c in line.chars() {
            // A payload's line is one line, and no escape code.
            if text.push(if c.is_control() { '.' } else { c }).is_err() {
                break;
            }
        }
        // When nobody drains them, the newest are lost.
        let _ = self.log.push_back(text);
    }

    fn beat(&mut self) {
        self.beats = self.beats.wrapping_add(1);
    }

    fn stop_requested(&self) -> bool {
        self.stop_requested
    }

    fn sync_code(&mut self, code: &[u8]) {
        Caches.sync_code(code);
    }
}

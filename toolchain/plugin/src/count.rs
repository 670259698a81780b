//! Counters and markers; knows nothing of QEMU.

use std::fmt::Write as _;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use crate::options::{Options, Range};

/// Pairs of registers r0 to r11.
const INTERVALS: usize = 6;

/// What an instruction of the form `orr rN, rN, rN` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Marker {
    /// An interval begins.
    Start(usize),
    /// An interval ends.
    Stop(usize),
    /// The total is to be reported.
    Total,
}

impl Marker {
    /// The marker that an ARM instruction is, if it is one.
    pub(crate) fn of(word: u32) -> Option<Self> {
        let register = word & 0xf;
        if word != 0xe180_0000 | register << 16 | register << 12 | register {
            return None;
        }
        Self::from_register(register as usize)
    }

    /// The marker of a register.
    pub(crate) fn from_register(register: usize) -> Option<Self> {
        match register {
            0..12 if register.is_multiple_of(2) => Some(Self::Start(register / 2)),
            0..12 => Some(Self::Stop(register / 2)),
            12 => Some(Self::Total),
            _ => None,
        }
    }

    /// The register of a marker.
    pub(crate) fn register(self) -> usize {
        match self {
            Self::Start(id) => 2 * id,
            Self::Stop(id) => 2 * id + 1,
            Self::Total => 12,
        }
    }
}

/// A range and its counter.
struct Counted {
    range: Range,
    count: AtomicU64,
}

/// What the intervals of one id came to.
#[derive(Clone, Default)]
struct Interval {
    /// Total, then each range, when the interval began.
    began: Option<Vec<u64>>,
    times: u64,
    least: u64,
    most: u64,
    sum: u64,
}

struct Log {
    intervals: [Interval; INTERVALS],
    out: Box<dyn Write + Send>,
}

/// All counters of a board.
///
/// The counters are added to by code that QEMU generates, on the thread of the
/// only processor, and read on that thread (markers) or after it has stopped
/// (at exit).
pub(crate) struct Counting {
    total: AtomicU64,
    ranges: Vec<Counted>,
    marks: Vec<(u64, u32)>,
    /// The first address of which each is counted, and a counter per halfword.
    each: (u64, Vec<AtomicU64>),
    log: Mutex<Log>,
}

impl Counting {
    pub(crate) fn new(options: Options, out: Box<dyn Write + Send>) -> Self {
        let Options { ranges, marks, each, .. } = options;
        let (first, end) = each.unwrap_or_default();
        let counted = |range| Counted { range, count: AtomicU64::new(0) };
        Self {
            total: AtomicU64::new(0),
            ranges: ranges.into_iter().map(counted).collect(),
            marks,
            each: (first, (first / 2..end.div_ceil(2)).map(|_| AtomicU64::new(0)).collect()),
            log: Mutex::new(Log { intervals: std::array::from_fn(|_| Interval::default()), out }),
        }
    }

    /// The counters to which an instruction at `address` adds one.
    pub(crate) fn counters(&self, address: u64) -> impl Iterator<Item = &AtomicU64> {
        let within =
            move |counted: &&Counted| (counted.range.start..counted.range.end).contains(&address);
        let ranges = self.ranges.iter().filter(within);
        let (first, each) = &self.each;
        let own = address.checked_sub(*first).and_then(|offset| each.get((offset / 2) as usize));
        std::iter::once(&self.total).chain(ranges.map(|counted| &counted.count)).chain(own)
    }

    /// The marker that the options put at an address.
    pub(crate) fn mark(&self, address: u64) -> Option<Marker> {
        let (_, register) = self.marks.iter().find(|(at, _)| *at == address)?;
        Marker::from_register(*register as usize)
    }

    fn now(&self) -> Vec<u64> {
        let counts = self.ranges.iter().map(|counted| &counted.count);
        std::iter::once(&self.total).chain(counts).map(|count| count.load(Relaxed)).collect()
    }

    /// A marker at `address` is about to be executed. No other code counts it:
    /// so it is known on which side of an interval's ends it falls.
    pub(crate) fn reached(&self, marker: Marker, address: u64) {
        let count = || {
            for counter in self.counters(address) {
                counter.fetch_add(1, Relaxed);
            }
        };
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let line = match marker {
            Marker::Start(id) => {
                count();
                log.intervals[id].began = Some(self.now());
                return;
            }
            Marker::Stop(id) => {
                let now = self.now();
                count();
                let interval = &mut log.intervals[id];
                let Some(began) = interval.began.take() else {
                    return;
                };
                self.end(id, interval, &began, &now)
            }
            Marker::Total => {
                count();
                format!("total {}\n", self.total.load(Relaxed))
            }
        };
        // Nobody is there to be told of a full disk.
        let _ = log.out.write_all(line.as_bytes());
    }

    fn end(&self, id: usize, interval: &mut Interval, began: &[u64], now: &[u64]) -> String {
        let spent = now[0].saturating_sub(began[0]);
        interval.least = match interval.times {
            0 => spent,
            _ => interval.least.min(spent),
        };
        interval.most = interval.most.max(spent);
        interval.times += 1;
        interval.sum += spent;
        let mut line = format!("marker {id} {spent}");
        for (index, counted) in self.ranges.iter().enumerate() {
            let spent = now[index + 1].saturating_sub(began[index + 1]);
            let _ = write!(line, " {}={spent}", counted.range.name);
        }
        line.push('\n');
        line
    }

    /// The board has ended.
    pub(crate) fn finish(&self) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        for (id, interval) in log.intervals.iter().enumerate() {
            if interval.times > 0 {
                let Interval { times, least, most, sum, .. } = interval;
                let _ = writeln!(text, "interval {id} {times} {least} {most} {sum}");
            }
        }
        for counted in &self.ranges {
            let count = counted.count.load(Relaxed);
            let _ = writeln!(text, "range {} {count}", counted.range.name);
        }
        let (first, each) = &self.each;
        for (index, count) in each.iter().enumerate() {
            let count = count.load(Relaxed);
            if count > 0 {
                let _ = writeln!(text, "at {:x} {count}", first + 2 * index as u64);
            }
        }
        let _ = writeln!(text, "exit {}", self.total.load(Relaxed));
        let _ = log.out.write_all(text.as_bytes());
        let _ = log.out.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn run(counting: &Counting, address: u64, times: u64) {
        for counter in counting.counters(address) {
            counter.fetch_add(times, Relaxed);
        }
    }

    #[test]
    fn markers_are_known_by_their_bits() {
        assert_eq!(Marker::of(0xe180_0000), Some(Marker::Start(0)));
        assert_eq!(Marker::of(0xe181_1001), Some(Marker::Stop(0)));
        assert_eq!(Marker::of(0xe18b_b00b), Some(Marker::Stop(5)));
        assert_eq!(Marker::of(0xe18c_c00c), Some(Marker::Total));
        for word in [0xe180_1000, 0xe18d_d00d, 0xe18f_f00f, 0x0180_0000, 0xe190_0000, 0xe1a0_0000] {
            assert_eq!(Marker::of(word), None, "{word:#x}");
        }
        for register in 0..13 {
            assert_eq!(Marker::from_register(register).unwrap().register(), register);
        }
    }

    #[test]
    fn counts_between_markers_and_by_range() {
        let range = Range { start: 0x8000, end: 0x9000, name: "kernel".to_owned() };
        let page = Page::default();
        let each = Some((0x8ffe, 0x9002));
        let marks = vec![(0x9004, 3)];
        let options = Options { ranges: vec![range], marks, each, ..Options::default() };
        let counting = Counting::new(options, Box::new(page.clone()));
        assert_eq!(counting.mark(0x9004), Some(Marker::Stop(1)));
        assert_eq!(counting.mark(0x9000), None);
        counting.reached(Marker::Stop(0), 0x8000);
        for (inside, outside) in [(5, 7), (1, 1)] {
            run(&counting, 0x8000, 3);
            counting.reached(Marker::Start(0), 0x8000);
            run(&counting, 0x8fff, inside);
            run(&counting, 0x9000, outside);
            counting.reached(Marker::Stop(0), 0x9000);
        }
        counting.reached(Marker::Total, 0);
        counting.finish();
        let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        assert_eq!(
            text,
            "marker 0 12 kernel=5\nmarker 0 2 kernel=1\ntotal 26\n\
             interval 0 2 2 12 14\nrange kernel 15\nat 8ffe 6\nat 9000 10\nexit 26\n"
        );
    }
}

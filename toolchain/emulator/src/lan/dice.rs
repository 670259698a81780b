//! What goes wrong on the cable, and when.

use super::Faults;

/// A frame is overtaken by at most so many others.
const MOST_OVERTAKERS: u64 = 8;

/// The cable's luck (xorshift64*, Vigna 2016).
pub(super) struct Dice {
    faults: Faults,
    state: u64,
}

impl Dice {
    pub(super) fn new(faults: Faults) -> Self {
        let state = faults.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        Self { faults, state }
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        (self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) % limit
    }

    /// How often a frame arrives.
    pub(super) fn copies(&mut self) -> usize {
        if self.below(1000) < u64::from(self.faults.lost) {
            return 0;
        }
        1 + usize::from(self.below(1000) < u64::from(self.faults.doubled))
    }

    /// How many later frames overtake this one.
    pub(super) fn overtakers(&mut self) -> u64 {
        if self.below(1000) < u64::from(self.faults.reordered) {
            1 + self.below(MOST_OVERTAKERS)
        } else {
            0
        }
    }

    /// Turns a bit, or not.
    pub(super) fn damage(&mut self, frame: &mut [u8]) {
        if self.below(1000) < u64::from(self.faults.damaged) && !frame.is_empty() {
            let bit = self.below(frame.len() as u64 * 8) as usize;
            frame[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

/// Frames that wait until others have overtaken them.
#[derive(Default)]
pub(super) struct Late(Vec<(u64, Vec<u8>)>);

impl Late {
    /// What arrives when `frame` is put on the wire, in this order.
    pub(super) fn pass(&mut self, frame: Vec<u8>, overtakers: u64) -> Vec<Vec<u8>> {
        if overtakers > 0 {
            self.0.push((overtakers, frame));
            return Vec::new();
        }
        let mut due = vec![frame];
        for (left, late) in &mut self.0 {
            *left -= 1;
            if *left == 0 {
                due.push(std::mem::take(late));
            }
        }
        self.0.retain(|(left, _)| *left > 0);
        due
    }

    /// All that waits.
    pub(super) fn flush(&mut self) -> Vec<Vec<u8>> {
        self.0.drain(..).map(|(_, frame)| frame).collect()
    }
}

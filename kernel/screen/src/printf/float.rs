//! `%f`, `%e` and `%g`: all digits right, without a floating-point instruction.
//!
//! A double is a whole number of 53 bits times a power of two, which as a
//! decimal fraction ends: after at most 1074 digits. It is written out as limbs
//! of nine digits and then rounded where the field ends, half to even, as C
//! libraries do. The work grows with the exponent: some hundred steps for
//! numbers of daily life, about 7,000 for the smallest there is.

use super::{Field, Out, repeat};

/// Which of the three.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Style {
    /// `%f`.
    Fixed,
    /// `%e`.
    Exponent,
    /// `%g`.
    Shorter,
}

const BASE: u32 = 1_000_000_000;
const DIGITS: i32 = 9;
/// 309 digits before the point.
const WHOLE: usize = 35;
/// 1074 behind it.
const BEHIND: usize = 120;

/// A number of limbs, the highest first, `WHOLE` of them before the point.
struct Decimal {
    limbs: [u32; WHOLE + BEHIND],
    /// First limb in use, and the one behind the last.
    first: usize,
    end: usize,
}

impl Decimal {
    /// `mantissa` times two to the `exponent`.
    fn new(mantissa: u64, exponent: i32) -> Self {
        let mut d = Self { limbs: [0; WHOLE + BEHIND], first: WHOLE, end: WHOLE };
        let mut mantissa = mantissa;
        while mantissa > 0 {
            d.first -= 1;
            if let Some(limb) = d.limbs.get_mut(d.first) {
                *limb = (mantissa % u64::from(BASE)) as u32;
            }
            mantissa /= u64::from(BASE);
        }
        let mut exponent = exponent;
        while exponent > 0 {
            let by = exponent.min(29);
            d.times(by as u32);
            exponent -= by;
        }
        while exponent < 0 {
            let by = (-exponent).min(DIGITS);
            d.over(by as u32);
            exponent += by;
        }
        d
    }

    /// Times two to the `by`, at most 29.
    fn times(&mut self, by: u32) {
        let mut carry = 0u32;
        for limb in self.limbs.iter_mut().take(WHOLE).skip(self.first).rev() {
            (carry, *limb) = divide((u64::from(*limb) << by) + u64::from(carry));
        }
        if carry > 0 && self.first > 0 {
            self.first -= 1;
            if let Some(limb) = self.limbs.get_mut(self.first) {
                *limb = carry;
            }
        }
    }

    /// Over two to the `by`, at most 9: so many digits of a limb are even.
    fn over(&mut self, by: u32) {
        let mut carry = 0;
        for limb in self.limbs.iter_mut().take(self.end).skip(self.first) {
            let rest = *limb & ((1 << by) - 1);
            *limb = (*limb >> by) + carry;
            carry = (BASE >> by) * rest;
        }
        if carry > 0
            && let Some(limb) = self.limbs.get_mut(self.end)
        {
            *limb = carry;
            self.end += 1;
        }
        while self.first < self.end && self.limbs.get(self.first) == Some(&0) {
            self.first += 1;
        }
    }

    /// Where the digit that counts ten to the `place` is: limb, and the power
    /// of ten in it.
    fn find(place: i32) -> Option<(usize, u32)> {
        let limb = WHOLE as i32 - 1 - place.div_euclid(DIGITS);
        let power = 10u32.pow(place.rem_euclid(DIGITS) as u32);
        Some((usize::try_from(limb).ok()?, power))
    }

    fn digit(&self, place: i32) -> u8 {
        let Some((limb, power)) = Self::find(place) else { return 0 };
        self.limbs.get(limb).map_or(0, |limb| (limb / power % 10) as u8)
    }

    /// The highest place that is not 0; 0 if all are.
    fn highest(&self) -> i32 {
        let Some(limb) = self.limbs.iter().position(|limb| *limb != 0) else { return 0 };
        let digits = self.limbs.get(limb).map_or(0, |limb| limb.ilog10());
        (WHOLE as i32 - 1 - limb as i32) * DIGITS + digits as i32
    }

    /// Rounds to whole multiples of ten to the `place`. What is below stays and
    /// is to be ignored.
    fn round(&mut self, place: i32) {
        let next = self.digit(place - 1);
        let up = match next {
            0..=4 => false,
            5 => self.below(place - 1) || self.digit(place) % 2 == 1,
            _ => true,
        };
        let Some((mut limb, power)) = Self::find(place).filter(|_| up) else { return };
        let mut add = power;
        while let Some(place) = self.limbs.get_mut(limb) {
            *place += add;
            if *place < BASE {
                break;
            }
            *place -= BASE;
            add = 1;
            let Some(higher) = limb.checked_sub(1) else { break };
            limb = higher;
        }
    }

    /// Anything below a place?
    fn below(&self, place: i32) -> bool {
        let Some((limb, power)) = Self::find(place) else { return false };
        let rest = self.limbs.get(limb).is_some_and(|limb| limb % power != 0);
        rest || self.limbs.iter().skip(limb + 1).any(|limb| *limb != 0)
    }
}

/// A number below two to the 59 by [`BASE`]: quotient and rest, with one
/// multiplication instead of a division, which here would be a long call.
fn divide(wide: u64) -> (u32, u32) {
    // Two to the 61 by BASE. What is cut off makes the quotient too small by
    // one at most: 0.27 by the 28 bits, 0.25 by the reciprocal's, then the rest.
    const RECIPROCAL: u64 = (1 << 61) / BASE as u64;
    let mut quotient = ((wide >> 28) * RECIPROCAL) >> 33;
    let mut rest = wide - quotient * u64::from(BASE);
    if rest >= u64::from(BASE) {
        quotient += 1;
        rest -= u64::from(BASE);
    }
    (quotient as u32, rest as u32)
}

impl Field {
    pub(super) fn float(&self, value: f64, style: Style, upper: bool, out: &mut impl Out) {
        let bits = value.to_bits();
        let sign = if bits >> 63 != 0 { b"-" } else { self.plus };
        let (exponent, fraction) = ((bits >> 52 & 0x7FF) as i32, bits & ((1 << 52) - 1));
        if exponent == 0x7FF {
            let name = match (fraction == 0, upper) {
                (true, false) => b"inf",
                (true, true) => b"INF",
                (false, false) => b"nan",
                (false, true) => b"NAN",
            };
            let field = Self { zero: false, ..*self };
            return field.frame(sign, name.len() as u32, out, |out| out.put(name));
        }
        let (mantissa, exponent) = match exponent {
            0 => (fraction, -1074),
            _ => (fraction | 1 << 52, exponent - 1075),
        };
        // As few steps as can be: whole numbers have no fraction to divide.
        let spare = if mantissa == 0 { 0 } else { mantissa.trailing_zeros() as i32 };
        let spare = spare.min(-exponent).max(0);
        let mut d = Decimal::new(mantissa >> spare, exponent + spare);
        let mut precision = self.precision.unwrap_or(6) as i32;
        if mantissa == 0 && style != Style::Shorter {
            return self.digits(
                &d,
                sign,
                0,
                precision,
                (style == Style::Exponent).then_some(upper),
                out,
            );
        }
        match style {
            Style::Fixed => {
                d.round(-precision);
                let top = d.highest().max(0);
                self.digits(&d, sign, top, precision, None, out);
            }
            Style::Exponent => {
                d.round(d.highest() - precision);
                self.digits(&d, sign, d.highest(), precision, Some(upper), out);
            }
            Style::Shorter => {
                precision = precision.max(1);
                let lowest = d.highest() - precision + 1;
                d.round(lowest);
                let top = d.highest();
                let fixed = top >= -4 && top < precision;
                let mut behind = if fixed { precision - 1 - top } else { precision - 1 };
                if !self.alternate {
                    let unit = if fixed { 0 } else { top };
                    while behind > 0 && (unit - behind < lowest || d.digit(unit - behind) == 0) {
                        behind -= 1;
                    }
                }
                let first = if fixed { top.max(0) } else { top };
                self.digits(&d, sign, first, behind, (!fixed).then_some(upper), out);
            }
        }
    }

    /// Digits from the place `top` on, `behind` of them behind the point, and
    /// an exponent, upper case or not, if there is to be one.
    fn digits(
        &self,
        d: &Decimal,
        sign: &[u8],
        top: i32,
        behind: i32,
        exponent: Option<bool>,
        out: &mut impl Out,
    ) {
        let point = behind > 0 || self.alternate;
        // The place of the digit before the point.
        let unit = if exponent.is_some() { top } else { 0 };
        let large = top.unsigned_abs() > 99;
        let tail = if exponent.is_some() { 4 + u32::from(large) } else { 0 };
        let length = (top - unit + 1 + behind) as u32 + u32::from(point) + tail;
        self.frame(sign, length, out, |out| {
            for place in (unit - behind..=top).rev() {
                out.put(&[b'0' + d.digit(place)]);
                if place == unit && point {
                    out.put(b".");
                }
            }
            if let Some(upper) = exponent {
                let e = if upper { b'E' } else { b'e' };
                let value = top.unsigned_abs() as u16;
                out.put(&[e, if top < 0 { b'-' } else { b'+' }]);
                if large {
                    out.put(&[b'0' + (value / 100) as u8]);
                }
                out.put(&[b'0' + (value / 10 % 10) as u8, b'0' + (value % 10) as u8]);
            }
        });
    }

    /// Sign, padding, and `length` bytes that `body` writes.
    fn frame<O: Out>(&self, sign: &[u8], length: u32, out: &mut O, body: impl FnOnce(&mut O)) {
        let pad = self.width.saturating_sub(length + sign.len() as u32);
        repeat(b' ', if self.left || self.zero { 0 } else { pad }, out);
        out.put(sign);
        repeat(b'0', if self.zero { pad } else { 0 }, out);
        body(out);
        repeat(b' ', if self.left { pad } else { 0 }, out);
    }
}

#[cfg(test)]
mod tests {
    use super::{BASE, divide};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn division_by_multiplication(limb in 0..BASE, by in 0..30u32, carry in 0..1u32 << 29, near in any::<bool>()) {
            let wide = (u64::from(limb) << by) + u64::from(carry);
            // Also where the quotient changes.
            let wide = if near { wide / u64::from(BASE) * u64::from(BASE) + u64::from(carry % 2) } else { wide };
            let expected = (wide / u64::from(BASE), wide % u64::from(BASE));
            let (quotient, rest) = divide(wide);
            prop_assert_eq!((u64::from(quotient), u64::from(rest)), expected);
            if let Some(below) = wide.checked_sub(1) {
                let expected = (below / u64::from(BASE), below % u64::from(BASE));
                let (quotient, rest) = divide(below);
                prop_assert_eq!((u64::from(quotient), u64::from(rest)), expected);
            }
        }
    }
}

//! C's `printf`, for callers that are not trusted.
//!
//! The format and the arguments are whatever a payload passed. The whole format
//! is checked before the first byte goes out, arguments come through [`Args`],
//! which reads only what the payload may read, and fields have a limit, so that
//! no call takes for ever. (ISO C17, 7.21.6.1; sizes as on 32-bit ARM: `long`
//! and pointers 32 bits, `long long` 64, `long double` as `double`.)
//!
//! `%d %i %u %x %X %o %c %s %p %f %F %e %E %g %G %%` with flags, width,
//! precision, `*` for either, and `hh h l ll j z t L`. Not: `%a`, wide
//! characters, and `%n`, which writes to memory.

mod float;

use float::Style;

/// Widest field, and most digits behind the point.
pub const MAX_FIELD: u32 = 512;
/// Longest string that `%s` without precision writes.
pub const MAX_STRING: u32 = 4096;

/// The arguments, in their order.
pub trait Args {
    /// The next one of 32 bits; `None`: it cannot be read.
    fn word(&mut self) -> Option<u32>;

    /// The next one of 64 bits (aligned to 8 by the ARM procedure call
    /// standard); `None`: it cannot be read.
    fn double_word(&mut self) -> Option<u64>;

    /// The string at an address: up to its NUL, or `most` bytes. `None`: not
    /// all of that can be read.
    fn string(&self, address: u32, most: u32) -> Option<&[u8]>;
}

/// Where the text goes.
pub trait Out {
    /// Takes some of it.
    fn put(&mut self, bytes: &[u8]);
}

/// What is wrong. `at` is the offset in the format of the `%`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PrintfError {
    /// A conversion that does not exist here.
    Unknown {
        /// Offset of the `%`.
        at: u32,
        /// The character that should say what to write.
        conversion: u8,
    },
    /// The format ends inside of a conversion.
    Cut {
        /// Offset of the `%`.
        at: u32,
    },
    /// A width or precision above [`MAX_FIELD`].
    TooWide {
        /// Offset of the `%`.
        at: u32,
    },
    /// An argument that cannot be read.
    Argument {
        /// Offset of the `%`.
        at: u32,
    },
    /// A string that cannot be read.
    String {
        /// Offset of the `%`.
        at: u32,
        /// The argument.
        address: u32,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Length {
    Char,
    Short,
    /// None given.
    Plain,
    Long,
    Double,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Number {
    Given(u32),
    Argument,
}

/// A conversion as written.
#[derive(Clone, Copy, Debug)]
struct Spec {
    at: u32,
    left: bool,
    plus: bool,
    space: bool,
    alternate: bool,
    zero: bool,
    width: Number,
    precision: Option<Number>,
    length: Length,
    conversion: u8,
}

/// A piece of a format.
enum Piece<'f> {
    Text(&'f [u8]),
    Spec(Spec),
}

struct Parser<'f> {
    format: &'f [u8],
    at: usize,
}

impl<'f> Parser<'f> {
    fn peek(&self) -> Option<u8> {
        self.format.get(self.at).copied()
    }

    fn next(&mut self) -> Result<Option<Piece<'f>>, PrintfError> {
        let rest = self.format.get(self.at..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(None);
        }
        let text = rest.iter().position(|b| *b == b'%').unwrap_or(rest.len());
        if text > 0 {
            self.at += text;
            return Ok(Some(Piece::Text(rest.get(..text).unwrap_or_default())));
        }
        self.spec().map(|spec| Some(Piece::Spec(spec)))
    }

    fn spec(&mut self) -> Result<Spec, PrintfError> {
        let at = self.at as u32;
        let mut spec = Spec {
            at,
            left: false,
            plus: false,
            space: false,
            alternate: false,
            zero: false,
            width: Number::Given(0),
            precision: None,
            length: Length::Plain,
            conversion: 0,
        };
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'-') => spec.left = true,
                Some(b'+') => spec.plus = true,
                Some(b' ') => spec.space = true,
                Some(b'#') => spec.alternate = true,
                Some(b'0') => spec.zero = true,
                _ => break,
            }
            self.at += 1;
        }
        spec.width = self.number(at)?;
        if self.peek() == Some(b'.') {
            self.at += 1;
            spec.precision = Some(self.number(at)?);
        }
        spec.length = self.length();
        let Some(conversion) = self.peek() else { return Err(PrintfError::Cut { at }) };
        self.at += 1;
        spec.conversion = conversion;
        match conversion {
            b'd' | b'i' | b'u' | b'x' | b'X' | b'o' | b'%' | b'f' | b'F' | b'e' | b'E' | b'g'
            | b'G' => Ok(spec),
            b'c' | b's' | b'p' if spec.length == Length::Plain => Ok(spec),
            _ => Err(PrintfError::Unknown { at, conversion }),
        }
    }

    fn number(&mut self, at: u32) -> Result<Number, PrintfError> {
        if self.peek() == Some(b'*') {
            self.at += 1;
            return Ok(Number::Argument);
        }
        let mut number = 0u32;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            self.at += 1;
            number = number * 10 + u32::from(digit - b'0');
            if number > MAX_FIELD {
                return Err(PrintfError::TooWide { at });
            }
        }
        Ok(Number::Given(number))
    }

    fn length(&mut self) -> Length {
        let (length, bytes) = match self.format.get(self.at..).unwrap_or_default() {
            [b'h', b'h', ..] => (Length::Char, 2),
            [b'h', ..] => (Length::Short, 1),
            [b'l', b'l', ..] => (Length::Double, 2),
            [b'j', ..] => (Length::Double, 1),
            // All doubles are of one length.
            [b'L', ..] => (Length::Double, 1),
            [b'l' | b'z' | b't', ..] => (Length::Long, 1),
            _ => (Length::Plain, 0),
        };
        self.at += bytes;
        length
    }
}

/// Checks a format.
///
/// # Errors
/// [`PrintfError`].
pub fn check(format: &[u8]) -> Result<(), PrintfError> {
    let mut parser = Parser { format, at: 0 };
    while parser.next()?.is_some() {}
    Ok(())
}

/// Writes the arguments as the format says. Returns the number of bytes.
///
/// # Errors
/// [`PrintfError`]; of a bad format before anything is written, of a bad
/// argument after what stands before it.
pub fn printf(
    format: &[u8],
    args: &mut (impl Args + ?Sized),
    out: &mut (impl Out + ?Sized),
) -> Result<u32, PrintfError> {
    check(format)?;
    let mut out = Counted { out, count: 0 };
    let mut parser = Parser { format, at: 0 };
    while let Some(piece) = parser.next()? {
        match piece {
            Piece::Text(text) => out.put(text),
            Piece::Spec(spec) => convert(spec, args, &mut out)?,
        }
    }
    Ok(out.count)
}

struct Counted<'o, O: ?Sized> {
    out: &'o mut O,
    count: u32,
}

impl<O: Out + ?Sized> Out for Counted<'_, O> {
    fn put(&mut self, bytes: &[u8]) {
        self.count = self.count.saturating_add(bytes.len() as u32);
        self.out.put(bytes);
    }
}

/// A conversion with its numbers known.
#[derive(Clone, Copy, Debug)]
struct Field {
    left: bool,
    zero: bool,
    alternate: bool,
    /// What stands before a number that is not negative.
    plus: &'static [u8],
    width: u32,
    precision: Option<u32>,
}

fn convert(
    spec: Spec,
    args: &mut (impl Args + ?Sized),
    out: &mut impl Out,
) -> Result<(), PrintfError> {
    let at = spec.at;
    let bad = PrintfError::Argument { at };
    let limit = |n: u32| if n > MAX_FIELD { Err(PrintfError::TooWide { at }) } else { Ok(n) };
    let mut left = spec.left;
    let width = match spec.width {
        Number::Given(width) => width,
        Number::Argument => {
            let width = args.word().ok_or(bad)? as i32;
            left |= width < 0;
            limit(width.unsigned_abs())?
        }
    };
    let precision = match spec.precision {
        None => None,
        Some(Number::Given(precision)) => Some(precision),
        Some(Number::Argument) => match args.word().ok_or(bad)? as i32 {
            // As if there were none.
            ..0 => None,
            precision => Some(limit(precision as u32)?),
        },
    };
    let plus: &[u8] = match (spec.plus, spec.space) {
        (true, _) => b"+",
        (_, true) => b" ",
        _ => b"",
    };
    let (zero, alternate) = (spec.zero && !left, spec.alternate);
    let field = Field { left, zero, alternate, plus, width, precision };
    match spec.conversion {
        b'%' => out.put(b"%"),
        b'c' => field.text(&[args.word().ok_or(bad)? as u8], out),
        b's' => {
            let address = args.word().ok_or(bad)?;
            let most = precision.unwrap_or(MAX_STRING);
            let text = args.string(address, most).ok_or(PrintfError::String { at, address })?;
            field.text(text, out);
        }
        b'p' => {
            let field = Field { alternate: true, precision: None, ..field };
            field.integer(b"", b"0x", args.word().ok_or(bad)?.into(), 16, false, out);
        }
        b'd' | b'i' => {
            let value = match spec.length {
                Length::Double => args.double_word().ok_or(bad)? as i64,
                Length::Plain | Length::Long => i64::from(args.word().ok_or(bad)? as i32),
                Length::Short => i64::from(args.word().ok_or(bad)? as i16),
                Length::Char => i64::from(args.word().ok_or(bad)? as i8),
            };
            let sign = if value < 0 { b"-" } else { plus };
            field.integer(sign, b"", value.unsigned_abs(), 10, false, out);
        }
        conversion @ (b'u' | b'x' | b'X' | b'o') => {
            let value = match spec.length {
                Length::Double => args.double_word().ok_or(bad)?,
                Length::Plain | Length::Long => u64::from(args.word().ok_or(bad)?),
                Length::Short => u64::from(args.word().ok_or(bad)? as u16),
                Length::Char => u64::from(args.word().ok_or(bad)? as u8),
            };
            let (base, prefix): (u32, &[u8]) = match conversion {
                b'u' => (10, b""),
                b'o' => (8, b""),
                b'x' if alternate && value != 0 => (16, b"0x"),
                b'X' if alternate && value != 0 => (16, b"0X"),
                _ => (16, b""),
            };
            field.integer(b"", prefix, value, base, conversion == b'X', out);
        }
        conversion => {
            let value = f64::from_bits(args.double_word().ok_or(bad)?);
            let style = match conversion.to_ascii_lowercase() {
                b'e' => Style::Exponent,
                b'g' => Style::Shorter,
                _ => Style::Fixed,
            };
            field.float(value, style, conversion.is_ascii_uppercase(), out);
        }
    }
    Ok(())
}

impl Field {
    fn text(&self, text: &[u8], out: &mut impl Out) {
        let pad = self.width.saturating_sub(text.len() as u32);
        repeat(b' ', if self.left { 0 } else { pad }, out);
        out.put(text);
        repeat(b' ', if self.left { pad } else { 0 }, out);
    }

    /// A number whose digits may have zeros in front of them.
    fn integer(
        &self,
        sign: &[u8],
        prefix: &[u8],
        value: u64,
        base: u32,
        upper: bool,
        out: &mut impl Out,
    ) {
        let mut buffer = [0u8; 22];
        let digits = digits(value, base, upper, &mut buffer);
        let count = digits.len() as u32;
        let mut zeros = match self.precision {
            // No digits at all for a zero that may have none.
            Some(0) if value == 0 => 0,
            precision => precision.unwrap_or(1).max(count).max(1) - count,
        };
        if base == 8 && self.alternate && zeros == 0 {
            zeros = u32::from(digits.is_empty() || value != 0);
        }
        let digits = if value == 0 { b"" } else { digits };
        let width = sign.len() as u32 + prefix.len() as u32 + zeros + digits.len() as u32;
        let pad = self.width.saturating_sub(width);
        // A precision switches the flag 0 off.
        let fill = self.zero && self.precision.is_none();
        repeat(b' ', if self.left || fill { 0 } else { pad }, out);
        out.put(sign);
        out.put(prefix);
        repeat(b'0', if fill { pad } else { 0 }, out);
        repeat(b'0', zeros, out);
        out.put(digits);
        repeat(b' ', if self.left { pad } else { 0 }, out);
    }
}

/// The digits of a number, none of 0, at the end of a buffer.
fn digits(value: u64, base: u32, upper: bool, buffer: &mut [u8; 22]) -> &[u8] {
    let mut value = value;
    let mut from = buffer.len();
    for place in buffer.iter_mut().rev() {
        if value == 0 {
            break;
        }
        // Most numbers are short, and long divisions long.
        let digit = match u32::try_from(value) {
            Ok(short) => {
                value = (short / base).into();
                short % base
            }
            Err(_) => {
                let digit = value % u64::from(base);
                value /= u64::from(base);
                digit as u32
            }
        };
        *place = char::from_digit(digit, 16).map_or(b'?', |c| c as u8);
        if upper {
            place.make_ascii_uppercase();
        }
        from -= 1;
    }
    buffer.get(from..).unwrap_or_default()
}

fn repeat(byte: u8, count: u32, out: &mut impl Out) {
    let piece = [byte; 16];
    let mut left = count as usize;
    while left > 0 {
        let now = left.min(piece.len());
        out.put(piece.get(..now).unwrap_or_default());
        left -= now;
    }
}

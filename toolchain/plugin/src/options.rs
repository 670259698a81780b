//! The plugin's options, `key=value` each.

use std::path::PathBuf;

/// What the user asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// The file to write.
    pub(crate) out: PathBuf,
    /// Ranges to be counted on their own.
    pub(crate) ranges: Vec<Range>,
    /// Addresses whose instructions are markers, too, and of which register.
    pub(crate) marks: Vec<(u64, u32)>,
    /// Addresses of which each is to be counted on its own.
    pub(crate) each: Option<(u64, u64)>,
}

/// Longest stretch of which each address is counted: 32 MiB of counters.
const MAX_EACH: u64 = 16 << 20;

/// Addresses `start..end` under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) name: String,
}

impl Options {
    /// Reads the options; the error is a sentence for the user.
    pub(crate) fn parse<'a>(words: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let mut options = Self::default();
        for word in words {
            match word.split_once('=') {
                Some(("out", path)) if !path.is_empty() => options.out = path.into(),
                Some(("range", text)) => {
                    let range = parse_range(text).ok_or_else(|| {
                        format!("range={text}: expected range=START-END:NAME, in hexadecimal")
                    })?;
                    options.ranges.push(range);
                }
                Some(("mark", text)) => {
                    options.marks.push(parse_mark(text).ok_or_else(|| {
                        format!(
                            "mark={text}: expected mark=ADDRESS:REGISTER, in hexadecimal, 0 to c"
                        )
                    })?);
                }
                Some(("each", text)) => {
                    let bounds = parse_bounds(text).filter(|(start, end)| end - start <= MAX_EACH);
                    options.each = Some(bounds.ok_or_else(|| {
                        format!(
                            "each={text}: expected each=START-END, in hexadecimal, 16 MiB at most"
                        )
                    })?);
                }
                _ => {
                    return Err(format!(
                        "unknown option {word}; known: out=, range=, mark=, each="
                    ));
                }
            }
        }
        if options.out.as_os_str().is_empty() {
            return Err("out=FILE is missing".to_owned());
        }
        Ok(options)
    }
}

fn parse_range(text: &str) -> Option<Range> {
    let (bounds, name) = text.split_once(':')?;
    let (start, end) = parse_bounds(bounds)?;
    let printable = !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '=');
    printable.then(|| Range { start, end, name: name.to_owned() })
}

fn parse_mark(text: &str) -> Option<(u64, u32)> {
    let (address, register) = text.split_once(':')?;
    let address = u64::from_str_radix(address.trim_start_matches("0x"), 16).ok()?;
    let register = u32::from_str_radix(register, 16).ok().filter(|&register| register <= 12)?;
    Some((address, register))
}

fn parse_bounds(text: &str) -> Option<(u64, u64)> {
    let (start, end) = text.split_once('-')?;
    let number = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16).ok();
    let (start, end) = (number(start)?, number(end)?);
    (start < end).then_some((start, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_qemu_hands_over() {
        let words = ["out=/tmp/x", "range=8000-0x9000:kernel", "mark=8004:2", "each=8000-8010"];
        let options = Options::parse(words.into_iter()).unwrap();
        assert_eq!(options.out, PathBuf::from("/tmp/x"));
        let [range] = &options.ranges[..] else { panic!("{options:?}") };
        assert_eq!((range.start, range.end), (0x8000, 0x9000));
        assert_eq!(range.name, "kernel");
        assert_eq!(options.marks, [(0x8004, 2)]);
        assert_eq!(options.each, Some((0x8000, 0x8010)));
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for words in [
            &[][..],
            &["out="],
            &["out=x", "range=9-8:a"],
            &["out=x", "range=8-9:"],
            &["out=x", "range=8-9:a b"],
            &["out=x", "range=q-9:a"],
            &["out=x", "mark=8000"],
            &["out=x", "mark=8000:d"],
            &["out=x", "each=8000"],
            &["out=x", "each=0-1000001"],
            &["out=x", "speed=on"],
        ] {
            Options::parse(words.iter().copied()).unwrap_err();
        }
    }
}

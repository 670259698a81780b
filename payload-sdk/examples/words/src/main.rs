//! How often each word of the input occurs, most frequent first.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::{collections::BTreeMap, vec::Vec};
use payload_sdk::{Error, Kernel, entry};

entry!(run);

fn run(k: &Kernel) -> Result<(), Error> {
    let mut counts: BTreeMap<&[u8], u32> = BTreeMap::new();
    let words = k.input().split(u8::is_ascii_whitespace);
    for word in words.filter(|word| !word.is_empty()) {
        *counts.entry(word).or_default() += 1;
    }
    let mut words: Vec<_> = counts.into_iter().collect();
    words.sort_by_key(|&(_, n)| core::cmp::Reverse(n));
    for (word, n) in words {
        write!(k.output(), "{n} ")?;
        k.output().write_all(word)?;
        k.output().write_all(b"\n")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::run;
    use payload_sdk::fake::Fake;

    #[test]
    fn counted_and_sorted() {
        let report = Fake::new().input(" to be or\tnot to be\n").run(run);
        assert_eq!(report.text(), "2 be\n2 to\n1 not\n1 or\n");
    }
}

//! Where cache operations and barriers are called.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

/// Sources that are searched.
const FOLDERS: [&str; 4] =
    ["kernel/hal/src", "kernel/drivers/src", "kernel/loader/src", "kernel/rpi-mbox/src"];
/// What is called on `cache` or `ops`.
const METHODS: [&str; 14] = [
    "clean",
    "discard",
    "invalidate",
    "dsb",
    "dmb",
    "sync_code",
    "clean_range",
    "clean_invalidate_range",
    "invalidate_range",
    "instruction_invalidate",
    "eleven_nops",
    "branch_flush",
    "prefetch_flush",
    "tlb_invalidate",
];
/// Functions that are such operations in sequence, and what names the lines
/// that they are for.
const FUNCTIONS: [&str; 6] = [
    "clean(ops",
    "forget_translations(ops",
    "cp15::clean_tables(",
    "cp15::tables_changed(",
    "cp15::switch_tables(",
    "Dirty::mark(",
];
/// Instead of being left out: what is easily got wrong by one.
const EDITS: [(&str, &str, &str); 3] = [
    ("kernel/hal/src/cp15.rs", "len.checked_sub(1)", "Some(len)"),
    ("kernel/hal/src/cp15.rs", "len.checked_sub(1)", "len.checked_sub(33)"),
    (
        "kernel/hal/src/cp15.rs",
        "clean(ops, start, 4 * words.len() as u32)",
        "clean(ops, start, words.len() as u32)",
    ),
];

/// Where the condition lives that the calls are wrapped in.
pub(super) const HOME: &str = "kernel/hal/src/lib.rs";
/// The condition itself.
pub(super) const SWITCH: &str = r#"
/// Calls that can be left out.
#[doc(hidden)]
pub mod mutants {
    extern crate std;
    use std::sync::OnceLock;

    /// Is call `n` left out?
    pub fn off(n: u32) -> bool {
        static OFF: OnceLock<Option<u32>> = OnceLock::new();
        let off = OFF.get_or_init(|| std::env::var("VARIABLE").ok()?.parse().ok());
        *off == Some(n)
    }
}
"#;

/// One call.
#[derive(Clone, Debug)]
pub(super) struct Point {
    /// File, from the root of the repository.
    pub(super) file: String,
    /// Line in it, from 1.
    pub(super) line: usize,
    /// What is left out, or what it is replaced by.
    pub(super) text: String,
    /// Bytes of the file.
    range: std::ops::Range<usize>,
    /// Instead of it; empty = nothing.
    instead: &'static str,
}

/// All calls in the sources under `root`.
pub(super) fn find(root: &Path) -> Result<Vec<Point>> {
    let mut points = Vec::new();
    for folder in FOLDERS {
        let mut files = Vec::new();
        sources(&root.join(folder), "rs", &mut files)?;
        for path in files {
            let file = path.strip_prefix(root)?.to_string_lossy().into_owned();
            let text = fs::read_to_string(&path)?;
            in_text(&file, &text, &mut points)?;
        }
    }
    for (file, from, to) in EDITS {
        let text = fs::read_to_string(root.join(file))?;
        let at = text.find(from).with_context(|| format!("{file} has no `{from}`"))?;
        points.push(Point {
            file: file.to_owned(),
            line: line_of(&text, at),
            text: format!("{from} -> {to}"),
            range: at..at + from.len(),
            instead: to,
        });
    }
    ensure!(points.len() > 20, "the calls are not where they were");
    Ok(points)
}

fn sources(folder: &Path, ending: &str, found: &mut Vec<std::path::PathBuf>) -> Result<()> {
    let read = fs::read_dir(folder).with_context(|| format!("{}", folder.display()))?;
    let mut entries = read.collect::<std::io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::path);
    for path in entries.iter().map(fs::DirEntry::path) {
        if path.is_dir() && path.file_name().is_some_and(|name| name != "tests") {
            sources(&path, ending, found)?;
        } else if path.extension().is_some_and(|e| e == ending) && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
    Ok(())
}

fn in_text(file: &str, text: &str, points: &mut Vec<Point>) -> Result<()> {
    let mut patterns: Vec<String> = FUNCTIONS.iter().map(ToString::to_string).collect();
    for receiver in ["cache", "ops"] {
        patterns.extend(METHODS.iter().map(|method| format!("{receiver}.{method}(")));
    }
    for pattern in patterns {
        for (at, _) in text.match_indices(&pattern) {
            let name = |c: char| c.is_alphanumeric() || c == '_';
            let before = &text[..at];
            let start = before.strip_suffix("self.").map_or(at, str::len);
            let before = &text[..start];
            let line = &text[before.rfind('\n').map_or(0, |n| n + 1)..start];
            if before.ends_with(|c: char| name(c) || c == '.' || c == ':')
                || line.trim_start().starts_with("//")
                || line.ends_with("fn ")
            {
                continue;
            }
            let end = closing(text, at).with_context(|| format!("{file}: `{pattern}` is open"))?;
            points.push(Point {
                file: file.to_owned(),
                line: line_of(text, start),
                text: text[start..end].split_whitespace().collect::<Vec<_>>().join(" "),
                range: start..end,
                instead: "",
            });
        }
    }
    points.sort_by(|a, b| (&a.file, a.range.start).cmp(&(&b.file, b.range.start)));
    Ok(())
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// The end of the call whose first parenthesis follows `at`.
fn closing(text: &str, at: usize) -> Option<usize> {
    let mut depth = 0;
    for (i, c) in text[at..].char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 1 => return Some(at + i + 1),
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// `text` with the calls wrapped; those of one place one in the other.
pub(super) fn wrap(text: &str, file: &str, points: &[(usize, &Point)]) -> String {
    let switch = if file.starts_with("kernel/hal/") { "crate" } else { "sk_hal" };
    let mut places: Vec<std::ops::Range<usize>> = Vec::new();
    for (_, point) in points {
        if !places.contains(&point.range) {
            places.push(point.range.clone());
        }
    }
    places.sort_by_key(|range| std::cmp::Reverse(range.start));
    let mut text = text.to_owned();
    for place in places {
        let mut call = text[place.clone()].to_owned();
        for (number, point) in points.iter().filter(|(_, point)| point.range == place) {
            let off = format!("{switch}::mutants::off({number})");
            call = match point.instead {
                "" => format!("if !{off} {{ {call} }}"),
                instead => format!("(if {off} {{ {instead} }} else {{ {call} }})"),
            };
        }
        text.replace_range(place, &call);
    }
    text
}

/// Files of the board that may contain cache operations, and why they are not
/// run on the host.
const BOARD: [(&str, &str); 8] = [
    ("kernel/soc/src/cp15.rs", "an instruction each"),
    ("kernel/soc/src/cache.rs", "hands slices to the sequences"),
    ("kernel/soc/src/mmio.rs", "puts sk-hal's order around plain accesses"),
    ("kernel/src/memory.rs", "hands the page tables over"),
    ("kernel/src/crash.rs", "hands the crash record over, for no device but a reset"),
    ("kernel/src/boot.S", "runs before the caches are on"),
    ("kernel/src/vectors.S", "drains stores, so that an abort they cause is known"),
    ("kernel/soc/src/lib.rs", "names the modules"),
];

/// Everything else of the board contains none.
pub(super) fn glue(root: &Path) -> Result<()> {
    for folder in ["kernel/src", "kernel/soc/src"] {
        for ending in ["rs", "S"] {
            let mut files = Vec::new();
            sources(&root.join(folder), ending, &mut files)?;
            for path in files {
                let file = path.strip_prefix(root)?.to_string_lossy().into_owned();
                if BOARD.iter().any(|(allowed, _)| *allowed == file) {
                    continue;
                }
                let text = fs::read_to_string(&path)?;
                for word in ["c7, c", "c8, c", "Cp15", "Cp15Ops", ".dsb(", ".dmb("] {
                    if text.contains(word) {
                        bail!("{file}: `{word}` is a matter for a sequence of sk-hal's cp15");
                    }
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "fn clean(ops) {}\n// cache.dsb() is not here\n\
        match d { A => cache.clean(self.bus, (self.mem)), }\n    self.ops.dmb();\n\
        other_cache.dsb(); x.ops.dsb();\n";

    #[test]
    fn calls_are_found_whole_and_wrapped() {
        let mut points = Vec::new();
        in_text("kernel/x.rs", TEXT, &mut points).unwrap();
        let found: Vec<_> = points.iter().map(|p| (p.line, p.text.as_str())).collect();
        assert_eq!(found, [(3, "cache.clean(self.bus, (self.mem))"), (4, "self.ops.dmb()")]);
        let numbered: Vec<_> = points.iter().enumerate().collect();
        let wrapped = wrap(TEXT, "kernel/x.rs", &numbered);
        let arm = "A => if !sk_hal::mutants::off(0) { cache.clean(self.bus, (self.mem)) }, }";
        assert!(wrapped.contains(arm), "{wrapped}");
        assert!(wrapped.contains("    if !sk_hal::mutants::off(1) { self.ops.dmb() };"));
    }

    #[test]
    fn two_replacements_of_one_place_nest() {
        let point = |instead| Point {
            file: "kernel/hal/src/a.rs".into(),
            line: 1,
            text: String::new(),
            range: 4..5,
            instead,
        };
        let (a, b) = (point("p"), point("q"));
        let wrapped = wrap("x = y;", "kernel/hal/src/a.rs", &[(7, &a), (8, &b)]);
        assert_eq!(
            wrapped,
            "x = (if crate::mutants::off(8) { q } else { (if crate::mutants::off(7) { p } else { y }) });"
        );
    }
}

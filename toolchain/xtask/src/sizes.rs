//! `cargo xtask sizes`: kernel.elf by crate, against `kernel/budgets.toml`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::repo::Repo;
use crate::symbols::{Bytes, by_owner};

/// Options of `cargo xtask sizes`.
#[derive(clap::Args, Clone, Default)]
pub(crate) struct Options {
    /// Make the present sizes, and a sixteenth more, the budgets of all crates
    #[arg(long)]
    pub(crate) save: bool,
}

/// `kernel/budgets.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Budgets {
    /// Bytes in kernel.img.
    image: u64,
    /// Bytes by crate.
    #[serde(default)]
    crates: BTreeMap<String, Budget>,
}

/// What one crate may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Budget {
    /// Bytes in kernel.img: text, rodata, data.
    image: u64,
    /// Bytes of written memory: data, bss.
    #[serde(default)]
    ram: u64,
}

/// Below this `--save` sets no budget.
const SMALL: u64 = 256;

const HEAD: &str = "\
# What kernel.img and each crate in it may take, in bytes; `cargo xtask sizes`
# compares, `cargo xtask sizes --save` rewrites the part by crate.
# image: text, rodata and data, which lie in kernel.img; ram: data and bss.
";

/// Prints the table; an error when something is over its budget.
pub(crate) fn run(repo: &Repo, options: &Options) -> Result<()> {
    let elf = fs::read(repo.kernel_elf())
        .with_context(|| format!("{}; run `cargo xtask build`", repo.kernel_elf().display()))?;
    let image = fs::metadata(repo.kernel_img())?.len();
    let owners = by_owner(&elf)?;
    let path = budgets_path(repo);
    let text = fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
    let mut budgets: Budgets =
        toml::from_str(&text).with_context(|| format!("{}", path.display()))?;
    if options.save {
        budgets.crates = roomy(&owners);
        fs::write(&path, budgets.text())?;
        println!("{} rewritten", path.display());
    }
    print(&owners, &budgets, image);
    let over = over(&owners, &budgets, image);
    if !over.is_empty() {
        bail!("over budget ({}):\n  {}", path.display(), over.join("\n  "));
    }
    Ok(())
}

fn budgets_path(repo: &Repo) -> PathBuf {
    repo.root.join("kernel/budgets.toml")
}

impl Budgets {
    /// The file, with a line for each crate.
    fn text(&self) -> String {
        let mut text = format!("{HEAD}image = {}\n\n[crates]\n", self.image);
        for (name, Budget { image, ram }) in &self.crates {
            let _ = writeln!(text, "\"{name}\" = {{ image = {image}, ram = {ram} }}");
        }
        text
    }
}

/// The present sizes and some room, in round numbers. What is too small to
/// matter has no budget.
fn roomy(owners: &BTreeMap<String, Bytes>) -> BTreeMap<String, Budget> {
    let room = |bytes: u64| (bytes + bytes / 16).next_multiple_of(64);
    owners
        .iter()
        .filter(|(_, bytes)| bytes.image().max(bytes.ram()) >= SMALL)
        .map(|(name, bytes)| {
            let budget = Budget { image: room(bytes.image()), ram: room(bytes.ram()) };
            (name.clone(), budget)
        })
        .collect()
}

fn print(owners: &BTreeMap<String, Bytes>, budgets: &Budgets, image: u64) {
    let mut rows: Vec<_> = owners.iter().collect();
    rows.sort_by_key(|(_, bytes)| std::cmp::Reverse((bytes.image(), bytes.bss)));
    println!(
        "{:24} {:>8} {:>8} {:>8} {:>8} {:>8} {:>8}",
        "crate", "text", "rodata", "data", "bss", "image", "budget"
    );
    let row = |name: &str, bytes: &Bytes, sum: u64, budget: Option<u64>| {
        let budget = budget.map_or_else(|| "-".to_owned(), |budget| budget.to_string());
        println!(
            "{name:24} {:8} {:8} {:8} {:8} {sum:8} {budget:>8}",
            bytes.text, bytes.rodata, bytes.data, bytes.bss
        );
    };
    let mut all = Bytes::default();
    for (name, bytes) in rows {
        all.add(*bytes);
        let budget = budgets.crates.get(name).map(|budget| budget.image);
        row(name, bytes, bytes.image(), budget);
    }
    row("kernel.img", &all, image, Some(budgets.image));
}

/// One line for each thing that is over its budget.
fn over(owners: &BTreeMap<String, Bytes>, budgets: &Budgets, image: u64) -> Vec<String> {
    let mut over = Vec::new();
    let mut check = |name: &str, what: &str, size: u64, budget: u64| {
        if size > budget {
            let excess = size - budget;
            over.push(format!(
                "{name}: {size} bytes of {what}, budget {budget}, {excess} too many"
            ));
        }
    };
    check("kernel.img", "image", image, budgets.image);
    for (name, bytes) in owners {
        if let Some(budget) = budgets.crates.get(name) {
            check(name, "image", bytes.image(), budget.image);
            check(name, "memory", bytes.ram(), budget.ram);
        }
    }
    over
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owners() -> BTreeMap<String, Bytes> {
        let bytes = Bytes { text: 1000, rodata: 20, data: 8, bss: 50 };
        BTreeMap::from([("sk_net".to_owned(), bytes)])
    }

    #[test]
    fn what_is_over_is_named_with_size_and_budget() {
        let text = "image = 100\n[crates.sk_net]\nimage = 1027\nram = 58\n";
        let budgets: Budgets = toml::from_str(text).unwrap();
        assert_eq!(
            over(&owners(), &budgets, 100),
            ["sk_net: 1028 bytes of image, budget 1027, 1 too many"]
        );
        let lines = over(&owners(), &Budgets::default(), 1);
        assert_eq!(lines, ["kernel.img: 1 bytes of image, budget 0, 1 too many"]);
    }

    #[test]
    fn saved_budgets_hold_what_they_were_made_from() {
        let budgets = Budgets { image: 1000, crates: roomy(&owners()) };
        let read: Budgets = toml::from_str(&budgets.text()).unwrap();
        assert_eq!(read.crates.len(), 1);
        assert_eq!(read.crates, budgets.crates);
        assert!(over(&owners(), &read, 1000).is_empty());
    }
}

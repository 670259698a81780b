//! Which instructions of the kernel belong to which layer, so that a count can
//! be told layer by layer.
//!
//! A function belongs to the crate in which it was written; generic code and
//! what was inlined belong to the function they ended up in, so borders are
//! blurred where the compiler blurs them.

use std::path::{Path, PathBuf};

use object::{Object, ObjectSymbol, SymbolKind};

use crate::artefacts;

/// The layers, and the crates or functions that make each up.
const LAYERS: [(&str, &[&str]); 7] = [
    ("usb", &["sk_usb", "sk_drivers::dwc2"]),
    ("ip", &["sk_net", "smoltcp"]),
    ("services", &["sk_services", "sk_gates", "sk_gate"]),
    ("session", &["sk_session", "sk_wire", "blake2", "chacha20", "poly1305", "curve25519"]),
    ("memory", &["memcpy", "memmove", "memset", "memcmp", "__aeabi_mem", "sk_mem", "sk_ones"]),
    ("drivers", &["sk_drivers", "sk_bcm2835", "rpi_mbox"]),
    ("kernel", &["serverkernel", "sk_exec", "sk_loader", "vector", "swi", "irq"]),
];

/// Where payloads are, and what they are called.
pub const PAYLOAD: &str = "4000000-1e000000:payload";

/// The plugin's option that counts each instruction of the kernel.
pub const EACH: &str = "each=8000-100000";

/// Where such counts are to go, `$SK_PROFILE`.
#[must_use]
pub fn profile() -> Option<PathBuf> {
    std::env::var_os("SK_PROFILE").map(PathBuf::from)
}

/// Keeps what the plugin wrote to `counts` as `NAME.txt`, if it is wanted.
///
/// # Panics
/// If it cannot be kept.
pub fn keep(counts: &Path, name: &str) {
    if let Some(folder) = profile() {
        std::fs::copy(counts, folder.join(format!("{name}.txt")))
            .expect("the folder of $SK_PROFILE");
    }
}

fn layer(name: &str) -> &'static str {
    let name = name.trim_start_matches(['<', '&', '_']);
    let found = LAYERS
        .iter()
        .find(|(_, parts)| parts.iter().any(|part| name.starts_with(part.trim_start_matches('_'))));
    found.map_or("other", |(layer, _)| layer)
}

/// The ranges of the kernel for the plugin, `START-END:LAYER`, and the
/// payload's.
///
/// # Panics
/// If there is no kernel, or no symbols in it.
#[must_use]
pub fn ranges() -> Vec<String> {
    let file = std::fs::read(artefacts().join("kernel.elf")).expect("a kernel");
    let elf = object::File::parse(&*file).expect("an ELF file");
    let mut functions: Vec<(u64, u64, &str)> = elf
        .symbols()
        .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 0)
        .map(|symbol| {
            let name = symbol.name().unwrap_or_default();
            let name = format!("{:#}", rustc_demangle::demangle(name));
            // Bit 0 says Thumb.
            let start = symbol.address() & !1;
            (start, start + symbol.size(), layer(&name))
        })
        .collect();
    assert!(!functions.is_empty(), "the kernel has no symbols");
    functions.sort_unstable();
    let mut ranges: Vec<(u64, u64, &str)> = Vec::new();
    for (start, end, layer) in functions {
        match ranges.last_mut() {
            Some(last) if last.2 == layer && start <= last.1 + 32 => last.1 = end.max(last.1),
            // Two names of the same function.
            Some(last) if start < last.1 => {}
            _ => ranges.push((start, end, layer)),
        }
    }
    let own = ranges.iter().map(|(start, end, layer)| format!("{start:x}-{end:x}:{layer}"));
    own.chain([PAYLOAD.to_owned()]).collect()
}

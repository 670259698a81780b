//! Everything that takes bytes from outside, as functions to be fuzzed.
//!
//! Each function is given any bytes at all and panics if something is wrong:
//! a panic of the code under test, or a property that does not hold, such as
//! "what was read, written again, is the same bytes". The programs that
//! libFuzzer drives (`fuzz/`) call them and nothing else, and so does the test
//! that runs the seeds.

mod adapter;
mod boot;
mod bytes;
mod client;
mod hub;
mod hub_answers;
mod image;
mod lan95xx;
mod net;
mod property;
mod screen;
mod session;
mod wire;

/// A target: its name, and what is to be called with any bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 22] = [
    ("datagram", wire::datagram),
    ("control", wire::control),
    ("frames", wire::frames),
    ("manifest", wire::manifest),
    ("blob", wire::blob),
    ("image", image::image),
    ("elf", image::elf),
    ("atags", boot::atags),
    ("dtb", boot::dtb),
    ("descriptors", adapter::descriptors),
    ("adapter", adapter::adapter),
    ("lan95xx", lan95xx::lan95xx),
    ("hub", hub::hub),
    ("hub_answers", hub_answers::hub_answers),
    ("property", property::property),
    ("net", net::net),
    ("session", session::session),
    ("client", client::client),
    ("bmp", screen::bmp),
    ("printf", screen::printf),
    ("text", screen::text),
    ("framebuffer", screen::framebuffer),
];

/// Runs the target called `name`.
///
/// # Panics
/// If something is wrong, or there is no such target.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    target.expect("a target's name").1(data);
}

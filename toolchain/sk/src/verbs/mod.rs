//! One verb per file: its options, and what it does.

pub(crate) mod accept;
pub(crate) mod build;
pub(crate) mod emu;
pub(crate) mod image;
pub(crate) mod info;
pub(crate) mod inspect;
pub(crate) mod key;
pub(crate) mod kill;
pub(crate) mod new;
pub(crate) mod pack;
pub(crate) mod ping;
pub(crate) mod run;
pub(crate) mod scan;
pub(crate) mod version;

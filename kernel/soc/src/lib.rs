//! The unsafe floor of the BCM2835: volatile access, barriers, cache and TLB
//! operations, the memory map. Firmware target only; nothing here decides
//! anything.
//!
//! * [`mmio`]: one peripheral's registers behind [`sk_hal::Bus32`], with the
//!   barriers of BCM2835 ARM Peripherals section 1.3.
//! * [`cp15`]: the coprocessor operations of the ARM1176JZF-S TRM chapter 3.
//! * [`cache`]: [`sk_hal::CacheOps`] on real lines.
//! * [`cell`]: statics that are claimed once instead of `static mut`.
#![no_std]

pub mod cache;
pub mod cell;
pub mod cp15;
pub mod map;
pub mod mmio;

pub use cache::Caches;
pub use cell::Claim;
pub use cp15::Cp15;
pub use mmio::Mmio;

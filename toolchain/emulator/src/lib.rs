//! A board in QEMU.


//! QEMU plugin.


//! The serverkernel command line.
fn main() {}

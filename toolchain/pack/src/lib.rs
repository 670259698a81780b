//! ELF to payload image.

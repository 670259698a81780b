//! Client library.


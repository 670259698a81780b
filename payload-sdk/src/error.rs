//! How a payload ends: exit codes and the reason that goes with them.

use crate::Kernel;

/// Why a payload gives up: a text for the error stream and an exit code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Error {
    text: &'static str,
    code: i32,
}

impl Error {
    /// An error with exit code 1.
    #[must_use]
    pub const fn new(text: &'static str) -> Self {
        Self { text, code: 1 }
    }

    /// The same with another exit code; 0 becomes 1, for it would look like
    /// success.
    #[must_use]
    pub const fn with_code(self, code: i32) -> Self {
        Self { text: self.text, code: if code == 0 { 1 } else { code } }
    }

    /// The text.
    #[must_use]
    pub const fn text(&self) -> &'static str {
        self.text
    }

    /// The exit code, never 0.
    #[must_use]
    pub const fn code(&self) -> i32 {
        self.code
    }
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.text)
    }
}

impl core::error::Error for Error {}

impl From<&'static str> for Error {
    fn from(text: &'static str) -> Self {
        Self::new(text)
    }
}

macro_rules! from {
    ($($ty:ty => $text:literal;)*) => {$(
        impl From<$ty> for Error {
            fn from(_: $ty) -> Self {
                Self::new($text)
            }
        }
    )*};
}
from! {
    core::fmt::Error => "a value could not be formatted";
    core::str::Utf8Error => "the input is not UTF-8";
    core::num::ParseIntError => "not a number";
    core::num::ParseFloatError => "not a number";
    core::num::TryFromIntError => "a number is out of range";
    core::array::TryFromSliceError => "the input has the wrong length";
}

impl From<sk_abi::net::NetError> for Error {
    fn from(error: sk_abi::net::NetError) -> Self {
        Self::new(error.text())
    }
}

/// What the function of [`crate::entry!`] may return.
pub trait IntoCode {
    /// The exit code; says why on the error stream if it is a failure.
    fn into_code(self, k: &Kernel) -> i32;
}

impl IntoCode for () {
    fn into_code(self, _: &Kernel) -> i32 {
        0
    }
}

impl IntoCode for i32 {
    fn into_code(self, _: &Kernel) -> i32 {
        self
    }
}

impl<T: IntoCode, E: Into<Error>> IntoCode for Result<T, E> {
    fn into_code(self, k: &Kernel) -> i32 {
        match self {
            Ok(value) => value.into_code(k),
            Err(e) => {
                let e: Error = e.into();
                let out = k.error();
                for part in ["error: ", e.text, "\n"] {
                    // Where should one say that saying it failed?
                    let _ = out.write_all(part.as_bytes());
                }
                e.code
            }
        }
    }
}

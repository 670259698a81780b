//! Two arenas of a megabyte with nothing mapped around them, bytes looked at
//! one by one, and calls that the compiler cannot see through.
//!
//! Nothing here may be turned into a call of what is being tested, so every
//! access is volatile.

/// Where bytes come from: random ones, never changed.
pub const FROM: usize = 0x0110_0000;
/// Where bytes go.
pub const TO: usize = 0x0130_0000;
/// Of each.
pub const SIZE: usize = 0x10_0000;

/// What an untouched byte of [`TO`] is.
pub const GUARD: u8 = 0xA5;

unsafe extern "C" {
    fn call(routine: usize, a: usize, b: usize, c: usize) -> usize;
    fn call_counted(routine: usize, a: usize, b: usize, c: usize) -> usize;
}

/// A routine of three arguments.
#[derive(Clone, Copy)]
pub struct Routine(usize);

macro_rules! routines {
    ($($name:ident = $symbol:ident;)*) => {
        // The true types do not matter: they are called through `call`.
        unsafe extern "C" { $(fn $symbol();)* }
        impl Routine {
            $(pub fn $name() -> Self { Self($symbol as *const () as usize) })*
        }
    };
}

routines! {
    memcpy = memcpy;
    aeabi_memcpy = __aeabi_memcpy;
    memmove = memmove;
    memset = memset;
    aeabi_memset = __aeabi_memset;
    aeabi_memclr = __aeabi_memclr;
    memcmp = memcmp;
    bcmp = bcmp;
    ones_sum = sk_ones_sum;
}

impl Routine {
    /// Calls it.
    pub fn call(self, a: usize, b: usize, c: usize) -> usize {
        // SAFETY: one of the routines above, with addresses in the arenas; a
        // wrong one is an abort, which is told.
        unsafe { call(self.0, a, b, c) }
    }

    /// Calls it between markers.
    pub fn count(self, a: usize, b: usize, c: usize) -> usize {
        // SAFETY: as above.
        unsafe { call_counted(self.0, a, b, c) }
    }
}

/// The byte at an address of the arenas.
pub fn get(at: usize) -> u8 {
    // SAFETY: of an arena, or an abort, which is told; no reference exists.
    unsafe { (at as *const u8).read_volatile() }
}

/// Sets the byte at an address of the arenas.
pub fn put(at: usize, byte: u8) {
    // SAFETY: as above.
    unsafe { (at as *mut u8).write_volatile(byte) }
}

/// A source of numbers (xorshift, Marsaglia 2003).
pub struct Numbers(u32);

impl Numbers {
    pub const fn new() -> Self {
        Self(0x2545_F491)
    }

    pub fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    /// Below `limit`, which is at most 65,536.
    pub fn below(&mut self, limit: usize) -> usize {
        ((self.next() >> 16) as usize * limit) >> 16
    }
}

/// Fills the first arena with numbers and the second with guards.
pub fn fill() {
    let mut numbers = Numbers::new();
    for i in 0..SIZE {
        put(FROM + i, (numbers.next() >> 24) as u8);
        put(TO + i, GUARD);
    }
}

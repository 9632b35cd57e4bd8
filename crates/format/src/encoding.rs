//! Field widths that vary from file to file, and addresses.

use std::fmt;

/// A file address, relative to the superblock's base address. The undefined address (all bits set) is `Option::None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Addr(pub u64);

impl Addr {
    /// The address `bytes` further on; `None` where that is no address any more.
    #[must_use]
    pub fn checked_add(self, bytes: u64) -> Option<Self> {
        self.0.checked_add(bytes).map(Self)
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// "Size of Offsets" and "Size of Lengths" of the superblock: how many bytes an address (`O`) and a length (`L`) take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Widths {
    /// Bytes of an address: 2, 4, 8 (16 and 32 are known to the specification; values above 64 bits are refused when met).
    pub offset: u8,
    /// Bytes of a length.
    pub length: u8,
}

impl Widths {
    /// What every file written today uses: 8 and 8.
    pub const EIGHT: Self = Self { offset: 8, length: 8 };
}

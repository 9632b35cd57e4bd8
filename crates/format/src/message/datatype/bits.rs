//! Byte order, and the bits of an element that count.

use std::fmt;

use crate::{Cursor, Put, Result};

/// Byte order of integers, bit fields and times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ByteOrder {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

impl ByteOrder {
    pub(super) fn bit(self) -> u8 {
        match self {
            Self::Little => 0,
            Self::Big => 1,
        }
    }

    /// What is written behind a type's name.
    pub(super) fn suffix(self) -> &'static str {
        match self {
            Self::Little => "",
            Self::Big => "be",
        }
    }
}

/// The bits of an element that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BitRange {
    /// Number of the first, from the least significant.
    pub offset: u16,
    /// How many.
    pub precision: u16,
}

impl BitRange {
    /// All bits of an element of `size` bytes.
    #[must_use]
    pub fn all(size: u32) -> Self {
        Self { offset: 0, precision: size.saturating_mul(8).min(u32::from(u16::MAX)) as u16 }
    }

    /// Reads the bits of an element of `size` bytes.
    pub(super) fn read(cursor: &mut Cursor<'_>, size: u32) -> Result<Self> {
        let bits = Self { offset: cursor.u16("bit offset")?, precision: cursor.u16("bit precision")? };
        let end = u64::from(bits.offset) + u64::from(bits.precision);
        if bits.precision == 0 || end > u64::from(size) * 8 {
            return Err(cursor.bad_value("bit precision", bits.precision.into(), "is 0 or reaches beyond the element"));
        }
        Ok(bits)
    }

    pub(super) fn put(self, out: &mut Vec<u8>) {
        out.put_u16(self.offset);
        out.put_u16(self.precision);
    }

    /// Tells which bits of an element of `size` bytes count, unless that is all.
    pub(super) fn show(self, f: &mut fmt::Formatter<'_>, size: u32) -> fmt::Result {
        if self == Self::all(size) {
            return Ok(());
        }
        write!(f, "({} bits at {})", self.precision, self.offset)
    }
}

/// What the bits outside the [`BitRange`] are set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct BitPadding {
    /// Those below.
    pub low: bool,
    /// Those above.
    pub high: bool,
}

impl BitPadding {
    pub(super) fn bits(self) -> u8 {
        u8::from(self.low) << 1 | u8::from(self.high) << 2
    }
}

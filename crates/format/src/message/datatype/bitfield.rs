//! Class 4: bits without a value.

use std::fmt;

use super::bits::{BitPadding, BitRange, ByteOrder};
use super::class::{Class, Head};
use crate::{Cursor, Result};

/// Bits without a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Bitfield {
    /// Bytes of an element.
    pub size: u32,
    /// Its byte order.
    pub order: ByteOrder,
    /// The bits that count.
    pub bits: BitRange,
    /// The others.
    pub padding: BitPadding,
}

impl Bitfield {
    pub(super) fn read(cursor: &mut Cursor<'_>, head: &Head) -> Result<Self> {
        let bits = BitRange::read(cursor, head.size)?;
        Ok(Self { size: head.size, order: head.order(), bits, padding: head.padding() })
    }
}

impl Class for Bitfield {
    fn number(&self) -> u8 {
        4
    }
    fn bits(&self) -> [u8; 3] {
        [self.order.bit() | self.padding.bits(), 0, 0]
    }
    fn size(&self) -> u32 {
        self.size
    }
    fn put_properties(&self, out: &mut Vec<u8>) {
        self.bits.put(out);
    }
}

impl fmt::Display for Bitfield {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bits{}{}", u64::from(self.size) * 8, self.order.suffix())?;
        self.bits.show(f, self.size)
    }
}

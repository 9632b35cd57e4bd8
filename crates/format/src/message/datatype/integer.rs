//! Class 0: integers.

use std::fmt;

use super::bits::{BitPadding, BitRange, ByteOrder};
use super::class::{Class, Head};
use crate::{Cursor, Result};

/// An integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Integer {
    /// Bytes of an element.
    pub size: u32,
    /// Its byte order.
    pub order: ByteOrder,
    /// Whether it is in two's complement.
    pub signed: bool,
    /// The bits that count.
    pub bits: BitRange,
    /// The others.
    pub padding: BitPadding,
}

impl Integer {
    /// An integer all of whose bits count.
    #[must_use]
    pub fn new(size: u32, signed: bool, order: ByteOrder) -> Self {
        Self { size, order, signed, bits: BitRange::all(size), padding: BitPadding::default() }
    }

    /// The value of an element; `None` if `element` has another size, or the type more than 64 bits.
    #[must_use]
    pub fn value(&self, element: &[u8]) -> Option<i128> {
        if element.len() != self.size as usize || element.len() > 8 {
            return None;
        }
        let append = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        let raw = match self.order {
            ByteOrder::Little => element.iter().rev().fold(0, append),
            ByteOrder::Big => element.iter().fold(0, append),
        };
        let (offset, precision) = (u32::from(self.bits.offset), u32::from(self.bits.precision));
        if precision == 0 || offset + precision > 64 {
            return None;
        }
        let unused = 64 - precision;
        let aligned = raw >> offset << unused;
        Some(if self.signed { i128::from(aligned as i64 >> unused) } else { i128::from(aligned >> unused) })
    }

    pub(super) fn read(cursor: &mut Cursor<'_>, head: &Head) -> Result<Self> {
        let signed = head.bits[0] & 8 != 0;
        let bits = BitRange::read(cursor, head.size)?;
        Ok(Self { size: head.size, order: head.order(), signed, bits, padding: head.padding() })
    }
}

impl Class for Integer {
    fn number(&self) -> u8 {
        0
    }
    fn bits(&self) -> [u8; 3] {
        [self.order.bit() | self.padding.bits() | u8::from(self.signed) << 3, 0, 0]
    }
    fn size(&self) -> u32 {
        self.size
    }
    fn put_properties(&self, out: &mut Vec<u8>) {
        self.bits.put(out);
    }
}

impl fmt::Display for Integer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.signed { "i" } else { "u" };
        let order = if self.size == 1 { "" } else { self.order.suffix() };
        write!(f, "{sign}{}{order}", u64::from(self.size) * 8)?;
        self.bits.show(f, self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_values() {
        let odd = Integer { bits: BitRange { offset: 3, precision: 12 }, ..Integer::new(2, true, ByteOrder::Big) };
        let rows = [
            (Integer::new(1, true, ByteOrder::Little), vec![0xff], Some(-1)),
            (Integer::new(1, false, ByteOrder::Little), vec![0xff], Some(255)),
            (Integer::new(4, true, ByteOrder::Big), vec![0xff, 0xff, 0xff, 0xfe], Some(-2)),
            (Integer::new(8, false, ByteOrder::Little), vec![0xff; 8], Some(i128::from(u64::MAX))),
            (Integer::new(8, true, ByteOrder::Little), vec![0xff; 8], Some(-1)),
            (odd, vec![0x7f, 0xf8], Some(-1)),
            (odd, vec![0x00, 0x0f], Some(1)),
            (odd, vec![0], None),
            (Integer::new(16, true, ByteOrder::Little), vec![0; 16], None),
        ];
        for (integer, element, value) in rows {
            assert_eq!(integer.value(&element), value, "{integer} of {element:02x?}");
        }
    }
}

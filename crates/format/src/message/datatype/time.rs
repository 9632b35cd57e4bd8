//! Class 2: times, which libhdf5 stores but never understood.

use std::fmt;

use super::bits::ByteOrder;
use super::class::{Class, Head};
use crate::{Cursor, Put, Result};

/// A time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Time {
    /// Bytes of an element.
    pub size: u32,
    /// Its byte order.
    pub order: ByteOrder,
    /// How many bits count.
    pub precision: u16,
}

impl Time {
    pub(super) fn read(cursor: &mut Cursor<'_>, head: &Head) -> Result<Self> {
        Ok(Self { size: head.size, order: head.order(), precision: cursor.u16("bit precision")? })
    }
}

impl Class for Time {
    fn number(&self) -> u8 {
        2
    }
    fn bits(&self) -> [u8; 3] {
        [self.order.bit(), 0, 0]
    }
    fn size(&self) -> u32 {
        self.size
    }
    fn put_properties(&self, out: &mut Vec<u8>) {
        out.put_u16(self.precision);
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "time{}{}", self.precision, self.order.suffix())
    }
}

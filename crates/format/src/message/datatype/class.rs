//! What the messages of all classes have in common.

use std::fmt;

use super::bits::{BitPadding, ByteOrder};
use crate::message::text::Name;
use crate::{Cursor, Put, Result};

/// A datatype of one class, as its message is written.
pub(super) trait Class: fmt::Display {
    /// The class's number.
    fn number(&self) -> u8;

    /// The class bit field.
    fn bits(&self) -> [u8; 3] {
        [0; 3]
    }

    /// Bytes of an element in the file.
    fn size(&self) -> u32;

    /// Appends the properties, which come after the fixed part.
    fn put_properties(&self, out: &mut Vec<u8>);

    /// The lowest version of the message that can carry the type; for the packed classes the lowest that packs.
    fn version(&self) -> u8 {
        1
    }

    /// Whether elements point into a global heap.
    fn uses_global_heap(&self) -> bool {
        false
    }
}

/// The fixed part of every datatype message.
pub(super) struct Head {
    pub(super) version: u8,
    pub(super) bits: [u8; 3],
    pub(super) size: u32,
}

impl Head {
    pub(super) fn order(&self) -> ByteOrder {
        if self.bits[0] & 1 == 0 { ByteOrder::Little } else { ByteOrder::Big }
    }

    pub(super) fn padding(&self) -> BitPadding {
        BitPadding { low: self.bits[0] & 2 != 0, high: self.bits[0] & 4 != 0 }
    }

    pub(super) fn low_nibble(&self) -> u8 {
        self.bits[0] & 0x0f
    }

    pub(super) fn high_nibble(&self) -> u8 {
        self.bits[0] >> 4
    }

    pub(super) fn member_count(&self) -> u16 {
        u16::from_le_bytes([self.bits[0], self.bits[1]])
    }

    pub(super) fn require_size(&self, cursor: &Cursor<'_>, size: u64, contradiction: &'static str) -> Result<()> {
        if u64::from(self.size) == size {
            Ok(())
        } else {
            Err(cursor.bad_value("size", self.size.into(), contradiction))
        }
    }
}

/// The bits that say how many members there are.
pub(super) fn member_count_bits(count: usize) -> [u8; 3] {
    assert!(count <= usize::from(u16::MAX), "datatype of {count} members");
    let [low, high] = (count as u16).to_le_bytes();
    [low, high, 0]
}

/// Appends a member's name as versions from 3 on have it.
pub(super) fn put_name(out: &mut Vec<u8>, name: &Name) {
    out.extend_from_slice(name.as_bytes());
    out.put_u8(0);
}

/// Reads a member's name.
pub(super) fn read_name(cursor: &mut Cursor<'_>, version: u8, field: &'static str) -> Result<Name> {
    let name = cursor.c_string(field)?;
    if version < 3 {
        // Padded to a multiple of eight bytes, the NUL included.
        let padding = (name.len() + 1).next_multiple_of(8) - (name.len() + 1);
        cursor.skip("name padding", padding)?;
    }
    Ok(Name::new(name))
}

//! Class 3: strings of a fixed size; and those of class 9, of any length.

use std::fmt;

use super::Datatype;
use super::class::{Class, Head};
use crate::message::text::{CharacterSet, StringPadding};
use crate::{Cursor, Result};

/// A string of a fixed size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FixedString {
    /// Bytes of an element.
    pub size: u32,
    /// How a shorter string ends.
    pub padding: StringPadding,
    /// Its characters.
    pub character_set: CharacterSet,
}

/// A string of any length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VarLenString {
    /// Bytes of an element: a length, the address of a global heap collection and an index.
    pub size: u32,
    /// How it ends.
    pub padding: StringPadding,
    /// Its characters.
    pub character_set: CharacterSet,
}

impl FixedString {
    pub(super) fn read(cursor: &Cursor<'_>, head: &Head) -> Result<Self> {
        let padding = StringPadding::from_code(cursor, head.low_nibble())?;
        let character_set = CharacterSet::from_code(cursor, head.high_nibble())?;
        Ok(Self { size: head.size, padding, character_set })
    }
}

impl VarLenString {
    /// Reads what the head says; the base type, which does not matter, is behind it.
    pub(super) fn read(cursor: &Cursor<'_>, head: &Head) -> Result<Self> {
        let padding = StringPadding::from_code(cursor, head.high_nibble())?;
        let character_set = CharacterSet::from_code(cursor, head.bits[1] & 0x0f)?;
        Ok(Self { size: head.size, padding, character_set })
    }
}

impl Class for FixedString {
    fn number(&self) -> u8 {
        3
    }
    fn bits(&self) -> [u8; 3] {
        [self.padding.code() | self.character_set.code() << 4, 0, 0]
    }
    fn size(&self) -> u32 {
        self.size
    }
    fn put_properties(&self, _: &mut Vec<u8>) {}
}

impl Class for VarLenString {
    fn number(&self) -> u8 {
        9
    }
    fn bits(&self) -> [u8; 3] {
        [1 | self.padding.code() << 4, self.character_set.code(), 0]
    }
    fn size(&self) -> u32 {
        self.size
    }
    fn put_properties(&self, out: &mut Vec<u8>) {
        // libhdf5 takes strings of any length for sequences of unsigned bytes.
        Datatype::u8().put(out);
    }
    fn uses_global_heap(&self) -> bool {
        true
    }
}

impl fmt::Display for FixedString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "str[{}]", self.size)
    }
}

impl fmt::Display for VarLenString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("vlen str")
    }
}

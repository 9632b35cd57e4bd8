//! Class 9: sequences of any length, kept in a global heap. Strings of any length are of this class, too.

use std::fmt;

use super::class::{Class, Head};
use super::{Datatype, VarLenString};
use crate::{Cursor, Result};

/// A sequence of any length.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VarLen {
    /// Bytes of an element: a length, the address of a global heap collection and an index.
    pub size: u32,
    /// What it is a sequence of.
    pub base: Box<Datatype>,
}

/// Reads a type of the class: a sequence or a string.
pub(super) fn read(cursor: &mut Cursor<'_>, head: &Head, depth: u32) -> Result<Datatype> {
    let base = Datatype::read(cursor, depth + 1)?;
    match head.low_nibble() {
        0 => Ok(Datatype::VarLen(VarLen { size: head.size, base: Box::new(base) })),
        1 => VarLenString::read(cursor, head).map(Datatype::VarLenString),
        other => Err(cursor.bad_value("variable-length type", other.into(), "is neither sequence (0) nor string (1)")),
    }
}

impl Class for VarLen {
    fn number(&self) -> u8 {
        9
    }
    fn size(&self) -> u32 {
        self.size
    }
    fn version(&self) -> u8 {
        self.base.class().version()
    }
    fn put_properties(&self, out: &mut Vec<u8>) {
        self.base.put(out);
    }
    fn uses_global_heap(&self) -> bool {
        true
    }
}

impl fmt::Display for VarLen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vlen {}", self.base)
    }
}

//! Class 7: references to objects, regions and attributes.

use std::fmt;

use super::class::{Class, Head};
use crate::{Cursor, Result, Why};

/// A reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reference {
    /// What it refers to, and how.
    pub kind: ReferenceKind,
    /// Bytes of an element.
    pub size: u32,
}

/// What a reference refers to. The `Std` kinds are those of HDF5 1.12 and later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReferenceKind {
    /// An object, by its address.
    Object,
    /// A region of a dataset, by a global heap object.
    Region,
    /// An object of this or another file.
    StdObject,
    /// A region of a dataset of this or another file.
    StdRegion,
    /// An attribute of an object of this or another file.
    StdAttribute,
}

impl ReferenceKind {
    /// Whether it is of those of HDF5 1.12 and later.
    fn is_standard(self) -> bool {
        matches!(self, Self::StdObject | Self::StdRegion | Self::StdAttribute)
    }
}

impl Reference {
    pub(super) fn read(cursor: &Cursor<'_>, head: &Head) -> Result<Self> {
        let kind = match (head.low_nibble(), head.version) {
            (0, _) => ReferenceKind::Object,
            (1, _) => ReferenceKind::Region,
            (2, 4..) => ReferenceKind::StdObject,
            (3, 4..) => ReferenceKind::StdRegion,
            (4, 4..) => ReferenceKind::StdAttribute,
            (other, _) => return Err(cursor.bad_value("reference type", other.into(), "is not known in this version")),
        };
        if kind.is_standard() && head.high_nibble() != 1 {
            return Err(cursor.error(Why::Version(head.high_nibble())));
        }
        Ok(Self { kind, size: head.size })
    }
}

impl Class for Reference {
    fn number(&self) -> u8 {
        7
    }
    fn bits(&self) -> [u8; 3] {
        let kind = match self.kind {
            ReferenceKind::Object => 0x00,
            ReferenceKind::Region => 0x01,
            ReferenceKind::StdObject => 0x12,
            ReferenceKind::StdRegion => 0x13,
            ReferenceKind::StdAttribute => 0x14,
        };
        [kind, 0, 0]
    }
    fn size(&self) -> u32 {
        self.size
    }
    fn version(&self) -> u8 {
        if self.kind.is_standard() { 4 } else { 1 }
    }
    fn put_properties(&self, _: &mut Vec<u8>) {}
    fn uses_global_heap(&self) -> bool {
        self.kind != ReferenceKind::Object
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            ReferenceKind::Object | ReferenceKind::StdObject => "object reference",
            ReferenceKind::Region | ReferenceKind::StdRegion => "region reference",
            ReferenceKind::StdAttribute => "attribute reference",
        })
    }
}

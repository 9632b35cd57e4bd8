//! Class 10: arrays of a fixed size.

use std::fmt;

use super::Datatype;
use super::class::{Class, Head};
use crate::{Cursor, Put, Result, Why};

const MAX_RANK: u8 = 32;

/// An array of a fixed size.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Array {
    /// Size of each dimension, slowest first.
    pub dims: Vec<u32>,
    /// What it is an array of.
    pub base: Box<Datatype>,
}

impl Array {
    pub(super) fn read(cursor: &mut Cursor<'_>, head: &Head, depth: u32) -> Result<Self> {
        let rank = cursor.u8("dimensionality")?;
        if rank == 0 || rank > MAX_RANK {
            return Err(cursor.bad_value("dimensionality", rank.into(), "is not within 1 to 32"));
        }
        // Version 1 is not meant to have this class, but files with it exist.
        let padded = head.version < 3;
        if padded {
            cursor.skip("reserved", 3)?;
        }
        let dims = (0..rank).map(|_| cursor.u32("dimension size")).collect::<Result<Vec<_>>>()?;
        if padded {
            cursor.skip("permutation indices", usize::from(rank) * 4)?;
        }
        let base = Datatype::read(cursor, depth + 1)?;
        let array = Self::checked(cursor, dims, base)?;
        head.require_size(cursor, array.size().into(), "is not the size of the array's elements together")?;
        Ok(array)
    }

    /// An array whose size can be said.
    pub(super) fn checked(cursor: &Cursor<'_>, dims: Vec<u32>, base: Datatype) -> Result<Self> {
        match dims.iter().try_fold(base.size(), |size, dim| size.checked_mul(*dim)) {
            Some(1..) => Ok(Self { dims, base: Box::new(base) }),
            _ => Err(cursor.error(Why::Unsupported("an array type without elements or of 4 GiB and more"))),
        }
    }
}

impl Class for Array {
    fn number(&self) -> u8 {
        10
    }
    fn size(&self) -> u32 {
        self.dims.iter().fold(self.base.size(), |size, dim| size.saturating_mul(*dim))
    }
    fn version(&self) -> u8 {
        self.base.class().version().max(3)
    }
    fn put_properties(&self, out: &mut Vec<u8>) {
        assert!(self.dims.len() <= usize::from(u8::MAX), "array type of {} dimensions", self.dims.len());
        out.put_u8(self.dims.len() as u8);
        for dim in &self.dims {
            out.put_u32(*dim);
        }
        self.base.put(out);
    }
    fn uses_global_heap(&self) -> bool {
        self.base.uses_global_heap()
    }
}

impl fmt::Display for Array {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (index, dim) in self.dims.iter().enumerate() {
            write!(f, "{}{dim}", if index == 0 { "" } else { "x" })?;
        }
        write!(f, "] {}", self.base)
    }
}

//! Class 11: complex numbers, of HDF5 2.0.

use std::fmt;

use super::class::{Class, Head};
use super::{Datatype, Float};
use crate::{Cursor, Result, Why};

/// A complex number: real part, then imaginary part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Complex {
    /// The type of either part.
    pub base: Float,
}

impl Complex {
    pub(super) fn read(cursor: &mut Cursor<'_>, head: &Head, depth: u32) -> Result<Self> {
        if head.version < 5 {
            return Err(cursor.bad_value("version", head.version.into(), "is too low for a complex type"));
        }
        if head.bits[0] & 0x01 == 0 {
            return Err(cursor.error(Why::Unsupported("a complex type with parts of different types")));
        }
        if head.bits[0] >> 1 & 0x03 != 0 {
            return Err(cursor.error(Why::Unsupported("a complex type in other than rectangular form")));
        }
        let Datatype::Float(base) = Datatype::read(cursor, depth + 1)? else {
            return Err(cursor.error(Why::Unsupported("a complex type of anything but floating-point numbers")));
        };
        head.require_size(cursor, u64::from(base.size) * 2, "is not twice the size of the complex type's parts")?;
        Ok(Self { base })
    }
}

impl Class for Complex {
    fn number(&self) -> u8 {
        11
    }
    fn bits(&self) -> [u8; 3] {
        // Both parts of one type, real and imaginary.
        [1, 0, 0]
    }
    fn size(&self) -> u32 {
        self.base.size.saturating_mul(2)
    }
    fn version(&self) -> u8 {
        5
    }
    fn put_properties(&self, out: &mut Vec<u8>) {
        Datatype::Float(self.base).put(out);
    }
}

impl fmt::Display for Complex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "complex {}", self.base)
    }
}

//! The dataspace message: dimensions (specification IV.A.2.b, versions 1 and 2).

use std::fmt;

use crate::{Cursor, Put, Result, Why, Widths};

/// How many elements there are, and how they are arranged.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Dataspace {
    /// No element at all.
    Null,
    /// One element.
    Scalar,
    /// An array.
    Simple {
        /// Current size of each dimension, slowest first. At least one, at most [`Dataspace::MAX_RANK`].
        dims: Vec<u64>,
        /// Largest size each may grow to, `None` for unlimited; absent means that of `dims`.
        max: Option<Vec<Option<u64>>>,
    },
}

const WHAT: &str = "dataspace message";
const FLAG_MAX: u8 = 0x01;
const FLAG_PERMUTATION: u8 = 0x02;

impl Dataspace {
    /// The most dimensions libhdf5 knows.
    pub const MAX_RANK: usize = 32;

    /// An array that cannot grow.
    #[must_use]
    pub fn fixed(dims: &[u64]) -> Self {
        Self::Simple { dims: dims.to_vec(), max: None }
    }

    /// Number of dimensions; 0 unless it is an array.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.dims().len()
    }

    /// Current size of each dimension; none unless it is an array.
    #[must_use]
    pub fn dims(&self) -> &[u64] {
        match self {
            Self::Null | Self::Scalar => &[],
            Self::Simple { dims, .. } => dims,
        }
    }

    /// Number of elements; `None` if it does not fit 64 bits.
    #[must_use]
    pub fn element_count(&self) -> Option<u64> {
        match self {
            Self::Null => Some(0),
            Self::Scalar => Some(1),
            Self::Simple { dims, .. } if dims.contains(&0) => Some(0),
            Self::Simple { dims, .. } => dims.iter().try_fold(1u64, |count, dim| count.checked_mul(*dim)),
        }
    }

    /// Decodes the message body at address `at`.
    ///
    /// # Errors
    /// An unknown version or class, a rank above the limit, or bytes that end early.
    pub fn decode(bytes: &[u8], at: u64, widths: Widths) -> Result<Self> {
        let mut cursor = Cursor::new(WHAT, at, bytes);
        let version = cursor.u8("version")?;
        let rank = cursor.u8("dimensionality")?;
        let flags = cursor.u8("flags")?;
        let class = match version {
            1 => {
                cursor.skip("reserved", 5)?;
                u8::from(rank > 0)
            }
            2 => cursor.u8("type")?,
            other => return Err(cursor.error(Why::Version(other))),
        };
        if usize::from(rank) > Self::MAX_RANK {
            return Err(cursor.bad_value("dimensionality", rank.into(), "is above the limit of 32"));
        }
        match class {
            0 if rank == 0 => Ok(Self::Scalar),
            2 if rank == 0 => Ok(Self::Null),
            0 | 2 => {
                Err(cursor.bad_value("dimensionality", rank.into(), "is not 0, as a scalar or null dataspace asks for"))
            }
            // libhdf5 takes an array without dimensions for a scalar.
            1 if rank == 0 => Ok(Self::Scalar),
            1 => Self::decode_simple(&mut cursor, rank, flags, widths),
            other => Err(cursor.bad_value("type", other.into(), "is none of scalar (0), simple (1) and null (2)")),
        }
    }

    fn decode_simple(cursor: &mut Cursor<'_>, rank: u8, flags: u8, widths: Widths) -> Result<Self> {
        if flags & FLAG_PERMUTATION != 0 {
            return Err(cursor.error(Why::Unsupported("a dataspace with permuted dimensions")));
        }
        let dims = (0..rank).map(|_| cursor.length("dimension size", widths)).collect::<Result<Vec<_>>>()?;
        if flags & FLAG_MAX == 0 {
            return Ok(Self::Simple { dims, max: None });
        }
        let max =
            (0..rank).map(|_| cursor.length_or_max("dimension maximum size", widths)).collect::<Result<Vec<_>>>()?;
        for (dim, max) in dims.iter().zip(&max) {
            if max.is_some_and(|max| max < *dim) {
                return Err(cursor.bad_value("dimension size", *dim, "is above the maximum size of its dimension"));
            }
        }
        Ok(Self::Simple { dims, max: Some(max) })
    }

    /// The message body, version 2.
    #[must_use]
    pub fn encode(&self, widths: Widths) -> Vec<u8> {
        let class = match self {
            Self::Scalar => 0,
            Self::Simple { .. } => 1,
            Self::Null => 2,
        };
        let mut out = vec![2, self.rank() as u8, self.flags(), class];
        self.put_dims(&mut out, widths);
        out
    }

    /// The message body, version 1. There is no null dataspace in it, so that is written as version 2, as libhdf5 does.
    #[must_use]
    pub fn encode_v1(&self, widths: Widths) -> Vec<u8> {
        if *self == Self::Null {
            return self.encode(widths);
        }
        let mut out = vec![1, self.rank() as u8, self.flags(), 0, 0, 0, 0, 0];
        self.put_dims(&mut out, widths);
        out
    }

    fn flags(&self) -> u8 {
        match self {
            Self::Simple { max: Some(_), .. } => FLAG_MAX,
            _ => 0,
        }
    }

    fn put_dims(&self, out: &mut Vec<u8>, widths: Widths) {
        let Self::Simple { dims, max } = self else { return };
        for dim in dims {
            out.put_length(*dim, widths);
        }
        for max in max.iter().flatten() {
            out.put_length_or_max(*max, widths);
        }
    }
}

impl fmt::Display for Dataspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Scalar => f.write_str("scalar"),
            Self::Simple { dims, max } => {
                let unchanged: Vec<_> = dims.iter().map(|dim| Some(*dim)).collect();
                let max = max.as_ref().unwrap_or(&unchanged);
                f.write_str("{")?;
                for (index, (dim, max)) in dims.iter().zip(max).enumerate() {
                    f.write_str(if index == 0 { "" } else { ", " })?;
                    match max {
                        Some(max) if max == dim => write!(f, "{dim}")?,
                        Some(max) => write!(f, "{dim}/{max}")?,
                        None => write!(f, "{dim}/Inf")?,
                    }
                }
                f.write_str("}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::testing::{hex, reads, reads_and_writes};

    fn decode(bytes: &[u8]) -> Result<Dataspace> {
        Dataspace::decode(bytes, 0, Widths::EIGHT)
    }

    #[test]
    fn reads_and_writes_what_libhdf5_wrote() {
        let rows = [
            ("02000000", Dataspace::Scalar),
            ("02000002", Dataspace::Null),
            ("02010001 0400000000000000", Dataspace::fixed(&[4])),
            (
                "02020101 2800000000000000 0500000000000000 ffffffffffffffff 2c01000000000000",
                Dataspace::Simple { dims: vec![40, 5], max: Some(vec![None, Some(300)]) },
            ),
        ];
        for (bytes, expected) in rows {
            reads_and_writes(&hex(bytes), &expected, decode, |space| space.encode(Widths::EIGHT));
        }
        let rows = [
            ("0100000000000000", Dataspace::Scalar),
            (
                "0101010000000000 0400000000000000 0400000000000000",
                Dataspace::Simple { dims: vec![4], max: Some(vec![Some(4)]) },
            ),
        ];
        for (bytes, expected) in rows {
            reads_and_writes(&hex(bytes), &expected, decode, |space| space.encode_v1(Widths::EIGHT));
        }
        assert_eq!(Dataspace::Null.encode_v1(Widths::EIGHT), hex("02000002"));
    }

    #[test]
    fn sizes_have_the_width_of_lengths() {
        let widths = Widths { offset: 8, length: 4 };
        let space = Dataspace::Simple { dims: vec![200], max: Some(vec![None]) };
        let bytes = hex("02010101 c8000000 ffffffff");
        assert_eq!(space.encode(widths), bytes);
        reads(&bytes, &space, |bytes| Dataspace::decode(bytes, 0, widths));
    }

    #[test]
    fn refuses_what_cannot_be() {
        let refused = [
            "03010001 0400000000000000",
            "02010003 0400000000000000",
            "02010000 0400000000000000",
            "02210001",
            "02010101 0400000000000000 0300000000000000",
            "0101020000000000 0400000000000000",
        ];
        for bytes in refused {
            assert!(decode(&hex(bytes)).is_err(), "{bytes}");
        }
    }

    #[test]
    fn counts_and_shows() {
        let grows = Dataspace::Simple { dims: vec![40, 5, 2], max: Some(vec![None, Some(5), Some(9)]) };
        assert_eq!(grows.element_count(), Some(400));
        assert_eq!(grows.to_string(), "{40/Inf, 5, 2/9}");
        assert_eq!(Dataspace::fixed(&[u64::MAX, 2]).element_count(), None);
        assert_eq!(Dataspace::fixed(&[u64::MAX, 2, 0]).element_count(), Some(0));
        assert_eq!((Dataspace::Null.element_count(), Dataspace::Scalar.element_count()), (Some(0), Some(1)));
    }
}

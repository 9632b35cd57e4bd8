//! The datatype message: what an element is (specification IV.A.2.d, versions 1 to 5), a file for each class.
//!
//! Version 5 and its class 11, complex numbers, came with HDF5 2.0 and are not in the specification's text yet. A
//! datatype is written in the lowest version that can carry it, but compound types and enumerations in version 3, which
//! packs them.

mod array;
mod bitfield;
mod bits;
mod class;
mod complex;
mod compound;
mod enumeration;
mod float;
mod integer;
mod opaque;
mod reference;
mod string;
#[cfg(test)]
mod tests;
mod time;
mod var_len;

use std::fmt;

pub use self::array::Array;
pub use self::bitfield::Bitfield;
pub use self::bits::{BitPadding, BitRange, ByteOrder};
pub use self::complex::Complex;
pub use self::compound::{Compound, Member};
pub use self::enumeration::{Enum, EnumMember};
pub use self::float::{Float, FloatField, FloatOrder, Normalization};
pub use self::integer::Integer;
pub use self::opaque::Opaque;
pub use self::reference::{Reference, ReferenceKind};
pub use self::string::{FixedString, VarLenString};
pub use self::time::Time;
pub use self::var_len::VarLen;

use self::class::{Class, Head};
use super::text::{CharacterSet, Name, StringPadding};
use crate::{Cursor, Put, Result, Why};

/// The type of an element.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Datatype {
    /// Class 0: integers.
    Integer(Integer),
    /// Class 1: floating-point numbers.
    Float(Float),
    /// Class 2: times, which libhdf5 stores but never understood.
    Time(Time),
    /// Class 3: strings of a fixed size.
    String(FixedString),
    /// Class 4: bits without a value.
    Bitfield(Bitfield),
    /// Class 5: bytes with a tag.
    Opaque(Opaque),
    /// Class 6: named members.
    Compound(Compound),
    /// Class 7: references to objects, regions and attributes.
    Reference(Reference),
    /// Class 8: named integers.
    Enum(Enum),
    /// Class 9: sequences of any length, kept in a global heap.
    VarLen(VarLen),
    /// Class 9 too: strings of any length, kept in a global heap.
    VarLenString(VarLenString),
    /// Class 10: arrays of a fixed size.
    Array(Array),
    /// Class 11: complex numbers (HDF5 2.0).
    Complex(Complex),
}

const WHAT: &str = "datatype message";
/// Nothing sensible nests deeper, and a damaged file must not exhaust the stack.
const MAX_DEPTH: u32 = 32;
/// Length, address and index of a sequence in a global heap, with addresses of 8 bytes.
const VAR_LEN_SIZE: u32 = 16;

impl Datatype {
    /// Little-endian integer of `size` bytes.
    #[must_use]
    pub fn integer(size: u32, signed: bool) -> Self {
        Self::Integer(Integer::new(size, signed, ByteOrder::Little))
    }

    /// Signed integer of 1 byte.
    #[must_use]
    pub fn i8() -> Self {
        Self::integer(1, true)
    }

    /// Signed little-endian integer of 2 bytes.
    #[must_use]
    pub fn i16() -> Self {
        Self::integer(2, true)
    }

    /// Signed little-endian integer of 4 bytes.
    #[must_use]
    pub fn i32() -> Self {
        Self::integer(4, true)
    }

    /// Signed little-endian integer of 8 bytes.
    #[must_use]
    pub fn i64() -> Self {
        Self::integer(8, true)
    }

    /// Unsigned integer of 1 byte.
    #[must_use]
    pub fn u8() -> Self {
        Self::integer(1, false)
    }

    /// Unsigned little-endian integer of 2 bytes.
    #[must_use]
    pub fn u16() -> Self {
        Self::integer(2, false)
    }

    /// Unsigned little-endian integer of 4 bytes.
    #[must_use]
    pub fn u32() -> Self {
        Self::integer(4, false)
    }

    /// Unsigned little-endian integer of 8 bytes.
    #[must_use]
    pub fn u64() -> Self {
        Self::integer(8, false)
    }

    /// IEEE half precision, little-endian.
    #[must_use]
    pub fn f16() -> Self {
        Self::Float(Float::F16)
    }

    /// IEEE single precision, little-endian.
    #[must_use]
    pub fn f32() -> Self {
        Self::Float(Float::F32)
    }

    /// IEEE double precision, little-endian.
    #[must_use]
    pub fn f64() -> Self {
        Self::Float(Float::F64)
    }

    /// h5py's booleans: an enumeration FALSE, TRUE of one byte.
    #[must_use]
    pub fn boolean() -> Self {
        let member = |name: &str, value| EnumMember { name: name.into(), value: vec![value] };
        let base = Integer::new(1, true, ByteOrder::Little);
        Self::Enum(Enum { base, members: vec![member("FALSE", 0), member("TRUE", 1)] })
    }

    /// h5py's complex numbers of twice 4 bytes: a compound type of `r` and `i`.
    #[must_use]
    pub fn complex64() -> Self {
        Self::compound([("r", Self::f32()), ("i", Self::f32())])
    }

    /// h5py's complex numbers of twice 8 bytes: a compound type of `r` and `i`.
    #[must_use]
    pub fn complex128() -> Self {
        Self::compound([("r", Self::f64()), ("i", Self::f64())])
    }

    /// A compound type with these members, one after the other without gaps.
    #[must_use]
    pub fn compound<'a>(members: impl IntoIterator<Item = (&'a str, Self)>) -> Self {
        let mut size = 0u32;
        let place = |(name, datatype): (&str, Self)| {
            let offset = size;
            size = size.saturating_add(datatype.size());
            Member { name: name.into(), offset, datatype }
        };
        let members = members.into_iter().map(place).collect();
        Self::Compound(Compound { size, members })
    }

    /// A UTF-8 string of `size` bytes, padded with NULs.
    #[must_use]
    pub fn fixed_string(size: u32) -> Self {
        Self::String(FixedString { size, padding: StringPadding::NullPad, character_set: CharacterSet::Utf8 })
    }

    /// UTF-8 strings of any length, in a file with addresses of 8 bytes.
    #[must_use]
    pub fn var_len_string() -> Self {
        let (padding, character_set) = (StringPadding::NullTerminate, CharacterSet::Utf8);
        Self::VarLenString(VarLenString { size: VAR_LEN_SIZE, padding, character_set })
    }

    /// Sequences of any length, in a file with addresses of 8 bytes.
    #[must_use]
    pub fn var_len(base: Self) -> Self {
        Self::VarLen(VarLen { size: VAR_LEN_SIZE, base: Box::new(base) })
    }

    /// An array of a fixed size.
    #[must_use]
    pub fn array(dims: &[u32], base: Self) -> Self {
        Self::Array(Array { dims: dims.to_vec(), base: Box::new(base) })
    }

    /// `size` bytes with a tag.
    #[must_use]
    pub fn opaque(size: u32, tag: impl Into<Name>) -> Self {
        Self::Opaque(Opaque { size, tag: tag.into() })
    }

    /// A reference to an object, in a file with addresses of 8 bytes.
    #[must_use]
    pub fn object_reference() -> Self {
        Self::Reference(Reference { kind: ReferenceKind::Object, size: 8 })
    }

    /// A reference to a region of a dataset, in a file with addresses of 8 bytes.
    #[must_use]
    pub fn region_reference() -> Self {
        Self::Reference(Reference { kind: ReferenceKind::Region, size: 12 })
    }

    /// Bytes of an element in the file.
    #[must_use]
    pub fn size(&self) -> u32 {
        self.class().size()
    }

    /// Whether elements point into a global heap, so that copying their bytes to another file does not copy them.
    #[must_use]
    pub fn uses_global_heap(&self) -> bool {
        self.class().uses_global_heap()
    }

    /// Decodes the message body at address `at`; `bytes` may hold more than it.
    ///
    /// # Errors
    /// An unknown version or class, fields that contradict each other, nesting beyond reason, or bytes that end early.
    pub fn decode(bytes: &[u8], at: u64) -> Result<Self> {
        Self::read(&mut Cursor::new(WHAT, at, bytes), 0)
    }

    /// The message body.
    ///
    /// # Panics
    /// More than 65535 members of a compound type or enumeration, an array of more than 255 dimensions or a tag of more
    /// than 248 bytes, which no message can say: the caller's mistake.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.put(&mut out);
        out
    }

    fn class(&self) -> &dyn Class {
        match self {
            Self::Integer(class) => class,
            Self::Float(class) => class,
            Self::Time(class) => class,
            Self::String(class) => class,
            Self::Bitfield(class) => class,
            Self::Opaque(class) => class,
            Self::Compound(class) => class,
            Self::Reference(class) => class,
            Self::Enum(class) => class,
            Self::VarLen(class) => class,
            Self::VarLenString(class) => class,
            Self::Array(class) => class,
            Self::Complex(class) => class,
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        let class = self.class();
        out.put_u8(class.version() << 4 | class.number());
        out.extend_from_slice(&class.bits());
        out.put_u32(class.size());
        class.put_properties(out);
    }

    fn read(cursor: &mut Cursor<'_>, depth: u32) -> Result<Self> {
        if depth > MAX_DEPTH {
            return Err(cursor.error(Why::Unsupported("a datatype nested more than 32 deep")));
        }
        let class_and_version = cursor.u8("class and version")?;
        let (version, class) = (class_and_version >> 4, class_and_version & 0x0f);
        if !(1..=5).contains(&version) {
            return Err(cursor.error(Why::Version(version)));
        }
        let bits = cursor.array("class bit field")?;
        let size = cursor.u32("size")?;
        if size == 0 {
            return Err(cursor.bad_value("size", 0, "leaves no element"));
        }
        let head = Head { version, bits, size };
        Ok(match class {
            0 => Self::Integer(Integer::read(cursor, &head)?),
            1 => Self::Float(Float::read(cursor, &head)?),
            2 => Self::Time(Time::read(cursor, &head)?),
            3 => Self::String(FixedString::read(cursor, &head)?),
            4 => Self::Bitfield(Bitfield::read(cursor, &head)?),
            5 => Self::Opaque(Opaque::read(cursor, &head)?),
            6 => Self::Compound(Compound::read(cursor, &head, depth)?),
            7 => Self::Reference(Reference::read(cursor, &head)?),
            8 => Self::Enum(Enum::read(cursor, &head, depth)?),
            9 => var_len::read(cursor, &head, depth)?,
            10 => Self::Array(Array::read(cursor, &head, depth)?),
            11 => Self::Complex(Complex::read(cursor, &head, depth)?),
            other => return Err(cursor.bad_value("class", other.into(), "is above 11, the last there is")),
        })
    }
}

impl fmt::Display for Datatype {
    /// A short notation: `i32`, `u16be`, `f64`, `str[5]`, `{x: f32, y: f32}`, `[2x3] i8`, `vlen str`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.class().fmt(f)
    }
}

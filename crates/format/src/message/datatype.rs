//! The datatype message: what an element is (specification IV.A.2.d, versions 1 to 5).
//!
//! Version 5 and its class 11, complex numbers, came with HDF5 2.0 and are not in the specification's text yet. A
//! datatype is written in the lowest version that can carry it, but compound types and enumerations in version 3, which
//! packs them.

use std::fmt;

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

/// Byte order of integers, bit fields and times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ByteOrder {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

/// Byte order of floating-point numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FloatOrder {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
    /// Little-endian 16-bit words, most significant word first.
    Vax,
}

/// The bits of an element that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BitRange {
    /// Number of the first, from the least significant.
    pub offset: u16,
    /// How many.
    pub precision: u16,
}

impl BitRange {
    /// All bits of an element of `size` bytes.
    #[must_use]
    pub fn all(size: u32) -> Self {
        Self { offset: 0, precision: size.saturating_mul(8).min(u32::from(u16::MAX)) as u16 }
    }
}

/// What the bits outside the [`BitRange`] are set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct BitPadding {
    /// Those below.
    pub low: bool,
    /// Those above.
    pub high: bool,
}

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

/// A floating-point number: `(-1)^sign * mantissa * 2^(exponent - bias)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Float {
    /// Bytes of an element.
    pub size: u32,
    /// Its byte order.
    pub order: FloatOrder,
    /// The bits that count.
    pub bits: BitRange,
    /// Number of the sign bit, from the least significant of the element.
    pub sign: u8,
    /// The exponent.
    pub exponent: FloatField,
    /// The mantissa.
    pub mantissa: FloatField,
    /// What is subtracted from the exponent.
    pub bias: u32,
    /// What is done with the mantissa's first bit.
    pub normalization: Normalization,
    /// What bits outside `bits` are set to.
    pub padding: BitPadding,
    /// What bits inside `bits` are set to that belong to no field.
    pub internal_padding: bool,
}

/// A part of a floating-point number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FloatField {
    /// Number of its first bit, from the least significant of the element.
    pub offset: u8,
    /// How many bits it has.
    pub bits: u8,
}

/// The first bit of a mantissa.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Normalization {
    /// As it comes.
    None,
    /// Always set, except for zero.
    AlwaysSet,
    /// Set, and not stored: as IEEE has it.
    Implied,
}

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

/// Bits without a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Bitfield {
    /// Bytes of an element.
    pub size: u32,
    /// Its byte order.
    pub order: ByteOrder,
    /// The bits that count.
    pub bits: BitRange,
    /// The others.
    pub padding: BitPadding,
}

/// Bytes whose meaning is not HDF5's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Opaque {
    /// Bytes of an element.
    pub size: u32,
    /// What they are, in a word of at most 248 bytes.
    pub tag: Name,
}

/// Named members, each at its own offset.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Compound {
    /// Bytes of an element, gaps included.
    pub size: u32,
    /// The members, in the order of their definition.
    pub members: Vec<Member>,
}

/// A member of a compound type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Member {
    /// Its name.
    pub name: Name,
    /// Bytes from the start of the element.
    pub offset: u32,
    /// Its type.
    pub datatype: Datatype,
}

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

/// Integers with names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Enum {
    /// The integers.
    pub base: Integer,
    /// The names.
    pub members: Vec<EnumMember>,
}

/// An integer with a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EnumMember {
    /// The name.
    pub name: Name,
    /// The integer as an element holds it: as many bytes as the base type has, in its byte order.
    pub value: Vec<u8>,
}

/// A sequence of any length.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VarLen {
    /// Bytes of an element: a length, the address of a global heap collection and an index.
    pub size: u32,
    /// What it is a sequence of.
    pub base: Box<Datatype>,
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

/// An array of a fixed size.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Array {
    /// Size of each dimension, slowest first.
    pub dims: Vec<u32>,
    /// What it is an array of.
    pub base: Box<Datatype>,
}

/// A complex number: real part, then imaginary part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Complex {
    /// The type of either part.
    pub base: Float,
}

const WHAT: &str = "datatype message";
/// Nothing sensible nests deeper, and a damaged file must not exhaust the stack.
const MAX_DEPTH: u32 = 32;
const MAX_RANK: u8 = 32;
/// The longest tag of an opaque type: a multiple of eight that fits into a byte.
const MAX_TAG_SIZE: u8 = 248;
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
        match self {
            Self::Integer(Integer { size, .. })
            | Self::Float(Float { size, .. })
            | Self::Time(Time { size, .. })
            | Self::String(FixedString { size, .. })
            | Self::Bitfield(Bitfield { size, .. })
            | Self::Opaque(Opaque { size, .. })
            | Self::Compound(Compound { size, .. })
            | Self::Reference(Reference { size, .. })
            | Self::VarLen(VarLen { size, .. })
            | Self::VarLenString(VarLenString { size, .. }) => *size,
            Self::Enum(Enum { base, .. }) => base.size,
            Self::Array(Array { dims, base }) => dims.iter().fold(base.size(), |size, dim| size.saturating_mul(*dim)),
            Self::Complex(Complex { base }) => base.size.saturating_mul(2),
        }
    }

    /// Whether elements point into a global heap, so that copying their bytes to another file does not copy them.
    #[must_use]
    pub fn uses_global_heap(&self) -> bool {
        match self {
            Self::VarLen(_) | Self::VarLenString(_) => true,
            Self::Reference(reference) => reference.kind != ReferenceKind::Object,
            Self::Compound(compound) => compound.members.iter().any(|member| member.datatype.uses_global_heap()),
            Self::Array(array) => array.base.uses_global_heap(),
            _ => false,
        }
    }

    /// Decodes the message body at address `at`; `bytes` may hold more than it.
    ///
    /// # Errors
    /// An unknown version or class, fields that contradict each other, nesting beyond reason, or bytes that end early.
    pub fn decode(bytes: &[u8], at: u64) -> Result<Self> {
        read(&mut Cursor::new(WHAT, at, bytes), 0)
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

    /// The lowest version of the message that can carry the type; for the packed classes the lowest that packs.
    fn version(&self) -> u8 {
        match self {
            Self::Float(float) if float.order == FloatOrder::Vax => 3,
            Self::Reference(reference) => match reference.kind {
                ReferenceKind::Object | ReferenceKind::Region => 1,
                ReferenceKind::StdObject | ReferenceKind::StdRegion | ReferenceKind::StdAttribute => 4,
            },
            Self::Compound(compound) => {
                compound.members.iter().map(|member| member.datatype.version()).fold(3, u8::max)
            }
            Self::Enum(_) => 3,
            Self::Array(array) => array.base.version().max(3),
            Self::VarLen(sequence) => sequence.base.version(),
            Self::Complex(_) => 5,
            _ => 1,
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        let (class, bits) = self.class_and_bits();
        out.put_u8(self.version() << 4 | class);
        out.extend_from_slice(&bits);
        out.put_u32(self.size());
        match self {
            Self::Integer(Integer { bits, .. }) | Self::Bitfield(Bitfield { bits, .. }) => put_bit_range(out, *bits),
            Self::Float(float) => {
                put_bit_range(out, float.bits);
                let FloatField { offset: exponent, bits: exponent_bits } = float.exponent;
                let FloatField { offset: mantissa, bits: mantissa_bits } = float.mantissa;
                out.extend_from_slice(&[exponent, exponent_bits, mantissa, mantissa_bits]);
                out.put_u32(float.bias);
            }
            Self::Time(time) => out.put_u16(time.precision),
            Self::String(_) | Self::Reference(_) => {}
            Self::Opaque(opaque) => {
                let end = out.len() + opaque.padded_tag_size();
                out.extend_from_slice(opaque.tag.as_bytes());
                out.resize(end, 0);
            }
            Self::Compound(compound) => {
                let width = offset_width(compound.size);
                for member in &compound.members {
                    put_name(out, &member.name);
                    out.put_uint(member.offset.into(), width);
                    member.datatype.put(out);
                }
            }
            Self::Enum(Enum { base, members }) => {
                Self::Integer(*base).put(out);
                for member in members {
                    put_name(out, &member.name);
                }
                for member in members {
                    assert!(
                        member.value.len() == base.size as usize,
                        "enumeration value of another size than its type"
                    );
                    out.extend_from_slice(&member.value);
                }
            }
            Self::VarLen(sequence) => sequence.base.put(out),
            // libhdf5 takes strings of any length for sequences of unsigned bytes.
            Self::VarLenString(_) => Self::u8().put(out),
            Self::Array(Array { dims, base }) => {
                assert!(dims.len() <= usize::from(u8::MAX), "array type of {} dimensions", dims.len());
                out.put_u8(dims.len() as u8);
                for dim in dims {
                    out.put_u32(*dim);
                }
                base.put(out);
            }
            Self::Complex(Complex { base }) => Self::Float(*base).put(out),
        }
    }

    fn class_and_bits(&self) -> (u8, [u8; 3]) {
        match self {
            Self::Integer(Integer { order, signed, padding, .. }) => {
                (0, [order_bit(*order) | padding_bits(*padding) | u8::from(*signed) << 3, 0, 0])
            }
            Self::Float(float) => {
                let order = match float.order {
                    FloatOrder::Little => 0,
                    FloatOrder::Big => 0x01,
                    FloatOrder::Vax => 0x41,
                };
                let normalization = match float.normalization {
                    Normalization::None => 0,
                    Normalization::AlwaysSet => 1,
                    Normalization::Implied => 2,
                };
                let padding = padding_bits(float.padding) | u8::from(float.internal_padding) << 3;
                (1, [order | padding | normalization << 4, float.sign, 0])
            }
            Self::Time(time) => (2, [order_bit(time.order), 0, 0]),
            Self::String(string) => (3, [string.padding.code() | string.character_set.code() << 4, 0, 0]),
            Self::Bitfield(Bitfield { order, padding, .. }) => (4, [order_bit(*order) | padding_bits(*padding), 0, 0]),
            Self::Opaque(opaque) => (5, [opaque.padded_tag_size() as u8, 0, 0]),
            Self::Compound(compound) => (6, member_count_bits(compound.members.len())),
            Self::Reference(reference) => {
                let kind = match reference.kind {
                    ReferenceKind::Object => 0x00,
                    ReferenceKind::Region => 0x01,
                    ReferenceKind::StdObject => 0x12,
                    ReferenceKind::StdRegion => 0x13,
                    ReferenceKind::StdAttribute => 0x14,
                };
                (7, [kind, 0, 0])
            }
            Self::Enum(Enum { members, .. }) => (8, member_count_bits(members.len())),
            Self::VarLen(_) => (9, [0, 0, 0]),
            Self::VarLenString(string) => (9, [1 | string.padding.code() << 4, string.character_set.code(), 0]),
            Self::Array(_) => (10, [0, 0, 0]),
            // Both parts of one type, real and imaginary.
            Self::Complex(_) => (11, [1, 0, 0]),
        }
    }
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
}

impl Float {
    /// IEEE half precision, little-endian.
    pub const F16: Self = Self::ieee(2, 10, 5, 15);
    /// IEEE single precision, little-endian.
    pub const F32: Self = Self::ieee(4, 23, 8, 127);
    /// IEEE double precision, little-endian.
    pub const F64: Self = Self::ieee(8, 52, 11, 1023);
    /// "Brain" floating-point numbers: single precision without its lower half.
    pub const BF16: Self = Self::ieee(2, 7, 8, 127);

    const fn ieee(size: u8, mantissa: u8, exponent: u8, bias: u32) -> Self {
        Self {
            size: size as u32,
            order: FloatOrder::Little,
            bits: BitRange { offset: 0, precision: size as u16 * 8 },
            sign: size * 8 - 1,
            exponent: FloatField { offset: mantissa, bits: exponent },
            mantissa: FloatField { offset: 0, bits: mantissa },
            bias,
            normalization: Normalization::Implied,
            padding: BitPadding { low: false, high: false },
            internal_padding: false,
        }
    }

    /// The same in another byte order.
    #[must_use]
    pub const fn in_order(mut self, order: FloatOrder) -> Self {
        self.order = order;
        self
    }
}

impl Enum {
    /// The name of an element's value, if it has one.
    #[must_use]
    pub fn name_of(&self, element: &[u8]) -> Option<&Name> {
        self.members.iter().find(|member| member.value == element).map(|member| &member.name)
    }

    /// Whether it is what h5py takes for booleans.
    #[must_use]
    pub fn is_boolean(&self) -> bool {
        let [no, yes] = self.members.as_slice() else { return false };
        let is = |member: &EnumMember, name: &str, value| {
            member.name == *name && self.base.value(&member.value) == Some(value)
        };
        self.base.size == 1 && is(no, "FALSE", 0) && is(yes, "TRUE", 1)
    }
}

impl Opaque {
    /// Bytes of the tag with its padding: a multiple of eight.
    fn padded_tag_size(&self) -> usize {
        let size = self.tag.as_bytes().len().next_multiple_of(8);
        assert!(size <= MAX_TAG_SIZE.into(), "opaque tag of more than 248 bytes");
        size
    }
}

fn order_bit(order: ByteOrder) -> u8 {
    match order {
        ByteOrder::Little => 0,
        ByteOrder::Big => 1,
    }
}

fn padding_bits(padding: BitPadding) -> u8 {
    u8::from(padding.low) << 1 | u8::from(padding.high) << 2
}

fn member_count_bits(count: usize) -> [u8; 3] {
    assert!(count <= usize::from(u16::MAX), "datatype of {count} members");
    let [low, high] = (count as u16).to_le_bytes();
    [low, high, 0]
}

fn put_bit_range(out: &mut Vec<u8>, bits: BitRange) {
    out.put_u16(bits.offset);
    out.put_u16(bits.precision);
}

fn put_name(out: &mut Vec<u8>, name: &Name) {
    out.extend_from_slice(name.as_bytes());
    out.put_u8(0);
}

/// Bytes of a member's offset in version 3 and later: as many as the compound's size needs.
fn offset_width(size: u32) -> usize {
    match size {
        0..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xff_ffff => 3,
        _ => 4,
    }
}

/// The fixed part of every datatype message.
struct Head {
    version: u8,
    bits: [u8; 3],
    size: u32,
}

impl Head {
    fn order(&self) -> ByteOrder {
        if self.bits[0] & 1 == 0 { ByteOrder::Little } else { ByteOrder::Big }
    }

    fn padding(&self) -> BitPadding {
        BitPadding { low: self.bits[0] & 2 != 0, high: self.bits[0] & 4 != 0 }
    }

    fn low_nibble(&self) -> u8 {
        self.bits[0] & 0x0f
    }

    fn high_nibble(&self) -> u8 {
        self.bits[0] >> 4
    }

    fn member_count(&self) -> u16 {
        u16::from_le_bytes([self.bits[0], self.bits[1]])
    }

    fn require_size(&self, cursor: &Cursor<'_>, size: u64, contradiction: &'static str) -> Result<()> {
        if u64::from(self.size) == size {
            Ok(())
        } else {
            Err(cursor.bad_value("size", self.size.into(), contradiction))
        }
    }
}

fn read(cursor: &mut Cursor<'_>, depth: u32) -> Result<Datatype> {
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
    match class {
        0 => read_integer(cursor, &head),
        1 => read_float(cursor, &head),
        2 => Ok(Datatype::Time(Time { size, order: head.order(), precision: cursor.u16("bit precision")? })),
        3 => {
            let padding = StringPadding::from_code(cursor, head.low_nibble())?;
            let character_set = CharacterSet::from_code(cursor, head.high_nibble())?;
            Ok(Datatype::String(FixedString { size, padding, character_set }))
        }
        4 => {
            let bits = read_bit_range(cursor, size)?;
            Ok(Datatype::Bitfield(Bitfield { size, order: head.order(), bits, padding: head.padding() }))
        }
        5 => {
            let [length, ..] = head.bits;
            if length > MAX_TAG_SIZE {
                return Err(cursor.bad_value("tag length", length.into(), "is above 248"));
            }
            let tag = cursor.take("ASCII tag", length.into())?;
            let tag = tag.split(|byte| *byte == 0).next().unwrap_or_default();
            Ok(Datatype::Opaque(Opaque { size, tag: Name::new(tag) }))
        }
        6 => read_compound(cursor, &head, depth),
        7 => read_reference(cursor, &head),
        8 => read_enum(cursor, &head, depth),
        9 => read_var_len(cursor, &head, depth),
        10 => read_array(cursor, &head, depth),
        11 => read_complex(cursor, &head, depth),
        other => Err(cursor.bad_value("class", other.into(), "is above 11, the last there is")),
    }
}

fn read_bit_range(cursor: &mut Cursor<'_>, size: u32) -> Result<BitRange> {
    let bits = BitRange { offset: cursor.u16("bit offset")?, precision: cursor.u16("bit precision")? };
    let end = u64::from(bits.offset) + u64::from(bits.precision);
    if bits.precision == 0 || end > u64::from(size) * 8 {
        return Err(cursor.bad_value("bit precision", bits.precision.into(), "is 0 or reaches beyond the element"));
    }
    Ok(bits)
}

fn read_integer(cursor: &mut Cursor<'_>, head: &Head) -> Result<Datatype> {
    let signed = head.bits[0] & 8 != 0;
    let bits = read_bit_range(cursor, head.size)?;
    Ok(Datatype::Integer(Integer { size: head.size, order: head.order(), signed, bits, padding: head.padding() }))
}

fn read_float(cursor: &mut Cursor<'_>, head: &Head) -> Result<Datatype> {
    let [flags, sign, _] = head.bits;
    let order = match (flags & 0x40 != 0 && head.version >= 3, head.order()) {
        (false, ByteOrder::Little) => FloatOrder::Little,
        (false, ByteOrder::Big) => FloatOrder::Big,
        (true, ByteOrder::Big) => FloatOrder::Vax,
        (true, ByteOrder::Little) => return Err(cursor.bad_value("byte order", 2, "is reserved")),
    };
    let normalization = match flags >> 4 & 3 {
        0 => Normalization::None,
        1 => Normalization::AlwaysSet,
        2 => Normalization::Implied,
        other => return Err(cursor.bad_value("mantissa normalization", other.into(), "is reserved")),
    };
    let bits = read_bit_range(cursor, head.size)?;
    let exponent = FloatField { offset: cursor.u8("exponent location")?, bits: cursor.u8("exponent size")? };
    let mantissa = FloatField { offset: cursor.u8("mantissa location")?, bits: cursor.u8("mantissa size")? };
    let element = u64::from(head.size) * 8;
    for (field, part) in [("exponent size", exponent), ("mantissa size", mantissa)] {
        if part.bits == 0 || u64::from(part.offset) + u64::from(part.bits) > element {
            return Err(cursor.bad_value(field, part.bits.into(), "is 0 or reaches beyond the element"));
        }
    }
    if u64::from(sign) >= element {
        return Err(cursor.bad_value("sign location", sign.into(), "lies beyond the element"));
    }
    Ok(Datatype::Float(Float {
        size: head.size,
        order,
        bits,
        sign,
        exponent,
        mantissa,
        bias: cursor.u32("exponent bias")?,
        normalization,
        padding: head.padding(),
        internal_padding: flags & 8 != 0,
    }))
}

fn read_compound(cursor: &mut Cursor<'_>, head: &Head, depth: u32) -> Result<Datatype> {
    // The shortest member there is: an empty name, an offset and a string type.
    let count = cursor.checked_count("members", head.member_count().into(), 1 + 1 + 8)?;
    let mut members = Vec::with_capacity(count);
    for _ in 0..count {
        let name = read_name(cursor, head.version, "member name")?;
        let offset = match head.version {
            1 | 2 => cursor.u32("byte offset of member")?,
            _ => cursor.uint("byte offset of member", offset_width(head.size))? as u32,
        };
        let dims = match head.version {
            1 => read_member_dims(cursor)?,
            _ => Vec::new(),
        };
        let mut datatype = read(cursor, depth + 1)?;
        if !dims.is_empty() {
            datatype = checked_array(cursor, dims, datatype)?;
        }
        if u64::from(offset) + u64::from(datatype.size()) > head.size.into() {
            return Err(cursor.bad_value(
                "byte offset of member",
                offset.into(),
                "puts the member's end beyond the element",
            ));
        }
        members.push(Member { name, offset, datatype });
    }
    Ok(Datatype::Compound(Compound { size: head.size, members }))
}

/// Version 1 has arrays as a property of the member, of up to four dimensions.
fn read_member_dims(cursor: &mut Cursor<'_>) -> Result<Vec<u32>> {
    let rank = cursor.u8("dimensionality")?;
    if rank > 4 {
        return Err(cursor.bad_value("dimensionality", rank.into(), "is above 4"));
    }
    cursor.skip("reserved", 3)?;
    cursor.skip("dimension permutation", 4)?;
    cursor.skip("reserved", 4)?;
    let mut dims = Vec::with_capacity(4);
    for _ in 0..4 {
        dims.push(cursor.u32("dimension size")?);
    }
    dims.truncate(rank.into());
    Ok(dims)
}

fn read_name(cursor: &mut Cursor<'_>, version: u8, field: &'static str) -> Result<Name> {
    let name = cursor.c_string(field)?;
    if version < 3 {
        // Padded to a multiple of eight bytes, the NUL included.
        let padding = (name.len() + 1).next_multiple_of(8) - (name.len() + 1);
        cursor.skip("name padding", padding)?;
    }
    Ok(Name::new(name))
}

fn read_reference(cursor: &mut Cursor<'_>, head: &Head) -> Result<Datatype> {
    let kind = match (head.low_nibble(), head.version) {
        (0, _) => ReferenceKind::Object,
        (1, _) => ReferenceKind::Region,
        (2, 4..) => ReferenceKind::StdObject,
        (3, 4..) => ReferenceKind::StdRegion,
        (4, 4..) => ReferenceKind::StdAttribute,
        (other, _) => return Err(cursor.bad_value("reference type", other.into(), "is not known in this version")),
    };
    if matches!(kind, ReferenceKind::StdObject | ReferenceKind::StdRegion | ReferenceKind::StdAttribute) {
        match head.high_nibble() {
            1 => {}
            other => return Err(cursor.error(Why::Version(other))),
        }
    }
    Ok(Datatype::Reference(Reference { kind, size: head.size }))
}

fn read_enum(cursor: &mut Cursor<'_>, head: &Head, depth: u32) -> Result<Datatype> {
    let Datatype::Integer(base) = read(cursor, depth + 1)? else {
        return Err(cursor.error(Why::Unsupported("an enumeration of anything but integers")));
    };
    head.require_size(cursor, base.size.into(), "is not the size of the enumeration's integers")?;
    let least = 1usize.saturating_add(base.size as usize);
    let count = cursor.checked_count("members", head.member_count().into(), least)?;
    let mut members = Vec::with_capacity(count);
    for _ in 0..count {
        members.push(EnumMember { name: read_name(cursor, head.version, "member name")?, value: Vec::new() });
    }
    for member in &mut members {
        member.value = cursor.take("member value", base.size as usize)?.to_vec();
    }
    Ok(Datatype::Enum(Enum { base, members }))
}

fn read_var_len(cursor: &mut Cursor<'_>, head: &Head, depth: u32) -> Result<Datatype> {
    let base = read(cursor, depth + 1)?;
    match head.low_nibble() {
        0 => Ok(Datatype::VarLen(VarLen { size: head.size, base: Box::new(base) })),
        1 => {
            let padding = StringPadding::from_code(cursor, head.high_nibble())?;
            let character_set = CharacterSet::from_code(cursor, head.bits[1] & 0x0f)?;
            Ok(Datatype::VarLenString(VarLenString { size: head.size, padding, character_set }))
        }
        other => Err(cursor.bad_value("variable-length type", other.into(), "is neither sequence (0) nor string (1)")),
    }
}

fn read_array(cursor: &mut Cursor<'_>, head: &Head, depth: u32) -> Result<Datatype> {
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
    let base = read(cursor, depth + 1)?;
    let array = checked_array(cursor, dims, base)?;
    head.require_size(cursor, array.size().into(), "is not the size of the array's elements together")?;
    Ok(array)
}

fn checked_array(cursor: &Cursor<'_>, dims: Vec<u32>, base: Datatype) -> Result<Datatype> {
    match dims.iter().try_fold(base.size(), |size, dim| size.checked_mul(*dim)) {
        Some(1..) => Ok(Datatype::Array(Array { dims, base: Box::new(base) })),
        _ => Err(cursor.error(Why::Unsupported("an array type without elements or of 4 GiB and more"))),
    }
}

fn read_complex(cursor: &mut Cursor<'_>, head: &Head, depth: u32) -> Result<Datatype> {
    if head.version < 5 {
        return Err(cursor.bad_value("version", head.version.into(), "is too low for a complex type"));
    }
    if head.bits[0] & 0x01 == 0 {
        return Err(cursor.error(Why::Unsupported("a complex type with parts of different types")));
    }
    if head.bits[0] >> 1 & 0x03 != 0 {
        return Err(cursor.error(Why::Unsupported("a complex type in other than rectangular form")));
    }
    let Datatype::Float(base) = read(cursor, depth + 1)? else {
        return Err(cursor.error(Why::Unsupported("a complex type of anything but floating-point numbers")));
    };
    head.require_size(cursor, u64::from(base.size) * 2, "is not twice the size of the complex type's parts")?;
    Ok(Datatype::Complex(Complex { base }))
}

impl fmt::Display for Datatype {
    /// A short notation: `i32`, `u16be`, `f64`, `str[5]`, `{x: f32, y: f32}`, `[2x3] i8`, `vlen str`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Integer(integer) => integer.fmt(f),
            Self::Float(float) => float.fmt(f),
            Self::Time(time) => write!(f, "time{}{}", time.precision, suffix(time.order)),
            Self::String(string) => write!(f, "str[{}]", string.size),
            Self::Bitfield(bitfield) => {
                write!(f, "bits{}{}", u64::from(bitfield.size) * 8, suffix(bitfield.order))?;
                fmt_bit_range(f, bitfield.bits, bitfield.size)
            }
            Self::Opaque(opaque) if opaque.tag == *"" => write!(f, "opaque[{}]", opaque.size),
            Self::Opaque(opaque) => write!(f, "opaque[{}] {:?}", opaque.size, opaque.tag),
            Self::Compound(compound) => {
                f.write_str("{")?;
                for (index, member) in compound.members.iter().enumerate() {
                    let separator = if index == 0 { "" } else { ", " };
                    write!(f, "{separator}{}: {}", member.name, member.datatype)?;
                }
                f.write_str("}")
            }
            Self::Reference(reference) => f.write_str(match reference.kind {
                ReferenceKind::Object | ReferenceKind::StdObject => "object reference",
                ReferenceKind::Region | ReferenceKind::StdRegion => "region reference",
                ReferenceKind::StdAttribute => "attribute reference",
            }),
            Self::Enum(enumeration) if enumeration.is_boolean() => f.write_str("bool"),
            Self::Enum(enumeration) => {
                write!(f, "enum {} {{", enumeration.base)?;
                for (index, member) in enumeration.members.iter().enumerate() {
                    let separator = if index == 0 { "" } else { ", " };
                    write!(f, "{separator}{}", member.name)?;
                    match enumeration.base.value(&member.value) {
                        Some(value) => write!(f, " = {value}")?,
                        None => write!(f, " = {:02x?}", member.value)?,
                    }
                }
                f.write_str("}")
            }
            Self::VarLen(sequence) => write!(f, "vlen {}", sequence.base),
            Self::VarLenString(_) => f.write_str("vlen str"),
            Self::Array(array) => {
                f.write_str("[")?;
                for (index, dim) in array.dims.iter().enumerate() {
                    write!(f, "{}{dim}", if index == 0 { "" } else { "x" })?;
                }
                write!(f, "] {}", array.base)
            }
            Self::Complex(complex) => write!(f, "complex {}", complex.base),
        }
    }
}

impl fmt::Display for Integer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.signed { "i" } else { "u" };
        let order = if self.size == 1 { "" } else { suffix(self.order) };
        write!(f, "{sign}{}{order}", u64::from(self.size) * 8)?;
        fmt_bit_range(f, self.bits, self.size)
    }
}

impl fmt::Display for Float {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let order = match self.order {
            FloatOrder::Little => "",
            FloatOrder::Big => "be",
            FloatOrder::Vax => "vax",
        };
        let bits = u64::from(self.size) * 8;
        match self.in_order(FloatOrder::Little) {
            Self::F16 | Self::F32 | Self::F64 => write!(f, "f{bits}{order}"),
            Self::BF16 => write!(f, "bf{bits}{order}"),
            // Exponent and mantissa say what makes it special.
            _ => write!(f, "f{bits}{order}(e{}m{})", self.exponent.bits, self.mantissa.bits),
        }
    }
}

fn suffix(order: ByteOrder) -> &'static str {
    match order {
        ByteOrder::Little => "",
        ByteOrder::Big => "be",
    }
}

fn fmt_bit_range(f: &mut fmt::Formatter<'_>, bits: BitRange, size: u32) -> fmt::Result {
    if bits == BitRange::all(size) {
        return Ok(());
    }
    write!(f, "({} bits at {})", bits.precision, bits.offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::testing::{hex, reads, reads_and_writes};

    fn decode(bytes: &[u8]) -> Result<Datatype> {
        Datatype::decode(bytes, 0)
    }

    fn one_of_each() -> Vec<Datatype> {
        let vax = Float { order: FloatOrder::Vax, ..Float::F64 };
        let odd_bits = BitRange { offset: 3, precision: 12 };
        let padding = BitPadding { low: true, high: false };
        let odd = Integer { bits: odd_bits, padding, ..Integer::new(2, true, ByteOrder::Big) };
        let bitfield = Bitfield { size: 2, order: ByteOrder::Big, bits: odd_bits, padding };
        let reference = |kind| Datatype::Reference(Reference { kind, size: 64 });
        let string = |padding, character_set| Datatype::String(FixedString { size: 5, padding, character_set });
        let wide = vec![
            Member { name: "first".into(), offset: 0, datatype: Datatype::boolean() },
            Member { name: "läst".into(), offset: 69_990, datatype: Datatype::fixed_string(10) },
        ];
        vec![
            Datatype::i8(),
            Datatype::u64(),
            Datatype::Integer(odd),
            Datatype::f16(),
            Datatype::Float(Float::BF16.in_order(FloatOrder::Big)),
            Datatype::Float(vax),
            Datatype::Float(Float { normalization: Normalization::None, internal_padding: true, ..Float::F32 }),
            Datatype::Time(Time { size: 4, order: ByteOrder::Little, precision: 32 }),
            string(StringPadding::SpacePad, CharacterSet::Ascii),
            string(StringPadding::NullTerminate, CharacterSet::Utf8),
            Datatype::Bitfield(bitfield),
            Datatype::opaque(7, ""),
            Datatype::opaque(7, "just a tag"),
            Datatype::complex64(),
            Datatype::Compound(Compound { size: 70_000, members: wide }),
            Datatype::Compound(Compound { size: 1, members: Vec::new() }),
            Datatype::object_reference(),
            Datatype::region_reference(),
            reference(ReferenceKind::StdObject),
            reference(ReferenceKind::StdRegion),
            reference(ReferenceKind::StdAttribute),
            Datatype::boolean(),
            Datatype::var_len(Datatype::var_len(Datatype::compound([
                ("x", Datatype::f64()),
                ("y", Datatype::boolean()),
            ]))),
            Datatype::var_len_string(),
            Datatype::array(&[2, 3], Datatype::array(&[4], Datatype::i16())),
            Datatype::Complex(Complex { base: Float::F32 }),
            Datatype::compound([("z", Datatype::Complex(Complex { base: Float::F64 })), ("n", Datatype::u8())]),
            Datatype::array(&[2], reference(ReferenceKind::StdObject)),
        ]
    }

    #[test]
    fn every_class_comes_back() {
        for datatype in one_of_each() {
            reads(&datatype.encode(), &datatype, decode);
        }
    }

    #[test]
    fn reads_and_writes_what_libhdf5_wrote() {
        let triple = Datatype::compound([
            ("a", Datatype::i32()),
            ("bb", Datatype::array(&[2, 3], Datatype::f64())),
            (
                "s",
                Datatype::String(FixedString {
                    size: 5,
                    padding: StringPadding::NullPad,
                    character_set: CharacterSet::Ascii,
                }),
            ),
        ]);
        let rows = [
            ("10080000 04000000 0000 2000", Datatype::i32()),
            ("11203f00 08000000 0000 4000 34 0b 00 34 ff030000", Datatype::f64()),
            ("11200f00 02000000 0000 1000 0a 05 00 0a 0f000000", Datatype::f16()),
            ("19010100 10000000 10000000 01000000 0000 0800", Datatype::var_len_string()),
            ("15000000 07000000", Datatype::opaque(7, "")),
            ("17000000 08000000", Datatype::object_reference()),
            ("17010000 0c000000", Datatype::region_reference()),
            (
                "5b010000 08000000 11201f00 04000000 0000 2000 17 08 00 17 7f000000",
                Datatype::Complex(Complex { base: Float::F32 }),
            ),
            ("38020000 01000000 10080000 01000000 0000 0800 46414c534500 5452554500 00 01", Datatype::boolean()),
            (
                "36030000 39000000 6100 00 10080000 04000000 0000 2000 \
                 626200 04 3a000000 30000000 02 02000000 03000000 11203f00 08000000 0000 4000 34 0b 00 34 ff030000 \
                 7300 34 13010000 05000000",
                triple.clone(),
            ),
        ];
        for (bytes, expected) in rows {
            reads_and_writes(&hex(bytes), &expected, decode, Datatype::encode);
        }

        // Versions that are read only.
        let rows = [
            (
                "18020000 01000000 10080000 01000000 0000 0800 46414c5345000000 5452554500000000 00 01",
                Datatype::boolean(),
            ),
            (
                "56020000 08000000 7200 00 11201f00 04000000 0000 2000 17 08 00 17 7f000000 \
                 6900 04 11201f00 04000000 0000 2000 17 08 00 17 7f000000",
                Datatype::complex64(),
            ),
            (
                "16020000 08000000 \
                 7200000000000000 00000000 00 000000 00000000 00000000 00000000000000000000000000000000 \
                 11201f00 04000000 0000 2000 17 08 00 17 7f000000 \
                 6900000000000000 04000000 00 000000 00000000 00000000 00000000000000000000000000000000 \
                 11201f00 04000000 0000 2000 17 08 00 17 7f000000",
                Datatype::complex64(),
            ),
            (
                "26030000 39000000 6100000000000000 00000000 10080000 04000000 0000 2000 \
                 6262000000000000 04000000 2a000000 30000000 02000000 02000000 03000000 00000000 01000000 \
                 11203f00 08000000 0000 4000 34 0b 00 34 ff030000 \
                 7300000000000000 34000000 13010000 05000000",
                triple,
            ),
            // An array as a property of a version 1 member: two elements of one byte.
            (
                "16010000 02000000 \
                 6100000000000000 00000000 01 000000 00000000 00000000 02000000000000000000000000000000 \
                 10000000 01000000 0000 0800",
                Datatype::compound([("a", Datatype::array(&[2], Datatype::u8()))]),
            ),
            // An array type of version 1, which the specification does not know.
            (
                "1a000000 08000000 02000000 02000000 01000000 00000000 00000000 10080000 04000000 0000 2000",
                Datatype::array(&[2, 1], Datatype::i32()),
            ),
            // The base of a string of any length does not matter.
            ("19010100 10000000 13000000 01000000", Datatype::var_len_string()),
        ];
        for (bytes, expected) in rows {
            reads(&hex(bytes), &expected, decode);
        }
    }

    #[test]
    fn refuses_what_cannot_be() {
        let refused = [
            ("version 0", "00080000 04000000 0000 2000"),
            ("version 6", "60080000 04000000 0000 2000"),
            ("class 12", "5c080000 04000000 0000 2000"),
            ("no size", "10080000 00000000 0000 2000"),
            ("bits beyond the element", "10080000 04000000 0100 2000"),
            ("no bits", "10080000 04000000 0000 0000"),
            ("exponent beyond the element", "11200f00 02000000 0000 1000 0c 05 00 0a 0f000000"),
            ("sign beyond the element", "11201000 02000000 0000 1000 0a 05 00 0a 0f000000"),
            ("normalization 3", "11300f00 02000000 0000 1000 0a 05 00 0a 0f000000"),
            ("string padding 3", "13030000 05000000"),
            ("character set 2", "13200000 05000000"),
            ("member beyond the element", "36010000 04000000 6100 01 10080000 04000000 0000 2000"),
            ("standard reference before version 4", "37120000 08000000"),
            ("reference encoding 2", "47220000 08000000"),
            ("enumeration of reals", "38000000 02000000 11200f00 02000000 0000 1000 0a 05 00 0a 0f000000"),
            ("array of another size", "3a000000 08000000 01 03000000 10080000 04000000 0000 2000"),
            ("array without elements", "3a000000 08000000 01 00000000 10080000 04000000 0000 2000"),
            ("array of 2^34 bytes", "3a000000 00000001 01 00000040 10080000 10000000 0000 2000"),
            ("complex before version 5", "3b010000 08000000 11201f00 04000000 0000 2000 17 08 00 17 7f000000"),
            ("polar", "5b030000 08000000 11201f00 04000000 0000 2000 17 08 00 17 7f000000"),
            ("members beyond the message", "36ffff00 04000000 6100 00 10080000 04000000 0000 2000"),
        ];
        for (what, bytes) in refused {
            assert!(decode(&hex(bytes)).is_err(), "{what}");
        }
    }

    #[test]
    fn a_tag_that_could_not_be_written_is_refused() {
        for (length, is_right) in [(0, true), (248, true), (249, false), (255, false)] {
            let bytes = [&[0x15, length, 0, 0, 3, 0, 0, 0][..], &[b'x'; 256]].concat();
            let decoded = Datatype::decode(&bytes, 0);
            assert_eq!(
                decoded.as_ref().map(|datatype| datatype.encode().len()).ok(),
                is_right.then_some(8 + usize::from(length))
            );
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let sequence = hex("19000000 10000000");
        let nested = |depth: u32| [sequence.repeat(depth as usize), Datatype::u8().encode()].concat();
        assert!(decode(&nested(MAX_DEPTH)).is_ok());
        assert!(matches!(decode(&nested(MAX_DEPTH + 1)).unwrap_err().why, Why::Unsupported(_)));
        assert!(decode(&nested(100_000)).is_err());
    }

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

    #[test]
    fn shows_itself_briefly() {
        let rows = [
            (Datatype::i32(), "i32"),
            (Datatype::Integer(Integer::new(2, false, ByteOrder::Big)), "u16be"),
            (Datatype::f64(), "f64"),
            (Datatype::Float(Float::F32.in_order(FloatOrder::Big)), "f32be"),
            (Datatype::Float(Float::BF16), "bf16"),
            (Datatype::complex64(), "{r: f32, i: f32}"),
            (Datatype::boolean(), "bool"),
            (Datatype::fixed_string(5), "str[5]"),
            (Datatype::var_len_string(), "vlen str"),
            (Datatype::var_len(Datatype::u8()), "vlen u8"),
            (Datatype::array(&[2, 3], Datatype::i8()), "[2x3] i8"),
            (Datatype::opaque(7, "x"), "opaque[7] \"x\""),
        ];
        for (datatype, text) in rows {
            assert_eq!(datatype.to_string(), text);
        }
        let odd = Integer { bits: BitRange { offset: 3, precision: 12 }, ..Integer::new(2, true, ByteOrder::Big) };
        assert_eq!(odd.to_string(), "i16be(12 bits at 3)");
        let Datatype::Enum(mut colours) = Datatype::boolean() else { unreachable!() };
        colours.members[1].name = "RED".into();
        assert_eq!(Datatype::Enum(colours).to_string(), "enum i8 {FALSE = 0, RED = 1}");
    }
}

//! Class 1: floating-point numbers.

use std::fmt;

use super::bits::{BitPadding, BitRange, ByteOrder};
use super::class::{Class, Head};
use crate::{Cursor, Put, Result};

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

    pub(super) fn read(cursor: &mut Cursor<'_>, head: &Head) -> Result<Self> {
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
        let bits = BitRange::read(cursor, head.size)?;
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
        Ok(Self {
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
        })
    }
}

impl Class for Float {
    fn number(&self) -> u8 {
        1
    }
    fn bits(&self) -> [u8; 3] {
        let order = match self.order {
            FloatOrder::Little => 0,
            FloatOrder::Big => 0x01,
            FloatOrder::Vax => 0x41,
        };
        let normalization = match self.normalization {
            Normalization::None => 0,
            Normalization::AlwaysSet => 1,
            Normalization::Implied => 2,
        };
        let padding = self.padding.bits() | u8::from(self.internal_padding) << 3;
        [order | padding | normalization << 4, self.sign, 0]
    }
    fn size(&self) -> u32 {
        self.size
    }
    fn version(&self) -> u8 {
        if self.order == FloatOrder::Vax { 3 } else { 1 }
    }
    fn put_properties(&self, out: &mut Vec<u8>) {
        self.bits.put(out);
        let FloatField { offset: exponent, bits: exponent_bits } = self.exponent;
        let FloatField { offset: mantissa, bits: mantissa_bits } = self.mantissa;
        out.extend_from_slice(&[exponent, exponent_bits, mantissa, mantissa_bits]);
        out.put_u32(self.bias);
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

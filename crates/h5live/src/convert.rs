//! Numbers between the file's types and the program's, as libhdf5 converts them: what is out of range becomes the nearest
//! that is in range, what is not a number becomes 0 in an integer, and precision is lost where there is none.

use h5live_format::message::Datatype;
use h5live_format::message::datatype::{BitPadding, ByteOrder, Float, FloatOrder, Integer, Normalization};
use half::f16;

/// A type of number that programs have.
pub(crate) trait Number: Copy {
    fn from_i64(value: i64) -> Self;
    fn from_u64(value: u64) -> Self;
    fn from_f64(value: f64) -> Self;
    fn wide(self) -> Wide;
}

/// Any number, without loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Wide {
    Signed(i64),
    Unsigned(u64),
    Float(f64),
}

macro_rules! integers {
    ($($number:ty, $wide:ident, $as:ty);*) => {$(
        impl Number for $number {
            fn from_i64(value: i64) -> Self {
                <$number>::try_from(value).unwrap_or(if value < 0 { <$number>::MIN } else { <$number>::MAX })
            }
            fn from_u64(value: u64) -> Self {
                <$number>::try_from(value).unwrap_or(<$number>::MAX)
            }
            fn from_f64(value: f64) -> Self {
                value as $number
            }
            fn wide(self) -> Wide {
                Wide::$wide(self as $as)
            }
        }
    )*};
}
integers!(i8, Signed, i64; i16, Signed, i64; i32, Signed, i64; i64, Signed, i64);
integers!(u8, Unsigned, u64; u16, Unsigned, u64; u32, Unsigned, u64; u64, Unsigned, u64);

macro_rules! floats {
    ($($float:ty),*) => {$(
        impl Number for $float {
            fn from_i64(value: i64) -> Self {
                value as $float
            }
            fn from_u64(value: u64) -> Self {
                value as $float
            }
            fn from_f64(value: f64) -> Self {
                value as $float
            }
            fn wide(self) -> Wide {
                Wide::Float(self.into())
            }
        }
    )*};
}
floats!(f32, f64);

impl Number for f16 {
    fn from_i64(value: i64) -> Self {
        Self::from_f64(value as f64)
    }
    fn from_u64(value: u64) -> Self {
        Self::from_f64(value as f64)
    }
    fn from_f64(value: f64) -> Self {
        Self::from_f64(value)
    }
    fn wide(self) -> Wide {
        Wide::Float(self.into())
    }
}

impl Wide {
    pub(crate) fn to<T: Number>(self) -> T {
        match self {
            Self::Signed(value) => T::from_i64(value),
            Self::Unsigned(value) => T::from_u64(value),
            Self::Float(value) => T::from_f64(value),
        }
    }
}

/// What a file type is as a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numeric<'a> {
    Integer(Integer),
    Float(&'a Float),
}

impl<'a> Numeric<'a> {
    /// How to read elements of a type as numbers; `None` where they are none, or have more than 64 bits.
    pub(crate) fn of(stored: &'a Datatype) -> Option<Self> {
        let integer = |integer: Integer| {
            let bits = u32::from(integer.bits.offset) + u32::from(integer.bits.precision);
            let fits = integer.size <= 8 && integer.bits.precision > 0 && bits <= integer.size * 8;
            fits.then_some(Self::Integer(integer))
        };
        match stored {
            Datatype::Integer(stored) => integer(*stored),
            Datatype::Enum(stored) => integer(stored.base),
            Datatype::Bitfield(stored) => integer(Integer {
                size: stored.size,
                order: stored.order,
                signed: false,
                bits: stored.bits,
                padding: stored.padding,
            }),
            Datatype::Float(stored) => Fields::of(stored).map(|_| Self::Float(stored)),
            _ => None,
        }
    }

    /// The standard type that it is, if it is one.
    fn standard(self) -> Option<Standard> {
        match self {
            Self::Integer(integer) => {
                if integer.bits != h5live_format::message::datatype::BitRange::all(integer.size) {
                    return None;
                }
                let big = integer.order == ByteOrder::Big;
                Some(Standard { kind: Kind::of_integer(integer.size, integer.signed)?, big })
            }
            Self::Float(float) => {
                let big = match float.order {
                    FloatOrder::Little => false,
                    FloatOrder::Big => true,
                    FloatOrder::Vax => return None,
                };
                let same = |standard: Float| {
                    (
                        float.size,
                        float.bits,
                        float.sign,
                        float.exponent,
                        float.mantissa,
                        float.bias,
                        float.normalization,
                    ) == (
                        standard.size,
                        standard.bits,
                        standard.sign,
                        standard.exponent,
                        standard.mantissa,
                        standard.bias,
                        standard.normalization,
                    )
                };
                let kinds = [(Float::F16, Kind::F16), (Float::F32, Kind::F32), (Float::F64, Kind::F64)];
                let (_, kind) = kinds.into_iter().find(|(standard, _)| same(*standard))?;
                Some(Standard { kind, big })
            }
        }
    }

    /// Bytes of an element.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::Integer(integer) => integer.size as usize,
            Self::Float(float) => float.size as usize,
        }
    }

    /// One element as a number.
    pub(crate) fn wide(self, element: &[u8]) -> Wide {
        match self {
            Self::Integer(integer) => match integer.value(element).unwrap_or(0) {
                value if value < 0 => Wide::Signed(value as i64),
                value => Wide::Unsigned(value as u64),
            },
            Self::Float(float) => match Fields::of(float) {
                Some(fields) => Wide::Float(fields.decode(gather(element, float.order))),
                None => Wide::Float(f64::NAN),
            },
        }
    }

    /// Reads the elements of `raw`.
    pub(crate) fn decode<T: Number>(self, raw: &[u8], out: &mut [T]) {
        macro_rules! each {
            ($type:ty, $get:ident, $from:ident, $wide:ty) => {{
                let (elements, _) = raw.as_chunks::<{ size_of::<$type>() }>();
                for (to, from) in out.iter_mut().zip(elements) {
                    *to = T::$from(<$wide>::from(<$type>::$get(*from)));
                }
            }};
        }
        macro_rules! either {
            ($big:expr, $type:ty, $from:ident, $wide:ty) => {
                if $big { each!($type, from_be_bytes, $from, $wide) } else { each!($type, from_le_bytes, $from, $wide) }
            };
        }
        match self.standard() {
            Some(Standard { kind, big }) => match kind {
                Kind::I8 => either!(big, i8, from_i64, i64),
                Kind::I16 => either!(big, i16, from_i64, i64),
                Kind::I32 => either!(big, i32, from_i64, i64),
                Kind::I64 => either!(big, i64, from_i64, i64),
                Kind::U8 => either!(big, u8, from_u64, u64),
                Kind::U16 => either!(big, u16, from_u64, u64),
                Kind::U32 => either!(big, u32, from_u64, u64),
                Kind::U64 => either!(big, u64, from_u64, u64),
                Kind::F16 => either!(big, f16, from_f64, f64),
                Kind::F32 => either!(big, f32, from_f64, f64),
                Kind::F64 => either!(big, f64, from_f64, f64),
            },
            None => {
                for (to, from) in out.iter_mut().zip(raw.chunks_exact(self.size())) {
                    *to = self.wide(from).to();
                }
            }
        }
    }

    /// Appends `values` as elements of this type.
    pub(crate) fn encode<T: Number>(self, values: &[T], out: &mut Vec<u8>) {
        macro_rules! each {
            ($type:ty, $put:ident) => {
                for value in values {
                    out.extend_from_slice(&value.wide().to::<$type>().$put());
                }
            };
        }
        macro_rules! either {
            ($big:expr, $type:ty) => {
                if $big { each!($type, to_be_bytes) } else { each!($type, to_le_bytes) }
            };
        }
        out.reserve(values.len() * self.size());
        match self.standard() {
            Some(Standard { kind, big }) => match kind {
                Kind::I8 => either!(big, i8),
                Kind::I16 => either!(big, i16),
                Kind::I32 => either!(big, i32),
                Kind::I64 => either!(big, i64),
                Kind::U8 => either!(big, u8),
                Kind::U16 => either!(big, u16),
                Kind::U32 => either!(big, u32),
                Kind::U64 => either!(big, u64),
                Kind::F16 => either!(big, f16),
                Kind::F32 => either!(big, f32),
                Kind::F64 => either!(big, f64),
            },
            None => {
                for value in values {
                    self.put(value.wide(), out);
                }
            }
        }
    }

    /// Appends one element.
    pub(crate) fn put(self, value: Wide, out: &mut Vec<u8>) {
        match self {
            Self::Integer(integer) => scatter(integer_bits(&integer, value), integer.size, integer.order, out),
            Self::Float(float) => {
                let bits = Fields::of(float).map_or(0, |fields| fields.encode(value.to()));
                let order = match float.order {
                    FloatOrder::Big => ByteOrder::Big,
                    FloatOrder::Little | FloatOrder::Vax => ByteOrder::Little,
                };
                let start = out.len();
                scatter(
                    padded(bits, float.bits.offset, float.bits.precision, float.size, float.padding),
                    float.size,
                    order,
                    out,
                );
                if float.order == FloatOrder::Vax {
                    swap_vax_words(&mut out[start..]);
                }
            }
        }
    }
}

/// A number type of processors, in one of the two byte orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Standard {
    kind: Kind,
    big: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F16,
    F32,
    F64,
}

impl Kind {
    fn of_integer(size: u32, signed: bool) -> Option<Self> {
        Some(match (size, signed) {
            (1, true) => Self::I8,
            (2, true) => Self::I16,
            (4, true) => Self::I32,
            (8, true) => Self::I64,
            (1, false) => Self::U8,
            (2, false) => Self::U16,
            (4, false) => Self::U32,
            (8, false) => Self::U64,
            _ => return None,
        })
    }
}

/// Whether elements of the file type `stored` are, byte by byte, numbers of the program's type `own`, which is a standard type
/// in little-endian order.
pub(crate) fn is_native(stored: &Datatype, own: &Datatype) -> bool {
    let (Some(stored), Some(own)) = (Numeric::of(stored), Numeric::of(own)) else { return false };
    match (stored.standard(), own.standard()) {
        (Some(stored), Some(own)) => {
            stored.kind == own.kind && (own_size(own.kind) == 1 || stored.big == cfg!(target_endian = "big"))
        }
        _ => false,
    }
}

fn own_size(kind: Kind) -> usize {
    match kind {
        Kind::I8 | Kind::U8 => 1,
        Kind::I16 | Kind::U16 | Kind::F16 => 2,
        Kind::I32 | Kind::U32 | Kind::F32 => 4,
        Kind::I64 | Kind::U64 | Kind::F64 => 8,
    }
}

/// The bits of an element of up to 16 bytes, the least significant first.
fn gather(element: &[u8], order: FloatOrder) -> u128 {
    let append = |bits: u128, byte: &u8| bits << 8 | u128::from(*byte);
    match order {
        FloatOrder::Little => element.iter().rev().fold(0, append),
        FloatOrder::Big => element.iter().fold(0, append),
        FloatOrder::Vax => {
            let mut swapped = element.to_vec();
            swap_vax_words(&mut swapped);
            swapped.iter().rev().fold(0, append)
        }
    }
}

fn scatter(bits: u128, size: u32, order: ByteOrder, out: &mut Vec<u8>) {
    let bytes = bits.to_le_bytes();
    let bytes = &bytes[..(size as usize).min(16)];
    match order {
        ByteOrder::Little => out.extend_from_slice(bytes),
        ByteOrder::Big => out.extend(bytes.iter().rev()),
    }
}

/// VAX elements are little-endian words, most significant word first: turns the words round.
fn swap_vax_words(element: &mut [u8]) {
    let (words, _) = element.as_chunks_mut::<2>();
    words.reverse();
}

/// The bits of an integer that is not as wide as its element.
fn integer_bits(integer: &Integer, value: Wide) -> u128 {
    let precision = u32::from(integer.bits.precision).min(64);
    let (low, high) = if integer.signed {
        (-(1i128 << (precision - 1)), (1i128 << (precision - 1)) - 1)
    } else {
        (0, (1i128 << precision) - 1)
    };
    let value = match value {
        Wide::Signed(value) => i128::from(value),
        Wide::Unsigned(value) => i128::from(value),
        Wide::Float(value) => value as i128,
    };
    let mask = (1u128 << precision) - 1;
    let bits = (value.clamp(low, high) as u128 & mask) << integer.bits.offset;
    padded(bits, integer.bits.offset, integer.bits.precision, integer.size, integer.padding)
}

/// Sets the bits around those that count, as the type asks.
fn padded(bits: u128, offset: u16, precision: u16, size: u32, padding: BitPadding) -> u128 {
    let ones = |count: u32| if count >= 128 { u128::MAX } else { (1 << count) - 1 };
    let (below, end) = (u32::from(offset), u32::from(offset) + u32::from(precision));
    let low = if padding.low { ones(below) } else { 0 };
    let high = if padding.high { ones(size * 8) & !ones(end) } else { 0 };
    bits | low | high
}

/// A floating-point type of up to 128 bits, its fields checked.
#[derive(Debug, Clone, Copy)]
struct Fields {
    sign: u32,
    exponent: u32,
    exponent_bits: u32,
    mantissa: u32,
    mantissa_bits: u32,
    bias: i64,
    /// Whether the mantissa's first bit is set and not stored.
    implied: bool,
}

impl Fields {
    fn of(float: &Float) -> Option<Self> {
        let fields = Self {
            sign: float.sign.into(),
            exponent: float.exponent.offset.into(),
            exponent_bits: float.exponent.bits.into(),
            mantissa: float.mantissa.offset.into(),
            mantissa_bits: float.mantissa.bits.into(),
            bias: float.bias.into(),
            implied: float.normalization == Normalization::Implied,
        };
        let size = float.size.checked_mul(8)?;
        let fits = size <= 128
            && fields.sign < size
            && fields.exponent + fields.exponent_bits <= size
            && fields.mantissa + fields.mantissa_bits <= size
            && (1..=30).contains(&fields.exponent_bits)
            && (1..=112).contains(&fields.mantissa_bits);
        fits.then_some(fields)
    }

    fn most_exponent(&self) -> u128 {
        (1 << self.exponent_bits) - 1
    }

    fn decode(&self, bits: u128) -> f64 {
        let negative = bits >> self.sign & 1 == 1;
        let exponent = bits >> self.exponent & self.most_exponent();
        let mantissa = bits >> self.mantissa & ((1 << self.mantissa_bits) - 1);
        // What comes after the point: all of the mantissa where its first bit is implied, all but one where it is stored.
        let fraction_bits = i64::from(self.mantissa_bits) - i64::from(!self.implied);
        let fraction = mantissa & ((1 << fraction_bits) - 1);
        let magnitude = if exponent == self.most_exponent() {
            // Of a number that is none, libhdf5 sets all bits of the mantissa.
            if fraction == 0 { f64::INFINITY } else { f64::from_bits(0x7fff_ffff_ffff_ffff) }
        } else {
            let (mantissa, exponent) = match (self.implied, exponent) {
                (true, 0) => (mantissa, 1),
                (true, exponent) => (mantissa | 1 << self.mantissa_bits, exponent as i64),
                (false, exponent) => (mantissa, exponent as i64),
            };
            scale(mantissa as f64, exponent - self.bias - fraction_bits)
        };
        if negative { -magnitude } else { magnitude }
    }

    fn encode(&self, value: f64) -> u128 {
        let sign = u128::from(value.is_sign_negative()) << self.sign;
        let fraction_bits = self.mantissa_bits - u32::from(!self.implied);
        let leading = if self.implied { 0 } else { 1u128 << fraction_bits };
        let infinity = self.most_exponent() << self.exponent | leading << self.mantissa;
        if value.is_nan() {
            let quiet = 1u128 << (self.mantissa + fraction_bits.saturating_sub(1));
            return sign | infinity | quiet;
        }
        if value.is_infinite() {
            return sign | infinity;
        }
        if value == 0.0 {
            return sign;
        }
        let raw = value.abs().to_bits();
        let (mut mantissa, mut power) = match raw >> 52 {
            0 => (raw, -1074),
            exponent => (raw & ((1 << 52) - 1) | 1 << 52, exponent as i64 - 1075),
        };
        let shift = mantissa.leading_zeros() - 11;
        mantissa <<= shift;
        power -= i64::from(shift);
        // Now the value is mantissa * 2^power, and the mantissa has 53 bits.
        let mut exponent = power + 52 + self.bias;
        let mut kept = i64::from(fraction_bits) + 1;
        if exponent < 1 {
            kept -= 1 - exponent;
            exponent = 0;
        }
        let mut mantissa = rounded(mantissa.into(), 53 - kept);
        if mantissa >> (fraction_bits + 1) != 0 {
            mantissa >>= 1;
            exponent += 1;
        } else if exponent == 0 && mantissa >> fraction_bits != 0 {
            exponent = 1;
        }
        if exponent >= self.most_exponent() as i64 {
            return sign | infinity;
        }
        if self.implied {
            mantissa &= (1 << fraction_bits) - 1;
        }
        sign | (exponent as u128) << self.exponent | mantissa << self.mantissa
    }
}

/// `bits` without the last `drop`, rounded to the nearest, to even in between. A negative `drop` appends zeros.
fn rounded(bits: u128, drop: i64) -> u128 {
    match drop {
        ..=0 => bits << drop.unsigned_abs().min(74),
        1..=64 => {
            let (kept, rest, half) = (bits >> drop, bits & ((1 << drop) - 1), 1u128 << (drop - 1));
            kept + u128::from(rest > half || rest == half && kept & 1 == 1)
        }
        _ => 0,
    }
}

/// `value * 2^power`, in steps that neither overflow nor round before the last.
fn scale(mut value: f64, mut power: i64) -> f64 {
    while power > 1000 && value.is_finite() {
        value *= 2f64.powi(1000);
        power -= 1000;
    }
    while power < -1000 && value != 0.0 {
        // Keeps clear of subnormal numbers until the last step.
        value *= 2f64.powi(-900);
        power += 900;
    }
    value * 2f64.powi(power.clamp(-1000, 1000) as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use h5live_format::message::datatype::{BitRange, FloatField};

    fn decode<T: Number + Default + Clone>(stored: &Datatype, raw: &[u8]) -> Vec<T> {
        let numeric = Numeric::of(stored).unwrap();
        let mut out = vec![T::default(); raw.len() / numeric.size()];
        numeric.decode(raw, &mut out);
        out
    }

    fn encode<T: Number>(stored: &Datatype, values: &[T]) -> Vec<u8> {
        let mut out = Vec::new();
        Numeric::of(stored).unwrap().encode(values, &mut out);
        out
    }

    #[test]
    fn what_is_out_of_range_becomes_the_nearest_that_is_in_range() {
        let floats: Vec<u8> =
            [1e10, -1e10, f64::NAN, 0.9, -300.5, f64::INFINITY].iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(decode::<i8>(&Datatype::f64(), &floats), [127, -128, 0, 0, -128, 127]);
        assert_eq!(decode::<u16>(&Datatype::f64(), &floats), [65535, 0, 0, 0, 0, 65535]);
        assert_eq!(decode::<u8>(&Datatype::i16(), &[0xff, 0xff, 0x00, 0x01, 0x7f, 0x00]), [0, 255, 127]);
        assert_eq!(decode::<i64>(&Datatype::u64(), &[0xff; 8]), [i64::MAX]);
        assert_eq!(encode(&Datatype::i8(), &[300i32, -300, 5]), [127, 128, 5]);
        assert_eq!(encode(&Datatype::u16(), &[-1.0f32, 1e9]), [0, 0, 0xff, 0xff]);
    }

    #[test]
    fn byte_order_and_width_are_the_files() {
        let big = Datatype::Integer(Integer::new(4, true, ByteOrder::Big));
        assert_eq!(decode::<f64>(&big, &[0xff, 0xff, 0xff, 0xfe, 0, 0, 1, 0]), [-2.0, 256.0]);
        assert_eq!(encode(&big, &[-2i64]), [0xff, 0xff, 0xff, 0xfe]);
        let three = Datatype::integer(3, true);
        assert_eq!(decode::<i32>(&three, &[0xfe, 0xff, 0xff]), [-2]);
        assert_eq!(encode(&three, &[-2i32, 1 << 30]), [0xfe, 0xff, 0xff, 0xff, 0xff, 0x7f]);
        let odd = Datatype::Integer(Integer {
            bits: BitRange { offset: 3, precision: 5 },
            padding: BitPadding { low: true, high: true },
            ..Integer::new(2, true, ByteOrder::Little)
        });
        assert_eq!(encode(&odd, &[-3i8, 100]), [0b1110_1111, 0xff, 0b0111_1111, 0xff]);
        assert_eq!(decode::<i8>(&odd, &[0b1110_1111, 0xff, 0b0111_1111, 0xff]), [-3, 15]);
    }

    #[test]
    fn odd_floats_agree_with_those_of_the_processor() {
        // The same formats, but the generic way.
        for value in
            [0.0, -0.0, 1.0, -1.5, 1e-40, 3.3e38, 1e-320, 65504.0, 6e-8, 1e300, f64::INFINITY, 0.1, f64::MIN_POSITIVE]
        {
            let check = |float: Float, bits: u128, expected: f64| {
                let fields = Fields::of(&float).unwrap();
                assert_eq!(fields.encode(value), bits, "{value} to {} bytes", float.size);
                assert_eq!(fields.decode(bits).to_bits(), expected.to_bits(), "{value} from {} bytes", float.size);
            };
            check(Float::F64, value.to_bits().into(), value);
            check(Float::F32, (value as f32).to_bits().into(), (value as f32).into());
            let half = f16::from_f64(value);
            check(Float::F16, half.to_bits().into(), half.into());
        }
        assert_eq!(decode::<f64>(&Datatype::Float(Float::BF16), &[0xc0, 0x3f]), [1.5]);
        assert!(Fields::of(&Float::F32).unwrap().decode(0x7fc0_0000).is_nan());
        // The 80-bit format of x87, in 16 bytes: its mantissa's first bit is stored.
        let x87 = Float {
            size: 16,
            bits: BitRange { offset: 0, precision: 80 },
            sign: 79,
            exponent: FloatField { offset: 64, bits: 15 },
            mantissa: FloatField { offset: 0, bits: 64 },
            bias: 16383,
            normalization: Normalization::None,
            ..Float::F64
        };
        let fields = Fields::of(&x87).unwrap();
        for (value, bits) in [(1.0, 0x3fff_8000_0000_0000_0000), (-2.5, 0xc000_a000_0000_0000_0000)] {
            assert_eq!(fields.encode(value), bits);
            assert_eq!(fields.decode(bits), value);
        }
        assert_eq!(fields.decode(fields.encode(1e-310)), 1e-310);
    }

    #[test]
    fn only_the_same_bytes_are_native() {
        let big = Datatype::Integer(Integer::new(2, true, ByteOrder::Big));
        for (stored, own, expected) in [
            (Datatype::i16(), Datatype::i16(), cfg!(target_endian = "little")),
            (big, Datatype::i16(), cfg!(target_endian = "big")),
            (Datatype::u16(), Datatype::i16(), false),
            (Datatype::u8(), Datatype::u8(), true),
            (Datatype::f32(), Datatype::i32(), false),
            (Datatype::boolean(), Datatype::i8(), true),
            (Datatype::fixed_string(4), Datatype::i32(), false),
        ] {
            assert_eq!(is_native(&stored, &own), expected, "{stored} as {own}");
        }
    }
}

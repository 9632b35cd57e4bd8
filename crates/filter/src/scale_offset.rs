//! Scale-offset: the difference of each value from the smallest, in as few bits as the largest difference needs.
//!
//! A stored chunk starts with the bits per value (4 bytes), the length of the minimum (1 byte), and the minimum (8 bytes, of which that
//! many count), all little-endian. The packed values start at byte 21. All bits set stands for the fill value, if there is one. Floating
//! point values were first multiplied by a power of ten and rounded (the "D-scale" method), so what is read is not exactly what was
//! written.
//!
//! Client values: the method, its parameter (decimal digits, or bits), how many elements, then the type (class, size, sign, byte order),
//! whether there is a fill value, and its bytes.

use crate::bits::{BitReader, BitWriter};
use crate::form::{ByteOrder, ChunkForm, ElementType};
use crate::{Encoded, Filter, Problem};

/// The scale-offset filter. Client values: the method (0 for floating-point numbers, 2 for integers) and its parameter (decimal digits to
/// keep, or bits per value, 0 for as many as it takes); the rest is filled in for a dataset.
#[derive(Debug, Clone, Copy)]
pub struct ScaleOffset;

impl Filter for ScaleOffset {
    fn name(&self) -> &str {
        "scaleoffset"
    }

    fn settle(&self, values: &[u32], form: &ChunkForm<'_>) -> Result<Vec<u32>, Problem> {
        let &[method, parameter, ..] = values else {
            return Err(Problem::values("scale-offset needs a method and its parameter"));
        };
        let (class, sign, bits) = match form.element {
            ElementType::Integer { signed, bits } => (0, u32::from(*signed), *bits),
            ElementType::Float(bits) => (1, 0, *bits),
            _ => return Err(Problem::values("scale-offset is for numbers")),
        };
        let whole = bits.size.saturating_mul(8);
        let parameter = if class == 0 { parameter.min(whole) } else { parameter };
        let count = u32::try_from(form.count()).map_err(|_| Problem::values("a chunk of too many elements"))?;
        let order = u32::from(bits.order == ByteOrder::Big);
        let mut settled = vec![method, parameter, count, class, bits.size, sign, order, 1];
        // Where nothing is written reads as zero, if no fill value is set.
        let mut fill = [0; 8];
        let given = form.fill.unwrap_or_default();
        for (at, byte) in fill.iter_mut().zip(given) {
            *at = *byte;
        }
        if bits.order == ByteOrder::Big {
            fill[..given.len().min(8)].reverse();
        }
        let [a, b, c, d, e, f, g, h] = fill;
        settled.extend([u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])]);
        // As many as libhdf5 has room for.
        settled.resize(20, 0);
        Parameters::parse(&settled)?;
        Ok(settled)
    }

    fn keeps_length(&self, values: &[u32]) -> bool {
        Parameters::parse(values).is_ok_and(|parameters| parameters.is_stored_plain())
    }

    fn decode(&self, values: &[u32], input: &[u8], output: &mut [u8]) -> Result<usize, Problem> {
        let parameters = Parameters::parse(values)?;
        let size = parameters.number.size();
        let limit = output.len();
        if parameters.is_stored_plain() {
            output.get_mut(..input.len()).ok_or(Problem::TooLong { limit })?.copy_from_slice(input);
            return Ok(input.len());
        }
        let length = parameters.count.checked_mul(size).ok_or(Problem::TooLong { limit })?;
        let output = output.get_mut(..length).ok_or(Problem::TooLong { limit })?;
        let (header, packed) = Header::parse(input)?;
        if header.bits > size as u32 * 8 {
            return Err(Problem::malformed(format!("{} bits per value of {size} bytes", header.bits)));
        }
        if header.bits == size as u32 * 8 {
            // Nothing was gained, so nothing was subtracted: the values as they are, least significant byte first.
            let packed = packed.get(..length).ok_or(Problem::Truncated { length: input.len() })?;
            output.copy_from_slice(packed);
            if parameters.order == ByteOrder::Big {
                output.chunks_exact_mut(size).for_each(<[u8]>::reverse);
            }
            return Ok(length);
        }
        match parameters.number {
            Number::Integer { .. } => {
                let minimum = header.minimum;
                parameters.unpack(header, packed, output, |value| value.wrapping_add(minimum))?;
            }
            Number::Float32 { digits } => {
                let scale = 10_f32.powf(digits as f32);
                let minimum = f32::from_bits(header.minimum as u32);
                parameters
                    .unpack(header, packed, output, |value| (value as i32 as f32 / scale + minimum).to_bits().into())?;
            }
            Number::Float64 { digits } => {
                let scale = 10_f64.powf(digits.into());
                let minimum = f64::from_bits(header.minimum);
                parameters.unpack(header, packed, output, |value| (value as i64 as f64 / scale + minimum).to_bits())?;
            }
        }
        Ok(length)
    }

    fn encode(&self, values: &[u32], input: &[u8], output: &mut Vec<u8>) -> Result<Encoded, Problem> {
        let parameters = Parameters::parse(values)?;
        if parameters.is_stored_plain() {
            output.extend(input);
            return Ok(Encoded::Done);
        }
        let size = parameters.number.size();
        if parameters.count.checked_mul(size) != Some(input.len()) {
            let count = parameters.count;
            return Err(Problem::values(format!(
                "{count} elements of {size} bytes, but the chunk has {}",
                input.len()
            )));
        }
        let elements: Vec<u64> = input.chunks_exact(size).map(|bytes| parameters.load(bytes)).collect();
        let (header, packed) = match parameters.number {
            Number::Integer { signed, .. } => parameters.pack_integers(&elements, signed),
            Number::Float32 { digits } => {
                let scale = 10_f64.powi(digits);
                parameters.pack_floats(&elements, scale, |bits| f32::from_bits(bits as u32).into())
            }
            Number::Float64 { digits } => parameters.pack_floats(&elements, 10_f64.powi(digits), f64::from_bits),
        };
        output.extend(header.bits.to_le_bytes());
        output.push(8);
        output.extend(header.minimum.to_le_bytes());
        output.resize(Header::SIZE, 0);
        match packed {
            None => elements.iter().for_each(|number| output.extend(&number.to_le_bytes()[..size])),
            Some(packed) => {
                let mut bits = BitWriter::new(output);
                packed.into_iter().for_each(|number| bits.put(number, header.bits));
                bits.finish();
            }
        }
        Ok(Encoded::by_length(input, output))
    }
}

/// What the client values say.
#[derive(Debug)]
struct Parameters {
    count: usize,
    number: Number,
    /// The bits per value that the user asked for; 0 leaves it to the filter.
    bits: u32,
    order: ByteOrder,
    fill: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
enum Number {
    Integer { size: usize, signed: bool },
    Float32 { digits: i32 },
    Float64 { digits: i32 },
}

/// What a stored chunk starts with.
#[derive(Debug, Clone, Copy)]
struct Header {
    bits: u32,
    minimum: u64,
}

impl Parameters {
    fn parse(values: &[u32]) -> Result<Self, Problem> {
        let &[method, parameter, count, class, size, sign, order, has_fill, ref fill @ ..] = values else {
            return Err(Problem::values(format!("{} of them, too few", values.len())));
        };
        let (number, bits) = match (method, class, size) {
            (0, 1, 4) => (Number::Float32 { digits: parameter as i32 }, 0),
            (0, 1, 8) => (Number::Float64 { digits: parameter as i32 }, 0),
            (2, 0, 1 | 2 | 4 | 8) => (Number::Integer { size: size as usize, signed: sign != 0 }, parameter),
            (1, 1, _) => return Err(Problem::values("the E-scale method, which nobody implements")),
            _ => return Err(Problem::values(format!("method {method} for class {class} of {size} bytes"))),
        };
        let order = match order {
            0 => ByteOrder::Little,
            1 => ByteOrder::Big,
            other => return Err(Problem::values(format!("byte order {other}"))),
        };
        let fill = match (has_fill, fill, size) {
            (0, ..) => None,
            (_, &[low, high, ..], 8) => Some(u64::from(high) << 32 | u64::from(low)),
            (_, &[low, ..], 1..=4) => Some(u64::from(low) & (u64::MAX >> (64 - 8 * size))),
            _ => return Err(Problem::values("too few for the fill value")),
        };
        Ok(Self { count: count as usize, number, bits, order, fill })
    }

    /// Whether the user asked for all the bits, which turns the filter off.
    fn is_stored_plain(&self) -> bool {
        self.bits as usize == self.number.size() * 8
    }

    /// The bits of an element, as a number.
    fn load(&self, bytes: &[u8]) -> u64 {
        match self.order {
            ByteOrder::Little => bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)),
            ByteOrder::Big => bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)),
        }
    }

    /// What a chunk starts with, and the values to pack; none where there is nothing to gain.
    fn pack_integers(&self, elements: &[u64], signed: bool) -> (Header, Option<Vec<u64>>) {
        let width = self.number.size() as u32 * 8;
        let (unused, sign) = (64 - width, 1 << (width - 1));
        // Order the elements as numbers without sign: flipping the sign's bit does that, and leaves all differences.
        let ordered = |bits: u64| if signed { bits ^ sign } else { bits };
        let is_fill = |bits: u64| self.fill == Some(bits);
        let others = || elements.iter().copied().filter(|bits| !is_fill(*bits)).map(ordered);
        let (least, most) = match (others().min(), others().max()) {
            (Some(least), Some(most)) => (least, most),
            _ => (ordered(0), ordered(0)),
        };
        let bits = match self.bits {
            0 => self.bits_for(most - least, width),
            bits => bits,
        };
        let minimum = ordered(least);
        let minimum = if signed { ((minimum << unused) as i64 >> unused) as u64 } else { minimum };
        let header = Header { bits, minimum };
        let all_ones = u64::MAX >> (64 - bits.clamp(1, 64));
        let pack = |bits: u64| if is_fill(bits) { all_ones } else { ordered(bits).wrapping_sub(least) };
        (header, (bits < width).then(|| elements.iter().map(|bits| pack(*bits)).collect()))
    }

    fn pack_floats(&self, elements: &[u64], scale: f64, number: impl Fn(u64) -> f64) -> (Header, Option<Vec<u64>>) {
        let width = self.number.size() as u32 * 8;
        // The fill value is what rounds to it.
        let fill = self.fill.map(&number);
        let is_fill = |value: f64| fill.is_some_and(|fill| (value - fill).abs() < 1.0 / scale);
        let others = || elements.iter().filter(|bits| !is_fill(number(**bits)));
        let least = others().copied().min_by(|one, other| number(*one).total_cmp(&number(*other)));
        let most = others().map(|bits| number(*bits)).max_by(f64::total_cmp);
        let (least_bits, most) = (least.unwrap_or(0), most.unwrap_or(0.0));
        let least = number(least_bits);
        let span = (most * scale - least * scale).round();
        let plain = (Header { bits: width, minimum: least_bits }, None);
        // Neither infinities nor numbers that are none can be scaled.
        let is_sound = span.is_finite() && others().all(|bits| number(*bits).is_finite());
        if !is_sound || span >= (1_u64 << (width - 2)) as f64 {
            return plain;
        }
        let bits = self.bits_for(span as u64, width);
        if bits >= width {
            return plain;
        }
        let all_ones = u64::MAX >> (64 - bits.clamp(1, 64));
        let pack = |value: f64| if is_fill(value) { all_ones } else { (value * scale - least * scale).round() as u64 };
        let packed = elements.iter().map(|bits| pack(number(*bits))).collect();
        (Header { bits, minimum: least_bits }, Some(packed))
    }

    /// The bits it takes to tell the numbers up to `span`, and the fill value if there is one, apart.
    fn bits_for(&self, span: u64, width: u32) -> u32 {
        let distinct = u128::from(span) + 1 + u128::from(self.fill.is_some());
        (distinct - 1).checked_ilog2().map_or(0, |log| log + 1).min(width)
    }

    /// Fills `output` with values, which are those packed as `value` turns them into the element's bits, or the fill value.
    fn unpack(
        &self,
        header: Header,
        packed: &[u8],
        output: &mut [u8],
        value: impl Fn(u64) -> u64,
    ) -> Result<(), Problem> {
        let size = self.number.size();
        let all_ones = (1 << header.bits) - 1;
        let mut bits = BitReader::new(packed);
        for element in output.chunks_exact_mut(size) {
            let number = match (bits.take(header.bits)?, self.fill) {
                (packed, Some(fill)) if packed == all_ones => fill,
                (packed, _) => value(packed),
            };
            match self.order {
                ByteOrder::Little => element.copy_from_slice(&number.to_le_bytes()[..size]),
                ByteOrder::Big => element.copy_from_slice(&number.to_be_bytes()[8 - size..]),
            }
        }
        Ok(())
    }
}

impl Number {
    fn size(self) -> usize {
        match self {
            Self::Integer { size, .. } => size,
            Self::Float32 { .. } => 4,
            Self::Float64 { .. } => 8,
        }
    }
}

impl Header {
    /// Where the packed values start.
    const SIZE: usize = 21;

    fn parse(input: &[u8]) -> Result<(Self, &[u8]), Problem> {
        let (header, packed) =
            input.split_first_chunk::<{ Self::SIZE }>().ok_or(Problem::Truncated { length: input.len() })?;
        let [b0, b1, b2, b3, length, minimum @ ..] = header;
        // A writer with narrower integers stored fewer bytes.
        let minimum = minimum.iter().take(8.min(usize::from(*length))).rev();
        Ok((
            Self {
                bits: u32::from_le_bytes([*b0, *b1, *b2, *b3]),
                minimum: minimum.fold(0, |number, byte| number << 8 | u64::from(*byte)),
            },
            packed,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by libhdf5: client values, the stored chunk, and the chunk.
    const GOLDEN: &[(&[u32], &[u8], &[u8])] = &[
        // i16, fill value -1
        (
            &[2, 0, 5, 0, 2, 1, 0, 1, 65535],
            &[5, 0, 0, 0, 8, 249, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 7, 213, 15, 128],
            &[249, 255, 255, 255, 3, 0, 9, 0, 255, 255],
        ),
        // u32, big-endian
        (
            &[2, 0, 3, 0, 4, 0, 1, 1, 0],
            &[4, 0, 0, 0, 8, 112, 17, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 144],
            &[0, 1, 17, 112, 0, 1, 17, 113, 0, 1, 17, 121],
        ),
        // i8, all equal
        (&[2, 0, 3, 0, 1, 1, 0, 1, 0], &[1, 0, 0, 0, 8, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[4, 4, 4]),
        // i32, all 32 bits asked for: stored as it is
        (&[2, 32, 2, 0, 4, 1, 1, 1, 0], &[0, 0, 0, 1, 255, 255, 255, 254], &[0, 0, 0, 1, 255, 255, 255, 254]),
        // i64, fill value 77
        (
            &[2, 0, 3, 0, 8, 1, 0, 1, 77, 0],
            &[3, 0, 0, 0, 8, 0, 0, 0, 0, 0, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 23, 128],
            &[0, 0, 0, 0, 0, 255, 255, 255, 5, 0, 0, 0, 0, 255, 255, 255, 77, 0, 0, 0, 0, 0, 0, 0],
        ),
        // f32, two digits
        (
            &[0, 2, 3, 1, 4, 0, 0, 1, 0],
            &[11, 0, 0, 0, 8, 0, 0, 0, 191, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 21, 160, 2, 13, 0],
            &[164, 112, 157, 63, 0, 0, 0, 191, 0, 0, 32, 65],
        ),
        // f64, big-endian, one digit, fill value -99
        (
            &[0, 1, 3, 1, 8, 0, 1, 1, 0, 3227041792],
            &[5, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 244, 63, 0, 0, 0, 0, 0, 0, 0, 0, 7, 228],
            &[63, 244, 0, 0, 0, 0, 0, 0, 192, 88, 192, 0, 0, 0, 0, 0, 64, 8, 102, 102, 102, 102, 102, 102],
        ),
    ];

    #[test]
    fn reads_what_libhdf5_wrote() {
        for (values, stored, expected) in GOLDEN {
            let mut output = vec![0xaa; expected.len()];
            assert_eq!(ScaleOffset.decode(values, stored, &mut output), Ok(expected.len()), "{values:?}");
            assert_eq!(output, *expected, "{values:?}");
            assert!(matches!(ScaleOffset.decode(values, stored, &mut output[1..]), Err(Problem::TooLong { .. })));
        }
    }

    #[test]
    fn all_bits_means_the_values_themselves() {
        let stored: Vec<u8> = [16, 0, 0, 0, 8].into_iter().chain([9; 16]).chain([1, 2, 3, 4]).collect();
        for (order, expected) in [(0, [1, 2, 3, 4]), (1, [2, 1, 4, 3])] {
            let mut output = [0; 4];
            assert_eq!(ScaleOffset.decode(&[2, 0, 2, 0, 2, 0, order, 0], &stored, &mut output), Ok(4));
            assert_eq!(output, expected);
        }
    }

    #[test]
    fn no_bits_means_the_minimum_everywhere() {
        let stored: Vec<u8> = [0, 0, 0, 0, 8, 7, 1].into_iter().chain([0; 14]).collect();
        let mut output = [0; 4];
        assert_eq!(ScaleOffset.decode(&[2, 0, 2, 0, 2, 0, 0, 0], &stored, &mut output), Ok(4));
        assert_eq!(output, [7, 1, 7, 1]);
    }

    #[test]
    fn damage_is_an_error_and_never_a_panic() {
        for (values, stored, expected) in GOLDEN {
            let mut output = vec![0; expected.len()];
            for cut in 0..stored.len() - 1 {
                let result = ScaleOffset.decode(values, &stored[..cut], &mut output);
                assert!(result != Ok(expected.len()), "{values:?} cut to {cut}");
            }
            for cut in 0..values.len() {
                assert!(matches!(ScaleOffset.decode(&values[..cut], stored, &mut output), Err(Problem::Values(_))));
            }
            for index in 0..values.len() {
                for value in [0, 1, 2, 3, 4, 7, 8, 16, 64, 1000, u32::MAX] {
                    let mut damaged = values.to_vec();
                    damaged[index] = value;
                    let _ = ScaleOffset.decode(&damaged, stored, &mut output);
                }
            }
            for byte in 0..stored.len().min(8) {
                for value in [0, 1, 31, 32, 33, 63, 64, 65, 255] {
                    let mut damaged = stored.to_vec();
                    damaged[byte] = value;
                    let _ = ScaleOffset.decode(values, &damaged, &mut output);
                }
            }
        }
    }
}

//! Scale-offset: the difference of each value from the smallest, in as few bits as the largest difference needs.
//!
//! A stored chunk starts with the bits per value (4 bytes), the length of the minimum (1 byte), and the minimum (8 bytes, of which that
//! many count), all little-endian. The packed values start at byte 21. All bits set stands for the fill value, if there is one. Floating
//! point values were first multiplied by a power of ten and rounded (the "D-scale" method), so what is read is not exactly what was
//! written.
//!
//! Client values: the method, its parameter (decimal digits, or bits), how many elements, then the type (class, size, sign, byte order),
//! whether there is a fill value, and its bytes.
//!
//! This crate reads scale-offset chunks. It writes such datasets with this filter skipped, which the format allows since the filter is
//! always optional.

use crate::bits::BitReader;
use crate::{Encoded, Filter, Problem};

/// The scale-offset filter, for reading.
#[derive(Debug, Clone, Copy)]
pub struct ScaleOffset;

impl Filter for ScaleOffset {
    fn name(&self) -> &str {
        "scaleoffset"
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
            if parameters.order == Order::Big {
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

    fn encode(&self, _: &[u32], _: &[u8], _: &mut Vec<u8>) -> Result<Encoded, Problem> {
        Err(Problem::values("scale-offset chunks can be read, not written"))
    }
}

/// What the client values say.
#[derive(Debug)]
struct Parameters {
    count: usize,
    number: Number,
    /// The bits per value that the user asked for; 0 leaves it to the filter.
    bits: u32,
    order: Order,
    fill: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
enum Number {
    Integer { size: usize },
    Float32 { digits: i32 },
    Float64 { digits: i32 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Little,
    Big,
}

/// What a stored chunk starts with.
#[derive(Debug, Clone, Copy)]
struct Header {
    bits: u32,
    minimum: u64,
}

impl Parameters {
    fn parse(values: &[u32]) -> Result<Self, Problem> {
        let &[method, parameter, count, class, size, _sign, order, has_fill, ref fill @ ..] = values else {
            return Err(Problem::values(format!("{} of them, too few", values.len())));
        };
        let (number, bits) = match (method, class, size) {
            (0, 1, 4) => (Number::Float32 { digits: parameter as i32 }, 0),
            (0, 1, 8) => (Number::Float64 { digits: parameter as i32 }, 0),
            (2, 0, 1 | 2 | 4 | 8) => (Number::Integer { size: size as usize }, parameter),
            (1, 1, _) => return Err(Problem::values("the E-scale method, which nobody implements")),
            _ => return Err(Problem::values(format!("method {method} for class {class} of {size} bytes"))),
        };
        let order = match order {
            0 => Order::Little,
            1 => Order::Big,
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
                Order::Little => element.copy_from_slice(&number.to_le_bytes()[..size]),
                Order::Big => element.copy_from_slice(&number.to_be_bytes()[8 - size..]),
            }
        }
        Ok(())
    }
}

impl Number {
    fn size(self) -> usize {
        match self {
            Self::Integer { size } => size,
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

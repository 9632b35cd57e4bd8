//! ZFP: lossy or reversible compression of numbers in blocks of four along each axis, as the H5Z-ZFP plugin stores it.
//!
//! The stored chunk is the bare stream. What to make of it, the header of the stream, is in the client values, after a version. A
//! writer puts the bytes of the header there as its own machine's numbers. On a big-endian machine the bytes of each value are therefore
//! reversed, and so were the numbers that were compressed: what the chunk decodes to is big-endian.

use zfp_rs::{
    ZfpBitStream, ZfpConfig, ZfpDimensionality, ZfpField, ZfpFieldMut, ZfpHeader, ZfpHeaderMask, ZfpScalar,
    ZfpScalarType, ZfpStreamAlignment,
};

use crate::form::{ByteOrder, ChunkForm, ElementType};
use crate::{Encoded, Filter, Problem};

/// ZFP. Client values to give: the mode, 0, and its parameters in the bits of two or more words, least significant first: 1 and the
/// bits per value (a 64-bit float), 2 and the precision, 3 and the largest error (a 64-bit float), 4 and least bits, most bits, precision
/// and least exponent, 5 for reversible; none for ZFP's own. What is kept is a version and the stream's header.
#[derive(Debug, Clone, Copy)]
pub struct Zfp;

/// The versions of ZFP, of its format and of the plugin whose files these are like.
const VERSIONS: u32 = 0x1010_5111;
const AXES_AT_MOST: usize = 4;

impl Filter for Zfp {
    fn name(&self) -> &str {
        "zfp"
    }

    fn settle(&self, values: &[u32], form: &ChunkForm<'_>) -> Result<Vec<u32>, Problem> {
        let scalar = match form.element {
            // Without a sign they are taken for numbers with one.
            ElementType::Integer { bits, .. } if bits.size == 4 => ZfpScalarType::I32,
            ElementType::Integer { bits, .. } if bits.size == 8 => ZfpScalarType::I64,
            ElementType::Float(bits) if bits.size == 4 => ZfpScalarType::F32,
            ElementType::Float(bits) if bits.size == 8 => ZfpScalarType::F64,
            _ => return Err(Problem::values("ZFP is for floats and integers of 32 and 64 bits")),
        };
        // The plugin takes numbers of the other byte order as they are: what it loses of them is not their low bits.
        if form.element.number().is_none_or(|bits| bits.order != ByteOrder::Little) {
            return Err(Problem::values("ZFP is for little-endian numbers"));
        }
        // Axes of one element do not count. ZFP's first axis is the one that varies fastest.
        let dims: Option<Vec<usize>> =
            form.dims.iter().rev().filter(|dim| **dim > 1).map(|dim| usize::try_from(*dim).ok()).collect();
        let dims = dims.filter(|dims| (1..=AXES_AT_MOST).contains(&dims.len()));
        let dims =
            dims.ok_or_else(|| Problem::values("ZFP is for chunks with one to four axes of more than one element"))?;
        let config = config(values, scalar, dims.len())?;
        let wrong = |error: &dyn std::fmt::Display| Problem::values(format!("ZFP: {error}"));
        let mut header = ZfpBitStream::new(64).map_err(|error| wrong(&error))?;
        let bits = match scalar {
            ZfpScalarType::I32 => put_header::<i32>(&mut header, &config, &dims),
            ZfpScalarType::I64 => put_header::<i64>(&mut header, &config, &dims),
            ZfpScalarType::F32 => put_header::<f32>(&mut header, &config, &dims),
            ZfpScalarType::F64 => put_header::<f64>(&mut header, &config, &dims),
        }?;
        header.flush();
        let words = header.backing_words().iter().flat_map(|word| [*word as u32, (*word >> 32) as u32]);
        Ok([VERSIONS].into_iter().chain(words.take(bits.div_ceil(32))).collect())
    }

    fn decode(&self, values: &[u32], input: &[u8], output: &mut [u8]) -> Result<usize, Problem> {
        let Described { scalar, dims, config, order } = parse(values)?;
        match (scalar, order) {
            (ZfpScalarType::I32, ByteOrder::Little) => decode(dims, &config, input, output, i32::to_le_bytes),
            (ZfpScalarType::I32, ByteOrder::Big) => decode(dims, &config, input, output, i32::to_be_bytes),
            (ZfpScalarType::I64, ByteOrder::Little) => decode(dims, &config, input, output, i64::to_le_bytes),
            (ZfpScalarType::I64, ByteOrder::Big) => decode(dims, &config, input, output, i64::to_be_bytes),
            (ZfpScalarType::F32, ByteOrder::Little) => decode(dims, &config, input, output, f32::to_le_bytes),
            (ZfpScalarType::F32, ByteOrder::Big) => decode(dims, &config, input, output, f32::to_be_bytes),
            (ZfpScalarType::F64, ByteOrder::Little) => decode(dims, &config, input, output, f64::to_le_bytes),
            (ZfpScalarType::F64, ByteOrder::Big) => decode(dims, &config, input, output, f64::to_be_bytes),
        }
    }

    fn encode(&self, values: &[u32], input: &[u8], output: &mut Vec<u8>) -> Result<Encoded, Problem> {
        let Described { scalar, dims, config, order } = parse(values)?;
        match (scalar, order) {
            (ZfpScalarType::I32, ByteOrder::Little) => encode(dims, &config, input, output, i32::from_le_bytes),
            (ZfpScalarType::I32, ByteOrder::Big) => encode(dims, &config, input, output, i32::from_be_bytes),
            (ZfpScalarType::I64, ByteOrder::Little) => encode(dims, &config, input, output, i64::from_le_bytes),
            (ZfpScalarType::I64, ByteOrder::Big) => encode(dims, &config, input, output, i64::from_be_bytes),
            (ZfpScalarType::F32, ByteOrder::Little) => encode(dims, &config, input, output, f32::from_le_bytes),
            (ZfpScalarType::F32, ByteOrder::Big) => encode(dims, &config, input, output, f32::from_be_bytes),
            (ZfpScalarType::F64, ByteOrder::Little) => encode(dims, &config, input, output, f64::from_le_bytes),
            (ZfpScalarType::F64, ByteOrder::Big) => encode(dims, &config, input, output, f64::from_be_bytes),
        }?;
        Ok(Encoded::by_length(input, output))
    }
}

/// What the values a program gives ask for.
fn config(values: &[u32], scalar: ZfpScalarType, axes: usize) -> Result<ZfpConfig, Problem> {
    let double = |low: u32, high: u32| f64::from_bits(u64::from(high) << 32 | u64::from(low));
    let wrong = |error: &dyn std::fmt::Display| Problem::values(format!("ZFP: {error}"));
    match *values {
        [] | [0, ..] => Ok(ZfpConfig::new()),
        [1, _, low, high, ..] => {
            let axes = match axes {
                1 => ZfpDimensionality::D1,
                2 => ZfpDimensionality::D2,
                3 => ZfpDimensionality::D3,
                _ => ZfpDimensionality::D4,
            };
            ZfpConfig::fixed_rate(double(low, high), scalar, axes, ZfpStreamAlignment::Unaligned)
                .map_err(|error| wrong(&error))
        }
        [2, _, precision, ..] => Ok(ZfpConfig::fixed_precision(precision)),
        [3, _, low, high, ..] => Ok(ZfpConfig::fixed_accuracy(double(low, high))),
        [4, _, least, most, precision, exponent, ..] => {
            ZfpConfig::expert(least, most, precision, exponent as i32).map_err(|error| wrong(&error))
        }
        [5, ..] => Ok(ZfpConfig::reversible()),
        [mode, ..] => Err(Problem::values(format!("ZFP mode {mode} with {} values", values.len()))),
    }
}

/// Writes the header of a stream and returns its bits.
fn put_header<T: ZfpScalar>(stream: &mut ZfpBitStream, config: &ZfpConfig, dims: &[usize]) -> Result<usize, Problem> {
    let mut padded = [0; AXES_AT_MOST];
    padded[..dims.len()].copy_from_slice(dims);
    let metadata = zfp_rs::ZfpFieldMetadata { scalar_type: T::SCALAR_TYPE, dims: padded };
    stream
        .write_header(config, &metadata, ZfpHeaderMask::FULL)
        .map_err(|error| Problem::values(format!("ZFP cannot describe such chunks: {error}")))
}

/// What the kept values say of a chunk.
#[derive(Debug, PartialEq)]
struct Described {
    scalar: ZfpScalarType,
    /// Unused axes are zero.
    dims: [usize; AXES_AT_MOST],
    config: ZfpConfig,
    /// That of the machine that wrote the chunk.
    order: ByteOrder,
}

fn parse(values: &[u32]) -> Result<Described, Problem> {
    let header = values.get(1..).unwrap_or_default();
    parse_header(header, ByteOrder::Little).or_else(|problem| {
        let swapped: Vec<u32> = header.iter().map(|value| value.swap_bytes()).collect();
        // What is a header in neither order is told of as it stands.
        parse_header(&swapped, ByteOrder::Big).map_err(|_| problem)
    })
}

fn parse_header(header: &[u32], order: ByteOrder) -> Result<Described, Problem> {
    let words = header.chunks(2).map(|pair| u64::from(pair[0]) | pair.get(1).map_or(0, |high| u64::from(*high) << 32));
    let mut stream = ZfpBitStream::from_words(words.collect());
    match stream.read_header(ZfpHeaderMask::FULL) {
        Ok(ZfpHeader { bits_read, metadata: Some(metadata), config: Some(config) })
            if bits_read <= header.len() * 32 =>
        {
            Ok(Described { scalar: metadata.scalar_type, dims: metadata.dims, config, order })
        }
        Ok(_) => Err(Problem::values("a ZFP header that is too short")),
        Err(error) => Err(Problem::values(error.to_string())),
    }
}

/// The elements of an array of that shape, whose unused axes are zero.
fn count(dims: [usize; AXES_AT_MOST]) -> Option<usize> {
    dims.iter().take_while(|dim| **dim > 0).try_fold(1_usize, |count, dim| count.checked_mul(*dim))
}

fn decode<T: ZfpScalar + Default, const N: usize>(
    dims: [usize; AXES_AT_MOST],
    config: &ZfpConfig,
    input: &[u8],
    output: &mut [u8],
    bytes: impl Fn(T) -> [u8; N],
) -> Result<usize, Problem> {
    let limit = output.len();
    let count = count(dims).filter(|count| *count <= limit / N).ok_or(Problem::TooLong { limit })?;
    let mut words: Vec<u64> = Vec::with_capacity(input.len() / 8 + 1);
    let (whole, rest) = input.as_chunks();
    words.extend(whole.iter().map(|bytes| u64::from_le_bytes(*bytes)));
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        words.push(u64::from_le_bytes(last));
    }
    let mut values = vec![T::default(); count];
    let malformed = |error: &dyn std::fmt::Display| Problem::malformed(format!("not a sound ZFP stream: {error}"));
    let mut field = ZfpFieldMut::new(&mut values, dims).map_err(|error| malformed(&error))?;
    ZfpBitStream::from_words(words).decompress(config, &mut field).map_err(|error| malformed(&error))?;
    output.as_chunks_mut().0.iter_mut().zip(&values).for_each(|(to, value)| *to = bytes(*value));
    Ok(count * N)
}

fn encode<T: ZfpScalar, const N: usize>(
    dims: [usize; AXES_AT_MOST],
    config: &ZfpConfig,
    input: &[u8],
    output: &mut Vec<u8>,
    value: impl Fn([u8; N]) -> T,
) -> Result<(), Problem> {
    if count(dims).and_then(|count| count.checked_mul(N)) != Some(input.len()) {
        return Err(Problem::values(format!("an array of {dims:?} elements of {N} bytes, but {} bytes", input.len())));
    }
    let failed = |error: &dyn std::fmt::Display| Problem::malformed(format!("ZFP failed: {error}"));
    let values: Vec<T> = input.as_chunks().0.iter().map(|bytes| value(*bytes)).collect();
    let field = ZfpField::new(&values, dims).map_err(|error| failed(&error))?;
    let room =
        config.maximum_size(T::SCALAR_TYPE, dims).ok_or_else(|| Problem::malformed("a chunk too large for ZFP"))?;
    let mut stream = ZfpBitStream::new(room).map_err(|error| failed(&error))?;
    let length = stream.compress(config, &field).map_err(|error| failed(&error))?;
    output.extend(&stream.as_bytes()[..length]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_big_endian_machine_wrote_decodes_to_big_endian_numbers() {
        // As H5Z-ZFP 0.2.0 wrote it on such a machine: 256 floats of 64 bits in each chunk, 7.5 bits a value or less.
        let foreign = [5_242_912, 0x7a66_7005, 0xf30f_0000, 0xf083];
        let described = parse(&foreign).unwrap();
        assert_eq!((described.scalar, described.dims), (ZfpScalarType::F64, [256, 0, 0, 0]));
        assert_eq!(described.order, ByteOrder::Big);
        let numbers: Vec<f64> = (0..256).map(|at| f64::from(at) * 0.25).collect();
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
        let mut stored = Vec::new();
        Zfp.encode(&foreign, &bytes, &mut stored).unwrap();
        let decoded = |values: &[u32]| {
            let mut out = vec![0; bytes.len()];
            Zfp.decode(values, &stored, &mut out).unwrap();
            out.as_chunks().0.to_vec()
        };
        let big: Vec<f64> = decoded(&foreign).into_iter().map(f64::from_be_bytes).collect();
        assert!(big.iter().zip(&numbers).all(|(one, other)| (one - other).abs() < 0.25), "{big:?}");
        let native: Vec<u32> =
            foreign.iter().enumerate().map(|(at, value)| if at == 0 { *value } else { value.swap_bytes() }).collect();
        let little: Vec<f64> = decoded(&native).into_iter().map(f64::from_le_bytes).collect();
        assert_eq!(big, little);
    }

    #[test]
    fn no_header_in_either_order_is_an_error() {
        for values in [&[][..], &[0], &[0, 0x1234_5678, 1, 2], &[0, 0x7a66_7005], &[0, 0x0570_667a]] {
            assert!(matches!(parse(values), Err(Problem::Values(_))), "{values:x?}");
        }
    }
}

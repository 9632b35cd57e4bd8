//! Blosc and Blosc2: chunks cut into blocks that fit the processor's caches, each shuffled and compressed on its own.
//!
//! With Blosc a stored HDF5 chunk is one Blosc chunk, with Blosc2 it is a frame around one.

mod array;
mod chunk;
mod frame;

use chunk::{Compression, Version};

use crate::codec::Codec;
use crate::form::ChunkForm;
use crate::{Encoded, Filter, Problem};

/// Blosc. Client values: (filled in for a dataset) the versions of the filter and of the format, the element size, the bytes of a chunk;
/// the level, 0 to 9; the shuffle, 0 none, 1 of bytes, 2 of bits; the compression, 0 BloscLZ, 1 LZ4, 2 LZ4HC, 3 Snappy, 4 zlib, 5
/// Zstandard.
#[derive(Debug, Clone, Copy)]
pub struct Blosc;

/// Blosc2. Client values: (filled in for a dataset) the version of the filter, 0, the element size, the bytes of a chunk; the level, 0
/// to 9; the shuffle, 0 none, 1 of bytes, 2 of bits, 3 differences ("delta"); the compression, 0 BloscLZ, 1 LZ4, 2 LZ4HC, 4 zlib, 5
/// Zstandard; (filled in for a dataset of several axes) the rank and the shape of a chunk.
#[derive(Debug, Clone, Copy)]
pub struct Blosc2;

/// The larger sizes count as bytes for shuffling.
const ELEMENT_AT_MOST: u32 = 255;
/// The most axes Blosc2 knows.
const AXES_AT_MOST: usize = 8;

impl Filter for Blosc {
    fn name(&self) -> &str {
        "blosc"
    }

    fn settle(&self, values: &[u32], form: &ChunkForm<'_>) -> Result<Vec<u32>, Problem> {
        let settled = settle([2, 2], values, form)?;
        compression(Version::V1, &settled).map(|_| settled)
    }

    fn decode(&self, _: &[u32], input: &[u8], output: &mut [u8]) -> Result<usize, Problem> {
        chunk::decode(input, output)
    }

    fn encode(&self, values: &[u32], input: &[u8], output: &mut Vec<u8>) -> Result<Encoded, Problem> {
        let settings = compression(Version::V1, values)?;
        settings.encode(settings.block(input.len()), input, output)?;
        Ok(Encoded::by_length(input, output))
    }
}

impl Filter for Blosc2 {
    fn name(&self) -> &str {
        "blosc2"
    }

    fn settle(&self, values: &[u32], form: &ChunkForm<'_>) -> Result<Vec<u32>, Problem> {
        // All of them, so that the rank has its place.
        let usual = [0, 0, 0, 0, 5, 1, 0].iter().enumerate();
        let given: Vec<u32> = usual.map(|(at, usual)| *values.get(at).unwrap_or(usual)).collect();
        let mut settled = settle([1, 0], &given, form)?;
        compression(Version::V2, &settled)?;
        let dims: Option<Vec<u32>> = form.dims.iter().map(|dim| u32::try_from(*dim).ok()).collect();
        // An array's elements are of the frame's element size: of others (those that are too large, or arrays themselves) none can be made.
        let fits = form.element.size() == settled[2];
        if let Some(dims) = dims.filter(|dims| fits && (2..=AXES_AT_MOST).contains(&dims.len())) {
            settled.push(dims.len() as u32);
            settled.extend(dims);
        }
        Ok(settled)
    }

    fn decode(&self, _: &[u32], input: &[u8], output: &mut [u8]) -> Result<usize, Problem> {
        frame::decode(input, output)
    }

    fn encode(&self, values: &[u32], input: &[u8], output: &mut Vec<u8>) -> Result<Encoded, Problem> {
        let settings = compression(Version::V2, values)?;
        let dims = match values.get(7..) {
            Some([rank, dims @ ..]) if *rank as usize == dims.len() => dims,
            _ => &[],
        };
        frame::encode(&settings, values[2], dims, input, output)?;
        // Whether or not it got shorter: programs read frames in files with Blosc2's own library, which finds none in a skipped chunk.
        Ok(Encoded::Done)
    }
}

/// The values that say what a dataset is, in front of those of the user, which start with as many that are ignored.
fn settle(versions: [u32; 2], values: &[u32], form: &ChunkForm<'_>) -> Result<Vec<u32>, Problem> {
    let size = match form.element.innermost().size() {
        size @ 1..=ELEMENT_AT_MOST => size,
        _ => 1,
    };
    let bytes = u32::try_from(form.bytes()).ok().filter(|bytes| *bytes <= i32::MAX as u32);
    let bytes = bytes.ok_or_else(|| Problem::values("Blosc is for chunks of less than 2 GiB"))?;
    let settled = [&[versions[0], versions[1], size, bytes], values.get(4..).unwrap_or_default()].concat();
    Ok(settled)
}

fn compression(version: Version, values: &[u32]) -> Result<Compression, Problem> {
    let &[_, _, size, _, ref rest @ ..] = values else {
        return Err(Problem::values(format!("{} of them, too few", values.len())));
    };
    let element = match size {
        1..=ELEMENT_AT_MOST => size as u8,
        _ => return Err(Problem::values(format!("elements of {size} bytes"))),
    };
    let level = match rest.first().copied().unwrap_or(5) {
        level @ 0..=9 => level,
        level => return Err(Problem::values(format!("level {level}, but levels are 0 to 9"))),
    };
    let shuffle = match rest.get(1).copied().unwrap_or(1) {
        0 => chunk::Step::None,
        1 => chunk::Step::Shuffle,
        2 => chunk::Step::BitShuffle,
        3 if version == Version::V2 => chunk::Step::Delta,
        other => return Err(Problem::values(format!("shuffle {other}"))),
    };
    let codec = match rest.get(2).copied().unwrap_or(0) {
        0 => Codec::BloscLz,
        // LZ4HC makes the same format as LZ4, with more effort; there is one effort here.
        1 | 2 => Codec::Lz4,
        3 if version == Version::V1 => Codec::Snappy,
        4 => Codec::Zlib,
        5 => Codec::Zstandard,
        other => return Err(Problem::values(format!("compression {other}"))),
    };
    Ok(Compression { version, element, level, shuffle, codec })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::form::ElementType;

    #[test]
    fn only_elements_of_the_frames_size_make_an_array() {
        let other = |size| ElementType::Other { size };
        for (element, size, is_array) in [
            (other(8), 8, true),
            (other(300), 1, false),
            (ElementType::Array { count: 2, base: Box::new(other(4)) }, 4, false),
        ] {
            let form = ChunkForm { dims: &[6, 7], element: &element, fill: None };
            let settled = Blosc2.settle(&[], &form).unwrap();
            assert_eq!(settled[2], size);
            assert_eq!(settled.get(7..), Some(if is_array { &[2, 6, 7][..] } else { &[] }));
        }
    }

    #[test]
    fn a_frame_is_kept_though_it_is_longer_and_says_what_its_elements_are() {
        let mut stored = Vec::new();
        let done = Blosc2.encode(&[1, 0, 2, 4, 5, 1, 0, 2, 1, 2], &[1, 2, 3, 4], &mut stored);
        assert_eq!(done, Ok(Encoded::Done));
        assert!(stored.windows(3).any(|bytes| bytes == b"|V2"));
    }
}

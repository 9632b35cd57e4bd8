//! The compressions that several filters share: bytes without any frame around them, or with that of the compression itself.

pub(crate) mod blosclz;
pub(crate) mod lz4;
pub(crate) mod lz77;
pub(crate) mod snappy;
pub(crate) mod zstandard;

use crate::{Deflate, Filter, Problem};

/// A compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    BloscLz,
    Lz4,
    Snappy,
    Zlib,
    Zstandard,
}

impl Codec {
    /// Writes what `input` stands for to the front of `output` and returns how many bytes that is.
    pub(crate) fn decode(self, input: &[u8], output: &mut [u8]) -> Result<usize, Problem> {
        match self {
            Self::BloscLz => blosclz::decode(input, output),
            Self::Lz4 => lz4::decode(input, output),
            Self::Snappy => snappy::decode(input, output),
            Self::Zlib => Deflate.decode(&[], input, output),
            Self::Zstandard => zstandard::decode(input, output),
        }
    }

    /// Like [`Codec::decode`], of input that stands for exactly as many bytes as `output` has.
    pub(crate) fn decode_exact(self, input: &[u8], output: &mut [u8]) -> Result<(), Problem> {
        match self.decode(input, output)? {
            length if length == output.len() => Ok(()),
            length => Err(Problem::malformed(format!("a block of {length} bytes instead of {}", output.len()))),
        }
    }

    /// Appends the compressed `input` to `output`. `level` is from 0 to 9, for those that have levels.
    pub(crate) fn encode(self, level: u32, input: &[u8], output: &mut Vec<u8>) -> Result<(), Problem> {
        match self {
            Self::BloscLz => blosclz::encode(input, output),
            Self::Lz4 => lz4::encode(input, output),
            Self::Snappy => snappy::encode(input, output)?,
            Self::Zlib => {
                // The filter wants an output of its own.
                let mut stream = Vec::new();
                Deflate.encode(&[level.min(9)], input, &mut stream)?;
                output.extend(stream);
            }
            Self::Zstandard => zstandard::encode(input, output),
        }
        Ok(())
    }
}

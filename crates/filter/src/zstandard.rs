//! Zstandard, as registered with The HDF Group: a chunk is one frame (RFC 8878).

use crate::codec::Codec;
use crate::{Encoded, Filter, Problem};

/// Zstandard. Client values: the level, which is kept in the file for those who can choose; what is written here is always
/// compressed at about zstd's first level.
#[derive(Debug, Clone, Copy)]
pub struct Zstandard;

impl Filter for Zstandard {
    fn name(&self) -> &str {
        "zstd"
    }

    fn decode(&self, _: &[u32], input: &[u8], output: &mut [u8]) -> Result<usize, Problem> {
        Codec::Zstandard.decode(input, output)
    }

    fn encode(&self, _: &[u32], input: &[u8], output: &mut Vec<u8>) -> Result<Encoded, Problem> {
        Codec::Zstandard.encode(0, input, output)?;
        Ok(Encoded::Done)
    }
}

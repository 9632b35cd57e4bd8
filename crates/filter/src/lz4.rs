//! LZ4, as registered with The HDF Group: the length of the chunk (8 bytes) and of a block (4 bytes), then each block as its stored
//! length (4 bytes) and its bytes, all big-endian. A block that did not get shorter is stored as it is.

use crate::codec::Codec;
use crate::{Encoded, Filter, Problem};

/// LZ4. Client values: the bytes of a block, or 0 for one block as large as a chunk.
#[derive(Debug, Clone, Copy)]
pub struct Lz4;

/// The largest block.
const BLOCK_AT_MOST: usize = 1 << 30;

impl Filter for Lz4 {
    fn name(&self) -> &str {
        "lz4"
    }

    fn decode(&self, _: &[u32], input: &[u8], output: &mut [u8]) -> Result<usize, Problem> {
        let truncated = || Problem::Truncated { length: input.len() };
        let limit = output.len();
        let (length, rest) = input.split_first_chunk().ok_or_else(truncated)?;
        let (block, mut rest) = rest.split_first_chunk().ok_or_else(truncated)?;
        let length = usize::try_from(u64::from_be_bytes(*length)).map_err(|_| Problem::TooLong { limit })?;
        let output = output.get_mut(..length).ok_or(Problem::TooLong { limit })?;
        let block = u32::from_be_bytes(*block) as usize;
        if block == 0 && length > 0 {
            return Err(Problem::malformed("blocks of no bytes"));
        }
        for block in output.chunks_mut(block.max(1)) {
            let (stored, after) = rest.split_first_chunk().ok_or_else(truncated)?;
            let (stored, after) = after.split_at_checked(u32::from_be_bytes(*stored) as usize).ok_or_else(truncated)?;
            rest = after;
            if stored.len() == block.len() {
                block.copy_from_slice(stored);
            } else {
                Codec::Lz4.decode_exact(stored, block)?;
            }
        }
        Ok(length)
    }

    fn encode(&self, values: &[u32], input: &[u8], output: &mut Vec<u8>) -> Result<Encoded, Problem> {
        let block = match values.first() {
            None | Some(0) => BLOCK_AT_MOST,
            Some(block) => BLOCK_AT_MOST.min(*block as usize),
        };
        let block = block.min(input.len());
        output.extend((input.len() as u64).to_be_bytes());
        output.extend((block as u32).to_be_bytes());
        for block in input.chunks(block.max(1)) {
            let start = output.len();
            output.extend([0; 4]);
            Codec::Lz4.encode(0, block, output)?;
            if output.len() - start - 4 >= block.len() {
                output.truncate(start + 4);
                output.extend(block);
            }
            let stored = (output.len() - start - 4) as u32;
            output[start..start + 4].copy_from_slice(&stored.to_be_bytes());
        }
        Ok(Encoded::Done)
    }
}

//! Bitshuffle: bits of equal significance side by side, block by block, and then perhaps each block compressed.
//!
//! Blocks hold a multiple of eight elements; up to seven elements at the end of the chunk stay as they are. If blocks are compressed the
//! chunk starts with its length (8 bytes) and that of a block (4 bytes), and each block with its compressed length (4 bytes), all
//! big-endian.

use crate::bit_transpose::{bit_shuffle, bit_unshuffle};
use crate::codec::Codec;
use crate::form::ChunkForm;
use crate::{Encoded, Filter, Problem};

/// Bitshuffle. Client values: (filled in for a dataset) the version and the element size; elements of a block, or 0; the compression,
/// 0 for none, 2 for LZ4, 3 for Zstandard; its level.
#[derive(Debug, Clone, Copy)]
pub struct Bitshuffle;

/// The version whose format this is.
const VERSION: [u32; 2] = [0, 4];
/// Bytes of a block, if it is not said.
const BLOCK_BYTES: usize = 8192;
const SHORTEST_BLOCK: usize = 128;

impl Filter for Bitshuffle {
    fn name(&self) -> &str {
        "bitshuffle"
    }

    fn settle(&self, values: &[u32], form: &ChunkForm<'_>) -> Result<Vec<u32>, Problem> {
        let own = [VERSION[0], VERSION[1], form.element.size()];
        let settled = [&own, values].concat();
        Settings::parse(&settled)?;
        Ok(settled)
    }

    fn keeps_length(&self, values: &[u32]) -> bool {
        Settings::parse(values).is_ok_and(|settings| settings.codec.is_none())
    }

    fn decode(&self, values: &[u32], input: &[u8], output: &mut [u8]) -> Result<usize, Problem> {
        let settings = Settings::parse(values)?;
        let mut room = Vec::new();
        let limit = output.len();
        let Some(codec) = settings.codec else {
            let output = output.get_mut(..input.len()).ok_or(Problem::TooLong { limit })?;
            let whole = settings.whole(input.len());
            let blocks = input[..whole].chunks(settings.block_bytes()).zip(output.chunks_mut(settings.block_bytes()));
            blocks.for_each(|(from, to)| bit_unshuffle(settings.size, from, &mut to[..from.len()], &mut room));
            output[whole..].copy_from_slice(&input[whole..]);
            return Ok(input.len());
        };
        let truncated = || Problem::Truncated { length: input.len() };
        let (length, rest) = input.split_first_chunk().ok_or_else(truncated)?;
        let (block, mut rest) = rest.split_first_chunk().ok_or_else(truncated)?;
        let length = usize::try_from(u64::from_be_bytes(*length)).map_err(|_| Problem::TooLong { limit })?;
        let output = output.get_mut(..length).ok_or(Problem::TooLong { limit })?;
        let block = u32::from_be_bytes(*block) as usize;
        if block == 0 || !block.is_multiple_of(settings.size * 8) {
            return Err(Problem::malformed(format!("blocks of {block} bytes of elements of {}", settings.size)));
        }
        let (blocks, plain) = output.split_at_mut(settings.whole(length));
        let mut bits = Vec::new();
        for block in blocks.chunks_mut(block) {
            let (stored, after) = rest.split_first_chunk().ok_or_else(truncated)?;
            let (stored, after) = after.split_at_checked(u32::from_be_bytes(*stored) as usize).ok_or_else(truncated)?;
            rest = after;
            bits.resize(block.len(), 0);
            codec.decode_exact(stored, &mut bits)?;
            bit_unshuffle(settings.size, &bits, block, &mut room);
        }
        plain.copy_from_slice(rest.get(..plain.len()).ok_or_else(truncated)?);
        Ok(length)
    }

    fn encode(&self, values: &[u32], input: &[u8], output: &mut Vec<u8>) -> Result<Encoded, Problem> {
        let settings = Settings::parse(values)?;
        let (blocks, plain) = input.split_at(settings.whole(input.len()));
        if let Some(_codec) = settings.codec {
            output.extend((input.len() as u64).to_be_bytes());
            output.extend((settings.block_bytes() as u32).to_be_bytes());
        }
        let (mut bits, mut room) = (Vec::new(), Vec::new());
        for block in blocks.chunks(settings.block_bytes()) {
            bits.resize(block.len(), 0);
            bit_shuffle(settings.size, block, &mut bits, &mut room);
            match settings.codec {
                None => output.extend(&bits),
                Some(codec) => {
                    let start = output.len();
                    output.extend([0; 4]);
                    codec.encode(0, &bits, output)?;
                    let stored = (output.len() - start - 4) as u32;
                    output[start..start + 4].copy_from_slice(&stored.to_be_bytes());
                }
            }
        }
        output.extend(plain);
        Ok(Encoded::Done)
    }
}

/// What the client values say.
struct Settings {
    /// Bytes of an element.
    size: usize,
    /// Elements of a block.
    block: usize,
    codec: Option<Codec>,
}

impl Settings {
    fn parse(values: &[u32]) -> Result<Self, Problem> {
        let &[_major, _minor, size, ref rest @ ..] = values else {
            return Err(Problem::values(format!("{} of them, too few", values.len())));
        };
        if size == 0 || size > 1 << 24 {
            return Err(Problem::values(format!("elements of {size} bytes")));
        }
        let size = size as usize;
        let block = match rest.first().copied().unwrap_or(0) as usize {
            0 => (BLOCK_BYTES / size / 8 * 8).max(SHORTEST_BLOCK),
            block if !block.is_multiple_of(8) => {
                return Err(Problem::values(format!("blocks of {block} elements, not a multiple of eight")));
            }
            block => block,
        };
        if block.checked_mul(size).is_none_or(|bytes| u32::try_from(bytes).is_err()) {
            return Err(Problem::values(format!("blocks of {block} elements of {size} bytes")));
        }
        let codec = match rest.get(1) {
            None | Some(0) => None,
            Some(2) => Some(Codec::Lz4),
            Some(3) => Some(Codec::Zstandard),
            Some(other) => return Err(Problem::values(format!("compression {other}"))),
        };
        Ok(Self { size, block, codec })
    }

    fn block_bytes(&self) -> usize {
        self.block * self.size
    }

    /// Of so many bytes, those in groups of eight elements.
    fn whole(&self, length: usize) -> usize {
        length / (8 * self.size) * (8 * self.size)
    }
}

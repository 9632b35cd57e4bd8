//! LZ4 blocks.

use lz4_flex::block::{DecompressError, compress_into, decompress_into, get_maximum_output_size};

use crate::Problem;

pub(crate) fn decode(input: &[u8], output: &mut [u8]) -> Result<usize, Problem> {
    decompress_into(input, output).map_err(|error| match error {
        DecompressError::OutputTooSmall { .. } => Problem::TooLong { limit: output.len() },
        DecompressError::ExpectedAnotherByte => Problem::Truncated { length: input.len() },
        error => Problem::malformed(format!("not a sound LZ4 block: {error}")),
    })
}

pub(crate) fn encode(input: &[u8], output: &mut Vec<u8>) {
    let start = output.len();
    output.resize(start + get_maximum_output_size(input.len()), 0);
    // There is room for the longest result, so that it cannot fail.
    let length = compress_into(input, &mut output[start..]).unwrap_or(0);
    debug_assert!(length > 0);
    output.truncate(start + length);
}

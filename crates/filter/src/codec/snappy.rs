//! Snappy's raw format.

use crate::Problem;

pub(crate) fn decode(input: &[u8], output: &mut [u8]) -> Result<usize, Problem> {
    snap::raw::Decoder::new().decompress(input, output).map_err(|error| match error {
        snap::Error::BufferTooSmall { .. } => Problem::TooLong { limit: output.len() },
        error => Problem::malformed(format!("not sound Snappy data: {error}")),
    })
}

pub(crate) fn encode(input: &[u8], output: &mut Vec<u8>) -> Result<(), Problem> {
    let start = output.len();
    output.resize(start + snap::raw::max_compress_len(input.len()), 0);
    let length = snap::raw::Encoder::new()
        .compress(input, &mut output[start..])
        .map_err(|error| Problem::malformed(format!("Snappy failed: {error}")))?;
    output.truncate(start + length);
    Ok(())
}

//! Zstandard frames (RFC 8878).

use std::cell::RefCell;

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use ruzstd::encoding::{CompressionLevel, compress};
use ruzstd::io::Read;

use crate::Problem;

/// The history that every decoder has to keep if a frame asks for it (RFC 8878, 3.1.1.1.2), however little the frame holds.
const WINDOW: u64 = 8 << 20;
/// How much is decoded before it is moved to the output.
const STEP: usize = 128 << 10;

/// The contents of all frames, one after the other.
pub(crate) fn decode(input: &[u8], output: &mut [u8]) -> Result<usize, Problem> {
    DECODER.with_borrow_mut(|decoder| {
        let limit = output.len();
        // No frame can refer further back than its content reaches.
        decoder.set_max_window_size(WINDOW.max(2 * limit as u64));
        let mut rest = input;
        let mut done = 0;
        while !rest.is_empty() {
            match decoder.init(&mut rest) {
                Ok(()) => done += frame(decoder, &mut rest, &mut output[done..], limit)?,
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    rest = rest.get(length as usize..).ok_or(Problem::Truncated { length: input.len() })?;
                }
                Err(error) => return Err(malformed(error)),
            }
        }
        Ok(done)
    })
}

fn frame(decoder: &mut FrameDecoder, rest: &mut &[u8], output: &mut [u8], limit: usize) -> Result<usize, Problem> {
    let mut done = 0;
    loop {
        decoder.decode_blocks(&mut *rest, BlockDecodingStrategy::UptoBytes(STEP)).map_err(malformed)?;
        done += decoder.read(&mut output[done..]).map_err(|error| Problem::malformed(error.to_string()))?;
        if decoder.can_collect() > 0 {
            return Err(Problem::TooLong { limit });
        }
        if decoder.is_finished() {
            break;
        }
    }
    match (decoder.get_checksum_from_data(), decoder.get_calculated_checksum()) {
        (Some(stored), Some(computed)) if stored != computed => Err(Problem::Checksum { stored, computed }),
        _ => Ok(done),
    }
}

/// Appends a frame. There is one level, about the first of zstd's.
pub(crate) fn encode(input: &[u8], output: &mut Vec<u8>) {
    let start = output.len();
    compress(input, &mut *output, CompressionLevel::Fastest);
    tell_length(start, input.len() as u64, output);
}

/// Adds the length of the content to the header of the frame at `start` (RFC 8878, 3.1.1.1), if it does not say it: libhdf5's plugin
/// asks the frame how much room it needs.
fn tell_length(start: usize, length: u64, output: &mut Vec<u8>) {
    /// In the frame header descriptor, after the magic number: there is no window descriptor; the width of the length.
    const SINGLE_SEGMENT: u8 = 1 << 5;
    const LENGTH_WIDTH: u8 = 3 << 6;
    const OF_EIGHT_BYTES: u8 = 3 << 6;
    let (descriptor, window) = (start + 4, start + 5);
    if output[descriptor] & (SINGLE_SEGMENT | LENGTH_WIDTH) == 0 {
        output[descriptor] |= OF_EIGHT_BYTES;
        // There is no dictionary's number between the window and the length.
        output.splice(window + 1..window + 1, length.to_le_bytes());
    }
}

fn malformed(error: FrameDecoderError) -> Problem {
    Problem::malformed(format!("not sound Zstandard data: {error}"))
}

// The tables and the history of a decoder are some hundred kilobytes; each thread keeps one.
thread_local! {
    static DECODER: RefCell<FrameDecoder> = RefCell::new(FrameDecoder::new());
}

//! Blosc2's contiguous frames: a header in msgpack, chunks, a chunk of where they start, a trailer.
//!
//! msgpack's numbers are of fixed width here, so that all fields have fixed places:
//!
//! ```text
//! 2   "b2frame\0"         11  header's length          16  frame's length       25  flags, type, codec, split mode
//! 30  bytes in chunks     39  stored bytes of chunks   48  element size         53  block size      58  chunk size
//! 70  filters, and their parameters                    87  metalayers: named data, among them "b2nd"
//! ```

use super::array::Array;
use super::chunk::{self, Compression};
use crate::Problem;

/// How a frame starts: an array of fourteen, a string of eight.
const START: [u8; 10] = *b"\x9e\xa8b2frame\0";
/// Up to the metalayers.
const HEADER_SIZE: usize = 87;
/// The chunks a frame may have here; HDF5's filter writes one.
const CHUNKS_AT_MOST: usize = 1 << 20;

/// What the header says.
#[derive(Debug)]
struct Header<'a> {
    /// Its length.
    size: usize,
    /// Bytes of all chunks.
    length: usize,
    /// Stored bytes of all chunks.
    stored: usize,
    element: usize,
    /// Bytes of each chunk but the last.
    chunk: usize,
    /// The metalayer "b2nd", if there is one.
    array: Option<&'a [u8]>,
}

/// Decodes a frame to the front of `output` and returns the length of its content.
pub(super) fn decode(input: &[u8], output: &mut [u8]) -> Result<usize, Problem> {
    let header = Header::parse(input)?;
    let limit = output.len();
    let array = header.array.map(|layer| Array::parse(layer, header.element, limit)).transpose()?;
    let body = &input[header.size..];
    // A frame without chunks has no list of them either.
    let count = if header.chunk == 0 { 0 } else { header.length.div_ceil(header.chunk) };
    if count > CHUNKS_AT_MOST {
        return Err(Problem::malformed(format!("a Blosc2 frame of {count} chunks")));
    }
    let mut starts = vec![0; 8 * count];
    if count > 0 {
        let list = body.get(header.stored..).ok_or(Problem::Truncated { length: input.len() })?;
        if chunk::decode(list, &mut starts)? != starts.len() {
            return Err(Problem::malformed("a list of chunks that is too short"));
        }
    }
    let starts = starts.as_chunks().0.iter().map(|start| i64::from_le_bytes(*start));
    match array {
        Some(array) => {
            let mut blocks = vec![0; array.chunk_bytes()];
            for (index, start) in starts.enumerate() {
                let length = decode_chunk(body, start, &mut blocks)?;
                array.place(index, &blocks[..length], output)?;
            }
            Ok(array.bytes())
        }
        None => {
            let output = output.get_mut(..header.length).ok_or(Problem::TooLong { limit })?;
            for (start, target) in starts.zip(output.chunks_mut(header.chunk.max(1))) {
                if decode_chunk(body, start, target)? != target.len() {
                    return Err(Problem::malformed("a chunk that is shorter than the frame says"));
                }
            }
            Ok(header.length)
        }
    }
}

/// Decodes the chunk that starts at `start`, or that `start` itself says all of.
fn decode_chunk(body: &[u8], start: i64, target: &mut [u8]) -> Result<usize, Problem> {
    match usize::try_from(start) {
        Ok(start) => chunk::decode(body.get(start..).ok_or(Problem::Truncated { length: body.len() })?, target),
        // The highest byte: zeros, or values that were never set.
        Err(_) if matches!(start >> 56 & 7, 1 | 4) => {
            target.fill(0);
            Ok(target.len())
        }
        Err(_) => Err(Problem::malformed(format!("a chunk of special values, {:#x}", start >> 56 & 0xff))),
    }
}

impl<'a> Header<'a> {
    fn parse(input: &'a [u8]) -> Result<Self, Problem> {
        let truncated = || Problem::Truncated { length: input.len() };
        if !input.starts_with(&START[..START.len().min(input.len())]) {
            return Err(Problem::malformed("not a Blosc2 frame"));
        }
        let fixed: &[u8; HEADER_SIZE] = input.first_chunk().ok_or_else(truncated)?;
        let number = |at: usize, width: usize| -> Result<usize, Problem> {
            let number = fixed[at..at + width].iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
            let sensible = usize::try_from(number).ok().filter(|number| *number < 1 << 40);
            sensible.ok_or_else(|| Problem::malformed(format!("{number} in the header of a Blosc2 frame")))
        };
        // Offsets of 64 bits, all in one piece.
        let (flags, kind) = (fixed[25], fixed[26]);
        if flags & 0x0f > 2 || flags & 0xc0 != 0 || kind & 0x0f != 0 {
            return Err(Problem::malformed(format!("a Blosc2 frame with flags {flags:#04x} of type {kind}")));
        }
        let size = number(11, 4)?;
        if size < HEADER_SIZE || size > input.len() {
            return Err(truncated());
        }
        Ok(Self {
            size,
            length: number(30, 8)?,
            stored: number(39, 8)?,
            element: number(48, 4)?,
            chunk: number(58, 4)?,
            array: metalayer(&input[..size], b"b2nd")?,
        })
    }
}

/// The content of the metalayer of that name. The list of them: an array of three, the list's size, a map of names to places.
fn metalayer<'a>(header: &'a [u8], name: &[u8]) -> Result<Option<&'a [u8]>, Problem> {
    let truncated = || Problem::Truncated { length: header.len() };
    let mut rest = header.get(HEADER_SIZE..).ok_or_else(truncated)?;
    let Some(([0x93, 0xcd, _, _, 0xde, high, low], after)) = rest.split_first_chunk() else { return Ok(None) };
    rest = after;
    for _ in 0..u16::from_be_bytes([*high, *low]) {
        let (tag, after) = rest.split_first().ok_or_else(truncated)?;
        let (found, after) = after.split_at_checked(usize::from(tag & 0x1f)).ok_or_else(truncated)?;
        let (place, after) = after.split_first_chunk::<5>().ok_or_else(truncated)?;
        rest = after;
        if found == name {
            let place = u32::from_be_bytes([place[1], place[2], place[3], place[4]]) as usize;
            let (start, content) =
                header.get(place..).and_then(<[u8]>::split_first_chunk::<5>).ok_or_else(truncated)?;
            let length = u32::from_be_bytes([start[1], start[2], start[3], start[4]]) as usize;
            return content.get(..length).map(Some).ok_or_else(truncated);
        }
    }
    Ok(None)
}

/// Appends a frame of one chunk, of elements of `element` bytes, which is an array of shape `dims` if there are any.
pub(super) fn encode(
    compression: &Compression,
    element: u32,
    dims: &[u32],
    input: &[u8],
    output: &mut Vec<u8>,
) -> Result<(), Problem> {
    let frame = output.len();
    let length = u32::try_from(input.len()).ok().filter(|length| *length <= i32::MAX as u32);
    let length = length.ok_or_else(|| Problem::malformed("Blosc2 is for chunks of less than 2 GiB"))?;
    let block = match dims {
        [] => compression.block(input.len()),
        // The one block of an array is the array.
        _ => input.len(),
    };
    output.extend(START);
    output.extend([0xd2, 0, 0, 0, 0, 0xcf, 0, 0, 0, 0, 0, 0, 0, 0]);
    output.extend([0xa4, 0x12, 0, compression.codec_flags(), 3]);
    output.push(0xd3);
    output.extend(u64::from(length).to_be_bytes());
    output.extend([0xd3, 0, 0, 0, 0, 0, 0, 0, 0]);
    for number in [element, block as u32, length] {
        output.push(0xd2);
        output.extend(number.to_be_bytes());
    }
    output.extend([0xd1, 0, 1, 0xd1, 0, 1, 0xc2, 0xd8, 6]);
    output.extend([0, 0, 0, 0, 0, compression.filter_number(), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    debug_assert_eq!(output.len() - frame, HEADER_SIZE);
    if dims.is_empty() {
        output.extend([0x93, 0xcd, 0, 7, 0xde, 0, 0, 0xdc, 0, 0]);
    } else {
        output.extend([0x93, 0xcd, 0, 17, 0xde, 0, 1, 0xa4]);
        output.extend(b"b2nd");
        let layer = super::array::describe(element, dims);
        // The place of the metalayer: after the number itself and the list's end.
        output.push(0xd2);
        output.extend((HEADER_SIZE as u32 + 20).to_be_bytes());
        output.extend([0xdc, 0, 1, 0xc6]);
        output.extend((layer.len() as u32).to_be_bytes());
        output.extend(layer);
    }
    let header = output.len() - frame;
    output[frame + 11..frame + 15].copy_from_slice(&(header as u32).to_be_bytes());
    let chunk = output.len();
    compression.encode(block, input, output)?;
    let stored = (output.len() - chunk) as u64;
    output[frame + 39..frame + 47].copy_from_slice(&stored.to_be_bytes());
    // The list of where chunks start: a chunk, stored as it is, of one number, 0.
    output.extend([5, 1, 7, 8, 8, 0, 0, 0, 8, 0, 0, 0, 40, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    output.extend([0; 10 + 8]);
    output.extend([0x94, 1, 0x93, 0xcd, 0, 6, 0xde, 0, 0, 0xdc, 0, 0, 0xce, 0, 0, 0, 35, 0xd8, 0]);
    output.extend([0; 16]);
    let whole = (output.len() - frame) as u64;
    output[frame + 16..frame + 24].copy_from_slice(&whole.to_be_bytes());
    Ok(())
}

//! Blosc chunks, of both formats.
//!
//! ```text
//! version, codec's version, flags, element size, length, block size, stored length      16 bytes, little-endian
//! filters, their parameters, more flags                                                 16 bytes more if flags say so: Blosc2
//! where each block starts                                                               4 bytes each
//! blocks: streams, each with its stored length                                          one, or one for each byte of an element
//! ```

use crate::Problem;
use crate::bit_transpose::{bit_shuffle, bit_unshuffle};
use crate::codec::Codec;
use crate::shuffle::{shuffle, unshuffle};

/// How chunks are written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Compression {
    pub(super) version: Version,
    /// Bytes of an element.
    pub(super) element: u8,
    /// 0 to 9.
    pub(super) level: u32,
    pub(super) shuffle: Step,
    pub(super) codec: Codec,
}

/// The format of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// Of Blosc.
    V1,
    /// Of Blosc2.
    V2,
}

/// What is done to a block before it is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    None,
    Shuffle,
    BitShuffle,
    /// Each element is XORed with the one before it, or in later blocks with that at the same place in the first.
    Delta,
}

/// What a chunk starts with.
#[derive(Debug)]
struct Header {
    version: Version,
    /// As the chunk says; bit shuffling has changed.
    format: u8,
    flags: u8,
    element: usize,
    length: usize,
    block: usize,
    /// Bytes of the whole chunk.
    stored: usize,
    /// What was done to blocks, in that order: steps and their parameters.
    steps: Vec<(Step, u8)>,
    special: Special,
}

/// What a chunk without blocks is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Special {
    None,
    Zeros,
    NaNs,
    /// The bytes after the header, over and over.
    Repeated,
}

const FLAG_SHUFFLE: u8 = 0x01;
const FLAG_STORED: u8 = 0x02;
const FLAG_BITSHUFFLE: u8 = 0x04;
const FLAG_ONE_STREAM: u8 = 0x10;
/// Both together say that the header is a long one.
const FLAGS_LONG: u8 = FLAG_SHUFFLE | FLAG_BITSHUFFLE;

/// Blosc splits blocks of elements up to this size, if the streams are not too short.
const STREAMS_AT_MOST: usize = 16;
const SHORTEST_STREAM: usize = 128;

/// What a written block is about as long as.
const BLOCK: usize = 128 << 10;

/// The bytes of a header.
const fn header_size(version: Version) -> usize {
    match version {
        Version::V1 => 16,
        Version::V2 => 32,
    }
}

/// Decodes the chunk that `input` starts with to the front of `output` and returns its length.
pub(super) fn decode(input: &[u8], output: &mut [u8]) -> Result<usize, Problem> {
    let header = Header::parse(input)?;
    let limit = output.len();
    let output = output.get_mut(..header.length).ok_or(Problem::TooLong { limit })?;
    let input = input.get(..header.stored).ok_or(Problem::Truncated { length: input.len() })?;
    let body = &input[header_size(header.version)..];
    match header.special {
        Special::None => {}
        Special::Zeros => {
            output.fill(0);
            return Ok(output.len());
        }
        Special::NaNs => {
            let value: &[u8] = match header.element {
                4 => &f32::NAN.to_le_bytes(),
                8 => &f64::NAN.to_le_bytes(),
                size => return Err(Problem::malformed(format!("a chunk of NaNs of {size} bytes"))),
            };
            repeat(value, output);
            return Ok(output.len());
        }
        Special::Repeated => {
            if body.is_empty() && !output.is_empty() {
                return Err(Problem::Truncated { length: input.len() });
            }
            repeat(body, output);
            return Ok(output.len());
        }
    }
    if header.flags & FLAG_STORED != 0 {
        output.copy_from_slice(body.get(..header.length).ok_or(Problem::Truncated { length: input.len() })?);
        return Ok(output.len());
    }
    header.decode_blocks(input, output)?;
    Ok(output.len())
}

fn repeat(value: &[u8], output: &mut [u8]) {
    output.chunks_mut(value.len().max(1)).for_each(|to| to.copy_from_slice(&value[..to.len()]));
}

impl Header {
    fn parse(input: &[u8]) -> Result<Self, Problem> {
        let truncated = || Problem::Truncated { length: input.len() };
        let (short, rest) = input.split_first_chunk::<16>().ok_or_else(truncated)?;
        let number = |at: usize| -> Result<usize, Problem> {
            let bytes = [short[at], short[at + 1], short[at + 2], short[at + 3]];
            usize::try_from(i32::from_le_bytes(bytes))
                .map_err(|_| Problem::malformed("a Blosc header with a negative size"))
        };
        let [format, _, flags, element, ..] = *short;
        let element = usize::from(element);
        let mut header = Self {
            version: Version::V1,
            format,
            flags,
            element,
            length: number(4)?,
            block: number(8)?,
            stored: number(12)?,
            steps: Vec::new(),
            special: Special::None,
        };
        if format == 0 || format > 6 {
            return Err(Problem::malformed(format!("a Blosc chunk of version {format}")));
        }
        if flags & FLAGS_LONG == FLAGS_LONG {
            header.version = Version::V2;
            header.read_long(rest.first_chunk().ok_or_else(truncated)?)?;
        } else if flags & FLAG_SHUFFLE != 0 && element > 1 {
            header.steps.push((Step::Shuffle, 0));
        } else if flags & FLAG_BITSHUFFLE != 0 {
            header.steps.push((Step::BitShuffle, 0));
        }
        if element == 0 {
            return Err(Problem::malformed("elements of no bytes"));
        }
        if header.stored < header_size(header.version) {
            return Err(Problem::malformed(format!("a Blosc chunk of {} bytes", header.stored)));
        }
        Ok(header)
    }

    /// Reads what Blosc2 adds to the header.
    fn read_long(&mut self, long: &[u8; 16]) -> Result<(), Problem> {
        let [f0, f1, f2, f3, f4, f5, _codec, _codec_parameter, p0, p1, p2, p3, p4, p5, flags2, flags] = *long;
        for (filter, parameter) in [(f0, p0), (f1, p1), (f2, p2), (f3, p3), (f4, p4), (f5, p5)] {
            self.steps.push(match filter {
                // Precision that was cut off stays so: of floating-point numbers (4), of integers (36).
                0 | 4 | 36 => continue,
                1 => (Step::Shuffle, parameter),
                2 => (Step::BitShuffle, 0),
                3 => (Step::Delta, 0),
                other => return Err(Problem::malformed(format!("the Blosc2 filter {other}, which is not available"))),
            });
        }
        self.special = match flags >> 4 & 7 {
            0 => Special::None,
            // What was never set is zero here.
            1 | 4 => Special::Zeros,
            2 => Special::NaNs,
            3 => Special::Repeated,
            other => return Err(Problem::malformed(format!("the special value {other}"))),
        };
        for (bit, what) in [(0x01, "a dictionary"), (0x08, "blocks elsewhere"), (0x80, "measurements in place of data")]
        {
            if flags & bit != 0 && self.special == Special::None {
                return Err(Problem::malformed(format!("a Blosc2 chunk with {what}, which is not available")));
            }
        }
        if flags2 & 1 != 0 {
            return Err(Problem::malformed("a Blosc2 chunk with blocks of any length, which is not available"));
        }
        Ok(())
    }

    fn codec(&self) -> Result<Codec, Problem> {
        match self.flags >> 5 {
            0 => Ok(Codec::BloscLz),
            1 => Ok(Codec::Lz4),
            2 => Ok(Codec::Snappy),
            3 => Ok(Codec::Zlib),
            4 => Ok(Codec::Zstandard),
            other => Err(Problem::malformed(format!("the Blosc codec {other}, which is not available"))),
        }
    }

    /// How many streams a block has.
    fn streams(&self, block: usize) -> usize {
        let is_whole = block == self.block;
        let splits = match self.version {
            // Chunks older than the flag are split where this says so.
            Version::V1 => self.element <= STREAMS_AT_MOST && block / self.element >= SHORTEST_STREAM,
            Version::V2 => true,
        };
        if self.flags & FLAG_ONE_STREAM == 0 && is_whole && splits { self.element } else { 1 }
    }

    fn decode_blocks(&self, input: &[u8], output: &mut [u8]) -> Result<(), Problem> {
        let truncated = || Problem::Truncated { length: input.len() };
        if output.is_empty() {
            return Ok(());
        }
        if self.block == 0 {
            return Err(Problem::malformed("blocks of no bytes"));
        }
        if self.steps.iter().skip(1).any(|(step, _)| *step == Step::Delta) {
            return Err(Problem::malformed("differences taken after another filter, which is not available"));
        }
        let codec = self.codec()?;
        let count = output.len().div_ceil(self.block);
        let starts = input[header_size(self.version)..].as_chunks::<4>().0.get(..count).ok_or_else(truncated)?;
        let block = self.block.min(output.len());
        let (mut current, mut next, mut room) = (vec![0; block], vec![0; block], Vec::new());
        for (index, start) in starts.iter().enumerate() {
            let at = index * self.block;
            let (done, rest) = output.split_at_mut(at);
            let length = self.block.min(rest.len());
            let target = &mut rest[..length];
            let stored = input.get(u32::from_le_bytes(*start) as usize..).ok_or_else(truncated)?;
            let Some(((last, parameter), first)) = self.steps.split_first() else {
                self.decode_streams(codec, stored, target)?;
                continue;
            };
            self.decode_streams(codec, stored, &mut current[..length])?;
            for (step, parameter) in first.iter().rev() {
                self.undo(*step, *parameter, done, &current[..length], &mut next[..length], &mut room);
                std::mem::swap(&mut current, &mut next);
            }
            self.undo(*last, *parameter, done, &current[..length], target, &mut room);
        }
        Ok(())
    }

    fn decode_streams(&self, codec: Codec, stored: &[u8], block: &mut [u8]) -> Result<(), Problem> {
        let truncated = || Problem::Truncated { length: stored.len() };
        let streams = self.streams(block.len());
        if !block.len().is_multiple_of(streams) || block.len() < streams {
            return Err(Problem::malformed(format!("a block of {} bytes in {streams} streams", block.len())));
        }
        let mut rest = stored;
        for stream in block.chunks_exact_mut(block.len() / streams) {
            let (length, after) = rest.split_first_chunk().ok_or_else(truncated)?;
            rest = after;
            match (self.version, i32::from_le_bytes(*length)) {
                (Version::V2, 0) => stream.fill(0),
                (Version::V2, byte @ -255..=-1) => {
                    let (token, after) = rest.split_first().ok_or_else(truncated)?;
                    rest = after;
                    if token & 1 == 0 {
                        return Err(Problem::malformed(format!("a Blosc2 stream with the token {token}")));
                    }
                    stream.fill((-byte) as u8);
                }
                (_, length) => {
                    let length = usize::try_from(length)
                        .map_err(|_| Problem::malformed(format!("a Blosc stream of {length} bytes")))?;
                    let (coded, after) = rest.split_at_checked(length).ok_or_else(truncated)?;
                    rest = after;
                    if length == stream.len() {
                        stream.copy_from_slice(coded);
                    } else {
                        codec.decode_exact(coded, stream)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Undoes a step for a block; `before` is what of the chunk is decoded.
    fn undo(&self, step: Step, parameter: u8, before: &[u8], from: &[u8], to: &mut [u8], room: &mut Vec<u8>) {
        match step {
            Step::None => to.copy_from_slice(from),
            Step::Shuffle if parameter > 0 => unshuffle(parameter.into(), from, to),
            Step::Shuffle => unshuffle(self.element, from, to),
            Step::BitShuffle => {
                let whole = bit_shuffled(self.version, self.format, self.element, from.len());
                bit_unshuffle(self.element, &from[..whole], &mut to[..whole], room);
                to[whole..].copy_from_slice(&from[whole..]);
            }
            Step::Delta => {
                to.copy_from_slice(from);
                let unit = delta_unit(self.element);
                let whole = to.len() / unit * unit;
                match before.is_empty() {
                    true => (unit..whole).for_each(|at| to[at] ^= to[at - unit]),
                    false => to[..whole].iter_mut().zip(before).for_each(|(byte, reference)| *byte ^= reference),
                }
            }
        }
    }
}

/// How many bytes of a block have their bits shuffled.
fn bit_shuffled(version: Version, format: u8, element: usize, block: usize) -> usize {
    let count = block / element;
    let whole = count / 8 * 8;
    // Blosc and the first versions of Blosc2 leave blocks alone that have not just whole groups of eight elements.
    match version {
        Version::V2 if format > 2 => whole * element,
        _ if whole == count => whole * element,
        _ => 0,
    }
}

/// The bytes that differences are taken of.
fn delta_unit(element: usize) -> usize {
    match element {
        1 | 2 | 4 | 8 => element,
        element if element.is_multiple_of(8) => 8,
        _ => 1,
    }
}

impl Compression {
    /// What is written into headers for the codec.
    fn codec_number(&self) -> u8 {
        match self.codec {
            Codec::BloscLz => 0,
            Codec::Lz4 => 1,
            Codec::Snappy => 2,
            Codec::Zlib => 3,
            Codec::Zstandard => 4,
        }
    }

    /// The number Blosc2 has for the filter.
    pub(super) fn filter_number(&self) -> u8 {
        match self.shuffle {
            Step::None => 0,
            Step::Shuffle => 1,
            Step::BitShuffle => 2,
            Step::Delta => 3,
        }
    }

    /// The codec and level as the header of a frame tells them.
    pub(super) fn codec_flags(&self) -> u8 {
        self.codec_number() | (self.level as u8) << 4
    }

    /// The bytes of a block of a chunk of so many.
    pub(super) fn block(&self, length: usize) -> usize {
        let unit = 8 * usize::from(self.element);
        if length <= BLOCK.max(unit) { length } else { (BLOCK / unit).max(1) * unit }
    }

    /// Appends a chunk of blocks of `block` bytes.
    pub(super) fn encode(&self, block: usize, input: &[u8], output: &mut Vec<u8>) -> Result<(), Problem> {
        let start = output.len();
        let element = usize::from(self.element);
        // Of shuffled blocks the quick codecs do better byte by byte.
        let quick = matches!(self.codec, Codec::BloscLz | Codec::Lz4 | Codec::Snappy);
        let split = quick
            && matches!(self.shuffle, Step::Shuffle | Step::BitShuffle)
            && element <= STREAMS_AT_MOST
            && block / element >= SHORTEST_STREAM
            && block.is_multiple_of(element);
        let mut flags = self.codec_number() << 5 | if split { 0 } else { FLAG_ONE_STREAM };
        match (self.version, self.shuffle) {
            (Version::V2, _) => flags |= FLAGS_LONG,
            (Version::V1, Step::Shuffle) => flags |= FLAG_SHUFFLE,
            (Version::V1, Step::BitShuffle) => flags |= FLAG_BITSHUFFLE,
            (Version::V1, _) => {}
        }
        if self.level == 0 || input.is_empty() {
            self.put_header(flags | FLAG_STORED, input.len(), block, output);
            output.extend(input);
        } else {
            self.put_header(flags, input.len(), block, output);
            let starts = output.len();
            output.resize(starts + 4 * input.len().div_ceil(block), 0);
            let (mut filtered, mut room) = (Vec::new(), Vec::new());
            for (index, from) in input.chunks(block).enumerate() {
                let at = (output.len() - start) as u32;
                output[starts + 4 * index..][..4].copy_from_slice(&at.to_le_bytes());
                filtered.resize(from.len(), 0);
                self.apply(&input[..block], index > 0, from, &mut filtered, &mut room);
                let streams = if split && from.len() == block { element } else { 1 };
                for stream in filtered.chunks(from.len() / streams) {
                    self.put_stream(stream, output)?;
                }
            }
        }
        let stored = (output.len() - start) as u32;
        output[start + 12..start + 16].copy_from_slice(&stored.to_le_bytes());
        Ok(())
    }

    /// Writes a header without the stored length.
    fn put_header(&self, flags: u8, length: usize, block: usize, output: &mut Vec<u8>) {
        let format = match self.version {
            Version::V1 => 2,
            Version::V2 => 5,
        };
        output.extend([format, 1, flags, self.element]);
        output.extend((length as u32).to_le_bytes());
        output.extend((block as u32).to_le_bytes());
        output.extend([0; 4]);
        if self.version == Version::V2 {
            output.extend([0, 0, 0, 0, 0, self.filter_number(), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        }
    }

    fn put_stream(&self, stream: &[u8], output: &mut Vec<u8>) -> Result<(), Problem> {
        let start = output.len();
        output.extend([0; 4]);
        self.codec.encode(self.level, stream, output)?;
        if output.len() - start - 4 >= stream.len() {
            output.truncate(start + 4);
            output.extend(stream);
        }
        let stored = (output.len() - start - 4) as u32;
        output[start..start + 4].copy_from_slice(&stored.to_le_bytes());
        Ok(())
    }

    fn apply(&self, first: &[u8], is_later: bool, from: &[u8], to: &mut [u8], room: &mut Vec<u8>) {
        let element = usize::from(self.element);
        match self.shuffle {
            Step::None => to.copy_from_slice(from),
            Step::Shuffle => shuffle(element, from, to),
            Step::BitShuffle => {
                let whole = bit_shuffled(self.version, 5, element, from.len());
                bit_shuffle(element, &from[..whole], &mut to[..whole], room);
                to[whole..].copy_from_slice(&from[whole..]);
            }
            Step::Delta => {
                to.copy_from_slice(from);
                let unit = delta_unit(element);
                let whole = from.len() / unit * unit;
                match is_later {
                    true => to[..whole].iter_mut().zip(first).for_each(|(byte, reference)| *byte ^= reference),
                    false => (unit..whole).for_each(|at| to[at] ^= from[at - unit]),
                }
            }
        }
    }
}

//! Deflate: zlib streams (RFC 1950).

mod plan;

use std::cell::RefCell;
use std::ops::RangeInclusive;

use zlib_rs::adler32::adler32;
use zlib_rs::{
    Deflate as Encoder, DeflateConfig, DeflateError, DeflateFlush, Inflate, InflateError, InflateFlush, Method, Status,
    Strategy,
};

use self::plan::Way;
use crate::{Encoded, Filter, Problem};

/// What zlib-rs is asked for in place of each of zlib's levels, which are those the file speaks of. Its scale is another one: at
/// the same number it takes more time and compresses further (but for level 1, where it compresses far less). These come within
/// some per cent of zlib's sizes, mostly below.
const EFFORT: [i32; 10] = [0, 2, 2, 3, 3, 4, 5, 6, 8, 9];

/// The levels at which time counts. Above, the smallest result was asked for, whatever it takes; at 0 nothing is compressed.
const PLANNED: RangeInclusive<u32> = 1..=6;

/// zlib's deflate. Client values: the level, 0 to 9, needed for writing only.
#[derive(Debug, Clone, Copy)]
pub struct Deflate;

impl Filter for Deflate {
    fn name(&self) -> &str {
        "deflate"
    }

    fn decode(&self, _: &[u32], input: &[u8], output: &mut [u8]) -> Result<usize, Problem> {
        INFLATE.with_borrow_mut(|inflate| {
            inflate.reset(true);
            let status =
                inflate.decompress(input, output, InflateFlush::Finish).map_err(|error| not_sound(inflate, error))?;
            // The stream cannot be longer than the output, whose length is a usize.
            let written = inflate.total_out() as usize;
            match status {
                Status::StreamEnd => Ok(written),
                _ if written == output.len() && (inflate.total_in() as usize) < input.len() => {
                    Err(Problem::TooLong { limit: output.len() })
                }
                _ => Err(Problem::Truncated { length: input.len() }),
            }
        })
    }

    /// Writes one zlib stream, of which each part is coded in the way that suits it.
    ///
    /// It is written also where nothing is gained, as zlib's own users do: libhdf5 loses a chunk that was stored without deflate
    /// when it deflates it to the same length, because it then keeps the old filter mask.
    fn encode(&self, values: &[u32], input: &[u8], output: &mut Vec<u8>) -> Result<Encoded, Problem> {
        let level = match values {
            [level @ 0..=9, ..] => *level,
            [level, ..] => return Err(Problem::values(format!("deflate level {level}, but levels are 0 to 9"))),
            [] => return Err(Problem::values("deflate needs a level")),
        };
        output.extend_from_slice(&header(level));
        DEFLATE.with_borrow_mut(|encoders| {
            let parts = if PLANNED.contains(&level) { plan::parts(input) } else { vec![(Way::Matches, input)] };
            let last = parts.len() - 1;
            for (number, (way, part)) in parts.into_iter().enumerate() {
                let flush = if number == last { DeflateFlush::Finish } else { DeflateFlush::SyncFlush };
                append(encoders.get(way, level), part, flush, output)
                    .map_err(|error| Problem::malformed(format!("zlib failed: {}", error.as_str())))?;
            }
            Ok::<_, Problem>(())
        })?;
        output.extend_from_slice(&adler32(1, input).to_be_bytes());
        Ok(Encoded::Done)
    }
}

/// The two bytes that begin a zlib stream: deflate with a window of 32 KiB, and a hint of the level (RFC 1950, section 2.2).
fn header(level: u32) -> [u8; 2] {
    match level {
        0 | 1 => [0x78, 0x01],
        2..=5 => [0x78, 0x5e],
        6 => [0x78, 0x9c],
        _ => [0x78, 0xda],
    }
}

/// Appends `part`, as a deflate stream of its own that ends as `flush` says, to `output`.
fn append(encoder: &mut Encoder, part: &[u8], flush: DeflateFlush, output: &mut Vec<u8>) -> Result<(), DeflateError> {
    encoder.reset();
    // Room for incompressible data in one go: stored blocks add some bytes each.
    output.reserve(part.len() + part.len() / 256 + 64);
    loop {
        let (read, begin) = (encoder.total_in() as usize, output.len());
        let written = encoder.total_out();
        output.resize(output.capacity(), 0);
        let status = encoder.compress(&part[read..], &mut output[begin..], flush)?;
        let free = output.len() - begin - (encoder.total_out() - written) as usize;
        output.truncate(output.len() - free);
        // A flush is over once room is left that was not needed.
        if status == Status::StreamEnd || (free > 0 && flush != DeflateFlush::Finish) {
            return Ok(());
        }
        output.reserve(4096);
    }
}

/// The encoders of a thread: their state is hundreds of kilobytes.
#[derive(Default)]
struct Encoders {
    matches: Option<(u32, Encoder)>,
    symbols: Option<Encoder>,
}

impl Encoders {
    fn get(&mut self, way: Way, level: u32) -> &mut Encoder {
        match way {
            Way::Symbols => self.symbols.get_or_insert_with(|| encoder(1, Strategy::HuffmanOnly)),
            Way::Matches => {
                if self.matches.as_ref().is_some_and(|(cached, _)| *cached != level) {
                    self.matches = None;
                }
                &mut self.matches.get_or_insert_with(|| (level, encoder(EFFORT[level as usize], Strategy::Default))).1
            }
        }
    }
}

/// An encoder of bare deflate streams: their zlib header and checksum are those of the whole.
fn encoder(level: i32, strategy: Strategy) -> Encoder {
    Encoder::new_with_config(DeflateConfig {
        level,
        method: Method::Deflated,
        window_bits: -15,
        mem_level: 8,
        strategy,
    })
}

thread_local! {
    static INFLATE: RefCell<Inflate> = RefCell::new(Inflate::new(true, 15));
    static DEFLATE: RefCell<Encoders> = RefCell::default();
}

fn not_sound(inflate: &Inflate, error: InflateError) -> Problem {
    let reason = inflate.error_message().unwrap_or(error.as_str());
    Problem::malformed(format!("not a sound zlib stream: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_round_trips() {
        let input: Vec<u8> = (0..50_000_u32).map(|i| ((i * i) >> 9) as u8).collect();
        for level in (0..=9).chain([3, 0]) {
            let mut stored = Vec::new();
            let encoded = Deflate.encode(&[level], &input, &mut stored).unwrap();
            assert_eq!((encoded, stored.len() < input.len()), (Encoded::Done, level > 0), "level {level}");
            let mut output = vec![0; input.len()];
            assert_eq!(Deflate.decode(&[], &stored, &mut output).unwrap(), input.len());
            assert_eq!(output, input);
        }
        for values in [&[][..], &[10]] {
            assert!(matches!(Deflate.encode(values, &input, &mut Vec::new()), Err(Problem::Values(_))));
        }
    }

    #[test]
    fn reads_what_zlib_wrote() {
        // zlib.compress(b"hello hello hello", 6)
        let stored = [0x78, 0x9c, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0x57, 0xc8, 0x40, 0x90, 0x00, 0x3a, 0x2e, 0x06, 0x7d];
        let mut output = [0; 17];
        assert_eq!(Deflate.decode(&[], &stored, &mut output).unwrap(), 17);
        assert_eq!(&output, b"hello hello hello");
        for cut in 0..stored.len() {
            assert_eq!(Deflate.decode(&[], &stored[..cut], &mut output), Err(Problem::Truncated { length: cut }));
        }
        for short in 0..17 {
            assert_eq!(Deflate.decode(&[], &stored, &mut output[..short]), Err(Problem::TooLong { limit: short }));
        }
        for bit in 0..stored.len() * 8 {
            let mut damaged = stored;
            damaged[bit / 8] ^= 1 << (bit % 8);
            let mut output = [0; 64];
            // Only the bits that fill the last byte before the checksum mean nothing.
            match Deflate.decode(&[], &damaged, &mut output) {
                Ok(length) => assert_eq!(&output[..length], b"hello hello hello", "bit {bit}"),
                Err(problem) => assert!(!problem.to_string().is_empty(), "bit {bit}"),
            }
        }
    }
}

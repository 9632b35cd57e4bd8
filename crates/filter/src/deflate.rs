//! Deflate: zlib streams (RFC 1950).

use std::cell::RefCell;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::{Encoded, Filter, Problem};

/// What zlib-rs is asked for in place of each of zlib's levels, which are those the file speaks of. Its scale is another one: at
/// the same number it takes more time and compresses further (but for level 1, where it compresses far less). These come within
/// some per cent of zlib's sizes, mostly below.
const EFFORT: [u32; 10] = [0, 2, 2, 3, 3, 4, 5, 6, 8, 9];

fn effort(level: u32) -> Compression {
    let effort = usize::try_from(level).ok().and_then(|level| EFFORT.get(level));
    Compression::new(effort.copied().unwrap_or(level))
}

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
            let status = inflate
                .decompress(input, output, FlushDecompress::Finish)
                .map_err(|error| Problem::malformed(format!("not a sound zlib stream: {}", reason(error.message()))))?;
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

    fn encode(&self, values: &[u32], input: &[u8], output: &mut Vec<u8>) -> Result<Encoded, Problem> {
        let level = match values {
            [level @ 0..=9, ..] => *level,
            [level, ..] => return Err(Problem::values(format!("deflate level {level}, but levels are 0 to 9"))),
            [] => return Err(Problem::values("deflate needs a level")),
        };
        DEFLATE.with_borrow_mut(|cached| {
            let deflate = match cached {
                Some((cached_level, deflate)) if *cached_level == level => {
                    deflate.reset();
                    deflate
                }
                _ => &mut cached.insert((level, Compress::new(effort(level), true))).1,
            };
            // Room for incompressible data in one go: stored blocks add some bytes each.
            output.reserve(input.len() + input.len() / 256 + 64);
            loop {
                let read = deflate.total_in() as usize;
                let status = deflate
                    .compress_vec(&input[read..], output, FlushCompress::Finish)
                    .map_err(|error| Problem::malformed(format!("zlib failed: {error}")))?;
                match status {
                    // Also where nothing was gained, as zlib's own users do: libhdf5 loses a chunk that was stored without
                    // deflate when it deflates it to the same length, because it then keeps the old filter mask.
                    Status::StreamEnd => return Ok(Encoded::Done),
                    Status::Ok | Status::BufError => output.reserve(4096),
                }
            }
        })
    }
}

// The state of a stream is tens of kilobytes; each thread keeps one of each.
thread_local! {
    static INFLATE: RefCell<Decompress> = RefCell::new(Decompress::new(true));
    static DEFLATE: RefCell<Option<(u32, Compress)>> = const { RefCell::new(None) };
}

fn reason(message: Option<&str>) -> &str {
    message.unwrap_or("invalid data")
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

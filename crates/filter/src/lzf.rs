//! LZF, the fast compression that h5py brings along.
//!
//! A stream is a sequence of literal runs and references:
//!
//! ```text
//! 000lllll                             l + 1 literal bytes follow                     (1 to 32)
//! lllooooo oooooooo           l in 1..7    copy l + 2 bytes from o + 1 bytes back     (3 to 8)
//! 111ooooo llllllll oooooooo               copy l + 9 bytes from o + 1 bytes back     (9 to 264)
//! ```
//!
//! A copy may overlap what it writes. h5py's filter stores a chunk that does not get shorter as it is, with the filter's mask bit set.

use crate::codec::lz77::{Decoded, LITERALS_AT_MOST, put_literals};
use crate::form::ChunkForm;
use crate::{Encoded, Filter, Problem};

/// LZF as h5py writes it. Client values (versions and the chunk's size) are not needed.
#[derive(Debug, Clone, Copy)]
pub struct Lzf;

impl Filter for Lzf {
    fn name(&self) -> &str {
        "lzf"
    }

    fn settle(&self, _: &[u32], form: &ChunkForm<'_>) -> Result<Vec<u32>, Problem> {
        // The versions of h5py's filter and of LZF.
        Ok(vec![4, 0x0105, form.bytes() as u32])
    }

    fn decode(&self, _: &[u32], input: &[u8], output: &mut [u8]) -> Result<usize, Problem> {
        decompress(input, output)
    }

    fn encode(&self, _: &[u32], input: &[u8], output: &mut Vec<u8>) -> Result<Encoded, Problem> {
        if u32::try_from(input.len()).is_err() {
            return Err(Problem::malformed("a chunk of 4 GiB or more"));
        }
        compress(input, output);
        Ok(Encoded::by_length(input, output))
    }
}

const SHORTEST: usize = 3;
const LONGEST: usize = 264;
const FARTHEST: usize = 1 << 13;

/// Of the last places at which three bytes were seen, by their hash: log2 of how many are remembered.
const HASH_BITS: u32 = 14;

fn decompress(input: &[u8], output: &mut [u8]) -> Result<usize, Problem> {
    let truncated = || Problem::Truncated { length: input.len() };
    let mut decoded = Decoded::new(output);
    let mut rest = input;
    let mut take = |count: usize| {
        let (taken, left) = rest.split_at_checked(count)?;
        rest = left;
        Some(taken)
    };
    while let Some(&[control]) = take(1) {
        let control = usize::from(control);
        if control < LITERALS_AT_MOST {
            decoded.literals(take(control + 1).ok_or_else(truncated)?)?;
            continue;
        }
        let length = match control >> 5 {
            7 => 9 + usize::from(take(1).ok_or_else(truncated)?[0]),
            short => short + 2,
        };
        let back = (control & 0x1f) << 8 | usize::from(take(1).ok_or_else(truncated)?[0]);
        decoded.copy(back + 1, length)?;
    }
    Ok(decoded.len())
}

fn compress(input: &[u8], output: &mut Vec<u8>) {
    output.reserve(input.len() + input.len() / LITERALS_AT_MOST + 1);
    // Position + 1 of the latest occurrence; 0 where there was none.
    let mut seen = vec![0_u32; 1 << HASH_BITS];
    let mut literals = 0; // where the literals not yet written start
    let mut at = 0;
    while let Some(&next) = input[at..].first_chunk::<SHORTEST>() {
        let latest = std::mem::replace(&mut seen[hash(next)], at as u32 + 1);
        let candidate = (latest as usize).checked_sub(1).filter(|from| at - from <= FARTHEST);
        match candidate {
            Some(from) if input[from..].starts_with(&next) => {
                put_literals(&input[literals..at], output);
                let length = common_length(&input[from..], &input[at..]);
                write_reference(at - from, length, output);
                // Remember the last places inside the copy: runs go on from there.
                for inside in (at + length).saturating_sub(2)..at + length {
                    if let Some(&next) = input[inside..].first_chunk() {
                        seen[hash(next)] = inside as u32 + 1;
                    }
                }
                at += length;
                literals = at;
            }
            _ => at += 1,
        }
    }
    put_literals(&input[literals..], output);
}

/// How many bytes two places have in common, up to the longest reference. The second starts after the first.
fn common_length(earlier: &[u8], later: &[u8]) -> usize {
    let longest = LONGEST.min(later.len());
    earlier.iter().zip(&later[..longest]).take_while(|(a, b)| a == b).count()
}

fn write_reference(back: usize, length: usize, output: &mut Vec<u8>) {
    debug_assert!((1..=FARTHEST).contains(&back) && (SHORTEST..=LONGEST).contains(&length));
    let offset = back - 1;
    let high = (offset >> 8) as u8;
    match length - 2 {
        short @ 1..7 => output.push((short as u8) << 5 | high),
        long => output.extend_from_slice(&[7 << 5 | high, (long - 7) as u8]),
    }
    output.push(offset as u8);
}

fn hash([a, b, c]: [u8; SHORTEST]) -> usize {
    (u32::from_le_bytes([a, b, c, 0]).wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS)) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_kind_of_item() {
        for (stored, expected) in [
            (&[][..], &b""[..]),
            (&[0, b'a'], b"a"),
            (&[2, b'a', b'b', b'c', 1 << 5, 2], b"abcabc"),
            (&[0, b'x', 6 << 5, 0], b"xxxxxxxxx"),
            (&[1, b'x', b'y', 7 << 5, 1, 1], b"xyxyxyxyxyxy"),
        ] {
            let mut output = vec![0; expected.len()];
            assert_eq!(decompress(stored, &mut output), Ok(expected.len()));
            assert_eq!(output, expected);
            if !expected.is_empty() {
                assert!(matches!(decompress(stored, &mut output[1..]), Err(Problem::TooLong { .. })));
            }
        }
        for (stored, problem) in [
            (&[3, 1, 2][..], Problem::Truncated { length: 3 }),
            (&[0, 1, 1 << 5], Problem::Truncated { length: 3 }),
            (&[0, 1, 7 << 5], Problem::Truncated { length: 3 }),
            (&[0, 1, 1 << 5, 1], Problem::malformed("a reference 2 bytes back at byte 1 of the output")),
        ] {
            assert_eq!(decompress(stored, &mut [0; 100]), Err(problem));
        }
    }

    #[test]
    fn round_trips() {
        let mut state = 7_u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) % below
        };
        for round in 0..400 {
            let length = random(20_000) as usize;
            let letters = 1 + random(if round % 2 == 0 { 4 } else { 256 });
            let mut input: Vec<u8> = Vec::with_capacity(length);
            while input.len() < length {
                if random(3) == 0 && !input.is_empty() {
                    let from = random(input.len() as u64) as usize;
                    let copy = random(700) as usize;
                    (from..from + copy).for_each(|at| input.push(input[at]));
                } else {
                    input.push(random(letters) as u8);
                }
            }
            let mut stored = Vec::new();
            compress(&input, &mut stored);
            assert!(stored.len() <= input.len() + input.len() / LITERALS_AT_MOST + 1);
            let mut output = vec![0; input.len()];
            assert_eq!(decompress(&stored, &mut output), Ok(input.len()));
            assert!(output == input, "round {round}");
        }
    }

    #[test]
    fn compresses_runs_and_says_when_it_does_not() {
        let mut stored = Vec::new();
        assert_eq!(Lzf.encode(&[], &[5; 10_000], &mut stored), Ok(Encoded::Done));
        assert!(stored.len() < 150, "{}", stored.len());
        stored.clear();
        assert_eq!(Lzf.encode(&[], b"abcdefghijkl", &mut stored), Ok(Encoded::NoGain));
    }
}

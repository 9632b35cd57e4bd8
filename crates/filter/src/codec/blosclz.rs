//! BloscLZ, Blosc's own compression: a relative of FastLZ.
//!
//! ```text
//! 000lllll                                l + 1 literal bytes follow
//! lllooooo [llllllll...] oooooooo         copy l + 2 bytes from o + 1 bytes back; l = 7 goes on in bytes, up to one that is not 255
//! ...11111 [llllllll...] 11111111 2 bytes     the same, from 8192 bytes and as many more back as the two bytes say, big-endian
//! ```
//!
//! The first instruction is always a literal run: its upper three bits mean something else.

use super::lz77::{Decoded, LITERALS_AT_MOST, put_literals};
use crate::Problem;

/// From here on a distance takes two bytes more.
const NEAR: usize = 8191;
const FARTHEST: usize = 65535 + NEAR;
const SHORTEST: usize = 4;
/// Of the last places at which four bytes were seen, by their hash: log2 of how many are remembered.
const HASH_BITS: u32 = 14;

pub(crate) fn decode(input: &[u8], output: &mut [u8]) -> Result<usize, Problem> {
    let truncated = || Problem::Truncated { length: input.len() };
    let mut decoded = Decoded::new(output);
    let mut rest = input;
    let mut take = |count: usize| {
        let (taken, left) = rest.split_at_checked(count)?;
        rest = left;
        Some(taken)
    };
    let mut first = true;
    while let Some(&[control]) = take(1) {
        let control = usize::from(if std::mem::take(&mut first) { control & 31 } else { control });
        if control < LITERALS_AT_MOST {
            decoded.literals(take(control + 1).ok_or_else(truncated)?)?;
            continue;
        }
        let mut byte = || take(1).map(|byte| usize::from(byte[0])).ok_or_else(truncated);
        let mut length = (control >> 5) + 2;
        if length == 9 {
            loop {
                let more = byte()?;
                length += more;
                if more != 255 {
                    break;
                }
            }
        }
        let mut back = (control & 31) << 8 | byte()?;
        if back == NEAR {
            back = NEAR + (byte()? << 8 | byte()?);
        }
        decoded.copy(back + 1, length)?;
    }
    Ok(decoded.len())
}

pub(crate) fn encode(input: &[u8], output: &mut Vec<u8>) {
    // Where four bytes with this hash were seen last, plus one.
    let mut seen = vec![0_u32; 1 << HASH_BITS];
    let mut literals = 0; // where the literals start that are not yet written
    let mut at = 0;
    // Decoders want some literals at the end, as they want one run at the start.
    let last = input.len().saturating_sub(12);
    while at < last {
        let Some(four) = input[at..].first_chunk() else { break };
        let hash = u32::from_le_bytes(*four).wrapping_mul(2_654_435_769) >> (32 - HASH_BITS);
        let candidate = std::mem::replace(&mut seen[hash as usize], at as u32 + 1) as usize;
        let found = candidate.checked_sub(1).filter(|from| at - from <= FARTHEST && input[*from..].starts_with(four));
        let Some(from) = found.filter(|_| at > 0) else {
            at += 1;
            continue;
        };
        let same = input[from..].iter().zip(&input[at..last]).take_while(|(one, other)| one == other).count();
        let back = at - from - 1;
        if same < if back < NEAR { SHORTEST } else { SHORTEST + 2 } {
            at += 1;
            continue;
        }
        put_literals(&input[literals..at], output);
        put_reference(same, back, output);
        at += same;
        literals = at;
    }
    put_literals(&input[literals..], output);
}

/// Writes a copy of `length` bytes, of at least three, from `back` + 1 bytes back.
fn put_reference(length: usize, back: usize, output: &mut Vec<u8>) {
    let length = length - 2;
    let near = back.min(NEAR);
    output.push((length.min(7) << 5 | near >> 8) as u8);
    if let Some(mut more) = length.checked_sub(7) {
        while more >= 255 {
            output.push(255);
            more -= 255;
        }
        output.push(more as u8);
    }
    output.push(near as u8);
    if near == NEAR {
        output.extend(((back - NEAR) as u16).to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &[u8]) -> usize {
        let mut stored = Vec::new();
        encode(input, &mut stored);
        let mut output = vec![0; input.len()];
        assert_eq!(decode(&stored, &mut output), Ok(input.len()));
        assert_eq!(output, input);
        stored.len()
    }

    #[test]
    fn round_trips() {
        let mixed = |length: u32, period: u32| -> Vec<u8> {
            (0..length).map(|i| (i % period).wrapping_mul(2_654_435_769).to_be_bytes()[0]).collect()
        };
        for length in [0, 1, 2, 11, 12, 13, 31, 32, 33, 64, 65, 1000] {
            check(&mixed(length, u32::MAX));
            check(&vec![7; length as usize]);
        }
        assert!(check(&[7; 100_000]) < 1000);
        // Distances around where they get longer.
        for period in [8190, 8191, 8192, 8193, 8194, 65_535, 65_536, 73_725, 73_726, 73_727, 73_728, 80_000] {
            check(&mixed(200_000, period));
        }
    }

    #[test]
    fn reads_what_blosc_wrote() {
        // 20 literals, then 300 bytes from 20 bytes back.
        let mut stored = vec![0x20 | 19];
        stored.extend(0..20);
        stored.extend([0xe0, 255, 36, 19]);
        let mut output = [0; 320];
        assert_eq!(decode(&stored, &mut output), Ok(320));
        assert!(output.iter().enumerate().all(|(at, byte)| usize::from(*byte) == at % 20));
        assert_eq!(decode(&stored, &mut output[..319]), Err(Problem::TooLong { limit: 319 }));
        for cut in [10, 22, 23] {
            assert_eq!(decode(&stored[..cut], &mut output), Err(Problem::Truncated { length: cut }));
        }
        assert!(matches!(decode(&[0, 1, 0x20, 1, 0], &mut output), Err(Problem::Malformed(_))));
    }
}

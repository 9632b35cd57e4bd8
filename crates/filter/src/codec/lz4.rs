//! LZ4 blocks.
//!
//! A block is a sequence of literal runs and references:
//!
//! ```text
//! llllmmmm [llllllll...] literals  oooooooo oooooooo [mmmmmmmm...]
//! ```
//!
//! l literal bytes, then a copy of m + 4 bytes from o bytes back, little-endian; lengths of 15 go on in bytes, up to one that is not
//! 255. The last run has no reference. Bits of equal significance side by side are mostly long runs of one byte: these have to be fast.
//! So have to be numbers that differ in one byte, which are one literal and a reference to seven bytes, again and again.

use lz4_flex::block::{compress_into, get_maximum_output_size};

use super::lz77::Decoded;
use crate::Problem;

const SHORTEST: usize = 4;
/// Bytes that are copied at once.
const WORD: usize = 8;

pub(crate) fn decode(input: &[u8], output: &mut [u8]) -> Result<usize, Problem> {
    if output.len() < WIDE { sequences::<NARROW>(input, output) } else { sequences::<WIDE>(input, output) }
}

/// Decodes all sequences; short ones in windows of `WINDOW` bytes, where the output has as many.
fn sequences<const WINDOW: usize>(input: &[u8], output: &mut [u8]) -> Result<usize, Problem> {
    let truncated = || Problem::Truncated { length: input.len() };
    let mut decoded = Decoded::new(output);
    let mut rest = input;
    loop {
        if let Some((window, at)) = decoded.window::<WINDOW>() {
            let (after, end) = short_sequences(rest, window, at);
            decoded.grow(end - at);
            rest = after;
        }
        let (&token, after) = rest.split_first().ok_or_else(truncated)?;
        let (literals, after) = length(usize::from(token >> 4), after).ok_or_else(truncated)?;
        if literals > after.len() {
            return Err(truncated());
        }
        decoded.literals_from(after, literals)?;
        rest = &after[literals..];
        let Some((offset, after)) = rest.split_first_chunk() else {
            return if rest.is_empty() { Ok(decoded.len()) } else { Err(truncated()) };
        };
        let (matched, after) = length(usize::from(token & 15), after).ok_or_else(truncated)?;
        decoded.copy(u16::from_le_bytes(*offset).into(), matched + SHORTEST)?;
        rest = after;
    }
}

/// How much is written past the end of what counts, at most: a sequence is decoded in steps of a whole word.
const SLACK: usize = 2 * WORD;
/// A window that reaches as far back from its middle as a reference does.
const WIDE: usize = (1 << 17) + SLACK;
/// A window for the smaller blocks that other filters make of their data.
const NARROW: usize = (1 << 12) + SLACK;

/// Decodes sequences as long as they are short and stay within the window, which holds `at` bytes so far. Tells what follows, and how
/// many bytes the window holds then.
///
/// Two things make this fast. The window is an array whose length is a power of two and some slack, so that no masked position has to
/// be compared with its end. And the next token is shifted out of bytes that are at hand already, so that nothing waits for it to
/// be loaded from where the present sequence turns out to end: sequences overlap in the processor.
#[inline(always)]
fn short_sequences<'i, const WINDOW: usize>(
    mut rest: &'i [u8],
    window: &mut [u8; WINDOW],
    mut at: usize,
) -> (&'i [u8], usize) {
    // A token, as many literals as it can tell of by itself, and an offset.
    const LOOK: usize = 1 + 15 + 2;
    const { assert!((WINDOW - SLACK).is_power_of_two()) };
    let mask = WINDOW - SLACK - 1;
    let Some(&(mut token)) = rest.first() else { return (rest, at) };
    while let Some(look) = rest.first_chunk::<LOOK>() {
        let (literals, matched) = (usize::from(token >> 4), usize::from(token & 15) + SHORTEST);
        let offset = usize::from(u16::from_le_bytes([look[1 + literals], look[2 + literals]]));
        let Some(&next) = look[3..].first_chunk::<WORD>() else { break };
        let end = at + literals;
        if (literals >= WORD) | (matched > 2 * WORD) | (offset < WORD) | (offset > end) | (end > mask) {
            break;
        }
        window[at & mask..][..WORD].copy_from_slice(&look[1..1 + WORD]);
        let (from, to) = ((end - offset) & mask, end & mask);
        window.copy_within(from..from + WORD, to);
        if matched > WORD {
            window.copy_within(from + WORD..from + 2 * WORD, to + WORD);
        }
        at = end + matched;
        token = (u64::from_le_bytes(next) >> (8 * literals)) as u8;
        rest = &rest[1 + literals + 2..];
    }
    (rest, at)
}

/// A length that goes on in bytes if it is 15, and what follows it.
#[inline(always)]
fn length(start: usize, mut rest: &[u8]) -> Option<(usize, &[u8])> {
    let mut length = start;
    if start == 15 {
        loop {
            let (more, after) = rest.split_first()?;
            length += usize::from(*more);
            rest = after;
            if *more != 255 {
                break;
            }
        }
    }
    Some((length, rest))
}

pub(crate) fn encode(input: &[u8], output: &mut Vec<u8>) {
    let start = output.len();
    output.resize(start + get_maximum_output_size(input.len()), 0);
    // There is room for the longest result, so that it cannot fail.
    let length = compress_into(input, &mut output[start..]).unwrap_or(0);
    debug_assert!(length > 0);
    output.truncate(start + length);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_kind_of_item() {
        let long = [&[0xf1, 255, 3][..], &[b'x'; 273], &[1, 0], &[0xf0, 0], &[b'y'; 15]].concat();
        let expected = [&[b'x'; 273 + 5][..], &[b'y'; 15]].concat();
        for (stored, expected) in [
            (&[0x00][..], &b""[..]),
            (&[0x30, b'a', b'b', b'c'], b"abc"),
            (&[0x3f, b'a', b'b', b'c', 3, 0, 1, 0x10, b'd'], b"abcabcabcabcabcabcabcabd"),
            (&long, &expected),
        ] {
            let mut output = vec![0; expected.len()];
            assert_eq!(decode(stored, &mut output), Ok(expected.len()));
            assert_eq!(output, expected);
            if !expected.is_empty() {
                assert!(matches!(decode(stored, &mut output[1..]), Err(Problem::TooLong { .. })));
            }
        }
        for (stored, problem) in [
            (&[][..], Problem::Truncated { length: 0 }),
            (&[0x20, b'a'], Problem::Truncated { length: 2 }),
            (&[0xf0, 255], Problem::Truncated { length: 2 }),
            (&[0x10, b'a', 1], Problem::Truncated { length: 3 }),
            (&[0x10, b'a', 2, 0, 0x00], Problem::malformed("a reference 2 bytes back at byte 1 of the output")),
            (&[0x10, b'a', 0, 0, 0x00], Problem::malformed("a reference 0 bytes back at byte 1 of the output")),
        ] {
            assert_eq!(decode(stored, &mut [0; 100]), Err(problem));
        }
    }

    /// What the library that writes blocks makes of them, it reads as well: so must we, and the same.
    #[test]
    fn reads_as_the_library_does() {
        let mut state = 7_u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) % below
        };
        for round in 0..900 {
            // Of blocks without a window, with one of either kind, and with several.
            let length = random([2_000, 30_000, 400_000][round % 3]) as usize;
            let mut input: Vec<u8> = Vec::with_capacity(length);
            while input.len() < length {
                match random(6) {
                    // Numbers of four bytes that differ in the lowest: a literal and seven bytes that were there, again and again.
                    4 => (0..random(500)).for_each(|_| input.extend([random(16) as u8, 1, 0, 0])),
                    5 if !input.is_empty() => {
                        let from = input.len() - 1 - random(input.len().min(65_535) as u64) as usize;
                        (from..(from + 4 + random(14) as usize)).for_each(|at| input.push(input[at]));
                    }
                    0 if !input.is_empty() => {
                        let from = input.len() - 1 - random(input.len().min(70) as u64) as usize;
                        (from..from + random(300) as usize).for_each(|at| input.push(input[at]));
                    }
                    1 => input.extend(std::iter::repeat_n(random(3) as u8, random(2000) as usize)),
                    _ => (0..random(40)).for_each(|_| input.push(random(256) as u8)),
                }
            }
            let mut stored = Vec::new();
            encode(&input, &mut stored);
            let (mut ours, mut theirs) = (vec![0; input.len()], vec![0; input.len()]);
            assert_eq!(decode(&stored, &mut ours), Ok(input.len()), "round {round}");
            assert!(ours == input, "round {round}");
            // Damage: the same bytes, or an error.
            if !stored.is_empty() {
                let at = random(stored.len() as u64) as usize;
                stored[at] ^= 1 << random(8);
                let library = lz4_flex::block::decompress_into(&stored, &mut theirs);
                let own = decode(&stored, &mut ours);
                assert_eq!(own.is_ok(), library.is_ok(), "round {round}: {own:?}, {library:?}");
                if let (Ok(own), Ok(library)) = (own, library) {
                    assert!(own == library && ours[..own] == theirs[..library], "round {round}");
                }
            }
        }
    }
}

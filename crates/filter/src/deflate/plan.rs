//! Which parts of a chunk are worth searching for repeated strings.
//!
//! Most of deflate's time goes into that search, and most of it is lost on measured data: behind the shuffle filter, the low bytes
//! of numbers are noise, which repeats nothing but compresses well by the frequency of its symbols. A quick look at each part tells
//! the two apart, and noise is then coded some three times faster and, as a rule, smaller: short repeats found by chance cost more
//! than the symbols they stand for.

/// How a part is deflated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Repeated strings are searched for, with the effort that the level says.
    Matches,
    /// Each byte is coded by its frequency.
    Symbols,
}

/// What is judged by itself: twice deflate's window.
const SEGMENT: usize = 64 * 1024;

/// How far back a match may lie (RFC 1951, section 2).
const WINDOW: usize = 32 * 1024;

/// The longest match (RFC 1951, section 2).
const LONGEST: usize = 258;

/// The share of the size, at least, that matches must save to be searched for.
const WORTHWHILE: f64 = 1.0 / 64.0;

/// A part shorter than this is not worth a change of way, which costs 5 bytes and the window.
const SMALLEST: usize = 4096;

/// Cuts `input` into the parts to be deflated in one way each: at least one, no two neighbours in the same way.
pub(super) fn parts(input: &[u8]) -> Vec<(Way, &[u8])> {
    let mut table = Table::new();
    let mut parts: Vec<(Way, &[u8])> = Vec::new();
    let (mut way, mut begin) = (Way::Matches, 0);
    for (number, segment) in input.chunks(SEGMENT).enumerate() {
        let best = if segment.len() < SMALLEST { way } else { table.judge(segment) };
        let at = number * SEGMENT;
        if best != way {
            if at > begin {
                parts.push((way, &input[begin..at]));
            }
            (way, begin) = (best, at);
        }
    }
    parts.push((way, &input[begin..]));
    parts
}

/// Where four bytes were seen last in a segment, by their hash. (Deflate has matches of three, but zlib-rs searches for none.)
struct Table(Box<[u16; Self::SLOTS]>);

impl Table {
    const BITS: u32 = 12;
    const SLOTS: usize = 1 << Self::BITS;

    fn new() -> Self {
        Self(Box::new([0; Self::SLOTS]))
    }

    /// The position before `position` where `four` may have been seen last, which is now `position`.
    fn replace(&mut self, four: u32, position: usize) -> usize {
        let slot = &mut self.0[(four.wrapping_mul(0x9e37_79b1) >> (32 - Self::BITS)) as usize];
        usize::from(std::mem::replace(slot, position as u16))
    }

    /// Estimates what matches would save in `segment`, of at most 64 KiB, over coding its symbols alone.
    fn judge(&mut self, segment: &[u8]) -> Way {
        let bits = entropy(segment);
        self.0.fill(0);
        let (mut saved, mut seen) = (0.0, 0_usize);
        let (mut position, mut misses) = (1, 0_usize);
        while let Some(four) = four_at(segment, position) {
            let before = self.replace(four, position);
            let distance = position.wrapping_sub(before);
            let length = if distance <= WINDOW { common(&segment[before..], &segment[position..]) } else { 0 };
            // A symbol for the length, one for the distance, and the distance's own bits.
            let gain = length as f64 * bits - f64::from(11 + distance.ilog2());
            if length >= 4 && gain > 0.0 {
                saved += gain;
                (position, seen, misses) = (position + length, seen + length, 0);
            } else {
                // The longer nothing repeats, the fewer places are looked at.
                misses += 1;
                (position, seen) = (position + 1 + (misses / 32).min(15), seen + 1);
            }
        }
        if saved >= WORTHWHILE * bits * seen as f64 { Way::Matches } else { Way::Symbols }
    }
}

/// The bits that a byte of `bytes` takes when coded by its frequency. A Huffman code takes at least one.
fn entropy(bytes: &[u8]) -> f64 {
    // Four counts side by side: equal bytes in a row would wait for each other.
    let mut counts = [[0_u32; 256]; 4];
    for (index, &byte) in bytes.iter().enumerate() {
        counts[index % 4][usize::from(byte)] += 1;
    }
    let total = bytes.len() as f64;
    let bits: f64 = (0..256)
        .map(|byte| counts.iter().map(|counts| counts[byte]).sum::<u32>())
        .filter(|&count| count > 0)
        .map(|count| f64::from(count) / total)
        .map(|share| -share * share.log2())
        .sum();
    bits.max(1.0)
}

fn four_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|four| u32::from_le_bytes(*four))
}

/// How many bytes two slices have in common at their beginning.
fn common(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take(LONGEST).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of so many random bits.
    fn noise(bits: u32, length: usize) -> Vec<u8> {
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        (0..length)
            .map(|_| {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                ((seed >> 40) as u8) >> (8 - bits)
            })
            .collect()
    }

    fn ways(input: &[u8]) -> Vec<(Way, usize)> {
        parts(input).iter().map(|(way, part)| (*way, part.len())).collect()
    }

    #[test]
    fn noise_is_coded_by_its_symbols_and_all_else_is_searched() {
        let text = b"the quick brown fox jumps over the lazy dog; ".repeat(2000);
        let rows: Vec<u8> = noise(8, 10_000).repeat(10);
        for (name, input, way) in [
            ("1 bit", noise(1, 100_000), Way::Symbols),
            ("2 bits", noise(2, 100_000), Way::Symbols),
            ("5 bits", noise(5, 100_000), Way::Symbols),
            ("8 bits", noise(8, 100_000), Way::Symbols),
            ("zeros", vec![0; 100_000], Way::Matches),
            ("text", text, Way::Matches),
            ("a row again and again", rows, Way::Matches),
            ("slowly growing", (0..100_000_u32).map(|i| (i / 1000) as u8).collect(), Way::Matches),
        ] {
            assert_eq!(ways(&input), [(way, input.len())], "{name}");
        }
    }

    #[test]
    fn parts_are_all_of_the_input_in_turn() {
        let planes = [noise(6, 2 * SEGMENT), vec![7; 3 * SEGMENT], noise(4, SEGMENT + 17)].concat();
        assert_eq!(
            ways(&planes),
            [(Way::Symbols, 2 * SEGMENT), (Way::Matches, 3 * SEGMENT), (Way::Symbols, SEGMENT + 17)]
        );
        assert_eq!(parts(&planes).iter().flat_map(|(_, part)| *part).copied().collect::<Vec<u8>>(), planes);
        for short in 0..5 {
            assert_eq!(ways(&planes[..short]), [(Way::Matches, short)]);
        }
    }
}

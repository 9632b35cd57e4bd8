//! The adaptive entropy coder of CCSDS 121.0-B-2.
//!
//! Samples are coded in intervals of a number of blocks. Each block starts with the number of the way in which it is coded; the first
//! of an interval also holds a sample as it is, if differences are coded.
//!
//! ```text
//! 0, then bit 0      this many blocks are zero (a number in unary)
//! 0, then bit 1      pairs of samples, each as one number in unary ("second extension")
//! k + 1              samples as their high bits, in unary, then all their k low bits ("split samples")
//! all ones           samples as they are
//! ```

use crate::Problem;
use crate::bits::{BitReader, BitWriter};

/// What both sides know of the samples.
#[derive(Debug, Clone, Copy)]
pub(super) struct Coder {
    /// Bits of a sample, 1 to 32.
    pub(super) bits: u32,
    /// Samples of a block, an even number.
    pub(super) block: usize,
    /// Blocks of an interval.
    pub(super) blocks: usize,
    /// Whether differences between neighbours are coded in place of samples.
    pub(super) differences: bool,
}

/// Blocks of a segment, over whose end no run of zero blocks reaches.
const SEGMENT: usize = 64;
/// The unary number that says "to the end of the segment".
const REST_OF_SEGMENT: u32 = 4;
/// The largest sum of a pair of samples that the second extension takes.
const LARGEST_PAIR: u32 = 12;

/// How a block is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Zero,
    Pairs,
    Split { low: u32 },
    Plain,
}

impl Coder {
    /// Samples of an interval.
    pub(super) fn interval(&self) -> usize {
        self.block * self.blocks
    }

    /// Bits of a block's number of coding.
    fn id_bits(&self) -> u32 {
        match self.bits {
            ..=8 => 3,
            9..=16 => 4,
            _ => 5,
        }
    }

    fn plain_id(&self) -> u32 {
        (1 << self.id_bits()) - 1
    }

    fn largest(&self) -> u32 {
        u32::MAX >> (32 - self.bits)
    }

    /// Decodes an interval, or as much of it as holds the `wanted` samples, into the front of `samples`, an interval long.
    pub(super) fn decode(&self, bits: &mut BitReader<'_>, samples: &mut [u32], wanted: usize) -> Result<(), Problem> {
        debug_assert!(samples.len() == self.interval() && wanted <= samples.len());
        let mut block = 0;
        while block * self.block < wanted {
            let first = block == 0 && self.differences;
            let id = bits.take(self.id_bits())? as u32;
            let coding = match id {
                0 if bits.take(1)? == 0 => Coding::Zero,
                0 => Coding::Pairs,
                id if id == self.plain_id() => Coding::Plain,
                id => Coding::Split { low: id - 1 },
            };
            let rest = &mut samples[block * self.block..];
            let (skip, coded) = match coding {
                Coding::Plain => (0, &mut rest[..]),
                _ if first => {
                    rest[0] = bits.take(self.bits)? as u32;
                    (1, &mut rest[1..])
                }
                _ => (0, &mut rest[..]),
            };
            let count = self.block - skip;
            match coding {
                Coding::Zero => {
                    let blocks = self.zero_blocks(bits.unary(u32::MAX)?, block);
                    coded[..blocks * self.block - skip].fill(0);
                    block += blocks;
                    continue;
                }
                Coding::Pairs => decode_pairs(bits, &mut coded[..count])?,
                Coding::Split { low } => {
                    let limit = self.largest().checked_shr(low).unwrap_or(0);
                    for sample in &mut coded[..count] {
                        *sample = bits.unary(limit)?.checked_shl(low).unwrap_or(0);
                    }
                    if low > 0 {
                        for sample in &mut coded[..count] {
                            *sample |= bits.take(low)? as u32;
                        }
                    }
                }
                Coding::Plain => {
                    for sample in &mut coded[..count] {
                        *sample = bits.take(self.bits)? as u32;
                    }
                }
            }
            block += 1;
        }
        if self.differences {
            self.add_up(&mut samples[..wanted]);
        }
        Ok(())
    }

    /// How many blocks from `block` on the unary number of a run of zero blocks stands for; never beyond the interval.
    fn zero_blocks(&self, number: u32, block: usize) -> usize {
        let left = self.blocks - block;
        match number {
            REST_OF_SEGMENT => left.min(SEGMENT - block % SEGMENT),
            number if number > REST_OF_SEGMENT => left.min(number as usize),
            number => left.min(number as usize + 1),
        }
    }

    /// Codes an interval, or the whole blocks that are left of the last. The samples are replaced by what was coded.
    pub(super) fn encode(&self, samples: &mut [u32], bits: &mut BitWriter<'_>) {
        debug_assert!(samples.len().is_multiple_of(self.block) && samples.len() <= self.interval());
        let reference = samples.first().copied().unwrap_or(0);
        if self.differences {
            self.take_differences(samples);
        }
        let count = samples.len() / self.block;
        let mut block = 0;
        while block < count {
            let first = block == 0 && self.differences;
            let coded = &mut samples[block * self.block..][..self.block];
            let coding = self.choose(coded, first);
            match coding {
                Coding::Zero => {
                    let end = count.min(block / SEGMENT * SEGMENT + SEGMENT);
                    let is_zero =
                        |at: &usize| samples[at * self.block..][..self.block].iter().all(|sample| *sample == 0);
                    let run = (block..end).take_while(is_zero).count();
                    bits.put(0, self.id_bits() + 1);
                    if first {
                        bits.put(reference.into(), self.bits);
                    }
                    bits.put_unary(match run as u32 {
                        run if run > REST_OF_SEGMENT && block + run as usize == end => REST_OF_SEGMENT,
                        run if run > REST_OF_SEGMENT => run,
                        run => run - 1,
                    });
                    block += run;
                    continue;
                }
                Coding::Plain => {
                    if first {
                        coded[0] = reference;
                    }
                    bits.put(self.plain_id().into(), self.id_bits());
                    coded.iter().for_each(|sample| bits.put((*sample).into(), self.bits));
                }
                Coding::Pairs => {
                    bits.put(1, self.id_bits() + 1);
                    if first {
                        bits.put(reference.into(), self.bits);
                    }
                    coded.as_chunks().0.iter().for_each(|pair| bits.put_unary(pair_number(*pair)));
                }
                Coding::Split { low } => {
                    bits.put((low + 1).into(), self.id_bits());
                    if first {
                        bits.put(reference.into(), self.bits);
                    }
                    let coded = &coded[usize::from(first)..];
                    coded.iter().for_each(|sample| bits.put_unary(sample >> low));
                    coded.iter().for_each(|sample| bits.put((*sample).into(), low));
                }
            }
            block += 1;
        }
    }

    /// The shortest coding of a block.
    fn choose(&self, block: &[u32], first: bool) -> Coding {
        if block.iter().all(|sample| *sample == 0) {
            return Coding::Zero;
        }
        let coded = &block[usize::from(first)..];
        let reference = if first { u64::from(self.bits) } else { 0 };
        let plain = (self.block as u64 * u64::from(self.bits), Coding::Plain);
        let splits = (0..(self.plain_id() - 1).min(self.bits)).map(|low| {
            let high: u64 = coded.iter().map(|sample| u64::from(sample >> low)).sum();
            (reference + high + coded.len() as u64 * u64::from(low + 1), Coding::Split { low })
        });
        let pairs = block.as_chunks::<2>().0;
        let small = |[one, other]: &[u32; 2]| one.saturating_add(*other) <= LARGEST_PAIR;
        let pairs = pairs.iter().all(small).then(|| {
            let bits: u64 = pairs.iter().map(|pair| u64::from(pair_number(*pair)) + 1).sum();
            (reference + bits + 1, Coding::Pairs)
        });
        splits.chain(pairs).chain([plain]).min_by_key(|(bits, _)| *bits).map_or(Coding::Plain, |(_, coding)| coding)
    }

    /// Replaces each sample but the first, which becomes zero, by its difference from the one before, mapped to a number without sign:
    /// small ones of either sign in turn, and from where only one sign is possible all of that sign.
    fn take_differences(&self, samples: &mut [u32]) {
        let largest = self.largest();
        let mut previous = match samples.first_mut() {
            Some(first) => std::mem::take(first),
            None => return,
        };
        for sample in samples.iter_mut().skip(1) {
            let this = *sample;
            *sample = if this >= previous {
                let up = this - previous;
                if up <= previous { up * 2 } else { this }
            } else {
                let down = previous - this;
                if down <= largest - previous { down * 2 - 1 } else { largest - this }
            };
            previous = this;
        }
    }

    /// The other way round; the first sample is itself.
    fn add_up(&self, samples: &mut [u32]) {
        let largest = self.largest();
        let Some((&mut first, rest)) = samples.split_first_mut() else { return };
        let mut previous = first & largest;
        for sample in rest {
            let mapped = *sample & largest;
            // Differences up to this are possible in both directions.
            let both = previous.min(largest - previous);
            previous = match mapped.div_ceil(2) {
                half if half <= both && mapped.is_multiple_of(2) => previous + half,
                half if half <= both => previous - half,
                _ if previous <= largest / 2 => mapped,
                _ => largest - mapped,
            };
            *sample = previous;
        }
    }
}

/// The number of a pair of samples: the sums in order, and the second sample among pairs of that sum.
fn pair_number([one, other]: [u32; 2]) -> u32 {
    let sum = one + other;
    sum * (sum + 1) / 2 + other
}

/// Fills `samples` from pairs; of the first pair only the second sample, if there is an odd number.
fn decode_pairs(bits: &mut BitReader<'_>, samples: &mut [u32]) -> Result<(), Problem> {
    const LARGEST: u32 = LARGEST_PAIR * (LARGEST_PAIR + 1) / 2 + LARGEST_PAIR;
    let mut pair = || {
        let number = bits.unary(LARGEST)?;
        let mut sum = 0;
        while (sum + 1) * (sum + 2) / 2 <= number {
            sum += 1;
        }
        let second = number - sum * (sum + 1) / 2;
        Ok([sum - second, second])
    };
    let mut rest = samples;
    if rest.len() % 2 == 1 {
        rest[0] = pair()?[1];
        rest = &mut rest[1..];
    }
    for two in rest.chunks_exact_mut(2) {
        two.copy_from_slice(&pair()?);
    }
    Ok(())
}

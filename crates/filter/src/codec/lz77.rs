//! What LZF, BloscLZ and LZ4 have in common: runs of literal bytes, and references to bytes that came before.

use crate::Problem;

/// Literal bytes in a run at most.
pub(crate) const LITERALS_AT_MOST: usize = 32;

/// Runs and copies of at most so many bytes are made all at once, where there is room.
const SHORT: usize = 16;

/// Output that is being decoded, from its start.
pub(crate) struct Decoded<'o> {
    output: &'o mut [u8],
    length: usize,
}

impl<'o> Decoded<'o> {
    /// Nothing yet, in front of the room of `output`.
    pub(crate) fn new(output: &'o mut [u8]) -> Self {
        Self { output, length: 0 }
    }

    /// `LENGTH` bytes of the output, half of them decoded where there are as many on both sides; and how many are. None if the output is
    /// shorter.
    pub(crate) fn window<const LENGTH: usize>(&mut self) -> Option<(&mut [u8; LENGTH], usize)> {
        let last = self.output.len().checked_sub(LENGTH)?;
        let start = self.length.saturating_sub(LENGTH / 2).min(last);
        let window = self.output[start..].first_chunk_mut()?;
        Some((window, self.length - start))
    }

    /// Counts `count` bytes more as decoded, which [`Self::window`] was given.
    pub(crate) fn grow(&mut self, count: usize) {
        self.length += count;
        debug_assert!(self.length <= self.output.len());
    }

    /// Bytes decoded.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Appends bytes.
    pub(crate) fn literals(&mut self, literals: &[u8]) -> Result<(), Problem> {
        self.literals_from(literals, literals.len())
    }

    /// Appends the first `count` bytes of `bytes`, of which there are at least so many. Where there are more, and room for them, short
    /// runs are copied without a call.
    #[inline(always)]
    pub(crate) fn literals_from(&mut self, bytes: &[u8], count: usize) -> Result<(), Problem> {
        let limit = self.output.len();
        let to = &mut self.output[self.length..];
        if count <= SHORT
            && let (Some(to), Some(from)) = (to.first_chunk_mut::<SHORT>(), bytes.first_chunk())
        {
            *to = *from;
        } else {
            to.get_mut(..count).ok_or(Problem::TooLong { limit })?.copy_from_slice(&bytes[..count]);
        }
        self.length += count;
        Ok(())
    }

    /// Appends `length` bytes from `back` bytes back; they may be among those that it appends.
    #[inline(always)]
    pub(crate) fn copy(&mut self, back: usize, length: usize) -> Result<(), Problem> {
        let done = self.length;
        let from = match done.checked_sub(back) {
            Some(from) if back > 0 => from,
            _ => return Err(out_of_reach(back, done)),
        };
        let (before, after) = self.output.split_at_mut(done);
        if after.len() < length {
            return Err(Problem::TooLong { limit: before.len() + after.len() });
        }
        if back >= SHORT
            && length <= SHORT
            && let Some(to) = after.first_chunk_mut::<SHORT>()
            && let Some(from) = before[from..].first_chunk()
        {
            *to = *from;
        } else if length <= SHORT {
            let window = &mut self.output[from..done + length];
            for at in back..window.len() {
                window[at] = window[at - back];
            }
        } else if back >= length {
            after[..length].copy_from_slice(&before[from..from + length]);
        } else if back == 1 {
            after[..length].fill(before[from]);
        } else {
            // The copy overlaps what it writes: what there is doubles until it is enough.
            let mut copied = 0;
            while copied < length {
                let count = (back + copied).min(length - copied);
                self.output.copy_within(from..from + count, done + copied);
                copied += count;
            }
        }
        self.length += length;
        Ok(())
    }
}

#[cold]
fn out_of_reach(back: usize, done: usize) -> Problem {
    Problem::malformed(format!("a reference {back} bytes back at byte {done} of the output"))
}

/// Appends runs of literals: each a byte that is one less than its length, and the bytes.
pub(crate) fn put_literals(literals: &[u8], output: &mut Vec<u8>) {
    for run in literals.chunks(LITERALS_AT_MOST) {
        output.push(run.len() as u8 - 1);
        output.extend_from_slice(run);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_may_overlap_what_they_write() {
        for back in 1..=5 {
            for length in 0..40 {
                let mut output = [0; 45];
                let mut decoded = Decoded::new(&mut output);
                decoded.literals(b"abcde").unwrap();
                decoded.copy(back, length).unwrap();
                assert_eq!(decoded.len(), 5 + length);
                let expected: Vec<u8> = (0..length).map(|at| b"abcde"[5 - back + at % back]).collect();
                assert_eq!(output[5..5 + length], expected, "{length} from {back} back");
            }
        }
    }

    #[test]
    fn windows_are_around_the_end() {
        let mut output: [u8; 100] = std::array::from_fn(|at| at as u8);
        let mut decoded = Decoded { output: &mut output, length: 0 };
        for (grown, expected) in [(0, (0, 0)), (9, (0, 9)), (41, (40, 10)), (39, (79, 10)), (11, (80, 20))] {
            decoded.grow(grown);
            let (window, at) = decoded.window::<20>().unwrap();
            assert_eq!((window[0], at), expected, "{grown} more");
            assert!(decoded.window::<101>().is_none());
        }
    }

    #[test]
    fn refuses_what_is_not_there_or_does_not_fit() {
        let mut output = [0; 8];
        let mut decoded = Decoded::new(&mut output);
        decoded.literals(b"abc").unwrap();
        assert_eq!(decoded.copy(4, 1), Err(Problem::malformed("a reference 4 bytes back at byte 3 of the output")));
        assert_eq!(decoded.copy(3, 6), Err(Problem::TooLong { limit: 8 }));
        assert_eq!(decoded.literals(b"defghi"), Err(Problem::TooLong { limit: 8 }));
        assert_eq!(decoded.copy(3, 5), Ok(()));
    }
}

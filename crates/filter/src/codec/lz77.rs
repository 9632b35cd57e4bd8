//! What LZF and BloscLZ have in common: runs of literal bytes, and references to bytes that came before.

use crate::Problem;

/// Literal bytes in a run at most.
pub(crate) const LITERALS_AT_MOST: usize = 32;

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

    /// Bytes decoded.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Appends bytes.
    pub(crate) fn literals(&mut self, literals: &[u8]) -> Result<(), Problem> {
        let limit = self.output.len();
        let target = self.output.get_mut(self.length..self.length + literals.len());
        target.ok_or(Problem::TooLong { limit })?.copy_from_slice(literals);
        self.length += literals.len();
        Ok(())
    }

    /// Appends `length` bytes from `back` bytes back; they may be among those that it appends.
    pub(crate) fn copy(&mut self, back: usize, length: usize) -> Result<(), Problem> {
        debug_assert!(back > 0, "a byte cannot be a copy of itself");
        let done = self.length;
        let from = done
            .checked_sub(back)
            .ok_or_else(|| Problem::malformed(format!("a reference {back} bytes back at byte {done} of the output")))?;
        if self.output.len() - done < length {
            return Err(Problem::TooLong { limit: self.output.len() });
        }
        // Where the copy overlaps what it writes, what there is doubles until it is enough.
        let mut copied = 0;
        while copied < length {
            let count = (back + copied).min(length - copied);
            self.output.copy_within(from..from + count, done + copied);
            copied += count;
        }
        self.length += length;
        Ok(())
    }
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

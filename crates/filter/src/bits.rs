//! Bits packed without gaps, most significant first.

use crate::Problem;

/// Takes bit fields from bytes.
#[derive(Debug)]
pub(crate) struct BitReader<'a> {
    bytes: &'a [u8],
    /// The next bit, counted from the first byte's most significant.
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next `count` bits, up to 64, as a number.
    pub(crate) fn take(&mut self, count: u32) -> Result<u64, Problem> {
        debug_assert!(count <= 64);
        if count > 32 {
            let high = self.take(count - 32)?;
            return Ok(high << 32 | self.take(32)?);
        }
        if count == 0 {
            return Ok(0);
        }
        let end = self.at + count as usize;
        if end > self.bytes.len() * 8 {
            return Err(Problem::Truncated { length: self.bytes.len() });
        }
        let rest = &self.bytes[self.at / 8..];
        let word = match rest.first_chunk() {
            Some(bytes) => u64::from_be_bytes(*bytes),
            None => {
                let mut bytes = [0; 8];
                bytes[..rest.len()].copy_from_slice(rest);
                u64::from_be_bytes(bytes)
            }
        };
        let field = word << (self.at % 8) >> (64 - count);
        self.at = end;
        Ok(field)
    }

    /// The number of zeros before the next one, which is taken too. More than `limit` zeros are an error.
    pub(crate) fn unary(&mut self, limit: u32) -> Result<u32, Problem> {
        let mut zeros = 0;
        loop {
            let rest = self.bytes.get(self.at / 8..).filter(|rest| !rest.is_empty());
            let rest = rest.ok_or(Problem::Truncated { length: self.bytes.len() })?;
            let word = match rest.first_chunk() {
                Some(bytes) => u64::from_be_bytes(*bytes),
                None => {
                    let mut bytes = [0; 8];
                    bytes[..rest.len()].copy_from_slice(rest);
                    u64::from_be_bytes(bytes)
                }
            };
            let found = (word << (self.at % 8)).leading_zeros();
            let seen = (rest.len().min(8) as u32 * 8) - (self.at % 8) as u32;
            if found < seen {
                self.at += found as usize + 1;
                zeros += found;
                return match zeros {
                    zeros if zeros <= limit => Ok(zeros),
                    zeros => {
                        Err(Problem::malformed(format!("the number {zeros} in unary, but {limit} is the largest")))
                    }
                };
            }
            self.at += seen as usize;
            zeros += seen;
            if zeros > limit {
                return Err(Problem::malformed(format!("a number in unary above {limit}")));
            }
        }
    }
}

/// Appends bit fields to bytes.
#[derive(Debug)]
pub(crate) struct BitWriter<'a> {
    bytes: &'a mut Vec<u8>,
    /// Bits not yet in `bytes`, at the low end; fewer than eight between calls.
    pending: u64,
    count: u32,
}

impl<'a> BitWriter<'a> {
    pub(crate) fn new(bytes: &'a mut Vec<u8>) -> Self {
        Self { bytes, pending: 0, count: 0 }
    }

    /// Appends the low `count` bits of `field`, up to 64.
    pub(crate) fn put(&mut self, field: u64, count: u32) {
        debug_assert!(count <= 64);
        if count > 32 {
            self.put(field >> 32, count - 32);
            return self.put(field, 32);
        }
        self.pending = self.pending << count | (field & ((1 << count) - 1));
        self.count += count;
        while self.count >= 8 {
            self.count -= 8;
            self.bytes.push((self.pending >> self.count) as u8);
        }
    }

    /// Appends as many zeros, and a one.
    pub(crate) fn put_unary(&mut self, zeros: u32) {
        for _ in 0..zeros / 32 {
            self.put(0, 32);
        }
        self.put(1, zeros % 32 + 1);
    }

    /// Writes the bits left over, if there are any, filled up with zeros to a byte.
    pub(crate) fn finish_exact(self) {
        if self.count > 0 {
            self.finish();
        }
    }

    /// Writes the last byte: the bits left over, filled up with zeros. It is there even when no bits are left over, because libhdf5
    /// steps to the next byte as soon as one is full, when it reads as when it writes.
    pub(crate) fn finish(self) {
        self.bytes.push((self.pending << (8 - self.count)) as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_every_width_round_trip() {
        let field = |index: u64, count: u32| {
            let value = index.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ index << 61;
            if count == 64 { value } else { value & ((1 << count) - 1) }
        };
        let widths: Vec<u32> = (0..=64).chain((0..=64).rev()).chain([1; 9]).collect();
        let mut bytes = Vec::new();
        let mut writer = BitWriter::new(&mut bytes);
        for (index, &count) in widths.iter().enumerate() {
            writer.put(field(index as u64, count), count);
        }
        writer.finish();
        assert_eq!(bytes.len(), widths.iter().sum::<u32>() as usize / 8 + 1);
        let mut reader = BitReader::new(&bytes);
        for (index, &count) in widths.iter().enumerate() {
            assert_eq!(reader.take(count), Ok(field(index as u64, count)), "field {index}");
        }
        assert_eq!(reader.take(9), Err(Problem::Truncated { length: bytes.len() }));
    }

    #[test]
    fn unary_numbers_round_trip() {
        let numbers: Vec<u32> = (0..70).chain([500, 0, 64, 63, 65]).collect();
        let mut bytes = Vec::new();
        let mut writer = BitWriter::new(&mut bytes);
        numbers.iter().for_each(|number| writer.put_unary(*number));
        writer.finish_exact();
        let mut reader = BitReader::new(&bytes);
        for number in &numbers {
            assert_eq!(reader.unary(500), Ok(*number));
        }
        assert_eq!(reader.unary(500), Err(Problem::Truncated { length: bytes.len() }));
        assert!(matches!(BitReader::new(&[0, 1]).unary(14), Err(Problem::Malformed(_))));
        assert!(matches!(BitReader::new(&[0; 100]).unary(14), Err(Problem::Malformed(_))));
        assert_eq!(BitReader::new(&[0, 1]).unary(15), Ok(15));
    }

    #[test]
    fn most_significant_first() {
        let mut bytes = Vec::new();
        let mut writer = BitWriter::new(&mut bytes);
        writer.put(0b101, 3);
        writer.put(0b11, 2);
        writer.put(0b0_0001_1110, 9);
        writer.finish();
        assert_eq!(bytes, [0b1011_1000, 0b0111_1000]);
    }
}

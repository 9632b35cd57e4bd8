//! N-bit: only the significant bits of each number, packed without gaps.
//!
//! The client values describe the datatype: how many values there are, whether the data is stored unpacked (nothing to gain), how many
//! elements a chunk has, and then the type itself, nested:
//!
//! ```text
//! 1, size, byte order (0 little, 1 big), precision, bit offset      a number
//! 2, size, base type                                                an array
//! 3, size, member count, (member's byte offset, member's type)...   a compound
//! 4, size                                                           anything else: all its bytes
//! ```
//!
//! Bits outside a number's precision, and bytes outside every compound member, decode to zero.

use crate::bits::{BitReader, BitWriter};
use crate::form::{ByteOrder, ChunkForm, ElementType};
use crate::{Encoded, Filter, Problem};

/// The n-bit filter. Client values: the datatype's layout.
#[derive(Debug, Clone, Copy)]
pub struct NBit;

impl Filter for NBit {
    fn name(&self) -> &str {
        "nbit"
    }

    fn settle(&self, _: &[u32], form: &ChunkForm<'_>) -> Result<Vec<u32>, Problem> {
        let count = u32::try_from(form.count()).map_err(|_| Problem::values("a chunk of too many elements"))?;
        let mut values = vec![0, u32::from(is_full(form.element)), count];
        // Of types that are no numbers, nor of any, libhdf5 keeps nothing.
        if !matches!(form.element, ElementType::Other { .. }) {
            describe(form.element, &mut values);
        }
        values[0] = values.len() as u32;
        Plan::parse(&values)?;
        Ok(values)
    }

    fn keeps_length(&self, values: &[u32]) -> bool {
        Plan::parse(values).is_ok_and(|plan| plan.is_none())
    }

    fn decode(&self, values: &[u32], input: &[u8], output: &mut [u8]) -> Result<usize, Problem> {
        let limit = output.len();
        let Some(plan) = Plan::parse(values)? else {
            output.get_mut(..input.len()).ok_or(Problem::TooLong { limit })?.copy_from_slice(input);
            return Ok(input.len());
        };
        let length = plan.length()?;
        let output = output.get_mut(..length).ok_or(Problem::TooLong { limit })?;
        output.fill(0);
        let mut bits = BitReader::new(input);
        for element in output.chunks_exact_mut(plan.size) {
            for field in &plan.fields {
                field.decode(&mut bits, &mut element[field.at..field.at + field.size])?;
            }
        }
        Ok(length)
    }

    fn encode(&self, values: &[u32], input: &[u8], output: &mut Vec<u8>) -> Result<Encoded, Problem> {
        let Some(plan) = Plan::parse(values)? else {
            output.extend_from_slice(input);
            return Ok(Encoded::Done);
        };
        if plan.length()? != input.len() {
            return Err(Problem::values(format!(
                "{} elements of {} bytes, but the chunk has {} bytes",
                plan.count,
                plan.size,
                input.len()
            )));
        }
        let mut bits = BitWriter::new(output);
        for element in input.chunks_exact(plan.size) {
            for field in &plan.fields {
                field.encode(&element[field.at..field.at + field.size], &mut bits);
            }
        }
        bits.finish();
        Ok(Encoded::by_length(input, output))
    }
}

/// Whether all bits of an element count, so that there is nothing to gain.
fn is_full(element: &ElementType) -> bool {
    match element {
        ElementType::Integer { bits, .. } | ElementType::Float(bits) => {
            bits.offset == 0 && bits.precision == bits.size.saturating_mul(8)
        }
        ElementType::Array { base, .. } => is_full(base),
        ElementType::Compound { members, .. } => members.iter().all(|(_, member)| is_full(member)),
        ElementType::Other { .. } => true,
    }
}

/// Appends the values that describe a type.
fn describe(element: &ElementType, values: &mut Vec<u32>) {
    match element {
        ElementType::Integer { bits, .. } | ElementType::Float(bits) => {
            let order = match bits.order {
                ByteOrder::Little => 0,
                ByteOrder::Big => 1,
            };
            values.extend([1, bits.size, order, bits.precision, bits.offset]);
        }
        ElementType::Array { base, .. } => {
            values.extend([2, element.size()]);
            describe(base, values);
        }
        ElementType::Compound { size, members } => {
            values.extend([3, *size, members.len() as u32]);
            for (offset, member) in members {
                values.push(*offset);
                describe(member, values);
            }
        }
        ElementType::Other { size } => values.extend([4, *size]),
    }
}

/// An element of the chunk, taken apart.
#[derive(Debug)]
struct Plan {
    count: usize,
    size: usize,
    fields: Vec<Field>,
}

/// A part of an element with bits of its own.
#[derive(Debug, Clone, Copy)]
struct Field {
    /// Where it starts in the element, in bytes.
    at: usize,
    /// Its length in bytes, above zero.
    size: usize,
    order: ByteOrder,
    /// Its significant bits, above zero.
    precision: usize,
    /// The bits below them.
    offset: usize,
}

/// How deep datatypes may nest. Real ones have a few levels.
const DEEPEST: usize = 32;

impl Plan {
    /// What the client values say; nothing if the data is not packed.
    fn parse(values: &[u32]) -> Result<Option<Self>, Problem> {
        let mut words = Words(values);
        let _count_of_values = words.next()?;
        let unpacked = words.next()? != 0;
        let count = words.next()?;
        if unpacked {
            return Ok(None);
        }
        let size = words.peek_size()?;
        let mut fields = Vec::new();
        parse_type(&mut words, 0, size, 0, &mut fields)?;
        Ok(Some(Self { count, size, fields }))
    }

    fn length(&self) -> Result<usize, Problem> {
        self.count.checked_mul(self.size).ok_or_else(|| Problem::values("more bytes than there can be"))
    }
}

/// Adds the fields of the type that `words` describe next, which starts at byte `at` and must end by byte `end`; returns its size.
fn parse_type(
    words: &mut Words<'_>,
    at: usize,
    end: usize,
    depth: usize,
    fields: &mut Vec<Field>,
) -> Result<usize, Problem> {
    if depth > DEEPEST {
        return Err(Problem::values("a datatype nested too deeply"));
    }
    let class = words.next()?;
    let size = words.next()?;
    if size == 0 || size > end - at {
        return Err(Problem::values(format!("a type of {size} bytes where there are {}", end - at)));
    }
    match class {
        1 => {
            let order = match words.next()? {
                0 => ByteOrder::Little,
                1 => ByteOrder::Big,
                other => return Err(Problem::values(format!("byte order {other}"))),
            };
            let (precision, offset) = (words.next()?, words.next()?);
            if precision == 0 || precision.saturating_add(offset) > size * 8 {
                return Err(Problem::values(format!("{precision} bits from bit {offset} of {size} bytes")));
            }
            push(fields, Field { at, size, order, precision, offset }, end)?;
        }
        2 => {
            let base = *words;
            let base_size = Words(base.0).peek_size()?;
            if base_size == 0 || !size.is_multiple_of(base_size) {
                return Err(Problem::values(format!("an array of {size} bytes, of elements of {base_size}")));
            }
            for start in (at..at + size).step_by(base_size) {
                // Every element is described by the same words.
                *words = base;
                parse_type(words, start, at + size, depth + 1, fields)?;
            }
        }
        3 => {
            for _ in 0..words.next()? {
                let offset = words.next()?;
                if offset >= size {
                    return Err(Problem::values(format!("a member at byte {offset} of a compound of {size}")));
                }
                parse_type(words, at + offset, at + size, depth + 1, fields)?;
            }
        }
        4 => push(fields, Field { at, size, order: ByteOrder::Big, precision: size * 8, offset: 0 }, end)?,
        other => return Err(Problem::values(format!("datatype class {other}"))),
    }
    Ok(size)
}

/// Adds a field. Fields do not overlap in a sound type, so there are never more of them than bytes; that bounds the memory.
fn push(fields: &mut Vec<Field>, field: Field, end: usize) -> Result<(), Problem> {
    if fields.len() >= end {
        return Err(Problem::values("members that overlap"));
    }
    fields.push(field);
    Ok(())
}

impl Field {
    /// Puts the field's bits into `bytes`, its own, which are zero.
    fn decode(&self, bits: &mut BitReader<'_>, bytes: &mut [u8]) -> Result<(), Problem> {
        if self.size <= 8 {
            let number = bits.take(self.precision as u32)? << self.offset;
            match self.order {
                ByteOrder::Little => bytes.copy_from_slice(&number.to_le_bytes()[..self.size]),
                ByteOrder::Big => bytes.copy_from_slice(&number.to_be_bytes()[8 - self.size..]),
            }
            return Ok(());
        }
        for (significance, low, count) in self.pieces() {
            bytes[self.index(significance)] = (bits.take(count)? << low) as u8;
        }
        Ok(())
    }

    fn encode(&self, bytes: &[u8], bits: &mut BitWriter<'_>) {
        for (significance, low, count) in self.pieces() {
            bits.put(u64::from(bytes[self.index(significance)] >> low), count);
        }
    }

    /// The significant bits byte by byte, from the most significant: the byte's significance, its lowest bit taken, and how many.
    fn pieces(&self) -> impl Iterator<Item = (usize, u32, u32)> {
        let (first, end) = (self.offset, self.offset + self.precision);
        (first / 8..end.div_ceil(8)).rev().map(move |significance| {
            let low = first.saturating_sub(significance * 8);
            let high = (end - significance * 8).min(8);
            (significance, low as u32, (high - low) as u32)
        })
    }

    /// Where the byte of that significance (0 is the least) is stored.
    fn index(&self, significance: usize) -> usize {
        match self.order {
            ByteOrder::Little => significance,
            ByteOrder::Big => self.size - 1 - significance,
        }
    }
}

/// Client values, taken one by one.
#[derive(Debug, Clone, Copy)]
struct Words<'a>(&'a [u32]);

impl Words<'_> {
    fn next(&mut self) -> Result<usize, Problem> {
        let (first, rest) =
            self.0.split_first().ok_or_else(|| Problem::values("too few for the datatype they describe"))?;
        self.0 = rest;
        Ok(*first as usize)
    }

    /// The size of the type described next.
    fn peek_size(&self) -> Result<usize, Problem> {
        let mut words = *self;
        words.next()?;
        words.next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by libhdf5: client values, the stored chunk, and the chunk.
    const GOLDEN: &[(&[u32], &[u8], &[u8])] = &[
        // 9 bits from bit 3 of 16, big-endian
        (&[8, 0, 5, 1, 2, 1, 9, 3], &[255, 128, 32, 0, 21, 80], &[15, 248, 0, 0, 8, 0, 0, 8, 5, 80]),
        // 17 bits from bit 3 of 32, little-endian
        (&[8, 0, 3, 1, 4, 0, 17, 3], &[255, 255, 128, 0, 96, 0, 0], &[248, 255, 15, 0, 8, 0, 0, 0, 0, 0, 8, 0]),
        // all bits: stored as it is
        (&[8, 1, 2, 1, 4, 0, 32, 0], &[0, 0, 192, 63, 0, 0, 0, 192], &[0, 0, 192, 63, 0, 0, 0, 192]),
        // a compound with an array, and an array of compounds with a string
        (
            &[
                35, 0, 2, 3, 24, 3, 0, 1, 4, 0, 11, 3, 6, 2, 4, 1, 2, 1, 5, 0, 11, 2, 12, 3, 6, 2, 1, 1, 2, 1, 5, 0, 3,
                4, 3,
            ],
            &[15, 88, 212, 56, 67, 227, 208, 157, 32, 135, 126, 5, 114, 5, 152, 42, 142, 199, 147, 128],
            &[
                208, 3, 0, 0, 0, 0, 0, 24, 0, 26, 0, 0, 0, 16, 225, 15, 143, 0, 0, 8, 78, 144, 67, 0, 192, 47, 0, 0, 0,
                0, 0, 2, 0, 23, 0, 0, 0, 4, 11, 48, 85, 0, 0, 3, 177, 228, 224, 0,
            ],
        ),
        // x87 long doubles: 80 bits of 128
        (
            &[8, 0, 2, 1, 16, 0, 80, 0],
            &[63, 255, 160, 0, 0, 0, 0, 0, 0, 0, 192, 0, 192, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0, 0, 0, 0, 0, 0, 0, 160, 255, 63, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 192, 0, 192, 0, 0, 0, 0, 0, 0],
        ),
    ];

    #[test]
    fn reads_and_writes_as_libhdf5_does() {
        for (values, stored, expected) in GOLDEN {
            let mut output = vec![0xaa; expected.len()];
            assert_eq!(NBit.decode(values, stored, &mut output), Ok(expected.len()), "{values:?}");
            assert_eq!(output, *expected, "{values:?}");
            let mut encoded = Vec::new();
            NBit.encode(values, expected, &mut encoded).unwrap();
            assert_eq!(encoded, *stored, "{values:?}");
            assert!(matches!(NBit.decode(values, stored, &mut output[1..]), Err(Problem::TooLong { .. })));
        }
    }

    #[test]
    fn damage_is_an_error_and_never_a_panic() {
        for (values, stored, expected) in GOLDEN {
            let mut output = vec![0; expected.len()];
            // The last byte holds no bits when the fields end with a byte.
            for cut in 0..stored.len() - 1 {
                let result = NBit.decode(values, &stored[..cut], &mut output);
                assert!(result != Ok(expected.len()), "{values:?} cut to {cut}");
            }
            for cut in 0..values.len() {
                let unpacked = cut >= 3 && values[1] != 0;
                let result = NBit.decode(&values[..cut], stored, &mut output);
                assert_eq!(result.is_ok(), unpacked, "{cut} of {values:?}: {result:?}");
            }
            for index in 0..values.len() {
                for value in [0, 1, 2, 3, 4, 7, 64, 1000, u32::MAX] {
                    let mut damaged = values.to_vec();
                    damaged[index] = value;
                    let _ = NBit.decode(&damaged, stored, &mut output);
                    let _ = NBit.encode(&damaged, expected, &mut Vec::new());
                }
            }
        }
    }

    #[test]
    fn hostile_types_are_bounded() {
        let nested: Vec<u32> = [0, 0, 1].into_iter().chain([2, 8].repeat(10_000)).collect();
        let overlapping: Vec<u32> = [0, 0, 1, 3, 8, 1000].into_iter().chain([0, 4, 8].repeat(1000)).collect();
        for values in [nested, overlapping] {
            assert!(matches!(NBit.decode(&values, &[0; 8], &mut [0; 8]), Err(Problem::Values(_))));
        }
    }
}

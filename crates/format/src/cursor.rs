//! Reading fields one after the other, each checked; and writing them.

use crate::{Addr, Malformed, Result, Why, Widths, lookup3};

/// A place in the bytes of one structure. Knows what it reads and where that lies in the file, so that every error can
/// say so.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    what: &'static str,
    at: u64,
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    /// Starts at the first of `bytes`, which are those of the structure `what` at file address `at`.
    #[must_use]
    pub fn new(what: &'static str, at: u64, bytes: &'a [u8]) -> Self {
        Self { what, at, bytes, position: 0 }
    }

    /// The error "`what` at `at`: `why`".
    #[must_use]
    pub fn error(&self, why: Why) -> Malformed {
        Malformed { what: self.what, at: self.at, why }
    }

    /// The error for a field with a value that cannot be; `expected` ends the sentence "`field` is `value`, which ...".
    #[must_use]
    pub fn bad_value(&self, field: &'static str, value: u64, expected: &'static str) -> Malformed {
        self.error(Why::Value { field, value, expected })
    }

    /// File address of the structure.
    #[must_use]
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Bytes read so far.
    #[must_use]
    pub fn position(&self) -> usize {
        self.position
    }

    /// Bytes not read yet.
    #[must_use]
    pub fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.position)
    }

    /// The bytes not read yet, without reading them.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.position..).unwrap_or_default()
    }

    /// The next `count` bytes.
    pub fn take(&mut self, field: &'static str, count: usize) -> Result<&'a [u8]> {
        match self.rest().get(..count) {
            Some(bytes) => {
                self.position += count;
                Ok(bytes)
            }
            None => Err(self.error(Why::Truncated { field, needed: count as u64, left: self.left() as u64 })),
        }
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(field, N)?);
        Ok(array)
    }

    /// Steps over `count` bytes.
    pub fn skip(&mut self, field: &'static str, count: usize) -> Result<()> {
        self.take(field, count).map(drop)
    }

    /// One byte.
    pub fn u8(&mut self, field: &'static str) -> Result<u8> {
        self.array::<1>(field).map(|[byte]| byte)
    }

    /// Two bytes, little-endian like every integer of the format.
    pub fn u16(&mut self, field: &'static str) -> Result<u16> {
        self.array(field).map(u16::from_le_bytes)
    }

    /// Four bytes.
    pub fn u32(&mut self, field: &'static str) -> Result<u32> {
        self.array(field).map(u32::from_le_bytes)
    }

    /// Eight bytes.
    pub fn u64(&mut self, field: &'static str) -> Result<u64> {
        self.array(field).map(u64::from_le_bytes)
    }

    /// An unsigned integer of `width` bytes (0 to any number); refused when it does not fit 64 bits.
    pub fn uint(&mut self, field: &'static str, width: usize) -> Result<u64> {
        let bytes = self.take(field, width)?;
        let (low, high) = bytes.split_at(bytes.len().min(8));
        if high.iter().any(|byte| *byte != 0) {
            return Err(self.error(Why::Unsupported("an integer of more than 64 bits")));
        }
        Ok(low.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    /// A length (`L` in the specification).
    pub fn length(&mut self, field: &'static str, widths: Widths) -> Result<u64> {
        self.uint(field, widths.length.into())
    }

    /// A length where all bits set means "unlimited" or "undefined": `None`.
    pub fn length_or_max(&mut self, field: &'static str, widths: Widths) -> Result<Option<u64>> {
        self.uint_or_max(field, widths.length.into())
    }

    /// An address (`O` in the specification); `None` is the undefined address.
    pub fn addr(&mut self, field: &'static str, widths: Widths) -> Result<Option<Addr>> {
        Ok(self.uint_or_max(field, widths.offset.into())?.map(Addr))
    }

    /// An address that must be defined.
    pub fn defined_addr(&mut self, field: &'static str, widths: Widths) -> Result<Addr> {
        self.addr(field, widths)?.ok_or_else(|| self.bad_value(field, u64::MAX, "is the undefined address"))
    }

    fn uint_or_max(&mut self, field: &'static str, width: usize) -> Result<Option<u64>> {
        if self.rest().get(..width).is_some_and(|bytes| bytes.iter().all(|byte| *byte == 0xff)) {
            self.skip(field, width)?;
            return Ok(None);
        }
        self.uint(field, width).map(Some)
    }

    /// Requires the next bytes to be `expected`.
    pub fn signature(&mut self, expected: &'static str) -> Result<()> {
        let found = self.take("signature", expected.len())?;
        if found == expected.as_bytes() {
            return Ok(());
        }
        Err(self.error(Why::Signature { expected, found: found.to_vec() }))
    }

    /// Requires the next byte to be the version `expected`, the only one there is of the structure.
    pub fn version(&mut self, expected: u8) -> Result<()> {
        match self.u8("version")? {
            version if version == expected => Ok(()),
            other => Err(self.error(Why::Version(other))),
        }
    }

    /// Reads a stored checksum and requires it to be that of all bytes before it. While fuzzing any will do: hardly a changed
    /// structure would be looked at otherwise.
    pub fn checksum(&mut self) -> Result<()> {
        let computed = lookup3(self.bytes.get(..self.position).unwrap_or_default());
        let stored = self.u32("checksum")?;
        if stored == computed || cfg!(fuzzing) {
            return Ok(());
        }
        Err(self.error(Why::Checksum { stored, computed }))
    }

    /// Bytes up to the next NUL, which is read too.
    pub fn c_string(&mut self, field: &'static str) -> Result<&'a [u8]> {
        let length = self.rest().iter().position(|byte| *byte == 0).ok_or_else(|| {
            self.error(Why::Truncated { field, needed: self.left() as u64 + 1, left: self.left() as u64 })
        })?;
        let text = self.take(field, length)?;
        self.skip(field, 1)?;
        Ok(text)
    }

    /// A capacity for `count` elements of which each takes at least `least` bytes of what is left: so a count from a
    /// damaged file cannot ask for more memory than the file could fill.
    pub fn checked_count(&self, field: &'static str, count: u64, least: usize) -> Result<usize> {
        let needed = count.saturating_mul(least.max(1) as u64);
        if needed > self.left() as u64 {
            return Err(self.error(Why::Truncated { field, needed, left: self.left() as u64 }));
        }
        Ok(count as usize)
    }
}

/// Writing fields, the mirror of [`Cursor`].
pub trait Put {
    /// One byte.
    fn put_u8(&mut self, value: u8);
    /// Two bytes, little-endian.
    fn put_u16(&mut self, value: u16);
    /// Four bytes.
    fn put_u32(&mut self, value: u32);
    /// Eight bytes.
    fn put_u64(&mut self, value: u64);
    /// The low `width` bytes of `value`, zero-extended.
    fn put_uint(&mut self, value: u64, width: usize);
    /// A length.
    fn put_length(&mut self, value: u64, widths: Widths);
    /// A length; `None` is all bits set.
    fn put_length_or_max(&mut self, value: Option<u64>, widths: Widths);
    /// An address; `None` is the undefined one.
    fn put_addr(&mut self, value: Option<Addr>, widths: Widths);
    /// The checksum of the bytes from `start` to the end.
    fn put_checksum_from(&mut self, start: usize);
}

impl Put for Vec<u8> {
    fn put_u8(&mut self, value: u8) {
        self.push(value);
    }
    fn put_u16(&mut self, value: u16) {
        self.extend_from_slice(&value.to_le_bytes());
    }
    fn put_u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_le_bytes());
    }
    fn put_u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_le_bytes());
    }
    fn put_uint(&mut self, value: u64, width: usize) {
        let bytes = value.to_le_bytes();
        self.extend(bytes.iter().copied().chain(std::iter::repeat(0)).take(width));
    }
    fn put_length(&mut self, value: u64, widths: Widths) {
        self.put_uint(value, widths.length.into());
    }
    fn put_length_or_max(&mut self, value: Option<u64>, widths: Widths) {
        match value {
            Some(value) => self.put_length(value, widths),
            None => self.resize(self.len() + usize::from(widths.length), 0xff),
        }
    }
    fn put_addr(&mut self, value: Option<Addr>, widths: Widths) {
        match value {
            Some(Addr(value)) => self.put_uint(value, widths.offset.into()),
            None => self.resize(self.len() + usize::from(widths.offset), 0xff),
        }
    }
    fn put_checksum_from(&mut self, start: usize) {
        let sum = lookup3(self.get(start..).unwrap_or_default());
        self.put_u32(sum);
    }
}

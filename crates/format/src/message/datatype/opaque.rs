//! Class 5: bytes with a tag.

use std::fmt;

use super::class::{Class, Head};
use crate::message::text::Name;
use crate::{Cursor, Result};

/// The longest tag: a multiple of eight that fits into a byte.
const MAX_TAG_SIZE: u8 = 248;

/// Bytes whose meaning is not HDF5's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Opaque {
    /// Bytes of an element.
    pub size: u32,
    /// What they are, in a word of at most 248 bytes.
    pub tag: Name,
}

impl Opaque {
    pub(super) fn read(cursor: &mut Cursor<'_>, head: &Head) -> Result<Self> {
        let [length, ..] = head.bits;
        if length > MAX_TAG_SIZE {
            return Err(cursor.bad_value("tag length", length.into(), "is above 248"));
        }
        let tag = cursor.take("ASCII tag", length.into())?;
        let tag = tag.split(|byte| *byte == 0).next().unwrap_or_default();
        Ok(Self { size: head.size, tag: Name::new(tag) })
    }

    /// Bytes of the tag with its padding: a multiple of eight.
    fn padded_tag_size(&self) -> usize {
        let size = self.tag.as_bytes().len().next_multiple_of(8);
        assert!(size <= MAX_TAG_SIZE.into(), "opaque tag of more than 248 bytes");
        size
    }
}

impl Class for Opaque {
    fn number(&self) -> u8 {
        5
    }
    fn bits(&self) -> [u8; 3] {
        [self.padded_tag_size() as u8, 0, 0]
    }
    fn size(&self) -> u32 {
        self.size
    }
    fn put_properties(&self, out: &mut Vec<u8>) {
        let end = out.len() + self.padded_tag_size();
        out.extend_from_slice(self.tag.as_bytes());
        out.resize(end, 0);
    }
}

impl fmt::Display for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "opaque[{}]", self.size)?;
        if self.tag == *"" { Ok(()) } else { write!(f, " {:?}", self.tag) }
    }
}

#[cfg(test)]
mod tests {
    use crate::message::Datatype;

    #[test]
    fn a_tag_that_could_not_be_written_is_refused() {
        for (length, is_right) in [(0, true), (248, true), (249, false), (255, false)] {
            let bytes = [&[0x15, length, 0, 0, 3, 0, 0, 0][..], &[b'x'; 256]].concat();
            let decoded = Datatype::decode(&bytes, 0);
            assert_eq!(
                decoded.as_ref().map(|datatype| datatype.encode().len()).ok(),
                is_right.then_some(8 + usize::from(length))
            );
        }
    }
}

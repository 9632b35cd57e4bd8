//! Local heaps (III.D): the link names of an old group, and the file names of external storage.

use crate::{Addr, Cursor, Put, Result, Widths};

/// The header of a local heap ("HEAP"). Its bytes lie in a data segment elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalHeap {
    /// Bytes of the data segment.
    pub segment_size: u64,
    /// Offset of the first free block in the segment; 1 when there is none.
    pub free_list: u64,
    /// Address of the data segment.
    pub segment: Addr,
}

impl LocalHeap {
    /// Bytes of the header.
    #[must_use]
    pub const fn size(widths: Widths) -> u64 {
        8 + 2 * widths.length as u64 + widths.offset as u64
    }

    /// Decodes the header at file address `at`.
    pub fn decode(bytes: &[u8], at: u64, widths: Widths) -> Result<Self> {
        let mut cursor = Cursor::new("local heap", at, bytes);
        cursor.signature("HEAP")?;
        cursor.version(0)?;
        cursor.skip("reserved", 3)?;
        Ok(Self {
            segment_size: cursor.length("data segment size", widths)?,
            free_list: cursor.length("offset to head of free-list", widths)?,
            segment: cursor.defined_addr("address of data segment", widths)?,
        })
    }

    /// The header, followed by its data segment, of a heap at `at` that holds `names` and is full: no name can be added. Returns
    /// the bytes, and the offset of each name.
    #[must_use]
    pub fn encode_full(names: &[&[u8]], at: Addr, widths: Widths) -> (Vec<u8>, Vec<u64>) {
        /// As long as no free block stands in a list, its offset is said to be this.
        const NO_FREE_BLOCK: u64 = 1;
        // The empty name comes first, and every name begins at a multiple of 8, as libhdf5 has them.
        let mut segment = vec![0; 8];
        let mut offsets = Vec::with_capacity(names.len());
        for name in names {
            offsets.push(segment.len() as u64);
            segment.extend_from_slice(name);
            segment.push(0);
            segment.resize(segment.len().next_multiple_of(8), 0);
        }
        let mut out = b"HEAP\0\0\0\0".to_vec();
        out.put_length(segment.len() as u64, widths);
        out.put_length(NO_FREE_BLOCK, widths);
        out.put_addr(Some(Addr(at.0 + Self::size(widths))), widths);
        out.extend_from_slice(&segment);
        (out, offsets)
    }

    /// The name at `offset` of the data segment, without its NUL; `segment` are the segment's bytes.
    pub fn name<'a>(&self, segment: &'a [u8], offset: u64) -> Result<&'a [u8]> {
        let mut cursor = Cursor::new("local heap data segment", self.segment.0, segment);
        match usize::try_from(offset) {
            Ok(start) if start < segment.len() => {
                cursor.skip("name", start)?;
                cursor.c_string("name")
            }
            _ => Err(cursor.bad_value("offset of name", offset, "is beyond the data segment")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: &[u8] = b"HEAP\x00\x00\x00\x00\x58\0\0\0\0\0\0\0\x08\0\0\0\0\0\0\0\x88\x05\0\0\0\0\0\0";

    #[test]
    fn a_header_of_libhdf5_decodes() {
        let heap = LocalHeap::decode(BYTES, 0, Widths::EIGHT).unwrap();
        assert_eq!(heap, LocalHeap { segment_size: 88, free_list: 8, segment: Addr(1416) });
        assert_eq!(LocalHeap::size(Widths::EIGHT), BYTES.len() as u64);
        for length in 0..BYTES.len() {
            assert!(LocalHeap::decode(&BYTES[..length], 0, Widths::EIGHT).is_err());
        }
    }

    #[test]
    fn a_full_heap_has_its_names() {
        let names = [&b"a.raw"[..], b"a longer name.raw"];
        let (bytes, offsets) = LocalHeap::encode_full(&names, Addr(1000), Widths::EIGHT);
        let heap = LocalHeap::decode(&bytes, 1000, Widths::EIGHT).unwrap();
        let segment = &bytes[(heap.segment.0 - 1000) as usize..];
        assert_eq!(segment.len() as u64, heap.segment_size);
        for (name, offset) in names.iter().zip(offsets) {
            assert_eq!(heap.name(segment, offset).unwrap(), *name);
        }
    }

    #[test]
    fn names_end_at_their_nul_and_lie_in_the_segment() {
        let heap = LocalHeap { segment_size: 12, free_list: 1, segment: Addr(0) };
        let segment = b"\0name\0x\0open";
        for (offset, name) in [(0, &b""[..]), (1, b"name"), (3, b"me"), (6, b"x")] {
            assert_eq!(heap.name(segment, offset), Ok(name));
        }
        for offset in [8, 11, 12, 13, u64::MAX] {
            assert!(heap.name(segment, offset).is_err(), "{offset}");
        }
    }
}

//! Free-space managers (III.H): which parts of the file, or of a fractal heap, are free.

use crate::{Addr, Cursor, Result, Widths};

/// Whose free space is managed ("Client ID").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FreeSpaceClient {
    /// A fractal heap's.
    FractalHeap,
    /// The file's.
    File,
}

/// The header of a free-space manager ("FSHD").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreeSpaceHeader {
    /// Whose space it is.
    pub client: FreeSpaceClient,
    /// Free bytes.
    pub total_space: u64,
    /// Sections.
    pub sections: u64,
    /// Sections in the section list.
    pub serialized_sections: u64,
    /// Sections not in the list: the client makes them again when it reads the list.
    pub ghost_sections: u64,
    /// Classes of sections the client has.
    pub section_classes: u16,
    /// Percentage at which the list is shrunk.
    pub shrink_percent: u16,
    /// Percentage by which the list is expanded.
    pub expand_percent: u16,
    /// Bits of an offset.
    pub address_bits: u16,
    /// Bytes of the largest section there can be.
    pub max_section_size: u64,
    /// Address of the section list.
    pub list: Option<Addr>,
    /// Bytes of the list in use.
    pub list_used: u64,
    /// Bytes of the list.
    pub list_allocated: u64,
}

impl FreeSpaceHeader {
    /// Bytes of the header.
    #[must_use]
    pub const fn size(widths: Widths) -> u64 {
        18 + 7 * widths.length as u64 + widths.offset as u64
    }

    /// Decodes the header at file address `at`.
    pub fn decode(bytes: &[u8], at: u64, widths: Widths) -> Result<Self> {
        let mut cursor = Cursor::new("free-space manager header", at, bytes);
        cursor.signature("FSHD")?;
        cursor.version(0)?;
        let client = match cursor.u8("client ID")? {
            0 => FreeSpaceClient::FractalHeap,
            1 => FreeSpaceClient::File,
            id => return Err(cursor.bad_value("client ID", id.into(), "is neither 0 nor 1")),
        };
        let header = Self {
            client,
            total_space: cursor.length("total space tracked", widths)?,
            sections: cursor.length("total number of sections", widths)?,
            serialized_sections: cursor.length("number of serialized sections", widths)?,
            ghost_sections: cursor.length("number of un-serialized sections", widths)?,
            section_classes: cursor.u16("number of section classes")?,
            shrink_percent: cursor.u16("shrink percent")?,
            expand_percent: cursor.u16("expand percent")?,
            address_bits: cursor.u16("size of address space")?,
            max_section_size: cursor.length("maximum section size", widths)?,
            list: cursor.addr("address of serialized section list", widths)?,
            list_used: cursor.length("size of serialized section list used", widths)?,
            list_allocated: cursor.length("allocated size of serialized section list", widths)?,
        };
        cursor.checksum()?;
        if header.address_bits > 64 {
            return Err(cursor.bad_value("size of address space", header.address_bits.into(), "is above 64 bits"));
        }
        Ok(header)
    }
}

/// One free section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreeSection {
    /// Where it starts, in the file or the heap.
    pub offset: u64,
    /// Its bytes.
    pub size: u64,
    /// Its kind.
    pub kind: SectionKind,
}

/// The kind of a free section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SectionKind {
    /// A run of bytes of the file, of this class (simple, small or large), or part of a direct block of a heap (0).
    Simple(u8),
    /// Blocks a fractal heap's indirect block does not have yet.
    Rows {
        /// Class: 1 for the first row, 2 for others, 3 for whole indirect blocks.
        class: u8,
        /// Offset of the indirect block in the heap.
        block: u64,
        /// First row.
        row: u16,
        /// First column.
        column: u16,
        /// Entries.
        entries: u16,
    },
}

/// A section list ("FSSE").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreeSpaceList {
    /// Address of the manager's header.
    pub header: Addr,
    /// The sections, by size and then by offset.
    pub sections: Vec<FreeSection>,
}

impl FreeSpaceList {
    /// Decodes the list at file address `at`; `header.list_used` bytes of it are needed.
    pub fn decode(bytes: &[u8], at: u64, header: &FreeSpaceHeader, widths: Widths) -> Result<Self> {
        let mut cursor = Cursor::new("free-space section list", at, bytes);
        cursor.signature("FSSE")?;
        cursor.version(0)?;
        let manager = cursor.defined_addr("free-space manager header address", widths)?;
        let count_width = limit_width(header.serialized_sections);
        let size_width = limit_width(header.max_section_size);
        let offset_width = usize::from(header.address_bits).div_ceil(8);
        let mut sections = Vec::new();
        while (sections.len() as u64) < header.serialized_sections {
            let count = cursor.uint("number of section records", count_width)?;
            if count == 0 {
                return Err(cursor.bad_value("number of section records", 0, "is none"));
            }
            let size = cursor.uint("size of free-space section", size_width)?;
            for _ in 0..cursor.checked_count("section records", count, offset_width + 1)? {
                let offset = cursor.uint("section record offset", offset_width)?;
                let kind = section_kind(&mut cursor, header.client, offset_width)?;
                sections.push(FreeSection { offset, size, kind });
            }
        }
        // The list may be larger than its sections; the checksum lies at the end of what is in use.
        let end = usize::try_from(header.list_used).unwrap_or(usize::MAX).saturating_sub(4);
        cursor.skip("unused", end.saturating_sub(cursor.position()))?;
        cursor.checksum()?;
        Ok(Self { header: manager, sections })
    }
}

fn section_kind(cursor: &mut Cursor<'_>, client: FreeSpaceClient, offset_width: usize) -> Result<SectionKind> {
    let class = cursor.u8("section record type")?;
    match (client, class) {
        // A heap's sections of class 2 keep nothing of their own: what they need stands with the first row.
        (FreeSpaceClient::File, _) | (FreeSpaceClient::FractalHeap, 0 | 2) => Ok(SectionKind::Simple(class)),
        (FreeSpaceClient::FractalHeap, 1 | 3) => Ok(SectionKind::Rows {
            class,
            block: cursor.uint("indirect block offset", offset_width)?,
            row: cursor.u16("row")?,
            column: cursor.u16("column")?,
            entries: cursor.u16("number of entries")?,
        }),
        (FreeSpaceClient::FractalHeap, _) => Err(cursor.bad_value("section record type", class.into(), "is above 3")),
    }
}

/// Bytes a value of at most `limit` takes.
fn limit_width(limit: u64) -> usize {
    limit.max(1).ilog2() as usize / 8 + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Put;

    const W: Widths = Widths::EIGHT;

    fn header(client: u8, sections: u64, list_used: u64) -> Vec<u8> {
        let mut bytes = b"FSHD\x00".to_vec();
        bytes.put_u8(client);
        for value in [1000, sections, sections, 0] {
            bytes.put_length(value, W);
        }
        for value in [4, 80, 120, 32] {
            bytes.put_u16(value);
        }
        bytes.put_length(65_536, W);
        bytes.put_addr(Some(Addr(500)), W);
        bytes.put_length(list_used, W);
        bytes.put_length(list_used, W);
        bytes.put_checksum_from(0);
        bytes
    }

    /// A list of a fractal heap's sections: two of 15 bytes, one first row, and `spare` bytes not in use.
    fn list(spare: usize) -> Vec<u8> {
        let mut bytes = b"FSSE\x00".to_vec();
        bytes.put_addr(Some(Addr(100)), W);
        bytes.put_u8(2);
        bytes.put_uint(15, 3);
        for offset in [497, 1009] {
            bytes.put_u32(offset);
            bytes.put_u8(0);
        }
        bytes.put_u8(1);
        bytes.put_uint(4096, 3);
        bytes.put_u32(8192);
        bytes.put_u8(1);
        bytes.put_u32(0);
        for value in [4, 1, 7] {
            bytes.put_u16(value);
        }
        bytes.resize(bytes.len() + spare, 0);
        bytes.put_checksum_from(0);
        bytes
    }

    #[test]
    fn headers_decode_and_refuse_what_is_short_or_changed() {
        let mut bytes = header(1, 0, 0);
        assert_eq!(bytes.len() as u64, FreeSpaceHeader::size(W));
        let decoded = FreeSpaceHeader::decode(&bytes, 0, W).unwrap();
        assert_eq!((decoded.client, decoded.total_space, decoded.list), (FreeSpaceClient::File, 1000, Some(Addr(500))));
        for place in 0..bytes.len() {
            assert!(FreeSpaceHeader::decode(&bytes[..place], 0, W).is_err());
            bytes[place] ^= 0x11;
            assert!(FreeSpaceHeader::decode(&bytes, 0, W).is_err());
            bytes[place] ^= 0x11;
        }
    }

    #[test]
    fn lists_decode_with_and_without_room_to_spare() {
        for spare in [0, 16] {
            let mut bytes = list(spare);
            let header = FreeSpaceHeader::decode(&header(0, 3, bytes.len() as u64), 0, W).unwrap();
            let rows = SectionKind::Rows { class: 1, block: 0, row: 4, column: 1, entries: 7 };
            let sections = vec![
                FreeSection { offset: 497, size: 15, kind: SectionKind::Simple(0) },
                FreeSection { offset: 1009, size: 15, kind: SectionKind::Simple(0) },
                FreeSection { offset: 8192, size: 4096, kind: rows },
            ];
            let decoded = FreeSpaceList::decode(&bytes, 0, &header, W);
            assert_eq!(decoded, Ok(FreeSpaceList { header: Addr(100), sections }));
            for place in 0..bytes.len() {
                assert!(FreeSpaceList::decode(&bytes[..place], 0, &header, W).is_err());
                bytes[place] ^= 0x11;
                assert!(FreeSpaceList::decode(&bytes, 0, &header, W).is_err());
                bytes[place] ^= 0x11;
            }
        }
    }
}

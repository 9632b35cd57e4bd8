//! The data layout message: where the raw data of a dataset are (specification IV.A.2.i, versions 1 to 5).
//!
//! Version 5 came with HDF5 2.0 and is not in the specification's text yet. It has the fields of version 4; chunks may
//! be larger than 4 GiB, and the index stores the size of a filtered chunk in as many bytes as any length.

use crate::{Addr, Cursor, Put, Result, Why, Widths};

/// Where the raw data are, and how they are cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataLayout {
    /// In this message.
    Compact(Vec<u8>),
    /// In one piece.
    Contiguous {
        /// Where; `None` while nothing is allocated.
        addr: Option<Addr>,
        /// Its bytes; `None` in messages before version 3, which leave it to be computed from datatype and dataspace.
        /// It is written as 0 then: fill it in before.
        size: Option<u64>,
    },
    /// In chunks.
    Chunked(Chunked),
    /// In other datasets.
    Virtual {
        /// The global heap collection with the list of sources; `None` while there is none.
        heap: Option<Addr>,
        /// The object of that collection.
        index: u32,
    },
}

/// How a dataset is cut into chunks, and what finds them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunked {
    /// Size of a chunk in each dimension of the dataset, in elements.
    pub chunk: Vec<u64>,
    /// Bytes of an element.
    pub element_size: u32,
    /// What finds the chunks.
    pub index: ChunkIndex,
    /// The address of that; `None` while there is none.
    pub addr: Option<Addr>,
    /// Whether filters skip the chunks that reach beyond the dataset's extent.
    pub plain_edge_chunks: bool,
    /// How the index stores the size of a filtered chunk.
    pub chunk_size_field: ChunkSizeField,
}

/// What finds the chunks of a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkIndex {
    /// A version 1 B-tree: what libhdf5 up to 1.8 knows.
    BTreeV1,
    /// Nothing: there is only one chunk, at the layout's address.
    Single {
        /// Its stored size and filter mask, if the dataset has filters.
        filtered: Option<FilteredChunk>,
    },
    /// Nothing: the chunks lie one after the other, at the layout's address.
    Implicit,
    /// A fixed array: no dimension is unlimited.
    FixedArray {
        /// Number of bits that number an element of a data block page.
        page_bits: u8,
    },
    /// An extensible array: one dimension is unlimited.
    ExtensibleArray(ExtensibleArrayParameters),
    /// A version 2 B-tree: several dimensions are unlimited.
    BTreeV2 {
        /// Bytes of a node.
        node_size: u32,
        /// How full a node is when it is split, in percent.
        split_percent: u8,
        /// How full a node is when it is merged, in percent.
        merge_percent: u8,
    },
}

/// What is stored of a filtered chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilteredChunk {
    /// Bytes in the file.
    pub size: u64,
    /// Bit n set: filter n of the pipeline was skipped.
    pub filter_mask: u32,
}

/// How an extensible array grows. The writer chooses; readers take it from here and from the array's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtensibleArrayParameters {
    /// Number of bits that number an element of the array.
    pub max_bits: u8,
    /// Elements in the index block.
    pub index_elements: u8,
    /// The least data block pointers of a super block.
    pub min_pointers: u8,
    /// The least elements of a data block.
    pub min_elements: u8,
    /// Number of bits that number an element of a data block page.
    pub page_bits: u8,
}

impl Default for ExtensibleArrayParameters {
    /// What libhdf5 writes.
    fn default() -> Self {
        Self { max_bits: 32, index_elements: 4, min_pointers: 4, min_elements: 16, page_bits: 10 }
    }
}

/// How a chunk index stores the size of a filtered chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkSizeField {
    /// In a byte more than the size of an unfiltered chunk needs (layout versions up to 4).
    Fitted,
    /// As any length (layout version 5).
    Length,
}

const WHAT: &str = "data layout message";
const CLASS_COMPACT: u8 = 0;
const CLASS_CONTIGUOUS: u8 = 1;
const CLASS_CHUNKED: u8 = 2;
const CLASS_VIRTUAL: u8 = 3;
const FLAG_PLAIN_EDGE_CHUNKS: u8 = 0x01;
const FLAG_SINGLE_FILTERED: u8 = 0x02;
const MAX_RANK: u8 = 32;

impl DataLayout {
    /// Decodes the message body at address `at`.
    ///
    /// # Errors
    /// An unknown version, class or index, sizes that cannot be, or bytes that end early.
    pub fn decode(bytes: &[u8], at: u64, widths: Widths) -> Result<Self> {
        let mut cursor = Cursor::new(WHAT, at, bytes);
        match cursor.u8("version")? {
            1 | 2 => Self::read_v1(&mut cursor, widths),
            version @ 3..=5 => match (cursor.u8("layout class")?, version) {
                (CLASS_COMPACT, _) => {
                    let size = cursor.u16("size")?;
                    Ok(Self::Compact(cursor.take("raw data", size.into())?.to_vec()))
                }
                (CLASS_CONTIGUOUS, _) => {
                    let addr = cursor.addr("address", widths)?;
                    Ok(Self::Contiguous { addr, size: Some(cursor.length("size", widths)?) })
                }
                (CLASS_CHUNKED, 3) => Chunked::read_v3(&mut cursor, widths).map(Self::Chunked),
                (CLASS_CHUNKED, 4) => Chunked::read_v4(&mut cursor, ChunkSizeField::Fitted, widths).map(Self::Chunked),
                (CLASS_CHUNKED, _) => Chunked::read_v4(&mut cursor, ChunkSizeField::Length, widths).map(Self::Chunked),
                (CLASS_VIRTUAL, 4..) => {
                    let heap = cursor.addr("address", widths)?;
                    Ok(Self::Virtual { heap, index: cursor.u32("index")? })
                }
                (other, _) => Err(unknown_class(&cursor, other)),
            },
            other => Err(cursor.error(Why::Version(other))),
        }
    }

    /// Versions 1 and 2 keep dimensions for every class; only those of chunks say anything new.
    fn read_v1(cursor: &mut Cursor<'_>, widths: Widths) -> Result<Self> {
        let rank = cursor.u8("dimensionality")?;
        let class = cursor.u8("layout class")?;
        cursor.skip("reserved", 5)?;
        let addr = match class {
            CLASS_COMPACT => None,
            _ => cursor.addr("data address", widths)?,
        };
        match class {
            CLASS_COMPACT => {
                cursor.skip("dimension sizes", usize::from(rank) * 4)?;
                let size = cursor.u32("compact data size")?;
                Ok(Self::Compact(cursor.take("compact data", size as usize)?.to_vec()))
            }
            CLASS_CONTIGUOUS => {
                cursor.skip("dimension sizes", usize::from(rank) * 4)?;
                Ok(Self::Contiguous { addr, size: None })
            }
            CLASS_CHUNKED => {
                let dims = read_dims(cursor, rank, 4)?;
                Chunked::new(cursor, dims, ChunkIndex::BTreeV1, addr).map(Self::Chunked)
            }
            other => Err(unknown_class(cursor, other)),
        }
    }

    /// The message body, in the lowest of versions 3, 4 and 5 that has what it says.
    ///
    /// # Panics
    /// Compact data of more than 65535 bytes, or a version 1 B-tree over chunks of 4 GiB and more: the caller's
    /// mistake.
    #[must_use]
    pub fn encode(&self, widths: Widths) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Compact(data) => {
                assert!(data.len() <= usize::from(u16::MAX), "compact data of {} bytes", data.len());
                out.extend_from_slice(&[3, CLASS_COMPACT]);
                out.put_u16(data.len() as u16);
                out.extend_from_slice(data);
            }
            Self::Contiguous { addr, size } => {
                out.extend_from_slice(&[3, CLASS_CONTIGUOUS]);
                out.put_addr(*addr, widths);
                out.put_length(size.unwrap_or(0), widths);
            }
            Self::Chunked(chunked) => chunked.put(&mut out, widths),
            Self::Virtual { heap, index } => {
                out.extend_from_slice(&[4, CLASS_VIRTUAL]);
                out.put_addr(*heap, widths);
                out.put_u32(*index);
            }
        }
        out
    }
}

impl Chunked {
    /// Bytes of an unfiltered chunk; `None` if they do not fit 64 bits.
    #[must_use]
    pub fn chunk_bytes(&self) -> Option<u64> {
        self.chunk.iter().try_fold(u64::from(self.element_size), |bytes, dim| bytes.checked_mul(*dim))
    }

    /// Bytes of the field for a filtered chunk's size in the elements and records of the index.
    /// (Version 1 B-trees have four bytes for it in any case.)
    #[must_use]
    pub fn filtered_size_width(&self, widths: Widths) -> u8 {
        match self.chunk_size_field {
            ChunkSizeField::Length => widths.length,
            ChunkSizeField::Fitted => {
                let bytes = self.chunk_bytes().unwrap_or(u64::MAX).max(1);
                (1 + (bytes.ilog2() + 8) / 8).min(8) as u8
            }
        }
    }

    /// From what every version has: chunk sizes, the last "dimension" of which is the element.
    fn new(cursor: &Cursor<'_>, mut dims: Vec<u64>, index: ChunkIndex, addr: Option<Addr>) -> Result<Self> {
        let element_size = dims.pop().unwrap_or_default();
        let element_size = u32::try_from(element_size)
            .map_err(|_| cursor.bad_value("dataset element size", element_size, "is no size a datatype can have"))?;
        let (plain_edge_chunks, chunk_size_field) = (false, ChunkSizeField::Fitted);
        Ok(Self { chunk: dims, element_size, index, addr, plain_edge_chunks, chunk_size_field })
    }

    fn read_v3(cursor: &mut Cursor<'_>, widths: Widths) -> Result<Self> {
        let rank = cursor.u8("dimensionality")?;
        let addr = cursor.addr("address", widths)?;
        let dims = read_dims(cursor, rank, 4)?;
        Self::new(cursor, dims, ChunkIndex::BTreeV1, addr)
    }

    fn read_v4(cursor: &mut Cursor<'_>, chunk_size_field: ChunkSizeField, widths: Widths) -> Result<Self> {
        let flags = cursor.u8("flags")?;
        if flags & !(FLAG_PLAIN_EDGE_CHUNKS | FLAG_SINGLE_FILTERED) != 0 {
            return Err(cursor.bad_value("flags", flags.into(), "has bits set that mean nothing"));
        }
        let rank = cursor.u8("dimensionality")?;
        let width = cursor.u8("dimension size encoded length")?;
        if !(1..=8).contains(&width) {
            return Err(cursor.bad_value("dimension size encoded length", width.into(), "is not within 1 to 8"));
        }
        let dims = read_dims(cursor, rank, width.into())?;
        let index = ChunkIndex::read(cursor, flags, widths)?;
        let addr = cursor.addr("address", widths)?;
        let plain_edge_chunks = flags & FLAG_PLAIN_EDGE_CHUNKS != 0;
        Ok(Self { plain_edge_chunks, chunk_size_field, ..Self::new(cursor, dims, index, addr)? })
    }

    fn put(&self, out: &mut Vec<u8>, widths: Widths) {
        let dims = || self.chunk.iter().copied().chain([u64::from(self.element_size)]);
        let rank = self.chunk.len() as u8 + 1;
        if self.index == ChunkIndex::BTreeV1 {
            out.extend_from_slice(&[3, CLASS_CHUNKED, rank]);
            out.put_addr(self.addr, widths);
            for dim in dims() {
                assert!(dim <= u64::from(u32::MAX), "chunk size {dim} in a version 3 data layout message");
                out.put_u32(dim as u32);
            }
            return;
        }
        let version = match self.chunk_size_field {
            ChunkSizeField::Fitted => 4,
            ChunkSizeField::Length => 5,
        };
        let edge_flag = if self.plain_edge_chunks { FLAG_PLAIN_EDGE_CHUNKS } else { 0 };
        let single_flag = match self.index {
            ChunkIndex::Single { filtered: Some(_) } => FLAG_SINGLE_FILTERED,
            _ => 0,
        };
        // libhdf5 refuses a wider encoding than the largest size needs.
        let largest = dims().max().unwrap_or(1).max(1);
        let width = largest.ilog2() as usize / 8 + 1;
        out.extend_from_slice(&[version, CLASS_CHUNKED, edge_flag | single_flag, rank, width as u8]);
        for dim in dims() {
            out.put_uint(dim, width);
        }
        self.index.put(out, widths);
        out.put_addr(self.addr, widths);
    }
}

impl ChunkIndex {
    fn read(cursor: &mut Cursor<'_>, flags: u8, widths: Widths) -> Result<Self> {
        match cursor.u8("chunk indexing type")? {
            1 => {
                let filtered = match flags & FLAG_SINGLE_FILTERED {
                    0 => None,
                    _ => Some(FilteredChunk {
                        size: cursor.length("size of filtered chunk", widths)?,
                        filter_mask: cursor.u32("filters for chunk")?,
                    }),
                };
                Ok(Self::Single { filtered })
            }
            2 => Ok(Self::Implicit),
            3 => Ok(Self::FixedArray { page_bits: read_nonzero(cursor, "page bits")? }),
            4 => Ok(Self::ExtensibleArray(ExtensibleArrayParameters {
                max_bits: read_nonzero(cursor, "max bits")?,
                index_elements: read_nonzero(cursor, "index elements")?,
                min_pointers: read_nonzero(cursor, "min pointers")?,
                min_elements: read_nonzero(cursor, "min elements")?,
                page_bits: read_nonzero(cursor, "page bits")?,
            })),
            5 => Ok(Self::BTreeV2 {
                node_size: cursor.u32("node size")?,
                split_percent: cursor.u8("split percent")?,
                merge_percent: cursor.u8("merge percent")?,
            }),
            other => {
                Err(cursor.bad_value("chunk indexing type", other.into(), "is none of the five there are (1 to 5)"))
            }
        }
    }

    fn put(&self, out: &mut Vec<u8>, widths: Widths) {
        match *self {
            // Has a version of its own and never gets here; 0 is its number.
            Self::BTreeV1 => out.put_u8(0),
            Self::Single { filtered } => {
                out.put_u8(1);
                if let Some(filtered) = filtered {
                    out.put_length(filtered.size, widths);
                    out.put_u32(filtered.filter_mask);
                }
            }
            Self::Implicit => out.put_u8(2),
            Self::FixedArray { page_bits } => out.extend_from_slice(&[3, page_bits]),
            Self::ExtensibleArray(ExtensibleArrayParameters {
                max_bits,
                index_elements,
                min_pointers,
                min_elements,
                page_bits,
            }) => out.extend_from_slice(&[4, max_bits, index_elements, min_pointers, min_elements, page_bits]),
            Self::BTreeV2 { node_size, split_percent, merge_percent } => {
                out.put_u8(5);
                out.put_u32(node_size);
                out.extend_from_slice(&[split_percent, merge_percent]);
            }
        }
    }
}

fn unknown_class(cursor: &Cursor<'_>, class: u8) -> crate::Malformed {
    cursor.bad_value("layout class", class.into(), "is not known in this version")
}

fn read_nonzero(cursor: &mut Cursor<'_>, field: &'static str) -> Result<u8> {
    match cursor.u8(field)? {
        0 => Err(cursor.bad_value(field, 0, "must be greater than zero")),
        value => Ok(value),
    }
}

/// `rank` sizes greater than zero: those of a chunk, and last that of an element.
fn read_dims(cursor: &mut Cursor<'_>, rank: u8, width: usize) -> Result<Vec<u64>> {
    if !(2..=MAX_RANK + 1).contains(&rank) {
        return Err(cursor.bad_value("dimensionality", rank.into(), "is not within 2 to 33, the dataset's plus one"));
    }
    let mut dims = Vec::with_capacity(rank.into());
    for _ in 0..rank {
        match cursor.uint("dimension size", width)? {
            0 => return Err(cursor.bad_value("dimension size", 0, "leaves no chunk")),
            dim => dims.push(dim),
        }
    }
    Ok(dims)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::testing::{hex, reads, reads_and_writes};

    const WIDTHS: Widths = Widths::EIGHT;

    fn decode(bytes: &[u8]) -> Result<DataLayout> {
        DataLayout::decode(bytes, 0, WIDTHS)
    }

    fn chunked(chunk: &[u64], element_size: u32, index: ChunkIndex, addr: Option<u64>) -> Chunked {
        Chunked {
            chunk: chunk.to_vec(),
            element_size,
            index,
            addr: addr.map(Addr),
            plain_edge_chunks: false,
            chunk_size_field: ChunkSizeField::Fitted,
        }
    }

    #[test]
    fn reads_and_writes_what_libhdf5_wrote() {
        let single = ChunkIndex::Single { filtered: Some(FilteredChunk { size: 12, filter_mask: 0 }) };
        let fixed = ChunkIndex::FixedArray { page_bits: 10 };
        let extensible = ChunkIndex::ExtensibleArray(ExtensibleArrayParameters::default());
        let btree = ChunkIndex::BTreeV2 { node_size: 2048, split_percent: 100, merge_percent: 40 };
        let version_5 = |chunked| Chunked { chunk_size_field: ChunkSizeField::Length, ..chunked };
        let rows = [
            ("03 00 0400 01020304", DataLayout::Compact(vec![1, 2, 3, 4])),
            (
                "03 01 0008000000000000 1000000000000000",
                DataLayout::Contiguous { addr: Some(Addr(0x800)), size: Some(16) },
            ),
            ("03 01 ffffffffffffffff 0000000000000000", DataLayout::Contiguous { addr: None, size: Some(0) }),
            (
                "03 02 03 ffffffffffffffff 04000000 05000000 08000000",
                DataLayout::Chunked(chunked(&[4, 5], 8, ChunkIndex::BTreeV1, None)),
            ),
            (
                "04 02 00 03 01 04 05 08 01 1008000000000000",
                DataLayout::Chunked(chunked(&[4, 5], 8, ChunkIndex::Single { filtered: None }, Some(0x810))),
            ),
            (
                "04 02 02 03 01 04 05 08 01 0c00000000000000 00000000 b008000000000000",
                DataLayout::Chunked(chunked(&[4, 5], 8, single, Some(0x8b0))),
            ),
            (
                "04 02 00 02 01 02 04 02 6c0d000000000000",
                DataLayout::Chunked(chunked(&[2], 4, ChunkIndex::Implicit, Some(0xd6c))),
            ),
            (
                "04 02 00 03 01 04 05 08 03 0a 4106000000000000",
                DataLayout::Chunked(chunked(&[4, 5], 8, fixed, Some(0x641))),
            ),
            (
                "04 02 00 03 02 0400 2c01 0800 04 20 04 04 10 0a ffffffffffffffff",
                DataLayout::Chunked(chunked(&[4, 300], 8, extensible, None)),
            ),
            (
                "04 02 00 03 01 04 05 08 05 00080000 64 28 ffffffffffffffff",
                DataLayout::Chunked(chunked(&[4, 5], 8, btree, None)),
            ),
            (
                "05 02 00 03 01 04 05 08 03 0a 4106000000000000",
                DataLayout::Chunked(version_5(chunked(&[4, 5], 8, fixed, Some(0x641)))),
            ),
            (
                "05 02 00 02 05 0500000001 0100000000 04 20 04 04 10 0a ffffffffffffffff",
                DataLayout::Chunked(version_5(chunked(&[(1 << 32) + 5], 1, extensible, None))),
            ),
            (
                "04 02 01 03 01 04 05 08 03 0a 4106000000000000",
                DataLayout::Chunked(Chunked { plain_edge_chunks: true, ..chunked(&[4, 5], 8, fixed, Some(0x641)) }),
            ),
            ("04 03 061f000000000000 09000000", DataLayout::Virtual { heap: Some(Addr(0x1f06)), index: 9 }),
        ];
        for (bytes, expected) in rows {
            reads_and_writes(&hex(bytes), &expected, decode, |layout| layout.encode(WIDTHS));
        }

        // Versions that are read only.
        let rows = [
            (
                "01 02 01 0000000000 a818000000000000 0a000000 10000000",
                DataLayout::Contiguous { addr: Some(Addr(0x18a8)), size: None },
            ),
            (
                "02 03 02 0000000000 a818000000000000 0a000000 10000000 08000000",
                DataLayout::Chunked(chunked(&[10, 16], 8, ChunkIndex::BTreeV1, Some(0x18a8))),
            ),
            ("01 01 00 0000000000 02000000 02000000 0708", DataLayout::Compact(vec![7, 8])),
            (
                "04 01 0008000000000000 1000000000000000",
                DataLayout::Contiguous { addr: Some(Addr(0x800)), size: Some(16) },
            ),
        ];
        for (bytes, expected) in rows {
            let bytes = hex(bytes);
            // The dimensions at the end of the first are of no use, but they must be there.
            reads(&bytes, &expected, decode);
        }
    }

    #[test]
    fn refuses_what_cannot_be() {
        let refused = [
            ("version 6", "06 01 0008000000000000 1000000000000000"),
            ("version 0", "00 01 0008000000000000 1000000000000000"),
            ("virtual before version 4", "03 03 0008000000000000 00000000"),
            ("class 4", "04 04 0008000000000000 00000000"),
            ("chunk of nothing", "03 02 03 ffffffffffffffff 04000000 00000000 08000000"),
            ("no dimension", "03 02 01 ffffffffffffffff 08000000"),
            ("index 6", "04 02 00 03 01 04 05 08 06 0a 4106000000000000"),
            (
                "dimension size of 9 bytes",
                "04 02 00 02 09 040000000000000000 080000000000000000 03 0a 4106000000000000",
            ),
            ("unknown flag", "04 02 04 03 01 04 05 08 03 0a 4106000000000000"),
            ("no page bits", "04 02 00 03 01 04 05 08 03 00 4106000000000000"),
        ];
        for (what, bytes) in refused {
            assert!(decode(&hex(bytes)).is_err(), "{what}");
        }
    }

    #[test]
    fn filtered_sizes_have_a_byte_to_spare() {
        let rows =
            [(1, 2), (160, 2), (255, 2), (256, 3), (65_535, 3), (65_536, 4), (1 << 32, 6), (1 << 56, 8), (u64::MAX, 8)];
        for (bytes, width) in rows {
            let fitted = chunked(&[bytes], 1, ChunkIndex::Implicit, None);
            assert_eq!(fitted.filtered_size_width(WIDTHS), width, "chunk of {bytes} bytes");
            let full = Chunked { chunk_size_field: ChunkSizeField::Length, ..fitted };
            assert_eq!(full.filtered_size_width(WIDTHS), 8);
        }
        assert_eq!(chunked(&[u64::MAX, 2], 1, ChunkIndex::Implicit, None).chunk_bytes(), None);
    }
}

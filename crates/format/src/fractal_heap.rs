//! Fractal heaps (III.G): where dense links, dense attributes and shared messages lie.
//!
//! A heap is a space of offsets, cut into blocks along a doubling table: rows of equally many blocks, each row's blocks
//! twice as large as the row's before. Small rows are direct blocks (they hold the objects), large ones indirect blocks
//! (tables of the same kind). Objects too large for it lie in the file by themselves ("huge"), and very small ones in
//! the heap ID itself ("tiny").

use crate::{Addr, Cursor, Put, Result, Why, Widths, lookup3};

const CHECKSUM_SIZE: u64 = 4;

/// Creation parameters of the doubling table, and its arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DoublingTable {
    /// Blocks in a row ("Table Width"); a power of two.
    pub width: u16,
    /// Bytes of a block in the first two rows; a power of two.
    pub starting_block_size: u64,
    /// Bytes of the largest direct block; a power of two.
    pub max_direct_block_size: u64,
    /// Bits of an offset into the heap ("Maximum Heap Size").
    pub max_heap_bits: u16,
    /// Rows the root indirect block starts with.
    pub starting_rows: u16,
}

/// A block's place in a table: its row and its number in the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Row, from 0.
    pub row: u16,
    /// Column, from 0.
    pub column: u16,
}

impl DoublingTable {
    /// What libhdf5 uses for the links of groups.
    pub const LINKS: Self = Self {
        width: 4,
        starting_block_size: 512,
        max_direct_block_size: 64 * 1024,
        max_heap_bits: 32,
        starting_rows: 1,
    };

    /// What libhdf5 uses for the attributes of objects.
    pub const ATTRIBUTES: Self = Self {
        width: 4,
        starting_block_size: 1024,
        max_direct_block_size: 64 * 1024,
        max_heap_bits: 40,
        starting_rows: 1,
    };

    /// Bytes of each block in `row`; `None` beyond 2^63.
    #[must_use]
    pub fn block_size(&self, row: u16) -> Option<u64> {
        let doublings = u32::from(row.saturating_sub(1));
        self.starting_block_size.checked_mul(1u64.checked_shl(doublings)?)
    }

    /// Bytes of all rows before `row`.
    #[must_use]
    pub fn row_offset(&self, row: u16) -> Option<u64> {
        if row == 0 { Some(0) } else { self.block_size(row)?.checked_mul(self.width.into()) }
    }

    /// Bytes of the heap before the block at `entry`, from the start of its table.
    #[must_use]
    pub fn entry_offset(&self, entry: Entry) -> Option<u64> {
        let in_row = self.block_size(entry.row)?.checked_mul(entry.column.into())?;
        self.row_offset(entry.row)?.checked_add(in_row)
    }

    /// Rows whose blocks are direct blocks.
    #[must_use]
    pub fn max_direct_rows(&self) -> u16 {
        (bits(self.max_direct_block_size).saturating_sub(bits(self.starting_block_size)) + 2) as u16
    }

    /// Rows of the largest root indirect block.
    #[must_use]
    pub fn max_root_rows(&self) -> u16 {
        (u32::from(self.max_heap_bits).saturating_sub(self.first_row_bits()) + 1) as u16
    }

    /// The entry of a table that covers `offset`, counted from the table's start.
    #[must_use]
    pub fn entry_at(&self, offset: u64) -> Entry {
        let row =
            if offset >> self.first_row_bits().min(63) == 0 { 0 } else { bits(offset) - self.first_row_bits() + 1 };
        let row = row as u16;
        let in_row = offset - self.row_offset(row).unwrap_or(0);
        Entry { row, column: self.block_size(row).map_or(0, |size| (in_row / size) as u16) }
    }

    /// Rows of the indirect block that a table's `row` has in its columns; `None` where the row has direct blocks.
    #[must_use]
    pub fn child_rows(&self, row: u16) -> Option<u16> {
        if row < self.max_direct_rows() {
            return None;
        }
        Some((bits(self.block_size(row)?).saturating_sub(self.first_row_bits()) + 1) as u16)
    }

    /// Bytes of an offset into the heap, in heap IDs and blocks.
    #[must_use]
    pub fn offset_width(&self) -> usize {
        usize::from(self.max_heap_bits).div_ceil(8)
    }

    /// Bits of the offsets that the first row covers.
    fn first_row_bits(&self) -> u32 {
        bits(self.starting_block_size) + bits(self.width.into())
    }

    fn check(&self) -> std::result::Result<(), (&'static str, u64, &'static str)> {
        let two = "is not a power of two";
        if !self.width.is_power_of_two() {
            return Err(("table width", self.width.into(), two));
        }
        if !self.starting_block_size.is_power_of_two() {
            return Err(("starting block size", self.starting_block_size, two));
        }
        if !self.max_direct_block_size.is_power_of_two() || self.max_direct_block_size < self.starting_block_size {
            return Err(("maximum direct block size", self.max_direct_block_size, "is no power of two, or too small"));
        }
        if self.max_heap_bits > 64 || u32::from(self.max_heap_bits) < self.first_row_bits() {
            return Err(("maximum heap size", self.max_heap_bits.into(), "is above 64 bits or below the first row's"));
        }
        if bits(self.max_direct_block_size) > u32::from(self.max_heap_bits) {
            return Err(("maximum direct block size", self.max_direct_block_size, "is above the maximum heap size"));
        }
        Ok(())
    }
}

/// Position of the highest bit set.
fn bits(value: u64) -> u32 {
    value.max(1).ilog2()
}

/// The header of a heap ("FRHP").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Bytes of a heap ID.
    pub id_length: u16,
    /// Whether the IDs of huge objects have wrapped around.
    pub huge_ids_wrapped: bool,
    /// Whether direct blocks have a checksum.
    pub checksum_direct_blocks: bool,
    /// Bytes of the largest managed object.
    pub max_managed_size: u32,
    /// The last ID given to a huge object.
    pub next_huge_id: u64,
    /// Header of the version 2 B-tree of huge objects.
    pub huge_tree: Option<Addr>,
    /// Free bytes in managed blocks.
    pub free_space: u64,
    /// The free space manager of the managed blocks.
    pub free_space_manager: Option<Addr>,
    /// Bytes of the heap's space that blocks cover.
    pub managed_size: u64,
    /// Bytes of the blocks there are.
    pub managed_allocated: u64,
    /// Offset at which the next direct block is made.
    pub iterator_offset: u64,
    /// Managed objects.
    pub managed_objects: u64,
    /// Bytes of huge objects.
    pub huge_size: u64,
    /// Huge objects.
    pub huge_objects: u64,
    /// Bytes of tiny objects.
    pub tiny_size: u64,
    /// Tiny objects.
    pub tiny_objects: u64,
    /// The doubling table.
    pub table: DoublingTable,
    /// The root block.
    pub root: Root,
    /// The filter pipeline; its absence is the rule.
    pub filters: Option<Filters>,
}

/// The root block of a heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// None: the heap has no managed object.
    Empty,
    /// One direct block, the first of the table.
    Direct(Addr),
    /// An indirect block.
    Indirect {
        /// Its address.
        addr: Addr,
        /// Its rows.
        rows: u16,
    },
}

/// The filters that direct blocks and huge objects of a heap pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filters {
    /// Stored bytes of the root block, if that is a direct block.
    pub root_size: u64,
    /// Filters skipped for the root block, if that is a direct block.
    pub root_mask: u32,
    /// The pipeline, encoded as a filter pipeline message.
    pub pipeline: Vec<u8>,
}

impl Header {
    const WHAT: &'static str = "fractal heap header";

    /// The header of a new heap without objects or filters.
    #[must_use]
    pub fn empty(table: DoublingTable, id_length: u16, max_managed_size: u32, checksum_direct_blocks: bool) -> Self {
        Self {
            id_length,
            huge_ids_wrapped: false,
            checksum_direct_blocks,
            max_managed_size,
            next_huge_id: 0,
            huge_tree: None,
            free_space: 0,
            free_space_manager: None,
            managed_size: 0,
            managed_allocated: 0,
            iterator_offset: 0,
            managed_objects: 0,
            huge_size: 0,
            huge_objects: 0,
            tiny_size: 0,
            tiny_objects: 0,
            table,
            root: Root::Empty,
            filters: None,
        }
    }

    /// Bytes of a header without filters; [`Header::filtered_size`] tells those of another from its first bytes.
    #[must_use]
    pub const fn size(widths: Widths) -> u64 {
        26 + 12 * widths.length as u64 + 3 * widths.offset as u64
    }

    /// Bytes of the header that starts with `bytes`, of which nine suffice.
    pub fn filtered_size(bytes: &[u8], at: u64, widths: Widths) -> Result<u64> {
        let mut cursor = Cursor::new(Self::WHAT, at, bytes);
        let (_, filters) = Self::start(&mut cursor)?;
        Ok(Self::size(widths) + if filters > 0 { u64::from(widths.length) + 4 + u64::from(filters) } else { 0 })
    }

    /// Decodes the header at file address `at`.
    pub fn decode(bytes: &[u8], at: u64, widths: Widths) -> Result<Self> {
        let mut cursor = Cursor::new(Self::WHAT, at, bytes);
        let (id_length, filters_length) = Self::start(&mut cursor)?;
        let flags = cursor.u8("flags")?;
        let max_managed_size = cursor.u32("maximum size of managed objects")?;
        let next_huge_id = cursor.length("next huge object ID", widths)?;
        let huge_tree = cursor.addr("v2 B-tree address of huge objects", widths)?;
        let free_space = cursor.length("amount of free space in managed blocks", widths)?;
        let free_space_manager = cursor.addr("address of managed block free space manager", widths)?;
        let managed_size = cursor.length("amount of managed space", widths)?;
        let managed_allocated = cursor.length("amount of allocated managed space", widths)?;
        let iterator_offset = cursor.length("offset of direct block allocation iterator", widths)?;
        let managed_objects = cursor.length("number of managed objects", widths)?;
        let huge_size = cursor.length("size of huge objects", widths)?;
        let huge_objects = cursor.length("number of huge objects", widths)?;
        let tiny_size = cursor.length("size of tiny objects", widths)?;
        let tiny_objects = cursor.length("number of tiny objects", widths)?;
        let mut table = DoublingTable {
            width: cursor.u16("table width")?,
            starting_block_size: cursor.length("starting block size", widths)?,
            max_direct_block_size: cursor.length("maximum direct block size", widths)?,
            max_heap_bits: cursor.u16("maximum heap size")?,
            starting_rows: 0,
        };
        table.starting_rows = cursor.u16("starting # of rows in root indirect block")?;
        let root = cursor.addr("address of root block", widths)?;
        let rows = cursor.u16("current # of rows in root indirect block")?;
        let filters = if filters_length > 0 {
            Some(Filters {
                root_size: cursor.length("size of filtered root direct block", widths)?,
                root_mask: cursor.u32("I/O filter mask")?,
                pipeline: cursor.take("I/O filter information", filters_length.into())?.to_vec(),
            })
        } else {
            None
        };
        cursor.checksum()?;
        table.check().map_err(|(field, value, expected)| cursor.bad_value(field, value, expected))?;
        if id_length < 2 {
            return Err(cursor.bad_value("heap ID length", id_length.into(), "has no room for an ID"));
        }
        let root = match (root, rows) {
            (None, _) => Root::Empty,
            (Some(addr), 0) => Root::Direct(addr),
            (Some(addr), rows) if rows <= table.max_root_rows() => Root::Indirect { addr, rows },
            (Some(_), rows) => {
                return Err(cursor.bad_value("current # of rows in root indirect block", rows.into(), "is too many"));
            }
        };
        Ok(Self {
            id_length,
            huge_ids_wrapped: flags & 1 != 0,
            checksum_direct_blocks: flags & 2 != 0,
            max_managed_size,
            next_huge_id,
            huge_tree,
            free_space,
            free_space_manager,
            managed_size,
            managed_allocated,
            iterator_offset,
            managed_objects,
            huge_size,
            huge_objects,
            tiny_size,
            tiny_objects,
            table,
            root,
            filters,
        })
    }

    /// The header's bytes.
    #[must_use]
    pub fn encode(&self, widths: Widths) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::size(widths) as usize);
        out.extend_from_slice(b"FRHP");
        out.put_u8(0);
        out.put_u16(self.id_length);
        out.put_u16(self.filters.as_ref().map_or(0, |filters| filters.pipeline.len() as u16));
        out.put_u8(u8::from(self.huge_ids_wrapped) | u8::from(self.checksum_direct_blocks) << 1);
        out.put_u32(self.max_managed_size);
        out.put_length(self.next_huge_id, widths);
        out.put_addr(self.huge_tree, widths);
        out.put_length(self.free_space, widths);
        out.put_addr(self.free_space_manager, widths);
        for count in [
            self.managed_size,
            self.managed_allocated,
            self.iterator_offset,
            self.managed_objects,
            self.huge_size,
            self.huge_objects,
            self.tiny_size,
            self.tiny_objects,
        ] {
            out.put_length(count, widths);
        }
        out.put_u16(self.table.width);
        out.put_length(self.table.starting_block_size, widths);
        out.put_length(self.table.max_direct_block_size, widths);
        out.put_u16(self.table.max_heap_bits);
        out.put_u16(self.table.starting_rows);
        let (root, rows) = match self.root {
            Root::Empty => (None, 0),
            Root::Direct(addr) => (Some(addr), 0),
            Root::Indirect { addr, rows } => (Some(addr), rows),
        };
        out.put_addr(root, widths);
        out.put_u16(rows);
        if let Some(filters) = &self.filters {
            out.put_length(filters.root_size, widths);
            out.put_u32(filters.root_mask);
            out.extend_from_slice(&filters.pipeline);
        }
        out.put_checksum_from(0);
        out
    }

    /// How the heap IDs of this heap are encoded.
    #[must_use]
    pub fn id_form(&self, widths: Widths) -> IdForm {
        let room = usize::from(self.id_length).saturating_sub(1);
        let huge_direct = usize::from(widths.offset) + usize::from(widths.length);
        let filtered = self.filters.is_some();
        let huge_direct = huge_direct + if filtered { 4 + usize::from(widths.length) } else { 0 };
        let largest = u64::from(self.max_managed_size).min(self.table.max_direct_block_size);
        IdForm {
            widths,
            id_length: self.id_length.into(),
            offset_width: self.table.offset_width(),
            length_width: (bits(self.table.max_direct_block_size).div_ceil(8) as usize)
                .min(bits(self.max_managed_size.into()) as usize / 8 + 1),
            largest,
            huge_direct: huge_direct <= room,
            huge_id_width: room.min(8),
            filtered,
        }
    }

    /// Bytes of a direct block before its first object.
    #[must_use]
    pub fn direct_prefix_size(&self, widths: Widths) -> u64 {
        let checksum = if self.checksum_direct_blocks { CHECKSUM_SIZE } else { 0 };
        block_prefix_size(&self.table, widths) + checksum
    }

    /// Bytes of an indirect block with so many rows.
    #[must_use]
    pub fn indirect_size(&self, rows: u16, widths: Widths) -> u64 {
        let direct = u64::from(rows.min(self.table.max_direct_rows())) * u64::from(self.table.width);
        let all = u64::from(rows) * u64::from(self.table.width);
        let filtered = if self.filters.is_some() { u64::from(widths.length) + 4 } else { 0 };
        block_prefix_size(&self.table, widths) + all * u64::from(widths.offset) + direct * filtered + CHECKSUM_SIZE
    }

    fn start(cursor: &mut Cursor<'_>) -> Result<(u16, u16)> {
        cursor.signature("FRHP")?;
        cursor.version(0)?;
        Ok((cursor.u16("heap ID length")?, cursor.u16("I/O filters' encoded length")?))
    }
}

fn block_prefix_size(table: &DoublingTable, widths: Widths) -> u64 {
    5 + u64::from(widths.offset) + table.offset_width() as u64
}

/// A direct block ("FHDB"), after its filters were undone: the heap's bytes from `offset` on, of which the first are the
/// block's own prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirectBlock<B> {
    /// Address of the heap's header.
    pub header: Addr,
    /// Offset of the block in the heap.
    pub offset: u64,
    bytes: B,
    prefix: usize,
}

impl<B: AsRef<[u8]>> DirectBlock<B> {
    const WHAT: &'static str = "fractal heap direct block";

    /// Decodes the direct block at file address `at`; `block` must be all of its bytes and nothing else.
    pub fn decode(block: B, at: u64, header: &Header, widths: Widths) -> Result<Self> {
        let bytes = block.as_ref();
        let mut cursor = Cursor::new(Self::WHAT, at, bytes);
        cursor.signature("FHDB")?;
        cursor.version(0)?;
        let heap = cursor.defined_addr("heap header address", widths)?;
        let offset = cursor.uint("block offset", header.table.offset_width())?;
        if header.checksum_direct_blocks {
            // The sum covers the whole block, with zeros where it is itself stored.
            let place = cursor.position();
            let stored = cursor.u32("checksum")?;
            let computed = checksum_without_itself(bytes, place);
            if stored != computed && !cfg!(fuzzing) {
                return Err(cursor.error(Why::Checksum { stored, computed }));
            }
        }
        let prefix = cursor.position();
        Ok(Self { header: heap, offset, bytes: block, prefix })
    }

    /// The `length` bytes at `offset` of the heap; `None` unless they are all in this block, behind its prefix.
    #[must_use]
    pub fn object(&self, offset: u64, length: u64) -> Option<&[u8]> {
        let start = usize::try_from(offset.checked_sub(self.offset)?).ok()?;
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        if start < self.prefix { None } else { self.bytes.as_ref().get(start..end) }
    }
}

/// A direct block being filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectBlockBuilder {
    offset: u64,
    size: usize,
    checksum: Option<usize>,
    bytes: Vec<u8>,
}

impl DirectBlockBuilder {
    /// An empty block of `size` bytes for offset `offset` of the heap whose header is (to be) at `at`.
    #[must_use]
    pub fn new(header: &Header, at: Addr, offset: u64, size: u64, widths: Widths) -> Self {
        let mut bytes = b"FHDB".to_vec();
        bytes.put_u8(0);
        bytes.put_addr(Some(at), widths);
        bytes.put_uint(offset, header.table.offset_width());
        let checksum = header.checksum_direct_blocks.then_some(bytes.len());
        bytes.resize(header.direct_prefix_size(widths) as usize, 0);
        Self { offset, size: size as usize, checksum, bytes }
    }

    /// Continues with a block as it is in the file; `used` bytes from its start on are taken.
    #[must_use]
    pub fn resume(block: DirectBlock<&[u8]>, header: &Header, used: u64) -> Self {
        let used = usize::try_from(used).unwrap_or(usize::MAX).clamp(block.prefix, block.bytes.len());
        let mut bytes = block.bytes.to_vec();
        bytes.truncate(used);
        let checksum = header.checksum_direct_blocks.then(|| block.prefix - CHECKSUM_SIZE as usize);
        Self { offset: block.offset, size: block.bytes.len(), checksum, bytes }
    }

    /// Bytes left for objects.
    #[must_use]
    pub fn free(&self) -> u64 {
        self.size.saturating_sub(self.bytes.len()) as u64
    }

    /// Adds an object and returns its offset in the heap; `None` when there is no room for it.
    pub fn add(&mut self, object: &[u8]) -> Option<u64> {
        if object.len() as u64 > self.free() {
            return None;
        }
        let offset = self.offset + self.bytes.len() as u64;
        self.bytes.extend_from_slice(object);
        Some(offset)
    }

    /// The block's bytes.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.resize(self.size.max(self.bytes.len()), 0);
        if let Some(place) = self.checksum {
            let sum = checksum_without_itself(&self.bytes, place);
            for (to, from) in self.bytes.iter_mut().skip(place).zip(sum.to_le_bytes()) {
                *to = from;
            }
        }
        self.bytes
    }
}

fn checksum_without_itself(bytes: &[u8], place: usize) -> u32 {
    let mut copy = bytes.to_vec();
    for byte in copy.iter_mut().skip(place).take(CHECKSUM_SIZE as usize) {
        *byte = 0;
    }
    lookup3(&copy)
}

/// A direct block as its parent names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirectChild {
    /// Its address.
    pub addr: Addr,
    /// Stored bytes and filters skipped, in a heap with filters.
    pub filtered: Option<(u64, u32)>,
}

/// An indirect block ("FHIB"): row by row, the blocks there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndirectBlock {
    /// Address of the heap's header.
    pub header: Addr,
    /// Offset of the block's first byte in the heap.
    pub offset: u64,
    /// Its direct rows, entry by entry.
    pub direct: Vec<Option<DirectChild>>,
    /// Its indirect rows, entry by entry.
    pub indirect: Vec<Option<Addr>>,
}

/// What lies at an offset of an indirect block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Below {
    /// A direct block.
    Direct {
        /// The block.
        child: DirectChild,
        /// Bytes of the block (before filtering).
        size: u64,
    },
    /// An indirect block.
    Indirect {
        /// Its address.
        addr: Addr,
        /// Its rows.
        rows: u16,
    },
}

impl IndirectBlock {
    /// An indirect block with `rows` rows and nothing in them.
    #[must_use]
    pub fn empty(header: &Header, at: Addr, offset: u64, rows: u16) -> Self {
        let width = usize::from(header.table.width);
        let direct = rows.min(header.table.max_direct_rows());
        Self {
            header: at,
            offset,
            direct: vec![None; usize::from(direct) * width],
            indirect: vec![None; usize::from(rows - direct) * width],
        }
    }

    /// Decodes the indirect block at file address `at`, which has `rows` rows.
    pub fn decode(bytes: &[u8], at: u64, rows: u16, header: &Header, widths: Widths) -> Result<Self> {
        let mut cursor = Cursor::new("fractal heap indirect block", at, bytes);
        cursor.signature("FHIB")?;
        cursor.version(0)?;
        let heap = cursor.defined_addr("heap header address", widths)?;
        let offset = cursor.uint("block offset", header.table.offset_width())?;
        let width = u64::from(header.table.width);
        let direct_rows = rows.min(header.table.max_direct_rows());
        let address_size = usize::from(widths.offset);
        let count = cursor.checked_count("child direct blocks", u64::from(direct_rows) * width, address_size)?;
        let mut direct = Vec::with_capacity(count);
        for _ in 0..count {
            let addr = cursor.addr("child direct block address", widths)?;
            let filtered = if header.filters.is_some() {
                Some((cursor.length("size of filtered direct block", widths)?, cursor.u32("filter mask")?))
            } else {
                None
            };
            direct.push(addr.map(|addr| DirectChild { addr, filtered }));
        }
        let count =
            cursor.checked_count("child indirect blocks", u64::from(rows - direct_rows) * width, address_size)?;
        let indirect =
            (0..count).map(|_| cursor.addr("child indirect block address", widths)).collect::<Result<_>>()?;
        cursor.checksum()?;
        Ok(Self { header: heap, offset, direct, indirect })
    }

    /// The block's bytes, [`Header::indirect_size`] of them.
    #[must_use]
    pub fn encode(&self, header: &Header, widths: Widths) -> Vec<u8> {
        let mut out = b"FHIB".to_vec();
        out.put_u8(0);
        out.put_addr(Some(self.header), widths);
        out.put_uint(self.offset, header.table.offset_width());
        for child in &self.direct {
            out.put_addr(child.map(|child| child.addr), widths);
            if header.filters.is_some() {
                let (size, mask) = child.and_then(|child| child.filtered).unwrap_or_default();
                out.put_length(size, widths);
                out.put_u32(mask);
            }
        }
        for addr in &self.indirect {
            out.put_addr(*addr, widths);
        }
        out.put_checksum_from(0);
        out
    }

    /// The block that covers `offset` of the heap, if there is one.
    #[must_use]
    pub fn below(&self, offset: u64, table: &DoublingTable) -> Option<Below> {
        let entry = table.entry_at(offset.checked_sub(self.offset)?);
        let number = usize::from(entry.row) * usize::from(table.width) + usize::from(entry.column);
        match table.child_rows(entry.row) {
            None => {
                let child = (*self.direct.get(number)?)?;
                Some(Below::Direct { child, size: table.block_size(entry.row)? })
            }
            Some(rows) => {
                let addr = (*self.indirect.get(number.checked_sub(self.direct.len())?)?)?;
                Some(Below::Indirect { addr, rows })
            }
        }
    }
}

/// An object of a heap, as a heap ID names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeapId {
    /// In a direct block.
    Managed {
        /// Offset in the heap.
        offset: u64,
        /// Bytes.
        length: u64,
    },
    /// In the file by itself, named in the ID.
    HugeDirect {
        /// Address.
        addr: Addr,
        /// Stored bytes.
        length: u64,
        /// Filters skipped and bytes before filtering, in a heap with filters.
        filtered: Option<(u32, u64)>,
    },
    /// In the file by itself, named in the B-tree of huge objects.
    HugeIndirect {
        /// The key in the tree.
        id: u64,
    },
    /// In the ID itself.
    Tiny(Vec<u8>),
}

/// How the heap IDs of one heap are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdForm {
    widths: Widths,
    id_length: usize,
    offset_width: usize,
    length_width: usize,
    largest: u64,
    huge_direct: bool,
    huge_id_width: usize,
    filtered: bool,
}

impl IdForm {
    const WHAT: &'static str = "fractal heap ID";

    /// Decodes an ID. `at` is the file address of what it was found in, for errors.
    pub fn decode(&self, bytes: &[u8], at: u64) -> Result<HeapId> {
        let mut cursor = Cursor::new(Self::WHAT, at, bytes.get(..self.id_length).unwrap_or(bytes));
        let first = cursor.u8("version and type")?;
        if first >> 6 != 0 {
            return Err(cursor.error(Why::Version(first >> 6)));
        }
        match first >> 4 & 3 {
            0 => {
                let offset = cursor.uint("offset", self.offset_width)?;
                let length = cursor.uint("length", self.length_width)?;
                if length > self.largest {
                    return Err(cursor.bad_value("length", length, "is more than managed objects have"));
                }
                Ok(HeapId::Managed { offset, length })
            }
            1 if self.huge_direct => {
                let addr = cursor.defined_addr("address", self.widths)?;
                let length = cursor.length("length", self.widths)?;
                let filtered = if self.filtered {
                    Some((cursor.u32("filter mask")?, cursor.length("memory size", self.widths)?))
                } else {
                    None
                };
                Ok(HeapId::HugeDirect { addr, length, filtered })
            }
            1 => Ok(HeapId::HugeIndirect { id: cursor.uint("v2 B-tree key", self.huge_id_width)? }),
            2 => {
                let low = usize::from(first & 0x0f);
                let length = if self.tiny_extended() { low << 8 | usize::from(cursor.u8("length")?) } else { low };
                Ok(HeapId::Tiny(cursor.take("data", length + 1)?.to_vec()))
            }
            kind => Err(cursor.bad_value("type", kind.into(), "is neither managed, huge nor tiny")),
        }
    }

    /// Encodes an ID, with zeros up to the heap's ID length. `None` when it does not fit.
    #[must_use]
    pub fn encode(&self, id: &HeapId) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(self.id_length);
        match id {
            HeapId::Managed { offset, length } => {
                out.put_u8(0);
                out.put_uint(*offset, self.offset_width);
                out.put_uint(*length, self.length_width);
            }
            HeapId::HugeDirect { addr, length, filtered } => {
                out.put_u8(0x10);
                out.put_addr(Some(*addr), self.widths);
                out.put_length(*length, self.widths);
                if let Some((mask, memory_size)) = filtered {
                    out.put_u32(*mask);
                    out.put_length(*memory_size, self.widths);
                }
            }
            HeapId::HugeIndirect { id } => {
                out.put_u8(0x10);
                out.put_uint(*id, self.huge_id_width);
            }
            HeapId::Tiny(data) => {
                let length = data.len().checked_sub(1)?;
                if self.tiny_extended() {
                    out.put_u8(0x20 | (length >> 8) as u8 & 0x0f);
                    out.put_u8(length as u8);
                } else {
                    out.put_u8(0x20 | length as u8 & 0x0f);
                }
                out.extend_from_slice(data);
            }
        }
        if out.len() > self.id_length || matches!(id, HeapId::Tiny(data) if data.len() > self.max_tiny()) {
            return None;
        }
        out.resize(self.id_length, 0);
        Some(out)
    }

    /// Bytes of the largest object that lies in its ID.
    #[must_use]
    pub fn max_tiny(&self) -> usize {
        if self.tiny_extended() { (self.id_length - 2).min(4096) } else { (self.id_length - 1).min(16) }
    }

    /// Whether huge objects are named in the ID itself.
    #[must_use]
    pub fn huge_direct(&self) -> bool {
        self.huge_direct
    }

    /// Whether a tiny object's length takes 12 bits: IDs so long that 4 would not do.
    fn tiny_extended(&self) -> bool {
        self.id_length > 18
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const W: Widths = Widths::EIGHT;

    /// The header of the heap of 30,000 links that h5py wrote.
    #[rustfmt::skip]
    const LINKS: [u8; 146] = [
        b'F', b'R', b'H', b'P',
        0x00, 0x07, 0x00, 0x00, 0x00, 0x02, 0x00, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xcc, 0x0f, 0xc1, 0x03, 0x00, 0x00,
        0x00, 0x00, 0x1d, 0x06, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x3e, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x3e, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x30, 0x75, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x02, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x20, 0x00, 0x01, 0x00,
        0x9e, 0x3a, 0x47, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0xf0, 0x19, 0xec, 0x76,
    ];

    fn filters() -> Option<Filters> {
        Some(Filters { root_size: 300, root_mask: 0, pipeline: vec![2, 1, 1, 0, 0, 0, 1, 0, 6, 0, 0, 0] })
    }

    fn header(filters: Option<Filters>) -> Header {
        Header { root: Root::Direct(Addr(99)), filters, ..Header::empty(DoublingTable::LINKS, 7, 4096, true) }
    }

    #[test]
    fn a_header_of_libhdf5_decodes_and_encodes_to_the_same_bytes() {
        let header = Header::decode(&LINKS, 0, W).unwrap();
        assert_eq!(header.table, DoublingTable { starting_rows: 1, ..DoublingTable::LINKS });
        assert_eq!(header.root, Root::Indirect { addr: Addr(0x473a9e), rows: 16 });
        assert_eq!((header.managed_objects, header.iterator_offset), (30_000, 0x3e_0000));
        assert_eq!(header.encode(W), LINKS);
        assert_eq!(Header::size(W), 146);
    }

    #[test]
    fn headers_round_trip_and_refuse_what_is_short_or_changed() {
        for header in [header(None), header(filters())] {
            let mut bytes = header.encode(W);
            assert_eq!(Header::filtered_size(&bytes[..9], 0, W), Ok(bytes.len() as u64));
            assert_eq!(Header::decode(&bytes, 0, W), Ok(header));
            for place in 0..bytes.len() {
                assert!(Header::decode(&bytes[..place], 0, W).is_err());
                bytes[place] ^= 0x11;
                assert!(Header::decode(&bytes, 0, W).is_err());
                bytes[place] ^= 0x11;
            }
        }
    }

    #[test]
    fn impossible_tables_are_refused() {
        let good = DoublingTable::LINKS;
        for table in [
            DoublingTable { width: 0, ..good },
            DoublingTable { width: 3, ..good },
            DoublingTable { starting_block_size: 0, ..good },
            DoublingTable { starting_block_size: 500, ..good },
            DoublingTable { max_direct_block_size: 256, ..good },
            DoublingTable { max_heap_bits: 3, ..good },
            DoublingTable { max_heap_bits: 65, ..good },
            DoublingTable { max_direct_block_size: 1 << 40, ..good },
        ] {
            let bytes = Header::empty(table, 7, 4096, true).encode(W);
            assert!(Header::decode(&bytes, 0, W).is_err(), "{table:?}");
        }
        let rows = Header { root: Root::Indirect { addr: Addr(1), rows: 1000 }, ..header(None) };
        assert!(Header::decode(&rows.encode(W), 0, W).is_err());
    }

    #[test]
    fn every_offset_has_the_entry_that_laying_blocks_side_by_side_gives_it() {
        for table in [
            DoublingTable::LINKS,
            DoublingTable::ATTRIBUTES,
            DoublingTable {
                width: 1,
                starting_block_size: 1,
                max_direct_block_size: 8,
                max_heap_bits: 16,
                starting_rows: 0,
            },
        ] {
            let mut offset = 0;
            for row in 0..table.max_root_rows() {
                assert_eq!(table.row_offset(row), Some(offset));
                let size = table.block_size(row).unwrap();
                assert_eq!(table.child_rows(row).is_none(), size <= table.max_direct_block_size);
                if let Some(rows) = table.child_rows(row) {
                    // A child table covers exactly the space of the entry it stands in.
                    assert_eq!(table.row_offset(rows), Some(size));
                }
                for column in 0..table.width {
                    let entry = Entry { row, column };
                    assert_eq!(table.entry_offset(entry), Some(offset));
                    assert_eq!(table.entry_at(offset), entry);
                    assert_eq!(table.entry_at(offset + size - 1), entry);
                    offset += size;
                }
            }
            assert_eq!(offset, 1 << table.max_heap_bits);
        }
        assert_eq!((DoublingTable::LINKS.max_direct_rows(), DoublingTable::LINKS.max_root_rows()), (9, 22));
        // Nothing overflows at the largest table there can be.
        let largest = DoublingTable { max_heap_bits: 64, ..DoublingTable::LINKS };
        assert_eq!(largest.entry_at(u64::MAX), Entry { row: largest.max_root_rows() - 1, column: 3 });
    }

    #[test]
    fn direct_blocks_hold_objects_where_heap_ids_say() {
        for checksum in [true, false] {
            let header = Header { checksum_direct_blocks: checksum, ..header(None) };
            let mut builder = DirectBlockBuilder::new(&header, Addr(5), 1024, 512, W);
            let prefix = header.direct_prefix_size(W);
            assert_eq!(builder.free(), 512 - prefix);
            let first = builder.add(b"first").unwrap();
            assert_eq!(first, 1024 + prefix);
            let bytes = builder.finish();
            assert_eq!(bytes.len(), 512);
            let block = DirectBlock::decode(bytes.as_slice(), 0, &header, W).unwrap();
            assert_eq!((block.header, block.offset), (Addr(5), 1024));
            let mut builder = DirectBlockBuilder::resume(block, &header, first - 1024 + 5);
            let second = builder.add(b"second").unwrap();
            assert_eq!(builder.add(&[0; 512]), None);
            let mut bytes = builder.finish();
            let block = DirectBlock::decode(bytes.as_slice(), 0, &header, W).unwrap();
            assert_eq!(block.object(first, 5), Some(&b"first"[..]));
            assert_eq!(block.object(second, 6), Some(&b"second"[..]));
            for (offset, length) in [(1024, 1), (0, 1), (second, 600), (u64::MAX, 1), (second, u64::MAX)] {
                assert_eq!(block.object(offset, length), None);
            }
            for place in 0..bytes.len() {
                bytes[place] ^= 0x11;
                assert!(!checksum || DirectBlock::decode(bytes.as_slice(), 0, &header, W).is_err());
                bytes[place] ^= 0x11;
            }
        }
    }

    #[test]
    fn indirect_blocks_round_trip_and_find_what_is_below() {
        for filters in [None, filters()] {
            let header = header(filters);
            let table = header.table;
            let rows = table.max_direct_rows() + 2;
            let mut block = IndirectBlock::empty(&header, Addr(5), 0, rows);
            let child = DirectChild { addr: Addr(0x777), filtered: header.filters.as_ref().map(|_| (200, 1)) };
            block.direct[9] = Some(child);
            block.indirect[5] = Some(Addr(0x888));
            let mut bytes = block.encode(&header, W);
            assert_eq!(bytes.len() as u64, header.indirect_size(rows, W));
            assert_eq!(IndirectBlock::decode(&bytes, 0, rows, &header, W).as_ref(), Ok(&block));
            let offset = table.entry_offset(Entry { row: 2, column: 1 }).unwrap();
            assert_eq!(block.below(offset + 3, &table), Some(Below::Direct { child, size: 1024 }));
            assert_eq!(block.below(offset - 1, &table), None);
            let offset = table.entry_offset(Entry { row: table.max_direct_rows() + 1, column: 1 }).unwrap();
            assert_eq!(block.below(offset, &table), Some(Below::Indirect { addr: Addr(0x888), rows: 8 }));
            assert_eq!(block.below(u64::MAX, &table), None);
            for place in 0..bytes.len() {
                assert!(IndirectBlock::decode(&bytes[..place], 0, rows, &header, W).is_err());
                bytes[place] ^= 0x11;
                assert!(IndirectBlock::decode(&bytes, 0, rows, &header, W).is_err());
                bytes[place] ^= 0x11;
            }
        }
    }

    #[test]
    fn heap_ids_of_every_kind_round_trip() {
        let with = |id_length, filters| Header { id_length, ..header(filters) }.id_form(W);
        let huge = |filtered| HeapId::HugeDirect { addr: Addr(0x1234), length: 70_000, filtered };
        for (form, id) in [
            (with(7, None), HeapId::Managed { offset: 0x111c_3d71, length: 132 }),
            (with(8, None), HeapId::Managed { offset: 5, length: 4096 }),
            (with(7, None), HeapId::HugeIndirect { id: 21 }),
            (with(17, None), huge(None)),
            (with(29, filters()), huge(Some((1, 90_000)))),
            (with(28, filters()), HeapId::HugeIndirect { id: u64::MAX }),
            (with(7, None), HeapId::Tiny(vec![1, 2, 3, 4, 5, 6])),
            (with(17, None), HeapId::Tiny(vec![9; 16])),
            (with(18, None), HeapId::Tiny(vec![9; 16])),
            (with(300, None), HeapId::Tiny(vec![9; 298])),
        ] {
            let bytes = form.encode(&id).unwrap();
            assert_eq!(form.decode(&bytes, 0), Ok(id));
            for length in 0..bytes.len() {
                let _ = form.decode(&bytes[..length], 0);
            }
        }
        // As h5py wrote it: 7 bytes, 4 of offset, 2 of length.
        assert_eq!(
            with(7, None).decode(&[0, 113, 28, 61, 0, 132, 0], 0),
            Ok(HeapId::Managed { offset: 0x3d_1c71, length: 132 })
        );
        assert_eq!(with(7, None).encode(&HeapId::Tiny(vec![0; 7])), None);
        assert_eq!(with(7, None).encode(&HeapId::Tiny(vec![])), None);
        for first in [0x40, 0x30, 0xff] {
            assert!(with(7, None).decode(&[first, 0, 0, 0, 0, 0, 0], 0).is_err());
        }
        assert!(with(7, None).decode(&[0, 0, 0, 0, 0, 1, 16], 0).is_err(), "longer than managed objects are");
    }
}

//! Fractal heaps being filled, while readers look at what is in them already.
//!
//! Our direct blocks have no checksum: an object goes to the free end of the newest block, which nothing names before
//! an index does. Blocks are found from tables of pointers (indirect blocks); a new block is complete before one pointer
//! and the heap's header are overwritten, and a table that grows is a new table.
//!
//! Where the free end begins is known from two things that must agree: the header's count of free bytes, and a mark at
//! that place in the block. After anybody else has changed the heap they do not, and a new block is begun. The mark is
//! part of the free space, so it means nothing to anyone else.

use h5live_format::btree_v2::{HugeForm, HugeRecord};
use h5live_format::fractal_heap::{
    Below, DirectBlockBuilder, DirectChild, DoublingTable, Header, HeapId, IndirectBlock, Root,
};
use h5live_format::{Addr, Put, Widths, lookup3};

use super::header_edit::overwrite;
use super::links::open_tree;
use super::name_tree;
use crate::error::{Error, Result};
use crate::live::layer::LiveBlock;
use crate::live::space::{Placement, crosses_page};
use crate::live::writer::Writer;
use crate::source::Source;

/// Bytes of the largest managed object: libhdf5's choice for links and attributes.
const MAX_MANAGED: u32 = 4096;
/// A direct block is staged in pieces of this many bytes, so that a small object does not cost the whole block.
const PIECE: u64 = 512;
/// The mark: text, place and checksum.
const MARK_TEXT: &[u8; 8] = b"h5l-free";
const MARK_SIZE: u64 = 20;

const BLOCK: &str = "fractal heap direct block";

/// A fractal heap being changed. The header is planned by [`HeapEdit::settle`].
#[derive(Debug)]
pub(crate) struct HeapEdit {
    at: Addr,
    header: Header,
    widths: Widths,
    free_end: FreeEnd,
}

/// The free end of the newest direct block.
#[derive(Debug, Clone, Copy)]
enum FreeEnd {
    /// Not looked for yet.
    Unknown,
    /// There is none that could be relied on.
    None,
    /// It begins at `used` in `block`, which has `size` bytes and lies at `offset` of the heap.
    At { block: Addr, offset: u64, used: u64, size: u64 },
}

impl HeapEdit {
    /// Plans a new heap without objects.
    pub(crate) fn create(writer: &mut Writer, table: DoublingTable, id_length: u16) -> Result<Self> {
        let widths = writer.widths();
        let header = Header::empty(table, id_length, MAX_MANAGED, false);
        let at = writer.place(header.encode(widths), Placement::InPage)?;
        Ok(Self { at, header, widths, free_end: FreeEnd::None })
    }

    /// Opens the heap whose header lies at `at`.
    pub(crate) fn open(source: &Source, at: Addr) -> Result<Self> {
        const WHAT: &str = "fractal heap header";
        let widths = source.widths();
        let header = source.patiently(|| {
            let start = source.bytes_up_to(WHAT, at, Header::size(widths))?;
            let size = Header::filtered_size(&start, at.0, widths)?;
            Ok(Header::decode(&source.bytes(WHAT, at, size)?, at.0, widths)?)
        })?;
        Ok(Self { at, header, widths, free_end: FreeEnd::Unknown })
    }

    /// Address of the header.
    pub(crate) fn at(&self) -> Addr {
        self.at
    }

    /// Whether objects can be added while readers look: blocks without checksums and filters, free space that nobody
    /// keeps a list of, and a header that lies in one page.
    pub(crate) fn is_live_editable(&self, base: u64) -> bool {
        !self.header.checksum_direct_blocks
            && self.header.filters.is_none()
            && self.header.free_space_manager.is_none()
            && !crosses_page(base + self.at.0, Header::size(self.widths))
    }

    /// Adds an object and returns its heap ID.
    pub(crate) fn insert(&mut self, writer: &mut Writer, object: &[u8]) -> Result<Vec<u8>> {
        debug_assert!(self.is_live_editable(writer.base()));
        let id = if object.len() as u64 > u64::from(self.header.max_managed_size) {
            self.insert_huge(writer, object)?
        } else {
            self.insert_managed(writer, object)?
        };
        let encoded = self.header.id_form(self.widths).encode(&id);
        encoded.ok_or_else(|| Error::unsupported("a fractal heap whose IDs are too short for its objects"))
    }

    /// Counts an object as gone. Its bytes stay: a reader may still hold its ID.
    pub(crate) fn remove(&mut self, writer: &mut Writer, id: &[u8]) -> Result<()> {
        match self.header.id_form(self.widths).decode(id, self.at.0)? {
            HeapId::Managed { length, .. } => {
                self.header.managed_objects = self.header.managed_objects.saturating_sub(1);
                writer.supersede(length);
            }
            HeapId::HugeIndirect { id } => self.remove_huge(writer, id)?,
            HeapId::HugeDirect { length, .. } => {
                self.header.huge_objects = self.header.huge_objects.saturating_sub(1);
                self.header.huge_size = self.header.huge_size.saturating_sub(length);
                writer.supersede(length);
            }
            HeapId::Tiny(data) => {
                self.header.tiny_objects = self.header.tiny_objects.saturating_sub(1);
                self.header.tiny_size = self.header.tiny_size.saturating_sub(data.len() as u64);
            }
        }
        Ok(())
    }

    /// Plans the header as it is now.
    pub(crate) fn settle(&self, writer: &mut Writer) -> Result<()> {
        let image = self.header.encode(self.widths);
        writer.edit(LiveBlock::FractalHeap, self.at, image.len(), |old| overwrite(old, &image[..image.len() - 4]))
    }
}

impl HeapEdit {
    fn insert_managed(&mut self, writer: &mut Writer, object: &[u8]) -> Result<HeapId> {
        if matches!(self.free_end, FreeEnd::Unknown) {
            self.free_end = self.find_free_end(&writer.source())?;
        }
        let length = object.len() as u64;
        match self.free_end {
            FreeEnd::At { used, size, .. } if size - used >= length => {}
            _ => self.begin_block(writer, length)?,
        }
        let FreeEnd::At { block, offset, used, size } = self.free_end else {
            return Err(Error::unsupported("a fractal heap without room for a new block"));
        };
        let mut bytes = object.to_vec();
        let now = used + length;
        if size - now >= MARK_SIZE {
            bytes.extend_from_slice(&self.mark(offset + now));
        }
        write_in_block(writer, block, size, used, &bytes)?;
        self.free_end = FreeEnd::At { block, offset, used: now, size };
        self.header.free_space = size - now;
        self.header.managed_objects += 1;
        Ok(HeapId::Managed { offset: offset + used, length })
    }

    /// What stands at the free end that begins at `offset` of the heap.
    fn mark(&self, offset: u64) -> Vec<u8> {
        let mut mark = MARK_TEXT.to_vec();
        mark.put_u64(offset);
        let mut owner = mark.clone();
        owner.put_u64(self.at.0);
        mark.put_u32(lookup3(&owner));
        mark
    }

    fn find_free_end(&self, source: &Source) -> Result<FreeEnd> {
        let free = self.header.free_space;
        let Some((block, offset, size)) = self.newest_block(source)? else { return Ok(FreeEnd::None) };
        if free < MARK_SIZE || free > size - self.header.direct_prefix_size(self.widths) {
            return Ok(FreeEnd::None);
        }
        let used = size - free;
        let there = source.bytes(BLOCK, Addr(block.0 + used), MARK_SIZE)?;
        if there != self.mark(offset + used) {
            return Ok(FreeEnd::None);
        }
        Ok(FreeEnd::At { block, offset, used, size })
    }

    /// Address, offset in the heap, and size of the direct block that was made last.
    fn newest_block(&self, source: &Source) -> Result<Option<(Addr, u64, u64)>> {
        let (mut addr, mut rows) = match self.header.root {
            Root::Empty => return Ok(None),
            Root::Direct(addr) => return Ok(Some((addr, 0, self.header.table.starting_block_size))),
            Root::Indirect { addr, rows } => (addr, rows),
        };
        let Some(within) = self.header.iterator_offset.checked_sub(1) else { return Ok(None) };
        // Each level is shorter than the one above.
        for _ in 0..64 {
            match self.read_table(source, addr, rows)?.below(within, &self.header.table) {
                None => return Ok(None),
                Some(Below::Direct { child, size }) => {
                    return Ok(self.header.iterator_offset.checked_sub(size).map(|offset| (child.addr, offset, size)));
                }
                Some(Below::Indirect { addr: below, rows: fewer }) => (addr, rows) = (below, fewer),
            }
        }
        Ok(None)
    }

    /// Makes the next direct block, large enough for an object of `length` bytes.
    fn begin_block(&mut self, writer: &mut Writer, length: u64) -> Result<()> {
        let prefix = self.header.direct_prefix_size(self.widths);
        let (offset, size) = self.next_block(prefix + length)?;
        let block = writer.reserve(size, Placement::Anywhere)?;
        self.enter_block(writer, offset, size, block)?;
        let image = DirectBlockBuilder::new(&self.header, self.at, offset, size, self.widths).finish();
        writer.fresh(block, image[..size.min(PIECE) as usize].to_vec())?;
        self.header.managed_allocated += size;
        // libhdf5 leaves it at 0 as long as there is no table.
        self.header.iterator_offset = if matches!(self.header.root, Root::Direct(_)) { 0 } else { offset + size };
        self.free_end = FreeEnd::At { block, offset, used: prefix, size };
        Ok(())
    }

    /// Offset in the heap and size of the next direct block of at least `needed` bytes. Smaller ones on the way to it
    /// are passed over.
    fn next_block(&self, needed: u64) -> Result<(u64, u64)> {
        let table = &self.header.table;
        let mut offset = match self.header.root {
            Root::Empty => 0,
            Root::Direct(_) => table.starting_block_size,
            Root::Indirect { .. } => self.header.iterator_offset,
        };
        let full = || Error::unsupported("a fractal heap that is full");
        let end = 1u64.checked_shl(table.max_heap_bits.into()).unwrap_or(u64::MAX);
        if needed > table.max_direct_block_size {
            return Err(full());
        }
        loop {
            let size = direct_size_at(table, offset).ok_or_else(full)?;
            if offset.checked_add(size).is_none_or(|after| after > end) {
                return Err(full());
            }
            if size >= needed {
                return Ok((offset, size));
            }
            offset += size;
        }
    }

    /// Plans the pointer to a new direct block, and the tables on the way to it.
    fn enter_block(&mut self, writer: &mut Writer, offset: u64, size: u64, block: Addr) -> Result<()> {
        let table = self.header.table;
        if self.header.root == Root::Empty && offset == 0 && size == table.starting_block_size && !writer.is_live() {
            self.header.root = Root::Direct(block);
            self.header.managed_size = size;
            return Ok(());
        }
        let (mut addr, mut rows) = self.root_table(writer, table.entry_at(offset).row)?;
        loop {
            let mut indirect = self.read_table(&writer.source(), addr, rows)?;
            let entry = table.entry_at(offset - indirect.offset);
            let number = usize::from(entry.row) * usize::from(table.width) + usize::from(entry.column);
            let damaged = || Error::unsupported("a fractal heap whose tables do not cover its blocks");
            let Some(below) = table.child_rows(entry.row) else {
                *indirect.direct.get_mut(number).ok_or_else(damaged)? =
                    Some(DirectChild { addr: block, filtered: None });
                return self.write_table(writer, addr, &indirect);
            };
            let place = number.checked_sub(indirect.direct.len());
            let pointer = place.and_then(|place| indirect.indirect.get_mut(place)).ok_or_else(damaged)?;
            match *pointer {
                Some(existing) => (addr, rows) = (existing, below),
                None => {
                    let start = indirect.offset + table.entry_offset(entry).ok_or_else(damaged)?;
                    let empty = IndirectBlock::empty(&self.header, self.at, start, below);
                    let new = writer.place(empty.encode(&self.header, self.widths), Placement::InPage)?;
                    *pointer = Some(new);
                    self.write_table(writer, addr, &indirect)?;
                    (addr, rows) = (new, below);
                }
            }
        }
    }

    /// The root table, made or replaced by a larger one so that it has `row`. While readers may look it gets all rows at once:
    /// libhdf5 reads the heap's header before the names, and finds no block by a root that has been replaced in between.
    fn root_table(&mut self, writer: &mut Writer, row: u16) -> Result<(Addr, u16)> {
        let table = self.header.table;
        let least = if writer.is_live() { table.max_root_rows() } else { row + 1 };
        let (mut indirect, rows) = match self.header.root {
            Root::Indirect { addr, rows } if row < rows => return Ok((addr, rows)),
            Root::Indirect { addr, rows } => {
                writer.supersede(self.header.indirect_size(rows, self.widths));
                let old = self.read_table(&writer.source(), addr, rows)?;
                let rows = (rows * 2).max(least).min(table.max_root_rows());
                let mut grown = IndirectBlock::empty(&self.header, self.at, 0, rows);
                grown.direct[..old.direct.len()].copy_from_slice(&old.direct);
                grown.indirect[..old.indirect.len()].copy_from_slice(&old.indirect);
                (grown, rows)
            }
            Root::Empty | Root::Direct(_) => {
                let rows = table.starting_rows.max(least);
                (IndirectBlock::empty(&self.header, self.at, 0, rows), rows)
            }
        };
        if let Root::Direct(first) = self.header.root {
            indirect.direct[0] = Some(DirectChild { addr: first, filtered: None });
        }
        let addr = writer.place(indirect.encode(&self.header, self.widths), Placement::InPage)?;
        self.header.root = Root::Indirect { addr, rows };
        self.header.managed_size = table.row_offset(rows).unwrap_or(self.header.managed_size);
        Ok((addr, rows))
    }

    fn read_table(&self, source: &Source, addr: Addr, rows: u16) -> Result<IndirectBlock> {
        let size = self.header.indirect_size(rows, self.widths);
        source.block("fractal heap indirect block", addr, size, |bytes| {
            IndirectBlock::decode(bytes, addr.0, rows, &self.header, self.widths)
        })
    }

    fn write_table(&self, writer: &mut Writer, addr: Addr, indirect: &IndirectBlock) -> Result<()> {
        let image = indirect.encode(&self.header, self.widths);
        writer.edit(LiveBlock::FractalHeap, addr, image.len(), |old| overwrite(old, &image[..image.len() - 4]))
    }

    fn insert_huge(&mut self, writer: &mut Writer, object: &[u8]) -> Result<HeapId> {
        let size = object.len() as u64;
        let addr = writer.place(object.to_vec(), Placement::Anywhere)?;
        let id = self.header.next_huge_id + 1;
        let form = self.huge_form();
        if !form.indirect {
            return Err(Error::unsupported("a fractal heap whose IDs hold the addresses of huge objects"));
        }
        let record = HugeRecord { addr, size, filtered: None, id: Some(id) };
        match self.header.huge_tree {
            None => self.header.huge_tree = Some(name_tree::create(writer, form, vec![record])?),
            Some(tree) => {
                name_tree::change(writer, LiveBlock::ChunkTreeHeader, tree, form, |editor, source| {
                    editor.put(
                        record,
                        |addr, len| source.bytes(super::links::NODE, addr, len),
                        |other: &HugeRecord| Ok::<_, Error>(other.id.cmp(&Some(id))),
                    )
                })?;
            }
        }
        self.header.next_huge_id = id;
        self.header.huge_objects += 1;
        self.header.huge_size += size;
        Ok(HeapId::HugeIndirect { id })
    }

    /// A reader that found the object's ID has still to find the object: while readers may look, the object stays in the tree.
    fn remove_huge(&mut self, writer: &mut Writer, id: u64) -> Result<()> {
        let Some(tree) = self.header.huge_tree else { return Ok(()) };
        let this = |record: &HugeRecord| Ok::<_, Error>(record.id.cmp(&Some(id)));
        let node = |source: &Source, addr, len| source.bytes(super::links::NODE, addr, len);
        if writer.is_live() {
            let source = writer.source();
            let found = open_tree::<HugeRecord>(&source, tree, self.huge_form())?
                .find(|addr, len| node(&source, addr, len), this)?;
            writer.supersede(found.map_or(0, |record| record.size));
            return Ok(());
        }
        let removed =
            name_tree::change(writer, LiveBlock::ChunkTreeHeader, tree, self.huge_form(), |editor, source| {
                editor.remove(|addr, len| node(source, addr, len), this)
            })?;
        if let Some(removed) = removed {
            self.header.huge_objects = self.header.huge_objects.saturating_sub(1);
            self.header.huge_size = self.header.huge_size.saturating_sub(removed.size);
            writer.supersede(removed.size);
        }
        Ok(())
    }

    fn huge_form(&self) -> HugeForm {
        let form = self.header.id_form(self.widths);
        HugeForm { widths: self.widths, indirect: !form.huge_direct(), filtered: self.header.filters.is_some() }
    }
}

/// Bytes of the direct block that starts at `offset` of a heap.
fn direct_size_at(table: &DoublingTable, mut offset: u64) -> Option<u64> {
    loop {
        let entry = table.entry_at(offset);
        if table.child_rows(entry.row).is_none() {
            return table.block_size(entry.row);
        }
        offset -= table.entry_offset(entry)?;
    }
}

/// Stages `bytes` at `from` of a direct block, in whole pieces: what was there before is written again as it was.
fn write_in_block(writer: &Writer, block: Addr, size: u64, from: u64, bytes: &[u8]) -> Result<()> {
    let source = writer.source();
    let to = from + bytes.len() as u64;
    let mut start = from / PIECE * PIECE;
    while start < to {
        let end = (start + PIECE).min(size);
        let mut image = source.bytes(BLOCK, Addr(block.0 + start), end - start)?;
        let (first, last) = (from.max(start), to.min(end));
        image[(first - start) as usize..(last - start) as usize]
            .copy_from_slice(&bytes[(first - from) as usize..(last - from) as usize]);
        writer.fresh(Addr(block.0 + start), image)?;
        start = end;
    }
    Ok(())
}

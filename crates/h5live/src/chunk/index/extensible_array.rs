//! Chunks in an extensible array: found, and entered while readers look.
//!
//! Entering a chunk overwrites one element, up to the checksum of its block or page. Where that stretch would cross a
//! page boundary of the file (array pages cannot all avoid one) the element is *settled* when its array page is first
//! written: it names reserved space of a whole unfiltered chunk, which the extent still hides. A settled chunk is never
//! entered again, and is stored unfiltered there, as its filter mask says.
//!
//! Super blocks are written once, complete, and never again: all their data blocks, with every page in place.
//!
//! The header says below which number elements may be set. It is told as far ahead as the block or page goes on with
//! unset elements, so that it changes once for each of them and not for each chunk.

use std::sync::Arc;

use h5live_format::Addr;
use h5live_format::array_element::{ElementForm, StoredChunk};
use h5live_format::extensible_array::{
    DataBlock, Geometry, Header, IndexBlock, Page, PagedPrefix, Parameters, Place, Statistics, Step, SuperBlock, Within,
};

use super::settle::{ArraySlot, all_settled};
use crate::chunk::grid::Grid;
use crate::error::{Error, Result};
use crate::live::layer::LiveBlock;
use crate::live::space::{Placement, crosses_page};
use crate::live::writer::Writer;
use crate::source::{Look, Source};

/// The largest super block, with its data blocks, that is written at once.
const LARGEST_STEP: u64 = 1 << 30;

/// An extensible array that indexes chunks.
#[derive(Debug, Clone)]
pub(crate) struct ExtensibleArray {
    at: Addr,
    header: Header,
    geometry: Geometry,
    look: Look,
    /// At super blocks, which stay what they are even where this process enters chunks.
    settled_look: Look,
}

impl ExtensibleArray {
    /// The creation parameters of arrays made here: small first blocks and small pages, so that few elements are settled
    /// (those of filtered chunks stay unfiltered, so there pages are smallest).
    pub(crate) const fn parameters(filtered: bool) -> Parameters {
        Parameters {
            max_elements_bits: 32,
            index_block_elements: 4,
            data_block_min_elements: 2,
            super_block_min_pointers: 4,
            page_bits: if filtered { 3 } else { 5 },
        }
    }

    /// Opens the array whose header lies at `at`.
    pub(crate) fn open(source: &Source, at: Addr, chunk_bytes: u64) -> Result<Self> {
        let widths = source.widths();
        let header = source
            .block("extensible array header", at, Header::size(widths), |bytes| Header::decode(bytes, at.0, widths))?;
        let geometry = header.geometry(at.0, widths, chunk_bytes)?;
        Ok(Self { at, header, geometry, look: source.look(), settled_look: Look::new() })
    }

    /// Where chunk `number` is stored.
    pub(crate) fn lookup(&self, source: &Source, number: u64) -> Result<Option<StoredChunk>> {
        if number >= self.header.statistics.max_index_set {
            return Ok(None);
        }
        let Some(index_block) = self.header.index_block else { return Ok(None) };
        let Some(place) = self.geometry.locate(number) else { return Ok(None) };
        let index_block = self.index_block(source, index_block)?;
        match place {
            Place::IndexBlock { slot } => Ok(index_block.elements[slot as usize]),
            Place::DataBlock { pointer, slot } => {
                let Some(addr) = index_block.data_blocks[pointer as usize] else { return Ok(None) };
                let Some((step, _)) = self.geometry.direct_data_block(pointer) else { return Ok(None) };
                Ok(self.data_block(source, addr, &step)?.elements[slot as usize])
            }
            Place::SuperBlock { pointer, step, data_block, within } => {
                let Some(addr) = index_block.super_blocks[pointer as usize] else { return Ok(None) };
                let Some(step) = self.geometry.step(step) else { return Ok(None) };
                let super_block = self.super_block(source, addr, &step)?;
                let Some(addr) = super_block.data_blocks[data_block as usize] else { return Ok(None) };
                match within {
                    Within::Block { slot } => Ok(self.data_block(source, addr, &step)?.elements[slot as usize]),
                    Within::Page { page, slot } => {
                        if !super_block.pages.is_set(self.geometry.super_block_page_bit(&step, data_block, page)) {
                            return Ok(None);
                        }
                        Ok(self.page(source, addr, page)?[slot as usize])
                    }
                }
            }
        }
    }

    /// Every stored chunk among the first `end` numbers, in their order.
    pub(crate) fn each(
        &self,
        source: &Source,
        end: u64,
        mut visit: impl FnMut(u64, StoredChunk) -> Result<()>,
    ) -> Result<()> {
        let Some(index_block) = self.header.index_block else { return Ok(()) };
        let end = end.min(self.header.statistics.max_index_set);
        let index_block = self.index_block(source, index_block)?;
        let mut number = 0;
        let mut run = |elements: &[Option<StoredChunk>], skipped: u64| -> Result<bool> {
            for element in elements {
                if number >= end {
                    return Ok(false);
                }
                if let Some(chunk) = element {
                    visit(number, *chunk)?;
                }
                number += 1;
            }
            number = number.saturating_add(skipped);
            Ok(number < end)
        };
        if !run(&index_block.elements, 0)? {
            return Ok(());
        }
        for (pointer, addr) in index_block.data_blocks.iter().enumerate() {
            let Some((step, _)) = self.geometry.direct_data_block(pointer as u64) else { break };
            let more = match addr {
                Some(addr) => run(&self.data_block(source, *addr, &step)?.elements, 0)?,
                None => run(&[], step.data_block_elements)?,
            };
            if !more {
                return Ok(());
            }
        }
        for (pointer, addr) in index_block.super_blocks.iter().enumerate() {
            let Some((_, step)) = self.geometry.super_block_step(pointer as u64) else { break };
            let Some(addr) = addr else {
                if !run(&[], step.data_blocks * step.data_block_elements)? {
                    return Ok(());
                }
                continue;
            };
            let super_block = self.super_block(source, *addr, &step)?;
            for (data_block, addr) in super_block.data_blocks.iter().enumerate() {
                let more = match (addr, step.pages) {
                    (None, _) => run(&[], step.data_block_elements)?,
                    (Some(addr), None) => run(&self.data_block(source, *addr, &step)?.elements, 0)?,
                    (Some(addr), Some(pages)) => {
                        let mut more = true;
                        for page in 0..pages {
                            let bit = self.geometry.super_block_page_bit(&step, data_block as u64, page);
                            more = more
                                && if super_block.pages.is_set(bit) {
                                    run(&self.page(source, *addr, page)?, 0)?
                                } else {
                                    run(&[], self.geometry.page_elements())?
                                };
                        }
                        more
                    }
                };
                if !more {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn index_block(&self, source: &Source, at: Addr) -> Result<Arc<IndexBlock>> {
        let size = self.geometry.index_block_size();
        source.node_block((self.look, 0), "extensible array index block", at, size, |bytes| {
            IndexBlock::decode(bytes, at.0, &self.geometry)
        })
    }

    fn super_block(&self, source: &Source, at: Addr, step: &Step) -> Result<Arc<SuperBlock>> {
        let size = self.geometry.super_block_size(step);
        source.node_block(
            (self.settled_look, step.first_element),
            "extensible array secondary block",
            at,
            size,
            |bytes| SuperBlock::decode(bytes, at.0, &self.geometry, step),
        )
    }

    fn data_block(&self, source: &Source, at: Addr, step: &Step) -> Result<Arc<DataBlock>> {
        let size = self.geometry.data_block_size(step);
        source.node_block((self.look, step.data_block_elements), "extensible array data block", at, size, |bytes| {
            DataBlock::decode(bytes, at.0, &self.geometry, step)
        })
    }

    fn page(&self, source: &Source, data_block: Addr, page: u64) -> Result<Arc<Vec<Option<StoredChunk>>>> {
        let at = Addr(data_block.0 + self.geometry.page_at(page));
        source.node_block((self.look, 0), "extensible array data block page", at, self.geometry.page_size(), |bytes| {
            Page::decode(bytes, at.0, &self.geometry).map(|page| page.elements)
        })
    }
}

/// Entering chunks.
impl ExtensibleArray {
    /// Plans a new, empty array.
    pub(crate) fn create(writer: &mut Writer, form: ElementForm) -> Result<Self> {
        let widths = writer.widths();
        let filtered = form.client().id() != 0;
        let parameters = Self::parameters(filtered);
        let geometry = Geometry::new(parameters, form).map_err(|why| Error::unsupported(why.to_string()))?;
        let at = writer.reserve(Header::size(widths), Placement::InPage)?;
        let block = writer.reserve(geometry.index_block_size(), Placement::InPage)?;
        let header = Header {
            client: form.client(),
            element_size: form.size(),
            parameters,
            statistics: Statistics { realized_elements: geometry.index_block_elements(), ..Statistics::default() },
            index_block: Some(block),
        };
        writer.fresh(block, IndexBlock::empty(at, &geometry).encode(&geometry))?;
        writer.fresh(at, header.encode(widths))?;
        Ok(Self { at, header, geometry, look: Look::PASSING, settled_look: Look::new() })
    }

    /// Address of the header.
    pub(crate) fn at(&self) -> Addr {
        self.at
    }

    /// Makes room for chunk `number` and tells what is stored there now.
    pub(crate) fn slot(&mut self, writer: &mut Writer, grid: &Grid, number: u64) -> Result<ArraySlot> {
        let place = self.geometry.locate(number).ok_or_else(|| {
            Error::unsupported(format!("a chunk index of more than {} chunks", self.geometry.capacity()))
        })?;
        let before = self.header.clone();
        let at = self.header.index_block.ok_or_else(incomplete)?;
        let index_block = self.index_block(&writer.source(), at)?;
        let (slot, unset) = match place {
            Place::IndexBlock { slot } => {
                let size = self.geometry.index_block_size();
                let offset = self.geometry.index_block_element_at(slot);
                entry(at, size, offset, &index_block.elements, slot)
            }
            Place::DataBlock { pointer, slot } => {
                let (step, number) = self.geometry.direct_data_block(pointer).ok_or_else(incomplete)?;
                let block = match index_block.data_blocks[pointer as usize] {
                    Some(block) => block,
                    None => {
                        let block = self.new_data_block(writer, &step, number)?;
                        self.count_data_blocks(&step, 1);
                        self.name(writer, at, self.geometry.index_block_data_block_at(pointer), block)?;
                        block
                    }
                };
                self.data_block_slot(writer, block, &step, slot)?
            }
            Place::SuperBlock { pointer, step, data_block, within } => {
                let step = self.geometry.step(step).ok_or_else(incomplete)?;
                let addr = match index_block.super_blocks[pointer as usize] {
                    Some(addr) => addr,
                    None => {
                        let addr = self.complete_step(writer, grid, &step)?;
                        self.name(writer, at, self.geometry.index_block_super_block_at(pointer), addr)?;
                        addr
                    }
                };
                let super_block = self.super_block(&writer.source(), addr, &step)?;
                let block = super_block.data_blocks[data_block as usize].ok_or_else(incomplete)?;
                match within {
                    Within::Block { slot } => self.data_block_slot(writer, block, &step, slot)?,
                    Within::Page { page, slot } => {
                        if !super_block.pages.is_set(self.geometry.super_block_page_bit(&step, data_block, page)) {
                            return Err(incomplete());
                        }
                        let elements = self.page(&writer.source(), block, page)?;
                        let at = Addr(block.0 + self.geometry.page_at(page));
                        entry(at, self.geometry.page_size(), self.geometry.page_element_at(slot), &elements, slot)
                    }
                }
            }
        };
        let statistics = &mut self.header.statistics;
        if number >= statistics.max_index_set {
            statistics.max_index_set = number + 1 + unset;
        }
        if self.header != before {
            let bytes = self.header.encode(writer.widths());
            let body = bytes.len() - 4;
            writer.edit_adding(LiveBlock::ExtensibleArray, self.at, bytes.len(), |image| {
                image.copy_from_slice(&bytes[..body]);
                Some(Header::STATISTICS_OFFSET as usize)
            })?;
        }
        Ok(slot)
    }

    /// Whether chunks can be entered while readers look: the array is as it would have been made here. Another library may
    /// have made it otherwise, or gone on with it.
    pub(crate) fn is_ready(&self, source: &Source, chunk_bytes: u64) -> Result<bool> {
        let filtered = self.form().client().id() != 0;
        let start = |at: Addr| source.base() + at.0;
        let Some(at) = self.header.index_block else { return Ok(false) };
        if self.header.parameters != Self::parameters(filtered)
            || crosses_page(start(self.at), Header::size(source.widths()))
            || crosses_page(start(at), self.geometry.index_block_size())
        {
            return Ok(false);
        }
        let block_is_ready = |at: Addr, step: &Step| -> Result<bool> {
            let elements = &self.data_block(source, at, step)?.elements;
            let size = self.geometry.data_block_size(step);
            Ok(all_settled(start(at), size, elements, chunk_bytes, filtered, |slot| {
                self.geometry.data_block_element_at(slot)
            }))
        };
        let index_block = self.index_block(source, at)?;
        for (pointer, addr) in index_block.data_blocks.iter().enumerate() {
            let Some((step, _)) = self.geometry.direct_data_block(pointer as u64) else { break };
            if let Some(addr) = addr
                && !block_is_ready(*addr, &step)?
            {
                return Ok(false);
            }
        }
        for (pointer, addr) in index_block.super_blocks.iter().enumerate() {
            let Some((_, step)) = self.geometry.super_block_step(pointer as u64) else { break };
            let Some(addr) = addr else { continue };
            let super_block = self.super_block(source, *addr, &step)?;
            for (data_block, addr) in super_block.data_blocks.iter().enumerate() {
                let Some(addr) = addr else { return Ok(false) };
                let Some(pages) = step.pages else {
                    if !block_is_ready(*addr, &step)? {
                        return Ok(false);
                    }
                    continue;
                };
                for page in 0..pages {
                    if !super_block.pages.is_set(self.geometry.super_block_page_bit(&step, data_block as u64, page)) {
                        return Ok(false);
                    }
                    let elements = self.page(source, *addr, page)?;
                    let at = start(*addr) + self.geometry.page_at(page);
                    let element_at = |slot| self.geometry.page_element_at(slot);
                    if !all_settled(at, self.geometry.page_size(), &elements, chunk_bytes, filtered, element_at) {
                        return Ok(false);
                    }
                }
            }
        }
        Ok(true)
    }

    /// How elements are encoded.
    pub(crate) fn form(&self) -> ElementForm {
        self.geometry.form()
    }

    fn data_block_slot(&self, writer: &Writer, block: Addr, step: &Step, slot: u64) -> Result<(ArraySlot, u64)> {
        let elements = &self.data_block(&writer.source(), block, step)?.elements;
        let (size, offset) = (self.geometry.data_block_size(step), self.geometry.data_block_element_at(slot));
        Ok(entry(block, size, offset, elements, slot))
    }

    fn new_data_block(&self, writer: &mut Writer, step: &Step, data_block: u64) -> Result<Addr> {
        let addr = writer.reserve(self.geometry.data_block_size(step), Placement::InPage)?;
        let block = DataBlock {
            header: self.at,
            block_offset: self.geometry.block_offset(step, data_block),
            elements: vec![None; step.data_block_elements as usize],
        };
        writer.fresh(addr, block.encode(&self.geometry))?;
        Ok(addr)
    }

    /// Sets an address in the index block.
    fn name(&self, writer: &mut Writer, index_block: Addr, offset: u64, addr: Addr) -> Result<()> {
        let (size, offset) = (self.geometry.index_block_size() as usize, offset as usize);
        let width = usize::from(writer.widths().offset);
        writer.edit(LiveBlock::ExtensibleArray, index_block, size, |image| {
            image[offset..offset + width].copy_from_slice(&addr.0.to_le_bytes()[..width]);
            Some(offset)
        })
    }

    fn count_data_blocks(&mut self, step: &Step, count: u64) {
        let statistics = &mut self.header.statistics;
        statistics.data_blocks += count;
        statistics.data_blocks_size += count * self.geometry.data_block_size(step);
        statistics.realized_elements += count * step.data_block_elements;
    }

    /// Writes the super block of `step` with all its data blocks and pages, settling what must be settled.
    fn complete_step(&mut self, writer: &mut Writer, grid: &Grid, step: &Step) -> Result<Addr> {
        let block_size = self.geometry.data_block_size(step);
        let bytes = self.geometry.super_block_size(step) + step.data_blocks * block_size;
        if bytes > LARGEST_STEP {
            return Err(Error::unsupported(format!(
                "entering a chunk that needs {bytes} bytes of index at once; choose larger chunks"
            )));
        }
        let mut super_block = SuperBlock::empty(self.at, &self.geometry, step);
        for data_block in 0..step.data_blocks {
            let addr = match step.pages {
                None => self.new_data_block(writer, step, data_block)?,
                Some(pages) => {
                    let addr = writer.reserve(block_size, Placement::Anywhere)?;
                    let block_offset = self.geometry.block_offset(step, data_block);
                    let mut bytes = PagedPrefix { header: self.at, block_offset }.encode(&self.geometry);
                    for page in 0..pages {
                        let at = Addr(addr.0 + self.geometry.page_at(page));
                        let elements = self.settled_page(writer, grid, at)?;
                        bytes.extend_from_slice(&Page { elements }.encode(&self.geometry));
                        super_block.pages.set(self.geometry.super_block_page_bit(step, data_block, page));
                    }
                    debug_assert_eq!(bytes.len() as u64, block_size);
                    writer.fresh(addr, bytes)?;
                    addr
                }
            };
            super_block.data_blocks[data_block as usize] = Some(addr);
        }
        let size = self.geometry.super_block_size(step);
        let addr = writer.reserve(size, Placement::Anywhere)?;
        writer.fresh(addr, super_block.encode(&self.geometry, step))?;
        self.header.statistics.super_blocks += 1;
        self.header.statistics.super_blocks_size += size;
        self.count_data_blocks(step, step.data_blocks);
        Ok(addr)
    }

    /// The elements of a new page at `at`: undefined, but for those that could not be entered later.
    fn settled_page(&self, writer: &mut Writer, grid: &Grid, at: Addr) -> Result<Vec<Option<StoredChunk>>> {
        let count = self.geometry.page_elements();
        super::settle::settled(writer, grid, at, self.geometry.page_size(), count, |slot| {
            self.geometry.page_element_at(slot)
        })
    }
}

/// The place of element `slot` in a block or page, at `offset` of its `size` bytes, and how many elements are unset in a row after it.
fn entry(block: Addr, size: u64, offset: u64, elements: &[Option<StoredChunk>], slot: u64) -> (ArraySlot, u64) {
    let slot = slot as usize;
    let unset = elements[slot + 1..].iter().take_while(|element| element.is_none()).count();
    (ArraySlot { block, size, offset, stored: elements[slot] }, unset as u64)
}

fn incomplete() -> Error {
    Error::unsupported(
        "appending to an extensible array that another library left half built; rewrite the file with `h5live repack`",
    )
}

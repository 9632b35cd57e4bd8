//! Chunks in a fixed array: found, and entered while readers look.
//!
//! A small array is one block within one page of the file. A large one is cut into array pages that are written when their
//! first chunk comes; the bit that says so lies, with its checksum, in one page of the file. Elements that could not be
//! overwritten later are settled as in an extensible array.

use std::sync::Arc;

use h5live_format::Addr;
use h5live_format::array_element::{ElementForm, PageBitmap, StoredChunk};
use h5live_format::fixed_array::{DataBlock, Geometry, Header, Page, PagedPrefix, Place};

use super::settle::{ArraySlot, all_settled, settled};
use crate::chunk::grid::Grid;
use crate::error::{Error, Result};
use crate::live::layer::LiveBlock;
use crate::live::space::{PAGE, Placement, crosses_page};
use crate::live::writer::Writer;
use crate::source::{Look, Source};

/// Array pages at most, so that the bits that say which of them are written stay within a page of the file.
const MOST_PAGES: u64 = 30_000;
/// Logarithm of the least elements in an array page.
const LEAST_PAGE_BITS: u32 = 5;

/// A fixed array that indexes chunks.
#[derive(Debug, Clone)]
pub(crate) struct FixedArray {
    at: Addr,
    header: Header,
    geometry: Geometry,
    look: Look,
}

impl FixedArray {
    /// Opens the array whose header lies at `at`.
    pub(crate) fn open(source: &Source, at: Addr, chunk_bytes: u64) -> Result<Self> {
        let widths = source.widths();
        let header = source
            .block("fixed array header", at, Header::size(widths), |bytes| Header::decode(bytes, at.0, widths))?;
        let geometry = header.geometry(at.0, widths, chunk_bytes)?;
        Ok(Self { at, header, geometry, look: source.look() })
    }

    /// Where chunk `number` is stored.
    pub(crate) fn lookup(&self, source: &Source, number: u64) -> Result<Option<StoredChunk>> {
        let (Some(at), Some(place)) = (self.header.data_block, self.geometry.locate(number)) else { return Ok(None) };
        match place {
            Place::Block { slot } => Ok(self.block(source, at)?.elements[slot as usize]),
            Place::Page { page, slot } => {
                if !self.prefix(source, at)?.pages.is_set(page) {
                    return Ok(None);
                }
                Ok(self.page(source, at, page)?[slot as usize])
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
        let Some(at) = self.header.data_block else { return Ok(()) };
        let mut run = |first: u64, elements: &[Option<StoredChunk>]| -> Result<()> {
            for (number, chunk) in (first..end).zip(elements) {
                if let Some(chunk) = chunk {
                    visit(number, *chunk)?;
                }
            }
            Ok(())
        };
        let Some(pages) = self.geometry.pages() else { return run(0, &self.block(source, at)?.elements) };
        let prefix = self.prefix(source, at)?;
        for page in (0..pages).filter(|page| prefix.pages.is_set(*page)) {
            let first = page * self.geometry.page_elements();
            if first >= end {
                break;
            }
            run(first, &self.page(source, at, page)?)?;
        }
        Ok(())
    }

    fn block(&self, source: &Source, at: Addr) -> Result<Arc<DataBlock>> {
        source.node_block((self.look, 0), "fixed array data block", at, self.geometry.data_block_size(), |bytes| {
            DataBlock::decode(bytes, at.0, &self.geometry)
        })
    }

    fn prefix(&self, source: &Source, at: Addr) -> Result<Arc<PagedPrefix>> {
        source.node_block((self.look, 0), "fixed array data block", at, self.geometry.paged_prefix_size(), |bytes| {
            PagedPrefix::decode(bytes, at.0, &self.geometry)
        })
    }

    fn page(&self, source: &Source, data_block: Addr, page: u64) -> Result<Arc<Vec<Option<StoredChunk>>>> {
        let at = Addr(data_block.0 + self.geometry.page_at(page));
        source.node_block((self.look, 0), "fixed array data block page", at, self.geometry.page_size(page), |bytes| {
            Page::decode(bytes, at.0, &self.geometry, page).map(|page| page.elements)
        })
    }
}

/// Entering chunks.
impl FixedArray {
    /// Logarithm of the elements in an array page, for an array of `elements` elements of `element_size` bytes.
    pub(crate) fn page_bits(elements: u64, element_size: u64) -> u8 {
        let whole = elements.next_power_of_two().ilog2();
        let bits = if elements * element_size + 64 <= PAGE {
            whole.max(1)
        } else {
            elements.div_ceil(MOST_PAGES).next_power_of_two().ilog2().max(LEAST_PAGE_BITS)
        };
        bits as u8
    }

    /// Plans a new, empty array of `elements` elements.
    pub(crate) fn create(writer: &mut Writer, form: ElementForm, elements: u64) -> Result<Self> {
        let widths = writer.widths();
        let page_bits = Self::page_bits(elements, form.size().into());
        let too_many = || Error::unsupported(format!("a chunk index of {elements} chunks"));
        let geometry = Geometry::new(page_bits, elements, form).ok_or_else(too_many)?;
        let at = writer.reserve(Header::size(widths), Placement::InPage)?;
        let size = geometry.data_block_size();
        let block = if geometry.pages().is_none() {
            let block = writer.reserve(size, Placement::InPage)?;
            let elements = vec![None; elements as usize];
            writer.fresh(block, DataBlock { header: at, elements }.encode(&geometry))?;
            block
        } else {
            // What lies before the first array page will change, so it must start where it fits into a page of the file.
            let room = writer.reserve(size + PAGE, Placement::Anywhere)?;
            let start = writer.base() + room.0;
            let fits = !crosses_page(start, geometry.paged_prefix_size());
            let block = if fits { room } else { Addr(start.next_multiple_of(PAGE) - writer.base()) };
            let pages = PageBitmap::empty(geometry.bitmap_size() as usize);
            writer.fresh(block, PagedPrefix { header: at, pages }.encode(&geometry))?;
            block
        };
        let header =
            Header { client: form.client(), element_size: form.size(), page_bits, elements, data_block: Some(block) };
        writer.fresh(at, header.encode(widths))?;
        Ok(Self { at, header, geometry, look: Look::PASSING })
    }

    /// Whether chunks can be entered while readers look: the array is as it would have been made here. Another library may
    /// have made it otherwise, or gone on with it.
    pub(crate) fn is_ready(&self, source: &Source, chunk_bytes: u64) -> Result<bool> {
        let filtered = self.form().client().id() != 0;
        let Some(data_block) = self.header.data_block else { return Ok(false) };
        let start = source.base() + data_block.0;
        if self.header.page_bits != Self::page_bits(self.header.elements, self.header.element_size.into()) {
            return Ok(false);
        }
        let Some(pages) = self.geometry.pages() else {
            return Ok(!crosses_page(start, self.geometry.data_block_size()));
        };
        if crosses_page(start, self.geometry.paged_prefix_size()) {
            return Ok(false);
        }
        let prefix = self.prefix(source, data_block)?;
        for page in (0..pages).filter(|page| prefix.pages.is_set(*page)) {
            let elements = self.page(source, data_block, page)?;
            let (at, size) = (start + self.geometry.page_at(page), self.geometry.page_size(page));
            let element_at = |slot| self.geometry.page_element_at(slot);
            if !all_settled(at, size, &elements, chunk_bytes, filtered, element_at) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Address of the header.
    pub(crate) fn at(&self) -> Addr {
        self.at
    }

    /// Logarithm of the elements in a page, as the layout message repeats it.
    pub(crate) fn stored_page_bits(&self) -> u8 {
        self.header.page_bits
    }

    /// Makes room for chunk `number` and tells what is stored there now.
    pub(crate) fn slot(&mut self, writer: &mut Writer, grid: &Grid, number: u64) -> Result<ArraySlot> {
        let beyond = || Error::unsupported("a chunk beyond the maximum extent");
        let place = self.geometry.locate(number).ok_or_else(beyond)?;
        let data_block = self.header.data_block.ok_or_else(|| {
            Error::unsupported("a fixed array without data block; rewrite the file with `h5live repack`")
        })?;
        match place {
            Place::Block { slot } => Ok(ArraySlot {
                block: data_block,
                size: self.geometry.data_block_size(),
                offset: self.geometry.element_at(slot),
                stored: self.block(&writer.source(), data_block)?.elements[slot as usize],
            }),
            Place::Page { page, slot } => {
                let block = Addr(data_block.0 + self.geometry.page_at(page));
                let size = self.geometry.page_size(page);
                let elements = if self.prefix(&writer.source(), data_block)?.pages.is_set(page) {
                    self.page(&writer.source(), data_block, page)?
                } else {
                    let count = self.geometry.elements_in_page(page);
                    let elements =
                        settled(writer, grid, block, size, count, |slot| self.geometry.page_element_at(slot))?;
                    writer.fresh(block, Page { elements: elements.clone() }.encode(&self.geometry))?;
                    self.mark(writer, data_block, page)?;
                    Arc::new(elements)
                };
                let offset = self.geometry.page_element_at(slot);
                Ok(ArraySlot { block, size, offset, stored: elements[slot as usize] })
            }
        }
    }

    /// How elements are encoded.
    pub(crate) fn form(&self) -> ElementForm {
        self.geometry.form()
    }

    /// Sets the bit that says that an array page is written.
    fn mark(&self, writer: &mut Writer, data_block: Addr, page: u64) -> Result<()> {
        let offset = (self.geometry.bitmap_at() + page / 8) as usize;
        let size = self.geometry.paged_prefix_size() as usize;
        writer.edit(LiveBlock::FixedArray, data_block, size, |image| {
            image[offset] |= 0x80 >> (page % 8);
            Some(offset)
        })
    }
}

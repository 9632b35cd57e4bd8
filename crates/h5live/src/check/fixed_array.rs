//! Fixed arrays (VII.C): header, data block and its pages.

use h5live_format::array_element::PageBitmap;
use h5live_format::fixed_array::{DataBlock, Header, Page, PagedPrefix};
use h5live_format::{Addr, Cursor};

use super::chunks::{Chunks, elements_of};
use super::extensible_array::told;
use super::owners::Use;
use super::report::Severity;
use super::walk::{Mended, Walk};

const HEADER: &str = "fixed array header";
const DATA_BLOCK: &str = "fixed array data block";
const PAGE: &str = "fixed array data block page";
const UNWRITTEN_PAGE: &str = "fixed array data block page, not written yet";

impl Walk<'_> {
    /// Looks at the array whose header lies at `at`, and at every chunk it names.
    pub(super) fn fixed_array(&mut self, at: Addr, page_bits: u8, chunks: &Chunks<'_>) {
        let widths = self.widths;
        let chunk_bytes = chunks.grid.chunk_bytes;
        let decode = |bytes: &[u8]| {
            let header = Header::decode(bytes, at.0, widths)?;
            let geometry = header.geometry(at.0, widths, chunk_bytes)?;
            Ok((header, geometry))
        };
        let mend = |walk: &Self, bytes: Vec<u8>| {
            let form = chunks.form(walk);
            let at = 8 + usize::from(widths.length);
            let addr = Cursor::new(HEADER, 0, bytes.get(at..)?).addr("address", widths).ok()??;
            let data_block = Some(addr).filter(|addr| walk.has_signature(*addr, "FADB"))?;
            let header = Header {
                client: form.client(),
                element_size: form.size(),
                page_bits,
                elements: chunks.grid.max_count()?,
                data_block: Some(data_block),
            };
            Some(Mended { bytes: header.encode(widths), saved: "its data block is known".to_owned() })
        };
        let Some((header, geometry)) = self.block(HEADER, at, Header::size(widths), decode, mend) else { return };
        if header.page_bits != page_bits {
            self.find(Severity::Error, HEADER, Some(at), "has other page bits than the data layout message");
        }
        if chunks.grid.max_count().is_some_and(|count| count != header.elements) {
            let (elements, count) = (header.elements, chunks.grid.max_count().unwrap_or_default());
            let problem = format!("has {elements} elements, and the dataset can have {count} chunks");
            self.find(Severity::Error, HEADER, Some(at), problem);
        }
        chunks.check_form(self, HEADER, at, geometry.form());
        let Some(block) = header.data_block else { return };
        let Some(pages) = geometry.pages() else {
            let decode = |bytes: &[u8]| DataBlock::decode(bytes, block.0, &geometry);
            let mend = |walk: &Self, bytes: Vec<u8>| {
                let elements = elements_of(walk, &bytes, geometry.element_at(0), geometry.elements(), &geometry.form());
                let saved = format!("{} can be saved", told(&elements));
                Some(Mended { bytes: DataBlock { header: at, elements }.encode(&geometry), saved })
            };
            let Some(found) = self.block(DATA_BLOCK, block, geometry.data_block_size(), decode, mend) else { return };
            self.belongs_to(block, found.header, at);
            for (number, chunk) in (0..).zip(&found.elements) {
                if let Some(chunk) = chunk {
                    chunks.numbered(self, number, *chunk, true);
                }
            }
            return;
        };
        let decode = |bytes: &[u8]| PagedPrefix::decode(bytes, block.0, &geometry);
        let mend = |walk: &Self, _: Vec<u8>| {
            // The bits cannot be trusted; the checksum of each page tells.
            let mut bits = PageBitmap::empty(geometry.bitmap_size() as usize);
            let mut there = 0;
            for page in 0..pages {
                let at = Addr(block.0.checked_add(geometry.page_at(page))?);
                let found = walk.source.bytes(PAGE, at, geometry.page_size(page)).ok()?;
                if Page::decode(&found, at.0, &geometry, page).is_ok() {
                    bits.set(page);
                    there += 1;
                }
            }
            let saved = format!("{there} of {pages} pages can be saved");
            Some(Mended { bytes: PagedPrefix { header: at, pages: bits }.encode(&geometry), saved })
        };
        let Some(prefix) = self.block(DATA_BLOCK, block, geometry.paged_prefix_size(), decode, mend) else { return };
        self.belongs_to(block, prefix.header, at);
        for number in 0..pages {
            let Some(page_at) = block.checked_add(geometry.page_at(number)) else { return };
            let size = geometry.page_size(number);
            if !prefix.pages.is_set(number) {
                // The block may lie at the very end, where pages nobody has written are not in the file yet.
                let left = self.physical.saturating_sub(page_at.0);
                self.claim(UNWRITTEN_PAGE, page_at, size.min(left), Use::Metadata);
                continue;
            }
            let decode = |bytes: &[u8]| Page::decode(bytes, page_at.0, &geometry, number);
            let mend = |walk: &Self, bytes: Vec<u8>| {
                let elements = elements_of(walk, &bytes, 0, geometry.elements_in_page(number), &geometry.form());
                let saved = format!("{} can be saved", told(&elements));
                Some(Mended { bytes: Page { elements }.encode(&geometry), saved })
            };
            let Some(page) = self.block(PAGE, page_at, size, decode, mend) else { continue };
            for (element, chunk) in (number * geometry.page_elements()..).zip(&page.elements) {
                if let Some(chunk) = chunk {
                    chunks.numbered(self, element, *chunk, true);
                }
            }
        }
    }

    fn belongs_to(&mut self, block: Addr, header: Addr, array: Addr) {
        if header != array {
            let problem = format!("belongs to the array at {header}, not to that at {array}, which names it");
            self.find(Severity::Error, DATA_BLOCK, Some(block), problem);
        }
    }
}

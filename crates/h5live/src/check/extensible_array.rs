//! Extensible arrays (VII.D): header, index block, super blocks, data blocks and their pages.

use h5live_format::array_element::{ElementForm, StoredChunk};
use h5live_format::extensible_array::{
    DataBlock, Geometry, Header, IndexBlock, Page, PagedPrefix, Parameters, Statistics, Step, SuperBlock,
};
use h5live_format::message::ExtensibleArrayParameters;
use h5live_format::{Addr, Cursor};

use super::chunks::{Chunks, elements_of};
use super::report::Severity;
use super::walk::{Mended, Walk};

const HEADER: &str = "extensible array header";
const INDEX_BLOCK: &str = "extensible array index block";
const SUPER_BLOCK: &str = "extensible array secondary block";
const DATA_BLOCK: &str = "extensible array data block";
const PAGE: &str = "extensible array data block page";
const UNWRITTEN_PAGE: &str = "extensible array data block page, not written yet";

/// An array whose header could be read.
struct Array<'c> {
    at: Addr,
    header: Header,
    geometry: Geometry,
    chunks: &'c Chunks<'c>,
    /// What was found of what the header counts.
    found: Statistics,
    /// The number of the element that comes next.
    number: u64,
}

impl Walk<'_> {
    /// Looks at the array whose header lies at `at`, and at every chunk it names.
    pub(super) fn extensible_array(&mut self, at: Addr, parameters: ExtensibleArrayParameters, chunks: &Chunks<'_>) {
        let widths = self.widths;
        let chunk_bytes = chunks.grid.chunk_bytes;
        let decode = |bytes: &[u8]| {
            let header = Header::decode(bytes, at.0, widths)?;
            let geometry = header.geometry(at.0, widths, chunk_bytes)?;
            Ok((header, geometry))
        };
        let mend = |walk: &Self, bytes: Vec<u8>| mend_header(walk, &bytes, parameters, chunks);
        let Some((header, geometry)) = self.block(HEADER, at, Header::size(widths), decode, mend) else { return };
        let said = Parameters {
            max_elements_bits: parameters.max_bits,
            index_block_elements: parameters.index_elements,
            data_block_min_elements: parameters.min_elements,
            super_block_min_pointers: parameters.min_pointers,
            page_bits: parameters.page_bits,
        };
        if header.parameters != said {
            self.find(Severity::Error, HEADER, Some(at), "has other parameters than the data layout message");
        }
        chunks.check_form(self, HEADER, at, geometry.form());
        if header.statistics.max_index_set > geometry.capacity() {
            let problem = format!("max index set is {}, beyond the capacity", header.statistics.max_index_set);
            self.find(Severity::Error, HEADER, Some(at), problem);
        }
        let Some(index_block) = header.index_block else { return };
        let found = Statistics { max_index_set: header.statistics.max_index_set, ..Statistics::default() };
        let mut array = Array { at, header, geometry, chunks, found, number: 0 };
        array.index_block(self, index_block);
        let (counted, found) = (array.header.statistics, array.found);
        for (what, counted, found) in [
            ("secondary blocks", counted.super_blocks, found.super_blocks),
            ("bytes of secondary blocks", counted.super_blocks_size, found.super_blocks_size),
            ("data blocks", counted.data_blocks, found.data_blocks),
            ("bytes of data blocks", counted.data_blocks_size, found.data_blocks_size),
        ] {
            if counted != found {
                self.find(
                    Severity::Warning,
                    HEADER,
                    Some(at),
                    format!("counts {counted} {what}, and there are {found}"),
                );
            }
        }
    }
}

impl Array<'_> {
    fn index_block(&mut self, walk: &mut Walk<'_>, at: Addr) {
        let geometry = self.geometry.clone();
        let decode = |bytes: &[u8]| IndexBlock::decode(bytes, at.0, &geometry);
        let mend = |walk: &Walk<'_>, bytes: Vec<u8>| {
            let elements = elements_of(
                walk,
                &bytes,
                geometry.index_block_element_at(0),
                geometry.index_block_elements(),
                &geometry.form(),
            );
            let pointer = |offset: u64, signature: &str| {
                address(walk, &bytes, offset).filter(|addr| walk.has_signature(*addr, signature))
            };
            let data_blocks: Vec<_> = (0..geometry.index_block_data_blocks())
                .map(|number| pointer(geometry.index_block_data_block_at(number), "EADB"))
                .collect();
            let super_blocks: Vec<_> = (0..geometry.index_block_super_blocks())
                .map(|number| pointer(geometry.index_block_super_block_at(number), "EASB"))
                .collect();
            let named = data_blocks.iter().chain(&super_blocks).flatten().count();
            let saved = format!("{} and the addresses of {named} blocks can be saved", told(&elements));
            let block = IndexBlock { header: self.at, elements, data_blocks, super_blocks };
            Some(Mended { bytes: block.encode(&geometry), saved })
        };
        let Some(block) = walk.block(INDEX_BLOCK, at, geometry.index_block_size(), decode, mend) else { return };
        self.belongs(walk, INDEX_BLOCK, at, block.header);
        self.elements(walk, &block.elements);
        for (pointer, addr) in block.data_blocks.iter().enumerate() {
            let Some((step, _)) = geometry.direct_data_block(pointer as u64) else { break };
            match addr {
                Some(addr) => self.data_block(walk, *addr, &step, None),
                None => self.skip(step.data_block_elements),
            }
        }
        for (pointer, addr) in block.super_blocks.iter().enumerate() {
            let Some((_, step)) = geometry.super_block_step(pointer as u64) else { break };
            match addr {
                Some(addr) => self.super_block(walk, *addr, &step),
                None => self.skip(step.data_blocks.saturating_mul(step.data_block_elements)),
            }
        }
    }

    fn super_block(&mut self, walk: &mut Walk<'_>, at: Addr, step: &Step) {
        let geometry = self.geometry.clone();
        let size = geometry.super_block_size(step);
        let after = self.number.saturating_add(step.data_blocks.saturating_mul(step.data_block_elements));
        let decode = |bytes: &[u8]| SuperBlock::decode(bytes, at.0, &geometry, step);
        let mend = |walk: &Walk<'_>, bytes: Vec<u8>| {
            let mut block = SuperBlock::empty(self.at, &geometry, step);
            for number in 0..step.data_blocks {
                let addr = address(walk, &bytes, geometry.super_block_data_block_at(step, number));
                let Some(addr) = addr.filter(|addr| walk.has_signature(*addr, "EADB")) else { continue };
                block.data_blocks[number as usize] = Some(addr);
                // The bits cannot be trusted; the checksum of each page tells.
                for page in 0..step.pages.unwrap_or(0) {
                    let at = Addr(addr.0.saturating_add(geometry.page_at(page)));
                    let found = walk.source.bytes(PAGE, at, geometry.page_size());
                    if found.is_ok_and(|found| Page::decode(&found, at.0, &geometry).is_ok()) {
                        block.pages.set(geometry.super_block_page_bit(step, number, page));
                    }
                }
            }
            let named = block.data_blocks.iter().flatten().count();
            let saved = format!("the addresses of {named} of {} data blocks can be saved", step.data_blocks);
            Some(Mended { bytes: block.encode(&geometry, step), saved })
        };
        let Some(block) = walk.block(SUPER_BLOCK, at, size, decode, mend) else {
            self.number = after;
            return;
        };
        self.belongs(walk, SUPER_BLOCK, at, block.header);
        self.found.super_blocks += 1;
        self.found.super_blocks_size += size;
        for (number, addr) in block.data_blocks.iter().enumerate() {
            match addr {
                Some(addr) => self.data_block(walk, *addr, step, Some((&block, number as u64))),
                None => self.skip(step.data_block_elements),
            }
        }
        self.number = after;
    }

    /// A data block; `parent` is the super block that names it, and its number in there.
    fn data_block(&mut self, walk: &mut Walk<'_>, at: Addr, step: &Step, parent: Option<(&SuperBlock, u64)>) {
        let geometry = self.geometry.clone();
        let after = self.number.saturating_add(step.data_block_elements);
        self.found.data_blocks += 1;
        self.found.data_blocks_size += geometry.data_block_size(step);
        let block_offset = geometry.block_offset(step, parent.map_or(0, |(_, number)| number));
        let Some((pages, (super_block, number))) = step.pages.zip(parent) else {
            let decode = |bytes: &[u8]| DataBlock::decode(bytes, at.0, &geometry, step);
            let mend = |walk: &Walk<'_>, bytes: Vec<u8>| {
                let elements = elements_of(
                    walk,
                    &bytes,
                    geometry.data_block_element_at(0),
                    step.data_block_elements,
                    &geometry.form(),
                );
                let saved = format!("{} can be saved", told(&elements));
                Some(Mended { bytes: DataBlock { header: self.at, block_offset, elements }.encode(&geometry), saved })
            };
            if let Some(block) = walk.block(DATA_BLOCK, at, geometry.data_block_size(step), decode, mend) {
                self.belongs(walk, DATA_BLOCK, at, block.header);
                self.elements(walk, &block.elements);
            }
            self.number = after;
            return;
        };
        let decode = |bytes: &[u8]| PagedPrefix::decode(bytes, at.0, &geometry);
        let mend = |_: &Walk<'_>, _: Vec<u8>| {
            let bytes = PagedPrefix { header: self.at, block_offset }.encode(&geometry);
            Some(Mended { bytes, saved: "nothing is lost with it".to_owned() })
        };
        if let Some(prefix) = walk.block(DATA_BLOCK, at, geometry.paged_prefix_size(), decode, mend) {
            self.belongs(walk, DATA_BLOCK, at, prefix.header);
            if prefix.block_offset != block_offset {
                let problem = format!("block offset is {}, and should be {block_offset}", prefix.block_offset);
                walk.find(Severity::Warning, DATA_BLOCK, Some(at), problem);
            }
        }
        for page in 0..pages {
            let at = Addr(at.0.saturating_add(geometry.page_at(page)));
            if !super_block.pages.is_set(geometry.super_block_page_bit(step, number, page)) {
                walk.claim(UNWRITTEN_PAGE, at, geometry.page_size(), super::owners::Use::Metadata);
                self.skip(geometry.page_elements());
                continue;
            }
            let decode = |bytes: &[u8]| Page::decode(bytes, at.0, &geometry);
            let mend = |walk: &Walk<'_>, bytes: Vec<u8>| {
                let elements = elements_of(walk, &bytes, 0, geometry.page_elements(), &geometry.form());
                let saved = format!("{} can be saved", told(&elements));
                Some(Mended { bytes: Page { elements }.encode(&geometry), saved })
            };
            match walk.block(PAGE, at, geometry.page_size(), decode, mend) {
                Some(page) => self.elements(walk, &page.elements),
                None => self.skip(geometry.page_elements()),
            }
        }
        self.number = after;
    }

    fn belongs(&self, walk: &mut Walk<'_>, structure: &'static str, at: Addr, header: Addr) {
        if header != self.at {
            let problem = format!("belongs to the array at {header}, not to that at {}, which names it", self.at);
            walk.find(Severity::Error, structure, Some(at), problem);
        }
    }

    fn elements(&mut self, walk: &mut Walk<'_>, elements: &[Option<StoredChunk>]) {
        for element in elements {
            if let Some(chunk) = element {
                // What comes after the largest index that was set is room reserved ahead; readers do not look there.
                let is_set = self.number < self.header.statistics.max_index_set;
                self.chunks.numbered(walk, self.number, *chunk, is_set);
            }
            self.number = self.number.saturating_add(1);
        }
    }

    fn skip(&mut self, count: u64) {
        self.number = self.number.saturating_add(count);
    }
}

/// The address at `offset` of a damaged block, if it can be one.
fn address(walk: &Walk<'_>, bytes: &[u8], offset: u64) -> Option<Addr> {
    let bytes = bytes.get(usize::try_from(offset).ok()?..)?;
    let addr = Cursor::new("address", 0, bytes).addr("address", walk.widths).ok()??;
    walk.is_plausible(addr, 4).then_some(addr)
}

/// What of a block's elements can be saved.
pub(super) fn told(elements: &[Option<StoredChunk>]) -> String {
    format!("{} of at most {} chunk addresses", elements.iter().flatten().count(), elements.len())
}

/// A header in which the layout message's word counts, and what else makes sense.
fn mend_header(
    walk: &Walk<'_>,
    bytes: &[u8],
    parameters: ExtensibleArrayParameters,
    chunks: &Chunks<'_>,
) -> Option<Mended> {
    let widths = walk.widths;
    let index_block_at = Header::STATISTICS_OFFSET + 6 * u64::from(widths.length);
    let index_block = address(walk, bytes, index_block_at).filter(|addr| walk.has_signature(*addr, "EAIB"))?;
    let mut cursor = Cursor::new(HEADER, 0, bytes.get(Header::STATISTICS_OFFSET as usize..)?);
    let mut count = || cursor.length("count", widths).ok();
    let (super_blocks, super_blocks_size, data_blocks, data_blocks_size) = (count()?, count()?, count()?, count()?);
    let (_, realized_elements) = (count()?, count()?);
    let form: ElementForm = chunks.form(walk);
    let header = Header {
        client: form.client(),
        element_size: form.size(),
        parameters: Parameters {
            max_elements_bits: parameters.max_bits,
            index_block_elements: parameters.index_elements,
            data_block_min_elements: parameters.min_elements,
            super_block_min_pointers: parameters.min_pointers,
            page_bits: parameters.page_bits,
        },
        statistics: Statistics {
            super_blocks,
            super_blocks_size,
            data_blocks,
            data_blocks_size,
            // Whatever it was: all chunks of the extent are looked for.
            max_index_set: chunks.end(),
            realized_elements,
        },
        index_block: Some(index_block),
    };
    Some(Mended { bytes: header.encode(widths), saved: "its index block is known".to_owned() })
}

//! Objects of a fractal heap by their heap IDs: links and attributes in dense storage, and shared messages.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use h5live_filter::{Pipeline, Registry};
use h5live_format::Addr;
use h5live_format::btree_v2::{HugeForm, HugeRecord};
use h5live_format::fractal_heap::{Below, DirectBlock, Header, HeapId, IdForm, IndirectBlock, Root};
use h5live_format::message::FilterPipeline;

use super::links;
use crate::dataset::pipeline;
use crate::error::{Error, ErrorKind, Result};
use crate::source::Source;

/// Bytes of blocks kept while a heap is read.
const KEPT: u64 = 8 << 20;
/// Indirect blocks on the way to an object at most: each level doubles what a heap can hold.
const MOST_LEVELS: usize = 64;
/// Bytes of a block or huge object after filtering at most, where filters hide how much there is.
const MOST_UNFILTERED: u64 = 4 << 30;

/// A fractal heap, open for reading.
pub(crate) struct FractalHeap {
    at: Addr,
    header: Header,
    form: IdForm,
    filters: Option<Pipeline>,
    blocks: RefCell<Kept>,
}

/// Blocks read before. Names are looked up by hash, that is in no order, so one block would not do.
#[derive(Default)]
struct Kept {
    direct: HashMap<Addr, Rc<DirectBlock<Vec<u8>>>>,
    /// By address, and how many rows its parent says that it has.
    indirect: HashMap<(Addr, u16), Rc<IndirectBlock>>,
    bytes: u64,
}

impl Kept {
    /// Makes room for a block of `bytes` bytes.
    fn admit(&mut self, bytes: u64) {
        if self.bytes + bytes > KEPT {
            *self = Self::default();
        }
        self.bytes += bytes;
    }
}

impl FractalHeap {
    /// Opens the heap whose header lies at `at`.
    pub(crate) fn open(source: &Source, at: Addr, registry: &Registry) -> Result<Self> {
        let widths = source.widths();
        let header = source.patiently(|| {
            const WHAT: &str = "fractal heap header";
            let start = source.bytes_up_to(WHAT, at, Header::size(widths))?;
            let size = Header::filtered_size(&start, at.0, widths)?;
            let bytes = if size > start.len() as u64 { source.bytes(WHAT, at, size)? } else { start };
            Ok(Header::decode(&bytes, at.0, widths)?)
        })?;
        let filters = match &header.filters {
            Some(filters) => Some(pipeline(&FilterPipeline::decode(&filters.pipeline, at.0)?, registry)?),
            None => None,
        };
        let form = header.id_form(widths);
        Ok(Self { at, header, form, filters, blocks: RefCell::default() })
    }

    /// The object that `id` names.
    pub(crate) fn object(&self, source: &Source, id: &[u8]) -> Result<Vec<u8>> {
        match self.form.decode(id, self.at.0)? {
            HeapId::Tiny(data) => Ok(data),
            HeapId::Managed { offset, length } => self.managed(source, offset, length),
            HeapId::HugeDirect { addr, length, filtered } => self.huge(source, addr, length, filtered),
            HeapId::HugeIndirect { id } => {
                let tree = self.header.huge_tree.ok_or_else(|| self.no_object())?;
                let form = HugeForm { widths: source.widths(), indirect: true, filtered: self.filters.is_some() };
                let tree = links::open_tree::<HugeRecord>(source, tree, form)?;
                let record = source.patiently(|| {
                    tree.find(|addr, len| source.bytes(links::NODE, addr, len), |record| Ok(record.id.cmp(&Some(id))))
                })?;
                let record = record.ok_or_else(|| self.no_object())?;
                let filtered = record.filtered.map(|filtered| (filtered.filter_mask, filtered.memory_size));
                self.huge(source, record.addr, record.size, filtered)
            }
        }
    }

    fn huge(&self, source: &Source, addr: Addr, length: u64, filtered: Option<(u32, u64)>) -> Result<Vec<u8>> {
        let stored = source.bytes("huge fractal heap object", addr, length)?;
        match filtered {
            Some((mask, size)) => self.unfiltered(&stored, mask, size),
            None => Ok(stored),
        }
    }

    fn managed(&self, source: &Source, offset: u64, length: u64) -> Result<Vec<u8>> {
        let table = &self.header.table;
        let (mut addr, mut rows) = match self.header.root {
            Root::Empty => return Err(self.no_object()),
            Root::Direct(addr) => {
                let size = table.block_size(0).ok_or_else(|| self.no_object())?;
                let filtered = self.header.filters.as_ref().map(|filters| (filters.root_size, filters.root_mask));
                return self.in_block(source, addr, size, filtered, offset, length);
            }
            Root::Indirect { addr, rows } => (addr, rows),
        };
        for _ in 0..MOST_LEVELS {
            let block = self.indirect_block(source, addr, rows)?;
            match block.below(offset, table).ok_or_else(|| self.no_object())? {
                Below::Direct { child, size } => {
                    return self.in_block(source, child.addr, size, child.filtered, offset, length);
                }
                Below::Indirect { addr: below, rows: below_rows } => (addr, rows) = (below, below_rows),
            }
        }
        Err(self.no_object())
    }

    /// The object in the direct block at `addr`, of `size` bytes before filtering.
    fn in_block(
        &self,
        source: &Source,
        addr: Addr,
        size: u64,
        filtered: Option<(u64, u32)>,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u8>> {
        let found = |block: &DirectBlock<Vec<u8>>| {
            block.object(offset, length).map(<[u8]>::to_vec).ok_or_else(|| self.no_object())
        };
        let kept = self.blocks.borrow().direct.get(&addr).cloned();
        if let Some(block) = kept
            && let Ok(object) = found(&block)
        {
            return Ok(object);
        }
        source.patiently(|| {
            let mut bytes =
                source.bytes("fractal heap direct block", addr, filtered.map_or(size, |(stored, _)| stored))?;
            if let Some((_, mask)) = filtered {
                bytes = self.unfiltered(&bytes, mask, size)?;
            }
            let len = bytes.len() as u64;
            let block = DirectBlock::decode(bytes, addr.0, &self.header, source.widths())?;
            let object = found(&block)?;
            let mut kept = self.blocks.borrow_mut();
            kept.admit(len);
            kept.direct.insert(addr, Rc::new(block));
            Ok(object)
        })
    }

    fn indirect_block(&self, source: &Source, addr: Addr, rows: u16) -> Result<Rc<IndirectBlock>> {
        if let Some(block) = self.blocks.borrow().indirect.get(&(addr, rows)) {
            return Ok(block.clone());
        }
        let widths = source.widths();
        let size = self.header.indirect_size(rows, widths);
        let block = source.block("fractal heap indirect block", addr, size, |bytes| {
            IndirectBlock::decode(bytes, addr.0, rows, &self.header, widths)
        })?;
        let block = Rc::new(block);
        let mut kept = self.blocks.borrow_mut();
        kept.admit(size);
        kept.indirect.insert((addr, rows), block.clone());
        Ok(block)
    }

    fn unfiltered(&self, stored: &[u8], mask: u32, size: u64) -> Result<Vec<u8>> {
        let filters = self.filters.as_ref().ok_or_else(|| self.no_object())?;
        if size > MOST_UNFILTERED {
            return Err(Error::unsupported(format!("a filtered heap object of {size} bytes")));
        }
        filters
            .decode(mask, stored, size as usize)
            .map_err(|source| Error::new(ErrorKind::Filter { chunk: vec![self.at.0], source }))
    }

    fn no_object(&self) -> Error {
        use h5live_format::{Malformed, Why};
        let why = Why::Text("an object is named that is not in the heap");
        Malformed { what: "fractal heap", at: self.at.0, why }.into()
    }
}

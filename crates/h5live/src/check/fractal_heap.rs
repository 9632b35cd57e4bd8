//! Fractal heaps (III.G): header, indirect and direct blocks, huge objects, and what objects take.

use h5live_format::btree_v2::{HugeForm, HugeRecord};
use h5live_format::fractal_heap::{DirectBlock, Entry, Header, HeapId, IdForm, IndirectBlock, Root};
use h5live_format::{Addr, lookup3};

use super::btree_v2::Records;
use super::owners::Use;
use super::report::Severity;
use super::walk::{Mended, Walk};
use crate::object::fractal_heap::FractalHeap;

const HEADER: &str = "fractal heap header";
const INDIRECT: &str = "fractal heap indirect block";
const DIRECT: &str = "fractal heap direct block";
/// Indirect blocks within each other at most: each level doubles what a heap can hold.
const MOST_LEVELS: u8 = 64;

/// A heap whose structure was looked at, for looking at its objects.
pub(super) struct Heap {
    at: Addr,
    form: IdForm,
    heap: FractalHeap,
    /// The managed objects that were asked for: offset and length.
    managed: Vec<(u64, u64)>,
    /// Objects the header counts.
    pub(super) counted: u64,
}

impl Walk<'_> {
    /// Looks at the heap whose header lies at `at`.
    pub(super) fn fractal_heap(&mut self, at: Addr) -> Option<Heap> {
        let widths = self.widths;
        let start = self.source.bytes_up_to(HEADER, at, Header::size(widths)).ok()?;
        let size = Header::filtered_size(&start, at.0, widths).unwrap_or(Header::size(widths));
        let decode = |bytes: &[u8]| Header::decode(bytes, at.0, widths);
        let header = self.block(HEADER, at, size, decode, |_, bytes| resummed(bytes, b"FRHP"))?;
        let mut allocated = 0;
        match header.root {
            Root::Empty => {}
            Root::Direct(addr) => {
                let stored = header.filters.as_ref().map(|filters| filters.root_size);
                let size = header.table.block_size(0).unwrap_or(0);
                self.direct(at, &header, addr, 0, size, stored);
                allocated += size;
            }
            Root::Indirect { addr, rows } => self.indirect(at, &header, addr, rows, 0, MOST_LEVELS, &mut allocated),
        }
        if allocated != header.managed_allocated {
            let problem = format!("counts {} bytes of blocks, and there are {allocated}", header.managed_allocated);
            // Nobody reads the count, and libhdf5 does not always keep it.
            self.find(Severity::Note, HEADER, Some(at), problem);
        }
        let form = header.id_form(widths);
        if let Some(tree) = header.huge_tree {
            let form = HugeForm { widths, indirect: !form.huge_direct(), filtered: header.filters.is_some() };
            let compare = |one: &HugeRecord, other: &HugeRecord| (one.id, one.addr).cmp(&(other.id, other.addr));
            let makes_sense = |walk: &Walk<'_>, record: &HugeRecord| walk.is_plausible(record.addr, record.size);
            let records = Records { form, compare: &compare, is_unique: false, makes_sense: &makes_sense };
            let found = self.tree(tree, &records, |walk, record| {
                walk.claim("huge fractal heap object", record.addr, record.size, Use::Metadata);
            });
            if found.is_some_and(|found| found != header.huge_objects) {
                let (counted, found) = (header.huge_objects, found.unwrap_or_default());
                let problem = format!("counts {counted} huge objects, and there are {found}");
                self.find(Severity::Warning, HEADER, Some(at), problem);
            }
        }
        if let Some(manager) = header.free_space_manager {
            self.free_space(manager, None);
        }
        let counted = header.managed_objects.saturating_add(header.huge_objects).saturating_add(header.tiny_objects);
        match FractalHeap::open(&self.source, at, &self.file.filters) {
            Ok(heap) => Some(Heap { at, form, heap, managed: Vec::new(), counted }),
            Err(error) => {
                self.unreadable(HEADER, at, error);
                None
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a block is known by its place in the heap")]
    fn indirect(
        &mut self,
        heap: Addr,
        header: &Header,
        at: Addr,
        rows: u16,
        offset: u64,
        levels: u8,
        allocated: &mut u64,
    ) {
        let widths = self.widths;
        let decode = |bytes: &[u8]| IndirectBlock::decode(bytes, at.0, rows, header, widths);
        let size = header.indirect_size(rows, widths);
        let Some(block) = self.block(INDIRECT, at, size, decode, |_, bytes| resummed(bytes, b"FHIB")) else { return };
        self.has_place(INDIRECT, at, (block.header, block.offset), (heap, offset));
        let width = usize::from(header.table.width.max(1));
        let place = |number: usize| Entry { row: (number / width) as u16, column: (number % width) as u16 };
        for (number, child) in block.direct.iter().enumerate() {
            let entry = place(number);
            let (Some(child), Some(size)) = (child, header.table.block_size(entry.row)) else { continue };
            let offset = header.table.entry_offset(entry).and_then(|within| offset.checked_add(within));
            self.direct(heap, header, child.addr, offset.unwrap_or(u64::MAX), size, child.filtered.map(|it| it.0));
            *allocated = allocated.saturating_add(size);
        }
        for (number, child) in block.indirect.iter().enumerate() {
            let entry = place(block.direct.len() + number);
            let (Some(child), Some(rows)) = (child, header.table.child_rows(entry.row)) else { continue };
            let Some(offset) = header.table.entry_offset(entry).and_then(|within| offset.checked_add(within)) else {
                continue;
            };
            match levels.checked_sub(1) {
                Some(levels) => self.indirect(heap, header, *child, rows, offset, levels, allocated),
                None => self.find(Severity::Error, INDIRECT, Some(at), "leads deeper than any heap is"),
            }
        }
    }

    /// A direct block of `size` bytes, stored in `stored` bytes where the heap has filters.
    fn direct(&mut self, heap: Addr, header: &Header, at: Addr, offset: u64, size: u64, stored: Option<u64>) {
        if let Some(stored) = stored {
            // What is in it tells when its objects are read.
            self.claim(DIRECT, at, stored, Use::Metadata);
            return;
        }
        let widths = self.widths;
        let decode = |bytes: &[u8]| {
            let block = DirectBlock::decode(bytes, at.0, header, widths)?;
            Ok((block.header, block.offset))
        };
        let mend = |_: &Self, mut bytes: Vec<u8>| {
            let prefix = header.direct_prefix_size(widths) as usize;
            bytes.get_mut(..5)?.copy_from_slice(b"FHDB\0");
            if header.checksum_direct_blocks {
                // The sum covers the block with zeros in its own place.
                bytes.get_mut(prefix.checked_sub(4)?..prefix)?.fill(0);
                let sum = lookup3(&bytes);
                bytes[prefix - 4..prefix].copy_from_slice(&sum.to_le_bytes());
            }
            Some(Mended { bytes, saved: "objects that make sense can be saved".to_owned() })
        };
        if let Some(place) = self.block(DIRECT, at, size, decode, mend) {
            self.has_place(DIRECT, at, place, (heap, offset));
        }
    }

    fn has_place(&mut self, structure: &'static str, at: Addr, found: (Addr, u64), named: (Addr, u64)) {
        if found.0 != named.0 {
            let problem = format!("belongs to the heap at {}, not to that at {}, which names it", found.0, named.0);
            self.find(Severity::Error, structure, Some(at), problem);
        } else if found.1 != named.1 {
            let problem = format!("is said to start at offset {} of the heap, and lies at {}", found.1, named.1);
            self.find(Severity::Error, structure, Some(at), problem);
        }
    }
}

impl Heap {
    /// The object that `id` names; tells when it cannot be read.
    pub(super) fn object(&mut self, walk: &mut Walk<'_>, id: &[u8]) -> Option<Vec<u8>> {
        match self.form.decode(id, self.at.0) {
            Ok(HeapId::Managed { offset, length }) => self.managed.push((offset, length)),
            Ok(HeapId::HugeDirect { addr, length, .. }) => {
                walk.claim("huge fractal heap object", addr, length, Use::Metadata);
            }
            Ok(_) => {}
            Err(malformed) => {
                walk.malformed(malformed);
                return None;
            }
        }
        match self.heap.object(&walk.source, id) {
            Ok(object) => Some(object),
            Err(error) => {
                walk.unreadable("fractal heap", self.at, error);
                None
            }
        }
    }

    /// Tells when objects overlap, or when there are more than the heap's header counts. To be called after all objects were
    /// asked for.
    pub(super) fn finish(mut self, walk: &mut Walk<'_>, named: u64) {
        self.managed.sort_unstable();
        let overlap = self.managed.windows(2).find(|pair| pair[0].0.saturating_add(pair[0].1) > pair[1].0);
        if let Some([one, other]) = overlap {
            let problem = format!("the objects at offsets {} and {} overlap", one.0, other.0);
            walk.find(Severity::Error, "fractal heap", Some(self.at), problem);
        }
        let (counted, at) = (self.counted, Some(self.at));
        if named > counted {
            walk.find(Severity::Warning, HEADER, at, format!("counts {counted} objects, and {named} are named"));
        } else if named < counted {
            walk.find(Severity::Note, HEADER, at, format!("counts {counted} objects, and {named} are named"));
        }
    }
}

/// A block with its signature and checksum set.
fn resummed(mut bytes: Vec<u8>, signature: &[u8; 4]) -> Option<Mended> {
    let end = bytes.len().checked_sub(4)?;
    bytes.get_mut(..4)?.copy_from_slice(signature);
    let sum = lookup3(&bytes[..end]);
    bytes[end..].copy_from_slice(&sum.to_le_bytes());
    Some(Mended { bytes, saved: "what it names can be looked for".to_owned() })
}

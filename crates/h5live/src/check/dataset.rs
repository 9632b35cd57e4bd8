//! Datasets: what their messages say together, and their elements wherever these are.

use h5live_format::local_heap::LocalHeap;
use h5live_format::message::{AllocationTime, DataLayout, Dataspace, Datatype, ExternalFiles};
use h5live_format::object_header::MessageType;
use h5live_format::{Addr, Malformed, Why};

use super::chunks::Chunks;
use super::owners::Use;
use super::report::Severity;
use super::walk::Walk;
use crate::dataset::{Meta, dataspace, layout};
use crate::error::Error;
use crate::object::header::ObjectHeader;

const HEADER: &str = "object header";
const RAW: &str = "raw data";
const LOCAL_HEAP: &str = "local heap";
/// Elements of contiguous data looked at together, in bytes.
const BLOCK: u64 = 4 << 20;

impl Walk<'_> {
    pub(super) fn dataset(&mut self, header: &ObjectHeader) {
        let read = || {
            let meta = Meta::read(self.file, header)?;
            Ok((meta, dataspace(self.file, header)?, layout(self.file, header)?))
        };
        let (meta, space, layout) = match read() {
            Ok(read) => read,
            // What the header's messages themselves are has been told.
            Err(error) => return self.unreadable_unless_told(header.addr, error),
        };
        if let Dataspace::Simple { dims, max: Some(max) } = &space {
            for (axis, (dim, max)) in dims.iter().zip(max).enumerate() {
                if max.is_some_and(|max| *dim > max) {
                    let problem = format!("axis {axis} has {dim} elements, more than its maximum size");
                    self.find(Severity::Error, "dataspace message", Some(header.addr), problem);
                }
            }
        }
        let Some(bytes) = space.element_count().and_then(|count| count.checked_mul(meta.element_size as u64)) else {
            let problem = "has an extent of more bytes than 64 bits can count";
            return self.find(Severity::Error, "dataspace message", Some(header.addr), problem);
        };
        match layout {
            DataLayout::Compact(data) => {
                if (data.len() as u64) < bytes {
                    let problem = format!("holds {} bytes of {bytes}", data.len());
                    self.find(Severity::Error, "data layout message", Some(header.addr), problem);
                }
                self.heap_data(&data, &meta.datatype);
            }
            DataLayout::Contiguous { addr, size } => match header.find(MessageType::EXTERNAL_FILES) {
                Some(message) => {
                    let at = header.body_addr(message).0;
                    if let Ok(files) = ExternalFiles::decode(&message.body, at, self.widths) {
                        self.external(&files);
                    }
                }
                None => self.contiguous(header.addr, addr, size, bytes, &meta),
            },
            DataLayout::Chunked(chunked) => {
                let Some(grid) = meta.grid.clone() else { return };
                if grid.chunk.contains(&0) {
                    let problem = "has chunks without elements";
                    return self.find(Severity::Error, "data layout message", Some(header.addr), problem);
                }
                let must_be_there = matches!(&meta.fill, Some(fill) if fill.allocation == AllocationTime::Early);
                let dims = space.dims().to_vec();
                Chunks::new(&chunked, &grid, &dims, &meta, must_be_there).look(self, header.addr);
            }
            DataLayout::Virtual { heap, .. } => {
                if let Some(heap) = heap {
                    self.collection(heap);
                }
            }
        }
    }

    fn unreadable_unless_told(&mut self, at: Addr, error: Error) {
        let is_told = |problem: &str| self.findings.iter().any(|finding| finding.problem == problem);
        let told = match error.kind() {
            crate::ErrorKind::Malformed(malformed) => is_told(&malformed.why.to_string()),
            _ => false,
        };
        if !told {
            self.unreadable(HEADER, at, error);
        }
    }

    fn contiguous(&mut self, header: Addr, addr: Option<Addr>, size: Option<u64>, bytes: u64, meta: &Meta) {
        if size.is_some_and(|size| size < bytes) {
            let problem = format!("has room for {} bytes of {bytes}", size.unwrap_or_default());
            self.find(Severity::Error, "data layout message", Some(header), problem);
        }
        let Some(addr) = addr else { return };
        if !self.claim(RAW, addr, size.unwrap_or(bytes).max(bytes), Use::Raw) || !meta.datatype.uses_global_heap() {
            return;
        }
        let element = meta.element_size.max(1) as u64;
        let step = (BLOCK / element).max(1) * element;
        let mut at = 0;
        while at < bytes {
            let len = step.min(bytes - at);
            match self.source.bytes(RAW, Addr(addr.0 + at), len) {
                Ok(data) => self.heap_data(&data, &meta.datatype),
                Err(error) => return self.unreadable(RAW, addr, error),
            }
            at += len;
        }
    }

    fn external(&mut self, files: &ExternalFiles) {
        let Some((heap, segment)) = self.local_heap(files.heap) else { return };
        for piece in &files.files {
            match heap.name(&segment, piece.name_offset) {
                Ok(name) => {
                    if self.file.find_other(name).is_err() {
                        let name = String::from_utf8_lossy(name).into_owned();
                        let problem = format!("names {name:?}, and there is no such file");
                        self.find(Severity::Warning, "external data files message", None, problem);
                    }
                }
                Err(malformed) => self.malformed(malformed),
            }
        }
    }

    /// A local heap and the bytes of its data segment.
    pub(super) fn local_heap(&mut self, at: Addr) -> Option<(LocalHeap, Vec<u8>)> {
        let widths = self.widths;
        let size = LocalHeap::size(widths);
        let heap = self.block(LOCAL_HEAP, at, size, |bytes| LocalHeap::decode(bytes, at.0, widths), |_, _| None)?;
        if !self.claim("local heap data segment", heap.segment, heap.segment_size, Use::Metadata) {
            return None;
        }
        let segment = match self.source.bytes("local heap data segment", heap.segment, heap.segment_size) {
            Ok(segment) => segment,
            Err(error) => {
                self.unreadable("local heap data segment", heap.segment, error);
                return None;
            }
        };
        self.free_list(&heap, &segment);
        Some((heap, segment))
    }

    /// The free list of a local heap stays within its segment and ends.
    fn free_list(&mut self, heap: &LocalHeap, segment: &[u8]) {
        // 1 ends the list; files of some writers have the undefined length there.
        let ends = |offset: u64| offset == 1 || offset == u64::MAX;
        let (mut at, mut steps) = (heap.free_list, 0);
        let width = usize::from(self.widths.length);
        while !ends(at) {
            let field = |from: usize| -> Option<u64> {
                let bytes = segment.get(from..from.checked_add(width)?)?;
                Some(bytes.iter().rev().take(8).fold(0, |value, byte| value << 8 | u64::from(*byte)))
            };
            let block =
                usize::try_from(at).ok().and_then(|from| Some((field(from)?, field(from.checked_add(width)?)?)));
            steps += 1;
            let Some((next, size)) = block.filter(|(_, size)| {
                at.checked_add(*size).is_some_and(|end| end <= segment.len() as u64) && steps <= segment.len()
            }) else {
                let why =
                    Why::Value { field: "offset of free block", value: at, expected: "is not within the segment" };
                let what = "local heap data segment";
                return self.malformed(Malformed { what, at: heap.segment.0, why });
            };
            let _ = size;
            at = next;
        }
    }

    /// Looks for what elements of this type keep in global heaps.
    pub(super) fn heap_data(&mut self, data: &[u8], datatype: &Datatype) {
        if !datatype.uses_global_heap() {
            return;
        }
        let size = (datatype.size() as usize).max(1);
        for element in data.chunks_exact(size) {
            self.heap_element(element, datatype);
        }
    }
}

//! Objects of the global heap: variable-length data, region references, the mappings of virtual datasets.
//!
//! A few collections are kept. Our own writer never changes a collection that something names; libhdf5's adds objects to
//! it. So what is found in a kept collection is right, and what is not found is looked for in the file again.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use h5live_format::global_heap::{Collection, GlobalHeapId};
use h5live_format::{Addr, Malformed, Why};

use crate::error::Result;
use crate::source::Source;

/// Bytes of collections kept.
const KEPT: usize = 16 << 20;

/// The collections of one file.
#[derive(Default)]
pub(crate) struct GlobalHeap {
    /// The one used last comes first.
    kept: Mutex<VecDeque<Arc<Kept>>>,
}

struct Kept {
    at: Addr,
    bytes: Vec<u8>,
    /// Where each object lies in `bytes`, by index.
    objects: Vec<(u16, Range<usize>)>,
}

impl Kept {
    fn object(&self, index: u32) -> Option<&[u8]> {
        let first = self.objects.partition_point(|(found, _)| u32::from(*found) < index);
        let (found, range) = self.objects.get(first)?;
        (u32::from(*found) == index).then(|| &self.bytes[range.clone()])
    }
}

impl GlobalHeap {
    /// Hands the object that `id` names to `take`.
    pub(crate) fn object<T>(&self, source: &Source, id: GlobalHeapId, take: impl FnOnce(&[u8]) -> T) -> Result<T> {
        if let Some(kept) = self.find(id.collection)
            && let Some(object) = kept.object(id.index)
        {
            return Ok(take(object));
        }
        let read = Arc::new(read(source, id.collection)?);
        self.keep(read.clone());
        match read.object(id.index) {
            Some(object) => Ok(take(object)),
            None => {
                let why = Why::Value {
                    field: "object index",
                    value: id.index.into(),
                    expected: "is not that of an object of the collection",
                };
                Err(Malformed { what: "global heap ID", at: id.collection.0, why }.into())
            }
        }
    }

    fn find(&self, at: Addr) -> Option<Arc<Kept>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let place = kept.iter().position(|collection| collection.at == at)?;
        kept.swap(0, place);
        kept.front().cloned()
    }

    fn keep(&self, read: Arc<Kept>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|collection| collection.at != read.at);
        kept.push_front(read);
        let mut bytes = 0;
        kept.retain(|collection| {
            let first = bytes == 0;
            bytes += collection.bytes.len();
            first || bytes <= KEPT
        });
    }
}

fn read(source: &Source, at: Addr) -> Result<Kept> {
    const WHAT: &str = "global heap collection";
    let widths = source.widths();
    let mut bytes = source.bytes_up_to(WHAT, at, h5live_format::global_heap::MIN_COLLECTION_SIZE)?;
    let size = Collection::decode_size(&bytes, at.0, widths)?;
    if size > bytes.len() as u64 {
        bytes = source.bytes(WHAT, at, size)?;
    }
    let start = bytes.as_ptr().addr();
    let range = |data: &[u8]| {
        let from = data.as_ptr().addr() - start;
        from..from + data.len()
    };
    let collection = Collection::decode(&bytes, at.0, widths)?;
    let objects = collection.objects().iter().map(|object| (object.index, range(object.data))).collect();
    Ok(Kept { at, bytes, objects })
}

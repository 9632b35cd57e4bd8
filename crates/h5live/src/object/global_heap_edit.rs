//! Variable-length data on their way to the file.
//!
//! A global heap collection has no checksum, so one that readers can reach is never changed. [`HeapWriter`] collects
//! what one publication brings into collections that are written once, complete. The reference to a datum is known at
//! once, because a collection's space is reserved when it is opened.

use h5live_format::Addr;
use h5live_format::global_heap::{CollectionBuilder, GlobalHeapId, MIN_COLLECTION_SIZE, VariableLength};

use crate::error::{Error, Result};
use crate::live::space::Placement;
use crate::live::writer::Writer;

/// Bytes of the largest collection that is shared by several objects.
const LARGEST: u64 = 64 * 1024;

/// Collects variable-length data into collections of the global heap.
#[derive(Debug, Default)]
pub(crate) struct HeapWriter {
    open: Option<OpenCollection>,
    /// Bytes the next collection gets: twice the last one's, while one publication goes on.
    next: u64,
}

#[derive(Debug)]
struct OpenCollection {
    addr: Addr,
    capacity: u64,
    builder: CollectionBuilder,
}

impl HeapWriter {
    /// Nothing collected yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a datum of `length` elements, encoded as `bytes`, and returns what stands for it in its element. Nothing
    /// may be published that holds it before [`HeapWriter::settle`].
    pub(crate) fn add(&mut self, writer: &mut Writer, length: u32, bytes: &[u8]) -> Result<VariableLength> {
        let object = if length == 0 { None } else { Some(self.add_object(writer, bytes)?) };
        Ok(VariableLength { length, object })
    }

    /// Adds an object and returns its ID.
    pub(crate) fn add_object(&mut self, writer: &mut Writer, bytes: &[u8]) -> Result<GlobalHeapId> {
        let size = bytes.len() as u64;
        if let Some(open) = &mut self.open
            && open.builder.size_with(size) <= open.capacity
            && let Some(index) = open.builder.add(bytes)
        {
            return Ok(GlobalHeapId { collection: open.addr, index: index.into() });
        }
        let mut builder = CollectionBuilder::new(writer.widths());
        let needed = builder.size_with(size);
        let index = builder.add(bytes).ok_or_else(|| Error::unsupported("a collection without indices"))?;
        if needed > LARGEST {
            let image = builder.finish();
            let collection = writer.reserve(image.len() as u64, Placement::Anywhere)?;
            writer.fresh_data(collection, image)?;
            return Ok(GlobalHeapId { collection, index: index.into() });
        }
        self.close(writer)?;
        let capacity = self.next.max(MIN_COLLECTION_SIZE).max(needed.next_power_of_two()).min(LARGEST);
        self.next = (capacity * 2).min(LARGEST);
        let addr = writer.reserve(capacity, Placement::Anywhere)?;
        self.open = Some(OpenCollection { addr, capacity, builder });
        Ok(GlobalHeapId { collection: addr, index: index.into() })
    }

    /// Plans what was collected. To be called before whatever holds a reference is published or read.
    pub(crate) fn settle(&mut self, writer: &mut Writer) -> Result<()> {
        self.next = 0;
        self.close(writer)
    }

    fn close(&mut self, writer: &mut Writer) -> Result<()> {
        let Some(OpenCollection { addr, capacity, builder }) = self.open.take() else { return Ok(()) };
        let image = builder.finish();
        let size = image.len() as u64;
        writer.fresh_data(addr, image)?;
        if size < capacity {
            writer.give_back(Addr(addr.0 + size), capacity - size);
        }
        Ok(())
    }
}

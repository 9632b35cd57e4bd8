//! Virtual datasets: elements that are in other datasets.

use std::sync::OnceLock;

use h5live_format::Addr;
use h5live_format::global_heap::GlobalHeapId;
use h5live_format::selection::Selection as StoredSelection;
use h5live_format::virtual_dataset::{Mapping, SourceFile, decode};

use crate::error::Result;
use crate::file::Inner;

/// Where a virtual dataset's elements are.
pub(crate) struct VirtualData {
    /// The global heap object with the list; none while nothing is mapped.
    list: Option<GlobalHeapId>,
    mappings: OnceLock<Vec<Mapping<StoredSelection>>>,
}

impl VirtualData {
    pub(crate) fn new(heap: Option<Addr>, index: u32) -> Self {
        Self { list: heap.map(|collection| GlobalHeapId { collection, index }), mappings: OnceLock::new() }
    }

    /// File and path of each source.
    pub(crate) fn describe(&self, file: &Inner) -> Result<Vec<(Option<String>, String)>> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let describe = |mapping: &Mapping<StoredSelection>| {
            let file = match &mapping.file {
                SourceFile::Same => None,
                SourceFile::Named(name) => Some(text(name)),
            };
            (file, text(&mapping.dataset))
        };
        Ok(self.mappings(file)?.iter().map(describe).collect())
    }

    /// The list of what is shown where.
    pub(crate) fn mappings(&self, file: &Inner) -> Result<&[Mapping<StoredSelection>]> {
        if let Some(mappings) = self.mappings.get() {
            return Ok(mappings);
        }
        let read = match self.list {
            Some(id) => {
                let (at, widths) = (id.collection.0, file.source.widths());
                file.heap.object(&file.source, id, |data| decode(data, at, widths, StoredSelection::read))??
            }
            None => Vec::new(),
        };
        Ok(self.mappings.get_or_init(|| read))
    }

    /// Reads the selected elements.
    pub(crate) fn read(
        &self,
        _file: &Inner,
        _meta: &super::Meta,
        _dims: &[u64],
        _selection: &crate::Selection,
        _out: &mut [u8],
    ) -> Result<()> {
        Err(crate::Error::unsupported("reading a virtual dataset"))
    }
}

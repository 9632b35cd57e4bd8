//! The filters a program has.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{
    Bitshuffle, Blosc, Blosc2, Bzip2, Deflate, Filter, FilterId, Fletcher32, Lz4, Lzf, NBit, ScaleOffset, Shuffle,
    Szip, Zfp, Zstandard,
};

/// Filters by number. [`Registry::default`] has those of this crate; a program adds its own.
#[derive(Debug, Clone)]
pub struct Registry {
    filters: BTreeMap<FilterId, Arc<dyn Filter>>,
}

impl Registry {
    /// No filters at all.
    pub fn empty() -> Self {
        Self { filters: BTreeMap::new() }
    }

    /// Adds a filter, or puts it in the place of the one with that number.
    pub fn register(&mut self, id: FilterId, filter: impl Filter + 'static) -> &mut Self {
        self.filters.insert(id, Arc::new(filter));
        self
    }

    /// The filter with that number.
    pub fn find(&self, id: FilterId) -> Option<&Arc<dyn Filter>> {
        self.filters.get(&id)
    }

    /// The numbers of the filters there are, ascending.
    pub fn ids(&self) -> impl Iterator<Item = FilterId> + '_ {
        self.filters.keys().copied()
    }
}

impl Default for Registry {
    fn default() -> Self {
        let mut registry = Self::empty();
        registry
            .register(FilterId::DEFLATE, Deflate)
            .register(FilterId::SHUFFLE, Shuffle)
            .register(FilterId::FLETCHER32, Fletcher32)
            .register(FilterId::SZIP, Szip)
            .register(FilterId::NBIT, NBit)
            .register(FilterId::SCALE_OFFSET, ScaleOffset)
            .register(FilterId::BZIP2, Bzip2)
            .register(FilterId::LZF, Lzf)
            .register(FilterId::BLOSC, Blosc)
            .register(FilterId::LZ4, Lz4)
            .register(FilterId::BITSHUFFLE, Bitshuffle)
            .register(FilterId::ZFP, Zfp)
            .register(FilterId::ZSTANDARD, Zstandard)
            .register(FilterId::BLOSC2, Blosc2);
        registry
    }
}

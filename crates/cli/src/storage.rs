//! What a dataset's elements take in the file.

use h5live::{Dataset, Layout};
use serde_json::{Value as Json, json};

use crate::failure::Failure;
use crate::filters;
use crate::output::{bytes, shape, size_of, thousands};

/// The bytes of a dataset, as stored and as they would be without filters, and its chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StorageUse {
    stored: u64,
    /// All elements of the extent, whether they are stored or not.
    plain: u64,
    chunks: Option<ChunkUse>,
}

/// The stored chunks of a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ChunkUse {
    /// In elements.
    shape: Vec<u64>,
    /// What finds them.
    index: &'static str,
    count: u64,
    /// How many the extent has room for.
    room: u64,
    /// Bytes of one before filters.
    plain: u64,
    /// Bytes of the smallest and the largest as stored; zeros where there is none.
    least: u64,
    most: u64,
    /// Chunks for which some filter was left out.
    skipped: u64,
}

impl StorageUse {
    /// Looks at the chunks through their index; reads none of them.
    pub(crate) fn of(dataset: &Dataset) -> Result<Self, Failure> {
        let size = u64::from(dataset.datatype().size());
        let plain = dataset.len().saturating_mul(size);
        let Some(chunk) = dataset.chunk_shape() else {
            return Ok(Self { stored: dataset.storage_size()?, plain, chunks: None });
        };
        let room = dataset.shape().into_iter().zip(chunk).map(|(dim, chunk)| dim.div_ceil((*chunk).max(1)));
        let mut chunks = ChunkUse {
            shape: chunk.to_vec(),
            index: dataset.chunk_index().unwrap_or("none"),
            count: 0,
            room: room.fold(1, u64::saturating_mul),
            plain: chunk.iter().copied().fold(size, u64::saturating_mul),
            least: 0,
            most: 0,
            skipped: 0,
        };
        let mut stored = 0u64;
        dataset.for_each_chunk(|chunk| {
            chunks.least = if chunks.count == 0 { chunk.size } else { chunks.least.min(chunk.size) };
            chunks.most = chunks.most.max(chunk.size);
            chunks.skipped += u64::from(chunk.filter_mask != 0);
            chunks.count += 1;
            stored = stored.saturating_add(chunk.size);
        })?;
        Ok(Self { stored, plain, chunks: Some(chunks) })
    }

    /// How many bytes of elements each stored byte stands for: of stored chunks, where there are chunks.
    fn ratio(&self) -> Option<f64> {
        let plain = self.chunks.as_ref().map_or(self.plain, |chunks| chunks.plain.saturating_mul(chunks.count));
        (self.stored > 0 && plain > 0).then(|| plain as f64 / self.stored as f64)
    }

    fn mean(&self) -> Option<f64> {
        let count = self.chunks.as_ref().map(|chunks| chunks.count).filter(|count| *count > 0)?;
        Some(self.stored as f64 / count as f64)
    }

    /// In lines of a name and what is to be said.
    pub(crate) fn rows(&self, dataset: &Dataset) -> Vec<Vec<String>> {
        let mut rows = Vec::new();
        let mut row = |name: &str, value: String| rows.push(vec![name.to_owned(), value]);
        let filters = filters::notation(dataset);
        if let Some(chunks) = &self.chunks {
            let of = if chunks.count == chunks.room {
                String::new()
            } else {
                format!(" (the extent has room for {})", thousands(chunks.room))
            };
            row("chunks", format!("{} of {}{of}", thousands(chunks.count), shape(&chunks.shape)));
            row("found by", chunks.index.to_owned());
            row("chunk size", self.chunk_size(chunks));
        }
        if !filters.is_empty() {
            row("filters", filters.join(", "));
        }
        if let Some(chunks) = self.chunks.as_ref().filter(|chunks| chunks.skipped > 0) {
            row("unfiltered", format!("{} chunks, in whole or in part", thousands(chunks.skipped)));
        }
        let ratio = self.ratio().filter(|_| !filters.is_empty()).map(|ratio| format!(", {ratio:.2} : 1"));
        if dataset.layout() == Layout::Virtual {
            row("stored", format!("elsewhere: {} of elements", size_of(self.plain)));
            return rows;
        }
        let plain = if self.plain == self.stored { String::new() } else { format!(" for {}", size_of(self.plain)) };
        row("stored", format!("{}{plain}{}", size_of(self.stored), ratio.unwrap_or_default()));
        rows
    }

    fn chunk_size(&self, chunks: &ChunkUse) -> String {
        match self.mean() {
            Some(mean) if chunks.least < chunks.most || chunks.most != chunks.plain => format!(
                "{}, stored as {} to {}, {} on average",
                bytes(chunks.plain),
                bytes(chunks.least),
                bytes(chunks.most),
                bytes(mean.round() as u64)
            ),
            _ => bytes(chunks.plain),
        }
    }

    /// The same for programs.
    pub(crate) fn json(&self) -> Json {
        let chunks = self.chunks.as_ref().map(|chunks| {
            json!({
                "count": chunks.count,
                "room": chunks.room,
                "index": chunks.index,
                "plain_bytes": chunks.plain,
                "min_bytes": chunks.least,
                "mean_bytes": self.mean(),
                "max_bytes": chunks.most,
                "filters_skipped": chunks.skipped,
            })
        });
        json!({ "stored_bytes": self.stored, "plain_bytes": self.plain, "ratio": self.ratio(), "chunks": chunks })
    }
}

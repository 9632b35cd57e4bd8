//! Bytes to bytes: the filters that HDF5 chunks pass through, one file each, and the [`Pipeline`] they form.
//!
//! Writing applies a pipeline's filters in order, reading undoes them in reverse. A chunk carries a mask: bit *i* set means that filter
//! *i* was skipped for this chunk, because it is optional and failed or gained nothing.
//!
//! A pipeline is made once per dataset and used from any number of threads. What it decodes is bounded by the length the caller
//! expects, whatever the bytes say.
//!
//! ```
//! use h5live_filter::{FilterId, Pipeline, Registry, Stage};
//!
//! let stages = [Stage::new(FilterId::SHUFFLE, [4]), Stage::new(FilterId::DEFLATE, [6])];
//! let pipeline = Pipeline::new(stages, &Registry::default())?;
//! let chunk: Vec<u8> = (0..1000_u32).flat_map(u32::to_le_bytes).collect();
//! let (stored, mask) = pipeline.encode(&chunk)?;
//! assert!(stored.len() < chunk.len());
//! assert_eq!(pipeline.decode(mask, &stored, chunk.len())?, chunk);
//! # Ok::<(), h5live_filter::Error>(())
//! ```

mod bit_transpose;
mod bits;
mod bitshuffle;
mod blosc;
mod bzip2;
mod codec;
mod deflate;
mod error;
mod fletcher32;
mod form;
mod id;
mod lz4;
mod lzf;
mod nbit;
mod pipeline;
mod registry;
mod scale_offset;
mod shuffle;
mod szip;
mod zfp;
mod zstandard;

pub use bitshuffle::Bitshuffle;
pub use blosc::{Blosc, Blosc2};
pub use bzip2::Bzip2;
pub use deflate::Deflate;
pub use error::{Error, Problem};
pub use fletcher32::{Fletcher32, fletcher32};
pub use form::{BitField, ByteOrder, ChunkForm, ElementType};
pub use id::FilterId;
pub use lz4::Lz4;
pub use lzf::Lzf;
pub use nbit::NBit;
pub use pipeline::{Pipeline, Scratch, Stage};
pub use registry::Registry;
pub use scale_offset::ScaleOffset;
pub use shuffle::Shuffle;
pub use szip::Szip;
pub use zfp::Zfp;
pub use zstandard::Zstandard;

use std::fmt;

/// A filter: a reversible change of a chunk's bytes.
///
/// `values` are the client values stored with the dataset, which parameterise the filter; they come from a file and may be anything.
pub trait Filter: fmt::Debug + Send + Sync {
    /// The name for messages.
    fn name(&self) -> &str;

    /// Turns the client values a program gives for a new dataset into those its file keeps: a filter that needs to know more of the
    /// chunks than their bytes adds it here.
    ///
    /// # Errors
    /// When `values` make no sense, or the filter is not for such chunks.
    fn settle(&self, values: &[u32], form: &ChunkForm<'_>) -> Result<Vec<u32>, Problem> {
        let _ = form;
        Ok(values.to_vec())
    }

    /// Whether what it makes of a chunk is always as long as the chunk.
    fn keeps_length(&self, values: &[u32]) -> bool {
        let _ = values;
        false
    }

    /// Undoes the filter: writes what `input` stands for to the front of `output` and returns how many bytes that is.
    ///
    /// # Errors
    /// When `input` or `values` make no sense, or the result does not fit into `output`, which is then of unspecified content.
    fn decode(&self, values: &[u32], input: &[u8], output: &mut [u8]) -> Result<usize, Problem>;

    /// Applies the filter: appends the result to `output`, which the caller hands over empty.
    ///
    /// # Errors
    /// When `values` make no sense or the filter cannot be applied to `input`.
    fn encode(&self, values: &[u32], input: &[u8], output: &mut Vec<u8>) -> Result<Encoded, Problem>;
}

/// How applying a filter went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoded {
    /// The output stands for the input.
    Done,
    /// The output stands for the input, but a filter meant to make it shorter did not: if it is optional it is better skipped.
    NoGain,
}

impl Encoded {
    /// The verdict of a filter meant to shorten its input.
    fn by_length(input: &[u8], output: &[u8]) -> Self {
        if output.len() < input.len() { Self::Done } else { Self::NoGain }
    }
}

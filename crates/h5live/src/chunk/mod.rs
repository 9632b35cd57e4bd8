//! Chunked storage: the grid, the indexes that say where chunks are, and moving elements between chunks and memory.

pub(crate) mod decoded;
pub(crate) mod grid;
pub(crate) mod index;
pub(crate) mod runs;
pub(crate) mod store;

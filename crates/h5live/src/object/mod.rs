//! Objects: their headers, links, attributes and heaps.

pub(crate) mod attributes;
pub(crate) mod fractal_heap;
pub(crate) mod global_heap;
pub(crate) mod header;
pub(crate) mod links;
pub(crate) mod shared;

//! Objects: their headers, links, attributes and heaps.

pub(crate) mod header;

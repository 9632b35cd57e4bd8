//! Objects: their headers, links, attributes and heaps.

pub(crate) mod attribute_edit;
pub(crate) mod attributes;
pub(crate) mod dense_edit;
pub(crate) mod first_chunk;
pub(crate) mod foreign;
pub(crate) mod fractal_heap;
pub(crate) mod fractal_heap_edit;
pub(crate) mod global_heap;
pub(crate) mod global_heap_edit;
pub(crate) mod header;
pub(crate) mod header_edit;
pub(crate) mod link_edit;
pub(crate) mod links;
pub(crate) mod name_tree;
pub(crate) mod shared;
#[cfg(test)]
mod structure_live;
pub(crate) mod upgrade;

//! The HDF5 file format as types: bytes in, types out, and back.
//!
//! Every structure of the HDF5 File Format Specification (version 3.0) has one file here, named as the
//! specification names it, holding its type, its `decode`, its `encode` and their tests.
//!
//! What this crate promises, and what its callers rely on:
//!
//! * **No I/O, no clock, no lock.** Functions take byte slices and return values.
//! * **No panic on any input.** Decoding goes through [`Cursor`], which checks every step; `clippy::indexing_slicing`
//!   and friends are denied outside tests.
//! * **No allocation by an unchecked length.** A count read from a file is first held against the bytes that are there.
//! * **Errors say what, where and why**: the structure, its file address and the reason ([`Malformed`]).
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod checksum;
mod cursor;
mod encoding;
mod error;

pub mod array_element;
pub mod btree_v1;
pub mod btree_v2;
pub mod extensible_array;
pub mod fixed_array;
pub mod fractal_heap;
pub mod free_space;
pub mod global_heap;
pub mod local_heap;
pub mod reference;
pub mod shared_message_table;
pub mod symbol_table_node;
pub mod virtual_dataset;

pub mod message;
pub mod metadata_cache_image;
pub mod object_header;
pub mod selection;
pub mod superblock;

pub use checksum::{lookup3, lookup3_filler};
pub use cursor::{Cursor, Put};
pub use encoding::{Addr, Widths};
pub use error::{Malformed, Result, Why};

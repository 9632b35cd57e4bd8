//! What the tests of trees share.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::{ChunkForm, ChunkRecord, Edited, Header, Tree};
use crate::array_element::{ElementForm, StoredChunk};
use crate::{Addr, Result, Widths};

/// A file that is nothing but nodes.
#[derive(Default)]
pub(super) struct Nodes {
    pub(super) bytes: HashMap<Addr, Vec<u8>>,
    end: u64,
}

impl Nodes {
    pub(super) fn allocate(&mut self) -> impl FnMut(u64) -> Addr {
        |size| {
            self.end += size;
            Addr(self.end)
        }
    }

    pub(super) fn read(&self) -> impl Fn(Addr, u64) -> Result<Vec<u8>> {
        |addr, size| Ok(self.bytes[&addr][..size as usize].to_vec())
    }

    pub(super) fn apply(&mut self, edited: Edited) -> Header {
        for (addr, bytes) in edited.nodes {
            assert!(self.bytes.insert(addr, bytes).is_none());
        }
        for (addr, _) in edited.superseded {
            assert!(self.bytes.remove(&addr).is_some(), "superseded once, and there");
        }
        edited.header
    }
}

pub(super) const FORM: ChunkForm = ChunkForm { element: ElementForm::chunks(Widths::EIGHT, 64), rank: 2 };

pub(super) fn record(key: u64, value: u64) -> ChunkRecord {
    ChunkRecord { chunk: StoredChunk { addr: Addr(value), size: 64, filter_mask: 0 }, scaled: vec![key / 7, key % 7] }
}

pub(super) fn compare(key: u64) -> impl FnMut(&ChunkRecord) -> Result<Ordering> {
    move |record| Ok(record.scaled.as_slice().cmp(&[key / 7, key % 7]))
}

pub(super) fn tree(header: Header) -> Tree<ChunkRecord> {
    Tree::new(header, 0, Widths::EIGHT, FORM).unwrap()
}

//! Chunks in a version 1 B-tree, as libhdf5 writes them up to 1.8 and by default ever since: found only. The tree has no
//! checksums and cannot be changed while others read it, so nothing is entered here.

use std::collections::HashSet;
use std::sync::Arc;

use h5live_format::array_element::StoredChunk;
use h5live_format::btree_v1::{ChunkKey, Node};
use h5live_format::{Addr, Malformed, Why};

use crate::error::Result;
use crate::object::links::{decode_node, node_bytes};
use crate::source::{Look, Source};

/// Levels at most; real trees have a handful.
const MOST_LEVELS: u8 = 64;

/// A version 1 B-tree that indexes chunks.
#[derive(Debug, Clone)]
pub(crate) struct ChunkTreeV1 {
    root: Addr,
    /// Elements of a chunk along each axis: keys are offsets in elements.
    chunk: Vec<u64>,
    look: Look,
}

impl ChunkTreeV1 {
    /// The tree whose root node lies at `root`, over chunks of this shape.
    pub(crate) fn new(root: Addr, chunk: Vec<u64>) -> Self {
        Self { root, chunk, look: Look::new() }
    }

    /// Where the chunk at `scaled` is stored.
    pub(crate) fn lookup(&self, source: &Source, scaled: &[u64]) -> Result<Option<StoredChunk>> {
        let offset: Vec<u64> = scaled.iter().zip(&self.chunk).map(|(at, len)| at.saturating_mul(*len)).collect();
        let mut addr = self.root;
        let mut expected = None;
        loop {
            let node = self.node(source, addr, expected)?;
            // The last key is no use: it ends the tree within the last chunk, by the one dimension that keys here lack.
            let keys = &node.keys[..node.children.len()];
            let Some(last) = keys.partition_point(|key| key.offset <= offset).checked_sub(1) else { return Ok(None) };
            let (key, child) = (&keys[last], node.children[last]);
            match node.level.checked_sub(1) {
                None => return Ok((key.offset == offset).then(|| stored(key, child))),
                Some(below) => (addr, expected) = (child, Some(below)),
            }
        }
    }

    /// Every stored chunk, in row-major order of chunks.
    pub(crate) fn each(&self, source: &Source, mut visit: impl FnMut(&[u64], StoredChunk) -> Result<()>) -> Result<()> {
        let mut seen = HashSet::new();
        let mut waiting = vec![(self.root, None)];
        while let Some((addr, expected)) = waiting.pop() {
            if !seen.insert(addr) {
                return Err(malformed(addr, Why::Text("is named twice")).into());
            }
            let node = self.node(source, addr, expected)?;
            match node.level.checked_sub(1) {
                Some(below) => waiting.extend(node.children.iter().rev().map(|child| (*child, Some(below)))),
                None => {
                    for (key, addr, _) in node.entries() {
                        let scaled: Vec<u64> = key.offset.iter().zip(&self.chunk).map(|(at, len)| at / len).collect();
                        visit(&scaled, stored(key, addr))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn node(&self, source: &Source, addr: Addr, expected: Option<u8>) -> Result<Arc<Node<ChunkKey>>> {
        let form = self.chunk.len() as u8;
        let node = source.node((self.look, 0), addr, || {
            let bytes = node_bytes::<ChunkKey>(source, addr, form)?;
            Ok((decode_node::<ChunkKey>(source, addr, form, &bytes)?, bytes.len() as u64))
        })?;
        if node.level > MOST_LEVELS || expected.is_some_and(|expected| node.level != expected) {
            let (field, expected) = ("node level", "does not go with its parent's");
            return Err(malformed(addr, Why::Value { field, value: node.level.into(), expected }).into());
        }
        Ok(node)
    }
}

fn stored(key: &ChunkKey, addr: Addr) -> StoredChunk {
    StoredChunk { addr, size: key.size.into(), filter_mask: key.filter_mask }
}

fn malformed(addr: Addr, why: Why) -> Malformed {
    Malformed { what: "version 1 B-tree node", at: addr.0, why }
}

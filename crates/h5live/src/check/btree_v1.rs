//! Version 1 B-trees (III.A.1): over chunks, and over the symbol table nodes of old groups.

use std::collections::HashSet;

use h5live_format::Addr;
use h5live_format::array_element::StoredChunk;
use h5live_format::btree_v1::{ChunkKey, GroupKey, Key, Node};

use super::chunks::Chunks;
use super::owners::Use;
use super::report::Severity;
use super::walk::Walk;
use crate::object::links::read_node;

const NODE: &str = "version 1 B-tree node";
/// Levels at most; real trees have a handful.
const MOST_LEVELS: u8 = 64;

/// What a tree's nodes are like.
struct Tree<K: Key> {
    form: K::Form,
    /// Children a node has room for: twice the K of the superblock.
    room: u16,
    seen: HashSet<Addr>,
}

impl Walk<'_> {
    /// The chunks of a dataset.
    pub(super) fn chunk_tree_v1(&mut self, root: Addr, chunks: &Chunks<'_>) {
        let room = self.btree_k().indexed_storage.saturating_mul(2);
        let mut tree = Tree { form: chunks.grid.rank() as u8, room, seen: HashSet::new() };
        let mut last: Option<Vec<u64>> = None;
        let is_whole = |key: &ChunkKey| key.offset.iter().zip(&chunks.grid.chunk).all(|(at, len)| at % len == 0);
        self.nodes::<ChunkKey>(root, None, &mut tree, &mut |walk, node| {
            // The last key only bounds the node, and libhdf5 looks at it all the same.
            if let Some(bound) = node.keys.last().filter(|bound| !is_whole(bound)) {
                let problem = format!("its last key, {:?}, lies across the grid", bound.offset);
                walk.find(Severity::Error, NODE, node.children.first().copied(), problem);
            }
            for (key, addr, _) in node.entries() {
                if last.as_ref().is_some_and(|last| *last >= key.offset) {
                    let problem = format!("the chunk at {:?} is not in order", key.offset);
                    walk.find(Severity::Error, NODE, Some(addr), problem);
                }
                last = Some(key.offset.clone());
                if !is_whole(key) {
                    let problem = format!("a chunk at {:?} lies across the grid", key.offset);
                    walk.find(Severity::Error, NODE, Some(addr), problem);
                    continue;
                }
                let scaled: Vec<u64> = key.offset.iter().zip(&chunks.grid.chunk).map(|(at, len)| at / len).collect();
                chunks.chunk(walk, &scaled, StoredChunk { addr, size: key.size.into(), filter_mask: key.filter_mask });
            }
            Vec::new()
        });
    }

    /// The symbol table nodes of a group, in order; `visit` tells whether one can be read.
    pub(super) fn group_tree(&mut self, root: Addr, mut visit: impl FnMut(&mut Self, Addr) -> bool) {
        let room = self.btree_k().group_internal.saturating_mul(2);
        let mut tree = Tree { form: (), room, seen: HashSet::new() };
        self.nodes::<GroupKey>(root, None, &mut tree, &mut |walk, node| {
            (0..node.children.len()).filter(|number| !visit(walk, node.children[*number])).collect()
        });
    }

    fn nodes<K: Key>(
        &mut self,
        at: Addr,
        expected: Option<u8>,
        tree: &mut Tree<K>,
        leaf: &mut dyn FnMut(&mut Self, &Node<K>) -> Vec<usize>,
    ) -> bool
    where
        K::Form: Copy,
    {
        if !tree.seen.insert(at) {
            self.find(Severity::Error, NODE, Some(at), "is named twice");
            return false;
        }
        let node = match read_node::<K>(&self.source, at, tree.form) {
            Ok(node) => node,
            Err(error) => {
                self.unreadable(NODE, at, error);
                return false;
            }
        };
        // Libraries other than libhdf5 make nodes only as long as they need.
        let whole = Node::<K>::size(tree.room.max(node.children.len() as u16), tree.form, self.widths);
        let used = Node::<K>::size(node.children.len() as u16, tree.form, self.widths);
        let left = self.physical.saturating_sub(at.0);
        self.claim(NODE, at, if whole <= left { whole } else { used }, Use::Metadata);
        if node.children.len() > usize::from(tree.room) {
            let problem = format!("has {} children, and room for {}", node.children.len(), tree.room);
            self.find(Severity::Warning, NODE, Some(at), problem);
        }
        if node.level > MOST_LEVELS || expected.is_some_and(|expected| expected != node.level) {
            let problem = format!("its level is {}, which does not go with its parent's", node.level);
            self.find(Severity::Error, NODE, Some(at), problem);
            return false;
        }
        let bad: Vec<usize> = match node.level.checked_sub(1) {
            None => leaf(self, &node),
            Some(below) => (0..node.children.len())
                .filter(|number| !self.nodes(node.children[*number], Some(below), tree, leaf))
                .collect(),
        };
        if !bad.is_empty() && self.purpose.rebuild {
            self.without_children::<K>(at, &node, &bad, tree.form);
        }
        true
    }

    /// Lays a node over the one at `at` that does not name these children.
    fn without_children<K: Key>(&mut self, at: Addr, node: &Node<K>, bad: &[usize], form: K::Form) {
        let Some(overlay) = self.overlay else { return };
        let size = Node::<K>::size(node.children.len() as u16, form, self.widths);
        let Ok(mut bytes) = self.source.bytes(NODE, at, size) else { return };
        let entry = K::size(form, self.widths) + usize::from(self.widths.offset);
        let start = 8 + 2 * usize::from(self.widths.offset);
        for number in bad.iter().rev() {
            let from = start + number * entry;
            if from + entry <= bytes.len() {
                bytes.drain(from..from + entry);
            }
        }
        let count = (node.children.len() - bad.len()) as u16;
        bytes[6..8].copy_from_slice(&count.to_le_bytes());
        overlay.patch(self.source.base() + at.0, bytes);
    }
}

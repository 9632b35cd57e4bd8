//! Nodes of indexes as they were decoded, kept: small reads of a dataset of many chunks need the same few again and again.

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use h5live_format::Addr;

/// Bytes in the file of the nodes that are kept at most. Decoded, they take some four times as much.
const MOST: u64 = 4 << 20;

/// One look at a dataset, or at an index. What was decoded for it holds for it and its clones alone: the next look sees what the file
/// has become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Look(u64);

impl Look {
    /// One for which nothing is kept: at what this process changes.
    pub(crate) const PASSING: Self = Self(0);

    /// Another than all before.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// A node: the look that found it, where it is, and what its parent says of it beside that (its size, its level): in a damaged
/// file, two parents may say different things of the same bytes.
pub(super) type Key = (Look, Addr, u64);

/// The nodes of one file, the newest.
#[derive(Default)]
pub(super) struct Nodes {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    nodes: HashMap<Key, Node>,
    /// The oldest first.
    order: VecDeque<Key>,
    /// In the file.
    bytes: u64,
}

struct Node {
    decoded: Arc<dyn Any + Send + Sync>,
    bytes: u64,
}

impl Nodes {
    /// The node as it was when its look saw it first: read now, if that is long ago. `read` tells its bytes in the
    /// file, too.
    pub(super) fn get<T: Any + Send + Sync, E>(
        &self,
        key: Key,
        read: impl FnOnce() -> Result<(T, u64), E>,
    ) -> Result<Arc<T>, E> {
        let kept = self.kept().nodes.get(&key).map(|node| node.decoded.clone());
        // In a damaged file, nodes of two kinds may have one address.
        if let Some(Ok(decoded)) = kept.map(Arc::downcast) {
            return Ok(decoded);
        }
        let (node, bytes) = read()?;
        let decoded = Arc::new(node);
        self.kept().keep(key, Node { decoded: decoded.clone(), bytes });
        Ok(decoded)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Keeps a node, and lets go of the oldest that there is no room for.
    fn keep(&mut self, key: Key, node: Node) {
        self.bytes = self.bytes.saturating_add(node.bytes);
        match self.nodes.insert(key, node) {
            Some(before) => self.bytes = self.bytes.saturating_sub(before.bytes),
            None => self.order.push_back(key),
        }
        while self.bytes > MOST && self.order.len() > 1 {
            let oldest = self.order.pop_front().and_then(|oldest| self.nodes.remove(&oldest));
            self.bytes = self.bytes.saturating_sub(oldest.map_or(0, |node| node.bytes));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_look_reads_a_node_once() {
        let nodes = Nodes::default();
        let (first, second) = (Look::new(), Look::new());
        let read = |look, addr, value: u32| *nodes.get((look, Addr(addr), 0), || Ok::<_, ()>((value, 100))).unwrap();
        assert_eq!([read(first, 8, 1), read(first, 8, 2), read(first, 9, 3)], [1, 1, 3]);
        assert_eq!([read(second, 8, 4), read(first, 8, 5), read(second, 8, 6)], [4, 1, 4]);
        assert_eq!(nodes.get((first, Addr(8), 1), || Ok::<_, ()>((9u32, 100))).as_deref(), Ok(&9));
        // What failed is not kept, nor is a node of another kind taken for what is sought.
        assert_eq!(nodes.get((first, Addr(7), 0), || Err::<(u32, u64), _>("torn")), Err("torn"));
        assert_eq!(read(first, 7, 8), 8);
        assert_eq!(nodes.get((first, Addr(7), 0), || Ok::<_, ()>(("text", 100))).as_deref(), Ok(&"text"));
    }

    #[test]
    fn only_so_many_bytes_are_kept() {
        let nodes = Nodes::default();
        let look = Look::new();
        let size = MOST / 8;
        for addr in 0..100 {
            nodes.get((look, Addr(addr), 0), || Ok::<_, ()>((addr, size))).unwrap();
            let kept = nodes.kept();
            assert_eq!(kept.nodes.len(), kept.order.len());
            assert_eq!(kept.bytes, kept.nodes.len() as u64 * size);
            assert!(kept.bytes <= MOST);
        }
        assert!(nodes.get::<u64, _>((look, Addr(99), 0), || Err(())).is_ok());
        assert!(nodes.get::<u64, _>((look, Addr(0), 0), || Err(())).is_err());
        // One that is larger than all room is kept alone.
        nodes.get((look, Addr(200), 0), || Ok::<_, ()>((200u64, MOST * 2))).unwrap();
        assert!(nodes.get::<u64, _>((look, Addr(200), 0), || Err(())).is_ok());
        assert_eq!(nodes.kept().nodes.len(), 1);
    }
}

//! Version 1 B-trees (III.A.1): the links of old groups, and the chunks of old datasets.
//!
//! A node has one key more than it has children; child `i` holds what lies between keys `i` and `i + 1`. Below level 0
//! lie symbol table nodes (groups) or the chunks themselves.

use std::cmp::Ordering;

use crate::{Addr, Cursor, Result, Widths};

/// The keys of one kind of tree.
pub trait Key: Sized {
    /// What must be known to decode a key.
    type Form: Copy;
    /// The "Node Type" of trees with such keys.
    const NODE_TYPE: u8;

    /// Bytes of a key.
    fn size(form: Self::Form, widths: Widths) -> usize;
    /// Reads a key.
    fn decode(cursor: &mut Cursor<'_>, form: Self::Form, widths: Widths) -> Result<Self>;
}

/// The key of a group's tree: the offset of a link name in the group's local heap.
///
/// Child `i` holds names above that of key `i` up to and including that of key `i + 1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GroupKey(pub u64);

impl Key for GroupKey {
    type Form = ();
    const NODE_TYPE: u8 = 0;

    fn size((): (), widths: Widths) -> usize {
        widths.length.into()
    }

    fn decode(cursor: &mut Cursor<'_>, (): (), widths: Widths) -> Result<Self> {
        cursor.length("key", widths).map(Self)
    }
}

/// The key of a dataset's tree: what the chunk is that follows it. The last key of a node only bounds it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ChunkKey {
    /// Bytes of the chunk as stored.
    pub size: u32,
    /// Bit n set: filter n of the pipeline was skipped.
    pub filter_mask: u32,
    /// Offset of the chunk's first element in the dataset, in elements, slowest dimension first.
    pub offset: Vec<u64>,
}

impl Key for ChunkKey {
    /// The dataset's rank.
    type Form = u8;
    const NODE_TYPE: u8 = 1;

    fn size(rank: u8, _: Widths) -> usize {
        8 + 8 * (usize::from(rank) + 1)
    }

    fn decode(cursor: &mut Cursor<'_>, rank: u8, _: Widths) -> Result<Self> {
        let size = cursor.u32("size of chunk")?;
        let filter_mask = cursor.u32("filter mask")?;
        let offset = (0..rank).map(|_| cursor.u64("chunk offset")).collect::<Result<_>>()?;
        // One dimension more, for the bytes of an element: a chunk always starts with a whole one.
        cursor.skip("offset in datatype", 8)?;
        Ok(Self { size, filter_mask, offset })
    }
}

/// A node ("TREE").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node<K> {
    /// Levels between this node and what the tree indexes.
    pub level: u8,
    /// The node before it on its level.
    pub left: Option<Addr>,
    /// The node after it on its level.
    pub right: Option<Addr>,
    /// The keys, one more than there are children.
    pub keys: Vec<K>,
    /// What lies between the keys.
    pub children: Vec<Addr>,
}

impl<K: Key> Node<K> {
    /// Bytes of a node with room for `children` children: twice the "K" of the superblock or the layout.
    #[must_use]
    pub fn size(children: u16, form: K::Form, widths: Widths) -> u64 {
        let (children, key, offset) = (u64::from(children), K::size(form, widths) as u64, u64::from(widths.offset));
        8 + 2 * offset + children * (offset + key) + key
    }

    /// Bytes in use of the node that starts with `bytes`, of which eight suffice: what must be read to decode it. For
    /// where "K" is not known.
    pub fn used_size(bytes: &[u8], at: u64, form: K::Form, widths: Widths) -> Result<u64> {
        let (_, entries) = Self::start(&mut Cursor::new(Self::WHAT, at, bytes))?;
        Ok(Self::size(entries, form, widths))
    }

    /// Decodes the node at file address `at`.
    pub fn decode(bytes: &[u8], at: u64, form: K::Form, widths: Widths) -> Result<Self> {
        let mut cursor = Cursor::new(Self::WHAT, at, bytes);
        let (level, entries) = Self::start(&mut cursor)?;
        let left = cursor.addr("address of left sibling", widths)?;
        let right = cursor.addr("address of right sibling", widths)?;
        let entry = K::size(form, widths) + usize::from(widths.offset);
        let count = cursor.checked_count("entries", entries.into(), entry)?;
        let (mut keys, mut children) = (Vec::with_capacity(count + 1), Vec::with_capacity(count));
        for _ in 0..count {
            keys.push(K::decode(&mut cursor, form, widths)?);
            children.push(cursor.defined_addr("child address", widths)?);
        }
        keys.push(K::decode(&mut cursor, form, widths)?);
        Ok(Self { level, left, right, keys, children })
    }

    /// The children with the keys before and after each.
    pub fn entries(&self) -> impl Iterator<Item = (&K, Addr, &K)> {
        self.children
            .iter()
            .zip(self.keys.iter().zip(self.keys.iter().skip(1)))
            .map(|(addr, (key, next))| (key, *addr, next))
    }

    /// The child that `compare` calls equal; it tells how what lies between two keys relates to what is sought.
    pub fn find<E>(
        &self,
        mut compare: impl FnMut(&K, &K) -> std::result::Result<Ordering, E>,
    ) -> std::result::Result<Option<(&K, Addr)>, E> {
        let (mut from, mut to) = (0, self.children.len());
        while from < to {
            let middle = from + (to - from) / 2;
            let (Some(key), Some(next), Some(addr)) =
                (self.keys.get(middle), self.keys.get(middle + 1), self.children.get(middle))
            else {
                break;
            };
            match compare(key, next)? {
                Ordering::Less => from = middle + 1,
                Ordering::Greater => to = middle,
                Ordering::Equal => return Ok(Some((key, *addr))),
            }
        }
        Ok(None)
    }

    const WHAT: &'static str = "version 1 B-tree node";

    fn start(cursor: &mut Cursor<'_>) -> Result<(u8, u16)> {
        cursor.signature("TREE")?;
        let kind = cursor.u8("node type")?;
        if kind != K::NODE_TYPE {
            return Err(cursor.bad_value("node type", kind.into(), "is not the type of tree expected here"));
        }
        Ok((cursor.u8("node level")?, cursor.u16("entries used")?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Put;

    const W: Widths = Widths::EIGHT;

    fn node(kind: u8, keys: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = b"TREE".to_vec();
        bytes.put_u8(kind);
        bytes.put_u8(2);
        bytes.put_u16(keys.len() as u16 - 1);
        bytes.put_addr(None, W);
        bytes.put_addr(Some(Addr(77)), W);
        for (number, key) in keys.iter().enumerate() {
            bytes.extend_from_slice(key);
            if number + 1 < keys.len() {
                bytes.put_addr(Some(Addr(1000 + number as u64)), W);
            }
        }
        bytes
    }

    fn chunk_key(rows: u64) -> Vec<u8> {
        let mut key = Vec::new();
        key.put_u32(400);
        key.put_u32(1);
        for offset in [rows, 5, 0] {
            key.put_u64(offset);
        }
        key
    }

    #[test]
    fn nodes_of_both_kinds_decode() {
        let bytes = node(0, &[0u64, 8, 24].map(|offset| offset.to_le_bytes().to_vec()));
        let group = Node::<GroupKey>::decode(&bytes, 0, (), W).unwrap();
        assert_eq!((group.level, group.left, group.right), (2, None, Some(Addr(77))));
        assert_eq!(group.keys, [GroupKey(0), GroupKey(8), GroupKey(24)]);
        assert_eq!(group.children, [Addr(1000), Addr(1001)]);
        assert_eq!(Node::<GroupKey>::used_size(&bytes[..8], 0, (), W), Ok(bytes.len() as u64));

        let bytes = node(1, &[0, 10, 20, 30].map(chunk_key));
        let chunks = Node::<ChunkKey>::decode(&bytes, 0, 2, W).unwrap();
        assert_eq!(chunks.keys[1], ChunkKey { size: 400, filter_mask: 1, offset: vec![10, 5] });
        assert_eq!(Node::<ChunkKey>::used_size(&bytes[..8], 0, 2, W), Ok(bytes.len() as u64));
        for (sought, found) in [(10, Some(Addr(1001))), (29, Some(Addr(1002))), (30, None), (0, Some(Addr(1000)))] {
            let child = chunks.find(|key, next| {
                Ok::<_, ()>(if next.offset[0] <= sought {
                    Ordering::Less
                } else if key.offset[0] > sought {
                    Ordering::Greater
                } else {
                    Ordering::Equal
                })
            });
            assert_eq!(child.unwrap().map(|(_, addr)| addr), found, "{sought}");
        }
        assert_eq!(chunks.entries().count(), 3);
        assert!(Node::<GroupKey>::decode(&bytes, 0, (), W).is_err());
    }

    #[test]
    fn shortened_nodes_are_errors_and_changed_ones_never_panic() {
        let mut bytes = node(1, &[0, 10, 20, 30].map(chunk_key));
        for place in 0..bytes.len() {
            assert!(Node::<ChunkKey>::decode(&bytes[..place], 0, 2, W).is_err());
            for bit in 0..8 {
                bytes[place] ^= 1 << bit;
                let _ = Node::<ChunkKey>::decode(&bytes, 0, 2, W);
                bytes[place] ^= 1 << bit;
            }
        }
    }

    #[test]
    fn sizes_are_those_of_libhdf5() {
        // 2K children of the default K: 16 in groups, 32 in datasets (rank 1 here).
        assert_eq!(Node::<GroupKey>::size(32, (), W), 544);
        assert_eq!(Node::<ChunkKey>::size(64, 1, W), 2096);
    }
}

//! Version 2 B-trees (III.A.2): ordered records of one kind, in the leaves *and* in the internal nodes between them.
//!
//! A parent stores how many records each child holds, and every node carries a checksum: no record can be changed in
//! place without touching the whole path. So a tree is changed by copying: [`Editor`] reads the nodes on the paths it
//! needs, and [`Editor::finish`] yields new nodes, the header that names them, and what they supersede.
//!
//! Reading bytes is left to the caller, as a closure from address and size to bytes; so is comparing, because the order
//! of some records (links, attributes, shared messages) is that of names or contents which lie in a heap.

mod edit;
mod records;
#[cfg(test)]
mod testing;

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::ops::Deref;

pub use self::edit::{Edited, Editor, build};
pub use self::records::{
    AttributeNameRecord, AttributeOrderRecord, ChunkForm, ChunkRecord, HugeFiltered, HugeForm, HugeRecord,
    LinkNameRecord, LinkOrderRecord,
};
use crate::{Addr, Cursor, Malformed, Put, Result, Why, Widths};

/// Signature, version, type and checksum of a node.
const NODE_OVERHEAD: u64 = 10;
/// More levels than any tree with two records a node can have below 2^63 records.
const MAX_LEVELS: usize = 41;

/// One kind of record. What varies from file to file (widths, rank) is its form.
pub trait Record: Clone + fmt::Debug {
    /// What must be known to encode and decode the record.
    type Form: Copy + fmt::Debug;

    /// The "Type" that header and nodes of a tree of such records store.
    fn kind(form: Self::Form) -> u8;
    /// Bytes of a record.
    fn size(form: Self::Form) -> u16;
    /// Reads a record.
    fn decode(cursor: &mut Cursor<'_>, form: Self::Form) -> Result<Self>;
    /// Writes a record.
    fn encode(&self, form: Self::Form, out: &mut Vec<u8>);
}

/// The header of a tree ("BTHD").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The kind of its records.
    pub kind: u8,
    /// Bytes of each node.
    pub node_size: u32,
    /// Bytes of each record.
    pub record_size: u16,
    /// Levels above the leaves; 0 when the root is a leaf.
    pub depth: u16,
    /// Percentage of its capacity at which a node is split.
    pub split_percent: u8,
    /// Percentage of its capacity below which a node is merged.
    pub merge_percent: u8,
    /// Address of the root node; none while there are no records.
    pub root: Option<Addr>,
    /// Records in the root node itself.
    pub root_records: u16,
    /// Records in the tree.
    pub total_records: u64,
}

impl Header {
    const WHAT: &'static str = "version 2 B-tree header";

    /// The header of a new tree, without records, with libhdf5's percentages (100 and 40).
    #[must_use]
    pub fn empty<R: Record>(form: R::Form, node_size: u32) -> Self {
        Self {
            kind: R::kind(form),
            node_size,
            record_size: R::size(form),
            depth: 0,
            split_percent: 100,
            merge_percent: 40,
            root: None,
            root_records: 0,
            total_records: 0,
        }
    }

    /// Bytes of a header.
    #[must_use]
    pub const fn size(widths: Widths) -> u64 {
        22 + widths.offset as u64 + widths.length as u64
    }

    /// Where the first field that ever changes (the depth) starts: a live overwrite runs from here to the end.
    pub const DEPTH_OFFSET: u64 = 12;

    /// Decodes the header at file address `at`.
    pub fn decode(bytes: &[u8], at: u64, widths: Widths) -> Result<Self> {
        let mut cursor = Cursor::new(Self::WHAT, at, bytes);
        cursor.signature("BTHD")?;
        cursor.version(0)?;
        let header = Self {
            kind: cursor.u8("type")?,
            node_size: cursor.u32("node size")?,
            record_size: cursor.u16("record size")?,
            depth: cursor.u16("depth")?,
            split_percent: cursor.u8("split percent")?,
            merge_percent: cursor.u8("merge percent")?,
            root: cursor.addr("root node address", widths)?,
            root_records: cursor.u16("number of records in root node")?,
            total_records: cursor.length("total number of records", widths)?,
        };
        cursor.checksum()?;
        Ok(header)
    }

    /// The header's bytes.
    #[must_use]
    pub fn encode(&self, widths: Widths) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::size(widths) as usize);
        out.extend_from_slice(b"BTHD");
        out.put_u8(0);
        out.put_u8(self.kind);
        out.put_u32(self.node_size);
        out.put_u16(self.record_size);
        out.put_u16(self.depth);
        out.put_u8(self.split_percent);
        out.put_u8(self.merge_percent);
        out.put_addr(self.root, widths);
        out.put_u16(self.root_records);
        out.put_length(self.total_records, widths);
        out.put_checksum_from(0);
        out
    }
}

/// What the nodes of one level can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// Records a node has room for.
    pub max_records: u64,
    /// Records above which a node is split.
    pub split_records: u64,
    /// Records below which a node (the root excepted) is merged.
    pub merge_records: u64,
    /// Records a full subtree holds whose root is on this level.
    max_total: u64,
    /// Bytes of a count of a subtree's records; leaves have none.
    total_width: u8,
}

/// The shape of a tree's nodes, by level: level 0 are the leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    widths: Widths,
    kind: u8,
    node_size: u32,
    record_size: u16,
    count_width: u8,
    levels: Vec<Level>,
}

impl Layout {
    /// The shape that goes with a header found at `at`.
    ///
    /// # Errors
    /// When no tree can have such nodes, or not of that depth.
    pub fn new(header: &Header, at: u64, widths: Widths) -> Result<Self> {
        let bad =
            |field, value, expected| Malformed { what: Header::WHAT, at, why: Why::Value { field, value, expected } };
        if header.record_size == 0 {
            return Err(bad("record size", 0, "is nothing"));
        }
        if !(1..=100).contains(&header.split_percent)
            || u16::from(header.merge_percent) * 2 > u16::from(header.split_percent)
        {
            return Err(bad(
                "split percent",
                header.split_percent.into(),
                "is above 100 or below twice the merge percent",
            ));
        }
        let record_size = u64::from(header.record_size);
        let room = u64::from(header.node_size).saturating_sub(NODE_OVERHEAD);
        let level = |max_records: u64, below: Option<&Level>| {
            let max_total = match below {
                None => max_records,
                Some(below) => (max_records + 1).checked_mul(below.max_total)?.checked_add(max_records)?,
            };
            Some(Level {
                max_records,
                split_records: max_records * u64::from(header.split_percent) / 100,
                merge_records: max_records * u64::from(header.merge_percent) / 100,
                max_total,
                total_width: if below.is_some() { count_width(max_total) } else { 0 },
            })
        };
        let mut levels: Vec<Level> = level(room / record_size, None).into_iter().collect();
        let leaf_records = room / record_size;
        if leaf_records == 0 {
            return Err(bad("node size", header.node_size.into(), "has no room for a record"));
        }
        let count_width = count_width(leaf_records);
        while levels.len() < MAX_LEVELS {
            let below = levels.last();
            let pointer = u64::from(widths.offset)
                + u64::from(count_width)
                + below.map_or(0, |below| u64::from(below.total_width));
            let max_records = room.saturating_sub(pointer) / (record_size + pointer);
            match (max_records > 0).then(|| level(max_records, below)).flatten() {
                Some(level) => levels.push(level),
                None => break,
            }
        }
        if usize::from(header.depth) >= levels.len() {
            return Err(bad("depth", header.depth.into(), "is more than nodes of this size can reach"));
        }
        Ok(Self {
            widths,
            kind: header.kind,
            node_size: header.node_size,
            record_size: header.record_size,
            count_width,
            levels,
        })
    }

    /// What nodes at `depth` (0 for leaves) can hold; `None` above what any tree reaches.
    #[must_use]
    pub fn level(&self, depth: u16) -> Option<&Level> {
        self.levels.get(usize::from(depth))
    }

    /// Bytes in use of a node at `depth` that holds `records` records: what must be read of it to decode it.
    #[must_use]
    pub fn used_size(&self, depth: u16, records: u16) -> u64 {
        let records = u64::from(records);
        let children = if depth == 0 { 0 } else { records + 1 };
        NODE_OVERHEAD + records * u64::from(self.record_size) + children * self.pointer_size(depth)
    }

    fn pointer_size(&self, depth: u16) -> u64 {
        u64::from(self.widths.offset) + u64::from(self.count_width) + u64::from(self.child_total_width(depth))
    }

    /// Width of the count of all records below a child of a node at `depth`.
    fn child_total_width(&self, depth: u16) -> u8 {
        depth.checked_sub(1).and_then(|below| self.level(below)).map_or(0, |below| below.total_width)
    }
}

/// Bytes a count of at most `limit` takes.
fn count_width(limit: u64) -> u8 {
    (limit.max(1).ilog2() / 8 + 1) as u8
}

/// A parent's pointer to a child node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Child {
    /// Address of the node.
    pub addr: Addr,
    /// Records in the node itself.
    pub records: u16,
    /// Records in the node and all below it.
    pub total: u64,
}

/// A node: an internal one ("BTIN") has one child more than it has records, a leaf ("BTLF") has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node<R> {
    /// The records, in order.
    pub records: Vec<R>,
    /// The children: `children[i]` holds what lies before `records[i]`, the last one what lies after all of them.
    pub children: Vec<Child>,
}

impl<R: Record> Node<R> {
    /// Decodes the node at file address `at`, of which its parent (or the header) says that it lies at `depth` and holds
    /// `records` records.
    pub fn decode(bytes: &[u8], at: u64, depth: u16, records: u16, layout: &Layout, form: R::Form) -> Result<Self> {
        let leaf = depth == 0;
        let what = if leaf { "version 2 B-tree leaf node" } else { "version 2 B-tree internal node" };
        let mut cursor = Cursor::new(what, at, bytes);
        cursor.signature(if leaf { "BTLF" } else { "BTIN" })?;
        cursor.version(0)?;
        let kind = cursor.u8("type")?;
        if kind != layout.kind {
            return Err(cursor.bad_value("type", kind.into(), "is not that of the tree's header"));
        }
        if layout.level(depth).is_none_or(|level| u64::from(records) > level.max_records) {
            return Err(cursor.bad_value("number of records", records.into(), "is more than a node has room for"));
        }
        let count = cursor.checked_count("records", records.into(), layout.record_size.into())?;
        let decoded = (0..count)
            .map(|_| {
                let record = cursor.take("record", layout.record_size.into())?;
                R::decode(&mut Cursor::new(what, at, record), form)
            })
            .collect::<Result<_>>()?;
        let mut children = Vec::new();
        if !leaf {
            let count =
                cursor.checked_count("child nodes", u64::from(records) + 1, layout.pointer_size(depth) as usize)?;
            children.reserve(count);
            for _ in 0..count {
                let addr = cursor.defined_addr("child node address", layout.widths)?;
                let records = cursor.uint("number of records in child node", layout.count_width.into())?;
                let records = u16::try_from(records)
                    .map_err(|_| cursor.bad_value("number of records in child node", records, "is above 65535"))?;
                let total = match layout.child_total_width(depth) {
                    0 => records.into(),
                    width => cursor.uint("total number of records in child node", width.into())?,
                };
                children.push(Child { addr, records, total });
            }
        }
        cursor.checksum()?;
        Ok(Self { records: decoded, children })
    }

    /// The node's bytes, as many as the tree's nodes have; what is not in use is zero.
    #[must_use]
    pub fn encode(&self, depth: u16, layout: &Layout, form: R::Form) -> Vec<u8> {
        debug_assert!(layout.level(depth).is_some_and(|level| self.records.len() as u64 <= level.max_records));
        debug_assert_eq!(self.children.len(), if depth == 0 { 0 } else { self.records.len() + 1 });
        let mut out = Vec::with_capacity(layout.node_size as usize);
        out.extend_from_slice(if depth == 0 { b"BTLF" } else { b"BTIN" });
        out.put_u8(0);
        out.put_u8(layout.kind);
        for record in &self.records {
            record.encode(form, &mut out);
        }
        for child in &self.children {
            out.put_addr(Some(child.addr), layout.widths);
            out.put_uint(child.records.into(), layout.count_width.into());
            out.put_uint(child.total, layout.child_total_width(depth).into());
        }
        out.put_checksum_from(0);
        out.resize(layout.node_size as usize, 0);
        out
    }

    /// Records in the node and below it.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.children.iter().fold(self.records.len() as u64, |sum, child| sum.saturating_add(child.total))
    }
}

/// Searches ordered records. `compare` tells how a record relates to the one sought: [`Ordering::Less`] when it comes
/// before it. `Ok` is the position of an equal record, `Err` that at which one could be inserted.
pub fn search<R, E>(
    records: &[R],
    mut compare: impl FnMut(&R) -> std::result::Result<Ordering, E>,
) -> std::result::Result<std::result::Result<usize, usize>, E> {
    let (mut from, mut to) = (0, records.len());
    while from < to {
        let middle = from + (to - from) / 2;
        let Some(record) = records.get(middle) else { break };
        match compare(record)? {
            Ordering::Less => from = middle + 1,
            Ordering::Greater => to = middle,
            Ordering::Equal => return Ok(Ok(middle)),
        }
    }
    Ok(Err(from))
}

/// A tree of records of one kind: its header, the shape of its nodes and the form of its records.
#[derive(Debug, Clone)]
pub struct Tree<R: Record> {
    header: Header,
    at: u64,
    layout: Layout,
    form: R::Form,
}

impl<R: Record> Tree<R> {
    /// The tree whose header was found at `at`.
    ///
    /// # Errors
    /// When the header is that of a tree of other records, or impossible.
    pub fn new(header: Header, at: u64, widths: Widths, form: R::Form) -> Result<Self> {
        let bad =
            |field, value, expected| Malformed { what: Header::WHAT, at, why: Why::Value { field, value, expected } };
        if header.kind != R::kind(form) {
            return Err(bad("type", header.kind.into(), "is not the kind of record expected here"));
        }
        if header.record_size != R::size(form) {
            return Err(bad("record size", header.record_size.into(), "is not the size of such records"));
        }
        Ok(Self { header, at, layout: Layout::new(&header, at, widths)?, form })
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The shape of the nodes.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The form of the records.
    #[must_use]
    pub fn form(&self) -> R::Form {
        self.form
    }

    /// The record that `compare` ([`search`]) calls equal. `read` yields as many bytes of the file as it is asked for.
    pub fn find<E: From<Malformed>>(
        &self,
        mut read: impl FnMut(Addr, u64) -> std::result::Result<Vec<u8>, E>,
        compare: impl FnMut(&R) -> std::result::Result<Ordering, E>,
    ) -> std::result::Result<Option<R>, E> {
        self.find_in(|child, depth| self.node(child, depth, &mut read).map(Box::new), compare)
    }

    /// As [`Tree::find`], but `node` yields decoded nodes ([`Tree::node`]), which it may have kept.
    pub fn find_in<E: From<Malformed>, N: Deref<Target = Node<R>>>(
        &self,
        mut node: impl FnMut(&Child, u16) -> std::result::Result<N, E>,
        mut compare: impl FnMut(&R) -> std::result::Result<Ordering, E>,
    ) -> std::result::Result<Option<R>, E> {
        let Some(mut child) = self.root() else { return Ok(None) };
        for depth in (0..=self.header.depth).rev() {
            let node = node(&child, depth)?;
            match search(&node.records, &mut compare)? {
                Ok(found) => return Ok(node.records.get(found).cloned()),
                Err(before) => match node.children.get(before) {
                    Some(next) => child = *next,
                    None => break,
                },
            }
        }
        Ok(None)
    }

    /// Calls `visit` with every record, in order.
    pub fn for_each<E: From<Malformed>>(
        &self,
        mut read: impl FnMut(Addr, u64) -> std::result::Result<Vec<u8>, E>,
        mut visit: impl FnMut(R) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let Some(root) = self.root() else { return Ok(()) };
        // A damaged file may name one node from many: without this, a small one could keep a reader busy for ever.
        let mut seen = HashSet::from([root.addr]);
        let start = self.node(&root, self.header.depth, &mut read)?;
        let mut path = vec![(start.records.into_iter(), start.children.into_iter(), self.header.depth)];
        while let Some((records, children, depth)) = path.last_mut() {
            let depth = *depth;
            let Some(child) = children.next() else {
                // A leaf, or an internal node whose last child is done.
                for record in records.by_ref() {
                    visit(record)?;
                }
                path.pop();
                if let Some(record) = path.last_mut().and_then(|(records, ..)| records.next()) {
                    visit(record)?;
                }
                continue;
            };
            if !seen.insert(child.addr) {
                return Err(self.malformed("child node address", child.addr.0, "is that of another child, too").into());
            }
            let below = depth.saturating_sub(1);
            let node = self.node(&child, below, &mut read)?;
            path.push((node.records.into_iter(), node.children.into_iter(), below));
        }
        Ok(())
    }

    /// The addresses and sizes of all nodes: what may be freed when the tree is dropped.
    pub fn nodes<E: From<Malformed>>(
        &self,
        mut read: impl FnMut(Addr, u64) -> std::result::Result<Vec<u8>, E>,
    ) -> std::result::Result<Vec<(Addr, u64)>, E> {
        let mut seen = HashSet::new();
        let mut nodes = Vec::new();
        let mut todo: Vec<(Child, u16)> = self.root().map(|root| (root, self.header.depth)).into_iter().collect();
        while let Some((child, depth)) = todo.pop() {
            if !seen.insert(child.addr) {
                return Err(self.malformed("child node address", child.addr.0, "is that of another child, too").into());
            }
            nodes.push((child.addr, u64::from(self.header.node_size)));
            if depth > 0 {
                let node = self.node(&child, depth, &mut read)?;
                todo.extend(node.children.into_iter().map(|child| (child, depth - 1)));
            }
        }
        Ok(nodes)
    }

    fn root(&self) -> Option<Child> {
        let Header { root, root_records, total_records, .. } = self.header;
        root.filter(|_| root_records > 0).map(|addr| Child { addr, records: root_records, total: total_records })
    }

    /// The node that `child` names, at `depth`: 0 for leaves.
    pub fn node<E: From<Malformed>>(
        &self,
        child: &Child,
        depth: u16,
        read: impl FnOnce(Addr, u64) -> std::result::Result<Vec<u8>, E>,
    ) -> std::result::Result<Node<R>, E> {
        let bytes = read(child.addr, self.layout.used_size(depth, child.records))?;
        let node = Node::decode(&bytes, child.addr.0, depth, child.records, &self.layout, self.form)?;
        if node.records.is_empty() {
            return Err(self.malformed("number of records in child node", 0, "is none").into());
        }
        Ok(node)
    }

    fn malformed(&self, field: &'static str, value: u64, expected: &'static str) -> Malformed {
        Malformed { what: "version 2 B-tree", at: self.at, why: Why::Value { field, value, expected } }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{FORM, Nodes, record, tree};
    use super::*;

    #[test]
    fn widths_and_capacities_are_those_of_libhdf5() {
        // (kind, node size, record size, capacity of a leaf and of two internal levels), from h5debug.
        let layout = |node_size, record_size| {
            let header = Header { node_size, record_size, ..Header::empty::<LinkNameRecord>((), 512) };
            let layout = Layout::new(&header, 0, Widths::EIGHT).unwrap();
            (0..3).map(|depth| layout.level(depth).unwrap().max_records).collect::<Vec<_>>()
        };
        assert_eq!(layout(2048, 24), [84, 61, 57]);
        assert_eq!(layout(512, 11), [45, 24, 22]);
        assert_eq!(layout(512, 17), [29, 18, 17]);
    }

    #[test]
    fn a_node_that_is_named_twice_is_an_error_and_not_a_loop() {
        let mut nodes = Nodes::default();
        let empty = Header::empty::<ChunkRecord>(FORM, 128);
        let records = (0..5).map(|key| record(key, 1)).collect();
        let edited = build(&empty, Widths::EIGHT, FORM, records, nodes.allocate()).unwrap();
        let header = nodes.apply(edited);
        let tree = tree(header);
        let root = header.root.unwrap();
        let mut node = tree.node::<Malformed>(&tree.root().unwrap(), 1, &mut nodes.read()).unwrap();
        node.children[1] = node.children[0];
        nodes.bytes.insert(root, node.encode(1, tree.layout(), FORM));
        assert!(tree.for_each(nodes.read(), |_| Ok::<_, Malformed>(())).is_err());
        assert!(tree.nodes(nodes.read()).is_err());
    }

    #[test]
    fn headers_and_nodes_refuse_what_is_short_or_changed() {
        let header = Header {
            root: Some(Addr(77)),
            root_records: 3,
            total_records: 3,
            ..Header::empty::<ChunkRecord>(FORM, 512)
        };
        let bytes = header.encode(Widths::EIGHT);
        assert_eq!(bytes.len() as u64, Header::size(Widths::EIGHT));
        assert_eq!(Header::decode(&bytes, 0, Widths::EIGHT), Ok(header));
        let layout = Layout::new(&header, 0, Widths::EIGHT).unwrap();
        let leaf = Node { records: (0..3).map(|key| record(key, key)).collect(), children: Vec::new() };
        let child = Child { addr: Addr(99), records: 5, total: 5 };
        let internal = Node { records: leaf.records.clone(), children: vec![child; 4] };
        for (node, depth) in [(&leaf, 0), (&internal, 1)] {
            let whole = node.encode(depth, &layout, FORM);
            assert_eq!(whole.len(), 512);
            let mut bytes = whole[..layout.used_size(depth, 3) as usize].to_vec();
            assert_eq!(Node::decode(&bytes, 0, depth, 3, &layout, FORM).as_ref(), Ok(node));
            for place in 0..bytes.len() {
                assert!(Node::<ChunkRecord>::decode(&bytes[..place], 0, depth, 3, &layout, FORM).is_err());
                bytes[place] ^= 0x21;
                assert!(Node::<ChunkRecord>::decode(&bytes, 0, depth, 3, &layout, FORM).is_err());
                bytes[place] ^= 0x21;
            }
            assert!(Node::<ChunkRecord>::decode(&whole, 0, depth, 60_000, &layout, FORM).is_err());
        }
        for place in 0..bytes.len() {
            assert!(Header::decode(&bytes[..place], 0, Widths::EIGHT).is_err());
            let mut changed = bytes.clone();
            changed[place] ^= 0x21;
            assert!(Header::decode(&changed, 0, Widths::EIGHT).is_err());
        }
    }

    #[test]
    fn impossible_headers_are_refused_whatever_they_say() {
        let good = Header::empty::<ChunkRecord>(FORM, 512);
        for bad in [
            Header { node_size: 0, ..good },
            Header { node_size: 20, ..good },
            Header { record_size: 0, ..good },
            Header { depth: 60_000, ..good },
            Header { split_percent: 0, ..good },
            Header { split_percent: 101, ..good },
            Header { merge_percent: 90, ..good },
            Header { kind: 5, ..good },
        ] {
            assert!(Tree::<ChunkRecord>::new(bad, 0, Widths::EIGHT, FORM).is_err(), "{bad:?}");
        }
        let largest = Header { node_size: u32::MAX, ..good };
        assert!(Tree::<ChunkRecord>::new(largest, 0, Widths::EIGHT, FORM).is_ok());
    }
}

//! Version 2 B-trees (III.A.2): ordered records of one kind, in the leaves *and* in the internal nodes between them.
//!
//! A parent stores how many records each child holds, and every node carries a checksum: no record can be changed in
//! place without touching the whole path. So a tree is changed by copying: [`Editor`] reads the nodes on the paths it
//! needs, and [`Editor::finish`] yields new nodes, the header that names them, and what they supersede.
//!
//! Reading bytes is left to the caller, as a closure from address and size to bytes; so is comparing, because the order
//! of some records (links, attributes, shared messages) is that of names or contents which lie in a heap.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;

use crate::array_element::{ArrayClient, ElementForm, StoredChunk};
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
        signature_and_version(&mut cursor, "BTHD")?;
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
        signature_and_version(&mut cursor, if leaf { "BTLF" } else { "BTIN" })?;
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
        mut compare: impl FnMut(&R) -> std::result::Result<Ordering, E>,
    ) -> std::result::Result<Option<R>, E> {
        let Some(mut child) = self.root() else { return Ok(None) };
        for depth in (0..=self.header.depth).rev() {
            let node = self.node(&child, depth, &mut read)?;
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

    fn node<E: From<Malformed>>(
        &self,
        child: &Child,
        depth: u16,
        read: &mut impl FnMut(Addr, u64) -> std::result::Result<Vec<u8>, E>,
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

/// New nodes for a tree, and what they replace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// The header to publish once the nodes are written.
    pub header: Header,
    /// New nodes with their bytes; children come before their parents.
    pub nodes: Vec<(Addr, Vec<u8>)>,
    /// Address and size of nodes the new header does not lead to any more.
    pub superseded: Vec<(Addr, u64)>,
}

/// Makes a whole tree from records that are in order, as full as even spreading allows. Takes kind, node size and
/// percentages from `empty`, the header of a tree without records; `allocate` yields room for as many bytes as it is
/// asked for.
///
/// # Errors
/// When `empty` describes no tree, or none that could hold so many records.
pub fn build<R: Record>(
    empty: &Header,
    widths: Widths,
    form: R::Form,
    records: Vec<R>,
    mut allocate: impl FnMut(u64) -> Addr,
) -> Result<Edited> {
    let mut header = Header { depth: 0, root: None, root_records: 0, total_records: records.len() as u64, ..*empty };
    let layout = Layout::new(&header, 0, widths)?;
    let mut edited = Edited { header, nodes: Vec::new(), superseded: Vec::new() };
    if records.is_empty() {
        return Ok(edited);
    }
    let (mut records, mut children) = (records, Vec::<Child>::new());
    for depth in 0.. {
        let limit = editable_level(&layout, depth)?.split_records;
        // Each node but the last is followed by a record that goes up to the next level.
        let count = (records.len() as u64 + 1).div_ceil(limit + 1);
        let within = records.len() as u64 + 1 - count;
        let (mut up, mut parents) = (Vec::new(), Vec::new());
        let (mut from_records, mut from_children) = (records.into_iter(), children.into_iter());
        for number in 0..count {
            let share = (within * (number + 1) / count - within * number / count) as usize;
            let node = Node {
                records: from_records.by_ref().take(share).collect(),
                children: from_children.by_ref().take(if depth == 0 { 0 } else { share + 1 }).collect(),
            };
            let addr = allocate(layout.node_size.into());
            parents.push(Child { addr, records: node.records.len() as u16, total: node.total() });
            edited.nodes.push((addr, node.encode(depth, &layout, form)));
            up.extend(from_records.next());
        }
        if let [root] = parents.as_slice() {
            header.depth = depth;
            header.root = Some(root.addr);
            header.root_records = root.records;
            break;
        }
        (records, children) = (up, parents);
    }
    edited.header = header;
    Ok(edited)
}

/// Changes a tree by copying: nothing of the old one is touched.
///
/// Any number of records may be put and removed; nodes are read as needed and held until [`Editor::finish`]. An editor
/// that returned an error is of no more use: its changes are half done.
#[derive(Debug)]
pub struct Editor<R: Record> {
    tree: Tree<R>,
    root: Option<Link<R>>,
    depth: u16,
    total: u64,
    superseded: Vec<Addr>,
    failed: bool,
}

#[derive(Debug)]
enum Link<R> {
    /// As in the file, not read.
    Stored(Child),
    Loaded(Branch<R>),
}

#[derive(Debug)]
struct Branch<R> {
    /// Where it was read from; none for a new one.
    origin: Option<Child>,
    changed: bool,
    records: Vec<R>,
    links: Vec<Link<R>>,
}

impl<R: Record> Editor<R> {
    /// Starts with the tree as it is.
    #[must_use]
    pub fn new(tree: Tree<R>) -> Self {
        let root = tree.root().map(Link::Stored);
        Self {
            root,
            depth: tree.header.depth,
            total: tree.header.total_records,
            superseded: Vec::new(),
            failed: false,
            tree,
        }
    }

    /// Puts a record in the place `compare` ([`search`]) gives it. A record that compares equal is replaced, and returned.
    pub fn put<E: From<Malformed>>(
        &mut self,
        record: R,
        mut read: impl FnMut(Addr, u64) -> std::result::Result<Vec<u8>, E>,
        mut compare: impl FnMut(&R) -> std::result::Result<Ordering, E>,
    ) -> std::result::Result<Option<R>, E> {
        // Checked ahead, so that nothing but `read` and `compare` can fail half way.
        editable_level(&self.tree.layout, self.depth + 1)?;
        let Some(mut root) = self.root.take() else {
            let root = Branch { origin: None, changed: true, records: vec![record], links: Vec::new() };
            (self.root, self.depth, self.total) = (Some(Link::Loaded(root)), 0, 1);
            return Ok(None);
        };
        self.failed = true;
        let replaced = self.put_below(&mut root, self.depth, record, &mut read, &mut compare)?;
        if root.records() > editable_level(&self.tree.layout, self.depth)?.split_records {
            let mut top = Branch { origin: None, changed: true, records: Vec::new(), links: vec![root] };
            self.depth += 1;
            self.relieve(&mut top, 0, self.depth, &mut read)?;
            root = Link::Loaded(top);
        }
        self.root = Some(root);
        self.total += u64::from(replaced.is_none());
        self.failed = false;
        Ok(replaced)
    }

    /// Removes the record that `compare` ([`search`]) calls equal, and returns it.
    pub fn remove<E: From<Malformed>>(
        &mut self,
        mut read: impl FnMut(Addr, u64) -> std::result::Result<Vec<u8>, E>,
        mut compare: impl FnMut(&R) -> std::result::Result<Ordering, E>,
    ) -> std::result::Result<Option<R>, E> {
        let Some(mut root) = self.root.take() else { return Ok(None) };
        self.failed = true;
        let removed = self.remove_below(&mut root, self.depth, &mut read, &mut compare)?;
        self.root = match root {
            Link::Loaded(mut branch) if branch.records.is_empty() => {
                self.superseded.extend(branch.origin.map(|origin| origin.addr));
                self.depth = self.depth.saturating_sub(1);
                branch.links.pop()
            }
            root => Some(root),
        };
        self.total = self.total.saturating_sub(u64::from(removed.is_some()));
        self.failed = false;
        Ok(removed)
    }

    /// The new nodes, at addresses from `allocate`, which yields room for as many bytes as it is asked for.
    ///
    /// # Panics
    /// After [`Editor::put`] or [`Editor::remove`] returned an error.
    #[must_use]
    pub fn finish(self, mut allocate: impl FnMut(u64) -> Addr) -> Edited {
        assert!(!self.failed, "an edit that failed half way must not be finished");
        let Self { tree, root, depth, total, superseded, .. } = self;
        let size = u64::from(tree.header.node_size);
        let mut edited = Edited {
            header: tree.header,
            nodes: Vec::new(),
            superseded: superseded.into_iter().map(|addr| (addr, size)).collect(),
        };
        let root = root.map(|root| store(root, depth, &tree, &mut edited, &mut allocate));
        edited.header.depth = if root.is_some() { depth } else { 0 };
        edited.header.root = root.map(|root| root.addr);
        edited.header.root_records = root.map_or(0, |root| root.records);
        edited.header.total_records = total;
        edited
    }

    fn put_below<E: From<Malformed>>(
        &mut self,
        link: &mut Link<R>,
        depth: u16,
        record: R,
        read: &mut impl FnMut(Addr, u64) -> std::result::Result<Vec<u8>, E>,
        compare: &mut impl FnMut(&R) -> std::result::Result<Ordering, E>,
    ) -> std::result::Result<Option<R>, E> {
        let branch = self.load(link, depth, read)?;
        match search(&branch.records, &mut *compare)? {
            Ok(found) => {
                branch.changed = true;
                Ok(branch.records.get_mut(found).map(|old| std::mem::replace(old, record)))
            }
            Err(before) => match branch.links.get_mut(before) {
                None => {
                    branch.changed = true;
                    branch.records.insert(before, record);
                    Ok(None)
                }
                Some(child) => {
                    let replaced = self.put_below(child, depth - 1, record, read, compare)?;
                    if child.records() > editable_level(&self.tree.layout, depth - 1)?.split_records {
                        self.relieve(branch, before, depth, read)?;
                    }
                    Ok(replaced)
                }
            },
        }
    }

    /// Child `number` of `branch` has one record too many: gives some to a neighbour with room, or splits it.
    fn relieve<E: From<Malformed>>(
        &mut self,
        branch: &mut Branch<R>,
        number: usize,
        depth: u16,
        read: &mut impl FnMut(Addr, u64) -> std::result::Result<Vec<u8>, E>,
    ) -> std::result::Result<(), E> {
        let limit = editable_level(&self.tree.layout, depth - 1)?.split_records;
        let has_room = |link: Option<&Link<R>>| link.is_some_and(|link| link.records() < limit);
        if let Some(left) = number.checked_sub(1).filter(|left| has_room(branch.links.get(*left))) {
            // Filling the left one up leaves full nodes behind when records come in order.
            return self.share(branch, left, depth, read, |total| limit.min(total - limit / 2));
        }
        if has_room(branch.links.get(number + 1)) {
            return self.share(branch, number, depth, read, |total| total / 2);
        }
        let Some(link) = branch.links.get_mut(number) else { return Ok(()) };
        let child = self.load(link, depth - 1, read)?;
        let half = (limit / 2) as usize;
        let records = child.records.split_off(half + 1);
        let links = if depth > 1 { child.links.split_off(half + 1) } else { Vec::new() };
        child.changed = true;
        let middle = child.records.pop();
        branch.records.splice(number..number, middle);
        branch.links.insert(number + 1, Link::Loaded(Branch { origin: None, changed: true, records, links }));
        branch.changed = true;
        Ok(())
    }

    fn remove_below<E: From<Malformed>>(
        &mut self,
        link: &mut Link<R>,
        depth: u16,
        read: &mut impl FnMut(Addr, u64) -> std::result::Result<Vec<u8>, E>,
        compare: &mut impl FnMut(&R) -> std::result::Result<Ordering, E>,
    ) -> std::result::Result<Option<R>, E> {
        let branch = self.load(link, depth, read)?;
        match search(&branch.records, &mut *compare)? {
            Ok(found) if depth == 0 => {
                branch.changed = true;
                Ok(Some(branch.records.remove(found)))
            }
            Ok(found) => {
                // The last record before it takes its place.
                let Some(child) = branch.links.get_mut(found) else { return Ok(None) };
                let Some(before) = self.pop_last(child, depth - 1, read)? else { return Ok(None) };
                branch.changed = true;
                let removed = branch.records.get_mut(found).map(|record| std::mem::replace(record, before));
                self.refill(branch, found, depth, read)?;
                Ok(removed)
            }
            Err(before) => {
                let Some(child) = branch.links.get_mut(before) else { return Ok(None) };
                let removed = self.remove_below(child, depth - 1, read, compare)?;
                if removed.is_some() {
                    self.refill(branch, before, depth, read)?;
                }
                Ok(removed)
            }
        }
    }

    fn pop_last<E: From<Malformed>>(
        &mut self,
        link: &mut Link<R>,
        depth: u16,
        read: &mut impl FnMut(Addr, u64) -> std::result::Result<Vec<u8>, E>,
    ) -> std::result::Result<Option<R>, E> {
        let branch = self.load(link, depth, read)?;
        let last = branch.links.len().checked_sub(1);
        match last.and_then(|last| branch.links.get_mut(last).map(|child| (last, child))) {
            None => {
                branch.changed = true;
                Ok(branch.records.pop())
            }
            Some((last, child)) => {
                let popped = self.pop_last(child, depth - 1, read)?;
                self.refill(branch, last, depth, read)?;
                Ok(popped)
            }
        }
    }

    /// Child `number` of `branch` may have too few records: takes some from a neighbour, or merges with it.
    fn refill<E: From<Malformed>>(
        &mut self,
        branch: &mut Branch<R>,
        number: usize,
        depth: u16,
        read: &mut impl FnMut(Addr, u64) -> std::result::Result<Vec<u8>, E>,
    ) -> std::result::Result<(), E> {
        let level = *editable_level(&self.tree.layout, depth - 1)?;
        let records = |number: usize| branch.links.get(number).map_or(0, Link::records);
        if records(number) >= level.merge_records.max(1) {
            return Ok(());
        }
        let left = if number + 1 < branch.links.len() { number } else { number.saturating_sub(1) };
        if records(left) + records(left + 1) < level.split_records {
            self.merge(branch, left, depth, read)
        } else {
            self.share(branch, left, depth, read, |total| total / 2)
        }
    }

    /// Spreads the records of children `left` and `left + 1` anew; `choose` says how many of how many the left one gets.
    fn share<E: From<Malformed>>(
        &mut self,
        branch: &mut Branch<R>,
        left: usize,
        depth: u16,
        read: &mut impl FnMut(Addr, u64) -> std::result::Result<Vec<u8>, E>,
        choose: impl FnOnce(u64) -> u64,
    ) -> std::result::Result<(), E> {
        let mut pair = branch.links.iter_mut().skip(left);
        let (Some(first), Some(second), Some(middle)) = (pair.next(), pair.next(), branch.records.get_mut(left)) else {
            return Ok(());
        };
        let first = self.load(first, depth - 1, read)?;
        let second = self.load(second, depth - 1, read)?;
        let count = choose((first.records.len() + second.records.len()) as u64) as usize;
        let mut records = std::mem::take(&mut first.records);
        records.push(middle.clone());
        records.append(&mut second.records);
        second.records = records.split_off((count + 1).min(records.len()));
        if let Some(record) = records.pop() {
            *middle = record;
        }
        first.records = records;
        if depth > 1 {
            first.links.append(&mut second.links);
            second.links = first.links.split_off((count + 1).min(first.links.len()));
        }
        (first.changed, second.changed, branch.changed) = (true, true, true);
        Ok(())
    }

    fn merge<E: From<Malformed>>(
        &mut self,
        branch: &mut Branch<R>,
        left: usize,
        depth: u16,
        read: &mut impl FnMut(Addr, u64) -> std::result::Result<Vec<u8>, E>,
    ) -> std::result::Result<(), E> {
        let mut pair = branch.links.iter_mut().skip(left);
        let (Some(first), Some(second), true) = (pair.next(), pair.next(), left < branch.records.len()) else {
            return Ok(());
        };
        let first = self.load(first, depth - 1, read)?;
        let second = self.load(second, depth - 1, read)?;
        first.records.push(branch.records.remove(left));
        first.records.append(&mut second.records);
        first.links.append(&mut second.links);
        (first.changed, branch.changed) = (true, true);
        let gone = second.origin;
        self.superseded.extend(gone.map(|origin| origin.addr));
        branch.links.remove(left + 1);
        Ok(())
    }

    fn load<'l, E: From<Malformed>>(
        &self,
        link: &'l mut Link<R>,
        depth: u16,
        read: &mut impl FnMut(Addr, u64) -> std::result::Result<Vec<u8>, E>,
    ) -> std::result::Result<&'l mut Branch<R>, E> {
        if let Link::Stored(child) = link {
            let node = self.tree.node(child, depth, read)?;
            *link = Link::Loaded(Branch {
                origin: Some(*child),
                changed: false,
                records: node.records,
                links: node.children.into_iter().map(Link::Stored).collect(),
            });
        }
        match link {
            Link::Loaded(branch) => Ok(branch),
            Link::Stored(child) => Err(self.tree.malformed("child node address", child.addr.0, "was not read").into()),
        }
    }
}

impl<R> Link<R> {
    fn records(&self) -> u64 {
        match self {
            Self::Stored(child) => child.records.into(),
            Self::Loaded(branch) => branch.records.len() as u64,
        }
    }

    fn changed(&self) -> bool {
        match self {
            Self::Stored(_) => false,
            Self::Loaded(branch) => branch.changed || branch.links.iter().any(Self::changed),
        }
    }
}

/// A level whose nodes can be split: it takes three records to make two nodes and one between them.
fn editable_level(layout: &Layout, depth: u16) -> Result<&Level> {
    layout.level(depth).filter(|level| (2..=u64::from(u16::MAX)).contains(&level.split_records)).ok_or(Malformed {
        what: Header::WHAT,
        at: 0,
        why: Why::Unsupported("changing a tree of nodes so small, so large or so many"),
    })
}

fn store<R: Record>(
    link: Link<R>,
    depth: u16,
    tree: &Tree<R>,
    edited: &mut Edited,
    allocate: &mut impl FnMut(u64) -> Addr,
) -> Child {
    let changed = link.changed();
    match link {
        Link::Stored(child) => child,
        Link::Loaded(Branch { origin: Some(origin), .. }) if !changed => origin,
        Link::Loaded(Branch { origin, records, links, .. }) => {
            let children =
                links.into_iter().map(|link| store(link, depth.saturating_sub(1), tree, edited, allocate)).collect();
            let node = Node { records, children };
            let addr = allocate(tree.header.node_size.into());
            edited.nodes.push((addr, node.encode(depth, &tree.layout, tree.form)));
            edited.superseded.extend(origin.map(|origin| (origin.addr, u64::from(tree.header.node_size))));
            Child { addr, records: node.records.len() as u16, total: node.total() }
        }
    }
}

/// How the chunk records of a tree (types 10 and 11) are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkForm {
    /// Address, and for filtered chunks size and filter mask.
    pub element: ElementForm,
    /// Dimensions of the dataset.
    pub rank: u8,
}

/// Where one chunk of a dataset lies (types 10, unfiltered, and 11, filtered). Trees are ordered by `scaled`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkRecord {
    /// Where it is stored.
    pub chunk: StoredChunk,
    /// Its offset in the dataset, in chunks, slowest dimension first.
    pub scaled: Vec<u64>,
}

impl Record for ChunkRecord {
    type Form = ChunkForm;

    fn kind(form: ChunkForm) -> u8 {
        match form.element.client() {
            ArrayClient::Chunks => 10,
            ArrayClient::FilteredChunks => 11,
        }
    }

    fn size(form: ChunkForm) -> u16 {
        u16::from(form.element.size()) + 8 * u16::from(form.rank)
    }

    fn decode(cursor: &mut Cursor<'_>, form: ChunkForm) -> Result<Self> {
        let chunk = form.element.decode(cursor)?;
        let chunk = chunk.ok_or_else(|| cursor.bad_value("chunk address", u64::MAX, "is the undefined address"))?;
        let scaled = (0..form.rank).map(|_| cursor.u64("chunk scaled offset")).collect::<Result<_>>()?;
        Ok(Self { chunk, scaled })
    }

    fn encode(&self, form: ChunkForm, out: &mut Vec<u8>) {
        debug_assert_eq!(self.scaled.len(), usize::from(form.rank));
        form.element.encode(Some(self.chunk), out);
        for offset in &self.scaled {
            out.put_u64(*offset);
        }
    }
}

/// How the records of a fractal heap's huge objects (types 1 to 4) are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HugeForm {
    /// Bytes of an address and a length.
    pub widths: Widths,
    /// Whether heap IDs name a record (types 1 and 2) instead of the object itself (types 3 and 4).
    pub indirect: bool,
    /// Whether the heap has a filter pipeline (types 2 and 4).
    pub filtered: bool,
}

/// A huge object of a fractal heap. Indirect ones are ordered by `id`, direct ones by address and then size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HugeRecord {
    /// Address of the object.
    pub addr: Addr,
    /// Its bytes, as stored.
    pub size: u64,
    /// Filters skipped, and bytes before filtering, in a heap with filters.
    pub filtered: Option<HugeFiltered>,
    /// The ID by which heap IDs name it, if indirect.
    pub id: Option<u64>,
}

/// What a filtered huge object has besides its address and size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HugeFiltered {
    /// Bit n set: filter n was skipped.
    pub filter_mask: u32,
    /// Bytes before filtering.
    pub memory_size: u64,
}

impl Record for HugeRecord {
    type Form = HugeForm;

    fn kind(form: HugeForm) -> u8 {
        match (form.indirect, form.filtered) {
            (true, false) => 1,
            (true, true) => 2,
            (false, false) => 3,
            (false, true) => 4,
        }
    }

    fn size(form: HugeForm) -> u16 {
        let length = u16::from(form.widths.length);
        let filtered = if form.filtered { 4 + length } else { 0 };
        let id = if form.indirect { length } else { 0 };
        u16::from(form.widths.offset) + length + filtered + id
    }

    fn decode(cursor: &mut Cursor<'_>, form: HugeForm) -> Result<Self> {
        let addr = cursor.defined_addr("huge object address", form.widths)?;
        let size = cursor.length("huge object length", form.widths)?;
        let filtered = if form.filtered {
            let filter_mask = cursor.u32("filter mask")?;
            Some(HugeFiltered { filter_mask, memory_size: cursor.length("huge object memory size", form.widths)? })
        } else {
            None
        };
        let id = if form.indirect { Some(cursor.length("huge object ID", form.widths)?) } else { None };
        Ok(Self { addr, size, filtered, id })
    }

    fn encode(&self, form: HugeForm, out: &mut Vec<u8>) {
        debug_assert_eq!((self.id.is_some(), self.filtered.is_some()), (form.indirect, form.filtered));
        out.put_addr(Some(self.addr), form.widths);
        out.put_length(self.size, form.widths);
        if let Some(HugeFiltered { filter_mask, memory_size }) = self.filtered {
            out.put_u32(filter_mask);
            out.put_length(memory_size, form.widths);
        }
        if let Some(id) = self.id {
            out.put_length(id, form.widths);
        }
    }
}

/// A link in a group with dense storage (type 5). Ordered by `hash`, then by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkNameRecord {
    /// [`lookup3`](crate::lookup3) of the name.
    pub hash: u32,
    /// Fractal heap ID of the link message.
    pub heap_id: [u8; 7],
}

impl Record for LinkNameRecord {
    type Form = ();

    fn kind((): ()) -> u8 {
        5
    }

    fn size((): ()) -> u16 {
        11
    }

    fn decode(cursor: &mut Cursor<'_>, (): ()) -> Result<Self> {
        Ok(Self { hash: cursor.u32("hash of name")?, heap_id: cursor.array("heap ID")? })
    }

    fn encode(&self, (): (), out: &mut Vec<u8>) {
        out.put_u32(self.hash);
        out.extend_from_slice(&self.heap_id);
    }
}

/// A link in a group with dense storage and creation order (type 6). Ordered by `order`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkOrderRecord {
    /// Creation order.
    pub order: u64,
    /// Fractal heap ID of the link message.
    pub heap_id: [u8; 7],
}

impl Record for LinkOrderRecord {
    type Form = ();

    fn kind((): ()) -> u8 {
        6
    }

    fn size((): ()) -> u16 {
        15
    }

    fn decode(cursor: &mut Cursor<'_>, (): ()) -> Result<Self> {
        Ok(Self { order: cursor.u64("creation order")?, heap_id: cursor.array("heap ID")? })
    }

    fn encode(&self, (): (), out: &mut Vec<u8>) {
        out.put_u64(self.order);
        out.extend_from_slice(&self.heap_id);
    }
}

/// An attribute in dense storage (type 8). Ordered by `hash`, then by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttributeNameRecord {
    /// Heap ID of the attribute message: of the object's own heap, or of the shared message heap if the flags say so.
    pub heap_id: [u8; 8],
    /// The message's flags.
    pub flags: u8,
    /// Creation order.
    pub order: u32,
    /// [`lookup3`](crate::lookup3) of the name.
    pub hash: u32,
}

impl Record for AttributeNameRecord {
    type Form = ();

    fn kind((): ()) -> u8 {
        8
    }

    fn size((): ()) -> u16 {
        17
    }

    fn decode(cursor: &mut Cursor<'_>, (): ()) -> Result<Self> {
        Ok(Self {
            heap_id: cursor.array("heap ID")?,
            flags: cursor.u8("message flags")?,
            order: cursor.u32("creation order")?,
            hash: cursor.u32("hash of name")?,
        })
    }

    fn encode(&self, (): (), out: &mut Vec<u8>) {
        out.extend_from_slice(&self.heap_id);
        out.put_u8(self.flags);
        out.put_u32(self.order);
        out.put_u32(self.hash);
    }
}

/// An attribute in dense storage with creation order (type 9). Ordered by `order`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttributeOrderRecord {
    /// Heap ID of the attribute message, as in [`AttributeNameRecord`].
    pub heap_id: [u8; 8],
    /// The message's flags.
    pub flags: u8,
    /// Creation order.
    pub order: u32,
}

impl Record for AttributeOrderRecord {
    type Form = ();

    fn kind((): ()) -> u8 {
        9
    }

    fn size((): ()) -> u16 {
        13
    }

    fn decode(cursor: &mut Cursor<'_>, (): ()) -> Result<Self> {
        Ok(Self {
            heap_id: cursor.array("heap ID")?,
            flags: cursor.u8("message flags")?,
            order: cursor.u32("creation order")?,
        })
    }

    fn encode(&self, (): (), out: &mut Vec<u8>) {
        out.extend_from_slice(&self.heap_id);
        out.put_u8(self.flags);
        out.put_u32(self.order);
    }
}

fn signature_and_version(cursor: &mut Cursor<'_>, signature: &'static str) -> Result<()> {
    cursor.signature(signature)?;
    match cursor.u8("version")? {
        0 => Ok(()),
        version => Err(cursor.error(Why::Version(version))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, HashMap};

    /// A file that is nothing but nodes.
    #[derive(Default)]
    struct Nodes {
        bytes: HashMap<Addr, Vec<u8>>,
        end: u64,
    }

    impl Nodes {
        fn allocate(&mut self) -> impl FnMut(u64) -> Addr {
            |size| {
                self.end += size;
                Addr(self.end)
            }
        }

        fn read(&self) -> impl Fn(Addr, u64) -> Result<Vec<u8>> {
            |addr, size| Ok(self.bytes[&addr][..size as usize].to_vec())
        }

        fn apply(&mut self, edited: Edited) -> Header {
            for (addr, bytes) in edited.nodes {
                assert!(self.bytes.insert(addr, bytes).is_none());
            }
            for (addr, _) in edited.superseded {
                assert!(self.bytes.remove(&addr).is_some(), "superseded once, and there");
            }
            edited.header
        }
    }

    const FORM: ChunkForm = ChunkForm { element: ElementForm::chunks(Widths::EIGHT, 64), rank: 2 };

    fn record(key: u64, value: u64) -> ChunkRecord {
        ChunkRecord {
            chunk: StoredChunk { addr: Addr(value), size: 64, filter_mask: 0 },
            scaled: vec![key / 7, key % 7],
        }
    }

    fn compare(key: u64) -> impl FnMut(&ChunkRecord) -> Result<Ordering> {
        move |record| Ok(record.scaled.as_slice().cmp(&[key / 7, key % 7]))
    }

    fn tree(header: Header) -> Tree<ChunkRecord> {
        Tree::new(header, 0, Widths::EIGHT, FORM).unwrap()
    }

    /// Holds a tree against what should be in it, and against what libhdf5 relies on: no node but the root has fewer
    /// records than the merge limit or more than the split limit, and parents know how many their children hold.
    fn check(nodes: &Nodes, header: Header, expected: &BTreeMap<u64, u64>) {
        let tree = tree(header);
        let mut found = Vec::new();
        tree.for_each(nodes.read(), |record: ChunkRecord| {
            found.push((record.scaled[0] * 7 + record.scaled[1], record.chunk.addr.0));
            Ok::<_, Malformed>(())
        })
        .unwrap();
        assert_eq!(found, expected.iter().map(|(key, value)| (*key, *value)).collect::<Vec<_>>());
        assert_eq!(header.total_records, expected.len() as u64);
        for key in expected.keys().step_by(17) {
            let found = tree.find(nodes.read(), compare(*key)).unwrap().unwrap();
            assert_eq!(found.chunk.addr.0, expected[key]);
        }
        let reached = tree.nodes(nodes.read()).unwrap();
        assert_eq!(reached.len(), nodes.bytes.len(), "no node is lost, none is left over");
        let Some(root) = tree.root() else {
            assert_eq!((header.depth, header.root), (0, None));
            return;
        };
        let mut todo = vec![(root, header.depth)];
        while let Some((child, depth)) = todo.pop() {
            let node = tree.node::<Malformed>(&child, depth, &mut nodes.read()).unwrap();
            let level = tree.layout().level(depth).unwrap();
            let count = node.records.len() as u64;
            assert_eq!(node.total(), child.total);
            assert!(count <= level.split_records);
            assert!(child == root || count >= level.merge_records, "{count} at {depth} of {level:?}");
            todo.extend(node.children.iter().map(|child| (*child, depth.wrapping_sub(1))));
        }
    }

    #[test]
    fn built_trees_hold_what_was_given_at_every_size() {
        for node_size in [128, 256, 2048] {
            for count in (0..300).chain([1000, 5000]) {
                let mut nodes = Nodes::default();
                let expected: BTreeMap<u64, u64> = (0..count).map(|key| (key, key + 1)).collect();
                let records = expected.iter().map(|(key, value)| record(*key, *value)).collect();
                let empty = Header::empty::<ChunkRecord>(FORM, node_size);
                let edited = build(&empty, Widths::EIGHT, FORM, records, nodes.allocate()).unwrap();
                let header = nodes.apply(edited);
                check(&nodes, header, &expected);
            }
        }
    }

    #[test]
    fn edited_trees_hold_what_was_put_and_not_removed() {
        for node_size in [128, 200, 512] {
            let mut nodes = Nodes::default();
            let mut header = Header::empty::<ChunkRecord>(FORM, node_size);
            let mut expected = BTreeMap::new();
            let mut random = 0x9e37_79b9_7f4a_7c15u64;
            let mut next = move || {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random
            };
            for round in 0..160 {
                let mut editor = Editor::new(tree(header));
                for _ in 0..next() % 60 {
                    let (key, value) = (next() % 1500, next() >> 1);
                    // Grows for the first half and shrinks, to nothing, in the second.
                    if next() % 10 < if round < 80 { 7 } else { 2 } {
                        let old = editor.put(record(key, value), nodes.read(), compare(key)).unwrap();
                        assert_eq!(old.map(|old| old.chunk.addr.0), expected.insert(key, value));
                    } else {
                        let key = expected.range(key..).next().map_or(key, |(key, _)| *key);
                        let old = editor.remove(nodes.read(), compare(key)).unwrap();
                        assert_eq!(old.map(|old| old.chunk.addr.0), expected.remove(&key));
                    }
                }
                if round == 159 {
                    for key in std::mem::take(&mut expected).into_keys() {
                        assert!(editor.remove(nodes.read(), compare(key)).unwrap().is_some());
                    }
                }
                let edited = editor.finish(nodes.allocate());
                header = nodes.apply(edited);
                check(&nodes, header, &expected);
            }
        }
    }

    #[test]
    fn records_put_in_order_leave_full_nodes() {
        let mut nodes = Nodes::default();
        let mut header = Header::empty::<ChunkRecord>(FORM, 2048);
        let mut expected = BTreeMap::new();
        for batch in 0..200u64 {
            let mut editor = Editor::new(tree(header));
            for key in batch * 100..(batch + 1) * 100 {
                expected.insert(key, key + 1);
                assert_eq!(editor.put(record(key, key + 1), nodes.read(), compare(key)).unwrap(), None);
            }
            let edited = editor.finish(nodes.allocate());
            assert!(edited.nodes.len() < 8, "{}", edited.nodes.len());
            header = nodes.apply(edited);
        }
        check(&nodes, header, &expected);
        let full = tree(header).layout().level(0).unwrap().max_records;
        assert!((nodes.bytes.len() as u64) < 20_000 / full * 11 / 10);
    }

    #[test]
    fn nothing_changed_is_nothing_written() {
        let mut nodes = Nodes::default();
        let empty = Header::empty::<ChunkRecord>(FORM, 512);
        let records = (0..500).map(|key| record(key, 1)).collect();
        let edited = build(&empty, Widths::EIGHT, FORM, records, nodes.allocate()).unwrap();
        let header = nodes.apply(edited);
        let mut editor = Editor::new(tree(header));
        assert_eq!(editor.remove(nodes.read(), compare(1000)).unwrap(), None);
        let edited = editor.finish(nodes.allocate());
        assert_eq!((edited.header, edited.nodes.len(), edited.superseded.len()), (header, 0, 0));
    }

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

    fn round_trip<R: Record + PartialEq>(record: R, form: R::Form, kind: u8) {
        let mut bytes = Vec::new();
        record.encode(form, &mut bytes);
        assert_eq!(bytes.len(), usize::from(R::size(form)), "{record:?}");
        assert_eq!(R::kind(form), kind);
        assert_eq!(R::decode(&mut Cursor::new("record", 0, &bytes), form).unwrap(), record);
        for length in 0..bytes.len() {
            assert!(R::decode(&mut Cursor::new("record", 0, &bytes[..length]), form).is_err());
        }
    }

    #[test]
    fn every_kind_of_record_round_trips() {
        for (kind, indirect, filtered) in [(1, true, false), (2, true, true), (3, false, false), (4, false, true)] {
            let filter = HugeFiltered { filter_mask: 2, memory_size: 7000 };
            round_trip(
                HugeRecord {
                    addr: Addr(4096),
                    size: 6000,
                    filtered: filtered.then_some(filter),
                    id: indirect.then_some(21),
                },
                HugeForm { widths: Widths::EIGHT, indirect, filtered },
                kind,
            );
        }
        round_trip(LinkNameRecord { hash: 9, heap_id: *b"heap id" }, (), 5);
        round_trip(LinkOrderRecord { order: 9, heap_id: *b"heap id" }, (), 6);
        round_trip(AttributeNameRecord { heap_id: *b"heap id8", flags: 1, order: 2, hash: 3 }, (), 8);
        round_trip(AttributeOrderRecord { heap_id: *b"heap id8", flags: 1, order: 2 }, (), 9);
        round_trip(record(100, 5), FORM, 10);
        let element = ElementForm::filtered_chunks(Widths::EIGHT, 2);
        let chunk = StoredChunk { addr: Addr(5), size: 65_535, filter_mask: 1 };
        round_trip(ChunkRecord { chunk, scaled: vec![1, 2, 3] }, ChunkForm { element, rank: 3 }, 11);
    }
}

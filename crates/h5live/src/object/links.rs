//! The links of a group, in all three forms: messages of its header, a fractal heap with name index, and the symbol table of
//! old groups. Links come as what they are; following soft and external ones is left to the caller.
//!
//! Where the link info message names a heap, the heap has all links: link messages that are still in the header are left
//! over from before and do not count.

use std::cmp::Ordering;
use std::collections::HashSet;

use h5live_filter::Registry;
use h5live_format::btree_v1::{self, GroupKey};
use h5live_format::btree_v2::{Header, LinkNameRecord, Record, Tree};
use h5live_format::local_heap::LocalHeap;
use h5live_format::message::{DenseStorage, Link, LinkInfo, LinkTarget, Name, SymbolTable};
use h5live_format::object_header::MessageType;
use h5live_format::symbol_table_node::{Cache, SymbolTableEntry, SymbolTableNode};
use h5live_format::{Addr, Malformed, Why, lookup3};

use super::fractal_heap::FractalHeap;
use super::header::ObjectHeader;
use crate::error::{Error, Result};
use crate::source::Source;

/// What errors call the nodes of version 2 B-trees.
pub(crate) const NODE: &str = "version 2 B-tree node";

/// Levels of a version 1 B-tree at most; real ones have a handful.
const MOST_LEVELS: u8 = 64;

/// How a group stores its links.
pub(crate) enum LinkStorage {
    /// As messages of its header.
    Compact,
    /// In a fractal heap.
    Dense(DenseStorage),
    /// In symbol table nodes.
    SymbolTable(SymbolTable),
}

impl LinkStorage {
    /// How the group with this header stores its links; `None` when it is no group.
    pub(crate) fn of(source: &Source, header: &ObjectHeader) -> Result<Option<Self>> {
        let widths = source.widths();
        if let Some(info) = link_info(source, header)? {
            return Ok(Some(info.dense.map_or(Self::Compact, Self::Dense)));
        }
        if let Some(message) = header.find(MessageType::SYMBOL_TABLE) {
            let table = SymbolTable::decode(&message.body, header.body_addr(message).0, widths)?;
            return Ok(Some(Self::SymbolTable(table)));
        }
        Ok(None)
    }
}

/// The link info message of a header.
pub(crate) fn link_info(source: &Source, header: &ObjectHeader) -> Result<Option<LinkInfo>> {
    match header.find(MessageType::LINK_INFO) {
        Some(message) => Ok(Some(LinkInfo::decode(&message.body, header.body_addr(message).0, source.widths())?)),
        None => Ok(None),
    }
}

/// Hands every link of the group to `visit`: dense ones in the order of the hashes of their names, the others in that of
/// the file.
pub(crate) fn each(
    source: &Source,
    registry: &Registry,
    header: &ObjectHeader,
    mut visit: impl FnMut(Link) -> Result<()>,
) -> Result<()> {
    match LinkStorage::of(source, header)?.ok_or_else(|| not_a_group(header))? {
        LinkStorage::Compact => compact(source, header, |link| visit(link).map(|()| true)),
        LinkStorage::Dense(dense) => {
            // Collected first, so that reading again after a torn node does not tell a link twice. And the heap is opened after
            // that: what has a name is in it by then.
            let records = source.patiently(|| {
                let mut records = Vec::new();
                open_tree::<LinkNameRecord>(source, dense.name_index, ())?.for_each(
                    |addr, len| source.bytes(NODE, addr, len),
                    |record| {
                        records.push(record);
                        Ok::<(), Error>(())
                    },
                )?;
                Ok(records)
            })?;
            let heap = FractalHeap::open(source, dense.heap, registry)?;
            for record in records {
                visit(heap_link(source, &heap, dense.heap, &record)?)?;
            }
            Ok(())
        }
        LinkStorage::SymbolTable(table) => symbols(source, &table, |link| visit(link).map(|()| true), None),
    }
}

/// The link called `name`.
pub(crate) fn find(source: &Source, registry: &Registry, header: &ObjectHeader, name: &[u8]) -> Result<Option<Link>> {
    let mut found = None;
    let mut take = |link: Link| {
        let other = link.name.as_bytes() != name;
        if !other {
            found = Some(link);
        }
        Ok(other)
    };
    match LinkStorage::of(source, header)?.ok_or_else(|| not_a_group(header))? {
        LinkStorage::Compact => compact(source, header, take)?,
        LinkStorage::SymbolTable(table) => symbols(source, &table, &mut take, Some(name))?,
        LinkStorage::Dense(dense) => {
            let hash = lookup3(name);
            found = source.patiently(|| {
                let tree = open_tree::<LinkNameRecord>(source, dense.name_index, ())?;
                let heap = FractalHeap::open(source, dense.heap, registry)?;
                let record = tree.find(
                    |addr, len| source.bytes(NODE, addr, len),
                    |record| match record.hash.cmp(&hash) {
                        Ordering::Equal => Ok(heap_link(source, &heap, dense.heap, record)?.name.as_bytes().cmp(name)),
                        other => Ok::<Ordering, Error>(other),
                    },
                )?;
                record.map(|record| heap_link(source, &heap, dense.heap, &record)).transpose()
            })?;
        }
    }
    Ok(found)
}

/// Opens the version 2 B-tree whose header lies at `at`.
pub(crate) fn open_tree<R: Record>(source: &Source, at: Addr, form: R::Form) -> Result<Tree<R>> {
    let widths = source.widths();
    let header = source
        .block("version 2 B-tree header", at, Header::size(widths), |bytes| Header::decode(bytes, at.0, widths))?;
    Ok(Tree::new(header, at.0, widths, form)?)
}

fn heap_link(source: &Source, heap: &FractalHeap, at: Addr, record: &LinkNameRecord) -> Result<Link> {
    Ok(Link::decode(&heap.object(source, &record.heap_id)?, at.0, source.widths())?)
}

/// Visits link messages while `visit` asks for more.
fn compact(source: &Source, header: &ObjectHeader, mut visit: impl FnMut(Link) -> Result<bool>) -> Result<()> {
    for message in header.all(MessageType::LINK) {
        let link = Link::decode(&message.body, header.body_addr(message).0, source.widths())?;
        if !visit(link)? {
            break;
        }
    }
    Ok(())
}

/// Visits the links of a symbol table, or only those near `name`, while `visit` asks for more.
fn symbols(
    source: &Source,
    table: &SymbolTable,
    mut visit: impl FnMut(Link) -> Result<bool>,
    name: Option<&[u8]>,
) -> Result<()> {
    let widths = source.widths();
    let heap = source.block("local heap", table.heap, LocalHeap::size(widths), |bytes| {
        LocalHeap::decode(bytes, table.heap.0, widths)
    })?;
    let segment = source.bytes("local heap data segment", heap.segment, heap.segment_size)?;
    let twice = |what, addr: Addr| Malformed { what, at: addr.0, why: Why::Text("is named twice") };
    let mut seen = HashSet::new();
    let mut waiting = vec![(table.btree, None)];
    while let Some((addr, expected)) = waiting.pop() {
        if !seen.insert(addr) {
            return Err(twice("version 1 B-tree node", addr).into());
        }
        let node = read_node::<GroupKey>(source, addr, ())?;
        if node.level > MOST_LEVELS || expected.is_some_and(|expected| node.level != expected) {
            let (field, expected) = ("node level", "does not go with its parent's");
            let why = Why::Value { field, value: node.level.into(), expected };
            return Err(Malformed { what: "version 1 B-tree node", at: addr.0, why }.into());
        }
        let mut children = Vec::new();
        for (key, child, next) in node.entries() {
            let may_have_it = match name {
                None => true,
                // The first key is the offset of an empty name, which no link has.
                Some(name) => name > heap.name(&segment, key.0)? && name <= heap.name(&segment, next.0)?,
            };
            if may_have_it {
                children.push(child);
            }
        }
        match node.level.checked_sub(1) {
            Some(below) => waiting.extend(children.into_iter().rev().map(|child| (child, Some(below)))),
            None => {
                for child in children {
                    if !seen.insert(child) {
                        return Err(twice("symbol table node", child).into());
                    }
                    for entry in read_symbols(source, child)?.entries {
                        if !visit(symbol_link(&heap, &segment, &entry, child)?)? {
                            return Ok(());
                        }
                    }
                }
            }
        }
    }
    Ok(())
}

/// Reads a node of a version 1 B-tree, whatever room it has.
pub(crate) fn read_node<K: btree_v1::Key>(source: &Source, addr: Addr, form: K::Form) -> Result<btree_v1::Node<K>> {
    decode_node(source, addr, form, &node_bytes::<K>(source, addr, form)?)
}

/// The bytes of a node of a version 1 B-tree that are in use.
pub(crate) fn node_bytes<K: btree_v1::Key>(source: &Source, addr: Addr, form: K::Form) -> Result<Vec<u8>> {
    const WHAT: &str = "version 1 B-tree node";
    let mut bytes = source.bytes_up_to(WHAT, addr, 4096)?;
    let used = btree_v1::Node::<K>::used_size(&bytes, addr.0, form, source.widths())?;
    if used > bytes.len() as u64 {
        return source.bytes(WHAT, addr, used);
    }
    bytes.truncate(used as usize);
    Ok(bytes)
}

/// A node of a version 1 B-tree from its bytes.
pub(crate) fn decode_node<K: btree_v1::Key>(
    source: &Source,
    addr: Addr,
    form: K::Form,
    bytes: &[u8],
) -> Result<btree_v1::Node<K>> {
    Ok(btree_v1::Node::decode(bytes, addr.0, form, source.widths())?)
}

fn read_symbols(source: &Source, addr: Addr) -> Result<SymbolTableNode> {
    const WHAT: &str = "symbol table node";
    let widths = source.widths();
    let mut bytes = source.bytes_up_to(WHAT, addr, 512)?;
    let used = SymbolTableNode::used_size(&bytes, addr.0, widths)?;
    if used > bytes.len() as u64 {
        bytes = source.bytes(WHAT, addr, used)?;
    }
    Ok(SymbolTableNode::decode(&bytes, addr.0, widths)?)
}

fn symbol_link(heap: &LocalHeap, segment: &[u8], entry: &SymbolTableEntry, node: Addr) -> Result<Link> {
    let name = Name::new(heap.name(segment, entry.name)?);
    let target = match (entry.cache, entry.header) {
        (Cache::SoftLink { target }, _) => LinkTarget::Soft(Name::new(heap.name(segment, target.into())?)),
        (_, Some(header)) => LinkTarget::Hard(header),
        (_, None) => {
            let why = Why::Text("an entry has no object header address and is no soft link");
            return Err(Malformed { what: "symbol table node", at: node.0, why }.into());
        }
    };
    Ok(Link { character_set: name.character_set(), name, creation_order: None, target })
}

fn not_a_group(header: &ObjectHeader) -> Error {
    Malformed { what: "object header", at: header.addr.0, why: Why::Text("has neither link info nor a symbol table") }
        .into()
}

//! Version 2 B-trees (III.A.2): header, nodes, the order of records and the counts that parents keep.

use std::cmp::Ordering;
use std::collections::HashSet;

use h5live_format::array_element::ElementForm;
use h5live_format::btree_v2::{Child, ChunkForm, ChunkRecord, Header, Node, Record, Tree, build};
use h5live_format::{Addr, lookup3};

use super::chunks::Chunks;
use super::report::Severity;
use super::walk::{Mended, Walk};

const HEADER: &str = "version 2 B-tree header";
const NODE: &str = "version 2 B-tree node";

/// A tree under way.
struct Look<'r, R: Record> {
    tree: Tree<R>,
    seen: HashSet<Addr>,
    last: Option<R>,
    compare: &'r dyn Fn(&R, &R) -> Ordering,
    makes_sense: &'r dyn Fn(&Walk<'_>, &R) -> bool,
    is_unique: bool,
    /// Every record that can be read, where the tree will have to be made anew.
    kept: Option<Vec<R>>,
    is_damaged: bool,
    count: u64,
}

/// What is to be known of records to check them.
pub(super) struct Records<'r, R: Record> {
    pub(super) form: R::Form,
    /// The order of the tree.
    pub(super) compare: &'r dyn Fn(&R, &R) -> Ordering,
    /// Whether no two records are equal in that order.
    pub(super) is_unique: bool,
    /// Whether a record of a damaged node can be one.
    pub(super) makes_sense: &'r dyn Fn(&Walk<'_>, &R) -> bool,
}

impl Walk<'_> {
    /// The chunks of a dataset.
    pub(super) fn chunk_tree(&mut self, at: Addr, chunks: &Chunks<'_>) {
        let element: ElementForm = chunks.form(self);
        let form = ChunkForm { element, rank: chunks.grid.rank() as u8 };
        let makes_sense = |walk: &Walk<'_>, record: &ChunkRecord| {
            record.chunk.size > 0 && walk.is_plausible(record.chunk.addr, record.chunk.size)
        };
        let compare = |one: &ChunkRecord, other: &ChunkRecord| one.scaled.cmp(&other.scaled);
        let records = Records { form, compare: &compare, is_unique: true, makes_sense: &makes_sense };
        self.tree(at, &records, |walk, record| chunks.chunk(walk, &record.scaled, record.chunk));
    }

    /// Visits every record of the tree whose header lies at `at`, and returns how many there are; none where the header
    /// cannot be read.
    pub(super) fn tree<R: Record>(
        &mut self,
        at: Addr,
        records: &Records<'_, R>,
        mut visit: impl FnMut(&mut Self, &R),
    ) -> Option<u64> {
        let (widths, form) = (self.widths, records.form);
        let decode = |bytes: &[u8]| Tree::<R>::new(Header::decode(bytes, at.0, widths)?, at.0, widths, form);
        let mend = |walk: &Self, bytes: Vec<u8>| mend_header::<R>(walk, bytes, form);
        let tree = self.block(HEADER, at, Header::size(widths), decode, mend)?;
        let header = *tree.header();
        let root = header.root.filter(|_| header.root_records > 0);
        let kept = (self.purpose.rebuild && self.overlay.is_some()).then(Vec::new);
        let mut look = Look {
            tree,
            seen: HashSet::new(),
            last: None,
            compare: records.compare,
            makes_sense: records.makes_sense,
            is_unique: records.is_unique,
            kept,
            is_damaged: false,
            count: 0,
        };
        match root {
            Some(addr) => {
                let root = Child { addr, records: header.root_records, total: header.total_records };
                let findings = self.findings.len();
                self.node(&mut look, root, header.depth, &mut visit);
                if look.count != header.total_records && self.findings.len() == findings {
                    let problem = format!("counts {} records, and there are {}", header.total_records, look.count);
                    self.find(Severity::Error, HEADER, Some(at), problem);
                }
            }
            None if header.total_records > 0 => {
                let problem = format!("counts {} records and has no root node", header.total_records);
                self.find(Severity::Error, HEADER, Some(at), problem);
            }
            None => {}
        }
        if look.is_damaged
            && let Some(kept) = look.kept.take()
        {
            self.rebuild(at, &header, form, kept, records.compare);
        }
        Some(look.count)
    }

    fn node<R: Record>(
        &mut self,
        look: &mut Look<'_, R>,
        child: Child,
        depth: u16,
        visit: &mut dyn FnMut(&mut Self, &R),
    ) -> u64 {
        if !look.seen.insert(child.addr) {
            self.find(Severity::Error, NODE, Some(child.addr), "is named twice");
            look.is_damaged = true;
            return 0;
        }
        let before = look.count;
        let (layout, form) = (look.tree.layout().clone(), look.tree.form());
        let header = *look.tree.header();
        let used = layout.used_size(depth, child.records);
        let findings = self.findings.len();
        let decode = |bytes: &[u8]| {
            let bytes = bytes.get(..used as usize).unwrap_or(bytes);
            Node::<R>::decode(bytes, child.addr.0, depth, child.records, &layout, form)
        };
        let mend = |_: &Self, mut bytes: Vec<u8>| {
            let sum_at = usize::try_from(used).ok()?.checked_sub(4)?;
            let start = bytes.get_mut(..6)?;
            start[..4].copy_from_slice(if depth == 0 { b"BTLF" } else { b"BTIN" });
            (start[4], start[5]) = (0, header.kind);
            let sum = lookup3(bytes.get(..sum_at)?);
            bytes.get_mut(sum_at..sum_at + 4)?.copy_from_slice(&sum.to_le_bytes());
            Some(Mended { bytes, saved: "records that make sense can be saved".to_owned() })
        };
        let size = u64::from(header.node_size).max(used);
        let Some(node) = self.block(NODE, child.addr, size, decode, mend) else {
            look.is_damaged = true;
            return 0;
        };
        let is_damaged =
            self.findings.len() > findings && self.findings[findings..].iter().any(|it| it.salvage.is_some());
        look.is_damaged |= is_damaged;
        let signature = if depth == 1 { "BTLF" } else { "BTIN" };
        let mut children = node.children.iter();
        let mut below = |walk: &mut Self, look: &mut Look<'_, R>| {
            let Some(next) = children.next() else { return };
            if is_damaged && !walk.has_signature(next.addr, signature) {
                return;
            }
            let found = walk.node(look, *next, depth - 1, visit);
            if found != next.total && !look.is_damaged {
                let problem =
                    format!("counts {} records below the child at {}, and there are {found}", next.total, next.addr);
                walk.find(Severity::Error, NODE, Some(child.addr), problem);
            }
        };
        let mut records = Vec::with_capacity(node.records.len());
        for record in &node.records {
            if depth > 0 {
                below(self, look);
            }
            self.record(look, record, child.addr, is_damaged, &mut records);
        }
        if depth > 0 {
            below(self, look);
        }
        for record in &records {
            visit(self, record);
        }
        look.count - before
    }

    fn record<R: Record>(
        &mut self,
        look: &mut Look<'_, R>,
        record: &R,
        node: Addr,
        is_damaged: bool,
        records: &mut Vec<R>,
    ) {
        if is_damaged && !(look.makes_sense)(self, record) {
            return;
        }
        let in_order = look.last.as_ref().is_none_or(|last| match (look.compare)(last, record) {
            Ordering::Less => true,
            Ordering::Equal => !look.is_unique,
            Ordering::Greater => false,
        });
        if !in_order && !is_damaged {
            self.find(Severity::Error, NODE, Some(node), "its records are not in order");
            look.is_damaged = true;
        }
        if in_order || !is_damaged {
            look.last = Some(record.clone());
        }
        look.count += 1;
        if let Some(kept) = &mut look.kept {
            kept.push(record.clone());
        }
        records.push(record.clone());
    }

    /// Lays a tree of these records over the one whose header lies at `at`.
    pub(super) fn rebuild<R: Record>(
        &mut self,
        at: Addr,
        header: &Header,
        form: R::Form,
        mut records: Vec<R>,
        compare: &dyn Fn(&R, &R) -> Ordering,
    ) {
        let Some(overlay) = self.overlay else { return };
        let encoded = |record: &R| {
            let mut bytes = Vec::new();
            record.encode(form, &mut bytes);
            bytes
        };
        records.sort_by(compare);
        records.dedup_by(|one, other| encoded(one) == encoded(other));
        let base = self.source.base();
        let allocate = |len: u64| Addr(overlay.room(len).map_or(u64::MAX / 2, |at| at.saturating_sub(base)));
        if let Ok(built) = build(header, self.widths, form, records, allocate) {
            for (addr, bytes) in built.nodes {
                overlay.patch(base + addr.0, bytes);
            }
            overlay.patch(base + at.0, built.header.encode(self.widths));
        }
    }
}

/// A header whose fields make sense but for the checksum.
fn mend_header<R: Record>(walk: &Walk<'_>, mut bytes: Vec<u8>, form: R::Form) -> Option<Mended> {
    let end = bytes.len().checked_sub(4)?;
    bytes.get_mut(..6)?.copy_from_slice(&[b'B', b'T', b'H', b'D', 0, R::kind(form)]);
    let sum = lookup3(&bytes[..end]);
    bytes[end..].copy_from_slice(&sum.to_le_bytes());
    let header = Header::decode(&bytes, 0, walk.widths).ok()?;
    Tree::<R>::new(header, 0, walk.widths, form).ok()?;
    let signature = if header.depth == 0 { "BTLF" } else { "BTIN" };
    let root = header.root?;
    walk.has_signature(root, signature).then(|| Mended { bytes, saved: "its root node is known".to_owned() })
}

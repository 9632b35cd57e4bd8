//! Groups: their links in all three forms, and where these lead.

use h5live_format::btree_v2::{Header as TreeHeader, LinkNameRecord, LinkOrderRecord};
use h5live_format::message::{DenseStorage, Link, LinkTarget, Name, SymbolTable};
use h5live_format::object_header::MessageType;
use h5live_format::symbol_table_node::{Cache, SymbolTableEntry, SymbolTableNode};
use h5live_format::{Addr, Put, lookup3};

use super::btree_v2::Records;
use super::report::Severity;
use super::walk::Walk;
use crate::group::{Group, join};
use crate::object::header::ObjectHeader;
use crate::object::links::LinkStorage;

const LINK: &str = "link message";
const SYMBOLS: &str = "symbol table node";
/// Bytes of the nodes of a tree that is made anew.
const NODE_SIZE: u32 = 512;

impl Walk<'_> {
    pub(super) fn group(&mut self, header: &ObjectHeader) {
        match LinkStorage::of(&self.source, header) {
            Ok(Some(LinkStorage::Compact)) => {
                for message in header.all(MessageType::LINK) {
                    // One that cannot be decoded has been told.
                    if let Ok(link) = Link::decode(&message.body, header.body_addr(message).0, self.widths) {
                        self.link(header.addr, link);
                    }
                }
            }
            Ok(Some(LinkStorage::Dense(dense))) => self.dense_links(header.addr, dense),
            Ok(Some(LinkStorage::SymbolTable(table))) => self.symbol_table(header.addr, table),
            // A message that cannot be decoded has been told.
            Ok(None) | Err(_) => {}
        }
    }

    fn link(&mut self, group: Addr, link: Link) {
        let name = link.name.to_string_lossy().into_owned();
        let path = join(self.object_path().unwrap_or("/"), &name);
        let missing = match link.target {
            LinkTarget::Hard(addr) => {
                if addr.0 >= self.physical && !self.source.is_patient() {
                    let problem = format!("{name:?} leads to {addr}, beyond the end of the file");
                    self.find(Severity::Error, LINK, Some(group), problem);
                }
                return self.lead_to(addr, path);
            }
            LinkTarget::Soft(target) => {
                let file = self.file.handle();
                let there = file.map(|file| Group::new(file, group, path).contains(&name));
                matches!(there, Some(Ok(false))).then(|| target.to_string_lossy().into_owned())
            }
            LinkTarget::External { file, .. } => {
                let is_missing = self.file.find_other(file.as_bytes()).is_err();
                is_missing.then(|| format!("the file {}", file.to_string_lossy()))
            }
            LinkTarget::UserDefined { .. } => None,
        };
        if let Some(target) = missing {
            self.find(
                Severity::Note,
                LINK,
                Some(group),
                format!("{name:?} leads to {target}, and there is no such thing"),
            );
        }
    }

    fn dense_links(&mut self, group: Addr, dense: DenseStorage) {
        let Some(mut heap) = self.fractal_heap(dense.heap) else { return };
        let widths = self.widths;
        let found = self.findings.len();
        let (mut links, mut good) = (Vec::new(), Vec::new());
        let compare = |one: &LinkNameRecord, other: &LinkNameRecord| one.hash.cmp(&other.hash);
        let makes_sense = |_: &Walk<'_>, _: &LinkNameRecord| true;
        let records = Records { form: (), compare: &compare, is_unique: false, makes_sense: &makes_sense };
        let by_name = self.tree(dense.name_index, &records, |walk, record| {
            let Some(object) = heap.object(walk, &record.heap_id) else { return };
            match Link::decode(&object, dense.heap.0, widths) {
                Ok(link) if lookup3(link.name.as_bytes()) == record.hash => {
                    links.push(link);
                    good.push(*record);
                }
                Ok(link) => {
                    let problem = format!("the hash of {:?} is not that of its record", link.name.to_string_lossy());
                    walk.find(Severity::Error, "version 2 B-tree node", Some(dense.name_index), problem);
                }
                Err(malformed) => walk.malformed(malformed),
            }
        });
        let is_damaged = self.findings[found..].iter().any(|finding| finding.severity == Severity::Error);
        if let Some(index) = dense.creation_order_index {
            let compare = |one: &LinkOrderRecord, other: &LinkOrderRecord| one.order.cmp(&other.order);
            let makes_sense = |_: &Walk<'_>, _: &LinkOrderRecord| true;
            let records = Records { form: (), compare: &compare, is_unique: true, makes_sense: &makes_sense };
            let mut others = Vec::new();
            let by_order = self.tree(index, &records, |_, record| others.push(record.heap_id));
            self.same_count(index, by_name, by_order);
            // What the one index has lost the other may know.
            if is_damaged {
                others.retain(|id| good.iter().all(|record| record.heap_id != *id));
                for heap_id in others {
                    let Some(object) = heap.object(self, &heap_id) else { continue };
                    let Ok(link) = Link::decode(&object, dense.heap.0, widths) else { continue };
                    good.push(LinkNameRecord { hash: lookup3(link.name.as_bytes()), heap_id });
                    links.push(link);
                }
            }
        }
        if is_damaged && self.purpose.rebuild {
            let header = TreeHeader::empty::<LinkNameRecord>((), NODE_SIZE);
            self.rebuild(dense.name_index, &header, (), good, &compare);
        }
        let named = links.len() as u64;
        for link in links {
            self.link(group, link);
        }
        if !is_damaged {
            heap.finish(self, named);
        }
    }

    /// Two indexes of the same things have the same number of records.
    pub(super) fn same_count(&mut self, index: Addr, by_name: Option<u64>, by_order: Option<u64>) {
        if let (Some(by_name), Some(by_order)) = (by_name, by_order)
            && by_name != by_order
        {
            let problem = format!("has {by_order} records, and the index by name has {by_name}");
            self.find(Severity::Warning, "creation order index", Some(index), problem);
        }
    }

    fn symbol_table(&mut self, group: Addr, table: SymbolTable) {
        let Some((heap, segment)) = self.local_heap(table.heap) else { return };
        let room = self.btree_k().group_leaf.saturating_mul(2);
        let widths = self.widths;
        let mut last: Vec<u8> = Vec::new();
        let mut links = Vec::new();
        self.group_tree(table.btree, |walk, at| {
            let read = walk.source.patiently(|| {
                let start = walk.source.bytes(SYMBOLS, at, 8)?;
                let used = SymbolTableNode::used_size(&start, at.0, widths)?;
                Ok(SymbolTableNode::decode(&walk.source.bytes(SYMBOLS, at, used)?, at.0, widths)?)
            });
            let node = match read {
                Ok(node) => node,
                Err(error) => {
                    walk.unreadable(SYMBOLS, at, error);
                    return false;
                }
            };
            let entries = node.entries.len() as u16;
            let whole = SymbolTableNode::size(room.max(entries), widths);
            let used = SymbolTableNode::size(entries, widths);
            let left = walk.physical.saturating_sub(at.0);
            walk.claim(SYMBOLS, at, if whole <= left { whole } else { used }, super::owners::Use::Metadata);
            let mut good: Vec<SymbolTableEntry> = Vec::new();
            for entry in &node.entries {
                let link = heap.name(&segment, entry.name).and_then(|name| {
                    let target = match (entry.cache, entry.header) {
                        (Cache::SoftLink { target }, _) => {
                            Some(LinkTarget::Soft(Name::new(heap.name(&segment, target.into())?)))
                        }
                        (_, header) => header.map(LinkTarget::Hard),
                    };
                    Ok((name, target))
                });
                match link {
                    Ok((name, Some(target))) => {
                        if name <= last.as_slice() && !last.is_empty() {
                            let problem = format!("{:?} is not in order", String::from_utf8_lossy(name));
                            walk.find(Severity::Error, SYMBOLS, Some(at), problem);
                        }
                        last = name.to_vec();
                        let name = Name::new(name);
                        links.push(Link { character_set: name.character_set(), name, creation_order: None, target });
                        good.push(*entry);
                    }
                    Ok((name, None)) => {
                        let problem = format!("{:?} leads nowhere", String::from_utf8_lossy(name));
                        walk.find(Severity::Error, SYMBOLS, Some(at), problem);
                    }
                    Err(malformed) => walk.malformed(malformed),
                }
            }
            if good.len() < node.entries.len()
                && walk.purpose.rebuild
                && let Some(overlay) = walk.overlay
            {
                let mut bytes = b"SNOD\x01\0".to_vec();
                bytes.put_u16(good.len() as u16);
                good.iter().for_each(|entry| entry.encode(&mut bytes, widths));
                overlay.patch(walk.source.base() + at.0, bytes);
            }
            true
        });
        for link in links {
            self.link(group, link);
        }
    }
}

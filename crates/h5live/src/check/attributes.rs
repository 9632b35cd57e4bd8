//! The attributes of an object, in both forms.

use h5live_format::btree_v2::{AttributeNameRecord, AttributeOrderRecord, Header as TreeHeader};
use h5live_format::message::{Attribute, DenseStorage, MaybeShared, SharedMessage};
use h5live_format::object_header::{MessageFlags, MessageType};
use h5live_format::{Addr, lookup3};

use super::btree_v2::Records;
use super::fractal_heap::Heap;
use super::report::Severity;
use super::walk::Walk;
use crate::object::attributes::{attribute_info, complete};
use crate::object::header::ObjectHeader;

const ATTRIBUTE: &str = "attribute message";
/// Bytes of the nodes of a tree that is made anew.
const NODE_SIZE: u32 = 512;

impl Walk<'_> {
    pub(super) fn attributes(&mut self, header: &ObjectHeader) {
        // An attribute info message that cannot be decoded has been told.
        let Ok(info) = attribute_info(self.file, header) else { return };
        if let Some(dense) = info.and_then(|info| info.dense) {
            return self.dense_attributes(dense);
        }
        for message in header.all(MessageType::ATTRIBUTE) {
            let at = header.body_addr(message);
            match self.file.body(header, message) {
                Ok(body) => {
                    if let Ok(attribute) = Attribute::decode(&body.bytes, body.at, self.widths) {
                        self.attribute(at, attribute);
                    }
                }
                Err(error) => self.unreadable(ATTRIBUTE, at, error),
            }
        }
    }

    /// Whether an attribute is whole.
    fn attribute(&mut self, at: Addr, attribute: Attribute) {
        if let MaybeShared::Shared(SharedMessage::Committed(addr)) = attribute.datatype {
            self.share(addr);
        }
        let name = attribute.name.to_string_lossy().into_owned();
        match complete(self.file, attribute, None) {
            Ok(stored) => self.heap_data(&stored.data, &stored.datatype),
            Err(error) => {
                let error = match error.kind() {
                    crate::ErrorKind::Malformed(found) => {
                        let problem = format!("{name:?}: {}", found.why);
                        return self.find(Severity::Error, ATTRIBUTE, Some(at), problem);
                    }
                    _ => error,
                };
                self.unreadable(ATTRIBUTE, at, error);
            }
        }
    }

    fn dense_attributes(&mut self, dense: DenseStorage) {
        let Some(mut heap) = self.fractal_heap(dense.heap) else { return };
        let found = self.findings.len();
        let (mut attributes, mut good) = (Vec::new(), Vec::new());
        let compare = |one: &AttributeNameRecord, other: &AttributeNameRecord| one.hash.cmp(&other.hash);
        let makes_sense = |_: &Walk<'_>, _: &AttributeNameRecord| true;
        let records = Records { form: (), compare: &compare, is_unique: false, makes_sense: &makes_sense };
        let mut shared = 0;
        let by_name = self.tree(dense.name_index, &records, |walk, record| {
            let flags = MessageFlags(record.flags);
            shared += u64::from(flags.contains(MessageFlags::SHARED));
            let Some(attribute) = walk.dense_attribute(&mut heap, dense.heap, &record.heap_id, flags) else { return };
            if lookup3(attribute.name.as_bytes()) != record.hash {
                let problem = format!("the hash of {:?} is not that of its record", attribute.name.to_string_lossy());
                walk.find(Severity::Error, "version 2 B-tree node", Some(dense.name_index), problem);
                return;
            }
            good.push(*record);
            attributes.push(attribute);
        });
        let is_damaged = self.findings[found..].iter().any(|finding| finding.severity == Severity::Error);
        if let Some(index) = dense.creation_order_index {
            let compare = |one: &AttributeOrderRecord, other: &AttributeOrderRecord| one.order.cmp(&other.order);
            let makes_sense = |_: &Walk<'_>, _: &AttributeOrderRecord| true;
            let records = Records { form: (), compare: &compare, is_unique: true, makes_sense: &makes_sense };
            let mut others = Vec::new();
            let by_order = self.tree(index, &records, |_, record| others.push(*record));
            self.same_count(index, by_name, by_order);
            if is_damaged {
                others.retain(|other| good.iter().all(|record| record.heap_id != other.heap_id));
                for AttributeOrderRecord { heap_id, flags, order } in others {
                    let found = self.dense_attribute(&mut heap, dense.heap, &heap_id, MessageFlags(flags));
                    let Some(attribute) = found else { continue };
                    good.push(AttributeNameRecord { heap_id, flags, order, hash: lookup3(attribute.name.as_bytes()) });
                    attributes.push(attribute);
                }
            }
        }
        if is_damaged && self.purpose.rebuild {
            let header = TreeHeader::empty::<AttributeNameRecord>((), NODE_SIZE);
            self.rebuild(dense.name_index, &header, (), good, &compare);
        }
        let named = attributes.len() as u64 - shared.min(attributes.len() as u64);
        for attribute in attributes {
            self.attribute(dense.heap, attribute);
        }
        if !is_damaged {
            heap.finish(self, named);
        }
    }

    fn dense_attribute(&mut self, heap: &mut Heap, at: Addr, id: &[u8; 8], flags: MessageFlags) -> Option<Attribute> {
        let (bytes, at) = if flags.contains(MessageFlags::SHARED) {
            let found = self
                .file
                .shared_messages()
                .and_then(|shared| shared.in_heap(&self.source, &self.file.filters, MessageType::ATTRIBUTE, id));
            match found {
                Ok(found) => found,
                Err(error) => {
                    self.unreadable(ATTRIBUTE, at, error);
                    return None;
                }
            }
        } else {
            (heap.object(self, id)?, at.0)
        };
        match Attribute::decode(&bytes, at, self.widths) {
            Ok(attribute) => Some(attribute),
            Err(malformed) => {
                self.malformed(malformed);
                None
            }
        }
    }
}

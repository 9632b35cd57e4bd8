//! The attributes of an object, in both forms: messages of its header, and a fractal heap with name index.
//!
//! Where the attribute info message names a heap, the heap has all attributes: messages that are still in the header are
//! left over from before and do not count.

use std::cmp::Ordering;

use h5live_format::btree_v2::AttributeNameRecord;
use h5live_format::message::{self, AttributeInfo, Dataspace, Datatype, DenseStorage, MaybeShared, Name};
use h5live_format::object_header::{MessageFlags, MessageType};
use h5live_format::{Addr, Malformed, Why, lookup3};

use super::fractal_heap::FractalHeap;
use super::header::{Message, ObjectHeader};
use super::links::{NODE, open_tree};
use crate::error::{Error, Result};
use crate::file::Inner;

/// An attribute as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct StoredAttribute {
    pub(crate) name: Name,
    /// Its number in the order of creation, where the object keeps that.
    pub(crate) creation_order: Option<u32>,
    pub(crate) datatype: Datatype,
    /// The committed datatype's object, if the type is one.
    pub(crate) committed: Option<Addr>,
    pub(crate) dataspace: Dataspace,
    /// The elements: exactly as many bytes as they take.
    pub(crate) data: Vec<u8>,
}

/// The attribute info message of a header.
pub(crate) fn attribute_info(file: &Inner, header: &ObjectHeader) -> Result<Option<AttributeInfo>> {
    match header.find(MessageType::ATTRIBUTE_INFO) {
        Some(message) => {
            let widths = file.source.widths();
            Ok(Some(AttributeInfo::decode(&message.body, header.body_addr(message).0, widths)?))
        }
        None => Ok(None),
    }
}

/// All attributes: in the order of creation where the object keeps that, otherwise by name.
pub(crate) fn all(file: &Inner, header: &ObjectHeader) -> Result<Vec<StoredAttribute>> {
    let info = attribute_info(file, header)?;
    let mut found = Vec::new();
    match info.and_then(|info| info.dense) {
        None => {
            for message in header.all(MessageType::ATTRIBUTE) {
                found.push(compact(file, header, message)?);
            }
        }
        Some(dense) => {
            // What has a name is in the heap by the time that it is opened.
            let records = file.source.patiently(|| {
                let mut records = Vec::new();
                open_tree::<AttributeNameRecord>(&file.source, dense.name_index, ())?.for_each(
                    |addr, len| file.source.bytes(NODE, addr, len),
                    |record| {
                        records.push(record);
                        Ok::<(), Error>(())
                    },
                )?;
                Ok(records)
            })?;
            let storage = Dense::open(file, dense)?;
            for record in records {
                let decoded = storage.message(&record)?;
                found.push(complete(file, decoded, Some(record.order))?);
            }
        }
    }
    let tracked = header.settings().is_some_and(|settings| settings.attribute_order != Default::default());
    if tracked {
        found.sort_by_key(|attribute| attribute.creation_order);
    } else {
        found.sort_by(|one, other| one.name.cmp(&other.name));
    }
    Ok(found)
}

/// The attribute called `name`.
pub(crate) fn find(file: &Inner, header: &ObjectHeader, name: &[u8]) -> Result<Option<StoredAttribute>> {
    let info = attribute_info(file, header)?;
    let Some(dense) = info.and_then(|info| info.dense) else {
        for message in header.all(MessageType::ATTRIBUTE) {
            let decoded = decode(file, header, message)?;
            if decoded.name.as_bytes() == name {
                return complete(file, decoded, message.creation_order.map(u32::from)).map(Some);
            }
        }
        return Ok(None);
    };
    let hash = lookup3(name);
    let found = file.source.patiently(|| {
        let tree = open_tree::<AttributeNameRecord>(&file.source, dense.name_index, ())?;
        let storage = Dense::open(file, dense)?;
        let record = tree.find(
            |addr, len| file.source.bytes(NODE, addr, len),
            |record| match record.hash.cmp(&hash) {
                Ordering::Equal => Ok(storage.message(record)?.name.as_bytes().cmp(name)),
                other => Ok::<Ordering, Error>(other),
            },
        )?;
        record.map(|record| Ok((storage.message(&record)?, record.order))).transpose()
    })?;
    found.map(|(message, order)| complete(file, message, Some(order))).transpose()
}

/// Attributes in a heap, or in the file's heap of shared messages.
struct Dense<'a> {
    file: &'a Inner,
    heap: FractalHeap,
    at: Addr,
}

impl<'a> Dense<'a> {
    fn open(file: &'a Inner, dense: DenseStorage) -> Result<Self> {
        let heap = FractalHeap::open(&file.source, dense.heap, &file.filters)?;
        Ok(Self { file, heap, at: dense.heap })
    }

    fn message(&self, record: &AttributeNameRecord) -> Result<message::Attribute> {
        let source = &self.file.source;
        let (bytes, at) = if MessageFlags(record.flags).contains(MessageFlags::SHARED) {
            let shared = self.file.shared_messages()?;
            shared.in_heap(source, &self.file.filters, MessageType::ATTRIBUTE, &record.heap_id)?
        } else {
            (self.heap.object(source, &record.heap_id)?, self.at.0)
        };
        Ok(message::Attribute::decode(&bytes, at, source.widths())?)
    }
}

fn compact(file: &Inner, header: &ObjectHeader, message: &Message) -> Result<StoredAttribute> {
    complete(file, decode(file, header, message)?, message.creation_order.map(u32::from))
}

fn decode(file: &Inner, header: &ObjectHeader, message: &Message) -> Result<message::Attribute> {
    let body = file.body(header, message)?;
    Ok(message::Attribute::decode(&body.bytes, body.at, file.source.widths())?)
}

/// Fetches what the message says is elsewhere.
pub(crate) fn complete(
    file: &Inner,
    found: message::Attribute,
    creation_order: Option<u32>,
) -> Result<StoredAttribute> {
    let (datatype, committed) = match found.datatype {
        MaybeShared::Here(datatype) => (datatype, None),
        MaybeShared::Shared(shared) => {
            let body = file.shared_body(MessageType::DATATYPE, shared)?;
            (Datatype::decode(&body.bytes, body.at)?, body.committed)
        }
    };
    let dataspace = match found.dataspace {
        MaybeShared::Here(dataspace) => dataspace,
        MaybeShared::Shared(shared) => {
            let body = file.shared_body(MessageType::DATASPACE, shared)?;
            Dataspace::decode(&body.bytes, body.at, file.source.widths())?
        }
    };
    let mut data = found.data;
    let needed = dataspace.element_count().and_then(|count| count.checked_mul(datatype.size().into()));
    match needed.and_then(|needed| usize::try_from(needed).ok()) {
        Some(needed) if needed <= data.len() => data.truncate(needed),
        _ => {
            let (needed, left) = (needed.unwrap_or(u64::MAX), data.len() as u64);
            let why = Why::Truncated { field: "data", needed, left };
            return Err(Malformed { what: "attribute message", at: 0, why }.into());
        }
    }
    Ok(StoredAttribute { name: found.name, creation_order, datatype, committed, dataspace, data })
}

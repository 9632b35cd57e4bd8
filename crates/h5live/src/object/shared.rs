//! Messages that are stored elsewhere: committed datatypes, and the file's heap of shared messages.

use h5live_filter::Registry;
use h5live_format::message::{self, SharedMessage};
use h5live_format::object_header::{MessageFlags, MessageType};
use h5live_format::shared_message_table::{SharedMessageIndex, SharedMessageTable};
use h5live_format::{Addr, Malformed, Why};

use super::fractal_heap::FractalHeap;
use super::header::{Message, ObjectHeader};
use crate::error::Result;
use crate::source::Source;

/// Where the shared messages of a file are: one index for each group of message types.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedMessages {
    indexes: Vec<SharedMessageIndex>,
}

/// The body of a message, wherever it is.
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    /// Address of what it was found in, for errors.
    pub(crate) at: u64,
    /// The object that has it, if it is a committed datatype.
    pub(crate) committed: Option<Addr>,
}

impl SharedMessages {
    /// Reads the table that the superblock extension names.
    pub(crate) fn read(source: &Source, table: message::SharedMessageTable) -> Result<Self> {
        let widths = source.widths();
        let size = SharedMessageTable::size(table.index_count, widths);
        let table = source.block("shared object header message table", table.addr, size, |bytes| {
            SharedMessageTable::decode(bytes, table.addr.0, table.index_count, widths)
        })?;
        Ok(Self { indexes: table.indexes })
    }

    /// The body of `message`, which is one of `header`.
    pub(crate) fn body(
        &self,
        source: &Source,
        registry: &Registry,
        header: &ObjectHeader,
        message: &Message,
    ) -> Result<Body> {
        let at = header.body_addr(message);
        if !message.flags.contains(MessageFlags::SHARED) {
            return Ok(Body { bytes: message.body.clone(), at: at.0, committed: None });
        }
        self.resolve(source, registry, message.kind, SharedMessage::decode(&message.body, at.0, source.widths())?)
    }

    /// The message of type `kind` that `shared` names.
    pub(crate) fn resolve(
        &self,
        source: &Source,
        registry: &Registry,
        kind: MessageType,
        shared: SharedMessage,
    ) -> Result<Body> {
        match shared {
            SharedMessage::Committed(addr) => {
                let header = ObjectHeader::read(source, addr)?;
                let found = header.find(kind).filter(|found| !found.flags.contains(MessageFlags::SHARED));
                let found = found.ok_or(Malformed {
                    what: "object header",
                    at: addr.0,
                    why: Why::Text("is said to have a shared message, and has none of that type"),
                })?;
                let bytes = found.body.clone();
                Ok(Body { bytes, at: header.body_addr(found).0, committed: Some(addr) })
            }
            SharedMessage::Heap(id) => {
                let (bytes, at) = self.in_heap(source, registry, kind, &id)?;
                Ok(Body { bytes, at, committed: None })
            }
        }
    }

    /// The message of type `kind` with this ID in the heap of shared messages, and that heap's address.
    pub(crate) fn in_heap(
        &self,
        source: &Source,
        registry: &Registry,
        kind: MessageType,
        id: &[u8; 8],
    ) -> Result<(Vec<u8>, u64)> {
        let has_kind = |index: &&SharedMessageIndex| {
            1u16.checked_shl(kind.0.into()).is_some_and(|bit| index.message_types & bit != 0)
        };
        let heap = self.indexes.iter().find(has_kind).and_then(|index| index.heap).ok_or(Malformed {
            what: "shared message",
            at: 0,
            why: Why::Text("lies in a heap that the superblock extension does not name"),
        })?;
        Ok((FractalHeap::open(source, heap, registry)?.object(source, id)?, heap.0))
    }
}

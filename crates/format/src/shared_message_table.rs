//! The shared object header message table (IV.A.2.p and III.I): messages that several objects share.
//!
//! The table has an index for each group of message types. An index is a list while it is short and a version 2 B-tree
//! (records of type 7) later; most messages lie in the fractal heap of their index.

use crate::btree_v2::Record;
use crate::{Addr, Cursor, Put, Result, Widths};

/// One index of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedMessageIndex {
    /// Whether the index is a B-tree, and not a list.
    pub is_tree: bool,
    /// Bit n set: messages of type n are in this index.
    pub message_types: u16,
    /// Bytes below which a message is not shared.
    pub min_message_size: u32,
    /// Messages above which the list becomes a B-tree.
    pub list_cutoff: u16,
    /// Messages below which the B-tree becomes a list.
    pub tree_cutoff: u16,
    /// Messages.
    pub messages: u16,
    /// Address of the list, or of the B-tree's header.
    pub index: Option<Addr>,
    /// Address of the fractal heap's header.
    pub heap: Option<Addr>,
}

/// The master table ("SMTB").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedMessageTable {
    /// The indexes.
    pub indexes: Vec<SharedMessageIndex>,
}

impl SharedMessageTable {
    /// Bytes of a table of so many indexes; the superblock extension says how many.
    #[must_use]
    pub const fn size(indexes: u8, widths: Widths) -> u64 {
        8 + indexes as u64 * (14 + 2 * widths.offset as u64)
    }

    /// Decodes the table at file address `at`.
    pub fn decode(bytes: &[u8], at: u64, indexes: u8, widths: Widths) -> Result<Self> {
        let mut cursor = Cursor::new("shared object header message table", at, bytes);
        cursor.signature("SMTB")?;
        let mut decoded = Vec::new();
        for _ in 0..indexes {
            cursor.version(0)?;
            let is_tree = match cursor.u8("index type")? {
                0 => false,
                1 => true,
                kind => return Err(cursor.bad_value("index type", kind.into(), "is neither 0 nor 1")),
            };
            decoded.push(SharedMessageIndex {
                is_tree,
                message_types: cursor.u16("message type flags")?,
                min_message_size: cursor.u32("minimum message size")?,
                list_cutoff: cursor.u16("list cutoff")?,
                tree_cutoff: cursor.u16("v2 B-tree cutoff")?,
                messages: cursor.u16("number of messages")?,
                index: cursor.addr("index address", widths)?,
                heap: cursor.addr("fractal heap address", widths)?,
            });
        }
        cursor.checksum()?;
        Ok(Self { indexes: decoded })
    }

    /// The index for messages of this type.
    #[must_use]
    pub fn index_of(&self, message_type: u16) -> Option<&SharedMessageIndex> {
        let bit = 1u16.checked_shl(message_type.into())?;
        self.indexes.iter().find(|index| index.message_types & bit != 0)
    }
}

/// A shared message, in a list or in a B-tree (type 7). Ordered by `hash`, then by the message's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedMessageRecord {
    /// [`lookup3`](crate::lookup3) of the message's bytes.
    pub hash: u32,
    /// Where the message is.
    pub location: SharedMessageLocation,
}

/// Where a shared message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SharedMessageLocation {
    /// In the fractal heap of its index.
    Heap {
        /// Objects that share it.
        reference_count: u32,
        /// Its heap ID.
        id: [u8; 8],
    },
    /// In the header of the one object that has it.
    ObjectHeader {
        /// Message type.
        message_type: u8,
        /// Which of the header's messages of that type.
        index: u16,
        /// Address of the object header.
        addr: Addr,
    },
}

impl Record for SharedMessageRecord {
    type Form = Widths;

    fn kind(_: Widths) -> u8 {
        7
    }

    fn size(widths: Widths) -> u16 {
        5 + (4 + u16::from(widths.offset)).max(12)
    }

    fn decode(cursor: &mut Cursor<'_>, widths: Widths) -> Result<Self> {
        let end = cursor.position() + usize::from(Self::size(widths));
        let location = cursor.u8("message location")?;
        let hash = cursor.u32("hash value")?;
        let location = match location {
            0 => SharedMessageLocation::Heap {
                reference_count: cursor.u32("reference count")?,
                id: cursor.array("heap ID")?,
            },
            1 => {
                cursor.skip("reserved", 1)?;
                SharedMessageLocation::ObjectHeader {
                    message_type: cursor.u8("message type")?,
                    index: cursor.u16("creation index")?,
                    addr: cursor.defined_addr("object header address", widths)?,
                }
            }
            _ => return Err(cursor.bad_value("message location", location.into(), "is neither 0 nor 1")),
        };
        cursor.skip("padding", end.saturating_sub(cursor.position()))?;
        Ok(Self { hash, location })
    }

    fn encode(&self, widths: Widths, out: &mut Vec<u8>) {
        let end = out.len() + usize::from(Self::size(widths));
        match self.location {
            SharedMessageLocation::Heap { reference_count, id } => {
                out.put_u8(0);
                out.put_u32(self.hash);
                out.put_u32(reference_count);
                out.extend_from_slice(&id);
            }
            SharedMessageLocation::ObjectHeader { message_type, index, addr } => {
                out.put_u8(1);
                out.put_u32(self.hash);
                out.put_u8(0);
                out.put_u8(message_type);
                out.put_u16(index);
                out.put_addr(Some(addr), widths);
            }
        }
        out.resize(end, 0);
    }
}

/// An index in the form of a list ("SMLI").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedMessageList {
    /// The messages, in no order.
    pub records: Vec<SharedMessageRecord>,
}

impl SharedMessageList {
    /// Bytes in use of a list of so many messages.
    #[must_use]
    pub fn size(messages: u16, widths: Widths) -> u64 {
        8 + u64::from(messages) * u64::from(SharedMessageRecord::size(widths))
    }

    /// Decodes the list at file address `at`, which has so many messages.
    pub fn decode(bytes: &[u8], at: u64, messages: u16, widths: Widths) -> Result<Self> {
        let mut cursor = Cursor::new("shared message record list", at, bytes);
        cursor.signature("SMLI")?;
        let least = SharedMessageRecord::size(widths).into();
        let count = cursor.checked_count("shared message records", messages.into(), least)?;
        let records = (0..count).map(|_| SharedMessageRecord::decode(&mut cursor, widths)).collect::<Result<_>>()?;
        cursor.checksum()?;
        Ok(Self { records })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const W: Widths = Widths::EIGHT;

    fn table() -> Vec<u8> {
        let mut bytes = b"SMTB".to_vec();
        for (kind, types) in [(0, 8), (1, 1 << 12)] {
            bytes.put_u8(0);
            bytes.put_u8(kind);
            bytes.put_u16(types);
            bytes.put_u32(1);
            for value in [50, 40, 3] {
                bytes.put_u16(value);
            }
            bytes.put_addr(Some(Addr(316)), W);
            bytes.put_addr(Some(Addr(1174)), W);
        }
        bytes.put_checksum_from(0);
        bytes
    }

    #[test]
    fn tables_decode_and_tell_which_index_has_a_type() {
        let mut bytes = table();
        assert_eq!(bytes.len() as u64, SharedMessageTable::size(2, W));
        let decoded = SharedMessageTable::decode(&bytes, 0, 2, W).unwrap();
        assert_eq!(decoded.index_of(3), decoded.indexes.first());
        assert_eq!(decoded.index_of(12).map(|index| index.is_tree), Some(true));
        assert_eq!(decoded.index_of(1), None);
        assert_eq!(decoded.index_of(99), None);
        for place in 0..bytes.len() {
            assert!(SharedMessageTable::decode(&bytes[..place], 0, 2, W).is_err());
            bytes[place] ^= 0x11;
            assert!(SharedMessageTable::decode(&bytes, 0, 2, W).is_err());
            bytes[place] ^= 0x11;
        }
    }

    #[test]
    fn lists_decode_records_of_both_kinds() {
        let records = vec![
            SharedMessageRecord {
                hash: 4_029_232_011,
                location: SharedMessageLocation::Heap { reference_count: 7, id: [0, 22, 0, 0, 0, 0, 12, 0] },
            },
            SharedMessageRecord {
                hash: 5,
                location: SharedMessageLocation::ObjectHeader { message_type: 3, index: 1, addr: Addr(99) },
            },
        ];
        let mut bytes = b"SMLI".to_vec();
        for record in &records {
            record.encode(W, &mut bytes);
        }
        bytes.put_checksum_from(0);
        assert_eq!(bytes.len() as u64, SharedMessageList::size(2, W));
        assert_eq!(SharedMessageList::decode(&bytes, 0, 2, W), Ok(SharedMessageList { records }));
        for place in 0..bytes.len() {
            assert!(SharedMessageList::decode(&bytes[..place], 0, 2, W).is_err());
            bytes[place] ^= 0x11;
            assert!(SharedMessageList::decode(&bytes, 0, 2, W).is_err());
            bytes[place] ^= 0x11;
        }
    }
}

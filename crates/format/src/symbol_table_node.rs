//! Symbol table nodes (III.B) and entries (III.C): the links of old groups, and the root group of old superblocks.

use crate::{Addr, Cursor, Put, Result, Widths};

/// A link of an old group, or the root group in a superblock of version 0 or 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SymbolTableEntry {
    /// Offset of the link's name in the group's local heap.
    pub name: u64,
    /// Address of the object header; none for soft links.
    pub header: Option<Addr>,
    /// What is known of the object without reading it.
    pub cache: Cache,
}

/// What an entry keeps about its object ("Cache Type" and "Scratch-pad Space").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cache {
    /// Nothing.
    Nothing,
    /// The object is a group: what its symbol table message says.
    Group {
        /// Root of the group's B-tree.
        tree: Addr,
        /// The group's local heap.
        heap: Addr,
    },
    /// The link is a soft one.
    SoftLink {
        /// Offset of its target path in the group's local heap.
        target: u32,
    },
}

impl SymbolTableEntry {
    /// Bytes of an entry.
    #[must_use]
    pub const fn size(widths: Widths) -> usize {
        24 + widths.length as usize + widths.offset as usize
    }

    /// Reads an entry. The specification gives the name's offset the size of offsets; libhdf5 gives it that of lengths.
    pub fn decode(cursor: &mut Cursor<'_>, widths: Widths) -> Result<Self> {
        let name = cursor.length("link name offset", widths)?;
        let header = cursor.addr("object header address", widths)?;
        let kind = cursor.u32("cache type")?;
        cursor.skip("reserved", 4)?;
        let scratch = cursor.take("scratch-pad space", 16)?;
        let mut scratch = Cursor::new("symbol table entry scratch-pad", cursor.at(), scratch);
        let cache = match kind {
            0 => Cache::Nothing,
            // Two addresses that do not fit are not there.
            1 if widths.offset > 8 => Cache::Nothing,
            1 => Cache::Group {
                tree: scratch.defined_addr("address of B-tree", widths)?,
                heap: scratch.defined_addr("address of name heap", widths)?,
            },
            2 => Cache::SoftLink { target: scratch.u32("offset to link value")? },
            _ => return Err(cursor.bad_value("cache type", kind.into(), "is neither 0, 1 nor 2")),
        };
        Ok(Self { name, header, cache })
    }

    /// Writes an entry.
    pub fn encode(&self, out: &mut Vec<u8>, widths: Widths) {
        let end = out.len() + Self::size(widths);
        out.put_length(self.name, widths);
        out.put_addr(self.header, widths);
        out.put_u32(match self.cache {
            Cache::Nothing => 0,
            Cache::Group { .. } => 1,
            Cache::SoftLink { .. } => 2,
        });
        out.put_u32(0);
        match self.cache {
            Cache::Nothing => {}
            Cache::Group { tree, heap } => {
                out.put_addr(Some(tree), widths);
                out.put_addr(Some(heap), widths);
            }
            Cache::SoftLink { target } => out.put_u32(target),
        }
        out.resize(end, 0);
    }
}

/// A symbol table node ("SNOD"): entries in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SymbolTableNode {
    /// The entries.
    pub entries: Vec<SymbolTableEntry>,
}

impl SymbolTableNode {
    const WHAT: &'static str = "symbol table node";

    /// Bytes of a node with room for `entries` entries: twice the superblock's "Group Leaf Node K".
    #[must_use]
    pub const fn size(entries: u16, widths: Widths) -> u64 {
        8 + entries as u64 * SymbolTableEntry::size(widths) as u64
    }

    /// Bytes in use of the node that starts with `bytes`, of which eight suffice: what must be read to decode it.
    pub fn used_size(bytes: &[u8], at: u64, widths: Widths) -> Result<u64> {
        Ok(Self::size(Self::start(&mut Cursor::new(Self::WHAT, at, bytes))?, widths))
    }

    /// Decodes the node at file address `at`.
    pub fn decode(bytes: &[u8], at: u64, widths: Widths) -> Result<Self> {
        let mut cursor = Cursor::new(Self::WHAT, at, bytes);
        let count = Self::start(&mut cursor)?;
        let count = cursor.checked_count("entries", count.into(), SymbolTableEntry::size(widths))?;
        let entries = (0..count).map(|_| SymbolTableEntry::decode(&mut cursor, widths)).collect::<Result<_>>()?;
        Ok(Self { entries })
    }

    fn start(cursor: &mut Cursor<'_>) -> Result<u16> {
        cursor.signature("SNOD")?;
        cursor.version(1)?;
        cursor.skip("reserved", 1)?;
        cursor.u16("number of symbols")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_every_kind_round_trip_in_a_node() {
        for widths in [Widths::EIGHT, Widths { offset: 4, length: 4 }] {
            let entries = vec![
                SymbolTableEntry { name: 8, header: Some(Addr(800)), cache: Cache::Nothing },
                SymbolTableEntry {
                    name: 16,
                    header: Some(Addr(900)),
                    cache: Cache::Group { tree: Addr(1000), heap: Addr(1100) },
                },
                SymbolTableEntry { name: 24, header: None, cache: Cache::SoftLink { target: 32 } },
            ];
            let mut bytes = b"SNOD\x01\x00\x03\x00".to_vec();
            for entry in &entries {
                entry.encode(&mut bytes, widths);
            }
            assert_eq!(SymbolTableNode::used_size(&bytes[..8], 0, widths), Ok(bytes.len() as u64));
            assert_eq!(SymbolTableNode::decode(&bytes, 0, widths), Ok(SymbolTableNode { entries }));
            for place in 0..bytes.len() {
                assert!(SymbolTableNode::decode(&bytes[..place], 0, widths).is_err());
                for bit in 0..8 {
                    bytes[place] ^= 1 << bit;
                    let _ = SymbolTableNode::decode(&bytes, 0, widths);
                    bytes[place] ^= 1 << bit;
                }
            }
        }
    }

    #[test]
    fn the_size_is_that_of_libhdf5() {
        assert_eq!(SymbolTableNode::size(8, Widths::EIGHT), 328);
    }
}

//! The symbol table message: where an old-style group keeps its links (specification IV.A.2.r).

use crate::{Addr, Cursor, Put, Result, Widths};

/// B-tree and heap of an old-style group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SymbolTable {
    /// The version 1 B-tree over the symbol table nodes.
    pub btree: Addr,
    /// The local heap with the names.
    pub heap: Addr,
}

impl SymbolTable {
    /// Decodes the message body (or the scratch pad of a symbol table entry) at address `at`.
    ///
    /// # Errors
    /// An address is undefined, or the bytes end early.
    pub fn decode(bytes: &[u8], at: u64, widths: Widths) -> Result<Self> {
        let mut cursor = Cursor::new("symbol table message", at, bytes);
        let btree = cursor.defined_addr("version 1 B-tree address", widths)?;
        let heap = cursor.defined_addr("local heap address", widths)?;
        Ok(Self { btree, heap })
    }

    /// The message body.
    #[must_use]
    pub fn encode(&self, widths: Widths) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_addr(Some(self.btree), widths);
        out.put_addr(Some(self.heap), widths);
        out
    }
}

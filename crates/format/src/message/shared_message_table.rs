//! The shared message table message of the superblock extension (specification IV.A.2.p).

use crate::{Addr, Cursor, Put, Result, Widths};

/// Where the indexes of shared messages are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedMessageTable {
    /// The master table.
    pub addr: Addr,
    /// Its number of indexes.
    pub index_count: u8,
}

impl SharedMessageTable {
    /// Decodes the message body at address `at`.
    ///
    /// # Errors
    /// An unknown version, an undefined address, or bytes that end early.
    pub fn decode(bytes: &[u8], at: u64, widths: Widths) -> Result<Self> {
        let mut cursor = Cursor::new("shared message table message", at, bytes);
        cursor.version(0)?;
        let addr = cursor.defined_addr("shared object header message table address", widths)?;
        Ok(Self { addr, index_count: cursor.u8("number of indices")? })
    }

    /// The message body.
    #[must_use]
    pub fn encode(&self, widths: Widths) -> Vec<u8> {
        let mut out = vec![0];
        out.put_addr(Some(self.addr), widths);
        out.put_u8(self.index_count);
        out
    }
}

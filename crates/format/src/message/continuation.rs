//! The object header continuation message: where the header goes on (specification IV.A.2.q).

use crate::{Addr, Cursor, Put, Result, Widths};

/// A block with more messages of the same object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Continuation {
    /// Where the block is.
    pub addr: Addr,
    /// Its bytes, signature and checksum included.
    pub size: u64,
}

impl Continuation {
    /// Decodes the message body at address `at`.
    ///
    /// # Errors
    /// The address is undefined, or the bytes end early.
    pub fn decode(bytes: &[u8], at: u64, widths: Widths) -> Result<Self> {
        let mut cursor = Cursor::new("object header continuation message", at, bytes);
        let addr = cursor.defined_addr("offset", widths)?;
        let size = cursor.length("length", widths)?;
        Ok(Self { addr, size })
    }

    /// The message body.
    #[must_use]
    pub fn encode(&self, widths: Widths) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_addr(Some(self.addr), widths);
        out.put_length(self.size, widths);
        out
    }
}

//! The object reference count message: more hard links than one (specification IV.A.2.w).

use crate::{Cursor, Put, Result};

/// Number of hard links to an object. An object without this message has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReferenceCount(pub u32);

impl ReferenceCount {
    /// Decodes the message body at address `at`.
    ///
    /// # Errors
    /// An unknown version, or bytes that end early.
    pub fn decode(bytes: &[u8], at: u64) -> Result<Self> {
        let mut cursor = Cursor::new("object reference count message", at, bytes);
        cursor.version(0)?;
        cursor.u32("reference count").map(Self)
    }

    /// The message body.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![0];
        out.put_u32(self.0);
        out
    }
}

//! The bogus message: what libhdf5 tests unknown messages with (specification IV.A.2.j).

use crate::{Cursor, Result};

/// A message that holds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bogus;

const VALUE: u32 = 0xdead_beef;

impl Bogus {
    /// Decodes the message body at address `at`.
    ///
    /// # Errors
    /// The one value it can have is another, or the bytes end early.
    pub fn decode(bytes: &[u8], at: u64) -> Result<Self> {
        let mut cursor = Cursor::new("bogus message", at, bytes);
        match cursor.u32("bogus value")? {
            VALUE => Ok(Self),
            other => Err(cursor.bad_value("bogus value", other.into(), "is not 0xdeadbeef")),
        }
    }
}

//! The object comment message (specification IV.A.2.n).

use super::text::Name;
use crate::{Cursor, Result};

/// A comment on an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment(pub Name);

impl Comment {
    /// Decodes the message body at address `at`.
    ///
    /// # Errors
    /// The text does not end.
    pub fn decode(bytes: &[u8], at: u64) -> Result<Self> {
        let mut cursor = Cursor::new("object comment message", at, bytes);
        Ok(Self(Name::new(cursor.c_string("comment")?)))
    }

    /// The message body.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        [self.0.as_bytes(), &[0]].concat()
    }
}

//! The attribute info message: how an object stores its attributes (specification IV.A.2.v).

use super::phase_change::{CreationOrder, DenseStorage, put_info, read_info};
use crate::{Cursor, Result, Widths};

/// What changes about the attributes of an object as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct AttributeInfo {
    /// Whether attributes remember the order they were created in; 16 bits of it are stored.
    pub creation_order: CreationOrder,
    /// Where the attributes are; `None`: in the object header.
    pub dense: Option<DenseStorage>,
}

const ORDER_WIDTH: usize = 2;

impl AttributeInfo {
    /// Decodes the message body at address `at`.
    ///
    /// # Errors
    /// An unknown version, contradicting fields, or bytes that end early.
    pub fn decode(bytes: &[u8], at: u64, widths: Widths) -> Result<Self> {
        let mut cursor = Cursor::new("attribute info message", at, bytes);
        cursor.version(0)?;
        let (creation_order, dense) = read_info(&mut cursor, ORDER_WIDTH, widths)?;
        Ok(Self { creation_order, dense })
    }

    /// The message body.
    #[must_use]
    pub fn encode(&self, widths: Widths) -> Vec<u8> {
        let mut out = vec![0];
        put_info(&mut out, self.creation_order, self.dense, ORDER_WIDTH, widths);
        out
    }
}

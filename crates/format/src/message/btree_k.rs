//! The B-tree "K" values message of the superblock extension (specification IV.A.2.t).

use crate::{Cursor, Put, Result};

/// Half the entries of a full node of a version 1 B-tree, by kind of node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BTreeK {
    /// Symbol table nodes, the leaves of group B-trees.
    pub group_leaf: u16,
    /// Nodes of group B-trees.
    pub group_internal: u16,
    /// Nodes of chunk B-trees.
    pub indexed_storage: u16,
}

impl Default for BTreeK {
    /// libhdf5's defaults, which hold where a file says nothing.
    fn default() -> Self {
        Self { group_leaf: 4, group_internal: 16, indexed_storage: 32 }
    }
}

impl BTreeK {
    /// Decodes the message body at address `at`.
    ///
    /// # Errors
    /// An unknown version, or bytes that end early.
    pub fn decode(bytes: &[u8], at: u64) -> Result<Self> {
        let mut cursor = Cursor::new("B-tree K values message", at, bytes);
        cursor.version(0)?;
        let indexed_storage = cursor.u16("indexed storage internal node K")?;
        let group_internal = cursor.u16("group internal node K")?;
        let group_leaf = cursor.u16("group leaf node K")?;
        Ok(Self { group_leaf, group_internal, indexed_storage })
    }

    /// The message body.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![0];
        out.put_u16(self.indexed_storage);
        out.put_u16(self.group_internal);
        out.put_u16(self.group_leaf);
        out
    }
}

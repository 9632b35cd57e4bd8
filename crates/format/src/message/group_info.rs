//! The group info message: constants of a new-style group (specification IV.A.2.k).

use super::phase_change::PhaseChange;
use crate::{Cursor, Put, Result};

/// What a new-style group was created with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct GroupInfo {
    /// When links move between compact and dense storage, if that is not the default of 8 and 6.
    pub phase_change: Option<PhaseChange>,
    /// What was expected of the group, if that is not the default of 4 links with names of 8 bytes.
    pub estimate: Option<GroupEstimate>,
}

/// How many links a group was expected to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GroupEstimate {
    /// Number of links.
    pub entry_count: u16,
    /// Bytes of a name.
    pub name_length: u16,
}

const FLAG_PHASE_CHANGE: u8 = 0x01;
const FLAG_ESTIMATE: u8 = 0x02;

impl GroupInfo {
    /// Decodes the message body at address `at`.
    ///
    /// # Errors
    /// An unknown version, or bytes that end early.
    pub fn decode(bytes: &[u8], at: u64) -> Result<Self> {
        let mut cursor = Cursor::new("group info message", at, bytes);
        cursor.version(0)?;
        let flags = cursor.u8("flags")?;
        let phase_change = match flags & FLAG_PHASE_CHANGE {
            0 => None,
            _ => Some(PhaseChange {
                max_compact: cursor.u16("maximum compact value")?,
                min_dense: cursor.u16("minimum dense value")?,
            }),
        };
        let estimate = match flags & FLAG_ESTIMATE {
            0 => None,
            _ => Some(GroupEstimate {
                entry_count: cursor.u16("estimated number of entries")?,
                name_length: cursor.u16("estimated link name length")?,
            }),
        };
        Ok(Self { phase_change, estimate })
    }

    /// The message body.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let phase_change = if self.phase_change.is_some() { FLAG_PHASE_CHANGE } else { 0 };
        let estimate = if self.estimate.is_some() { FLAG_ESTIMATE } else { 0 };
        let mut out = vec![0, phase_change | estimate];
        if let Some(phase_change) = self.phase_change {
            out.put_u16(phase_change.max_compact);
            out.put_u16(phase_change.min_dense);
        }
        if let Some(estimate) = self.estimate {
            out.put_u16(estimate.entry_count);
            out.put_u16(estimate.name_length);
        }
        out
    }
}

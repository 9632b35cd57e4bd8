//! The fill value messages (specification IV.A.2.e and f): what elements read as that nobody wrote.

use crate::{Cursor, Put, Result, Why};

/// The fill value of a dataset, and when it and the space it fills are put there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FillValue {
    /// When space is allocated.
    pub allocation: AllocationTime,
    /// When the value is written to it.
    pub write: FillTime,
    /// The value.
    pub value: Fill,
}

/// The value itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fill {
    /// None: what was never written reads as anything.
    Undefined,
    /// The default: zeros.
    Default,
    /// One element, in the dataset's datatype.
    Value(Vec<u8>),
}

/// When the space of a dataset is allocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AllocationTime {
    /// Whatever suits the layout.
    Default,
    /// All at creation.
    Early,
    /// All with the first write.
    Late,
    /// Chunk by chunk, as they are written.
    Incremental,
}

/// When the fill value is written to newly allocated space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FillTime {
    /// Always.
    OnAllocation,
    /// Never.
    Never,
    /// If it is set, and not the default or undefined.
    IfSet,
}

const WHAT: &str = "fill value message";
const V3_UNDEFINED: u8 = 0x10;
const V3_DEFINED: u8 = 0x20;

impl FillValue {
    /// Decodes the body, at address `at`, of a fill value message (type 0x0005, versions 1 to 3).
    ///
    /// # Errors
    /// An unknown version or time, or bytes that end early.
    pub fn decode(bytes: &[u8], at: u64) -> Result<Self> {
        let mut cursor = Cursor::new(WHAT, at, bytes);
        match cursor.u8("version")? {
            version @ (1 | 2) => {
                let allocation = cursor.u8("space allocation time")?;
                let write = cursor.u8("fill value write time")?;
                let defined = cursor.u8("fill value defined")?;
                // Version 1 has the size whether or not a value is defined; a size of 0 stands for the default.
                let value = match (version, defined) {
                    (2, 0) => Fill::Undefined,
                    _ => Self::read_value(&mut cursor)?,
                };
                Self::new(&cursor, allocation, write, value)
            }
            3 => {
                let flags = cursor.u8("flags")?;
                let value = match flags & (V3_UNDEFINED | V3_DEFINED) {
                    0 => Fill::Default,
                    V3_UNDEFINED => Fill::Undefined,
                    V3_DEFINED => Self::read_value(&mut cursor)?,
                    _ => return Err(cursor.bad_value("flags", flags.into(), "says both defined and undefined")),
                };
                Self::new(&cursor, flags & 3, flags >> 2 & 3, value)
            }
            other => Err(cursor.error(Why::Version(other))),
        }
    }

    /// Decodes the body, at address `at`, of an old fill value message (type 0x0004).
    ///
    /// # Errors
    /// The bytes end early.
    pub fn decode_old(bytes: &[u8], at: u64) -> Result<Self> {
        let mut cursor = Cursor::new("fill value (old) message", at, bytes);
        let value = match Self::read_value(&mut cursor)? {
            Fill::Default => Fill::Undefined,
            value => value,
        };
        Ok(Self { allocation: AllocationTime::Late, write: FillTime::IfSet, value })
    }

    fn new(cursor: &Cursor<'_>, allocation: u8, write: u8, value: Fill) -> Result<Self> {
        let allocation = match allocation {
            0 => AllocationTime::Default,
            1 => AllocationTime::Early,
            2 => AllocationTime::Late,
            3 => AllocationTime::Incremental,
            other => return Err(cursor.bad_value("space allocation time", other.into(), "is above 3")),
        };
        let write = match write {
            0 => FillTime::OnAllocation,
            1 => FillTime::Never,
            2 => FillTime::IfSet,
            other => return Err(cursor.bad_value("fill value write time", other.into(), "is above 2")),
        };
        Ok(Self { allocation, write, value })
    }

    fn read_value(cursor: &mut Cursor<'_>) -> Result<Fill> {
        match cursor.u32("size")? {
            0 => Ok(Fill::Default),
            // A signed -1: "undefined", as libhdf5 keeps it in memory.
            u32::MAX => Ok(Fill::Undefined),
            size => Ok(Fill::Value(cursor.take("fill value", size as usize)?.to_vec())),
        }
    }

    /// The body of a fill value message, version 3.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let allocation = match self.allocation {
            AllocationTime::Default => 0,
            AllocationTime::Early => 1,
            AllocationTime::Late => 2,
            AllocationTime::Incremental => 3,
        };
        let write = match self.write {
            FillTime::OnAllocation => 0,
            FillTime::Never => 1,
            FillTime::IfSet => 2,
        };
        let times = allocation | write << 2;
        match &self.value {
            Fill::Undefined => vec![3, times | V3_UNDEFINED],
            Fill::Default => vec![3, times],
            Fill::Value(value) => {
                let mut out = vec![3, times | V3_DEFINED];
                out.put_u32(value.len() as u32);
                out.extend_from_slice(value);
                out
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::testing::{hex, reads, reads_and_writes};

    fn decode(bytes: &[u8]) -> Result<FillValue> {
        FillValue::decode(bytes, 0)
    }

    fn fill(allocation: AllocationTime, write: FillTime, value: Fill) -> FillValue {
        FillValue { allocation, write, value }
    }

    #[test]
    fn reads_every_version_and_writes_the_last() {
        use AllocationTime::{Early, Incremental, Late};
        let user = || Fill::Value(vec![7, 0, 0, 0]);
        let rows = [
            ("03 0a", fill(Late, FillTime::IfSet, Fill::Default)),
            ("03 0b", fill(Incremental, FillTime::IfSet, Fill::Default)),
            ("03 02", fill(Late, FillTime::OnAllocation, Fill::Default)),
            ("03 15", fill(Early, FillTime::Never, Fill::Undefined)),
            ("03 2b 04000000 07000000", fill(Incremental, FillTime::IfSet, user())),
        ];
        for (bytes, expected) in rows {
            reads_and_writes(&hex(bytes), &expected, decode, FillValue::encode);
        }
        let rows = [
            ("02 02 02 01 00000000", fill(Late, FillTime::IfSet, Fill::Default)),
            ("02 02 02 00", fill(Late, FillTime::IfSet, Fill::Undefined)),
            ("02 03 02 01 04000000 07000000", fill(Incremental, FillTime::IfSet, user())),
            ("01 02 02 01 00000000", fill(Late, FillTime::IfSet, Fill::Default)),
            ("01 01 00 01 04000000 07000000", fill(Early, FillTime::OnAllocation, user())),
        ];
        for (bytes, expected) in rows {
            reads(&hex(bytes), &expected, decode);
        }
        let old = |bytes: &[u8]| FillValue::decode_old(bytes, 0);
        reads(&hex("04000000 07000000"), &fill(Late, FillTime::IfSet, user()), old);
        reads(&hex("00000000"), &fill(Late, FillTime::IfSet, Fill::Undefined), old);
    }

    #[test]
    fn refuses_what_cannot_be() {
        for bytes in ["04 0a", "03 3a 00000000", "03 0e", "02 04 02 00", "02 02 03 00", "03 2a ffffff7f 00"] {
            assert!(decode(&hex(bytes)).is_err(), "{bytes}");
        }
    }
}

//! What a file driver needs to open a file: the driver info message of the superblock extension (specification
//! IV.A.2.u) and the driver information block of old superblocks (II.B), which hold the same.

use super::text::Name;
use crate::{Cursor, Put, Result};

/// The driver a file was written with, if one file is not all there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriverInfo {
    /// Eight characters: "NCSAfami", "NCSAmult".
    pub driver: Name,
    /// What the driver makes of it.
    pub data: Vec<u8>,
}

const DRIVER_SIZE: usize = 8;

impl DriverInfo {
    /// Bytes of a driver information block in front of the driver's own.
    pub const BLOCK_HEADER_SIZE: usize = 16;

    /// Decodes the message body at address `at`.
    ///
    /// # Errors
    /// An unknown version, or bytes that end early.
    pub fn decode(bytes: &[u8], at: u64) -> Result<Self> {
        let mut cursor = Cursor::new("driver info message", at, bytes);
        cursor.version(0)?;
        let driver = Name::new(cursor.take("driver identification", DRIVER_SIZE)?);
        let size = cursor.u16("driver information size")?;
        Ok(Self { driver, data: cursor.take("driver information", size.into())?.to_vec() })
    }

    /// Decodes the driver information block at address `at`.
    ///
    /// # Errors
    /// An unknown version, or bytes that end early.
    pub fn decode_block(bytes: &[u8], at: u64) -> Result<Self> {
        let mut cursor = Cursor::new("driver information block", at, bytes);
        cursor.version(0)?;
        cursor.skip("reserved", 3)?;
        let size = cursor.u32("driver information size")?;
        let driver = Name::new(cursor.take("driver identification", DRIVER_SIZE)?);
        Ok(Self { driver, data: cursor.take("driver information", size as usize)?.to_vec() })
    }

    /// The message body.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![0];
        out.extend_from_slice(self.driver.as_bytes());
        out.resize(1 + DRIVER_SIZE, 0);
        out.put_u16(self.data.len() as u16);
        out.extend_from_slice(&self.data);
        out
    }
}

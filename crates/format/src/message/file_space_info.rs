//! The file space info message of the superblock extension: how libhdf5 manages free space (specification IV.A.2.x).

use crate::{Addr, Cursor, Put, Result, Why, Widths};

/// How a file's space is managed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSpaceInfo {
    /// Where new space comes from.
    pub strategy: FileSpaceStrategy,
    /// The smallest free section worth keeping, in bytes.
    pub threshold: u64,
    /// The free-space managers, if free space is kept from one session to the next.
    pub persistent: Option<FreeSpaceManagers>,
    /// Paging; absent in version 0, which only HDF5 1.10.0 wrote.
    pub paged: Option<PagedFileSpace>,
}

/// Where new space comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSpaceStrategy {
    /// Free-space managers, aggregators, the end of the file.
    FreeSpaceAndAggregators,
    /// Pages, the end of the file.
    Paged,
    /// Aggregators, the end of the file.
    Aggregators,
    /// The end of the file.
    None,
}

/// Where the free-space managers are: one per kind of data, as the specification lists them, `None` while there is
/// none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreeSpaceManagers {
    /// Those for sections smaller than a page, or of any size in version 0.
    pub small: [Option<Addr>; 6],
    /// Those for larger sections.
    pub large: [Option<Addr>; 6],
}

/// What version 1 of the message adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PagedFileSpace {
    /// Bytes of a page.
    pub page_size: u64,
    /// The smallest free section at the end of a page worth keeping, in bytes.
    pub page_end_threshold: u16,
    /// End of the allocated space before the free-space managers' own was allocated.
    pub end_of_allocated: Option<Addr>,
}

const WHAT: &str = "file space info message";

impl FileSpaceInfo {
    /// Decodes the message body at address `at`.
    ///
    /// # Errors
    /// An unknown version or strategy, or bytes that end early.
    pub fn decode(bytes: &[u8], at: u64, widths: Widths) -> Result<Self> {
        let mut cursor = Cursor::new(WHAT, at, bytes);
        match cursor.u8("version")? {
            0 => Self::read_v0(&mut cursor, widths),
            1 => Self::read_v1(&mut cursor, widths),
            other => Err(cursor.error(Why::Version(other))),
        }
    }

    fn read_v0(cursor: &mut Cursor<'_>, widths: Widths) -> Result<Self> {
        let (strategy, persist) = match cursor.u8("strategy")? {
            1 => (FileSpaceStrategy::FreeSpaceAndAggregators, true),
            2 => (FileSpaceStrategy::FreeSpaceAndAggregators, false),
            3 => (FileSpaceStrategy::Aggregators, false),
            4 => (FileSpaceStrategy::None, false),
            other => return Err(cursor.bad_value("strategy", other.into(), "is not within 1 to 4")),
        };
        let threshold = cursor.length("threshold", widths)?;
        let persistent = match persist {
            true => Some(FreeSpaceManagers { small: read_managers(cursor, widths)?, large: [None; 6] }),
            false => None,
        };
        Ok(Self { strategy, threshold, persistent, paged: None })
    }

    fn read_v1(cursor: &mut Cursor<'_>, widths: Widths) -> Result<Self> {
        let strategy = match cursor.u8("strategy")? {
            0 => FileSpaceStrategy::FreeSpaceAndAggregators,
            1 => FileSpaceStrategy::Paged,
            2 => FileSpaceStrategy::Aggregators,
            3 => FileSpaceStrategy::None,
            other => return Err(cursor.bad_value("strategy", other.into(), "is above 3")),
        };
        let persist = cursor.u8("persisting free-space")? != 0;
        let threshold = cursor.length("free-space section threshold", widths)?;
        let page_size = cursor.length("file space page size", widths)?;
        let page_end_threshold = cursor.u16("page-end metadata threshold")?;
        let end_of_allocated = cursor.addr("EOA", widths)?;
        let persistent = match persist {
            true => {
                Some(FreeSpaceManagers { small: read_managers(cursor, widths)?, large: read_managers(cursor, widths)? })
            }
            false => None,
        };
        let paged = Some(PagedFileSpace { page_size, page_end_threshold, end_of_allocated });
        Ok(Self { strategy, threshold, persistent, paged })
    }

    /// The message body, version 1; pages of 4096 bytes unless `paged` says something else.
    #[must_use]
    pub fn encode(&self, widths: Widths) -> Vec<u8> {
        let strategy = match self.strategy {
            FileSpaceStrategy::FreeSpaceAndAggregators => 0,
            FileSpaceStrategy::Paged => 1,
            FileSpaceStrategy::Aggregators => 2,
            FileSpaceStrategy::None => 3,
        };
        let paged =
            self.paged.unwrap_or(PagedFileSpace { page_size: 4096, page_end_threshold: 0, end_of_allocated: None });
        let mut out = vec![1, strategy, u8::from(self.persistent.is_some())];
        out.put_length(self.threshold, widths);
        out.put_length(paged.page_size, widths);
        out.put_u16(paged.page_end_threshold);
        out.put_addr(paged.end_of_allocated, widths);
        if let Some(managers) = &self.persistent {
            for addr in managers.small.iter().chain(&managers.large) {
                out.put_addr(*addr, widths);
            }
        }
        out
    }
}

fn read_managers(cursor: &mut Cursor<'_>, widths: Widths) -> Result<[Option<Addr>; 6]> {
    let mut managers = [None; 6];
    for manager in &mut managers {
        *manager = cursor.addr("free-space manager address", widths)?;
    }
    Ok(managers)
}

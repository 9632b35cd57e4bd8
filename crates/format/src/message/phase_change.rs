//! When links or attributes move between compact and dense storage, and how dense storage is found. Shared by several messages.

use crate::{Addr, Cursor, Put, Result, Widths};

/// Counts at which compact storage becomes dense and dense becomes compact again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PhaseChange {
    /// More than this many are stored densely.
    pub max_compact: u16,
    /// Fewer than this many are stored compactly again.
    pub min_dense: u16,
}

impl Default for PhaseChange {
    /// 8 and 6: the default for links as well as for attributes.
    fn default() -> Self {
        Self { max_compact: 8, min_dense: 6 }
    }
}

/// Whether creation order is kept, and what the next one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CreationOrder {
    /// It is not kept.
    #[default]
    Untracked,
    /// It is stored with each link or attribute.
    Tracked {
        /// The order the next one gets.
        next: u64,
    },
    /// In addition, dense storage has an index by it.
    Indexed {
        /// The order the next one gets.
        next: u64,
    },
}

/// Where links or attributes lie that are too many for the object header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DenseStorage {
    /// The fractal heap that holds them.
    pub heap: Addr,
    /// The version 2 B-tree that finds them by name.
    pub name_index: Addr,
    /// The version 2 B-tree that finds them by creation order.
    pub creation_order_index: Option<Addr>,
}

const FLAG_TRACKED: u8 = 0x01;
const FLAG_INDEXED: u8 = 0x02;

/// What follows the version in link info and attribute info messages; the next order takes `order_width` bytes.
pub(super) fn read_info(
    cursor: &mut Cursor<'_>,
    order_width: usize,
    widths: Widths,
) -> Result<(CreationOrder, Option<DenseStorage>)> {
    let flags = cursor.u8("flags")?;
    let order = match (flags & FLAG_TRACKED != 0, flags & FLAG_INDEXED != 0) {
        (false, false) => CreationOrder::Untracked,
        (true, false) => CreationOrder::Tracked { next: cursor.uint("maximum creation index", order_width)? },
        (true, true) => CreationOrder::Indexed { next: cursor.uint("maximum creation index", order_width)? },
        (false, true) => {
            return Err(cursor.bad_value("flags", flags.into(), "indexes the creation order without tracking it"));
        }
    };
    let heap = cursor.addr("fractal heap address", widths)?;
    let name_index = cursor.addr("name index address", widths)?;
    let creation_order_index = match order {
        CreationOrder::Indexed { .. } => cursor.addr("creation order index address", widths)?,
        _ => None,
    };
    // The heap's address alone tells dense from compact.
    let Some(heap) = heap else { return Ok((order, None)) };
    let name_index = name_index
        .ok_or_else(|| cursor.bad_value("name index address", u64::MAX, "is undefined, but the heap is not"))?;
    Ok((order, Some(DenseStorage { heap, name_index, creation_order_index })))
}

pub(super) fn put_info(
    out: &mut Vec<u8>,
    order: CreationOrder,
    dense: Option<DenseStorage>,
    order_width: usize,
    widths: Widths,
) {
    let (flags, next) = match order {
        CreationOrder::Untracked => (0, None),
        CreationOrder::Tracked { next } => (FLAG_TRACKED, Some(next)),
        CreationOrder::Indexed { next } => (FLAG_TRACKED | FLAG_INDEXED, Some(next)),
    };
    out.put_u8(flags);
    if let Some(next) = next {
        out.put_uint(next, order_width);
    }
    out.put_addr(dense.map(|dense| dense.heap), widths);
    out.put_addr(dense.map(|dense| dense.name_index), widths);
    if let CreationOrder::Indexed { .. } = order {
        out.put_addr(dense.and_then(|dense| dense.creation_order_index), widths);
    }
}

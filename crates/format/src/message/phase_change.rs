//! When links or attributes move between compact and dense storage, and how dense storage is found. Shared by several
//! messages.

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::testing::{hex, reads_and_writes};
    use crate::message::{AttributeInfo, LinkInfo};

    #[test]
    fn link_info_as_libhdf5_wrote_it() {
        let dense = |creation_order_index: Option<u64>| DenseStorage {
            heap: Addr(0x1b16),
            name_index: Addr(0x7c4),
            creation_order_index: creation_order_index.map(Addr),
        };
        let (tracked, indexed) = (CreationOrder::Tracked { next: 3 }, CreationOrder::Indexed { next: 1 });
        let rows = [
            ("00 00 161b000000000000 c407000000000000", CreationOrder::Untracked, Some(dense(None))),
            ("00 00 ffffffffffffffff ffffffffffffffff", CreationOrder::Untracked, None),
            ("00 01 0300000000000000 161b000000000000 c407000000000000", tracked, Some(dense(None))),
            ("00 03 0100000000000000 ffffffffffffffff ffffffffffffffff ffffffffffffffff", indexed, None),
            (
                "00 03 0100000000000000 161b000000000000 c407000000000000 0500000000000000",
                indexed,
                Some(dense(Some(5))),
            ),
        ];
        for (bytes, creation_order, dense) in rows {
            let info = LinkInfo { creation_order, dense };
            let decode = |bytes: &[u8]| LinkInfo::decode(bytes, 0, Widths::EIGHT);
            reads_and_writes(&hex(bytes), &info, decode, |info| info.encode(Widths::EIGHT));
        }
        for bytes in
            ["01 00 ffffffffffffffff ffffffffffffffff", "00 02 ffffffffffffffff ffffffffffffffff ffffffffffffffff"]
        {
            assert!(LinkInfo::decode(&hex(bytes), 0, Widths::EIGHT).is_err());
        }
        assert!(LinkInfo::decode(&hex("00 00 161b000000000000 ffffffffffffffff"), 0, Widths::EIGHT).is_err());
    }

    #[test]
    fn attribute_info_has_a_short_creation_order() {
        let rows = [
            ("00 00 ffffffffffffffff ffffffffffffffff", CreationOrder::Untracked),
            ("00 01 0900 ffffffffffffffff ffffffffffffffff", CreationOrder::Tracked { next: 9 }),
            ("00 03 0900 ffffffffffffffff ffffffffffffffff ffffffffffffffff", CreationOrder::Indexed { next: 9 }),
        ];
        for (bytes, creation_order) in rows {
            let info = AttributeInfo { creation_order, dense: None };
            let decode = |bytes: &[u8]| AttributeInfo::decode(bytes, 0, Widths::EIGHT);
            reads_and_writes(&hex(bytes), &info, decode, |info| info.encode(Widths::EIGHT));
        }
    }
}

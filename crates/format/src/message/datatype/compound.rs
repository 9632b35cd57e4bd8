//! Class 6: named members, each at its own offset.

use std::fmt;

use super::class::{Class, Head, member_count_bits, put_name, read_name};
use super::{Array, Datatype};
use crate::message::text::Name;
use crate::{Cursor, Put, Result};

/// Named members, each at its own offset.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Compound {
    /// Bytes of an element, gaps included.
    pub size: u32,
    /// The members, in the order of their definition.
    pub members: Vec<Member>,
}

/// A member of a compound type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Member {
    /// Its name.
    pub name: Name,
    /// Bytes from the start of the element.
    pub offset: u32,
    /// Its type.
    pub datatype: Datatype,
}

impl Compound {
    pub(super) fn read(cursor: &mut Cursor<'_>, head: &Head, depth: u32) -> Result<Self> {
        // The shortest member there is: an empty name, an offset and a string type.
        let count = cursor.checked_count("members", head.member_count().into(), 1 + 1 + 8)?;
        let mut members = Vec::with_capacity(count);
        for _ in 0..count {
            let name = read_name(cursor, head.version, "member name")?;
            let offset = match head.version {
                1 | 2 => cursor.u32("byte offset of member")?,
                _ => cursor.uint("byte offset of member", offset_width(head.size))? as u32,
            };
            let dims = match head.version {
                1 => read_member_dims(cursor)?,
                _ => Vec::new(),
            };
            let mut datatype = Datatype::read(cursor, depth + 1)?;
            if !dims.is_empty() {
                datatype = Datatype::Array(Array::checked(cursor, dims, datatype)?);
            }
            if u64::from(offset) + u64::from(datatype.size()) > head.size.into() {
                return Err(cursor.bad_value(
                    "byte offset of member",
                    offset.into(),
                    "puts the member's end beyond the element",
                ));
            }
            members.push(Member { name, offset, datatype });
        }
        Ok(Self { size: head.size, members })
    }
}

impl Class for Compound {
    fn number(&self) -> u8 {
        6
    }
    fn bits(&self) -> [u8; 3] {
        member_count_bits(self.members.len())
    }
    fn size(&self) -> u32 {
        self.size
    }
    fn version(&self) -> u8 {
        self.members.iter().map(|member| member.datatype.class().version()).fold(3, u8::max)
    }
    fn put_properties(&self, out: &mut Vec<u8>) {
        let width = offset_width(self.size);
        for member in &self.members {
            put_name(out, &member.name);
            out.put_uint(member.offset.into(), width);
            member.datatype.put(out);
        }
    }
    fn uses_global_heap(&self) -> bool {
        self.members.iter().any(|member| member.datatype.uses_global_heap())
    }
}

impl fmt::Display for Compound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, member) in self.members.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{}: {}", member.name, member.datatype)?;
        }
        f.write_str("}")
    }
}

/// Version 1 has arrays as a property of the member, of up to four dimensions.
fn read_member_dims(cursor: &mut Cursor<'_>) -> Result<Vec<u32>> {
    let rank = cursor.u8("dimensionality")?;
    if rank > 4 {
        return Err(cursor.bad_value("dimensionality", rank.into(), "is above 4"));
    }
    cursor.skip("reserved", 3)?;
    cursor.skip("dimension permutation", 4)?;
    cursor.skip("reserved", 4)?;
    let mut dims = Vec::with_capacity(4);
    for _ in 0..4 {
        dims.push(cursor.u32("dimension size")?);
    }
    dims.truncate(rank.into());
    Ok(dims)
}

/// Bytes of a member's offset in version 3 and later: as many as the compound's size needs.
fn offset_width(size: u32) -> usize {
    match size {
        0..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xff_ffff => 3,
        _ => 4,
    }
}

//! Class 8: named integers.

use std::fmt;

use super::class::{Class, Head, member_count_bits, put_name, read_name};
use super::{Datatype, Integer};
use crate::message::text::Name;
use crate::{Cursor, Result, Why};

/// Integers with names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Enum {
    /// The integers.
    pub base: Integer,
    /// The names.
    pub members: Vec<EnumMember>,
}

/// An integer with a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EnumMember {
    /// The name.
    pub name: Name,
    /// The integer as an element holds it: as many bytes as the base type has, in its byte order.
    pub value: Vec<u8>,
}

impl Enum {
    /// The name of an element's value, if it has one.
    #[must_use]
    pub fn name_of(&self, element: &[u8]) -> Option<&Name> {
        self.members.iter().find(|member| member.value == element).map(|member| &member.name)
    }

    /// Whether it is what h5py takes for booleans.
    #[must_use]
    pub fn is_boolean(&self) -> bool {
        let [no, yes] = self.members.as_slice() else { return false };
        let is = |member: &EnumMember, name: &str, value| {
            member.name == *name && self.base.value(&member.value) == Some(value)
        };
        self.base.size == 1 && is(no, "FALSE", 0) && is(yes, "TRUE", 1)
    }

    pub(super) fn read(cursor: &mut Cursor<'_>, head: &Head, depth: u32) -> Result<Self> {
        let Datatype::Integer(base) = Datatype::read(cursor, depth + 1)? else {
            return Err(cursor.error(Why::Unsupported("an enumeration of anything but integers")));
        };
        head.require_size(cursor, base.size.into(), "is not the size of the enumeration's integers")?;
        let least = 1usize.saturating_add(base.size as usize);
        let count = cursor.checked_count("members", head.member_count().into(), least)?;
        let mut members = Vec::with_capacity(count);
        for _ in 0..count {
            members.push(EnumMember { name: read_name(cursor, head.version, "member name")?, value: Vec::new() });
        }
        for member in &mut members {
            member.value = cursor.take("member value", base.size as usize)?.to_vec();
        }
        Ok(Self { base, members })
    }
}

impl Class for Enum {
    fn number(&self) -> u8 {
        8
    }
    fn bits(&self) -> [u8; 3] {
        member_count_bits(self.members.len())
    }
    fn size(&self) -> u32 {
        self.base.size
    }
    fn version(&self) -> u8 {
        3
    }
    fn put_properties(&self, out: &mut Vec<u8>) {
        Datatype::Integer(self.base).put(out);
        for member in &self.members {
            put_name(out, &member.name);
        }
        for member in &self.members {
            let size = self.base.size as usize;
            assert!(member.value.len() == size, "enumeration value of another size than its type");
            out.extend_from_slice(&member.value);
        }
    }
}

impl fmt::Display for Enum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_boolean() {
            return f.write_str("bool");
        }
        write!(f, "enum {} {{", self.base)?;
        for (index, member) in self.members.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{}", member.name)?;
            match self.base.value(&member.value) {
                Some(value) => write!(f, " = {value}")?,
                None => write!(f, " = {:02x?}", member.value)?,
            }
        }
        f.write_str("}")
    }
}

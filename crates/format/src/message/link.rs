//! The link message: one entry of a group (specification IV.A.2.g).

use super::text::{CharacterSet, Name};
use crate::{Addr, Cursor, Put, Result, Widths};

/// A named entry of a new-style group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its name: no slashes, not empty.
    pub name: Name,
    /// The character set of the name.
    pub character_set: CharacterSet,
    /// Its number in the order of creation, where the group tracks that.
    pub creation_order: Option<u64>,
    /// What it leads to.
    pub target: LinkTarget,
}

/// What a link leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkTarget {
    /// An object of this file.
    Hard(Addr),
    /// A path in this file, absolute or from the link's group.
    Soft(Name),
    /// An object of another file.
    External {
        /// Path of the file.
        file: Name,
        /// Path of the object in that file.
        path: Name,
    },
    /// Whatever the program that registered the class makes of it.
    UserDefined {
        /// Link class, 65 to 255.
        class: u8,
        /// The link's value.
        data: Vec<u8>,
    },
}

const FLAG_NAME_WIDTH: u8 = 0x03;
const FLAG_CREATION_ORDER: u8 = 0x04;
const FLAG_CLASS: u8 = 0x08;
const FLAG_CHARACTER_SET: u8 = 0x10;
const CLASS_HARD: u8 = 0;
const CLASS_SOFT: u8 = 1;
const CLASS_EXTERNAL: u8 = 64;

impl Link {
    /// A link named `name`, in the smallest character set, without creation order.
    #[must_use]
    pub fn new(name: impl Into<Name>, target: LinkTarget) -> Self {
        let name = name.into();
        Self { character_set: name.character_set(), name, creation_order: None, target }
    }

    /// Decodes the message body (or heap object) at address `at`.
    ///
    /// # Errors
    /// An unknown version or class, or bytes that end early.
    pub fn decode(bytes: &[u8], at: u64, widths: Widths) -> Result<Self> {
        let mut cursor = Cursor::new("link message", at, bytes);
        cursor.version(1)?;
        let flags = cursor.u8("flags")?;
        let class = if flags & FLAG_CLASS == 0 { CLASS_HARD } else { cursor.u8("link type")? };
        let creation_order = match flags & FLAG_CREATION_ORDER {
            0 => None,
            _ => Some(cursor.u64("creation order")?),
        };
        let character_set = match flags & FLAG_CHARACTER_SET {
            0 => CharacterSet::Ascii,
            _ => {
                let code = cursor.u8("link name character set")?;
                CharacterSet::from_code(&cursor, code)?
            }
        };
        let length = cursor.uint("length of link name", 1 << (flags & FLAG_NAME_WIDTH))?;
        if length == 0 {
            return Err(cursor.bad_value("length of link name", 0, "leaves no name"));
        }
        let length = cursor.checked_count("link name", length, 1)?;
        let name = Name::new(cursor.take("link name", length)?);
        let target = Self::read_target(&mut cursor, class, widths)?;
        Ok(Self { name, character_set, creation_order, target })
    }

    fn read_target(cursor: &mut Cursor<'_>, class: u8, widths: Widths) -> Result<LinkTarget> {
        if class == CLASS_HARD {
            return Ok(LinkTarget::Hard(cursor.defined_addr("object header address", widths)?));
        }
        let size = cursor.u16("length of link value")?;
        let value = cursor.take("link value", size.into())?;
        match class {
            CLASS_SOFT => Ok(LinkTarget::Soft(Name::new(value))),
            CLASS_EXTERNAL => {
                let mut inner = Cursor::new("external link value", cursor.at(), value);
                // Version in the upper four bits, flags in the lower: both are 0 in every file there is.
                let version = inner.u8("version and flags")?;
                if version != 0 {
                    return Err(inner.bad_value(
                        "version and flags",
                        version.into(),
                        "is not 0, the only one there is",
                    ));
                }
                let file = Name::new(inner.c_string("file name")?);
                let path = Name::new(inner.c_string("object path")?);
                Ok(LinkTarget::External { file, path })
            }
            65..=255 => Ok(LinkTarget::UserDefined { class, data: value.to_vec() }),
            other => Err(cursor.bad_value("link type", other.into(), "is reserved")),
        }
    }

    /// The message body.
    ///
    /// # Panics
    /// A soft, external or user-defined value is longer than the 65535 bytes its length field can say: the caller's
    /// mistake.
    #[must_use]
    pub fn encode(&self, widths: Widths) -> Vec<u8> {
        let name = self.name.as_bytes();
        let (width_flag, width) = match name.len() {
            0..=0xff => (0, 1),
            0x100..=0xffff => (1, 2),
            0x1_0000..=0xffff_ffff => (2, 4),
            _ => (3, 8),
        };
        let class = self.target.class();
        let order_flag = if self.creation_order.is_some() { FLAG_CREATION_ORDER } else { 0 };
        let class_flag = if class == CLASS_HARD { 0 } else { FLAG_CLASS };
        let set_flag = if self.character_set == CharacterSet::Ascii { 0 } else { FLAG_CHARACTER_SET };
        let mut out = vec![1, width_flag | order_flag | class_flag | set_flag];
        if class != CLASS_HARD {
            out.put_u8(class);
        }
        if let Some(order) = self.creation_order {
            out.put_u64(order);
        }
        if set_flag != 0 {
            out.put_u8(self.character_set.code());
        }
        out.put_uint(name.len() as u64, width);
        out.extend_from_slice(name);
        match &self.target {
            LinkTarget::Hard(addr) => out.put_addr(Some(*addr), widths),
            LinkTarget::Soft(path) => put_value(&mut out, &[path.as_bytes()]),
            LinkTarget::External { file, path } => {
                put_value(&mut out, &[&[0], file.as_bytes(), &[0], path.as_bytes(), &[0]]);
            }
            LinkTarget::UserDefined { data, .. } => put_value(&mut out, &[data]),
        }
        out
    }
}

impl LinkTarget {
    fn class(&self) -> u8 {
        match self {
            Self::Hard(_) => CLASS_HARD,
            Self::Soft(_) => CLASS_SOFT,
            Self::External { .. } => CLASS_EXTERNAL,
            Self::UserDefined { class, .. } => *class,
        }
    }
}

fn put_value(out: &mut Vec<u8>, parts: &[&[u8]]) {
    let size: usize = parts.iter().map(|part| part.len()).sum();
    assert!(size <= usize::from(u16::MAX), "link value of {size} bytes");
    out.put_u16(size as u16);
    for part in parts {
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::testing::{hex, reads_and_writes};

    fn decode(bytes: &[u8]) -> Result<Link> {
        Link::decode(bytes, 0, Widths::EIGHT)
    }

    fn encode(link: &Link) -> Vec<u8> {
        link.encode(Widths::EIGHT)
    }

    #[test]
    fn reads_and_writes_what_libhdf5_wrote() {
        let hard = Link::new("b", LinkTarget::Hard(Addr(0xb362)));
        reads_and_writes(&hex("01 00 01 62 62b3000000000000"), &hard, decode, encode);
        let ordered = Link { creation_order: Some(0), ..Link::new("a", LinkTarget::Hard(Addr(0x3a3d))) };
        reads_and_writes(&hex("01 04 0000000000000000 01 61 3d3a000000000000"), &ordered, decode, encode);
    }

    #[test]
    fn every_kind_comes_back() {
        let external = LinkTarget::External { file: "o.h5".into(), path: "/x".into() };
        let rows = [
            Link::new("soft", LinkTarget::Soft("/a/b".into())),
            Link::new("extern", external),
            Link::new("mine", LinkTarget::UserDefined { class: 70, data: vec![1, 2, 3] }),
            Link { creation_order: Some(u64::MAX), ..Link::new("größe", LinkTarget::Hard(Addr(5))) },
            Link::new("x".repeat(300), LinkTarget::Hard(Addr(5))),
            Link::new(Name::new([0xff, 0xfe]), LinkTarget::Hard(Addr(5))),
        ];
        for link in rows {
            reads_and_writes(&encode(&link), &link, decode, encode);
        }
        assert_eq!(encode(&Link::new("größe", LinkTarget::Hard(Addr(5))))[1..3], [0x10, 1]);
    }

    #[test]
    fn refuses_what_cannot_be() {
        let refused = [
            ("version 2", "02 00 01 62 62b3000000000000"),
            ("no name", "01 00 00 62b3000000000000"),
            ("leads nowhere", "01 00 01 62 ffffffffffffffff"),
            ("reserved class", "01 08 02 01 62 0000"),
            ("external version 1", "01 08 40 01 62 0400 10 6100 00"),
            ("name of 2^63 bytes", "01 03 0000000000000080 62 62b3000000000000"),
        ];
        for (what, bytes) in refused {
            assert!(decode(&hex(bytes)).is_err(), "{what}");
        }
    }
}

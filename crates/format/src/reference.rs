//! References of HDF5 1.12 and later, to objects, regions and attributes of this or another file (specification VIII.B).
//!
//! An element has a type, flags and either the reference itself, where it is one to an object of the same file, or a size
//! and a global heap ID. The heap object has the rest: the object's token, the other file's name, the region or attribute.

use crate::global_heap::GlobalHeapId;
use crate::message::Name;
use crate::selection::Selection;
use crate::{Addr, Cursor, Put, Result, Widths};

/// What an element holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Element {
    /// No reference.
    Null,
    /// A reference to an object of the same file.
    Object(Addr),
    /// A reference that is in the global heap: for [`Reference::decode`].
    Heap {
        /// What it refers to.
        kind: Kind,
        /// Whether the object is in another file.
        is_external: bool,
        /// The heap object.
        id: GlobalHeapId,
    },
}

/// What a reference refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An object.
    Object,
    /// A region of a dataset.
    Region,
    /// An attribute of an object.
    Attribute,
}

/// A reference from the heap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The object, by the address of its header.
    pub object: Addr,
    /// The file the object is in; none for the same.
    pub file: Option<Name>,
    /// What of the object is meant.
    pub target: Target,
}

/// A part of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The whole.
    Object,
    /// These elements of a dataset.
    Region(Selection),
    /// The attribute of this name.
    Attribute(Name),
}

const WHAT: &str = "reference";
const EXTERNAL: u8 = 0x01;

impl Element {
    /// Decodes the bytes of an element.
    ///
    /// # Errors
    /// An unknown type, or bytes that end early.
    pub fn decode(bytes: &[u8], widths: Widths) -> Result<Self> {
        let mut cursor = Cursor::new(WHAT, 0, bytes);
        let kind = match cursor.u8("type")? {
            0 => return Ok(Self::Null),
            2 => Kind::Object,
            3 => Kind::Region,
            4 => Kind::Attribute,
            other => return Err(cursor.bad_value("type", other.into(), "is none of object, region and attribute")),
        };
        let is_external = cursor.u8("flags")? & EXTERNAL != 0;
        if kind == Kind::Object && !is_external {
            return read_token(&mut cursor).map(Self::Object);
        }
        cursor.skip("size", 4)?;
        Ok(match GlobalHeapId::decode(&mut cursor, widths)? {
            Some(id) => Self::Heap { kind, is_external, id },
            None => Self::Null,
        })
    }
}

impl Reference {
    /// Decodes the heap object with a reference of this kind; `at` is the address of its collection, for errors.
    ///
    /// # Errors
    /// Bytes that end early, or a selection that is none.
    pub fn decode(bytes: &[u8], at: u64, kind: Kind, is_external: bool) -> Result<Self> {
        let mut cursor = Cursor::new(WHAT, at, bytes);
        let object = read_token(&mut cursor)?;
        let file = if is_external { Some(read_name(&mut cursor)?) } else { None };
        let target = match kind {
            Kind::Object => Target::Object,
            Kind::Region => {
                cursor.skip("size and rank of region", 8)?;
                Target::Region(Selection::read(&mut cursor)?)
            }
            Kind::Attribute => Target::Attribute(read_name(&mut cursor)?),
        };
        Ok(Self { object, file, target })
    }
}

/// Parts what the heap has of a reference in the object that it leads to, and the rest: the other file's name, the region or
/// the attribute. `at` is the address of the collection, for errors.
///
/// # Errors
/// Bytes that end early, or a token that is no address.
pub fn split(bytes: &[u8], at: u64) -> Result<(Addr, &[u8])> {
    let mut cursor = Cursor::new(WHAT, at, bytes);
    let object = read_token(&mut cursor)?;
    Ok((object, cursor.rest()))
}

/// What the heap has of a reference to `object`, with the rest that [`split`] yields; or, for an object of the same file as a whole, what
/// an element has behind type and flags.
#[must_use]
pub fn join(object: Addr, rest: &[u8]) -> Vec<u8> {
    let mut out = vec![8];
    out.put_u64(object.0);
    out.extend_from_slice(rest);
    out
}

/// An object's token: in files of this format its address.
fn read_token(cursor: &mut Cursor<'_>) -> Result<Addr> {
    match cursor.u8("token size")? {
        size @ 1..=8 => cursor.uint("token", size.into()).map(Addr),
        other => Err(cursor.bad_value("token size", other.into(), "is not within 1 to 8")),
    }
}

fn read_name(cursor: &mut Cursor<'_>) -> Result<Name> {
    let len = cursor.u16("length of name")?;
    cursor.take("name", len.into()).map(Name::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::testing::{hex, survives};

    fn element(bytes: &str) -> Result<Element> {
        Element::decode(&hex(bytes), Widths::EIGHT)
    }

    #[test]
    fn reads_what_libhdf5_wrote() {
        assert_eq!(element("0200 08 b300000000000000 00000000000000"), Ok(Element::Object(Addr(0xb3))));
        assert_eq!(element("0000 00000000 0000000000000000 00000000"), Ok(Element::Null));
        let id = GlobalHeapId { collection: Addr(0xb68), index: 1 };
        let expected = Element::Heap { kind: Kind::Region, is_external: false, id };
        assert_eq!(element("0300 39000000 680b000000000000 01000000"), Ok(expected));
        assert!(element("0500 39000000 680b000000000000 01000000").is_err());

        let region = hex("08 3601000000000000 1e000000 02000000 02000000 03000000 01 02 02000000 \
                          0100 0300 0300 0100 0100 0200 0000 0000");
        let decoded = Reference::decode(&region, 0, Kind::Region, false).unwrap();
        assert_eq!((decoded.object, decoded.file), (Addr(0x136), None));
        assert!(matches!(decoded.target, Target::Region(Selection::Regular(axes)) if axes.len() == 2));

        let attribute = hex("08 b300000000000000 0100 61");
        let decoded = Reference::decode(&attribute, 0, Kind::Attribute, false).unwrap();
        assert_eq!(decoded.target, Target::Attribute(Name::new(*b"a")));
        let outside = hex("08 b300000000000000 0400 61 2e 68 35 0100 61");
        let decoded = Reference::decode(&outside, 0, Kind::Attribute, true).unwrap();
        assert_eq!(decoded.file, Some(Name::new(*b"a.h5")));
        for stored in [&region, &outside] {
            let (object, rest) = split(stored, 0).unwrap();
            assert_eq!(join(object, rest), *stored);
        }
        assert_eq!(split(&hex("02 b300 61"), 0), Ok((Addr(0xb3), &b"a"[..])));
        assert!(split(&hex("00 b300"), 0).is_err());
        survives(&region, |bytes| Reference::decode(bytes, 0, Kind::Region, false));
        survives(&outside, |bytes| Reference::decode(bytes, 0, Kind::Attribute, true));
    }
}

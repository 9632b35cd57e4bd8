//! The attribute message: a name, a type, a shape and a value (specification IV.A.2.m, versions 1 to 3).

use super::dataspace::Dataspace;
use super::datatype::Datatype;
use super::shared_message::SharedMessage;
use super::text::{CharacterSet, Name};
use crate::{Cursor, Put, Result, Why, Widths};

/// An attribute of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Its name.
    pub name: Name,
    /// The character set of the name.
    pub character_set: CharacterSet,
    /// The type of an element.
    pub datatype: MaybeShared<Datatype>,
    /// How many elements.
    pub dataspace: MaybeShared<Dataspace>,
    /// The elements. Exactly as many bytes as they take, if type and dataspace are here; otherwise what the message has
    /// left.
    pub data: Vec<u8>,
}

/// A part of a message that may be stored elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MaybeShared<T> {
    /// Here.
    Here(T),
    /// Elsewhere.
    Shared(SharedMessage),
}

impl<T> MaybeShared<T> {
    /// The part, if it is here.
    #[must_use]
    pub fn here(&self) -> Option<&T> {
        match self {
            Self::Here(part) => Some(part),
            Self::Shared(_) => None,
        }
    }

    fn decode(
        cursor: &Cursor<'_>,
        bytes: &[u8],
        shared: bool,
        widths: Widths,
        decode: impl FnOnce(&[u8], u64) -> Result<T>,
    ) -> Result<Self> {
        if shared {
            return SharedMessage::decode(bytes, cursor.at(), widths).map(Self::Shared);
        }
        decode(bytes, cursor.at()).map(Self::Here)
    }

    fn encode(&self, widths: Widths, encode: impl FnOnce(&T) -> Vec<u8>) -> Vec<u8> {
        match self {
            Self::Here(part) => encode(part),
            Self::Shared(shared) => shared.encode(widths),
        }
    }
}

const FLAG_DATATYPE_SHARED: u8 = 0x01;
const FLAG_DATASPACE_SHARED: u8 = 0x02;

impl Attribute {
    /// An attribute with its type and dataspace in the message.
    #[must_use]
    pub fn new(name: impl Into<Name>, datatype: Datatype, dataspace: Dataspace, data: Vec<u8>) -> Self {
        let name = name.into();
        let character_set = name.character_set();
        let (datatype, dataspace) = (MaybeShared::Here(datatype), MaybeShared::Here(dataspace));
        Self { name, character_set, datatype, dataspace, data }
    }

    /// Decodes the message body (or heap object) at address `at`.
    ///
    /// # Errors
    /// An unknown version, a damaged datatype or dataspace, or bytes that end early.
    pub fn decode(bytes: &[u8], at: u64, widths: Widths) -> Result<Self> {
        let mut cursor = Cursor::new("attribute message", at, bytes);
        let version = cursor.u8("version")?;
        let flags = cursor.u8("flags")?;
        // In version 1 the byte is reserved.
        let flags = if version == 1 { 0 } else { flags };
        if flags & !(FLAG_DATATYPE_SHARED | FLAG_DATASPACE_SHARED) != 0 {
            return Err(cursor.bad_value("flags", flags.into(), "has bits set that mean nothing"));
        }
        let name_size = cursor.u16("name size")?;
        let datatype_size = cursor.u16("datatype size")?;
        let dataspace_size = cursor.u16("dataspace size")?;
        let character_set = match version {
            1 | 2 => CharacterSet::Ascii,
            3 => {
                let code = cursor.u8("name character set encoding")?;
                CharacterSet::from_code(&cursor, code)?
            }
            other => return Err(cursor.error(Why::Version(other))),
        };
        let name = take_padded(&mut cursor, "name", name_size, version)?;
        let name = Name::new(name.split(|byte| *byte == 0).next().unwrap_or_default());
        if name.as_bytes().is_empty() {
            return Err(cursor.error(Why::Text("the name is empty")));
        }
        let datatype = take_padded(&mut cursor, "datatype", datatype_size, version)?;
        let datatype_shared = flags & FLAG_DATATYPE_SHARED != 0;
        let datatype = MaybeShared::decode(&cursor, datatype, datatype_shared, widths, Datatype::decode)?;
        let dataspace = take_padded(&mut cursor, "dataspace", dataspace_size, version)?;
        let dataspace_shared = flags & FLAG_DATASPACE_SHARED != 0;
        let decode_dataspace = |bytes: &[u8], at| Dataspace::decode(bytes, at, widths);
        let dataspace = MaybeShared::decode(&cursor, dataspace, dataspace_shared, widths, decode_dataspace)?;
        let data = match (&datatype, &dataspace) {
            (MaybeShared::Here(datatype), MaybeShared::Here(dataspace)) => {
                let needed = dataspace.element_count().and_then(|count| count.checked_mul(datatype.size().into()));
                let size = cursor.checked_count("data", needed.unwrap_or(u64::MAX), 1)?;
                cursor.take("data", size)?
            }
            _ => cursor.rest(),
        };
        Ok(Self { name, character_set, datatype, dataspace, data: data.to_vec() })
    }

    /// The message body, version 3.
    ///
    /// # Panics
    /// A name, datatype or dataspace of more than the 65535 bytes their length fields can say: the caller's mistake.
    #[must_use]
    pub fn encode(&self, widths: Widths) -> Vec<u8> {
        let datatype = self.datatype.encode(widths, Datatype::encode);
        let dataspace = self.dataspace.encode(widths, |dataspace| dataspace.encode(widths));
        let datatype_flag = if self.datatype.here().is_none() { FLAG_DATATYPE_SHARED } else { 0 };
        let dataspace_flag = if self.dataspace.here().is_none() { FLAG_DATASPACE_SHARED } else { 0 };
        let mut out = vec![3, datatype_flag | dataspace_flag];
        for size in [self.name.as_bytes().len() + 1, datatype.len(), dataspace.len()] {
            assert!(size <= usize::from(u16::MAX), "part of an attribute message with {size} bytes");
            out.put_u16(size as u16);
        }
        out.put_u8(self.character_set.code());
        out.extend_from_slice(self.name.as_bytes());
        out.put_u8(0);
        out.extend_from_slice(&datatype);
        out.extend_from_slice(&dataspace);
        out.extend_from_slice(&self.data);
        out
    }
}

/// The next `size` bytes; version 1 pads them to a multiple of eight.
fn take_padded<'a>(cursor: &mut Cursor<'a>, field: &'static str, size: u16, version: u8) -> Result<&'a [u8]> {
    let size = usize::from(size);
    let bytes = cursor.take(field, size)?;
    if version == 1 {
        cursor.skip("padding", size.next_multiple_of(8) - size)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Addr;
    use crate::message::testing::{hex, reads, reads_and_writes, survives};

    fn decode(bytes: &[u8]) -> Result<Attribute> {
        Attribute::decode(bytes, 0, Widths::EIGHT)
    }

    fn number() -> Attribute {
        Attribute::new("n", Datatype::i64(), Dataspace::Scalar, 3u64.to_le_bytes().to_vec())
    }

    #[test]
    fn reads_and_writes_what_libhdf5_wrote() {
        let bytes = hex("03 00 0200 0c00 0400 00 6e00 1008000008000000 00004000 02000000 0300000000000000");
        reads_and_writes(&bytes, &number(), decode, |attribute| attribute.encode(Widths::EIGHT));

        // Version 1 pads every part but the data, and version 1 headers pad those.
        let bytes = hex("01 00 0200 0c00 0800 6e00000000000000 1008000008000000 0000400000000000 \
            0100000000000000 0300000000000000");
        reads(&bytes, &number(), decode);
        assert_eq!(decode(&[bytes, vec![0; 8]].concat()), Ok(number()));

        let shared = hex("02 01 0700 0a00 0800 676c6f62616c00 0202585f000000000000 0100000000000000 ffffffff");
        let expected = Attribute {
            datatype: MaybeShared::Shared(SharedMessage::Committed(Addr(0x5f58))),
            data: vec![0xff; 4],
            ..Attribute { name: "global".into(), ..number() }
        };
        assert_eq!(decode(&shared), Ok(expected.clone()));
        survives(&shared, decode);
        assert_eq!(decode(&expected.encode(Widths::EIGHT)), Ok(expected));
    }

    #[test]
    fn values_of_any_shape_come_back() {
        let rows = [
            Attribute::new("größe", Datatype::f32(), Dataspace::fixed(&[2, 3]), vec![1; 24]),
            Attribute::new("nothing", Datatype::var_len_string(), Dataspace::Null, Vec::new()),
            Attribute::new("empty", Datatype::u8(), Dataspace::fixed(&[0]), Vec::new()),
            Attribute::new("text", Datatype::fixed_string(5), Dataspace::Scalar, b"hello".to_vec()),
        ];
        for attribute in rows {
            let bytes = attribute.encode(Widths::EIGHT);
            reads_and_writes(&bytes, &attribute, decode, |attribute| attribute.encode(Widths::EIGHT));
        }
        assert_eq!(
            Attribute::new("größe", Datatype::u8(), Dataspace::Null, Vec::new()).character_set,
            CharacterSet::Utf8
        );
    }

    #[test]
    fn refuses_what_cannot_be() {
        let refused = [
            ("version 4", "04 00 0200 0c00 0400 00 6e00 1008000008000000 00004000 02000000 0300000000000000"),
            ("unknown flag", "03 04 0200 0c00 0400 00 6e00 1008000008000000 00004000 02000000 0300000000000000"),
            ("no name", "03 00 0100 0c00 0400 00 00 1008000008000000 00004000 02000000 0300000000000000"),
            (
                "2^64 elements",
                "03 00 0200 0c00 1400 00 6e00 1008000008000000 00004000 02020001 0000000001000000 0000000001000000",
            ),
        ];
        for (what, bytes) in refused {
            assert!(decode(&hex(bytes)).is_err(), "{what}");
        }
    }
}

//! Elements as what they are, for programs that learn the type from the file.

mod encode;

use std::fmt;

use h5live_format::global_heap::{GlobalHeapId, VariableLength};
use h5live_format::message::Datatype;
use h5live_format::message::datatype::ReferenceKind;
use h5live_format::selection::Selection as RegionSelection;
use h5live_format::{Addr, Cursor, reference};

use crate::convert::{Numeric, Wide};
use crate::element::{HeapRead, Parts, elements, trimmed};
use crate::error::{Error, Result};
use crate::file::Inner;
use crate::object::foreign;

/// Datatypes nest at most this deep in a value: variable-length data could otherwise lead in a circle.
const MOST_NESTED: u32 = 64;

/// One element.
///
/// Displays as people write it: numbers so that reading them back gives the same number, text in quotes, compound values as
/// `{x: 1, y: 2.5}`.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// No value: a null attribute.
    Null,
    /// A negative or signed integer.
    Int(i64),
    /// An unsigned integer.
    UInt(u64),
    /// A floating-point number of single precision or less, exactly.
    Float32(f32),
    /// A floating-point number; what has more than 53 bits is rounded.
    Float(f64),
    /// h5py's FALSE or TRUE.
    Bool(bool),
    /// Text.
    Str(String),
    /// Text that is not UTF-8, opaque data, or an element of a type that has no other form here.
    Bytes(Vec<u8>),
    /// A value of an enumeration.
    Enum {
        /// Its name, if that number has one.
        name: Option<String>,
        /// The number.
        value: i128,
    },
    /// Members by name, in the order of the type.
    Compound(Vec<(String, Value)>),
    /// The elements of an array, in row-major order.
    Array(Vec<Value>),
    /// The elements of a sequence of variable length.
    VarLen(Vec<Value>),
    /// Real and imaginary part.
    Complex(f64, f64),
    /// A reference.
    Reference(Reference),
}

/// What a reference refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reference {
    /// Nothing.
    Null,
    /// An object, by the address that [`File::object_at`](crate::File::object_at) opens.
    Object(u64),
    /// Elements of a dataset.
    Region {
        /// The dataset's address.
        dataset: u64,
        /// Which elements.
        selection: RegionSelection,
    },
    /// An attribute.
    Attribute {
        /// The address of the object that has it.
        object: u64,
        /// Its name.
        name: String,
    },
    /// Something in another file.
    External {
        /// The file's name, as it was when the reference was made.
        file: String,
        /// What it is, by addresses in that file.
        to: Box<Reference>,
    },
    /// A reference that nobody followed, as it is in the file.
    Opaque(Vec<u8>),
}

impl Value {
    /// The element with the bytes `raw`, of type `stored`.
    ///
    /// # Errors
    /// Heap data are damaged.
    pub fn decode(raw: &[u8], stored: &Datatype, heap: &dyn HeapRead) -> Result<Self> {
        decode(raw, stored, heap, 0)
    }

    /// The elements of `raw`, one after the other.
    ///
    /// # Errors
    /// As [`Value::decode`].
    pub fn decode_all(raw: &[u8], stored: &Datatype, heap: &dyn HeapRead) -> Result<Vec<Self>> {
        elements(raw, stored).map(|element| Self::decode(element, stored, heap)).collect()
    }

    /// The number, if it is one (booleans and enumerations included), as the nearest there is.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(*value as f64),
            Self::UInt(value) => Some(*value as f64),
            Self::Float32(value) => Some((*value).into()),
            Self::Float(value) => Some(*value),
            Self::Bool(value) => Some(f64::from(u8::from(*value))),
            Self::Enum { value, .. } => Some(*value as f64),
            _ => None,
        }
    }

    /// The text, if it is some.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text),
            _ => None,
        }
    }
}

fn decode(raw: &[u8], stored: &Datatype, heap: &dyn HeapRead, depth: u32) -> Result<Value> {
    if depth > MOST_NESTED {
        return Err(Error::unsupported("a value nested deeper than any type is"));
    }
    let inner = |raw: &[u8], stored: &Datatype| decode(raw, stored, heap, depth + 1);
    let all = |raw: &[u8], base: &Datatype| -> Result<Vec<Value>> {
        elements(raw, base).map(|element| inner(element, base)).collect()
    };
    let text = |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok(text) => Value::Str(text.to_owned()),
        Err(_) => Value::Bytes(bytes.to_owned()),
    };
    let bytes = || Value::Bytes(raw.to_owned());
    Ok(match stored {
        Datatype::Integer(integer) => match Numeric::of(stored).map(|numeric| numeric.wide(raw)) {
            Some(Wide::Signed(value)) => Value::Int(value),
            Some(Wide::Unsigned(value)) if integer.signed => Value::Int(value as i64),
            Some(Wide::Unsigned(value)) => Value::UInt(value),
            _ => bytes(),
        },
        Datatype::Bitfield(_) => match Numeric::of(stored).map(|numeric| numeric.wide(raw)) {
            Some(Wide::Unsigned(value)) => Value::UInt(value),
            _ => bytes(),
        },
        Datatype::Float(float) => match Numeric::of(stored).map(|numeric| numeric.wide(raw).to::<f64>()) {
            // Both tests: a type of odd precision may still say numbers that single precision does not have.
            Some(value) if float.size <= 4 && (value.is_nan() || f64::from(value as f32) == value) => {
                Value::Float32(value as f32)
            }
            Some(value) => Value::Float(value),
            None => bytes(),
        },
        Datatype::Enum(names) => match names.base.value(raw) {
            Some(value) if names.is_boolean() && (0..=1).contains(&value) => Value::Bool(value == 1),
            Some(value) => {
                Value::Enum { name: names.name_of(raw).map(|name| name.to_string_lossy().into_owned()), value }
            }
            None => bytes(),
        },
        Datatype::String(string) => text(trimmed(raw, string.padding)),
        Datatype::VarLenString(_) => {
            let fetched = heap.fetch(raw, 1)?;
            text(fetched.split(|byte| *byte == 0).next().unwrap_or_default())
        }
        Datatype::VarLen(sequence) => {
            let fetched = heap.fetch(raw, (sequence.base.size() as usize).max(1))?;
            Value::VarLen(all(&fetched, &sequence.base)?)
        }
        Datatype::Array(array) => Value::Array(all(raw, &array.base)?),
        Datatype::Complex(_) | Datatype::Compound(_) => {
            if let Some(Parts(parts)) = Parts::of(stored) {
                let part = |(offset, datatype): &(usize, Datatype)| {
                    let bytes = raw.get(*offset..offset + datatype.size() as usize)?;
                    Some(Numeric::of(datatype)?.wide(bytes).to::<f64>())
                };
                if let (Some(real), Some(imaginary)) = (part(&parts[0]), part(&parts[1])) {
                    return Ok(Value::Complex(real, imaginary));
                }
            }
            let Datatype::Compound(compound) = stored else { return Ok(bytes()) };
            let member = |member: &h5live_format::message::datatype::Member| {
                let start = member.offset as usize;
                let name = member.name.to_string_lossy().into_owned();
                let value = match raw.get(start..start.saturating_add(member.datatype.size() as usize)) {
                    Some(raw) => inner(raw, &member.datatype)?,
                    None => Value::Null,
                };
                Ok((name, value))
            };
            Value::Compound(compound.members.iter().map(member).collect::<Result<_>>()?)
        }
        Datatype::Reference(reference) => Value::Reference(match reference.kind {
            _ if raw.iter().all(|byte| *byte == 0) => Reference::Null,
            ReferenceKind::Object => match raw.iter().all(|byte| *byte == 0xff) {
                true => Reference::Null,
                false => Reference::Object(raw.iter().rev().take(8).fold(0, |addr, byte| addr << 8 | u64::from(*byte))),
            },
            ReferenceKind::Region => heap.region(raw)?,
            ReferenceKind::StdObject | ReferenceKind::StdRegion | ReferenceKind::StdAttribute => heap.reference(raw)?,
        }),
        Datatype::Opaque(_) | Datatype::Time(_) => bytes(),
    })
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, values: &[Value]| {
            f.write_str("[")?;
            for (number, value) in values.iter().enumerate() {
                f.write_str(if number == 0 { "" } else { ", " })?;
                value.fmt(f)?;
            }
            f.write_str("]")
        };
        match self {
            Self::Null => f.write_str("null"),
            Self::Int(value) => value.fmt(f),
            Self::UInt(value) => value.fmt(f),
            // Rust's shortest form that reads back as the same number, with an exponent where that is shorter.
            Self::Float32(value) => write!(f, "{value:?}"),
            Self::Float(value) => write!(f, "{value:?}"),
            Self::Bool(value) => value.fmt(f),
            Self::Str(text) => write!(f, "{text:?}"),
            Self::Bytes(bytes) => {
                f.write_str("0x")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Self::Enum { name: Some(name), .. } => f.write_str(name),
            Self::Enum { name: None, value } => value.fmt(f),
            Self::Compound(members) => {
                f.write_str("{")?;
                for (number, (name, value)) in members.iter().enumerate() {
                    write!(f, "{}{name}: {value}", if number == 0 { "" } else { ", " })?;
                }
                f.write_str("}")
            }
            Self::Array(values) | Self::VarLen(values) => list(f, values),
            Self::Complex(real, imaginary) => write!(f, "{real:?}{imaginary:+?}i"),
            Self::Reference(reference) => reference.fmt(f),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null reference"),
            Self::Object(addr) => write!(f, "object {addr:#x}"),
            Self::Region { dataset, .. } => write!(f, "region of {dataset:#x}"),
            Self::Attribute { object, name } => write!(f, "attribute {name:?} of {object:#x}"),
            Self::External { file, to } => write!(f, "{to} in {file:?}"),
            Self::Opaque(_) => f.write_str("reference"),
        }
    }
}

/// The global heap of an open file.
pub(crate) struct FileHeap<'a>(pub(crate) &'a Inner);

impl HeapRead for FileHeap<'_> {
    fn fetch(&self, reference: &[u8], unit: usize) -> Result<Vec<u8>> {
        let source = &self.0.source;
        let reference =
            VariableLength::decode(&mut Cursor::new("variable-length element", 0, reference), source.widths())?;
        let length = (reference.length as usize).saturating_mul(unit);
        let Some(object) = reference.object.filter(|_| length > 0) else { return Ok(Vec::new()) };
        let take = |data: &[u8]| data.get(..length).map(<[u8]>::to_vec);
        let found = match foreign::follow(self.0, object.collection) {
            Some((file, collection)) => {
                file.inner.heap.object(&file.inner.source, GlobalHeapId { collection, ..object }, take)?
            }
            None => self.0.heap.object(source, object, take)?,
        };
        found.ok_or_else(|| {
            let why = h5live_format::Why::Text("an object has fewer bytes than the element that refers to it counts");
            h5live_format::Malformed { what: "global heap collection", at: object.collection.0, why }.into()
        })
    }

    fn region(&self, reference: &[u8]) -> Result<Reference> {
        let source = &self.0.source;
        let widths = source.widths();
        let id = GlobalHeapId::decode(&mut Cursor::new("region reference", 0, reference), widths)?;
        let Some(id) = id else { return Ok(Reference::Null) };
        let at = id.collection.0;
        self.0.heap.object(source, id, |data| {
            let mut cursor = Cursor::new("region reference", at, data);
            let Some(Addr(dataset)) = cursor.addr("dataset address", widths)? else { return Ok(Reference::Null) };
            Ok(Reference::Region { dataset, selection: RegionSelection::read(&mut cursor)? })
        })?
    }

    fn reference(&self, reference: &[u8]) -> Result<Reference> {
        let source = &self.0.source;
        let (kind, is_external, id) = match reference::Element::decode(reference, source.widths())? {
            reference::Element::Null => return Ok(Reference::Null),
            reference::Element::Object(Addr(object)) => return Ok(Reference::Object(object)),
            reference::Element::Heap { kind, is_external, id } => (kind, is_external, id),
        };
        let at = id.collection.0;
        let decode = |data: &[u8]| reference::Reference::decode(data, at, kind, is_external);
        let found = self.0.heap.object(source, id, decode)??;
        let Addr(object) = found.object;
        let to = match found.target {
            reference::Target::Object => Reference::Object(object),
            reference::Target::Region(selection) => Reference::Region { dataset: object, selection },
            reference::Target::Attribute(name) => {
                Reference::Attribute { object, name: name.to_string_lossy().into_owned() }
            }
        };
        Ok(match found.file {
            Some(file) => Reference::External { file: file.to_string_lossy().into_owned(), to: Box::new(to) },
            None => to,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct NoHeap;

    impl HeapRead for NoHeap {
        fn fetch(&self, reference: &[u8], _: usize) -> Result<Vec<u8>> {
            Ok(reference.to_vec())
        }
    }

    #[test]
    fn values_show_as_people_write_them() {
        let point = Datatype::compound([("x", Datatype::i16()), ("y", Datatype::f64())]);
        let mut raw = vec![0xfe, 0xff];
        raw.extend(0.1f64.to_le_bytes());
        for (stored, raw, shown) in [
            (point, raw.as_slice(), "{x: -2, y: 0.1}"),
            (Datatype::f32(), &0.1f32.to_le_bytes()[..], "0.1"),
            (Datatype::f64(), &1e300f64.to_le_bytes()[..], "1e300"),
            (Datatype::boolean(), &[1], "true"),
            (Datatype::fixed_string(4), b"ab\0c", "\"ab\""),
            (Datatype::fixed_string(2), &[0xff, 0xfe], "0xfffe"),
            (Datatype::complex64(), &[0, 0, 0x80, 0x3f, 0, 0, 0x80, 0xbf], "1.0-1.0i"),
            (Datatype::array(&[2], Datatype::u8()), &[1, 2], "[1, 2]"),
            (Datatype::u64(), &[0xff; 8], "18446744073709551615"),
            (Datatype::opaque(2, "tag"), &[1, 2], "0x0102"),
            (Datatype::object_reference(), &[0x60, 0, 0, 0, 0, 0, 0, 0], "object 0x60"),
            (Datatype::object_reference(), &[0; 8], "null reference"),
        ] {
            assert_eq!(Value::decode(raw, &stored, &NoHeap).unwrap().to_string(), shown);
        }
    }
}

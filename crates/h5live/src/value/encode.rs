//! From values to the bytes that a file has for them.

use h5live_format::message::Datatype;
use h5live_format::message::datatype::{Enum, Member, Reference as ReferenceType, ReferenceKind};

use super::{Reference, Value};
use crate::convert::{Numeric, Wide};
use crate::element::{Bytes, Element, HeapWrite, Parts};
use crate::error::{Error, ErrorKind, Result};

impl Value {
    /// Appends the value as an element of type `stored` to `out`.
    ///
    /// Numbers are converted as [`Element`] converts them. An enumeration takes a [`Value::Enum`], by its name where it has one,
    /// a number, or the name as [`Value::Str`]; a compound takes its members by name, in any order; a sequence takes an array too.
    /// [`Value::Bytes`] of the size of an element are taken as they are by types that have no other form.
    ///
    /// # Errors
    /// [`ErrorKind::Type`] when the type has no such value; or the heap has no room.
    pub fn encode(&self, stored: &Datatype, heap: &mut dyn HeapWrite, out: &mut Vec<u8>) -> Result<()> {
        match (stored, self) {
            (Datatype::Enum(names), _) => return self.encode_enum(names, stored, out),
            (Datatype::Integer(_) | Datatype::Float(_) | Datatype::Bitfield(_), _) => {
                if let (Some(numeric), Some(wide)) = (Numeric::of(stored), self.wide()) {
                    numeric.put(wide, out);
                    return Ok(());
                }
            }
            (Datatype::String(_) | Datatype::VarLenString(_), Self::Str(text)) => {
                return String::encode(std::slice::from_ref(text), stored, heap, out);
            }
            (Datatype::String(_) | Datatype::VarLenString(_) | Datatype::Opaque(_), Self::Bytes(bytes)) => {
                return Bytes::encode(&[Bytes(bytes.clone())], stored, heap, out);
            }
            (Datatype::Compound(_) | Datatype::Complex(_), Self::Complex(real, imaginary)) => {
                return encode_complex([*real, *imaginary], stored, out).ok_or_else(|| self.mismatch(stored));
            }
            (Datatype::Compound(compound), Self::Compound(given)) => {
                let start = out.len();
                out.resize(start + compound.size as usize, 0);
                if given.len() != compound.members.len() {
                    return Err(self.mismatch(stored));
                }
                let mut bytes = Vec::new();
                for Member { name, offset, datatype } in &compound.members {
                    let value = given.iter().find(|(given, _)| *name == **given);
                    let (_, value) = value.ok_or_else(|| self.mismatch(stored))?;
                    bytes.clear();
                    value.encode(datatype, heap, &mut bytes)?;
                    let place = out.get_mut(start + *offset as usize..).and_then(|rest| rest.get_mut(..bytes.len()));
                    place.ok_or_else(|| self.mismatch(stored))?.copy_from_slice(&bytes);
                }
                return Ok(());
            }
            (Datatype::Array(array), Self::Array(values)) => {
                let count = array.dims.iter().try_fold(1u64, |count, dim| count.checked_mul(u64::from(*dim)));
                if count == Some(values.len() as u64) {
                    return Self::encode_all(values, &array.base, heap, out);
                }
            }
            (Datatype::VarLen(sequence), Self::VarLen(values) | Self::Array(values)) => {
                let mut data = Vec::new();
                Self::encode_all(values, &sequence.base, heap, &mut data)?;
                let length = u32::try_from(values.len())
                    .map_err(|_| Error::unsupported("storing a sequence of more than 4 billion elements"))?;
                return heap.store(&data, length, out);
            }
            (Datatype::Reference(kind), Self::Reference(reference)) => {
                let bytes = encode_reference(reference, *kind).ok_or_else(|| self.mismatch(stored))?;
                out.extend_from_slice(&bytes);
                return Ok(());
            }
            _ => {}
        }
        match self {
            Self::Bytes(bytes) if bytes.len() == stored.size() as usize && !stored.uses_global_heap() => {
                out.extend_from_slice(bytes);
                Ok(())
            }
            _ => Err(self.mismatch(stored)),
        }
    }

    /// Appends `values` as elements of type `stored`, one after the other, to `out`.
    ///
    /// # Errors
    /// As [`Value::encode`].
    pub fn encode_all(values: &[Self], stored: &Datatype, heap: &mut dyn HeapWrite, out: &mut Vec<u8>) -> Result<()> {
        values.iter().try_for_each(|value| value.encode(stored, heap, out))
    }

    fn encode_enum(&self, names: &Enum, stored: &Datatype, out: &mut Vec<u8>) -> Result<()> {
        let name = match self {
            Self::Enum { name: Some(name), .. } | Self::Str(name) => Some(name),
            _ => None,
        };
        if let Some(name) = name {
            let member = names.members.iter().find(|member| member.name == **name);
            out.extend_from_slice(&member.ok_or_else(|| self.mismatch(stored))?.value);
            return Ok(());
        }
        match (Numeric::of(stored), self.wide()) {
            (Some(numeric), Some(wide)) => {
                numeric.put(wide, out);
                Ok(())
            }
            _ => Err(self.mismatch(stored)),
        }
    }

    /// The number, if it is one.
    fn wide(&self) -> Option<Wide> {
        match self {
            Self::Int(value) => Some(Wide::Signed(*value)),
            Self::UInt(value) => Some(Wide::Unsigned(*value)),
            Self::Float32(value) => Some(Wide::Float((*value).into())),
            Self::Float(value) => Some(Wide::Float(*value)),
            Self::Bool(value) => Some(Wide::Unsigned((*value).into())),
            Self::Enum { value, .. } => {
                let signed = i64::try_from(*value).map(Wide::Signed);
                signed.or_else(|_| u64::try_from(*value).map(Wide::Unsigned)).ok()
            }
            _ => None,
        }
    }

    fn mismatch(&self, stored: &Datatype) -> Error {
        let mut asked = format!("the value {self}");
        if let Some((cut, _)) = asked.char_indices().nth(100) {
            asked.truncate(cut);
            asked.push_str(" ...");
        }
        ErrorKind::Type { stored: stored.to_string(), asked }.into()
    }
}

/// Appends a complex number; `None` if the type is none of complex numbers.
fn encode_complex(values: [f64; 2], stored: &Datatype, out: &mut Vec<u8>) -> Option<()> {
    let Parts(parts) = Parts::of(stored)?;
    let mut element = vec![0; stored.size() as usize];
    let mut bytes = Vec::new();
    for (value, (offset, datatype)) in values.into_iter().zip(&parts) {
        bytes.clear();
        Numeric::of(datatype)?.put(Wide::Float(value), &mut bytes);
        element.get_mut(*offset..)?.get_mut(..bytes.len())?.copy_from_slice(&bytes);
    }
    out.extend_from_slice(&element);
    Some(())
}

/// The bytes of a reference; `None` if references of this kind cannot be made here.
fn encode_reference(reference: &Reference, stored: ReferenceType) -> Option<Vec<u8>> {
    let size = stored.size as usize;
    match reference {
        Reference::Null => Some(vec![0; size]),
        Reference::Object(addr) if stored.kind == ReferenceKind::Object => {
            let bytes = addr.to_le_bytes();
            // An address that does not fit the file's is of another file.
            let (low, high) = bytes.split_at(size.min(bytes.len()));
            let mut element = low.to_vec();
            element.resize(size, 0);
            high.iter().all(|byte| *byte == 0).then_some(element)
        }
        // As HDF5 1.12 has it: type and flags, the size of an address and the address.
        Reference::Object(addr) if stored.kind == ReferenceKind::StdObject && size >= 11 => {
            let mut element = vec![2, 0, 8];
            element.extend_from_slice(&addr.to_le_bytes());
            element.resize(size, 0);
            Some(element)
        }
        Reference::Opaque(bytes) if bytes.len() == size && stored.kind != ReferenceKind::Object => Some(bytes.clone()),
        _ => None,
    }
}

/// References to objects: what [`Object::address`](crate::Object::address) tells, or nothing.
impl Element for Reference {
    fn datatype() -> Datatype {
        Datatype::object_reference()
    }
    fn blank() -> Self {
        Self::Null
    }
    fn decode(raw: &[u8], stored: &Datatype, heap: &dyn crate::HeapRead, out: &mut [Self]) -> Result<()> {
        for (to, from) in out.iter_mut().zip(crate::element::elements(raw, stored)) {
            if let Value::Reference(reference) = Value::decode(from, stored, heap)? {
                *to = reference;
            }
        }
        Ok(())
    }
    fn encode(values: &[Self], stored: &Datatype, _: &mut dyn HeapWrite, out: &mut Vec<u8>) -> Result<()> {
        for value in values {
            let bytes = match stored {
                Datatype::Reference(kind) => encode_reference(value, *kind),
                _ => None,
            };
            out.extend_from_slice(&bytes.ok_or_else(|| Value::Reference(value.clone()).mismatch(stored))?);
        }
        Ok(())
    }
    fn reads(stored: &Datatype) -> bool {
        matches!(stored, Datatype::Reference(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::HeapRead;
    use h5live_format::message::datatype::{ByteOrder, EnumMember, Integer};

    /// A heap whose elements are their own data, behind a length.
    struct Inline;

    impl HeapWrite for Inline {
        fn store(&mut self, data: &[u8], length: u32, element: &mut Vec<u8>) -> Result<()> {
            element.extend_from_slice(&length.to_le_bytes());
            element.extend_from_slice(&data[..data.len().min(12)]);
            element.resize(element.len() + 12 - data.len().min(12), 0);
            Ok(())
        }
    }

    impl HeapRead for Inline {
        fn fetch(&self, reference: &[u8], unit: usize) -> Result<Vec<u8>> {
            let length = u32::from_le_bytes([reference[0], reference[1], reference[2], reference[3]]) as usize;
            Ok(reference[4..4 + length * unit].to_vec())
        }
    }

    fn colours() -> Datatype {
        let base = Integer::new(2, false, ByteOrder::Big);
        let member = |name: &str, value| EnumMember { name: name.into(), value: vec![0, value] };
        Datatype::Enum(Enum { base, members: vec![member("red", 3), member("blue", 9)] })
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let point = Datatype::compound([("x", Datatype::i16()), ("y", Datatype::f64())]);
        let named = |x, y| Value::Compound(vec![("x".into(), Value::Int(x)), ("y".into(), Value::Float(y))]);
        let blue = Value::Enum { name: Some("blue".into()), value: 9 };
        for (stored, value) in [
            (Datatype::u64(), Value::UInt(u64::MAX)),
            (Datatype::i64(), Value::Int(i64::MIN)),
            (Datatype::f16(), Value::Float32(1.5)),
            (Datatype::boolean(), Value::Bool(true)),
            (colours(), blue.clone()),
            (point.clone(), named(-3, 0.25)),
            (Datatype::array(&[2], point.clone()), Value::Array(vec![named(1, 2.0), named(3, 4.0)])),
            (Datatype::var_len(Datatype::u8()), Value::VarLen(vec![Value::UInt(7), Value::UInt(8)])),
            (Datatype::var_len_string(), Value::Str("grün".into())),
            (Datatype::fixed_string(5), Value::Str("abc".into())),
            (Datatype::opaque(3, "t"), Value::Bytes(vec![1, 2, 3])),
            (Datatype::complex64(), Value::Complex(1.0, -2.0)),
            (Datatype::object_reference(), Value::Reference(Reference::Object(800))),
            (Datatype::object_reference(), Value::Reference(Reference::Null)),
        ] {
            let mut raw = Vec::new();
            value.encode(&stored, &mut Inline, &mut raw).unwrap();
            assert_eq!(raw.len(), stored.size() as usize, "{stored}");
            assert_eq!(Value::decode(&raw, &stored, &Inline).unwrap(), value, "{stored}");
        }
        // The same by other words.
        for (stored, given, value) in [
            (colours(), Value::Str("blue".into()), blue),
            (Datatype::u8(), Value::Float(300.0), Value::UInt(255)),
            (Datatype::var_len(Datatype::u8()), Value::Array(vec![Value::Int(7)]), Value::VarLen(vec![Value::UInt(7)])),
            (
                point,
                Value::Compound(vec![("y".into(), Value::Float(0.5)), ("x".into(), Value::UInt(2))]),
                named(2, 0.5),
            ),
        ] {
            let mut raw = Vec::new();
            given.encode(&stored, &mut Inline, &mut raw).unwrap();
            assert_eq!(Value::decode(&raw, &stored, &Inline).unwrap(), value, "{stored}");
        }
    }

    #[test]
    fn what_a_type_does_not_have_is_refused() {
        let point = Datatype::compound([("x", Datatype::i16())]);
        for (stored, value) in [
            (Datatype::i32(), Value::Str("7".into())),
            (Datatype::i32(), Value::Null),
            (colours(), Value::Str("green".into())),
            (Datatype::fixed_string(3), Value::Str("four".into())),
            (point.clone(), Value::Compound(vec![("y".into(), Value::Int(1))])),
            (point.clone(), Value::Compound(vec![])),
            (point, Value::Array(vec![Value::Int(1)])),
            (Datatype::array(&[2], Datatype::u8()), Value::Array(vec![Value::UInt(1)])),
            (Datatype::opaque(2, ""), Value::Bytes(vec![1, 2, 3])),
            (Datatype::f32(), Value::Complex(1.0, 1.0)),
            (Datatype::var_len_string(), Value::Int(1)),
            (Datatype::var_len_string(), Value::Reference(Reference::Null)),
            (Datatype::region_reference(), Value::Reference(Reference::Object(96))),
        ] {
            let refused = value.encode(&stored, &mut Inline, &mut Vec::new());
            assert!(matches!(refused.unwrap_err().kind(), ErrorKind::Type { .. }), "{value} as {stored}");
        }
    }
}

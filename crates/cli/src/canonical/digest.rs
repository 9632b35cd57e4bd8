//! Digests of elements: SHA-256 over their bytes where they are numbers, over a JSON list of them where not.

use std::collections::HashMap;

use h5live::datatype::{ByteOrder, Complex};
use h5live::datatype::{Compound, Enum, Float, FloatOrder, Integer, Reference as ReferenceType, ReferenceKind};
use h5live::region::Selection;
use h5live::{Datatype, Element, File, HeapRead, Object, Reference, StringPadding, f16};
use sha2::{Digest, Sha256};

use super::json::{list, quote};
use super::types::memory_members;

/// Types nest in values at most this deep: variable-length data could otherwise lead in a circle.
const MOST_NESTED: u32 = 64;

/// What elements of a file are digested with.
pub(super) struct Digester<'a> {
    pub(super) file: &'a File,
    pub(super) heap: &'a dyn HeapRead,
    /// The canonical path of each object, by its address.
    pub(super) paths: &'a HashMap<u64, Vec<u8>>,
}

/// The digest of bytes, in hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

impl Digester<'_> {
    /// The digest of the elements of `raw`, which are of type `stored`.
    pub(super) fn digest(&self, raw: &[u8], stored: &Datatype) -> h5live::Result<String> {
        if let Datatype::Array(array) = stored {
            return self.digest(raw, &array.base);
        }
        if let Some(number) = Number::of(stored) {
            return Ok(sha256(&number.canonical(raw)?));
        }
        match OpaqueArray::of(stored) {
            Some(OpaqueArray::Numbers) => return Ok(sha256(raw)),
            Some(OpaqueArray::Swapped) => {
                let turned: Vec<u8> = elements(raw, stored).flat_map(|element| element.iter().rev()).copied().collect();
                return Ok(sha256(&turned));
            }
            _ => {}
        }
        if let Datatype::Compound(compound) = stored {
            let mut columns = Vec::new();
            for (number, _) in memory_members(compound).0 {
                let member = &compound.members[number];
                let (start, len) = (member.offset as usize, member.datatype.size() as usize);
                let column: Vec<u8> =
                    elements(raw, stored).flat_map(|element| part(element, start, len)).copied().collect();
                let digest = self.digest(&column, &member.datatype)?;
                columns.push(list([quote(member.name.as_bytes()), quote(digest.as_bytes())]));
            }
            return Ok(sha256(list(columns).as_bytes()));
        }
        let mut sha = Sha256::new();
        sha.update(b"[");
        for (number, element) in elements(raw, stored).enumerate() {
            sha.update(if number == 0 { "" } else { "," });
            sha.update(self.json(element, stored, 0)?);
        }
        sha.update(b"]");
        Ok(hex(&sha.finalize()))
    }

    /// Whether elements of a type are digested as bytes.
    pub(super) fn is_numeric(&self, stored: &Datatype) -> bool {
        match stored {
            Datatype::Array(_) => false,
            other => Number::of(other).is_some(),
        }
    }

    /// One element as JSON.
    fn json(&self, raw: &[u8], stored: &Datatype, depth: u32) -> h5live::Result<String> {
        if depth > MOST_NESTED {
            return Ok("null".to_owned());
        }
        if let Some(number) = Number::of(stored) {
            return number.json(raw);
        }
        let all = |raw: &[u8], base: &Datatype| -> h5live::Result<String> {
            let each = elements(raw, base).map(|element| self.json(element, base, depth + 1));
            Ok(list(each.collect::<h5live::Result<Vec<_>>>()?))
        };
        Ok(match stored {
            Datatype::Array(array) => all(raw, &array.base)?,
            Datatype::Compound(compound) => {
                let each = memory_members(compound).0.into_iter().map(|(number, _)| {
                    let member = &compound.members[number];
                    let element = part(raw, member.offset as usize, member.datatype.size() as usize);
                    self.json(element, &member.datatype, depth + 1)
                });
                list(each.collect::<h5live::Result<Vec<_>>>()?)
            }
            Datatype::String(string) => text(match string.padding {
                StringPadding::SpacePad => {
                    let end = raw.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1);
                    &raw[..end]
                }
                StringPadding::NullTerminate | StringPadding::NullPad => raw,
            }),
            Datatype::Opaque(_) if OpaqueArray::of(stored) == Some(OpaqueArray::Text) => text(raw),
            Datatype::VarLenString(_) => text(&self.heap.fetch(raw, 1)?),
            Datatype::VarLen(sequence) => {
                let data = self.heap.fetch(raw, sequence.base.size() as usize)?;
                // h5py hands out big-endian numbers of a sequence as if they were little-endian, and the descriptions that
                // this one is held against have them so.
                let base = as_little_endian(&sequence.base);
                all(&data, base.as_ref().unwrap_or(&sequence.base))?
            }
            Datatype::Reference(reference) => self.reference(raw, *reference),
            _ => format!("\"o{}\"", hex(raw)),
        })
    }

    fn reference(&self, raw: &[u8], kind: ReferenceType) -> String {
        if raw.iter().all(|byte| *byte == 0) {
            return "\"r:null\"".to_owned();
        }
        let target = match kind.kind {
            ReferenceKind::Object => {
                let addr = raw.iter().rev().take(8).fold(0, |addr, byte| addr << 8 | u64::from(*byte));
                self.file.object_at(addr).map(|object| quote(&self.path("r:", &object)))
            }
            ReferenceKind::Region => self.heap.region(raw).and_then(|reference| self.region(&reference)),
            _ => self.heap.reference(raw).and_then(|reference| self.target(&reference)),
        };
        target.unwrap_or_else(|_| "\"r:invalid\"".to_owned())
    }

    /// What a reference of HDF5 1.12's kinds leads to, told as one of the older kinds is.
    fn target(&self, reference: &Reference) -> h5live::Result<String> {
        Ok(match reference {
            Reference::Null => "\"r:null\"".to_owned(),
            Reference::Object(object) => quote(&self.path("r:", &self.file.object_at(*object)?)),
            Reference::Attribute { object, name } => {
                let path = self.path("A:", &self.file.object_at(*object)?);
                quote(&[path.as_slice(), b"@", name.as_bytes()].concat())
            }
            Reference::External { file, to } => list([quote(file.as_bytes()), quote(to.to_string().as_bytes())]),
            other => self.region(other)?,
        })
    }

    fn path(&self, prefix: &str, object: &Object) -> Vec<u8> {
        let path = self.paths.get(&object.address()).map_or(&b"?"[..], Vec::as_slice);
        [prefix.as_bytes(), path].concat()
    }

    fn region(&self, reference: &Reference) -> h5live::Result<String> {
        let Reference::Region { dataset, selection } = reference else { return Ok("\"r:invalid\"".to_owned()) };
        let object = self.file.object_at(*dataset)?;
        let shape = match &object {
            Object::Dataset(dataset) => dataset.shape(),
            _ => return Ok("\"r:invalid\"".to_owned()),
        };
        let (count, lower, upper) = extent(selection, &shape);
        let bounds = list([list(lower), list(upper)]);
        Ok(list([quote(&self.path("R:", &object)), list(shape), count.to_string(), bounds]))
    }
}

/// How many elements are selected, and the corners of the box around them.
fn extent(selection: &Selection, shape: &[u64]) -> (u64, Vec<u64>, Vec<u64>) {
    let around = |corners: &mut dyn Iterator<Item = (&[u64], &[u64])>| {
        let (mut lower, mut upper) = (vec![u64::MAX; shape.len()], vec![0; shape.len()]);
        for (first, last) in corners {
            lower.iter_mut().zip(first).for_each(|(lower, at)| *lower = (*lower).min(*at));
            upper.iter_mut().zip(last).for_each(|(upper, at)| *upper = (*upper).max(*at));
        }
        (lower, upper)
    };
    let volume = |first: &[u64], last: &[u64]| {
        first.iter().zip(last).fold(1u64, |all, (from, to)| all.saturating_mul(to.saturating_sub(*from) + 1))
    };
    match selection {
        Selection::None => (0, Vec::new(), Vec::new()),
        Selection::All => {
            let upper: Vec<u64> = shape.iter().map(|dim| dim.saturating_sub(1)).collect();
            (shape.iter().product(), vec![0; shape.len()], upper)
        }
        Selection::Points(points) => {
            let (lower, upper) = around(&mut points.iter().map(|point| (point, point)));
            (points.iter().count() as u64, lower, upper)
        }
        Selection::Blocks(blocks) => {
            let (lower, upper) = around(&mut blocks.iter());
            (blocks.iter().map(|(first, last)| volume(first, last)).sum(), lower, upper)
        }
        Selection::Regular(axes) => {
            let along = |axis: &h5live::region::RegularDimension| {
                let (count, block) = (axis.count.unwrap_or(0), axis.block.unwrap_or(0));
                let last = axis.start + axis.stride * count.saturating_sub(1) + block.saturating_sub(1);
                (count * block, axis.start, last)
            };
            let axes: Vec<_> = axes.iter().map(along).collect();
            (
                axes.iter().map(|(count, ..)| count).product(),
                axes.iter().map(|(_, lower, _)| *lower).collect(),
                axes.iter().map(|(.., upper)| *upper).collect(),
            )
        }
    }
}

/// The elements of `raw`, one after the other.
fn elements<'r>(raw: &'r [u8], stored: &Datatype) -> std::slice::ChunksExact<'r, u8> {
    raw.chunks_exact((stored.size() as usize).max(1))
}

fn part(element: &[u8], start: usize, len: usize) -> &[u8] {
    element.get(start..start.saturating_add(len)).unwrap_or_default()
}

/// Text up to its first NUL.
fn text(bytes: &[u8]) -> String {
    format!("\"s{}\"", hex(bytes.split(|byte| *byte == 0).next().unwrap_or_default()))
}

/// Types whose elements are digested as bytes.
enum Number<'t> {
    Boolean,
    Integer(Integer),
    Float(&'t Float, Width),
    /// Real and imaginary part: their type, where each is, and the bytes of both together.
    Complex {
        part: Float,
        real: usize,
        imaginary: usize,
        size: usize,
    },
}

/// The IEEE format that floating-point numbers are digested in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Width {
    Half,
    Single,
    Double,
}

impl<'t> Number<'t> {
    fn of(stored: &'t Datatype) -> Option<Self> {
        let integer = |integer: Integer| matches!(integer.size, 1 | 2 | 4 | 8).then_some(Self::Integer(integer));
        match stored {
            Datatype::Enum(names) if is_boolean(names) => Some(Self::Boolean),
            Datatype::Integer(stored) => integer(*stored),
            Datatype::Enum(stored) => integer(stored.base),
            // What bits mean is not the file's business: they are taken as they are.
            Datatype::Bitfield(stored) => integer(Integer::new(stored.size, false, stored.order)),
            Datatype::Float(float) => Width::of(float).map(|width| Self::Float(float, width)),
            Datatype::Complex(Complex { base }) => {
                let size = base.size as usize;
                Width::of(base).map(|_| Self::Complex { part: *base, real: 0, imaginary: size, size: 2 * size })
            }
            Datatype::Compound(compound) => complex(compound),
            _ => None,
        }
    }

    /// The elements' bytes, little-endian.
    fn canonical(&self, raw: &[u8]) -> h5live::Result<Vec<u8>> {
        Ok(match self {
            Self::Boolean => raw.iter().map(|byte| u8::from(*byte != 0)).collect(),
            Self::Integer(integer) => {
                let size = integer.size as usize;
                let is_whole = *integer == Integer { padding: integer.padding, ..whole(integer) };
                match integer.order {
                    ByteOrder::Little if is_whole => raw.to_vec(),
                    _ => raw
                        .chunks_exact(size)
                        .flat_map(|element| {
                            let value = integer.value(element).unwrap_or_default() as i64;
                            value.to_le_bytes().into_iter().take(size)
                        })
                        .collect(),
                }
            }
            Self::Float(float, width) => width.canonical(float, raw)?,
            Self::Complex { part: float, real, imaginary, size } => {
                let Some(width) = Width::of(float) else { return Ok(raw.to_vec()) };
                let mut parts = Vec::with_capacity(raw.len());
                for element in raw.chunks_exact((*size).max(1)) {
                    parts.extend_from_slice(part(element, *real, float.size as usize));
                    parts.extend_from_slice(part(element, *imaginary, float.size as usize));
                }
                width.canonical(float, &parts)?
            }
        })
    }

    /// One element as JSON.
    fn json(&self, raw: &[u8]) -> h5live::Result<String> {
        Ok(match self {
            Self::Boolean => u8::from(raw.first().is_some_and(|byte| *byte != 0)).to_string(),
            Self::Integer(integer) => integer.value(raw).unwrap_or_default().to_string(),
            Self::Float(..) => format!("\"x{}\"", hex(&self.canonical(raw)?)),
            Self::Complex { .. } => {
                let bytes = self.canonical(raw)?;
                let (real, imaginary) = bytes.split_at(bytes.len() / 2);
                list([real, imaginary].map(|part| format!("\"x{}\"", hex(part))))
            }
        })
    }
}

/// What numpy can say in an opaque type that h5py has tagged with a numpy type: `NUMPY:<M8[s]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OpaqueArray {
    /// Times and spans of time, as integers.
    Numbers,
    /// The same, big-endian.
    Swapped,
    /// Strings of a fixed length.
    Text,
}

impl OpaqueArray {
    fn of(stored: &Datatype) -> Option<Self> {
        let Datatype::Opaque(opaque) = stored else { return None };
        match opaque.tag.as_bytes().strip_prefix(b"NUMPY:")? {
            [b'<', b'M' | b'm', ..] => Some(Self::Numbers),
            [b'>', b'M' | b'm', ..] => Some(Self::Swapped),
            [b'|', b'S', ..] => Some(Self::Text),
            _ => None,
        }
    }
}

/// The same numbers in little-endian order; `None` for what is not a big-endian number.
fn as_little_endian(stored: &Datatype) -> Option<Datatype> {
    let turned = match stored {
        Datatype::Integer(integer) if integer.order == ByteOrder::Big => {
            Datatype::Integer(Integer { order: ByteOrder::Little, ..*integer })
        }
        Datatype::Enum(names) if names.base.order == ByteOrder::Big => {
            Datatype::Integer(Integer { order: ByteOrder::Little, ..names.base })
        }
        Datatype::Float(float) if float.order == FloatOrder::Big => Datatype::Float(float.in_order(FloatOrder::Little)),
        Datatype::Compound(compound) => match complex(compound)? {
            Number::Complex { part, real, imaginary, .. } if part.order == FloatOrder::Big && real < imaginary => {
                let part = Datatype::Float(part.in_order(FloatOrder::Little));
                Datatype::compound([("r", part.clone()), ("i", part)])
            }
            _ => return None,
        },
        _ => return None,
    };
    Some(turned)
}

/// An integer of the same size, sign and order that has no bits to spare.
fn whole(integer: &Integer) -> Integer {
    Integer::new(integer.size, integer.signed, integer.order)
}

/// An enumeration over 8 bits of FALSE and TRUE, in whichever order.
fn is_boolean(names: &Enum) -> bool {
    let value = |name: &str| {
        let member = names.members.iter().find(|member| member.name == *name)?;
        names.base.value(&member.value)
    };
    names.base.size == 1 && names.members.len() == 2 && (value("FALSE"), value("TRUE")) == (Some(0), Some(1))
}

/// A compound type of `r` and `i`, in this order if not in these places, both of the same floating-point type of single
/// precision or more.
fn complex(compound: &Compound) -> Option<Number<'static>> {
    let [real, imaginary] = compound.members.as_slice() else { return None };
    let Datatype::Float(float) = &real.datatype else { return None };
    let is_wide = matches!(Width::of(float), Some(Width::Single | Width::Double));
    let named = real.name == *"r" && imaginary.name == *"i" && real.datatype == imaginary.datatype;
    let [real, imaginary] = [real.offset, imaginary.offset].map(|offset| offset as usize);
    (is_wide && named).then_some(Number::Complex { part: *float, real, imaginary, size: compound.size as usize })
}

impl Width {
    /// The smallest format that holds what `float` can say; double precision for all that are larger.
    fn of(float: &Float) -> Option<Self> {
        if float.order == FloatOrder::Vax {
            return None;
        }
        // Bytes, bits of the mantissa, least and largest exponent.
        let formats =
            [(Self::Half, 2, 10, -14, 16), (Self::Single, 4, 23, -126, 128), (Self::Double, 8, 52, -1022, 1024)];
        let bias = i64::from(float.bias);
        let largest = (1i64 << float.exponent.bits.min(62)) - bias - 1;
        let fits = |format: &&(Self, u32, u8, i64, i64)| {
            let (_, size, mantissa, low, high) = **format;
            float.size <= size && float.mantissa.bits <= mantissa && largest <= high && 1 - bias >= low
        };
        Some(formats.iter().find(fits).map_or(Self::Double, |(width, ..)| *width))
    }

    fn size(self) -> usize {
        match self {
            Self::Half => 2,
            Self::Single => 4,
            Self::Double => 8,
        }
    }

    fn canonical(self, float: &Float, raw: &[u8]) -> h5live::Result<Vec<u8>> {
        let standard = match self {
            Self::Half => Float::F16,
            Self::Single => Float::F32,
            Self::Double => Float::F64,
        };
        if float.in_order(FloatOrder::Little)
            == (Float { padding: float.padding, internal_padding: float.internal_padding, ..standard })
        {
            let mut bytes = raw.to_vec();
            if float.order == FloatOrder::Big {
                bytes.chunks_exact_mut(self.size()).for_each(<[u8]>::reverse);
            }
            return Ok(bytes);
        }
        let stored = Datatype::Float(*float);
        let count = raw.len() / (float.size as usize).max(1);
        Ok(match self {
            Self::Half => decoded::<f16>(raw, &stored, count)?.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::Single => decoded::<f32>(raw, &stored, count)?.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::Double => decoded::<f64>(raw, &stored, count)?.iter().flat_map(|value| value.to_le_bytes()).collect(),
        })
    }
}

fn decoded<T: Element>(raw: &[u8], stored: &Datatype, count: usize) -> h5live::Result<Vec<T>> {
    let mut out = vec![T::blank(); count];
    T::decode(raw, stored, &Nothing, &mut out)?;
    Ok(out)
}

/// Numbers need no heap.
struct Nothing;

impl HeapRead for Nothing {
    fn fetch(&self, _: &[u8], _: usize) -> h5live::Result<Vec<u8>> {
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(stored: &Datatype, raw: &[u8]) -> Vec<u8> {
        Number::of(stored).unwrap().canonical(raw).unwrap()
    }

    #[test]
    fn numbers_are_little_endian_and_sign_extended() {
        let big = Datatype::Integer(Integer::new(2, true, ByteOrder::Big));
        assert_eq!(canonical(&big, &[0xff, 0xfe, 0x00, 0x01]), [0xfe, 0xff, 1, 0]);
        let odd = Datatype::Integer(Integer {
            bits: h5live::datatype::BitRange { offset: 4, precision: 4 },
            ..Integer::new(2, true, ByteOrder::Little)
        });
        assert_eq!(canonical(&odd, &[0x8f, 0xff]), [0xf8, 0xff]);
        assert_eq!(canonical(&Datatype::boolean(), &[0, 1, 7]), [0, 1, 1]);
        let big = Datatype::Float(Float::F32.in_order(FloatOrder::Big));
        assert_eq!(canonical(&big, &1.5f32.to_be_bytes()), 1.5f32.to_le_bytes());
        assert_eq!(canonical(&Datatype::Float(Float::BF16), &[0xc0, 0x3f]), 1.5f32.to_le_bytes());
    }

    #[test]
    fn only_r_and_i_of_one_type_are_complex() {
        assert!(matches!(Number::of(&Datatype::complex64()), Some(Number::Complex { imaginary: 4, .. })));
        for other in [
            Datatype::compound([("i", Datatype::f32()), ("r", Datatype::f32())]),
            Datatype::compound([("r", Datatype::f32()), ("i", Datatype::f64())]),
            Datatype::compound([("r", Datatype::i32()), ("i", Datatype::i32())]),
        ] {
            assert!(Number::of(&other).is_none(), "{other}");
        }
    }

    #[test]
    fn text_ends_at_its_first_nul() {
        assert_eq!(text(b"ab\0c"), "\"s6162\"");
    }
}

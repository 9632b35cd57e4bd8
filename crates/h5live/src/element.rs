//! The types a program reads elements into and writes them from.

use bytemuck::Pod;
use h5live_format::message::Datatype;
use h5live_format::message::StringPadding;
use h5live_format::message::datatype::Compound;
use half::f16;
use num_complex::Complex;

use crate::convert::{Numeric, Wide, is_native};
use crate::error::{Error, ErrorKind, Result};
use crate::value::Reference;

/// Gives the data that elements of variable length refer to.
pub trait HeapRead {
    /// The data of one element. `reference` are the element's bytes in the file; its length counts units of `unit` bytes.
    ///
    /// # Errors
    /// The data are damaged.
    fn fetch(&self, reference: &[u8], unit: usize) -> Result<Vec<u8>>;

    /// What a region reference with these bytes refers to.
    ///
    /// # Errors
    /// The reference or what it leads to is damaged.
    fn region(&self, reference: &[u8]) -> Result<Reference> {
        Ok(Reference::Opaque(reference.to_vec()))
    }

    /// What a reference of HDF5 1.12's kinds with these bytes refers to.
    ///
    /// # Errors
    /// The reference or what it leads to is damaged.
    fn reference(&self, reference: &[u8]) -> Result<Reference> {
        Ok(Reference::Opaque(reference.to_vec()))
    }
}

/// Takes the data that elements of variable length refer to.
pub trait HeapWrite {
    /// Stores `data`, `length` units long, and appends the bytes of the element that refers to them.
    ///
    /// # Errors
    /// There is no room.
    fn store(&mut self, data: &[u8], length: u32, element: &mut Vec<u8>) -> Result<()>;
}

/// A type of elements in memory: numbers, booleans, strings, complex numbers, arrays `[T; N]` and sequences `Vec<T>`.
///
/// Numbers are converted where the file's type is another one, as libhdf5 converts them: what is out of range becomes the
/// nearest that is in range, and NaN becomes 0 in an integer.
pub trait Element: Clone + Send + Sync + 'static {
    /// The file type of a dataset that is created for such elements.
    fn datatype() -> Datatype;

    /// What a buffer holds before it is read into.
    fn blank() -> Self;

    /// Decodes the elements of `raw`, which are of type `stored`, into `out`.
    ///
    /// # Errors
    /// [`ErrorKind::Type`] when such elements cannot be read from that type; or heap data are damaged.
    fn decode(raw: &[u8], stored: &Datatype, heap: &dyn HeapRead, out: &mut [Self]) -> Result<()>;

    /// Appends `values` as elements of type `stored` to `out`.
    ///
    /// # Errors
    /// [`ErrorKind::Type`] when such elements cannot be written to that type; or the heap has no room.
    fn encode(values: &[Self], stored: &Datatype, heap: &mut dyn HeapWrite, out: &mut Vec<u8>) -> Result<()>;

    /// The bytes of `values`, if those are just what elements of type `stored` are in the file.
    fn as_bytes<'a>(values: &'a [Self], stored: &Datatype) -> Option<&'a [u8]> {
        let _ = (values, stored);
        None
    }

    /// The bytes of `values`, to be read into, if those are just what elements of type `stored` are in the file.
    fn as_bytes_mut<'a>(values: &'a mut [Self], stored: &Datatype) -> Option<&'a mut [u8]> {
        let _ = (values, stored);
        None
    }

    /// Whether elements of type `stored` can be read as this type.
    fn reads(stored: &Datatype) -> bool;

    /// Appends the elements of fixed size as they are in the file: [`Element::encode`] for types that need no heap.
    ///
    /// # Errors
    /// As [`Element::encode`]; and [`ErrorKind::Unsupported`] when the type needs a heap.
    fn to_file(values: &[Self], stored: &Datatype) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        Self::encode(values, stored, &mut NoHeap, &mut out)?;
        Ok(out)
    }
}

/// All elements of `raw`, of which there must be `count`.
pub(crate) fn decode_all<T: Element>(
    raw: &[u8],
    stored: &Datatype,
    heap: &dyn HeapRead,
    count: usize,
) -> Result<Vec<T>> {
    if !T::reads(stored) {
        return Err(mismatch::<T>(stored));
    }
    let mut out = blank(count)?;
    if let Some(bytes) = T::as_bytes_mut(&mut out, stored) {
        bytes.copy_from_slice(raw);
    } else {
        T::decode(raw, stored, heap, &mut out)?;
    }
    Ok(out)
}

/// `count` blank elements; an error where there is no memory for them, rather than the end of the process.
pub(crate) fn blank<T: Element>(count: usize) -> Result<Vec<T>> {
    /// Below this an allocation does not fail.
    const SMALL: usize = 64 << 20;
    let bytes = count.saturating_mul(size_of::<T>().max(1));
    if bytes > SMALL && Vec::<T>::new().try_reserve_exact(count).is_err() {
        return Err(Error::unsupported(format!("reading {count} elements at once: there is no memory for them")));
    }
    // Zeros come from the system without a pass over them; so this is not `resize`.
    Ok(vec![T::blank(); count])
}

/// The error of a type that cannot be had as `T`.
pub(crate) fn mismatch<T: Element>(stored: &Datatype) -> Error {
    ErrorKind::Type { stored: stored.to_string(), asked: T::datatype().to_string() }.into()
}

/// For where only elements of a fixed size can be.
pub(crate) struct NoHeap;

impl HeapWrite for NoHeap {
    fn store(&mut self, _: &[u8], _: u32, _: &mut Vec<u8>) -> Result<()> {
        Err(Error::unsupported("elements of variable length where only a fixed size can be"))
    }
}

macro_rules! numbers {
    ($($number:ty: $datatype:expr),* $(,)?) => {$(
        impl Element for $number {
            fn datatype() -> Datatype {
                $datatype
            }
            fn blank() -> Self {
                Self::default()
            }
            fn decode(raw: &[u8], stored: &Datatype, _: &dyn HeapRead, out: &mut [Self]) -> Result<()> {
                numeric::<Self>(stored)?.decode(raw, out);
                Ok(())
            }
            fn encode(values: &[Self], stored: &Datatype, _: &mut dyn HeapWrite, out: &mut Vec<u8>) -> Result<()> {
                if let Some(bytes) = Self::as_bytes(values, stored) {
                    out.extend_from_slice(bytes);
                } else {
                    numeric::<Self>(stored)?.encode(values, out);
                }
                Ok(())
            }
            fn as_bytes<'a>(values: &'a [Self], stored: &Datatype) -> Option<&'a [u8]> {
                is_native(stored, &Self::datatype()).then(|| bytemuck::cast_slice(values))
            }
            fn as_bytes_mut<'a>(values: &'a mut [Self], stored: &Datatype) -> Option<&'a mut [u8]> {
                is_native(stored, &Self::datatype()).then(|| bytemuck::cast_slice_mut(values))
            }
            fn reads(stored: &Datatype) -> bool {
                Numeric::of(stored).is_some()
            }
        }
    )*};
}

numbers! {
    i8: Datatype::i8(), i16: Datatype::i16(), i32: Datatype::i32(), i64: Datatype::i64(),
    u8: Datatype::u8(), u16: Datatype::u16(), u32: Datatype::u32(), u64: Datatype::u64(),
    f16: Datatype::f16(), f32: Datatype::f32(), f64: Datatype::f64(),
}

fn numeric<T: Element>(stored: &Datatype) -> Result<Numeric<'_>> {
    Numeric::of(stored).ok_or_else(|| mismatch::<T>(stored))
}

/// As h5py has them: an enumeration FALSE, TRUE. Read from any integer: what is not 0 is true.
impl Element for bool {
    fn datatype() -> Datatype {
        Datatype::boolean()
    }
    fn blank() -> Self {
        false
    }
    fn decode(raw: &[u8], stored: &Datatype, _: &dyn HeapRead, out: &mut [Self]) -> Result<()> {
        let Some(numeric @ Numeric::Integer(_)) = Numeric::of(stored) else { return Err(mismatch::<Self>(stored)) };
        for (to, from) in out.iter_mut().zip(raw.chunks_exact(numeric.size())) {
            *to = !matches!(numeric.wide(from), Wide::Signed(0) | Wide::Unsigned(0));
        }
        Ok(())
    }
    fn encode(values: &[Self], stored: &Datatype, _: &mut dyn HeapWrite, out: &mut Vec<u8>) -> Result<()> {
        let Some(numeric @ Numeric::Integer(_)) = Numeric::of(stored) else { return Err(mismatch::<Self>(stored)) };
        let numbers: Vec<u8> = values.iter().map(|value| u8::from(*value)).collect();
        numeric.encode(&numbers, out);
        Ok(())
    }
    fn as_bytes<'a>(values: &'a [Self], stored: &Datatype) -> Option<&'a [u8]> {
        matches!(stored, Datatype::Enum(stored) if stored.is_boolean()).then(|| bytemuck::cast_slice(values))
    }
    fn reads(stored: &Datatype) -> bool {
        matches!(Numeric::of(stored), Some(Numeric::Integer(_)))
    }
}

/// UTF-8 text of any length. Read from strings of fixed length too: up to the first NUL, or without the spaces that pad it.
impl Element for String {
    fn datatype() -> Datatype {
        Datatype::var_len_string()
    }
    fn blank() -> Self {
        Self::new()
    }
    fn decode(raw: &[u8], stored: &Datatype, heap: &dyn HeapRead, out: &mut [Self]) -> Result<()> {
        each_text::<Self>(raw, stored, heap, out, |text| {
            Self::from_utf8(text).map_err(|_| {
                let (stored, asked) = (format!("{stored} with text that is not UTF-8"), "String".to_owned());
                ErrorKind::Type { stored, asked }.into()
            })
        })
    }
    fn encode(values: &[Self], stored: &Datatype, heap: &mut dyn HeapWrite, out: &mut Vec<u8>) -> Result<()> {
        put_texts::<Self>(values.iter().map(Self::as_bytes), stored, heap, out)
    }
    fn reads(stored: &Datatype) -> bool {
        matches!(stored, Datatype::String(_) | Datatype::VarLenString(_))
    }
}

/// The bytes of a string, whatever its encoding, or of an opaque element.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes(pub Vec<u8>);

impl Element for Bytes {
    fn datatype() -> Datatype {
        Datatype::var_len_string()
    }
    fn blank() -> Self {
        Self::default()
    }
    fn decode(raw: &[u8], stored: &Datatype, heap: &dyn HeapRead, out: &mut [Self]) -> Result<()> {
        if let Datatype::Opaque(_) = stored {
            for (to, from) in out.iter_mut().zip(elements(raw, stored)) {
                to.0 = from.to_vec();
            }
            return Ok(());
        }
        each_text::<Self>(raw, stored, heap, out, |text| Ok(Self(text)))
    }
    fn encode(values: &[Self], stored: &Datatype, heap: &mut dyn HeapWrite, out: &mut Vec<u8>) -> Result<()> {
        if let Datatype::Opaque(opaque) = stored {
            for value in values {
                put_padded(&value.0, opaque.size as usize, 0, out)?;
            }
            return Ok(());
        }
        put_texts::<Self>(values.iter().map(|value| value.0.as_slice()), stored, heap, out)
    }
    fn reads(stored: &Datatype) -> bool {
        matches!(stored, Datatype::String(_) | Datatype::VarLenString(_) | Datatype::Opaque(_))
    }
}

/// The elements of `raw`, one after the other.
pub(crate) fn elements<'a>(raw: &'a [u8], stored: &Datatype) -> std::slice::ChunksExact<'a, u8> {
    raw.chunks_exact((stored.size() as usize).max(1))
}

/// The text of a fixed-length string's bytes.
pub(crate) fn trimmed(bytes: &[u8], padding: StringPadding) -> &[u8] {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    match padding {
        StringPadding::NullTerminate | StringPadding::NullPad => text,
        StringPadding::SpacePad => {
            let end = text.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1);
            &text[..end]
        }
    }
}

fn each_text<T: Element>(
    raw: &[u8],
    stored: &Datatype,
    heap: &dyn HeapRead,
    out: &mut [T],
    mut make: impl FnMut(Vec<u8>) -> Result<T>,
) -> Result<()> {
    for (to, from) in out.iter_mut().zip(elements(raw, stored)) {
        *to = make(match stored {
            Datatype::String(string) => trimmed(from, string.padding).to_vec(),
            Datatype::VarLenString(_) => {
                let mut text = heap.fetch(from, 1)?;
                if let Some(end) = text.iter().position(|byte| *byte == 0) {
                    text.truncate(end);
                }
                text
            }
            _ => return Err(mismatch::<T>(stored)),
        })?;
    }
    Ok(())
}

fn put_texts<'a, T: Element>(
    texts: impl Iterator<Item = &'a [u8]>,
    stored: &Datatype,
    heap: &mut dyn HeapWrite,
    out: &mut Vec<u8>,
) -> Result<()> {
    for text in texts {
        match stored {
            Datatype::VarLenString(_) => {
                let length =
                    u32::try_from(text.len()).map_err(|_| Error::unsupported("storing a string of more than 4 GiB"))?;
                heap.store(text, length, out)?;
            }
            Datatype::String(string) => {
                let room = match string.padding {
                    // One byte is for the NUL that is always there.
                    StringPadding::NullTerminate => string.size.saturating_sub(1),
                    StringPadding::NullPad | StringPadding::SpacePad => string.size,
                };
                let pad = if string.padding == StringPadding::SpacePad { b' ' } else { 0 };
                if text.len() > room as usize {
                    return Err(too_long(text.len(), room as usize));
                }
                put_padded(text, string.size as usize, pad, out)?;
            }
            _ => return Err(mismatch::<T>(stored)),
        }
    }
    Ok(())
}

fn put_padded(bytes: &[u8], size: usize, pad: u8, out: &mut Vec<u8>) -> Result<()> {
    if bytes.len() > size {
        return Err(too_long(bytes.len(), size));
    }
    out.extend_from_slice(bytes);
    out.resize(out.len() + size - bytes.len(), pad);
    Ok(())
}

fn too_long(len: usize, room: usize) -> Error {
    ErrorKind::Type { stored: format!("{room} bytes per element"), asked: format!("a value of {len} bytes") }.into()
}

/// A number type that complex numbers are made of.
pub trait ComplexPart: Element {}
impl ComplexPart for f32 {}
impl ComplexPart for f64 {}

/// Real and imaginary part, in the file a compound type of `r` and `i` as h5py has it, or HDF5 2.0's complex type.
impl<T: ComplexPart> Element for Complex<T>
where
    Complex<T>: Pod,
{
    fn datatype() -> Datatype {
        Datatype::compound([("r", T::datatype()), ("i", T::datatype())])
    }
    fn blank() -> Self {
        Self::new(T::blank(), T::blank())
    }
    fn decode(raw: &[u8], stored: &Datatype, heap: &dyn HeapRead, out: &mut [Self]) -> Result<()> {
        let parts = Parts::of(stored).ok_or_else(|| mismatch::<Self>(stored))?;
        let mut pair = [T::blank(), T::blank()];
        for (to, from) in out.iter_mut().zip(elements(raw, stored)) {
            for (part, (offset, datatype)) in pair.iter_mut().zip(&parts.0) {
                let bytes = from.get(*offset..).unwrap_or_default();
                T::decode(bytes, datatype, heap, std::slice::from_mut(part))?;
            }
            *to = Self::new(pair[0].clone(), pair[1].clone());
        }
        Ok(())
    }
    fn encode(values: &[Self], stored: &Datatype, heap: &mut dyn HeapWrite, out: &mut Vec<u8>) -> Result<()> {
        if let Some(bytes) = Self::as_bytes(values, stored) {
            out.extend_from_slice(bytes);
            return Ok(());
        }
        let parts = Parts::of(stored).ok_or_else(|| mismatch::<Self>(stored))?;
        let mut bytes = Vec::new();
        for value in values {
            let start = out.len();
            out.resize(start + stored.size() as usize, 0);
            for (part, (offset, datatype)) in [&value.re, &value.im].into_iter().zip(&parts.0) {
                bytes.clear();
                T::encode(std::slice::from_ref(part), datatype, heap, &mut bytes)?;
                out[start + offset..start + offset + bytes.len()].copy_from_slice(&bytes);
            }
        }
        Ok(())
    }
    fn as_bytes<'a>(values: &'a [Self], stored: &Datatype) -> Option<&'a [u8]> {
        Parts::of(stored)?.is_native::<T>(stored).then(|| bytemuck::cast_slice(values))
    }
    fn as_bytes_mut<'a>(values: &'a mut [Self], stored: &Datatype) -> Option<&'a mut [u8]> {
        Parts::of(stored)?.is_native::<T>(stored).then(|| bytemuck::cast_slice_mut(values))
    }
    fn reads(stored: &Datatype) -> bool {
        Parts::of(stored).is_some()
    }
}

/// Where real and imaginary part lie in an element, and their types.
pub(crate) struct Parts(pub(crate) [(usize, Datatype); 2]);

impl Parts {
    /// The parts of a type of complex numbers; `None` for any other.
    pub(crate) fn of(stored: &Datatype) -> Option<Self> {
        match stored {
            Datatype::Complex(complex) => {
                let base = Datatype::Float(complex.base);
                Some(Self([(0, base.clone()), (complex.base.size as usize, base)]))
            }
            Datatype::Compound(Compound { members, size }) => {
                let [real, imaginary] = members.as_slice() else { return None };
                let is = |name: &h5live_format::message::Name, text: &str| *name == *text;
                let named = is(&real.name, "r") && is(&imaginary.name, "i");
                let float =
                    |datatype: &Datatype| matches!(datatype, Datatype::Float(_)) && Numeric::of(datatype).is_some();
                let fits = [real, imaginary].iter().all(|member| {
                    float(&member.datatype)
                        && u64::from(member.offset) + u64::from(member.datatype.size()) <= u64::from(*size)
                });
                (named && fits)
                    .then(|| Self([real, imaginary].map(|member| (member.offset as usize, member.datatype.clone()))))
            }
            _ => None,
        }
    }

    fn is_native<T: Element>(&self, stored: &Datatype) -> bool {
        let own = T::datatype();
        let size = own.size() as usize;
        let [(first, real), (second, imaginary)] = &self.0;
        (*first, *second, stored.size() as usize) == (0, size, 2 * size)
            && is_native(real, &own)
            && is_native(imaginary, &own)
    }
}

/// Arrays of a fixed size, as elements of an array type.
impl<T: Element, const N: usize> Element for [T; N] {
    fn datatype() -> Datatype {
        Datatype::array(&[N as u32], T::datatype())
    }
    fn blank() -> Self {
        std::array::from_fn(|_| T::blank())
    }
    fn decode(raw: &[u8], stored: &Datatype, heap: &dyn HeapRead, out: &mut [Self]) -> Result<()> {
        let base = array_base::<Self>(stored, N)?;
        T::decode(raw, base, heap, out.as_flattened_mut())
    }
    fn encode(values: &[Self], stored: &Datatype, heap: &mut dyn HeapWrite, out: &mut Vec<u8>) -> Result<()> {
        T::encode(values.as_flattened(), array_base::<Self>(stored, N)?, heap, out)
    }
    fn as_bytes<'a>(values: &'a [Self], stored: &Datatype) -> Option<&'a [u8]> {
        T::as_bytes(values.as_flattened(), array_base::<Self>(stored, N).ok()?)
    }
    fn as_bytes_mut<'a>(values: &'a mut [Self], stored: &Datatype) -> Option<&'a mut [u8]> {
        T::as_bytes_mut(values.as_flattened_mut(), array_base::<Self>(stored, N).ok()?)
    }
    fn reads(stored: &Datatype) -> bool {
        array_base::<Self>(stored, N).is_ok_and(T::reads)
    }
}

fn array_base<T: Element>(stored: &Datatype, len: usize) -> Result<&Datatype> {
    match stored {
        Datatype::Array(array) => {
            let count = array.dims.iter().try_fold(1u64, |count, dim| count.checked_mul(u64::from(*dim)));
            if count == Some(len as u64) { Ok(&array.base) } else { Err(mismatch::<T>(stored)) }
        }
        _ => Err(mismatch::<T>(stored)),
    }
}

/// Sequences of any length.
impl<T: Element> Element for Vec<T> {
    fn datatype() -> Datatype {
        Datatype::var_len(T::datatype())
    }
    fn blank() -> Self {
        Self::new()
    }
    fn decode(raw: &[u8], stored: &Datatype, heap: &dyn HeapRead, out: &mut [Self]) -> Result<()> {
        let Datatype::VarLen(sequence) = stored else { return Err(mismatch::<Self>(stored)) };
        let unit = (sequence.base.size() as usize).max(1);
        for (to, from) in out.iter_mut().zip(elements(raw, stored)) {
            let data = heap.fetch(from, unit)?;
            *to = decode_all(&data, &sequence.base, heap, data.len() / unit)?;
        }
        Ok(())
    }
    fn encode(values: &[Self], stored: &Datatype, heap: &mut dyn HeapWrite, out: &mut Vec<u8>) -> Result<()> {
        let Datatype::VarLen(sequence) = stored else { return Err(mismatch::<Self>(stored)) };
        let mut data = Vec::new();
        for value in values {
            data.clear();
            T::encode(value, &sequence.base, heap, &mut data)?;
            let length = u32::try_from(value.len())
                .map_err(|_| Error::unsupported("storing a sequence of more than 4 billion elements"))?;
            heap.store(&data, length, out)?;
        }
        Ok(())
    }
    fn reads(stored: &Datatype) -> bool {
        matches!(stored, Datatype::VarLen(sequence) if T::reads(&sequence.base))
    }
}

//! Datatypes between the file and Python.
//!
//! Python sees a datatype as a tuple: the class by name, then its properties. `h5t` builds numpy types from it, and these tuples from
//! numpy types.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use h5live::datatype::{
    Array, BitPadding, BitRange, Bitfield, ByteOrder, Complex, Compound, Enum, EnumMember, FixedString, Float,
    FloatField, FloatOrder, Integer, Member, Normalization, Opaque, Reference, ReferenceKind, Time, VarLen,
    VarLenString,
};
use h5live::{CharacterSet, Element, Name, StringPadding};
use numpy::{PyArray1, PyReadonlyArray1};
use pyo3::conversion::FromPyObjectOwned;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyString, PyTuple};

use crate::errors::{Doing, OrRaise};
use crate::memory::{self, Number};

/// A datatype of the file.
#[pyclass(frozen, module = "h5live._h5live", eq, hash)]
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Datatype(pub(crate) h5live::Datatype);

#[pymethods]
impl Datatype {
    /// From a tuple as `describe` gives it.
    #[new]
    fn new(description: &Bound<'_, PyTuple>) -> PyResult<Self> {
        Ok(Self(parse(description)?))
    }

    /// The datatype as a tuple.
    fn describe<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        describe(py, &self.0)
    }

    /// Bytes of an element.
    #[getter]
    fn size(&self) -> u32 {
        self.0.size()
    }

    /// Whether elements refer to the global heap.
    #[getter]
    fn uses_heap(&self) -> bool {
        self.0.uses_global_heap()
    }

    /// The datatype message.
    fn encode<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.encode())
    }

    /// The datatype that a datatype message holds.
    #[staticmethod]
    fn decode(bytes: &[u8]) -> PyResult<Self> {
        let decoded = h5live::Datatype::decode(bytes, 0);
        decoded.map(Self).map_err(|error| PyValueError::new_err(format!("Unable to decode datatype: {error}")))
    }

    /// The numbers of `raw`, elements of this type, whatever its bits are.
    fn decode_numbers<'py>(
        &self,
        py: Python<'py>,
        raw: &Bound<'py, PyAny>,
        float: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        memory::with_bytes(raw, |raw| {
            let count = raw.len() / (self.0.size() as usize).max(1);
            if float {
                let mut numbers = vec![0f64; count];
                f64::decode(raw, &self.0, &NoHeap, &mut numbers).or_raise(Doing::Read)?;
                return Ok(PyArray1::from_vec(py, numbers).into_any());
            }
            let mut numbers = vec![0i64; count];
            i64::decode(raw, &self.0, &NoHeap, &mut numbers).or_raise(Doing::Read)?;
            Ok(PyArray1::from_vec(py, numbers).into_any())
        })
    }

    /// Numbers as elements of this type, whatever its bits are.
    fn encode_numbers<'py>(&self, py: Python<'py>, numbers: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let bytes = if let Ok(floats) = numbers.extract::<PyReadonlyArray1<'_, f64>>() {
            f64::to_file(floats.as_slice()?, &self.0)
        } else {
            let integers = numbers.extract::<PyReadonlyArray1<'_, i64>>()?;
            i64::to_file(integers.as_slice()?, &self.0)
        };
        Ok(crate::elements::byte_array(py, bytes.or_raise(Doing::Write)?))
    }

    fn __repr__(&self) -> String {
        format!("<HDF5 datatype {}>", self.0)
    }
}

/// What reading elements of a type takes.
pub(crate) enum Form {
    /// They are in memory as they are in the file.
    Plain,
    /// Strings of variable length, and nothing else.
    Text,
    /// They need converting, in Python.
    Converted,
}

/// The numpy type of a datatype.
pub(crate) struct NumpyType {
    pub(crate) dtype: Py<PyAny>,
    pub(crate) form: Form,
    /// How a single element is made, where that is simple.
    pub(crate) number: Option<Number>,
}

impl NumpyType {
    /// The numpy type for elements of `datatype`, made by `h5t` when it is first asked for.
    pub(crate) fn of(py: Python<'_>, datatype: &h5live::Datatype) -> PyResult<std::sync::Arc<Self>> {
        type Known = Mutex<HashMap<h5live::Datatype, std::sync::Arc<NumpyType>>>;
        /// More types than programs use; so that those of a million files do not pile up.
        const MOST: usize = 1024;
        static KNOWN: PyOnceLock<Known> = PyOnceLock::new();
        static MAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let known = KNOWN.get_or_init(py, Known::default);
        if let Some(found) = known.lock().unwrap_or_else(PoisonError::into_inner).get(datatype) {
            return Ok(found.clone());
        }
        let make = MAKE
            .get_or_try_init(py, || -> PyResult<_> { Ok(py.import("h5live.h5t")?.getattr("_numpy_type")?.unbind()) })?;
        let (dtype, plain): (Py<PyAny>, bool) = make.call1(py, (describe(py, datatype)?,))?.extract(py)?;
        let form = match datatype {
            _ if plain => Form::Plain,
            h5live::Datatype::VarLenString(_) => Form::Text,
            _ => Form::Converted,
        };
        let number = if plain { Number::of(dtype.bind(py))? } else { None };
        let made = std::sync::Arc::new(Self { dtype, form, number });
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(datatype.clone(), made.clone());
        Ok(made)
    }
}

fn text(name: &Name) -> String {
    name.to_string_lossy().into_owned()
}

fn order(order: ByteOrder) -> &'static str {
    match order {
        ByteOrder::Little => "<",
        ByteOrder::Big => ">",
    }
}

fn reference_kind(kind: ReferenceKind) -> &'static str {
    match kind {
        ReferenceKind::Object => "object",
        ReferenceKind::Region => "region",
        ReferenceKind::StdObject => "std object",
        ReferenceKind::StdRegion => "std region",
        ReferenceKind::StdAttribute => "std attribute",
    }
}

fn padding_number(padding: StringPadding) -> u8 {
    match padding {
        StringPadding::NullTerminate => 0,
        StringPadding::NullPad => 1,
        StringPadding::SpacePad => 2,
    }
}

fn character_set_number(set: CharacterSet) -> u8 {
    match set {
        CharacterSet::Ascii => 0,
        CharacterSet::Utf8 => 1,
    }
}

fn describe<'py>(py: Python<'py>, datatype: &h5live::Datatype) -> PyResult<Bound<'py, PyTuple>> {
    use h5live::Datatype as D;
    let tuple = match datatype {
        D::Integer(it) => {
            ("integer", it.size, order(it.order), it.signed, it.bits.offset, it.bits.precision).into_pyobject(py)?
        }
        D::Float(it) => describe_float(py, it)?,
        D::Time(it) => ("time", it.size, order(it.order), it.precision).into_pyobject(py)?,
        D::String(it) => {
            ("string", it.size, padding_number(it.padding), character_set_number(it.character_set)).into_pyobject(py)?
        }
        D::Bitfield(it) => {
            ("bitfield", it.size, order(it.order), it.bits.offset, it.bits.precision).into_pyobject(py)?
        }
        D::Opaque(it) => ("opaque", it.size, text(&it.tag)).into_pyobject(py)?,
        D::Compound(it) => {
            let members = it.members.iter();
            let members = members
                .map(|member| (text(&member.name), member.offset, describe(py, &member.datatype)?).into_pyobject(py));
            let members = members.collect::<PyResult<Vec<_>>>()?;
            ("compound", it.size, PyTuple::new(py, members)?).into_pyobject(py)?
        }
        D::Reference(it) => ("reference", reference_kind(it.kind), it.size).into_pyobject(py)?,
        D::Enum(it) => {
            let members = it.members.iter();
            let members = members.map(|member| (text(&member.name), it.base.value(&member.value).unwrap_or(0)));
            let base = describe(py, &D::Integer(it.base))?;
            ("enum", base, PyTuple::new(py, members)?).into_pyobject(py)?
        }
        D::VarLen(it) => ("vlen", describe(py, &it.base)?).into_pyobject(py)?,
        D::VarLenString(it) => {
            ("vlen string", padding_number(it.padding), character_set_number(it.character_set)).into_pyobject(py)?
        }
        D::Array(it) => ("array", PyTuple::new(py, &it.dims)?, describe(py, &it.base)?).into_pyobject(py)?,
        D::Complex(it) => ("complex", describe_float(py, &it.base)?).into_pyobject(py)?,
    };
    Ok(tuple)
}

fn describe_float<'py>(py: Python<'py>, it: &Float) -> PyResult<Bound<'py, PyTuple>> {
    let order = match it.order {
        FloatOrder::Little => "<",
        FloatOrder::Big => ">",
        FloatOrder::Vax => "vax",
    };
    let normalization = match it.normalization {
        Normalization::None => "none",
        Normalization::AlwaysSet => "set",
        Normalization::Implied => "implied",
    };
    let fields = (it.sign, it.exponent.offset, it.exponent.bits, it.mantissa.offset, it.mantissa.bits);
    ("float", it.size, order, it.bits.offset, it.bits.precision, fields, it.bias, normalization).into_pyobject(py)
}

/// The items of a description after its class.
struct Items<'a, 'py>(&'a Bound<'py, PyTuple>);

impl<'py> Items<'_, 'py> {
    fn get<T: FromPyObjectOwned<'py>>(&self, at: usize) -> PyResult<T> {
        self.0.get_item(at)?.extract::<T>().map_err(Into::into)
    }

    fn tuple(&self, at: usize) -> PyResult<Bound<'py, PyTuple>> {
        Ok(self.0.get_item(at)?.cast_into::<PyTuple>()?)
    }

    fn name(&self, at: usize) -> PyResult<Name> {
        let item = self.0.get_item(at)?;
        if let Ok(text) = item.cast::<PyString>() {
            return Ok(Name::from(text.to_string_lossy().as_ref()));
        }
        Ok(Name::from(String::from_utf8_lossy(&item.extract::<Vec<u8>>()?).as_ref()))
    }

    fn order(&self, at: usize) -> PyResult<ByteOrder> {
        match self.get::<String>(at)?.as_str() {
            "<" => Ok(ByteOrder::Little),
            ">" => Ok(ByteOrder::Big),
            other => Err(PyValueError::new_err(format!("byte order {other:?}"))),
        }
    }

    fn padding(&self, at: usize) -> PyResult<StringPadding> {
        match self.get::<u8>(at)? {
            0 => Ok(StringPadding::NullTerminate),
            1 => Ok(StringPadding::NullPad),
            2 => Ok(StringPadding::SpacePad),
            other => Err(PyValueError::new_err(format!("string padding {other}"))),
        }
    }

    fn character_set(&self, at: usize) -> PyResult<CharacterSet> {
        match self.get::<u8>(at)? {
            0 => Ok(CharacterSet::Ascii),
            1 => Ok(CharacterSet::Utf8),
            other => Err(PyValueError::new_err(format!("character set {other}"))),
        }
    }
}

fn parse(description: &Bound<'_, PyTuple>) -> PyResult<h5live::Datatype> {
    use h5live::Datatype as D;
    let items = Items(description);
    let padding = BitPadding::default();
    let bits = |offset, precision| BitRange { offset, precision };
    let class: String = items.get(0)?;
    Ok(match class.as_str() {
        "integer" => D::Integer(Integer {
            size: items.get(1)?,
            order: items.order(2)?,
            signed: items.get(3)?,
            bits: bits(items.get(4)?, items.get(5)?),
            padding,
        }),
        "float" => D::Float(parse_float(&items)?),
        "time" => D::Time(Time { size: items.get(1)?, order: items.order(2)?, precision: items.get(3)? }),
        "string" => D::String(FixedString {
            size: items.get(1)?,
            padding: items.padding(2)?,
            character_set: items.character_set(3)?,
        }),
        "bitfield" => D::Bitfield(Bitfield {
            size: items.get(1)?,
            order: items.order(2)?,
            bits: bits(items.get(3)?, items.get(4)?),
            padding,
        }),
        "opaque" => D::Opaque(Opaque { size: items.get(1)?, tag: items.name(2)? }),
        "compound" => {
            let member = |member: Bound<'_, PyAny>| {
                let member = member.cast_into::<PyTuple>()?;
                let items = Items(&member);
                let datatype = parse(&items.tuple(2)?)?;
                Ok(Member { name: items.name(0)?, offset: items.get(1)?, datatype })
            };
            let members = items.tuple(2)?.iter().map(member).collect::<PyResult<_>>()?;
            D::Compound(Compound { size: items.get(1)?, members })
        }
        "reference" => {
            let kind = match items.get::<String>(1)?.as_str() {
                "object" => ReferenceKind::Object,
                "region" => ReferenceKind::Region,
                "std object" => ReferenceKind::StdObject,
                "std region" => ReferenceKind::StdRegion,
                _ => ReferenceKind::StdAttribute,
            };
            D::Reference(Reference { kind, size: items.get(2)? })
        }
        "enum" => {
            let D::Integer(base) = parse(&items.tuple(1)?)? else {
                return Err(PyTypeError::new_err("an enumeration is one of integers"));
            };
            let member = |member: Bound<'_, PyAny>| {
                let member = member.cast_into::<PyTuple>()?;
                let items = Items(&member);
                Ok(EnumMember { name: items.name(0)?, value: integer_bytes(&base, items.get(1)?) })
            };
            D::Enum(Enum { base, members: items.tuple(2)?.iter().map(member).collect::<PyResult<_>>()? })
        }
        "vlen" => D::VarLen(VarLen { size: HEAP_ELEMENT, base: Box::new(parse(&items.tuple(1)?)?) }),
        "vlen string" => D::VarLenString(VarLenString {
            size: HEAP_ELEMENT,
            padding: items.padding(1)?,
            character_set: items.character_set(2)?,
        }),
        "array" => D::Array(Array { dims: items.get(1)?, base: Box::new(parse(&items.tuple(2)?)?) }),
        "complex" => {
            let base = items.tuple(1)?;
            D::Complex(Complex { base: parse_float(&Items(&base))? })
        }
        other => return Err(PyTypeError::new_err(format!("there is no datatype class {other:?}"))),
    })
}

/// Bytes of a length, an address and an index, in files with addresses of eight bytes, as those created here are.
const HEAP_ELEMENT: u32 = 16;

fn parse_float(items: &Items<'_, '_>) -> PyResult<Float> {
    let order = match items.get::<String>(2)?.as_str() {
        ">" => FloatOrder::Big,
        "vax" => FloatOrder::Vax,
        _ => FloatOrder::Little,
    };
    let normalization = match items.get::<String>(7)?.as_str() {
        "none" => Normalization::None,
        "set" => Normalization::AlwaysSet,
        _ => Normalization::Implied,
    };
    let (sign, exponent_at, exponent_bits, mantissa_at, mantissa_bits) = items.get(5)?;
    Ok(Float {
        size: items.get(1)?,
        order,
        bits: BitRange { offset: items.get(3)?, precision: items.get(4)? },
        sign,
        exponent: FloatField { offset: exponent_at, bits: exponent_bits },
        mantissa: FloatField { offset: mantissa_at, bits: mantissa_bits },
        bias: items.get(6)?,
        normalization,
        padding: BitPadding::default(),
        internal_padding: false,
    })
}

fn integer_bytes(base: &Integer, value: i128) -> Vec<u8> {
    let mut bytes = value.to_le_bytes().to_vec();
    bytes.resize(base.size as usize, 0);
    if base.order == ByteOrder::Big {
        bytes.reverse();
    }
    bytes
}

/// For numbers, which have no data in a heap.
struct NoHeap;

impl h5live::HeapRead for NoHeap {
    fn fetch(&self, _: &[u8], _: usize) -> h5live::Result<Vec<u8>> {
        Ok(Vec::new())
    }
}

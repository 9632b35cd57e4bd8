//! Types and values between h5live's form and the plain one that the other side speaks.

use h5live::datatype::{
    ByteOrder, Complex, Compound, Enum, EnumMember, FixedString, Float, FloatOrder, Integer, Member, VarLenString,
};
use h5live::{CharacterSet, Datatype, File, Reference, StringPadding, Value};
use h5live_testkit::matrix::{Field, Order, Type};
use serde_json::{Value as Json, json};

/// The datatype of h5live.
pub(crate) fn datatype(kind: &Type) -> Datatype {
    match kind {
        Type::Integer { size, signed, order } => Datatype::Integer(integer(*size, *signed, *order)),
        Type::Float { size, order } => Datatype::Float(float(*size, *order)),
        Type::Enum { base, members } => {
            let Type::Integer { size, signed, order } = **base else { panic!("enumerations are of integers") };
            let value = |value: i64| {
                let little = &value.to_le_bytes()[..size as usize];
                if order == Order::Little { little.to_vec() } else { little.iter().rev().copied().collect() }
            };
            let member =
                |(name, number): &(String, i64)| EnumMember { name: name.as_str().into(), value: value(*number) };
            Datatype::Enum(Enum { base: integer(size, signed, order), members: members.iter().map(member).collect() })
        }
        Type::String { length, charset, padding } => {
            let character_set = if charset == "ascii" { CharacterSet::Ascii } else { CharacterSet::Utf8 };
            let padding = match padding.as_deref() {
                Some("null-pad") => StringPadding::NullPad,
                Some("space-pad") => StringPadding::SpacePad,
                _ => StringPadding::NullTerminate,
            };
            match length {
                Some(size) => Datatype::String(FixedString { size: *size as u32, padding, character_set }),
                None => Datatype::VarLenString(VarLenString { size: 16, padding, character_set }),
            }
        }
        Type::Compound { size, fields } => {
            let mut end = 0;
            let members = fields.iter().map(|field| {
                let offset = field.offset.map_or(end, |offset| offset as u32);
                let datatype = datatype(&field.kind);
                end = offset + datatype.size();
                Member { name: field.name.as_str().into(), offset, datatype }
            });
            let members = members.collect();
            Datatype::Compound(Compound { size: size.map_or(end, |size| size as u32), members })
        }
        Type::Array { base, dims } => {
            let dims: Vec<u32> = dims.iter().map(|dim| *dim as u32).collect();
            Datatype::array(&dims, datatype(base))
        }
        Type::Opaque { size, tag } => Datatype::opaque(*size as u32, tag.as_str()),
        Type::Complex { base } => Datatype::compound([("r", datatype(base)), ("i", datatype(base))]),
        Type::Vlen { base } => Datatype::var_len(datatype(base)),
        Type::Reference => Datatype::object_reference(),
    }
}

fn integer(size: u64, signed: bool, order: Order) -> Integer {
    let order = if order == Order::Little { ByteOrder::Little } else { ByteOrder::Big };
    Integer::new(size as u32, signed, order)
}

fn float(size: u64, order: Order) -> Float {
    let little = match size {
        2 => Float::F16,
        4 => Float::F32,
        _ => Float::F64,
    };
    little.in_order(if order == Order::Little { FloatOrder::Little } else { FloatOrder::Big })
}

/// The plain form of a datatype, as a file stores it: with neither offsets nor sizes where bytes lie elsewhere.
pub(crate) fn described(datatype: &Datatype) -> Type {
    match datatype {
        Datatype::Integer(integer) => described_integer(integer),
        Datatype::Float(float) => described_float(float),
        Datatype::Enum(Enum { base, members }) => {
            let number = |member: &EnumMember| base.value(&member.value).and_then(|value| i64::try_from(value).ok());
            let member = |member: &EnumMember| (member.name.to_string_lossy().into_owned(), number(member).unwrap());
            let mut members: Vec<_> = members.iter().map(member).collect();
            members.sort();
            Type::Enum { base: Box::new(described_integer(base)), members }
        }
        Datatype::String(FixedString { size, padding, character_set }) => {
            let padding = match padding {
                StringPadding::NullTerminate => "null-term",
                StringPadding::NullPad => "null-pad",
                StringPadding::SpacePad => "space-pad",
            };
            Type::String {
                length: Some((*size).into()),
                charset: charset(*character_set),
                padding: Some(padding.into()),
            }
        }
        Datatype::VarLenString(VarLenString { character_set, .. }) => {
            Type::String { length: None, charset: charset(*character_set), padding: None }
        }
        Datatype::Compound(Compound { size, members }) => {
            if let [real, imaginary] = members.as_slice()
                && (real.name == *"r" && imaginary.name == *"i")
                && real.datatype == imaginary.datatype
                && matches!(real.datatype, Datatype::Float(_))
            {
                return Type::Complex { base: Box::new(described(&real.datatype)) };
            }
            let elsewhere = members.iter().any(|member| leads_elsewhere(&member.datatype));
            let field = |Member { name, offset, datatype }: &Member| Field {
                name: name.to_string_lossy().into_owned(),
                offset: (!elsewhere).then(|| (*offset).into()),
                kind: described(datatype),
            };
            Type::Compound { size: (!elsewhere).then(|| (*size).into()), fields: members.iter().map(field).collect() }
        }
        Datatype::Array(array) => Type::Array {
            base: Box::new(described(&array.base)),
            dims: array.dims.iter().map(|dim| (*dim).into()).collect(),
        },
        Datatype::Opaque(opaque) => {
            Type::Opaque { size: opaque.size.into(), tag: opaque.tag.to_string_lossy().into_owned() }
        }
        Datatype::Complex(Complex { base }) => Type::Complex { base: Box::new(described_float(base)) },
        Datatype::VarLen(sequence) => Type::Vlen { base: Box::new(described(&sequence.base)) },
        Datatype::Reference(_) => Type::Reference,
        Datatype::Time(_) | Datatype::Bitfield(_) => panic!("{datatype} is in no case"),
    }
}

fn described_integer(integer: &Integer) -> Type {
    let order = if integer.order == ByteOrder::Big && integer.size > 1 { Order::Big } else { Order::Little };
    Type::Integer { size: integer.size.into(), signed: integer.signed, order }
}

fn described_float(float: &Float) -> Type {
    let order = if float.order == FloatOrder::Big { Order::Big } else { Order::Little };
    Type::Float { size: float.size.into(), order }
}

fn charset(character_set: CharacterSet) -> String {
    if character_set == CharacterSet::Ascii { "ascii".into() } else { "utf-8".into() }
}

fn leads_elsewhere(datatype: &Datatype) -> bool {
    match datatype {
        Datatype::VarLen(_) | Datatype::VarLenString(_) | Datatype::Reference(_) => true,
        Datatype::Compound(compound) => compound.members.iter().any(|member| leads_elsewhere(&member.datatype)),
        Datatype::Array(array) => leads_elsewhere(&array.base),
        _ => false,
    }
}

/// A plain value as h5live has it. References are looked up in `file`.
pub(crate) fn value(kind: &Type, plain: &Json, file: &File) -> Value {
    let all = |base: &Type, plain: &Json| list(plain).iter().map(|item| value(base, item, file)).collect();
    match kind {
        Type::Integer { signed: true, .. } => Value::Int(plain.as_i64().unwrap()),
        Type::Integer { signed: false, .. } => Value::UInt(plain.as_u64().unwrap()),
        Type::Float { .. } => Value::Float(number(plain)),
        Type::Enum { .. } => Value::Enum { name: None, value: plain.as_i64().unwrap().into() },
        Type::String { .. } => Value::Str(plain.as_str().unwrap().to_owned()),
        Type::Compound { fields, .. } => {
            let named = |(field, item): (&Field, &Json)| (field.name.clone(), value(&field.kind, item, file));
            Value::Compound(fields.iter().zip(list(plain)).map(named).collect())
        }
        Type::Array { base, .. } => Value::Array(all(base, plain)),
        Type::Vlen { base } => Value::VarLen(all(base, plain)),
        Type::Opaque { .. } => Value::Bytes(bytes(plain.as_str().unwrap())),
        Type::Complex { .. } => Value::Complex(number(&plain[0]), number(&plain[1])),
        Type::Reference => Value::Reference(match plain.as_str() {
            Some(path) => Reference::Object(file.get(path).unwrap().address()),
            None => Reference::Null,
        }),
    }
}

/// The plain form of what h5live read from `file`.
pub(crate) fn plain(kind: &Type, found: &Value, file: &File) -> Json {
    let all = |base: &Type, found: &[Value]| found.iter().map(|item| plain(base, item, file)).collect();
    match (kind, found) {
        (_, Value::Int(found)) => json!(found),
        (_, Value::UInt(found)) => json!(found),
        (_, Value::Float32(found)) => float_plain((*found).into()),
        (_, Value::Float(found)) => float_plain(*found),
        (_, Value::Bool(found)) => json!(u8::from(*found)),
        (_, Value::Enum { value, .. }) => json!(i64::try_from(*value).unwrap()),
        (_, Value::Str(found)) => json!(found),
        (Type::Compound { fields, .. }, Value::Compound(members)) => {
            assert_eq!(fields.len(), members.len());
            fields
                .iter()
                .zip(members)
                .map(|(field, (name, found))| {
                    assert_eq!(field.name, *name);
                    plain(&field.kind, found, file)
                })
                .collect()
        }
        (Type::Array { base, .. }, Value::Array(found)) => Json::Array(all(base, found)),
        (Type::Vlen { base }, Value::VarLen(found)) => Json::Array(all(base, found)),
        (Type::Opaque { .. }, Value::Bytes(found)) => {
            json!(found.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        }
        (_, Value::Complex(real, imaginary)) => json!([float_plain(*real), float_plain(*imaginary)]),
        (_, Value::Reference(Reference::Null)) => Json::Null,
        (_, Value::Reference(Reference::Object(address))) => {
            let paths = ["/", "/group", "/group/inner"];
            let path = paths.iter().find(|path| file.get(path).unwrap().address() == *address);
            json!(path.expect("a reference leads to one of the groups"))
        }
        (kind, found) => panic!("{found:?} was read as a {kind:?}"),
    }
}

fn list(plain: &Json) -> &[Json] {
    plain.as_array().unwrap()
}

fn number(plain: &Json) -> f64 {
    match plain.as_str() {
        Some("nan") => f64::NAN,
        Some("inf") => f64::INFINITY,
        Some("-inf") => f64::NEG_INFINITY,
        _ => plain.as_f64().unwrap(),
    }
}

fn float_plain(value: f64) -> Json {
    match value {
        _ if value.is_nan() => json!("nan"),
        f64::INFINITY => json!("inf"),
        f64::NEG_INFINITY => json!("-inf"),
        _ => json!(value),
    }
}

fn bytes(hexadecimal: &str) -> Vec<u8> {
    let digits: Vec<u8> = hexadecimal.chars().map(|digit| digit.to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

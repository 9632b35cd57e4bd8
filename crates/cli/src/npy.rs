//! NumPy's array format (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>) and its names of types.

use std::io::{self, Read};

use h5live::Datatype;
use h5live::datatype::{ByteOrder, Float, FloatOrder, Integer};

const MAGIC: &[u8] = b"\x93NUMPY";
/// Headers are padded to this, so that data are aligned.
const ALIGNMENT: usize = 64;
/// No sensible header is longer; a longer one is no header.
const MOST_HEADER: usize = 1 << 20;

/// What NumPy calls a type, as it stands in a header (quoted, or a list of fields), and the shape of an element; `None`
/// where it has no such type.
pub(crate) fn descr(datatype: &Datatype) -> Option<(String, Vec<u64>)> {
    let simple = |text: String| Some((format!("'{text}'"), Vec::new()));
    let order = |order: ByteOrder, size: u32| match order {
        _ if size == 1 => '|',
        ByteOrder::Little => '<',
        ByteOrder::Big => '>',
    };
    if *datatype == Datatype::complex64() {
        return simple("<c8".into());
    }
    if *datatype == Datatype::complex128() {
        return simple("<c16".into());
    }
    match datatype {
        Datatype::Integer(integer) => simple(integer_name(integer)?),
        Datatype::Enum(names) if names.is_boolean() => simple("|b1".into()),
        Datatype::Enum(names) => simple(integer_name(&names.base)?),
        Datatype::Bitfield(bits) if [1, 2, 4, 8].contains(&bits.size) => {
            simple(format!("{}u{}", order(bits.order, bits.size), bits.size))
        }
        Datatype::Float(float) => simple(format!("{}f{}", float_order(float)?, float.size)),
        Datatype::Complex(complex) => simple(format!("{}c{}", float_order(&complex.base)?, complex.base.size * 2)),
        Datatype::String(string) => simple(format!("|S{}", string.size)),
        Datatype::Opaque(opaque) => simple(format!("|V{}", opaque.size)),
        Datatype::Array(array) => {
            let (name, inner) = descr(&array.base)?;
            Some((name, array.dims.iter().map(|dim| u64::from(*dim)).chain(inner).collect()))
        }
        Datatype::Compound(compound) => {
            let mut fields = String::new();
            let mut at = 0;
            for member in &compound.members {
                // NumPy's fields stand in the order of their bytes; gaps are fields without a name.
                let gap = member.offset.checked_sub(at)?;
                if gap > 0 {
                    fields.push_str(&format!("('', '|V{gap}'), "));
                }
                let (name, shape) = descr(&member.datatype)?;
                let shape = if shape.is_empty() { String::new() } else { format!(", {}", tuple(&shape)) };
                fields.push_str(&format!("({}, {name}{shape}), ", quoted(&member.name.to_string_lossy())));
                at = member.offset + member.datatype.size();
            }
            let gap = compound.size.checked_sub(at)?;
            if gap > 0 {
                fields.push_str(&format!("('', '|V{gap}'), "));
            }
            Some((format!("[{}]", fields.trim_end_matches(", ")), Vec::new()))
        }
        _ => None,
    }
}

fn integer_name(integer: &Integer) -> Option<String> {
    let sign = if integer.signed { 'i' } else { 'u' };
    let plain = Integer::new(integer.size, integer.signed, integer.order);
    if plain != *integer || ![1, 2, 4, 8].contains(&integer.size) {
        return None;
    }
    let order = match integer.order {
        _ if integer.size == 1 => '|',
        ByteOrder::Little => '<',
        ByteOrder::Big => '>',
    };
    Some(format!("{order}{sign}{}", integer.size))
}

fn float_order(float: &Float) -> Option<char> {
    let is_ieee = [Float::F16, Float::F32, Float::F64].contains(&float.in_order(FloatOrder::Little));
    match float.order {
        FloatOrder::Little if is_ieee => Some('<'),
        FloatOrder::Big if is_ieee => Some('>'),
        _ => None,
    }
}

fn tuple(shape: &[u64]) -> String {
    let dims: Vec<String> = shape.iter().map(u64::to_string).collect();
    if let [only] = dims.as_slice() { format!("({only},)") } else { format!("({})", dims.join(", ")) }
}

/// A Python string literal.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// The header of an array; its elements follow in row-major order.
pub(crate) fn header(datatype: &Datatype, shape: &[u64]) -> Option<Vec<u8>> {
    let (name, inner) = descr(datatype)?;
    let shape: Vec<u64> = shape.iter().copied().chain(inner).collect();
    let mut text = format!("{{'descr': {name}, 'fortran_order': False, 'shape': {}, }}", tuple(&shape));
    // Version 3 is version 2 with UTF-8 in place of Latin-1.
    let version = if text.is_ascii() { 1 } else { 3 };
    let prefix = MAGIC.len() + 2 + if version == 1 { 2 } else { 4 };
    let total = (prefix + text.len() + 1).next_multiple_of(ALIGNMENT);
    text.push_str(&" ".repeat(total - prefix - text.len() - 1));
    text.push('\n');
    let mut bytes = MAGIC.to_vec();
    bytes.extend([version, 0]);
    match version {
        1 => bytes.extend(u16::try_from(text.len()).ok()?.to_le_bytes()),
        _ => bytes.extend(u32::try_from(text.len()).ok()?.to_le_bytes()),
    }
    bytes.extend_from_slice(text.as_bytes());
    Some(bytes)
}

/// What an array's header says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Header {
    /// The type of an element.
    pub(crate) datatype: Datatype,
    /// The shape of the array.
    pub(crate) shape: Vec<u64>,
}

/// Reads the header of the next array of a stream; `None` where the stream ends before it.
pub(crate) fn read_header(input: &mut impl Read) -> Result<Option<Header>, String> {
    let text = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => "the input ends in the middle of an array's header".to_owned(),
        _ => error.to_string(),
    };
    let mut magic = [0; 8];
    let mut have = 0;
    while have < magic.len() {
        match input.read(&mut magic[have..]) {
            Ok(0) if have == 0 => return Ok(None),
            Ok(0) => return Err(text(io::ErrorKind::UnexpectedEof.into())),
            Ok(more) => have += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(text(error)),
        }
    }
    if !magic.starts_with(MAGIC) {
        return Err("no NumPy array starts here: `numpy.save` writes them".to_owned());
    }
    let len = match magic[6] {
        1 => {
            let mut len = [0; 2];
            input.read_exact(&mut len).map_err(text)?;
            usize::from(u16::from_le_bytes(len))
        }
        2 | 3 => {
            let mut len = [0; 4];
            input.read_exact(&mut len).map_err(text)?;
            u32::from_le_bytes(len) as usize
        }
        other => return Err(format!("NumPy's format {other} is not known")),
    };
    if len > MOST_HEADER {
        return Err(format!("an array's header of {len} bytes is none"));
    }
    let mut header = vec![0; len];
    input.read_exact(&mut header).map_err(text)?;
    parse(&String::from_utf8_lossy(&header)).map(Some)
}

fn parse(header: &str) -> Result<Header, String> {
    let wrong = || format!("an array's header is not understood: {}", header.trim());
    let after =
        |key: &str| header.split_once(&format!("'{key}':")).map(|(_, rest)| rest.trim_start()).ok_or_else(wrong);
    if after("fortran_order")?.starts_with("True") {
        return Err("an array is in column-major order; `numpy.ascontiguousarray` turns it round".to_owned());
    }
    let name = after("descr")?;
    let name = name.strip_prefix('\'').and_then(|rest| rest.split_once('\''));
    let (name, _) = name.ok_or_else(|| "arrays with fields cannot be recorded; send one array per field".to_owned())?;
    let datatype = parse_type(name)?;
    let shape = after("shape")?.strip_prefix('(').and_then(|rest| rest.split_once(')')).ok_or_else(wrong)?.0;
    let dims = shape.split(',').map(str::trim).filter(|dim| !dim.is_empty());
    let shape = dims.map(|dim| dim.parse().map_err(|_| wrong())).collect::<Result<_, _>>()?;
    Ok(Header { datatype, shape })
}

/// The type with a name of NumPy's (`float64`, `<f8`, `>i2`, `S5`) or ours (`f64`, `u16`, `str`).
pub(crate) fn parse_type(name: &str) -> Result<Datatype, String> {
    let unknown = || {
        format!(
            "{name:?} is no type; try f64, f32, i32, u16, bool, str, complex128, or NumPy's <f8, >i2, |S16 and so on"
        )
    };
    let (order, code) = match name.as_bytes().first() {
        Some(b'<' | b'|' | b'=') => (ByteOrder::Little, &name[1..]),
        Some(b'>') => (ByteOrder::Big, &name[1..]),
        _ => (ByteOrder::Little, name),
    };
    let float_order = if order == ByteOrder::Big { FloatOrder::Big } else { FloatOrder::Little };
    let integer = |size, signed| Datatype::Integer(Integer::new(size, signed, order));
    let float = |float: Float| Datatype::Float(float.in_order(float_order));
    // One digit counts bytes, as NumPy has it; two or more count bits.
    Ok(match code {
        "bool" | "b1" | "?" => Datatype::boolean(),
        "i1" | "int8" => integer(1, true),
        "i2" | "i16" | "int16" => integer(2, true),
        "i4" | "i32" | "int32" => integer(4, true),
        "i64" | "int64" | "int" => integer(8, true),
        "u1" | "uint8" => integer(1, false),
        "u2" | "u16" | "uint16" => integer(2, false),
        "u4" | "u32" | "uint32" => integer(4, false),
        "u64" | "uint64" => integer(8, false),
        // Eight bytes to NumPy, with its mark of the byte order; eight bits without.
        "i8" => integer(if order_is_given(name) { 8 } else { 1 }, true),
        "u8" => integer(if order_is_given(name) { 8 } else { 1 }, false),
        "f2" | "f16" | "float16" => float(Float::F16),
        "f4" | "f32" | "float32" => float(Float::F32),
        "f8" | "f64" | "float64" | "float" => float(Float::F64),
        "c8" | "complex64" if order == ByteOrder::Little => Datatype::complex64(),
        "c16" | "complex128" | "complex" if order == ByteOrder::Little => Datatype::complex128(),
        "str" => Datatype::var_len_string(),
        _ => {
            let size = code.strip_prefix('S').and_then(|size| size.parse().ok()).filter(|size| *size > 0);
            Datatype::fixed_string(size.ok_or_else(unknown)?)
        }
    })
}

fn order_is_given(name: &str) -> bool {
    name.starts_with(['<', '>', '|', '='])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_round_trip() {
        for (name, shape) in [
            ("<f8", &[3, 4][..]),
            (">i2", &[7]),
            ("|u1", &[]),
            ("|b1", &[2]),
            ("<c16", &[1, 2, 3]),
            ("|S5", &[0]),
            ("<f2", &[1]),
            ("<i8", &[1]),
            ("|i1", &[1]),
        ] {
            let datatype = parse_type(name).unwrap();
            let bytes = header(&datatype, shape).unwrap();
            assert_eq!(bytes.len() % ALIGNMENT, 0);
            let read = read_header(&mut bytes.as_slice()).unwrap().unwrap();
            assert_eq!(read, Header { datatype, shape: shape.to_vec() }, "{name}");
            for end in 0..bytes.len() {
                assert_eq!(read_header(&mut &bytes[..end]).is_ok(), end == 0, "{name} cut at {end}");
            }
        }
    }

    #[test]
    fn names_of_types() {
        for (name, datatype) in [
            ("i8", Datatype::i8()),
            ("<i8", Datatype::i64()),
            ("u8", Datatype::u8()),
            ("f64", Datatype::f64()),
            ("float32", Datatype::f32()),
            ("str", Datatype::var_len_string()),
        ] {
            assert_eq!(parse_type(name).unwrap(), datatype, "{name}");
        }
        for name in ["", "f3", "S0", "S", "number", ">c8", "é"] {
            assert!(parse_type(name).is_err(), "{name}");
        }
    }

    #[test]
    fn compound_types_are_lists_of_fields() {
        let point = Datatype::compound([("x", Datatype::i16()), ("it's", Datatype::array(&[2, 3], Datatype::f32()))]);
        let (name, shape) = descr(&point).unwrap();
        assert_eq!((name.as_str(), shape.len()), (r"[('x', '<i2'), ('it\'s', '<f4', (2, 3))]", 0));
        assert_eq!(descr(&Datatype::array(&[2], Datatype::u8())).unwrap(), ("'|u1'".to_owned(), vec![2]));
        assert_eq!(descr(&Datatype::var_len_string()), None);
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        for (header, word) in [
            ("{'descr': '<f8', 'fortran_order': True, 'shape': (2, 3), }", "column-major"),
            ("{'descr': [('x', '<f8')], 'fortran_order': False, 'shape': (2,), }", "fields"),
            ("{'descr': '<f8', 'fortran_order': False, 'shape': 2}", "understood"),
            ("nonsense", "understood"),
        ] {
            assert!(parse(header).unwrap_err().contains(word), "{header}");
        }
    }
}

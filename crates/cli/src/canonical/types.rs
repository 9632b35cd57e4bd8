//! Datatypes in one line each, exactly: `i4le`, `{"x"@0:f8le,"y"@8:f8le}16`, `vlen<u1>`.

use h5live::Datatype;
use h5live::datatype::{BitRange, ByteOrder, Complex, Compound, Enum, Float, FloatOrder, Integer, ReferenceKind};
use h5live::{CharacterSet, StringPadding};

use super::json::quote;

/// The notation of a type, as a program has it that opened the type with libhdf5.
pub(super) fn notation(datatype: &Datatype) -> String {
    match datatype {
        Datatype::Integer(integer) => integer_notation(integer),
        Datatype::Float(float) => float_notation(float),
        Datatype::Time(time) => format!("time{}", time.size),
        Datatype::String(string) => {
            let padding = match string.padding {
                StringPadding::NullTerminate => "nullterm",
                StringPadding::NullPad => "nullpad",
                StringPadding::SpacePad => "spacepad",
            };
            format!("S{}:{}:{padding}", string.size, characters(string.character_set))
        }
        Datatype::Bitfield(bits) => format!("b{}{}", bits.size, order(bits.size, bits.order)),
        Datatype::Opaque(opaque) => format!("opaque{}:{}", opaque.size, quote(opaque.tag.as_bytes())),
        Datatype::Compound(compound) => compound_notation(compound),
        Datatype::Reference(reference) => match reference.kind {
            ReferenceKind::Object => "ref:obj",
            ReferenceKind::Region => "ref:region",
            ReferenceKind::StdObject | ReferenceKind::StdRegion | ReferenceKind::StdAttribute => "ref:std",
        }
        .to_owned(),
        Datatype::Enum(names) => enum_notation(names),
        Datatype::VarLen(sequence) => format!("vlen<{}>", notation(&sequence.base)),
        Datatype::VarLenString(string) => format!("vstr:{}", characters(string.character_set)),
        Datatype::Array(array) => {
            let dims: Vec<String> = array.dims.iter().map(u32::to_string).collect();
            format!("({}){}", dims.join(","), notation(&array.base))
        }
        Datatype::Complex(Complex { base }) => format!("complex<{}>", float_notation(base)),
    }
}

/// Bytes of an element in the memory of a program that reads it with libhdf5: what refers to a heap has another size
/// there than in the file.
pub(super) fn memory_size(datatype: &Datatype) -> u64 {
    match datatype {
        // A length and a pointer; a pointer.
        Datatype::VarLen(_) => 16,
        Datatype::VarLenString(_) => 8,
        Datatype::Reference(reference) => match reference.kind {
            ReferenceKind::Object => 8,
            ReferenceKind::Region => 12,
            ReferenceKind::StdObject | ReferenceKind::StdRegion | ReferenceKind::StdAttribute => 64,
        },
        Datatype::Array(array) => {
            array.dims.iter().fold(memory_size(&array.base), |size, dim| size.saturating_mul((*dim).into()))
        }
        Datatype::Compound(compound) => {
            let (_, end) = memory_members(compound);
            end
        }
        other => other.size().into(),
    }
}

/// The members, each by its number and where it lies in memory, and the size of the whole. Members that change their size
/// move those behind them, and have them all sorted by their offsets.
pub(super) fn memory_members(compound: &Compound) -> (Vec<(usize, u64)>, u64) {
    let mut order: Vec<usize> = (0..compound.members.len()).collect();
    if compound.members.iter().any(|member| changes(&member.datatype)) {
        order.sort_by_key(|number| compound.members[*number].offset);
    }
    let mut grown = 0i64;
    let mut place = |number: usize| {
        let member = &compound.members[number];
        let at = i64::from(member.offset) + grown;
        grown += memory_size(&member.datatype) as i64 - i64::from(member.datatype.size());
        (number, at.max(0) as u64)
    };
    let members = order.into_iter().map(&mut place).collect();
    (members, (i64::from(compound.size) + grown).max(0) as u64)
}

/// Whether the type is another one in memory.
fn changes(datatype: &Datatype) -> bool {
    match datatype {
        Datatype::VarLen(_) | Datatype::VarLenString(_) | Datatype::Reference(_) => true,
        Datatype::Array(array) => changes(&array.base),
        Datatype::Compound(compound) => compound.members.iter().any(|member| changes(&member.datatype)),
        _ => false,
    }
}

fn integer_notation(integer: &Integer) -> String {
    let sign = if integer.signed { 'i' } else { 'u' };
    format!("{sign}{}{}{}", integer.size, order(integer.size, integer.order), bit_range(integer.size, integer.bits))
}

fn float_notation(float: &Float) -> String {
    let order = match (float.size, float.order) {
        (1, _) => "",
        (_, FloatOrder::Little) => "le",
        (_, FloatOrder::Big) => "be",
        (_, FloatOrder::Vax) => "o2",
    };
    let fields = (float.sign, float.exponent.offset, float.exponent.bits, float.mantissa.offset, float.mantissa.bits);
    let bits = bit_range(float.size, float.bits);
    let is_standard = match float.size {
        2 => fields == (15, 10, 5, 0, 10),
        4 => fields == (31, 23, 8, 0, 23),
        8 => fields == (63, 52, 11, 0, 52),
        _ => false,
    };
    if is_standard && bits.is_empty() {
        return format!("f{}{order}", float.size);
    }
    let (sign, exponent, exponent_bits, mantissa, mantissa_bits) = fields;
    let fields = format!("[{sign},{exponent},{exponent_bits},{mantissa},{mantissa_bits},bias{}]", float.bias);
    format!("f{}{order}{bits}{fields}", float.size)
}

fn compound_notation(compound: &Compound) -> String {
    let (members, size) = memory_members(compound);
    let member = |(number, at): (usize, u64)| {
        let member = &compound.members[number];
        format!("{}@{at}:{}", quote(member.name.as_bytes()), notation(&member.datatype))
    };
    let members: Vec<String> = members.into_iter().map(member).collect();
    format!("{{{}}}{size}", members.join(","))
}

fn enum_notation(names: &Enum) -> String {
    let mut members: Vec<(i128, &[u8])> = names
        .members
        .iter()
        .map(|member| (names.base.value(&member.value).unwrap_or_default(), member.name.as_bytes()))
        .collect();
    members.sort();
    let members: Vec<String> = members.iter().map(|(value, name)| format!("{}:{value}", quote(name))).collect();
    format!("enum<{}>{{{}}}", integer_notation(&names.base), members.join(","))
}

fn order(size: u32, order: ByteOrder) -> &'static str {
    match (size, order) {
        (1, _) => "",
        (_, ByteOrder::Little) => "le",
        (_, ByteOrder::Big) => "be",
    }
}

fn bit_range(size: u32, bits: BitRange) -> String {
    if bits == BitRange::all(size) { String::new() } else { format!("[p{},o{}]", bits.precision, bits.offset) }
}

fn characters(set: CharacterSet) -> &'static str {
    match set {
        CharacterSet::Ascii => "ascii",
        CharacterSet::Utf8 => "utf8",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_one_line() {
        let big = Datatype::Integer(Integer::new(2, false, ByteOrder::Big));
        let text = Datatype::var_len_string();
        for (datatype, expected) in [
            (Datatype::i32(), "i4le"),
            (Datatype::u8(), "u1"),
            (big, "u2be"),
            (Datatype::f64(), "f8le"),
            (Datatype::Float(Float::BF16), "f2le[15,7,8,0,7,bias127]"),
            (Datatype::boolean(), r#"enum<i1>{"FALSE":0,"TRUE":1}"#),
            (Datatype::fixed_string(3), "S3:utf8:nullpad"),
            (Datatype::array(&[2, 3], Datatype::i8()), "(2,3)i1"),
            (Datatype::opaque(7, "a\"b"), r#"opaque7:"a\"b""#),
            (Datatype::var_len(Datatype::f32()), "vlen<f4le>"),
            (Datatype::compound([("a", Datatype::i8()), ("b", Datatype::f64())]), r#"{"a"@0:i1,"b"@1:f8le}9"#),
            // A string of variable length has 16 bytes in the file and 8 in memory.
            (
                Datatype::compound([("a", Datatype::i8()), ("s", text), ("b", Datatype::i8())]),
                r#"{"a"@0:i1,"s"@1:vstr:utf8,"b"@9:i1}10"#,
            ),
        ] {
            assert_eq!(notation(&datatype), expected);
        }
    }
}

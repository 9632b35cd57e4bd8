//! Every class there and back, what libhdf5 wrote, and what cannot be.

use super::*;
use crate::message::testing::{hex, reads, reads_and_writes};

fn decode(bytes: &[u8]) -> Result<Datatype> {
    Datatype::decode(bytes, 0)
}

fn one_of_each() -> Vec<Datatype> {
    let vax = Float { order: FloatOrder::Vax, ..Float::F64 };
    let odd_bits = BitRange { offset: 3, precision: 12 };
    let padding = BitPadding { low: true, high: false };
    let odd = Integer { bits: odd_bits, padding, ..Integer::new(2, true, ByteOrder::Big) };
    let bitfield = Bitfield { size: 2, order: ByteOrder::Big, bits: odd_bits, padding };
    let reference = |kind| Datatype::Reference(Reference { kind, size: 64 });
    let string = |padding, character_set| Datatype::String(FixedString { size: 5, padding, character_set });
    let wide = vec![
        Member { name: "first".into(), offset: 0, datatype: Datatype::boolean() },
        Member { name: "läst".into(), offset: 69_990, datatype: Datatype::fixed_string(10) },
    ];
    vec![
        Datatype::i8(),
        Datatype::u64(),
        Datatype::Integer(odd),
        Datatype::f16(),
        Datatype::Float(Float::BF16.in_order(FloatOrder::Big)),
        Datatype::Float(vax),
        Datatype::Float(Float { normalization: Normalization::None, internal_padding: true, ..Float::F32 }),
        Datatype::Time(Time { size: 4, order: ByteOrder::Little, precision: 32 }),
        string(StringPadding::SpacePad, CharacterSet::Ascii),
        string(StringPadding::NullTerminate, CharacterSet::Utf8),
        Datatype::Bitfield(bitfield),
        Datatype::opaque(7, ""),
        Datatype::opaque(7, "just a tag"),
        Datatype::complex64(),
        Datatype::Compound(Compound { size: 70_000, members: wide }),
        Datatype::Compound(Compound { size: 1, members: Vec::new() }),
        Datatype::object_reference(),
        Datatype::region_reference(),
        reference(ReferenceKind::StdObject),
        reference(ReferenceKind::StdRegion),
        reference(ReferenceKind::StdAttribute),
        Datatype::boolean(),
        Datatype::var_len(Datatype::var_len(Datatype::compound([("x", Datatype::f64()), ("y", Datatype::boolean())]))),
        Datatype::var_len_string(),
        Datatype::array(&[2, 3], Datatype::array(&[4], Datatype::i16())),
        Datatype::Complex(Complex { base: Float::F32 }),
        Datatype::compound([("z", Datatype::Complex(Complex { base: Float::F64 })), ("n", Datatype::u8())]),
        Datatype::array(&[2], reference(ReferenceKind::StdObject)),
    ]
}

#[test]
fn every_class_comes_back() {
    for datatype in one_of_each() {
        reads(&datatype.encode(), &datatype, decode);
    }
}

#[test]
fn reads_and_writes_what_libhdf5_wrote() {
    let triple = Datatype::compound([
        ("a", Datatype::i32()),
        ("bb", Datatype::array(&[2, 3], Datatype::f64())),
        (
            "s",
            Datatype::String(FixedString {
                size: 5,
                padding: StringPadding::NullPad,
                character_set: CharacterSet::Ascii,
            }),
        ),
    ]);
    let rows = [
        ("10080000 04000000 0000 2000", Datatype::i32()),
        ("11203f00 08000000 0000 4000 34 0b 00 34 ff030000", Datatype::f64()),
        ("11200f00 02000000 0000 1000 0a 05 00 0a 0f000000", Datatype::f16()),
        ("19010100 10000000 10000000 01000000 0000 0800", Datatype::var_len_string()),
        ("15000000 07000000", Datatype::opaque(7, "")),
        ("17000000 08000000", Datatype::object_reference()),
        ("17010000 0c000000", Datatype::region_reference()),
        (
            "5b010000 08000000 11201f00 04000000 0000 2000 17 08 00 17 7f000000",
            Datatype::Complex(Complex { base: Float::F32 }),
        ),
        ("38020000 01000000 10080000 01000000 0000 0800 46414c534500 5452554500 00 01", Datatype::boolean()),
        (
            "36030000 39000000 6100 00 10080000 04000000 0000 2000 \
             626200 04 3a000000 30000000 02 02000000 03000000 11203f00 08000000 0000 4000 34 0b 00 34 ff030000 \
             7300 34 13010000 05000000",
            triple.clone(),
        ),
    ];
    for (bytes, expected) in rows {
        reads_and_writes(&hex(bytes), &expected, decode, Datatype::encode);
    }

    // Versions that are read only.
    let rows = [
        ("18020000 01000000 10080000 01000000 0000 0800 46414c5345000000 5452554500000000 00 01", Datatype::boolean()),
        (
            "56020000 08000000 7200 00 11201f00 04000000 0000 2000 17 08 00 17 7f000000 \
             6900 04 11201f00 04000000 0000 2000 17 08 00 17 7f000000",
            Datatype::complex64(),
        ),
        (
            "16020000 08000000 \
             7200000000000000 00000000 00 000000 00000000 00000000 00000000000000000000000000000000 \
             11201f00 04000000 0000 2000 17 08 00 17 7f000000 \
             6900000000000000 04000000 00 000000 00000000 00000000 00000000000000000000000000000000 \
             11201f00 04000000 0000 2000 17 08 00 17 7f000000",
            Datatype::complex64(),
        ),
        (
            "26030000 39000000 6100000000000000 00000000 10080000 04000000 0000 2000 \
             6262000000000000 04000000 2a000000 30000000 02000000 02000000 03000000 00000000 01000000 \
             11203f00 08000000 0000 4000 34 0b 00 34 ff030000 \
             7300000000000000 34000000 13010000 05000000",
            triple,
        ),
        // An array as a property of a version 1 member: two elements of one byte.
        (
            "16010000 02000000 \
             6100000000000000 00000000 01 000000 00000000 00000000 02000000000000000000000000000000 \
             10000000 01000000 0000 0800",
            Datatype::compound([("a", Datatype::array(&[2], Datatype::u8()))]),
        ),
        // An array type of version 1, which the specification does not know.
        (
            "1a000000 08000000 02000000 02000000 01000000 00000000 00000000 10080000 04000000 0000 2000",
            Datatype::array(&[2, 1], Datatype::i32()),
        ),
        // The base of a string of any length does not matter.
        ("19010100 10000000 13000000 01000000", Datatype::var_len_string()),
    ];
    for (bytes, expected) in rows {
        reads(&hex(bytes), &expected, decode);
    }
}

#[test]
fn refuses_what_cannot_be() {
    let refused = [
        ("version 0", "00080000 04000000 0000 2000"),
        ("version 6", "60080000 04000000 0000 2000"),
        ("class 12", "5c080000 04000000 0000 2000"),
        ("no size", "10080000 00000000 0000 2000"),
        ("bits beyond the element", "10080000 04000000 0100 2000"),
        ("no bits", "10080000 04000000 0000 0000"),
        ("exponent beyond the element", "11200f00 02000000 0000 1000 0c 05 00 0a 0f000000"),
        ("sign beyond the element", "11201000 02000000 0000 1000 0a 05 00 0a 0f000000"),
        ("normalization 3", "11300f00 02000000 0000 1000 0a 05 00 0a 0f000000"),
        ("string padding 3", "13030000 05000000"),
        ("character set 2", "13200000 05000000"),
        ("member beyond the element", "36010000 04000000 6100 01 10080000 04000000 0000 2000"),
        ("standard reference before version 4", "37120000 08000000"),
        ("reference encoding 2", "47220000 08000000"),
        ("enumeration of reals", "38000000 02000000 11200f00 02000000 0000 1000 0a 05 00 0a 0f000000"),
        ("array of another size", "3a000000 08000000 01 03000000 10080000 04000000 0000 2000"),
        ("array without elements", "3a000000 08000000 01 00000000 10080000 04000000 0000 2000"),
        ("array of 2^34 bytes", "3a000000 00000001 01 00000040 10080000 10000000 0000 2000"),
        ("complex before version 5", "3b010000 08000000 11201f00 04000000 0000 2000 17 08 00 17 7f000000"),
        ("polar", "5b030000 08000000 11201f00 04000000 0000 2000 17 08 00 17 7f000000"),
        ("members beyond the message", "36ffff00 04000000 6100 00 10080000 04000000 0000 2000"),
    ];
    for (what, bytes) in refused {
        assert!(decode(&hex(bytes)).is_err(), "{what}");
    }
}

#[test]
fn nesting_is_bounded() {
    let sequence = hex("19000000 10000000");
    let nested = |depth: u32| [sequence.repeat(depth as usize), Datatype::u8().encode()].concat();
    assert!(decode(&nested(MAX_DEPTH)).is_ok());
    assert!(matches!(decode(&nested(MAX_DEPTH + 1)).unwrap_err().why, Why::Unsupported(_)));
    assert!(decode(&nested(100_000)).is_err());
}

#[test]
fn shows_itself_briefly() {
    let rows = [
        (Datatype::i32(), "i32"),
        (Datatype::Integer(Integer::new(2, false, ByteOrder::Big)), "u16be"),
        (Datatype::f64(), "f64"),
        (Datatype::Float(Float::F32.in_order(FloatOrder::Big)), "f32be"),
        (Datatype::Float(Float::BF16), "bf16"),
        (Datatype::complex64(), "{r: f32, i: f32}"),
        (Datatype::boolean(), "bool"),
        (Datatype::fixed_string(5), "str[5]"),
        (Datatype::var_len_string(), "vlen str"),
        (Datatype::var_len(Datatype::u8()), "vlen u8"),
        (Datatype::array(&[2, 3], Datatype::i8()), "[2x3] i8"),
        (Datatype::opaque(7, "x"), "opaque[7] \"x\""),
    ];
    for (datatype, text) in rows {
        assert_eq!(datatype.to_string(), text);
    }
    let odd = Integer { bits: BitRange { offset: 3, precision: 12 }, ..Integer::new(2, true, ByteOrder::Big) };
    assert_eq!(odd.to_string(), "i16be(12 bits at 3)");
    let Datatype::Enum(mut colours) = Datatype::boolean() else { unreachable!() };
    colours.members[1].name = "RED".into();
    assert_eq!(Datatype::Enum(colours).to_string(), "enum i8 {FALSE = 0, RED = 1}");
}

//! What the tests of all structures have in common.

use std::fmt::Debug;

use crate::Result;

/// The bytes that hexadecimal digits name; spaces are for the reader.
pub(crate) fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// `bytes` mean `value`, and every way of damaging them ends well.
pub(crate) fn reads<T: PartialEq + Debug>(bytes: &[u8], value: &T, decode: impl Fn(&[u8]) -> Result<T>) {
    assert_eq!(decode(bytes).as_ref(), Ok(value), "from {bytes:02x?}");
    for length in 0..bytes.len() {
        assert!(decode(&bytes[..length]).is_err(), "{value:?} from the first {length} of {bytes:02x?}");
    }
    survives(bytes, decode);
}

/// As [`reads`], and `value` is written as just these bytes.
pub(crate) fn reads_and_writes<T: PartialEq + Debug>(
    bytes: &[u8],
    value: &T,
    decode: impl Fn(&[u8]) -> Result<T>,
    encode: impl Fn(&T) -> Vec<u8>,
) {
    reads(bytes, value, decode);
    assert_eq!(encode(value), bytes, "written from {value:?}");
}

/// Decoding any prefix, and any variant with one byte changed, comes back, with whatever result.
pub(crate) fn survives<T>(bytes: &[u8], decode: impl Fn(&[u8]) -> Result<T>) {
    for length in 0..bytes.len() {
        let _ = decode(&bytes[..length]);
    }
    let mut damaged = bytes.to_vec();
    for index in 0..bytes.len() {
        for change in [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff] {
            damaged[index] = bytes[index] ^ change;
            let _ = decode(&damaged);
        }
        for value in [0x00, 0xff] {
            damaged[index] = value;
            let _ = decode(&damaged);
        }
        damaged[index] = bytes[index];
    }
}

//! The values test data is made of, the same here and in Python (`formula.py`).
//!
//! Element `index` of dataset number `dataset` has one value for each numeric type, made from 64 well-mixed bits. No value is ever
//! zero, so that a fill value of zero can never pass for data.

use std::fmt::{Debug, Display};

const INDEX_STEP: u64 = 0x9e37_79b9_7f4a_7c15;
const DATASET_STEP: u64 = 0xd1b5_4a32_d192_ed03;

/// A type that has a value for every element of every dataset.
pub trait Formula: Copy + PartialEq + Debug + Display {
    /// The numpy name of the type, in this machine's byte order.
    const DTYPE: &'static str;

    /// Element `index` of dataset number `dataset`: integers take the uppermost bits and are odd, floats lie in [1, 2).
    fn value(dataset: u64, index: u64) -> Self;
}

/// The 64 bits behind an element.
#[must_use]
pub fn bits(dataset: u64, index: u64) -> u64 {
    let offset = DATASET_STEP.wrapping_mul(dataset.wrapping_add(1)).wrapping_add(INDEX_STEP);
    let mut z = index.wrapping_mul(INDEX_STEP).wrapping_add(offset);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Elements `start .. start + count` of a dataset.
#[must_use]
pub fn values<T: Formula>(dataset: u64, start: u64, count: usize) -> Vec<T> {
    (start..start + count as u64).map(|index| T::value(dataset, index)).collect()
}

macro_rules! integers {
    ($($type:ident $unsigned:ident $dtype:literal),*) => {$(
        impl Formula for $type {
            const DTYPE: &'static str = $dtype;

            fn value(dataset: u64, index: u64) -> Self {
                ((bits(dataset, index) >> (64 - Self::BITS)) as $unsigned | 1) as Self
            }
        }
    )*};
}

integers!(u8 u8 "u1", u16 u16 "u2", u32 u32 "u4", u64 u64 "u8", i8 u8 "i1", i16 u16 "i2", i32 u32 "i4", i64 u64 "i8");

impl Formula for f32 {
    const DTYPE: &'static str = "f4";

    fn value(dataset: u64, index: u64) -> Self {
        // The exponent of 1.0 and 23 arbitrary digits.
        Self::from_bits(0x3f80_0000 | (bits(dataset, index) >> 41) as u32)
    }
}

impl Formula for f64 {
    const DTYPE: &'static str = "f8";

    fn value(dataset: u64, index: u64) -> Self {
        Self::from_bits(0x3ff0_0000_0000_0000 | bits(dataset, index) >> 12)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::H5py;

    #[test]
    fn values_are_never_zero_and_floats_lie_between_one_and_two() {
        for index in 0..10_000 {
            assert_ne!(u8::value(3, index), 0);
            assert_ne!(i64::value(3, index), 0);
            assert!((1.0..2.0).contains(&f32::value(3, index)));
            assert!((1.0..2.0).contains(&f64::value(3, index)));
        }
        assert_ne!(values::<u64>(0, 0, 100), values::<u64>(1, 0, 100));
    }

    #[test]
    fn python_has_the_same_formula() {
        fn compare<T: Formula>(python: &H5py, bytes: impl Fn(T) -> Vec<u8>) {
            // The second start makes the arithmetic wrap in every way.
            for (dataset, start) in [(0, 0), (7, u64::MAX / 2 - 50), (u64::from(u32::MAX), 1 << 40)] {
                let code = "result = formula.values(*arguments[:3], arguments[3]).tobytes().hex()";
                let found = python.run(code, serde_json::json!([dataset, start, 100, T::DTYPE])).unwrap();
                let wanted: Vec<u8> = values::<T>(dataset, start, 100).into_iter().flat_map(&bytes).collect();
                assert_eq!(found, crate::hex(&wanted), "{} of dataset {dataset} from {start}", T::DTYPE);
            }
        }
        let python = H5py::start(crate::Libhdf5::V2_0).unwrap();
        compare::<u8>(&python, |v| v.to_ne_bytes().into());
        compare::<u16>(&python, |v| v.to_ne_bytes().into());
        compare::<u32>(&python, |v| v.to_ne_bytes().into());
        compare::<u64>(&python, |v| v.to_ne_bytes().into());
        compare::<i8>(&python, |v| v.to_ne_bytes().into());
        compare::<i16>(&python, |v| v.to_ne_bytes().into());
        compare::<i32>(&python, |v| v.to_ne_bytes().into());
        compare::<i64>(&python, |v| v.to_ne_bytes().into());
        compare::<f32>(&python, |v| v.to_ne_bytes().into());
        compare::<f64>(&python, |v| v.to_ne_bytes().into());
    }
}

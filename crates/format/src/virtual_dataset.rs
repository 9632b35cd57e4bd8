//! The mappings of a virtual dataset (III.F): a global heap object that says which parts of which other datasets it shows.
//!
//! HDF5 2.0 writes version 1 where that is shorter: a name that an earlier mapping has is given as that mapping's number.

use std::sync::Arc;

use crate::{Cursor, Malformed, Put, Result, Why, Widths};

/// The file a source dataset is in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SourceFile {
    /// The file of the virtual dataset itself.
    Same,
    /// Another one. The name may be relative and may hold `printf` patterns, as libhdf5 resolves them.
    Named(Arc<[u8]>),
}

/// One mapping; `S` is the type of a selection. Names are shared by the mappings that share them in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping<S> {
    /// The file of the source dataset.
    pub file: SourceFile,
    /// The path of the source dataset in it.
    pub dataset: Arc<[u8]>,
    /// What is taken of the source dataset.
    pub source: S,
    /// Where in the virtual dataset it shows.
    pub target: S,
}

/// A name may be given by the number of an earlier mapping that has it.
const FILE_SHARED: u8 = 0x01;
const DATASET_SHARED: u8 = 0x02;
const SAME_FILE: u8 = 0x04;

/// Decodes the mappings. `bytes` is the global heap object, `at` the address of its collection, for errors; `selection`
/// reads one serialized dataspace selection, neither less nor more.
pub fn decode<S>(
    bytes: &[u8],
    at: u64,
    widths: Widths,
    mut selection: impl FnMut(&mut Cursor<'_>) -> Result<S>,
) -> Result<Vec<Mapping<S>>> {
    let mut cursor = Cursor::new("virtual dataset mappings", at, bytes);
    let version = cursor.u8("version")?;
    if version > 1 {
        return Err(cursor.error(Why::Version(version)));
    }
    let count = cursor.length("number of entries", widths)?;
    // Not the least a mapping takes, but enough to hold a count against what there is.
    let count = cursor.checked_count("entries", count, 4)?;
    let mut mappings = Vec::<Mapping<S>>::new();
    for _ in 0..count {
        let flags = if version == 0 { 0 } else { cursor.u8("entry flags")? };
        let (file_shared, same_file) = (flags & FILE_SHARED != 0, flags & SAME_FILE != 0);
        if flags & !(FILE_SHARED | DATASET_SHARED | SAME_FILE) != 0 || file_shared && same_file {
            return Err(cursor.bad_value(
                "entry flags",
                flags.into(),
                "has bits that are not known or exclude each other",
            ));
        }
        let file = match () {
            () if same_file => SourceFile::Same,
            () if file_shared => earlier(&mut cursor, &mappings, widths)?.file.clone(),
            () => match cursor.c_string("source file name")? {
                b"." => SourceFile::Same,
                name => SourceFile::Named(name.into()),
            },
        };
        let dataset = if flags & DATASET_SHARED != 0 {
            earlier(&mut cursor, &mappings, widths)?.dataset.clone()
        } else {
            cursor.c_string("source dataset name")?.into()
        };
        let source = selection(&mut cursor)?;
        let target = selection(&mut cursor)?;
        mappings.push(Mapping { file, dataset, source, target });
    }
    cursor.checksum()?;
    Ok(mappings)
}

/// Encodes mappings in version 0, which every libhdf5 with virtual datasets reads; `selection` appends a serialized
/// dataspace selection.
pub fn encode<S>(
    mappings: &[Mapping<S>],
    widths: Widths,
    mut selection: impl FnMut(&S, &mut Vec<u8>) -> Option<()>,
) -> Option<Vec<u8>> {
    let mut bytes = vec![0];
    bytes.put_length(mappings.len() as u64, widths);
    for Mapping { file, dataset, source, target } in mappings {
        let file = match file {
            SourceFile::Same => &b"."[..],
            SourceFile::Named(name) => name,
        };
        for name in [file, dataset] {
            bytes.extend_from_slice(name);
            bytes.push(0);
        }
        selection(source, &mut bytes)?;
        selection(target, &mut bytes)?;
    }
    bytes.put_checksum_from(0);
    Some(bytes)
}

fn earlier<'m, S>(
    cursor: &mut Cursor<'_>,
    mappings: &'m [Mapping<S>],
    widths: Widths,
) -> std::result::Result<&'m Mapping<S>, Malformed> {
    let number = cursor.length("number of an earlier entry", widths)?;
    usize::try_from(number)
        .ok()
        .and_then(|number| mappings.get(number))
        .ok_or_else(|| cursor.bad_value("number of an earlier entry", number, "is not that of an earlier one"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const W: Widths = Widths::EIGHT;

    /// Selections of one byte will do: what one looks like is no business of the mappings.
    fn mappings(version: u8, entries: &[&[u8]]) -> Vec<u8> {
        let mut bytes = vec![version];
        bytes.put_length(entries.len() as u64, W);
        for entry in entries {
            bytes.extend_from_slice(entry);
        }
        bytes.put_checksum_from(0);
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Vec<Mapping<u8>>> {
        decode(bytes, 0, W, |cursor| cursor.u8("selection"))
    }

    #[test]
    fn what_is_encoded_decodes() {
        let mapping = |file, dataset: &[u8], at| Mapping { file, dataset: dataset.into(), source: at, target: at + 1 };
        let all = [
            mapping(SourceFile::Same, b"/here", 3),
            mapping(SourceFile::Named(b"other.h5"[..].into()), b"there/%b", 7),
        ];
        let put = |selection: &u8, out: &mut Vec<u8>| {
            out.push(*selection);
            Some(())
        };
        assert_eq!(read(&encode(&all, W, put).unwrap()).unwrap(), all);
        assert_eq!(encode(&all, W, |_, _| None), None);
    }

    fn names(mappings: &[Mapping<u8>]) -> Vec<(Option<&[u8]>, &[u8])> {
        let file = |file| match file {
            &SourceFile::Same => None,
            SourceFile::Named(name) => Some(&**name),
        };
        mappings.iter().map(|mapping| (file(&mapping.file), &*mapping.dataset)).collect()
    }

    #[test]
    fn version_0_has_every_name() {
        let bytes = mappings(0, &[b"s.h5\0d\0\x01\x02", b".\0e\0\x03\x04"]);
        let decoded = read(&bytes).unwrap();
        assert_eq!(names(&decoded), [(Some(&b"s.h5"[..]), &b"d"[..]), (None, b"e")]);
        assert_eq!((decoded[1].source, decoded[1].target), (3, 4));
    }

    #[test]
    fn version_1_names_earlier_entries() {
        // The order and flags in which HDF5 2.0 wrote them.
        let bytes = mappings(
            1,
            &[
                b"\0ssss\0dddd\0\x01\x02",
                b"\x01\0\0\0\0\0\0\0\0eeee\0\x01\x02",
                b"\x02tttt\0\x01\0\0\0\0\0\0\0\x01\x02",
                b"\x06\0\0\0\0\0\0\0\0\x01\x02",
                b"\x04gggg\0\x01\x02",
                b"\x03\x02\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0\x01\x02",
            ],
        );
        let decoded = read(&bytes).unwrap();
        let expected: [(Option<&[u8]>, &[u8]); 6] = [
            (Some(b"ssss"), b"dddd"),
            (Some(b"ssss"), b"eeee"),
            (Some(b"tttt"), b"eeee"),
            (None, b"dddd"),
            (None, b"gggg"),
            (Some(b"tttt"), b"gggg"),
        ];
        assert_eq!(names(&decoded), expected);
        for bad in [&b"\x01\0\0\0\0\0\0\0\0d\0\x01\x02"[..], b"\x05\0\0\0\0\0\0\0\0d\0\x01\x02", b"\x08s\0d\0\x01\x02"]
        {
            assert!(read(&mappings(1, &[bad])).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn short_or_changed_mappings_are_errors() {
        let mut bytes = mappings(1, &[b"\0ssss\0dddd\0\x01\x02", b"\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x02"]);
        assert!(read(&bytes).is_ok());
        for place in 0..bytes.len() {
            assert!(read(&bytes[..place]).is_err());
            bytes[place] ^= 0x11;
            assert!(read(&bytes).is_err());
            bytes[place] ^= 0x11;
        }
    }
}

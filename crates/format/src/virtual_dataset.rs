//! The mappings of a virtual dataset (III.F): a global heap object that says which parts of which other datasets it shows.
//!
//! HDF5 2.0 writes version 1 where that is shorter: a name that an earlier mapping has is given as that mapping's number.

use crate::{Cursor, Malformed, Result, Why, Widths};

/// The file a source dataset is in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SourceFile {
    /// The file of the virtual dataset itself.
    Same,
    /// Another one. The name may be relative and may hold `printf` patterns, as libhdf5 resolves them.
    Named(Vec<u8>),
}

/// One mapping; `S` is the type of a selection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping<S> {
    /// The file of the source dataset.
    pub file: SourceFile,
    /// The path of the source dataset in it.
    pub dataset: Vec<u8>,
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
                name => SourceFile::Named(name.to_vec()),
            },
        };
        let dataset = if flags & DATASET_SHARED != 0 {
            earlier(&mut cursor, &mappings, widths)?.dataset.clone()
        } else {
            cursor.c_string("source dataset name")?.to_vec()
        };
        let source = selection(&mut cursor)?;
        let target = selection(&mut cursor)?;
        mappings.push(Mapping { file, dataset, source, target });
    }
    cursor.checksum()?;
    Ok(mappings)
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

//! The matrix: every kind of type, shape, storage, filter and fill value, written and checked by the other side.
//!
//! The list of cases and everything about their content is in `python/cases.py`; here it is as data. A test of reading has Python
//! [write](Matrix::write) the files and compares what h5live reads with [`Matrix::expected`]; a test of writing creates each [`Case`] with
//! h5live and has Python [check](Matrix::check) the files, and [h5dump](Matrix::dump).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::process::{Ended, Program};
use crate::python::{Libhdf5, script};
use crate::{Error, Result};

const LIMIT: Duration = Duration::from_secs(120);

/// The cases and trees, and the version of h5py that writes and checks them.
#[derive(Clone, Debug)]
pub struct Matrix {
    version: Libhdf5,
    /// The datasets.
    pub cases: Vec<Case>,
    /// The files of groups, links and attributes.
    pub trees: Vec<Tree>,
}

/// A dataset `/data` in a file that also has the groups `/group` and `/group/inner`, for references to lead to.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Case {
    /// Its name; the file is named so, with `.h5`.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: Type,
    /// Its extent: none for a null dataspace, empty for a scalar.
    pub shape: Option<Vec<u64>>,
    /// Its largest extent, none in unlimited dimensions.
    pub maxshape: Option<Vec<Option<u64>>>,
    /// How it is stored.
    pub layout: Layout,
    /// Its filters, in pipeline order.
    pub filters: Vec<Filter>,
    /// The filter mask of every chunk in row-major order, when chunks are to be written directly, skipping the masked filters.
    pub masks: Option<Vec<u32>>,
    /// Its fill value; none is the default, zeros.
    pub fill: Option<Value>,
    /// When the fill value is written.
    pub fill_time: FillTime,
    /// How many rows (of dimension 0) are written; the rest is left to the fill value. None for null and scalar dataspaces.
    pub rows: Option<u64>,
    /// Whether it has an attribute `twin` of the same type, extent and content.
    pub attribute: bool,
}

impl Case {
    /// The path of its file in a directory.
    #[must_use]
    pub fn file(&self, directory: &Path) -> PathBuf {
        directory.join(format!("{}.h5", self.name))
    }
}

/// A datatype.
///
/// Values have a plain form in JSON: a number (floats beyond numbers are `"nan"`, `"inf"`, `"-inf"`); an enum's number; a string; an
/// array of a compound's fields, of an array's elements in row-major order, or of a sequence's elements; opaque bytes as hexadecimal;
/// `[re, im]`; the path a reference leads to, or null.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "class", rename_all = "lowercase")]
pub enum Type {
    /// A fixed-point number.
    Integer {
        /// Its bytes.
        size: u64,
        /// Whether it has a sign.
        signed: bool,
        /// Its byte order; single bytes are little-endian.
        order: Order,
    },
    /// An IEEE 754 number.
    Float {
        /// Its bytes.
        size: u64,
        /// Its byte order.
        order: Order,
    },
    /// An enumeration. Booleans are one of a signed byte with `FALSE` and `TRUE`.
    Enum {
        /// The integer it is stored as.
        base: Box<Type>,
        /// Names and values, sorted by name.
        members: Vec<(String, i64)>,
    },
    /// A string.
    String {
        /// Its bytes; none when it is of variable length.
        length: Option<u64>,
        /// `ascii` or `utf-8`.
        charset: String,
        /// `null-term`, `null-pad` or `space-pad`; none when it is of variable length.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        padding: Option<String>,
    },
    /// A compound.
    Compound {
        /// Its bytes; none when fields name bytes elsewhere, whose size in a file is not that in memory: fields then follow each other
        /// without gaps.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        size: Option<u64>,
        /// Its fields.
        fields: Vec<Field>,
    },
    /// An array.
    Array {
        /// Its elements.
        base: Box<Type>,
        /// Its extent.
        dims: Vec<u64>,
    },
    /// Bytes.
    Opaque {
        /// How many.
        size: u64,
        /// What they are said to be.
        tag: String,
    },
    /// A complex number, stored as the compound `(r, i)`.
    Complex {
        /// Its parts.
        base: Box<Type>,
    },
    /// A sequence of variable length.
    Vlen {
        /// Its elements.
        base: Box<Type>,
    },
    /// A reference to an object.
    Reference,
}

/// A byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Order {
    /// Little-endian.
    #[serde(rename = "le")]
    Little,
    /// Big-endian.
    #[serde(rename = "be")]
    Big,
}

/// A field of a compound.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Where it starts; none when fields follow each other without gaps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: Type,
}

/// How a dataset is stored.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Layout {
    /// In the object header.
    Compact,
    /// In one piece.
    Contiguous,
    /// In chunks.
    Chunked {
        /// Their extent.
        chunks: Vec<u64>,
        /// The index that libhdf5 chooses: `single chunk`, `implicit` (which takes early allocation), `fixed array`, `extensible array` or
        /// `version 2 B-tree`.
        index: String,
    },
}

/// A filter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "lowercase")]
pub enum Filter {
    /// Deflate (gzip).
    Deflate {
        /// How hard it tries, from 0 to 9.
        level: u32,
    },
    /// Byte shuffle.
    Shuffle,
    /// The Fletcher checksum.
    Fletcher32,
    /// h5py's LZF.
    Lzf,
}

/// The versions of the file format that libhdf5 may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// For each structure the oldest that will do: h5py's default.
    Earliest,
    /// That of HDF5 1.10, which SWMR takes.
    V110,
    /// The newest there is: `libver="latest"`.
    Latest,
}

/// When a fill value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FillTime {
    /// On allocation, if a fill value was given.
    IfSet,
    /// On allocation.
    Alloc,
    /// Never.
    Never,
}

/// What a case holds.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Expected {
    /// Its values in row-major order, fill values included; none for a null dataspace, and when there are more than 10,000.
    pub values: Option<Vec<Value>>,
    raw: Option<String>,
}

impl Expected {
    /// The same values as bytes, as the type stores them; none for a null dataspace, and for types that name bytes elsewhere.
    ///
    /// # Panics
    /// When Python gave something that is not hexadecimal.
    #[must_use]
    pub fn raw(&self) -> Option<Vec<u8>> {
        self.raw.as_ref().map(|text| crate::unhex(text).expect("Python gives bytes as hexadecimal"))
    }
}

/// A file of groups, links and attributes.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Tree {
    /// Its name; the file is named so, with `.h5`.
    pub name: String,
    /// The groups to create, in this order. The root group may be among them, for its properties.
    pub objects: Vec<TreeGroup>,
    /// The links to create then, in this order.
    pub links: Vec<TreeLink>,
}

impl Tree {
    /// The path of its file in a directory.
    #[must_use]
    pub fn file(&self, directory: &Path) -> PathBuf {
        directory.join(format!("{}.h5", self.name))
    }
}

/// A group of a [`Tree`].
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct TreeGroup {
    /// Its path.
    pub path: String,
    /// Whether it tracks and indexes the order in which its links are created.
    pub creation_order: bool,
    /// Its attributes.
    pub attributes: Vec<TreeAttribute>,
}

/// An attribute of a [`TreeGroup`].
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct TreeAttribute {
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: Type,
    /// Its extent, empty for a scalar.
    pub shape: Vec<u64>,
    /// Its values in row-major order.
    pub values: Vec<Value>,
}

/// A link of a [`Tree`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct TreeLink {
    /// Its path.
    pub path: String,
    /// What it leads to.
    #[serde(flatten)]
    pub target: Target,
}

/// What a link leads to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Target {
    /// An object that already has a name.
    Hard {
        /// That name.
        target: String,
    },
    /// A path, which need not exist.
    Soft {
        /// The path.
        target: String,
    },
    /// A path in another file.
    External {
        /// The file.
        file: String,
        /// The path.
        target: String,
    },
}

/// What is wrong with the file of one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The case's name.
    pub name: String,
    /// What differs, or a traceback.
    pub error: String,
}

#[expect(clippy::missing_errors_doc, reason = "all methods fail alike: Python is missing, raises, or takes too long")]
impl Matrix {
    /// Asks Python for the list.
    pub fn load(version: Libhdf5) -> Result<Self> {
        #[derive(Deserialize)]
        struct Listed {
            cases: Vec<Case>,
            trees: Vec<Tree>,
        }
        let Listed { cases, trees } = parse(&cases_py(version, "list", None, &[])?)?;
        Ok(Self { version, cases, trees })
    }

    /// What each of the named cases holds; all cases if none is named.
    pub fn expected(&self, names: &[&str]) -> Result<BTreeMap<String, Expected>> {
        parse(&cases_py(self.version, "expected", None, names)?)
    }

    /// Has h5py write the named cases and trees, or all of them, into a directory, in the format of HDF5 1.10.
    pub fn write(&self, directory: &Path, names: &[&str]) -> Result<()> {
        self.write_as(Format::V110, directory, names)
    }

    /// The same, in another format.
    pub fn write_as(&self, format: Format, directory: &Path, names: &[&str]) -> Result<()> {
        let command = match format {
            Format::Earliest => "write-earliest",
            Format::V110 => "write",
            Format::Latest => "write-latest",
        };
        let ended = cases_py(self.version, command, Some(directory), names)?;
        if ended.status.success() { Ok(()) } else { Err(failed(&ended)) }
    }

    /// Has h5py check every property and value of the named cases and trees, or of all, in a directory. Nothing wrong is no faults.
    pub fn check(&self, directory: &Path, names: &[&str]) -> Result<Vec<Fault>> {
        self.judge("check", directory, names)
    }

    /// Has h5dump print the named cases and trees, or all, in a directory, and compares the values; of trees, the listing. It cannot see
    /// values that LZF compressed. Nothing wrong is no faults.
    pub fn dump(&self, directory: &Path, names: &[&str]) -> Result<Vec<Fault>> {
        self.judge("dump", directory, names)
    }

    fn judge(&self, command: &str, directory: &Path, names: &[&str]) -> Result<Vec<Fault>> {
        #[derive(Deserialize)]
        struct Verdict {
            name: String,
            error: Option<String>,
        }
        let verdicts: Vec<Verdict> = parse(&cases_py(self.version, command, Some(directory), names)?)?;
        Ok(verdicts.into_iter().filter_map(|it| Some(Fault { name: it.name, error: it.error? })).collect())
    }
}

fn cases_py(version: Libhdf5, command: &str, directory: Option<&Path>, names: &[&str]) -> Result<Ended> {
    Program::new(version.python()?).arg(script("cases.py")).arg(command).args(directory).args(names).run(LIMIT)
}

/// The JSON a script printed. A script that failed for another reason than faults prints none.
fn parse<T: for<'a> Deserialize<'a>>(ended: &Ended) -> Result<T> {
    if ended.output.is_empty() {
        return Err(failed(ended));
    }
    serde_json::from_slice(&ended.output)
        .map_err(|why| Error::answer(&ended.program, &String::from_utf8_lossy(&ended.output), why))
}

fn failed(ended: &Ended) -> Error {
    let log = String::from_utf8_lossy(&ended.errors).into_owned();
    Error::Failed { program: ended.program.clone(), status: ended.status, log }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    #[test]
    fn each_version_reads_what_the_other_writes() {
        for (writer, reader) in [(Libhdf5::V2_0, Libhdf5::V1_14), (Libhdf5::V1_14, Libhdf5::V2_0)] {
            let scratch = crate::scratch();
            Matrix::load(writer).unwrap().write(scratch.path(), &[]).unwrap();
            assert_eq!(Matrix::load(reader).unwrap().check(scratch.path(), &[]).unwrap(), []);
        }
    }

    #[test]
    fn h5dump_prints_the_same_values() {
        let (matrix, scratch) = (Matrix::load(Libhdf5::V2_0).unwrap(), crate::scratch());
        matrix.write(scratch.path(), &[]).unwrap();
        assert_eq!(matrix.dump(scratch.path(), &[]).unwrap(), []);
    }

    #[test]
    fn expected_values_fit_their_cases() {
        let matrix = Matrix::load(Libhdf5::V2_0).unwrap();
        let expected = matrix.expected(&[]).unwrap();
        assert_eq!(expected.len(), matrix.cases.len());
        for case in &matrix.cases {
            let (content, count) = (&expected[&case.name], case.shape.as_ref().map(|shape| shape.iter().product()));
            assert!(content.values.as_ref().is_none_or(|values| Some(values.len() as u64) == count), "{}", case.name);
            if let Type::Integer { size, .. } | Type::Float { size, .. } = case.kind {
                let bytes = content.raw().map(|raw| raw.len() as u64);
                assert_eq!(bytes, count.map(|count| size * count), "{}", case.name);
            }
        }
        // Through JSON, numbers stay what they are.
        let values = |name: &str| expected[name].values.clone().unwrap();
        assert_eq!(values("type_u64_be")[1], json!(u64::MAX));
        assert_eq!(values("type_i64_le")[0], json!(i64::MIN));
        assert_eq!(values("type_f64_be")[1].as_f64().map(f64::to_bits), Some((-0.0_f64).to_bits()));
    }

    /// A judge that cannot condemn is decoration: one case under the name of another, for each that differs from it in one thing.
    #[test]
    fn differences_are_found() {
        let (matrix, scratch) = (Matrix::load(Libhdf5::V2_0).unwrap(), crate::scratch());
        let pairs = [
            ("type_i32_le", "type_i32_be", "type"),
            ("type_string_ascii", "type_string_null_term", "type"),
            ("type_enum_u16", "type_enum_i32_be", "type"),
            ("null_i32", "scalar_i32", "dataspace"),
            ("chunked_extensible", "chunked_btree", "maxshape"),
            ("chunked_single", "chunked_single_growable", "shape"),
            ("chunked_fixed", "filtered_fixed", "filters"),
            ("filter_deflate", "filter_deflate_9", "filters"),
            ("fill_i32", "fill_default", "fill value"),
            ("contiguous", "compact", "layout"),
            ("masked_fixed", "filtered_fixed", "filter"),
            ("tree_nested", "tree_names", "links"),
            ("tree_attributes_compact", "tree_attributes_dense", "attributes"),
        ];
        let names: Vec<_> = pairs.iter().flat_map(|(name, other, _)| [*name, *other]).collect();
        matrix.write(scratch.path(), &names).unwrap();
        for (name, other, _) in pairs {
            fs::copy(scratch.path().join(format!("{other}.h5")), scratch.path().join(format!("{name}.h5"))).unwrap();
        }
        let names: Vec<_> = pairs.iter().map(|(name, ..)| *name).collect();
        let faults = matrix.check(scratch.path(), &names).unwrap();
        for ((name, _, complaint), fault) in pairs.iter().zip(&faults) {
            assert_eq!(*name, fault.name);
            assert!(fault.error.contains(complaint), "{name}: {}", fault.error);
        }
        assert_eq!(faults.len(), pairs.len());

        // Values alone: every written value of `fill_i32` differs from the fill value that the other file has there.
        matrix.write(scratch.path(), &["fill_i32", "chunked_fixed", "chunked_strings"]).unwrap();
        let python = crate::H5py::start(Libhdf5::V2_0).unwrap();
        for (name, at, value) in
            [("fill_i32", 2, json!(9)), ("chunked_fixed", 9, json!(9)), ("chunked_strings", 1, json!("b"))]
        {
            let path = scratch.path().join(format!("{name}.h5"));
            let file = python.open(&path, crate::Mode::ReadWrite).unwrap();
            let rank = file.shape("data").unwrap().unwrap().len();
            let element: Vec<_> = (0..rank).map(|dimension| if dimension == 0 { at..at + 1 } else { 0..1 }).collect();
            file.write("data", crate::Select::Block(&element), &[value]).unwrap();
            file.close().unwrap();
            for faults in
                [matrix.check(scratch.path(), &[name]).unwrap(), matrix.dump(scratch.path(), &[name]).unwrap()]
            {
                assert_eq!(faults.len(), 1, "{name}");
            }
        }
        assert!(matches!(matrix.check(scratch.path(), &["no such case"]), Err(Error::Failed { .. })));
    }
}

//! A Python process with h5py, driven call by call.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json};

use crate::matrix::{Filter, Type};
use crate::process::{Child, Program};
use crate::python::{Libhdf5, script};
use crate::{Error, Result};

/// The time a call may take, unless [`H5py::with_limit`] says otherwise.
const LIMIT: Duration = Duration::from_secs(30);

/// A Python process with h5py. It is killed when dropped, and by a call that takes too long.
///
/// Calls are made one at a time; threads that share it wait for each other.
pub struct H5py {
    id: u32,
    child: Mutex<Child>,
    limit: Duration,
}

/// The versions of the other side.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Versions {
    /// h5py's.
    pub h5py: String,
    /// libhdf5's.
    pub hdf5: String,
    /// numpy's.
    pub numpy: String,
    /// The id of the process.
    pub pid: u32,
}

/// How h5py opens a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// `"r"`: an ordinary reader, which sees a snapshot.
    Read,
    /// `"r", swmr=True`: a reader that refreshes.
    Swmr,
    /// `"r+"`: reading and writing.
    ReadWrite,
    /// `"r+", libver=("v110", "v110")`: as a SWMR writer must.
    ReadWriteLatest,
    /// `"w", libver=("v110", "v110")`: a new file, in the format of HDF5 1.10.
    Create,
    /// `"w"`: a new file, in the oldest format that will do.
    CreateEarliest,
}

impl H5py {
    /// Starts Python.
    ///
    /// # Errors
    /// [`Error::NotInstalled`]; and as every call: [`Error::Python`], [`Error::Timeout`], [`Error::Ended`], [`Error::Answer`].
    pub fn start(version: Libhdf5) -> Result<Self> {
        let program = Program::new(version.python()?).arg("-u").arg(script("h5side.py"));
        let child = program.start()?;
        Ok(Self { id: child.id(), child: Mutex::new(child), limit: LIMIT })
    }

    /// The id of the process: for signals while a call is made by another thread.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The same process, with another time limit for each call.
    #[must_use]
    pub fn with_limit(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// Its versions.
    ///
    /// # Errors
    /// As every call, see [`start`](Self::start).
    pub fn versions(&self) -> Result<Versions> {
        self.call("versions", json!({}))
    }

    /// Opens or creates a file.
    ///
    /// # Errors
    /// As every call; what libhdf5 refuses is an [`Error::Python`].
    pub fn open(&self, path: impl AsRef<Path>, mode: Mode) -> Result<H5File<'_>> {
        let (mode, swmr, libver) = match mode {
            Mode::Read => ("r", false, Value::Null),
            Mode::Swmr => ("r", true, Value::Null),
            Mode::ReadWrite => ("r+", false, Value::Null),
            Mode::ReadWriteLatest => ("r+", false, json!(["v110", "v110"])),
            Mode::Create => ("w", false, json!(["v110", "v110"])),
            Mode::CreateEarliest => ("w", false, Value::Null),
        };
        let arguments = json!({ "path": path.as_ref(), "mode": mode, "swmr": swmr, "libver": libver });
        Ok(H5File { side: self, number: self.call("open", arguments)?, open: true })
    }

    /// Runs Python code with the names `h5py`, `np`, `formula`, `plain`, `arguments`, and `files`: the open files, by
    /// [`H5File::number`]. Returns what it leaves in `result`.
    ///
    /// # Errors
    /// As every call.
    pub fn run(&self, code: &str, arguments: Value) -> Result<Value> {
        self.call("run", json!({ "code": code, "arguments": arguments }))
    }

    /// Kills the process, as `kill -9` does.
    pub fn kill(&self) {
        self.with_child(Child::kill);
    }

    /// Suspends the process.
    ///
    /// # Errors
    /// [`Error::Io`] when it has ended.
    pub fn stop(&self) -> Result<()> {
        self.with_child(Child::stop)
    }

    /// Lets the process continue.
    ///
    /// # Errors
    /// [`Error::Io`] when it has ended.
    pub fn cont(&self) -> Result<()> {
        self.with_child(Child::cont)
    }

    fn with_child<T>(&self, act: impl FnOnce(&mut Child) -> T) -> T {
        act(&mut self.child.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn call<T: DeserializeOwned>(&self, command: &str, arguments: Value) -> Result<T> {
        self.call_within(command, arguments, self.limit)
    }

    fn call_within<T: DeserializeOwned>(&self, command: &str, mut arguments: Value, limit: Duration) -> Result<T> {
        arguments["do"] = command.into();
        let answer = self.with_child(|child| {
            // A process that has ended cannot be told anything; why it ended is in what it said before.
            let told = child.say(&arguments.to_string());
            child.hear(command, limit).map_err(|heard| told.err().filter(|_| !is_end(&heard)).unwrap_or(heard))
        })?;
        let wrong = |why: &dyn fmt::Display| Error::answer("h5py", &answer, why);
        match serde_json::from_str(&answer).map_err(|why| wrong(&why))? {
            Answer::Ok(value) => serde_json::from_value(value).map_err(|why| wrong(&why)),
            Answer::Error { kind, message, traceback } => Err(Error::Python { kind, message, traceback }),
        }
    }
}

fn is_end(error: &Error) -> bool {
    matches!(error, Error::Ended { .. } | Error::Timeout { .. })
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Ok(Value),
    Error { kind: String, message: String, traceback: String },
}

/// A file that h5py has open; closed when dropped.
///
/// Paths name objects within the file. All methods fail as every call does, see [`H5py::start`].
pub struct H5File<'a> {
    side: &'a H5py,
    number: u64,
    open: bool,
}

/// Which elements of a dataset to read or write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Select<'a> {
    /// All.
    All,
    /// Rows: a range of dimension 0, and the other dimensions whole.
    Rows(Range<u64>),
    /// A range for each dimension; those that are not named are whole.
    Block(&'a [Range<u64>]),
}

impl Serialize for Select<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let pairs = |ranges: &[Range<u64>]| ranges.iter().map(|range| [range.start, range.end]).collect::<Vec<_>>();
        match self {
            Self::All => serializer.serialize_none(),
            Self::Rows(rows) => pairs(std::slice::from_ref(rows)).serialize(serializer),
            Self::Block(ranges) => pairs(ranges).serialize(serializer),
        }
    }
}

/// One thing in a file, as [`H5File::tree`] lists it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Node {
    /// Its path from the root.
    pub path: String,
    /// Attributes by name; none for links.
    #[serde(default)]
    pub attributes: BTreeMap<String, Attribute>,
    /// What it is.
    #[serde(flatten)]
    pub object: Object,
}

/// What stands at a path.
#[allow(clippy::large_enum_variant, reason = "most are datasets, and a test holds few")]
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Object {
    /// A group.
    Group,
    /// A dataset.
    Dataset(DatasetInfo),
    /// A committed datatype.
    Datatype {
        /// The type.
        #[serde(rename = "type")]
        kind: Type,
    },
    /// Another hard link to an object listed before.
    Hard {
        /// The path it was listed under.
        target: String,
    },
    /// A soft link.
    Soft {
        /// The path it names.
        target: String,
    },
    /// An external link.
    External {
        /// The file it names.
        file: String,
        /// The path in that file.
        target: String,
    },
}

/// The properties of a dataset.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct DatasetInfo {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: Type,
    /// Its type as numpy prints it.
    pub dtype: String,
    /// Its extent; none for a null dataspace.
    pub shape: Option<Vec<u64>>,
    /// Its largest extent, none in unlimited dimensions; none for a null dataspace.
    pub maxshape: Option<Vec<Option<u64>>>,
    /// `compact`, `contiguous`, `chunked` or `virtual`.
    pub layout: String,
    /// Its chunks' extent.
    pub chunks: Option<Vec<u64>>,
    /// Its filters, in pipeline order.
    pub filters: Vec<Filter>,
    /// The fill value that was given, if one was.
    pub fill: Option<Value>,
}

/// An attribute and its value.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Attribute {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: Type,
    /// Its extent; none for a null dataspace.
    pub shape: Option<Vec<u64>>,
    /// Its values in row-major order; none for a null dataspace.
    pub values: Option<Vec<Value>>,
}

/// A dataset to be created with [`H5File::create_dataset`].
#[derive(Clone, Debug)]
pub struct NewDataset<'a> {
    /// Its numpy type, as [`Formula::DTYPE`](crate::formula::Formula::DTYPE).
    pub dtype: &'a str,
    /// Its extent.
    pub shape: &'a [u64],
    /// Its largest extent, none in unlimited dimensions; if not given, the extent.
    pub maxshape: Option<&'a [Option<u64>]>,
    /// Its chunks' extent; if not given, h5py chooses.
    pub chunks: Option<&'a [u64]>,
    /// Its filters. h5py orders them its own way.
    pub filters: &'a [Filter],
    /// Its fill value.
    pub fill: Value,
    /// The number of the dataset whose [`formula`](crate::formula) it holds; if not given, nothing is written.
    pub dataset: Option<u64>,
}

impl<'a> NewDataset<'a> {
    /// A dataset of fixed extent without filters or content.
    #[must_use]
    pub fn new(dtype: &'a str, shape: &'a [u64]) -> Self {
        Self { dtype, shape, maxshape: None, chunks: None, filters: &[], fill: Value::Null, dataset: None }
    }
}

/// What [`H5File::read_to`] has read.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Copied {
    /// The number of bytes.
    pub bytes: u64,
    /// Their type as numpy prints it.
    pub dtype: String,
    /// The extent of the selection.
    pub shape: Vec<u64>,
    /// Their SHA-256 digest in hexadecimal.
    pub sha256: String,
}

/// A row that is not what the formula says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Difference {
    /// The row.
    pub row: u64,
    /// What was found; none when the row is missing.
    pub found: Option<String>,
    /// What belongs there.
    pub wanted: String,
}

/// What a reader saw while it [followed](H5File::follow).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Followed {
    /// Rows seen in the end.
    pub rows: u64,
    /// How often it looked.
    pub looks: u64,
    /// How many different lengths it saw.
    pub lengths: u64,
}

#[expect(clippy::missing_errors_doc, reason = "every method fails alike, as the type says")]
impl H5File<'_> {
    /// The number that code given to [`H5py::run`] finds the file by.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Closes the file.
    pub fn close(mut self) -> Result<()> {
        self.open = false;
        self.call("close", json!({}))
    }

    /// Flushes the file.
    pub fn flush(&self) -> Result<()> {
        self.call("flush", json!({}))
    }

    /// Flushes one dataset.
    pub fn flush_dataset(&self, path: &str) -> Result<()> {
        self.call("flush", json!({ "path": path }))
    }

    /// Turns SWMR writing on.
    pub fn start_swmr(&self) -> Result<()> {
        self.call("start_swmr", json!({}))
    }

    /// Everything in the file, the root group first.
    pub fn tree(&self) -> Result<Vec<Node>> {
        self.call("tree", json!({}))
    }

    /// A dataset's extent; none for a null dataspace.
    pub fn shape(&self, path: &str) -> Result<Option<Vec<u64>>> {
        self.call("shape", json!({ "path": path }))
    }

    /// Refreshes a dataset and returns its extent.
    pub fn refresh(&self, path: &str) -> Result<Vec<u64>> {
        self.call("refresh", json!({ "path": path }))
    }

    /// A dataset's values in row-major order, in the plain form that [`Type`] describes.
    pub fn read(&self, path: &str, select: Select<'_>) -> Result<Vec<Value>> {
        self.call("read", json!({ "path": path, "select": select }))
    }

    /// Reads values of a fixed-size type into a file, as bytes in the order of the dataset's type.
    pub fn read_to(&self, path: &str, select: Select<'_>, to: &Path) -> Result<Copied> {
        self.call("read_raw", json!({ "path": path, "select": select, "to": to }))
    }

    /// The bytes of values of a fixed-size type, in the order of the dataset's type.
    pub fn read_raw(&self, path: &str, select: Select<'_>) -> Result<Vec<u8>> {
        let to = tempfile::NamedTempFile::new().map_err(Error::io("making a temporary file"))?;
        let copied = self.read_to(path, select, to.path())?;
        let bytes = std::fs::read(to.path()).map_err(Error::io("reading a temporary file"))?;
        assert_eq!(bytes.len() as u64, copied.bytes, "numpy writes what it says");
        Ok(bytes)
    }

    /// The SHA-256 digest, in hexadecimal, of the bytes that [`read_raw`](Self::read_raw) returns.
    pub fn digest(&self, path: &str, select: Select<'_>) -> Result<String> {
        self.call("digest", json!({ "path": path, "select": select }))
    }

    /// An attribute of the object at `path`.
    pub fn attribute(&self, path: &str, name: &str) -> Result<Attribute> {
        self.call("attribute", json!({ "path": path, "name": name }))
    }

    /// Sets a new attribute of the object at `path`.
    pub fn set_attribute(&self, path: &str, name: &str, kind: &Type, shape: &[u64], values: &[Value]) -> Result<()> {
        self.call(
            "set_attribute",
            json!({ "path": path, "name": name, "type": kind, "shape": shape, "values": values }),
        )
    }

    /// Creates a group, and those above it that are missing.
    pub fn create_group(&self, path: &str) -> Result<()> {
        self.call("create_group", json!({ "path": path }))
    }

    /// Creates a dataset.
    pub fn create_dataset(&self, path: &str, new: &NewDataset<'_>) -> Result<()> {
        self.call(
            "create_dataset",
            json!({
                "path": path, "dtype": new.dtype, "shape": new.shape, "maxshape": new.maxshape, "chunks": new.chunks,
                "filters": new.filters, "fill": new.fill, "dataset": new.dataset,
            }),
        )
    }

    /// Writes plain values in row-major order.
    pub fn write(&self, path: &str, select: Select<'_>, values: &[Value]) -> Result<()> {
        self.call("write", json!({ "path": path, "select": select, "values": values }))
    }

    /// Resizes a dataset.
    pub fn resize(&self, path: &str, shape: &[u64]) -> Result<()> {
        self.call("resize", json!({ "path": path, "shape": shape }))
    }

    /// Appends `rows` rows of dataset number `dataset`'s formula along dimension 0, `each` at a time, flushing the dataset after
    /// each. Returns the number of rows there are then.
    pub fn append(&self, path: &str, dataset: u64, rows: u64, each: u64) -> Result<u64> {
        self.call("append", json!({ "path": path, "dataset": dataset, "rows": rows, "each": each }))
    }

    /// Compares all rows with dataset number `dataset`'s formula: the first that differs.
    pub fn verify(&self, path: &str, dataset: u64) -> Result<Option<Difference>> {
        self.call("verify", json!({ "path": path, "dataset": dataset }))
    }

    /// Looks again and again until there are `rows` rows, checking each time that no row has gone, every value that appeared, and some
    /// that were there before. It stops early, without an error, when `limit` has passed.
    ///
    /// A file opened with [`Mode::Swmr`] is refreshed; any other is closed and opened anew each time.
    pub fn follow(&self, path: &str, dataset: u64, rows: u64, mode: Mode, limit: Duration) -> Result<Followed> {
        let arguments = json!({
            "file": self.number, "path": path, "dataset": dataset, "rows": rows, "timeout": limit.as_secs_f64(),
            "swmr": mode == Mode::Swmr,
        });
        self.side.call_within("follow", arguments, limit + self.side.limit)
    }

    fn call<T: DeserializeOwned>(&self, command: &str, mut arguments: Value) -> Result<T> {
        arguments["file"] = self.number.into();
        self.side.call(command, arguments)
    }
}

impl Drop for H5File<'_> {
    fn drop(&mut self) {
        if self.open {
            // A test that cares closes by itself; one that fails, or has killed the process, has nothing to close.
            let _ = self.call::<()>("close", json!({}));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formula::{Formula, values};
    use crate::history::History;

    const SOON: Duration = Duration::from_secs(20);

    #[test]
    fn both_versions_answer() {
        for (version, h5py, hdf5) in [(Libhdf5::V2_0, "3.16.0", "2.0.0"), (Libhdf5::V1_14, "3.13.0", "1.14.6")] {
            let found = H5py::start(version).unwrap().versions().unwrap();
            assert_eq!((found.h5py.as_str(), found.hdf5.as_str()), (h5py, hdf5));
        }
    }

    #[test]
    fn files_are_made_and_read() {
        let (python, scratch) = (H5py::start(Libhdf5::V2_0).unwrap(), crate::scratch());
        let path = scratch.path().join("file.h5");
        let file = python.open(&path, Mode::Create).unwrap();
        file.create_group("a/b").unwrap();
        let new = NewDataset {
            maxshape: Some(&[None, Some(3)]),
            chunks: Some(&[4, 3]),
            filters: &[Filter::Shuffle, Filter::Deflate { level: 4 }],
            fill: json!(-1),
            dataset: Some(2),
            ..NewDataset::new(i32::DTYPE, &[10, 3])
        };
        file.create_dataset("a/d", &new).unwrap();
        let text = Type::String { length: None, charset: "utf-8".into(), padding: None };
        file.set_attribute("a/d", "unit", &text, &[2], &[json!("m²"), json!("")]).unwrap();
        file.resize("a/d", &[11, 3]).unwrap();
        file.write("a/d", Select::Block(&[10..11, 1..2]), &[json!(77)]).unwrap();
        file.close().unwrap();

        let file = python.open(&path, Mode::Read).unwrap();
        let tree = file.tree().unwrap();
        let paths: Vec<_> = tree.iter().map(|node| node.path.as_str()).collect();
        assert_eq!(paths, ["/", "/a", "/a/b", "/a/d"]);
        let Object::Dataset(dataset) = &tree[3].object else { panic!("{:?}", tree[3]) };
        assert_eq!(dataset.shape, Some(vec![11, 3]));
        assert_eq!(dataset.maxshape, Some(vec![None, Some(3)]));
        assert_eq!(dataset.chunks, Some(vec![4, 3]));
        assert_eq!(dataset.filters, [Filter::Shuffle, Filter::Deflate { level: 4 }]);
        assert_eq!(dataset.fill, Some(json!(-1)));
        let unit = Attribute { kind: text, shape: Some(vec![2]), values: Some(vec![json!("m²"), json!("")]) };
        assert_eq!(tree[3].attributes["unit"], unit);
        assert_eq!(file.attribute("a/d", "unit").unwrap(), unit);

        let written: Vec<u8> = values::<i32>(2, 0, 30).iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(file.read_raw("a/d", Select::Rows(0..10)).unwrap(), written);
        assert_eq!(file.digest("a/d", Select::Rows(0..10)).unwrap(), crate::digest(&written));
        assert_eq!(file.read("a/d", Select::Rows(10..11)).unwrap(), [json!(-1), json!(77), json!(-1)]);
        assert_eq!(file.read("a/d", Select::All).unwrap().len(), 33);
        assert_eq!(file.verify("a/d", 2).unwrap().map(|difference| difference.row), Some(10));
        assert_eq!(file.shape("a/d").unwrap(), Some(vec![11, 3]));
    }

    #[test]
    fn h5py_follows_h5py() {
        let scratch = crate::scratch();
        let path = scratch.path().join("live.h5");
        let writer = H5py::start(Libhdf5::V2_0).unwrap();
        let reader = H5py::start(Libhdf5::V1_14).unwrap();
        let file = writer.open(&path, Mode::Create).unwrap();
        let new = NewDataset { maxshape: Some(&[None]), chunks: Some(&[64]), ..NewDataset::new(f64::DTYPE, &[0]) };
        file.create_dataset("d", &new).unwrap();
        file.start_swmr().unwrap();
        let follower = reader.open(&path, Mode::Swmr).unwrap();
        let mut history = History::new(1, 1);
        for round in 1..=3 {
            assert_eq!(file.append("d", 1, 100, 10).unwrap(), round * 100);
            history.acknowledged(round * 100);
            history.asked(round * 100);
            let now = follower.refresh("d").unwrap()[0];
            let seen = history.seen();
            let bytes = follower.read_raw("d", Select::Rows(seen..now)).unwrap();
            let (rows, _) = bytes.as_chunks::<8>();
            let rows: Vec<f64> = rows.iter().map(|row| f64::from_le_bytes(*row)).collect();
            history.check(now, seen..now, &rows).unwrap();
        }
        let followed = std::thread::scope(|scope| {
            let writing = scope.spawn(|| file.append("d", 1, 500, 1));
            let followed = follower.follow("d", 1, 800, Mode::Swmr, SOON).unwrap();
            assert_eq!(writing.join().unwrap().unwrap(), 800);
            followed
        });
        assert_eq!(followed.rows, 800);

        // The judge in Python can condemn, too.
        let error = follower.follow("d", 2, 800, Mode::Swmr, SOON).unwrap_err();
        assert!(matches!(&error, Error::Python { kind, .. } if kind == "AssertionError"), "{error}");
    }

    #[test]
    fn failures_say_what_happened() {
        let python = H5py::start(Libhdf5::V2_0).unwrap().with_limit(Duration::from_millis(2500));
        let error = python.open("/no/such/file", Mode::Read).map(|_| ()).unwrap_err();
        assert!(matches!(&error, Error::Python { kind, .. } if kind == "FileNotFoundError"), "{error}");
        let error = python.run("1 / 0", Value::Null).unwrap_err();
        assert!(error.to_string().contains("Traceback"), "{error}");
        let printed = python.run("print('to the log'); result = [1, None]", Value::Null).unwrap();
        assert_eq!(printed, json!([1, null]));

        let error = python.run("import time; time.sleep(100)", Value::Null).unwrap_err();
        assert!(matches!(&error, Error::Timeout { log, .. } if log.contains("to the log")), "{error}");
        let error = python.versions().unwrap_err();
        assert!(matches!(error, Error::Ended { .. }), "{error}");
    }
}

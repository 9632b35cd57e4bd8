//! HDF5 files that anyone can read while you write them.
//!
//! One process appends, any number of others, in any language, follow along. There is no synchronisation between them, and
//! a crash at any instant costs nothing that was published.
//!
//! ```no_run
//! # fn main() -> h5live::Result<()> {
//! // One process writes ...
//! let file = h5live::File::create("run.h5")?;
//! let signal = file.new_dataset::<f64>("entry/signal").shape([0, 512]).unlimited().gzip(4).create()?;
//! let live = file.go_live()?; // readers may come from now on
//! signal.append(&vec![0.5; 512])?;
//! live.publish()?; // one commit over everything changed
//!
//! // ... others follow.
//! let signal = h5live::File::follow("run.h5")?.dataset("entry/signal")?;
//! for growth in signal.watch()? {
//!     let rows: ndarray::Array2<f64> = signal.read_as(growth?.rows)?;
//!     println!("{} new rows", rows.nrows());
//! } // ends when the writer closes the file
//! # Ok(())
//! # }
//! ```

mod append;
mod attribute;
pub mod check;
mod chunk;
mod convert;
pub mod copy;
mod create;
mod dataset;
mod element;
mod error;
mod file;
pub mod filter;
mod group;
mod heap;
mod known;
mod lifecycle;
mod live;
mod members;
mod object;
pub mod recover;
mod selection;
mod source;
mod structure;
mod value;
mod watch;

pub use append::Elements;
pub use attribute::Attribute;
pub use create::DatasetBuilder;
pub use dataset::{ChunkInfo, Dataset, FilterInfo, Layout, VirtualMapping};
pub use element::{Bytes, ComplexPart, Element, HeapRead, HeapWrite};
pub use error::{Error, ErrorKind, Result};
pub use file::File;
pub use filter::{BitshuffleCodec, BloscCodec, BloscShuffle, FilterId, SzipCoding, ZfpMode};
pub use group::{CommittedDatatype, Group, Link, Member, MemberKind, Object, Target};
pub use h5live_format::message::datatype;
pub use h5live_format::message::{CharacterSet, Datatype, FillTime, Name, StringPadding};
/// Elements of a dataset as region references name them.
pub use h5live_format::selection as region;
pub use h5live_storage::Locking;
pub use half::f16;
pub use lifecycle::{FileBuilder, Live};
pub use live::{LockWarning, WriterIdentity, WriterState};
pub use num_complex::Complex;
pub use selection::{IntoSelection, Selection, Slab};
pub use structure::{AttributeValue, GroupBuilder};
pub use value::{Reference, Value};
pub use watch::{Growth, Sight, Vigil, Wait, Waker, Watch};

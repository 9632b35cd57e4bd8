//! h5live and libhdf5, each reading what the other wrote: every kind of type, shape, storage, filter, fill value and selection; files
//! that both have written to; and what neither accepts.
//!
//! The other side is h5py 3.16 (HDF5 2.0), h5py 3.13 (HDF5 1.14) and h5dump 1.10; `cargo xtask setup` installs them.

mod append;
mod bad_input;
mod case;
mod late;
mod plain;
mod read;
mod selections;
mod write;

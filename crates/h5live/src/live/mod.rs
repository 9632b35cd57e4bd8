//! Writing, and following what another writes. This is the only room that writes to a file.

pub(crate) mod dataset;
mod exclusion;
pub(crate) mod follower;
pub(crate) mod layer;
pub(crate) mod session;
pub(crate) mod space;
pub(crate) mod stage;
pub(crate) mod trailer;
pub(crate) mod writer;

pub use exclusion::LockWarning;
pub use follower::WriterState;
pub use trailer::Writer as WriterIdentity;

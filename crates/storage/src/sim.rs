//! A disk that lies on purpose, for tests of what a crash, a slow reader or a failing device may show.
//!
//! [`Disk`] is a [`Storage`](crate::Storage) that remembers everything done to it. From that memory it makes up every state the protocol
//! above must bear. One seed replays a run exactly.
//!
//! # What is taken as given
//!
//! - A page of [`PAGE`] bytes is read, and reaches the medium, whole: entirely an older version of it or entirely a newer one. Nothing
//!   larger is whole. Nothing smaller is promised either: a write of part of a page carries the rest of the page with it.
//! - An acknowledged [`Barrier::Durable`](crate::Barrier) settles every write before it, unless the device lies (see below).
//! - A file's length is like one more page: older or newer, independently of the pages.
//!
//! # What may happen
//!
//! *The process dies* ([`CrashKind::Killed`]): the file is as after some number of the writes, each whole.
//!
//! *The process dies, or the machine, within a write* ([`CrashKind::Torn`]): a write across page boundaries may have reached only what
//! lies before one of them, or only what lies after.
//!
//! *Power is lost* ([`CrashKind::PowerLost`]): for each page, and for the length, any version between the last settled one and the newest.
//! A write may survive without any of those before it. All this by the seed; nothing surviving is always among the draws.
//!
//! *A reader lags* ([`LaggingView`]): each page is seen at some version, never an older one than was seen of that page before. A reader
//! that sees a write made after a barrier sees everything made before that barrier: nothing else orders what it sees.
//!
//! *A reader is slow* ([`SlowView`]): any number of writes pass between two of its reads, in their order.
//!
//! *The device fails* ([`Fault`]): a call fails, in part done; the disk is full; a sync fails, and then the kernel forgets that it
//! did: later syncs succeed without settling what the failed one covered; a sync claims success and settles nothing.
//!
//! # Negative controls
//!
//! A harness that cannot fail proves nothing. Leave out a barrier, let a view ignore them ([`LaggingView::ignoring_barriers`]), or let time
//! run backwards ([`SlowView::turning_back`]), and the checker must object.

mod crash;
mod disk;
mod fault;
mod image;
mod lagging;
mod random;
mod slow;

pub use crash::{CrashImage, CrashImages, CrashKind, CrashPlan, Side};
pub use disk::{Disk, Event};
pub use fault::{Fault, FaultKind, Operation};
pub use image::{Image, PAGE};
pub use lagging::LaggingView;
pub use random::Random;
pub use slow::SlowView;

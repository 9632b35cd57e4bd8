//! A workload done on a simulated disk.

use std::sync::Arc;

use h5live::{ErrorKind, File};
use h5live_storage::sim::{Disk, Event, Fault};

use crate::workload::Workload;

/// Which publications are durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settling {
    /// None after the first.
    Never,
    /// All.
    Always,
    /// Each whose number is a multiple of this.
    Every(u64),
}

impl Settling {
    fn is_durable(self, step: u64) -> bool {
        match self {
            Self::Never => false,
            Self::Always => true,
            Self::Every(many) => step.is_multiple_of(many),
        }
    }
}

/// A workload that was done.
#[derive(Debug)]
pub struct Run {
    /// The disk it was done on, with a mark after each publication.
    pub disk: Arc<Disk>,
    /// How much the disk had done when the file went live.
    pub from: usize,
    /// Which publications were durable.
    pub settling: Settling,
}

impl Run {
    /// The last publication that was acknowledged.
    #[must_use]
    pub fn marked(&self) -> u64 {
        let marks = self.disk.log().into_iter().rev();
        marks.into_iter().find_map(|event| if let Event::Mark(mark) = event { Some(mark) } else { None }).unwrap_or(0)
    }

    /// The last publication up to number `marked` that was durable.
    #[must_use]
    pub fn kept(&self, marked: u64) -> u64 {
        (0..=marked).rev().find(|step| self.settling.is_durable(*step)).unwrap_or(0)
    }
}

/// Does a workload on a disk, with a mark after each publication.
///
/// # Panics
/// When h5live fails on a disk that does not.
#[must_use]
pub fn run(workload: &dyn Workload, steps: u64, settling: Settling, close: bool, seed: u64) -> Run {
    let disk = Arc::new(Disk::new(seed));
    let file = File::create_with(disk.clone()).unwrap();
    workload.begin(&file).unwrap();
    let live = file.go_live().unwrap();
    // One that never asks for it again must not owe it either.
    if settling == Settling::Never { live.publish() } else { live.publish_durably() }.unwrap();
    disk.mark(0);
    let from = disk.log().len();
    for step in 1..=steps {
        workload.step(&file, step).unwrap_or_else(|error| panic!("{}: step {step}: {error}", workload.name()));
        let published = if settling.is_durable(step) { live.publish_durably() } else { live.publish() };
        published.unwrap_or_else(|error| panic!("{}: publication {step}: {error}", workload.name()));
        disk.mark(step);
    }
    if close {
        drop(live);
        file.close().unwrap();
    } else {
        // A writer that is killed does not close: the crashes end where the steps do.
        std::mem::forget((live, file));
    }
    Run { disk, from, settling }
}

/// The same on a disk that meets a fault once the file is live. A publication that fails is tried again; a writer that cannot go on ends as
/// if it were killed.
///
/// # Panics
/// When h5live fails before the fault.
#[must_use]
pub fn run_with_faults(workload: &dyn Workload, steps: u64, settling: Settling, fault: Fault, seed: u64) -> Run {
    let disk = Arc::new(Disk::new(seed));
    let file = File::create_with(disk.clone()).unwrap();
    workload.begin(&file).unwrap();
    let live = file.go_live().unwrap();
    live.publish_durably().unwrap();
    disk.mark(0);
    let from = disk.log().len();
    disk.inject(fault);
    for step in 1..=steps {
        if workload.step(&file, step).is_err() {
            break;
        }
        let publish = || if settling.is_durable(step) { live.publish_durably() } else { live.publish() };
        let published = publish().or_else(|_| publish());
        match published {
            Ok(()) => disk.mark(step),
            // What a failed sync has left behind is said, and never promised.
            Err(error) if matches!(error.kind(), ErrorKind::NotDurable { .. }) => break,
            Err(_) => break,
        }
    }
    std::mem::forget((live, file));
    Run { disk, from, settling }
}

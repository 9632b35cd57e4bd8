//! Workloads on a simulated disk, and every crash that it can make up: what is left opens, holds everything that was acknowledged and a
//! valid prefix of the rest, and can be appended to at once.

mod judge;
mod libhdf5;
mod run;
mod tally;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use h5live::{Dataset, File};
use h5live_storage::ReadAt;
use h5live_storage::sim::{CrashKind, CrashPlan, Disk, Event, Fault, FaultKind, Operation, Random, SlowView};
use rayon::prelude::*;

pub use judge::{judge, judge_kept, judge_resumed, resume};
pub use libhdf5::Court;
pub use run::{Run, Settling, run, run_with_faults};
pub use tally::Tally;

use crate::workload::{Checked, Workload, all};

/// The number by which rows of a session that resumed tell from those before.
pub const RESUMED: u64 = 1000;

/// A campaign: crashes until there were enough.
#[derive(Debug, Clone)]
pub struct Campaign {
    /// How many states to judge, at least.
    pub states: u64,
    /// What everything left to chance follows from.
    pub seed: u64,
    /// Only workloads whose names contain this.
    pub workload: String,
    /// Of how many states one is shown to libhdf5; 0 for none.
    pub shown_every: u64,
}

impl Campaign {
    /// Goes through rounds of crashes until there were enough, calling `told` after each. A round does all workloads; its seed is that of
    /// the campaign and its number.
    pub fn run(&self, told: impl Fn(&Tally)) -> Tally {
        let mut tally = Tally::default();
        let mut round = 0;
        while tally.states() < self.states && !tally.is_hopeless() {
            let seed = self.seed.wrapping_add(round).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            // The first round is the plain one.
            let workloads: Vec<_> = all(if round == 0 { 0 } else { seed })
                .into_iter()
                .filter(|workload| workload.name().contains(&self.workload))
                .collect();
            if workloads.is_empty() {
                break;
            }
            let shown = AtomicU64::new(0);
            let found = workloads.par_iter().enumerate().map(|(at, workload)| {
                let seed = seed ^ (at as u64) << 40;
                let mut court = Court::new(self.shown_every, shown.fetch_add(7, Ordering::Relaxed));
                let mut tally = one_round(&**workload, seed, &mut court);
                court.close(&mut tally);
                tally
            });
            tally.add(found.reduce(Tally::default, Tally::and));
            round += 1;
            told(&tally);
        }
        tally
    }
}

/// All crashes of one workload once.
pub fn one_round(workload: &dyn Workload, seed: u64, court: &mut Court) -> Tally {
    let mut tally = Tally::default();
    let mut random = Random::new(seed);
    let is_large = workload.datasets().len() > 100;
    let steps = |random: &mut Random, most: usize| match is_large {
        true => 2,
        false => (most / 2 + random.below(most / 2)) as u64,
    };
    let (every, losses) = match workload.datasets().len() {
        0..=5 => (4, 3),
        6..=100 => (8, 1),
        _ => (40, 1),
    };

    let count = steps(&mut random, 40);
    let visible = run(workload, count, Settling::Never, true, seed);
    let plan = CrashPlan { from: visible.from, torn: true, ..CrashPlan::killed() };
    crashes(workload, &visible, &plan, every, court, &mut tally);

    if !workload.name().starts_with("overwriting") {
        let count = steps(&mut random, 20);
        let durable = run(workload, count, Settling::Always, random.chance(1, 2), seed);
        let plan = CrashPlan { from: durable.from, killed: false, torn: false, power_losses: losses, seed };
        crashes(workload, &durable, &plan, every, court, &mut tally);

        let count = steps(&mut random, 30);
        let mixed = run(workload, count, Settling::Every(3), random.chance(1, 2), seed);
        let plan = CrashPlan { from: mixed.from, killed: false, torn: false, power_losses: losses, seed };
        crashes(workload, &mixed, &plan, every, court, &mut tally);
    }
    if !workload.datasets().is_empty() && !is_large {
        let count = steps(&mut random, 20);
        crashes_of_the_next(workload, &run(workload, count, Settling::Never, false, seed), &mut tally);
    }
    faults(workload, &mut random, is_large, &mut tally);
    let count = steps(&mut random, 60);
    let watched = run(workload, count, Settling::Never, random.chance(1, 2), seed);
    slow(workload, &watched, if is_large { 4 } else { 60 }, seed, &mut tally);
    if !["overwriting", "new", "shrinking", "attributes"].iter().any(|begin| workload.name().starts_with(begin)) {
        lagging(workload, if is_large { 3 } else { 30 }, seed, &mut tally);
    }
    tally
}

/// Of so many crashes one is looked at structure by structure.
const CHECK_EVERY: u64 = 7;

/// Goes through the crashes of a plan, resuming after every `resume_every`th.
pub fn crashes(
    workload: &dyn Workload,
    run: &Run,
    plan: &CrashPlan,
    resume_every: u64,
    court: &mut Court,
    tally: &mut Tally,
) {
    for crash in run.disk.crash_images(plan) {
        if tally.is_hopeless() {
            return;
        }
        let lost_power = matches!(crash.kind, CrashKind::PowerLost { .. });
        let sort = match (crash.kind, run.settling) {
            (CrashKind::Killed, _) => "killed",
            (CrashKind::Torn { .. }, _) => "torn",
            (CrashKind::PowerLost { .. }, Settling::Always) => "power lost, durable",
            (CrashKind::PowerLost { .. }, _) => "power lost, visible after durable",
        };
        let kept = lost_power && run.settling != Settling::Always;
        let judged = match kept {
            true => judge_kept(workload, &crash, run),
            false => judge(workload, &crash),
        };
        let Some(judged) = judged else { continue };
        let number = tally.count(&workload.name(), sort);
        let what = || format!("{}: {sort}: {crash}", workload.name());
        if let Err(why) = judged {
            tally.complain(format!("{}: {why}", what()));
            continue;
        }
        court.show(workload, &crash, run, kept, &what, tally);
        // After a loss of power, what was only visible may be there in part: index entries without what they name.
        if !kept && number.is_multiple_of(CHECK_EVERY) {
            tally.count(&workload.name(), "checked");
            if let Err(why) = judge::check(&crash) {
                tally.complain(format!("{}: {why}", what()));
            }
        }
        if number.is_multiple_of(resume_every) {
            tally.count(&workload.name(), "resumed");
            let resumed = match kept {
                true => judge::resume_kept(workload, Arc::new(crash.image.clone()), RESUMED, &crash, run),
                false => resume(workload, Arc::new(crash.image.clone()), RESUMED, |_| {}),
            };
            if let Err(why) = resumed {
                tally.complain(format!("{}: resumed: {why}", what()));
            }
        }
    }
}

/// A session that resumes can be killed too, at any moment from its first on, and so on.
pub fn crashes_of_the_next(workload: &dyn Workload, run: &Run, tally: &mut Tally) {
    let images: Vec<_> = run.disk.crash_images(&CrashPlan { from: run.from, ..CrashPlan::killed() }).collect();
    for first in images.iter().rev().step_by(images.len() / 4 + 1) {
        let second = Arc::new(Disk::with_image(&first.image, 3));
        if let Err(why) = resume(workload, second.clone(), RESUMED, |mark| second.mark(mark)) {
            tally.complain(format!("{}: {first}: {why}", workload.name()));
            continue;
        }
        for crash in second.crash_images(&CrashPlan::killed()).step_by(7) {
            tally.count(&workload.name(), "killed after resuming");
            let checked = judge_resumed(workload, &crash)
                .and_then(|()| resume(workload, Arc::new(crash.image.clone()), 2 * RESUMED, |_| {}));
            if let Err(why) = checked {
                tally.complain(format!("{}: {first}, then {crash}: {why}", workload.name()));
            }
        }
    }
}

/// A device that fails while a workload is done: what was acknowledged stays, whatever is killed or loses power after.
fn faults(workload: &dyn Workload, random: &mut Random, is_large: bool, tally: &mut Tally) {
    let kinds = [
        (Operation::Write, FaultKind::Broken, "write: EIO"),
        (Operation::Write, FaultKind::Full, "write: ENOSPC"),
        (Operation::Write, FaultKind::Short, "write: short"),
        (Operation::Write, FaultKind::Interrupted, "write: EINTR"),
        (Operation::SetLen, FaultKind::Full, "set length: ENOSPC"),
        (Operation::Sync, FaultKind::Broken, "sync: fails once, then lies"),
        (Operation::Read, FaultKind::Broken, "read: EIO"),
        (Operation::Read, FaultKind::Short, "read: short"),
        (Operation::Read, FaultKind::Interrupted, "read: EINTR"),
    ];
    let (operation, kind, sort) = kinds[random.below(kinds.len())];
    let durable = operation == Operation::Sync || random.chance(1, 2);
    let settling = if durable { Settling::Always } else { Settling::Never };
    let after = random.below(if operation == Operation::SetLen { 2 } else { 60 }) as u64;
    let fault = Fault { operation, after, lasting: kind == FaultKind::Full && random.chance(1, 2), kind };
    let steps = if is_large { 2 } else { 12 };
    let run = run_with_faults(workload, steps, settling, fault, random.number());
    let losses = if durable && !workload.name().starts_with("overwriting") { 2 } else { 0 };
    // A write that is cut short is not torn once more.
    let plan = CrashPlan { from: run.from, killed: true, torn: false, power_losses: losses, seed: random.number() };
    for crash in run.disk.crash_images(&plan) {
        if tally.is_hopeless() {
            return;
        }
        tally.count(&workload.name(), sort);
        if let Some(Err(why)) = judge(workload, &crash) {
            tally.complain(format!("{}: {sort} ({fault:?}): {crash}: {why}", workload.name()));
        }
    }
    // A reader whose device fails says so, and is right the next time.
    let disk = Arc::new(Disk::with_image(&run.disk.image(), 1));
    for kind in [FaultKind::Broken, FaultKind::Interrupted, FaultKind::Short] {
        let after = random.below(30) as u64;
        disk.inject(Fault { operation: Operation::Read, after, lasting: false, kind });
        tally.count(&workload.name(), "a reader's device fails");
        let step = run.marked();
        let look = || {
            File::open_with(disk.clone()).map_err(|error| error.to_string()).map(|file| {
                let first = workload.check(&file, step);
                first.or_else(|why| workload.check(&file, step + 1).map_err(|also| format!("{why}; {also}")))
            })
        };
        let first = look();
        if disk.pending_faults().is_empty()
            && !matches!(first, Ok(Ok(())))
            && let Err(why) | Ok(Err(why)) = look()
        {
            tally.complain(format!("{}: a reader's device failed ({kind:?}), then {why}", workload.name()));
        }
    }
}

/// Readers that come at any moment and are held up between their reads, while publications pass, see what was there at the time.
pub fn slow(workload: &dyn Workload, run: &Run, looks: u64, seed: u64, tally: &mut Tally) {
    let mut random = Random::new(seed);
    let log = run.disk.log();
    let is_closed = !matches!(log.last(), Some(Event::Mark(_)));
    let mut apart = false;
    for _ in 0..looks {
        let since = run.from + random.below(log.len() - run.from);
        let view = Arc::new(run.disk.slow_view(since, random.number()));
        apart = !apart && !is_closed;
        let Some(judged) = slow_look(workload, run, view.clone(), since, apart) else { return };
        tally.count(&workload.name(), "a slow look");
        if let Err(why) = judged {
            let how = if apart { "by the object headers alone" } else { "by the trailer" };
            tally.complain(format!("{}: {how}, from event {since} to {}: {why}", workload.name(), view.moment()));
        }
    }
}

/// One look through `view`, which begins at event number `since`; by the object headers alone if `apart`. None for workloads of which
/// nothing can be said.
pub fn slow_look(
    workload: &dyn Workload,
    run: &Run,
    view: Arc<SlowView>,
    since: usize,
    apart: bool,
) -> Option<Checked> {
    let storage: Arc<dyn ReadAt> = if apart { Arc::new(WithoutFooter(view)) } else { view };
    let marks = run.disk.log().into_iter().take(since).rev();
    let marked = marks.into_iter().find_map(|event| if let Event::Mark(mark) = event { Some(mark) } else { None });
    match File::open_with(storage) {
        Ok(file) => workload.check_between(&file, marked.unwrap_or(0), run.marked()),
        Err(error) => Some(Err(error.to_string())),
    }
}

/// A file whose trailer cannot be found, for its last byte is hidden: what its object headers say counts, and nothing is read twice.
struct WithoutFooter(Arc<SlowView>);

impl ReadAt for WithoutFooter {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.size()? - 1)
    }

    fn read_exact_at(&self, buf: &mut [u8], at: u64) -> io::Result<()> {
        self.0.read_exact_at(buf, at)
    }
}

/// A reader that sees old pages beside new ones, as barriers allow, sees publications all the same.
pub fn lagging(workload: &dyn Workload, steps: u64, seed: u64, tally: &mut Tally) {
    let disk = Arc::new(Disk::new(7));
    let written = || -> h5live::Result<Checked> {
        let file = File::create_with(disk.clone())?;
        workload.begin(&file)?;
        let live = file.go_live()?;
        let views: Vec<_> = (0..3).map(|at| Arc::new(disk.lagging_view(seed.wrapping_add(at)))).collect();
        let followers = views.iter().map(|view| File::open_with(view.clone())).collect::<h5live::Result<Vec<_>>>()?;
        // Handles stay: what they show must be refreshed together.
        let mut handles: Vec<Vec<Dataset>> = Vec::new();
        for follower in &followers {
            let datasets = workload.datasets();
            handles.push(datasets.iter().map(|(path, _)| follower.dataset(path)).collect::<h5live::Result<_>>()?);
        }
        let mut least = vec![0; followers.len()];
        for step in 1..=steps {
            workload.step(&file, step)?;
            live.publish()?;
            for (at, follower) in followers.iter().enumerate() {
                tally.count(&workload.name(), "a look that lags");
                if let Err(error) = follower.refresh() {
                    tally.complain(format!("{}: refresh: {error}", workload.name()));
                    continue;
                }
                match (least[at]..=step).find(|shown| workload.check(follower, *shown).is_ok()) {
                    Some(shown) => least[at] = shown,
                    None => tally.complain(format!(
                        "{}: after {step}, not before {}: {:?} {:?}",
                        workload.name(),
                        least[at],
                        handles[at].iter().map(Dataset::shape).collect::<Vec<_>>(),
                        workload.check(follower, step)
                    )),
                }
            }
        }
        drop(live);
        file.close()?;
        for (view, follower) in views.iter().zip(&followers) {
            view.catch_up();
            follower.refresh()?;
            if let Err(why) = workload.check(follower, steps) {
                return Ok(Err(why));
            }
        }
        Ok(Ok(()))
    };
    let result = { written }();
    match result {
        Ok(Ok(())) => {}
        Ok(Err(why)) => tally.complain(format!("{}: closed: {why}", workload.name())),
        Err(error) => tally.complain(format!("{}: {error}", workload.name())),
    }
}

/// Whether looking at bytes is all that a reader does: an image that a reader has looked at is what it was.
#[must_use]
pub fn looking_changes_nothing(workload: &dyn Workload) -> bool {
    let image = run(workload, 5, Settling::Never, false, 1).disk.image();
    let before = image.to_vec();
    let Ok(file) = File::open_with(Arc::new(image.clone()) as Arc<dyn ReadAt>) else { return false };
    file.refresh().is_ok() && workload.check(&file, 5).is_ok() && image.to_vec() == before
}

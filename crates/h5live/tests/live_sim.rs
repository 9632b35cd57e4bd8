//! Every crash that a simulated disk can make up, at every moment of a live session: what it leaves behind opens, holds everything
//! that was acknowledged and a valid prefix of the rest, and can be appended to at once.

mod live_common;

use std::sync::Arc;

use h5live::{Dataset, File};
use h5live_storage::sim::{CrashImage, CrashPlan, Disk, Event, Image};
use h5live_storage::{Barrier, ReadAt, Storage};
use live_common::{KINDS, Kind, kind};

/// The number by which rows of a session that resumed tell from those before.
const RESUMED: u64 = 1000;

type Checked = Result<(), String>;

/// Something that is done to a file again and again, each time with one publication.
trait Workload {
    fn name(&self) -> String;
    /// Before the file is live.
    fn begin(&self, file: &File);
    /// Everything up to a publication, for the `step`th time; the first is 1.
    fn step(&self, file: &File, step: u64);
    /// Judges a file that shows publication number `step`; 0 is the file as [`Workload::begin`] left it.
    fn check(&self, file: &File, step: u64) -> Checked;
    /// The datasets that a later session appends to.
    fn datasets(&self) -> Vec<(String, Kind)>;
}

/// Datasets that all grow together.
struct Growing(Vec<Kind>);

/// One dataset that grows, shrinks and grows again.
struct Shrinking(Kind);

/// Groups, datasets and attributes that come while the file is live.
struct Arriving;

/// Elements inside the extent, overwritten.
struct Overwriting(Kind);

fn path(at: usize) -> String {
    format!("group/dataset {at}")
}

fn open(file: &File, path: &str) -> Result<Dataset, String> {
    file.dataset(path).map_err(|error| error.to_string())
}

impl Workload for Growing {
    fn name(&self) -> String {
        self.0.iter().map(|kind| kind.name).collect::<Vec<_>>().join(" + ")
    }

    fn begin(&self, file: &File) {
        for (at, kind) in self.0.iter().enumerate() {
            kind.create(file, &path(at)).unwrap();
        }
    }

    fn step(&self, file: &File, _: u64) {
        for (at, kind) in self.0.iter().enumerate() {
            kind.append(&file.dataset(&path(at)).unwrap(), at as u64, kind.step).unwrap();
        }
    }

    fn check(&self, file: &File, step: u64) -> Checked {
        for (at, kind) in self.0.iter().enumerate() {
            let dataset = open(file, &path(at))?;
            let rows = step * kind.step;
            if dataset.shape()[0] != rows {
                return Err(format!("{}: {} rows instead of {rows}", kind.name, dataset.shape()[0]));
            }
            kind.check_shape(&dataset.shape())?;
            kind.check(&dataset, at as u64, 0..rows).map_err(|why| format!("{}: {why}", kind.name))?;
        }
        Ok(())
    }

    fn datasets(&self) -> Vec<(String, Kind)> {
        self.0.iter().enumerate().map(|(at, kind)| (path(at), *kind)).collect()
    }
}

impl Shrinking {
    /// Rows after a step, as (number, end) of the stretches they consist of.
    fn stretches(step: u64) -> Vec<(u64, u64)> {
        match step % 4 {
            _ if step == 0 => vec![],
            // Each round of four leaves three rows of the round before, and these three alone.
            1 => vec![(0, 3), (step, 20)],
            2 => vec![(0, 3), (step - 1, 20), (step, 35)],
            3 => vec![(0, 3), (step - 2, 9)],
            _ => vec![(0, 3)],
        }
    }
}

impl Workload for Shrinking {
    fn name(&self) -> String {
        format!("shrinking {}", self.0.name)
    }

    fn begin(&self, file: &File) {
        self.0.create(file, &path(0)).unwrap();
    }

    fn step(&self, file: &File, step: u64) {
        let dataset = file.dataset(&path(0)).unwrap();
        if step == 1 {
            self.0.append(&dataset, 0, 3).unwrap();
        }
        let now = dataset.shape();
        match Self::stretches(step).last() {
            Some(&(_, end)) if end < now[0] => dataset.resize([&[end], &now[1..]].concat()).unwrap(),
            Some(&(number, end)) => self.0.append(&dataset, number, end - now[0]).unwrap(),
            None => unreachable!("every step leaves something"),
        }
    }

    fn check(&self, file: &File, step: u64) -> Checked {
        let dataset = open(file, &path(0))?;
        let stretches = Self::stretches(step);
        let rows = stretches.last().map_or(0, |last| last.1);
        if dataset.shape()[0] != rows {
            return Err(format!("{} rows instead of {rows}", dataset.shape()[0]));
        }
        let mut start = 0;
        for (number, end) in stretches {
            self.0.check(&dataset, number, start..end)?;
            start = end;
        }
        Ok(())
    }

    fn datasets(&self) -> Vec<(String, Kind)> {
        vec![(path(0), self.0)]
    }
}

impl Workload for Arriving {
    fn name(&self) -> String {
        "new groups, datasets and attributes".to_owned()
    }

    fn begin(&self, file: &File) {
        file.create_group("all").unwrap();
        KINDS[0].create(file, &path(0)).unwrap();
    }

    fn step(&self, file: &File, step: u64) {
        let kind = KINDS[step as usize % KINDS.len()];
        let dataset = kind.create(file, &format!("all/{step}/data")).unwrap();
        kind.append(&dataset, step, 2 * kind.step).unwrap();
        dataset.set_attribute("step", step).unwrap();
        let group = file.group("all").unwrap();
        group.set_attribute(&format!("step {step}"), vec![step; step as usize]).unwrap();
        KINDS[0].append(&file.dataset(&path(0)).unwrap(), 0, 1).unwrap();
    }

    fn check(&self, file: &File, step: u64) -> Checked {
        let text = |error: h5live::Error| error.to_string();
        for step in 1..=step {
            let kind = KINDS[step as usize % KINDS.len()];
            let dataset = open(file, &format!("all/{step}/data"))?;
            kind.check(&dataset, step, 0..2 * kind.step)?;
            let found = dataset.attribute("step").and_then(|it| it.read_scalar::<u64>()).map_err(text)?;
            let group = file.group("all").map_err(text)?;
            let listed = group.attribute(&format!("step {step}")).and_then(|it| it.read_vec::<u64>()).map_err(text)?;
            if found != step || listed != vec![step; step as usize] {
                return Err(format!("attributes of step {step} are {found} and {listed:?}"));
            }
        }
        let dataset = open(file, &path(0))?;
        if dataset.shape()[0] != step {
            return Err(format!("{} rows after step {step}", dataset.shape()[0]));
        }
        // What is there of a step under way must be whole objects.
        for member in file.group("all").and_then(|group| group.members()).map_err(text)? {
            let inner = file.group(&format!("all/{}", member.name)).map_err(text)?;
            for member in inner.members().map_err(text)? {
                let dataset = inner.dataset(&member.name).map_err(text)?;
                dataset.read_values(..).map_err(text)?;
                dataset.attributes().map_err(text)?;
            }
        }
        KINDS[0].check(&dataset, 0, 0..step)
    }

    fn datasets(&self) -> Vec<(String, Kind)> {
        vec![(path(0), KINDS[0])]
    }
}

impl Workload for Overwriting {
    fn name(&self) -> String {
        format!("overwriting {}", self.0.name)
    }

    fn begin(&self, file: &File) {
        let dataset = self.0.create(file, &path(0)).unwrap();
        self.0.append(&dataset, 0, 30).unwrap();
    }

    fn step(&self, file: &File, step: u64) {
        let dataset = file.dataset(&path(0)).unwrap();
        let at = step * 7 % 28;
        dataset.write(at..at + 2, &[step as f64, step as f64]).unwrap();
    }

    /// Overwritten elements may be seen before they are published: each is what some step wrote, the last but one at least.
    fn check(&self, file: &File, step: u64) -> Checked {
        let found = open(file, &path(0))?.read_vec::<f64>(..).map_err(|error| error.to_string())?;
        let mut model = vec![Vec::new(); 30];
        for (row, allowed) in model.iter_mut().enumerate() {
            allowed.push(h5live_testkit::formula::values::<f64>(0, row as u64, 1)[0]);
        }
        for step in 1..=step + 1 {
            let at = (step * 7 % 28) as usize;
            model[at].push(step as f64);
            model[at + 1].push(step as f64);
        }
        for (row, (found, written)) in found.iter().zip(&model).enumerate() {
            let last_published = written.iter().rposition(|value| value.fract() != 0.0 || *value <= step as f64);
            if !written[last_published.unwrap_or(0)..].contains(found) {
                return Err(format!("row {row} is {found}, of {written:?}"));
            }
        }
        if found.len() == 30 { Ok(()) } else { Err(format!("{} rows", found.len())) }
    }

    fn datasets(&self) -> Vec<(String, Kind)> {
        Vec::new()
    }
}

/// Does a workload on a disk, with a mark after each publication, and returns the disk and how much it had done when the file
/// went live.
fn run(workload: &dyn Workload, steps: u64, durable: bool, close: bool) -> (Arc<Disk>, usize) {
    let disk = Arc::new(Disk::new(7));
    let file = File::create_with(disk.clone()).unwrap();
    workload.begin(&file);
    let live = file.go_live().unwrap();
    live.publish_durably().unwrap();
    disk.mark(0);
    let from = disk.log().len();
    for step in 1..=steps {
        workload.step(&file, step);
        if durable { live.publish_durably() } else { live.publish() }.unwrap();
        disk.mark(step);
    }
    if close {
        drop(live);
        file.close().unwrap();
    } else {
        // A writer that is killed does not close: the crashes end where the steps do.
        std::mem::forget((live, file));
    }
    (disk, from)
}

/// Judges one crash: the publication acknowledged last is seen, or the one under way.
fn judge(workload: &dyn Workload, crash: &CrashImage) -> Checked {
    let file = File::open_with(Arc::new(crash.image.clone())).map_err(|error| error.to_string())?;
    let done = crash.marked.unwrap_or(0);
    let Err(why) = workload.check(&file, done) else { return Ok(()) };
    match workload.check(&file, done + 1) {
        Ok(()) => Ok(()),
        Err(also) => Err(format!("neither publication {done} ({why}) nor the next ({also})")),
    }
}

/// Resumes after a crash on `storage`: what was there stays, what is appended is read back, what the crash left behind is never
/// seen. `published` is called after each publication.
fn resume(workload: &dyn Workload, storage: Arc<dyn Storage>, number: u64, mut published: impl FnMut(u64)) -> Checked {
    let text = |error: h5live::Error| error.to_string();
    let file = File::append_with(storage.clone()).map_err(text)?;
    let live = file.go_live().map_err(text)?;
    let mut stretches = Vec::new();
    for (path, kind) in workload.datasets() {
        let dataset = open(&file, &path)?;
        let before = dataset.read_values(..).map_err(text)?;
        let rows = dataset.shape()[0];
        if kind.limit.is_some_and(|limit| rows + 10 > limit) {
            continue;
        }
        kind.append(&dataset, number, 5).map_err(|error| format!("{path} of {rows} rows: {error}"))?;
        stretches.push((path, kind, rows, before));
    }
    live.publish().map_err(text)?;
    published(1);
    for (path, kind, _, _) in &stretches {
        kind.append(&open(&file, path)?, number, 2).map_err(text)?;
    }
    live.publish().map_err(text)?;
    published(2);
    let mut grown = Vec::new();
    for (path, _, rows, _) in &stretches {
        let dataset = open(&file, path)?;
        let mut shape = dataset.shape();
        shape[0] += 3;
        dataset.resize(shape.iter().copied()).map_err(text)?;
        grown.push((path.clone(), rows + 7, shape));
    }
    live.publish().map_err(text)?;
    let judge = |file: &File| -> Checked {
        for (path, kind, rows, before) in &stretches {
            let dataset = open(file, path)?;
            if let Some(at) =
                kept(kind, before, &dataset.read_values(0..*rows).map_err(text)?, dataset.shape()[1..].first())
            {
                return Err(format!("{path}: element {at} changed when the file was resumed"));
            }
            kind.check(&dataset, number, *rows..rows + 7).map_err(|why| format!("{path}, appended: {why}"))?;
        }
        for (path, rows, shape) in &grown {
            let dataset = open(file, path)?;
            if dataset.shape() != *shape {
                return Err(format!("{path} has {:?}, not {shape:?}", dataset.shape()));
            }
            let filled = dataset.read_raw(*rows..rows + 3).map_err(text)?;
            if filled.iter().any(|byte| *byte != 0) {
                return Err(format!(
                    "{path}: rows that nobody wrote after {rows} of {shape:?} are {:?}",
                    dataset.read_values(*rows..rows + 3)
                ));
            }
        }
        Ok(())
    };
    judge(&file).map_err(|why| format!("its writer sees {why}"))?;
    let reader: Arc<dyn ReadAt> = Arc::new(storage.clone());
    judge(&File::open_with(reader.clone()).map_err(text)?).map_err(|why| format!("while live, {why}"))?;
    drop(live);
    file.close().map_err(text)?;
    let closed = File::open_with(reader).map_err(text)?;
    judge(&closed).map_err(|why| format!("after closing, {why}"))?;
    Ok(())
}

/// The first element of `before` that is not the same in `after`, which may have more columns.
fn kept(kind: &Kind, before: &[h5live::Value], after: &[h5live::Value], columns: Option<&u64>) -> Option<usize> {
    if kind.content != live_common::Content::Grid {
        return (0..before.len()).find(|at| after.get(*at) != before.get(*at));
    }
    let now = *columns? as usize;
    let rows = after.len() / now;
    if rows == 0 {
        return None;
    }
    let then = before.len() / rows;
    (0..before.len()).find(|at| after.get(at / then * now + at % then) != before.get(*at))
}

/// Wrong states after which nobody looks for more.
const MOST_WRONG: usize = 30;

/// What a run over crashes found.
#[derive(Debug, Default)]
struct Found {
    states: usize,
    resumed: usize,
    wrong: Vec<String>,
}

/// Goes through the crashes of a plan, resuming after every `resume_every`th.
fn crashes(workload: &dyn Workload, disk: &Disk, plan: &CrashPlan, resume_every: usize, found: &mut Found) {
    for crash in disk.crash_images(plan) {
        if found.wrong.len() >= MOST_WRONG {
            return;
        }
        found.states += 1;
        let mut complain = |why: String| found.wrong.push(format!("{}: {crash}: {why}", workload.name()));
        if let Err(why) = judge(workload, &crash) {
            complain(why);
            continue;
        }
        if found.states.is_multiple_of(resume_every) {
            found.resumed += 1;
            if let Err(why) = resume(workload, Arc::new(crash.image.clone()), RESUMED, |_| {}) {
                complain(format!("resumed: {why}"));
            }
        }
    }
}

fn report(name: &str, found: &Found) {
    println!("{name}: {} crashes, {} resumed, {} wrong", found.states, found.resumed, found.wrong.len());
    let shown: Vec<_> = found.wrong.iter().take(12).map(String::as_str).collect();
    assert!(found.wrong.is_empty(), "{} of {} wrong:\n{}", found.wrong.len(), found.states, shown.join("\n"));
    assert!(found.states > 0);
}

fn workloads() -> Vec<Box<dyn Workload>> {
    let mut all: Vec<Box<dyn Workload>> = KINDS.iter().map(|kind| Box::new(Growing(vec![*kind])) as _).collect();
    all.push(Box::new(Growing(KINDS.to_vec())));
    all.push(Box::new(Growing(vec![kind("chunk of 4"); 12])));
    all.push(Box::new(Arriving));
    for name in ["chunk of 4", "gzip, parts of chunks", "limited", "gzip limited", "frames", "text", "chunk of 1"] {
        all.push(Box::new(Shrinking(kind(name))));
    }
    all.push(Box::new(Overwriting(kind("chunk of 4"))));
    all
}

#[test]
fn a_killed_writer_leaves_a_whole_file() {
    let mut found = Found::default();
    for workload in workloads() {
        let (disk, from) = run(&*workload, 40, false, true);
        let plan = CrashPlan { from, torn: true, ..CrashPlan::killed() };
        crashes(&*workload, &disk, &plan, 3, &mut found);
    }
    report("killed", &found);
}

#[test]
fn lost_power_takes_nothing_that_was_settled() {
    let mut found = Found::default();
    for workload in workloads() {
        if workload.name().starts_with("overwriting") {
            continue;
        }
        let (disk, from) = run(&*workload, 20, true, true);
        let plan = CrashPlan { from, killed: false, torn: false, power_losses: 3, seed: 11 };
        crashes(&*workload, &disk, &plan, 5, &mut found);
    }
    report("power lost", &found);
}

/// A session that resumes can be killed too, at any moment from its first on, and so on.
#[test]
fn a_writer_that_resumes_can_be_killed_again() {
    let mut found = Found::default();
    for workload in workloads() {
        if workload.datasets().is_empty() || found.wrong.len() >= MOST_WRONG {
            continue;
        }
        let (disk, from) = run(&*workload, 17, false, false);
        let crashes: Vec<_> = disk.crash_images(&CrashPlan { from, ..CrashPlan::killed() }).collect();
        for first in crashes.iter().rev().step_by(crashes.len() / 4 + 1) {
            let second = Arc::new(Disk::with_image(&first.image, 3));
            let resumed = resume(&*workload, second.clone(), RESUMED, |mark| second.mark(mark));
            if let Err(why) = resumed {
                found.wrong.push(format!("{}: {first}: {why}", workload.name()));
                continue;
            }
            for crash in second.crash_images(&CrashPlan::killed()).step_by(7) {
                found.states += 1;
                let checked = judge_resumed(&*workload, &crash).and_then(|()| {
                    found.resumed += 1;
                    resume(&*workload, Arc::new(crash.image.clone()), 2 * RESUMED, |_| {})
                });
                if let Err(why) = checked {
                    found.wrong.push(format!("{}: {first}, then {crash}: {why}", workload.name()));
                }
            }
        }
    }
    report("killed twice", &found);
}

/// After a second crash: rows of the first session, then at least those that the second one published.
fn judge_resumed(workload: &dyn Workload, crash: &CrashImage) -> Checked {
    let file = File::open_with(Arc::new(crash.image.clone())).map_err(|error| error.to_string())?;
    for (path, kind) in workload.datasets() {
        let dataset = open(&file, &path)?;
        let rows = dataset.shape()[0];
        let least = match crash.marked {
            None => 0,
            Some(1) => 5,
            Some(_) => 7,
        };
        if rows < least {
            return Err(format!("{path} has {rows} rows"));
        }
        // Somewhere a stretch of the second session's rows begins; its published rows are there, whole.
        let found = (least > 0)
            .then(|| (0..=rows - least).rev().any(|from| kind.check(&dataset, RESUMED, from..from + least).is_ok()));
        if found == Some(false) {
            return Err(format!("{path}: the {least} rows of the second session are not there"));
        }
        dataset.read_values(..).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// A reader that sees old pages beside new ones, as barriers allow, sees publications all the same.
#[test]
fn a_reader_that_lags_sees_publications() {
    let mut looks = 0;
    let mut wrong = Vec::new();
    for workload in workloads() {
        // What is not appended is not a snapshot: elements change, and go with a smaller extent, under a reader that is behind.
        if ["overwriting", "new", "shrinking"].iter().any(|begin| workload.name().starts_with(begin)) {
            continue;
        }
        let disk = Arc::new(Disk::new(7));
        let file = File::create_with(disk.clone()).unwrap();
        workload.begin(&file);
        let live = file.go_live().unwrap();
        let views: Vec<_> = (0..3).map(|seed| Arc::new(disk.lagging_view(seed))).collect();
        let followers: Vec<_> = views.iter().map(|view| File::open_with(view.clone()).unwrap()).collect();
        // Handles stay: what they show must be refreshed together.
        let handles: Vec<Vec<Dataset>> = followers
            .iter()
            .map(|follower| workload.datasets().iter().map(|(path, _)| follower.dataset(path).unwrap()).collect())
            .collect();
        let mut least = vec![0; followers.len()];
        for step in 1..=40 {
            workload.step(&file, step);
            live.publish().unwrap();
            for (at, follower) in followers.iter().enumerate() {
                looks += 1;
                if let Err(error) = follower.refresh() {
                    wrong.push(format!("{}: refresh: {error}", workload.name()));
                    continue;
                }
                let shown = (least[at]..=step).find(|shown| workload.check(follower, *shown).is_ok());
                match shown {
                    Some(shown) => least[at] = shown,
                    None => wrong.push(format!(
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
        file.close().unwrap();
        for (view, follower) in views.iter().zip(&followers) {
            view.catch_up();
            follower.refresh().unwrap();
            workload.check(follower, 40).unwrap();
        }
    }
    println!("{looks} looks");
    assert!(wrong.is_empty(), "{} of {looks} wrong:\n{}", wrong.len(), wrong[..wrong.len().min(12)].join("\n"));
}

/// The log of a run, done again with changes.
fn replay(log: &[Event]) -> Disk {
    let disk = Disk::new(7);
    for event in log {
        match event {
            Event::Write { at, bytes } => disk.write_all_at(bytes, *at).unwrap(),
            Event::SetLen(len) => disk.set_len(*len).unwrap(),
            Event::Barrier(barrier) => disk.barrier(*barrier).unwrap(),
            Event::Mark(mark) => disk.mark(*mark),
            Event::FailedSync => {}
        }
    }
    disk
}

/// A judge that cannot condemn is decoration. Each fault is one that a writer could have.
#[test]
fn faults_of_the_writer_would_be_found() {
    let steps = 12;
    let workload = Growing(vec![kind("chunk of 4"), kind("gzip, whole chunks")]);
    let (disk, from) = run(&workload, steps, true, false);
    let log = disk.log();
    let killed = CrashPlan { from, ..CrashPlan::killed() };
    let power = CrashPlan { from, killed: false, torn: false, power_losses: 4, seed: 5 };
    let is_wrong =
        |log: &[Event], plan: &CrashPlan| replay(log).crash_images(plan).any(|crash| judge(&workload, &crash).is_err());
    assert!(!is_wrong(&log, &killed) && !is_wrong(&log, &power), "as it is, nothing is wrong");

    let (before, live) = log.split_at(from);
    let changed = |live: Vec<Event>| [before.to_vec(), live].concat();
    let is_durable = |event: &Event| *event == Event::Barrier(Barrier::Durable);
    let unsettled =
        live.iter().map(|event| if is_durable(event) { Event::Barrier(Barrier::Visible) } else { event.clone() });
    assert!(is_wrong(&changed(unsettled.collect()), &power), "no sync");

    // Each publication's layers in reverse: the extent before what it counts.
    let mut reversed = Vec::new();
    for publication in live.split_inclusive(|event| matches!(event, Event::Mark(_))) {
        let (mark, writes) = publication.split_last().unwrap();
        reversed.extend(writes.iter().rev().cloned());
        reversed.push(mark.clone());
    }
    assert!(is_wrong(&changed(reversed), &killed), "layers in reverse");

    // The acknowledgement before the last layer.
    let mut early = Vec::new();
    for publication in live.split_inclusive(|event| matches!(event, Event::Mark(_))) {
        let (mark, writes) = publication.split_last().unwrap();
        early.push(mark.clone());
        early.extend(writes.iter().cloned());
    }
    assert!(is_wrong(&changed(early), &killed), "acknowledged too early");

    // One write that never happens; not all matter to a crash: many move the end-of-file ahead, say who writes, or are made up
    // for by the next. Whoever judges may have to be patient with what is broken, so several judge at once.
    let writes: Vec<usize> = (0..live.len()).filter(|at| matches!(live[*at], Event::Write { .. })).step_by(5).collect();
    let noticed: usize = std::thread::scope(|scope| {
        let judges: Vec<_> = writes
            .iter()
            .map(|at| {
                let mut live = live.to_vec();
                live.remove(*at);
                let log = changed(live);
                scope.spawn(|| usize::from(is_wrong(&{ log }, &killed)))
            })
            .collect();
        judges.into_iter().map(|judge| judge.join().unwrap()).sum()
    });
    assert!(noticed * 2 > writes.len(), "only {noticed} of {} lost writes were noticed", writes.len());
}

/// A crash leaves the same file whether or not it is looked at: an image is never changed by reading.
#[test]
fn looking_changes_nothing() {
    let (disk, _) = run(&Growing(vec![kind("gzip, parts of chunks")]), 5, false, false);
    let image: Image = disk.image();
    let before = image.to_vec();
    let file = File::open_with(Arc::new(image.clone())).unwrap();
    file.refresh().unwrap();
    file.dataset(&path(0)).unwrap().read_values(..).unwrap();
    assert!(image.to_vec() == before);
}

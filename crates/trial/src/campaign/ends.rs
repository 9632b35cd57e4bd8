//! The end is known: closed, died, and nothing new yet, told apart within a second; files that are renamed, truncated and replaced.

use std::path::Path;
use std::time::{Duration, Instant};

use h5live::{Error, ErrorKind, File, Watch, WriterState};
use h5live_storage::sim::Random;
use h5live_testkit::process::Child;
use h5live_testkit::{H5py, Libhdf5, scratch};
use serde_json::json;

use super::{Failure, LIMIT, Report, player, say};
use crate::kinds::{KINDS, WRITE};

/// Within which an end must be told.
const SECOND: Duration = Duration::from_secs(1);
/// How long nothing must be told of a writer that does nothing.
const QUIET: Duration = Duration::from_millis(40);
/// One run in so many has a writer that is stock h5py.
const FOREIGN: u64 = 20;

/// Appends as often as it is told to, and closes when it is told to.
pub(super) fn write(path: &str) -> Result<(), Failure> {
    let file = File::create(path)?;
    let dataset = KINDS[0].create(&file, "data")?;
    let live = file.go_live()?;
    say("live");
    let mut line = String::new();
    while std::io::stdin().read_line(&mut line)? > 0 {
        match line.trim() {
            "append" => {
                KINDS[0].append(&dataset, 0, 1)?;
                live.publish()?;
                say("appended");
            }
            _ => break,
        }
        line.clear();
    }
    drop(dataset);
    drop(live);
    file.close()?;
    Ok(())
}

/// What becomes of the file, or of its writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Closed,
    Died,
    Waiting,
    Renamed,
    Truncated,
    Replaced,
}

const FATES: [Fate; 12] = [
    Fate::Closed,
    Fate::Died,
    Fate::Waiting,
    Fate::Closed,
    Fate::Died,
    Fate::Waiting,
    Fate::Closed,
    Fate::Died,
    Fate::Waiting,
    Fate::Renamed,
    Fate::Truncated,
    Fate::Replaced,
];

/// What a watch told last.
#[derive(Debug)]
enum Told {
    End,
    Failed(Error),
    Nothing,
}

pub(super) fn run(count: u64, seed: u64) -> Result<Report, Failure> {
    let mut report = Report::default();
    let mut random = Random::new(seed);
    let scratch = scratch();
    for number in 0..count {
        let path = scratch.path().join(format!("{number}.h5"));
        if number % FOREIGN == FOREIGN - 1 {
            foreign(&path, Libhdf5::ALL[(number / FOREIGN) as usize % 2], number % 3 == 0, &mut report)?;
        } else {
            one(&path, FATES[random.below(FATES.len())], &mut random, &mut report)?;
        }
        for left in std::fs::read_dir(scratch.path())?.flatten() {
            std::fs::remove_file(left.path())?;
        }
    }
    Ok(report)
}

fn one(path: &Path, fate: Fate, random: &mut Random, report: &mut Report) -> Result<(), Failure> {
    let mut writer = player(&["ends", &path.to_string_lossy()]).start()?;
    writer.expect("live", LIMIT)?;
    let file = File::follow(path)?;
    let mut watch = file.dataset("data")?.watch_from(0)?.with_timeout(QUIET);
    let mut rows = 0;
    for _ in 0..random.below(4) {
        append(&mut writer)?;
        rows += 1;
    }
    // A reader that waits, or one that comes when all is over.
    let first = listen(&mut watch, &mut 0, rows);
    if !matches!(first, Told::Nothing) {
        report.complain(format!("{fate:?}: told {first:?} of a writer that waits"));
    }
    match fate {
        Fate::Waiting => {}
        Fate::Closed => {
            writer.say("close")?;
            writer.finish(LIMIT)?;
        }
        Fate::Died => {
            writer.kill();
        }
        Fate::Renamed => {
            std::fs::rename(path, path.with_extension("renamed"))?;
            append(&mut writer)?;
        }
        Fate::Truncated => {
            std::fs::File::options().write(true).open(path)?.set_len(600)?;
        }
        Fate::Replaced => {
            let other = path.with_extension("other");
            std::fs::copy(path, &other)?;
            std::fs::rename(&other, path)?;
        }
    }
    let begun = Instant::now();
    let mut watch = watch.with_timeout(if fate == Fate::Waiting { QUIET } else { 2 * SECOND });
    let told = match fate {
        // A row that comes after the renaming is told like any other; then the writer closes it.
        Fate::Renamed => {
            let growth = watch.next();
            if !matches!(&growth, Some(Ok(growth)) if growth.rows == (rows..rows + 1)) {
                report.complain(format!("Renamed: {growth:?} instead of row {rows}"));
            }
            writer.say("close")?;
            writer.finish(LIMIT)?;
            listen(&mut watch, &mut 0, 0)
        }
        _ => listen(&mut watch, &mut 0, 0),
    };
    let took = begun.elapsed();
    let is_right = match (&told, fate) {
        (Told::End, Fate::Closed | Fate::Renamed) | (Told::Nothing, Fate::Waiting) => true,
        (Told::Failed(error), Fate::Died) => matches!(error.kind(), ErrorKind::WriterDied { .. }),
        (Told::Failed(error), Fate::Truncated | Fate::Replaced) => matches!(error.kind(), ErrorKind::Changed { .. }),
        _ => false,
    };
    if !is_right {
        report.complain(format!("{fate:?} of a file with {rows} rows: told {told:?}"));
    }
    if took > SECOND {
        report.complain(format!("{fate:?}: told after {took:?}"));
    }
    let state = file.writer_state();
    let is_right = matches!(
        (&state, fate),
        (Ok(WriterState::Closed), Fate::Closed | Fate::Renamed)
            | (Ok(WriterState::Died(_)), Fate::Died)
            | (Ok(WriterState::Live(_)), Fate::Waiting)
            | (_, Fate::Truncated | Fate::Replaced)
    );
    if !is_right {
        report.complain(format!("{fate:?}: the writer's state is {state:?}"));
    }
    report.count(format!("{fate:?}, told apart"), 1);
    report.count("runs", 1);
    // Longest of each, in milliseconds.
    let longest = format!("milliseconds at most: {fate:?}");
    let known = report.figure(&longest);
    report.count(longest, (took.as_millis() as u64).saturating_sub(known));
    writer.kill();
    Ok(())
}

fn append(writer: &mut Child) -> Result<(), Failure> {
    writer.say("append")?;
    Ok(writer.expect("appended", LIMIT)?)
}

/// Listens until the watch ends, fails, or has told `rows` rows and then nothing.
fn listen(watch: &mut Watch, told: &mut u64, rows: u64) -> Told {
    loop {
        match watch.next() {
            Some(Ok(growth)) => *told += growth.rows.end - growth.rows.start,
            Some(Err(error)) => return Told::Failed(error),
            None if watch.has_ended() => return Told::End,
            None if *told >= rows => return Told::Nothing,
            None => {}
        }
    }
}

/// A libhdf5 writer in SWMR mode: its end is known when it closes the file. One that died leaves what one that waits leaves.
fn foreign(path: &Path, version: Libhdf5, killed: bool, report: &mut Report) -> Result<(), Failure> {
    let python = H5py::start(version)?;
    let (live, stop) = (path.with_extension("live"), path.with_extension("stop"));
    let datasets = [KINDS[0].in_python("data", 0)];
    python.run(WRITE, json!({"path": path, "live": live, "stop": stop, "most": 20, "datasets": datasets}))?;
    let file = File::follow(path)?;
    let mut watch = file.dataset("data")?.watch_from(0)?.with_timeout(QUIET);
    let waiting = listen(&mut watch, &mut 0, 20);
    if !matches!(waiting, Told::Nothing) || file.writer_state()? != WriterState::Foreign {
        report.complain(format!("h5py's writer waits, and {waiting:?} was told"));
    }
    if killed {
        python.kill();
    } else {
        python.run("files.pop('writer').close()", json!(null))?;
    }
    let begun = Instant::now();
    let mut watch = watch.with_timeout(if killed { QUIET } else { 2 * SECOND });
    let told = listen(&mut watch, &mut 0, 0);
    let state = file.writer_state()?;
    let is_right = match (&told, killed) {
        (Told::End, false) => state == WriterState::Closed && begun.elapsed() < SECOND,
        // Nothing is known, and nothing is claimed.
        (Told::Nothing, true) => state == WriterState::Foreign,
        _ => false,
    };
    if !is_right {
        report.complain(format!("h5py's writer, killed: {killed}: told {told:?}, {state:?}"));
    }
    report.count(if killed { "h5py's writer died: nothing known" } else { "h5py's writer closed, told" }, 1);
    report.count("runs", 1);
    Ok(())
}

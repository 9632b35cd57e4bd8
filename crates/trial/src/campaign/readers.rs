//! Readers never disturb the writer: it is as fast with twenty of them as alone, whatever becomes of them.

use std::path::Path;
use std::time::{Duration, Instant};

use h5live::{Dataset, File, WriterState};
use h5live_testkit::{H5py, Libhdf5, scratch};
use serde_json::json;

use super::{Failure, Report};
use crate::kinds::{Kind, kind};

/// Readers of one phase.
const READERS: usize = 20;
/// Publications measured in one go, with readers and without by turns.
const TURN: u64 = 1000;

/// Opens the file, and looks at it ten times a second until `end` exists. It is there once it has looked: a plain reader knows the end of
/// the file as it was when it opened, and an object that it meets later only may lead beyond.
const LOOK: &str = r#"
import os, time
file = h5py.File(arguments["path"], "r", swmr=arguments["swmr"])
result = 0
rows = 0
while not os.path.exists(arguments["end"]):
    ds = file["data"]
    if arguments["swmr"]:
        ds.refresh()
    assert len(ds) >= rows, (len(ds), rows)
    rows = len(ds)
    tail = ds[max(0, rows - 50):]
    assert (tail == formula.rows(0, rows - len(tail), len(tail), (), "f8")).all(), rows
    result += 1
    with open(arguments["here"], "w"):
        pass
    time.sleep(0.1)
file.close()
"#;

/// Rows to a chunk such as a facility would choose.
fn appended() -> Kind {
    Kind { chunk: &[1024], ..kind("chunk of 1024") }
}

pub(super) fn run(count: u64) -> Result<Report, Failure> {
    let mut report = Report::default();
    let scratch = scratch();
    // Readers that were there before the writer: a closed file, that is then opened for writing under them.
    let path = scratch.path().join("before.h5");
    let file = File::create(&path)?;
    appended().append(&appended().create(&file, "data")?, 0, 100)?;
    file.close()?;
    phase(&path, "readers there first", count / 2, &mut report, |path| Ok(File::append(path)?))?;
    // Readers that come to a live file.
    let path = scratch.path().join("after.h5");
    let file = File::create(&path)?;
    appended().append(&appended().create(&file, "data")?, 0, 100)?;
    file.go_live()?;
    phase(&path, "readers that come later", count / 2, &mut report, move |_| Ok(file))?;
    Ok(report)
}

/// Measures publications by turns: alone, and with readers that look, are suspended, and are killed.
fn phase(
    path: &Path,
    name: &str,
    count: u64,
    report: &mut Report,
    open: impl FnOnce(&Path) -> Result<File, Failure>,
) -> Result<(), Failure> {
    let mut readers = Readers::start(path)?;
    let file = open(path)?;
    if !matches!(file.writer_state()?, WriterState::Live(_)) {
        report.complain(format!("{name}: the file is not live"));
    }
    let dataset = file.dataset("data")?;
    // By turns with another file, just the same, that nobody has ever opened.
    let unread = path.with_extension("unread.h5");
    let unread = File::create(&unread)?;
    let unread_dataset = appended().create(&unread, "data")?;
    appended().append(&unread_dataset, 0, 100)?;
    unread.go_live()?;
    let (mut alone, mut beside, mut nobody) = (Vec::new(), Vec::new(), Vec::new());
    let turns = (count / TURN / 2).max(2);
    for turn in 0..turns {
        measure(&file, &dataset, &mut beside)?;
        if turn == turns / 2 {
            report.count("readers killed", readers.kill_some());
        }
        // Alone means that no reader runs: all are suspended, which none of them notices. What they hold, they hold on to.
        let left = readers.suspend_all()?;
        report.count("readers suspended", left);
        measure(&file, &dataset, &mut alone)?;
        measure(&unread, &unread_dataset, &mut nobody)?;
        if turn + 1 < turns {
            readers.resume(turn.is_multiple_of(2))?;
        }
    }
    readers.resume(false)?;
    let looks = readers.finish(report);
    report.count("looks", looks);
    report.count("publications", (alone.len() + beside.len() + nobody.len()) as u64);
    for (who, times) in [("20 readers", &mut beside), ("20 suspended", &mut alone), ("nobody", &mut nobody)] {
        times.sort_unstable();
        let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
        report.note(format!(
            "{name}, {who}: publishing takes {:.1} us (median), {:.1} us (p90), {:.1} us (p99), {} measured",
            micros(at(0.5)),
            micros(at(0.9)),
            micros(at(0.99)),
            times.len(),
        ));
    }
    drop(dataset);
    file.close()?;
    Ok(())
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn measure(file: &File, dataset: &Dataset, times: &mut Vec<Duration>) -> Result<(), Failure> {
    for _ in 0..TURN {
        let begun = Instant::now();
        appended().append(dataset, 0, 1)?;
        file.publish()?;
        times.push(begun.elapsed());
    }
    Ok(())
}

/// Processes that look at the file, each with a thread here that waits for what it says.
struct Readers {
    pythons: Vec<std::sync::Arc<H5py>>,
    waiting: Vec<std::thread::JoinHandle<Result<u64, String>>>,
    killed: Vec<usize>,
    end: std::path::PathBuf,
}

impl Readers {
    fn start(path: &Path) -> Result<Self, Failure> {
        let end = path.with_extension("end");
        let mut readers = Self { pythons: Vec::new(), waiting: Vec::new(), killed: Vec::new(), end };
        for number in 0..READERS {
            let python = H5py::start(Libhdf5::ALL[number % 2])?.with_limit(Duration::from_secs(1800));
            let python = std::sync::Arc::new(python);
            let here = path.with_extension(format!("here{number}"));
            let arguments = json!({"path": path, "swmr": number % 4 < 2, "end": readers.end, "here": here});
            let asked = python.clone();
            readers.waiting.push(std::thread::spawn(move || {
                let looks = asked.run(LOOK, arguments).map_err(|error| error.to_string())?;
                Ok(looks.as_u64().unwrap_or(0))
            }));
            readers.pythons.push(python);
            let begun = Instant::now();
            while !here.exists() {
                if begun.elapsed() > super::LIMIT || readers.waiting[number].is_finished() {
                    return Err(format!("reader {number} does not come").into());
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        Ok(readers)
    }

    fn living(&self) -> impl Iterator<Item = &H5py> {
        let killed = &self.killed;
        self.pythons.iter().enumerate().filter(|(at, _)| !killed.contains(at)).map(|(_, python)| &**python)
    }

    fn signal(python: &H5py, signal: rustix::process::Signal) -> Result<(), Failure> {
        let pid = rustix::process::Pid::from_raw(python.id() as i32).ok_or("a process without id")?;
        Ok(rustix::process::kill_process(pid, signal)?)
    }

    fn suspend_all(&self) -> Result<u64, Failure> {
        let mut count = 0;
        for python in self.living() {
            Self::signal(python, rustix::process::Signal::STOP)?;
            count += 1;
        }
        Ok(count)
    }

    /// Lets them go on, all, or all but every third.
    fn resume(&self, leave_some: bool) -> Result<(), Failure> {
        for (at, python) in self.living().enumerate() {
            if !(leave_some && at % 3 == 0) {
                Self::signal(python, rustix::process::Signal::CONT)?;
            }
        }
        Ok(())
    }

    fn kill_some(&mut self) -> u64 {
        for at in (0..READERS).step_by(4) {
            if Self::signal(&self.pythons[at], rustix::process::Signal::KILL).is_ok() {
                self.killed.push(at);
            }
        }
        self.killed.len() as u64
    }

    /// Ends them, and gathers how often they looked; what they met is wrong.
    fn finish(self, report: &mut Report) -> u64 {
        let _ = std::fs::write(&self.end, "");
        let mut looks = 0;
        for (at, waiting) in self.waiting.into_iter().enumerate() {
            match waiting.join() {
                Ok(Ok(count)) => looks += count,
                Ok(Err(_)) if self.killed.contains(&at) => {}
                Ok(Err(why)) => report.complain(format!("reader {at}: {why}")),
                Err(_) => report.complain(format!("reader {at}: its thread panicked")),
            }
        }
        looks
    }
}

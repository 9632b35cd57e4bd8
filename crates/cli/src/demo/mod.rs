//! `h5live demo`: a writer and its followers, in processes of their own, for everyone to see.
//!
//! Each child tells how far it is in lines of JSON ([`Report`]); this process only shows what they tell, and judges.

pub(crate) mod follower;
mod values;
pub(crate) mod writer;

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{env, io, thread};

use serde_json::{Value as Json, json};

use crate::failure::Failure;
use crate::output::{table, thousands};

/// The dataset that is appended to row by row.
const SIGNAL: &str = "/signal";
/// The dataset of compressed frames.
const FRAMES: &str = "/frames";
/// How often the table is shown anew, on a terminal and elsewhere.
const REDRAW: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(2)];
/// How long children may take beyond the time the writer was given.
const GRACE: Duration = Duration::from_secs(30);
/// The follower that is no program of ours.
const H5PY_FOLLOWER: &str = include_str!("follower.py");

/// Show it: one process writes a file while others follow it and check every value
#[derive(Debug, clap::Args)]
pub(crate) struct Demo {
    /// How long to write
    #[arg(long, default_value_t = 10.0, value_parser = positive)]
    seconds: f64,
    /// Write this file and keep it
    #[arg(long, value_name = "FILE")]
    keep: Option<PathBuf>,
}

fn positive(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    if seconds > 0.0 && seconds <= 86_400.0 { Ok(seconds) } else { Err("from above 0 to 86400 seconds".to_owned()) }
}

/// What a child tells.
#[derive(Debug, Clone, Default, PartialEq)]
struct Report {
    /// Rows written, or seen and found right.
    rows: u64,
    /// Rows of [`FRAMES`], from the writer.
    frames: u64,
    /// Rows per second since the last report.
    rate: f64,
    /// From publication to having been checked, in milliseconds; the median since the last report.
    lag_ms: Option<f64>,
    /// Whether this is the last report.
    is_last: bool,
    /// What is wrong.
    error: Option<String>,
}

impl Report {
    /// Tells the parent.
    fn tell(&self) {
        let line = json!({
            "rows": self.rows, "frames": self.frames, "rate": self.rate, "lag_ms": self.lag_ms,
            "last": self.is_last, "error": self.error,
        });
        // A parent that has gone ends its children by other means.
        let _ = writeln!(io::stdout(), "{line}");
    }

    fn parse(line: &str) -> Option<Self> {
        let json: Json = serde_json::from_str(line).ok()?;
        Some(Self {
            rows: json.get("rows")?.as_u64()?,
            frames: json.get("frames").and_then(Json::as_u64).unwrap_or(0),
            rate: json.get("rate").and_then(Json::as_f64).unwrap_or(0.0),
            lag_ms: json.get("lag_ms").and_then(Json::as_f64),
            is_last: json.get("last").and_then(Json::as_bool).unwrap_or(false),
            error: json.get("error").and_then(Json::as_str).map(str::to_owned),
        })
    }
}

/// A child process and what it has told.
struct Player {
    name: String,
    does: String,
    process: Child,
    told: Arc<Mutex<Report>>,
    status: Option<std::process::ExitStatus>,
}

impl Player {
    fn start(name: &str, does: &str, mut command: Command) -> Result<Self, Failure> {
        let fail = |error: io::Error| Failure::Other(format!("cannot start the {name}: {error}"));
        let mut process =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().map_err(fail)?;
        let told = Arc::new(Mutex::new(Report::default()));
        let (shared, output) = (told.clone(), process.stdout.take());
        thread::spawn(move || {
            for line in output.into_iter().flat_map(|output| BufReader::new(output).lines()) {
                let Some(report) = line.ok().and_then(|line| Report::parse(&line)) else { continue };
                *shared.lock().unwrap_or_else(PoisonError::into_inner) = report;
            }
        });
        Ok(Self { name: name.to_owned(), does: does.to_owned(), process, told, status: None })
    }

    fn told(&self) -> Report {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether it has ended and all it told has been heard.
    fn has_ended(&mut self) -> bool {
        if self.status.is_none() {
            self.status = self.process.try_wait().ok().flatten();
        }
        // Without a last word the reports may still be on their way; the reading thread then lets go of its share.
        self.status.is_some() && (self.told().is_last || Arc::strong_count(&self.told) == 1)
    }

    fn columns(&self) -> Vec<String> {
        let report = self.told();
        let rate = if report.is_last { String::new() } else { thousands(report.rate.round() as u64) };
        let lag = match report.lag_ms {
            Some(lag) if !report.is_last => format!("{lag:.1} ms"),
            _ => String::new(),
        };
        vec![self.name.clone(), self.does.clone(), thousands(report.rows), rate, lag]
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        // A child that has ended is only reaped.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Demo {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let directory = tempfile::Builder::new().prefix("h5live-demo-").tempdir();
        let directory = directory.map_err(|error| Failure::Other(format!("a directory for the demo: {error}")))?;
        let path = self.keep.clone().unwrap_or_else(|| directory.path().join("demo.h5"));
        let interrupted = Arc::new(AtomicBool::new(false));
        let flag = interrupted.clone();
        let listening = ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed));
        listening.map_err(|error| Failure::Other(format!("cannot listen for Ctrl-C: {error}")))?;

        let mut stage = Stage::new();
        stage.say("One process writes an HDF5 file. Others read it at the same time and check every value.")?;
        stage.say("Nobody waits for anybody. \"lag\" is from publishing to having been read and checked.")?;
        stage.say(&format!("The file: {}\n", path.display()))?;
        let own = env::current_exe().map_err(|error| Failure::Other(format!("cannot find this program: {error}")))?;
        let ours = |word: &str, arguments: &[&OsStr]| {
            let mut command = Command::new(&own);
            command.arg(word).args(arguments);
            command
        };
        let seconds = self.seconds.to_string();
        let command = ours("demo-writer", &[path.as_os_str(), seconds.as_ref()]);
        let mut players = vec![Player::start("writer", "appends to /signal and /frames", command)?];
        wait_until_live(&mut players[0], &interrupted)?;
        for (name, does, dataset) in
            [("reader 1", "h5live, /signal", SIGNAL), ("reader 2", "h5live, /frames (gzip)", FRAMES)]
        {
            let command = ours("demo-follower", &[path.as_os_str(), dataset.as_ref()]);
            players.push(Player::start(name, does, command)?);
        }
        match h5py() {
            Some((python, version)) => {
                let mut command = Command::new(python);
                command.args(["-c", H5PY_FOLLOWER]).arg(&path).arg(SIGNAL);
                players.push(Player::start("reader 3", &format!("h5py {version}, /signal"), command)?);
            }
            None => stage.say("(A Python with h5py would join in: none found as python3 or $H5LIVE_PYTHON.)\n")?,
        }
        self.watch(&mut stage, &mut players, &interrupted)?;
        stage.show(&players)?;
        judge(&mut stage, &players, &path, self.keep.is_some())
    }

    /// Shows the players until all have ended.
    fn watch(&self, stage: &mut Stage, players: &mut [Player], interrupted: &AtomicBool) -> Result<(), Failure> {
        let begun = Instant::now();
        let limit = Duration::from_secs_f64(self.seconds) + GRACE;
        let mut writer_is_done = false;
        loop {
            if interrupted.load(Ordering::Relaxed) {
                return Err(Failure::Interrupted("interrupted; the demo's processes are ended".to_owned()));
            }
            if begun.elapsed() > limit {
                let late: Vec<&str> = players
                    .iter_mut()
                    .filter_map(|player| (!player.has_ended()).then_some(player.name.as_str()))
                    .collect();
                return Err(Failure::Other(format!("no end in {:.0} s of: {}", limit.as_secs_f64(), late.join(", "))));
            }
            if !writer_is_done && players[0].has_ended() {
                writer_is_done = true;
                // A reader that libhdf5 serves cannot tell that the writer has closed the file: so it is told.
                let rows = players[0].told().rows;
                for player in players.iter_mut() {
                    if let Some(mut input) = player.process.stdin.take() {
                        let _ = writeln!(input, "{rows}");
                    }
                }
            }
            if players.iter_mut().all(Player::has_ended) {
                return Ok(());
            }
            stage.show_if_due(players)?;
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn wait_until_live(writer: &mut Player, interrupted: &AtomicBool) -> Result<(), Failure> {
    let begun = Instant::now();
    while writer.told().rows == 0 {
        if writer.has_ended() || begun.elapsed() > GRACE || interrupted.load(Ordering::Relaxed) {
            let why = writer.told().error.unwrap_or_else(|| "it did not begin".to_owned());
            return Err(Failure::Other(format!("writer: {why}")));
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Whether every reader saw every row.
fn judge(stage: &mut Stage, players: &[Player], path: &Path, is_kept: bool) -> Result<(), Failure> {
    let written = players[0].told();
    let mut wrong = Vec::new();
    for (number, player) in players.iter().enumerate() {
        let report = player.told();
        let expected = if number == 2 { written.frames } else { written.rows };
        let problem = match (report.error, player.status) {
            (Some(error), _) => error,
            (None, Some(status)) if !status.success() => format!("ended with {status}"),
            (None, _) if report.rows != expected => format!("saw {} of {expected} rows", report.rows),
            (None, _) => continue,
        };
        wrong.push(format!("{}: {problem}", player.name));
    }
    if !wrong.is_empty() {
        return Err(Failure::Other(format!("the demo went wrong: {}", wrong.join("; "))));
    }
    let readers = players.len() - 1;
    stage.say(&format!(
        "\nThe writer closed the file. All {readers} readers saw every row of theirs, in order, each value right:\n\
         {} rows of /signal and {} frames.",
        thousands(written.rows),
        thousands(written.frames)
    ))?;
    if is_kept {
        stage.say(&format!("Look into it: h5live info {0}, h5live tail {0} {SIGNAL}", path.display()))?;
    }
    Ok(())
}

/// A Python that has h5py, and h5py's version.
fn h5py() -> Option<(PathBuf, String)> {
    let candidates = env::var_os("H5LIVE_PYTHON").map(PathBuf::from).into_iter().chain(["python3".into()]);
    candidates.into_iter().find_map(|python| {
        let mut command = Command::new(&python);
        command.args(["-c", "import h5py, numpy; print(h5py.version.version)"]).stdin(Stdio::null());
        let answer = command.stderr(Stdio::null()).output().ok().filter(|answer| answer.status.success())?;
        Some((python, String::from_utf8(answer.stdout).ok()?.trim().to_owned()))
    })
}

/// Where the demo is shown: redrawn in place on a terminal, line after line elsewhere.
struct Stage {
    is_terminal: bool,
    /// Lines to go up before drawing again.
    drawn: usize,
    due: Instant,
}

impl Stage {
    fn new() -> Self {
        Self { is_terminal: io::stdout().is_terminal(), drawn: 0, due: Instant::now() }
    }

    fn say(&mut self, text: &str) -> Result<(), Failure> {
        self.drawn = 0;
        Ok(writeln!(io::stdout(), "{text}")?)
    }

    fn show_if_due(&mut self, players: &[Player]) -> Result<(), Failure> {
        if Instant::now() < self.due {
            return Ok(());
        }
        self.due = Instant::now() + REDRAW[usize::from(!self.is_terminal)];
        self.show(players)
    }

    fn show(&mut self, players: &[Player]) -> Result<(), Failure> {
        let heads = ["process", "what it does", "rows", "rows/s", "lag"];
        let mut rows = vec![heads.map(str::to_owned).to_vec()];
        rows.extend(players.iter().map(Player::columns));
        let text = table(&rows, &[2, 3, 4]);
        let mut out = io::stdout().lock();
        match (self.is_terminal, self.drawn) {
            // Up to the first line of the last table, and away with it.
            (true, lines @ 1..) => write!(out, "\x1b[{lines}A\x1b[J")?,
            (false, 1..) => writeln!(out)?,
            _ => {}
        }
        self.drawn = text.lines().count();
        out.write_all(text.as_bytes())?;
        Ok(out.flush()?)
    }
}

/// The median of what was measured; nothing is left.
fn median(measured: &mut Vec<f64>) -> Option<f64> {
    measured.sort_by(f64::total_cmp);
    let median = measured.get(measured.len() / 2).copied();
    measured.clear();
    median
}

/// Tells reports now and then.
struct Teller {
    report: Report,
    lags: Vec<f64>,
    /// Time between two reports.
    every: Duration,
    told: Option<Instant>,
    measured: Instant,
    measured_rows: u64,
}

impl Teller {
    /// How long rate and lag are measured.
    const WINDOW: Duration = Duration::from_millis(200);

    fn new(every: Duration) -> Self {
        let report = Report::default();
        Self { report, lags: Vec::new(), every, told: None, measured: Instant::now(), measured_rows: 0 }
    }

    /// Tells how far it is, if it is time.
    fn tell(&mut self, rows: u64) {
        self.report.rows = rows;
        let elapsed = self.measured.elapsed();
        if elapsed >= Self::WINDOW {
            self.report.rate = (rows - self.measured_rows) as f64 / elapsed.as_secs_f64();
            self.report.lag_ms = median(&mut self.lags);
            (self.measured, self.measured_rows) = (Instant::now(), rows);
        }
        if self.told.is_none_or(|told| told.elapsed() >= self.every) {
            self.told = Some(Instant::now());
            self.report.tell();
        }
    }

    /// Tells the end, well or badly, and hands the error on.
    fn end(mut self, ended: Result<(), Failure>) -> Result<(), Failure> {
        self.report.is_last = true;
        self.report.error = ended.as_ref().err().and_then(Failure::message);
        self.report.tell();
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_understood() {
        let line = r#"{"rows": 5, "rate": 2.5, "lag_ms": null, "last": true, "error": "no"}"#;
        let report = Report::parse(line).unwrap();
        assert_eq!((report.rows, report.rate, report.lag_ms, report.is_last), (5, 2.5, None, true));
        assert_eq!(report.error.as_deref(), Some("no"));
        assert_eq!(Report::parse("noise"), None);
    }

    #[test]
    fn medians() {
        assert_eq!(median(&mut vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&mut Vec::new()), None);
    }
}

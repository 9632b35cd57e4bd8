//! Having a program describe each file of a corpus, in a process of its own.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value as Json, json};

use super::{Corpus, json as description};

/// What a process may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long it may run.
    pub time: Duration,
    /// Bytes of its address space.
    pub memory: u64,
}

/// One file to describe.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its name in the corpus.
    pub name: String,
    /// How long it took.
    pub took: Duration,
    /// What the program wrote. `{"open": {"error": "PROCESS: ..."}}` when it crashed, hung, or wrote no JSON.
    pub described: Json,
    /// The same as it was written.
    pub text: Vec<u8>,
}

/// Describes the named files with `program`, on `workers` threads; `take` is told of each as it is done.
pub fn run(
    corpus: &Corpus,
    names: &[String],
    program: &Path,
    limits: Limits,
    workers: usize,
    take: impl Fn(usize, Job) + Sync,
) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..workers.max(1) {
            scope.spawn(|| {
                while let Some((number, name)) = claim(&next, names) {
                    take(number, describe(name, &corpus.file(name), program, limits));
                }
            });
        }
    });
}

fn claim<'n>(next: &AtomicUsize, names: &'n [String]) -> Option<(usize, &'n String)> {
    let number = next.fetch_add(1, Ordering::Relaxed);
    names.get(number).map(|name| (number, name))
}

fn describe(name: &str, file: &Path, program: &Path, limits: Limits) -> Job {
    let since = Instant::now();
    let (folder, base) = (file.parent().unwrap_or(Path::new(".")), file.file_name().unwrap_or_default());
    let mut command = Command::new(absolute(program));
    command.arg("describe").arg(base).current_dir(folder);
    let (described, text) = match output(command, limits) {
        Ok(text) => match description::parse(&text) {
            Ok(described) => (described, text),
            Err(error) => (failed(&format!("no JSON: {error}")), text),
        },
        Err(why) => (failed(&why), Vec::new()),
    };
    let text = if described["open"]["error"].as_str().is_some_and(|why| why.starts_with(PROCESS)) {
        described.to_string().into_bytes()
    } else {
        text
    };
    Job { name: name.to_owned(), took: since.elapsed(), described, text }
}

const PROCESS: &str = "PROCESS: ";

fn failed(why: &str) -> Json {
    json!({ "open": { "error": format!("{PROCESS}{why}") } })
}

/// The working directory changes: what is relative to this process's is not to the child's.
fn absolute(program: &Path) -> PathBuf {
    std::path::absolute(program).unwrap_or_else(|_| program.to_owned())
}

/// What a command writes to its standard output; why there is nothing of use otherwise.
fn output(mut command: Command, limits: Limits) -> Result<Vec<u8>, String> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("cannot be started: {error}"))?;
    if let Some(pid) = Pid::from_raw(child.id() as i32) {
        let limit = Rlimit { current: Some(limits.memory), maximum: Some(limits.memory) };
        // A child that has ended already has no limits to set.
        let _ = prlimit(Some(pid), Resource::As, limit);
    }
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (status, text, said) = thread::scope(|scope| {
        let text = scope.spawn(|| everything(stdout));
        let said = scope.spawn(|| everything(stderr));
        let status = wait(&mut child, limits.time);
        (status, text.join().unwrap_or_default(), said.join().unwrap_or_default())
    });
    let status = status.ok_or("timeout")?;
    match (status.success(), status.signal()) {
        (true, _) => Ok(text),
        (false, Some(signal)) => Err(format!("crash signal {signal}")),
        (false, None) => {
            let said = String::from_utf8_lossy(&said);
            Err(format!("{status}: {}", said.trim().lines().next_back().unwrap_or_default()))
        }
    }
}

fn everything(pipe: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What was read before an error is still worth having.
    let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
    bytes
}

/// How a child ended; none when it had to be killed.
fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let since = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if since.elapsed() < limit => thread::sleep(Duration::from_millis(2)),
            _ => break,
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

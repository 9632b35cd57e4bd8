//! Child processes of a test: started, talked to line by line, stopped, continued and killed; never waited for without a limit.
//!
//! A child is either a program of this workspace or the test's own executable, started again to run the same test in another role:
//!
//! ```no_run
//! use std::time::Duration;
//! use h5live_testkit::process::{self, Program};
//!
//! #[test]
//! fn a_writer_beside_a_reader() {
//!     if let Some(role) = process::role() {
//!         assert_eq!(role, "writer run.h5");
//!         process::say("ready");
//!         assert_eq!(process::hear().as_deref(), Some("go"));
//!         return;
//!     }
//!     let mut writer = Program::this_test("a_writer_beside_a_reader", "writer run.h5").start().unwrap();
//!     writer.expect("ready", Duration::from_secs(10)).unwrap();
//!     writer.say("go").unwrap();
//!     assert!(writer.wait(Duration::from_secs(10)).unwrap().success());
//! }
//! ```

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child as Process, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{env, thread};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::{Error, Result};

/// The variable by which a test's executable knows its role.
const ROLE: &str = "H5LIVE_TESTKIT_ROLE";

/// Tells a child's own words from what the test harness around it prints.
const MARK: &str = "@@ ";

/// How much of what a child writes is kept for error messages, in bytes.
const LOG_LIMIT: usize = 64 * 1024;

/// The role this process was started for with [`Program::this_test`]; none in the test itself.
#[must_use]
pub fn role() -> Option<String> {
    env::var(ROLE).ok()
}

/// Says a line to the test that started this process in a role.
pub fn say(line: &str) {
    // The harness may have left an unfinished line. A parent that has gone is no reason to fail: it kills its children.
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "\n{MARK}{line}").and_then(|()| out.flush());
}

/// Hears the next line from the test that started this process in a role; none when it has closed its end.
#[must_use]
pub fn hear() -> Option<String> {
    let mut line = String::new();
    let length = io::stdin().lock().read_line(&mut line).unwrap_or(0);
    (length > 0).then(|| line.trim_end_matches('\n').to_owned())
}

/// The path of a program of this workspace, built beside the running test.
///
/// # Errors
/// [`Error::NotBuilt`].
pub fn built(name: &str) -> Result<PathBuf> {
    // Test executables lie in `deps`, below the directory of programs.
    let own = env::current_exe().map_err(Error::io("finding the test's executable"))?;
    let beside = own.parent().and_then(Path::parent).unwrap_or(Path::new("."));
    let at = beside.join(format!("{name}{}", env::consts::EXE_SUFFIX));
    if at.exists() { Ok(at) } else { Err(Error::NotBuilt { name: name.into(), at }) }
}

/// A program about to be started.
#[derive(Debug)]
pub struct Program {
    name: String,
    command: Command,
    voice: Voice,
}

/// Which lines of a child's standard output are its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Voice {
    /// All of them.
    Every,
    /// Those that [`say`] marked.
    Marked,
}

impl Program {
    /// A program by its path.
    pub fn new(path: impl AsRef<OsStr>) -> Self {
        let name = Path::new(&path).file_name().unwrap_or(path.as_ref()).to_string_lossy().into_owned();
        Self { name, command: Command::new(path), voice: Voice::Every }
    }

    /// The running test executable again, in a role: to run the test with the full name `test` (`module::tests::name`), which
    /// must ask for its [`role`] first.
    ///
    /// # Panics
    /// When the system does not know the path of the running executable.
    #[must_use]
    pub fn this_test(test: &str, role: &str) -> Self {
        let mut command = Command::new(env::current_exe().expect("a running executable has a path"));
        command.args([test, "--exact", "--nocapture", "--include-ignored"]).env(ROLE, role);
        Self { name: format!("{test} as {role:?}"), command, voice: Voice::Marked }
    }

    /// Runs it under another program, to which it is handed after these arguments.
    #[must_use]
    pub fn under(mut self, program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).arg(self.command.get_program()).args(self.command.get_args());
        command.envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        self.command = command;
        self
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs it in a directory.
    #[must_use]
    pub fn directory(mut self, path: impl AsRef<Path>) -> Self {
        self.command.current_dir(path);
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// [`Error::Start`].
    pub fn start(mut self) -> Result<Child> {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = self.command.spawn().map_err(|source| Error::Start { program: self.name.clone(), source })?;
        let log = Log::default();
        let (sender, lines) = channel();
        let (input, output, errors) = (process.stdin.take(), process.stdout.take(), process.stderr.take());
        let (voice, output_log, error_log) = (self.voice, log.clone(), log.clone());
        if let Some(output) = output {
            thread::spawn(move || listen(output, voice, &sender, &output_log));
        }
        if let Some(errors) = errors {
            thread::spawn(move || each_line(errors, |line| error_log.add(line)));
        }
        Ok(Child { name: self.name, process, input, lines, log })
    }

    /// Runs it to its end and returns what it wrote to standard output.
    ///
    /// # Errors
    /// [`Error::Start`], [`Error::Timeout`] after `limit`, and [`Error::Failed`] when it ends with anything but success.
    pub fn output(self, limit: Duration) -> Result<Vec<u8>> {
        let ended = self.run(limit)?;
        if ended.status.success() {
            return Ok(ended.output);
        }
        let log = String::from_utf8_lossy(&ended.errors).into_owned();
        Err(Error::Failed { program: ended.program, status: ended.status, log })
    }

    /// Runs it to its end, whatever that is.
    ///
    /// # Errors
    /// [`Error::Start`], and [`Error::Timeout`] after `limit`.
    pub fn run(mut self, limit: Duration) -> Result<Ended> {
        let program = self.described();
        self.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = self.command.spawn().map_err(|source| Error::Start { program: program.clone(), source })?;
        let output = process.stdout.take().map(collect);
        let errors = process.stderr.take().map(collect);
        let status = wait_for(&mut process, limit).map_err(Error::io(format!("waiting for {program}")))?;
        let timed_out = status.is_none();
        if timed_out {
            kill_and_reap(&mut process);
        }
        // A grandchild may hold the pipes open; the collectors then stay behind, and what they have is not waited for.
        let take = |collector: Option<Collector>| collector.map(|it| it.take(timed_out)).unwrap_or_default();
        let (output, errors) = (take(output), take(errors));
        match status {
            Some(status) => Ok(Ended { program, status, output, errors }),
            None => Err(Error::Timeout {
                program,
                waiting_for: "its end".into(),
                limit,
                log: String::from_utf8_lossy(&errors).into_owned(),
            }),
        }
    }

    fn described(&self) -> String {
        let arguments: Vec<_> = self.command.get_args().map(|argument| argument.to_string_lossy()).collect();
        format!("{} {}", self.name, arguments.join(" ")).trim_end().to_owned()
    }
}

/// How a program ended and what it wrote.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The program and its arguments.
    pub program: String,
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub output: Vec<u8>,
    /// What it wrote to standard error.
    pub errors: Vec<u8>,
}

/// A running child process. It is killed when dropped.
#[derive(Debug)]
pub struct Child {
    name: String,
    process: Process,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    log: Log,
}

impl Child {
    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Says a line to it.
    ///
    /// # Errors
    /// [`Error::Io`] when it has closed its standard input, for example by ending.
    pub fn say(&mut self, line: &str) -> Result<()> {
        let Some(input) = &mut self.input else {
            return Err(Error::Io {
                what: format!("talking to {}", self.name),
                source: io::ErrorKind::BrokenPipe.into(),
            });
        };
        let sent = writeln!(input, "{line}").and_then(|()| input.flush());
        sent.map_err(Error::io(format!("talking to {}", self.name)))
    }

    /// Closes its standard input.
    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// Hears its next answer. `waiting_for` says in errors what was asked.
    ///
    /// # Errors
    /// [`Error::Timeout`] after `limit`, when it is killed; [`Error::Ended`] when it ended without an answer.
    pub fn hear(&mut self, waiting_for: &str, limit: Duration) -> Result<String> {
        match self.lines.recv_timeout(limit) {
            Ok(line) => Ok(line),
            Err(RecvTimeoutError::Timeout) => Err(self.timed_out(waiting_for, limit)),
            Err(RecvTimeoutError::Disconnected) => {
                // Its output is closed; whatever else it is doing, no answer can come.
                let status = match wait_for(&mut self.process, Duration::from_secs(5)) {
                    Ok(Some(status)) => status,
                    _ => return Err(self.timed_out(waiting_for, limit)),
                };
                Err(Error::Ended {
                    program: self.name.clone(),
                    waiting_for: waiting_for.into(),
                    status,
                    log: self.log.text(),
                })
            }
        }
    }

    /// Its next answer if one has come already.
    #[must_use]
    pub fn heard(&mut self) -> Option<String> {
        self.lines.try_recv().ok()
    }

    /// Hears its next answer, which must be `line`.
    ///
    /// # Errors
    /// As [`hear`](Self::hear), and [`Error::Answer`] when it says something else.
    pub fn expect(&mut self, line: &str, limit: Duration) -> Result<()> {
        let found = self.hear(line, limit)?;
        if found == line {
            return Ok(());
        }
        Err(Error::answer(&self.name, &found, format!("{line:?} was expected; it said:\n{}", self.log.text())))
    }

    /// Waits for its end, with its standard input closed.
    ///
    /// # Errors
    /// [`Error::Timeout`] after `limit`, when it is killed.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.close_input();
        match wait_for(&mut self.process, limit).map_err(Error::io(format!("waiting for {}", self.name)))? {
            Some(status) => Ok(status),
            None => Err(self.timed_out("its end", limit)),
        }
    }

    /// Waits for its end, which must be a success.
    ///
    /// # Errors
    /// As [`wait`](Self::wait), and [`Error::Failed`] with what it wrote.
    pub fn finish(&mut self, limit: Duration) -> Result<()> {
        let status = self.wait(limit)?;
        if status.success() {
            return Ok(());
        }
        Err(Error::Failed { program: self.name.clone(), status, log: self.log.text() })
    }

    /// Whether it is still running.
    #[must_use]
    pub fn is_running(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// Kills it (`SIGKILL`) and reaps it: when this returns, the kernel has released what it held.
    pub fn kill(&mut self) {
        kill_and_reap(&mut self.process);
    }

    /// Suspends it (`SIGSTOP`): when this returns, all its threads have stopped.
    ///
    /// # Errors
    /// [`Error::Io`] when it has ended, and [`Error::Timeout`] when it does not stop within seconds.
    pub fn stop(&mut self) -> Result<()> {
        self.signal(Signal::STOP)?;
        let pid = WaitId::Pid(Pid::from_child(&self.process));
        // Asked for without `EXITED`, so that reaping stays with the standard library.
        let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG;
        let limit = Duration::from_secs(10);
        let stopped = poll(limit, || waitid(pid.clone(), options).map_err(io::Error::from));
        match stopped.map_err(Error::io(format!("stopping {}", self.name)))? {
            Some(_) => Ok(()),
            None => Err(self.timed_out("being stopped", limit)),
        }
    }

    /// Lets it continue (`SIGCONT`).
    ///
    /// # Errors
    /// [`Error::Io`] when it has ended.
    pub fn cont(&mut self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Interrupts it (`SIGINT`), as Ctrl-C does.
    ///
    /// # Errors
    /// [`Error::Io`] when it has ended.
    pub fn interrupt(&mut self) -> Result<()> {
        self.signal(Signal::INT)
    }

    /// The last of what it wrote to standard error, and of what it wrote to standard output that was no answer.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.text()
    }

    fn signal(&mut self, signal: Signal) -> Result<()> {
        // A child that was not reaped keeps its number, so the signal cannot reach another process.
        if !self.is_running() {
            let source = io::Error::other("the process has ended");
            return Err(Error::Io { what: format!("signalling {}", self.name), source });
        }
        let pid = Pid::from_child(&self.process);
        kill_process(pid, signal).map_err(io::Error::from).map_err(Error::io(format!("signalling {}", self.name)))
    }

    fn timed_out(&mut self, waiting_for: &str, limit: Duration) -> Error {
        self.kill();
        let (program, waiting_for) = (self.name.clone(), waiting_for.into());
        Error::Timeout { program, waiting_for, limit, log: self.log.text() }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The end of what a child wrote, shared with the threads that read it.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
    fn add(&self, line: &str) {
        let mut text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        text.push_str(line);
        text.push('\n');
        if text.len() > 2 * LOG_LIMIT {
            let from = text.len() - LOG_LIMIT;
            let cut = text.char_indices().map(|(at, _)| at).find(|&at| at >= from).unwrap_or(text.len());
            text.drain(..cut);
        }
    }

    fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn listen(output: impl Read, voice: Voice, answers: &Sender<String>, log: &Log) {
    each_line(output, |line| {
        let answer = match voice {
            Voice::Every => Some(line),
            Voice::Marked => line.strip_prefix(MARK),
        };
        match answer {
            // Nobody listens any more once the child is dropped.
            Some(answer) => drop(answers.send(answer.to_owned())),
            None => log.add(line),
        }
    });
}

fn each_line(source: impl Read, mut act: impl FnMut(&str)) {
    let mut source = BufReader::new(source);
    let mut line = Vec::new();
    while source.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
        act(String::from_utf8_lossy(&line).trim_end_matches('\n'));
        line.clear();
    }
}

/// Reads a pipe to its end on a thread of its own, so that the child never waits for a reader.
struct Collector {
    read: Arc<Mutex<Vec<u8>>>,
    thread: thread::JoinHandle<()>,
}

fn collect(mut source: impl Read + Send + 'static) -> Collector {
    let read = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&read);
    let thread = thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = source.read(&mut buffer) {
            into.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&buffer[..length]);
        }
    });
    Collector { read, thread }
}

impl Collector {
    fn take(self, abandon: bool) -> Vec<u8> {
        if !abandon {
            // The thread only reads: it has nothing to fail with.
            let _ = self.thread.join();
        }
        std::mem::take(&mut self.read.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn wait_for(process: &mut Process, limit: Duration) -> io::Result<Option<ExitStatus>> {
    poll(limit, || process.try_wait())
}

/// Asks until there is an answer, or none within `limit`.
fn poll<T>(limit: Duration, mut ask: impl FnMut() -> io::Result<Option<T>>) -> io::Result<Option<T>> {
    let start = Instant::now();
    let mut pause = Duration::from_micros(200);
    loop {
        let answer = ask()?;
        if answer.is_some() || start.elapsed() >= limit {
            return Ok(answer);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

fn kill_and_reap(process: &mut Process) {
    // Both fail only for a child that is gone already.
    let _ = process.kill();
    let _ = process.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(20);
    const THIS: &str = "process::tests::a_test_has_children";

    #[test]
    fn a_test_has_children() {
        match role().as_deref() {
            Some("echo") => {
                say("ready");
                while let Some(line) = hear() {
                    say(&line);
                }
                return;
            }
            Some("sleeper") => {
                say("asleep");
                thread::sleep(Duration::from_secs(3600));
                return;
            }
            Some(other) => panic!("no such role: {other}"),
            None => (),
        }

        let mut echo = Program::this_test(THIS, "echo").start().unwrap();
        echo.expect("ready", SOON).unwrap();
        echo.say("what a day").unwrap();
        echo.expect("what a day", SOON).unwrap();
        echo.say("one").unwrap();
        assert!(matches!(echo.expect("two", SOON), Err(Error::Answer { .. })));

        // A suspended child answers only once it continues.
        echo.stop().unwrap();
        echo.say("later").unwrap();
        thread::sleep(Duration::from_millis(50));
        assert_eq!(echo.heard(), None);
        echo.cont().unwrap();
        echo.expect("later", SOON).unwrap();
        echo.finish(SOON).unwrap();
        assert!(!echo.is_running());
        assert!(matches!(echo.stop(), Err(Error::Io { .. })));

        let mut sleeper = Program::this_test(THIS, "sleeper").start().unwrap();
        sleeper.expect("asleep", SOON).unwrap();
        assert!(sleeper.is_running());
        let error = sleeper.hear("anything", Duration::from_millis(50)).unwrap_err();
        assert!(matches!(error, Error::Timeout { .. }), "{error}");
        assert!(!sleeper.is_running(), "who does not answer in time is killed");

        let mut failing = Program::this_test(THIS, "no such thing").start().unwrap();
        let error = failing.hear("anything", SOON).unwrap_err();
        assert!(matches!(&error, Error::Ended { log, .. } if log.contains("no such role")), "{error}");
    }

    #[test]
    fn programs_run_to_their_end() {
        let output = Program::new("sh").args(["-c", "echo out; echo err >&2"]).output(SOON).unwrap();
        assert_eq!(output, b"out\n");
        let failed = Program::new("sh").args(["-c", "echo why >&2; exit 3"]).output(SOON).unwrap_err();
        assert!(matches!(&failed, Error::Failed { log, .. } if log == "why\n"), "{failed}");
        let late = Program::new("sh").args(["-c", "echo begun >&2; sleep 100"]).run(Duration::from_millis(200));
        assert!(matches!(&late, Err(Error::Timeout { log, .. }) if log == "begun\n"), "{late:?}");
        assert!(matches!(Program::new("/no/such/program").run(SOON), Err(Error::Start { .. })));
        assert!(matches!(built("no-such-program"), Err(Error::NotBuilt { .. })));
    }

    #[test]
    fn a_killed_child_is_reaped() {
        let mut child = Program::new("sleep").arg("100").start().unwrap();
        child.kill();
        assert!(!child.is_running());
        let status = child.wait(SOON).unwrap();
        assert!(!status.success());
    }
}

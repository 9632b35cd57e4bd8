//! Appends to a dataset in one process and watches it grow in another.
//!
//! Usage: `swmr_multiprocess [FILENAME [DATASETNAME]]`, by default `swmrmp.h5` and `data`.
//!
//! Two processes are started. The writer creates the file, goes live and signals the reader; then it appends five times,
//! and signals each time. The reader waits for a signal, at most two seconds, refreshes the dataset and logs its shape. When
//! no signal comes in that time it ends.
//!
//! A signal is a line on the pipe that leads from the writer's standard output to the reader's standard input. So either
//! half can be run alone, against any other program that can write a line: `swmr_multiprocess --reader FILENAME DATASETNAME`.

use std::env;
use std::io::{self, BufRead, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use h5live::File;
use h5live_examples::{Arguments, Outcome, info_of, shape};

/// How long the reader waits for a signal.
const TIMEOUT: Duration = Duration::from_secs(2);

fn main() -> Outcome {
    let mut words = env::args().skip(1).peekable();
    let role = words.next_if(|word| word.starts_with("--"));
    let arguments = Arguments::parse(words, "swmrmp.h5");
    match role.as_deref() {
        None => both(&arguments),
        Some("--writer") => write(&arguments, || {
            let mut out = io::stdout().lock();
            out.write_all(b"event\n")?;
            out.flush()
        }),
        Some("--reader") => read(&arguments, &Signals::from_input()),
        Some(other) => Err(format!("{other}: give --writer, --reader, or neither for both").into()),
    }
}

/// Starts writer and reader, each in a process of its own.
fn both(arguments: &Arguments) -> Outcome {
    let half = |role: &str| {
        let mut command = Command::new(env::current_exe()?);
        command.arg(role).arg(&arguments.file).arg(&arguments.dataset);
        io::Result::Ok(command)
    };
    info_of("root", "Starting reader");
    let mut reader = half("--reader")?.stdin(Stdio::piped()).spawn()?;
    info_of("root", "Starting writer");
    let signals = reader.stdin.take().ok_or("the reader has no standard input")?;
    let mut writer = half("--writer")?.stdin(Stdio::null()).stdout(signals).spawn()?;
    info_of("root", "Waiting for writer to finish");
    let written = writer.wait()?;
    info_of("root", "Waiting for reader to finish");
    let read = reader.wait()?;
    if written.success() && read.success() { Ok(()) } else { Err(format!("writer: {written}; reader: {read}").into()) }
}

fn write(Arguments { file, dataset }: &Arguments, signal: impl Fn() -> io::Result<()>) -> Outcome {
    let log = |message: String| info_of("writer", message);
    let values = [1i64, 2, 3, 4];
    let len = values.len() as u64;
    log(format!("Creating file {}", file.display()));
    let file = File::create(file)?;
    let data = file.new_dataset::<i64>(dataset).shape([len]).unlimited().chunks([2]).create()?;
    data.write(.., &values)?;
    log("SWMR mode".to_owned());
    let live = file.go_live()?;
    signal()?;
    for step in 0..5 {
        let dims = [(step + 1) * len];
        log(format!("Resizing dset shape: {}", shape(&dims)));
        data.resize(dims)?;
        data.write(step * len.., &values)?;
        live.publish()?;
        log("Sending event".to_owned());
        signal()?;
    }
    Ok(live.close()?)
}

fn read(Arguments { file, dataset }: &Arguments, signals: &Signals) -> Outcome {
    let log = |message: String| info_of("reader", message);
    log("Waiting for initial event".to_owned());
    if !signals.wait(TIMEOUT) {
        return Err(format!("no event in {} s", TIMEOUT.as_secs()).into());
    }
    log(format!("Opening file {}", file.display()));
    let data = File::follow(file)?.dataset(dataset)?;
    while signals.wait(TIMEOUT) {
        data.refresh()?;
        log(format!("Read dset shape: {}", shape(&data.shape())));
    }
    Ok(())
}

/// Signals from another process. None is lost, so whoever hears the last one sees all that was written.
struct Signals {
    heard: Receiver<()>,
}

impl Signals {
    /// One for each line on standard input.
    fn from_input() -> Self {
        let (sender, heard) = channel();
        thread::spawn(move || {
            for _ in io::stdin().lock().lines().map_while(Result::ok) {
                if sender.send(()).is_err() {
                    return;
                }
            }
            // Whoever signalled has gone. A signal that does not come is still waited for until the timeout.
            thread::sleep(2 * TIMEOUT);
        });
        Self { heard }
    }

    /// Waits for the next. False when the time is over.
    fn wait(&self, timeout: Duration) -> bool {
        self.heard.recv_timeout(timeout).is_ok()
    }
}

//! How fast h5live is beside h5py and beside the bare system calls.
//!
//! `cargo xtask bench [NAME..]` runs all benchmarks, or those whose name contains one of the words. Every benchmark runs
//! its contestants in turn, several rounds of each, and compares the medians: ratios from one run on one machine. Files go
//! to `$H5LIVE_BENCH_DIR`, or the system's temporary directory.

mod buffer;
mod contest;
mod h5py;
mod live;
mod memory;
mod open;
mod read;
mod structure;
mod write;

use std::process::ExitCode;

use contest::Contest;

/// What every benchmark gives: its name, and the contest it holds.
type Benchmark = (&'static str, fn(&Contest) -> contest::Outcome);

const BENCHMARKS: &[Benchmark] = &[
    ("append-row", live::append_row),
    ("append-row-durably", live::append_row_durably),
    ("refresh", live::refresh),
    ("refresh-by-chunks", live::refresh_by_chunks),
    ("write-frames", write::frames),
    ("write-frames-gzip", write::frames_gzip),
    ("read-contiguous", read::contiguous),
    ("read-chunked", read::chunked),
    ("read-stored", read::stored),
    ("read-converted", read::converted),
    ("read-small-chunks", read::small_chunks),
    ("walk", structure::walk),
    ("many-chunks", structure::many_chunks),
    ("small-reads", structure::small_reads_contiguous),
    ("open-and-list", open::open_and_list),
    ("memory", memory::memory),
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [role, rest @ ..] = words.as_slice()
        && role == memory::ROLE
    {
        return memory::run_role(rest);
    }
    let contest = match Contest::new() {
        Ok(contest) => contest,
        Err(error) => {
            eprintln!("bench: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!(
        "files in {}; medians of rounds taken in turn; ratio = other / h5live, the median of the rounds\n",
        contest.directory().display()
    );
    let chosen = BENCHMARKS.iter().filter(|(name, _)| words.is_empty() || words.iter().any(|word| name.contains(word)));
    for (name, run) in chosen {
        println!("{name}");
        if let Err(error) = run(&contest) {
            eprintln!("bench: {name}: {error}");
            return ExitCode::FAILURE;
        }
        println!();
    }
    ExitCode::SUCCESS
}

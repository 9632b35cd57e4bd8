//! What is done in this repository besides building it: `cargo xtask` lists it.

mod check;
mod command;
mod corpus;
mod fuzz;
mod python;
mod setup;

use std::env;
use std::process::ExitCode;

/// Why a task failed, for people.
type Failure = String;

/// Something to do: its name, its arguments as they are shown, what does it, and a line of help.
type Task = (&'static str, &'static str, fn(&[String]) -> Result<(), Failure>, &'static str);

const TASKS: &[Task] = &[
    ("setup", "", setup::run, "install what the tests need: two versions of h5py, HDF5's tools, strace"),
    (
        "test",
        "[FILTER..]",
        check::test,
        "setup, then everything: all tests, reading a corpus, a minute of fuzzing; or the tests whose names contain a FILTER",
    ),
    ("lint", "", check::lint, "formatting, clippy with warnings denied, documentation"),
    (
        "corpus",
        "DIR [OPTION..]",
        corpus::judge,
        "describe the files of a corpus and compare with what they should be; --help lists the options",
    ),
    (
        "crash",
        "[OPTION VALUE..]",
        check::crash,
        "judge crashes of a simulated disk: --states N --seed S --workload NAME",
    ),
    (
        "campaign",
        "NAME [OPTION VALUE..]",
        check::campaign,
        "real processes: kills, opens, together, ends, readers, structure, wide; --count N",
    ),
    ("python", "[FILTER..]", python::test, "build the Python wheel, and run its tests and h5py's own on it"),
    (
        "fuzz",
        "[OPTION..] [TARGET..]",
        fuzz::fuzz,
        "look for inputs that make reading panic, hang or take too much memory: --executions N each, --minutes M in all",
    ),
    (
        "bench",
        "[python] [NAME..]",
        check::bench,
        "measure beside h5py and plain reads and writes, and print the ratios; python: the Python package",
    ),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let Some((name, rest)) = arguments.split_first() else {
        print!("{}", help());
        return ExitCode::SUCCESS;
    };
    if matches!(name.as_str(), "help" | "-h" | "--help") {
        print!("{}", help());
        return ExitCode::SUCCESS;
    }
    let Some((_, _, run, _)) = TASKS.iter().find(|(task, ..)| task == name) else {
        eprint!("there is no task {name:?}\n\n{}", help());
        return ExitCode::from(2);
    };
    match run(rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn help() -> String {
    let mut text = String::from("cargo xtask TASK\n\n");
    for (name, arguments, _, line) in TASKS {
        text += &format!("  {:<32}{line}\n", format!("{name} {arguments}"));
    }
    text
}

//! Fuzzing: inputs made from good ones by libFuzzer, for each of the targets of `fuzz/`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use crate::Failure;
use crate::command::{cargo, output, root, run};
use crate::setup;

/// How long targets run.
#[derive(Debug, Clone, Copy)]
enum Effort {
    Executions(u64),
    Seconds(u64),
}

/// What all targets share if nothing else is said.
const USUAL: Effort = Effort::Seconds(60);
/// An input that takes longer, in seconds, is a fault; so is one that takes more memory, in megabytes.
const SLOWEST: u32 = 5;
const MEMORY: u32 = 512;

/// `[--executions N | --minutes M] [--seeds DIRECTORY] [TARGET..]`
///
/// Every target named runs for N executions or for its share of M minutes; all of them, if none is named. Inputs to start from are cut
/// out of files that h5py makes, and of those of the directory.
pub(crate) fn fuzz(arguments: &[String]) -> Result<(), Failure> {
    let mut effort = USUAL;
    let mut more = None;
    let mut wanted: Vec<&str> = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let mut value = || rest.next().ok_or_else(|| format!("{argument} needs a value"));
        let number = |text: &String| text.parse::<u64>().map_err(|error| format!("{argument} {text}: {error}"));
        match argument.as_str() {
            "--executions" => effort = Effort::Executions(number(value()?)?),
            "--minutes" => effort = Effort::Seconds(60 * number(value()?)?),
            "--seeds" => more = Some(PathBuf::from(value()?)),
            option if option.starts_with('-') => return Err(format!("there is no option {option}")),
            name => wanted.push(name),
        }
    }
    let place = root().join("fuzz");
    let program = build(&place)?;
    let targets = make_seeds(&place, &program, more)?;
    if let Some(unknown) = wanted.iter().find(|name| !targets.iter().any(|target| target == *name)) {
        return Err(format!("there is no target {unknown}; there are {}", targets.join(", ")));
    }
    let chosen: Vec<&String> =
        targets.iter().filter(|target| wanted.is_empty() || wanted.contains(&target.as_str())).collect();
    let mut faults = Vec::new();
    let mut tally = BTreeMap::new();
    for target in &chosen {
        let share = match effort {
            Effort::Executions(count) => format!("-runs={count}"),
            Effort::Seconds(seconds) => format!("-max_total_time={}", (seconds / chosen.len() as u64).max(1)),
        };
        let (executions, is_sound) = run_target(&place, &program, target, &share)?;
        println!("{target:<20}{executions:>14} executions{}", if is_sound { "" } else { ": a fault was found" });
        tally.insert(target.to_string(), executions);
        if !is_sound {
            faults.push(target.as_str());
        }
    }
    let all = add_to_tally(&place, &tally)?;
    println!("{:<20}{:>14} executions; {all} with all runs before", "together", tally.values().sum::<u64>());
    match faults.is_empty() {
        true => Ok(()),
        false => Err(format!("faults in {}; the inputs are in fuzz/artifacts", faults.join(", "))),
    }
}

/// What libFuzzer is told of: the edges that are taken, and what is compared. No sanitizer: the code is safe Rust, and what it is built
/// on is fuzzed with one elsewhere; it is much faster so.
const INSTRUMENTED: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";

/// Builds the fuzzing program, with libFuzzer's instrumentation, and returns where it is.
fn build(place: &Path) -> Result<PathBuf, Failure> {
    let target = place.join("target");
    // With a target of its own, the flags are not for build scripts.
    let host = output(Command::new("rustc").arg("-vV"))?.unwrap_or_default();
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default().to_owned();
    run(cargo(&["build", "--release", "--target", &host, "--manifest-path"])
        .arg(place.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .env("RUSTFLAGS", INSTRUMENTED))?;
    Ok(target.join(host).join("release/fuzz"))
}

/// Makes inputs to start from and returns the names of the targets.
fn make_seeds(place: &Path, program: &Path, more: Option<PathBuf>) -> Result<Vec<String>, Failure> {
    let io = |error: std::io::Error| format!("cannot make seeds: {error}");
    let files = place.join("seeds/files");
    fs::create_dir_all(&files).map_err(io)?;
    setup::install()?;
    run(Command::new(setup::ENVIRONMENTS[0].python()).arg(place.join("seeds.py")).arg(&files))?;
    let sources =
        env::join_paths([files].into_iter().chain(more)).map_err(|error| format!("cannot make seeds: {error}"))?;
    let targets = place.join("seeds/targets");
    run(Command::new(program).env("H5LIVE_FUZZ_SEEDS", &targets).env("H5LIVE_FUZZ_FILES", sources))?;
    let mut names = Vec::new();
    for entry in fs::read_dir(&targets).map_err(io)? {
        names.push(entry.map_err(io)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Runs a target, whose output goes to a file, and returns how many inputs were run and whether all went well.
fn run_target(place: &Path, program: &Path, target: &str, share: &str) -> Result<(u64, bool), Failure> {
    let io = |error: std::io::Error| format!("cannot run {target}: {error}");
    let (corpus, artifacts) = (place.join("corpus").join(target), place.join("artifacts").join(target));
    for directory in [&corpus, &artifacts] {
        fs::create_dir_all(directory).map_err(io)?;
    }
    let log = place.join("artifacts").join(format!("{target}.log"));
    let status = Command::new(program)
        .current_dir(place)
        .env("H5LIVE_FUZZ", target)
        .args([share, &format!("-timeout={SLOWEST}"), &format!("-rss_limit_mb={MEMORY}"), "-print_final_stats=1"])
        .args([format!("-artifact_prefix={}/", artifacts.display()), format!("-max_len={}", longest(target))])
        .args([&corpus, &place.join("seeds/targets").join(target)])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(&log).map_err(io)?)
        .status()
        .map_err(io)?;
    let said = String::from_utf8_lossy(&fs::read(&log).map_err(io)?).into_owned();
    let count = said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    let count = count.and_then(|count| count.trim().parse().ok()).unwrap_or(0);
    Ok((count, status.success()))
}

/// The longest input: files are cut no shorter than they are, structures are a few hundred bytes.
fn longest(target: &str) -> u32 {
    match target {
        "file" => 100_000,
        "trailer" | "global_heap" => 4096,
        _ => 1024,
    }
}

/// Adds the numbers to those of all runs before and returns the sum.
fn add_to_tally(place: &Path, tally: &BTreeMap<String, u64>) -> Result<u64, Failure> {
    let io = |error: std::io::Error| format!("cannot keep the tally: {error}");
    let path = place.join("tally.tsv");
    let mut file = fs::OpenOptions::new().create(true).append(true).open(&path).map_err(io)?;
    for (target, count) in tally {
        writeln!(file, "{target}\t{count}").map_err(io)?;
    }
    let text = fs::read_to_string(&path).map_err(io)?;
    Ok(text.lines().filter_map(|line| line.split('\t').nth(1)?.parse::<u64>().ok()).sum())
}

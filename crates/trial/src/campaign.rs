//! Real processes: writers that are killed, readers that come, go and stop, and libhdf5 as the judge.

mod ends;
mod kills;
mod opens;
mod readers;
mod report;
mod structure;
mod together;
mod wide;

use std::path::PathBuf;
use std::time::Duration;

use h5live_testkit::process::Program;

pub use kills::{path_of, sets};
pub use report::Report;

/// The first argument of a process that a campaign starts.
pub const ROLE: &str = "--role";

/// Within which a child must have answered.
const LIMIT: Duration = Duration::from_secs(60);

/// Why a campaign cannot go on.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs a campaign by its name. `count` is how many of what it counts, `seed` what its chances follow from; processes have chances of
/// their own.
///
/// # Errors
/// It is not known, or cannot be run here.
pub fn run(name: &str, count: Option<u64>, seed: u64) -> Result<Report, String> {
    let done = match name {
        "kills" => kills::run(count.unwrap_or(500), seed),
        "opens" => opens::run(count.unwrap_or(100_000), seed),
        "together" => together::run(count.unwrap_or(1_000_000)),
        "ends" => ends::run(count.unwrap_or(1000), seed),
        "readers" => readers::run(count.unwrap_or(40_000)),
        "structure" => structure::run(count.unwrap_or(1000)),
        "wide" => wide::run(count.unwrap_or(2000)),
        _ => {
            return Err(format!(
                "there is no campaign {name:?}: kills, opens, together, ends, readers, structure, wide"
            ));
        }
    };
    done.map_err(|why| format!("{name}: {why}"))
}

/// Plays the part of a process that a campaign started.
///
/// # Errors
/// Whatever went wrong.
pub fn act(role: &[String]) -> Result<(), String> {
    let words: Vec<&str> = role.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["kills", set, path] => kills::write(set, path),
        ["opens", most, path] => opens::write(most, path),
        ["together", most, path] => together::write(most, path),
        ["ends", path] => ends::write(path),
        ["structure", objects, path] => structure::write(objects, path),
        _ => return Err(format!("{words:?} is no part")),
    };
    done.map_err(|why| why.to_string())
}

/// A process that plays a part.
fn player(part: &[&str]) -> Program {
    Program::new(program("h5live-trial")).arg(ROLE).args(part)
}

/// A program of this workspace, built beside the running one, which may be a test.
fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    let beside = own.ancestors().skip(1).take(2).map(|directory| directory.join(name)).find(|path| path.is_file());
    beside.unwrap_or_else(|| name.into())
}

/// Says a line to the process that started this one.
fn say(line: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    // Whoever has gone needs no answer.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

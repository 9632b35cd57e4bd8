//! Has `h5live describe` describe the files of a corpus and compares with what they should be: `cargo xtask corpus`.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Duration;
use std::{env, fs, thread};

use h5live_testkit::corpus::{Comparison, Corpus, Job, Limits, Summary, Verdict, compare, run};

const HELP: &str = "\
corpus DIR [OPTION..]

Describes each file that DIR/golden has a description of, and compares. A line per difference, then counts by tag.

  --only TEXT     only files whose names contain TEXT; may be given several times
  -j N            processes at a time (as many as there are cores)
  --timeout SECS  for each file (30)
  --memory MIB    address space of each process (4096)
  --program PATH  what describes: PATH describe FILE (h5live, beside this program)
  --out DIR       keep the descriptions there
  -v              every difference, not the first three of a file, and files that passed
";

/// Differences of a file that are shown without `-v`.
const SHOWN: usize = 3;

struct Options {
    directory: PathBuf,
    only: Vec<String>,
    workers: usize,
    limits: Limits,
    program: PathBuf,
    out: Option<PathBuf>,
    verbose: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.is_empty() || arguments.iter().any(|argument| matches!(argument.as_str(), "-h" | "--help")) {
        print!("{HELP}");
        return ExitCode::SUCCESS;
    }
    match Options::parse(&arguments).map_err(|why| format!("{why}\n\n{HELP}")).and_then(|options| judge(&options)) {
        Ok(summary) if summary.failed() == 0 => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::from(2)
        }
    }
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        let beside = env::current_exe().ok().and_then(|own| own.parent().map(|folder| folder.join("h5live")));
        let mut options = Self {
            directory: PathBuf::new(),
            only: Vec::new(),
            workers: thread::available_parallelism().map_or(1, NonZero::get),
            limits: Limits { time: Duration::from_secs(30), memory: 4096 << 20 },
            program: beside.unwrap_or_else(|| "h5live".into()),
            out: None,
            verbose: false,
        };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut value = || rest.next().ok_or(format!("{argument} needs a value"));
            let number = |text: &String| text.parse::<u64>().map_err(|_| format!("{text:?} is no number"));
            match argument.as_str() {
                "--only" => options.only.push(value()?.clone()),
                "-j" => options.workers = number(value()?)? as usize,
                "--timeout" => options.limits.time = Duration::from_secs(number(value()?)?),
                "--memory" => options.limits.memory = number(value()?)? << 20,
                "--program" => options.program = value()?.into(),
                "--out" => options.out = Some(value()?.into()),
                "-v" => options.verbose = true,
                other if other.starts_with('-') => return Err(format!("there is no option {other}")),
                other if options.directory.as_os_str().is_empty() => options.directory = other.into(),
                other => return Err(format!("one directory at a time, not also {other}")),
            }
        }
        Ok(options)
    }
}

/// What happened to one file.
struct Outcome {
    job: Job,
    comparison: Comparison,
}

fn judge(options: &Options) -> Result<Summary, String> {
    let corpus = Corpus::open(&options.directory).map_err(|error| error.to_string())?;
    let wanted = |name: &&String| options.only.is_empty() || options.only.iter().any(|only| name.contains(only));
    let names: Vec<String> = corpus.names.iter().filter(wanted).cloned().collect();
    // Told in the order of names, whichever is done first.
    let outcomes = Mutex::new(Vec::from_iter(names.iter().map(|_| None)));
    let problem = Mutex::new(None);
    run(&corpus, &names, &options.program, options.limits, options.workers, |number, job| {
        match outcome(&corpus, job, options.out.as_deref()) {
            Ok(outcome) => outcomes.lock().expect("no thread panics")[number] = Some(outcome),
            Err(why) => *problem.lock().expect("no thread panics") = Some(why),
        }
    });
    if let Some(why) = problem.into_inner().expect("no thread panics") {
        return Err(why);
    }
    let mut summary = Summary::default();
    let mut explained = Vec::new();
    let mut slowest: Option<(Duration, String)> = None;
    for outcome in outcomes.into_inner().expect("no thread panics").into_iter().flatten() {
        summary.add(&corpus.tags(&outcome.job.name), &outcome.comparison);
        tell(&outcome, options.verbose);
        if outcome.comparison.verdict == Verdict::Explained {
            explained.push(format!("{}: {}", outcome.job.name, outcome.comparison.missing_filters()));
        }
        if slowest.as_ref().is_none_or(|(took, _)| *took < outcome.job.took) {
            slowest = Some((outcome.job.took, outcome.job.name));
        }
    }
    if !explained.is_empty() {
        println!("\nexplained: all is as it should be, but for elements behind filters that are not available");
        explained.iter().for_each(|line| println!("        {line}"));
    }
    println!("\n{summary}");
    if let Some((took, name)) = slowest {
        println!("slowest: {:.1} s for {name}", took.as_secs_f64());
    }
    Ok(summary)
}

fn outcome(corpus: &Corpus, job: Job, out: Option<&Path>) -> Result<Outcome, String> {
    if let Some(out) = out {
        let path = out.join(format!("{}.json", job.name));
        let kept = fs::create_dir_all(path.parent().unwrap_or(out)).and_then(|()| fs::write(&path, &job.text));
        kept.map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let golden = corpus.golden(&job.name).map_err(|error| error.to_string())?;
    let comparison = compare(&golden, &job.described, &corpus.tags(&job.name).category);
    Ok(Outcome { job, comparison })
}

fn tell(outcome: &Outcome, verbose: bool) {
    let Outcome { job, comparison } = outcome;
    let word = match comparison.verdict {
        Verdict::Pass => "PASS",
        Verdict::Lenient => "LENIENT",
        Verdict::Explained => "MISSING",
        Verdict::Fail => "FAIL",
    };
    // What is explained has its own list at the end.
    if !verbose && comparison.verdict != Verdict::Fail {
        return;
    }
    println!("{word:8}{}", job.name);
    let shown = if verbose { usize::MAX } else { SHOWN };
    for found in comparison.differences.iter().take(shown) {
        let clip = |text: String| text.chars().take(160).collect::<String>();
        let (expected, got) = (clip(found.expected.to_string()), clip(found.found.to_string()));
        println!("        {} {} {}: expected {expected}, found {got}", found.aspect, found.place, found.field);
    }
    if let Some(more) = comparison.differences.len().checked_sub(shown).filter(|more| *more > 0) {
        println!("        and {more} more");
    }
}

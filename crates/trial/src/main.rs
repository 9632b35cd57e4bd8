//! `h5live-trial`: large sizes of what the tests do in small ones. `cargo xtask crash` and `cargo xtask campaign` run it.

use std::process::ExitCode;
use std::time::Instant;

use h5live_trial::campaign;
use h5live_trial::crash::Campaign;

const USAGE: &str = "\
h5live-trial crash [--states N] [--seed S] [--workload NAME] [--shown-every N]
    judges crashes on a simulated disk until there were N; one of so many is shown to h5py too
h5live-trial campaign NAME [--count N] [--seed S]
    real processes: kills, opens, together, ends, readers, structure, wide
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.split_first() {
        Some((name, rest)) if name == "crash" => crash(rest),
        Some((name, rest)) if name == "campaign" => run_campaign(rest),
        Some((name, rest)) if name == campaign::ROLE => campaign::act(rest),
        _ => Err(USAGE.to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn crash(arguments: &[String]) -> Result<(), String> {
    let options = Options::parse(arguments)?;
    let campaign = Campaign {
        states: options.number("states", 20_000)?,
        seed: options.number("seed", 1)?,
        workload: options.text("workload").unwrap_or_default().to_owned(),
        shown_every: options.number("shown-every", 500)?,
    };
    let begun = Instant::now();
    let tally = campaign.run(|tally| {
        eprintln!(
            "{:>9} states, {} wrong, {:.0} s",
            tally.states(),
            tally.wrong().len(),
            begun.elapsed().as_secs_f64()
        );
    });
    println!("seed {}\n{tally}{:.0} s", campaign.seed, begun.elapsed().as_secs_f64());
    if tally.wrong().is_empty() && tally.states() > 0 { Ok(()) } else { Err("violations were found".to_owned()) }
}

fn run_campaign(arguments: &[String]) -> Result<(), String> {
    let Some((name, rest)) = arguments.split_first() else { return Err(USAGE.to_owned()) };
    let options = Options::parse(rest)?;
    let begun = Instant::now();
    let report = campaign::run(name, options.count("count")?, options.number("seed", 1)?)?;
    println!("{report}\n{:.0} s", begun.elapsed().as_secs_f64());
    if report.is_clean() { Ok(()) } else { Err("something was wrong".to_owned()) }
}

/// `--name value` pairs.
struct Options(Vec<(String, String)>);

impl Options {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        let pairs = arguments.chunks(2).map(|pair| match pair {
            [name, value] if name.starts_with("--") => Ok((name[2..].to_owned(), value.clone())),
            _ => Err(format!("{pair:?} is no option with a value\n\n{USAGE}")),
        });
        pairs.collect::<Result<_, _>>().map(Self)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    fn count(&self, name: &str) -> Result<Option<u64>, String> {
        let parse = |value: &str| value.replace('_', "").parse().map_err(|_| format!("--{name} {value}: no number"));
        self.text(name).map(parse).transpose()
    }

    fn number(&self, name: &str, otherwise: u64) -> Result<u64, String> {
        Ok(self.count(name)?.unwrap_or(otherwise))
    }
}

//! `h5live watch`: a line for each growth of the datasets of a file.

use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use chrono::{DateTime, Local, SecondsFormat};
use h5live::{Dataset, File, Growth};
use serde_json::json;

use crate::failure::Failure;
use crate::follow::{Event, Follow, Patience, seconds};
use crate::output::{self, shape};
use crate::place::{Place, each_dataset};

/// How often a file is searched for new datasets, while it changes.
const SEARCH: Duration = Duration::from_secs(1);

/// Tell of each growth of a file's datasets: time, path, shape, new rows, rows per second, and how long ago they were
/// published
///
/// Growth that comes together is told together. It ends when the writer closes the file (code 0) or died (code 5).
#[derive(Debug, clap::Args)]
pub(crate) struct Watch {
    /// The file
    file: PathBuf,
    /// The datasets; without any, all there are and all that come
    paths: Vec<String>,
    /// A JSON object per line
    #[arg(long)]
    json: bool,
    /// Tell at most once in so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "0")]
    every: Duration,
    #[command(flatten)]
    patience: Patience,
}

impl Watch {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let mut place = Place::new(&self.file, None);
        let mut paths = self.paths;
        if place.is_explicit {
            paths.push(std::mem::replace(&mut place.path, "/".to_owned()));
            place.is_explicit = false;
        }
        let look = |file: &File| match paths.is_empty() {
            true => with_rows(file),
            false => paths.iter().map(|path| Ok(file.dataset(path)?)).collect(),
        };
        let (file, datasets) = self.patience.follow(&place, look)?;
        let mut follow = Follow::new(&file);
        let mut out = output::stdout();
        let mut teller = Teller::new(self.json, &datasets);
        for dataset in datasets {
            let Some(rows) = dataset.shape().first().copied() else {
                return Err(Failure::Usage(format!("{} has no rows that could grow", dataset.path())));
            };
            follow.add(dataset, rows);
        }
        teller.begin(&mut out)?;
        let mut searched = Instant::now();
        loop {
            match follow.next()? {
                Event::Grown(grown) => {
                    for (dataset, growth) in &grown {
                        teller.tell(dataset, growth, &mut out)?;
                    }
                    out.flush()?;
                    std::thread::sleep(self.every);
                }
                Event::Idle if output::is_abandoned() => return Err(Failure::OutputClosed),
                Event::Idle => {}
                Event::Closed => {
                    output::note(&format!("{}: nobody writes it any more", file.path().display()));
                    return Ok(());
                }
            }
            if paths.is_empty() && searched.elapsed() >= SEARCH {
                searched = Instant::now();
                for dataset in with_rows(&file)? {
                    if !follow.has(dataset.address()) {
                        teller.begin_dataset(&dataset);
                        follow.add(dataset, 0);
                    }
                }
            }
        }
    }
}

/// The datasets of a file that can have rows.
fn with_rows(file: &File) -> Result<Vec<Dataset>, Failure> {
    let mut found = Vec::new();
    each_dataset(&file.root(), &mut |dataset| {
        if !dataset.shape().is_empty() {
            found.push(dataset);
        }
    })?;
    Ok(found)
}

/// Tells of growth, line by line.
struct Teller {
    is_json: bool,
    path_width: usize,
    told: HashMap<u64, Instant>,
}

impl Teller {
    fn new(is_json: bool, datasets: &[Dataset]) -> Self {
        let mut teller = Self { is_json, path_width: 4, told: HashMap::new() };
        datasets.iter().for_each(|dataset| teller.begin_dataset(dataset));
        teller
    }

    fn begin_dataset(&mut self, dataset: &Dataset) {
        self.path_width = self.path_width.max(dataset.path().chars().count());
        self.told.insert(dataset.address(), Instant::now());
    }

    fn begin(&self, out: &mut impl Write) -> Result<(), Failure> {
        if !self.is_json {
            let width = self.path_width;
            writeln!(
                out,
                "{:12}  {:width$}  {:16} {:>10} {:>10} {:>9}",
                "time", "path", "shape", "new rows", "rows/s", "lag"
            )?;
        }
        Ok(out.flush()?)
    }

    fn tell(&mut self, dataset: &Dataset, growth: &Growth, out: &mut impl Write) -> Result<(), Failure> {
        let now = SystemTime::now();
        let elapsed = self.told.insert(dataset.address(), Instant::now()).map(|told| told.elapsed().as_secs_f64());
        let rows = growth.rows.end - growth.rows.start;
        let rate = elapsed.filter(|elapsed| *elapsed > 0.0).map(|elapsed| rows as f64 / elapsed);
        // Clocks of two hosts may disagree: rows do not arrive before they were published.
        let lag =
            growth.published.map(|published| now.duration_since(published).unwrap_or_default().as_secs_f64() * 1e3);
        let time = DateTime::<Local>::from(now);
        if self.is_json {
            let line = json!({
                "time": time.to_rfc3339_opts(SecondsFormat::Millis, false),
                "path": dataset.path(),
                "shape": growth.shape,
                "rows": [growth.rows.start, growth.rows.end],
                "rows_per_second": rate,
                "lag_ms": lag,
                "commit": growth.commit,
            });
            return Ok(writeln!(out, "{line}")?);
        }
        let width = self.path_width;
        writeln!(
            out,
            "{:12}  {:width$}  {:16} {:>10} {:>10} {:>9}",
            time.format("%H:%M:%S%.3f").to_string(),
            dataset.path(),
            shape(&growth.shape),
            format!("+{}", output::thousands(rows)),
            rate.map_or_else(|| "-".to_owned(), |rate| output::thousands(rate.round() as u64)),
            lag.map_or_else(|| "-".to_owned(), |lag| format!("{lag:.1} ms")),
        )?;
        Ok(())
    }
}

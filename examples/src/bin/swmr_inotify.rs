//! Watches a dataset that another process appends to: looks whenever the file is modified.
//!
//! Usage: `swmr_inotify [FILENAME [DATASETNAME]]`, by default `swmr.h5` and `data`.
//!
//! On every modification it refreshes the dataset, logs its shape and reads the rows that are new. When the writer closes
//! the file it logs the last shape and ends. Where the system does not tell of modifications (network filesystems), the
//! same is done by looking often.

use std::time::Duration;

use h5live::{Dataset, File, Wait, WriterState};
use h5live_examples::{Arguments, Outcome, info, shape};

fn main() -> Outcome {
    let Arguments { file, dataset } = Arguments::from_env("swmr.h5");
    info(format_args!("Opening file {}", file.display()));
    let file = File::follow(file)?;
    // Before the first look: what changes after it then wakes us.
    let waker = file.waker();
    let data = file.dataset(&dataset)?;
    let mut seen = 0;
    look(&data, &mut seen)?;
    loop {
        let wait = waker.wait(Duration::from_secs(1))?;
        // Any program that had the file open for writing may have closed it; the file itself says whether its writer did.
        let is_over = matches!(file.writer_state()?, WriterState::Closed | WriterState::Died(_));
        if is_over {
            break;
        }
        if wait != Wait::Idle {
            look(&data, &mut seen)?;
        }
    }
    match file.writer_state()? {
        WriterState::Died(writer) => info(format_args!("File writer, {writer}, died")),
        _ => info("File writer closed file"),
    }
    look(&data, &mut seen)
}

/// Logs the shape and reads the rows from `seen` on.
fn look(data: &Dataset, seen: &mut u64) -> Outcome {
    data.refresh()?;
    let dims = data.shape();
    info(format_args!("Read data shape: {}", shape(&dims)));
    let rows = dims.first().copied().unwrap_or(0);
    if rows > *seen {
        info(format_args!("Reading out dataset [{seen}:{rows}]"));
        let values = data.read_values(*seen..rows)?;
        let shown: Vec<String> = values.iter().take(8).map(ToString::to_string).collect();
        let more = if values.len() > shown.len() { ", ..." } else { "" };
        info(format_args!("[{}{more}]", shown.join(", ")));
    }
    *seen = rows;
    Ok(())
}

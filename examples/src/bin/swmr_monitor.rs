//! Watches the shape of a dataset that another process appends to, once a second.
//!
//! Usage: `swmr_monitor [FILENAME [DATASETNAME]]`, by default `swmr.h5` and `data`.
//!
//! It ends when the writer has closed the file, or with an error when it died.

use std::thread::sleep;
use std::time::Duration;

use h5live::{File, WriterState};
use h5live_examples::{Arguments, Outcome, info, shape};

fn main() -> Outcome {
    let Arguments { file, dataset } = Arguments::from_env("swmr.h5");
    info(format_args!("Opening file {}", file.display()));
    let file = File::follow(file)?;
    let data = file.dataset(&dataset)?;
    loop {
        // Before the look at the shape: what the writer published before it ended is then not missed.
        let state = file.writer_state()?;
        data.refresh()?;
        info(format_args!("Read data shape: {}", shape(&data.shape())));
        match state {
            WriterState::Closed => break,
            WriterState::Died(writer) => return Err(format!("the writer, {writer}, died").into()),
            _ => sleep(Duration::from_secs(1)),
        }
    }
    info("File writer closed file");
    Ok(())
}

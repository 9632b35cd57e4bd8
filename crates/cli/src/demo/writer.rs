//! The demo's writer.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use h5live::File;

use super::values::{SIDE, frame, signal};
use super::{FRAMES, SIGNAL, Teller};
use crate::failure::Failure;

/// Time between publications.
const TICK: Duration = Duration::from_millis(1);
/// Rows of the signal per publication.
const ROWS: u64 = 10;
/// Publications per frame.
const TICKS_PER_FRAME: u64 = 20;

/// Time between reports: short, so that no reader seems to be ahead of what the writer has told.
const REPORT: Duration = Duration::from_millis(10);

/// The writer's process of `demo`
#[derive(Debug, clap::Args)]
pub(crate) struct DemoWriter {
    file: PathBuf,
    seconds: f64,
}

impl DemoWriter {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let mut teller = Teller::new(REPORT);
        let ended = self.write(&mut teller);
        teller.end(ended)
    }

    fn write(&self, teller: &mut Teller) -> Result<(), Failure> {
        let file = File::create(&self.file)?;
        let samples = file.new_dataset::<f64>(SIGNAL).shape([0]).unlimited().chunks([4096]).create()?;
        let side = SIDE as u64;
        let frames = file.new_dataset::<u16>(FRAMES).shape([0, side, side]).unlimited().chunks([8, side, side]);
        let frames = frames.shuffle().gzip(4).create()?;
        let live = file.go_live()?;
        let begun = Instant::now();
        let (mut row, mut rows, mut pixels) = (0, Vec::new(), Vec::new());
        for tick in 0u64.. {
            if begun.elapsed().as_secs_f64() >= self.seconds {
                break;
            }
            rows.clear();
            rows.extend((row..row + ROWS).map(signal));
            samples.append(&rows)?;
            row += ROWS;
            if tick % TICKS_PER_FRAME == 0 {
                pixels.clear();
                frame(teller.report.frames, &mut pixels);
                frames.append(&pixels)?;
                teller.report.frames += 1;
            }
            live.publish()?;
            teller.tell(row);
            // By the clock and not by sleeping a tick: a slow tick is made up for.
            let next = TICK * u32::try_from(tick + 1).unwrap_or(u32::MAX);
            thread::sleep(next.saturating_sub(begun.elapsed()));
        }
        Ok(live.close()?)
    }
}

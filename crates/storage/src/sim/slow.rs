//! A reader that takes its time.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::image::{by_page, copy_page};
use super::{Disk, Random};
use crate::{ReadAt, past_end};

/// Of so many reads, one finds that time has passed since the one before.
const PAUSES: usize = 6;
/// Events that pass in a short pause at most. In a long one it may be all that are left.
const SHORT: usize = 12;

/// What one reader sees of a [`Disk`], all of whose events have happened, while they happen once more.
///
/// Each read shows the disk as it was at one moment, which is never earlier than that of the read before. Between two reads any number
/// of writes may pass: the reader was stopped, or the machine was busy.
#[derive(Debug)]
pub struct SlowView {
    disk: Arc<Disk>,
    turns_back: bool,
    clock: Mutex<Clock>,
}

#[derive(Debug)]
struct Clock {
    random: Random,
    moment: usize,
}

impl SlowView {
    pub(super) fn new(disk: Arc<Disk>, moment: usize, seed: u64) -> Self {
        Self { disk, turns_back: false, clock: Mutex::new(Clock { random: Random::new(seed), moment }) }
    }

    /// A reader whose time may run backwards: no protocol can work beside it. For negative controls.
    pub fn turning_back(self) -> Self {
        Self { turns_back: true, ..self }
    }

    /// How many events of the disk have happened for this reader by now.
    pub fn moment(&self) -> usize {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner).moment
    }

    /// Lets time pass, or not.
    fn tick(&self, end: usize) -> usize {
        let mut clock = self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        let Clock { random, moment } = &mut *clock;
        if random.chance(1, PAUSES) {
            let left = end - *moment;
            let pause = if random.chance(1, 2) { left.min(SHORT) } else { left };
            *moment = match self.turns_back {
                true => random.below(end + 1),
                false => *moment + random.below(pause + 1),
            };
        }
        *moment
    }
}

impl ReadAt for SlowView {
    fn size(&self) -> io::Result<u64> {
        let state = self.disk.lock();
        let moment = self.tick(state.moment());
        Ok(state.history.len(moment).1)
    }

    fn read_exact_at(&self, buf: &mut [u8], at: u64) -> io::Result<()> {
        let state = self.disk.lock();
        let moment = self.tick(state.moment());
        let size = state.history.len(moment).1;
        if at.checked_add(buf.len() as u64).is_none_or(|end| end > size) {
            return Err(past_end(at, buf.len(), size));
        }
        for (index, within, part) in by_page(at, buf.len()) {
            copy_page(state.history.page(index, moment).1.as_deref(), within, &mut buf[part]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Storage;

    /// A disk to which the numbers from 1 to 99 are written, twice each.
    fn disk() -> Arc<Disk> {
        let disk = Arc::new(Disk::new(1));
        for number in 1..100_u8 {
            disk.write_all_at(&[number], 0).unwrap();
            disk.write_all_at(&[number], 5000).unwrap();
        }
        disk
    }

    fn reads(view: &SlowView) -> Vec<u8> {
        let mut seen = Vec::new();
        for at in [0, 5000].repeat(40) {
            let mut byte = [0];
            view.read_exact_at(&mut byte, at).unwrap();
            seen.extend(byte);
        }
        seen
    }

    #[test]
    fn time_passes_between_two_reads_and_never_runs_back() {
        let disk = disk();
        let (mut passed, mut still) = (0, 0);
        for seed in 0..50 {
            let view = disk.slow_view(10, seed);
            let seen = reads(&view);
            assert!(seen.is_sorted_by(|one, next| one <= &(next + 1)), "{seen:?}");
            passed += seen.windows(2).filter(|pair| pair[1] > pair[0] + 1).count();
            still += seen.windows(2).filter(|pair| pair[1] == pair[0]).count();
            assert!(view.moment() <= 198 && usize::from(*seen.last().unwrap()) >= view.moment() / 2);
        }
        assert!(passed > 50 && still > 50, "{passed} and {still}");
    }

    #[test]
    fn one_that_turns_back_does() {
        let disk = disk();
        let turned =
            |seed| !reads(&disk.slow_view(10, seed).turning_back()).is_sorted_by(|one, next| one <= &(next + 1));
        assert!((0..50).any(turned));
    }
}

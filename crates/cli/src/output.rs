//! Standard output, for data, and standard error, for everything else.

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Standard output, buffered: many small writes are one.
pub(crate) fn stdout() -> BufWriter<StdoutLock<'static>> {
    BufWriter::with_capacity(1 << 16, io::stdout().lock())
}

/// Tells the user something that is no data.
pub(crate) fn note(message: &str) {
    // There is nowhere to complain to when standard error is closed.
    let _ = writeln!(io::stderr(), "h5live: {message}");
}

/// Whether whoever reads standard output has gone. A program that waits for data would otherwise notice only when it
/// writes again, which may be never.
pub(crate) fn is_abandoned() -> bool {
    let stdout = io::stdout();
    let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&now)).is_ok_and(|ready| ready > 0) && fds[0].revents().contains(PollFlags::ERR)
}

/// Progress through `total` rows, on standard error: only where that is a terminal the data do not go to as well.
pub(crate) fn progress(total: u64, what: &str) -> ProgressBar {
    if !io::stderr().is_terminal() || io::stdout().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(10));
    let template = "{msg} {wide_bar} {human_pos}/{human_len} rows, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    bar
}

/// Progress through `total` bytes, on standard error: only on a terminal.
pub(crate) fn byte_progress(total: u64) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(10));
    let template = "{msg} {wide_bar} {binary_bytes}/{binary_total_bytes}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// A spinner with a message, on standard error: only on a terminal.
pub(crate) fn spinner() -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let spinner = ProgressBar::new_spinner();
    spinner.enable_steady_tick(Duration::from_millis(200));
    spinner
}

/// A number with separators between thousands.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number of bytes as people say it.
pub(crate) fn bytes(number: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if number < 1024 {
        return format!("{number} B");
    }
    let power = (number.ilog2() / 10).min(UNITS.len() as u32);
    format!("{:.1} {}", number as f64 / 1024f64.powi(power as i32), UNITS[power as usize - 1])
}

/// The same, with the exact number where it is large.
pub(crate) fn size_of(number: u64) -> String {
    match number {
        0..1024 => bytes(number),
        _ => format!("{} ({} bytes)", bytes(number), thousands(number)),
    }
}

/// A shape as Python writes it: `()`, `(5,)`, `(5, 512)`.
pub(crate) fn shape(dims: &[u64]) -> String {
    match dims {
        [only] => format!("({only},)"),
        _ => format!("({})", dims.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// Rows of text in columns, as wide as they need to be. Columns named in `right` are flush right; the last is not padded.
pub(crate) fn table(rows: &[Vec<String>], right: &[usize]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        widths.resize(widths.len().max(row.len()), 0);
        widths.iter_mut().zip(row).for_each(|(width, cell)| *width = (*width).max(cell.chars().count()));
    }
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let pad = " ".repeat(widths[column] - cell.chars().count());
            let (before, after) = if right.contains(&column) { (pad.as_str(), "") } else { ("", pad.as_str()) };
            let gap = if column == 0 { "" } else { "  " };
            line.push_str(&format!("{gap}{before}{cell}{after}"));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_said_as_people_say_them() {
        for (number, said, size) in [
            (0, "0", "0 B"),
            (999, "999", "999 B"),
            (1024, "1,024", "1.0 KiB"),
            (1_234_567, "1,234,567", "1.2 MiB"),
            (u64::MAX, "18,446,744,073,709,551,615", "16.0 EiB"),
        ] {
            assert_eq!((thousands(number).as_str(), bytes(number).as_str()), (said, size));
        }
        for (dims, said) in [(&[][..], "()"), (&[5], "(5,)"), (&[5, 512], "(5, 512)")] {
            assert_eq!(shape(dims), said);
        }
    }

    #[test]
    fn tables_line_up() {
        let rows = [vec!["a".to_owned(), "1".to_owned(), "x".to_owned()], vec!["bcd".into(), "22".into(), "yy".into()]];
        assert_eq!(table(&rows, &[1]), "a     1  x\nbcd  22  yy\n");
    }
}

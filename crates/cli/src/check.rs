//! `h5live check`: is a file sound?

use std::io::Write;
use std::path::PathBuf;

use h5live::WriterState;
use h5live::check::{Check as Library, Finding, Report, Severity};
use indicatif::ProgressBar;
use serde_json::{Value as Json, json};

use crate::failure::Failure;
use crate::output::{self, bytes, thousands};
use crate::place::Place;

/// Gaps told to people; programs are told more.
const GAPS_SHOWN: usize = 5;

/// Verify a file: every structure, its checksums and counts, who owns which bytes
///
/// A file that is being written can be checked too. Exits with 0 when the file is sound (there may be warnings) and with 6 when
/// it is damaged.
#[derive(Debug, clap::Args)]
pub(crate) struct Check {
    /// The file
    file: PathBuf,
    /// Pass every chunk through its filters, too
    #[arg(long)]
    data: bool,
    /// A JSON object
    #[arg(long)]
    json: bool,
    /// Tell only warnings and errors
    #[arg(short, long)]
    quiet: bool,
}

impl Check {
    pub(crate) fn run(self) -> Result<(), Failure> {
        if Place::new(&self.file, None).is_explicit {
            return Err(Failure::Usage(format!("{}: name a file, not an object in it", self.file.display())));
        }
        let bar = output::byte_progress(0);
        let report = Library::new().data(self.data).on_progress(|progress| show(&bar, progress)).file(&self.file);
        bar.finish_and_clear();
        let report = report?;
        let mut out = output::stdout();
        if self.json {
            serde_json::to_writer_pretty(&mut out, &json_of(&report))?;
            writeln!(out)?;
        } else {
            for finding in report.findings.iter().filter(|it| !self.quiet || it.severity > Severity::Note) {
                writeln!(out, "{finding}")?;
            }
            if !self.quiet {
                summary(&report, &mut out)?;
            }
        }
        out.flush()?;
        if report.is_sound() { Ok(()) } else { Err(Failure::Damaged) }
    }
}

/// Shows progress on a bar.
pub(crate) fn show(bar: &ProgressBar, progress: h5live::check::Progress<'_>) {
    bar.set_length(progress.total);
    bar.set_position(progress.done);
    bar.set_message(progress.object.to_owned());
}

fn summary(report: &Report, out: &mut impl Write) -> std::io::Result<()> {
    let count = |severity| report.of(severity).count() as u64;
    let many = |count: u64, what: &str| format!("{} {what}{}", thousands(count), if count == 1 { "" } else { "s" });
    writeln!(
        out,
        "{}: {}, {}, {}; {}, {}",
        if report.is_sound() { "sound" } else { "damaged" },
        many(count(Severity::Error), "error"),
        many(count(Severity::Warning), "warning"),
        many(count(Severity::Note), "note"),
        many(report.objects, "object"),
        many(report.chunks, "chunk"),
    )?;
    let space = &report.space;
    write!(out, "{} of structure, {} of elements", bytes(space.metadata), bytes(space.raw))?;
    if space.free > 0 {
        write!(out, ", {} known to be free", bytes(space.free))?;
    }
    writeln!(out, ", {} dead in {}", bytes(space.dead), many(space.gaps, "place"))?;
    for gap in space.largest.iter().take(GAPS_SHOWN) {
        let after = gap.after.as_ref().map_or_else(String::new, |after| format!(", after {after}"));
        writeln!(out, "  {} at {:#x}{after}", bytes(gap.size), gap.address)?;
    }
    if space.ahead > 0 {
        writeln!(out, "{} behind everything", bytes(space.ahead))?;
    }
    if report.writer != WriterState::Closed {
        writeln!(out, "written by {}", crate::info::written_by(&report.writer))?;
    }
    Ok(())
}

/// A finding, for programs.
pub(crate) fn json_of_finding(finding: &Finding) -> Json {
    json!({
        "severity": finding.severity.to_string(),
        "structure": finding.structure,
        "address": finding.address,
        "object": finding.object,
        "problem": finding.problem,
        "salvage": finding.salvage,
    })
}

fn json_of(report: &Report) -> Json {
    let space = &report.space;
    let gaps: Vec<Json> = space
        .largest
        .iter()
        .map(|gap| json!({ "address": gap.address, "size": gap.size, "after": gap.after }))
        .collect();
    json!({
        "sound": report.is_sound(),
        "findings": report.findings.iter().map(json_of_finding).collect::<Vec<_>>(),
        "omitted": report.omitted,
        "objects": report.objects,
        "chunks": report.chunks,
        "decoded_chunks": report.decoded,
        "size": report.size,
        "end_of_file": report.end_of_file,
        "consistency_flags": report.consistency_flags,
        "writer": crate::info::writer_json(&report.writer, None),
        "space": {
            "structure": space.metadata,
            "elements": space.raw,
            "free": space.free,
            "dead": space.dead,
            "gaps": space.gaps,
            "largest_gaps": gaps,
            "ahead": space.ahead,
        },
    })
}

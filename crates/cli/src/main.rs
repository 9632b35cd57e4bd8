//! The `h5live` program: looks into HDF5 files, follows them while they are written, and records into them.
//!
//! One file per subcommand. Data go to standard output and everything else to standard error; how it ended is the exit
//! code ([`failure::Exit`]). Only the library's public interface is used: whatever this program does, any program can.

mod canonical;
mod check;
mod completions;
mod demo;
mod describe;
mod dump;
mod failure;
mod filters;
mod follow;
mod info;
mod looking;
mod ls;
mod man;
mod npy;
mod output;
mod place;
mod record;
mod recover;
mod render;
mod repack;
mod rows;
mod selection;
mod storage;
mod tail;
mod tree;
mod watch;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::failure::{EXIT_CODES, Exit, Failure};

/// HDF5 files that anyone can read while you write them
#[derive(Debug, Parser)]
#[command(name = "h5live", version, arg_required_else_help = true, after_help = EXIT_CODES, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Demo),
    Ls(ls::Ls),
    Info(info::Info),
    Dump(dump::Dump),
    Describe(canonical::Describe),
    Tail(tail::Tail),
    Watch(watch::Watch),
    Record(record::Record),
    Repack(repack::Repack),
    Check(check::Check),
    Recover(recover::Recover),
    Completions(completions::Completions),
    Man(man::Man),
    #[command(name = "demo-writer", hide = true)]
    DemoWriter(demo::writer::DemoWriter),
    #[command(name = "demo-follower", hide = true)]
    DemoFollower(demo::follower::DemoFollower),
}

impl Command {
    fn run(self) -> Result<(), Failure> {
        match self {
            Self::Demo(demo) => demo.run(),
            Self::Ls(ls) => ls.run(),
            Self::Info(info) => info.run(),
            Self::Dump(dump) => dump.run(),
            Self::Describe(describe) => describe.run(),
            Self::Tail(tail) => tail.run(),
            Self::Watch(watch) => watch.run(),
            Self::Record(record) => record.run(),
            Self::Repack(repack) => repack.run(),
            Self::Check(check) => check.run(),
            Self::Recover(recover) => recover.run(),
            Self::Completions(completions) => completions.run(),
            Self::Man(man) => man.run(),
            Self::DemoWriter(writer) => writer.run(),
            Self::DemoFollower(follower) => follower.run(),
        }
    }
}

fn main() -> ExitCode {
    // A wrong command line ends here, with code 2 and clap's own words.
    let arguments = Arguments::parse();
    match arguments.command.run() {
        Ok(()) => Exit::Success,
        Err(failure) => {
            if let Some(message) = failure.message() {
                output::note(&message);
            }
            failure.exit()
        }
    }
    .into()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Arguments::command().debug_assert();
    }
}

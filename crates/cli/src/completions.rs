//! `h5live completions`: what a shell needs to complete the command line.

use std::io::Write;

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use crate::failure::Failure;
use crate::output;

/// Print what a shell needs to complete h5live's command line
///
/// For bash: `h5live completions bash > ~/.local/share/bash-completion/completions/h5live`
#[derive(Debug, clap::Args)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self) -> Result<(), Failure> {
        // Into memory first: the generator panics where it cannot write.
        let mut script = Vec::new();
        generate(self.shell, &mut crate::Arguments::command(), "h5live", &mut script);
        let mut out = output::stdout();
        out.write_all(&script)?;
        Ok(out.flush()?)
    }
}

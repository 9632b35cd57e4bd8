//! `h5live man`: the manual pages.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use clap::CommandFactory;
use clap_mangen::Man as Page;

use crate::failure::Failure;
use crate::output;

/// Print the manual page, or write those of all subcommands to a directory
///
/// To read it at once: `h5live man | man -l -`
#[derive(Debug, clap::Args)]
pub(crate) struct Man {
    /// Write h5live.1, h5live-ls.1 and so on there, instead of printing the first
    directory: Option<PathBuf>,
}

impl Man {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let mut command = crate::Arguments::command();
        command.build();
        let Some(directory) = self.directory else {
            let mut out = output::stdout();
            Page::new(command).render(&mut out)?;
            return Ok(out.flush()?);
        };
        let fail = |what: &str, error: std::io::Error| Failure::Other(format!("{what}: {error}"));
        fs::create_dir_all(&directory).map_err(|error| fail(&directory.display().to_string(), error))?;
        let mut pages = vec![("h5live".to_owned(), command.clone())];
        for subcommand in command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
            let name = format!("h5live-{}", subcommand.get_name());
            pages.push((name, subcommand.clone()));
        }
        for (name, page) in pages {
            let mut text = Vec::new();
            Page::new(page).render(&mut text)?;
            let path = directory.join(format!("{name}.1"));
            fs::write(&path, text).map_err(|error| fail(&path.display().to_string(), error))?;
            output::note(&format!("wrote {}", path.display()));
        }
        Ok(())
    }
}

//! libhdf5's command-line tools, and strace.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use crate::process::{Ended, Program};
use crate::{Error, Result};

/// The time a tool may take.
const LIMIT: Duration = Duration::from_secs(60);

/// A tool of Debian's `hdf5-tools` (1.10), or strace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tool {
    /// Prints a file's content.
    H5dump,
    /// Clears a file's consistency flags.
    H5clear,
    /// Copies a file, changing how it is stored.
    H5repack,
    /// Lists a file's objects.
    H5ls,
    /// Prints the system calls a program makes.
    Strace,
}

impl Tool {
    /// The command's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::H5dump => "h5dump",
            Self::H5clear => "h5clear",
            Self::H5repack => "h5repack",
            Self::H5ls => "h5ls",
            Self::Strace => "strace",
        }
    }

    /// The tool, ready for its arguments.
    ///
    /// # Errors
    /// [`Error::NotInstalled`].
    pub fn program(self) -> Result<Program> {
        let found = env::var_os("PATH").and_then(|path| {
            let mut places = env::split_paths(&path).map(|directory| directory.join(self.name()));
            places.find(|place| place.is_file())
        });
        found.map(Program::new).ok_or(Error::NotInstalled { what: self.name(), at: "$PATH".into() })
    }

    /// Runs the tool to its end, whatever that is.
    ///
    /// # Errors
    /// [`Error::NotInstalled`], [`Error::Start`], [`Error::Timeout`].
    pub fn run(self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<Ended> {
        self.program()?.args(arguments).run(LIMIT)
    }

    /// Runs the tool, which must succeed, and returns what it printed.
    ///
    /// # Errors
    /// As [`run`](Self::run), [`Error::Failed`], and [`Error::Answer`] when it printed anything but text.
    pub fn text(self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<String> {
        let printed = self.program()?.args(arguments).output(LIMIT)?;
        String::from_utf8(printed)
            .map_err(|why| Error::answer(self.name(), &String::from_utf8_lossy(why.as_bytes()), &why))
    }
}

/// What h5dump prints of a whole file, or of one dataset (by its path): with all digits of floating-point numbers, on long lines,
/// without indices.
///
/// # Errors
/// As [`Tool::text`].
pub fn h5dump(file: &Path, dataset: Option<&str>) -> Result<String> {
    let arguments = ["-y", "-w", "0", "-m", "%.17g"].map(OsString::from);
    let dataset = dataset.into_iter().flat_map(|path| ["-d".into(), OsString::from(path)]);
    Tool::H5dump.text(arguments.into_iter().chain(dataset).chain([file.into()]))
}

/// The structure of a file without its data, as h5dump prints it: `h5dump -p -H`.
///
/// # Errors
/// As [`Tool::text`].
pub fn h5dump_header(file: &Path) -> Result<String> {
    Tool::H5dump.text([OsStr::new("-p"), OsStr::new("-H"), file.as_os_str()])
}

/// The values of a numeric dataset as little-endian bytes, as h5dump exports them: `h5dump -b LE`.
///
/// # Errors
/// As [`Tool::text`], and [`Error::Io`].
pub fn h5dump_bytes(file: &Path, dataset: &str) -> Result<Vec<u8>> {
    let scratch = crate::scratch();
    let to = scratch.path().join("values");
    // Why it failed is in libhdf5's error stack: h5dump's own words hardly tell.
    let arguments = ["--enable-error-stack", "-d", dataset, "-b", "LE", "-o"].map(OsStr::new);
    Tool::H5dump.text(arguments.into_iter().chain([to.as_os_str(), file.as_os_str()]))?;
    fs::read(&to).map_err(Error::io("reading what h5dump exported"))
}

/// `h5clear -s`: clears a file's consistency flags, and cuts it to the end its superblock states.
///
/// # Errors
/// As [`Tool::text`].
pub fn h5clear(file: &Path) -> Result<()> {
    Tool::H5clear.text([OsStr::new("-s"), file.as_os_str()]).map(drop)
}

/// `h5repack`: copies a file, with more options if given (for example `-f GZIP=4`).
///
/// # Errors
/// As [`Tool::text`].
pub fn h5repack(from: &Path, to: &Path, options: &[&str]) -> Result<()> {
    let files = [from.as_os_str(), to.as_os_str()];
    Tool::H5repack.text(options.iter().map(OsStr::new).chain(files)).map(drop)
}

/// `h5ls -r`: every object's path and what it is, for example `Dataset {10, 7/Inf}`.
///
/// # Errors
/// As [`Tool::text`].
pub fn h5ls(file: &Path) -> Result<BTreeMap<String, String>> {
    let listed = Tool::H5ls.text([OsStr::new("-r"), file.as_os_str()])?;
    // Spaces within names are escaped, so the first ends the path.
    let lines = listed.lines().filter_map(|line| line.split_once(' '));
    Ok(lines.map(|(path, kind)| (path.replace("\\ ", " "), kind.trim().to_owned())).collect())
}

/// A system call by which a process changed a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The process or thread.
    pub thread: u32,
    /// The file.
    pub file: PathBuf,
    /// What was done to it.
    pub action: Action,
}

/// What was done to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Bytes were written: `pwrite64`, `pwritev`, `pwritev2`, or at the descriptor's own position, `write` and `writev`.
    Write {
        /// Where; none at the descriptor's own position.
        at: Option<u64>,
        /// How many bytes the kernel took.
        length: u64,
    },
    /// Its size was set: `ftruncate`.
    SetLength(u64),
    /// It was made durable: `fdatasync`, `fsync`.
    Sync,
}

/// Runs a program and its arguments under strace and returns, in order, its calls that changed the files whose path `concerns`.
///
/// Calls that failed are left out, but a failed end of the program is not: what it did until then is what was asked.
///
/// # Errors
/// [`Error::NotInstalled`], [`Error::Start`], [`Error::Timeout`] after `limit`, [`Error::Failed`] when strace itself failed, and
/// [`Error::Answer`] for a line of strace's that cannot be understood.
pub fn strace(
    program: impl AsRef<OsStr>,
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    concerns: impl Fn(&Path) -> bool,
    limit: Duration,
) -> Result<Vec<Call>> {
    const CALLS: &str = "trace=pwrite64,pwritev,pwritev2,write,writev,ftruncate,fdatasync,fsync";
    let scratch = crate::scratch();
    let log = scratch.path().join("calls");
    // `-y` names the files behind descriptors, `-s 0` leaves out what is written.
    let tracer = Tool::Strace.program()?.args(["-f", "-y", "-s", "0", "-e", CALLS, "-e", "signal=none", "-o"]);
    let ended = tracer.arg(&log).arg("--").arg(program).args(arguments).run(limit)?;
    let text = fs::read(&log).map_err(Error::io("reading strace's log"))?;
    if text.is_empty() && !ended.status.success() {
        let log = String::from_utf8_lossy(&ended.errors).into_owned();
        return Err(Error::Failed { program: ended.program, status: ended.status, log });
    }
    let mut calls = parse_strace(&String::from_utf8_lossy(&text))?;
    calls.retain(|call| concerns(&call.file));
    Ok(calls)
}

/// Lines look like `123 pwrite64(3</tmp/x.h5>, ""..., 48, 0) = 48`. A call during which another thread made one is split in two:
/// `123 pwrite64(3</tmp/x.h5>, ""..., 48, 0 <unfinished ...>` and `123 <... pwrite64 resumed>) = 48`; it counts where it ended.
fn parse_strace(log: &str) -> Result<Vec<Call>> {
    let mut calls = Vec::new();
    let mut unfinished: BTreeMap<u32, String> = BTreeMap::new();
    for line in log.lines() {
        let wrong = |why: &str| Error::answer("strace", line, why);
        let (thread, rest) = line.split_once(' ').ok_or_else(|| wrong("no thread"))?;
        let thread = thread.parse().map_err(|_| wrong("no thread"))?;
        let rest = rest.trim_start();
        if rest.starts_with("+++") || rest.starts_with("---") {
            continue;
        }
        if let Some(begun) = rest.strip_suffix("<unfinished ...>") {
            unfinished.insert(thread, begun.trim_end().to_owned());
            continue;
        }
        let whole = match rest.strip_prefix("<... ") {
            None => rest.to_owned(),
            Some(resumed) => {
                let (_, end) = resumed.split_once(" resumed>").ok_or_else(|| wrong("no end"))?;
                unfinished.remove(&thread).ok_or_else(|| wrong("never begun"))? + end
            }
        };
        if let Some((file, action)) = parse_call(&whole).ok_or_else(|| wrong("not a call"))? {
            calls.push(Call { thread, file, action });
        }
    }
    Ok(calls)
}

/// A whole call; `Some(None)` for one that failed, or that was not on a file with a path.
fn parse_call(line: &str) -> Option<Option<(PathBuf, Action)>> {
    let (call, result) = line.rsplit_once(" = ")?;
    let (name, arguments) = call.trim_end().strip_suffix(')')?.split_once('(')?;
    let Ok(result) = result.split(' ').next()?.parse::<u64>() else { return Some(None) };
    // The descriptor, its path between angle brackets, and what follows. A path may itself have brackets, what follows has none.
    let Some((_, rest)) = arguments.split_once('<') else { return Some(None) };
    let (path, rest) = rest.rsplit_once('>')?;
    let last = || rest.rsplit(", ").next()?.parse().ok();
    let action = match name {
        "pwrite64" | "pwritev" => Action::Write { at: Some(last()?), length: result },
        "pwritev2" => Action::Write { at: Some(rest.rsplit(", ").nth(1)?.parse().ok()?), length: result },
        "write" | "writev" => Action::Write { at: None, length: result },
        "ftruncate" => Action::SetLength(last()?),
        "fdatasync" | "fsync" => Action::Sync,
        _ => return None,
    };
    Some(path.starts_with('/').then(|| (path.into(), action)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formula::Formula;
    use crate::{H5py, Libhdf5, Mode, NewDataset};

    fn sample(directory: &Path) -> PathBuf {
        let path = directory.join("sample.h5");
        let python = H5py::start(Libhdf5::V2_0).unwrap();
        let file = python.open(&path, Mode::Create).unwrap();
        let new = NewDataset { maxshape: Some(&[None]), dataset: Some(1), ..NewDataset::new("u2", &[40]) };
        file.create_dataset("group/d", &new).unwrap();
        file.close().unwrap();
        path
    }

    #[test]
    fn libhdf5s_tools_read_a_file() {
        let scratch = crate::scratch();
        let path = sample(scratch.path());
        let wanted: Vec<u8> = (0..40).flat_map(|index| u16::value(1, index).to_le_bytes()).collect();
        assert_eq!(h5dump_bytes(&path, "/group/d").unwrap(), wanted);
        assert!(h5dump(&path, Some("/group/d")).unwrap().contains(&u16::value(1, 7).to_string()));
        assert!(h5dump_header(&path).unwrap().contains("H5T_STD_U16LE"));
        let listed = h5ls(&path).unwrap();
        assert_eq!(listed["/group/d"], "Dataset {40/Inf}");
        assert_eq!(listed["/group"], "Group");
        h5clear(&path).unwrap();
        let packed = scratch.path().join("packed.h5");
        h5repack(&path, &packed, &["-f", "GZIP=4"]).unwrap();
        assert_eq!(h5dump_bytes(&packed, "/group/d").unwrap(), wanted);
        assert!(h5dump_header(&packed).unwrap().contains("DEFLATE"));
        assert!(matches!(h5dump(Path::new("/no/such/file"), None), Err(Error::Failed { .. })));
    }

    #[test]
    fn strace_sees_what_reaches_the_kernel() {
        let scratch = crate::scratch();
        let path = scratch.path().join("written");
        let code = "import os, sys; f = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT); os.ftruncate(f, 4096); \
                    os.pwrite(f, b'abc', 100); os.fdatasync(f); os.write(f, b'de')";
        let arguments = [OsStr::new("-c"), OsStr::new(code), path.as_os_str()];
        let calls = strace(crate::python().unwrap(), arguments, |file| file == path, LIMIT).unwrap();
        let actions: Vec<_> = calls.into_iter().map(|call| call.action).collect();
        let write = |at, length| Action::Write { at, length };
        assert_eq!(actions, [Action::SetLength(4096), write(Some(100), 3), Action::Sync, write(None, 2)]);
    }

    #[test]
    fn split_failed_and_foreign_calls_are_understood() {
        let log = "7 pwrite64(3</a b>, \"\"..., 48, 16 <unfinished ...>\n\
                   8  fdatasync(4</c>)               = 0\n\
                   7 <... pwrite64 resumed>)         = 40\n\
                   8 write(1<pipe:[12]>, \"\"..., 4) = 4\n\
                   8 ftruncate(4</c>, 99)            = -1 EINVAL (Invalid argument)\n\
                   8 pwritev2(4</c (deleted)>, [{iov_base=\"\"..., iov_len=3}], 1, 8, 0) = 3\n\
                   8 +++ exited with 0 +++\n";
        let calls: Vec<_> =
            parse_strace(log).unwrap().into_iter().map(|call| (call.thread, call.file, call.action)).collect();
        let wanted = [
            (8, "/c".into(), Action::Sync),
            (7, "/a b".into(), Action::Write { at: Some(16), length: 40 }),
            (8, "/c (deleted)".into(), Action::Write { at: Some(8), length: 3 }),
        ];
        assert_eq!(calls, wanted);
        assert!(matches!(parse_strace("8 what is this"), Err(Error::Answer { .. })));
    }
}

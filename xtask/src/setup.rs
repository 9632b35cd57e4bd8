//! What the tests need besides Rust: Python environments with two versions of h5py, HDF5's command-line tools, and strace.

use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

use crate::Failure;
use crate::command::{output, root, succeeds};

/// A Python environment: its directory below `.venv`, the variable by which tests find its interpreter, and what is installed in it.
pub(crate) struct Environment {
    name: &'static str,
    pub(crate) variable: &'static str,
    requirements: &'static [&'static str],
}

/// The h5py versions that tests run against.
pub(crate) const ENVIRONMENTS: [Environment; 2] = [
    Environment {
        name: "h5py-3.16",
        variable: "H5LIVE_PYTHON",
        requirements: &["h5py==3.16.0", "hdf5plugin==7.1.0", "numpy"],
    },
    Environment { name: "h5py-3.13", variable: "H5LIVE_PYTHON_1_14", requirements: &["h5py==3.13.0", "numpy"] },
];

/// Where the Python package is built and tested.
pub(crate) const PACKAGE: Environment = Environment {
    name: "h5live",
    variable: "",
    requirements: &["h5py==3.16.0", "hdf5plugin==7.1.0", "maturin>=1.9,<2", "numpy", "pytest", "pytest-mpi"],
};

/// Commands that tests call, and the Debian packages they come from.
const TOOLS: [(&str, &str); 5] = [
    ("h5dump", "hdf5-tools"),
    ("h5clear", "hdf5-tools"),
    ("h5repack", "hdf5-tools"),
    ("h5ls", "hdf5-tools"),
    ("strace", "strace"),
];

/// Installs what is missing, and says what there is.
pub(crate) fn install() -> Result<(), Failure> {
    for environment in &ENVIRONMENTS {
        environment.make()?;
    }
    install_tools()
}

/// Installs what the Python package needs to be built and tested.
pub(crate) fn install_for_package() -> Result<(), Failure> {
    PACKAGE.make()
}

/// The task: as [`install`], and the versions found are printed.
pub(crate) fn run(_: &[String]) -> Result<(), Failure> {
    install()?;
    for environment in &ENVIRONMENTS {
        const VERSIONS: &str = "import h5py, numpy; \
                                print(f'h5py {h5py.__version__}, HDF5 {h5py.version.hdf5_version}, numpy {numpy.__version__}')";
        let found = output(Command::new(environment.python()).args(["-c", VERSIONS]))?;
        println!("{}: {}", environment.python().display(), found.unwrap_or_default());
    }
    for (tool, _) in TOOLS {
        let found = output(Command::new(tool).arg("--version"))?.unwrap_or_default();
        println!("{tool}: {}", found.lines().next().unwrap_or_default());
    }
    Ok(())
}

impl Environment {
    /// Its interpreter.
    pub(crate) fn python(&self) -> PathBuf {
        self.directory().join("bin/python")
    }

    fn directory(&self) -> PathBuf {
        root().join(".venv").join(self.name)
    }

    /// Makes the environment, unless it is there already with the same requirements.
    fn make(&self) -> Result<(), Failure> {
        // Written last: an environment without it was left half made.
        let stamp = self.directory().join("requirements.txt");
        let wanted = self.requirements.join("\n") + "\n";
        if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) && self.python().exists() {
            return Ok(());
        }
        let python = env::var_os("PYTHON").unwrap_or("python3".into());
        let version = ["-c", "import sys, venv, ensurepip; print(sys.version)"];
        if output(Command::new(&python).args(version)).map_err(no_python)?.is_none() {
            return Err(no_python(format!("{} is not there", python.display())));
        }
        run_in_root(Command::new(&python).args(["-m", "venv", "--clear"]).arg(self.directory()))?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        run_in_root(Command::new(self.python()).args(pip).args(self.requirements))?;
        fs::write(&stamp, wanted).map_err(|error| format!("cannot write {}: {error}", stamp.display()))
    }
}

fn no_python(why: Failure) -> Failure {
    format!(
        "the tests need python3 (3.11 or newer) with its venv module: {why}. Install it, on Debian with \
         `apt-get install python3 python3-venv`, or name another interpreter in $PYTHON."
    )
}

fn install_tools() -> Result<(), Failure> {
    let missing: Vec<_> = TOOLS.into_iter().filter(|(tool, _)| !is_on_path(tool)).collect();
    let mut packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
    packages.dedup();
    if packages.is_empty() {
        return Ok(());
    }
    let tools = missing.iter().map(|(tool, _)| *tool).collect::<Vec<_>>().join(", ");
    let by_hand = format!(
        "the tests need {tools}: install them, on Debian and Ubuntu with `apt-get install {}`",
        packages.join(" ")
    );
    if !is_on_path("apt-get") {
        return Err(by_hand);
    }
    let is_root = output(Command::new("id").arg("-u"))?.as_deref() == Some("0");
    let prefix: &[&str] = match is_root {
        true => &["env"],
        false if succeeds(Command::new("sudo").args(["-n", "true"])) => &["sudo", "-n", "env"],
        false => return Err(by_hand),
    };
    let apt_get = |arguments: &[&str]| {
        let mut command = Command::new(prefix[0]);
        command
            .args(&prefix[1..])
            .args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet", "--yes"])
            .args(arguments);
        run_in_root(&mut command)
    };
    apt_get(&["update"])?;
    let install: Vec<_> = ["install", "--no-install-recommends"].into_iter().chain(packages).collect();
    apt_get(&install).map_err(|why| format!("{why}; {by_hand}"))
}

fn is_on_path(program: &str) -> bool {
    env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|directory| directory.join(program).is_file()))
}

fn run_in_root(command: &mut Command) -> Result<(), Failure> {
    crate::command::run(command.current_dir(root()))
}

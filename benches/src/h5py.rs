//! h5py as a contestant: it measures itself, so that starting Python does not count.

use std::process::Command;

/// Runs `code`, which has `path`, `np`, `h5py`, `os` and `time`, and sets `seconds`; returns that.
pub(crate) fn run(path: &std::path::Path, code: &str) -> Result<f64, Box<dyn std::error::Error>> {
    let python =
        std::env::var("H5LIVE_PYTHON").map_err(|_| "H5LIVE_PYTHON is not set; run this as `cargo xtask bench`")?;
    let program =
        format!("import os, sys, time\nimport numpy as np, h5py\npath = sys.argv[1]\n{code}\nprint(seconds)\n");
    let output = Command::new(python).args(["-c", &program]).arg(path).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

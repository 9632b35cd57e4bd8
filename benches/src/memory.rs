//! Memory while writing and reading, by the size of the file: each size in a process of its own, which tells its peak.

use std::path::Path;
use std::process::{Command, ExitCode};

use crate::contest::{Contest, Outcome};

/// The first argument of a process that only measures its memory.
pub(crate) const ROLE: &str = "--memory";

const MEGABYTES: [u64; 3] = [50, 500, 2000];

/// Peak memory of a writer that appends blocks of 1 MiB, and of a reader that reads them again one by one.
pub(crate) fn memory(contest: &Contest) -> Outcome {
    for filter in ["plain", "gzip"] {
        for megabytes in MEGABYTES {
            // Deflate is slow enough for two sizes to tell.
            if filter == "gzip" && megabytes > 500 {
                continue;
            }
            let path = contest.path("memory.h5");
            let peak = |job: &str| -> Result<String, Box<dyn std::error::Error>> {
                let output = Command::new(std::env::current_exe()?)
                    .args([ROLE, job, filter, &megabytes.to_string()])
                    .arg(&path)
                    .output()?;
                match output.status.success() {
                    true => Ok(String::from_utf8(output.stdout)?.trim().to_owned()),
                    false => Err(String::from_utf8_lossy(&output.stderr).into_owned().into()),
                }
            };
            println!("  {filter} {megabytes:5} MB: writer {}, reader {}", peak("write")?, peak("read")?);
            std::fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// The other process.
pub(crate) fn run_role(arguments: &[String]) -> ExitCode {
    let run = || -> Outcome {
        let [job, filter, megabytes, path] = arguments else {
            return Err("job, filter, size and path are needed".into());
        };
        let blocks: u64 = megabytes.parse()?;
        match job.as_str() {
            "write" => write(Path::new(path), filter == "gzip", blocks)?,
            _ => read(Path::new(path), blocks)?,
        }
        let status = std::fs::read_to_string("/proc/self/status")?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("unknown").trim();
        println!("{peak}");
        Ok(())
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn write(path: &Path, gzip: bool, blocks: u64) -> Outcome {
    let file = h5live::File::create(path)?;
    let mut builder = file.new_dataset::<u64>("data").shape([0, 1024]).unlimited().chunks([128, 1024]);
    if gzip {
        builder = builder.shuffle().gzip(1);
    }
    let dataset = builder.create()?;
    let live = file.go_live()?;
    let mut block = vec![0u64; 128 * 1024];
    for number in 0..blocks {
        for (at, value) in block.iter_mut().enumerate() {
            *value = number * 1_000_003 + at as u64;
        }
        dataset.append(&block)?;
        live.publish()?;
    }
    live.close()?;
    Ok(())
}

fn read(path: &Path, blocks: u64) -> Outcome {
    let dataset = h5live::File::open(path)?.dataset("data")?;
    let mut block = vec![0u64; 128 * 1024];
    for number in 0..blocks {
        dataset.read_into(number * 128..(number + 1) * 128, &mut block)?;
        assert_eq!(block[7], number * 1_000_003 + 7);
    }
    Ok(())
}

//! Who we are, for others to read in a file.

/// The name of this host, as the kernel knows it.
#[must_use]
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

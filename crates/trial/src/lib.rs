//! h5live's promises on trial.
//!
//! - [`kinds`]: datasets that grow, in every form in which they can;
//! - [`workload`]: what is done to a file again and again, and what must then be found in it;
//! - [`crash`]: workloads on a simulated disk, and every crash that it can make up;
//! - [`campaign`]: real processes, killed, stopped and watched, with h5py and h5dump on the other side.
//!
//! Each has small sizes, which the tests run, and large ones: `cargo xtask crash` and `cargo xtask campaign`.

pub mod campaign;
pub mod crash;
pub mod kinds;
pub mod workload;

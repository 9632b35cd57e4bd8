//! Being told of new rows.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use h5live::{Growth, Watch};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::errors::{Doing, raise};
use crate::handle::Handle;

/// For how long a wait is deaf to Ctrl-C and to being told to stop.
const ATTENTION: Duration = Duration::from_millis(50);

/// Waits for new rows of one dataset.
#[pyclass(frozen, module = "h5live._h5live")]
pub(crate) struct Follow {
    handle: Arc<Handle>,
    watch: Mutex<Watch>,
    timeout: Option<Duration>,
    stopped: AtomicBool,
    ended: Mutex<Option<&'static str>>,
}

impl Follow {
    pub(crate) fn new(
        handle: Arc<Handle>,
        dataset: &h5live::Dataset,
        start: Option<u64>,
        timeout: Option<f64>,
        axis: usize,
    ) -> PyResult<Self> {
        let timeout = timeout.map(|seconds| {
            Duration::try_from_secs_f64(seconds)
                .map_err(|_| PyValueError::new_err(format!("a timeout of {seconds} seconds")))
        });
        let first = start.unwrap_or_else(|| dataset.shape().get(axis).copied().unwrap_or(0));
        let watch = dataset.watch_from(first).map_err(|error| raise(Doing::Look, &error))?;
        Ok(Self {
            handle,
            watch: Mutex::new(watch.along(axis).with_timeout(ATTENTION)),
            timeout: timeout.transpose()?,
            stopped: AtomicBool::new(false),
            ended: Mutex::default(),
        })
    }

    fn end(&self, why: &'static str) {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }
}

#[pymethods]
impl Follow {
    /// The next rows: first, one past the last, the shape now, commit, time of publication. `None` once there will be none.
    fn wait<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let begun = Instant::now();
        loop {
            self.handle.check(Doing::LookAtSpace)?;
            py.check_signals()?;
            if self.stopped.load(Ordering::Acquire) {
                self.end("stopped");
                return Ok(None);
            }
            let next = py.detach(|| {
                let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
                (watch.next(), watch.has_ended())
            });
            match next {
                (Some(Ok(growth)), _) => return describe(py, growth).map(Some),
                (Some(Err(error)), _) => {
                    self.end("died");
                    return Err(raise(Doing::Read, &error));
                }
                (None, true) => {
                    self.end("closed");
                    return Ok(None);
                }
                (None, false) if self.timeout.is_some_and(|timeout| begun.elapsed() >= timeout) => {
                    self.end("timeout");
                    return Ok(None);
                }
                (None, false) => {}
            }
        }
    }

    /// Ends a wait in another thread.
    fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    /// Why it ended: "closed", "died", "timeout" or "stopped"; `None` while it has not.
    #[getter]
    fn ended(&self) -> Option<&'static str> {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn describe<'py>(py: Python<'py>, growth: Growth) -> PyResult<Bound<'py, PyTuple>> {
    let published = growth.published.map(seconds);
    let shape = PyTuple::new(py, growth.shape)?;
    (growth.rows.start, growth.rows.end, shape, growth.commit, published).into_pyobject(py)
}

/// Seconds since 1970, as `time.time()` gives them.
pub(crate) fn seconds(time: SystemTime) -> f64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

//! Standard input, read and parsed by a thread of its own: whoever waits for rows can then also wait for the time to
//! publish, and for Ctrl-C.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::process;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use h5live::Datatype;

use super::{InputFormat, Record, binary, text};
use crate::failure::{Exit, Failure};

/// Messages on their way at most; each is what one read gave, or less.
const MOST_WAITING: usize = 16;

/// What the input says, in this order: one schema, rows, and an end. An interruption comes at any time.
pub(super) enum Message {
    /// What rows are.
    Schema(Schema),
    /// Some rows.
    Rows(Rows),
    /// The input is over.
    End,
    /// The input is not what it should be.
    Failed(String),
    /// The user wants to stop.
    Interrupted,
}

/// What rows are: for each dataset.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Schema {
    pub(super) columns: Vec<Column>,
}

/// What one dataset's rows are.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Column {
    /// Its name below the path that was asked for; none when it is that path.
    pub(super) name: Option<String>,
    /// The type of an element.
    pub(super) datatype: Datatype,
    /// The shape of a row.
    pub(super) row: Vec<u64>,
}

/// Some rows: the elements of each dataset.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) count: u64,
    pub(super) columns: Vec<Cells>,
}

/// Elements, as the input gives them.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cells {
    Floats(Vec<f64>),
    Signed(Vec<i64>),
    Unsigned(Vec<u64>),
    Bools(Vec<bool>),
    Texts(Vec<String>),
    /// Bytes of the dataset's own type.
    Raw(Vec<u8>),
}

impl Cells {
    /// No elements yet, of the kind that fits a type.
    pub(super) fn of(datatype: &Datatype) -> Self {
        match datatype {
            Datatype::Integer(integer) if integer.signed => Self::Signed(Vec::new()),
            Datatype::Integer(_) => Self::Unsigned(Vec::new()),
            Datatype::Enum(names) if names.is_boolean() => Self::Bools(Vec::new()),
            Datatype::String(_) | Datatype::VarLenString(_) => Self::Texts(Vec::new()),
            _ => Self::Floats(Vec::new()),
        }
    }

    fn merge(&mut self, more: Self) {
        match (self, more) {
            (Self::Floats(cells), Self::Floats(more)) => cells.extend(more),
            (Self::Signed(cells), Self::Signed(more)) => cells.extend(more),
            (Self::Unsigned(cells), Self::Unsigned(more)) => cells.extend(more),
            (Self::Bools(cells), Self::Bools(more)) => cells.extend(more),
            (Self::Texts(cells), Self::Texts(more)) => cells.extend(more),
            (Self::Raw(cells), Self::Raw(more)) => cells.extend(more),
            (cells, more) => unreachable!("a column of {cells:?} became {more:?}"),
        }
    }

    /// Takes the first `count` of `of` equal parts.
    fn take(&mut self, count: u64, of: u64) -> Self {
        fn first<T>(cells: &mut Vec<T>, count: u64, of: u64) -> Vec<T> {
            let rest = cells.split_off(cells.len() / of.max(1) as usize * count as usize);
            std::mem::replace(cells, rest)
        }
        match self {
            Self::Floats(cells) => Self::Floats(first(cells, count, of)),
            Self::Signed(cells) => Self::Signed(first(cells, count, of)),
            Self::Unsigned(cells) => Self::Unsigned(first(cells, count, of)),
            Self::Bools(cells) => Self::Bools(first(cells, count, of)),
            Self::Texts(cells) => Self::Texts(first(cells, count, of)),
            Self::Raw(cells) => Self::Raw(first(cells, count, of)),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Floats(cells) => cells.len() * 8,
            Self::Signed(cells) => cells.len() * 8,
            Self::Unsigned(cells) => cells.len() * 8,
            Self::Bools(cells) => cells.len(),
            Self::Texts(cells) => cells.iter().map(|text| text.len() + 16).sum(),
            Self::Raw(cells) => cells.len(),
        }
    }
}

impl Rows {
    /// Adds rows of the same columns.
    pub(super) fn merge(&mut self, more: Self) {
        debug_assert_eq!(self.columns.len(), more.columns.len(), "rows of one schema");
        self.count += more.count;
        self.columns.iter_mut().zip(more.columns).for_each(|(cells, more)| cells.merge(more));
    }

    /// Takes the first rows, at most `most`.
    pub(super) fn take(&mut self, most: u64) -> Self {
        let count = self.count.min(most);
        let columns = self.columns.iter_mut().map(|cells| cells.take(count, self.count)).collect();
        self.count -= count;
        Self { count, columns }
    }

    /// Bytes they take in memory, about.
    pub(super) fn bytes(&self) -> usize {
        self.columns.iter().map(Cells::bytes).sum()
    }
}

/// Starts to read standard input, and to listen for Ctrl-C.
pub(super) fn start(record: &Record) -> Result<Receiver<Message>, Failure> {
    let (sender, receiver) = sync_channel(MOST_WAITING);
    let interrupt = sender.clone();
    let is_again = AtomicBool::new(false);
    let listening = ctrlc::set_handler(move || {
        // Who asks twice does not want to wait for a clean end.
        if is_again.swap(true, Ordering::Relaxed) {
            process::exit(Exit::Interrupted as i32);
        }
        // After the rows that have come; the receiver may be gone, at the end of the program.
        let _ = interrupt.send(Message::Interrupted);
    });
    listening.map_err(|error| Failure::Other(format!("cannot listen for Ctrl-C: {error}")))?;
    // Without the buffer of the standard library's handle: what has come is seen at once.
    let input = io::stdin().as_fd().try_clone_to_owned().map(File::from);
    let input = input.map_err(|error| Failure::Other(format!("standard input: {error}")))?;
    let (format, columns) = (record.format, record.columns);
    let (dtype, row_shape) = (record.dtype.clone(), record.row_shape.clone());
    thread::spawn(move || {
        let outbox = Rc::new(RefCell::new(Outbox { sender: sender.clone(), pending: None }));
        let input = Tap { inner: input, outbox: outbox.clone() };
        let read = match format {
            InputFormat::Csv => text::csv(input, &outbox, dtype, columns),
            InputFormat::Jsonl => text::jsonl(input, &outbox, dtype),
            InputFormat::Npy => binary::npy(input, &outbox),
            InputFormat::Raw => binary::raw(input, &outbox, dtype, row_shape),
        };
        outbox.borrow_mut().flush();
        // Nobody listens any more when the recording was ended otherwise.
        let _ = sender.send(match read {
            Ok(()) => Message::End,
            Err(why) => Message::Failed(why),
        });
    });
    Ok(receiver)
}

/// Gathers rows until the input has to be waited for.
pub(super) struct Outbox {
    sender: SyncSender<Message>,
    pending: Option<Rows>,
}

impl Outbox {
    /// Says what rows are.
    pub(super) fn schema(&mut self, schema: Schema) {
        let _ = self.sender.send(Message::Schema(schema));
    }

    /// Adds rows.
    pub(super) fn push(&mut self, rows: Rows) {
        match &mut self.pending {
            Some(pending) => pending.merge(rows),
            None => self.pending = Some(rows),
        }
    }

    fn flush(&mut self) {
        if let Some(rows) = self.pending.take() {
            let _ = self.sender.send(Message::Rows(rows));
        }
    }
}

/// An input that sends off what has been parsed before it waits for more.
pub(super) struct Tap<R> {
    inner: R,
    outbox: Rc<RefCell<Outbox>>,
}

impl<R: Read> Read for Tap<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.outbox.borrow_mut().flush();
        self.inner.read(buffer)
    }
}

/// Parses `input` with `parse`, for tests: the schema, and all rows as one.
#[cfg(test)]
pub(super) fn parsed<'a>(
    input: &'a [u8],
    parse: impl FnOnce(Tap<&'a [u8]>, &RefCell<Outbox>) -> Result<(), String>,
) -> Result<(Schema, Rows), String> {
    let (sender, receiver) = std::sync::mpsc::sync_channel(1 << 16);
    let outbox = Rc::new(RefCell::new(Outbox { sender, pending: None }));
    parse(Tap { inner: input, outbox: outbox.clone() }, &outbox)?;
    outbox.borrow_mut().flush();
    let mut rows: Option<Rows> = None;
    let mut schema = None;
    for message in receiver.try_iter() {
        match (message, &mut rows) {
            (Message::Schema(found), _) => schema = Some(found),
            (Message::Rows(more), Some(rows)) => rows.merge(more),
            (Message::Rows(first), None) => rows = Some(first),
            _ => unreachable!("only the thread sends those"),
        }
    }
    let schema = schema.ok_or("no schema")?;
    let rows = rows.unwrap_or_else(|| Rows { count: 0, columns: Vec::new() });
    Ok((schema, rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_apart_and_together_again() {
        let whole = || vec![Cells::Floats(vec![1.0, 2.0, 3.0]), Cells::Raw(vec![1, 1, 2, 2, 3, 3])];
        let mut rest = Rows { count: 3, columns: whole() };
        let mut first = rest.take(2);
        assert_eq!((first.count, &first.columns[1]), (2, &Cells::Raw(vec![1, 1, 2, 2])));
        assert_eq!((rest.count, &rest.columns[0]), (1, &Cells::Floats(vec![3.0])));
        first.merge(rest.take(u64::MAX));
        assert_eq!((first.count, first.columns, rest.count), (3, whole(), 0));
    }
}

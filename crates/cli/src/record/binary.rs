//! Rows as bytes: NumPy arrays, and elements without anything around them.

use std::cell::RefCell;
use std::io::{BufReader, Read};

use h5live::Datatype;

use super::input::{Cells, Column, Outbox, Rows, Schema, Tap};
use crate::npy::{self, Header};
use crate::output::shape;

/// Bytes taken from the input at once.
const BUFFER: usize = 1 << 18;

/// Reads NumPy arrays, one after the other.
pub(super) fn npy<R: Read>(input: Tap<R>, outbox: &RefCell<Outbox>) -> Result<(), String> {
    let mut input = BufReader::with_capacity(BUFFER, input);
    let mut first: Option<Header> = None;
    while let Some(header) = npy::read_header(&mut input)? {
        let (count, row) = match header.shape.split_first() {
            Some((count, row)) => (*count, row.to_vec()),
            // An array without axes is a row of one element.
            None => (1, Vec::new()),
        };
        match &first {
            None => {
                let column = Column { name: None, datatype: header.datatype.clone(), row: row.clone() };
                outbox.borrow_mut().schema(Schema { columns: vec![column] });
                first = Some(header.clone());
            }
            Some(first) if first.datatype != header.datatype || first.shape.get(1..) != header.shape.get(1..) => {
                let (before, now) = (&first.datatype, &header.datatype);
                let (first, shape) = (shape(&first.shape), shape(&header.shape));
                return Err(format!("an array of {now} {shape} after one of {before} {first}: rows must be alike"));
            }
            Some(_) => {}
        }
        let row_bytes = row_bytes(&header.datatype, &row)?;
        let total = count.checked_mul(row_bytes as u64).ok_or("an array has more bytes than there are")?;
        let rest = each_rows(&mut input.by_ref().take(total), row_bytes, outbox)?;
        let got = total - rest.missing(total);
        if got < total {
            return Err(format!("the input ends in the middle of an array: {got} of {total} bytes"));
        }
    }
    Ok(())
}

/// Reads elements without anything around them.
pub(super) fn raw<R: Read>(
    mut input: Tap<R>,
    outbox: &RefCell<Outbox>,
    dtype: Option<Datatype>,
    row: Vec<u64>,
) -> Result<(), String> {
    let datatype = dtype.ok_or("raw input needs --dtype")?;
    if datatype.uses_global_heap() {
        return Err(format!("elements of {datatype} have no bytes of their own to be read"));
    }
    let row_bytes = row_bytes(&datatype, &row)?;
    outbox.borrow_mut().schema(Schema { columns: vec![Column { name: None, datatype, row }] });
    let ended = each_rows(&mut input, row_bytes, outbox)?;
    match ended.left_over {
        0 => Ok(()),
        left => Err(format!("the input ends in the middle of a row: {left} of {row_bytes} bytes are left over")),
    }
}

fn row_bytes(datatype: &Datatype, row: &[u64]) -> Result<usize, String> {
    let bytes = row.iter().try_fold(u64::from(datatype.size()), |bytes, dim| bytes.checked_mul(*dim));
    let bytes = bytes.and_then(|bytes| usize::try_from(bytes).ok());
    bytes.filter(|bytes| *bytes > 0).ok_or_else(|| format!("rows of shape {} cannot be recorded", shape(row)))
}

/// How an input of rows ended.
struct Ended {
    /// Bytes in whole rows.
    taken: u64,
    /// Bytes of a row that is not whole.
    left_over: usize,
}

impl Ended {
    fn missing(&self, total: u64) -> u64 {
        total.saturating_sub(self.taken + self.left_over as u64)
    }
}

/// Hands on rows as soon as they are whole.
fn each_rows(input: &mut impl Read, row_bytes: usize, outbox: &RefCell<Outbox>) -> Result<Ended, String> {
    let mut buffer = vec![0; BUFFER];
    let mut partial = Vec::new();
    let mut taken = 0;
    loop {
        let got = match input.read(&mut buffer) {
            Ok(0) => return Ok(Ended { taken, left_over: partial.len() }),
            Ok(got) => got,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.to_string()),
        };
        partial.extend_from_slice(&buffer[..got]);
        let whole = partial.len() / row_bytes * row_bytes;
        if whole > 0 {
            let rest = partial.split_off(whole);
            let rows = std::mem::replace(&mut partial, rest);
            taken += whole as u64;
            outbox.borrow_mut().push(Rows { count: (whole / row_bytes) as u64, columns: vec![Cells::Raw(rows)] });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::input::parsed;
    use super::*;

    fn array(shape: &[u64], elements: &[u8]) -> Vec<u8> {
        let mut bytes = npy::header(&Datatype::u8(), shape).unwrap();
        bytes.extend_from_slice(elements);
        bytes
    }

    #[test]
    fn arrays_follow_one_another() {
        let stream = [array(&[2, 2], &[1, 2, 3, 4]), array(&[0, 2], &[]), array(&[1, 2], &[5, 6])].concat();
        let (schema, rows) = parsed(&stream, npy).unwrap();
        assert_eq!(schema.columns, [Column { name: None, datatype: Datatype::u8(), row: vec![2] }]);
        assert_eq!((rows.count, rows.columns), (3, vec![Cells::Raw(vec![1, 2, 3, 4, 5, 6])]));
        let first = array(&[2, 2], &[1, 2, 3, 4]).len();
        for end in 1..first {
            assert!(parsed(&stream[..end], npy).is_err(), "cut at {end}");
        }
        let unlike = [array(&[1, 2], &[1, 2]), array(&[1, 3], &[1, 2, 3])].concat();
        assert!(parsed(&unlike, npy).unwrap_err().contains("alike"));
    }

    #[test]
    fn raw_rows_are_whole() {
        let read = |bytes: &[u8], row: &[u64]| {
            parsed(bytes, |input, outbox| raw(input, outbox, Some(Datatype::u16()), row.to_vec()))
        };
        let (_, rows) = read(&[1, 0, 2, 0, 3, 0, 4, 0], &[2]).unwrap();
        assert_eq!((rows.count, rows.columns), (2, vec![Cells::Raw(vec![1, 0, 2, 0, 3, 0, 4, 0])]));
        assert!(read(&[1, 0, 2], &[]).unwrap_err().contains("1 of 2 bytes"));
        assert!(read(&[], &[0]).is_err());
    }
}

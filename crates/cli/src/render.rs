//! Values as text, CSV and JSON.

use std::io::Write;

use clap::ValueEnum;
use h5live::{Dataset, Datatype, Reference, Slab, Value};
use serde_json::{Map, Number, Value as Json, json};

use crate::failure::Failure;
use crate::npy;
use crate::rows::pieces;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RowFormat {
    /// A line per row, values separated by spaces
    Text,
    /// A line per row; a line of names first, if the type has members
    Csv,
    /// A JSON value per row and line
    Jsonl,
    /// NumPy arrays, one after the other: one for what is there, then one for whatever arrives together
    Npy,
    /// Bytes as the file has them, after filters
    Raw,
}

/// Writes rows of one dataset in one format.
pub(crate) struct RowWriter {
    format: RowFormat,
    dataset: Dataset,
    has_begun: bool,
}

impl RowWriter {
    pub(crate) fn new(format: RowFormat, dataset: Dataset) -> Result<Self, Failure> {
        if format == RowFormat::Npy {
            npy::descr(dataset.datatype()).ok_or_else(|| no_npy(&dataset))?;
        }
        Ok(Self { format, dataset, has_begun: false })
    }

    /// Writes the rows of `slabs`. Nothing is written in advance of what can be read.
    pub(crate) fn write(&mut self, slabs: Vec<Slab>, out: &mut impl Write) -> Result<(), Failure> {
        let datatype = self.dataset.datatype().clone();
        let row: Vec<u64> = slabs.iter().skip(1).map(Slab::len).collect();
        let count = slabs.first().map_or(1, Slab::len);
        let row_len = row.iter().product::<u64>().max(1) as usize;
        if !self.has_begun {
            self.has_begun = true;
            let names = if self.format == RowFormat::Csv { names(&datatype, &row) } else { None };
            if let Some(names) = names {
                csv::Writer::from_writer(&mut *out).write_record(names)?;
            }
        }
        if self.format == RowFormat::Npy {
            if count == 0 {
                return Ok(());
            }
            let shape: Vec<u64> = std::iter::once(count).chain(row.iter().copied()).collect();
            out.write_all(&npy::header(&datatype, &shape).ok_or_else(|| no_npy(&self.dataset))?)?;
        }
        for piece in pieces(&self.dataset, slabs) {
            if matches!(self.format, RowFormat::Npy | RowFormat::Raw) {
                out.write_all(&self.dataset.read_raw(piece)?)?;
                continue;
            }
            let values = self.dataset.read_values(piece)?;
            match self.format {
                RowFormat::Text => {
                    for row in values.chunks(row_len) {
                        let mut first = true;
                        for value in row {
                            out.write_all(if first { b"" } else { b" " })?;
                            first = false;
                            write_plain(value, out)?;
                        }
                        out.write_all(b"\n")?;
                    }
                }
                RowFormat::Csv => {
                    let mut writer = csv::Writer::from_writer(&mut *out);
                    let mut record = Vec::new();
                    for row in values.chunks(row_len) {
                        record.clear();
                        row.iter().for_each(|value| cells(value, &mut record));
                        writer.write_record(&record)?;
                    }
                    writer.flush()?;
                }
                RowFormat::Jsonl => {
                    for elements in values.chunks(row_len) {
                        serde_json::to_writer(&mut *out, &nested(elements, &row))?;
                        out.write_all(b"\n")?;
                    }
                }
                RowFormat::Npy | RowFormat::Raw => {}
            }
        }
        Ok(())
    }
}

fn no_npy(dataset: &Dataset) -> Failure {
    let (path, datatype) = (dataset.path(), dataset.datatype());
    Failure::Other(format!("{path}: NumPy's format has no type for {datatype}; `--format jsonl` can write it"))
}

/// A value on a line of its own: text without quotes.
fn write_plain(value: &Value, out: &mut impl Write) -> std::io::Result<()> {
    match value {
        Value::Str(text) => out.write_all(text.as_bytes()),
        other => write!(out, "{other}"),
    }
}

/// A value as the cells of a CSV record: a cell for each member and array element.
fn cells(value: &Value, record: &mut Vec<String>) {
    match value {
        Value::Compound(members) => members.iter().for_each(|(_, member)| cells(member, record)),
        Value::Array(values) => values.iter().for_each(|value| cells(value, record)),
        Value::Null => record.push(String::new()),
        Value::Str(text) => record.push(text.clone()),
        other => record.push(other.to_string()),
    }
}

/// The names of the cells of a record, if the type has any.
fn names(datatype: &Datatype, row: &[u64]) -> Option<Vec<String>> {
    fn each(prefix: &str, datatype: &Datatype, found: &mut Vec<String>) {
        match datatype {
            Datatype::Compound(_) if is_complex(datatype) => found.push(prefix.to_owned()),
            Datatype::Compound(compound) => {
                for member in &compound.members {
                    let name = member.name.to_string_lossy();
                    let dot = if prefix.is_empty() { "" } else { "." };
                    each(&format!("{prefix}{dot}{name}"), &member.datatype, found);
                }
            }
            Datatype::Array(array) => {
                for at in 0..array.dims.iter().map(|dim| u64::from(*dim)).product() {
                    each(&format!("{prefix}[{at}]"), &array.base, found);
                }
            }
            _ => found.push(prefix.to_owned()),
        }
    }
    if !matches!(datatype, Datatype::Compound(_)) || is_complex(datatype) {
        return None;
    }
    let mut found = Vec::new();
    if row.is_empty() {
        each("", datatype, &mut found);
    } else {
        (0..row.iter().product()).for_each(|at: u64| each(&format!("[{at}]"), datatype, &mut found));
    }
    Some(found)
}

/// Whether a compound type is what h5py makes of complex numbers.
fn is_complex(datatype: &Datatype) -> bool {
    *datatype == Datatype::complex64() || *datatype == Datatype::complex128()
}

/// A value as JSON. What JSON cannot say is a string: `NaN`, `Infinity`, bytes in hexadecimal; complex numbers are pairs.
pub(crate) fn json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Int(value) => json!(value),
        Value::UInt(value) => json!(value),
        // Through the shortest text: 0.1 stays 0.1 and does not become 0.10000000149.
        Value::Float32(value) => value.to_string().parse().map_or(Json::Null, float),
        Value::Float(value) => float(*value),
        Value::Bool(value) => json!(value),
        Value::Str(text) => json!(text),
        Value::Enum { name: Some(name), .. } => json!(name),
        Value::Enum { name: None, value } => {
            i64::try_from(*value).map_or_else(|_| json!(value.to_string()), |value| json!(value))
        }
        Value::Compound(members) => {
            Json::Object(members.iter().map(|(name, value)| (name.clone(), json(value))).collect::<Map<_, _>>())
        }
        Value::Array(values) | Value::VarLen(values) => Json::Array(values.iter().map(json).collect()),
        Value::Complex(real, imaginary) => json!([float(*real), float(*imaginary)]),
        Value::Reference(Reference::Null) => Json::Null,
        Value::Reference(Reference::Object(address)) => json!({ "object": address }),
        Value::Bytes(_) | Value::Reference(_) => json!(value.to_string()),
    }
}

fn float(value: f64) -> Json {
    match Number::from_f64(value) {
        Some(number) => Json::Number(number),
        None if value.is_nan() => json!("NaN"),
        None if value > 0.0 => json!("Infinity"),
        None => json!("-Infinity"),
    }
}

/// Elements in row-major order as nested JSON arrays of this shape.
pub(crate) fn nested(values: &[Value], shape: &[u64]) -> Json {
    match shape {
        [] => values.first().map_or(Json::Null, json),
        [_] => Json::Array(values.iter().map(json).collect()),
        [count, inner @ ..] => {
            let each = (values.len() / (*count).max(1) as usize).max(1);
            let mut rows: Vec<Json> = values.chunks(each).map(|row| nested(row, inner)).collect();
            // Rows without elements are still rows.
            rows.resize_with(*count as usize, || nested(&[], inner));
            Json::Array(rows)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_says_what_it_can_and_spells_the_rest() {
        for (value, expected) in [
            (Value::Int(-3), "-3"),
            (Value::UInt(u64::MAX), "18446744073709551615"),
            (Value::Float32(0.1), "0.1"),
            (Value::Float(1e300), "1e+300"),
            (Value::Float(f64::NAN), r#""NaN""#),
            (Value::Float32(f32::NEG_INFINITY), r#""-Infinity""#),
            (Value::Bytes(vec![0xff, 1]), r#""0xff01""#),
            (Value::Complex(1.0, -2.5), "[1.0,-2.5]"),
            (Value::Enum { name: None, value: 7 }, "7"),
            (
                Value::Compound(vec![("x".into(), Value::Bool(true)), ("a".into(), Value::Null)]),
                r#"{"x":true,"a":null}"#,
            ),
        ] {
            assert_eq!(json(&value).to_string(), expected);
        }
    }

    #[test]
    fn arrays_nest_by_their_shape() {
        let values: Vec<Value> = (0..6).map(Value::Int).collect();
        for (values, shape, expected) in [
            (&values[..], &[2, 3][..], "[[0,1,2],[3,4,5]]"),
            (&values[..], &[6], "[0,1,2,3,4,5]"),
            (&values[..], &[1, 2, 3], "[[[0,1,2],[3,4,5]]]"),
            (&values[..1], &[], "0"),
            (&[], &[2, 0], "[[],[]]"),
            (&[], &[0, 3], "[]"),
        ] {
            assert_eq!(nested(values, shape).to_string(), expected);
        }
    }

    #[test]
    fn records_have_a_cell_for_every_part() {
        let point = Datatype::compound([("x", Datatype::i16()), ("y", Datatype::array(&[2], Datatype::f64()))]);
        assert_eq!(names(&point, &[]).unwrap(), ["x", "y[0]", "y[1]"]);
        assert_eq!(names(&Datatype::complex64(), &[]), None);
        let value =
            Value::Compound(vec![("x".into(), Value::Int(1)), ("y".into(), Value::Array(vec![Value::Float(2.0); 2]))]);
        let mut record = Vec::new();
        cells(&value, &mut record);
        assert_eq!(record, ["1", "2.0", "2.0"]);
    }
}

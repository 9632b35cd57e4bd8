//! Rows as text: comma-separated values, and JSON values.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read};

use h5live::Datatype;
use serde_json::Value as Json;

use super::input::{Cells, Column, Outbox, Rows, Schema, Tap};

/// Bytes taken from the input at once.
const BUFFER: usize = 1 << 16;

/// Reads comma-separated values.
pub(super) fn csv<R: Read>(
    input: Tap<R>,
    outbox: &RefCell<Outbox>,
    dtype: Option<Datatype>,
    columns: bool,
) -> Result<(), String> {
    let mut builder = csv::ReaderBuilder::new();
    builder.has_headers(false).flexible(true).trim(csv::Trim::All).buffer_capacity(BUFFER);
    let mut reader = builder.from_reader(input);
    let mut record = csv::StringRecord::new();
    let mut next = |record: &mut csv::StringRecord| reader.read_record(record).map_err(|error| error.to_string());
    if !next(&mut record)? {
        return Ok(());
    }
    // A first line in which nothing is a number are names. Text columns could be all there is: then it is their names too.
    let is_header = record.iter().all(|cell| cell.parse::<f64>().is_err() && !cell.is_empty());
    let names: Vec<String> = match is_header {
        true => record.iter().map(str::to_owned).collect(),
        false => (0..record.len()).map(|column| format!("column_{column}")).collect(),
    };
    let mut line = 1;
    if is_header {
        line = 2;
        if !next(&mut record)? {
            return Ok(());
        }
    }
    let datatype = dtype.clone().unwrap_or_else(Datatype::f64);
    let schema = if columns {
        let column = |(name, first): (&String, &str)| {
            let is_text = dtype.is_none() && !first.is_empty() && first.parse::<f64>().is_err();
            let datatype = if is_text { Datatype::var_len_string() } else { datatype.clone() };
            Column { name: Some(name.clone()), datatype, row: Vec::new() }
        };
        Schema { columns: names.iter().zip(record.iter()).map(column).collect() }
    } else {
        let row = if names.len() == 1 { Vec::new() } else { vec![names.len() as u64] };
        Schema { columns: vec![Column { name: None, datatype, row }] }
    };
    let kinds: Vec<Cells> = schema.columns.iter().map(|column| Cells::of(&column.datatype)).collect();
    outbox.borrow_mut().schema(schema);
    loop {
        if record.len() != names.len() {
            return Err(format!("line {line}: {} columns, and {} before", record.len(), names.len()));
        }
        let mut cells = kinds.clone();
        for (column, cell) in record.iter().enumerate() {
            let into = if columns { column } else { 0 };
            let advice = if columns { "" } else { "; --columns makes datasets of text" };
            push_text(&mut cells[into], cell)
                .map_err(|why| format!("line {line}, {:?}: {why}{advice}", names[column]))?;
        }
        outbox.borrow_mut().push(Rows { count: 1, columns: cells });
        line += 1;
        if !next(&mut record)? {
            return Ok(());
        }
    }
}

fn push_text(cells: &mut Cells, text: &str) -> Result<(), String> {
    let wrong = |what: &str| format!("{text:?} is no {what}");
    match cells {
        // Nothing is what spreadsheets write for a value that is not there.
        Cells::Floats(cells) if text.is_empty() => cells.push(f64::NAN),
        Cells::Floats(cells) => cells.push(text.parse().map_err(|_| wrong("number"))?),
        Cells::Signed(cells) => cells.push(text.parse().map_err(|_| wrong("whole number of 64 bits"))?),
        Cells::Unsigned(cells) => cells.push(text.parse().map_err(|_| wrong("whole number from 0 up"))?),
        Cells::Bools(cells) => cells.push(match text.to_ascii_lowercase().as_str() {
            "true" | "1" => true,
            "false" | "0" => false,
            _ => return Err(wrong("true or false")),
        }),
        Cells::Texts(cells) => cells.push(text.to_owned()),
        Cells::Raw(_) => return Err("text cannot be stored as bytes".to_owned()),
    }
    Ok(())
}

/// Reads a JSON value per line.
pub(super) fn jsonl<R: Read>(input: Tap<R>, outbox: &RefCell<Outbox>, dtype: Option<Datatype>) -> Result<(), String> {
    let mut reader = BufReader::with_capacity(BUFFER, input);
    let mut schema: Option<Schema> = None;
    let mut text = Vec::new();
    for line in 1u64.. {
        text.clear();
        if reader.read_until(b'\n', &mut text).map_err(|error| error.to_string())? == 0 {
            break;
        }
        if text.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let value: Json = serde_json::from_slice(&text).map_err(|error| format!("line {line}: {error}"))?;
        let schema = match &mut schema {
            Some(schema) => schema,
            none => {
                let found = infer(&value, dtype.as_ref()).map_err(|why| format!("line {line}: {why}"))?;
                outbox.borrow_mut().schema(found.clone());
                none.insert(found)
            }
        };
        let mut rows = Rows { count: 1, columns: Vec::new() };
        for column in &schema.columns {
            let place = column.name.as_ref().map_or_else(String::new, |name| format!(", {name:?}"));
            let member = match &column.name {
                Some(name) => value.get(name).ok_or_else(|| format!("line {line}{place}: is missing"))?,
                None => &value,
            };
            let mut cells = Cells::of(&column.datatype);
            push_json(&mut cells, member, &column.row).map_err(|why| format!("line {line}{place}: {why}"))?;
            rows.columns.push(cells);
        }
        if let (Json::Object(members), true) = (&value, schema.columns.iter().all(|column| column.name.is_some()))
            && let Some(name) =
                members.keys().find(|name| !schema.columns.iter().any(|c| c.name.as_ref() == Some(name)))
        {
            return Err(format!("line {line}: {name:?} was not there before"));
        }
        outbox.borrow_mut().push(rows);
    }
    Ok(())
}

/// What rows are, by the first.
fn infer(value: &Json, dtype: Option<&Datatype>) -> Result<Schema, String> {
    let column = |name: Option<&String>, value: &Json| {
        let (datatype, row) = shape(value)?;
        Ok(Column { name: name.cloned(), datatype: dtype.cloned().unwrap_or(datatype), row })
    };
    let columns = match value {
        Json::Object(members) if members.is_empty() => return Err("an object without members".to_owned()),
        Json::Object(members) => {
            let each = members
                .iter()
                .map(|(name, value)| column(Some(name), value).map_err(|why: String| format!("{name:?}: {why}")));
            each.collect::<Result<_, _>>()?
        }
        other => vec![column(None, other)?],
    };
    Ok(Schema { columns })
}

fn shape(value: &Json) -> Result<(Datatype, Vec<u64>), String> {
    Ok(match value {
        Json::Number(_) | Json::Null => (Datatype::f64(), Vec::new()),
        Json::Bool(_) => (Datatype::boolean(), Vec::new()),
        Json::String(_) => (Datatype::var_len_string(), Vec::new()),
        Json::Array(values) => {
            let first = values.first().ok_or("an empty array has no shape")?;
            let (datatype, mut row) = shape(first)?;
            row.insert(0, values.len() as u64);
            (datatype, row)
        }
        Json::Object(_) => return Err("an object inside a row cannot be stored".to_owned()),
    })
}

fn push_json(cells: &mut Cells, value: &Json, row: &[u64]) -> Result<(), String> {
    let wrong = |what: &str| format!("{value} is no {what}");
    if let [count, inner @ ..] = row {
        let values = value.as_array().filter(|values| values.len() as u64 == *count);
        let values = values.ok_or_else(|| format!("{value} is no array of {count}, as before"))?;
        return values.iter().try_for_each(|value| push_json(cells, value, inner));
    }
    match cells {
        // JSON has no NaN, and Python's, JavaScript's and our own output say it in these ways.
        Cells::Floats(cells) => cells.push(match value {
            Json::Null => f64::NAN,
            Json::String(text) => text.parse().map_err(|_| wrong("number"))?,
            other => other.as_f64().ok_or_else(|| wrong("number"))?,
        }),
        Cells::Signed(cells) => cells.push(value.as_i64().ok_or_else(|| wrong("whole number of 64 bits"))?),
        Cells::Unsigned(cells) => cells.push(value.as_u64().ok_or_else(|| wrong("whole number from 0 up"))?),
        Cells::Bools(cells) => cells.push(value.as_bool().ok_or_else(|| wrong("true or false"))?),
        Cells::Texts(cells) => cells.push(value.as_str().ok_or_else(|| wrong("text"))?.to_owned()),
        Cells::Raw(_) => return Err("JSON cannot be stored as bytes".to_owned()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::input::parsed;
    use super::*;

    fn column(name: Option<&str>, datatype: Datatype, row: &[u64]) -> Column {
        Column { name: name.map(str::to_owned), datatype, row: row.to_vec() }
    }

    #[test]
    fn csv_becomes_rows() {
        let f64 = Datatype::f64;
        for (text, columns, schema, cells) in [
            ("1,2\n3,4\n", false, vec![column(None, f64(), &[2])], vec![Cells::Floats(vec![1.0, 2.0, 3.0, 4.0])]),
            ("x\n1\n2", false, vec![column(None, f64(), &[])], vec![Cells::Floats(vec![1.0, 2.0])]),
            (
                "t,name\n1.5,a\n2,\"b, c\"\n",
                true,
                vec![column(Some("t"), f64(), &[]), column(Some("name"), Datatype::var_len_string(), &[])],
                vec![Cells::Floats(vec![1.5, 2.0]), Cells::Texts(vec!["a".into(), "b, c".into()])],
            ),
        ] {
            let (found, rows) = parsed(text.as_bytes(), |input, outbox| csv(input, outbox, None, columns)).unwrap();
            assert_eq!(found.columns, schema, "{text}");
            assert_eq!((rows.count, rows.columns), (2, cells), "{text}");
        }
        for (text, word) in [("1,2\n3\n", "line 2: 1 columns"), ("a,b\n1,x\n", "line 2, \"b\"")] {
            let error = parsed(text.as_bytes(), |input, outbox| csv(input, outbox, None, false)).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn json_becomes_rows() {
        let read = |text: &str| parsed(text.as_bytes(), |input, outbox| jsonl(input, outbox, None));
        let (schema, rows) = read("[[1, 2, 3], [4, 5, null]]\n\n[[0, 0, 0], [0, 0, 0]]").unwrap();
        assert_eq!(schema.columns, [column(None, Datatype::f64(), &[2, 3])]);
        assert_eq!(rows.count, 2);
        let (schema, rows) = read("{\"on\": true, \"v\": [1, 2]}\n{\"v\": [3, 4], \"on\": false}").unwrap();
        let expected = [column(Some("on"), Datatype::boolean(), &[]), column(Some("v"), Datatype::f64(), &[2])];
        assert_eq!(schema.columns, expected);
        assert_eq!(rows.columns, [Cells::Bools(vec![true, false]), Cells::Floats(vec![1.0, 2.0, 3.0, 4.0])]);
        for (text, word) in [
            ("1\n[1]", "line 2"),
            ("{\"a\": 1}\n{\"b\": 1}", "is missing"),
            ("{\"a\": 1}\n{\"a\": 1, \"b\": 1}", "not there before"),
            ("[1, 2]\n[1]", "array of 2"),
            ("1\nx", "line 2: expected"),
            ("[]", "no shape"),
            ("{}", "without members"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}

//! Selections as Python writes them: `0:10,5`, `::2`, `-5:`.

use h5live::{Selection, Slab};

use crate::failure::Failure;

/// The selection `text` makes from a dataset of this extent. Axes that are not named are whole; a single number keeps its
/// axis, with one element.
pub(crate) fn parse(text: &str, extent: &[u64]) -> Result<Selection, Failure> {
    let wrong = |why: String| Failure::Usage(format!("{text:?} is no selection: {why}"));
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    if parts.len() > extent.len() {
        return Err(wrong(format!("it names {} axes, and the dataset has {}", parts.len(), extent.len())));
    }
    let mut slabs = Vec::new();
    for (axis, dim) in extent.iter().enumerate() {
        slabs.push(match parts.get(axis) {
            Some(part) => slab(part, *dim).map_err(|why| wrong(format!("axis {axis}: {why}")))?,
            None => Slab::range(0..*dim),
        });
    }
    Ok(Selection::Hyperslab(slabs))
}

fn slab(text: &str, dim: u64) -> Result<Slab, String> {
    let number = |text: &str| text.trim().parse::<i128>().map_err(|_| format!("{text:?} is no whole number"));
    let from_end = |number: i128| if number < 0 { number + i128::from(dim) } else { number };
    let parts: Vec<&str> = text.split(':').collect();
    let bound = |part: &str, default: u64| -> Result<u64, String> {
        if part.trim().is_empty() {
            return Ok(default);
        }
        // Like Python, a range may say more than there is.
        Ok(from_end(number(part)?).clamp(0, i128::from(dim)) as u64)
    };
    match parts.as_slice() {
        [only] => {
            let at = from_end(number(only)?);
            if at < 0 || at >= i128::from(dim) {
                return Err(format!("there is no element {}, of {dim}", only.trim()));
            }
            Ok(Slab::range(at as u64..at as u64 + 1))
        }
        [from, to] => Ok(Slab::range(bound(from, 0)?..bound(to, dim)?)),
        [from, to, step] => {
            let step = if step.trim().is_empty() { 1 } else { number(step)? };
            let step = u64::try_from(step).ok().filter(|step| *step > 0);
            let step = step.ok_or_else(|| "a step is a number from 1 up".to_owned())?;
            Ok(Slab::step(bound(from, 0)?..bound(to, dim)?, step))
        }
        _ => Err(format!("{text:?} is not START:STOP:STEP")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_mean_what_python_means() {
        let extent = [10, 6];
        for (text, starts, counts, strides) in [
            ("3", [3, 0], [1, 6], [1, 1]),
            ("-1,2", [9, 2], [1, 1], [1, 1]),
            ("2:5", [2, 0], [3, 6], [1, 1]),
            (":,::2", [0, 0], [10, 3], [1, 2]),
            ("-3:, 1:100", [7, 1], [3, 5], [1, 1]),
            ("5:2", [5, 0], [0, 6], [1, 1]),
        ] {
            let Ok(Selection::Hyperslab(slabs)) = parse(text, &extent) else { panic!("{text}") };
            assert_eq!(slabs.iter().map(|slab| slab.start).collect::<Vec<_>>(), starts, "{text}");
            assert_eq!(slabs.iter().map(|slab| slab.count).collect::<Vec<_>>(), counts, "{text}");
            assert_eq!(slabs.iter().map(|slab| slab.stride).collect::<Vec<_>>(), strides, "{text}");
        }
        for text in ["10", "-11", "x", "1:2:0", "1:2:-1", "1:2:3:4", "0,0,0", ""] {
            assert!(matches!(parse(text, &extent), Err(Failure::Usage(_))), "{text}");
        }
    }
}

//! Filters one after the other.

use std::sync::Arc;

use crate::{Encoded, Error, Filter, FilterId, Registry};

/// One filter of a pipeline, as the filter pipeline message describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Which filter.
    pub id: FilterId,
    /// Whether a chunk may be stored without it when it fails or gains nothing.
    pub optional: bool,
    /// What the file calls it, for messages.
    pub name: Option<String>,
    /// The filter's parameters.
    pub values: Vec<u32>,
}

/// A dataset's filters in the order of writing, ready for use from any number of threads.
#[derive(Debug, Clone)]
pub struct Pipeline {
    stages: Vec<Ready>,
}

/// Room to work in, kept from chunk to chunk. Each thread has its own.
#[derive(Debug, Default)]
pub struct Scratch {
    current: Vec<u8>,
    next: Vec<u8>,
}

impl Stage {
    /// A mandatory filter.
    pub fn new(id: FilterId, values: impl Into<Vec<u32>>) -> Self {
        Self { id, optional: false, name: None, values: values.into() }
    }

    /// An optional filter.
    pub fn optional(id: FilterId, values: impl Into<Vec<u32>>) -> Self {
        Self { optional: true, ..Self::new(id, values) }
    }
}

impl Pipeline {
    /// The most filters a pipeline may have: a chunk's mask has a bit for each.
    pub const FILTERS_AT_MOST: usize = 32;

    /// Looks the filters up. One that is not in the registry is an error only once a chunk needs it.
    pub fn new(stages: impl IntoIterator<Item = Stage>, registry: &Registry) -> Result<Self, Error> {
        let stages: Vec<_> =
            stages.into_iter().map(|stage| Ready { filter: registry.find(stage.id).cloned(), stage }).collect();
        match stages.len() {
            count if count > Self::FILTERS_AT_MOST => Err(Error::TooMany { count }),
            _ => Ok(Self { stages }),
        }
    }

    /// The filters, in the order of writing.
    pub fn stages(&self) -> impl ExactSizeIterator<Item = &Stage> {
        self.stages.iter().map(|ready| &ready.stage)
    }

    /// Whether there are no filters.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// Whether every chunk can be read; otherwise the error that reading the first other one will meet.
    pub fn check_available(&self) -> Result<(), Error> {
        self.stages.iter().try_for_each(|ready| ready.filter().map(drop))
    }

    /// Whether chunks are as long after all filters as before.
    pub fn keeps_length(&self) -> bool {
        let keeps =
            |ready: &Ready| ready.filter.as_ref().is_some_and(|filter| filter.keeps_length(&ready.stage.values));
        !self.is_empty() && self.stages.iter().all(keeps)
    }

    /// The mask of a chunk that passed through no filter of this pipeline.
    pub fn skip_all(&self) -> u32 {
        // 32 bits hold 32 filters: shifting by the complement avoids a shift by 32.
        self.stages.len().checked_sub(1).map_or(0, |last| u32::MAX >> (31 - last))
    }

    /// The chunk that is stored as `stored` with filter mask `mask`, `length` bytes long.
    pub fn decode(&self, mask: u32, stored: &[u8], length: usize) -> Result<Vec<u8>, Error> {
        let mut chunk = vec![0; length];
        self.decode_into(mask, stored, &mut chunk, &mut Scratch::default())?;
        Ok(chunk)
    }

    /// Like [`Pipeline::decode`], into the caller's buffer, which is exactly as long as the chunk.
    ///
    /// Besides `chunk`, memory is bounded by little more than twice its length. On error `chunk` is of unspecified content.
    pub fn decode_into(&self, mask: u32, stored: &[u8], chunk: &mut [u8], scratch: &mut Scratch) -> Result<(), Error> {
        let expected = chunk.len();
        let mut applied = self.applied(mask).peekable();
        if applied.peek().is_none() {
            return match stored.len() {
                found if found == expected => {
                    chunk.copy_from_slice(stored);
                    Ok(())
                }
                found => Err(Error::Length { expected, found }),
            };
        }
        // Every stage but the last undone works in the scratch buffers, where the bytes may be somewhat longer than the chunk: a
        // filter may have added a checksum or failed to compress.
        let room = expected.saturating_add(expected / 4).saturating_add(1024);
        let Scratch { current, next } = scratch;
        let mut length = None; // of the bytes in `current`, once there are any
        while let Some(ready) = applied.next() {
            let filter = ready.filter()?;
            let input = length.map_or(stored, |length| &current[..length]);
            let last = applied.peek().is_none();
            let output = if last {
                &mut chunk[..]
            } else {
                if next.len() < room {
                    next.resize(room, 0);
                }
                &mut next[..room]
            };
            let decoded = filter
                .decode(&ready.stage.values, input, output)
                .map_err(|problem| Error::Decode { id: ready.stage.id, problem })?;
            if last && decoded != expected {
                return Err(Error::Length { expected, found: decoded });
            }
            length = Some(decoded);
            std::mem::swap(current, next);
        }
        Ok(())
    }

    /// The bytes to store for `chunk`, and its filter mask.
    pub fn encode(&self, chunk: &[u8]) -> Result<(Vec<u8>, u32), Error> {
        self.encode_with(chunk, &mut Scratch::default())
    }

    /// Like [`Pipeline::encode`], working in `scratch`.
    pub fn encode_with(&self, chunk: &[u8], scratch: &mut Scratch) -> Result<(Vec<u8>, u32), Error> {
        let Scratch { current, next } = scratch;
        let mut mask = 0;
        let mut filtered = false; // whether `current` has taken the place of `chunk`
        for (index, ready) in self.stages.iter().enumerate() {
            next.clear();
            let input = if filtered { &current[..] } else { chunk };
            match ready.encode(input, next) {
                Ok(Encoded::NoGain) if ready.stage.optional => mask |= 1 << index,
                Ok(Encoded::Done | Encoded::NoGain) => {
                    filtered = true;
                    std::mem::swap(current, next);
                }
                Err(_) if ready.stage.optional => mask |= 1 << index,
                Err(error) => return Err(error),
            }
        }
        Ok((if filtered { std::mem::take(current) } else { chunk.to_vec() }, mask))
    }

    /// The filters that were applied to a chunk with this mask, in the order of reading.
    fn applied(&self, mask: u32) -> impl Iterator<Item = &Ready> {
        self.stages.iter().enumerate().rev().filter(move |(index, _)| mask & (1 << index) == 0).map(|(_, ready)| ready)
    }
}

/// A stage with the filter it names, if there is one.
#[derive(Debug, Clone)]
struct Ready {
    stage: Stage,
    filter: Option<Arc<dyn Filter>>,
}

impl Ready {
    fn filter(&self) -> Result<&dyn Filter, Error> {
        self.filter.as_deref().ok_or_else(|| Error::Unknown { id: self.stage.id, name: self.stage.name.clone() })
    }

    fn encode(&self, input: &[u8], output: &mut Vec<u8>) -> Result<Encoded, Error> {
        self.filter()?
            .encode(&self.stage.values, input, output)
            .map_err(|problem| Error::Encode { id: self.stage.id, problem })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Problem;

    fn pipeline(stages: impl IntoIterator<Item = Stage>) -> Pipeline {
        Pipeline::new(stages, &Registry::default()).unwrap()
    }

    fn ramp(count: u32) -> Vec<u8> {
        (0..count).flat_map(|i| (i / 3).to_le_bytes()).collect()
    }

    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1_u64;
        (0..length)
            .map(|_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (state >> 56) as u8
            })
            .collect()
    }

    #[test]
    fn what_is_encoded_decodes() {
        let (shuffle, deflate, lzf) = (FilterId::SHUFFLE, FilterId::DEFLATE, FilterId::LZF);
        let fletcher = Stage::new(FilterId::FLETCHER32, []);
        let mut scratch = Scratch::default();
        for stages in [
            vec![],
            vec![Stage::new(deflate, [4])],
            vec![fletcher.clone()],
            vec![Stage::optional(shuffle, [4]), Stage::optional(deflate, [1]), fletcher.clone()],
            vec![Stage::optional(shuffle, [4]), Stage::optional(lzf, [])],
            // A mandatory filter stays even where it makes the data longer.
            vec![fletcher.clone(), Stage::new(shuffle, [3]), Stage::new(deflate, [9]), Stage::new(lzf, [])],
        ] {
            let pipeline = pipeline(stages);
            for chunk in [ramp(1000), noise(4001), vec![7; 10_000], vec![1]] {
                let (stored, mask) = pipeline.encode_with(&chunk, &mut scratch).unwrap();
                let mut decoded = vec![0; chunk.len()];
                pipeline.decode_into(mask, &stored, &mut decoded, &mut scratch).unwrap();
                assert_eq!(decoded, chunk);
                for length in [0, chunk.len() - 1, chunk.len() + 1] {
                    assert!(pipeline.decode(mask, &stored, length).is_err(), "as {length} bytes");
                }
                for cut in 0..stored.len().min(200) {
                    let _ = pipeline.decode(mask, &stored[..cut], chunk.len()).unwrap_err();
                }
            }
        }
    }

    #[test]
    fn optional_filters_are_skipped_and_mandatory_ones_are_not() {
        let unknown = FilterId(400);
        for (stages, expected) in [
            (vec![Stage::optional(FilterId::SHUFFLE, [4]), Stage::optional(FilterId::DEFLATE, [6])], Ok(0)),
            (vec![Stage::optional(FilterId::SHUFFLE, [4]), Stage::optional(FilterId::LZF, [])], Ok(0b10)),
            (vec![Stage::optional(FilterId::LZF, [])], Ok(0b1)),
            (vec![Stage::new(FilterId::DEFLATE, [6])], Ok(0)),
            (vec![Stage::optional(unknown, []), Stage::new(FilterId::FLETCHER32, [])], Ok(0b1)),
            (vec![Stage::optional(FilterId::SHUFFLE, [])], Ok(0b1)),
            (vec![Stage::new(unknown, [])], Err(Error::Unknown { id: unknown, name: None })),
        ] {
            let pipeline = pipeline(stages);
            let chunk = noise(1000);
            let result = pipeline.encode(&chunk);
            assert_eq!(result.as_ref().map(|&(_, mask)| mask).map_err(Clone::clone), expected);
            if let Ok((stored, mask)) = result {
                assert_eq!(pipeline.decode(mask, &stored, chunk.len()).unwrap(), chunk);
            }
        }
    }

    #[test]
    fn a_missing_filter_matters_once_it_is_needed() {
        let pipeline = pipeline([Stage { name: Some("mystery".into()), ..Stage::optional(FilterId(400), []) }]);
        let missing = Error::Unknown { id: FilterId(400), name: Some("mystery".into()) };
        assert_eq!(pipeline.check_available(), Err(missing.clone()));
        assert_eq!(pipeline.decode(0, &[1, 2], 2), Err(missing));
        assert_eq!(pipeline.decode(1, &[1, 2], 2), Ok(vec![1, 2]));
        assert_eq!(pipeline.decode(1, &[1, 2], 3), Err(Error::Length { expected: 3, found: 2 }));
    }

    #[test]
    fn the_mask_has_a_bit_for_each_filter() {
        let fletcher = || Stage::new(FilterId::FLETCHER32, []);
        for (count, mask) in [(0, 0), (1, 1), (3, 0b111), (32, u32::MAX)] {
            let pipeline = pipeline((0..count).map(|_| fletcher()));
            assert_eq!(pipeline.skip_all(), mask);
            assert_eq!(pipeline.decode(mask, &[5], 1).unwrap(), [5]);
        }
        let too_many = Pipeline::new((0..33).map(|_| fletcher()), &Registry::default());
        assert_eq!(too_many.unwrap_err(), Error::TooMany { count: 33 });
    }

    #[test]
    fn a_program_adds_its_own_filter() {
        #[derive(Debug)]
        struct Not;
        impl Filter for Not {
            fn name(&self) -> &str {
                "not"
            }
            fn decode(&self, _: &[u32], input: &[u8], output: &mut [u8]) -> Result<usize, Problem> {
                let limit = output.len();
                let output = output.get_mut(..input.len()).ok_or(Problem::TooLong { limit })?;
                output.iter_mut().zip(input).for_each(|(out, byte)| *out = !byte);
                Ok(input.len())
            }
            fn encode(&self, _: &[u32], input: &[u8], output: &mut Vec<u8>) -> Result<Encoded, Problem> {
                output.extend(input.iter().map(|byte| !byte));
                Ok(Encoded::Done)
            }
        }
        let mut registry = Registry::default();
        registry.register(FilterId(400), Not);
        let pipeline =
            Pipeline::new([Stage::new(FilterId(400), []), Stage::new(FilterId::SHUFFLE, [2])], &registry).unwrap();
        let (stored, mask) = pipeline.encode(&[0, 1, 2, 3]).unwrap();
        assert_eq!((&stored[..], mask), (&[255, 253, 254, 252][..], 0));
        assert_eq!(pipeline.decode(0, &stored, 4).unwrap(), [0, 1, 2, 3]);
    }
}

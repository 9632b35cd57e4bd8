//! Filters: any bytes as stored chunks, and any chunks there and back.

use std::sync::LazyLock;

use h5live_filter::{BitField, ByteOrder, ChunkForm, ElementType, Pipeline, Registry, Stage};

use self::settings::{Setting, lossless, lossy};

#[path = "../../crates/filter/tests/settings/mod.rs"]
mod settings;

static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::default);

/// Filters and what a program gives them: the lossless ones first.
static SETTINGS: LazyLock<Vec<Setting>> = LazyLock::new(|| [lossless(), lossy()].concat());

/// The chunks that inputs are taken for.
const DIMS: [u64; 2] = [6, 20];
const CHUNK: usize = 6 * 20 * 4;

fn form(dims: &[u64], precision: u32, settle: impl FnOnce(&ChunkForm<'_>) -> Vec<u32>) -> Vec<u32> {
    let bits = BitField { size: 4, order: ByteOrder::Little, precision, offset: 0 };
    settle(&ChunkForm { dims, element: &ElementType::Integer { signed: true, bits }, fill: None })
}

/// Which filter; 0 or how many client values differ from what they should be, with their places and values; the stored chunk.
pub(crate) fn decode(bytes: &[u8]) {
    let [which, changes, rest @ ..] = bytes else { return };
    let (id, given) = &SETTINGS[usize::from(*which) % SETTINGS.len()];
    let Some(filter) = REGISTRY.find(*id) else { return };
    let mut values = form(&DIMS, 15, |form| filter.settle(given, form).unwrap_or_default());
    let mut rest = rest;
    for _ in 0..changes % 4 {
        let Some(([at, value @ ..], after)) = rest.split_first_chunk::<5>() else { return };
        rest = after;
        let count = values.len().max(1);
        if let Some(changed) = values.get_mut(usize::from(*at) % count) {
            *changed = u32::from_le_bytes(*value);
        }
    }
    let mut output = [0; CHUNK];
    match filter.decode(&values, rest, &mut output) {
        Ok(length) => assert!(length <= CHUNK),
        Err(problem) => assert!(!problem.to_string().is_empty()),
    }
}

/// Two filters, whose chunk must come back.
pub(crate) fn round_trip(bytes: &[u8]) {
    let [first, second, chunk @ ..] = bytes else { return };
    let chunk = &chunk[..chunk.len() / 4 * 4];
    let dims = [chunk.len() as u64 / 4];
    if dims[0] < 32 {
        return;
    }
    let stages: Vec<Stage> = [first, second]
        .iter()
        .map(|which| &SETTINGS[usize::from(**which) % SETTINGS.len()])
        .filter(|setting| !lossy().contains(setting))
        .filter_map(|(id, given)| {
            let values =
                form(&dims, 32, |form| REGISTRY.find(*id).map(|filter| filter.settle(given, form)).unwrap().unwrap());
            // Some need to be the first, as they know the chunk's size or elements.
            Some(Stage::optional(*id, values))
        })
        .collect();
    let Ok(pipeline) = Pipeline::new(stages, &REGISTRY) else { return };
    let (stored, mask) = pipeline.encode(chunk).expect("optional filters do not fail");
    match pipeline.decode(mask, &stored, chunk.len()) {
        Ok(decoded) => assert!(decoded == chunk, "{pipeline:?} made other bytes"),
        Err(error) => panic!("{pipeline:?} cannot be undone: {error}"),
    }
}

/// A chunk through each filter.
pub(crate) fn stored() -> Vec<Vec<u8>> {
    let chunk: Vec<u8> = (0..120_i32).flat_map(|at| (at / 3 % 100 + at % 7 * 1000).to_le_bytes()).collect();
    let mut seeds = Vec::new();
    for (which, (id, given)) in SETTINGS.iter().enumerate() {
        let Some(filter) = REGISTRY.find(*id) else { continue };
        let values = form(&DIMS, 15, |form| filter.settle(given, form).unwrap_or_default());
        let mut seed = vec![which as u8, 0];
        let mut stored = Vec::new();
        if filter.encode(&values, &chunk, &mut stored).is_ok() {
            seed.extend(stored);
            seeds.push(seed);
        }
    }
    seeds
}

/// Chunks for each filter.
pub(crate) fn chunks() -> Vec<Vec<u8>> {
    let chunk = |seed: usize| (0..600).map(move |at| (at * seed / 7 % 251) as u8);
    (0..SETTINGS.len())
        .map(|which| [which as u8, (which * 7) as u8].into_iter().chain(chunk(which)).collect())
        .collect()
}

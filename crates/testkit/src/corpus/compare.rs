//! Holding a description against the golden one.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};

/// What counts of an object, and which aspect of reading it tells of.
const FIELDS: [(&str, &str); 20] = [
    ("kind", "structure"),
    ("same_as", "structure"),
    ("nlinks", "structure"),
    ("link_order", "order"),
    ("path", "links"),
    ("file", "links"),
    ("resolves", "links"),
    ("digest", "values"),
    ("part", "partial-read"),
    ("shape", "structure"),
    ("maxshape", "structure"),
    ("chunks", "layout"),
    ("layout", "layout"),
    ("filters", "layout"),
    ("external", "layout"),
    ("sources", "layout"),
    ("fill", "fill"),
    ("fill_digest", "fill"),
    ("h5type", "h5type"),
    ("committed", "h5type"),
];

/// Fields of an attribute that count.
const ATTRIBUTE_FIELDS: [&str; 3] = ["shape", "digest", "h5type"];

/// Refusals that are the reference's policy, or its own crash: whoever opens the file all the same is not wrong.
const POLICY: [&str; 4] = ["already open for write", "PROCESS:", "driver should be used", "open_swmr"];

/// The filters that no reader may do without: HDF5's own, and those of the plugins that most files with plugins use.
const EXPECTED_FILTERS: [u64; 14] = [1, 2, 3, 4, 5, 6, 307, 32000, 32001, 32004, 32008, 32013, 32015, 32026];

/// How a file came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// As the golden description says.
    Pass,
    /// There was nothing to hold it against, and it ended cleanly.
    Lenient,
    /// As the golden description says, but for elements behind filters that the reader says it does not have.
    Explained,
    /// Otherwise.
    Fail,
}

/// One thing that is not as the golden description has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// What it concerns: `values`, `layout`, `attrs` ...
    pub aspect: &'static str,
    /// The object's path, with `@name` for an attribute.
    pub place: String,
    /// Which field.
    pub field: String,
    /// What the golden description says.
    pub expected: Json,
    /// What was described.
    pub found: Json,
}

impl Difference {
    fn aspect_is_of_elements(&self) -> bool {
        matches!(self.aspect, "values" | "partial-read")
    }
}

/// The outcome for one file.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// As a whole.
    pub verdict: Verdict,
    /// In detail.
    pub differences: Vec<Difference>,
}

impl Comparison {
    fn of(verdict: Verdict) -> Self {
        Self { verdict, differences: Vec::new() }
    }

    /// The numbers of the filters that the reader says it lacks, as `filter 32017, 32024`.
    #[must_use]
    pub fn missing_filters(&self) -> String {
        let numbers = self.differences.iter().filter_map(|difference| difference.found["missing_filter"].as_u64());
        let numbers: BTreeSet<u64> = numbers.collect();
        format!("filter {}", numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(", "))
    }

    fn not_opened(expected: &Json, found: &Json) -> Self {
        let difference = Difference {
            aspect: "open",
            place: String::new(),
            field: "open".to_owned(),
            expected: expected.clone(),
            found: found.clone(),
        };
        Self { verdict: Verdict::Fail, differences: vec![difference] }
    }
}

/// Compares a description with the golden one of a file of this category.
#[must_use]
pub fn compare(golden: &Json, candidate: &Json, category: &str) -> Comparison {
    let (expected, found) = (&golden["open"], &candidate["open"]);
    if is_crash(found) {
        return Comparison::not_opened(expected, found);
    }
    if category == "corrupt" {
        return Comparison::of(Verdict::Lenient);
    }
    let opens = |description: &Json| description["open"] == "ok" || description["open_swmr"] == "ok";
    match (opens(golden), opens(candidate)) {
        (false, false) => return Comparison::of(Verdict::Pass),
        (false, true) => {
            let refusal = expected["error"].as_str().unwrap_or_default();
            return match POLICY.iter().any(|policy| refusal.contains(policy)) {
                true => Comparison::of(Verdict::Lenient),
                false => Comparison::not_opened(expected, &"opened".into()),
            };
        }
        // The reference itself reads it only beside a writer.
        (true, false) if expected != "ok" => return Comparison::of(Verdict::Lenient),
        (true, false) => return Comparison::not_opened(expected, found),
        (true, true) => {}
    }
    if golden.get("walk").is_some() {
        return Comparison::of(Verdict::Lenient);
    }
    let mut differences = Differences(Vec::new());
    let userblocks = (&golden["userblock"], &candidate["userblock"]);
    if !userblocks.0.is_null() && userblocks.0 != userblocks.1 {
        differences.add("structure", "", "userblock", userblocks.0, userblocks.1);
    }
    objects(golden, candidate, &mut differences);
    let lacks_a_filter = |difference: &Difference| is_explained(&golden["objects"][&difference.place], difference);
    let verdict = match differences.0.as_slice() {
        [] => Verdict::Pass,
        all if all.iter().all(lacks_a_filter) => Verdict::Explained,
        _ => Verdict::Fail,
    };
    Comparison { verdict, differences: differences.0 }
}

struct Differences(Vec<Difference>);

impl Differences {
    fn add(&mut self, aspect: &'static str, place: &str, field: &str, expected: &Json, found: &Json) {
        let (expected, found) = (expected.clone(), found.clone());
        self.0.push(Difference { aspect, place: place.to_owned(), field: field.to_owned(), expected, found });
    }
}

fn objects(golden: &Json, candidate: &Json, differences: &mut Differences) {
    let none = Map::new();
    let all = |description: &'_ Json| description["objects"].as_object().cloned();
    let (golden_objects, found) = (all(golden), all(candidate));
    let (golden_objects, found) = (golden_objects.as_ref().unwrap_or(&none), found.as_ref().unwrap_or(&none));
    // What the reference cannot open or list: there may be anything.
    let is_broken = |object: &Json| object["kind"] == "error" || object.get("links").is_some();
    let broken: Vec<&str> =
        golden_objects.iter().filter(|(_, object)| is_broken(object)).map(|(path, _)| path.as_str()).collect();
    for (path, object) in golden_objects {
        match found.get(path) {
            _ if is_broken(object) => {}
            None => differences.add("structure", path, "missing", &object["kind"], &Json::Null),
            Some(candidate) => one_object(path, object, candidate, differences),
        }
    }
    if golden["truncated"] == true {
        return;
    }
    let below =
        |path: &str| broken.iter().any(|broken| path.starts_with(&format!("{}/", broken.trim_end_matches('/'))));
    for (path, object) in found {
        if !golden_objects.contains_key(path) && !below(path) {
            differences.add("structure", path, "extra object", &Json::Null, &object["kind"]);
        }
    }
}

fn one_object(path: &str, golden: &Json, candidate: &Json, differences: &mut Differences) {
    for (field, aspect) in FIELDS {
        let Some(expected) = golden.get(field).filter(|expected| !is_error(expected)) else { continue };
        match candidate.get(field) {
            Some(found) if found == expected => {}
            Some(found) => differences.add(aspect, path, field, expected, found),
            // Told once, below.
            None if candidate.get("error").is_some() && field != "kind" => {}
            None => differences.add(aspect, path, field, expected, &Json::Null),
        }
    }
    if let (None, Some(error)) = (golden.get("error"), candidate.get("error")) {
        differences.add("structure", path, "error", &Json::Null, error);
    }
    let found = &candidate["attrs"];
    match golden.get("attrs").map(|attributes| &attributes["v"]) {
        Some(Json::Object(expected)) => attributes(path, expected, found, differences),
        // The reference could not list them.
        Some(_) => {}
        None => {
            if let Some(Json::Object(extra)) = found.get("v") {
                let names: Vec<&String> = extra.keys().collect();
                differences.add("attrs", path, "extra attributes", &Json::Null, &names.into_iter().cloned().collect());
            }
        }
    }
}

fn attributes(path: &str, golden: &Map<String, Json>, candidate: &Json, differences: &mut Differences) {
    let found = candidate["v"].as_object();
    for (name, expected) in golden.iter().filter(|(_, expected)| !is_error(expected)) {
        let place = format!("{path}@{name}");
        match found.and_then(|found| found.get(name)) {
            None => differences.add("attrs", &place, "missing", &expected["h5type"], candidate),
            Some(found) if is_error(found) => differences.add("attrs", &place, "error", &expected["h5type"], found),
            Some(found) => {
                for field in ATTRIBUTE_FIELDS {
                    if let Some(expected) = expected.get(field).filter(|expected| !is_error(expected))
                        && found.get(field) != Some(expected)
                    {
                        differences.add("attrs", &place, field, expected, &found[field]);
                    }
                }
            }
        }
    }
    for name in found.into_iter().flat_map(Map::keys).filter(|name| !golden.contains_key(*name)) {
        differences.add("attrs", &format!("{path}@{name}"), "extra", &Json::Null, &Json::Null);
    }
}

/// Whether elements could not be read because of a filter that the reader names, that the dataset does have, and that it may lack.
fn is_explained(golden: &Json, difference: &Difference) -> bool {
    let Some(missing) = difference.found["missing_filter"].as_u64() else { return false };
    let has_it = |filters: &Vec<Json>| filters.iter().any(|filter| filter[0] == missing);
    difference.aspect_is_of_elements()
        && !EXPECTED_FILTERS.contains(&missing)
        && golden["filters"].as_array().is_some_and(has_it)
}

fn is_error(value: &Json) -> bool {
    value.as_object().is_some_and(|fields| fields.contains_key("error"))
}

fn is_crash(value: &Json) -> bool {
    value["error"].as_str().is_some_and(|why| why.contains("PROCESS"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn one(object: Json) -> Json {
        json!({ "open": "ok", "userblock": 0, "objects": { "/": { "kind": "group", "nlinks": 1 }, "/d": object } })
    }

    fn dataset() -> Json {
        json!({ "kind": "dataset", "shape": [2], "digest": "aa", "attrs": { "v": { "a": { "shape": [], "digest": "bb" } } } })
    }

    fn check(golden: &Json, candidate: &Json, expected: &[(&str, &str)]) {
        let found = compare(golden, candidate, "valid");
        let told: Vec<(&str, &str)> = found.differences.iter().map(|d| (d.aspect, d.field.as_str())).collect();
        assert_eq!(told, expected);
        assert_eq!(found.verdict, if expected.is_empty() { Verdict::Pass } else { Verdict::Fail });
    }

    #[test]
    fn every_kind_of_difference_is_seen() {
        let golden = one(dataset());
        check(&golden, &golden, &[]);
        let changed = |change: &dyn Fn(&mut Json)| {
            let mut candidate = golden.clone();
            change(&mut candidate);
            candidate
        };
        check(&golden, &changed(&|c| c["objects"]["/d"]["digest"] = "ab".into()), &[("values", "digest")]);
        check(&golden, &changed(&|c| c["objects"]["/d"]["shape"] = json!([3])), &[("structure", "shape")]);
        check(&golden, &changed(&|c| c["objects"]["/d"]["digest"] = json!({ "error": "x" })), &[("values", "digest")]);
        check(&golden, &changed(&|c| c["objects"]["/e"] = dataset()), &[("structure", "extra object")]);
        check(&golden, &changed(&|c| c["userblock"] = 512.into()), &[("structure", "userblock")]);
        check(
            &golden,
            &changed(&|c| c["objects"]["/d"]["attrs"]["v"]["a"]["digest"] = "bc".into()),
            &[("attrs", "digest")],
        );
        check(&golden, &changed(&|c| c["objects"]["/d"]["attrs"]["v"]["b"] = json!({})), &[("attrs", "extra")]);
        check(
            &golden,
            &changed(&|c| c["objects"] = json!({ "/": golden["objects"]["/"] })),
            &[("structure", "missing")],
        );
        check(&golden, &json!({ "open": { "error": "no" } }), &[("open", "open")]);
    }

    #[test]
    fn only_filters_that_may_be_missing_explain_and_only_elements() {
        let mut golden = one(dataset());
        golden["objects"]["/d"]["filters"] = json!([[2, 0, [8]], [32017, 0, []]]);
        let verdict = |filter: u64, field: &str| {
            let mut candidate = golden.clone();
            candidate["objects"]["/d"][field] = json!({ "error": "not available", "missing_filter": filter });
            compare(&golden, &candidate, "valid").verdict
        };
        assert_eq!(verdict(32017, "digest"), Verdict::Explained);
        // The dataset has no such filter; every reader has this one; shapes need no filter.
        assert_eq!(verdict(32018, "digest"), Verdict::Fail);
        assert_eq!(verdict(2, "digest"), Verdict::Fail);
        assert_eq!(verdict(32017, "shape"), Verdict::Fail);
        // Something else is wrong as well.
        let mut candidate = golden.clone();
        candidate["objects"]["/d"]["digest"] = json!({ "error": "not available", "missing_filter": 32017 });
        candidate["userblock"] = 512.into();
        assert_eq!(compare(&golden, &candidate, "valid").verdict, Verdict::Fail);
        // An error without the number explains nothing.
        let mut candidate = golden.clone();
        candidate["objects"]["/d"]["digest"] = json!({ "error": "filter 32017 is not available" });
        assert_eq!(compare(&golden, &candidate, "valid").verdict, Verdict::Fail);
    }

    #[test]
    fn where_the_reference_fails_any_clean_end_passes() {
        let mut golden = one(dataset());
        golden["objects"]["/d"]["digest"] = json!({ "error": "OSError: no filter" });
        golden["objects"]["/d"]["attrs"]["v"]["a"] = json!({ "error": "TypeError" });
        check(&golden, &one(dataset()), &[]);
        golden["objects"]["/d"] = json!({ "kind": "error", "error": "KeyError" });
        check(&golden, &one(dataset()), &[]);
        let refused = |why: &str| json!({ "open": { "error": why } });
        let verdict = |golden: &Json, candidate: &Json, category| compare(golden, candidate, category).verdict;
        assert_eq!(verdict(&refused("truncated"), &refused("too short"), ""), Verdict::Pass);
        assert_eq!(verdict(&refused("truncated"), &golden, ""), Verdict::Fail);
        assert_eq!(verdict(&refused("file is already open for write"), &golden, ""), Verdict::Lenient);
        assert_eq!(verdict(&refused("x"), &golden, "corrupt"), Verdict::Lenient);
        for category in ["valid", "corrupt"] {
            assert_eq!(verdict(&golden, &refused("PROCESS: timeout"), category), Verdict::Fail);
        }
    }
}

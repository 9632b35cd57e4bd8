//! Simulated crashes, in small sizes, and the proof that these judges can condemn.

use std::sync::Arc;

use h5live_storage::sim::{CrashImage, CrashPlan, Disk, Event, Image, PAGE};
use h5live_storage::{Barrier, Storage};
use h5live_trial::crash::{self, Campaign, Settling, Tally, judge, judge_kept, run};
use h5live_trial::kinds::kind;
use h5live_trial::workload::{Growing, Workload};

/// The states of a campaign in CI.
const STATES: u64 = 20_000;

#[test]
fn nothing_is_lost_in_any_crash() {
    let campaign = Campaign { states: STATES, seed: 1, workload: String::new(), shown_every: 200 };
    let tally = campaign.run(|_| {});
    println!("{tally}");
    tally.require_clean();
    assert!(tally.states() >= STATES);
}

/// A seed says all: what was found with it is found again.
#[test]
fn a_seed_replays() {
    let campaign = Campaign { states: 1500, seed: 7, workload: "gzip".to_owned(), shown_every: 0 };
    let figures = || campaign.run(|_| {}).to_string();
    assert_eq!(figures(), figures());
}

#[test]
fn looking_changes_nothing() {
    assert!(crash::looking_changes_nothing(&Growing::new("gzip", vec![kind("gzip, parts of chunks")], 0)));
}

/// The log of a run, done again with changes.
fn replay(log: &[Event]) -> Disk {
    let disk = Disk::new(7);
    for event in log {
        match event {
            Event::Write { at, bytes } => disk.write_all_at(bytes, *at).unwrap(),
            Event::SetLen(len) => disk.set_len(*len).unwrap(),
            Event::Barrier(barrier) => disk.barrier(*barrier).unwrap(),
            Event::Mark(mark) => disk.mark(*mark),
            Event::FailedSync => {}
        }
    }
    disk
}

/// A judge that cannot condemn is decoration. Each fault is one that a writer could have.
#[test]
fn faults_of_the_writer_would_be_found() {
    let steps = 12;
    let workload = Growing::new("two", vec![kind("chunk of 4"), kind("gzip, whole chunks")], 0);
    let done = run(&workload, steps, Settling::Always, false, 7);
    let (from, log) = (done.from, done.disk.log());
    let killed = CrashPlan { from, ..CrashPlan::killed() };
    let power = CrashPlan { from, killed: false, torn: false, power_losses: 4, seed: 5 };
    let is_wrong = |log: &[Event], plan: &CrashPlan| {
        replay(log).crash_images(plan).any(|crash| judge(&workload, &crash).is_some_and(|it| it.is_err()))
    };
    assert!(!is_wrong(&log, &killed) && !is_wrong(&log, &power), "as it is, nothing is wrong");

    let (before, live) = log.split_at(from);
    let changed = |live: Vec<Event>| [before.to_vec(), live].concat();
    let is_durable = |event: &Event| *event == Event::Barrier(Barrier::Durable);
    let unsettled =
        live.iter().map(|event| if is_durable(event) { Event::Barrier(Barrier::Visible) } else { event.clone() });
    assert!(is_wrong(&changed(unsettled.collect()), &power), "no sync");

    // Each publication's layers in reverse: the extent before what it counts.
    let mut reversed = Vec::new();
    for publication in live.split_inclusive(|event| matches!(event, Event::Mark(_))) {
        let (mark, writes) = publication.split_last().unwrap();
        reversed.extend(writes.iter().rev().cloned());
        reversed.push(mark.clone());
    }
    assert!(is_wrong(&changed(reversed), &killed), "layers in reverse");

    // The acknowledgement before the last layer.
    let mut early = Vec::new();
    for publication in live.split_inclusive(|event| matches!(event, Event::Mark(_))) {
        let (mark, writes) = publication.split_last().unwrap();
        early.push(mark.clone());
        early.extend(writes.iter().cloned());
    }
    assert!(is_wrong(&changed(early), &killed), "acknowledged too early");

    // One write that never happens; not all matter to a crash: many move the end-of-file ahead, say who writes, or are made up
    // for by the next. Whoever judges may have to be patient with what is broken, so several judge at once.
    let writes: Vec<usize> = (0..live.len()).filter(|at| matches!(live[*at], Event::Write { .. })).step_by(5).collect();
    let noticed: usize = std::thread::scope(|scope| {
        let judges: Vec<_> = writes
            .iter()
            .map(|at| {
                let mut live = live.to_vec();
                live.remove(*at);
                let log = changed(live);
                scope.spawn(|| usize::from(is_wrong(&{ log }, &killed)))
            })
            .collect();
        judges.into_iter().map(|judge| judge.join().unwrap()).sum()
    });
    assert!(noticed * 2 > writes.len(), "only {noticed} of {} lost writes were noticed", writes.len());
}

/// Two layers swapped: the extent goes before the index that it counts on.
#[test]
fn swapped_layers_would_be_found() {
    let workload = Growing::new("one", vec![kind("chunk of 1")], 0);
    let done = run(&workload, 12, Settling::Never, false, 7);
    let log = done.disk.log();
    let plan = CrashPlan { from: done.from, ..CrashPlan::killed() };
    assert!(!condemned(&workload, &log, &plan));
    let mut found = 0;
    let mut swaps = 0;
    let barriers: Vec<usize> =
        (done.from..log.len()).filter(|at| matches!(log[*at], Event::Barrier(_) | Event::Mark(_))).collect();
    for layers in barriers.windows(3).filter(|layers| layers.iter().all(|at| matches!(log[*at], Event::Barrier(_)))) {
        let mut swapped = log.clone();
        swapped[layers[0] + 1..=layers[2]].rotate_left(layers[1] - layers[0]);
        swaps += 1;
        found += usize::from(condemned(&workload, &swapped, &plan));
    }
    // The trailer and the extent may change places for a reader that takes what it finds: but not the index and the extent.
    println!("{found} of {swaps} swaps");
    assert!(found * 3 > swaps && found > 5, "{found} of {swaps} swaps were noticed");
}

/// One barrier less: in every publication the same one, or in one publication any.
#[test]
fn a_dropped_barrier_would_be_found() {
    let workload = Growing::new("one", vec![kind("gzip grid")], 0);
    let done = run(&workload, 12, Settling::Always, false, 7);
    let log = done.disk.log();
    let plan = CrashPlan { from: done.from, killed: false, torn: false, power_losses: 6, seed: 3 };
    assert!(!condemned(&workload, &log, &plan));
    let barriers: Vec<usize> =
        (done.from..log.len()).filter(|at| log[*at] == Event::Barrier(Barrier::Durable)).collect();
    let without = |dropped: &[usize]| -> Vec<Event> {
        let kept = log.iter().enumerate().filter(|(at, _)| !dropped.contains(at));
        kept.map(|(_, event)| event.clone()).collect()
    };
    // Counted back from the acknowledgement: what comes before it is settled; the index before the extent that counts on it; new blocks
    // before the index that names them. (The record and the object header say the same: either may be first.)
    for (back, what) in [(0, "before the acknowledgement"), (2, "of the index"), (3, "of what is new")] {
        let publications = log.iter().enumerate().skip(done.from).filter(|(_, event)| matches!(event, Event::Mark(_)));
        let dropped: Vec<usize> = publications
            .filter_map(|(mark, _)| barriers.iter().rev().filter(|at| **at < mark).nth(back).copied())
            .collect();
        assert!(condemned(&workload, &without(&dropped), &plan), "no barrier {what}");
    }
    let found = barriers.iter().filter(|at| condemned(&workload, &without(&[**at]), &plan)).count();
    assert!(found * 3 > barriers.len(), "{found} of {} barriers were missed", barriers.len());
}

/// A visible publication after a durable one that settled nothing would take the durable one with it.
#[test]
fn a_visible_publication_that_settles_nothing_would_be_found() {
    let workload = Growing::new("one", vec![kind("gzip grid")], 0);
    let done = run(&workload, 24, Settling::Every(6), false, 7);
    let plan = CrashPlan { from: done.from, killed: false, torn: false, power_losses: 6, seed: 3 };
    let lost = |disk: &Disk| {
        disk.crash_images(&plan).any(|crash| judge_kept(&workload, &crash, &done).is_some_and(|it| it.is_err()))
    };
    assert!(!lost(&done.disk));
    // The barriers of all publications but the durable ones.
    let mut log = done.disk.log();
    let mut step = 0;
    for event in &mut log[done.from..] {
        match event {
            Event::Mark(mark) => step = *mark,
            Event::Barrier(barrier) if (step + 1) % 6 != 0 => *barrier = Barrier::Visible,
            _ => {}
        }
    }
    assert!(lost(&replay(&log)));
}

/// A header moved across a page: everything of the file is shifted, so that the extent comes to lie on one page and its checksum on the next.
#[test]
fn a_header_across_a_page_would_be_found() {
    let workload = Growing::new("one", vec![kind("chunk of 4")], 0);
    let done = run(&workload, 12, Settling::Never, false, 7);
    let plan = CrashPlan { from: done.from, torn: true, killed: false, ..CrashPlan::killed() };
    let log = done.disk.log();
    let shifted = |shift: u64| {
        let moved: Vec<Event> = log
            .iter()
            .map(|event| match event.clone() {
                Event::Write { at, bytes } => Event::Write { at: at + shift, bytes },
                Event::SetLen(len) => Event::SetLen(len + shift),
                other => other,
            })
            .collect();
        replay(&moved).crash_images(&plan).any(|crash| {
            // Back to where the file expects itself, torn where it was not made to be.
            let image = Image::from(&crash.image.to_vec()[shift as usize..]);
            judge(&workload, &CrashImage { image, ..crash }).is_some_and(|it| it.is_err())
        })
    };
    assert!(!shifted(0), "as it is, nothing is wrong");
    // The overwrite of an extent: the shortest write there is.
    let writes = log[done.from..].iter().filter_map(|event| match event {
        Event::Write { at, bytes } if bytes.len() > 8 => Some((*at, bytes.len() as u64)),
        _ => None,
    });
    let (at, len) = writes.min_by_key(|(_, len)| *len).unwrap();
    assert!(shifted(PAGE as u64 - (at + len / 2) % PAGE as u64), "{len} bytes at {at:#x}");
}

/// A filtered chunk, overwritten in place: what a write of it leaves when it is torn is no chunk.
#[test]
fn a_filtered_chunk_overwritten_in_place_would_be_found() {
    let large = h5live_trial::kinds::Kind { chunk: &[4096], step: 4096, ..kind("fletcher32") };
    let workload = Growing::new("one", vec![large], 0);
    let done = run(&workload, 3, Settling::Never, false, 7);
    let plan = CrashPlan { from: done.from, torn: true, ..CrashPlan::killed() };
    let log = done.disk.log();
    assert!(!condemned(&workload, &log, &plan));
    // The first chunk of the session once more, at the end: in place. Its first state is zeros, so that the tear shows.
    let (at, bytes) = log[done.from..]
        .iter()
        .find_map(|event| match event {
            Event::Write { at, bytes } if bytes.len() > 4096 * 8 - 64 => Some((*at, bytes.clone())),
            _ => None,
        })
        .unwrap();
    let mut in_place = log.clone();
    let other: Vec<u8> = bytes.iter().map(|byte| !byte).collect();
    in_place.push(Event::Write { at, bytes: other.into() });
    in_place.push(Event::Write { at, bytes });
    let end = CrashPlan { from: log.len() + 1, ..plan };
    assert!(condemned(&workload, &in_place, &end));
}

/// What a tally is for.
/// A reader whose time runs backwards sees what never was.
#[test]
fn a_slow_reader_would_notice() {
    let workload = Growing::new("chunk of 4", vec![kind("chunk of 4")], 0);
    let run = run(&workload, 30, Settling::Never, false, 5);
    let len = run.disk.log().len();
    let looks = |turned: bool, apart: bool| {
        let (workload, run) = (&workload, &run);
        (0..200).filter_map(move |seed| {
            let since = run.from + seed as usize % (len - run.from);
            let view = run.disk.slow_view(since, seed);
            let view = Arc::new(if turned { view.turning_back() } else { view });
            crash::slow_look(workload, run, view, since, apart)
        })
    };
    for apart in [false, true] {
        assert_eq!(looks(false, apart).find(Result::is_err), None);
        assert!(looks(true, apart).any(|judged| judged.is_err()), "apart: {apart}");
    }
}

#[test]
fn a_complaint_is_no_clean_tally() {
    let mut tally = Tally::default();
    tally.count("one", "killed");
    tally.require_clean();
    tally.complain("lost".to_owned());
    assert!(std::panic::catch_unwind(|| tally.require_clean()).is_err());
}

fn condemned(workload: &dyn Workload, log: &[Event], plan: &CrashPlan) -> bool {
    replay(log).crash_images(plan).any(|crash| judge(workload, &crash).is_some_and(|it| it.is_err()))
}

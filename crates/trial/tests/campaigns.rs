//! Campaigns of real processes, in small sizes.

use h5live_trial::campaign::{Report, run};

fn clean(name: &str, count: u64) -> Report {
    let report = run(name, Some(count), u64::from(std::process::id())).unwrap();
    println!("{report}");
    assert!(report.is_clean(), "{report}");
    report
}

#[test]
fn killed_at_any_instant() {
    let report = clean("kills", 40);
    assert_eq!(report.figure("writers of the library killed"), 32);
    assert_eq!(report.figure("programs `h5live record` killed"), 8);
    assert!(report.figure("looks by h5py, r+") >= 64);
}

#[test]
fn opened_by_anyone_while_it_is_written() {
    assert!(clean("opens", 300).figure("opens") >= 300);
}

#[test]
fn published_together_seen_together() {
    assert!(clean("together", 500).figure("refreshes that showed more") >= 500);
}

#[test]
fn ends_are_told_apart() {
    assert_eq!(clean("ends", 40).figure("runs"), 40);
}

#[test]
fn readers_disturb_no_writer() {
    assert_eq!(clean("readers", 4000).figure("readers killed"), 10);
}

#[test]
fn structure_comes_while_everyone_walks() {
    assert_eq!(clean("structure", 60).figure("objects seen at the next refresh"), 60);
}

#[test]
fn a_thousand_datasets_are_published_together() {
    assert_eq!(clean("wide", 20).figure("publications"), 160);
}

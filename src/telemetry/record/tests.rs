//! Records as they are written, cut, damaged, outgrown, and read again.

use std::fs;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::clock::{Clock, Entropy};

fn header() -> Header {
    Header {
        hearth: "0.1.0".into(),
        started: 1_000.0,
        run_started: 1_000.0,
        part: 1,
        system: "linux x86_64".into(),
    }
}

fn event(at: u64, text: &str) -> Line {
    Line { at, what: What::Event(RawValue::from_string(text.to_owned()).unwrap()) }
}

/// A small record: a state, changes, events in many frames, an end.
fn written(path: &Path) {
    let mut writer = Writer::create(path, &header()).unwrap();
    writer.add(&Line { at: 0, what: What::State(json!({"n": 0, "list": [1, 2]})) }).unwrap();
    for i in 1..=20_u64 {
        let step = Change::Set("/n".into(), json!(i));
        writer.add(&Line { at: i * 100, what: What::Changes(vec![step]) }).unwrap();
        writer.add(&event(i * 100, &format!(r#"{{"event":"b","a":{i},"z":1.50}}"#))).unwrap();
        if i % 5 == 0 {
            writer.flush().unwrap();
        }
    }
    writer.add(&Line { at: 2_000, what: What::End(End::Stopped) }).unwrap();
    writer.finish().unwrap();
}

/// All that can be read: events as text, and the last state.
fn read(path: &Path) -> Result<(Vec<String>, Value), RecordError> {
    let mut reader = Reader::open(path)?;
    let (mut events, mut state) = (Vec::new(), Value::Null);
    for number in 0..reader.frames() {
        for line in reader.lines(number)? {
            match line.what {
                What::State(whole) => state = whole,
                What::Changes(steps) => {
                    steps.into_iter().for_each(|step| apply(&mut state, step).unwrap());
                }
                What::Event(event) => events.push(event.get().to_owned()),
                What::Missed(_) | What::End(_) => {}
            }
        }
    }
    Ok((events, state))
}

#[test]
fn what_was_written_is_read_letter_for_letter() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.record");
    written(&path);
    let (events, state) = read(&path).unwrap();
    assert_eq!(events.len(), 20);
    assert_eq!(events[6], r#"{"event":"b","a":7,"z":1.50}"#);
    assert_eq!(state, json!({"n": 20, "list": [1, 2]}));
    let mut reader = Reader::open(&path).unwrap();
    assert_eq!(reader.header(), &header());
    assert_eq!(reader.length(), Duration::from_secs(2));
    assert_eq!(reader.end().unwrap(), Some(End::Stopped));
    assert!(!reader.is_torn());
}

#[test]
fn a_torn_end_is_cut_wherever_it_tore() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.record");
    written(&path);
    let whole = fs::read(&path).unwrap();
    let all = read(&path).unwrap().0;
    let torn = folder.path().join("torn.record");
    let mut lengths = std::collections::BTreeSet::new();
    for length in 0..whole.len() {
        fs::write(&torn, &whole[..length]).unwrap();
        match read(&torn) {
            Ok((events, _)) => {
                assert_eq!(events, all[..events.len()]);
                lengths.insert(events.len());
            }
            // Not even the header is there.
            Err(error) => {
                assert!(lengths.is_empty(), "{length}: {error}");
                assert!(["record-foreign", "record-damaged"].contains(&error.code()), "{error}");
            }
        }
        // A power cut may leave the length and lose the content.
        let mut zeros = whole[..length].to_vec();
        zeros.resize(whole.len(), 0);
        fs::write(&torn, &zeros).unwrap();
        if let Ok((events, _)) = read(&torn) {
            assert_eq!(events, all[..events.len()]);
        }
    }
    assert_eq!(lengths.into_iter().collect::<Vec<_>>(), [0, 5, 10, 15, 20]);
}

#[test]
fn no_changed_byte_is_taken_for_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.record");
    written(&path);
    let whole = fs::read(&path).unwrap();
    let all = read(&path).unwrap().0;
    let mut errors = 0;
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x41;
        fs::write(&path, &changed).unwrap();
        match read(&path) {
            // The last frame may be left out as torn.
            Ok((events, _)) => assert_eq!(events, all[..events.len()], "byte {at}"),
            Err(error) => {
                errors += 1;
                assert!(error.to_string().contains("a.record"), "{error}");
            }
        }
    }
    assert!(errors > whole.len() / 2, "{errors} of {}", whole.len());
}

#[test]
fn another_format_or_file_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.record");
    written(&path);
    let mut newer = fs::read(&path).unwrap();
    newer[8] = 9;
    fs::write(&path, &newer).unwrap();
    let error = Reader::open(&path).unwrap_err();
    assert_eq!(error.code(), "record-newer");
    assert!(error.to_string().contains("format 9"), "{error}");
    fs::write(&path, "a text about something else").unwrap();
    assert_eq!(Reader::open(&path).unwrap_err().code(), "record-foreign");
    assert_eq!(Reader::open(&folder.path().join("b")).unwrap_err().code(), "record-missing");
}

#[test]
fn a_reader_may_begin_at_the_last_whole_state_before_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.record");
    let mut writer = Writer::create(&path, &header()).unwrap();
    for i in 0..6_u64 {
        let line = if i % 2 == 0 {
            Line { at: i * 1000, what: What::State(json!({ "i": i })) }
        } else {
            event(i * 1000, "{}")
        };
        writer.add(&line).unwrap();
        writer.flush().unwrap();
    }
    writer.finish().unwrap();
    let reader = Reader::open(&path).unwrap();
    let frames: Vec<_> = [0, 1999, 2000, 4500, 99_000].map(|at| reader.frame_before(at)).into();
    assert_eq!(frames, [0, 0, 2, 4, 4]);
}

/// The kernel's own full disk.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_and_nothing_else() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let error = Writer::over(full, &header()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
}

#[test]
fn a_folder_that_cannot_be_made_stops_the_record_and_not_the_teller() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    fs::write(&state, "in the way").unwrap();
    let clock = Clock::system();
    let mut recording = Recording::start(Shelf::of(&state), 1 << 20, &clock).unwrap();
    for _ in 0..5_000 {
        recording.tell(Told::Event(clock.unix(), "{}".into()));
    }
    recording.finish(End::Stopped);
    assert_eq!(fs::read_to_string(&state).unwrap(), "in the way");
}

#[test]
fn records_stay_within_their_room_and_the_newest_stays() {
    let folder = tempfile::tempdir().unwrap();
    let shelf = Shelf::of(folder.path());
    let keep = Recording::LEAST;
    let clock = Clock::system();
    let mut entropy = Entropy::seeded(1, "record");
    let mut most = 0;
    for _run in 0..2 {
        let mut recording = Recording::start(shelf.clone(), keep, &clock).unwrap();
        recording.tell(Told::State(clock.unix(), json!({"n": 0})));
        for i in 0..3_000 {
            // Hardly compressible, so that the room is used up soon.
            let mut noise = [0; 300];
            entropy.fill(&mut noise);
            let text = format!(r#"{{"i":{i},"noise":"{}"}}"#, hex::encode(noise));
            while !recording.tell(Told::Event(clock.unix(), text.clone())) {
                clock.block(Duration::from_millis(1));
            }
            if i % 100 == 0 {
                most = most.max(shelf.list().iter().map(|record| record.bytes).sum());
            }
        }
        recording.finish(End::Stopped);
    }
    let records = shelf.list();
    let all: u64 = records.iter().map(|record| record.bytes).sum();
    assert!(most.max(all) <= keep, "{most} and {all} of {keep}");
    assert!(all > keep / 2 && records.len() > 4, "{all} in {} files", records.len());
    // Every part plays by itself, and the last one has the end.
    for record in &records {
        let (events, state) = read(&record.path).unwrap();
        assert!(!events.is_empty());
        assert_eq!(state, json!({"n": 0}));
    }
    let last = records.last().unwrap();
    assert!(read(&last.path).unwrap().0.last().unwrap().contains(r#""i":2999"#));
    assert_eq!(Reader::open(&last.path).unwrap().end().unwrap(), Some(End::Stopped));
    let before = Reader::open(&records[records.len() - 2].path).unwrap().end().unwrap();
    assert_eq!(before, Some(End::Continued));
}

#[test]
fn a_flood_is_counted_and_never_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let shelf = Shelf::of(folder.path());
    let clock = Clock::system();
    let mut recording = Recording::start(shelf.clone(), 64 << 20, &clock).unwrap();
    let told = 200_000_usize;
    let taken = (0..told)
        .filter(|i| recording.tell(Told::Event(clock.unix(), format!(r#"{{"i":{i}}}"#))))
        .count();
    let missed = recording.take_missed();
    assert_eq!(taken as u64 + missed, told as u64);
    recording.finish(End::Stopped);
    let (events, _) = read(&shelf.list()[0].path).unwrap();
    assert_eq!(events.len(), taken);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-c/~]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("[a-c/~]{0,3}", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn the_steps_lead_from_any_state_to_any_other(old in any_json(), new in any_json()) {
        let mut state = json!({ "inside": old });
        for step in changes("/inside", &old, &new) {
            let text = serde_json::to_string(&step).unwrap();
            prop_assert!(apply(&mut state, serde_json::from_str(&text).unwrap()).is_ok());
        }
        prop_assert_eq!(&state["inside"], &new);
    }

    #[test]
    fn a_step_never_breaks_what_it_does_not_fit(mut state in any_json(), step in any_json()) {
        if let Ok(step) = serde_json::from_value::<Change>(step) {
            // Fits or not: it ends.
            let _ = apply(&mut state, step);
        }
    }
}

//! A journal reads back as what was written, up to where it is whole.

use std::fs;

use half::bf16;

use super::*;

fn head() -> Head {
    let clock = Clock::system();
    Head {
        mark: Mark::new(&clock),
        follows: None,
        hotkey: Hotkey::from_public_key(&[7; 32]),
        run: "r".into(),
        stage: StageIndex(1),
        epoch: Epoch(3),
        ground: "here".to_owned(),
    }
}

fn done() -> BackwardDone {
    BackwardDone { input_gradient: vec![bf16::from_f32(0.5); 3], loss: Some(1.25) }
}

async fn backward(journal: &mut Journal, id: &str) -> Record {
    let input = Input::Tokens(vec![1, 70_000, 3]);
    let gradient = Gradient::Activation(vec![bf16::from_f32(-2.0), bf16::from_f32(0.1)].into());
    let (activation, source) = (ActivationId::from(id), Some(Hotkey::from_public_key(&[9; 32])));
    let (shared, given) = (Arc::new(input.clone()), Arc::new(gradient.clone()));
    journal.work(&activation, source.as_ref(), &shared, &given).await.unwrap();
    journal.done(done(), Duration::from_millis(5)).await.unwrap();
    Record::Backward { activation, source, input, gradient, outcome: outcome(&done()) }
}

fn all(path: &Path) -> (Vec<Record>, Read) {
    let mut reader = JournalReader::open(path, 1 << 20).unwrap();
    let mut records = Vec::new();
    while let Some(record) = reader.record().unwrap() {
        records.push(record);
    }
    (records, reader.finish())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_is_read_and_gone_on_with_after_a_torn_end() {
    let folder = tempfile::tempdir().unwrap();
    let (path, head, clock) = (folder.path().join("j"), head(), Clock::system());
    let mut journal = Journal::begin(&path, &head, &clock).unwrap();
    let mut written = vec![backward(&mut journal, "a\nb").await];
    for change in [
        Change::Step { lr_bits: 0.1_f64.to_bits(), back: true },
        Change::Discard,
        Change::RollBack,
        Change::End,
        Change::Resumed,
        Change::ResumedElsewhere,
    ] {
        journal.change(change).await.unwrap();
        written.push(Record::Change(change));
    }
    written.push(backward(&mut journal, "c").await);
    journal.sync().await.unwrap();
    assert_eq!(journal.bytes(), fs::metadata(&path).unwrap().len());
    // One that was being done when the process died.
    let (input, gradient) = (Input::Tokens(vec![1]), Gradient::Targets(vec![2]));
    let (input, gradient) = (Arc::new(input), Arc::new(gradient));
    let whole = journal.bytes();
    journal.work(&"d".into(), None, &input, &gradient).await.unwrap();
    drop(journal);
    let (records, read) = all(&path);
    assert_eq!(records, written);
    assert_eq!((read.length, &read.head), (whole, &head));
    assert_eq!(read.computed, Duration::from_millis(10));
    assert!(read.torn.is_some());
    let mut journal = Journal::go_on(&path, &read, &clock).unwrap();
    written.push(backward(&mut journal, "e").await);
    let (records, read) = all(&path);
    assert_eq!(records, written);
    assert!(read.torn.is_none());
    assert!(Journal::begin(&path, &head, &clock).is_err(), "never over another");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_damage_is_taken_for_work() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("j");
    let mut journal = Journal::begin(&path, &head(), &Clock::system()).unwrap();
    let mut written = Vec::new();
    for id in ["a", "b", "c"] {
        written.push(backward(&mut journal, id).await);
    }
    let good = fs::read(&path).unwrap();
    for place in (0..good.len()).step_by(13) {
        let mut bad = good.clone();
        bad[place] ^= 0x11;
        fs::write(&path, &bad).unwrap();
        if let Ok(mut reader) = JournalReader::open(&path, 1 << 20) {
            let mut count = 0;
            while let Some(record) = reader.record().unwrap() {
                assert_eq!(record, written[count], "byte {place}");
                count += 1;
            }
            assert!(count < 3 && reader.finish().torn.is_some(), "byte {place}");
        }
    }
    // Zeros where the disk had not written yet, and a length that no file could have.
    let mut zeros = good.clone();
    zeros.extend([0; 4096]);
    fs::write(&path, &zeros).unwrap();
    assert_eq!(all(&path).0, written);
    let mut long = good.clone();
    long.extend(u64::MAX.to_le_bytes());
    long.extend([1; 64]);
    fs::write(&path, &long).unwrap();
    assert_eq!(all(&path).0, written);
}

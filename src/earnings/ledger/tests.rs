//! The ledger keeps what it was told, once, and nothing else; files that are not for it stay as they are.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::earnings::exact::Exact;
use crate::earnings::formula::{Account, PayoutTerms, Period};
use crate::earnings::money::{Rao, Unit};
use crate::earnings::published::{self, PaidEpoch, PaidMiner, PublicPay, Terms};
use crate::protocol::RunId;
use crate::protocol::messages::{MinerScore, RunIncentiveAllocation, SubnetScores};

pub(crate) fn scores(of: &[(&str, f64)], burn: f64) -> SubnetScores {
    let run = RunId::from("r");
    let score = |(hotkey, raw): &(&str, f64)| MinerScore {
        uid: None,
        hotkey: (*hotkey).to_owned(),
        coldkey: None,
        run_id: Some(run.clone()),
        raw_score: *raw,
        total_score: *raw * 2.0,
        run_weight: None,
        weight: None,
    };
    SubnetScores {
        miner_scores: of.iter().map(score).collect(),
        runs: vec![RunIncentiveAllocation {
            run_id: run.clone(),
            incentive_weight: 1.0,
            burn_factor: burn,
            active_weight_fraction: 1.0,
        }],
        active_runs: vec![run.clone()],
        provider_pool_metadata: serde_json::Map::new(),
        burn_factor: burn,
    }
}

pub(crate) const TERMS: Terms = Terms {
    emission: Rao(1_000_000_007),
    payout: PayoutTerms { minimum: Rao(400_000_000), fee: Rao(1_000) },
};

/// Epochs of these scores and losses, paid by the formulas and published.
pub(crate) fn public_pay(epochs: &[(&[(&str, f64)], f64)]) -> PublicPay {
    let (mut owed, mut lowest, mut closed) = (BTreeMap::new(), None::<f64>, Vec::new());
    for (number, (of, loss)) in epochs.iter().enumerate() {
        let scores = scores(of, 0.1);
        let period = Period::of(Some(*loss), lowest);
        let (shares, burned) = published::pay(&scores, &TERMS, period, &owed, |_| true).unwrap();
        let miner = |(hotkey, share): (&String, &published::Share)| PaidMiner {
            hotkey: hotkey.clone(),
            stage: Some(1),
            backwards: 4,
            partitions: 2,
            submitted: true,
            benched: false,
            paid_to: Some(format!("coldkey of {hotkey}")),
            earned: share.earned,
            account: share.account,
            payout: share.payout,
        };
        let epoch = PaidEpoch {
            epoch: number as u64 + 1,
            closed_at: 1_800_000_000 + 60 * number as u64,
            loss: Some(*loss),
            lowest_before: lowest,
            period,
            scores,
            burned,
            miners: shares.iter().map(miner).collect(),
        };
        owed = epoch.owed();
        lowest = Some(lowest.map_or(*loss, |lowest| lowest.min(*loss)));
        closed.push(epoch);
    }
    PublicPay {
        version: published::VERSION,
        at: 1_800_000_000,
        since: 1_700_000_000,
        run: "r".to_owned(),
        unit: Unit::Points,
        score: "backwards that were accepted".to_owned(),
        terms: TERMS,
        epochs: closed,
    }
}

pub(crate) fn answer(kind: AnswerKind, body: Vec<u8>, at: u64) -> Answer {
    let whose = BTreeSet::from(["m0".to_owned(), "m1".to_owned()]);
    Answer { at: At(at), network: "practice".to_owned(), kind, whose, body }
}

fn published_answer(epochs: &[(&[(&str, f64)], f64)], at: u64) -> Answer {
    answer(AnswerKind::PublicPay, serde_json::to_vec(&public_pay(epochs)).unwrap(), at)
}

pub(crate) fn work(part: u64) -> Work {
    Work {
        network: "practice".to_owned(),
        hotkey: "m0".to_owned(),
        life: "life".to_owned(),
        part,
        since: At(1_800_000_000_000 + part * 60_000),
        until: At(1_800_000_060_000 + part * 60_000),
        run: Some("r".to_owned()),
        stage: Some(1),
        epoch: Some(1),
        forwards: 5,
        backwards: 4,
        partitions: 2,
        uploads: 1,
        uploads_missed: 0,
        weights: Submitted::InTime,
        merges: 1,
        merges_missed: 0,
        tokens: 4096,
        spent: BTreeMap::from([("backward".to_owned(), 50_000), ("pause".to_owned(), 10_000)]),
        energy: Energy::Measured { millijoules: Millijoules(6_000_000), by: "NVML".to_owned() },
        validated: None,
        failed: Some(0),
        payout_address: Some("coldkey".to_owned()),
        lost: vec![Lost { backwards: 1, to: "the epoch ended".to_owned() }],
    }
}

fn reading() -> Reading {
    let (network, what) = ("mainnet".to_owned(), "alpha price".to_owned());
    Reading { at: At(5), network, what, body: "{\"block\":7}".to_owned() }
}

fn payment(name: &str, reading: RowId) -> Payment {
    Payment {
        at: At(6),
        network: "mainnet".to_owned(),
        name: name.to_owned(),
        hotkey: None,
        address: Some("coldkey".to_owned()),
        gross: Rao(500),
        fee: None,
        net: Rao(500),
        unit: Unit::Alpha,
        by: PaidBy::Stake(reading),
    }
}

fn price() -> Price {
    let (currency, source) = ("eur".to_owned(), "a source".to_owned());
    Price { at: At(9), of: Unit::Tao, currency, price: "312.45".parse().unwrap(), source }
}

async fn open(folder: &Path) -> Ledger {
    Ledger::open(&folder.join(FILE_NAME), At(1)).await.unwrap().0
}

/// One row of everything.
async fn fill(ledger: &mut Ledger) {
    let epochs: [(&[(&str, f64)], f64); 2] =
        [(&[("m0", 3.0), ("m1", 1.0)], 3.0), (&[("m0", 3.0), ("m9", 1.0)], 4.0)];
    ledger.record_answer(&published_answer(&epochs, 1)).await.unwrap();
    let all = serde_json::to_vec(&scores(&[("m0", 3.0), ("m9", 5.0)], 0.2)).unwrap();
    ledger.record_answer(&answer(AnswerKind::SubnetScores, all, 2)).await.unwrap();
    let runs = r#"[{"run_id":"r","is_default":true,"num_miners":9,"whitelisted":false,
        "is_miner_pool":true,"burn_factor":0.25,"incentive_perc":0.5,"authorized":true,
        "max_miners":50}]"#;
    let runs = answer(AnswerKind::RunInfo, runs.into(), 3);
    assert_eq!(ledger.record_answer(&runs).await.unwrap().trouble, None);
    ledger.record_work(&work(0)).await.unwrap();
    let seen = ledger.record_reading(&reading()).await.unwrap();
    ledger.record_payment(&payment("stake at block 7", seen)).await.unwrap();
    ledger.record_price(&price()).await.unwrap();
    ledger.note(At(1), "test", "filled").await.unwrap();
}

#[tokio::test]
async fn what_is_told_twice_is_there_once_and_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = open(folder.path()).await;
    fill(&mut ledger).await;
    let first = ledger.read().rows(Span::ALL).await.unwrap();
    fill(&mut ledger).await;
    drop(ledger);
    // Beside nobody, and beside a writer.
    let mut reader = Reader::open(&folder.path().join(FILE_NAME)).await.unwrap();
    assert_eq!(reader.rows(Span::ALL).await.unwrap(), first);
    let mut writer = open(folder.path()).await;
    assert_eq!(writer.record_work(&work(1)).await.unwrap(), News::Added);
    let rows = reader.rows(Span::ALL).await.unwrap();
    assert_eq!(rows.work, [work(0), work(1)]);

    assert_eq!((rows.answers.len(), rows.standings.len(), rows.runs.len()), (3, 1, 1));
    assert_eq!((rows.prices, rows.readings), (vec![price()], vec![reading()]));
    // 0.9 x 3/4 of the emission, then 0.9 x 3/4 again in a period that is frozen.
    let epochs: Vec<_> = rows.epochs.iter().filter(|row| row.hotkey == "m0").collect();
    assert_eq!(epochs.len(), 2);
    assert_eq!(epochs[0].entitlement, Rao(675_000_004));
    assert_eq!((epochs[0].period, epochs[1].period), (Period::Green, Period::Frozen));
    let waits = Account { pending: Rao(0), frozen: Rao(675_000_004) };
    assert_eq!(epochs[1].account, waits);
    assert_eq!(epochs[0].walk.multiplier, Some(Exact::from(2)));
    let paid: Vec<_> = rows.payouts.iter().map(|row| (row.name.as_str(), row.net)).collect();
    assert_eq!(paid, [("stake at block 7", Rao(500)), ("r@1700000000/1/m0", Rao(674_999_004))]);
    // Nothing of a stranger.
    assert!(rows.epochs.iter().all(|row| row.hotkey != "m9"));
}

#[tokio::test]
async fn a_row_can_be_neither_changed_nor_removed() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = open(folder.path()).await;
    fill(&mut ledger).await;
    let before = ledger.read().rows(Span::ALL).await.unwrap();
    for table in schema::NAMES {
        for deed in [format!("UPDATE {table} SET id = id"), format!("DELETE FROM {table}")] {
            let done = sqlx::query(AssertSqlSafe(deed.clone()))
                .execute(&mut ledger.read().connection)
                .await;
            let error = done.expect_err(&deed).to_string();
            assert!(error.contains("only ever added"), "{deed}: {error}");
        }
    }
    assert_eq!(ledger.read().rows(Span::ALL).await.unwrap(), before);
}

/// All files of a folder with their content.
fn content(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[tokio::test]
async fn a_newer_ledger_and_another_programs_file_are_refused_and_not_touched() {
    let (newer, foreign) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fill(&mut open(newer.path()).await).await;
    let path = newer.path().join(FILE_NAME);
    let mut bytes = fs::read(&path).unwrap();
    bytes[60..64].copy_from_slice(&(VERSION + 1).to_be_bytes());
    fs::write(&path, bytes).unwrap();
    let other = foreign.path().join(FILE_NAME);
    let options = SqliteConnectOptions::new().filename(&other).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    sqlx::query("CREATE TABLE photos (id)").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();

    for (folder, code) in [(&newer, "ledger-newer"), (&foreign, "ledger-foreign")] {
        let (path, before) = (folder.path().join(FILE_NAME), content(folder.path()));
        let refused = Ledger::open(&path, At(1)).await.expect_err("writing");
        assert_eq!(refused.code(), code);
        let refused = Reader::open(&path).await.expect_err("reading");
        assert_eq!(refused.code(), code, "{refused}");
        assert_eq!(content(folder.path()), before, "{code}: touched");
    }
}

#[tokio::test]
async fn a_damaged_file_is_kept_aside_and_a_new_one_begun() {
    let whole = tempfile::tempdir().unwrap();
    let mut ledger = open(whole.path()).await;
    for part in 0..200 {
        ledger.record_work(&work(part)).await.unwrap();
    }
    // What is in the log is taken over into the file.
    let taken = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)");
    taken.execute(&mut ledger.read().connection).await.unwrap();
    let path = whole.path().join(FILE_NAME);
    let bytes = fs::read(&path).unwrap();
    assert!(bytes.len() > 40_000, "{}", bytes.len());
    let mut torn = bytes.clone();
    torn[8192..20_000].fill(0xAB);
    for damaged in [b"not a ledger".to_vec(), Vec::new(), bytes[..20_000].to_vec(), torn] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        fs::write(&path, &damaged).unwrap();
        let (mut ledger, opened) = Ledger::open(&path, At(1_800_000_000_000)).await.unwrap();
        let Opened::PutAside(kept) = opened else { panic!("{opened:?}") };
        assert_eq!(fs::read(&kept).unwrap(), damaged, "kept as it was");
        assert!(kept.to_string_lossy().ends_with("ledger.sqlite.damaged-1800000000"), "{kept:?}");
        assert_eq!(ledger.read().rows(Span::ALL).await.unwrap(), Rows::default());
        ledger.record_work(&work(0)).await.unwrap();
    }
}

#[tokio::test]
async fn whoever_reads_is_told_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE_NAME);
    assert_eq!(Reader::open(&path).await.expect_err("none").code(), "ledger-missing");
    fs::write(&path, b"no ledger").unwrap();
    assert_eq!(Reader::open(&path).await.expect_err("damaged").code(), "ledger-damaged");
    assert_eq!(fs::read(&path).unwrap(), b"no ledger");
    let (ledger, opened) =
        Ledger::open(&folder.path().join("deep/in/l.sqlite"), At(1)).await.unwrap();
    assert_eq!(opened, Opened::Begun);
    drop(ledger);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(folder.path().join("deep/in/l.sqlite")).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
    }
}

#[tokio::test]
async fn answers_that_make_no_sense_are_kept_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = open(folder.path()).await;
    let cases: [(AnswerKind, &str, &str); 5] = [
        (AnswerKind::SubnetScores, "<html>busy</html>", "pay-unreadable"),
        // A miner whose score is absent.
        (
            AnswerKind::SubnetScores,
            r#"{"miner_scores":[{"hotkey":"m0","total_score":1}],"runs":[],"burn_factor":0}"#,
            "pay-unreadable",
        ),
        (
            AnswerKind::SubnetScores,
            r#"{"miner_scores":[],"burn_factor":0,
                "runs":[{"run_id":"r","incentive_weight":2,"burn_factor":0}]}"#,
            "scores-not-a-share",
        ),
        (AnswerKind::PublicPay, r#"{"version":2,"other":1}"#, "pay-newer"),
        (AnswerKind::RunInfo, "[{}]", "pay-unreadable"),
    ];
    for (at, (kind, body, code)) in cases.into_iter().enumerate() {
        let told = answer(kind, body.into(), at as u64);
        let recorded = ledger.record_answer(&told).await.unwrap();
        assert_eq!(recorded.trouble.as_ref().map(|t| t.code()), Some(code), "{body}");
        assert_eq!(ledger.read().answer(recorded.id).await.unwrap(), Some(told));
    }
    let rows = ledger.read().rows(Span::ALL).await.unwrap();
    assert_eq!((rows.answers.len(), rows.standings.len(), rows.epochs.len()), (5, 0, 0));
    // A negative score counts as nothing, and is told as it is.
    let negative = serde_json::to_vec(&scores(&[("m0", -2.5), ("m1", 1.0)], 0.0)).unwrap();
    let told = answer(AnswerKind::SubnetScores, negative, 9);
    assert_eq!(ledger.record_answer(&told).await.unwrap().trouble, None);
    let rows = ledger.read().rows(Span::ALL).await.unwrap();
    assert_eq!(rows.standings[0].walk.total, "-5".parse().unwrap());
    assert_eq!(rows.standings[0].walk.weight, Exact::zero());
    assert_eq!(rows.standings[1].walk.share, Exact::one());
}

#[tokio::test]
async fn an_epoch_that_is_published_anew_replaces_the_old_one_and_both_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = open(folder.path()).await;
    let one: [(&[(&str, f64)], f64); 1] = [(&[("m0", 3.0), ("m1", 1.0)], 3.0)];
    let other: [(&[(&str, f64)], f64); 1] = [(&[("m0", 1.0), ("m1", 1.0)], 3.0)];
    // The clock was set back between the two.
    ledger.record_answer(&published_answer(&one, 50_000)).await.unwrap();
    ledger.record_answer(&published_answer(&other, 40_000)).await.unwrap();
    let rows = ledger.read().rows(Span::ALL).await.unwrap();
    let m0: Vec<_> = rows.epochs.iter().filter(|row| row.hotkey == "m0").collect();
    assert_eq!(m0.len(), 1, "counted once");
    assert_eq!(m0[0].entitlement, Rao(450_000_003));
    let revisions = sqlx::query("SELECT COUNT(*) FROM epochs WHERE hotkey = 'm0'");
    let revisions = revisions.fetch_one(&mut ledger.read().connection).await.unwrap();
    assert_eq!(revisions.get::<i64, _>(0), 2);
    assert_eq!(ledger.read().verify().await.unwrap().differences, []);
}

#[tokio::test]
async fn a_row_that_nobody_published_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = open(folder.path()).await;
    fill(&mut ledger).await;
    assert_eq!(ledger.read().verify().await.unwrap().differences, []);
    let forged = sqlx::query(
        "INSERT INTO payouts (at, network, name, gross, fee, net, unit, source, answer)
         VALUES (1, 'practice', 'forged', 5, 0, 5, 'points', 'answer', 1)",
    );
    forged.execute(&mut ledger.read().connection).await.unwrap();
    let verified = ledger.read().verify().await.unwrap();
    assert_eq!(verified.differences.len(), 1, "{verified:?}");
    assert!(verified.differences[0].row.contains("forged"));
}

/// One of the answers that a network could give.
fn any_answer() -> impl Strategy<Value = (AnswerKind, Vec<u8>)> {
    let score = (0usize..4, -2.0f64..9.0);
    let epoch = (prop::collection::vec(score, 0..5), 1.0f64..4.0);
    let epochs = prop::collection::vec(epoch, 0..4).prop_map(|epochs| {
        let names = ["m0", "m1", "m2", "m3"];
        let named: Vec<(Vec<(&str, f64)>, f64)> = epochs
            .into_iter()
            .map(|(of, loss)| (of.into_iter().map(|(n, s)| (names[n], s)).collect(), loss))
            .collect();
        let borrowed: Vec<_> = named.iter().map(|(of, loss)| (of.as_slice(), *loss)).collect();
        (AnswerKind::PublicPay, serde_json::to_vec(&public_pay(&borrowed)).unwrap())
    });
    let all = (-3.0f64..9.0, 0.0f64..=1.0).prop_map(|(raw, burn)| {
        let scores = scores(&[("m0", raw), ("m1", 1.0), ("m7", 0.1)], burn);
        (AnswerKind::SubnetScores, serde_json::to_vec(&scores).unwrap())
    });
    let broken = any::<[u8; 5]>().prop_map(|bytes| (AnswerKind::RunInfo, bytes.to_vec()));
    prop_oneof![4 => epochs, 2 => all, 1 => broken]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn all_answers_played_again_make_the_same_ledger(
        answers in prop::collection::vec((any_answer(), 0u64..1_000, 1usize..3), 0..8),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut once = Ledger::over(Reader::in_memory().await.unwrap());
            let mut often = Ledger::over(Reader::in_memory().await.unwrap());
            for ((kind, body), at, times) in answers {
                let told = answer(kind, body, at);
                once.record_answer(&told).await.unwrap();
                for _ in 0..times {
                    often.record_answer(&told).await.unwrap();
                }
            }
            let verified = once.read().verify().await.unwrap();
            assert_eq!(verified.differences, []);
            let (once, often) =
                (once.read().rows(Span::ALL).await, often.read().rows(Span::ALL).await);
            assert_eq!(once.unwrap(), often.unwrap());
        });
    }
}

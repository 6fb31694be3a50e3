//! `kill -9` at random points of a practice run.

use std::path::Path;
use std::time::Duration;

use hearth::clock::Entropy;

use crate::process::{Running, copy};
use crate::proof::{Verdict, judge};

/// What one kill did.
struct Row {
    /// After the start of the process.
    at: Duration,
    /// What it left.
    left: Verdict,
    /// From the start of the next process to its first loss.
    back: Duration,
}

fn seed() -> u64 {
    let told = std::env::var("HEARTH_SEED").ok().and_then(|seed| seed.parse().ok());
    told.unwrap_or_else(|| {
        let mut bytes = [0; 8];
        Entropy::system().fill(&mut bytes);
        u64::from_le_bytes(bytes) >> 32
    })
}

/// Kills a practice swarm so many times, each time after at most `most`; gives what happened.
async fn kill_again_and_again(home: &Path, kills: usize, most: Duration, seed: u64) -> Vec<Row> {
    let mut dice = Entropy::seeded(seed, "kills");
    let practice = home.join("data/practice");
    let copies = tempfile::tempdir().unwrap();
    let mut rows: Vec<Row> = Vec::new();
    let mut killed: Option<(Duration, Verdict)> = None;
    for kill in 0..=kills {
        let mut running = Running::practice(home);
        let (_, back) = running.until("a loss", |event| event["event"] == "loss");
        if let Some((at, left)) = killed.take() {
            rows.push(Row { at, left, back });
            print_row(rows.len(), rows.last().unwrap());
        }
        if kill == kills {
            // In the end it still is a swarm that trains and merges, and ends in order.
            running.until("a merge", |event| event["event"] == "merge");
            running.until("a loss", |event| event["event"] == "loss");
            assert_eq!(running.terminate(), 0);
            break;
        }
        // Some right after coming back, in the same epoch; some at any time; some among backwards.
        let losses = match dice.below(3) {
            0 => 1 + dice.below(6),
            1 => {
                std::thread::sleep(most.mul_f64(dice.unit()));
                0
            }
            _ => {
                std::thread::sleep(most.mul_f64(dice.unit()));
                1 + dice.below(12)
            }
        };
        while running.events.try_recv().is_ok() {}
        for _ in 0..losses {
            running.until("a loss", |event| event["event"] == "loss");
        }
        let at = running.started.elapsed();
        running.kill();
        let apart = copies.path().join(format!("kill{kill}"));
        copy(&practice, &apart);
        killed = Some((at, judge(&apart).await));
        std::fs::remove_dir_all(apart).unwrap();
        if kill % 5 == 4 {
            // Some die before they have come back at all.
            let mut early = Running::practice(home);
            std::thread::sleep(Duration::from_millis(900).mul_f64(dice.unit()));
            early.kill();
        }
    }
    rows
}

fn print_head() {
    println!(
        "{:>4} {:>8}  {:<34} {:>8} {:>9} {:>6} {:>7} {:>8} {:>8}  equal",
        "kill",
        "after s",
        "state at the kill",
        "counted",
        "back in s",
        "lost",
        "redone",
        "resumed",
        "moments"
    );
}

fn print_row(number: usize, row: &Row) {
    let Row { at, left, back } = row;
    let equal = if left.wrong.is_empty() { "yes".to_owned() } else { left.wrong.join("; ") };
    println!(
        "{number:>4} {:>8.2}  {:<34} {:>8} {:>9.2} {:>6} {:>7} {:>8} {:>8}  {equal}",
        at.as_secs_f64(),
        left.state,
        left.counted,
        back.as_secs_f64(),
        left.lost,
        left.again,
        left.after_resuming,
        left.moments,
    );
}

async fn all_is_well(kills: usize, most: Duration) {
    let seed = seed();
    println!("seed {seed}: HEARTH_SEED={seed} kills at the same points");
    let home = tempfile::tempdir().unwrap();
    print_head();
    let rows = kill_again_and_again(home.path(), kills, most, seed).await;
    assert_eq!(rows.len(), kills);
    for (number, row) in rows.iter().enumerate() {
        assert!(row.left.wrong.is_empty(), "kill {}: {:?}", number + 1, row.left.wrong);
        assert_eq!(row.left.lost, 0, "kill {}: counted work is lost", number + 1);
    }
    let sum = |of: fn(&Verdict) -> u64| rows.iter().map(|row| of(&row.left)).sum::<u64>();
    println!(
        "{kills} kills, {kills} recoveries; {} backwards counted, {} lost, {} done again to the bit \
         ({} of them noted after a resume), {} vectors of moments equal",
        sum(|v| v.counted),
        sum(|v| v.lost),
        sum(|v| v.again),
        sum(|v| v.after_resuming),
        sum(|v| v.moments),
    );
    assert!(sum(|v| v.again) > 0, "no kill came while there was anything to do again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swarm_that_is_killed_at_random_points_goes_on_where_it_was() {
    all_is_well(4, Duration::from_secs(3)).await;
}

/// `scripts/crash-loop.sh`: 50 kills, or as many as HEARTH_KILLS says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes: scripts/crash-loop.sh"]
async fn the_long_form() {
    let told = std::env::var("HEARTH_KILLS").ok().and_then(|kills| kills.parse().ok());
    all_is_well(told.unwrap_or(50), Duration::from_secs(5)).await;
}

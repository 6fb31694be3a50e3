//! What the screen costs: bytes for the terminal, time of the processor.

use std::time::Duration;

use super::pty::Terminal;
use super::{demo, leave, record};

/// While nothing changes, not a byte is written; a key that changes something writes only that.
#[test]
fn nothing_is_written_while_nothing_changes() {
    let home = tempfile::tempdir().unwrap();
    let record = record();
    let arguments = ["replay", record.to_str().unwrap(), "--from", "30s"];
    let variables = [("HEARTH_HOME", home.path().to_str().unwrap())];
    let mut terminal = Terminal::start(40, 120, &arguments, &variables);
    terminal.wait_for("the replay", |text| text.contains("1x  0:"));
    terminal.press(" ");
    terminal.wait_for("a replay that stands still", |text| text.contains(" held  "));
    for screen in 1..=8 {
        terminal.press(&screen.to_string());
        terminal.wait_for("the screen", |text| text.contains(&format!("[{screen} ")));
        terminal.written();
        std::thread::sleep(Duration::from_millis(700));
        let written = terminal.written();
        assert!(written.is_empty(), "screen {screen}: {:?}", String::from_utf8_lossy(&written));
    }
    terminal.press("q");
    assert_eq!(terminal.ended(), 0, "{}", terminal.text());
}

/// What the program writes for one picture, from mark to mark.
fn frames(written: &[u8]) -> Vec<usize> {
    let mark = b"\x1b[?2026h";
    let starts = written.windows(mark.len()).enumerate().filter(|(_, window)| window == mark);
    let mut places: Vec<usize> = starts.map(|(place, _)| place).collect();
    places.push(written.len());
    places.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// A living miner that is paused, in a swarm of its own: once a second the clocks go on, and only their
/// figures are written.
#[test]
fn a_paused_miner_writes_its_clocks_and_nothing_else() {
    const SECONDS: u64 = 3;
    let home = tempfile::tempdir().unwrap();
    let alone = ["--preset", "nano", "--stages", "1", "--miners-per-stage", "1", "--minutes", "20"];
    let mut terminal = demo(home.path(), 40, 120, &alone);
    terminal.wait_for("the loss", |text| text.contains("->"));
    terminal.press("p");
    terminal.wait_for("what a pause costs", |text| text.contains("Nothing is lost"));
    terminal.press("p");
    terminal.wait_for("the pause", |text| text.contains("PAUSED"));
    for (screen, mark) in [("2", "[2 Earnings]"), ("7", "[7 Log]"), ("8", "[8 Swarm]")] {
        terminal.press(screen);
        terminal.wait_for("the screen", |text| text.contains(mark));
        // What was in hand is finished and handed in first, which is to be seen.
        let mut windows = (0..15).map(|_| {
            terminal.written();
            std::thread::sleep(Duration::from_secs(SECONDS));
            let written = terminal.written();
            (frames(&written), String::from_utf8_lossy(&written).into_owned())
        });
        // A tick may fall on either end of the window.
        let ticks = |frames: &[usize]| frames.len() as u64 <= SECONDS + 1;
        let quiet = |(frames, _): &(Vec<usize>, String)| {
            ticks(frames) && frames.iter().all(|bytes| *bytes <= 160)
        };
        let seen: Vec<_> = windows.by_ref().take_while(|window| !quiet(window)).collect();
        assert!(seen.len() < 15, "{mark}: {:?}", seen.last());
        println!("{mark}: quiet after {} windows", seen.len());
    }
    leave(&mut terminal);
    terminal.ended();
}

/// How much processor time a program's thread has had, in seconds.
#[cfg(target_os = "linux")]
fn time_of_thread(process: u32, name: &str) -> f64 {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let stat = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("stat")).ok();
    let stats = tasks.filter_map(|task| stat(task.ok()?));
    let of_it = stats.filter(|stat| stat.contains(&format!("({name})")));
    let ticks = |stat: String| {
        let fields: Vec<u64> = stat
            .rsplit(") ")
            .next()
            .unwrap()
            .split(' ')
            .skip(11)
            .take(2)
            .map(|n| n.parse().unwrap())
            .collect();
        fields.iter().sum::<u64>() as f64
    };
    of_it.map(ticks).sum::<f64>() / 100.0
}

/// A measurement, for a quiet machine: how soon a key is answered while a practice swarm takes all of
/// the processor, and what the screen takes of it. Kept in benches/results/input.md.
#[test]
#[ignore = "a measurement, not a check"]
#[cfg(target_os = "linux")]
fn keys_are_answered_soon_while_the_device_is_saturated() {
    let home = tempfile::tempdir().unwrap();
    let mut terminal = demo(home.path(), 50, 200, &["--minutes", "20"]);
    terminal.wait_for("the loss", |text| text.contains("->"));
    let (before, began) = (time_of_thread(terminal.id(), "screen"), std::time::Instant::now());
    std::thread::sleep(Duration::from_secs(20));
    let spent = time_of_thread(terminal.id(), "screen") - before;
    let share = 100.0 * spent / began.elapsed().as_secs_f64();
    let mut times: Vec<Duration> = (0..400_u64)
        .map(|n| {
            std::thread::sleep(Duration::from_millis(20 + n * 7 % 61));
            let screen = 1 + n % 8;
            let mark = format!("[{screen} ");
            terminal.answer(&screen.to_string(), |shown| {
                shown.rows(0, 200).nth(1).is_some_and(|row| row.contains(&mark))
            })
        })
        .collect();
    times.sort();
    let at = |percent: usize| 1e3 * times[times.len() * percent / 100].as_secs_f64();
    println!(
        "a key is answered within {:.1} ms (p50), {:.1} ms (p95), {:.1} ms (p99)",
        at(50),
        at(95),
        at(99)
    );
    println!("the screen takes {share:.2} % of one core");
    assert!(at(95) < 50.0);
    leave(&mut terminal);
    terminal.ended();
}

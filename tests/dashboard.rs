//! The dashboard as a person meets it: the real binary in a real terminal.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/pty.rs"]
mod pty;

use std::path::Path;
use std::time::Duration;

use pty::Terminal;

fn demo(home: &Path, rows: u16, cols: u16, flags: &[&str]) -> Terminal {
    let mut arguments = vec!["demo", "--backend", "cpu"];
    arguments.extend(flags);
    let variables = [("HEARTH_HOME", home.to_str().unwrap()), ("COLORTERM", "truecolor")];
    Terminal::start(rows, cols, &arguments, &variables)
}

/// Left as it was found: no alternate screen, the cursor visible, the mouse the terminal's own.
fn is_sane(terminal: &Terminal) -> bool {
    let free = vt100::MouseProtocolMode::None;
    terminal.look(|screen| {
        !screen.alternate_screen() && !screen.hide_cursor() && screen.mouse_protocol_mode() == free
    })
}

#[test]
fn keys_work_and_the_terminal_is_given_back() {
    for (rows, cols) in [(24, 80), (40, 120)] {
        let home = tempfile::tempdir().unwrap();
        let flags = ["--preset", "nano", "--minutes", "20"];
        let mut terminal = demo(home.path(), rows, cols, &flags);
        terminal.wait_for("the loss", |text| text.contains("Loss") && text.contains("->"));
        terminal.wait_for("the stages", |text| text.contains("stage 2") && text.contains("(you)"));
        terminal.press("?");
        terminal.wait_for("the help", |text| text.contains("Pause your miner"));
        terminal.press("?");
        terminal.wait_for("no help", |text| !text.contains("Pause your miner"));
        terminal.press("p");
        terminal.wait_for("what a pause costs", |text| text.contains("Nothing is lost"));
        terminal.press("\u{1b}");
        terminal.wait_for("no question", |text| !text.contains("Nothing is lost"));
        terminal.press("p");
        terminal.wait_for("the question again", |text| text.contains("Nothing is lost"));
        terminal.press("p");
        terminal.wait_for("the pause", |text| text.contains("PAUSED"));
        terminal.press("r");
        terminal.wait_for("work again", |text| !text.contains("PAUSED"));
        terminal.resize(20, 60);
        terminal.wait_for("a word on the size", |text| text.contains("80 x 24"));
        terminal.resize(rows, cols);
        terminal.wait_for("the screen again", |text| text.contains("Stages and their miners"));
        leave(&mut terminal);
        assert_eq!(terminal.ended(), 0, "{}", terminal.text());
        assert!(is_sane(&terminal), "{}", terminal.text());
    }
}

/// Leaves a run that goes on: that is asked.
fn leave(terminal: &mut Terminal) {
    terminal.press("q");
    terminal.wait_for("what leaving means", |text| {
        text.contains("Leave?") && text.contains("ends when you leave")
    });
    terminal.press("q");
}

/// What each screen shows that no other does, in their order.
const MARKS: [&str; 8] = [
    "Speed and progress",
    "Work that counts",
    "Your stage",
    "held back by",
    "Miners that yours talks to",
    "decides now",
    "following",
    "practice swarm's books",
];

#[test]
fn all_screens_of_a_living_swarm_can_be_walked_through() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(home.path().join("config")).unwrap();
    // Another key for one thing: the old one then does nothing.
    std::fs::write(home.path().join("config/config.toml"), "[keys]\npause = \"z\"\n").unwrap();
    let flags = ["--preset", "nano", "--minutes", "20"];
    let mut terminal = demo(home.path(), 24, 80, &flags);
    terminal.wait_for("the loss", |text| text.contains("->"));
    for (place, mark) in MARKS.iter().enumerate() {
        terminal.press(&(place + 1).to_string());
        terminal.wait_for(mark, |text| text.contains(mark) && text.contains("done by: "));
    }
    // The sensors of this machine are read in a demo too.
    terminal.press("6");
    terminal.wait_for("readings", |text| {
        text.contains("device memory") && text.contains("in use of") && !text.contains("not read")
    });
    terminal.press("8");
    // The model writes while the swarm trains.
    terminal.press("g");
    terminal.wait_for("a sentence", |text| {
        text.contains("The swarm's model writes") && text.contains("Number 1, from ")
    });
    terminal.press("\u{1b}");
    terminal.wait_for("the books again", |text| !text.contains("Number 1, from "));
    // Round by the tab key, and back.
    terminal.press("\t");
    terminal.wait_for("the first again", |text| text.contains("[1 Now]"));
    terminal.press("\u{1b}[Z");
    terminal.wait_for("the last again", |text| text.contains("[8 Swarm]"));

    terminal.press("/");
    terminal.wait_for("the search", |text| text.contains("[7 Log") && text.contains("search: _"));
    terminal.press("no such q1 word");
    terminal.wait_for("the word", |text| text.contains("search: no such q1 word_"));
    terminal.wait_for("nothing", |text| {
        text.contains("No line has that") || text.contains("Nothing to report")
    });
    terminal.press("\u{7f}\r");
    terminal.wait_for("the search is kept", |text| text.contains("with no such q1 wor"));

    terminal.press("p");
    terminal.press("z");
    terminal.wait_for("what a pause costs", |text| text.contains("Nothing is lost"));
    terminal.press("\u{1b}");
    terminal.wait_for("no question", |text| !text.contains("Nothing is lost"));

    terminal.resize(5, 20);
    terminal.wait_for("a word on the size", |text| text.contains("80 x 24"));
    terminal.resize(24, 80);
    terminal.wait_for("the screen again", |text| text.contains("[7 Log"));
    terminal.press("1");
    terminal.wait_for("the loss again", |text| text.contains("->"));
    leave(&mut terminal);
    assert_eq!(terminal.ended(), 0, "{}", terminal.text());
    assert!(is_sane(&terminal));
}

/// Ctrl-Z gives the terminal to the shell, and `fg` brings the same screen back.
#[test]
#[cfg(unix)]
fn the_screen_can_be_put_aside_and_taken_up_again() {
    let home = tempfile::tempdir().unwrap();
    let variables = [("HEARTH_HOME", home.path().to_str().unwrap()), ("PS1", "shell> ")];
    let mut terminal =
        Terminal::program("bash", 24, 80, &["--norc", "--noprofile", "-i"], &variables);
    terminal.wait_for("the shell", |text| text.contains("shell>"));
    let hearth = env!("CARGO_BIN_EXE_hearth");
    terminal.press(&format!("{hearth} demo --backend cpu --preset nano --minutes 20\r"));
    terminal.wait_for("the loss", |text| text.contains("->") && text.contains("[1 Now]"));
    terminal.press("3");
    terminal.wait_for("another screen", |text| text.contains("[3 Training]"));
    terminal.press("\u{1a}");
    terminal.wait_for("the shell again", |text| {
        text.contains("Stopped") && !text.contains("[3 Training]")
    });
    assert!(is_sane(&terminal), "{}", terminal.text());
    terminal.press("fg\r");
    terminal.wait_for("the same screen", |text| {
        text.contains("[3 Training]") && text.contains("done by: ")
    });
    leave(&mut terminal);
    terminal.wait_for("the shell at the end", |text| {
        !text.contains("[3 Training]") && text.trim_end().ends_with("shell>")
    });
    assert!(is_sane(&terminal));
    terminal.press("exit\r");
    terminal.ended();
}

#[test]
fn a_finished_demo_stays_on_its_summary_until_q() {
    let home = tempfile::tempdir().unwrap();
    let mut terminal = demo(home.path(), 40, 120, &["--preset", "nano", "--epochs", "1"]);
    terminal.wait_for("the summary", |text| text.contains("Finished: q leaves"));
    terminal.wait_for("the sample", |text| text.contains("After training, the model writes"));
    // It still has the weights of the end, and writes another text each time.
    terminal.press("g");
    terminal.wait_for("a sentence", |text| {
        text.contains("Number 1, from the merged weights of epoch 1. Loss ")
    });
    terminal.press("g");
    terminal.wait_for("another", |text| text.contains("Number 2, from"));
    terminal.press("\u{1b}");
    terminal.wait_for("the summary again", |text| text.contains("Finished: q leaves"));
    terminal.press("q");
    assert_eq!(terminal.ended(), 0);
    assert!(is_sane(&terminal));
    assert!(terminal.text().contains("Done in"), "{}", terminal.text());
}

#[test]
fn ctrl_c_stops_in_order() {
    let home = tempfile::tempdir().unwrap();
    let mut terminal = demo(home.path(), 24, 80, &["--preset", "nano", "--minutes", "20"]);
    terminal.wait_for("the loss", |text| text.contains("->"));
    terminal.press("\u{3}");
    assert_eq!(terminal.ended(), 0, "{}", terminal.text());
    assert!(is_sane(&terminal));
}

/// `--plain` through pipes: what is told, and what typed words do. Not one byte steers a terminal.
#[test]
fn lines_tell_the_same_as_the_screens_and_typed_words_are_keys() {
    let home = tempfile::tempdir().unwrap();
    let mut lines = Lines::start(home.path(), &["--preset", "nano", "--minutes", "20"]);
    lines.wait_for("Your miner m0: stage 0");
    lines.wait_for("Next: ");
    lines.wait_for("Loss ");
    lines.type_in("status");
    lines.wait_for("Done by: ");
    lines.type_in("screen network");
    lines.wait_for("held back by:");
    lines.type_in("frobnicate");
    lines.wait_for("is no word");
    lines.type_in("help");
    lines.wait_for("pause, or p: ");
    // A question, a no, the question again, a yes.
    lines.type_in("pause");
    lines.wait_for("Nothing is lost");
    lines.type_in("no");
    lines.wait_for("everything stays as it is");
    lines.wait_for("everything stays as it is");
    lines.type_in("pause");
    lines.wait_for("Yes: pause");
    lines.type_in("yes");
    lines.wait_for("Paused for ");
    lines.type_in("r");
    lines.wait_for("Training for ");
    lines.type_in("quit");
    lines.wait_for("ends when you leave");
    lines.type_in("y");
    let (code, all) = lines.end();
    assert_eq!(code, Some(0), "{all}");
    assert!(!all.contains('\u{1b}') && !all.contains('\u{2588}'), "{all}");
    assert!(all.contains("Done in"), "{all}");
}

/// The practice swarm's miners: one is slowed down, killed, started again; a new one comes and works.
#[test]
fn miners_of_the_practice_swarm_are_slowed_killed_and_started() {
    let home = tempfile::tempdir().unwrap();
    let mut terminal = demo(home.path(), 30, 100, &["--preset", "nano", "--minutes", "20"]);
    terminal.wait_for("the loss", |text| text.contains("->"));
    terminal.press("8");
    terminal.wait_for("the books", |text| text.contains("(4 left)") && text.contains("> 0"));
    // First, while nothing is lost: its work must not wait for anybody's.
    terminal.press("N");
    terminal.wait_for("a new one at work", |text| {
        text.contains("(3 left)")
            && text.lines().any(|line| {
                let cells: Vec<_> = line.split_whitespace().collect();
                let place = cells.iter().position(|cell| *cell == "m6");
                place
                    .and_then(|at| cells.get(at + 2))
                    .is_some_and(|n| n.parse::<u32>().is_ok_and(|n| n > 0))
            })
    });
    // The first that is not your own, then the last, by the arrows; a click chooses too.
    terminal.press("\u{1b}[B\u{1b}[B\u{1b}[B\u{1b}[B\u{1b}[B\u{1b}[B");
    terminal.wait_for("the last", |text| text.contains("m5 in stage 2"));
    let row = terminal.text().lines().position(|line| line.contains(" m1 ")).unwrap();
    terminal.press(&format!("\u{1b}[<0;20;{}M\u{1b}[<0;20;{0}m", row + 1));
    terminal.wait_for("the click", |text| text.contains("m1 in stage"));
    terminal.press("C");
    terminal.wait_for("why not", |text| {
        text.contains("C cheat: off, for") && text.contains("Cheating is off: this swarm")
    });
    terminal.press("L");
    terminal.wait_for("a slow one", |text| text.contains("m1 in stage 1, slowed down"));
    terminal.press("K");
    terminal.wait_for("the question", |text| text.contains("m1 ends at once"));
    terminal.press("\u{1b}");
    terminal.wait_for("a no", |text| !text.contains("m1 ends at once"));
    assert!(terminal.text().contains("slowed down"), "{}", terminal.text());
    terminal.press("Ky");
    terminal.wait_for("a killed one", |text| text.contains("m1 in stage 1, killed"));
    terminal.press("N");
    terminal.wait_for("it is back", |text| text.contains("m1 in stage 1, nothing was done"));
    leave(&mut terminal);
    assert_eq!(terminal.ended(), 0, "{}", terminal.text());
    assert!(is_sane(&terminal));
}

/// A network on a screen, from what it publishes, with no key of its own.
#[test]
fn a_network_is_watched_on_a_screen() {
    let server = Publisher::start();
    server.publish(Some(network("training", 11)));
    let home = tempfile::tempdir().unwrap();
    let variables = [("HEARTH_HOME", home.path().to_str().unwrap())];
    let mut terminal = Terminal::start(24, 80, &["watch", &server.address], &variables);
    terminal.wait_for("the map", |text| {
        text.contains("stage 0 training") && text.contains("11 backwards")
    });
    assert!(terminal.text().contains(&server.address), "{}", terminal.text());
    server.publish(Some(network("weights_uploading", 12)));
    terminal.wait_for("the next phase", |text| {
        text.contains("stage 0 uploading") && text.contains("12 backwards")
    });
    server.publish(None);
    terminal.wait_for("the silence", |text| text.contains("asking again"));
    server.publish(Some(network("training", 13)));
    terminal.wait_for("its voice again", |text| {
        text.contains("13 backwards") && text.contains("q quit")
    });
    terminal.press("q");
    assert_eq!(terminal.ended(), 0, "{}", terminal.text());
    assert!(is_sane(&terminal));
}

fn network(phase: &str, backwards: u64) -> String {
    use hearth::swarm::public::PublicNetwork;
    use hearth::swarm::{MinerView, StageView, SwarmSnapshot};
    let miner = MinerView {
        hotkey: "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY".into(),
        status: "training".into(),
        forwards: 20,
        backwards,
        partitions: 0,
        score: 1.0,
    };
    let stage =
        StageView { stage: 0, phase: phase.into(), epoch: 2, progress: 0.5, miners: vec![miner] };
    let swarm = SwarmSnapshot { stages: vec![stage], ..SwarmSnapshot::default() };
    serde_json::to_string(&PublicNetwork::of(&swarm, 7)).unwrap()
}

/// Answers every request with what is published now, or not at all.
struct Publisher {
    address: String,
    body: std::sync::Arc<std::sync::Mutex<Option<String>>>,
}

impl Publisher {
    fn start() -> Self {
        use std::io::{Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let body = std::sync::Arc::<std::sync::Mutex<Option<String>>>::default();
        let now = std::sync::Arc::clone(&body);
        std::thread::spawn(move || {
            for mut asked in listener.incoming().map_while(Result::ok) {
                let mut request = Vec::new();
                let mut bytes = [0; 1024];
                while !request.ends_with(b"\r\n\r\n") {
                    match asked.read(&mut bytes) {
                        Ok(n @ 1..) => request.extend_from_slice(&bytes[..n]),
                        _ => break,
                    }
                }
                if let Some(body) = now.lock().unwrap().clone() {
                    let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: ";
                    let _ = write!(asked, "{head}{}\r\n\r\n{body}", body.len());
                }
            }
        });
        Self { address, body }
    }

    fn publish(&self, body: Option<String>) {
        *self.body.lock().unwrap() = body;
    }
}

/// A demo in lines, with what it said so far.
struct Lines {
    child: std::process::Child,
    said: std::sync::mpsc::Receiver<String>,
    all: String,
}

impl Lines {
    fn start(home: &Path, flags: &[&str]) -> Self {
        use std::io::BufRead as _;
        use std::process::{Command, Stdio};
        let mut child = Command::new(env!("CARGO_BIN_EXE_hearth"))
            .env("HEARTH_HOME", home)
            .args(["demo", "--backend", "cpu", "--plain"])
            .args(flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = child.stdout.take().unwrap();
        let (line, said) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for told in std::io::BufReader::new(out).lines().map_while(Result::ok) {
                let _ = line.send(told);
            }
        });
        Self { child, said, all: String::new() }
    }

    fn type_in(&mut self, word: &str) {
        use std::io::Write as _;
        writeln!(self.child.stdin.as_mut().unwrap(), "{word}").unwrap();
    }

    /// Waits for a line, from where the last one was.
    #[track_caller]
    fn wait_for(&mut self, part: &str) {
        let limit = std::time::Duration::from_secs(90);
        loop {
            let Ok(line) = self.said.recv_timeout(limit) else {
                panic!("{part:?} was not said:\n{}", self.all)
            };
            self.all.push_str(&line);
            self.all.push('\n');
            if line.contains(part) {
                return;
            }
        }
    }

    fn end(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        while let Ok(line) = self.said.recv() {
            self.all.push_str(&line);
            self.all.push('\n');
        }
        (code, std::mem::take(&mut self.all))
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

/// While nothing changes, not a byte is written; a key that changes something writes only that.
#[test]
fn nothing_is_written_while_nothing_changes() {
    let home = tempfile::tempdir().unwrap();
    let record = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/records/practice.record");
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

/// Cut anywhere, a record shows what was written before, or is refused with a code.
#[test]
fn a_record_cut_anywhere_is_shown_as_far_as_it_goes_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let record = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/records/practice.record");
    let whole = std::fs::read(record).unwrap();
    let mut shown = 0;
    for sixteenth in 0..16 {
        for less in [0, 1, 7] {
            let length = (whole.len() * sixteenth / 16).saturating_sub(less);
            let path = folder.path().join("cut.record");
            std::fs::write(&path, &whole[..length]).unwrap();
            let log = hearth::telemetry::logs::Ring::default();
            match hearth::cli::replay::standing(&path, None, &log) {
                Ok((control, place)) => {
                    assert_eq!(control.first().borrow().name, "m0");
                    assert!(place.at <= place.length);
                    shown += 1;
                }
                Err(failure) => assert!(failure.code.starts_with("record-"), "{failure}"),
            }
        }
    }
    assert!(shown >= 20, "{shown} of 48 could be shown");
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

/// What the reports of crashes say.
fn reports(home: &Path) -> Vec<String> {
    let reports = hearth::telemetry::crash::list(&home.join("state/crashes"));
    reports.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

/// A run with something secret in its surroundings, one part of which breaks.
fn broken(home: &Path, part: &str, arguments: &[&str]) -> Terminal {
    let variables = [
        ("HEARTH_HOME", home.to_str().unwrap()),
        ("HEARTH_BREAK", part),
        ("HEARTH_PASSPHRASE", "sesame-4711"),
    ];
    Terminal::start(24, 80, arguments, &variables)
}

#[test]
fn a_screen_that_breaks_gives_the_terminal_back_and_leaves_a_report() {
    let record = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/records/practice.record");
    let demo = ["demo", "--backend", "cpu", "--preset", "nano", "--minutes", "20"];
    let replay = ["replay", record.to_str().unwrap()];
    for arguments in [&demo[..], &replay[..]] {
        let home = tempfile::tempdir().unwrap();
        let mut terminal = broken(home.path(), "screen", arguments);
        assert_eq!(terminal.ended(), 1, "{}", terminal.text());
        let written = String::from_utf8_lossy(&terminal.written()).into_owned();
        assert!(written.contains("\u{1b}[?1049h") && written.contains("\u{1b}[?25l"), "no screen");
        assert!(is_sane(&terminal), "{}", terminal.text());
        assert!(terminal.look(|screen| !screen.bracketed_paste()), "{}", terminal.text());
        let said = terminal.text().replace('\n', "");
        for words in ["the screen broke", "A report", "state/crashes/crash-", "hearth explain"] {
            let words = words.to_lowercase();
            assert!(said.to_lowercase().contains(&words), "{words:?}: {said}");
        }
        let [report] = &reports(home.path())[..] else { panic!("not one report") };
        for words in ["place: src/telemetry/crash.rs", "names the screen", "thread: ", "turns"] {
            assert!(report.contains(words), "{words:?}: {report}");
        }
        assert!(!report.contains("sesame"), "{report}");
        #[cfg(unix)]
        assert!(terminal.is_cooked(), "the terminal does not echo what is typed");
    }
}

#[test]
fn a_miner_that_breaks_leaves_the_screen_alone_which_says_where_the_report_lies() {
    let home = tempfile::tempdir().unwrap();
    let demo = ["demo", "--backend", "cpu", "--preset", "nano", "--minutes", "20"];
    // All six of them, at once.
    let mut terminal = broken(home.path(), "miner", &demo);
    terminal.wait_for("what broke", |text| text.contains("It stopped: q leaves"));
    assert!(terminal.look(|screen| screen.alternate_screen()), "{}", terminal.text());
    terminal.press("q");
    assert_eq!(terminal.ended(), 1, "{}", terminal.text());
    assert!(is_sane(&terminal), "{}", terminal.text());
    let reports = reports(home.path());
    assert!(!reports.is_empty());
    assert!(reports.iter().all(|report| report.contains("names the miner")), "{reports:?}");
    let said = terminal.text().replace('\n', "");
    assert!(said.contains("state/crashes/crash-"), "{said}");
}

/// The scrubber on the Log screen: keys, a click, the ends.
#[test]
fn a_replay_is_scrubbed_by_keys_and_by_clicks() {
    let home = tempfile::tempdir().unwrap();
    let record = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/records/practice.record");
    let arguments = ["replay", record.to_str().unwrap(), "--from", "30s"];
    let variables = [("HEARTH_HOME", home.path().to_str().unwrap())];
    let mut terminal = Terminal::start(24, 80, &arguments, &variables);
    terminal.wait_for("the replay", |text| text.contains("REPLAY 1x"));
    terminal.press(" ");
    terminal.wait_for("it stands still", |text| text.contains("REPLAY held"));
    // The names of the screens take clicks.
    let column = terminal.text().lines().nth(1).unwrap().find("7 Log").unwrap() + 1;
    terminal.press(&format!("\u{1b}[<0;{column};2M\u{1b}[<0;{column};2m"));
    terminal.wait_for("the scrubber", |text| text.contains("The record") && text.contains("●"));
    let at = |terminal: &Terminal| {
        let text = terminal.text();
        let line = text.lines().find(|line| line.contains("held") && line.contains('│'));
        let line =
            line.or(text.lines().find(|line| line.contains("at its end") && line.contains('│')));
        line.unwrap_or_else(|| panic!("{text}")).trim_matches(['│', ' ']).to_owned()
    };
    let before = at(&terminal);
    terminal.press("\u{1b}[C");
    terminal.wait_for("a step", |text| text.contains("held") && !text.contains(&before));
    terminal.press("\u{1b}[H");
    terminal.wait_for("the beginning", |text| text.contains("│ 0:00 of "));
    terminal.press("]");
    terminal.wait_for("a leap", |text| !text.contains("│ 0:00 of ") && text.contains("held"));
    terminal.press("[");
    terminal.wait_for("back again", |text| text.contains("│ 0:00 of "));
    terminal.press("\u{1b}[F");
    terminal.wait_for("the end", |text| text.contains("at its end"));
    // The first cell of its line.
    let row = terminal.text().lines().position(|line| line.contains('●')).unwrap() + 1;
    terminal.press(&format!("\u{1b}[<0;11;{row}M\u{1b}[<0;11;{row}m"));
    terminal.wait_for("the beginning by a click", |text| text.contains("│ 0:00 of "));
    terminal.press("q");
    assert_eq!(terminal.ended(), 0, "{}", terminal.text());
    assert!(is_sane(&terminal));
}

/// `hearth screenshot` of the record that is kept here.
fn screenshot(home: &Path, arguments: &[&str]) -> std::process::Output {
    let record = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/records/practice.record");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_hearth"));
    command.env("HEARTH_HOME", home).env("TZ", "UTC").arg("screenshot").args(arguments);
    command.arg("--record").arg(record).output().unwrap()
}

/// The README's pictures are what this program draws of the record that is kept here. Where that was
/// meant to change: `HEARTH_WRITE_SCREENS=docs` writes them.
#[test]
fn the_readmes_pictures_are_what_is_drawn() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let home = tempfile::tempdir().unwrap();
    for (screen, size, at) in
        [("now", "120x40", "40s"), ("now", "80x24", "40s"), ("training", "120x40", "60s")]
    {
        let output = screenshot(home.path(), &[screen, "--size", size, "--at", at]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let name = format!("dashboard-{screen}-{size}.svg");
        let drawn = String::from_utf8(output.stdout).unwrap();
        assert!(drawn.contains("Hearth") && drawn.contains("TRAINING"), "{drawn}");
        if let Some(folder) = std::env::var_os("HEARTH_WRITE_SCREENS") {
            std::fs::write(root.join(folder).join(&name), drawn).unwrap();
            continue;
        }
        let kept = std::fs::read_to_string(root.join("docs").join(&name)).unwrap();
        assert!(kept == drawn, "docs/{name} is stale: write it with HEARTH_WRITE_SCREENS=docs");
    }
}

#[test]
fn a_screen_of_a_record_is_text_too_and_what_is_none_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| screenshot(home.path(), arguments);
    let of = |screen: &str| {
        let output = run(&[screen, "--text", "--size", "80x24"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    for (place, screen) in
        ["now", "earnings", "training", "network", "peers", "machine", "log", "swarm"]
            .into_iter()
            .enumerate()
    {
        let text = of(screen);
        assert_eq!(text.lines().count(), 24);
        let mark = format!("[{} ", place + 1);
        assert!(text.lines().nth(1).unwrap().contains(&mark), "{text}");
    }
    // The same facts in lines, without frames and charts.
    let told = run(&["network", "--plain"]);
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.contains("held back by: ") && told.contains("m0 (you): "), "{told}");
    assert!(!told.contains(['│', '█', '─']), "{told}");
    let home = run(&["home"]);
    assert_eq!(home.status.code(), Some(2));
    let late = run(&["now", "--at", "30h"]);
    assert_eq!(late.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&late.stderr).contains("begin earlier"));
}

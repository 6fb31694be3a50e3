//! The dashboard as a person meets it: the real binary in a real terminal.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/pty.rs"]
mod pty;

use std::path::Path;

use pty::Terminal;

fn demo(home: &Path, rows: u16, cols: u16, flags: &[&str]) -> Terminal {
    let mut arguments = vec!["demo", "--backend", "cpu"];
    arguments.extend(flags);
    let variables = [("HEARTH_HOME", home.to_str().unwrap()), ("COLORTERM", "truecolor")];
    Terminal::start(rows, cols, &arguments, &variables)
}

/// Left as it was found: no alternate screen, the cursor visible.
fn is_sane(terminal: &Terminal) -> bool {
    terminal.look(|screen| !screen.alternate_screen() && !screen.hide_cursor())
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
        [("now", "120x40", "45s"), ("now", "80x24", "45s"), ("training", "120x40", "60s")]
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
    let home = run(&["home"]);
    assert_eq!(home.status.code(), Some(2));
    let late = run(&["now", "--at", "30h"]);
    assert_eq!(late.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&late.stderr).contains("begin earlier"));
}

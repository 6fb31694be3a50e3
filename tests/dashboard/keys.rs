//! Keys, from the first to the last: every screen, every verb, every way out.

use super::pty::Terminal;
use super::{demo, is_sane, leave};

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

/// A window that changes its size as fast as it can, to sizes that no window has: each key that comes
/// between counts, and in the end the picture is that of the last size.
#[test]
#[cfg(unix)]
fn a_window_that_lies_about_its_size_costs_no_key() {
    let home = tempfile::tempdir().unwrap();
    let mut terminal = demo(home.path(), 24, 80, &["--preset", "nano", "--minutes", "20"]);
    terminal.wait_for("the loss", |text| text.contains("->"));
    let sizes = [(1, 1), (0, 0), (1, 500), (500, 1), (65_535, 65_535), (5, 20), (24, 80)];
    for (round, screen) in (0..12).zip([2, 5, 7, 3, 8, 6].into_iter().cycle()) {
        for (rows, cols) in sizes {
            terminal.pretend(rows, cols);
            // In the middle of it, so that the key comes together with a new size.
            if (rows, cols) == sizes[round % sizes.len()] {
                terminal.press(&screen.to_string());
            }
        }
        let mark = format!("[{screen} ");
        terminal.wait_for("the screen of the key", |text| {
            text.lines().nth(1).is_some_and(|line| line.contains(&mark))
        });
    }
    leave(&mut terminal);
    assert_eq!(terminal.ended(), 0, "{}", terminal.text());
    assert!(is_sane(&terminal), "{}", terminal.text());
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

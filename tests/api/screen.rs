//! A screen in a real terminal that attaches to a miner while it trains, and leaves it.

use super::miner::Miner;
use super::pty::Terminal;

fn attach(miner: &Miner, rows: u16, cols: u16) -> Terminal {
    let home = miner.home.path().to_str().unwrap();
    let terminal = Terminal::start(rows, cols, &[], &[("HEARTH_HOME", home)]);
    terminal.wait_for("the loss", |text| text.contains("Loss") && text.contains("->"));
    terminal.wait_for("the stages", |text| text.contains("stage 2") && text.contains("(you)"));
    terminal
}

#[test]
fn a_screen_attaches_commands_and_leaves_while_the_miner_trains_on() {
    let mut miner = Miner::start();
    let pid = miner.child.id();
    for (rows, cols) in [(24, 80), (40, 120)] {
        let mut terminal = attach(&miner, rows, cols);
        let process = format!("process {pid}");
        terminal.wait_for("whose it is", |text| text.contains(&process));
        terminal.press("p");
        terminal.wait_for("what it costs", |text| text.contains("Nothing is lost"));
        terminal.press("p");
        miner.until_own("a pause", |own| own["status"]["state"] == "paused");
        terminal.wait_for("the pause", |text| text.contains("PAUSED"));
        terminal.press("r");
        terminal.wait_for("work again", |text| !text.contains("PAUSED"));
        // To ask is not to stop.
        terminal.press("x");
        terminal.wait_for("the question", |text| text.contains("Stop your miner?"));
        terminal.press("\u{1b}");
        terminal.wait_for("no question", |text| !text.contains("Stop your miner?"));
        match rows {
            24 => {
                terminal.press("q");
                terminal.wait_for("what leaving means", |text| {
                    text.contains("goes on in the background") && text.contains("Stop it.")
                });
                terminal.press("q");
            }
            _ => terminal.press("\u{3}"),
        }
        assert_eq!(terminal.ended(), 0, "{}", terminal.text());
        assert!(terminal.text().contains("Your miner goes on."), "{}", terminal.text());
        assert!(terminal.look(|screen| !screen.alternate_screen() && !screen.hide_cursor()));
        assert!(miner.child.try_wait().unwrap().is_none());
    }
    let done = miner.own()["work"]["backwards"].as_u64().unwrap();
    miner.until_own("more work", |own| own["work"]["backwards"].as_u64().unwrap() > done);

    let mut terminal = attach(&miner, 24, 80);
    terminal.press("x");
    terminal.wait_for("the question", |text| text.contains("Stop your miner?"));
    terminal.press("y");
    terminal.wait_for("the end", |text| text.contains("Your miner has stopped"));
    terminal.press("q");
    assert_eq!(terminal.ended(), 0, "{}", terminal.text());
    assert_eq!(miner.child.wait().unwrap().code(), Some(0));
}

/// The same in lines: no second screen, and words are keys.
#[test]
fn lines_attach_command_and_leave_too() {
    let miner = Miner::start();
    let home = miner.home.path().to_str().unwrap();
    let mut terminal = Terminal::start(40, 120, &["--plain"], &[("HEARTH_HOME", home)]);
    terminal.wait_for("the status line", |text| text.contains("Done by: "));
    assert!(terminal.look(|screen| !screen.alternate_screen() && !screen.hide_cursor()));
    terminal.press("pause\r");
    terminal.wait_for("what it costs", |text| text.contains("Nothing is lost"));
    terminal.press("yes\r");
    miner.until_own("a pause", |own| own["status"]["state"] == "paused");
    terminal.wait_for("the pause", |text| text.contains("Paused for "));
    terminal.press("resume\r");
    miner.until_own("work again", |own| own["status"]["state"] != "paused");
    terminal.press("quit\r");
    terminal.wait_for("what leaving means", |text| text.contains("goes on in the background"));
    terminal.press("yes\r");
    assert_eq!(terminal.ended(), 0, "{}", terminal.text());
    assert!(terminal.text().contains("Your miner goes on."), "{}", terminal.text());
    assert_eq!(miner.stop(), 0);
}

#[test]
fn a_screen_says_that_the_miner_was_killed_and_goes_on_when_it_is_back() {
    let mut miner = Miner::start();
    let mut terminal = attach(&miner, 24, 80);
    miner.child.kill().unwrap();
    miner.child.wait().unwrap();
    terminal.wait_for("the truth", |text| text.contains("has gone without a good-bye"));
    let empty = tempfile::tempdir().unwrap();
    let next = Miner::start_in(std::mem::replace(&mut miner.home, empty));
    terminal.wait_for("the screen again", |text| !text.contains("good-bye"));
    next.until("a loss", |event| event["event"] == "loss");
    terminal.press("q");
    terminal.wait_for("what leaving means", |text| text.contains("goes on in the background"));
    terminal.press("q");
    assert_eq!(terminal.ended(), 0, "{}", terminal.text());
    assert_eq!(next.stop(), 0);
}

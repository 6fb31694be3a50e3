//! The setup wizard as a person meets it: the real binary in a real terminal, from the first screen to
//! saved settings, back, out, and in again; and the same answers without a terminal.
//!
//! On Linux alone: there a test can take the keyring away; on the others it would write into the
//! user's own.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/picture.rs"]
mod picture;
#[path = "support/pty.rs"]
mod pty;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use pty::Terminal;
use serde_json::Value;

const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
const POLKADOT: &str = "15oF4uVJwmo4TdGW7VfQxNLavjCXviqxT9S1MgbjMNHr6Sp5";
const DEV: &str = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";
const SIZES: [(u16, u16); 2] = [(24, 80), (40, 120)];

const ENTER: &str = "\r";
const ESC: &str = "\u{1b}";
const DOWN: &str = "\u{1b}[B";
const RIGHT: &str = "\u{1b}[C";
const NO_BUS: &str = "unix:path=/nonexistent/bus";

/// A terminal on which nothing reaches a keyring of the machine.
fn open(home: &Path, (rows, cols): (u16, u16), arguments: &[&str]) -> Terminal {
    let user = home.join("user");
    std::fs::create_dir_all(&user).unwrap();
    let variables = [
        ("HEARTH_HOME", home.to_str().unwrap()),
        ("HOME", user.to_str().unwrap()),
        ("DBUS_SESSION_BUS_ADDRESS", NO_BUS),
        ("DBUS_SYSTEM_BUS_ADDRESS", NO_BUS),
        ("DISPLAY", ""),
        ("WAYLAND_DISPLAY", ""),
    ];
    Terminal::start(rows, cols, arguments, &variables)
}

fn setup(home: &Path, size: (u16, u16)) -> Terminal {
    open(home, size, &["setup", "--backend", "cpu", "--practice-preset", "nano"])
}

/// Left as it was found: no alternate screen, the cursor visible.
#[track_caller]
fn leaves_in_order(terminal: &mut Terminal) {
    assert_eq!(terminal.ended(), 0, "{}", terminal.text());
    let sane = terminal.look(|screen| !screen.alternate_screen() && !screen.hide_cursor());
    assert!(sane, "{}", terminal.text());
}

#[track_caller]
fn wait(terminal: &Terminal, words: &str) {
    terminal.wait_for(words, |text| text.contains(words));
}

/// Waits for a screen's title among the steps.
#[track_caller]
fn wait_screen(terminal: &Terminal, title: &str) {
    wait(terminal, &format!("{title}]"));
}

/// Marks an item of a menu, which is above this one.
#[track_caller]
fn mark(terminal: &mut Terminal, item: &str) {
    for _ in 0..10 {
        if terminal.text().contains(&format!("> {item}")) {
            return;
        }
        // Half a frame has no mark, or two.
        let marks = |text: &str| -> Vec<String> {
            let after = |line: &str| line.split_once("> ").map(|(_, rest)| rest.to_owned());
            text.lines().filter_map(after).collect()
        };
        let before = marks(&terminal.text());
        terminal.press(DOWN);
        terminal.wait_for(&format!("a mark other than {before:?}"), |text| {
            let now = marks(text);
            now.len() == before.len() && now != before
        });
    }
    panic!("no item {item}:\n{}", terminal.text());
}

/// From the limits over the page of rules to the end; what is set there stays.
#[track_caller]
fn through_limits(terminal: &mut Terminal) {
    wait_screen(terminal, "Your limits");
    terminal.press(ENTER);
    wait(terminal, " Your rules ");
    terminal.press(ENTER);
}

/// The twelve words that are on the screen, in their order.
fn words_on(terminal: &Terminal) -> Vec<String> {
    let text = terminal.text();
    // The steps on top are numbered too.
    let shown = text.split("on paper").nth(1).expect("no words are shown");
    let tokens: Vec<&str> = shown.split_whitespace().collect();
    (1..=12)
        .map(|number: usize| {
            let number = number.to_string();
            let found = tokens
                .windows(2)
                .find(|pair| pair[0] == number && pair[1].chars().all(|c| c.is_ascii_lowercase()));
            found.unwrap_or_else(|| panic!("no word {number}:\n{text}"))[1].to_owned()
        })
        .collect()
}

/// Answers the quiz.
fn answer(terminal: &mut Terminal, words: &[String]) {
    let mut asked = String::new();
    for _ in 0..3 {
        terminal.wait_for("the next question", |text| {
            question(text).is_some_and(|number| number.to_string() != asked)
        });
        let number = question(&terminal.text()).unwrap();
        asked = number.to_string();
        terminal.press(&words[number - 1]);
        terminal.press(ENTER);
    }
}

fn question(text: &str) -> Option<usize> {
    let rest = text.split("Word number ").nth(1)?;
    rest.split(':').next()?.parse().ok()
}

fn passphrase(terminal: &mut Terminal, text: &str) {
    wait(terminal, "asks for it at every start");
    terminal.press(text);
    terminal.press(ENTER);
    wait(terminal, "once more");
    terminal.press(text);
    terminal.press(ENTER);
}

/// All files below a folder, with their content.
fn files(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((
                path.clone(),
                String::from_utf8_lossy(&std::fs::read(path).unwrap()).into(),
            ));
        }
    }
    found
}

#[test]
fn by_the_defaults_it_leads_to_a_falling_loss_a_key_and_saved_settings() {
    for (size, preset) in SIZES.into_iter().zip(["demo", "nano"]) {
        let home = tempfile::tempdir().unwrap();
        let started = Instant::now();
        let arguments = ["setup", "--backend", "cpu", "--practice-preset", preset];
        let mut terminal = open(home.path(), size, &arguments);
        wait_screen(&terminal, "This machine");
        println!("{preset}: first screen after {:.2} s", started.elapsed().as_secs_f64());
        terminal.wait_for("a device", |text| text.contains("used ") && text.contains("processor"));
        println!("{preset}: devices after {:.2} s", started.elapsed().as_secs_f64());
        terminal.press(ENTER);
        wait(&terminal, "The loss fell from");
        println!("{preset}: falling loss after {:.1} s", started.elapsed().as_secs_f64());
        if preset == "demo" {
            picture::keep(&terminal, &format!("wizard-{}x{}", size.1, size.0));
        }
        terminal.press(ENTER);
        wait(&terminal, "A new key is kept in an encrypted file");
        terminal.press(ENTER);
        wait(&terminal, "Write these words on paper");
        let words = words_on(&terminal);
        terminal.press(ENTER);
        answer(&mut terminal, &words);
        passphrase(&mut terminal, "correct horse battery");
        wait(&terminal, "Who is paid");
        terminal.press(ENTER);
        wait(&terminal, "Begins with 5");
        terminal.press(ALICE);
        wait(&terminal, "checksum is right");
        terminal.press(ENTER);
        through_limits(&mut terminal);
        wait(&terminal, "Saved in");
        println!("{preset}: all done after {:.1} s", started.elapsed().as_secs_f64());
        terminal.press("q");
        leaves_in_order(&mut terminal);

        let config = std::fs::read_to_string(home.path().join("config/config.toml")).unwrap();
        assert!(config.contains(ALICE) && config.contains("mainnet"), "{config}");
        assert!(!home.path().join("state/setup.json").exists());
        let phrase = words.join(" ");
        for (path, content) in files(home.path()) {
            assert!(!content.contains(&phrase), "{} holds the words", path.display());
            assert!(!content.contains("correct horse"), "{}", path.display());
        }
        let demos = std::fs::read_dir(home.path().join("state")).unwrap();
        let left = demos
            .filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().starts_with("demo-"));
        assert_eq!(left.count(), 0, "the practice swarm's folder is gone");
    }
}

#[test]
fn it_is_left_on_any_screen_and_goes_on_there() {
    let home = tempfile::tempdir().unwrap();
    let titles = ["This machine", "See it work", "Key and payout", "Your limits"];
    for (index, title) in titles.into_iter().enumerate() {
        let mut terminal = setup(home.path(), SIZES[index % 2]);
        wait_screen(&terminal, title);
        if title == "Key and payout" {
            mark(&mut terminal, "Decide later");
            terminal.press(ENTER);
            wait(&terminal, "Who is paid");
            // Leave in the middle, and see that it goes on there.
            terminal.press("q");
            leaves_in_order(&mut terminal);
            terminal = setup(home.path(), SIZES[index % 2]);
            wait_screen(&terminal, title);
            mark(&mut terminal, "Decide later");
            terminal.press(ENTER);
            wait(&terminal, "Who is paid");
            mark(&mut terminal, "Decide later");
        }
        if let Some(next) = titles.get(index + 1) {
            terminal.press(ENTER);
            wait_screen(&terminal, next);
        }
        terminal.press("q");
        leaves_in_order(&mut terminal);
        assert!(terminal.text().contains("goes on where you left"), "{}", terminal.text());
        assert!(home.path().join("state/setup.json").exists());
        assert!(
            !home.path().join("config/config.toml").exists(),
            "nothing is saved before the end"
        );
    }
    let mut terminal = setup(home.path(), SIZES[0]);
    wait_screen(&terminal, "Your limits");
    terminal.press(ENTER);
    wait(&terminal, "all week");
    terminal.press(RIGHT);
    wait(&terminal, "63 hours a week");
    mark(&mut terminal, "makes room for");
    // Letters are a name here, q among them.
    terminal.press("steam, a quiet game");
    wait(&terminal, "a quiet game_");
    terminal.press("\u{3}");
    leaves_in_order(&mut terminal);
    let mut terminal = setup(home.path(), SIZES[1]);
    wait_screen(&terminal, "Your limits");
    terminal.press(ENTER);
    wait(&terminal, "63 hours a week");
    wait(&terminal, "steam, a quiet game");
    // There is neither a desktop nor a login service: that is said, not ignored.
    wait(&terminal, "not known here");
    terminal.press(ENTER);
    wait(&terminal, "you work unpaid");
    wait(&terminal, "63 hours a week; 2 rules are yours");
    wait(&terminal, "Saved in");
    terminal.press(ENTER);
    leaves_in_order(&mut terminal);
    let config = std::fs::read_to_string(home.path().join("config/config.toml")).unwrap();
    for part in ["accept_unpaid = true", "hours = \"22:00-07:00\"", "\"a quiet game\""] {
        assert!(config.contains(part), "{part} is missing in {config}");
    }
}

#[test]
fn going_back_and_changing_the_window_loses_nothing() {
    let home = tempfile::tempdir().unwrap();
    let mut terminal = setup(home.path(), SIZES[0]);
    wait_screen(&terminal, "This machine");
    terminal.press(ENTER);
    wait_screen(&terminal, "See it work");
    terminal.resize(20, 60);
    wait(&terminal, "80 x 24");
    terminal.resize(40, 120);
    wait_screen(&terminal, "See it work");
    terminal.press(ENTER);
    wait(&terminal, "Your hotkey");
    mark(&mut terminal, "Import a seed");
    terminal.press(ENTER);
    wait(&terminal, "64 characters");
    terminal.press("0xe5");
    wait(&terminal, "> 0xe5");
    terminal.resize(24, 80);
    wait(&terminal, "> 0xe5");
    terminal.press(ESC);
    wait(&terminal, "Your hotkey");
    terminal.press(ESC);
    wait(&terminal, "Stages and their miners");
    terminal.press(ESC);
    wait_screen(&terminal, "This machine");
    terminal.press(ENTER);
    wait(&terminal, "Stages and their miners");
    terminal.press("s");
    wait(&terminal, "switched off");
    terminal.press("\u{3}");
    leaves_in_order(&mut terminal);
}

#[test]
fn wrong_keys_and_addresses_are_refused_on_the_spot() {
    let home = tempfile::tempdir().unwrap();
    let mut terminal = setup(home.path(), SIZES[1]);
    wait_screen(&terminal, "This machine");
    terminal.press(ENTER);
    wait_screen(&terminal, "See it work");
    terminal.press(ENTER);
    wait(&terminal, "A new key is kept in an encrypted file");
    mark(&mut terminal, "Import words");
    terminal.press(ENTER);
    wait(&terminal, "12 to 24 words");
    // A word that is none; then words that do not belong together; then the right ones.
    let wrong = [DEV.replace("drive", "drove"), DEV.replace("walk", "fit")];
    for (words, said) in wrong.iter().zip(["word 2 is not one of", "checksum"]) {
        terminal.press("\u{15}");
        terminal.press(words);
        terminal.press(ENTER);
        terminal.wait_for(said, |text| {
            // What is typed stays, so the complaint is looked for after it.
            text.rsplit('_').next().is_some_and(|below| below.to_lowercase().contains(said))
        });
    }
    terminal.press("\u{15}");
    terminal.press(DEV);
    terminal.press(ENTER);
    passphrase(&mut terminal, "correct horse battery");
    wait(&terminal, "5DfhGyQdFobKM8NsWvEeAKk5EQQgYe9AydgJ7rMB6E1EqRzV");
    terminal.press(ENTER);
    wait(&terminal, "Begins with 5");
    let cases = [
        (POLKADOT, "Polkadot"),
        (&ALICE.replace("QY", "QX"), "heck"),
        ("0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045", "Ethereum"),
    ];
    for (address, said) in cases {
        terminal.press("\u{15}");
        wait(&terminal, "> _");
        terminal.press(address);
        wait(&terminal, said);
        terminal.press(ENTER);
        wait_screen(&terminal, "Key and payout");
    }
    terminal.press("\u{15}");
    terminal.press(DEV);
    terminal.wait_for("the secret to vanish", |text| {
        !text.contains("lonely") && text.to_lowercase().contains("never")
    });
    terminal.press("\u{3}");
    leaves_in_order(&mut terminal);
}

#[test]
fn a_coldkey_is_made_here_and_forgotten() {
    let home = tempfile::tempdir().unwrap();
    let mut terminal = setup(home.path(), SIZES[0]);
    wait_screen(&terminal, "This machine");
    terminal.press(ENTER);
    wait_screen(&terminal, "See it work");
    terminal.press(ENTER);
    wait(&terminal, "Your hotkey");
    mark(&mut terminal, "Decide later");
    terminal.press(ENTER);
    wait(&terminal, "Who is paid");
    mark(&mut terminal, "Make a coldkey here");
    terminal.press(ENTER);
    wait(&terminal, "your money");
    let words = words_on(&terminal);
    terminal.press(ENTER);
    answer(&mut terminal, &words);
    wait(&terminal, "An encrypted file as well?");
    terminal.press(ENTER);
    wait(&terminal, "is forgotten here");
    terminal.press(ENTER);
    through_limits(&mut terminal);
    wait(&terminal, "Saved in");
    terminal.press("q");
    leaves_in_order(&mut terminal);
    let config = std::fs::read_to_string(home.path().join("config/config.toml")).unwrap();
    assert!(config.contains("payout_address = \"5"), "{config}");
    let phrase = words.join(" ");
    assert!(files(home.path()).iter().all(|(_, content)| !content.contains(&phrase)));
}

#[test]
fn where_nothing_can_be_written_it_says_so_and_still_leads_to_its_end() {
    let nowhere = [("HEARTH_HOME", "/proc/hearth"), ("DBUS_SESSION_BUS_ADDRESS", NO_BUS)];
    let arguments = ["setup", "--backend", "cpu", "--practice-preset", "nano"];
    let mut terminal = Terminal::start(24, 80, &arguments, &nowhere);
    wait(&terminal, "used ");
    terminal.press(ENTER);
    wait(&terminal, "HEARTH_HOME");
    terminal.press(ENTER);
    wait(&terminal, "No key can be kept here");
    mark(&mut terminal, "Decide later");
    terminal.press(ENTER);
    wait(&terminal, "Who is paid");
    mark(&mut terminal, "Decide later");
    terminal.press(ENTER);
    through_limits(&mut terminal);
    wait(&terminal, "Not saved");
    terminal.press("q");
    leaves_in_order(&mut terminal);
    assert!(terminal.text().contains("not kept"), "{}", terminal.text());
}

#[test]
fn the_end_of_the_wizard_is_the_beginning_of_mining() {
    let home = tempfile::tempdir().unwrap();
    let key = home.path().join("hot");
    std::fs::write(&key, DEV).unwrap();
    let key = key.to_str().unwrap();
    let mut arguments = vec!["setup", "--backend", "cpu", "--practice-preset", "nano"];
    arguments.extend(["--network", "http://127.0.0.1:9", "--join", "metagraph"]);
    arguments.extend(["--cpu-threads", "1", "--hotkey-file", key]);
    let mut terminal = open(home.path(), SIZES[0], &arguments);
    wait_screen(&terminal, "This machine");
    terminal.press(ENTER);
    wait_screen(&terminal, "See it work");
    terminal.press(ENTER);
    wait(&terminal, "> Use the key that is here");
    terminal.press(ENTER);
    wait(&terminal, "Who is paid");
    mark(&mut terminal, "Decide later");
    terminal.press(ENTER);
    wait(&terminal, "http://127.0.0.1:9");
    wait(&terminal, "1 of ");
    through_limits(&mut terminal);
    wait(&terminal, "Enter starts mining");
    terminal.press(ENTER);
    wait(&terminal, "Stages and their miners");
    wait(&terminal, "your miner m0");
    leave_dashboard(&mut terminal);
    leaves_in_order(&mut terminal);
    let config = std::fs::read_to_string(home.path().join("config/config.toml")).unwrap();
    for part in ["cpu_threads = 1", "http://127.0.0.1:9", "hotkey_file", "metagraph"] {
        assert!(config.contains(part), "{part} is missing in {config}");
    }
}

#[test]
fn without_colours_no_colour_is_written() {
    let home = tempfile::tempdir().unwrap();
    let variables = [
        ("HEARTH_HOME", home.path().to_str().unwrap()),
        ("DBUS_SESSION_BUS_ADDRESS", NO_BUS),
        ("NO_COLOR", "1"),
    ];
    let mut terminal = Terminal::start(24, 80, &["setup", "--backend", "cpu"], &variables);
    wait(&terminal, "used ");
    let coloured = terminal.look(|screen| {
        let cells = (0..24).flat_map(|y| (0..80).map(move |x| (y, x)));
        cells
            .filter(|(y, x)| {
                screen.cell(*y, *x).is_some_and(|cell| cell.fgcolor() != vt100::Color::Default)
            })
            .count()
    });
    assert_eq!(coloured, 0);
    terminal.press("q");
    leaves_in_order(&mut terminal);
}

#[test]
fn hearth_alone_is_the_wizard_first_and_the_dashboard_after_that() {
    let home = tempfile::tempdir().unwrap();
    let mut terminal = open(home.path(), SIZES[0], &[]);
    wait_screen(&terminal, "This machine");
    terminal.press("q");
    leaves_in_order(&mut terminal);

    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("config");
    std::fs::create_dir_all(&config).unwrap();
    let key = home.path().join("hot");
    std::fs::write(&key, DEV).unwrap();
    let settings = format!(
        "network = \"http://127.0.0.1:9\"\njoin = \"metagraph\"\nbackend = \"cpu\"\n\
         hotkey_file = {key:?}\n"
    );
    std::fs::write(config.join("config.toml"), settings).unwrap();
    let mut terminal = open(home.path(), SIZES[0], &[]);
    wait(&terminal, "Stages and their miners");
    leave_dashboard(&mut terminal);
    leaves_in_order(&mut terminal);
}

/// A miner that runs is not left without a question.
fn leave_dashboard(terminal: &mut Terminal) {
    terminal.press("q");
    wait(terminal, "Stop it in order, and leave");
    terminal.press("q");
}

fn hearth(home: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hearth"))
        .args(arguments)
        .env("HEARTH_HOME", home)
        .env("DBUS_SESSION_BUS_ADDRESS", NO_BUS)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[track_caller]
fn refused(output: &Output, code: i32, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is missing in: {said}");
    }
}

#[test]
fn without_a_terminal_it_says_how_to_go_on() {
    let home = tempfile::tempdir().unwrap();
    refused(&hearth(home.path(), &[]), 2, &["no terminal", "--non-interactive"]);
    refused(&hearth(home.path(), &["setup"]), 2, &["no terminal", "--non-interactive"]);
}

#[test]
fn every_answer_is_a_flag() {
    let home = tempfile::tempdir().unwrap();
    let base = ["setup", "--non-interactive", "--json"];
    let with = |more: &[&str]| hearth(home.path(), &[&base[..], more].concat());
    refused(&with(&[]), 3, &["--payout-address", "--accept-unpaid"]);
    refused(&with(&["--payout-address", ALICE]), 4, &["hearth"]);
    refused(&with(&["--payout-address", POLKADOT]), 3, &["payout_address"]);
    refused(&with(&["--network", "moon"]), 3, &["moon", "mainnet"]);
    refused(&with(&["--cpu-threads", "0", "--accept-unpaid"]), 3, &["cpu_threads"]);
    assert!(!home.path().join("config/config.toml").exists());
    let practice = tempfile::tempdir().unwrap();
    let flags = ["setup", "--non-interactive", "--network", "practice"];
    assert_eq!(hearth(practice.path(), &flags).status.code(), Some(0), "it needs no key");

    let passphrase = home.path().join("passphrase");
    std::fs::write(&passphrase, "correct horse battery\n").unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&passphrase, private).unwrap();
    let passphrase = passphrase.to_str().unwrap();
    let flags = ["--payout-address", ALICE, "--network", "testnet", "--backend", "cpu"];
    let key = ["--new-key", "--passphrase-file", passphrase, "--cpu-threads", "1"];
    let flags = [&flags[..], &["--set", "idle_after=10m", "--set", "metered=run"]].concat();
    let output = with(&[&flags[..], &key].concat());
    let (out, said) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{said}");
    let events: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events.len() > 3 && events.iter().all(|event| event["event"] == "finding"), "{out}");
    let codes: Vec<&str> = events.iter().map(|event| event["code"].as_str().unwrap()).collect();
    assert_eq!(codes[codes.len() - 2..], ["setup-hotkey", "setup-saved"], "{out}");
    let config = std::fs::read_to_string(home.path().join("config/config.toml")).unwrap();
    for part in [
        ALICE,
        "testnet",
        "cpu_threads = 1",
        "passphrase_file",
        "hotkey = \"default\"",
        "idle_after = \"10m\"",
        "metered = \"run\"",
    ] {
        assert!(config.contains(part), "{part} is missing in {config}");
    }
    // The same once more changes nothing.
    assert_eq!(with(&key).status.code(), Some(0));
    assert_eq!(std::fs::read_to_string(home.path().join("config/config.toml")).unwrap(), config);
}

//! The dashboard in lines, for a screen reader.

use std::path::Path;

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

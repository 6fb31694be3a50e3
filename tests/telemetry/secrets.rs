//! Logs at their loudest, in the terminal and in the files, hold nothing that must stay secret.

#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Output};

use base64::Engine as _;

use crate::listeners::Server;
use crate::runs::{Run, hearth};

const HOOK: &str = "hook7sEcret";
const QUERY: &str = "qUery8secret";
const PROXY: &str = "proxY9secret";
const PASSPHRASE: &str = "gravel pewter 31 lantern";
const WORDS: &str = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";
/// What the words become.
const SEED: &str = "fac7959dbfe72f052e5a0c3c8d6530f202b02fd8f9f5ca3580ec8deb7797479e";

/// Everything that was logged, with what it is of.
#[derive(Default)]
struct Logs(Vec<(String, String)>);

impl Logs {
    fn add(&mut self, what: &str, text: String) {
        self.0.push((what.to_owned(), text));
    }

    fn add_files(&mut self, home: &Path) {
        for entry in fs::read_dir(home.join("state/logs")).unwrap().map(Result::unwrap) {
            let text = fs::read(entry.path()).unwrap();
            self.add("a log file", String::from_utf8_lossy(&text).into_owned());
        }
    }

    #[track_caller]
    fn hide(&self, what: &str, secret: &str) {
        assert!(secret.len() >= 8, "{what} is too short to be looked for: {secret:?}");
        for (place, text) in &self.0 {
            if let Some(line) = text.lines().find(|line| line.contains(secret)) {
                panic!("{what} is in {place}: {:.400}", line);
            }
        }
    }

    fn lines_with(&self, word: &str) -> usize {
        self.0.iter().map(|(_, text)| text.lines().filter(|line| line.contains(word)).count()).sum()
    }
}

fn loud(command: &mut Command) -> &mut Command {
    command.env("RUST_LOG", "trace,s3s=trace").env("RUST_BACKTRACE", "1")
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn a_run_with_alerts_and_visitors_logs_no_secret() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let proxy = Server::start(200);
    let through = proxy.address.replace("http://", &format!("http://someone:{PROXY}@"));
    let errors = home.join("stderr");
    let mut command = hearth(home);
    command.args(["run", "--network", "practice", "--preset", "nano"]);
    command.args(["--headless", "--json", "--backend", "cpu", "--set", "log_level=trace"]);
    command
        .env("HEARTH_ALERT_ON", "[\"paused-by-rule\"]")
        .env("HEARTH_ALERT_WEBHOOK", format!("http://hooks.invalid/{HOOK}?token={QUERY}"))
        .env("HTTP_PROXY", &through)
        .stderr(File::create(&errors).unwrap());
    let mut run = Run::of(loud(&mut command));
    run.until("a merge", |event| event["event"] == "merge");

    // Somebody looks on.
    let token = fs::read_to_string(home.join("state/api.token")).unwrap();
    let status = loud(hearth(home).arg("status")).output().unwrap();
    // Its exit code says whether it trains at this moment, which is another matter.
    assert!(said(&status).contains("run practice-nano"), "{}", said(&status));

    let never = crate::alerts::never_now();
    fs::create_dir_all(home.join("config")).unwrap();
    fs::write(home.join("config/config.toml"), format!("hours = {never:?}\n")).unwrap();
    let id = run.child.id().to_string();
    assert!(Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
    let told = proxy.until("an alert", |got| got.line.contains(HOOK));
    let basic =
        base64::engine::general_purpose::STANDARD.encode(format!("someone:{PROXY}").as_bytes());
    assert_eq!(told.headers["proxy-authorization"], format!("Basic {basic}"));
    assert_eq!(run.stop(), 0);

    let mut logs = Logs::default();
    logs.add_files(home);
    logs.add("what the run says", fs::read_to_string(&errors).unwrap());
    logs.add("what status says", said(&status));
    assert!(logs.lines_with("TRACE") > 1000, "the logs were not loud");
    logs.hide("the webhook's path", HOOK);
    logs.hide("the webhook's query", QUERY);
    logs.hide("the proxy's password", PROXY);
    logs.hide("the proxy's password", &basic);
    logs.hide("the token of the local API", token.trim());
    logs.hide("a signature of the object store", "X-Amz-Signature=");
    for entry in fs::read_dir(home.join("data/practice/keys")).unwrap().map(Result::unwrap) {
        let secret = fs::read_to_string(entry.path()).unwrap();
        logs.hide("a practice key", secret.trim().trim_start_matches("0x"));
    }
}

#[test]
fn a_key_and_its_passphrase_are_in_no_log() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let private = |name: &str, content: &str| {
        let path = home.join(name);
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(&path).unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, content).unwrap();
        path
    };
    let (words, passphrase) = (private("words", WORDS), private("passphrase", PASSPHRASE));
    let mut logs = Logs::default();
    let mut import = hearth(home);
    import.args(["keys", "import", "--name", "rig", "--store", "file"]);
    import.arg("--hotkey-file").arg(&words).arg("--passphrase-file").arg(&passphrase);
    let output = loud(&mut import).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    logs.add("what import says", said(&output));

    // It signs requests with it, until it is told to stop: nobody there lets it in.
    let server = Server::start(404);
    let errors = home.join("stderr");
    let mut command = hearth(home);
    command.args(["run", "--network", &server.address, "--hotkey", "rig", "--accept-unpaid"]);
    command.args(["--headless", "--json", "--backend", "cpu", "--set", "log_level=trace"]);
    command.arg("--passphrase-file").arg(&passphrase).stderr(File::create(&errors).unwrap());
    let mut run = Run::of(loud(&mut command));
    server.until("a signed request", |got| got.headers.contains_key("epistula-signed-by"));
    run.stop();
    logs.add_files(home);
    logs.add("what the run says", fs::read_to_string(&errors).unwrap());
    assert!(logs.lines_with("TRACE") > 10, "the logs were not loud");
    logs.hide("the passphrase", PASSPHRASE);
    logs.hide("the words", WORDS);
    logs.hide("the words", &WORDS[..WORDS.len() / 2]);
    logs.hide("the seed", SEED);
}

//! A bug report of a machine on which secrets lie everywhere.

#![cfg(unix)]

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;

use crate::runs::{Run, done, hearth};

const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
const BOB: &str = "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty";
const SEED: &str = "e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a";
const WORDS: &str = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";

/// All files of an archive, by name.
fn unpacked(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut archive =
        tar::Archive::new(flate2::read::GzDecoder::new(fs::File::open(path).unwrap()));
    let mut files = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        assert_eq!(entry.header().mode().unwrap(), 0o600);
        let name = entry.path().unwrap().display().to_string();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        files.insert(name.strip_prefix("hearth-bug-report/").unwrap().to_owned(), content);
    }
    files
}

#[test]
fn a_report_has_what_helps_and_nothing_that_says_whose_it_is() {
    let place = tempfile::tempdir().unwrap();
    let home = place.path().join("zoe-private-folder");
    fs::create_dir_all(home.join("config")).unwrap();
    let home = home.as_path();
    // A run, for a record with real addresses in it.
    let mut run = Run::practice(home, &[]);
    run.until("second loss", |event| event["event"] == "loss");
    run.until("an own step", |event| event["event"] == "step");
    assert_eq!(run.stop(), 0);

    fs::write(home.join("pass"), "correct horse battery\n").unwrap();
    fs::write(
        home.join("config/config.toml"),
        format!(
            "payout_address = \"{ALICE}\"\nhotkey = \"zoe-rig\"\nlocation_city = \"Utrecht\"\n\
             passphrase_file = \"{}\"\nnetwork = \"https://swarm.zoe.example:8443\"\n\
             alert_webhook = \"https://hooks.zoe.example/services/T0K3N99x\"\n\
             alert_command = [\"notify\", \"--key\", \"argSecret77\"]\n",
            home.join("pass").display()
        ),
    )
    .unwrap();
    let planted = format!(
        "paid to {ALICE}, by {BOB}\nseed {SEED}\nphrase {WORDS}\nfrom 203.0.113.77 and 2001:db8::77\n\
         user zoe at zoe-desktop in /home/zoe/secret-plans/x.txt\nenv3nvValueS3cret\n\
         correct horse battery\nhttps://hooks.zoe.example/services/T0K3N99x failed\nargSecret77\n\
         0x52908400098527886E0F7030069857D2E4169EE7 in {}/data\n",
        home.display()
    );
    let logs = home.join("state/logs");
    fs::create_dir_all(&logs).unwrap();
    let json: String = planted
        .lines()
        .map(|line| {
            format!(
                "{}\n",
                serde_json::json!({ "level": "INFO", "message": line, "token": "f1eldT0ken" })
            )
        })
        .collect();
    fs::write(logs.join("hearth-2099-01-01-001.log"), format!("kept-line-marker\n{planted}{json}"))
        .unwrap();
    fs::create_dir_all(home.join("state/crashes")).unwrap();
    fs::write(home.join("state/crashes/crash-20990101.txt"), format!("panicked: {planted}"))
        .unwrap();

    let output = place.path().join("report.tar.gz");
    let mut command = hearth(home);
    command.args(["bug-report", "--output"]).arg(&output);
    command
        .env("USER", "zoe")
        .env("HOSTNAME", "zoe-desktop")
        .env("MY_API_TOKEN", "env3nvValueS3cret");
    let (status, out, err) = done(&mut command);
    assert!(status.status.success(), "{err}");
    assert!(out.contains("Nothing was sent") && out.contains("settings.jsonl"), "{out}");
    assert_eq!(fs::metadata(&output).unwrap().permissions().mode() & 0o777, 0o600);

    let files = unpacked(&output);
    let record = files.keys().find(|name| name.ends_with(".record")).expect("no record").clone();
    // The record still plays; its events are what is looked through.
    let played = place.path().join("clean.record");
    fs::write(&played, &files[&record]).unwrap();
    let (_, events, err) = done(hearth(home).arg("replay").arg(&played).arg("--json"));
    assert!(events.contains(r#""event":"loss""#), "{err}");
    let mut reader = hearth::telemetry::record::Reader::open(&played).unwrap();
    let inside: String = (0..reader.frames())
        .flat_map(|frame| reader.lines(frame).unwrap())
        .map(|line| format!("{line:?}\n"))
        .collect();
    assert!(
        inside.contains("[address-") && inside.contains("m0"),
        "{}",
        &inside[..400.min(inside.len())]
    );

    let mut all = inside;
    for (name, content) in files.iter().filter(|(name, _)| !name.ends_with(".record")) {
        all.push_str(&format!("{name}\n{}\n", String::from_utf8(content.clone()).unwrap()));
    }
    let mut found = Vec::new();
    for private in [
        ALICE,
        BOB,
        SEED,
        WORDS,
        "203.0.113.77",
        "2001:db8::77",
        "zoe",
        "secret-plans",
        "env3nvValueS3cret",
        "correct horse",
        "T0K3N99x",
        "argSecret77",
        "52908400098527886E0F7030069857D2E4169EE7",
        "Utrecht",
        "f1eldT0ken",
        "zoe-private-folder",
        "swarm.zoe",
        "hooks.zoe",
    ] {
        if let Some(at) = all.find(private) {
            let from =
                (0..=at.saturating_sub(60)).rev().find(|at| all.is_char_boundary(*at)).unwrap_or(0);
            found.push(format!("{private}: {}", all[from..].chars().take(140).collect::<String>()));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
    // No real address of the practice run is left either.
    let long = |word: &&str| (46..=50).contains(&word.len()) && word.starts_with('5');
    let left: Vec<&str> = all.split(|c: char| !c.is_ascii_alphanumeric()).filter(long).collect();
    assert!(left.is_empty(), "{left:?}");

    // What helps is there.
    assert!(
        all.contains("kept-line-marker") && all.contains("panicked: paid to [address-"),
        "{all}"
    );
    let versions: Value = serde_json::from_slice(&files["versions.json"]).unwrap();
    assert_eq!(versions["hearth"], env!("CARGO_PKG_VERSION"));
    let settings = String::from_utf8(files["settings.jsonl"].clone()).unwrap();
    assert!(
        settings.contains(r#""key":"payout_address""#) && settings.contains(r#""origin":"file""#),
        "{settings}"
    );
    assert!(files["doctor.jsonl"].len() > 500);
    // The log's lines of JSON are JSON still.
    let log = String::from_utf8(files["logs/hearth-2099-01-01-001.log"].clone()).unwrap();
    let json: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert!(json.len() >= 8, "{log}");

    // A second one is not written over the first.
    let (status, _, err) = done(&mut command);
    assert_eq!(status.status.code(), Some(2), "{err}");
    assert!(err.contains("hearth explain report-exists"), "{err}");
}

//! `hearth doctor`, `hearth config` and `hearth explain` as a user meets them: the real binary in
//! homes that are empty, broken, read-only or absent.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use hearth::clock::{Clock, Entropy};
use hearth::config::PeerConstants;
use hearth::network::peers::probe::probe;
use hearth::network::peers::{PeerReach, RelayChoice, RelayServer, RelayState};
use hearth::swarm::relay::{Relay, RelaySecurity, RelaySetup};
use serde_json::Value;

const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";

fn hearth(home: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hearth"));
    command.env("HEARTH_HOME", home).env_remove("RUST_LOG").stdin(Stdio::null());
    command.args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    let (out, error) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(error))
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn configured(text: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("config");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("config.toml"), text).unwrap();
    home
}

/// The findings, each checked for what a script relies on.
#[track_caller]
fn findings(output: &Output) -> Vec<(String, String)> {
    let found = lines(output);
    assert!(found.len() > 10, "{}", said(output));
    let text = |finding: &Value, field: &str| finding[field].as_str().unwrap().to_owned();
    let mut codes = Vec::new();
    for finding in &found {
        assert_eq!(finding["event"], "finding");
        assert!(text(finding, "what").ends_with('.'), "{finding}");
        let severity = text(finding, "severity");
        assert!(severity == "info" || !text(finding, "fix").is_empty(), "{finding}");
        codes.push((text(finding, "code"), severity));
    }
    let errors = codes.iter().any(|(_, severity)| severity == "error");
    assert_eq!(output.status.code(), Some(i32::from(errors)), "{}", said(output));
    codes
}

#[track_caller]
fn has(codes: &[(String, String)], code: &str, severity: &str) {
    let wanted = (code.to_owned(), severity.to_owned());
    assert!(codes.contains(&wanted), "{code} ({severity}) is missing in {codes:?}");
}

#[test]
fn an_empty_home_is_looked_at_without_asking_anybody_and_left_as_it_was() {
    let home = tempfile::tempdir().unwrap();
    let output = hearth(home.path(), &["doctor", "--offline", "--json"]);
    let codes = findings(&output);
    for code in ["config-none", "no-hotkey", "payout-unset", "offline"] {
        assert!(codes.iter().any(|(known, _)| known == code), "{code}: {codes:?}");
    }
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "a look leaves nothing behind");
    let readable = hearth(home.path(), &["doctor", "--offline"]);
    let text = String::from_utf8(readable.stdout).unwrap();
    assert!(text.contains("Settings\n") && text.contains("hearth explain no-hotkey"), "{text}");
    assert!(text.trim_end().lines().last().unwrap().contains(" checks: "), "{text}");
}

#[test]
fn nobody_is_asked_before_a_network_is_chosen() {
    let home = tempfile::tempdir().unwrap();
    let codes = findings(&hearth(home.path(), &["doctor", "--json"]));
    has(&codes, "network-none", "info");
    assert!(codes.iter().all(|(code, _)| code != "dns" && code != "dns-failed"), "{codes:?}");
    let codes = findings(&hearth(home.path(), &["doctor", "--json", "--network", "practice"]));
    has(&codes, "network", "info");
    has(&codes, "hotkey", "info");
}

#[test]
fn a_broken_file_is_named_with_its_line_and_never_overwritten() {
    let home = configured("network = \"testnet\"\njoin = \n");
    let codes = findings(&hearth(home.path(), &["doctor", "--offline", "--json"]));
    has(&codes, "config-broken", "error");
    for arguments in
        [&["config", "set", "join", "pool"][..], &["config", "check"], &["config", "show"]]
    {
        let output = hearth(home.path(), arguments);
        assert_eq!(output.status.code(), Some(3), "{}", said(&output));
        let text = said(&output);
        assert!(text.contains("config.toml") && text.contains("line 2"), "{text}");
        assert!(text.contains("More: hearth explain config-broken"), "{text}");
    }
    let file = home.path().join("config/config.toml");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "network = \"testnet\"\njoin = \n");
}

#[test]
fn a_home_that_cannot_be_written_is_an_error_with_a_fix() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    std::fs::write(&file, "").unwrap();
    let codes = findings(&hearth(&file.join("inside"), &["doctor", "--offline", "--json"]));
    has(&codes, "folder-not-writable", "error");
}

#[test]
fn no_home_at_all_is_an_error_and_the_other_checks_go_on() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hearth"));
    command.env_remove("HEARTH_HOME").env("HOME", "/nonexistent/hearth").env_remove("RUST_LOG");
    for name in ["XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"] {
        command.env_remove(name);
    }
    let output = command.args(["doctor", "--offline", "--json"]).output().unwrap();
    assert!(findings(&output).len() > 10);
}

#[test]
fn a_server_that_is_not_there_is_an_error() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let home = tempfile::tempdir().unwrap();
    let network = format!("http://127.0.0.1:{port}");
    let output = hearth(home.path(), &["doctor", "--json", "--network", &network]);
    let codes = findings(&output);
    has(&codes, "server-unreachable", "error");
    has(&codes, "dns", "info");
}

#[test]
fn a_server_whose_clock_is_elsewhere_is_noticed() {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let network = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).unwrap();
            let answer = "HTTP/1.1 200 OK\r\nDate: Tue, 19 Jan 2038 03:14:07 GMT\r\n\
                          Content-Length: 4\r\nConnection: close\r\n\r\nnull";
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    let home = tempfile::tempdir().unwrap();
    let codes = findings(&hearth(home.path(), &["doctor", "--json", "--network", &network]));
    has(&codes, "orchestrator", "info");
    has(&codes, "clock-skew", "error");
}

#[test]
fn settings_are_set_shown_and_taken_out_one_line_at_a_time() {
    let home = configured("# mine\nnetwork = \"testnet\" # for now\n");
    let file = home.path().join("config/config.toml");
    let run = |arguments: &[&str]| hearth(home.path(), arguments);
    assert_eq!(run(&["config", "set", "payout_address", ALICE]).status.code(), Some(0));
    assert_eq!(run(&["config", "set", "accept_unpaid", "yes"]).status.code(), Some(0));
    let text = std::fs::read_to_string(&file).unwrap();
    let expected = format!(
        "# mine\nnetwork = \"testnet\" # for now\npayout_address = \"{ALICE}\"\naccept_unpaid = true\n"
    );
    assert_eq!(text, expected);
    let shown = lines(&run(&["config", "show", "--json"]));
    let of = |key: &str| shown.iter().find(|line| line["key"] == key).unwrap();
    assert_eq!(
        (&of("network")["value"], &of("network")["origin"]),
        (&"testnet".into(), &"file".into())
    );
    assert_eq!((&of("network")["line"], &of("join")["origin"]), (&2.into(), &"default".into()));
    assert!(of("join")["allowed"].as_str().unwrap().contains("metagraph"));
    assert_eq!(run(&["config", "unset", "network"]).status.code(), Some(0));
    assert!(!std::fs::read_to_string(&file).unwrap().contains("network"));
    assert!(said(&run(&["config", "path"])).contains("config.toml"));
    assert_eq!(run(&["config", "check"]).status.code(), Some(0));
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_written() {
    let home = configured("join = \"pool\"\n");
    for (arguments, code, word) in [
        (&["config", "set", "join", "club"][..], 3, "pool or metagraph"),
        (&["config", "set", "payout_address", "5abc"], 3, "begins with 5"),
        (&["config", "set", "jion", "pool"], 2, "did you mean \"join\""),
        (&["config", "show", "entirely_else"], 2, "config show"),
        (&["explain", "disk-fulll"], 2, "disk-full"),
    ] {
        let output = hearth(home.path(), arguments);
        assert_eq!(output.status.code(), Some(code), "{}", said(&output));
        assert!(said(&output).contains(word), "{}", said(&output));
    }
    let file = home.path().join("config/config.toml");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "join = \"pool\"\n");
}

#[test]
fn a_wrong_value_of_the_environment_is_found_by_check() {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_hearth"));
    let command = command.env("HEARTH_HOME", home.path()).env("HEARTH_PEER_PORT", "70000");
    let output = command.args(["config", "check"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("HEARTH_PEER_PORT"), "{}", said(&output));
}

#[test]
fn codes_are_explained() {
    let home = tempfile::tempdir().unwrap();
    let page = said(&hearth(home.path(), &["explain", "render-group"]));
    for word in ["What\n", "Why\n", "Now\n", "usermod"] {
        assert!(page.contains(word), "{page}");
    }
    assert!(said(&hearth(home.path(), &["explain"])).contains("clock-skew"));
    let all = lines(&hearth(home.path(), &["explain", "--json"]));
    assert!(all.len() > 100 && all.iter().all(|page| page["event"] == "explanation"));
}

/// A server on this machine whose certificate nobody vouches for.
async fn own_relay(entropy: &mut Entropy) -> Relay {
    let here = IpAddr::from(Ipv4Addr::LOCALHOST);
    let security = RelaySecurity::SelfMade;
    let setup = RelaySetup { listen: SocketAddr::new(here, 0), public: here, security };
    Relay::start(setup, entropy).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_nobody_vouches_for_is_not_accepted() {
    let relay = own_relay(&mut Entropy::seeded(2, "doctor")).await;
    let home = tempfile::tempdir().unwrap();
    let (url, path) = (relay.url().to_owned(), home.path().to_owned());
    let arguments = move || hearth(&path, &["doctor", "--json", "--network", &url]);
    let codes = findings(&tokio::task::spawn_blocking(arguments).await.unwrap());
    has(&codes, "tls-failed", "error");
    has(&codes, "server-unreachable", "error");
    relay.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_answers_is_found() {
    let mut entropy = Entropy::seeded(1, "doctor");
    let relay = own_relay(&mut entropy).await;
    let server = RelayServer {
        url: relay.url().to_owned(),
        certificate: relay.certificate().map(<[u8]>::to_vec),
        discovery_port: relay.discovery_port(),
    };
    let reach = PeerReach::Internet { port: None, relays: RelayChoice::Listed(vec![server]) };
    let rules = PeerConstants::default();
    let limit = std::time::Duration::from_secs(60);
    let seen = probe(&reach, &rules, &Clock::system(), &mut entropy, limit).await.unwrap();
    assert_eq!(seen.relay, RelayState::Connected);
    assert!(seen.relay_url.unwrap().starts_with(relay.url()));
    relay.stop().await;
}

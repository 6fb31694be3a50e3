//! Who is let in, what is answered and what is refused.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use super::miner::{Answer, Ask, Miner, run};

#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str) {
    let said = answer.json();
    assert_eq!((answer.status, said["code"].as_str()), (status, Some(code)), "{answer:?}");
    for field in ["what", "fix"] {
        assert!(said[field].as_str().is_some_and(|text| !text.is_empty()), "{answer:?}");
    }
}

#[test]
fn only_programs_of_this_machine_that_know_the_token_get_anywhere() {
    let miner = Miner::start();
    let port = miner.port();
    for file in ["state/api.json", "state/api.token"] {
        let mode = std::fs::metadata(miner.home.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let in_file = std::fs::read_to_string(miner.home.path().join("state/api.token")).unwrap();
    assert_eq!(in_file, miner.token());

    let everything = [
        "/ready",
        "/metrics",
        "/v1/snapshot",
        "/v1/snapshots",
        "/v1/events",
        "/v1/history",
        "/v1/config",
        "/v1/log-level",
        "/nowhere",
    ];
    for path in everything {
        refused(&Ask::get(path).token("").to(&miner), 401, "api-token-missing");
        refused(&Ask::get(path).token(&"0".repeat(64)).to(&miner), 401, "api-token-wrong");
        let token = miner.token();
        refused(&Ask::get(path).token(&token[1..]).to(&miner), 401, "api-token-wrong");
        // A page whose name was made to point here, with a token or without.
        for host in [format!("evil.example:{port}"), format!("127.0.0.1:{}", port ^ 1)] {
            refused(&Ask::get(path).host(&host).to(&miner), 403, "api-foreign-host");
            refused(&Ask::get(path).host(&host).token("").to(&miner), 403, "api-foreign-host");
        }
        for origin in ["https://evil.example", "null", "http://localhost:1"] {
            let foreign = Ask::get(path).header(&format!("Origin: {origin}"));
            refused(&foreign.to(&miner), 403, "api-foreign-origin");
        }
    }
    let order = r#"{"to":"all","command":"stop"}"#;
    let stop = || Ask::with("POST", "/v1/commands").body(order);
    refused(&stop().token("").to(&miner), 401, "api-token-missing");
    refused(&stop().host("evil.example").to(&miner), 403, "api-foreign-host");
    refused(&stop().header("Origin: http://evil.example").to(&miner), 403, "api-foreign-origin");

    // That somebody is there is all that is told without a token.
    let health = Ask::get("/health").token("").to(&miner);
    assert_eq!((health.status, &health.json()["alive"]), (200, &json!(true)));
    let rebound = Ask::get("/health").token("").host("evil.example").to(&miner);
    refused(&rebound, 403, "api-foreign-host");
    let ours = Ask::get("/v1/snapshot")
        .host(&format!("localhost:{port}"))
        .header(&format!("Origin: http://127.0.0.1:{port}"));
    assert_eq!(ours.to(&miner).status, 200);
    // It trains on, after all of that.
    miner.until("a merge", |event| event["event"] == "merge");
    assert_eq!(miner.stop(), 0);
}

#[test]
fn nonsense_is_refused_with_a_code_and_what_there_is_is_answered() {
    let miner = Miner::start();
    let command = |body: &str| Ask::with("POST", "/v1/commands").body(body).to(&miner);
    refused(&command("{"), 400, "api-unknown-command");
    refused(&command(r#"{"to":"all","command":"explode"}"#), 400, "api-unknown-command");
    refused(&command(r#"{"to":{"one":"m7"},"command":"pause"}"#), 404, "api-unknown-miner");
    refused(&command(r#"{"command":"pause","until":12}"#), 400, "api-time-passed");
    refused(&command(&"x".repeat(20_000)), 413, "api-too-large");
    let swarm = |body: &str| Ask::with("POST", "/v1/swarm/commands").body(body).to(&miner);
    refused(&swarm(r#"{"command":"pause"}"#), 400, "api-unknown-command");
    // The swarm's model writes while it trains, and the snapshot has the text.
    assert_eq!(swarm(r#"{"command":"write"}"#).status, 202);
    let started = std::time::Instant::now();
    let written = loop {
        let writing = Ask::get("/v1/snapshot").to(&miner).json()["swarm"]["writing"].clone();
        assert_ne!(writing["state"], "failed", "{writing}");
        if writing["state"] == "done" {
            break writing;
        }
        assert!(started.elapsed() < std::time::Duration::from_secs(60), "{writing}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    };
    assert!(!written["text"].as_str().unwrap().is_empty(), "{written}");
    assert!((1.0..10.0).contains(&written["loss"].as_f64().unwrap()), "{written}");
    refused(&Ask::get("/v2").to(&miner), 404, "api-unknown-path");
    refused(&Ask::get("/v1/commands").to(&miner), 405, "api-wrong-method");
    let level = |body: &str| Ask::with("PUT", "/v1/log-level").body(body).to(&miner);
    refused(&level(r#"{"level":"loud"}"#), 400, "api-unknown-level");
    assert_eq!(level(r#"{"level":"debug"}"#).json(), json!({"level":"debug","origin":"api"}));
    assert_eq!(Ask::get("/v1/log-level").to(&miner).json()["level"], "debug");
    // A loss is a detail: it is in the log from now on.
    let folder = miner.home.path().join("state/logs");
    let in_log = || {
        let files = std::fs::read_dir(&folder).unwrap();
        files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect::<String>()
    };
    let from = in_log().len();
    let started = std::time::Instant::now();
    while !in_log()[from..].contains("DEBUG") {
        assert!(started.elapsed() < std::time::Duration::from_secs(60), "{}", &in_log()[from..]);
        std::thread::sleep(std::time::Duration::from_millis(50));
    }

    // A point is noted every two seconds, which may be longer than this miner has trained.
    let trained = |point: &Value| point["tokens_per_second"]["max"].as_f64() > Some(0.0);
    let started = std::time::Instant::now();
    loop {
        let past = Ask::get("/v1/history").to(&miner).json()["m0"].clone();
        let past = past.as_array().unwrap();
        assert!(past.iter().all(|point| point["seconds"] == 2), "{past:?}");
        if past.iter().any(trained) {
            break;
        }
        assert!(started.elapsed() < std::time::Duration::from_secs(30), "{past:?}");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }

    let config = Ask::get("/v1/config").to(&miner).json();
    let of = |key: &str| -> Value {
        let all = config["settings"].as_array().unwrap().iter();
        all.clone().find(|setting| setting["key"] == key).unwrap().clone()
    };
    assert_eq!(
        (&of("network")["value"], &of("network")["origin"]),
        (&json!("practice"), &json!("flag"))
    );
    assert_eq!(of("duty")["origin"], "default");
    assert_eq!(Ask::get("/ready").to(&miner).json(), json!({"ready": true}));
    assert_eq!(miner.stop(), 0);
}

#[test]
fn secrets_in_settings_are_not_told() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(home.path().join("config")).unwrap();
    let config = "alert_webhook = \"https://hooks.example/T0PSECRET\"\nalert_on = []\n";
    std::fs::write(home.path().join("config/config.toml"), config).unwrap();
    let miner = Miner::start_in(home);
    miner.until("a state", |event| event["event"] == "state");
    let answer = Ask::get("/v1/config").to(&miner);
    assert!(answer.body.contains("https://hooks.example"), "{}", answer.body);
    assert!(!answer.body.contains("T0PSECRET"), "{}", answer.body);
    let webhook = answer.json()["settings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|s| s["key"] == "alert_webhook")
        .unwrap()
        .clone();
    assert_eq!((&webhook["origin"], &webhook["line"]), (&json!("file"), &json!(1)));
}

#[test]
fn two_of_them_do_not_run_in_one_folder_and_a_killed_one_is_no_hindrance() {
    let mut miner = Miner::start();
    let home = miner.home.path().to_owned();
    let pid = miner.child.id().to_string();
    let again = ["run", "--network", "practice", "--headless"];
    let (code, _, said) = run(&home, &again);
    assert_eq!(code, 9, "{said}");
    for words in [format!("process {pid}, since 20"), "`hearth stop`".to_owned()] {
        assert!(said.contains(&words), "{words:?} is missing in: {said}");
    }
    // Another network in the same folder is a second one too; a demo is not.
    let other = ["run", "--headless", "--network", "http://127.0.0.1:9", "--accept-unpaid"];
    assert_eq!(run(&home, &other).0, 9);
    let demo = ["demo", "--headless", "--preset", "nano", "--epochs", "1", "--backend", "cpu"];
    assert_eq!(run(&home, &demo).0, 0);

    miner.child.kill().unwrap();
    miner.child.wait().unwrap();
    assert!(home.join("state/api.json").exists());
    let (code, said, _) = run(&home, &["status"]);
    assert_eq!(code, 40, "{said}");
    assert!(said.contains("not running") && said.contains(&pid), "{said}");
    assert_eq!(run(&home, &["pause"]).0, 40);

    // The port of the killed one is a stranger's now: it is told nothing, and not believed.
    let port = miner.port();
    let stranger = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let heard = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = stranger.accept().unwrap();
        let mut bytes = [0; 4096];
        let n = stream.read(&mut bytes).unwrap();
        let body = r#"{"alive":true,"pid":1,"since":1,"proof":"0"}"#;
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n";
        write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        String::from_utf8_lossy(&bytes[..n]).into_owned()
    });
    let (code, said, _) = run(&home, &["status", "--json"]);
    assert_eq!(code, 40, "{said}");
    let event: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&event["event"], &event["code"]), (&json!("not-reached"), &json!("not-running")));
    let heard = heard.join().unwrap();
    assert!(heard.starts_with("GET /health") && !heard.contains(&miner.token()), "{heard}");

    let empty = tempfile::tempdir().unwrap();
    let kept = std::mem::replace(&mut miner.home, empty);
    let next = Miner::start_in(kept);
    next.until("a loss", |event| event["event"] == "loss");
    assert_eq!(next.stop(), 0);
}

/// Only a practice swarm runs in the miner's own process; elsewhere its commands are for nobody.
#[test]
fn a_miner_of_a_network_has_no_swarm_to_command() {
    // Bound, so that nobody else answers there.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let miner = Miner::start_for(&format!("http://{}", silent.local_addr().unwrap()));
    let ask = || Ask::with("POST", "/v1/swarm/commands").body(r#"{"command":"write"}"#);
    refused(&ask().to(&miner), 404, "api-no-swarm");
    let page = miner.hearth(&["explain", "api-no-swarm"]).1;
    assert!(page.contains("hearth demo"), "{page}");
    assert_eq!(miner.stop(), 0);
}

//! Readers of events and snapshots: what they get, and that one who does not read holds nobody up.

use std::io::{BufRead as _, BufReader, Read as _};

use serde_json::Value;

use super::miner::{Ask, Miner};

/// The events of a stream, as JSON.
fn events(stream: std::net::TcpStream) -> impl Iterator<Item = Value> {
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    lines.filter_map(|line| {
        let data = line.strip_prefix("data:")?.trim().to_owned();
        Some(serde_json::from_str(&data).unwrap())
    })
}

#[test]
fn a_reader_gets_the_events_that_the_lines_tell_and_the_snapshots_of_a_screen() {
    let miner = Miner::start();
    let told = events(Ask::get("/v1/events").open(&miner));
    let mut seen = std::collections::BTreeSet::new();
    for event in told {
        seen.insert(event["event"].as_str().unwrap().to_owned());
        if ["state", "phase", "loss", "step", "merge"].iter().all(|word| seen.contains(*word)) {
            break;
        }
    }
    let mut news = events(Ask::get("/v1/snapshots").open(&miner));
    let first = news.next().unwrap();
    assert_eq!(first["news"], "overview");
    assert_eq!(first["process"]["pid"], miner.child.id());
    let known = first["swarm"]["losses"].as_array().unwrap().len();
    assert!(known > 0);
    let (mut own, mut losses, mut kept) = (false, known, 0);
    for news in news.by_ref() {
        match news["news"].as_str().unwrap() {
            "miner" => own = true,
            "swarm" => {
                losses += news["losses"]["append"].as_array().unwrap().len();
                kept = usize::try_from(news["losses"]["keep"].as_u64().unwrap()).unwrap();
                assert!(news["snapshot"]["losses"].as_array().unwrap().is_empty());
            }
            _ => {}
        }
        if own && losses > known + 3 {
            break;
        }
    }
    assert!(kept <= losses, "{kept} {losses}");
    // The last words reach who listens, and then the stream ends.
    assert_eq!(miner.stop(), 0);
    let last: Vec<Value> = news.collect();
    let stopped = |news: &Value| news["snapshot"]["status"]["state"] == "stopped";
    assert!(last.iter().any(stopped), "{last:#?}");
}

#[test]
fn readers_that_never_read_hold_nobody_up_and_are_told_what_they_lost() {
    let miner = Miner::start();
    // Their connections fill up, and stay full.
    let asleep: Vec<_> = ["/v1/events", "/v1/snapshots"]
        .into_iter()
        .cycle()
        .take(20)
        .map(|path| Ask::get(path).open(&miner))
        .collect();
    let epoch = miner.own()["epoch"].as_u64().unwrap();
    let work = miner.own()["work"]["backwards"].as_u64().unwrap();
    miner.until("two more epochs", |event| {
        event["event"] == "merge" && event["epoch"].as_u64() > Some(epoch + 1)
    });
    assert!(miner.own()["work"]["backwards"].as_u64().unwrap() > work);
    let (code, said, _) = miner.hearth(&["status"]);
    assert!([0, 10].contains(&code), "{said}");
    drop(asleep);
    assert_eq!(miner.stop(), 0);
}

/// The buffer itself, with a miner that tells more than it holds.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_loses_the_oldest_and_is_told_how_many() {
    use hearth::clock::{Clock, Entropy};
    use hearth::config::folders::Folders;
    use hearth::config::live::LiveSettings;
    use hearth::config::settings::Settings;
    use hearth::control::server::{Api, Offer};
    use hearth::control::{Control, Miners, Progress};
    use hearth::host::rules::Ruling;
    use hearth::miner::{DeviceView, Eta, MinerSnapshot, Reason, State, Status, Who, Work};
    use hearth::telemetry::{Event, Events, SampleWhen};
    use std::io::Write as _;
    use tokio::sync::watch;

    let status = Status {
        state: State::Training,
        reason: Reason::WorkAvailable,
        since: 1.5,
        next: "work".into(),
        who: Who::Machine,
        eta: Eta::Unknown,
    };
    let snapshot: MinerSnapshot = serde_json::from_value(serde_json::json!({
        "name": "m0", "hotkey": "5x", "run": null, "stage": null, "stages": 0, "epoch": 0,
        "recovered": null, "queue": null, "phase": null, "status": status, "work": Work::default(),
        "tokens_per_second": [1.0, 2.0, 3.0], "forward_queue": 1, "backward_queue": 2, "cache": 3,
        "cache_capacity": 4, "ruling": Ruling::free(1.0), "device": DeviceView::default(), "reach": null, "neighbours": [],
        "losses": [],
    }))
    .unwrap();
    let (_own, watched) = watch::channel(snapshot);
    let (_progress, progress) = watch::channel(Progress::Running);
    let events = Events::new();
    let home = tempfile::tempdir().unwrap();
    let folders = Folders::under(home.path());
    let control = Control {
        miners: Miners::one(watched),
        swarm: None,
        to_swarm: None,
        names: std::sync::Arc::default(),
        epochs: None,
        progress,
        histories: Default::default(),
        send: std::sync::Arc::new(|_| {}),
    };
    let settings = LiveSettings::fixed(Settings::default());
    let offer = Offer { control, events: events.clone(), settings, clock: Clock::system() };
    let api = Api::start(offer, 0, &folders, &mut Entropy::system()).unwrap();
    let port = api.port();
    let token = std::fs::read_to_string(folders.state.join("api.token")).unwrap();
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(
        stream,
        "GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n\r\n"
    )
    .unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");

    // Far more than the system's buffers of the connection (tens of megabytes) and ours take together; nobody
    // waits for the reader.
    const ALL: usize = 40_000;
    let text = "x".repeat(4000);
    let telling = tokio::time::timeout(std::time::Duration::from_secs(60), async {
        for i in 0..ALL {
            events.emit(Event::Sample { when: SampleWhen::Before, text: format!("{i} {text}") });
            if i % 10 == 0 {
                tokio::task::yield_now().await;
            }
        }
    });
    telling.await.unwrap();
    let read = tokio::task::spawn_blocking(move || {
        let (mut got, mut lost, mut last) = (0, 0, 0);
        for event in self::events(stream) {
            if event["event"] == "lost" {
                lost += usize::try_from(event["count"].as_u64().unwrap()).unwrap();
            } else {
                got += 1;
                let number = event["text"].as_str().unwrap().split(' ').next().unwrap();
                last = number.parse::<usize>().unwrap();
            }
            if last + 1 == ALL {
                break;
            }
        }
        (got, lost)
    });
    let (got, lost) = read.await.unwrap();
    assert!(lost > 0, "everything fitted into the connection");
    assert_eq!(got + lost, ALL);
    api.end().await;
    assert!(!folders.state.join("api.json").exists() && !folders.state.join("api.token").exists());
}

//! A network that is watched on a screen.

use super::is_sane;
use super::pty::Terminal;

/// A network on a screen, from what it publishes, with no key of its own.
#[test]
fn a_network_is_watched_on_a_screen() {
    let server = Publisher::start();
    server.publish(Some(network("training", 11)));
    let home = tempfile::tempdir().unwrap();
    let variables = [("HEARTH_HOME", home.path().to_str().unwrap())];
    let mut terminal = Terminal::start(24, 80, &["watch", &server.address], &variables);
    terminal.wait_for("the map", |text| {
        text.contains("stage 0 training") && text.contains("11 backwards")
    });
    assert!(terminal.text().contains(&server.address), "{}", terminal.text());
    server.publish(Some(network("weights_uploading", 12)));
    terminal.wait_for("the next phase", |text| {
        text.contains("stage 0 uploading") && text.contains("12 backwards")
    });
    server.publish(None);
    terminal.wait_for("the silence", |text| text.contains("asking again"));
    server.publish(Some(network("training", 13)));
    terminal.wait_for("its voice again", |text| {
        text.contains("13 backwards") && text.contains("q quit")
    });
    terminal.press("q");
    assert_eq!(terminal.ended(), 0, "{}", terminal.text());
    assert!(is_sane(&terminal));
}

fn network(phase: &str, backwards: u64) -> String {
    use hearth::swarm::public::PublicNetwork;
    use hearth::swarm::{MinerView, StageView, SwarmSnapshot};
    let miner = MinerView {
        hotkey: "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY".into(),
        status: "training".into(),
        forwards: 20,
        backwards,
        partitions: 0,
        score: 1.0,
    };
    let stage =
        StageView { stage: 0, phase: phase.into(), epoch: 2, progress: 0.5, miners: vec![miner] };
    let swarm = SwarmSnapshot { stages: vec![stage], ..SwarmSnapshot::default() };
    serde_json::to_string(&PublicNetwork::of(&swarm, 7)).unwrap()
}

/// Answers every request with what is published now, or not at all.
struct Publisher {
    address: String,
    body: std::sync::Arc<std::sync::Mutex<Option<String>>>,
}

impl Publisher {
    fn start() -> Self {
        use std::io::{Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let body = std::sync::Arc::<std::sync::Mutex<Option<String>>>::default();
        let now = std::sync::Arc::clone(&body);
        std::thread::spawn(move || {
            for mut asked in listener.incoming().map_while(Result::ok) {
                let mut request = Vec::new();
                let mut bytes = [0; 1024];
                while !request.ends_with(b"\r\n\r\n") {
                    match asked.read(&mut bytes) {
                        Ok(n @ 1..) => request.extend_from_slice(&bytes[..n]),
                        _ => break,
                    }
                }
                if let Some(body) = now.lock().unwrap().clone() {
                    let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: ";
                    let _ = write!(asked, "{head}{}\r\n\r\n{body}", body.len());
                }
            }
        });
        Self { address, body }
    }

    fn publish(&self, body: Option<String>) {
        *self.body.lock().unwrap() = body;
    }
}

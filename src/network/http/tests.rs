//! Servers that mean harm or are broken: they redirect, hang, trickle, never stop, or send headers
//! without end. Each costs its time limit and a bounded number of bytes, no more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::{Router, body::Body, routing::get};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::network::test_server;

const LIMIT: Duration = Duration::from_millis(500);

async fn fetch(client: &HttpClient, url: &str, limit: usize) -> Result<Answer, ExchangeError> {
    let request = client.requests().get(url).build().unwrap();
    client.exchange(request, limit, LIMIT).await
}

/// A server that writes `start`, then `piece` after each `pause`, for as long as it is listened to.
struct Endless {
    url: String,
    written: Arc<AtomicU64>,
}

impl Endless {
    async fn start(start: &'static [u8], piece: Vec<u8>, pause: Duration) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let written = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&written);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (piece, count) = (piece.clone(), Arc::clone(&count));
                tokio::spawn(async move {
                    let mut request = [0; 4096];
                    if stream.read(&mut request).await.is_err() {
                        return;
                    }
                    let mut next: &[u8] = start;
                    while stream.write_all(next).await.is_ok() {
                        count.fetch_add(next.len() as u64, Ordering::Relaxed);
                        tokio::time::sleep(pause).await;
                        next = &piece;
                    }
                });
            }
        });
        Self { url, written }
    }

    fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }
}

#[tokio::test]
async fn bodies_are_bounded_whether_announced_or_not() {
    let chunked = || async {
        Body::from_stream(futures::stream::iter(
            (0..4).map(|_| Ok::<_, std::io::Error>(vec![7_u8; 100])),
        ))
    };
    let router = Router::new()
        .route("/announced", get(|| async { vec![7_u8; 400] }))
        .route("/chunked", get(chunked));
    let base = test_server::start(router).await;
    let client = test_server::client();
    for path in ["announced", "chunked"] {
        let url = format!("{base}/{path}");
        assert_eq!(fetch(&client, &url, 400).await.unwrap().body, vec![7; 400]);
        assert_eq!(fetch(&client, &url, 399).await.unwrap_err(), ExchangeError::TooLarge(399));
    }
    assert_eq!(client.traffic.received(), 800);
}

#[tokio::test]
async fn a_server_that_never_answers_is_a_timeout_and_a_closed_port_a_transport_error() {
    let router = Router::new().route("/", get(std::future::pending::<()>));
    let base = test_server::start(router).await;
    let late = fetch(&test_server::client(), &base, 10).await.unwrap_err();
    assert_eq!(late, ExchangeError::Timeout(LIMIT));

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = format!("http://{address}/");
    let refused = fetch(&test_server::client(), &url, 10).await.unwrap_err();
    assert!(matches!(refused, ExchangeError::Transport(_)), "{refused:?}");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let to = || async { axum::response::Redirect::temporary("/elsewhere") };
    let base = test_server::start(Router::new().route("/", get(to))).await;
    let answer = fetch(&test_server::client(), &base, 10).await.unwrap();
    assert_eq!(answer.status, StatusCode::TEMPORARY_REDIRECT);
}

#[tokio::test]
async fn a_server_that_trickles_runs_into_the_time_limit_of_the_whole_exchange() {
    let pause = Duration::from_millis(20);
    let body = b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n";
    let chunks = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let servers = [
        // One byte at a time, of the body, of a chunk's size, of a header.
        Endless::start(body, b"x".to_vec(), pause).await,
        Endless::start(chunks, b"1\r\nx\r\n".to_vec(), pause).await,
        Endless::start(chunks, b"0".to_vec(), Duration::from_millis(40)).await,
        Endless::start(b"HTTP/1.1 200 OK\r\nx-slow: ", b"x".to_vec(), pause).await,
        // "Go on", for ever, without an answer.
        Endless::start(
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n".to_vec(),
            pause,
        )
        .await,
    ];
    for (i, server) in servers.iter().enumerate() {
        let started = Instant::now();
        let error = fetch(&test_server::client(), &server.url, 1 << 20).await.unwrap_err();
        assert_eq!(error, ExchangeError::Timeout(LIMIT), "server {i}");
        assert!(started.elapsed() < LIMIT * 4, "server {i}: {:?}", started.elapsed());
    }
}

#[tokio::test]
async fn a_server_that_never_stops_is_cut_off_after_what_was_wanted() {
    let piece = vec![b'x'; 64 << 10];
    let chunk = [b"10000\r\n".as_slice(), &piece, b"\r\n"].concat();
    let at_once = Duration::ZERO;
    let servers = [
        // Ten gigabytes announced; no end announced; chunk after chunk.
        Endless::start(
            b"HTTP/1.1 200 OK\r\ncontent-length: 10737418240\r\n\r\n",
            piece.clone(),
            at_once,
        )
        .await,
        Endless::start(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n", piece, at_once).await,
        Endless::start(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", chunk, at_once)
            .await,
    ];
    for (i, server) in servers.iter().enumerate() {
        let error = fetch(&test_server::client(), &server.url, 1 << 20).await.unwrap_err();
        assert_eq!(error, ExchangeError::TooLarge(1 << 20), "server {i}");
        // What was wanted, and what the sockets' buffers hold.
        assert!(server.written() < 24 << 20, "server {i}: {}", server.written());
    }
}

#[tokio::test]
async fn headers_without_end_are_a_short_error_and_not_held() {
    let long = [b"x-long: ".as_slice(), &[b'x'; 60_000], b"\r\n"].concat();
    let one = vec![b'x'; 60_000];
    let servers = [
        Endless::start(b"HTTP/1.1 200 OK\r\n", b"x-many: x\r\n".repeat(5000), Duration::ZERO).await,
        Endless::start(b"HTTP/1.1 200 OK\r\n", long, Duration::ZERO).await,
        Endless::start(b"HTTP/1.1 200 OK\r\nx-one: ", one.clone(), Duration::ZERO).await,
        Endless::start(b"HTTP/1.1 200 ", one.clone(), Duration::ZERO).await,
        Endless::start(b"", one, Duration::ZERO).await,
    ];
    for (i, server) in servers.iter().enumerate() {
        let error = fetch(&test_server::client(), &server.url, 1 << 20).await.unwrap_err();
        let ExchangeError::Transport(why) = &error else { panic!("server {i}: {error}") };
        assert!(why.chars().count() < 300, "{why}");
        assert!(server.written() < 24 << 20, "server {i}: {}", server.written());
    }
}

#[tokio::test]
async fn what_is_no_http_is_a_transport_error() {
    for nonsense in
        ["", "\r\n\r\n", "SSH-2.0-x\r\n", "HTTP/9.9 200 OK\r\n\r\n", "HTTP/1.1 x\r\n\r\n"]
    {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(nonsense.as_bytes()).await;
            }
        });
        let error = fetch(&test_server::client(), &url, 1 << 20).await.unwrap_err();
        assert!(matches!(error, ExchangeError::Transport(_)), "{nonsense:?}: {error}");
    }
}

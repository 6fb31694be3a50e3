//! The line between a miner and its servers: it can be cut, hang, or answer nonsense, and be mended.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How the line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// In order.
    Open,
    /// Every connection is cut, and new ones with it.
    Cut,
    /// Connections are taken and nothing ever comes.
    Silent,
    /// Every request is answered with status 500.
    Broken,
    /// Every request is answered with something that is no answer.
    Garbage,
}

/// The line.
pub struct Gate {
    pub base: String,
    line: watch::Sender<Line>,
    tries: Arc<AtomicUsize>,
}

impl Gate {
    /// In front of the server at `to` (`http://..`).
    pub async fn before(to: &str) -> Self {
        let to = to.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (line, watched) = watch::channel(Line::Open);
        let tries = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&tries);
        tokio::spawn(async move {
            while let Ok((from, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(from, to.clone(), watched.clone()));
            }
        });
        Self { base, line, tries }
    }

    /// The line is like this from now on.
    pub fn set(&self, line: Line) {
        self.line.send(line).unwrap();
    }

    /// Connections so far.
    pub fn tries(&self) -> usize {
        self.tries.load(Ordering::Relaxed)
    }
}

/// One connection, until the line changes.
async fn serve(mut from: TcpStream, to: String, mut line: watch::Receiver<Line>) {
    let now = *line.borrow_and_update();
    let passing = async {
        match now {
            Line::Open => {
                let mut to = TcpStream::connect(to).await?;
                copy_bidirectional(&mut from, &mut to).await.map(drop)
            }
            Line::Cut => Ok(()),
            Line::Silent => std::future::pending().await,
            Line::Broken => {
                let answer =
                    "HTTP/1.1 500 Oops\r\ncontent-length: 4\r\nconnection: close\r\n\r\noops";
                answered(&mut from, answer).await
            }
            Line::Garbage => {
                let answer =
                    "HTTP/1.1 200 OK\r\ncontent-length: 9\r\nconnection: close\r\n\r\n{\"a\": [1,";
                answered(&mut from, answer).await
            }
        }
    };
    tokio::select! {
        // A connection that breaks is what this is for.
        _ = passing => {}
        _ = line.changed() => {}
    }
}

async fn answered(from: &mut TcpStream, answer: &str) -> std::io::Result<()> {
    let mut asked = [0; 4096];
    let _ = from.read(&mut asked).await?;
    from.write_all(answer.as_bytes()).await
}

//! A small HTTP server for release folders, with the ways in which downloads go wrong.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

/// What happens to archives on their way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// They arrive.
    Whole,
    /// The connection ends half-way.
    BreaksOff,
    /// Nothing more comes half-way, but the connection stays.
    Stalls,
}

/// Serves a folder until the test ends.
pub struct Server {
    /// Its address.
    pub url: String,
    /// Gets the name of each archive that was half delivered.
    pub half_way: mpsc::Receiver<String>,
}

impl Server {
    pub fn start(folder: &Path, delivery: Delivery) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/files/", listener.local_addr().unwrap());
        let (sender, half_way) = mpsc::channel();
        let folder = folder.to_owned();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (folder, sender) = (folder.clone(), sender.clone());
                // A client that hangs up is part of the tests.
                std::thread::spawn(move || answer(stream.unwrap(), &folder, delivery, &sender));
            }
        });
        Self { url, half_way }
    }
}

fn answer(
    mut stream: TcpStream,
    folder: &Path,
    delivery: Delivery,
    half_way: &mpsc::Sender<String>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let path = request.split(' ').nth(1).unwrap_or("").to_owned();
    let file = path.strip_prefix("/files/").map(|name| folder.join(name));
    let Some(content) = file.filter(|file| file.is_file()).map(read) else {
        let refusal = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        return stream.write_all(refusal);
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        content.len()
    );
    stream.write_all(head.as_bytes())?;
    if delivery == Delivery::Whole || !path.ends_with(".tar.gz") {
        return stream.write_all(&content);
    }
    stream.write_all(&content[..content.len() / 2])?;
    stream.flush()?;
    // Nobody listens where the test does not care.
    let _ = half_way.send(path);
    if delivery == Delivery::Stalls {
        // Until the client hangs up.
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    }
    Ok(())
}

fn read(path: PathBuf) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

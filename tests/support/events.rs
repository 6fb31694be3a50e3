//! A `hearth` of its own process that says what happens as JSON, one event a line.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use serde_json::Value;

/// Starts the command; its events come out of the receiver. They are read to the end, though nobody may
/// want them any more: a program whose reader goes away is told so.
pub fn started(command: &mut Command) -> (Child, mpsc::Receiver<Value>) {
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().expect("hearth starts");
    let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let (sender, events) = mpsc::channel();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let event = serde_json::from_str(&line).expect("every line is an event");
            let _ = sender.send(event);
        }
    });
    (child, events)
}

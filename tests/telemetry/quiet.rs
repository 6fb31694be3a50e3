//! By default nothing is sent anywhere: the system calls of a whole run are looked through.

#![cfg(target_os = "linux")]

use std::fs;
use std::process::Command;

use crate::runs::Run;

/// Addresses of this machine.
fn is_own(address: &str) -> bool {
    address.starts_with("127.") || matches!(address, "0.0.0.0" | "::" | "::1" | "::ffff:127.0.0.1")
}

#[test]
fn a_run_with_default_settings_speaks_to_nobody_but_its_swarm() {
    let home = tempfile::tempdir().unwrap();
    let trace = home.path().join("trace");
    let strace = Command::new("strace").arg("-V").output().is_ok();
    let mut command = if strace {
        let mut command = Command::new("strace");
        command.args([
            "-f",
            "-qq",
            // Says of each descriptor what kind of socket it is and where it is connected to.
            "-yy",
            "--seccomp-bpf",
            "-e",
            "trace=connect,sendto,sendmsg,sendmmsg",
            "-o",
        ]);
        command.arg(&trace).arg(env!("CARGO_BIN_EXE_hearth"));
        command
    } else {
        Command::new(env!("CARGO_BIN_EXE_hearth"))
    };
    command.env("HEARTH_HOME", home.path()).env_remove("RUST_LOG");
    command.args(["run", "--network", "practice", "--preset", "nano"]);
    command.args(["--headless", "--json", "--backend", "cpu"]);
    let mut run = Run::of(&mut command);
    run.until("first merge", |event| event["event"] == "merge");
    if !strace {
        // Not every call, but what is open now.
        let open = open_connections(run.child.id());
        assert!(open.iter().any(|address| is_own(address)), "{open:?}");
        let foreign: Vec<_> = open.iter().filter(|address| !is_own(address)).collect();
        assert!(foreign.is_empty(), "{foreign:?}");
        assert_eq!(run.stop(), 0);
        return;
    }
    // The signal goes to the program, not to who traces it.
    let child = fs::read_to_string(format!("/proc/{0}/task/{0}/children", run.child.id())).unwrap();
    let child = child.split_whitespace().next().unwrap();
    assert!(Command::new("kill").args(["-TERM", child]).status().unwrap().success());
    assert!(run.child.wait().unwrap().success());
    let calls = fs::read_to_string(&trace).unwrap();
    let mut own = 0;
    let mut foreign = Vec::new();
    for line in calls.lines() {
        if asks_for_the_own_address(line) {
            continue;
        }
        if line.contains(NOBODY) {
            foreign.push(line);
            continue;
        }
        for (before, after) in [("inet_addr(\"", '"'), ("inet_pton(AF_INET6, \"", '"')] {
            for part in line.split(before).skip(1) {
                let address = part.split(after).next().unwrap();
                if is_own(address) {
                    own += 1;
                } else {
                    foreign.push(line);
                }
            }
        }
    }
    assert!(own > 10, "the trace has hardly any calls: {own}");
    assert!(foreign.is_empty(), "{foreign:#?}");
}

/// An address that nobody has.
const NOBODY: &str = "10.254.254.254";

/// Whether a call is the one by which the peers' transport learns which address of this machine is the
/// usual one: it connects a datagram socket, which sends nothing, to where nobody is, and asks the kernel
/// what it would send from. It is in the transport and cannot be turned off. A send over such a socket
/// would be a line of its own, with the same address in it.
fn asks_for_the_own_address(line: &str) -> bool {
    let call = line.split_once(' ').map_or(line, |(_, call)| call.trim_start());
    let to = format!("{{sa_family=AF_INET, sin_port=htons(1), sin_addr=inet_addr(\"{NOBODY}\")}}");
    call.starts_with("connect(") && call.contains("<UDP:[") && call.contains(&to)
}

/// The other ends of the process's TCP connections.
fn open_connections(process: u32) -> Vec<String> {
    let sockets: Vec<String> = fs::read_dir(format!("/proc/{process}/fd"))
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|link| {
            Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
        })
        .collect();
    let table = fs::read_to_string(format!("/proc/{process}/net/tcp")).unwrap();
    let rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| sockets.iter().any(|inode| inode == row[9]))
        .map(|row| {
            let hex = u32::from_str_radix(row[2].split(':').next().unwrap(), 16).unwrap();
            std::net::Ipv4Addr::from(hex.to_le_bytes()).to_string()
        })
        .collect()
}

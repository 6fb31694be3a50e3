//! The network of the tests: a public segment on which relay and registry live, and homes behind
//! routers that translate addresses as real ones do. All of it in namespaces that go with the test.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// What kind of router a home has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nat {
    /// One outside port per inside port, and whatever comes to it is let in.
    FullCone,
    /// One outside port per inside port; only who was written to from it may answer.
    PortRestricted,
    /// Another outside port for each destination; only that destination may answer.
    Symmetric,
    /// As port-restricted, but UDP is thrown away.
    NoUdp,
}

/// The namespaces. They go when this is dropped, also when a test fails.
#[derive(Debug)]
pub struct Lab {
    name: String,
    homes: usize,
}

impl Lab {
    /// One home behind each router; `None`, with a line that says why, where that cannot be had.
    pub fn new(routers: &[Nat]) -> Option<Self> {
        static HINDRANCE: OnceLock<Option<String>> = OnceLock::new();
        if let Some(why) = HINDRANCE.get_or_init(hindrance) {
            println!("skipped: needs root and network namespaces ({why})");
            return None;
        }
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}", std::process::id());
        // From here on dropping it removes what there is.
        let lab = Self { name, homes: routers.len() };
        lab.build(routers);
        Some(lab)
    }

    /// The namespace of relay and registry, 203.0.113.1.
    pub fn public(&self) -> Option<String> {
        Some(format!("{}-pub", self.name))
    }

    /// The namespace of a home.
    pub fn home(&self, number: usize) -> Option<String> {
        Some(format!("{}-home{number}", self.name))
    }

    fn router(&self, number: usize) -> String {
        format!("{}-router{number}", self.name)
    }

    fn build(&self, routers: &[Nat]) {
        let public = self.public().unwrap();
        ip(&format!("netns add {public}"));
        ip(&format!("-n {public} link set lo up"));
        ip(&format!("-n {public} link add br0 type bridge"));
        ip(&format!("-n {public} addr add 203.0.113.1/24 dev br0"));
        ip(&format!("-n {public} link set br0 up"));
        for (number, nat) in routers.iter().enumerate() {
            let (router, home) = (self.router(number), self.home(number).unwrap());
            let host = 11 + number;
            for namespace in [&router, &home] {
                ip(&format!("netns add {namespace}"));
                ip(&format!("-n {namespace} link set lo up"));
            }
            ip(&format!(
                "link add wan netns {router} type veth peer name w{number} netns {public}"
            ));
            ip(&format!("-n {public} link set w{number} master br0 up"));
            ip(&format!("-n {router} addr add 203.0.113.{host}/24 dev wan"));
            ip(&format!("-n {router} link set wan up"));
            ip(&format!("link add lan netns {router} type veth peer name eth0 netns {home}"));
            ip(&format!("-n {router} addr add 192.168.{host}.1/24 dev lan"));
            ip(&format!("-n {router} link set lan up"));
            ip(&format!("-n {home} addr add 192.168.{host}.2/24 dev eth0"));
            ip(&format!("-n {home} link set eth0 up"));
            ip(&format!("-n {home} route add default via 192.168.{host}.1"));
            let forward = "echo 1 > /proc/sys/net/ipv4/ip_forward";
            run(&["ip", "netns", "exec", &router, "sh", "-c", forward]);
            run(&[
                "ip",
                "netns",
                "exec",
                &router,
                "nft",
                &rules(*nat, &format!("192.168.{host}.2")),
            ]);
        }
    }

    /// What the routers translate, for a failed test's message.
    pub fn look(&self) -> String {
        let mut seen = String::new();
        for number in 0..self.homes {
            let table = "cat /proc/net/nf_conntrack 2>/dev/null | grep udp | head -20";
            let router = self.router(number);
            let out =
                Command::new("ip").args(["netns", "exec", &router, "sh", "-c", table]).output();
            let text = out.map(|out| String::from_utf8_lossy(&out.stdout).into_owned());
            seen.push_str(&format!("router {number}:\n{}", text.unwrap_or_default()));
        }
        seen
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        remove(&format!("{}-", self.name));
    }
}

/// A router's rules for `home`. New connections from outside are dropped, not answered: an answer
/// would occupy the port that a hole is to be made through.
fn rules(nat: Nat, home: &str) -> String {
    let random = if nat == Nat::Symmetric { "fully-random" } else { "" };
    let (inward, open) = match nat {
        Nat::FullCone => (
            format!("iifname wan udp dport 1024-65535 dnat to {home}"),
            "iifname wan meta l4proto udp accept",
        ),
        _ => (String::new(), ""),
    };
    let block = if nat == Nat::NoUdp { "meta l4proto udp drop" } else { "" };
    format!(
        "table ip home {{
            chain outward {{
                type nat hook postrouting priority 100;
                oifname wan masquerade {random}
            }}
            chain inward {{
                type nat hook prerouting priority -100;
                {inward}
            }}
            chain own {{
                type filter hook input priority 0;
                iifname wan ct state new drop
            }}
            chain through {{
                type filter hook forward priority 0;
                {block}
                {open}
                iifname wan ct state new drop
            }}
        }}"
    )
}

/// How namespaces of these tests begin.
const PREFIX: &str = "hearth-links-";

/// Why no namespaces can be made here.
fn hindrance() -> Option<String> {
    if !cfg!(target_os = "linux") {
        return Some("this is no Linux".to_owned());
    }
    for tool in ["ip", "nft"] {
        if Command::new(tool).arg("-V").output().is_err() {
            return Some(format!("there is no program `{tool}`"));
        }
    }
    // What root, or its part in a container, may do is known only by trying.
    let probe = format!("{PREFIX}{}-probe", std::process::id());
    let made = Command::new("ip").args(["netns", "add", &probe]).output().unwrap();
    let mut worked = made.status.success();
    if worked {
        let table = rules(Nat::Symmetric, "192.168.1.2");
        let tried = Command::new("ip").args(["netns", "exec", &probe, "nft", &table]).output();
        worked = tried.is_ok_and(|out| out.status.success());
        let gone = Command::new("ip").args(["netns", "del", &probe]).output();
        drop(gone);
    }
    if worked {
        sweep();
    }
    (!worked).then(|| "they cannot be made, or cannot translate addresses".to_owned())
}

/// Removes what a test run left behind that was killed.
fn sweep() {
    for name in namespaces() {
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        let process = rest.split('-').next().unwrap_or_default();
        if !Path::new("/proc").join(process).exists() {
            remove(&name);
        }
    }
}

fn namespaces() -> Vec<String> {
    let out = Command::new("ip").args(["netns", "list"]).output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// Removes all namespaces whose names begin so.
fn remove(prefix: &str) {
    for name in namespaces().into_iter().filter(|name| name.starts_with(prefix)) {
        let gone = Command::new("ip").args(["netns", "del", &name]).output();
        drop(gone);
    }
}

#[track_caller]
fn ip(arguments: &str) {
    let mut command = vec!["ip"];
    command.extend(arguments.split_whitespace());
    run(&command);
}

#[track_caller]
fn run(command: &[&str]) {
    let out = Command::new(command[0]).args(&command[1..]).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{command:?}: {said}");
}

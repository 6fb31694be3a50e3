//! Installing from an address: with curl, with wget, with neither; downloads that go wrong.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::server::{Delivery, Server};
use crate::world::{World, output, refused, tree, well};

/// A PATH with the system's tools but for these.
fn path_without(world: &World, missing: &[&str]) -> String {
    let folder = world.path(&format!("without-{}", missing.join("-")));
    std::fs::create_dir_all(&folder).unwrap();
    for tools in ["/usr/bin", "/bin"] {
        for tool in std::fs::read_dir(tools).unwrap() {
            let tool = tool.unwrap().path();
            let name = tool.file_name().unwrap();
            if missing.iter().any(|missing| name == *missing) || folder.join(name).is_symlink() {
                continue;
            }
            std::os::unix::fs::symlink(&tool, folder.join(name)).unwrap();
        }
    }
    folder.display().to_string()
}

fn is_here(tool: &str) -> bool {
    let here = Path::new("/usr/bin").join(tool).exists();
    if !here {
        eprintln!("skipped: this machine has no {tool}");
    }
    here
}

fn install_from(world: &World, url: &str, path: &str) -> Command {
    let mut command = world.installer();
    command.args(["--from", url]).env("PATH", path);
    command
}

#[test]
fn either_of_two_downloaders_will_do() {
    let world = World::new(&["0.1.0"]);
    let server = Server::start(&world.release(), Delivery::Whole);
    for (tool, other) in [("curl", "wget"), ("wget", "curl")] {
        if !is_here(tool) {
            continue;
        }
        let path = path_without(&world, &[other]);
        let said = well(&output(&mut install_from(&world, &server.url, &path)));
        assert!(said.contains("Downloading hearth-0.1.0-"), "{said}");
        assert_eq!(world.installed_version(), "hearth 0.1.0");
        well(&output(world.installer().arg("--uninstall")));
    }
}

#[test]
fn a_small_system_with_nothing_but_busybox_will_do() {
    if !is_here("busybox") {
        return;
    }
    let world = World::new(&["0.1.0"]);
    let server = Server::start(&world.release(), Delivery::Whole);
    let tools = world.path("busybox");
    std::fs::create_dir(&tools).unwrap();
    for tool in well(&output(Command::new("busybox").arg("--list"))).lines() {
        std::os::unix::fs::symlink("/usr/bin/busybox", tools.join(tool)).unwrap();
    }
    let run = |arguments: &[&str]| {
        let mut command = world.shell(tools.join("sh").to_str().unwrap());
        command.arg(crate::world::root().join("installer/install.sh")).args(arguments);
        well(&output(command.env("PATH", &tools).env("SHELL", "/bin/ash")))
    };
    assert!(run(&["--from", &server.url]).contains("0.1.0 is installed"));
    assert_eq!(world.installed_version(), "hearth 0.1.0");
    assert!(run(&["--from", &server.url]).contains("already installed"));
    run(&["--uninstall"]);
    assert!(tree(&world.home()).is_empty(), "{:?}", tree(&world.home()).keys());
}

#[test]
fn the_script_may_come_through_a_pipe() {
    let world = World::new(&["0.1.0"]);
    let script = std::fs::File::open(crate::world::root().join("installer/install.sh")).unwrap();
    let mut command = world.shell("sh");
    command.args(["-s", "--", "--from"]).arg(world.release()).stdin(script);
    well(&command.output().unwrap());
    assert_eq!(world.installed_version(), "hearth 0.1.0");
    // Its copy is of use afterwards.
    let copy = world.local("lib/hearth/install.sh");
    well(&output(world.shell("sh").arg(copy).arg("--uninstall")));
    assert!(tree(&world.home()).is_empty());
}

#[test]
fn without_a_home_it_asks_for_a_place() {
    let world = World::new(&["0.1.0"]);
    refused(&output(world.install().env_remove("HOME")), 1, &["HOME is not set", "--prefix"]);
    let prefix = world.path("place");
    let mut install = world.install();
    let said = well(&output(install.arg("--prefix").arg(&prefix).env_remove("HOME")));
    assert!(said.contains("*) PATH="), "{said}");
    let mut purge = world.installer();
    purge.args(["--uninstall", "--purge", "--yes", "--prefix"]).arg(&prefix);
    well(&output(purge.env_remove("HOME")));
    assert!(!prefix.exists());
}

#[test]
fn without_a_downloader_folders_still_work() {
    let world = World::new(&["0.1.0"]);
    let server = Server::start(&world.release(), Delivery::Whole);
    let path = path_without(&world, &["curl", "wget"]);
    let refusal = output(&mut install_from(&world, &server.url, &path));
    refused(&refusal, 1, &["neither curl nor wget", "--from FOLDER"]);
    well(&output(world.install().env("PATH", path)));
    assert_eq!(world.installed_version(), "hearth 0.1.0");
}

#[test]
fn without_a_checksum_tool_nothing_is_installed() {
    let world = World::new(&["0.1.0"]);
    let before = tree(&world.home());
    let path = path_without(&world, &["sha256sum", "shasum"]);
    refused(&output(world.install().env("PATH", path)), 1, &["sha256sum nor shasum"]);
    world.assert_untouched(&before);
}

#[test]
fn a_download_that_breaks_off_leaves_nothing() {
    let world = World::new(&["0.1.0"]);
    let before = tree(&world.home());
    let server = Server::start(&world.release(), Delivery::BreaksOff);
    for (tool, other) in [("curl", "wget"), ("wget", "curl")] {
        if !is_here(tool) {
            continue;
        }
        let path = path_without(&world, &[other]);
        let broken = output(&mut install_from(&world, &server.url, &path));
        refused(&broken, 1, &["could not be downloaded", "nothing was changed"]);
        world.assert_untouched(&before);
    }
}

#[test]
fn a_wrong_address_is_named() {
    let world = World::new(&["0.1.0"]);
    let server = Server::start(&world.release(), Delivery::Whole);
    let wrong = server.url.replace("/files/", "/other");
    let refusal = output(world.installer().args(["--from", &wrong]));
    refused(&refusal, 1, &["/other/SHA256SUMS", "could not be downloaded"]);
    let open = output(world.installer().args(["--from", "http://hearth.example/release"]));
    refused(&open, 1, &["use https"]);
    refused(&output(world.installer().args(["--from", "ftp://hearth.example"])), 1, &["https"]);
}

#[test]
fn stopped_in_the_middle_of_a_download_it_leaves_nothing() {
    if !is_here("curl") {
        return;
    }
    let world = World::new(&["0.1.0"]);
    let before = tree(&world.home());
    let server = Server::start(&world.release(), Delivery::Stalls);
    let mut install = install_from(&world, &server.url, "/usr/bin:/bin");
    // A group of its own, as the one in which Ctrl-C reaches a terminal's programs.
    let mut child =
        install.process_group(0).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    server.half_way.recv_timeout(Duration::from_secs(30)).unwrap();
    let group = format!("-{}", child.id());
    assert!(Command::new("kill").args(["-TERM", "--", &group]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(143));
    world.assert_untouched(&before);
}

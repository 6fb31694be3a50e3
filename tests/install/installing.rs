//! Installing from a folder: what is there afterwards, and what is refused with nothing changed.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::world::{World, hearth, output, refused, release, root, script, target, tree, well};

/// The program under test without its symbols, as releases have it; as it is where `strip` is not.
fn dist_program(folder: &Path) -> PathBuf {
    let program = folder.join("hearth");
    let stripped = Command::new("strip").arg("-o").arg(&program).arg(hearth()).status();
    if !stripped.is_ok_and(|status| status.success()) {
        fs::copy(hearth(), &program).unwrap();
    }
    program
}

/// A Hearth that runs until it is killed: its server takes the connection and never answers.
struct Running {
    child: Child,
    _server: TcpListener,
}

impl Running {
    fn start(world: &World) -> Self {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let key = world.path("hot");
        fs::write(&key, format!("0x{}", "7".repeat(64))).unwrap();
        let child = world
            .shell(world.local("bin/hearth").to_str().unwrap())
            .env("HEARTH_HOME", world.path("mining"))
            .args(["run", "--headless", "--json", "--join", "metagraph", "--network"])
            .arg(format!("http://{}", server.local_addr().unwrap()))
            .arg("--hotkey-file")
            .arg(key)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // It is up once it talks to its server.
        drop(server.accept().unwrap());
        Self { child, _server: server }
    }

    fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_program_itself_is_installed_found_upgraded_while_it_runs_and_removed() {
    let world = World::new(&[]);
    let version = env!("CARGO_PKG_VERSION");
    well(&release(&dist_program(&world.path("")), &target(), &world.release()));
    fs::write(world.home().join(".bashrc"), "# mine\n").unwrap();
    fs::write(world.home().join(".profile"), ". ~/.bashrc\n").unwrap();
    let before = tree(&world.home());

    let said = well(&output(&mut world.install()));
    let told = said.find("not on your PATH: adding it in").unwrap();
    assert!(told > said.find("is installed").unwrap(), "{said}");
    for login in ["-lc", "-ic"] {
        let found = output(world.shell("bash").args([login, "hearth --version"]));
        assert!(well(&found).contains(&format!("hearth {version}\n")), "{login}");
    }
    let completions = world.local("share/bash-completion/completions/hearth");
    let complete = "source \"$0\" && complete -p hearth && COMP_WORDS=(hearth de) COMP_CWORD=1 && \
                    _hearth hearth de hearth && echo \"${COMPREPLY[@]}\"";
    let offered = output(world.shell("bash").args(["-c", complete]).arg(completions));
    assert!(well(&offered).contains("demo"));
    let page = fs::read_to_string(world.local("share/man/man1/hearth-demo.1")).unwrap();
    assert!(page.contains("epochs"), "{page}");
    if Path::new("/usr/bin/man").exists() {
        let found = output(world.shell("bash").args(["-lc", "man -w hearth-run"]));
        assert_eq!(
            well(&found).trim(),
            world.local("share/man/man1/hearth-run.1").to_str().unwrap()
        );
    }
    let entry = fs::read_to_string(world.local("share/applications/hearth.desktop")).unwrap();
    let exec = format!("\nExec=\"{}\"\n", world.local("bin/hearth").display());
    assert!(entry.contains(&exec), "{entry}");

    let mut running = Running::start(&world);
    world.publish("99.0.0");
    let said = well(&output(&mut world.install()));
    let process = format!("Hearth is running (process {})", running.child.id());
    assert!(said.contains(&process), "{said}");
    assert_eq!(world.installed_version(), "hearth 99.0.0");
    assert!(running.is_alive(), "the upgrade ended a running Hearth");
    let kept =
        output(world.shell("sh").args(["-c", "\"$HOME\"/.local/bin/hearth.previous --version"]));
    assert_eq!(well(&kept), format!("hearth {version}\n"));

    fs::create_dir_all(world.local("share/hearth/keys")).unwrap();
    let purge = output(world.installer().args(["--uninstall", "--purge", "--yes"]));
    refused(&purge, 1, &["is running", "stop it first"]);
    assert!(world.local("share/hearth/keys").exists() && world.local("bin/hearth").exists());
    drop(running);
    fs::remove_dir_all(world.local("share/hearth")).unwrap();
    well(&output(world.installer().arg("--uninstall")));
    world.assert_untouched(&before);
}

#[test]
fn installing_twice_changes_nothing() {
    let world = World::new(&["0.1.0"]);
    well(&output(&mut world.install()));
    let once = tree(&world.home());
    let said = well(&output(&mut world.install()));
    assert!(said.contains("0.1.0 was already installed"), "{said}");
    world.assert_untouched(&once);
}

#[test]
fn the_newest_version_is_taken_an_older_one_when_asked_and_stale_files_go() {
    let world = World::new(&["0.9.0", "0.10.0", "0.10.0-rc.1"]);
    well(&output(&mut world.install()));
    assert_eq!(world.installed_version(), "hearth 0.10.0");
    assert!(world.local("share/man/man1/hearth-0.10.0.1").exists());
    let said = well(&output(world.install().args(["--version", "v0.9.0"])));
    assert!(said.contains("is now 0.9.0") && said.contains("hearth.previous"), "{said}");
    assert_eq!(world.installed_version(), "hearth 0.9.0");
    assert!(!world.local("share/man/man1/hearth-0.10.0.1").exists());
    let previous = fs::read_to_string(world.local("bin/hearth.previous")).unwrap();
    assert!(previous.contains("0.10.0"), "{previous}");
    let there_is = "hearth-0.10.0-";
    refused(&output(world.install().arg("--version=7.0.0")), 1, &["no Hearth 7.0.0", there_is]);
    well(&output(world.installer().arg("--uninstall")));
    assert!(!world.local("").exists());
}

#[test]
fn a_changed_archive_is_refused_before_it_is_unpacked() {
    let world = World::new(&["0.1.0"]);
    let before = tree(&world.home());
    let mut archive = fs::read(world.archive("0.1.0")).unwrap();
    let middle = archive.len() / 2;
    archive[middle] ^= 1;
    fs::write(world.archive("0.1.0"), archive).unwrap();
    let output = output(&mut world.install());
    refused(&output, 1, &["not what SHA256SUMS says", "not unpacked", "nothing was changed"]);
    world.assert_untouched(&before);
}

#[test]
fn an_archive_that_reaches_outside_of_its_folder_is_refused() {
    let world = World::new(&["0.1.0"]);
    let before = tree(&world.home());
    script(&world.path("elsewhere/file"), "");
    let packed = Command::new("tar")
        .args(["-czPf", world.archive("0.1.0").to_str().unwrap(), "../elsewhere/file"])
        .current_dir(world.release())
        .status()
        .unwrap();
    assert!(packed.success());
    let sums = "cd \"$0\" && sha256sum hearth-* >SHA256SUMS";
    well(&output(Command::new("sh").args(["-c", sums]).arg(world.release())));
    refused(&output(&mut world.install()), 1, &["outside of its own folder"]);
    world.assert_untouched(&before);
}

#[test]
fn a_machine_that_the_release_has_nothing_for_is_told_what_there_is() {
    let world = World::new(&["0.1.0"]);
    let before = tree(&world.home());
    let system = |name: &str, machine: &str| {
        let uname = format!("case $1 in -s) echo {name} ;; -m) echo {machine} ;; esac");
        script(&world.path("tools/uname"), &uname);
        let path = format!("{}:/usr/bin:/bin", world.path("tools").display());
        output(world.install().env("PATH", path))
    };
    let there_is = format!("hearth-0.1.0-{}", target());
    let words = ["Linux on riscv64", there_is.as_str(), "--from-source"];
    refused(&system("Linux", "riscv64"), 1, &words);
    refused(&system("Darwin", "arm64"), 1, &["Darwin on arm64", there_is.as_str()]);
    refused(&system("FreeBSD", "amd64"), 1, &["FreeBSD on amd64"]);
    refused(&system("MINGW64_NT-10.0", "x86_64"), 1, &["install.ps1"]);
    // A system with another C library, and one with 32-bit programs on this very processor.
    script(&world.path("tools/ldd"), "echo 'musl libc (x86_64)' >&2; exit 1");
    refused(&system("Linux", std::env::consts::ARCH), 1, &["no Hearth for Linux"]);
    script(&world.path("tools/ldd"), "echo GNU libc");
    script(&world.path("tools/getconf"), "echo 32");
    refused(&system("Linux", std::env::consts::ARCH), 1, &["with 32-bit programs"]);
    world.assert_untouched(&before);
}

#[test]
fn on_a_mac_its_own_archive_is_taken_without_what_only_other_desktops_use() {
    let world = World::new(&["0.1.0"]);
    let program = world.path("program");
    well(&release(&program, "aarch64-apple-darwin", &world.release()));
    script(&world.path("tools/uname"), "case $1 in -s) echo Darwin ;; -m) echo arm64 ;; esac");
    let path = format!("{}:/usr/bin:/bin", world.path("tools").display());
    let install = || {
        let mut command = world.installer();
        command.env("PATH", &path).env("SHELL", "/bin/zsh");
        command
    };
    well(&output(install().arg("--from").arg(world.release())));
    assert_eq!(world.installed_version(), "hearth 0.1.0");
    assert!(world.home().join(".zshenv").exists());
    assert!(!world.local("share/applications").exists() && !world.local("share/icons").exists());
    let data = world.home().join("Library/Application Support/hearth");
    fs::create_dir_all(data.join("keys")).unwrap();
    fs::write(data.join("config.toml"), "").unwrap();
    well(&output(install().args(["--uninstall", "--keep-keys", "--yes"])));
    assert!(data.join("keys").exists() && !data.join("config.toml").exists());
    well(&output(install().args(["--uninstall", "--purge", "--yes"])));
    assert!(!data.exists() && !world.local("").exists());
}

#[test]
fn a_program_that_does_not_run_here_replaces_nothing() {
    let world = World::new(&["0.1.0"]);
    well(&output(&mut world.install()));
    let before = tree(&world.home());
    // Named for this machine, made for another.
    let program = world.path("foreign");
    fs::write(&program, b"\x7fELF\x02\x01\x01 of another processor").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let generator = world.path("generator");
    crate::world::stand_in(&generator, "0.2.0");
    let made = output(
        Command::new("sh")
            .arg(root().join("installer/release.sh"))
            .args(["--target", &target(), "--binary"])
            .arg(&program)
            .arg("--generator")
            .arg(&generator)
            .arg("--out")
            .arg(world.release()),
    );
    well(&made);
    refused(&output(&mut world.install()), 1, &["does not run here", "Nothing was changed"]);
    world.assert_untouched(&before);
    assert_eq!(world.installed_version(), "hearth 0.1.0");
}

#[test]
fn a_program_of_another_version_than_its_archive_is_refused() {
    let world = World::new(&["0.1.0"]);
    let before = tree(&world.home());
    let liar = format!("hearth-0.2.0-{}", target());
    let honest = format!("hearth-0.1.0-{}", target());
    let rename = format!(
        "cd \"$0\" && tar -xzf {honest}.tar.gz && mv {honest} {liar} && tar -czf {liar}.tar.gz {liar} \
         && rm -r {liar} && sha256sum *.tar.gz >SHA256SUMS"
    );
    well(&output(Command::new("sh").args(["-c", &rename]).arg(world.release())));
    refused(&output(&mut world.install()), 1, &["archive of version 0.2.0", "hearth 0.1.0"]);
    world.assert_untouched(&before);
}

#[test]
fn somebody_elses_file_is_not_overwritten() {
    let world = World::new(&["0.1.0"]);
    script(&world.local("bin/hearth"), "echo mine");
    let before = tree(&world.home());
    let place = world.local("bin/hearth");
    refused(&output(&mut world.install()), 1, &[place.to_str().unwrap(), "--prefix"]);
    world.assert_untouched(&before);
}

#[test]
fn a_home_that_cannot_be_written_is_said_and_left() {
    let world = World::new(&["0.1.0"]);
    let open =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    open(&world.path(""), 0o755);
    open(&world.temporary(), 0o777);
    open(&world.home(), 0o555);
    let installer = world.path("install.sh");
    fs::copy(root().join("installer/install.sh"), &installer).unwrap();
    let mut inside = world.shell("sh");
    inside.arg(&installer).arg("--from").arg(world.release());
    // Root may write anywhere, so it becomes nobody.
    let mut command = match crate::world::is_root() {
        true => {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "sh"]);
            command.args(inside.get_args()).env_clear();
            command.envs(inside.get_envs().filter_map(|(name, value)| Some((name, value?))));
            command
        }
        false => inside,
    };
    let output = output(&mut command);
    refused(&output, 1, &["cannot be made", "Permission denied", "--prefix"]);
    assert!(tree(&world.home()).is_empty() && tree(&world.temporary()).is_empty());
}

#[test]
fn odd_names_of_folders_work_in_every_place_where_they_are_written() {
    let world = World::new(&["0.1.0"]);
    let prefix = world.path("it's \"my\" $HOME 100% `x` \\ folder");
    let mut install = world.install();
    well(&output(install.arg("--prefix").arg(&prefix)));
    let found = output(world.shell("bash").args(["-ic", "hearth --version"]));
    assert!(well(&found).contains("hearth 0.1.0\n"));
    let entry = fs::read_to_string(prefix.join("share/applications/hearth.desktop")).unwrap();
    let exec = "it's \\\\\"my\\\\\" \\\\$HOME 100%% \\\\`x\\\\` \\\\\\\\ folder/bin/hearth\"\n";
    assert!(entry.contains(exec), "{entry}");
    // The copy that was installed knows where it is.
    well(&output(world.shell("sh").arg(prefix.join("lib/hearth/install.sh")).arg("--uninstall")));
    assert!(!prefix.exists() && tree(&world.home()).is_empty());
}

#[test]
fn without_a_release_it_says_so_and_how_to_build() {
    let world = World::new(&[]);
    refused(&output(&mut world.installer()), 1, &["no public release", "--from-source", "--from "]);
    refused(&output(world.installer().args(["--from", "nowhere"])), 1, &["no such folder"]);
    let empty = world.release();
    refused(&output(world.installer().arg("--from").arg(empty)), 1, &["has no SHA256SUMS"]);
    refused(&output(world.installer().arg("--frmo")), 2, &["--frmo", "--help"]);
    refused(&output(world.installer().arg("--purge")), 2, &["--uninstall"]);
    assert!(well(&output(world.installer().arg("--help"))).contains("--keep-keys"));
}

#[test]
fn from_source_builds_makes_a_release_and_installs_it() {
    let world = World::new(&[]);
    let tools = world.path("tools");
    script(&tools.join("rustc"), &format!("echo 'host: {}'", target()));
    let program = world.path("program");
    crate::world::stand_in(&program, "0.1.0");
    // Builds what it is asked for where it is asked to.
    let cargo = format!(
        "echo \"$*\" >'{}'\nwhile [ \"$1\" != --target-dir ]; do shift; done\n\
         mkdir -p \"$2/{}/dist\" && cp '{}' \"$2/{}/dist/hearth\"",
        world.path("asked").display(),
        target(),
        program.display(),
        target()
    );
    script(&tools.join("cargo"), &cargo);
    let path = format!("{}:/usr/bin:/bin", tools.display());
    let build = |cargo_home: &str| {
        let mut command = world.installer();
        command.arg("--from-source").env("CARGO_TARGET_DIR", world.path("built"));
        output(command.env("PATH", cargo_home))
    };
    assert!(well(&build(&path)).contains("Building Hearth in"));
    assert_eq!(world.installed_version(), "hearth 0.1.0");
    let asked = fs::read_to_string(world.path("asked")).unwrap();
    assert!(asked.contains("--profile dist --locked --bin hearth"), "{asked}");
    script(&tools.join("cargo"), "echo 'error: no luck' >&2; exit 101");
    refused(&build(&path), 1, &["no luck", "could not be built"]);
    let elsewhere = output(world.installer().args(["--from-source", "--from"]).arg(world.home()));
    refused(&elsewhere, 1, &["not Hearth's source tree"]);
}

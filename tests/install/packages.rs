//! Release folders and what is made of them: the same archive each time, a Debian package that
//! installs, manifests with the release's own checksums.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::world::{World, output, refused, release, root, stand_in, target, tree, well};

fn has(tool: &str) -> bool {
    let found = Command::new("sh").args(["-c", "command -v \"$0\"", tool]).output().unwrap();
    if !found.status.success() {
        eprintln!("skipped: this machine has no {tool}");
    }
    found.status.success()
}

fn sum(file: &Path) -> String {
    let output = well(&output(Command::new("sha256sum").arg(file)));
    output.split(' ').next().unwrap().to_owned()
}

#[test]
fn the_same_program_gives_the_same_archive() {
    let world = World::new(&["0.1.0"]);
    let first = fs::read(world.archive("0.1.0")).unwrap();
    let later = world.path("later");
    fs::create_dir(&later).unwrap();
    let program = later.join("program");
    stand_in(&program, "0.1.0");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    let script =
        format!("umask 077; exec sh '{}' \"$@\"", root().join("installer/release.sh").display());
    let mut command = Command::new("sh");
    command.args(["-c", &script, "release", "--target", &target(), "--binary"]).arg(&program);
    well(&output(command.arg("--out").arg(&later).env("TZ", "Asia/Tokyo").env("LC_ALL", "C")));
    let second = fs::read(later.join(world.archive("0.1.0").file_name().unwrap())).unwrap();
    assert!(first == second, "two archives of one program differ");
}

#[test]
fn a_release_folder_collects_targets_and_its_sums_are_right() {
    let world = World::new(&["0.1.0"]);
    well(&release(&world.path("program"), "aarch64-apple-darwin", &world.release()));
    let check = Command::new("sha256sum")
        .args(["--check", "--strict", "SHA256SUMS"])
        .current_dir(world.release())
        .output()
        .unwrap();
    let said = well(&check);
    for name in ["aarch64-apple-darwin.tar.gz", &target(), "install.sh", "install.ps1"] {
        assert!(said.contains(name), "{said}");
    }
    let wrong = release(&world.path("nothing"), &target(), &world.release());
    refused(&wrong, 1, &["--binary", "cargo build"]);
    let listing = Command::new("tar").arg("-tzf").arg(world.archive("0.1.0")).output().unwrap();
    let listing = well(&listing);
    for name in ["LICENSE-MIT", "LICENSE-APACHE", "hearth.desktop", "hearth.svg", "man1/hearth.1"] {
        assert!(listing.contains(name), "{name} is missing in {listing}");
    }
}

#[test]
fn a_debian_package_is_built_and_installs() {
    if !has("dpkg-deb") || !has("dpkg") {
        return;
    }
    let world = World::new(&["0.1.0"]);
    let mut deb = Command::new("sh");
    deb.arg(root().join("installer/deb.sh")).arg(world.archive("0.1.0"));
    let package = well(&output(&mut deb)).trim().to_owned();
    let once = fs::read(&package).unwrap();
    well(&output(&mut deb));
    assert!(fs::read(&package).unwrap() == once, "two packages of one archive differ");
    let sums = fs::read_to_string(world.release().join("SHA256SUMS")).unwrap();
    assert_eq!(sums.matches(&sum(Path::new(&package))).count(), 1, "{sums}");

    let scratch = world.path("scratch");
    if crate::world::is_root() {
        for folder in ["var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers"] {
            fs::create_dir_all(scratch.join(folder)).unwrap();
        }
        fs::write(scratch.join("var/lib/dpkg/status"), "").unwrap();
        let mut install = Command::new("dpkg");
        install.arg(format!("--root={}", scratch.display())).args([
            "--force-depends",
            "-i",
            &package,
        ]);
        well(&output(&mut install));
        let status = fs::read_to_string(scratch.join("var/lib/dpkg/status")).unwrap();
        assert!(status.contains("Package: hearth-miner\nStatus: install ok installed"), "{status}");
    } else {
        well(&output(Command::new("dpkg-deb").args(["-x", &package]).arg(&scratch)));
    }
    let version = output(Command::new(scratch.join("usr/bin/hearth")).arg("--version"));
    assert_eq!(well(&version), "hearth 0.1.0\n");
    for file in [
        "man/man1/hearth.1.gz",
        "bash-completion/completions/hearth",
        "zsh/vendor-completions/_hearth",
        "fish/vendor_completions.d/hearth.fish",
        "applications/hearth.desktop",
        "doc/hearth-miner/copyright",
    ] {
        assert!(scratch.join("usr/share").join(file).exists(), "{file} is missing");
    }
}

#[test]
fn manifests_are_filled_from_the_releases_own_sums() {
    if !has("zip") {
        return;
    }
    let world = World::new(&["0.1.0"]);
    let program = world.path("program");
    for target in ["x86_64-unknown-linux-gnu", "aarch64-apple-darwin", "x86_64-pc-windows-msvc"] {
        well(&release(&program, target, &world.release()));
    }
    let packages = |version: &str, base: &str| {
        let mut command = Command::new("sh");
        command.arg(root().join("installer/packages.sh")).args([version, base]);
        output(command.arg(world.release()))
    };
    well(&packages("0.1.0", "https://hearth.example/0.1.0/"));
    let made = tree(&world.release().join("packages"));
    let text = |name: &str| String::from_utf8(made[Path::new(name)].clone().unwrap()).unwrap();
    let formula = text("homebrew/hearth-miner.rb");
    for target in ["x86_64-unknown-linux-gnu", "aarch64-apple-darwin"] {
        let name = format!("hearth-0.1.0-{target}.tar.gz");
        let lines = format!(
            "url \"https://hearth.example/0.1.0/{name}\"\n      sha256 \"{}\"",
            sum(&world.release().join(&name))
        );
        assert!(formula.contains(&lines), "{formula}");
    }
    assert!(!formula.contains("x86_64-apple-darwin"), "{formula}");
    let installer = text("winget/Hearth.HearthMiner.installer.yaml");
    let name = "hearth-0.1.0-x86_64-pc-windows-msvc";
    let hash = sum(&world.release().join(format!("{name}.zip"))).to_uppercase();
    assert!(installer.contains(&format!("InstallerSha256: \"{hash}\"")), "{installer}");
    assert!(installer.contains(&format!("\"{name}\\\\bin\\\\hearth.exe\"")), "{installer}");
    assert!(!installer.contains("arm64"), "{installer}");
    refused(&packages("0.2.0", "https://hearth.example"), 1, &["no archive of version 0.2.0"]);
    refused(&packages("0.1.0", "http://hearth.example"), 1, &["https only"]);
}

#[test]
fn a_windows_archive_holds_what_its_installer_wants() {
    if !has("zip") {
        return;
    }
    let world = World::new(&["0.1.0"]);
    well(&release(&world.path("program"), "x86_64-pc-windows-msvc", &world.release()));
    let archive = world.release().join("hearth-0.1.0-x86_64-pc-windows-msvc.zip");
    let mut zip = zip::ZipArchive::new(fs::File::open(archive).unwrap()).unwrap();
    for name in ["bin/hearth.exe", "lib/hearth/install.ps1", "share/powershell/hearth.ps1"] {
        let path = format!("hearth-0.1.0-x86_64-pc-windows-msvc/{name}");
        assert!(zip.by_name(&path).is_ok(), "{path} is missing");
    }
}

#[test]
fn the_container_file_names_files_that_exist_and_no_root() {
    let text = fs::read_to_string(root().join("installer/Containerfile")).unwrap();
    for line in text.lines().filter_map(|line| line.strip_prefix("COPY ")) {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        words.pop();
        if words[0].starts_with("--from") {
            continue;
        }
        for word in words {
            assert!(root().join(word).exists(), "{word} is not in the tree");
        }
    }
    let after_root = text.rsplit("USER ").next().unwrap();
    assert!(after_root.starts_with("hearth") && !after_root.contains("RUN "), "{text}");
    let minimum = env!("CARGO_PKG_RUST_VERSION");
    assert!(
        text.contains(&format!("rust:{minimum}-")),
        "it builds with another Rust than {minimum}"
    );
}

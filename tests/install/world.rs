//! A throw-away home, release folders, and how the scripts are run in them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

/// The target that the tests install: this machine's.
pub fn target() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

/// The project's root.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The program under test.
pub fn hearth() -> &'static str {
    env!("CARGO_BIN_EXE_hearth")
}

/// Writes a script that can be run.
pub fn script(path: &Path, lines: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\n{lines}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// What stands in for the program: it knows its version, and writes completions and a page.
pub fn stand_in(path: &Path, version: &str) {
    let lines = format!(
        "case $1 in --version) echo 'hearth {version}' ;; completions) echo \"# $2\" ;; \
         man) mkdir -p \"$2\" && echo .TH >\"$2/hearth.1\" && echo .TH >\"$2/hearth-{version}.1\" ;; \
         'keys') echo '{{\"event\":\"key\",\"name\":\"mine\",\"store\":\"keyring\"}}' ;; *) exit 1 ;; esac"
    );
    script(path, &lines);
}

/// Runs a command to its end.
pub fn output(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

/// What a command wrote, both streams.
pub fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The command went well; what it said.
#[track_caller]
pub fn well(output: &Output) -> String {
    assert!(output.status.success(), "{:?}: {}", output.status, said(output));
    said(output)
}

/// The command refused with this exit code and these words; what it said.
#[track_caller]
pub fn refused(output: &Output, code: i32, words: &[&str]) -> String {
    let said = said(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is missing in: {said}");
    }
    said
}

/// Whether the tests run as root, who may write anywhere.
pub fn is_root() -> bool {
    well(&output(Command::new("id").arg("-u"))).trim() == "0"
}

/// Runs `release.sh` for a program.
pub fn release(program: &Path, target: &str, out: &Path) -> Output {
    output(
        Command::new("sh")
            .arg(root().join("installer/release.sh"))
            .args(["--target", target, "--binary"])
            .arg(program)
            .arg("--out")
            .arg(out),
    )
}

/// Everything below a folder: path to content, links as where they lead, folders as none.
pub fn tree(folder: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().to_owned();
            if path.is_symlink() {
                let leads = fs::read_link(&path).unwrap();
                found.insert(name, Some(leads.to_string_lossy().into_owned().into_bytes()));
            } else if path.is_dir() {
                found.insert(name, None);
                waiting.push(path);
            } else {
                found.insert(name, Some(fs::read(&path).unwrap()));
            }
        }
    }
    found
}

/// A throw-away machine: a home with a space in its name, a folder for temporary files, a release.
pub struct World {
    folder: tempfile::TempDir,
}

impl World {
    /// One whose release has these versions for this machine.
    pub fn new(versions: &[&str]) -> Self {
        let world = Self { folder: tempfile::tempdir().unwrap() };
        for folder in [world.home(), world.temporary(), world.release()] {
            fs::create_dir_all(folder).unwrap();
        }
        match versions {
            ["0.1.0"] => world.copy_release(),
            _ => versions.iter().for_each(|version| world.publish(version)),
        }
        world
    }

    /// The release that nearly all want is made once.
    fn copy_release(&self) {
        static MADE: LazyLock<PathBuf> = LazyLock::new(|| {
            let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("install-release");
            // Of an earlier run.
            let _ = fs::remove_dir_all(&folder);
            stand_in(&folder.join("program"), "0.1.0");
            well(&release(&folder.join("program"), &target(), &folder.join("release")));
            folder
        });
        fs::copy(MADE.join("program"), self.path("program")).unwrap();
        for file in fs::read_dir(MADE.join("release")).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), self.release().join(file.file_name())).unwrap();
        }
    }

    /// Adds a version to the release.
    pub fn publish(&self, version: &str) {
        let program = self.path("program");
        stand_in(&program, version);
        well(&release(&program, &target(), &self.release()));
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn home(&self) -> PathBuf {
        self.path("a home")
    }

    pub fn temporary(&self) -> PathBuf {
        self.path("temporary")
    }

    pub fn release(&self) -> PathBuf {
        self.path("release")
    }

    /// A path below `~/.local`.
    pub fn local(&self, name: &str) -> PathBuf {
        self.home().join(".local").join(name)
    }

    /// This machine's archive of a version.
    pub fn archive(&self, version: &str) -> PathBuf {
        self.release().join(format!("hearth-{version}-{}.tar.gz", target()))
    }

    /// A shell command line in this world: nothing of the tests' own environment gets in.
    pub fn shell(&self, shell: &str) -> Command {
        let mut command = Command::new(shell);
        command
            .env_clear()
            .env("HOME", self.home())
            .env("TMPDIR", self.temporary())
            .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
            .env("SHELL", "/bin/bash")
            .env("LC_ALL", "C")
            .current_dir(self.folder.path());
        command
    }

    /// The installer.
    pub fn installer(&self) -> Command {
        let mut command = self.shell("sh");
        command.arg(root().join("installer/install.sh"));
        command
    }

    /// The installer, from this world's release.
    pub fn install(&self) -> Command {
        let mut command = self.installer();
        command.arg("--from").arg(self.release());
        command
    }

    /// The installed program's word.
    #[track_caller]
    pub fn installed_version(&self) -> String {
        let output = output(self.shell("sh").args(["-c", "\"$HOME/.local/bin/hearth\" --version"]));
        well(&output).trim().to_owned()
    }

    /// Nothing is in the home and among the temporary files but what was there.
    #[track_caller]
    pub fn assert_untouched(&self, before: &BTreeMap<PathBuf, Option<Vec<u8>>>) {
        let after = tree(&self.home());
        let names = |tree: &BTreeMap<PathBuf, _>| tree.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&after), names(before));
        assert!(&after == before, "a file's content changed");
        assert!(tree(&self.temporary()).is_empty(), "{:?}", tree(&self.temporary()).keys());
    }
}

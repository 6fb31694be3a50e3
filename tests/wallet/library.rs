//! The other side: a Python that has `bittensor_wallet`. `HEARTH_PYTHON` may name one; else it is
//! installed once into a folder of the build's own.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

const SCRIPT: &str = include_str!("library.py");
const PACKAGE: &str = "bittensor-wallet>=4.1,<5";

/// A Python with the library.
pub struct Library(PathBuf);

impl Library {
    /// Finds or installs it; `None`, and a line that says why, when it cannot be had.
    pub fn find() -> Option<Self> {
        static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
        let found = FOUND.get_or_init(|| match python() {
            Ok(python) => Some(python),
            Err(why) => {
                // Past the test's captured output, so that nobody takes a skipped check for one
                // that passed.
                let mut out = std::io::stderr();
                writeln!(out, "skipped: bittensor-wallet ({why}); HEARTH_PYTHON names a Python")
                    .unwrap();
                None
            }
        });
        found.clone().map(Self)
    }

    /// What the script answers to `command`.
    pub fn ask(&self, command: &str, folder: &Path, argument: &str) -> Value {
        let output = Command::new(&self.0)
            .args(["-c", SCRIPT, command])
            .arg(folder)
            .arg(argument)
            .env("HOME", folder)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}: {said}\n{errors}");
        serde_json::from_str(said.lines().last().unwrap()).unwrap()
    }
}

fn python() -> Result<PathBuf, String> {
    let given = std::env::var("HEARTH_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    if has_library(Path::new(&given)) {
        return Ok(given.into());
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wallet-python");
    let bin = if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" };
    let python = folder.join(bin);
    if has_library(&python) {
        return Ok(python);
    }
    // Two test runs at once may not install into one folder.
    let lock = std::fs::File::create(folder.with_extension("lock")).map_err(|e| e.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    if !has_library(&python) {
        run(Command::new(&given).args(["-m", "venv"]).arg(&folder))?;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", PACKAGE]))?;
    }
    if has_library(&python) { Ok(python) } else { Err("it does not load".to_owned()) }
}

fn has_library(python: &Path) -> bool {
    let tried = Command::new(python).args(["-c", "import bittensor_wallet"]).output();
    tried.is_ok_and(|output| output.status.success())
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let why = || errors.lines().last().unwrap_or("it failed").to_owned();
    if output.status.success() { Ok(()) } else { Err(why()) }
}

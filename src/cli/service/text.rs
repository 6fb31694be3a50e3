//! The text of a service, filled in.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::InstallArguments;
use super::manager::{Level, System};
use crate::cli::{Exit, Failure};

const SYSTEM_UNIT: &str = include_str!("../../../installer/services/hearth.service");
const USER_UNIT: &str = include_str!("../../../installer/services/hearth-user.service");
const PLIST: &str = include_str!("../../../installer/services/hearth.plist");
const WINDOWS: &str = include_str!("../../../installer/services/hearth-windows.xml");

/// systemd waits longer from one start to the next since this version, and finds credentials by name.
const GROWING_PAUSES: u32 = 254;

/// A service as it is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    system: System,
    level: Level,
    program: PathBuf,
    /// After `run --headless`.
    arguments: Vec<String>,
    /// Credentials: name and file.
    credentials: Vec<(&'static str, PathBuf)>,
    encrypted: bool,
    /// Of systemd.
    version: u32,
    /// Groups that may use graphics cards.
    groups: String,
    /// Whose launchd service it is, where it is the machine's.
    user: Option<String>,
}

fn refused(line: String) -> Failure {
    Failure::new(Exit::Usage, line)
}

impl Wanted {
    pub(super) fn new(
        install: &InstallArguments,
        level: Level,
        system: System,
    ) -> Result<Self, Failure> {
        let program = match &install.program {
            Some(program) => program.clone(),
            None => std::env::current_exe().map_err(|error| {
                let line =
                    format!("where this program is cannot be told ({error}): --program FILE");
                Failure::new(Exit::Failed, line)
            })?,
        };
        if level == Level::System && system == System::Systemd && is_in_a_home(&program) {
            return Err(refused(format!(
                "a service of the whole machine cannot see the homes of its users, and {} is in one: \
                 install Hearth for all users first (or name it with --program), or use --user",
                program.display()
            )));
        }
        let mut arguments = Vec::new();
        let path = |path: &Path| absolute(path).map(|path| path.display().to_string());
        if let Some(config) = &install.config {
            arguments.extend(["--config".to_owned(), path(config)?]);
        }
        for given in &install.set {
            let (key, value) = given.flag();
            if key.is_private() {
                return Err(refused(format!(
                    "{} may hold a secret, and others can read a service's text: write it into the \
                     settings file instead",
                    key.name()
                )));
            }
            let text = format!("{}={}", key.name(), value.unwrap_or_default());
            arguments.extend(["--set".to_owned(), text]);
        }
        let mut credentials = Vec::new();
        let files = [
            ("hearth-hotkey", "--hotkey-file", &install.hotkey_file),
            ("hearth-passphrase", "--passphrase-file", &install.passphrase_file),
        ];
        for (name, flag, file) in files {
            let Some(file) = file else { continue };
            if system == System::Systemd {
                credentials.push((name, absolute(file)?));
            } else {
                arguments.extend([flag.to_owned(), path(file)?]);
            }
        }
        if let Some(wrong) = arguments.iter().find(|word| word.chars().any(char::is_control)) {
            return Err(refused(format!("{wrong:?} cannot be written into a service")));
        }
        let version = if system == System::Systemd { systemd_version() } else { 0 };
        let user = match (system, level) {
            (System::Launchd, Level::System) => std::env::var("SUDO_USER").ok(),
            _ => None,
        };
        let encrypted = install.encrypted;
        let groups = graphics_groups(Path::new("/etc/group"));
        Ok(Self {
            system,
            level,
            program,
            arguments,
            credentials,
            encrypted,
            version,
            groups,
            user,
        })
    }

    /// The program and its arguments.
    pub(super) fn command(&self) -> (PathBuf, Vec<OsString>) {
        let fixed = ["run", "--headless"].map(OsString::from);
        let given = self.arguments.iter().map(OsString::from);
        (self.program.clone(), fixed.into_iter().chain(given).collect())
    }

    /// What is written.
    pub(super) fn text(&self) -> String {
        let program = self.program.display().to_string();
        let arguments = |quoted: fn(&str) -> String, between: &str| {
            self.arguments
                .iter()
                .map(|word| format!("{between}{}", quoted(word)))
                .collect::<String>()
        };
        match self.system {
            System::Systemd => {
                let unit = if self.level == Level::System { SYSTEM_UNIT } else { USER_UNIT };
                let text = unit
                    .replace("@PROGRAM@", &systemd_word(&program))
                    .replace("@ARGUMENTS@", &arguments(systemd_word, " "))
                    .replace("@RESTARTS@", self.restarts())
                    .replace("@CREDENTIALS@\n", &self.credential_lines());
                match self.groups.is_empty() {
                    false => text.replace("@GROUPS@", &self.groups),
                    true => text.replace("SupplementaryGroups=@GROUPS@\n", ""),
                }
            }
            System::Launchd => {
                let user = self.user.as_deref().map_or_else(String::new, |user| {
                    format!("\n  <key>UserName</key>\n  <string>{}</string>", xml(user))
                });
                let one = |word: &str| format!("<string>{}</string>", xml(word));
                let arguments: String =
                    self.arguments.iter().map(|word| format!("\n    {}", one(word))).collect();
                PLIST
                    .replace("@PROGRAM@", &xml(&program))
                    .replace("@ARGUMENTS@", &arguments)
                    .replace("@USER@", &user)
            }
            System::Windows => WINDOWS
                .replace("@PROGRAM@", &xml(&program))
                .replace("@ARGUMENTS@", &xml(&arguments(windows_word, " "))),
        }
    }

    /// How long it waits before it starts again.
    fn restarts(&self) -> &'static str {
        if self.version >= GROWING_PAUSES {
            "RestartSec=10\nRestartSteps=4\nRestartMaxDelaySec=120"
        } else {
            "RestartSec=30"
        }
    }

    fn credential_lines(&self) -> String {
        let word = if self.encrypted { "LoadCredentialEncrypted" } else { "LoadCredential" };
        let named = self.credentials.iter().map(|(name, file)| {
            format!("{word}={name}:{}\n", file.display().to_string().replace('%', "%%"))
        });
        let mut lines: String = named.collect();
        let found = self.level == Level::System && self.version >= GROWING_PAUSES;
        if self.credentials.is_empty() && found {
            lines.push_str("ImportCredential=hearth-*\n");
        }
        lines
    }
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|error| refused(format!("{} is no path ({error})", path.display())))
}

fn is_in_a_home(program: &Path) -> bool {
    ["/home", "/root", "/run/user"].iter().any(|home| program.starts_with(home))
}

/// A word of an `ExecStart=` line, as systemd reads it back.
fn systemd_word(word: &str) -> String {
    let escaped =
        word.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c));
    if plain && !word.is_empty() { escaped } else { format!("\"{escaped}\"") }
}

/// A word of a Windows command line, as programs read it back.
fn windows_word(word: &str) -> String {
    let plain = !word.is_empty() && !word.contains([' ', '\t', '"']);
    if plain {
        return word.to_owned();
    }
    let (mut text, mut slashes) = (String::from("\""), 0);
    for c in word.chars() {
        match c {
            '\\' => slashes += 1,
            '"' => {
                text.push_str(&"\\".repeat(slashes + 1));
                slashes = 0;
            }
            _ => slashes = 0,
        }
        text.push(c);
    }
    text.push_str(&"\\".repeat(slashes));
    text.push('"');
    text
}

fn xml(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    escaped.replace('"', "&quot;")
}

/// The version of systemd on this machine; 0 where there is none.
fn systemd_version() -> u32 {
    let mut command = Command::new("systemctl");
    let output = command.arg("--version").stdin(Stdio::null()).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.ok().and_then(|text| version_in(&text)).unwrap_or(0)
}

fn version_in(text: &str) -> Option<u32> {
    text.strip_prefix("systemd ")?.split_whitespace().next()?.parse().ok()
}

/// Those of the groups that may use graphics cards which there are here: systemd starts nothing with
/// a group that does not exist.
fn graphics_groups(file: &Path) -> String {
    let groups = std::fs::read_to_string(file).unwrap_or_default();
    let here = |name: &&str| groups.lines().any(|line| line.split(':').next() == Some(name));
    ["render", "video"].into_iter().filter(here).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(system: System, level: Level) -> Wanted {
        Wanted {
            system,
            level,
            program: "/opt/my programs/hearth".into(),
            arguments: vec!["--set".into(), "hours=mon-fri 22:00-07:00".into()],
            credentials: Vec::new(),
            encrypted: false,
            version: 252,
            groups: "render video".into(),
            user: None,
        }
    }

    #[test]
    fn nothing_is_left_open_in_any_text() {
        for system in [System::Systemd, System::Launchd, System::Windows] {
            for level in [Level::User, Level::System] {
                let text = wanted(system, level).text();
                for word in [
                    "@PROGRAM@",
                    "@ARGUMENTS@",
                    "@RESTARTS@",
                    "@CREDENTIALS@",
                    "@USER@",
                    "@GROUPS@",
                ] {
                    assert!(!text.contains(word), "{word} in {text}");
                }
                assert!(text.contains("/opt/my programs/hearth"), "{text}");
                assert!(text.contains("hours=mon-fri 22:00-07:00"), "{text}");
            }
        }
    }

    #[test]
    fn words_come_back_as_they_were() {
        assert_eq!(systemd_word("/usr/bin/hearth"), "/usr/bin/hearth");
        assert_eq!(systemd_word("duty=50%"), "duty=50%%");
        assert_eq!(systemd_word("a b"), "\"a b\"");
        assert_eq!(systemd_word("c$d\"e\\"), "\"c$$d\\\"e\\\\\"");
        assert_eq!(windows_word(r"C:\a b\"), r#""C:\a b\\""#);
        assert_eq!(windows_word("say \"x\""), r#""say \"x\"""#);
        assert_eq!(xml("a<b&\"c\""), "a&lt;b&amp;&quot;c&quot;");
    }

    #[test]
    fn credentials_are_handed_over_and_newer_systemds_wait_longer_each_time() {
        let mut unit = wanted(System::Systemd, Level::System);
        assert!(
            unit.text().contains("RestartSec=30\n") && !unit.text().contains("ImportCredential")
        );
        unit.version = 256;
        assert!(
            unit.text().contains("RestartSteps=")
                && unit.text().contains("ImportCredential=hearth-*")
        );
        unit.credentials = vec![("hearth-passphrase", "/etc/hearth/pass".into())];
        assert!(unit.text().contains("\nLoadCredential=hearth-passphrase:/etc/hearth/pass\n"));
        unit.encrypted = true;
        assert!(
            unit.text().contains("\nLoadCredentialEncrypted=hearth-passphrase:/etc/hearth/pass\n")
        );
        unit.groups = String::new();
        assert!(!unit.text().contains("SupplementaryGroups"));
    }

    #[test]
    fn the_version_of_systemd_is_read() {
        assert_eq!(version_in("systemd 252 (252.38-1~deb12u1)\n+PAM"), Some(252));
        assert_eq!(version_in("systemd 257~rc2"), None);
        assert_eq!(version_in("what?"), None);
    }

    #[test]
    fn only_groups_that_exist_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("group");
        std::fs::write(&file, "root:x:0:\nvideo:x:44:me\n").unwrap();
        assert_eq!(graphics_groups(&file), "video");
        assert_eq!(graphics_groups(&folder.path().join("none")), "");
    }
}

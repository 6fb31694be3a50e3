//! Whoever starts services on this system, through the crate that knows their commands.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use service_manager::{
    LaunchdServiceManager, RestartPolicy, ServiceInstallCtx, ServiceLabel, ServiceManager,
    ServiceStartCtx, ServiceStatus, ServiceStatusCtx, ServiceStopCtx, ServiceUninstallCtx,
    SystemdServiceManager, WinSwServiceManager,
};

use super::text::Wanted;
use crate::cli::{Exit, Failure};

/// Who starts services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum System {
    Systemd,
    Launchd,
    Windows,
}

/// Whose service it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    User,
    System,
}

impl Level {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::System => "system",
        }
    }
}

/// How a service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    NotInstalled,
    Running,
    Stopped,
}

impl Standing {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::NotInstalled => "not-installed",
            Self::Running => "running",
            Self::Stopped => "stopped",
        }
    }
}

fn failed(what: &str, why: impl std::fmt::Display) -> Failure {
    let why = why.to_string();
    let line = format!(
        "the service cannot be {what} ({}): look at what `hearth service install --print` shows, or \
         start `hearth run --headless` by other means",
        why.trim().trim_end_matches('.')
    );
    Failure::new(Exit::Failed, line).coded("service-failed")
}

impl System {
    /// Of the system that this is.
    pub(super) fn here() -> Result<Self, Failure> {
        match std::env::consts::OS {
            "linux" => Ok(Self::Systemd),
            "macos" => Ok(Self::Launchd),
            "windows" => Ok(Self::Windows),
            other => Err(failed("made", format!("{other} is not known"))),
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Systemd => "systemd",
            Self::Launchd => "launchd",
            Self::Windows => "windows",
        }
    }

    fn manager(self, level: Level) -> Box<dyn ServiceManager> {
        match (self, level) {
            (Self::Systemd, Level::System) => Box::new(SystemdServiceManager::system()),
            (Self::Systemd, Level::User) => Box::new(SystemdServiceManager::user()),
            (Self::Launchd, Level::System) => Box::new(LaunchdServiceManager::system()),
            (Self::Launchd, Level::User) => Box::new(LaunchdServiceManager::user()),
            (Self::Windows, _) => Box::new(WinSwServiceManager::system()),
        }
    }

    /// The file that makes the service.
    pub(super) fn place(self, level: Level) -> Result<PathBuf, Failure> {
        let of_home = |path: &str| {
            let home = directories::BaseDirs::new().map(|dirs| dirs.home_dir().join(path));
            home.ok_or_else(|| failed("placed", "no home directory is known here"))
        };
        Ok(match (self, level) {
            (Self::Systemd, Level::System) => "/etc/systemd/system/hearth.service".into(),
            (Self::Systemd, Level::User) => match directories::BaseDirs::new() {
                Some(dirs) => dirs.config_dir().join("systemd/user/hearth.service"),
                None => return of_home(".config/systemd/user/hearth.service"),
            },
            (Self::Launchd, Level::System) => "/Library/LaunchDaemons/hearth.plist".into(),
            (Self::Launchd, Level::User) => of_home("Library/LaunchAgents/hearth.plist")?,
            (Self::Windows, _) => r"C:\ProgramData\service-manager\hearth\hearth.xml".into(),
        })
    }

    /// Whether there is one: made here, or brought by a package.
    fn is_there(self, level: Level) -> Result<bool, Failure> {
        const PACKAGED: [&str; 2] =
            ["/usr/lib/systemd/system/hearth.service", "/lib/systemd/system/hearth.service"];
        let packaged = (self, level) == (Self::Systemd, Level::System)
            && PACKAGED.iter().any(|place| std::path::Path::new(place).exists());
        Ok(packaged || self.place(level)?.exists())
    }

    /// What to do next, if anything.
    pub(super) fn hint(self, level: Level) -> &'static str {
        match (self, level) {
            (Self::Systemd, Level::User) => {
                " It runs while you are logged in; to run it always: loginctl enable-linger"
            }
            (Self::Systemd, Level::System) => {
                " Its settings: /var/lib/hearth/config/config.toml or /etc/hearth/environment; its \
                 log: journalctl -u hearth"
            }
            _ => "",
        }
    }

    /// Writes it, has it start with the machine, and starts it.
    pub(super) fn install(
        self,
        level: Level,
        wanted: &Wanted,
        text: String,
        no_start: bool,
    ) -> Result<(), Failure> {
        let manager = self.usable(level)?;
        let (program, args) = wanted.command();
        manager
            .install(ServiceInstallCtx {
                label: label(),
                program,
                args,
                contents: Some(text),
                username: None,
                working_directory: None,
                environment: None,
                autostart: true,
                restart_policy: RestartPolicy::default(),
            })
            .map_err(|error| self.explained("installed", level, &error))?;
        // launchd has started what it has loaded.
        if no_start || self == Self::Launchd {
            return Ok(());
        }
        manager
            .start(ServiceStartCtx { label: label() })
            .map_err(|error| self.explained("started", level, &error))
    }

    /// Stops it and takes it away. Gives how it was before.
    pub(super) fn uninstall(self, level: Level) -> Result<Standing, Failure> {
        let manager = self.usable(level)?;
        if !self.place(level)?.exists() {
            return Ok(Standing::NotInstalled);
        }
        let before = self.standing(level)?;
        if before == Standing::Running {
            manager
                .stop(ServiceStopCtx { label: label() })
                .map_err(|error| self.explained("stopped", level, &error))?;
        }
        manager
            .uninstall(ServiceUninstallCtx { label: label() })
            .map_err(|error| self.explained("taken away", level, &error))?;
        Ok(before)
    }

    /// How it is.
    pub(super) fn standing(self, level: Level) -> Result<Standing, Failure> {
        if !self.is_there(level)? {
            return Ok(Standing::NotInstalled);
        }
        let told = self.usable(level)?.status(ServiceStatusCtx { label: label() });
        match told.map_err(|error| self.explained("asked for", level, &error))? {
            ServiceStatus::NotInstalled => Ok(Standing::NotInstalled),
            ServiceStatus::Running => Ok(Standing::Running),
            ServiceStatus::Stopped(_) => Ok(Standing::Stopped),
        }
    }

    /// What systemd knows beyond that: the status line, restarts, why it ended.
    pub(super) fn details(self, level: Level) -> Option<String> {
        if self != Self::Systemd {
            return None;
        }
        let mut command = Command::new("systemctl");
        if level == Level::User {
            command.arg("--user");
        }
        let asked = "--property=StatusText,NRestarts,Result,ExecMainStatus";
        command.args(["show", "hearth.service", asked]).stdin(Stdio::null());
        let output = command.output().ok().filter(|output| output.status.success())?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let value =
            |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        let mut words = Vec::new();
        words.extend(value("StatusText").filter(|status| !status.is_empty()).map(str::to_owned));
        if let Some(result) = value("Result").filter(|result| *result != "success") {
            let status = value("ExecMainStatus").unwrap_or("unknown");
            words.push(format!("It ended by {result} (status {status})."));
        }
        if let Some(restarts) = value("NRestarts").filter(|n| *n != "0") {
            words.push(format!("Started again {restarts} times."));
        }
        (!words.is_empty()).then(|| words.join(" "))
    }

    fn usable(self, level: Level) -> Result<Box<dyn ServiceManager>, Failure> {
        let manager = self.manager(level);
        let missing = match self {
            Self::Systemd => "systemctl is not here",
            Self::Launchd => "launchctl is not here",
            Self::Windows => {
                "winsw.exe is not in the PATH; it turns a program into a Windows service: \
                 https://github.com/winsw/winsw"
            }
        };
        match manager.available() {
            Ok(true) => Ok(manager),
            _ => Err(failed("reached", missing)),
        }
    }

    /// The words of the tool, with what they mostly mean.
    fn explained(self, what: &str, level: Level, error: &std::io::Error) -> Failure {
        let denied = error.kind() == std::io::ErrorKind::PermissionDenied;
        match (denied, level) {
            (true, Level::System) => failed(what, "only an administrator may: use sudo, or --user"),
            _ => failed(what, error),
        }
    }
}

fn label() -> ServiceLabel {
    ServiceLabel { qualifier: None, organization: None, application: "hearth".to_owned() }
}

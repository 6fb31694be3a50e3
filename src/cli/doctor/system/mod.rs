//! Checks of what each operating system is known for: what people really stumble over there.

#[cfg(target_os = "linux")]
pub(super) mod linux;
#[cfg(target_os = "macos")]
pub(super) mod macos;
#[cfg(windows)]
pub(super) mod windows;

#[cfg(any(target_os = "macos", windows, test))]
mod said;

use super::finding::Judgement;
use super::scope::Scope;
use crate::host::surroundings::{Container, Surroundings};

/// What this process runs in, and what that takes away.
pub(super) fn surroundings(scope: &Scope) -> Judgement {
    judge_surroundings(&scope.here)
}

fn judge_surroundings(here: &Surroundings) -> Judgement {
    if here.wsl {
        return Judgement::warning(
            "wsl",
            "This is Linux inside Windows (WSL): it reaches neither the card's own driver nor Windows' \
             keyring, and other miners reach it only through two routers.",
            "Use Hearth for Windows itself. What runs here works, but slower.",
        );
    }
    if let Some(container) = here.container {
        let name = match container {
            Container::Docker => "a Docker container",
            Container::Podman => "a Podman container",
            Container::Kubernetes => "a pod of Kubernetes",
            Container::Other => "a container",
        };
        let what = format!("This is {name}: what is not on a volume is lost with it.");
        let fix =
            "Keep HEARTH_HOME on a volume, and open the UDP port of `peer_port` to the outside.";
        return Judgement::note("container", what, fix);
    }
    if here.ssh {
        return Judgement::note(
            "over-ssh",
            "This is a session over SSH: what it starts ends with it, and the desktop's keyring may be \
             locked.",
            "Start Hearth within `tmux`, or as a service.",
        );
    }
    Judgement::fine("This is an ordinary session on the machine itself.")
}

/// Whether the terminal can draw the screens.
#[cfg(not(windows))]
pub(super) async fn terminal(scope: &Scope) -> Judgement {
    let variable = |name: &str| scope.variables.get(name).map(String::as_str).unwrap_or_default();
    judge_locale(["LC_ALL", "LC_CTYPE", "LANG"].map(variable), variable("TERM"))
}

/// Whether the terminal can draw the screens.
#[cfg(windows)]
pub(super) async fn terminal(scope: &Scope) -> Judgement {
    windows::console_font(scope).await
}

/// The first variable that says anything decides. macOS says nothing and speaks UTF-8.
#[cfg(any(not(windows), test))]
fn judge_locale(locale: [&str; 3], terminal: &str) -> Judgement {
    let decides = locale.into_iter().find(|value| !value.is_empty());
    let utf8 = match decides {
        Some(value) => value.to_lowercase().replace('-', "").contains("utf8"),
        None => cfg!(target_os = "macos"),
    };
    if terminal == "dumb" || terminal == "linux" {
        let what = "This terminal has no braille, of which the curves are drawn.";
        let fix = "Use a terminal window, or SSH from one; `--headless` prints lines instead.";
        return Judgement::note("terminal-plain", what, fix);
    }
    if !utf8 {
        let what = "The language settings are not UTF-8, so lines and curves may be drawn as question marks.";
        return Judgement::warning(
            "terminal-not-utf8",
            what,
            "Start it with `LANG=C.UTF-8 hearth`.",
        );
    }
    Judgement::fine("The terminal can draw the screens.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::finding::judged;

    #[test]
    fn each_kind_of_place_is_told() {
        let home = Surroundings::default();
        assert_eq!(judged(&judge_surroundings(&home)), "fine");
        assert_eq!(judged(&judge_surroundings(&Surroundings { wsl: true, ..home })), "wsl");
        assert_eq!(judged(&judge_surroundings(&Surroundings { ssh: true, ..home })), "over-ssh");
        let boxed = Surroundings { container: Some(Container::Podman), ..home };
        assert_eq!(judged(&judge_surroundings(&boxed)), "container");
    }

    #[test]
    fn the_first_language_variable_decides() {
        assert_eq!(judged(&judge_locale(["", "", "de_DE.UTF-8"], "xterm")), "fine");
        assert_eq!(judged(&judge_locale(["C", "", "de_DE.UTF-8"], "xterm")), "terminal-not-utf8");
        assert_eq!(judged(&judge_locale(["", "C.utf8", ""], "xterm")), "fine");
        assert_eq!(judged(&judge_locale(["", "", "C.UTF-8"], "linux")), "terminal-plain");
    }
}

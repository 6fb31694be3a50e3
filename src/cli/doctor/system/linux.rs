//! What people stumble over on Linux: services that end at logout, and WSL's second router.

use crate::cli::doctor::finding::Judgement;
use crate::cli::doctor::scope::Scope;
use crate::host::{command, surroundings};

/// Whether a service of this user goes on after the last logout.
pub(in crate::cli::doctor) fn lingering(scope: &Scope) -> Judgement {
    let is_root = scope.variables.get("USER").is_some_and(|user| user == "root");
    match surroundings::lingers(&scope.roots, &scope.variables) {
        Some(false) if !is_root => Judgement::note(
            "lingering-off",
            "Services of this user end when the last session ends.",
            "If Hearth is to run as a service: `sudo loginctl enable-linger $USER`.",
        ),
        Some(_) => Judgement::fine("Services of this user go on after logout."),
        None => Judgement::fine("No user services of systemd here."),
    }
}

/// Whether WSL sits behind a router of its own.
pub(in crate::cli::doctor) async fn wsl_network(scope: &Scope) -> Judgement {
    if !scope.here.wsl {
        return Judgement::fine("This is not WSL: no second router is in between.");
    }
    let mode = command::output(&scope.clock, "wslinfo", &["--networking-mode"]).await;
    judge_mode(mode.as_deref().map(str::trim))
}

fn judge_mode(mode: Option<&str>) -> Judgement {
    match mode {
        Some("mirrored") => Judgement::fine("WSL shares Windows' network."),
        _ => Judgement::warning(
            "wsl-double-nat",
            "WSL has a router of its own behind the one at home: other miners reach this one only through \
             a relay, which is slower.",
            "Write `networkingMode=mirrored` under `[wsl2]` into %UserProfile%\\.wslconfig and run `wsl \
             --shutdown`; or use Hearth for Windows itself.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_mirrored_network_has_no_second_router() {
        assert!(matches!(judge_mode(Some("mirrored")), Judgement::Fine(_)));
        for mode in [Some("nat"), None] {
            assert!(matches!(judge_mode(mode), Judgement::Trouble { code: "wsl-double-nat", .. }));
        }
    }
}

//! What people stumble over on macOS: quarantine, the Keychain's question after each unsigned update,
//! and App Nap.

use super::said;
use crate::cli::doctor::finding::Judgement;
use crate::cli::doctor::scope::Scope;
use crate::host::command;

fn own_path() -> String {
    std::env::current_exe().map(|path| path.display().to_string()).unwrap_or_default()
}

/// Whether macOS holds this program for a download that it must not trust.
pub(in crate::cli::doctor) async fn quarantine(scope: &Scope) -> Judgement {
    let path = own_path();
    let mark = command::output(&scope.clock, "xattr", &["-p", "com.apple.quarantine", &path]).await;
    if mark.is_none() {
        return Judgement::fine("macOS does not hold this program back.");
    }
    let what = "macOS marks this program as a download and may refuse to start it.";
    let fix = format!("Run `xattr -d com.apple.quarantine {path}`.");
    Judgement::warning("quarantined", what, fix)
}

/// Whether the Keychain takes this program for another one after each update.
pub(in crate::cli::doctor) async fn keychain_prompt(scope: &Scope) -> Judgement {
    let path = own_path();
    let arguments = ["-d", "-r-", path.as_str()];
    let designated = command::output(&scope.clock, "codesign", &arguments).await;
    said::signature(designated.as_deref())
}

/// Whether macOS slows a program down whose window is hidden.
pub(in crate::cli::doctor) async fn app_nap(scope: &Scope) -> Judgement {
    let domain = match scope.variables.get("TERM_PROGRAM").map(String::as_str) {
        Some("iTerm.app") => "com.googlecode.iterm2",
        _ => "com.apple.Terminal",
    };
    let ask = async |domain: &str| {
        command::output(&scope.clock, "defaults", &["read", domain, "NSAppSleepDisabled"]).await
    };
    let off = [ask(domain).await, ask("NSGlobalDomain").await];
    said::app_nap(domain, &off)
}

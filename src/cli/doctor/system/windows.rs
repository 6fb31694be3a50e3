//! What people stumble over on Windows: SmartScreen and Defender, the firewall's question, a console
//! font without braille, and a service that cannot read the user's credentials.

use super::said;
use crate::cli::doctor::finding::Judgement;
use crate::cli::doctor::scope::Scope;
use crate::host::command;

fn own_path() -> String {
    std::env::current_exe().map(|path| path.display().to_string()).unwrap_or_default()
}

async fn powershell(scope: &Scope, script: &str) -> Option<String> {
    let arguments = ["-NoProfile", "-NonInteractive", "-Command", script];
    command::output(&scope.clock, "powershell", &arguments).await
}

/// Whether Windows holds this program for a download.
pub(in crate::cli::doctor) async fn quarantine(_scope: &Scope) -> Judgement {
    let path = own_path();
    let mark = std::fs::read_to_string(format!("{path}:Zone.Identifier")).ok();
    said::zone(mark.as_deref(), &path)
}

/// Whether Defender has moved anything of ours away.
pub(in crate::cli::doctor) async fn defender(scope: &Scope) -> Judgement {
    let files = powershell(scope, "Get-MpThreatDetection | ForEach-Object { $_.Resources }").await;
    said::defender(files.as_deref())
}

/// What the firewall does with this program.
pub(in crate::cli::doctor) async fn firewall(scope: &Scope) -> Judgement {
    // Within single quotes of PowerShell only a single quote has a meaning.
    let path = own_path().replace('\'', "''");
    let script = format!(
        "Get-NetFirewallApplicationFilter -Program '{path}' -ErrorAction SilentlyContinue | \
         Get-NetFirewallRule | Where-Object Enabled -eq 'True' | \
         ForEach-Object {{ \"$($_.Direction) $($_.Action)\" }}; exit 0"
    );
    said::firewall(powershell(scope, &script).await.as_deref())
}

/// Whether the console's font has what the screens are drawn of.
pub(in crate::cli::doctor) async fn console_font(scope: &Scope) -> Judgement {
    let arguments = ["query", r"HKCU\Console", "/v", "FaceName"];
    let answer = command::output(&scope.clock, "reg", &arguments).await;
    said::console_font(answer.as_deref(), scope.variables.contains_key("WT_SESSION"))
}

/// Whether this account can read the user's credentials.
pub(in crate::cli::doctor) fn service_account(scope: &Scope) -> Judgement {
    let variable = |name: &str| scope.variables.get(name).map(String::as_str).unwrap_or_default();
    said::service_account(variable("USERNAME"), variable("SESSIONNAME"))
}

//! What the tools of macOS and Windows say, and what that means. Apart from the asking, so that it is
//! tested on every system.

use crate::cli::doctor::finding::Judgement;

/// `codesign -d -r-`: a program without a maker's signature is known by its bits (`cdhash`), which
/// change with each update.
#[cfg(any(target_os = "macos", test))]
pub(super) fn signature(designated: Option<&str>) -> Judgement {
    match designated {
        Some(said) if said.contains("designated =>") && !said.contains("cdhash") => {
            Judgement::fine("The Keychain knows this program after an update.")
        }
        _ => Judgement::note(
            "keychain-asks",
            "This program is not signed by a maker, so the Keychain asks again after each update, and a \
             service cannot answer.",
            "Answer once with \"Always Allow\" after an update, or keep the key in a file: `hearth keys move \
             --to file`.",
        ),
    }
}

/// `defaults read DOMAIN NSAppSleepDisabled`, for the terminal and for all programs.
#[cfg(any(target_os = "macos", test))]
pub(super) fn app_nap(domain: &str, switched_off: &[Option<String>]) -> Judgement {
    if switched_off.iter().flatten().any(|said| said.trim() == "1") {
        return Judgement::fine("macOS does not slow this terminal down when it is hidden.");
    }
    let what = "macOS slows down a terminal whose window is hidden (App Nap), and the miner in it.";
    let fix = format!(
        "Run `defaults write {domain} NSAppSleepDisabled -bool YES` and start the terminal again, or start \
         it as `caffeinate -i hearth run`."
    );
    Judgement::note("app-nap", what, fix)
}

/// The mark that Windows puts beside a downloaded file: 3 and 4 are the internet.
#[cfg(any(windows, test))]
pub(super) fn zone(mark: Option<&str>, path: &str) -> Judgement {
    let zone =
        mark.and_then(|mark| mark.split("ZoneId=").nth(1)).and_then(|rest| rest.chars().next());
    if !matches!(zone, Some('3' | '4')) {
        return Judgement::fine("Windows does not hold this program for a download.");
    }
    let what = "Windows marks this program as a download: SmartScreen may stop it, and Defender looks harder.";
    let fix = format!("In PowerShell: `Unblock-File -Path \"{path}\"`.");
    Judgement::warning("smartscreen", what, fix)
}

/// The files that Defender has dealt with, one a line.
#[cfg(any(windows, test))]
pub(super) fn defender(files: Option<&str>) -> Judgement {
    let hit = files.unwrap_or_default().lines().find(|line| line.to_lowercase().contains("hearth"));
    match hit {
        None => Judgement::fine("Defender has not moved any of Hearth's files away."),
        Some(file) => {
            let what = format!(
                "Windows Defender took one of Hearth's files for harmful: {}.",
                file.trim()
            );
            let fix = "Compare the file's checksum with the release's. If it is the same: Windows Security, \
                       Protection history, Restore; then add Hearth's folder to the exclusions.";
            Judgement::error("defender-quarantine", what, fix)
        }
    }
}

/// The firewall's rules for this program: a line `Inbound Allow` or `Inbound Block` for each.
#[cfg(any(windows, test))]
pub(super) fn firewall(rules: Option<&str>) -> Judgement {
    let Some(rules) = rules else {
        let what = "Windows does not tell its firewall's rules.";
        return Judgement::note(
            "not-checked",
            what,
            "If it asks about Hearth, allow private networks.",
        );
    };
    let has =
        |action: &str| rules.lines().any(|line| line.contains("Inbound") && line.contains(action));
    match (has("Block"), has("Allow")) {
        (true, _) => Judgement::warning(
            "firewall-blocks",
            "Windows' firewall keeps other miners out: they reach this one only through a relay.",
            "Windows Security, Firewall, Allow an app: tick Hearth for private networks.",
        ),
        (false, true) => Judgement::fine("Windows' firewall lets other miners in."),
        (false, false) => Judgement::note(
            "firewall-asks",
            "Windows will ask whether Hearth may use the network (UDP) when it first mines.",
            "Allow it for private networks; without that, all traffic goes through a relay.",
        ),
    }
}

/// `reg query HKCU\Console /v FaceName`: the fonts of the old console have no braille.
#[cfg(any(windows, test))]
pub(super) fn console_font(answer: Option<&str>, windows_terminal: bool) -> Judgement {
    if windows_terminal {
        return Judgement::fine("Windows Terminal can draw the screens.");
    }
    let face = answer.and_then(|answer| answer.split("REG_SZ").nth(1)).map_or("", str::trim);
    if face.contains("Cascadia") || face.contains("DejaVu") {
        return Judgement::fine(format!("The console's font {face} can draw the screens."));
    }
    let what = "The old console's font has no braille, of which the curves are drawn.";
    let fix = "Use Windows Terminal (`winget install Microsoft.WindowsTerminal`), or choose the font Cascadia \
               Mono in the console's properties.";
    Judgement::warning("console-font", what, fix)
}

/// The account of a service has no access to what a person's account keeps.
#[cfg(any(windows, test))]
pub(super) fn service_account(user: &str, session: &str) -> Judgement {
    let service = user.is_empty() || user.ends_with('$') || user.eq_ignore_ascii_case("SYSTEM");
    if !service && !session.eq_ignore_ascii_case("Services") {
        return Judgement::fine("Hearth runs as a person, whose credentials it can read.");
    }
    let what =
        "Hearth runs as a service account, which cannot read the credentials of your own account.";
    let fix = "Let the service log on as your user, or keep the key in a file: `hearth keys move --to file`.";
    Judgement::warning("service-credentials", what, fix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::finding::judged;

    #[test]
    fn what_macos_says_is_understood() {
        assert_eq!(judged(&signature(Some("# designated => cdhash H\"aa\""))), "keychain-asks");
        assert_eq!(judged(&signature(Some("designated => anchor apple generic"))), "fine");
        assert_eq!(judged(&signature(None)), "keychain-asks");
        assert_eq!(judged(&app_nap("com.apple.Terminal", &[None, Some("1\n".into())])), "fine");
        assert_eq!(judged(&app_nap("com.apple.Terminal", &[None, Some("0\n".into())])), "app-nap");
    }

    #[test]
    fn what_windows_says_is_understood() {
        assert_eq!(judged(&zone(Some("[ZoneTransfer]\r\nZoneId=3\r\n"), "h.exe")), "smartscreen");
        assert_eq!(judged(&zone(Some("[ZoneTransfer]\r\nZoneId=1\r\n"), "h.exe")), "fine");
        assert_eq!(judged(&zone(None, "h.exe")), "fine");
        assert_eq!(judged(&defender(Some("C:\\x\\Hearth.exe\r\n"))), "defender-quarantine");
        assert_eq!(judged(&defender(None)), "fine");
        assert_eq!(judged(&firewall(Some("Inbound Block\r\nInbound Allow"))), "firewall-blocks");
        assert_eq!(judged(&firewall(Some("Inbound Allow"))), "fine");
        assert_eq!(judged(&firewall(Some(""))), "firewall-asks");
        assert_eq!(judged(&firewall(None)), "not-checked");
        let font = "HKEY_CURRENT_USER\\Console\r\n    FaceName    REG_SZ    Consolas\r\n";
        assert_eq!(judged(&console_font(Some(font), false)), "console-font");
        assert_eq!(
            judged(&console_font(Some(&font.replace("Consolas", "Cascadia Mono")), false)),
            "fine"
        );
        assert_eq!(judged(&console_font(None, true)), "fine");
        assert_eq!(judged(&service_account("HOME-PC$", "Services")), "service-credentials");
        assert_eq!(judged(&service_account("ada", "Console")), "fine");
    }
}

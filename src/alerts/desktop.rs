//! A notification on this desktop, by the way of each system.

use super::Alert;
use crate::clock::Clock;

/// Shows it; the error is the system's words.
#[cfg(target_os = "linux")]
pub(super) async fn show(alert: &Alert, _clock: &Clock) -> Result<(), String> {
    let alert = alert.clone();
    let shown = tokio::task::spawn_blocking(move || notify(&alert));
    shown.await.map_err(|error| error.to_string())?.map_err(|error| {
        let name = error.name().unwrap_or_default();
        format!(
            "the desktop's notifications do not answer ({name}): {}",
            error.message().unwrap_or_default()
        )
    })
}

/// `org.freedesktop.Notifications` of the session bus.
#[cfg(target_os = "linux")]
fn notify(alert: &Alert) -> Result<(), dbus::Error> {
    use dbus::arg::{PropMap, Variant};
    use dbus::blocking::Connection;

    /// So long the desktop may take.
    const LIMIT: std::time::Duration = std::time::Duration::from_secs(5);
    let bus = Connection::new_session()?;
    let desktop =
        bus.with_proxy("org.freedesktop.Notifications", "/org/freedesktop/Notifications", LIMIT);
    let mut hints = PropMap::new();
    let urgency: u8 = if alert.kind.is_urgent() && !alert.test { 2 } else { 1 };
    hints.insert("urgency".to_owned(), Variant(Box::new(urgency)));
    let actions: Vec<String> = Vec::new();
    // Many desktops read the text as markup.
    let text = alert.full_text().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let told = ("hearth", 0_u32, "", alert.title.as_str(), text.as_str(), actions, hints, -1_i32);
    let (_id,): (u32,) = desktop.method_call("org.freedesktop.Notifications", "Notify", told)?;
    Ok(())
}

/// `display notification`, with the text as arguments: nothing of it is read as a script.
#[cfg(target_os = "macos")]
pub(super) async fn show(alert: &Alert, clock: &Clock) -> Result<(), String> {
    let text = alert.full_text();
    let script = [
        "on run argv",
        "display notification (item 2 of argv) with title (item 1 of argv)",
        "end run",
    ];
    let arguments = ["-e", script[0], "-e", script[1], "-e", script[2], &alert.title, &text];
    match crate::host::command::output(clock, "osascript", &arguments).await {
        Some(_) => Ok(()),
        None => Err("osascript could not show a notification".to_owned()),
    }
}

/// A toast by PowerShell, with the text encoded: nothing of it is read as a script.
#[cfg(windows)]
pub(super) async fn show(alert: &Alert, clock: &Clock) -> Result<(), String> {
    let letters =
        |text: &str| text.chars().map(|c| u32::from(c).to_string()).collect::<Vec<_>>().join(",");
    let script = format!(
        "$t=-join(@({})|%{{[char]::ConvertFromUtf32($_)}});$b=-join(@({})|%{{[char]::ConvertFromUtf32($_)}});\
         [Windows.UI.Notifications.ToastNotificationManager,Windows.UI.Notifications,ContentType=WindowsRuntime]|Out-Null;\
         $x=[Windows.UI.Notifications.ToastNotificationManager]::GetTemplateContent(1);\
         $n=$x.GetElementsByTagName('text');$n[0].AppendChild($x.CreateTextNode($t))|Out-Null;\
         $n[1].AppendChild($x.CreateTextNode($b))|Out-Null;\
         [Windows.UI.Notifications.ToastNotificationManager]::CreateToastNotifier('Hearth').Show(\
         [Windows.UI.Notifications.ToastNotification]::new($x))",
        letters(&alert.title),
        letters(&alert.full_text()),
    );
    let arguments = ["-NoProfile", "-NonInteractive", "-Command", &script];
    match crate::host::command::output(clock, "powershell", &arguments).await {
        Some(_) => Ok(()),
        None => Err("PowerShell could not show a notification".to_owned()),
    }
}

/// Elsewhere there is no way that we know.
#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
pub(super) async fn show(_alert: &Alert, _clock: &Clock) -> Result<(), String> {
    Err("notifications are not known on this system".to_owned())
}

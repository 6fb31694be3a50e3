//! The rules of when and how hard it works, and what is said about them.

use crate::cli::explain::{Page, page};

/// The pages of this chapter.
pub(in crate::cli::explain) const PAGES: &[Page] = &[
    page(
        "no-rule",
        "No rule stands against working",
        "It may work all the time.",
        "None of the rules that are set has anything against it now.",
        "Nothing.",
    ),
    page(
        "duty-cycle",
        "It works a share of the time",
        "After each piece of work it rests, so that the device is busy for the share that you set.",
        "The setting duty is below 100%.",
        "Nothing, or change it with `hearth config set duty 100%`.",
    ),
    page(
        "power-limit",
        "It stays under a power limit",
        "It rests between two pieces of work so that the device takes no more than your limit on \
         average.",
        "The device took more than the setting power_limit allows.",
        "Nothing. At 5 % it goes no lower: a limit below what the device takes at rest cannot be kept.",
    ),
    page(
        "run-anyway",
        "It works whatever the rules say",
        "You asked for it until a certain time; then the rules decide again.",
        "Only heat and a full disk still pause it.",
        "Nothing. `hearth resume` gives the word back to the rules at once.",
    ),
    page(
        "user-paused",
        "You paused it",
        "It takes no new work until the time that you gave, or until you resume it; after a restart too.",
        "The key or the command for a pause was given.",
        "Resume it when you like. What is in hand is finished, and this epoch's work is handed in.",
    ),
    page(
        "too-hot",
        "The device is too hot",
        "Everything is put down until the device has cooled to the second of your two temperatures.",
        "It reached the first temperature of the setting temperature.",
        "Let air to it and clean its fans, or let it work less: `hearth config set duty 60%`.",
    ),
    page(
        "disk-reserve",
        "Too little of the disk is free",
        "It finishes what is in hand and writes nothing until there is room again.",
        "Less is free than the setting disk_reserve keeps for you.",
        "Make room. It goes on when a tenth more than the reserve is free.",
    ),
    page(
        "quota-reached",
        "This month's amount is used up",
        "It sends and fetches nothing but its heartbeat until the month ends.",
        "Hearth has sent and received what the setting quota allows in a calendar month.",
        "Wait for the month to end, or allow more: `hearth config set quota 300GB`.",
    ),
    page(
        "metered",
        "The connection is paid by volume",
        "It sends and fetches nothing but its heartbeat until another connection is used.",
        "The system marks this connection as metered, and the setting metered says pause.",
        "Use another connection, unmark it in the system's settings, or set metered to run.",
    ),
    page(
        "battery-low",
        "The battery is too low",
        "It finishes what is in hand and pauses until the battery is 5 % fuller than your level, or on \
         mains power.",
        "The battery fell below the level in the setting on_battery.",
        "Plug the computer in.",
    ),
    page(
        "battery-power",
        "The computer runs on its battery",
        "It pauses until there is mains power.",
        "The setting on_battery says pause, as it does while nobody changes it.",
        "Plug the computer in, or set on_battery to a level such as 40%.",
    ),
    page(
        "outside-hours",
        "Outside the hours that you set",
        "It pauses until the next hours begin; the status line says when that is.",
        "The setting hours names other times of the week.",
        "Nothing. `hearth resume --anyway 2h` lets it work all the same for two hours; `hearth config set \
         hours` changes the hours.",
    ),
    page(
        "program-running",
        "A program that it makes room for runs",
        "It pauses until that program has ended, and a minute more.",
        "The setting pause_for names it.",
        "Nothing, or take the program out of pause_for.",
    ),
    page(
        "fullscreen",
        "A program fills the screen",
        "It pauses until that is over, and a minute more.",
        "The setting fullscreen says pause.",
        "Nothing, or set fullscreen to run.",
    ),
    page(
        "computer-in-use",
        "The computer is in use",
        "It pauses until nobody has touched keyboard or mouse for the time that you set.",
        "The setting idle_after is not off.",
        "Nothing, or set idle_after to off.",
    ),
    page(
        "net-too-low",
        "Work would leave too little",
        "It pauses because an hour of work would leave less after electricity than you set.",
        "`minimum_net` is set, and what the last day earned, at today's prices, less the watts at the \
         price of this hour (`kwh_price`, by night `kwh_price_night`), is below it.",
        "Nothing: it goes on when pay, prices or the tariff change. `hearth earnings` shows the sum; \
         `hearth resume` lets it work anyway for a while. Where the sum cannot be known, this rule \
         pauses nothing.",
    ),
    page(
        "other-programs",
        "Other programs are busy",
        "It pauses until other programs need clearly less of the processor than your limit.",
        "They needed more than the setting load_limit allows for some time.",
        "Nothing, or raise load_limit.",
    ),
    page(
        "rules-never-run",
        "The rules leave no time to work",
        "With these settings it could never work, so they are refused.",
        "The hours have no length, the quota is nothing, or a named program is Hearth itself.",
        "Change the setting that is named.",
    ),
    page(
        "rule-unknown",
        "A rule cannot be kept to here",
        "A rule is set about something that nobody can say on this computer. It pauses nothing.",
        "There is no such sensor, no session of a user, or no permission to ask; the line says which. A \
         server has no desktop that knows whether somebody is there; a virtual machine has no temperature \
         sensors; Wayland does not tell which window fills the screen.",
        "Nothing, or take the rule out with `hearth config unset KEY`. For idle_after as a service: run \
         Hearth in the desktop's session instead. docs/rules.md in the sources says what is known where.",
    ),
    page(
        "temperature-unknown",
        "The temperature cannot be read",
        "You set a temperature to pause at, but nobody can say how hot the device is.",
        "The driver tells no temperature, or the reading cannot be true.",
        "Watch the device yourself. `hearth doctor` names what is missing.",
    ),
    page(
        "pause-not-kept",
        "The pause would not survive a restart",
        "It counts now, but could not be written down.",
        "The state folder cannot be written.",
        "Make room or give permission; `hearth doctor` names the folder.",
    ),
];

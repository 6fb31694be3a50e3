//! Memory, disk, power and the card.

use crate::cli::explain::{Page, page};

/// The pages of this chapter.
pub(in crate::cli::explain) const PAGES: &[Page] = &[
    page(
        "memory",
        "Memory was looked at",
        "The check of how much memory programs may still take.",
        "A stage that does not fit is refused before it is built.",
        "Nothing: there is some.",
    ),
    page(
        "rules",
        "The rules were looked at",
        "The check of whether the rules that you set can be kept on this machine.",
        "A rule about something that the system does not tell can do nothing.",
        "Nothing: each can be kept.",
    ),
    page(
        "memory-low",
        "Hardly any memory is free",
        "Less than 2 GB are free: hardly any stage of a real run fits beside the system.",
        "Other programs hold it, or the container has a limit.",
        "Close browsers and games, or raise the container's limit.",
    ),
    page(
        "memory-unknown",
        "Free memory is not known",
        "The system does not tell how much memory is free.",
        "A restricted container or an unusual system.",
        "Watch the system's own monitor; a stage that does not fit ends with a clear line.",
    ),
    page(
        "disk",
        "The disk was looked at",
        "The check of the room for snapshots.",
        "Two generations of a stage's weights and optimizer are kept, and a third is \
         written beside them.",
        "Nothing: there is room.",
    ),
    page(
        "disk-low",
        "The disk is nearly full",
        "There is room now, but a large stage's snapshots may not fit.",
        "A stage of a quarter of a billion weights keeps about 12 GB.",
        "Make room, or set HEARTH_HOME to a folder on another disk.",
    ),
    page(
        "disk-full",
        "The disk is full",
        "Less than half a gigabyte is free: nothing can be kept.",
        "Other files, or old logs and snapshots.",
        "Make room, or set HEARTH_HOME to a folder on another disk.",
    ),
    page(
        "disk-cleaned",
        "Old files were removed",
        "Something old of Hearth's own was removed to make room: snapshots of stages that are not \
         trained any more, logs, records of runs, or what was kept to save a download.",
        "Hearth had more than disk_cap, or less than disk_reserve was free.",
        "Nothing. The snapshots of the stage that is trained are never removed.",
    ),
    page(
        "disk-cap-too-small",
        "The disk cap cannot be kept",
        "Everything that Hearth could remove is gone, and what is left is more than disk_cap.",
        "The stage's snapshots and the journal of the work after them need more than that.",
        "Raise disk_cap with `hearth config set disk_cap`, or switch it off.",
    ),
    page(
        "disk-unknown",
        "Free disk space is not known",
        "The system does not tell how much room is left.",
        "A network disk or an unusual file system.",
        "See to it that 12 GB are free.",
    ),
    page(
        "power",
        "The power was looked at",
        "The check of whether the machine is plugged in.",
        "Training takes all the power there is.",
        "Nothing: it does not run on a battery.",
    ),
    page(
        "on-battery",
        "The machine runs on its battery",
        "Training empties a battery within the hour and wears it out.",
        "The machine is not plugged in.",
        "Plug it in.",
    ),
    page(
        "sleep",
        "The sleep settings were looked at",
        "The check of whether the machine falls asleep by itself.",
        "A sleeping miner loses its epoch and its place.",
        "Nothing: it stays awake.",
    ),
    page(
        "machine-sleeps",
        "The machine falls asleep by itself",
        "After some minutes without a key the system suspends the machine, and the miner \
         with it.",
        "That is the usual setting of laptops and desktops, and the system does not let Hearth keep it \
         awake, or `keep_awake` is off.",
        "Switch automatic suspend off for mains power, or start Hearth through the system's \
         tool that keeps it awake; the finding names the command.",
    ),
    page(
        "sleep-unknown",
        "Whether the machine sleeps is not known",
        "The system does not say whether it falls asleep by itself.",
        "Each desktop keeps that setting in another place.",
        "Look into the power settings, and switch automatic suspend off while it is to mine.",
    ),
    page(
        "other-miners",
        "Other programs were looked at",
        "The check of whether another program that computes for hours runs here.",
        "Two of them on one card are slower than one.",
        "Nothing: none that is known.",
    ),
    page(
        "other-miner",
        "Another miner uses the machine",
        "A program that takes a whole card runs beside Hearth.",
        "It was started by you or as a service.",
        "Stop one of the two. Hearth never touches other programs.",
    ),
    page(
        "graphics-driver",
        "The graphics driver was looked at",
        "The check that the card's driver is there, may be used, and is found by Vulkan.",
        "Most cards that are \"not found\" lack one file or one permission.",
        "Nothing: it is in place.",
    ),
    page(
        "device",
        "The devices were looked at",
        "The check of which device computes.",
        "Every adapter is listed and measured; no table of names decides.",
        "Nothing: a graphics card computes.",
    ),
    page(
        "processor-only",
        "Only the processor computes",
        "No graphics card is used, and the processor is too slow to earn anything.",
        "There is none, its driver is missing, or it failed its self-test.",
        "`hearth devices` tells of each why; the other findings tell what to do.",
    ),
    page(
        "kernels",
        "The kernels were tested",
        "The check that every kernel computes on this device what the reference computes.",
        "Drivers have faults that only show in the numbers.",
        "Nothing: all are right.",
    ),
    page(
        "kernels-untested",
        "The kernels were not tested yet",
        "Nothing is known of the kernels with this device and driver.",
        "The test runs at the first start with each driver.",
        "`hearth devices --test` runs it now.",
    ),
    page(
        "fit",
        "What fits was computed",
        "The check of which stages of a real run this machine has memory for.",
        "The plan of a stage is known to the byte before anything is built.",
        "Nothing: some fit.",
    ),
    page(
        "fit-unknown",
        "What fits is not known",
        "Neither driver nor system tells how much memory the device has.",
        "Some drivers do not say.",
        "Nothing: a stage that does not fit is refused with the numbers.",
    ),
    page(
        "nothing-fits",
        "No stage of a real run fits",
        "There is less memory than the smallest stage of a real run takes.",
        "Other programs hold memory, or the card is small.",
        "Close other programs, or use a machine with more memory. The practice swarm runs all the same.",
    ),
    page(
        "render-group",
        "This user may not use the card",
        "The card's device belongs to a group that this user is not in.",
        "New users of some Linux systems are not added to it.",
        "`sudo usermod -aG render $USER` (with the group that is named), log out, and log \
         in again.",
    ),
    page(
        "driver-broken",
        "The card's device does not answer",
        "The device file is there, but opening it fails.",
        "The driver was updated without a restart, or crashed.",
        "Restart the machine. If that does not help, install the driver again.",
    ),
    page(
        "container-graphics",
        "The container lacks the driver's graphics part",
        "NVIDIA's driver is in the container only for CUDA, so Vulkan finds no card.",
        "The container was started without the graphics capability.",
        "Start it with `--gpus all -e NVIDIA_DRIVER_CAPABILITIES=all`.",
    ),
    page(
        "no-vulkan-driver",
        "There is no Vulkan driver",
        "A card is there, but nothing tells Vulkan how to use it.",
        "The driver's Vulkan package is not installed.",
        "Install Mesa's Vulkan drivers (AMD, Intel) or NVIDIA's own driver.",
    ),
    page(
        "no-graphics-card",
        "There is no graphics card",
        "Only the processor can compute here.",
        "A server or a virtual machine without a card, or one that is switched off in the \
         firmware.",
        "`hearth demo` runs all the same. To earn, use a machine with a card.",
    ),
    page(
        "kernel-failed",
        "The card computes wrong numbers",
        "In the self-test a kernel gave wrong results on this card in every form there is, or the \
         card was lost on the way. It is not used.",
        "A fault of the driver, of an overclocked or dying card, or of Hearth on this kind of card.",
        "Update the driver, then run `hearth devices --test`. Until then `--backend cpu` works; \
         `--backend auto` takes it by itself.",
    ),
    page(
        "kernel-banned",
        "A kernel that lost the card is not used any more",
        "The driver lost the card twice while the same kernel was at work; a simpler form of it is \
         used from now on, also after a restart.",
        "The driver compiles the fast form into something that hangs, or the card cannot take it.",
        "Nothing has to be done: it trains, slower. Update the driver; Hearth tests the fast form \
         again with another one.",
    ),
    page(
        "device-lost",
        "The card was lost and is open again",
        "The driver stopped or reset the card. It was opened again, the stage was built anew and its \
         last good state taken over; work since then is lost.",
        "A driver update, a hanging kernel, too much overclocking, heat, or a power supply that is \
         too weak. The line says what the card was busy with.",
        "Nothing, once. If it repeats: update the driver, undo overclocking, look at heat and power.",
    ),
    page(
        "device-gone",
        "The card does not come back",
        "After it was lost the card cannot be opened. That is tried again with growing pauses for ten \
         minutes; then Hearth ends, so that whatever started it may start it afresh.",
        "It was unplugged, its driver is being replaced, or it hangs until the machine is restarted.",
        "Plug it in, finish the driver's installation, or restart the machine. `--backend cpu` works \
         without it; Hearth does not change to the processor by itself, which would be far slower \
         than what the other miners of the stage expect.",
    ),
    page(
        "memory-stepped-down",
        "The stage takes less memory now",
        "Memory ran out, so that fewer sequences are computed at a time or, if that was not enough, the \
         optimizer's moments are kept in bf16. It learns the same up to rounding; a pass that broke off \
         is done again from a clean state and counts once.",
        "Another program took memory of the card or the machine.",
        "Nothing: it trains. Close other programs that use the card; the next start tries the full size \
         again.",
    ),
    page(
        "kernel-replaced",
        "A kernel runs in a slower form",
        "In the self-test the fast form of a kernel gave wrong results on this card; a simpler form \
         gave the right ones and is used instead.",
        "The driver compiles the fast form wrongly, or the card loses a race in it.",
        "Nothing has to be done: it trains, slower. Update the driver; Hearth tests the fast form \
         again with another one. `hearth devices` lists the kernels.",
    ),
    page(
        "results-wrong",
        "The benchmark's results are wrong",
        "What the device computed in a benchmark does not agree with the reference in f64.",
        "A fault of the driver, of an overclocked or dying card, or of Hearth on this kind of device.",
        "Do not mine with this device. Run `hearth devices --test`, update the driver, or use \
         `--backend cpu`.",
    ),
];

//! Settings, folders and what lies in them.

use crate::cli::explain::{Page, page};

/// The pages of this chapter.
pub(in crate::cli::explain) const PAGES: &[Page] = &[
    page(
        "settings",
        "The settings were looked at",
        "The check that reads the settings file and every value in it.",
        "One wrong letter in a setting changes who is paid or which network is joined.",
        "Nothing: they are in order.",
    ),
    page(
        "config-none",
        "There is no settings file",
        "Nothing was saved yet, so the defaults count.",
        "This is normal before the first setup.",
        "`hearth setup` asks for what is needed; `hearth config set KEY VALUE` saves a \
         single value.",
    ),
    page(
        "config-missing",
        "The settings file that was named is not there",
        "The file given with --config does not exist.",
        "A typing error in the path, or the file was moved.",
        "Check the path, or leave --config out to use the usual file; `hearth config path` \
         prints where that is.",
    ),
    page(
        "config-unreadable",
        "The settings file cannot be read",
        "The file is there, but the system does not let Hearth read it.",
        "It belongs to another user, or it is a folder.",
        "Give this user permission to read it.",
    ),
    page(
        "config-broken",
        "The settings file is not understood",
        "The file is not valid TOML, or has a setting that does not exist. Hearth never \
         overwrites such a file.",
        "A missing quote, a typing error in a name, or a setting of another version.",
        "Open the file at the line that is named and correct it; `hearth config check` \
         looks again.",
    ),
    page(
        "config-value",
        "A value does not fit its setting",
        "One setting has a value that it cannot have.",
        "A typing error, or a value of another setting.",
        "`hearth config set KEY VALUE` with one of the values that the line names, or \
         `hearth config unset KEY`.",
    ),
    page(
        "config-unusual",
        "The settings file cannot be changed safely",
        "The file is valid, but written in a way in which changing one line would change \
         another.",
        "Dotted names or tables that a program wrote.",
        "Change it in an editor; `hearth config check` tells whether it is right.",
    ),
    page(
        "folders",
        "The folders were looked at",
        "The check that Hearth may write where it keeps keys, snapshots, settings and logs.",
        "A snapshot that cannot be written is found out when it is too late.",
        "Nothing: they can be written.",
    ),
    page(
        "no-home",
        "No home directory is known",
        "Hearth does not know where to keep its files.",
        "A service or a container without HOME.",
        "Set HEARTH_HOME to a folder that may be written; everything is then kept there.",
    ),
    page(
        "folder-not-writable",
        "A folder cannot be written",
        "A file of Hearth could not be made or replaced.",
        "The folder is read-only or full, or belongs to another user, perhaps since Hearth \
         once ran as root.",
        "Make room or give permission (`sudo chown -R $USER FOLDER`), or set HEARTH_HOME to \
         another folder.",
    ),
    page(
        "tokenizer",
        "The tokenizer was looked at",
        "The check that the first and last stage would find the file that turns text into \
         numbers.",
        "Only those two stages read text; all others never need it.",
        "Nothing: it is there, or can be fetched.",
    ),
    page(
        "tokenizer-missing",
        "The tokenizer file is not there",
        "The setting `tokenizer` names a file that does not exist.",
        "It was moved or never downloaded.",
        "`hearth config set tokenizer FILE` with the right path, or `hearth config unset \
         tokenizer`.",
    ),
    page(
        "tokenizer-no-token",
        "A gated tokenizer without a token",
        "Hearth may fetch tokenizers from the model hub, but has no token to show.",
        "The makers of large models let only those read it who accepted a licence.",
        "Accept the licence on the model's page, make a read token there, and set it as \
         HF_TOKEN; or download tokenizer.json yourself and name it.",
    ),
    page(
        "tokenizer-not-here",
        "No tokenizer is set",
        "This machine can take every stage but the first and the last.",
        "Asking the model hub shows it this machine's address, so it is done only when you \
         say so.",
        "Nothing, if any stage will do. Else `hearth config set tokenizer FILE`, or set \
         tokenizer_download to true.",
    ),
    page(
        "setup-hotkey",
        "Setup found the hotkey",
        "`hearth setup --non-interactive` proved that there is a hotkey to mine with, or made one.",
        "It says which, and where it is kept.",
        "Nothing. A key that was made has no backup yet: `hearth keys export` or \
         `hearth keys show --secret` at a terminal gives you one.",
    ),
    page(
        "setup-saved",
        "Setup saved the answers",
        "Flags, environment variables and settings were checked together and written to the \
         settings file.",
        "From now on they hold without flags.",
        "`hearth run` mines with them; `hearth config show` shows them.",
    ),
    page(
        "settings-changed",
        "A setting changed while Hearth runs",
        "The settings were read again (SIGHUP, or the local API), and one of them is another now.",
        "You, or a program of yours, changed the settings file.",
        "Nothing. Where the line says that it counts from the next start on, start Hearth again.",
    ),
    page(
        "settings-unchanged",
        "The settings were read again and are the same",
        "Hearth was asked to read its settings again, and found no difference.",
        "The file was not changed or not saved, or a variable or flag beats it.",
        "`hearth config show` tells where each value comes from.",
    ),
];

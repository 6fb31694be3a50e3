//! Checks of what the user wrote: the settings file, the folders, the tokenizer.

use std::path::{Path, PathBuf};

use super::finding::Judgement;
use super::scope::Scope;
use crate::cli::run::hub_of;
use crate::config::folders::{Folders, prepare};
use crate::config::settings::Key;
use crate::network::hub::Download;

/// Whether the settings can be read and every value fits.
pub(super) fn settings(scope: &Scope) -> Judgement {
    let settings = match &scope.settings {
        Ok(settings) => settings,
        Err(error) => {
            let fix = "Correct it in an editor; `hearth config check` looks again.";
            return Judgement::error(error.code(), sentence(&error.to_string()), fix);
        }
    };
    let wrong = settings.check();
    if let Some(first) = wrong.first() {
        let more = match wrong.len() {
            1 => String::new(),
            n => format!(" ({} more values are wrong.)", n - 1),
        };
        let fix = "Change it with `hearth config set KEY VALUE`, or take it out with `hearth config unset KEY`.";
        return Judgement::error(first.code(), sentence(&first.to_string()) + &more, fix);
    }
    match settings.file() {
        Some(path) => Judgement::fine(format!("The settings in {} are in order.", path.display())),
        None => Judgement::note(
            "config-none",
            "There is no settings file yet; the defaults count.",
            "`hearth setup` asks for what is needed and writes it.",
        ),
    }
}

/// Whether Hearth may write where it keeps its files.
pub(super) fn folders(scope: &Scope) -> Judgement {
    let folders = match &scope.folders {
        Ok(folders) => folders,
        Err(error) => {
            let fix = "Set HEARTH_HOME to a folder that may be written.";
            return Judgement::error(error.code(), sentence(&error.to_string()), fix);
        }
    };
    let Folders { data, config, state, cache } = folders;
    for folder in [data, config, state, cache] {
        if let Err(why) = can_write(folder) {
            let what = format!("{} cannot be written ({why}).", folder.display());
            let fix = "Make room or give permission, or set HEARTH_HOME to another folder.";
            return Judgement::error("folder-not-writable", what, fix);
        }
    }
    Judgement::fine(format!("Keys and snapshots are kept in {}.", data.display()))
}

/// Whether a file can be made in a folder, or in the folder in which it would be made. Leaves nothing.
fn can_write(folder: &Path) -> Result<(), String> {
    let there = folder.ancestors().find(|folder| folder.exists());
    let there = there.ok_or_else(|| "no such path".to_owned())?;
    if !there.is_dir() {
        return Err(format!("{} is a file", there.display()));
    }
    prepare(there).map_err(|error| match error {
        crate::config::folders::FolderError::NotWritable { source, .. } => source.to_string(),
        error => error.to_string(),
    })
}

/// Whether the first and the last stage would find the tokenizer, which on the live network is behind
/// a licence.
pub(super) fn tokenizer(scope: &Scope) -> Judgement {
    let settings = scope.usable_settings();
    if let Some(file) = settings.text(Key::Tokenizer) {
        let path = PathBuf::from(&file.value);
        if path.is_file() {
            return Judgement::fine(format!("The tokenizer is {}.", path.display()));
        }
        let what = format!("There is no tokenizer file {}.", path.display());
        let fix = "Correct the path: `hearth config set tokenizer FILE`.";
        return Judgement::error("tokenizer-missing", what, fix);
    }
    let allowed = settings.is_on(Key::TokenizerDownload).unwrap_or(false);
    let cache = scope.folders.as_ref().map(|folders| folders.cache.clone()).unwrap_or_default();
    let hub = hub_of(&cache, String::new(), allowed, |name| scope.variables.get(name).cloned());
    match hub.download {
        Download::Allowed(Some(_)) => {
            Judgement::fine("Tokenizers are fetched from the model hub with your token.")
        }
        Download::Allowed(None) => Judgement::warning(
            "tokenizer-no-token",
            "Tokenizers may be fetched from the model hub, but there is no token, and those of large \
             models are behind a licence: the first and the last stage would fail.",
            "Accept the licence on the model's page, make a read token there, and set it as HF_TOKEN; or \
             give the file with `hearth config set tokenizer FILE`.",
        ),
        Download::Forbidden => Judgement::note(
            "tokenizer-not-here",
            "No tokenizer is set: this machine can take any stage but the first and the last, which read \
             text, unless the model hub's cache has it.",
            "`hearth config set tokenizer FILE`, or `hearth config set tokenizer_download true` (the hub \
             then sees this machine's address).",
        ),
    }
}

/// A message as a sentence: with a capital and a full stop.
pub(super) fn sentence(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut letters = text.chars();
    let Some(first) = letters.next() else { return text };
    let path = first == '/' || text.starts_with("HEARTH");
    let begun = if path { text.clone() } else { first.to_uppercase().chain(letters).collect() };
    if begun.ends_with(['.', '!', '?']) { begun } else { format!("{begun}.") }
}

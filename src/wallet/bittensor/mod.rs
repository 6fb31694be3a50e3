//! Bittensor wallet folders, byte for byte as `btcli` and its library keep them:
//! `wallets/NAME/{coldkeypub.txt, coldkey, hotkeys/HOTKEY}`. They are here so that keys come from and
//! go to the tools that people have. Hotkeys are read and written; of coldkeys only new ones are
//! written, and an existing one's secret is never asked for.

pub mod export;
pub mod file;
pub mod folder;
pub mod key_json;
pub mod sealed;

pub use export::{
    ColdkeyFile, ExportError, WrittenColdkey, export_hotkey, write_coldkey, write_coldkeypub,
};
pub use file::{Exposure, HotkeyFileError, read_hotkey, read_secret, unlock_hotkey};
pub use folder::{FoundHotkey, FoundWallet, HotkeyState, ListError, default_folder, list};

//! What each setting may hold: one reader for every key, so that a value is checked before it is
//! written and complained about before anything starts.

use std::fmt;
use std::str::FromStr;

use super::devices;
use super::hours::Hours;
use super::key::Key;
use super::network::{self, NetworkChoice};
use super::units;
use crate::protocol::messages::Bandwidth;
use crate::protocol::ss58;

/// The words for what computes, as the command line takes them.
pub const BACKENDS: [&str; 3] = ["auto", "wgpu", "cpu"];

/// How a network is joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinWay {
    /// As one of the operator's pool.
    Pool,
    /// By a hotkey that is registered on the chain.
    Metagraph,
}

/// There is no such way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are two ways to join")]
pub struct NoJoinWay;

impl FromStr for JoinWay {
    type Err = NoJoinWay;

    fn from_str(text: &str) -> Result<Self, NoJoinWay> {
        match text.trim() {
            "pool" => Ok(Self::Pool),
            "metagraph" => Ok(Self::Metagraph),
            _ => Err(NoJoinWay),
        }
    }
}

impl fmt::Display for JoinWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pool => "pool",
            Self::Metagraph => "metagraph",
        })
    }
}

/// A link speed that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("two numbers are needed, down and up in Mbit/s, such as 100/40")]
pub struct LinkSpeedError;

/// Reads `100/40`.
pub fn link_speed(text: &str) -> Result<Bandwidth, LinkSpeedError> {
    let (down, up) = text.split_once('/').ok_or(LinkSpeedError)?;
    let number = |text: &str| match text.trim().parse::<f64>() {
        Ok(mbps) if mbps.is_finite() && mbps >= 0.0 => Ok((mbps * 100.0).round() / 100.0),
        _ => Err(LinkSpeedError),
    };
    Ok(Bandwidth { download_mbps: number(down)?, upload_mbps: number(up)? })
}

/// Reads a word for on or off.
pub fn switch(text: &str) -> Option<bool> {
    match text.trim().to_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// Reads a list: a JSON list of texts, or words with spaces between them.
pub fn list(text: &str) -> Option<Vec<String>> {
    let text = text.trim();
    if text.starts_with('[') {
        return serde_json::from_str(text).ok();
    }
    Some(text.split_whitespace().map(str::to_owned).collect())
}

impl Key {
    /// The value as the file holds it.
    ///
    /// # Errors
    /// What is wrong with it, as a clause.
    pub fn read(self, text: &str) -> Result<toml::Value, String> {
        let why = |error: &dyn fmt::Display| error.to_string();
        let trimmed = text.trim();
        let as_text = || toml::Value::String(trimmed.to_owned());
        match self {
            Self::Network => {
                trimmed.parse::<NetworkChoice>().map(|_| as_text()).map_err(|error| why(&error))
            }
            Self::Join => {
                trimmed.parse::<JoinWay>().map(|_| as_text()).map_err(|error| why(&error))
            }
            Self::PayoutAddress => {
                ss58::decode(trimmed).map(|_| as_text()).map_err(|error| why(&error))
            }
            Self::AcceptUnpaid
            | Self::TokenizerDownload
            | Self::FleetTelemetry
            | Self::KeepAwake
            | Self::AlertDesktop => {
                switch(trimmed).map(toml::Value::Boolean).ok_or_else(|| "it is on or off".into())
            }
            Self::Backend => match BACKENDS.contains(&trimmed.to_lowercase().as_str()) {
                true => Ok(as_text()),
                false => Err("there is no such backend".into()),
            },
            Self::CpuThreads => match trimmed.parse::<u16>() {
                Ok(threads @ 1..=1024) => Ok(toml::Value::Integer(threads.into())),
                _ => Err("that is no number of threads".into()),
            },
            Self::PeerPort | Self::ApiPort => trimmed
                .parse::<u16>()
                .map(|port| toml::Value::Integer(port.into()))
                .map_err(|_| "that is no port from 0 to 65535".into()),
            Self::AttestationCommand | Self::AlertCommand | Self::AlertOn | Self::PauseFor => {
                list(trimmed).map(texts).ok_or_else(|| "it is not a list of texts".into())
            }
            Self::Devices => {
                let words = list(trimmed).ok_or("it is not a list of texts")?;
                devices::read(&words).map(|_| texts(words)).map_err(|error| why(&error))
            }
            Self::Relays => relays(trimmed),
            Self::LinkSpeed => link_speed(trimmed).map(|_| as_text()).map_err(|error| why(&error)),
            Self::Hours | Self::NightHours => {
                trimmed.parse::<Hours>().map(|_| as_text()).map_err(|e| why(&e))
            }
            Self::OnBattery => units::battery(trimmed).map(|_| as_text()).map_err(|e| why(&e)),
            Self::IdleAfter => {
                units::or_off(trimmed, units::span).map(|_| as_text()).map_err(|e| why(&e))
            }
            Self::LogKeep | Self::AlertEvery => {
                units::span(trimmed).map(|_| as_text()).map_err(|e| why(&e))
            }
            Self::Temperature => {
                units::or_off(trimmed, units::pair).map(|_| as_text()).map_err(|e| why(&e))
            }
            Self::PowerLimit | Self::UploadLimit | Self::DownloadLimit | Self::Watts => {
                units::or_off(trimmed, units::amount).map(|_| as_text()).map_err(|e| why(&e))
            }
            Self::KwhPrice | Self::KwhPriceNight => {
                units::or_off(trimmed, units::price).map(|_| as_text()).map_err(|e| why(&e))
            }
            Self::MinimumNet => {
                units::or_off(trimmed, units::money).map(|_| as_text()).map_err(|e| why(&e))
            }
            Self::LoadLimit => {
                units::or_off(trimmed, units::share).map(|_| as_text()).map_err(|e| why(&e))
            }
            Self::Duty => units::share(trimmed).map(|_| as_text()).map_err(|e| why(&e)),
            Self::DiskReserve => units::bytes(trimmed).map(|_| as_text()).map_err(|e| why(&e)),
            Self::Quota | Self::DiskCap | Self::RecordKeep => {
                units::or_off(trimmed, units::bytes).map(|_| as_text()).map_err(|e| why(&e))
            }
            Self::Fullscreen | Self::Metered => {
                one_of(trimmed, &["pause", "run"]).map(|()| as_text())
            }
            Self::LogLevel => {
                one_of(trimmed, &["error", "warn", "info", "debug", "trace"]).map(|()| as_text())
            }
            Self::LogFormat => one_of(trimmed, &["readable", "json"]).map(|()| as_text()),
            Self::AlertWebhook | Self::AlertNtfy | Self::AlertKuma | Self::OtelEndpoint => {
                web_address(trimmed).map(|()| as_text())
            }
            Self::ChainEndpoint => node_address(trimmed).map(|()| as_text()),
            Self::PriceSource => price_source(trimmed).map(|()| as_text()),
            Self::PriceField => match trimmed.starts_with('/') {
                true => Ok(as_text()),
                false => Err("it begins with a / and names one level after the other".into()),
            },
            Self::PriceCurrency => {
                let letters = trimmed.len() == 3 && trimmed.bytes().all(|b| b.is_ascii_uppercase());
                match letters {
                    true => Ok(as_text()),
                    false => Err("a currency has three capital letters".into()),
                }
            }
            Self::Hotkey => key_name(trimmed).map(|()| as_text()),
            Self::HotkeyFile
            | Self::PassphraseFile
            | Self::Tokenizer
            | Self::LocationCountry
            | Self::LocationCity => match trimmed.is_empty() {
                true => Err("there is nothing in it".into()),
                false => Ok(as_text()),
            },
        }
    }

    /// Whether the value may hold something that others must not read, such as a token among a
    /// program's arguments.
    pub fn is_private(self) -> bool {
        matches!(
            self,
            Self::AttestationCommand
                | Self::AlertCommand
                | Self::AlertWebhook
                | Self::AlertNtfy
                | Self::AlertKuma
                | Self::OtelEndpoint
                | Self::ChainEndpoint
                | Self::PriceSource
        )
    }

    /// The value for other eyes.
    pub fn shown(self, value: &str) -> String {
        if !self.is_private() {
            return value.to_owned();
        }
        if let Ok(url) = value.trim().parse::<url::Url>() {
            let host = url.host_str().unwrap_or("somewhere");
            return format!("{}://{host} (the rest is not shown)", url.scheme());
        }
        let words = list(value).unwrap_or_default();
        match words.split_first() {
            Some((program, rest)) if !rest.is_empty() => {
                format!("{program} ({} arguments, not shown)", rest.len())
            }
            Some((program, _)) => program.clone(),
            None => "(not shown)".to_owned(),
        }
    }
}

fn texts(words: Vec<String>) -> toml::Value {
    toml::Value::Array(words.into_iter().map(toml::Value::String).collect())
}

fn web_address(text: &str) -> Result<(), String> {
    match text.parse::<url::Url>() {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(()),
        _ => Err("that is no web address".into()),
    }
}

fn node_address(text: &str) -> Result<(), String> {
    match text.parse::<url::Url>() {
        Ok(url) if matches!(url.scheme(), "ws" | "wss") && url.has_host() => Ok(()),
        _ => Err("a node is read over WebSocket: its address begins with wss:// or ws://".into()),
    }
}

/// A price that decides about anything is not taken from a line that others can change.
fn price_source(text: &str) -> Result<(), String> {
    match text.parse::<url::Url>() {
        Ok(url) if url.scheme() == "https" && url.has_host() => Ok(()),
        Ok(url) if url.scheme() == "http" && network::is_local(&url) => Ok(()),
        _ => Err("that is no https address, and no http address on this machine".into()),
    }
}

/// Whether `text` is one of `words`.
pub(super) fn one_of(text: &str, words: &[&str]) -> Result<(), String> {
    match words.contains(&text) {
        true => Ok(()),
        false => Err("there is no such word here".into()),
    }
}

/// Whether a text has the form of a kept key's name; whether there is such a key is seen when it is
/// used.
pub fn is_key_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let allowed = |c: char| plain(c) || c == '-' || c == '_';
    text.starts_with(plain) && text.len() <= 32 && text.chars().all(allowed)
}

fn key_name(text: &str) -> Result<(), String> {
    match is_key_name(text) {
        true => Ok(()),
        false => Err("a key's name has 1 to 32 small letters, digits, - and _, and begins with a \
                      letter or a digit"
            .into()),
    }
}

fn relays(text: &str) -> Result<toml::Value, String> {
    let words = list(text).ok_or("it is not a list of texts")?;
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Ok(toml::Value::String("default".to_owned())),
        [word @ ("default" | "none")] => Ok(toml::Value::String(word.to_owned())),
        _ => {
            for address in &words {
                network::server(address).map_err(|error| error.to_string())?;
            }
            Ok(texts(words))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_speeds_are_two_numbers() {
        let speed = link_speed("100 / 39.999").unwrap();
        assert_eq!((speed.download_mbps, speed.upload_mbps), (100.0, 40.0));
        for text in ["", "100", "a/b", "1/NaN", "-1/2"] {
            assert_eq!(link_speed(text), Err(LinkSpeedError), "{text}");
        }
    }

    #[test]
    fn every_default_fits_its_key() {
        for key in Key::ALL.into_iter().filter(|key| !key.default_words().is_empty()) {
            let word = key.default_words().split(';').next().unwrap_or_default();
            assert!(key.read(word).is_ok(), "{}", key.name());
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_in_words() {
        for (key, text) in [
            (Key::Network, "moon"),
            (Key::Join, "club"),
            (Key::PayoutAddress, "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQX"),
            (Key::AcceptUnpaid, "maybe"),
            (Key::HotkeyFile, " "),
            (Key::Hotkey, "../hot"),
            (Key::Hotkey, "-hot"),
            (Key::PassphraseFile, ""),
            (Key::Backend, "abacus"),
            (Key::CpuThreads, "0"),
            (Key::PeerPort, "70000"),
            (Key::Relays, "nowhere"),
            (Key::Relays, "[1]"),
            (Key::AttestationCommand, "[\"a\""),
            (Key::LinkSpeed, "fast"),
        ] {
            assert!(!key.read(text).unwrap_err().is_empty(), "{text}");
        }
    }

    #[test]
    fn arguments_of_a_program_are_not_shown() {
        let shown = Key::AttestationCommand.shown("[\"prove\", \"--token\", \"s3cret\"]");
        assert_eq!(shown, "prove (2 arguments, not shown)");
        assert!(!Key::AttestationCommand.shown("[broken s3cret").contains("s3cret"));
    }
}

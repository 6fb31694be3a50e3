//! Several devices at once, as people write them: `DEVICE=HOTKEY`, where DEVICE is a backend, alone or
//! with the place or a part of the name of what it is to use.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::values::is_key_name;

/// Which device is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceSelector {
    /// The processor.
    Cpu,
    /// The best adapter that can be used.
    Wgpu,
    /// The adapter at this place of `hearth devices`.
    WgpuAt(usize),
    /// The adapter with this in its name.
    WgpuNamed(String),
}

/// Which key mines on it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeySelector {
    /// A kept key.
    Kept(String),
    /// A file.
    File(PathBuf),
}

/// A device and the hotkey that mines on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceKey {
    /// The device.
    pub device: DeviceSelector,
    /// The hotkey.
    pub hotkey: KeySelector,
}

/// Not a device with its hotkey.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceKeyError {
    /// One of both is missing.
    #[error("{0:?} is not a device and its hotkey with = between them")]
    NoPair(String),
    /// No such backend.
    #[error("{0:?} is no device: it begins with wgpu or cpu (`hearth devices` lists them)")]
    NoBackend(String),
    /// There is one processor.
    #[error("{0:?} says more than cpu, but there is one processor")]
    OneProcessor(String),
    /// Nothing after the colon.
    #[error("{0:?} has nothing after the colon: the place or a part of the name belongs there")]
    NoName(String),
}

impl FromStr for DeviceSelector {
    type Err = DeviceKeyError;

    fn from_str(text: &str) -> Result<Self, DeviceKeyError> {
        let text = text.trim();
        let (backend, which) = match text.split_once(':') {
            Some((backend, which)) => (backend.trim(), Some(which.trim())),
            None => (text, None),
        };
        match (backend.to_lowercase().as_str(), which) {
            ("cpu", None) => Ok(Self::Cpu),
            ("cpu", Some(_)) => Err(DeviceKeyError::OneProcessor(text.to_owned())),
            ("wgpu", None) => Ok(Self::Wgpu),
            ("wgpu", Some("")) => Err(DeviceKeyError::NoName(text.to_owned())),
            ("wgpu", Some(which)) => Ok(match which.parse() {
                Ok(place) => Self::WgpuAt(place),
                Err(_) => Self::WgpuNamed(which.to_owned()),
            }),
            _ => Err(DeviceKeyError::NoBackend(text.to_owned())),
        }
    }
}

impl fmt::Display for DeviceSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Wgpu => f.write_str("wgpu"),
            Self::WgpuAt(place) => write!(f, "wgpu:{place}"),
            Self::WgpuNamed(name) => write!(f, "wgpu:{name}"),
        }
    }
}

impl FromStr for KeySelector {
    type Err = std::convert::Infallible;

    /// What has the form of a kept key's name is one; a file of that name is written `./name`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        Ok(if is_key_name(text) {
            Self::Kept(text.to_owned())
        } else {
            Self::File(PathBuf::from(text))
        })
    }
}

impl fmt::Display for KeySelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept(name) => f.write_str(name),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

impl FromStr for DeviceKey {
    type Err = DeviceKeyError;

    fn from_str(text: &str) -> Result<Self, DeviceKeyError> {
        let no_pair = || DeviceKeyError::NoPair(text.to_owned());
        let (device, hotkey) = text.split_once('=').ok_or_else(no_pair)?;
        if device.trim().is_empty() || hotkey.trim().is_empty() {
            return Err(no_pair());
        }
        let Ok(hotkey) = hotkey.parse();
        Ok(Self { device: device.parse()?, hotkey })
    }
}

/// Reads a list of them.
///
/// # Errors
/// The first that cannot be read.
pub fn read(words: &[String]) -> Result<Vec<DeviceKey>, DeviceKeyError> {
    words.iter().map(|word| word.parse()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_written_by_backend_place_or_name() {
        let read = |text: &str| text.parse::<DeviceKey>();
        let kept = |name: &str| KeySelector::Kept(name.to_owned());
        let cpu = DeviceKey { device: DeviceSelector::Cpu, hotkey: kept("rig-a") };
        assert_eq!(read("cpu=rig-a"), Ok(cpu));
        assert_eq!(read(" WGPU:1 = rig-b ").unwrap().device, DeviceSelector::WgpuAt(1));
        let named = read("wgpu:NVIDIA GeForce RTX 4090=/keys/a=b").unwrap();
        assert_eq!(named.device, DeviceSelector::WgpuNamed("NVIDIA GeForce RTX 4090".into()));
        assert_eq!(named.hotkey, KeySelector::File("/keys/a=b".into()));
        assert_eq!(read("wgpu=./hot").unwrap().hotkey, KeySelector::File("./hot".into()));
        for text in ["cpu", "cpu:0", "wgpu:3", "wgpu:llvm"] {
            if let Ok(device) = text.parse::<DeviceSelector>() {
                assert_eq!(device.to_string(), text);
            }
        }
    }

    #[test]
    fn what_is_no_device_with_a_key_is_refused() {
        for (text, word) in [
            ("cpu", "="),
            ("=rig", "="),
            ("cpu=", "="),
            ("cuda:0=rig", "wgpu or cpu"),
            ("auto=rig", "wgpu or cpu"),
            ("cpu:0=rig", "one processor"),
            ("wgpu: =rig", "colon"),
        ] {
            let error = text.parse::<DeviceKey>().unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}

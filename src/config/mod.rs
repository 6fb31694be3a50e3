//! Settings, the files they live in, and the constants of the networks that Hearth can join. Ground
//! floor: everything but `protocol` and `compute` may read it, it reads nobody.

pub mod chain;
pub mod constants;
pub mod devices;
pub mod earnings;
pub mod edit;
pub mod folders;
pub mod hours;
pub mod instance;
pub mod key;
pub mod keys;
pub mod live;
pub mod network;
pub mod rules;
pub mod screen;
pub mod settings;
pub mod shown;
pub mod units;
pub mod values;

pub use constants::{
    Constants, HttpConstants, PeerConstants, PublisherConstants, RegistryConstants,
    StorageConstants, TrainingConstants,
};

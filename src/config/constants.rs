//! The numbers a network runs by: how often to ask, how long to wait, how much to accept. They are
//! one table per network, so that the practice swarm differs from the live one in this table and
//! nowhere else (spec 6.9, 11.5; design 5a). Every value can be overridden from a file: all fields
//! are optional when read, and times are written as seconds.

use std::time::Duration;

use super::chain::ChainConstants;
use super::network::Addresses;
use crate::protocol::constants::{ALPN_BI, ALPN_UNI, SPEC_VERSION};
use crate::protocol::p2p::Route;
use serde::{Deserialize, Serialize};

/// Version of this table: raised whenever a value follows a change of the network, so that a bug
/// report tells which facts a miner went by.
pub const TABLE_VERSION: u32 = 1;

/// All numbers of one network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Constants {
    /// Version of this table, [`TABLE_VERSION`].
    pub table: u32,
    /// Servers of the network that pays (spec 1.2).
    pub mainnet: Addresses,
    /// Servers of the operator's test network (spec 1.2).
    pub testnet: Addresses,
    /// Version sent in `X-Spec-Version` (spec 1.2).
    pub spec_version: u32,
    /// Between two heartbeats while training (spec 1.8).
    #[serde(with = "seconds")]
    pub heartbeat: Duration,
    /// Between two broadcasts of the own status to adjacent stages (spec 6.4).
    #[serde(with = "seconds")]
    pub peer_status_broadcast: Duration,
    /// Between two refreshes of run flags and hyper-parameters (spec 1.8).
    #[serde(with = "seconds")]
    pub run_config_refresh: Duration,
    /// How long the answer of `all_layers_training` is believed (spec 1.8).
    #[serde(with = "seconds")]
    pub all_layers_cache: Duration,
    /// Between two heartbeats while waiting for another phase (spec 1.9).
    #[serde(with = "seconds")]
    pub wait_for_phase_poll: Duration,
    /// Before asking again for partitions when there are none yet (spec 1.10).
    #[serde(with = "seconds")]
    pub no_partitions_poll: Duration,
    /// Between two polls for samples by the first stage (spec 2.5).
    #[serde(with = "seconds")]
    pub layer_zero_poll: Duration,
    /// Pause after being told that this miner is frozen or initializing (spec 1.11).
    #[serde(with = "seconds")]
    pub benched_pause: Duration,
    /// Pause before registering again when the run is full (spec 1.6).
    #[serde(with = "seconds")]
    pub run_full_pause: Duration,
    /// Pause before registering again after any other failure (spec 1.6).
    #[serde(with = "seconds")]
    pub registration_pause: Duration,
    /// A stage that holds the others up for so long is called stuck.
    #[serde(with = "seconds")]
    pub stuck_after: Duration,
    /// Longest time that the user's attestation program may take.
    #[serde(with = "seconds")]
    pub attestation_timeout: Duration,
    /// Between two reports to the operator's telemetry, where the user switched it on (spec 11.1).
    #[serde(with = "seconds")]
    pub fleet_telemetry: Duration,
    /// The model hub, asked only where the user allows it.
    pub hub: String,
    /// The orchestrator's HTTP rules.
    pub http: HttpConstants,
    /// Object storage.
    pub storage: StorageConstants,
    /// The bridge and its node registry.
    pub registry: RegistryConstants,
    /// Peer-to-peer transport.
    pub peers: PeerConstants,
    /// The outbound queue of activations and gradients.
    pub publisher: PublisherConstants,
    /// Training and merging.
    pub training: TrainingConstants,
    /// The chain.
    pub chain: ChainConstants,
}

/// How the orchestrator is called (spec 1.12).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConstants {
    /// Attempts per request; registration always has one.
    pub attempts: u32,
    /// Longest time of one attempt, body included.
    #[serde(with = "seconds")]
    pub timeout: Duration,
    /// Longest time of the one attempt at confirming a place in the registration queue.
    #[serde(with = "seconds")]
    pub confirm_timeout: Duration,
    /// Longest time of a TCP (and TLS) handshake.
    #[serde(with = "seconds")]
    pub connect_timeout: Duration,
    /// Pause after an attempt that failed for any reason but 429.
    #[serde(with = "seconds")]
    pub failure_pause: Duration,
    /// Largest answer read, in bytes.
    pub max_answer_bytes: usize,
}

/// How objects are uploaded and read (spec 5).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StorageConstants {
    /// Attempts per part or range.
    pub attempts: u32,
    /// Pause after the first failed attempt; doubles with each.
    #[serde(with = "seconds")]
    pub first_retry_pause: Duration,
    /// Longest time of one attempt.
    #[serde(with = "seconds")]
    pub timeout: Duration,
    /// Longest time of a handshake with the store.
    #[serde(with = "seconds")]
    pub connect_timeout: Duration,
    /// Parts of one upload that are on their way at a time, at most; a slow line gets fewer.
    pub parallel_parts: usize,
    /// How long a part or range may stand still, no byte of it moving, before its attempt is given up.
    #[serde(with = "seconds")]
    pub part_stall: Duration,
    /// How long the store may take to answer: to a part that is sent, to a range that is asked for.
    #[serde(with = "seconds")]
    pub part_timeout: Duration,
    /// The slowest line that parts are waited for, in bytes per second and part: so fast leaves, at
    /// least, what the system has taken of a part without having sent it.
    pub slowest_part: u64,
    /// The slowest line that long ranges are waited for, in bytes per second: added to `timeout` by
    /// their length.
    pub slowest_range: u64,
    /// A part is sent a second time beside the first once it takes so long, and ...
    #[serde(with = "seconds")]
    pub race_after: Duration,
    /// ... so many times as long as the other parts took (their median).
    pub race_factor: f64,
    /// Most bytes of parts held in memory at a time.
    pub upload_memory_bytes: u64,
    /// Largest blob trailer read, in bytes.
    pub max_trailer_bytes: usize,
    /// Largest text sample read, in bytes.
    pub max_text_bytes: usize,
    /// Trailers remembered by URL.
    pub cached_trailers: usize,
}

/// How the node registry is kept (spec 7.2, 7.3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegistryConstants {
    /// Between two pulls.
    #[serde(with = "seconds")]
    pub pull: Duration,
    /// Between two keep-alives.
    #[serde(with = "seconds")]
    pub keep_alive: Duration,
    /// Longest time of one call.
    #[serde(with = "seconds")]
    pub timeout: Duration,
    /// Attempts per call on transport errors and status 500 and above.
    pub attempts: u32,
    /// Pause after the first failed attempt; doubles with each.
    #[serde(with = "seconds")]
    pub first_retry_pause: Duration,
    /// Attempts to write the own entry when the bridge does not know its variables.
    pub register_attempts: u32,
    /// Most variables read; a registry larger than this is cut off.
    pub max_variables: usize,
    /// Largest answer read, in bytes.
    pub max_answer_bytes: usize,
}

/// Peer-to-peer transport (spec 6.1, 6.9).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PeerConstants {
    /// ALPN of unidirectional streams.
    pub alpn_uni: String,
    /// ALPN of bidirectional streams.
    pub alpn_bi: String,
    /// Name of the route of statuses; its tag is made from it (spec 6.3).
    pub status_route: String,
    /// Name of the route of pushes.
    pub push_route: String,
    /// Time limit for a connection.
    #[serde(with = "seconds")]
    pub connect_timeout: Duration,
    /// Time limit for opening a stream.
    #[serde(with = "seconds")]
    pub stream_open_timeout: Duration,
    /// Time limit for sending a message.
    #[serde(with = "seconds")]
    pub send_timeout: Duration,
    /// Time limit for the answer.
    #[serde(with = "seconds")]
    pub receive_timeout: Duration,
    /// Time limit for a whole push, retries included.
    #[serde(with = "seconds")]
    pub push_timeout: Duration,
    /// Time limit for one status broadcast to one peer.
    #[serde(with = "seconds")]
    pub status_timeout: Duration,
    /// Time limit for receiving one message of a peer, so that a slow sender holds nothing for long.
    #[serde(with = "seconds")]
    pub inbound_timeout: Duration,
    /// Attempts per request on one connection's loss.
    pub attempts: u32,
    /// Pause after the first failed attempt; doubles with each.
    #[serde(with = "seconds")]
    pub first_retry_pause: Duration,
    /// The longest such pause.
    #[serde(with = "seconds")]
    pub max_retry_pause: Duration,
    /// Between two signs of life on a quiet connection.
    #[serde(with = "seconds")]
    pub keep_alive: Duration,
    /// A connection on which nothing was heard for so long is dead.
    #[serde(with = "seconds")]
    pub idle_timeout: Duration,
    /// Failures in a row after which a peer is left alone for a while.
    pub breaker_failures: u32,
    /// How long, at first; doubles with each probe that fails.
    #[serde(with = "seconds")]
    pub breaker_first_rest: Duration,
    /// The longest such rest.
    #[serde(with = "seconds")]
    pub breaker_longest_rest: Duration,
    /// When two peers fail within this time and nobody is heard, the own uplink is to blame.
    #[serde(with = "seconds")]
    pub uplink_window: Duration,
    /// Requests to one peer that are on their way at a time.
    pub requests_per_peer: usize,
    /// Connections kept for reuse.
    pub max_connections: usize,
    /// Connections from others that are served at a time.
    pub max_inbound_connections: usize,
    /// Streams of one incoming connection that are served at a time.
    pub streams_per_connection: usize,
    /// Most bytes of unfinished incoming messages held at a time, all peers together.
    pub max_inbound_bytes: usize,
    /// Added to an activation's expected size for its container and envelope, in bytes.
    pub activation_slack_bytes: usize,
    /// Largest status message, in bytes.
    pub max_status_bytes: usize,
    /// Pushed activations that may wait for the trainer; more are refused.
    pub inbound_queue: usize,
    /// How long a served activation can be pulled.
    #[serde(with = "seconds")]
    pub served_ttl: Duration,
}

/// The outbound queue (spec 6.9).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PublisherConstants {
    /// Pushes on their way at a time.
    pub workers: usize,
    /// Tries per item.
    pub max_tries: u32,
    /// Pause after the first failed try; doubles with each.
    #[serde(with = "seconds")]
    pub first_retry_pause: Duration,
    /// The longest such pause.
    #[serde(with = "seconds")]
    pub max_retry_pause: Duration,
    /// From enqueueing until an item is given up.
    #[serde(with = "seconds")]
    pub deadline: Duration,
    /// Pause when no peer can take a forward; uses up no try.
    #[serde(with = "seconds")]
    pub no_peer_pause: Duration,
}

/// Training and merging (spec 11.5).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingConstants {
    /// Forwards the first stage may hold in its queue.
    pub max_forward_activations_in_queue: usize,
    /// Forwards the first stage wants in its queue beyond a full cache.
    pub min_forward_activations_in_queue: usize,
    /// How long a cached forward waits for its gradient, per stage between here and the end.
    #[serde(with = "seconds")]
    pub activation_cache_timeout: Duration,
    /// Fewest local optimizer steps for a contribution, where the run enforces it.
    pub min_local_optimizer_steps: u32,
    /// A downloaded source less similar to ours than this is looked at with suspicion.
    pub min_cosine_similarity_download: f64,
    /// Epochs between two uploads of the inner optimizer's state.
    pub optimizer_upload_epoch_interval: u64,
    /// How many epochs old an inner optimizer state may be.
    pub optimizer_lookback_epochs: u64,
    /// How long a phase of uploading, and one of merging, lasts at most (spec 9.5): what is not
    /// handed in by then is lost.
    #[serde(with = "seconds")]
    pub hand_in_limit: Duration,
    /// Batches in which partitions are merged, at most.
    pub partition_batches: usize,
    /// Samples (or messages) that are made into tensors at a time.
    pub parallel_materialisations: usize,
}

impl Default for Constants {
    fn default() -> Self {
        Self::live()
    }
}

impl Constants {
    /// Mainnet and testnet.
    pub fn live() -> Self {
        Self {
            table: TABLE_VERSION,
            mainnet: addresses("iota.api.macrocosmos.ai"),
            testnet: addresses("iota-branch-main.api.macrocosmos.ai"),
            spec_version: SPEC_VERSION,
            heartbeat: secs(30.0),
            peer_status_broadcast: secs(5.0),
            run_config_refresh: secs(300.0),
            all_layers_cache: secs(2.0),
            wait_for_phase_poll: secs(1.0),
            no_partitions_poll: secs(1.1),
            layer_zero_poll: secs(0.51),
            benched_pause: secs(60.0),
            run_full_pause: secs(60.0),
            registration_pause: secs(10.0),
            stuck_after: secs(900.0),
            attestation_timeout: secs(30.0),
            fleet_telemetry: secs(15.0),
            hub: "https://huggingface.co".to_owned(),
            http: HttpConstants::default(),
            storage: StorageConstants::default(),
            registry: RegistryConstants::default(),
            peers: PeerConstants::default(),
            publisher: PublisherConstants::default(),
            training: TrainingConstants::default(),
            chain: ChainConstants::default(),
        }
    }

    /// The practice swarm: a heartbeat a second, polls and pulls a tenth of the live ones, all else
    /// as on the live network (design 5a).
    pub fn practice() -> Self {
        let live = Self::live();
        Self {
            heartbeat: secs(1.0),
            peer_status_broadcast: live.peer_status_broadcast / 10,
            run_config_refresh: live.run_config_refresh / 10,
            all_layers_cache: live.all_layers_cache / 10,
            wait_for_phase_poll: live.wait_for_phase_poll / 10,
            no_partitions_poll: live.no_partitions_poll / 10,
            layer_zero_poll: live.layer_zero_poll / 10,
            benched_pause: live.benched_pause / 10,
            run_full_pause: live.run_full_pause / 10,
            registration_pause: live.registration_pause / 10,
            stuck_after: live.stuck_after / 10,
            registry: RegistryConstants {
                pull: live.registry.pull / 10,
                keep_alive: live.registry.keep_alive / 10,
                ..live.registry
            },
            publisher: PublisherConstants {
                no_peer_pause: live.publisher.no_peer_pause / 10,
                ..live.publisher
            },
            // A small model at a practice run's learning rate turns further in one epoch than a large
            // one at the live rate: what honest miners merge is then no nearer than this.
            training: TrainingConstants {
                min_cosine_similarity_download: 0.0,
                hand_in_limit: secs(600.0),
                ..live.training
            },
            ..live
        }
    }
}

impl Default for HttpConstants {
    fn default() -> Self {
        Self {
            attempts: 3,
            timeout: secs(40.0),
            confirm_timeout: secs(10.0),
            connect_timeout: secs(10.0),
            failure_pause: secs(1.0),
            max_answer_bytes: 64 << 20,
        }
    }
}

impl Default for StorageConstants {
    fn default() -> Self {
        Self {
            attempts: 4,
            first_retry_pause: secs(1.0),
            timeout: secs(300.0),
            connect_timeout: secs(30.0),
            parallel_parts: 16,
            part_stall: secs(20.0),
            part_timeout: secs(25.0),
            slowest_part: 8 << 10,
            slowest_range: 128 << 10,
            race_after: secs(10.0),
            race_factor: 3.0,
            upload_memory_bytes: 192 << 20,
            max_trailer_bytes: 16 << 20,
            max_text_bytes: 64 << 20,
            cached_trailers: 5000,
        }
    }
}

impl Default for RegistryConstants {
    fn default() -> Self {
        Self {
            pull: secs(2.0),
            keep_alive: secs(5.0),
            timeout: secs(30.0),
            attempts: 3,
            first_retry_pause: secs(0.5),
            register_attempts: 3,
            max_variables: 200_000,
            max_answer_bytes: 128 << 20,
        }
    }
}

impl Default for PeerConstants {
    fn default() -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            alpn_uni: text(ALPN_UNI),
            alpn_bi: text(ALPN_BI),
            status_route: Route::PeerStatus.as_str().to_owned(),
            push_route: Route::ActivationPush.as_str().to_owned(),
            connect_timeout: secs(5.0),
            stream_open_timeout: secs(5.0),
            send_timeout: secs(30.0),
            receive_timeout: secs(15.0),
            push_timeout: secs(60.0),
            status_timeout: secs(5.0),
            inbound_timeout: secs(30.0),
            attempts: 3,
            first_retry_pause: secs(0.25),
            max_retry_pause: secs(5.0),
            keep_alive: secs(2.5),
            idle_timeout: secs(8.0),
            breaker_failures: 3,
            breaker_first_rest: secs(2.0),
            breaker_longest_rest: secs(60.0),
            uplink_window: secs(20.0),
            requests_per_peer: 2,
            max_connections: 128,
            max_inbound_connections: 512,
            streams_per_connection: 16,
            max_inbound_bytes: 512 << 20,
            activation_slack_bytes: 64 << 10,
            max_status_bytes: 64 << 10,
            inbound_queue: 64,
            served_ttl: secs(3000.0),
        }
    }
}

impl Default for PublisherConstants {
    fn default() -> Self {
        Self {
            workers: 8,
            max_tries: 5,
            first_retry_pause: secs(0.25),
            max_retry_pause: secs(5.0),
            deadline: secs(1800.0),
            no_peer_pause: secs(1.0),
        }
    }
}

impl Default for TrainingConstants {
    fn default() -> Self {
        Self {
            max_forward_activations_in_queue: 2,
            min_forward_activations_in_queue: 1,
            activation_cache_timeout: secs(300.0),
            min_local_optimizer_steps: 5,
            min_cosine_similarity_download: 0.9,
            optimizer_upload_epoch_interval: 1,
            optimizer_lookback_epochs: 4,
            hand_in_limit: secs(3.0 * 3600.0),
            partition_batches: 20,
            parallel_materialisations: 4,
        }
    }
}

/// The orchestrator's address names its port, the bridge's does not (spec 1.2).
fn addresses(host: &str) -> Addresses {
    Addresses {
        orchestrator: format!("https://{host}:443"),
        bridge: format!("https://{host}/bridge"),
    }
}

fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// Pause before the next attempt: `first`, doubled for each attempt that already failed before this
/// one (`failed` counts from 0), at most `longest`.
pub fn doubling_pause(first: Duration, failed: u32, longest: Duration) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(failed)).min(longest)
}

/// Durations as seconds, for every settings type.
pub(crate) mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(time: &Duration, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_f64(time.as_secs_f64())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(d)?;
        // Longer than a year is a typing error, and additions to moments must not overflow.
        if !(0.0..=31_536_000.0).contains(&seconds) {
            return Err(D::Error::custom(format!(
                "{seconds} is not a time in seconds between 0 and a year"
            )));
        }
        Duration::try_from_secs_f64(seconds).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn practice_polls_ten_times_as_often_and_differs_in_nothing_else() {
        let (live, mut practice) = (Constants::live(), Constants::practice());
        assert_eq!(practice.heartbeat, secs(1.0));
        assert_eq!(practice.layer_zero_poll, secs(0.051));
        assert_eq!(practice.registry.pull, secs(0.2));
        assert_eq!(practice.registry.keep_alive, secs(0.5));
        assert_eq!(practice.http, live.http);
        assert_eq!(practice.storage, live.storage);
        assert_eq!(practice.peers, live.peers);
        practice.publisher.no_peer_pause = live.publisher.no_peer_pause;
        assert_eq!(practice.publisher, live.publisher);
        practice.training.min_cosine_similarity_download = 0.9;
        practice.training.hand_in_limit = live.training.hand_in_limit;
        assert_eq!(practice.training, live.training);
        assert_eq!(practice.spec_version, 30017);
    }

    #[test]
    fn a_file_may_override_single_values() {
        let changed: Constants =
            serde_json::from_str(r#"{"heartbeat": 7.5, "peers": {"requests_per_peer": 3}}"#)
                .unwrap();
        assert_eq!(changed.heartbeat, secs(7.5));
        assert_eq!(changed.peers.requests_per_peer, 3);
        assert_eq!(changed.registry, Constants::live().registry);
        let text = serde_json::to_string(&changed).unwrap();
        assert_eq!(serde_json::from_str::<Constants>(&text).unwrap(), changed);
    }

    #[test]
    fn nonsense_in_a_file_is_refused() {
        for text in [r#"{"heartbeat": -1}"#, r#"{"heartbeat": 1e30}"#, r#"{"heart_beat": 1}"#] {
            assert!(serde_json::from_str::<Constants>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn pauses_double_up_to_their_limit() {
        let pause = |failed| doubling_pause(secs(0.25), failed, secs(5.0)).as_secs_f64();
        assert_eq!([pause(0), pause(1), pause(4), pause(5), pause(60)], [0.25, 0.5, 4.0, 5.0, 5.0]);
    }
}

//! Everything that leaves this machine: to whom, in which call, which fields, how much. It stands
//! beside the code that sends, `hearth privacy` prints it, and a test compares it with the traffic of
//! a running miner: a field that is sent and not listed fails that test.

use serde::Serialize;

/// Who gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Recipient {
    /// The orchestrator.
    Orchestrator,
    /// The bridge beside it, which any miner of the run can read.
    Bridge,
    /// The object store that the orchestrator's presigned addresses name.
    Store,
    /// Miners of the stages before and behind.
    Peers,
    /// Relays, where a direct way to a peer cannot be found. They carry it encrypted.
    Relays,
    /// The model hub.
    Hub,
    /// Where the user wants alerts.
    Alerts,
    /// The OpenTelemetry collector that the user named.
    Collector,
    /// The node of the chain that the user named.
    Chain,
    /// The price source that the user named.
    Prices,
}

/// When it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// As a part of mining.
    Always,
    /// Only where the user switched it on or typed it in; else the field is null or left out.
    Chosen,
    /// Only where the run asks for it.
    Asked,
}

/// One thing that leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Disclosed {
    /// Who gets it.
    pub to: Recipient,
    /// The call, as method and path, or the message.
    pub call: &'static str,
    /// When.
    pub when: When,
    /// Fields of the body, nested ones with a dot; empty for calls without any.
    pub fields: &'static [&'static str],
    /// How much, in words: it depends on the run.
    pub size: &'static str,
}

/// What every request to the orchestrator carries in its headers.
pub const HEADERS: &[&str] = &[
    "accept",
    "content-length",
    "content-type",
    "epistula-request-signature",
    "epistula-signed-by",
    "epistula-timestamp",
    "host",
    "user-agent",
    "x-is-mounted",
    "x-request-id",
    "x-spec-version",
];

const fn say(
    to: Recipient,
    call: &'static str,
    when: When,
    fields: &'static [&'static str],
    size: &'static str,
) -> Disclosed {
    Disclosed { to, call, when, fields, size }
}

use Recipient::{
    Alerts, Bridge, Chain, Collector, Hub, Orchestrator, Peers, Prices, Relays, Store,
};
use When::{Always, Asked, Chosen};

/// The whole list.
pub const ALL: &[Disclosed] = &[
    say(Orchestrator, "GET /healthcheck", Always, &[], "a few hundred bytes of headers"),
    say(
        Orchestrator,
        "POST /miner/request_attestation_challenge",
        Always,
        &["action", "run_id"],
        "under 1 KB",
    ),
    say(
        Orchestrator,
        "POST /miner/register",
        Always,
        &[
            "attestation",
            "coldkey",
            "enclave_payload",
            "location",
            "p2p_node_id",
            "register_as_metagraph_miner",
            "system_data",
        ],
        "under 1 KB: the address that is paid (pool), the peer id, the device's name, the \
         processor's architecture and cores; location and link speed are null or absent unless you \
         typed them in",
    ),
    say(
        Orchestrator,
        "POST /miner/register",
        Chosen,
        &[
            "location.city",
            "location.country",
            "location.country_code",
            "location.ip",
            "location.isp",
            "location.latitude",
            "location.longitude",
            "location.org",
            "location.region",
            "location.timezone",
        ],
        "under 1 KB: only the country and city you typed in; the other fields stay null",
    ),
    say(Orchestrator, "GET /miner/register/status", Always, &[], "under 1 KB"),
    say(
        Orchestrator,
        "POST /miner/register/confirm",
        Always,
        &["attestation", "enclave_payload"],
        "under 1 KB",
    ),
    say(
        Orchestrator,
        "GET /public/network",
        Chosen,
        &[],
        "under 1 KB, every 2 s, without your key: only while you run hearth watch, and only to the \
         address that you give it",
    ),
    say(Orchestrator, "GET /miner/heartbeat", Always, &[], "under 1 KB, every 30 s"),
    say(Orchestrator, "GET /miner/all_layers_training", Always, &[], "under 1 KB, every 2 s"),
    say(Orchestrator, "GET /miner/get_run_config", Always, &[], "under 1 KB, every 5 min"),
    say(Orchestrator, "GET /common/get_run_epoch", Always, &[], "under 1 KB"),
    say(Orchestrator, "GET /miner/get_activations", Always, &["n_fwd_activations"], "under 1 KB"),
    say(
        Orchestrator,
        "POST /miner/submit_activation",
        Always,
        &[
            "activation_id",
            "activation_path",
            "activation_stats",
            "attestation",
            "direction",
            "input_activation_hash",
            "output_activation_hash",
        ],
        "under 1 KB for each activation: hashes, no content",
    ),
    say(
        Orchestrator,
        "POST /miner/report_loss",
        Always,
        &["activation_id", "layer_idx", "loss"],
        "under 1 KB",
    ),
    say(
        Orchestrator,
        "POST /miner/initiate_file_upload",
        Always,
        &["file_type", "multipart", "num_parts"],
        "under 1 KB",
    ),
    say(
        Orchestrator,
        "POST /miner/complete_multipart_upload",
        Always,
        &["object_name", "parts", "parts.ETag", "parts.PartNumber", "upload_id"],
        "under 1 KB for each 10 parts",
    ),
    say(Orchestrator, "GET /miner/notify_orchestrator_of_state_call", Always, &[], "under 1 KB"),
    say(
        Orchestrator,
        "POST /miner/submit_weights",
        Always,
        &["attestation", "weights_path"],
        "under 1 KB",
    ),
    say(
        Orchestrator,
        "POST /miner/submit_optimizer_state",
        Asked,
        &["optimizer_state_path"],
        "under 1 KB",
    ),
    say(Orchestrator, "GET /miner/get_layer_optimizer_state", Asked, &[], "under 1 KB"),
    say(Orchestrator, "GET /miner/get_weight_path_per_layer", Always, &[], "under 1 KB"),
    say(Orchestrator, "GET /miner/get_partitions", Always, &[], "under 1 KB"),
    say(Orchestrator, "GET /miner/get_previous_partitions", Always, &[], "chunk numbers"),
    say(
        Orchestrator,
        "POST /miner/submit_merged_partitions",
        Always,
        &[
            "attestation",
            "partitions",
            "partitions.blob_path",
            "partitions.chunk_number",
            "partitions.layer",
            "partitions.miner_hotkey",
            "partitions.other_miner_hotkey",
        ],
        "under 1 KB for each partition: what the orchestrator itself said, and where the result is",
    ),
    say(Orchestrator, "GET /common/get_merged_partitions", Always, &[], "under 1 KB"),
    say(
        Orchestrator,
        "POST /miner/payout_coldkey",
        Chosen,
        &["payout_coldkey"],
        "under 1 KB: the address that is paid",
    ),
    say(
        Orchestrator,
        "POST /miner/fleet-telemetry",
        Chosen,
        &[
            "hotkey_name",
            "lifecycle_events",
            "prometheus_snapshots",
            "prometheus_snapshots.labels",
            "prometheus_snapshots.labels.direction",
            "prometheus_snapshots.labels.layer_idx",
            "prometheus_snapshots.name",
            "prometheus_snapshots.timestamp",
            "prometheus_snapshots.type",
            "prometheus_snapshots.value",
            "training_metrics",
        ],
        "under 2 KB every 15 s: counts of activations and the last loss",
    ),
    say(
        Bridge,
        "POST /bridge/register",
        Always,
        &[
            "variables",
            "variables.default_value",
            "variables.var_id",
            "variables.var_type",
            "variables.write_rule",
        ],
        "about 4 KB: the hotkey's address, the peer id, the addresses (IP and port) of the peer \
         endpoint, the relay, the stage, queue lengths, uptime, status",
    ),
    say(
        Bridge,
        "POST /bridge/set",
        Always,
        &[
            "updates",
            "updates.current_version",
            "updates.lock_token",
            "updates.value",
            "updates.var_id",
        ],
        "up to 4 KB every few seconds: the same fields",
    ),
    say(Bridge, "POST /bridge/get", Always, &["var_ids"], "the names of what is read"),
    say(Bridge, "GET /bridge/vars", Always, &[], "the run's name"),
    say(
        Store,
        "PUT (presigned)",
        Always,
        &[],
        "2 bytes for each weight of the stage and epoch (pseudo-gradient), 4 for each weight of a \
         partition; where the run asks: single activations (spot checks), and 4 bytes for each \
         weight (optimizer state)",
    ),
    say(Store, "GET (presigned)", Always, &[], "requests only"),
    say(
        Peers,
        "/activation/push",
        Always,
        &[
            "activation_id",
            "direction",
            "sample_path",
            "source_hotkey",
            "source_layer",
            "source_p2p_node_ids",
            "target_layer",
            "tensor_bytes",
        ],
        "2 x batch x sequence x bottleneck bytes for each activation and gradient; the machine's IP \
         address is seen by whom it talks to",
    ),
    say(
        Peers,
        "/peer/status",
        Always,
        &[
            "backward_queue_size",
            "cache_capacity",
            "cache_size",
            "forward_queue_size",
            "last_status_received",
            "layer_phase",
            "miner_status",
            "source_hotkey",
            "uptime_seconds",
        ],
        "under 1 KB every 5 s to each miner of the adjacent stages",
    ),
    say(
        Relays,
        "QUIC",
        Chosen,
        &[],
        "what goes to peers that cannot be reached directly, encrypted; the relay sees the \
         machine's IP address. None are used where relays = none",
    ),
    say(
        Hub,
        "GET tokenizer.json",
        Chosen,
        &[],
        "one request, with your token if there is one; only with tokenizer_download = true",
    ),
    say(
        Alerts,
        "POST alert_webhook",
        Chosen,
        &["app", "at", "code", "content", "event", "held_back", "miner", "test", "text", "title"],
        "under 2 KB for each alert: what happened to which miner, in words",
    ),
    say(Alerts, "POST alert_ntfy", Chosen, &[], "under 1 KB for each alert: the same as a text"),
    say(
        Alerts,
        "GET alert_kuma",
        Chosen,
        &["msg", "ping", "status"],
        "under 1 KB every minute: the state of each miner",
    ),
    say(
        Collector,
        "POST /v1/metrics",
        Chosen,
        &["resourceMetrics"],
        "about 5 KB every minute: counts of work, queues, seconds in each state, the last loss; \
         nothing about the machine, the place or the wallet",
    ),
    say(
        Chain,
        "WebSocket chain_endpoint",
        Chosen,
        &["hotkey", "coldkey", "netuid"],
        "about 5 KB for each look, and once the chain's own description comes back: your hotkey and \
         your payout address, as part of the names of what is read; nothing is signed or sent to the \
         chain",
    ),
    say(
        Prices,
        "GET price_source",
        Chosen,
        &[],
        "a few hundred bytes of headers for each price; no address and no amount",
    ),
];

/// The fields that may go with a call.
pub fn fields_of(call: &str) -> Option<Vec<&'static str>> {
    let mut known = ALL.iter().filter(|entry| entry.call == call).peekable();
    known.peek()?;
    Some(known.flat_map(|entry| entry.fields).copied().collect())
}

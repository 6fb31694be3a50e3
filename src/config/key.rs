//! The names of the settings: one table of keys, each with what it means, its name in the file, what
//! may be written there and what counts while nobody says anything.

/// Prefix of the environment variables.
const ENV_PREFIX: &str = "HEARTH_";

/// A setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// Which network.
    Network,
    /// How it is joined.
    Join,
    /// Who is paid.
    PayoutAddress,
    /// Whether to work without being paid.
    AcceptUnpaid,
    /// The key that signs, in a file.
    HotkeyFile,
    /// The key that signs, by its name in the key stores.
    Hotkey,
    /// A file with the passphrase of encrypted key files.
    PassphraseFile,
    /// What computes.
    Backend,
    /// How many threads of the processor compute.
    CpuThreads,
    /// Several devices at once, each with a hotkey of its own.
    Devices,
    /// A tokenizer file.
    Tokenizer,
    /// Whether a tokenizer may be downloaded from the model hub.
    TokenizerDownload,
    /// A program that answers attestation challenges.
    AttestationCommand,
    /// UDP port of the peer endpoint.
    PeerPort,
    /// Relays of the peer endpoint.
    Relays,
    /// Country that is told at registration.
    LocationCountry,
    /// City that is told at registration.
    LocationCity,
    /// Link speed that is told at registration.
    LinkSpeed,
    /// Whether measurements are sent to the operator.
    FleetTelemetry,
    /// When it may train.
    Hours,
    /// What happens on battery power.
    OnBattery,
    /// How long nobody must have used this computer before it trains.
    IdleAfter,
    /// At which temperature of the device it pauses, and at which it goes on.
    Temperature,
    /// How much power the device may take on average.
    PowerLimit,
    /// How busy other programs may keep the processor.
    LoadLimit,
    /// Programs that it makes room for while they run.
    PauseFor,
    /// What happens while a program fills the screen.
    Fullscreen,
    /// What happens on a connection that is paid by volume.
    Metered,
    /// How much may be sent and received in a calendar month.
    Quota,
    /// How much of the disk must stay free.
    DiskReserve,
    /// How much of the disk Hearth may fill.
    DiskCap,
    /// Which share of the time the device computes.
    Duty,
    /// What must be left of the pay after electricity, an hour.
    MinimumNet,
    /// What a kWh costs.
    KwhPrice,
    /// What a kWh costs by night.
    KwhPriceNight,
    /// When it is night.
    NightHours,
    /// What this machine takes while it trains, where nothing measures it.
    Watts,
    /// Whether the computer is kept awake while it trains.
    KeepAwake,
    /// How fast weights are sent.
    UploadLimit,
    /// How fast weights are fetched.
    DownloadLimit,
    /// How much is logged.
    LogLevel,
    /// How log lines are written.
    LogFormat,
    /// How long log files are kept.
    LogKeep,
    /// TCP port of the local API.
    ApiPort,
    /// What alerts are sent about.
    AlertOn,
    /// Whether alerts are shown on the desktop.
    AlertDesktop,
    /// An address that alerts are sent to as JSON.
    AlertWebhook,
    /// A topic of an ntfy server that alerts are sent to.
    AlertNtfy,
    /// A push address of Uptime Kuma that is told every minute how it is.
    AlertKuma,
    /// A program that is run for each alert.
    AlertCommand,
    /// The shortest time between two alerts about the same.
    AlertEvery,
    /// How much room the records of past runs may take.
    RecordKeep,
    /// An OpenTelemetry collector that measurements are sent to.
    OtelEndpoint,
    /// A node of the chain that is asked about the hotkey and the payout address.
    ChainEndpoint,
    /// Where the price of TAO or alpha is fetched.
    PriceSource,
    /// Where in the answer the price stands.
    PriceField,
    /// Which currency the price is in.
    PriceCurrency,
}

impl Key {
    /// All keys, in the order in which they are explained.
    pub const ALL: [Self; 57] = [
        Self::Network,
        Self::Join,
        Self::PayoutAddress,
        Self::AcceptUnpaid,
        Self::HotkeyFile,
        Self::Hotkey,
        Self::PassphraseFile,
        Self::Backend,
        Self::CpuThreads,
        Self::Devices,
        Self::Tokenizer,
        Self::TokenizerDownload,
        Self::AttestationCommand,
        Self::PeerPort,
        Self::Relays,
        Self::LocationCountry,
        Self::LocationCity,
        Self::LinkSpeed,
        Self::FleetTelemetry,
        Self::Hours,
        Self::OnBattery,
        Self::IdleAfter,
        Self::Temperature,
        Self::PowerLimit,
        Self::LoadLimit,
        Self::PauseFor,
        Self::Fullscreen,
        Self::Metered,
        Self::Quota,
        Self::DiskReserve,
        Self::DiskCap,
        Self::Duty,
        Self::MinimumNet,
        Self::KwhPrice,
        Self::KwhPriceNight,
        Self::NightHours,
        Self::Watts,
        Self::KeepAwake,
        Self::UploadLimit,
        Self::DownloadLimit,
        Self::LogLevel,
        Self::LogFormat,
        Self::LogKeep,
        Self::ApiPort,
        Self::AlertOn,
        Self::AlertDesktop,
        Self::AlertWebhook,
        Self::AlertNtfy,
        Self::AlertKuma,
        Self::AlertCommand,
        Self::AlertEvery,
        Self::RecordKeep,
        Self::OtelEndpoint,
        Self::ChainEndpoint,
        Self::PriceSource,
        Self::PriceField,
        Self::PriceCurrency,
    ];

    /// Its name in the file, what may be written there in a few words, and what counts while nobody
    /// says anything (empty where nothing does).
    fn row(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Network => {
                ("network", "mainnet, testnet, practice, or a server's address", "mainnet")
            }
            Self::Join => {
                ("join", "pool or metagraph", "pool; metagraph where only a key file is given")
            }
            Self::PayoutAddress => ("payout_address", "an address that begins with 5", ""),
            Self::AcceptUnpaid => ("accept_unpaid", "true or false", "false"),
            Self::HotkeyFile => ("hotkey_file", "a file", ""),
            Self::Hotkey => ("hotkey", "the name of a kept key (hearth keys list)", ""),
            Self::PassphraseFile => {
                ("passphrase_file", "a file whose one line is the passphrase", "")
            }
            Self::Backend => ("backend", "auto, wgpu or cpu", "auto"),
            Self::CpuThreads => {
                ("cpu_threads", "a number from 1 to 1024; all threads where nothing is said", "")
            }
            Self::Devices => (
                "devices",
                "a list of DEVICE=HOTKEY, such as [\"wgpu:0=rig-a\", \"cpu=rig-b\"]",
                "",
            ),
            Self::Tokenizer => ("tokenizer", "a tokenizer.json", ""),
            Self::TokenizerDownload => ("tokenizer_download", "true or false", "false"),
            Self::AttestationCommand => {
                ("attestation_command", "a program and its arguments, as a list", "")
            }
            Self::PeerPort => ("peer_port", "a UDP port, 0 for any", "0"),
            Self::Relays => ("relays", "default, none, or a list of addresses", "default"),
            Self::LocationCountry => {
                ("location_country", "what you want the network to be told", "")
            }
            Self::LocationCity => ("location_city", "what you want the network to be told", ""),
            Self::LinkSpeed => ("link_speed", "down/up in Mbit/s, such as 100/40", ""),
            Self::FleetTelemetry => ("fleet_telemetry", "true or false", "false"),
            Self::Hours => (
                "hours",
                "always, or days and hours, such as mon-fri 22:00-07:00, sat-sun 00:00-24:00",
                "always",
            ),
            Self::OnBattery => (
                "on_battery",
                "pause, run, or the level down to which it runs, such as 40%",
                "pause",
            ),
            Self::IdleAfter => ("idle_after", "off, or a time such as 10m", "off"),
            Self::Temperature => {
                ("temperature", "off, or two numbers in degrees Celsius, such as 85/75", "off")
            }
            Self::PowerLimit => ("power_limit", "off, or watts such as 200", "off"),
            Self::LoadLimit => ("load_limit", "off, or a share such as 50%", "off"),
            Self::PauseFor => {
                ("pause_for", "a list of programs, such as [\"steam\", \"blender\"]", "")
            }
            Self::Fullscreen => ("fullscreen", "pause or run", "run"),
            Self::Metered => ("metered", "pause or run", "pause"),
            Self::Quota => ("quota", "off, or an amount such as 200GB", "off"),
            Self::DiskReserve => ("disk_reserve", "an amount such as 5GB", "5GB"),
            Self::DiskCap => ("disk_cap", "off, or an amount such as 60GB", "off"),
            Self::Duty => ("duty", "a share from 1% to 100%", "100%"),
            Self::MinimumNet => {
                ("minimum_net", "off, or an amount an hour, such as 0 or -0.05", "off")
            }
            Self::KwhPrice => ("kwh_price", "off, or a price such as 0.32 EUR", "off"),
            Self::KwhPriceNight => ("kwh_price_night", "off, or a price such as 0.24 EUR", "off"),
            Self::NightHours => {
                ("night_hours", "days and hours, such as 22:00-06:00", "22:00-06:00")
            }
            Self::Watts => ("watts", "off, or watts such as 250", "off"),
            Self::KeepAwake => ("keep_awake", "true or false", "true"),
            Self::UploadLimit => ("upload_limit", "off, or Mbit/s such as 20", "off"),
            Self::DownloadLimit => ("download_limit", "off, or Mbit/s such as 50", "off"),
            Self::LogLevel => ("log_level", "error, warn, info, debug or trace", "info"),
            Self::LogFormat => ("log_format", "readable or json", "readable"),
            Self::LogKeep => ("log_keep", "a time such as 14d", "14d"),
            Self::ApiPort => ("api_port", "a TCP port, 0 for any", "0"),
            Self::AlertOn => (
                "alert_on",
                "a list of words of `hearth explain alerts`",
                "[\"fault\", \"needs-you\", \"crash-loop\", \"disk\", \"kicked\"]",
            ),
            Self::AlertDesktop => ("alert_desktop", "true or false", "false"),
            Self::AlertWebhook => {
                ("alert_webhook", "an address that begins with https:// or http://", "")
            }
            Self::AlertNtfy => ("alert_ntfy", "an address such as https://ntfy.example/topic", ""),
            Self::AlertKuma => {
                ("alert_kuma", "an address such as https://kuma.example/api/push/KEY", "")
            }
            Self::AlertCommand => ("alert_command", "a program and its arguments, as a list", ""),
            Self::AlertEvery => ("alert_every", "a time such as 15m", "15m"),
            Self::RecordKeep => ("record_keep", "off, or an amount such as 64MB", "64MB"),
            Self::OtelEndpoint => ("otel_endpoint", "an address such as http://127.0.0.1:4318", ""),
            Self::ChainEndpoint => (
                "chain_endpoint",
                "a node's address such as ws://127.0.0.1:9944; nobody is asked where nothing is said",
                "",
            ),
            Self::PriceSource => (
                "price_source",
                "an https address that answers with JSON (or http on this machine)",
                "",
            ),
            Self::PriceField => {
                ("price_field", "where the number stands in the answer, such as /bittensor/usd", "")
            }
            Self::PriceCurrency => {
                ("price_currency", "the three letters of a currency, such as USD", "")
            }
        }
    }

    /// Its name in the file.
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// Its environment variable.
    pub fn variable(self) -> String {
        format!("{ENV_PREFIX}{}", self.name().to_uppercase())
    }

    /// What may be written there, in a few words.
    pub fn allowed(self) -> &'static str {
        self.row().1
    }

    /// What counts while nobody says anything, in words; empty where nothing does.
    pub fn default_words(self) -> &'static str {
        self.row().2
    }

    /// The setting of that name in the file.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|key| key.name() == name)
    }
}

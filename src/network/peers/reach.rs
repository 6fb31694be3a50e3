//! How far the peer endpoint reaches, and how it is opened for that: which sockets, which relays,
//! and where names are looked up. Addresses of peers come only from the registry (spec 6.1): nothing
//! is published to, or asked of, a discovery service, and no router is asked to open a port.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use iroh::dns::{BoxIter, DnsError, DnsResolver, Resolver, TxtRecordData};
use iroh::endpoint::{
    AckFrequencyConfig, BindOpts, Builder, IdleTimeout, QuicTransportConfig, VarInt, presets,
};
use iroh::tls::CaTlsConfig;
use iroh::{
    Endpoint, EndpointAddr, EndpointId, NetReportConfig, RelayConfig, RelayMap, RelayMode,
    RelayUrl, SecretKey,
};
use rustls::pki_types::CertificateDer;

use super::link::Kind;
use crate::config::constants::PeerConstants;
use crate::network::directory::NodeAddress;
use crate::network::http::chain;
use crate::protocol::ids::NodeId;

/// How far this endpoint reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum PeerReach {
    /// This machine only: no relay, no discovery, nothing listens outside loopback, nobody outside
    /// is dialled.
    #[default]
    Loopback,
    /// Every network that this machine has.
    Internet {
        /// The UDP port; any free one if not set. A set one can be opened in the router by hand.
        port: Option<u16>,
        /// Who carries traffic that finds no direct way.
        relays: RelayChoice,
    },
}

/// Which relays are used. A relay sees who talks to whom and how much, not what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RelayChoice {
    /// None: only direct connections, so only peers without a strict router in between.
    #[default]
    None,
    /// The public relays of iroh's makers, as the live network's other miners use them.
    IrohDefault,
    /// These.
    Listed(Vec<RelayServer>),
}

/// One relay of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayServer {
    /// `https://host[:port]`, or `http://` for one of the own network.
    pub url: String,
    /// A certificate in DER that is trusted beside the usual authorities: the relay's own.
    pub certificate: Option<Vec<u8>>,
    /// The UDP port at which it says how it sees us; iroh's usual one if not set.
    pub discovery_port: Option<u16>,
}

/// The text is no relay.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{text}\" is no address of a relay: it must look like https://relay.example.org")]
pub struct NoRelay {
    /// What was given.
    text: String,
}

impl FromStr for RelayServer {
    type Err = NoRelay;

    fn from_str(text: &str) -> Result<Self, NoRelay> {
        let server = Self { url: text.to_owned(), certificate: None, discovery_port: None };
        server.parse().map(|_| server)
    }
}

impl RelayServer {
    fn parse(&self) -> Result<RelayUrl, NoRelay> {
        let wrong = || NoRelay { text: self.url.clone() };
        let url: RelayUrl = self.url.parse().map_err(|_| wrong())?;
        let known = matches!(url.scheme(), "http" | "https") && url.has_host();
        known.then_some(url).ok_or_else(wrong)
    }
}

/// The endpoint could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The sockets.
    #[error(
        "the connection to other miners cannot be opened{}: {why}. Is UDP allowed on this \
         machine{}?", at_port(*port), port.map_or("", |_| ", and is the port free")
    )]
    Sockets {
        /// The port that was asked for.
        port: Option<u16>,
        /// The system's words.
        why: String,
    },
    /// A relay of the settings.
    #[error(transparent)]
    Relay(#[from] NoRelay),
}

fn at_port(port: Option<u16>) -> String {
    port.map(|port| format!(" on UDP port {port}")).unwrap_or_default()
}

impl PeerReach {
    /// Opens the endpoint.
    pub(super) async fn open(
        &self,
        secret: &[u8; 32],
        rules: &PeerConstants,
    ) -> Result<Endpoint, BindError> {
        let port = match self {
            Self::Internet { port, .. } => *port,
            Self::Loopback => None,
        };
        let refused = |why: String| BindError::Sockets { port, why };
        let mut report = NetReportConfig::default();
        // It would tell nothing that the relay's own connection does not.
        report.captive_portal_check = false;
        let builder = Endpoint::builder(presets::Minimal)
            .secret_key(SecretKey::from_bytes(secret))
            .alpns([Kind::Uni, Kind::Bi].map(|kind| kind.alpn(rules).to_vec()).to_vec())
            .transport_config(transport(rules))
            .dns_resolver(DnsResolver::custom(SystemNames))
            .net_report_config(report);
        let builder = match self {
            Self::Loopback => builder
                .relay_mode(RelayMode::Disabled)
                .clear_ip_transports()
                .bind_addr("127.0.0.1:0")
                .map_err(|error| refused(error.to_string()))?,
            Self::Internet { port, relays } => {
                let builder = relays.apply(builder)?;
                bind_everywhere(builder, port.unwrap_or(0)).map_err(refused)?
            }
        };
        builder.bind().await.map_err(|error| refused(chain(&error)))
    }

    /// Where `endpoint`, opened with this reach, can be dialled: `known` is what iroh found.
    pub(super) fn own_address(
        &self,
        node: &NodeId,
        endpoint: &Endpoint,
        known: &EndpointAddr,
    ) -> NodeAddress {
        let id = node.clone();
        match self {
            Self::Loopback => NodeAddress { id, relay_url: None, direct: endpoint.bound_sockets() },
            Self::Internet { .. } => NodeAddress {
                id,
                relay_url: known.relay_urls().next().map(ToString::to_string),
                direct: known.ip_addrs().copied().collect(),
            },
        }
    }

    /// What of a registry entry is dialled; the registry is written by anybody, so what lies outside
    /// this endpoint's reach is left out.
    pub(super) fn dial_address(&self, id: EndpointId, known: &NodeAddress) -> EndpointAddr {
        let mut address = EndpointAddr::new(id);
        for socket in known.direct.iter().filter(|socket| self.dials(socket)) {
            address = address.with_ip_addr(*socket);
        }
        let relay = known.relay_url.as_deref().and_then(|url| self.usable_relay(url));
        match relay {
            Some(relay) => address.with_relay_url(relay),
            None => address,
        }
    }

    fn dials(&self, socket: &SocketAddr) -> bool {
        let ip = socket.ip().to_canonical();
        let nobody = socket.port() == 0 || ip.is_unspecified() || ip.is_multicast();
        match self {
            Self::Loopback => !nobody && ip.is_loopback(),
            Self::Internet { .. } => {
                let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
                !nobody && !broadcast && !ip.is_loopback()
            }
        }
    }

    /// A relay that a peer names: with TLS, or one that the user chose.
    fn usable_relay(&self, url: &str) -> Option<RelayUrl> {
        let Self::Internet { relays, .. } = self else { return None };
        let url: RelayUrl = url.parse().ok()?;
        match relays {
            RelayChoice::None => None,
            RelayChoice::IrohDefault => (url.scheme() == "https").then_some(url),
            RelayChoice::Listed(list) => {
                let chosen = list.iter().any(|relay| relay.parse().as_ref() == Ok(&url));
                (chosen || url.scheme() == "https").then_some(url)
            }
        }
    }
}

impl RelayChoice {
    fn apply(&self, builder: Builder) -> Result<Builder, NoRelay> {
        let list = match self {
            Self::None => return Ok(builder.relay_mode(RelayMode::Disabled)),
            Self::IrohDefault => return Ok(builder.relay_mode(RelayMode::Default)),
            Self::Listed(list) => list,
        };
        let mut relays = BTreeMap::new();
        for server in list {
            let url = server.parse()?;
            let mut config = RelayConfig::from(url.clone());
            if let (Some(port), Some(quic)) = (server.discovery_port, &mut config.quic) {
                quic.port = port;
            }
            relays.insert(url, config);
        }
        let own = list.iter().filter_map(|server| server.certificate.clone());
        let trusted = CaTlsConfig::embedded().with_extra_roots(own.map(CertificateDer::from));
        let map: RelayMap = relays.into_values().collect();
        Ok(builder.relay_mode(RelayMode::Custom(map)).ca_tls_config(trusted))
    }
}

/// All interfaces; a machine without IPv6 goes without.
fn bind_everywhere(builder: Builder, port: u16) -> Result<Builder, String> {
    let optional = BindOpts::default().set_is_required(false);
    builder
        .clear_ip_transports()
        .bind_addr((Ipv4Addr::UNSPECIFIED, port))
        .and_then(|builder| builder.bind_addr_with_opts((Ipv6Addr::UNSPECIFIED, port), optional))
        .map_err(|error| error.to_string())
}

/// Windows that bound what a connection can make us hold, prompt acknowledgements (a receiver
/// enqueues a push only when its answer was acknowledged, spec 6.5, so a peer that delays its
/// acknowledgements delays the work), and signs of life often enough that a peer that was killed is
/// missed within seconds.
fn transport(rules: &PeerConstants) -> QuicTransportConfig {
    let streams = u32::try_from(rules.streams_per_connection).unwrap_or(u32::MAX);
    let mut acknowledgements = AckFrequencyConfig::default();
    acknowledgements.max_ack_delay(Some(Duration::from_millis(1)));
    let keep_alive = rules.keep_alive.min(IROH_KEEP_ALIVE);
    QuicTransportConfig::builder()
        .max_concurrent_bidi_streams(VarInt::from_u32(streams))
        .max_concurrent_uni_streams(VarInt::from_u32(streams))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .ack_frequency_config(Some(acknowledgements))
        .keep_alive_interval(keep_alive)
        .default_path_keep_alive_interval(keep_alive)
        .default_path_max_idle_timeout(rules.idle_timeout.min(IROH_PATH_IDLE))
        .max_idle_timeout(IdleTimeout::try_from(rules.idle_timeout).ok())
        .build()
}

/// iroh takes no longer pause between two signs of life than this.
const IROH_KEEP_ALIVE: Duration = Duration::from_secs(5);
/// iroh gives up a silent path at the latest after this.
const IROH_PATH_IDLE: Duration = Duration::from_secs(15);
/// Bytes that all streams of one connection may have in flight.
const CONNECTION_WINDOW: u32 = 8 << 20;
/// Bytes that one stream may have in flight.
const STREAM_WINDOW: u32 = 4 << 20;

/// Looks up relays' names as every other program of this machine does. iroh's own way would ask
/// public name servers of third parties when the system's do not answer.
#[derive(Clone, Copy, Debug)]
struct SystemNames;

async fn look_up(host: String) -> Vec<IpAddr> {
    match tokio::net::lookup_host((host.as_str(), 0)).await {
        Ok(found) => found.map(|socket| socket.ip()).collect(),
        Err(error) => {
            tracing::debug!(host, %error, "name not found");
            Vec::new()
        }
    }
}

type Found<T> = BoxFuture<'static, Result<BoxIter<T>, DnsError>>;

impl Resolver for SystemNames {
    fn lookup_ipv4(&self, host: String) -> Found<Ipv4Addr> {
        let v4 = |ip| if let IpAddr::V4(v4) = ip { Some(v4) } else { None };
        async move { Ok(Box::new(look_up(host).await.into_iter().filter_map(v4)) as BoxIter<_>) }
            .boxed()
    }

    fn lookup_ipv6(&self, host: String) -> Found<Ipv6Addr> {
        let v6 = |ip| if let IpAddr::V6(v6) = ip { Some(v6) } else { None };
        async move { Ok(Box::new(look_up(host).await.into_iter().filter_map(v6)) as BoxIter<_>) }
            .boxed()
    }

    /// Only discovery services have such records, and none is asked.
    fn lookup_txt(&self, _host: String) -> Found<TxtRecordData> {
        async { Ok(Box::new(std::iter::empty()) as BoxIter<_>) }.boxed()
    }

    fn clear_cache(&self) {}

    fn reset(&self) -> Box<dyn Resolver> {
        Box::new(*self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(url: &str) -> PeerReach {
        let relay: RelayServer = url.parse().unwrap();
        PeerReach::Internet { port: None, relays: RelayChoice::Listed(vec![relay]) }
    }

    fn entry(relay: Option<&str>, direct: &[&str]) -> NodeAddress {
        NodeAddress {
            id: NodeId::from_bytes(&[1; 32]),
            relay_url: relay.map(str::to_owned),
            direct: direct.iter().map(|text| text.parse().unwrap()).collect(),
        }
    }

    fn dialled(reach: &PeerReach, entry: &NodeAddress) -> (usize, usize) {
        let address = reach.dial_address(SecretKey::from_bytes(&[1; 32]).public(), entry);
        (address.ip_addrs().count(), address.relay_urls().count())
    }

    #[test]
    fn practice_dials_nobody_outside_this_machine() {
        let entry =
            entry(Some("https://relay.example"), &["127.0.0.1:9", "203.0.113.1:9", "[::1]:9"]);
        assert_eq!(dialled(&PeerReach::Loopback, &entry), (2, 0));
    }

    #[test]
    fn entries_that_anybody_can_write_cannot_make_us_dial_just_anything() {
        let direct = ["127.0.0.1:9", "0.0.0.0:9", "224.0.0.1:9", "255.255.255.255:9", "[::]:9"];
        let entry = |relay| entry(Some(relay), &direct);
        let reach = listed("http://10.0.0.1:80");
        assert_eq!(dialled(&reach, &entry("http://192.168.1.1/admin")), (0, 0));
        assert_eq!(dialled(&reach, &entry("file:///etc/passwd")), (0, 0));
        assert_eq!(dialled(&reach, &entry("http://10.0.0.1:80")), (0, 1), "the chosen one");
        assert_eq!(dialled(&reach, &entry("https://relay.example")), (0, 1));
        let none = PeerReach::Internet { port: None, relays: RelayChoice::None };
        assert_eq!(dialled(&none, &entry("https://relay.example")), (0, 0));
        let real = self::entry(None, &["203.0.113.1:9", "192.168.1.7:9", "203.0.113.1:0"]);
        assert_eq!(dialled(&none, &real), (2, 0));
    }

    #[test]
    fn what_is_no_relay_is_refused_in_words() {
        for text in ["", "relay.example", "ftp://relay.example", "mailto:me@example"] {
            let refused = text.parse::<RelayServer>().unwrap_err();
            assert!(refused.to_string().contains("https://"), "{refused}");
        }
        assert!("https://relay.example".parse::<RelayServer>().is_ok());
    }

    #[tokio::test]
    async fn a_taken_port_is_named() {
        let taken = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let reach = PeerReach::Internet { port: Some(port), relays: RelayChoice::None };
        let refused = reach.open(&[1; 32], &PeerConstants::default()).await.unwrap_err();
        assert!(refused.to_string().contains(&port.to_string()), "{refused}");
    }

    #[tokio::test]
    async fn names_are_looked_up_by_the_system() {
        let found: Vec<Ipv4Addr> =
            SystemNames.lookup_ipv4("localhost".to_owned()).await.unwrap().collect();
        assert_eq!(found, [Ipv4Addr::LOCALHOST]);
        assert_eq!(SystemNames.lookup_txt("localhost".to_owned()).await.unwrap().count(), 0);
    }
}

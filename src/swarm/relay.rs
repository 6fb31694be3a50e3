//! The project's own relay: through it miners find the way through their home routers, and it carries
//! their traffic where there is none (spec 6.1). It is iroh's relay with our own address and, where
//! wanted, a certificate that it makes itself, so that a hosted swarm needs nobody else's server.
//! What passes through is encrypted between the miners; the relay sees who talks to whom and how much.

mod certificate;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use iroh_relay::server::{
    CertConfig, QuicConfig, RelayConfig, Server, ServerConfig, TlsConfig as ServerTls,
};

use crate::clock::Entropy;
use certificate::SelfMade;

/// How a relay listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelaySetup {
    /// Where it listens, for TCP and (with a certificate) for UDP. Port 0 takes any.
    pub listen: SocketAddr,
    /// The address under which miners reach it: it stands in the URL and in the certificate.
    pub public: IpAddr,
    /// Whether it speaks TLS.
    pub security: RelaySecurity,
}

/// Whether a relay speaks TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelaySecurity {
    /// Plain HTTP. Miners cannot learn their public addresses from it, so they get through few
    /// routers directly; for one machine and for tests.
    Plain,
    /// HTTPS with a certificate that it makes now and that miners must be given.
    SelfMade,
}

/// Why there is no relay.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The certificate could not be made.
    #[error("the relay's certificate cannot be made: {0} (this is a bug in Hearth)")]
    Certificate(String),
    /// It cannot listen.
    #[error(
        "the relay cannot listen on {listen}: {why}. Is another program using the port, and is the \
         address one of this machine?"
    )]
    Listen {
        /// Where it was to listen.
        listen: SocketAddr,
        /// The system's words.
        why: String,
    },
}

/// A running relay. Stops when dropped; [`Relay::stop`] says goodbye first.
#[derive(Debug)]
pub struct Relay {
    server: Server,
    url: String,
    certificate: Option<Vec<u8>>,
    discovery_port: Option<u16>,
}

impl Relay {
    /// Starts a relay. Must be called within a tokio runtime.
    pub async fn start(setup: RelaySetup, entropy: &mut Entropy) -> Result<Self, RelayError> {
        let mut relay = RelayConfig::new(setup.listen);
        let mut config = ServerConfig::default();
        let mut certificate = None;
        if setup.security == RelaySecurity::SelfMade {
            let made = SelfMade::new(setup.public, entropy).map_err(RelayError::Certificate)?;
            let tls = made.server_config().map_err(RelayError::Certificate)?;
            relay.tls =
                Some(ServerTls::new(setup.listen, CertConfig::Manual { server_config: tls }));
            // Beside HTTPS the server wants a plain port for a check that our miners never make.
            relay.http_bind_addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            config.quic = Some(QuicConfig::new(setup.listen));
            certificate = Some(made.der().to_vec());
        }
        config.relay = Some(relay);
        let listen = |why: String| RelayError::Listen { listen: setup.listen, why };
        let server = Server::spawn(config).await.map_err(|error| listen(format!("{error:#}")))?;
        let (scheme, address) = match server.https_addr() {
            Some(address) => ("https", address),
            None => {
                let plain = server.http_addr();
                ("http", plain.ok_or_else(|| listen("it has no address".to_owned()))?)
            }
        };
        let url = format!("{scheme}://{}", SocketAddr::new(setup.public, address.port()));
        let discovery_port = server.quic_addr().map(|address| address.port());
        Ok(Self { server, url, certificate, discovery_port })
    }

    /// Where miners connect.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What miners must trust, in DER; none for a plain relay.
    pub fn certificate(&self) -> Option<&[u8]> {
        self.certificate.as_deref()
    }

    /// The UDP port at which miners learn their public addresses; none for a plain relay.
    pub fn discovery_port(&self) -> Option<u16> {
        self.discovery_port
    }

    /// Stops it; miners that were connected through it lose each other.
    pub async fn stop(self) {
        if let Err(error) = self.server.shutdown().await {
            tracing::debug!("the relay did not end in order: {error:#}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(security: RelaySecurity) -> RelaySetup {
        let here = IpAddr::from(Ipv4Addr::LOCALHOST);
        RelaySetup { listen: SocketAddr::new(here, 0), public: here, security }
    }

    #[tokio::test]
    async fn a_relay_says_where_it_is_and_what_to_trust() {
        let mut entropy = Entropy::seeded(1, "relay");
        let plain = Relay::start(setup(RelaySecurity::Plain), &mut entropy).await.unwrap();
        assert!(plain.url().starts_with("http://127.0.0.1:"), "{}", plain.url());
        assert_eq!((plain.certificate(), plain.discovery_port()), (None, None));
        let secure = Relay::start(setup(RelaySecurity::SelfMade), &mut entropy).await.unwrap();
        assert!(secure.url().starts_with("https://127.0.0.1:"), "{}", secure.url());
        assert!(secure.certificate().is_some() && secure.discovery_port().is_some());
        plain.stop().await;
        secure.stop().await;
    }

    #[tokio::test]
    async fn a_taken_port_is_named_in_the_error() {
        let mut entropy = Entropy::seeded(1, "relay");
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = taken.local_addr().unwrap();
        let setup = RelaySetup { listen, ..setup(RelaySecurity::Plain) };
        let refused = Relay::start(setup, &mut entropy).await.unwrap_err().to_string();
        assert!(refused.contains(&listen.to_string()), "{refused}");
    }
}

//! A certificate that a relay makes for itself: X.509 v3, Ed25519, one IP address, written as DER by
//! hand. Miners are given it beforehand, so nobody's signature but its own is needed.

use std::net::IpAddr;
use std::sync::Arc;

use iroh::SecretKey;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{SignatureScheme, version::TLS13};
use zeroize::Zeroizing;

use crate::clock::Entropy;

/// A key with its certificate.
pub(super) struct SelfMade {
    der: Vec<u8>,
    /// The key as PKCS #8.
    key: Zeroizing<Vec<u8>>,
}

impl SelfMade {
    /// A new key, certified for `address`.
    pub(super) fn new(address: IpAddr, entropy: &mut Entropy) -> Result<Self, String> {
        let mut secret = Zeroizing::new([0; 32]);
        entropy.fill(secret.as_mut());
        let public = *SecretKey::from_bytes(&secret).public().as_bytes();
        let key = Zeroizing::new(pkcs8(&secret));
        let mut serial = [0; 8];
        entropy.fill(&mut serial);
        // A serial number is positive and its first byte not zero.
        serial[0] = serial[0] & 0x7f | 0x40;
        let body = body(&serial, &public, address);
        let signing = ring::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(key.as_slice()))
            .map_err(|error| error.to_string())?;
        let signer = signing.choose_scheme(&[SignatureScheme::ED25519]).ok_or("no such scheme")?;
        let signature = signer.sign(&body).map_err(|error| error.to_string())?;
        let der = sequence(&[&body, &algorithm(), &bits(&signature)]);
        Ok(Self { der, key })
    }

    /// The certificate.
    pub(super) fn der(&self) -> &[u8] {
        &self.der
    }

    /// What a server needs to use it.
    pub(super) fn server_config(&self) -> Result<ServerConfig, String> {
        let key = PrivatePkcs8KeyDer::from(self.key.to_vec());
        let chain = vec![CertificateDer::from(self.der.clone())];
        ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13])
            .and_then(|builder| {
                builder.with_no_client_auth().with_single_cert(chain, PrivateKeyDer::Pkcs8(key))
            })
            .map_err(|error| error.to_string())
    }
}

/// 1.3.101.112: Ed25519.
const ED25519: [u8; 3] = [0x2b, 0x65, 0x70];
/// 2.5.4.3: a common name.
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];
/// 2.5.29.17: the names that a certificate is for.
const ALTERNATIVE_NAMES: [u8; 3] = [0x55, 0x1d, 0x11];

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT_ID: u8 = 0x06;
const TEXT: u8 = 0x0c;
const UTC_TIME: u8 = 0x17;
const LONG_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// `[0]`, holding the version.
const VERSION: u8 = 0xa0;
/// `[3]`, holding the extensions.
const EXTENSIONS: u8 = 0xa3;
/// `[7]`, an IP address among the names.
const IP_ADDRESS: u8 = 0x87;

/// The part that is signed.
fn body(serial: &[u8], public: &[u8; 32], address: IpAddr) -> Vec<u8> {
    let name = element(
        SEQUENCE,
        &element(
            SET,
            &sequence(&[&element(OBJECT_ID, &COMMON_NAME), &element(TEXT, b"hearth relay")]),
        ),
    );
    // Valid as long as its key is: miners trust this one certificate, not a date.
    let validity =
        sequence(&[&element(UTC_TIME, b"200101000000Z"), &element(LONG_TIME, b"20991231235959Z")]);
    let key = sequence(&[&algorithm(), &bits(public)]);
    let ip = match address {
        IpAddr::V4(v4) => element(IP_ADDRESS, &v4.octets()),
        IpAddr::V6(v6) => element(IP_ADDRESS, &v6.octets()),
    };
    let names = sequence(&[
        &element(OBJECT_ID, &ALTERNATIVE_NAMES),
        &element(OCTET_STRING, &element(SEQUENCE, &ip)),
    ]);
    sequence(&[
        &element(VERSION, &element(INTEGER, &[2])),
        &element(INTEGER, serial),
        &algorithm(),
        &name,
        &validity,
        &name,
        &key,
        &element(EXTENSIONS, &sequence(&[&names])),
    ])
}

fn algorithm() -> Vec<u8> {
    sequence(&[&element(OBJECT_ID, &ED25519)])
}

/// The secret as PKCS #8, version 1.
fn pkcs8(secret: &[u8; 32]) -> Vec<u8> {
    let inner = element(OCTET_STRING, secret);
    sequence(&[&element(INTEGER, &[0]), &algorithm(), &element(OCTET_STRING, &inner)])
}

/// A bit string of whole bytes.
fn bits(bytes: &[u8]) -> Vec<u8> {
    let mut content = vec![0];
    content.extend_from_slice(bytes);
    element(BIT_STRING, &content)
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    element(SEQUENCE, &parts.concat())
}

/// One element: tag, length, content. Contents here are shorter than 64 KiB.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let mut out = vec![tag];
    match content.len() {
        0..=0x7f => out.push(length[length.len() - 1]),
        0x80..=0xff => out.extend([0x81, length[length.len() - 1]]),
        _ => out.extend([0x82, length[length.len() - 2], length[length.len() - 1]]),
    }
    out.extend_from_slice(content);
    out
}

#[cfg(test)]
mod tests {
    use rustls::RootCertStore;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier;
    use rustls::pki_types::{ServerName, UnixTime};

    use super::*;

    #[test]
    fn a_client_that_was_given_the_certificate_trusts_it_for_its_address_only() {
        let provider = Arc::new(ring::default_provider());
        for address in ["203.0.113.7", "2001:db8::7"] {
            let address: IpAddr = address.parse().unwrap();
            let made = SelfMade::new(address, &mut Entropy::seeded(1, "relay")).unwrap();
            made.server_config().unwrap();
            let der = CertificateDer::from(made.der().to_vec());
            let mut roots = RootCertStore::empty();
            roots.add(der.clone()).unwrap();
            let verifier =
                WebPkiServerVerifier::builder_with_provider(roots.into(), Arc::clone(&provider))
                    .build()
                    .unwrap();
            let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(1_800_000_000));
            let verify = |address: IpAddr| {
                verifier.verify_server_cert(&der, &[], &ServerName::from(address), &[], now)
            };
            verify(address).unwrap();
            assert!(verify("203.0.113.8".parse().unwrap()).is_err());
        }
    }

    #[test]
    fn two_relays_have_two_keys() {
        let mut entropy = Entropy::seeded(1, "relay");
        let address = IpAddr::from([127, 0, 0, 1]);
        let first = SelfMade::new(address, &mut entropy).unwrap();
        let second = SelfMade::new(address, &mut entropy).unwrap();
        assert_ne!(first.der(), second.der());
    }
}

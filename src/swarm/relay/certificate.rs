//! A certificate that a relay makes for itself: Ed25519, one IP address. Miners are given it
//! beforehand, so nobody's signature but its own is needed.

use std::net::IpAddr;
use std::sync::Arc;

use rcgen::{
    CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_ED25519, SanType, SerialNumber,
    date_time_ymd,
};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::version::TLS13;
use zeroize::Zeroizing;

use crate::clock::Entropy;

/// What stands before the 32 bytes of an Ed25519 secret in PKCS #8, version 1 (RFC 8410): the library
/// makes keys only with the system's randomness, and ours comes from the clock's neighbour.
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// A key with its certificate.
pub(super) struct SelfMade {
    der: Vec<u8>,
    /// The key as PKCS #8.
    key: Zeroizing<Vec<u8>>,
}

impl SelfMade {
    /// A new key, certified for `address`.
    pub(super) fn new(address: IpAddr, entropy: &mut Entropy) -> Result<Self, String> {
        let mut key = Zeroizing::new([PKCS8_PREFIX.as_slice(), &[0; 32]].concat());
        entropy.fill(&mut key[PKCS8_PREFIX.len()..]);
        let mut serial = [0; 8];
        entropy.fill(&mut serial);
        // A serial number is positive and its first byte not zero.
        serial[0] = serial[0] & 0x7f | 0x40;
        let der = certify(address, serial, &key).map_err(|error| error.to_string())?;
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

fn certify(address: IpAddr, serial: [u8; 8], key: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
    let key = PrivatePkcs8KeyDer::from(key);
    let pair = KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_ED25519)?;
    let mut params = CertificateParams::default();
    // Valid as long as its key is: miners trust this one certificate, not a date.
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2099, 12, 31);
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "hearth relay");
    params.subject_alt_names = vec![SanType::IpAddress(address)];
    Ok(params.self_signed(&pair)?.der().to_vec())
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

//! SS58, the text form of Substrate public keys (spec 3.5):
//! base58(prefix, 32 key bytes, first 2 bytes of BLAKE2b-512("SS58PRE", prefix, key)).

use blake2::{Blake2b512, Digest};

use super::constants::SS58_PREFIX;

/// Letters of the longest address: 36 bytes never need more than 50. Longer texts are refused before
/// the decoder, whose time grows with the square of the length.
const LONGEST: usize = 50;

/// Why a text is not a Bittensor address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ss58Error {
    /// A letter outside the base58 alphabet.
    #[error("not an address: it holds a character that addresses never use")]
    Alphabet,
    /// The decoded length is not that of a 32-byte key with a one-byte prefix.
    #[error("not an address: it is too short or too long")]
    Length,
    /// An address of another network.
    #[error("this address belongs to another network (prefix {0}, expected 42)")]
    Prefix(u8),
    /// A typing error.
    #[error("the address has a typing error (its checksum does not match); copy it again")]
    Checksum,
}

/// The address of `public`, with prefix 42.
pub fn encode(public: &[u8; 32]) -> String {
    with_prefix(&[SS58_PREFIX], public)
}

/// The address of `public` on the network with `prefix`; none for 16384 and above, which have no form.
pub fn encode_for(prefix: u16, public: &[u8; 32]) -> Option<String> {
    let [low, high] = prefix.to_le_bytes();
    match prefix {
        0..64 => Some(with_prefix(&[low], public)),
        // Two bytes: six bits of the low one behind the bits 01, then the other two with the high one.
        64..16_384 => Some(with_prefix(&[(low >> 2) | 0x40, high | (low << 6)], public)),
        _ => None,
    }
}

/// The network prefix of the SS58 address of any network, when its checksum is right.
pub fn network_of(address: &str) -> Option<u16> {
    if address.len() > LONGEST {
        return None;
    }
    let bytes = bs58::decode(address).into_vec().ok()?;
    let first = *bytes.first()?;
    let prefix = if first < 64 { &bytes[..1] } else { bytes.get(..2)? };
    let public: &[u8; 32] = bytes.get(prefix.len()..prefix.len() + 32)?.try_into().ok()?;
    if bytes[prefix.len() + 32..] != checksum(prefix, public) {
        return None;
    }
    match *prefix {
        [one] => Some(u16::from(one)),
        [first @ 64..128, second] => {
            let low = (first << 2) | (second >> 6);
            Some(u16::from_le_bytes([low, second & 0x3f]))
        }
        _ => None,
    }
}

fn with_prefix(prefix: &[u8], public: &[u8; 32]) -> String {
    let bytes = [prefix, public, &checksum(prefix, public)].concat();
    bs58::encode(bytes).into_string()
}

/// The public key of `address`. Fails on anything but a prefix-42 address with a right checksum.
pub fn decode(address: &str) -> Result<[u8; 32], Ss58Error> {
    if address.len() > LONGEST {
        return Err(Ss58Error::Length);
    }
    let bytes = bs58::decode(address).into_vec().map_err(|_| Ss58Error::Alphabet)?;
    let bytes: [u8; 35] = bytes.try_into().map_err(|_| Ss58Error::Length)?;
    let (prefix, rest) = (bytes[0], &bytes[1..]);
    let mut public = [0_u8; 32];
    public.copy_from_slice(&rest[..32]);
    if checksum(&[prefix], &public) != rest[32..] {
        return Err(Ss58Error::Checksum);
    }
    if prefix != SS58_PREFIX {
        return Err(Ss58Error::Prefix(prefix));
    }
    Ok(public)
}

fn checksum(prefix: &[u8], public: &[u8; 32]) -> [u8; 2] {
    let mut hasher = Blake2b512::new();
    hasher.update(b"SS58PRE");
    hasher.update(prefix);
    hasher.update(public);
    let sum = hasher.finalize();
    [sum[0], sum[1]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_a_round_trip_and_bad_ones_say_why() {
        let address = encode(&[7; 32]);
        assert_eq!(decode(&address), Ok([7; 32]));
        assert_eq!(decode("0OIl"), Err(Ss58Error::Alphabet));
        assert_eq!(decode(""), Err(Ss58Error::Length));
        assert_eq!(decode(&"1".repeat(100_000)), Err(Ss58Error::Length));
        let other = encode_for(0, &[7; 32]).unwrap();
        assert_eq!(decode(&other), Err(Ss58Error::Prefix(0)));
    }

    #[test]
    fn the_network_of_any_address_is_known_by_its_prefix() {
        for prefix in 0..16_384 {
            let address = encode_for(prefix, &[7; 32]).unwrap();
            // 46 and 47 are reserved, but have a form.
            assert_eq!(network_of(&address), Some(prefix));
        }
        assert_eq!(encode_for(16_384, &[7; 32]), None);
        let polkadot = "14E5nqKAp3oAJcmzgZhUD2RcptBeUBScxKHgJKU4HPNcKVf3";
        assert_eq!(network_of(polkadot), Some(0));
        assert_eq!(network_of(&polkadot.replace('E', "F")), None);
        assert_eq!(network_of(""), None);
    }
}

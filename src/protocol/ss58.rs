//! SS58, the text form of Substrate public keys (spec 3.5):
//! base58(prefix, 32 key bytes, first 2 bytes of BLAKE2b-512("SS58PRE", prefix, key)).

use blake2::{Blake2b512, Digest};

use super::constants::SS58_PREFIX;

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
    let mut bytes = [0_u8; 35];
    bytes[0] = SS58_PREFIX;
    bytes[1..33].copy_from_slice(public);
    let sum = checksum(SS58_PREFIX, public);
    bytes[33..].copy_from_slice(&sum);
    bs58::encode(bytes).into_string()
}

/// The public key of `address`. Fails on anything but a prefix-42 address with a right checksum.
pub fn decode(address: &str) -> Result<[u8; 32], Ss58Error> {
    // 35 bytes never need more than 48 letters; longer texts are refused before the decoder, whose
    // time grows with the square of the length.
    if address.len() > 48 {
        return Err(Ss58Error::Length);
    }
    let bytes = bs58::decode(address).into_vec().map_err(|_| Ss58Error::Alphabet)?;
    let bytes: [u8; 35] = bytes.try_into().map_err(|_| Ss58Error::Length)?;
    let (prefix, rest) = (bytes[0], &bytes[1..]);
    let mut public = [0_u8; 32];
    public.copy_from_slice(&rest[..32]);
    if checksum(prefix, &public) != rest[32..] {
        return Err(Ss58Error::Checksum);
    }
    if prefix != SS58_PREFIX {
        return Err(Ss58Error::Prefix(prefix));
    }
    Ok(public)
}

fn checksum(prefix: u8, public: &[u8; 32]) -> [u8; 2] {
    let mut hasher = Blake2b512::new();
    hasher.update(b"SS58PRE");
    hasher.update([prefix]);
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
        let other = bs58::encode({
            let mut bytes = vec![0];
            bytes.extend([7; 32]);
            bytes.extend(checksum(0, &[7; 32]));
            bytes
        });
        assert_eq!(decode(&other.into_string()), Err(Ss58Error::Prefix(0)));
    }
}

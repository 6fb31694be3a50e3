//! bf16 numbers as the wire stores them: the upper half of an IEEE f32, little-endian, rounded to
//! nearest even.

pub use half::bf16;

/// Rounds to bf16 (nearest, ties to even).
pub fn round(x: f32) -> f32 {
    bf16::from_f32(x).to_f32()
}

/// The wire bytes of `values`.
pub fn to_le_bytes(values: &[bf16]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(values.len() * 2);
    extend_le_bytes(&mut bytes, values);
    bytes
}

/// Appends the wire bytes of `values`.
pub fn extend_le_bytes(out: &mut Vec<u8>, values: &[bf16]) {
    if cfg!(target_endian = "little") {
        out.extend_from_slice(bytemuck::cast_slice(values));
    } else {
        out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }
}

/// Writes the wire bytes of `values` into `out`, as far as both reach.
pub fn write_le_bytes(out: &mut [u8], values: &[bf16]) {
    if cfg!(target_endian = "little") {
        let bytes: &[u8] = bytemuck::cast_slice(values);
        let len = bytes.len().min(out.len());
        out[..len].copy_from_slice(&bytes[..len]);
    } else {
        for (pair, value) in out.chunks_exact_mut(2).zip(values) {
            pair.copy_from_slice(&value.to_le_bytes());
        }
    }
}

/// The numbers in `bytes`; an odd last byte is not a number and is left out.
pub fn from_le_bytes(bytes: &[u8]) -> Vec<bf16> {
    bytes.chunks_exact(2).map(|pair| bf16::from_le_bytes([pair[0], pair[1]])).collect()
}

/// `values` in f32, exactly.
pub fn widen(values: &[bf16]) -> Vec<f32> {
    values.iter().map(|value| value.to_f32()).collect()
}

/// `values` rounded to bf16.
pub fn narrow(values: &[f32]) -> Vec<bf16> {
    values.iter().map(|&value| bf16::from_f32(value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_round_to_even_and_bytes_are_little_endian() {
        assert_eq!(bf16::from_f32(1.0 + 1.0 / 256.0).to_bits(), 0x3f80);
        assert_eq!(bf16::from_f32(1.0 + 3.0 / 256.0).to_bits(), 0x3f82);
        let values = narrow(&[1.0, -2.0]);
        assert_eq!(to_le_bytes(&values), [0x80, 0x3f, 0x00, 0xc0]);
        assert_eq!(from_le_bytes(&[0x80, 0x3f, 0x00, 0xc0, 0x01]), values);
        assert_eq!(widen(&values), [1.0, -2.0]);
        assert!((round(0.7) - 0.699_218_75).abs() < f32::EPSILON);
    }
}

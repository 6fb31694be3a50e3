//! The description inside a PyTorch file, in an archive that is right.
#![no_main]

use hearth::protocol::torch;
use libfuzzer_sys::fuzz_target;

const DATA: [u8; 64] = [3; 64];

/// CRC-32, bit by bit: only for `DATA`.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    })
}

fn archive(pickle: &[u8]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    let files: [(&str, &[u8]); 3] =
        [("a/data.pkl", pickle), ("a/data/0", &DATA), ("a/version", b"3\n")];
    for (name, bytes) in files {
        let len = u32::try_from(bytes.len()).unwrap().to_le_bytes();
        let name_len = u16::try_from(name.len()).unwrap().to_le_bytes();
        let sum = if bytes == DATA { crc(bytes) } else { 0 };
        let mut common = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        common.extend([sum.to_le_bytes(), len, len].concat());
        common.extend([name_len, [0, 0]].concat());
        let place = u32::try_from(out.len()).unwrap().to_le_bytes();
        out.extend([b"PK\x03\x04", common.as_slice(), name.as_bytes(), bytes].concat());
        directory.extend([b"PK\x01\x02\x14\0", common.as_slice(), &[0; 10], &place].concat());
        directory.extend(name.as_bytes());
    }
    let start = u32::try_from(out.len()).unwrap().to_le_bytes();
    let size = u32::try_from(directory.len()).unwrap().to_le_bytes();
    out.extend(directory);
    out.extend(b"PK\x05\x06\0\0\0\0\x03\0\x03\0");
    out.extend([size, start].concat());
    out.extend([0, 0]);
    out
}

fuzz_target!(|data: &[u8]| {
    if let Ok(tensor) = torch::read(&archive(data), 1000) {
        assert!(tensor.count() <= 1000);
        assert_eq!(tensor.count(), tensor.shape.iter().product::<usize>());
        assert!(tensor.bytes.iter().all(|byte| *byte == 3), "a number from outside the data");
    }
});

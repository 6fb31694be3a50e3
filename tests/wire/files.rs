//! PyTorch files from strangers: bombs, lies and code. What is not one plain tensor is refused before
//! memory is taken, and nothing in a file is ever run.

use std::io::Write;

use flate2::write::DeflateEncoder;
use hearth::protocol::bf16::narrow;
use hearth::protocol::torch::{Tensor, TorchError, read, write_bf16};
use proptest::prelude::*;
use zip::write::SimpleFileOptions;

use crate::memory::peak_of;

/// An archive of `files` under `prefix`, by an independent writer.
fn archive(prefix: &str, files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        let options =
            SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        zip.start_file(format!("{prefix}/{name}"), options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn stored(files: &[(&str, &[u8])]) -> Vec<u8> {
    archive("model", files)
}

/// The same, with every file deflated.
fn deflated(files: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in files {
        let mut packer = DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(bytes).unwrap();
        let packed = packer.finish().unwrap();
        let name = format!("model/{name}");
        let mut common = vec![20, 0, 0, 0, 8, 0, 0, 0, 0, 0];
        common.extend(crc32fast::hash(bytes).to_le_bytes());
        common.extend(u32::try_from(packed.len()).unwrap().to_le_bytes());
        common.extend(u32::try_from(bytes.len()).unwrap().to_le_bytes());
        common.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
        common.extend([0, 0]);
        let offset = u32::try_from(out.len()).unwrap().to_le_bytes();
        out.extend([b"PK\x03\x04", common.as_slice(), name.as_bytes(), &packed].concat());
        let place = [&[0; 10], offset.as_slice()].concat();
        directory.extend([b"PK\x01\x02\x14\0", common.as_slice(), &place].concat());
        directory.extend(name.as_bytes());
    }
    let (start, size) = (out.len(), directory.len());
    let count = u16::try_from(files.len()).unwrap().to_le_bytes();
    out.extend(directory);
    out.extend([b"PK\x05\x06\0\0\0\0", count.as_slice(), &count].concat());
    out.extend(u32::try_from(size).unwrap().to_le_bytes());
    out.extend(u32::try_from(start).unwrap().to_le_bytes());
    out.extend([0, 0]);
    out
}

fn number(n: u64) -> Vec<u8> {
    let mut text = vec![0x8a, 9];
    text.extend(n.to_le_bytes());
    text.push(0);
    text
}

/// The description of a tensor, in PyTorch's own words, with any numbers.
fn pickle(kind: &str, storage: u64, offset: u64, shape: &[u64], strides: &[u64]) -> Vec<u8> {
    let mut p =
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nq\x00((X\x07\0\0\0storageq\x01".to_vec();
    p.extend(format!("ctorch\n{kind}\nq\x02").as_bytes());
    p.extend(b"X\x01\0\0\x000q\x03X\x03\0\0\0cpuq\x04");
    p.extend(number(storage));
    p.extend(b"tq\x05Q");
    p.extend(number(offset));
    for values in [shape, strides] {
        p.push(b'(');
        p.extend(values.iter().flat_map(|value| number(*value)));
        p.push(b't');
    }
    p.extend(b"\x89ccollections\nOrderedDict\nq\x06)Rq\x07tq\x08Rq\x09.");
    p
}

fn file(pickle: &[u8], data: &[u8]) -> Vec<u8> {
    stored(&[("data.pkl", pickle), ("byteorder", b"little"), ("data/0", data), ("version", b"3\n")])
}

/// Reads `file` and checks what must hold whatever it is.
fn checked(file: &[u8], most: usize) -> Result<Tensor<'_>, TorchError> {
    let (tensor, peak) = peak_of(|| read(file, most));
    // A tensor that is not in row order is copied once; nothing else takes memory to speak of.
    assert!(peak <= 4 * most + (64 << 10), "{peak} bytes for at most {most} numbers");
    match &tensor {
        Ok(tensor) => assert!(tensor.count() <= most),
        Err(error) => assert!(error.to_string().chars().count() < 200),
    }
    tensor
}

#[test]
fn other_archive_names_and_layouts_are_read() {
    let data: Vec<u8> = (0..24).collect();
    for prefix in ["archive", "m", "a model (final)", "über", "x/y", "data"] {
        let files: [(&str, &[u8]); 3] = [
            ("version", b"3\n"),
            ("data/0", &data),
            ("data.pkl", &pickle("BFloat16Storage", 12, 2, &[2, 3], &[1, 3])),
        ];
        let file = archive(prefix, &files);
        let tensor = checked(&file, 6).unwrap();
        assert_eq!(tensor.shape, [2, 3], "{prefix}");
        let expected: Vec<u8> =
            [2, 5, 8, 3, 6, 9].iter().flat_map(|i| [2 * i, 2 * i + 1]).collect();
        assert_eq!(tensor.bytes, expected, "{prefix}");
    }
    let file = file(&pickle("FloatStorage", 6, 1, &[5], &[1]), &data);
    assert_eq!(checked(&file, 5).unwrap().bytes, &data[4..24]);
}

#[test]
fn compressed_entries_are_refused_without_being_unpacked() {
    let zeros = vec![0_u8; 64 << 20];
    let good = pickle("BFloat16Storage", 32 << 20, 0, &[32 << 20], &[1]);
    let files: [(&str, &[u8]); 3] = [("data.pkl", &good), ("data/0", &zeros), ("version", b"3\n")];
    let bomb = deflated(&files);
    assert!(bomb.len() < 1 << 20, "64 MB in {} bytes", bomb.len());
    assert_eq!(checked(&bomb, 100).unwrap_err(), TorchError::NotStored);
    // It is a right archive: another reader lists it.
    let listed = zip::ZipArchive::new(std::io::Cursor::new(&bomb)).unwrap();
    assert_eq!(listed.len(), 3);
    let small = deflated(&[("data.pkl", &good)]);
    assert_eq!(checked(&small, 100).unwrap_err(), TorchError::NotStored);
    // A whole archive inside another is data, not a second archive.
    let nested = file(&pickle("BFloat16Storage", 50, 0, &[50], &[1]), &bomb[..100]);
    assert_eq!(checked(&nested, 50).unwrap().count(), 50);
}

#[test]
fn views_that_reach_beyond_their_storage_are_refused() {
    let data = [7_u8; 24];
    let huge = u64::MAX;
    let lies: [(u64, u64, &[u64], &[u64]); 13] = [
        (13, 0, &[12], &[1]),
        (huge, 0, &[12], &[1]),
        (11, 0, &[12], &[1]),
        (12, 1, &[12], &[1]),
        (12, huge, &[1], &[1]),
        (12, 0, &[13], &[1]),
        (12, 0, &[huge], &[0]),
        (12, 0, &[2, 2], &[huge, 1]),
        (12, 0, &[2, 2], &[11, 1]),
        (12, 0, &[1 << 33, 1 << 33], &[0, 0]),
        (12, huge, &[2], &[huge]),
        (12, 0, &[1; 9], &[1; 9]),
        (12, 0, &[2, 2], &[1]),
    ];
    for (storage, offset, shape, strides) in lies {
        let file = file(&pickle("BFloat16Storage", storage, offset, shape, strides), &data);
        let read = checked(&file, 20);
        assert!(read.is_err(), "{storage} {offset} {shape:?} {strides:?}: {read:?}");
    }
    let whole = file(&pickle("BFloat16Storage", 12, 0, &[12], &[1]), &data);
    assert_eq!(checked(&whole, 12).unwrap().count(), 12);
    // A number repeated by a stride of 0 is copied only as often as the reader allows.
    let repeated = file(&pickle("BFloat16Storage", 12, 0, &[1000, 1000], &[0, 0]), &data);
    assert!(matches!(checked(&repeated, 999_999), Err(TorchError::TooLarge { .. })));
    assert_eq!(checked(&repeated, 1_000_000).unwrap().count(), 1_000_000);
}

#[test]
fn other_numbers_and_other_byte_orders_are_refused() {
    for kind in ["HalfStorage", "DoubleStorage", "LongStorage", "UntypedStorage", "Storage"] {
        let file = file(&pickle(kind, 3, 0, &[3], &[1]), &[0; 24]);
        assert_eq!(checked(&file, 3).unwrap_err(), TorchError::Type, "{kind}");
    }
    let good = pickle("BFloat16Storage", 2, 0, &[2], &[1]);
    let big: [(&str, &[u8]); 4] =
        [("data.pkl", &good), ("data/0", &[0; 4]), ("version", b"3"), ("byteorder", b"big")];
    assert!(matches!(checked(&stored(&big), 2), Err(TorchError::Pickle(_))));
}

/// Every instruction of every pickle protocol, each with arguments that make it do something.
const INSTRUCTIONS: [&[u8]; 68] = [
    b"(",
    b".",
    b"0",
    b"1",
    b"2",
    b"F1.5\n",
    b"I1\n",
    b"J\x01\0\0\0",
    b"K\x01",
    b"L1L\n",
    b"M\x01\0",
    b"N",
    b"Pid\n",
    b"Q",
    b"R",
    b"S'x'\n",
    b"T\x01\0\0\0x",
    b"U\x01x",
    b"Vx\n",
    b"X\x01\0\0\0x",
    b"a",
    b"b",
    b"cos\nsystem\n",
    b"d",
    b"}",
    b"e",
    b"g0\n",
    b"h\x00",
    b"i os\nsystem\n",
    b"j\0\0\0\0",
    b"l",
    b"]",
    b"o",
    b"p0\n",
    b"q\x00",
    b"r\0\0\0\0",
    b"s",
    b"t",
    b")",
    b"u",
    b"G\0\0\0\0\0\0\0\0",
    b"\x80\x02",
    b"\x81",
    b"\x82\x01",
    b"\x83\x01\0",
    b"\x84\x01\0\0\0",
    b"\x85",
    b"\x86",
    b"\x87",
    b"\x88",
    b"\x89",
    b"\x8a\x01\x01",
    b"\x8b\x01\0\0\0\x01",
    b"B\x01\0\0\0x",
    b"C\x01x",
    b"\x8c\x01x",
    b"\x8d\x01\0\0\0\0\0\0\0x",
    b"\x8e\x01\0\0\0\0\0\0\0x",
    b"\x8f",
    b"\x90",
    b"\x91",
    b"\x92",
    b"\x93",
    b"\x94",
    b"\x95\0\0\0\0\0\0\0\0",
    b"\x96\x01\0\0\0\0\0\0\0x",
    b"\x97",
    b"\x98",
];

#[test]
fn no_instruction_but_those_of_the_known_shape_is_accepted_anywhere() {
    let good = pickle("BFloat16Storage", 2, 0, &[2], &[1]);
    assert!(checked(&file(&good, &[0; 4]), 2).is_ok());
    // What only remembers, or says which protocol it is, may stand at some places without changing
    // the tensor; what pushes, builds, calls, imports or reads anything may not.
    let harmless: [&[u8]; 5] =
        [b"q\x00", b"r\0\0\0\0", b"\x94", b"\x80\x02", b"\x95\0\0\0\0\0\0\0\0"];
    for instruction in INSTRUCTIONS {
        for at in 2..good.len() {
            let changed = [&good[..at], instruction, &good[at..]].concat();
            let file = file(&changed, &[0; 4]);
            match checked(&file, 2) {
                Ok(tensor) => assert!(
                    tensor.count() == 2 && harmless.contains(&instruction),
                    "{instruction:?} at {at}"
                ),
                Err(TorchError::Checksum) => panic!("{instruction:?} at {at}"),
                Err(_) => {}
            }
        }
    }
}

#[test]
fn every_name_but_the_four_known_ones_is_refused_even_if_it_is_never_called() {
    let tail = &pickle("BFloat16Storage", 2, 0, &[2], &[1])[2..];
    for (module, name) in [
        ("os", "system"),
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("posix", "system"),
        ("subprocess", "Popen"),
        ("torch", "load"),
        ("torch._utils", "_rebuild_parameter"),
        ("torch._utils", "_rebuild_sparse_tensor"),
        ("torch.storage", "_load_from_bytes"),
        ("torch.jit", "load"),
        ("collections", "defaultdict"),
        ("torch.os", "system"),
        ("os\u{0}torch", "FloatStorage"),
        ("", ""),
    ] {
        let import = format!("c{module}\n{name}\n");
        let classic = [b"\x80\x02", import.as_bytes(), b"0", tail].concat();
        let unused = [b"\x80\x02", import.as_bytes(), tail].concat();
        // The same in protocol 4: two texts and STACK_GLOBAL.
        let mut modern = vec![0x80, 4];
        modern.extend([0x8c, u8::try_from(module.len()).unwrap()]);
        modern.extend(module.as_bytes());
        modern.extend([0x8c, u8::try_from(name.len()).unwrap()]);
        modern.extend(name.as_bytes());
        modern.push(0x93);
        modern.extend(tail);
        for pickle in [classic, unused, modern] {
            let file = file(&pickle, &[0; 4]);
            let read = checked(&file, 2);
            assert!(matches!(read, Err(TorchError::Pickle(_))), "{module}.{name}: {read:?}");
        }
    }
}

#[test]
fn descriptions_that_grow_are_stopped_early() {
    // A text of 12 KB, then tuples of copies of tuples of copies of it.
    let mut copies = vec![0x80, 2, b'X'];
    copies.extend(12_000_u32.to_le_bytes());
    copies.extend(vec![b'x'; 12_000]);
    copies.extend(b"q\x00");
    for memo in 1..60_u8 {
        copies.extend([b'(']);
        for _ in 0..12 {
            copies.extend([b'h', memo - 1]);
        }
        copies.extend([b't', b'q', memo]);
    }
    let mut wide = vec![0x80, 2, b'X'];
    wide.extend(15_000_u32.to_le_bytes());
    wide.extend(vec![b'x'; 15_000]);
    wide.extend(b"q\x00(");
    wide.extend(b"h\x00".repeat(120));
    wide.extend(b"tq\x01");
    wide.extend(b"h\x01".repeat(110));
    for bomb in [copies, wide] {
        assert!(bomb.len() < 16 << 10);
        let bomb_file = file(&bomb, &[0; 4]);
        let (read, peak) = peak_of(|| read(&bomb_file, 2));
        assert!(matches!(read, Err(TorchError::Pickle(_))), "{read:?}");
        assert!(peak < 4 << 20, "{peak} bytes for a description of {}", bomb.len());
    }
}

#[test]
fn archives_that_lie_about_sizes_places_and_counts_are_refused() {
    let values = narrow(&[1.0; 40]);
    let good = write_bf16(&values, &[40]).unwrap();
    let end = good.windows(4).rposition(|w| w == b"PK\x05\x06").unwrap();
    let first = good.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
    // Every 16- and 32-bit number of the directory and of the end record, with extreme values.
    for at in first..good.len() - 3 {
        for value in [0_u32, 1, 0x7fff_ffff, 0xffff_fffe, u32::MAX, u32::try_from(at).unwrap()] {
            let mut lying = good.clone();
            lying[at..at + 4].copy_from_slice(&value.to_le_bytes());
            if let Ok(tensor) = checked(&lying, 40) {
                assert_eq!(tensor.to_bf16(), values, "at {at}");
            }
        }
    }
    for value in [65_u16, 1000, u16::MAX] {
        let mut many = good.clone();
        many[end + 8..end + 10].copy_from_slice(&value.to_le_bytes());
        many[end + 10..end + 12].copy_from_slice(&value.to_le_bytes());
        assert!(matches!(checked(&many, 40), Err(TorchError::Archive(_))), "{value} entries");
    }
    for len in 0..good.len() {
        assert!(checked(&good[..len], 40).is_err(), "{len} bytes of {}", good.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn descriptions_with_any_numbers_never_reach_outside(
        storage in edge(), offset in edge(),
        shape in proptest::collection::vec(edge(), 0..5),
        strides in proptest::collection::vec(edge(), 0..5),
    ) {
        let file = file(&pickle("BFloat16Storage", storage, offset, &shape, &strides), &[3; 64]);
        let _ = checked(&file, 64);
    }

    #[test]
    fn damaged_files_give_the_same_numbers_or_an_error(
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = write_bf16(&narrow(&[0.5; 24]), &[4, 6]).unwrap();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = checked(&bytes, 24);
    }

    #[test]
    fn any_run_of_instructions_is_answered(
        run in proptest::collection::vec(proptest::sample::select(&INSTRUCTIONS[..]), 0..60),
    ) {
        let pickle = [b"\x80\x02".as_slice(), &run.concat(), b"."].concat();
        prop_assert!(checked(&file(&pickle, &[0; 4]), 2).is_err());
    }
}

/// Numbers near the edges.
fn edge() -> impl Strategy<Value = u64> {
    prop_oneof![0_u64..5, 30_u64..35, any::<u64>(), Just(1 << 32), Just(1 << 63), Just(u64::MAX)]
}

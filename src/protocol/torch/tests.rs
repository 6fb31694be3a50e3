//! The tensor file: what PyTorch may write is read, what a stranger may send is refused.

use proptest::prelude::*;

use super::write::pickle;
use super::*;
use crate::protocol::bf16::{bf16, narrow};

fn numbers(n: usize) -> Vec<bf16> {
    (0..n).map(|i| bf16::from_bits(u16::try_from(i * 13 % 30_000).unwrap())).collect()
}

/// A plain archive of these files, as Python's zipfile would write it: no alignment.
fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    let u16 = |n: usize| u16::try_from(n).unwrap().to_le_bytes();
    let u32 = |n: usize| u32::try_from(n).unwrap().to_le_bytes();
    for (name, bytes) in files {
        let offset = out.len();
        let mut common = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        common.extend(crc32fast::hash(bytes).to_le_bytes());
        common.extend(u32(bytes.len()));
        common.extend(u32(bytes.len()));
        common.extend(u16(name.len()));
        out.extend([b"PK\x03\x04", common.as_slice(), &[0, 0], name.as_bytes(), bytes].concat());
        directory.extend(
            [b"PK\x01\x02\x14\0", common.as_slice(), &[0; 12], &u32(offset), name.as_bytes()]
                .concat(),
        );
    }
    let (start, size) = (out.len(), directory.len());
    out.extend(directory);
    out.extend([b"PK\x05\x06\0\0\0\0".as_slice(), &u16(files.len()), &u16(files.len())].concat());
    out.extend([u32(size).as_slice(), &u32(start), &[0, 0]].concat());
    out
}

/// The pickle of a view of `storage` numbers, all sizes below 256.
fn view_pickle(kind: &str, storage: u8, offset: u8, shape: &[u8], strides: &[u8]) -> Vec<u8> {
    let mut p = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\n".to_vec();
    p.extend(kind.as_bytes());
    p.extend(b"\nX\x01\0\0\0\x37X\x06\0\0\0cuda:0K");
    p.extend([storage, b't', b'Q', b'K', offset]);
    for values in [shape, strides] {
        p.push(b'(');
        p.extend(values.iter().flat_map(|value| [b'K', *value]));
        p.push(b't');
    }
    p.extend(b"\x88ccollections\nOrderedDict\n)RtR.");
    p
}

fn view_file(pickle: &[u8], data: &[u8]) -> Vec<u8> {
    archive(&[("model/data.pkl", pickle), ("model/data/7", data), ("model/version", b"3\n")])
}

#[test]
fn what_is_written_reads_back_without_a_copy_and_aligned() {
    for shape in [vec![6], vec![2, 3], vec![4, 1, 300], vec![2, 2, 2, 2], vec![0, 5], vec![]] {
        let count = shape.iter().product();
        let values = numbers(count);
        let file = write_bf16(&values, &shape).unwrap();
        let tensor = read(&file, count).unwrap();
        assert_eq!((tensor.kind, &tensor.shape), (ElementType::Bf16, &shape));
        assert_eq!(tensor.to_bf16(), values);
        assert!(matches!(tensor.bytes, std::borrow::Cow::Borrowed(_)));
        if count > 0 {
            let at = tensor.bytes.as_ptr() as usize - file.as_ptr() as usize;
            assert_eq!(at % 64, 0);
        }
    }
    assert!(matches!(write_bf16(&numbers(5), &[6]), Err(TorchError::Count { have: 5, need: 6 })));
    assert!(Writer::new(&[usize::MAX, 2]).is_err());
    assert!(Writer::new(&[1; 9]).is_err());
}

#[test]
fn another_zip_reader_accepts_our_archive() {
    let file = write_bf16(&numbers(700), &[7, 100]).unwrap();
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(&file)).unwrap();
    let names: Vec<_> = (0..zip.len())
        .map(|i| {
            let mut entry = zip.by_index(i).unwrap();
            // Reading to the end checks the CRC.
            std::io::copy(&mut entry, &mut std::io::sink()).unwrap();
            entry.name().unwrap().to_string()
        })
        .collect();
    assert_eq!(
        names,
        ["archive/data.pkl", "archive/byteorder", "archive/data/0", "archive/version"]
    );
}

#[test]
fn strides_offsets_larger_storages_and_f32_are_understood() {
    let data: Vec<u8> = numbers(12).iter().flat_map(|v| v.to_le_bytes()).collect();
    // The transpose of a 3x2 view that starts at number 4 of 12.
    let file = view_file(&view_pickle("BFloat16Storage", 12, 4, &[2, 3], &[1, 2]), &data);
    let n = numbers(12);
    let expected = [n[4], n[6], n[8], n[5], n[7], n[9]];
    assert_eq!(read(&file, 6).unwrap().to_bf16(), expected);
    // An expanded row.
    let file = view_file(&view_pickle("BFloat16Storage", 12, 0, &[2, 2], &[0, 1]), &data);
    assert_eq!(read(&file, 6).unwrap().to_bf16(), [n[0], n[1], n[0], n[1]]);
    // f32 in row order.
    let floats = [1.0_f32, 0.7, -3.5];
    let data: Vec<u8> = floats.iter().flat_map(|v| v.to_le_bytes()).collect();
    let file = view_file(&view_pickle("FloatStorage", 3, 0, &[3], &[1]), &data);
    let tensor = read(&file, 3).unwrap();
    assert_eq!(tensor.to_f32(), floats);
    assert_eq!(tensor.to_bf16(), narrow(&floats));
    assert_eq!(tensor.expect_count(4), Err(TorchError::Count { have: 3, need: 4 }));
}

#[test]
fn views_outside_their_data_are_refused() {
    let data = [0_u8; 24];
    let read_view = |storage, offset, shape: &[u8], strides: &[u8]| {
        let pickle = view_pickle("BFloat16Storage", storage, offset, shape, strides);
        read(&view_file(&pickle, &data), 100).map(|tensor| tensor.count())
    };
    assert_eq!(read_view(12, 0, &[12], &[1]), Ok(12));
    assert_eq!(read_view(13, 0, &[12], &[1]), Err(TorchError::OutOfBounds));
    assert_eq!(read_view(12, 1, &[12], &[1]), Err(TorchError::OutOfBounds));
    assert_eq!(read_view(11, 0, &[12], &[1]), Err(TorchError::OutOfBounds));
    assert_eq!(read_view(12, 0, &[2, 2], &[11, 1]), Err(TorchError::OutOfBounds));
    assert_eq!(read_view(12, 200, &[0], &[1]), Ok(0));
    assert_eq!(read_view(12, 0, &[101], &[0]), Err(TorchError::TooLarge { allowed: 100 }));
    assert!(matches!(read_view(12, 0, &[2, 2], &[1]), Err(TorchError::Pickle(_))));
    let pickle = view_pickle("HalfStorage", 12, 0, &[12], &[1]);
    assert_eq!(read(&view_file(&pickle, &data), 100).unwrap_err(), TorchError::Type);
}

#[test]
fn anything_but_the_one_known_pickle_is_refused_and_nothing_runs() {
    let refused: [&[u8]; 14] = [
        b"\x80\x02cos\nsystem\nX\x04\0\0\0echo\x85R.",
        b"\x80\x02cos\nsystem\n.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
        b"\x80\x02ctorch.storage\n_load_from_bytes\n.",
        b"\x80\x02ctorch\nload\n.",
        b"\x80\x02ctorch\nFloatStorage\n)R.",
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n)R.",
        b"\x80\x02K\x01.",
        b"",
        b".",
        b"t.",
        b"(((((",
        b"h\x00.",
        b"\x80\x02}.",
    ];
    for pickle in refused {
        let file = view_file(pickle, &[0; 4]);
        assert!(matches!(read(&file, 100), Err(TorchError::Pickle(_))), "{pickle:?}");
    }
    // Copies of copies would be 2^200 values.
    let mut bomb = b"K\x01q\x00".to_vec();
    for _ in 0..200 {
        bomb.extend(b"h\x00h\x00\x86q\x00");
    }
    assert!(matches!(read(&view_file(&bomb, &[0; 4]), 9), Err(TorchError::Pickle(_))));
    let long = vec![b'('; 20_000];
    assert!(matches!(read(&view_file(&long, &[0; 4]), 9), Err(TorchError::Pickle(_))));
    // More than the tensor: left on the stack, or after the end.
    let good = view_pickle("BFloat16Storage", 2, 0, &[2], &[1]);
    assert!(read(&view_file(&good, &[0; 4]), 9).is_ok());
    let left = [b"\x80\x02K\x01", &good[2..]].concat();
    assert!(matches!(read(&view_file(&left, &[0; 4]), 9), Err(TorchError::Pickle(_))));
    let after = [&good, b"cos\nsystem\n".as_slice()].concat();
    assert!(matches!(read(&view_file(&after, &[0; 4]), 9), Err(TorchError::Pickle(_))));
}

#[test]
fn damaged_and_incomplete_archives_are_refused() {
    let mut file = write_bf16(&numbers(100), &[100]).unwrap();
    let at = read(&file, 100).unwrap().bytes.as_ptr() as usize - file.as_ptr() as usize;
    file[at + 7] ^= 1;
    assert_eq!(read(&file, 100).unwrap_err(), TorchError::Checksum);
    let without = |gone: &str| {
        let pickle = pickle(&[2]);
        let all: [(&str, &[u8]); 3] =
            [("a/data.pkl", &pickle), ("a/data/0", &[0; 4]), ("a/version", b"3\n")];
        let kept: Vec<_> = all.into_iter().filter(|(name, _)| *name != gone).collect();
        read(&archive(&kept), 9).map(|tensor| tensor.count())
    };
    assert_eq!(without(""), Ok(2));
    assert_eq!(without("a/data.pkl"), Err(TorchError::Missing("data.pkl")));
    assert_eq!(without("a/data/0"), Err(TorchError::Missing("data")));
    assert_eq!(without("a/version"), Err(TorchError::Missing("version")));
    let pickle = pickle(&[2]);
    let big = archive(&[
        ("a/data.pkl", &pickle),
        ("a/data/0", &[0; 4]),
        ("a/version", b"3\n"),
        ("a/byteorder", b"big"),
    ]);
    assert!(matches!(read(&big, 9), Err(TorchError::Pickle(_))));
    assert!(matches!(read(b"", 9), Err(TorchError::Archive(_))));
    assert!(matches!(read(&[b'P'; 1000], 9), Err(TorchError::Archive(_))));
}

#[test]
fn long_integers_are_read() {
    let mut p = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\n".to_vec();
    p.extend(b"BFloat16Storage\nX\x01\0\0\0\x37X\x03\0\0\0cpu\x8a\x01\x02tQM\0\0J\x02\0\0\0\x85K\x01\x85");
    p.extend(b"\x89ccollections\nOrderedDict\n)RtR.");
    assert_eq!(read(&view_file(&p, &[0; 4]), 9).unwrap().count(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn one_changed_byte_never_panics_nor_reads_more_than_allowed(at in 0_usize..2000, byte in any::<u8>()) {
        let mut file = write_bf16(&numbers(60), &[3, 20]).unwrap();
        let at = at % file.len();
        file[at] = byte;
        if let Ok(tensor) = read(&file, 60) {
            prop_assert!(tensor.count() <= 60);
        }
    }

    #[test]
    fn any_pickle_is_answered_without_a_panic(pickle in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&view_file(&pickle, &[0; 8]), 4);
    }

    #[test]
    fn any_instructions_are_answered_without_a_panic(
        pickle in proptest::collection::vec(proptest::sample::select(&b"(tQR.)qhKX\x85\x86\x87\x88\x8a\x93\x94\x00\x01"[..]), 0..300),
    ) {
        let _ = read(&view_file(&pickle, &[0; 8]), 4);
    }

    #[test]
    fn any_end_of_archive_is_answered_without_a_panic(tail in proptest::collection::vec(any::<u8>(), 0..120)) {
        let file = [b"PK\x06\x06".as_slice(), &tail, b"PK\x06\x07", &tail, b"PK\x05\x06", &tail].concat();
        let _ = read(&file, 4);
    }
}

//! Wallet files against Bittensor's own wallet library: keys made by each are read by the other,
//! plain and encrypted. Where the library cannot be had, one line says so.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod library;

use std::path::Path;
use std::time::Instant;

use hearth::clock::Entropy;
use hearth::wallet::bittensor::key_json::KeyJson;
use hearth::wallet::bittensor::{
    ColdkeyFile, HotkeyFileError, HotkeyState, export_hotkey, list, read_secret, sealed,
    unlock_hotkey, write_coldkey, write_coldkeypub,
};
use hearth::wallet::phrase::{Phrase, Words};
use hearth::wallet::secret::KeySecret;
use serde_json::{Value, json};

use library::Library;

const PASSWORD: &str = "correct h\u{f6}rse 7";

fn address(secret: &KeySecret) -> String {
    secret.pair().unwrap().address().as_str().to_owned()
}

/// Secrets of every kind, each made anew.
fn secrets() -> Vec<(&'static str, KeySecret)> {
    let mut entropy = Entropy::system();
    let mut of = |words: Words, end: &str| {
        let phrase = Phrase::generate(words, &mut entropy);
        KeySecret::parse(&format!("{}{end}", *phrase.text())).unwrap()
    };
    let twelve = of(Words::Twelve, "");
    let seed = KeySecret::Seed(of(Words::Twelve, "").mini_secret().unwrap().unwrap());
    let expanded = KeySecret::Expanded(of(Words::Twelve, "").expanded().unwrap());
    vec![
        ("twelve", twelve),
        ("twentyfour", of(Words::TwentyFour, "")),
        ("device", of(Words::Twelve, "//hearth//3")),
        ("soft", of(Words::TwentyFour, "//a/soft/7")),
        ("password", of(Words::Twelve, "///Fünf Wörter/7")),
        ("seed", seed),
        ("expanded", expanded),
    ]
}

#[test]
fn the_library_reads_the_hotkeys_that_are_exported_and_signs_with_them() {
    let Some(library) = Library::find() else { return };
    let home = tempfile::tempdir().unwrap();
    for (name, secret) in secrets() {
        export_hotkey(home.path(), "cold", name, &secret).unwrap();
    }
    let owner = KeySecret::from_phrase(Phrase::generate(Words::Twelve, &mut Entropy::system()));
    let payout = address(&owner).parse().unwrap();
    write_coldkeypub(home.path(), "cold", &payout).unwrap();

    let told = library.ask("hotkeys", home.path(), "cold");
    assert_eq!(told["coldkeypub"], payout.as_str());
    let hotkeys = told["hotkeys"].as_object().unwrap();
    assert_eq!(hotkeys.len(), 7, "the public halves are not taken for keys: {told}");
    for wallet in list(home.path()).unwrap() {
        assert_eq!(wallet.coldkey.unwrap().as_str(), payout.as_str());
        for hotkey in wallet.hotkeys {
            let theirs = &hotkeys[&hotkey.name];
            assert_eq!(theirs["address"], hotkey.address.unwrap().as_str(), "{}", hotkey.name);
            let pair = read_secret(&hotkey.path).unwrap().0.pair().unwrap();
            assert_eq!(theirs["address"], pair.address().as_str());
            let signature: [u8; 64] =
                hex::decode(theirs["signature"].as_str().unwrap()).unwrap().try_into().unwrap();
            hearth::protocol::epistula::verify(&pair.public_key(), b"hearth", &signature).unwrap();
        }
    }
}

#[test]
fn hotkeys_that_the_library_makes_are_listed_and_read() {
    let Some(library) = Library::find() else { return };
    let home = tempfile::tempdir().unwrap();
    let told = library.ask("make", home.path(), "theirs");
    let wallets = list(home.path()).unwrap();
    assert_eq!(wallets.len(), 1);
    assert_eq!(wallets[0].coldkey.as_ref().unwrap().as_str(), told["coldkey"].as_str().unwrap());
    let expected = told["hotkeys"].as_object().unwrap();
    assert_eq!(wallets[0].hotkeys.len(), expected.len(), "{wallets:?}");
    for hotkey in &wallets[0].hotkeys {
        assert_eq!(hotkey.state, HotkeyState::Ready, "{}", hotkey.name);
        let (secret, _) = read_secret(&hotkey.path).unwrap();
        assert_eq!(expected[&hotkey.name], address(&secret), "{}", hotkey.name);
        let kept = KeySecret::from_bytes(&secret.to_bytes()).unwrap();
        assert_eq!(expected[&hotkey.name], address(&kept), "{}", hotkey.name);
    }
    // Their own coldkey, plain beside it, is refused, whatever the file is called.
    let coldkey = home.path().join("theirs").join("coldkey");
    let copy = home.path().join("theirs").join("hotkeys").join("innocent");
    std::fs::copy(&coldkey, &copy).unwrap();
    for path in [&coldkey, &copy] {
        let refused = read_secret(path).unwrap_err();
        assert!(matches!(refused, HotkeyFileError::Coldkey(_)), "{refused}");
    }
}

#[test]
fn encrypted_keys_open_on_the_other_side() {
    let Some(library) = Library::find() else { return };
    let home = tempfile::tempdir().unwrap();
    let phrase = Phrase::generate(Words::TwentyFour, &mut Entropy::system());
    let mut entropy = Entropy::system();
    let file = ColdkeyFile::Encrypted { password: PASSWORD, entropy: &mut entropy };
    let started = Instant::now();
    let written = write_coldkey(home.path(), "pay", &phrase, file).unwrap();
    println!("encrypt a coldkey: {:.1} s", started.elapsed().as_secs_f64());
    let content = std::fs::read(written.encrypted.as_ref().unwrap()).unwrap();
    assert!(content.starts_with(b"$NACL"));

    let asked = json!({"wallet": "pay", "password": PASSWORD}).to_string();
    let told = library.ask("unlock", home.path(), &asked);
    assert_eq!(told["coldkey"], written.address.as_str());
    assert_eq!(told["coldkeypub"], written.address.as_str());
    assert_eq!(told["wrong_password"], "refused");
    let words = told["phrase"].as_str();
    assert!(words.is_none_or(|words| words == phrase.text().as_str()));

    let asked = json!({"wallet": "theirs", "password": PASSWORD}).to_string();
    let told = library.ask("lock", home.path(), &asked);
    let coldkey = std::fs::read(home.path().join("theirs").join("coldkey")).unwrap();
    let plain = sealed::open(&coldkey, PASSWORD).unwrap();
    let json = KeyJson::read(std::str::from_utf8(&plain).unwrap()).unwrap();
    assert_eq!(told["coldkey"], address(&json.secret().unwrap()));

    let hotkey = home.path().join("theirs").join("hotkeys").join("locked");
    let refused = read_secret(&hotkey).unwrap_err();
    assert!(matches!(refused, HotkeyFileError::Encrypted(_)), "{refused}");
    assert_eq!(told["hotkey"], address(&unlock_hotkey(&hotkey, PASSWORD).unwrap().0));
}

#[test]
fn both_sides_derive_the_same_addresses() {
    let Some(library) = Library::find() else { return };
    let home = tempfile::tempdir().unwrap();
    let vectors: Value = serde_json::from_str(include_str!("key_uris.json")).unwrap();
    let told = library.ask("derive", home.path(), &vectors["vectors"].to_string());
    let rows = vectors["vectors"].as_array().unwrap();
    assert_eq!(told["addresses"].as_array().unwrap().len(), rows.len());
    for (row, theirs) in rows.iter().zip(told["addresses"].as_array().unwrap()) {
        let uri = row["uri"].as_str().unwrap();
        assert_eq!(*theirs, address(&KeySecret::parse(uri).unwrap()), "{uri}");
    }
}

/// Prints how long each step takes. Nothing is asserted: the machine may be busy.
#[test]
fn key_operations_are_measured() {
    let home = tempfile::tempdir().unwrap();
    let mut entropy = Entropy::system();
    let measure = |what: &str, work: &mut dyn FnMut()| {
        let started = Instant::now();
        work();
        println!("{what}: {:.2} ms", started.elapsed().as_secs_f64() * 1e3);
    };
    let mut secret = None;
    measure("make 24 words and their key", &mut || {
        let phrase = Phrase::generate(Words::TwentyFour, &mut entropy);
        let made = KeySecret::from_phrase(phrase);
        made.pair().unwrap();
        secret = Some(made);
    });
    let secret = secret.unwrap();
    measure("derive a device's key", &mut || {
        secret.derive_device(7).unwrap().pair().unwrap();
    });
    measure("write to bytes and read back", &mut || {
        KeySecret::from_bytes(&secret.to_bytes()).unwrap();
    });
    measure("judge a wrong word", &mut || {
        assert!(Phrase::parse(&"abandom ".repeat(12)).is_err());
    });
    measure("export, list and read a hotkey", &mut || {
        export_hotkey(home.path(), "cold", "hot", &secret).unwrap();
        let path = &list(home.path()).unwrap()[0].hotkeys[0].path;
        assert_eq!(address(&read_secret(Path::new(path)).unwrap().0), address(&secret));
    });
}

//! Keys in encrypted files, without anybody at a terminal.

use std::fs;

use serde_json::Value;

use super::{ALICE, ALICE_SEED, Home, PHRASE, PHRASE_ADDRESS, files_below, has_secret, refused};

#[test]
fn a_key_goes_into_an_encrypted_file_and_out_again() {
    let home = Home::new();
    let told = home.import("rig", ALICE_SEED);
    assert!(
        told.contains("rig") && told.contains(ALICE) && told.contains("encrypted file"),
        "{told}"
    );
    let line: Value = serde_json::from_str(&home.done(&["keys", "list", "--json"])).unwrap();
    assert_eq!(line["event"], "key");
    assert_eq!((&line["name"], &line["address"]), (&"rig".into(), &ALICE.into()));
    assert_eq!(line["store"], "encrypted-file");
    for file in files_below(&home.path()) {
        let content = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
        assert!(!has_secret(&content), "{} holds a secret", file.display());
    }
    let wallet = home.path().join("wallet");
    let (to, passphrase) = (wallet.display().to_string(), home.passphrase());
    home.done(&["keys", "export", "rig", "--to", &to, "--passphrase-file", &passphrase]);
    let out = fs::read_to_string(wallet.join("hearth").join("hotkeys").join("rig")).unwrap();
    let out: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&out["ss58Address"], &out["secretSeed"]), (&ALICE.into(), &ALICE_SEED.into()));
    home.done(&["keys", "remove", "rig", "--yes"]);
    assert!(!home.key_file("rig").exists());
    assert_eq!(home.done(&["keys", "list"]), "");
}

#[test]
fn what_is_wrong_with_a_key_file_is_said_in_a_line_with_exit_code_4() {
    let home = Home::new();
    home.import("default", ALICE_SEED);
    let path = home.key_file("default");
    let whole = fs::read_to_string(&path).unwrap();
    let open = |passphrase: &str| {
        home.run(&["run", "--headless", "--accept-unpaid", "--passphrase-file", passphrase])
    };
    let right = home.passphrase();
    refused(&open(&home.file("wrong", "wrong horse battery")), 4, &["passphrase is wrong"]);
    refused(&open("/nowhere/passphrase"), 4, &["/nowhere/passphrase"]);
    refused(
        &home.run(&["run", "--headless", "--accept-unpaid"]),
        4,
        &["--passphrase-file", "systemd"],
    );
    let damaged = [
        (whole[..whole.len() - 20].to_owned(), "cut off"),
        (whole[..40].to_owned(), "not a key file"),
        (whole.replace("\"hearth_key\":1", "\"hearth_key\":9"), "form 9"),
        (whole.replace("\"memory_kib\":262144", "\"memory_kib\":4000000000"), "more memory"),
        (String::new(), "not a key file"),
    ];
    for (content, word) in damaged {
        assert_ne!(content, whole);
        fs::write(&path, content).unwrap();
        refused(&open(&right), 4, &[word, "default.key"]);
    }
    fs::remove_file(&path).unwrap();
    refused(&open(&right), 4, &["not in the encrypted file any more", "keys import"]);
}

#[cfg(unix)]
#[test]
fn files_that_others_can_read_are_refused() {
    let home = Home::new();
    home.import("default", ALICE_SEED);
    let right = home.passphrase();
    let run = || home.run(&["run", "--headless", "--accept-unpaid", "--passphrase-file", &right]);
    super::set_mode(std::path::Path::new(&right), 0o644);
    refused(&run(), 4, &["others", "passphrase file"]);
    super::set_mode(std::path::Path::new(&right), 0o600);
    super::set_mode(&home.key_file("default"), 0o644);
    refused(&run(), 4, &["others", "default.key", "chmod 600"]);
}

#[test]
fn without_a_key_a_run_says_how_to_get_one() {
    let home = Home::new();
    let said = ["hearth setup", "hearth keys new", "--hotkey-file"];
    refused(&home.run(&["run", "--headless", "--accept-unpaid"]), 4, &said);
    home.import("a", ALICE_SEED);
    home.import("b", PHRASE);
    refused(&home.run(&["run", "--headless", "--accept-unpaid"]), 4, &["a, b", "--hotkey"]);
    let other = ["run", "--headless", "--accept-unpaid", "--hotkey", "c"];
    refused(&home.run(&other), 4, &["\"c\"", "a, b"]);
}

#[test]
fn a_phrase_brings_back_the_keys_of_all_its_devices() {
    let home = Home::new();
    let (secret, passphrase) = (home.file("hot", PHRASE), home.passphrase());
    let common = ["--hotkey-file", &secret, "--store", "file", "--passphrase-file", &passphrase];
    let all = home.done(&[&["keys", "import", "--devices", "2", "--json"], &common[..]].concat());
    let keys: Vec<Value> = all.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(keys.len(), 3, "{all}");
    assert_eq!(keys[0]["address"], PHRASE_ADDRESS);
    assert_eq!((&keys[1]["name"], &keys[1]["device"]), (&"default-0".into(), &0.into()));
    assert_eq!((&keys[2]["name"], &keys[2]["device"]), (&"default-1".into(), &1.into()));
    let elsewhere = Home::new();
    let alone = [&["keys", "import", "--device", "1", "--json"], &common[..]].concat();
    let alone: Value = serde_json::from_str(&elsewhere.done(&alone)).unwrap();
    assert_eq!(alone["address"], keys[2]["address"]);
    // From a kept key, further devices need no words.
    let next = [
        "keys",
        "new",
        "--from",
        "default",
        "--device",
        "1",
        "--name",
        "again",
        "--store",
        "file",
        "--passphrase-file",
        &passphrase,
    ];
    refused(&home.run(&next), 2, &["kept already, as default-1"]);
}

#[test]
fn a_key_made_without_a_terminal_shows_no_words_and_says_where_they_are() {
    let home = Home::new();
    let passphrase = home.passphrase();
    let new = ["keys", "new", "--store", "file", "--passphrase-file", &passphrase];
    let output = home.run(&new);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(super::succeeded(&output).contains("default"));
    assert!(said.contains("keys show default --secret"), "{said}");
    refused(&home.run(&new), 2, &["default", "--name"]);
    let secret = ["keys", "show", "--secret", "--passphrase-file", &passphrase];
    refused(&home.run(&secret), 2, &["terminal"]);
    refused(&home.run(&["keys", "new", "--payout"]), 2, &["terminal"]);
    refused(&home.run(&["keys", "import", "--name", "b"]), 2, &["terminal", "--hotkey-file"]);
    refused(&home.run(&["keys", "remove", "default"]), 2, &["--yes"]);
    refused(&home.run(&["keys", "new", "--name", "../x"]), 2, &["'.'"]);
}

#[test]
fn a_hotkey_of_a_wallet_folder_is_brought_by_its_name() {
    let home = Home::new();
    home.import("rig", ALICE_SEED);
    home.import("second", PHRASE);
    let passphrase = home.passphrase();
    let wallets = home.path().join("wallets").display().to_string();
    for name in ["rig", "second"] {
        let export = ["keys", "export", name, "--to", &wallets, "--wallet", "mine"];
        home.done(&[&export[..], &["--passphrase-file", &passphrase]].concat());
    }
    let taken = ["keys", "export", "rig", "--to", &wallets, "--wallet", "mine"];
    let taken = [&taken[..], &["--passphrase-file", &passphrase]].concat();
    refused(&home.run(&taken), 8, &["exists already", "left as it is"]);
    let elsewhere = Home::new();
    let import = |more: &[&str]| {
        let common =
            ["keys", "import", "--wallet-folder", &wallets, "--store", "file", "--passphrase-file"];
        elsewhere.run(&[&common[..], &[&passphrase], more].concat())
    };
    refused(&import(&[]), 2, &["mine/rig", "mine/second", "--hotkey"]);
    refused(&import(&["--hotkey", "third"]), 2, &["no such hotkey", "mine/rig"]);
    assert!(super::succeeded(&import(&["--hotkey", "mine/rig"])).contains(ALICE));
    let nowhere = ["keys", "import", "--name", "b", "--wallet-folder", "/nowhere"];
    refused(&elsewhere.run(&nowhere), 4, &["/nowhere"]);
}

#[cfg(unix)]
#[test]
fn a_run_takes_the_kept_key_with_a_systemd_credential_and_names_its_store() {
    use std::io::BufRead as _;
    let home = Home::new();
    home.import("default", ALICE_SEED);
    let credentials = home.path().join("credentials");
    fs::create_dir_all(&credentials).unwrap();
    fs::copy(home.passphrase(), credentials.join("hearth-passphrase")).unwrap();
    let mut child = home
        .hearth(&[
            "run",
            "--headless",
            "--accept-unpaid",
            "--backend",
            "cpu",
            "--network",
            "http://127.0.0.1:9",
        ])
        .env("CREDENTIALS_DIRECTORY", &credentials)
        .env_remove("RUST_LOG")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    let named = lines.find_map(|line| line.ok().filter(|line| line.contains("Hotkey default")));
    // It looks for its network until it is stopped.
    child.kill().unwrap();
    child.wait().unwrap();
    let named = named.expect("the run ended without naming its key");
    assert!(named.contains(ALICE) && named.contains("encrypted file"), "{named}");
}

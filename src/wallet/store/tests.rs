//! Keys are kept, found, moved and removed; what is wrong is said in one line without a secret.

use super::*;

const CHEAP: Cost = Cost { memory_kib: 8 << 10, passes: 1, lanes: 1 };
const SEED: [u8; 32] = [7; 32];

fn secret() -> KeySecret {
    KeySecret::Seed(Zeroizing::new(SEED))
}

fn given(text: &str) -> Given {
    Given(Zeroizing::new(text.to_owned()))
}

fn name(text: &str) -> KeyName {
    text.parse().unwrap()
}

struct Home {
    folder: tempfile::TempDir,
    stores: KeyStores,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let stores = KeyStores::open(folder.path(), &Clock::system()).with_cost(CHEAP);
        Self { folder, stores }
    }

    fn keep(&self, key: &str, secret: &KeySecret) -> Result<KeyRecord, KeyStoreError> {
        let key = NewKey { name: name(key), secret, device: None };
        let mut entropy = Entropy::seeded(1, "keep");
        self.stores.put(
            &key,
            StoreKind::EncryptedFile,
            &mut given("four random words"),
            &mut entropy,
        )
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.path().join("keys").join(format!("{key}.key"))
    }

    fn read(&self, key: &str, passphrase: &str) -> Result<KeySecret, KeyStoreError> {
        self.stores.get(&name(key), &mut given(passphrase))
    }
}

fn other() -> KeySecret {
    KeySecret::Seed(Zeroizing::new([9; 32]))
}

#[test]
fn a_key_in_an_encrypted_file_comes_back_whole() {
    let home = Home::new();
    let record = home.keep("a", &secret()).unwrap();
    assert_eq!(record.address, *secret().pair().unwrap().address());
    let back = home.read("a", "four random words").unwrap();
    assert_eq!(*back.to_bytes(), *secret().to_bytes());
    assert_eq!(home.stores.list().unwrap(), [record]);
}

#[test]
fn the_key_to_mine_with_is_the_named_one_or_the_only_one_or_default() {
    let home = Home::new();
    assert!(matches!(home.stores.choose(None), Err(KeyStoreError::NoKeys)));
    home.keep("rig", &secret()).unwrap();
    assert_eq!(home.stores.choose(None).unwrap().name, name("rig"));
    home.keep("b", &other()).unwrap();
    let several = home.stores.choose(None).unwrap_err().to_string();
    assert!(several.contains("b, rig") && several.contains("--hotkey"), "{several}");
    home.keep("default", &KeySecret::Seed(Zeroizing::new([3; 32]))).unwrap();
    assert_eq!(home.stores.choose(None).unwrap().name, name("default"));
    assert_eq!(home.stores.choose(Some(&name("b"))).unwrap().name, name("b"));
    let unknown = home.stores.choose(Some(&name("c"))).unwrap_err().to_string();
    assert!(unknown.contains("\"c\"") && unknown.contains("b, default, rig"), "{unknown}");
}

#[test]
fn neither_a_name_nor_a_key_is_taken_twice() {
    let home = Home::new();
    home.keep("a", &secret()).unwrap();
    let before = fs::read(home.path("a")).unwrap();
    assert!(matches!(home.keep("a", &other()), Err(KeyStoreError::NameTaken { .. })));
    assert!(matches!(home.keep("b", &secret()), Err(KeyStoreError::KeptAlready { .. })));
    assert_eq!(fs::read(home.path("a")).unwrap(), before);
    assert!(!home.path("b").exists());
}

#[test]
fn what_cannot_be_opened_is_named_without_asking_in_vain() {
    let home = Home::new();
    home.keep("a", &secret()).unwrap();
    let wrong = home.read("a", "five random words").unwrap_err();
    assert!(wrong.is_wrong_passphrase(), "{wrong}");
    let whole = fs::read(home.path("a")).unwrap();
    write_privately(&home.path("a"), &whole[..whole.len() - 20]).unwrap();
    let cut = home.stores.get(&name("a"), &mut Nobody).unwrap_err().to_string();
    assert!(cut.contains("a.key") && cut.contains("cut off"), "{cut}");
    fs::remove_file(home.path("a")).unwrap();
    let gone = home.stores.get(&name("a"), &mut Nobody).unwrap_err().to_string();
    assert!(gone.contains("not in the encrypted file any more"), "{gone}");
    home.stores.remove(&name("a")).unwrap();
    home.keep("a", &secret()).unwrap();
    let nobody = home.stores.get(&name("a"), &mut Nobody).unwrap_err().to_string();
    assert!(nobody.contains("--passphrase-file"), "{nobody}");
}

#[test]
fn key_files_without_a_list_are_found_and_no_file_is_written_over() {
    let home = Home::new();
    home.keep("a", &secret()).unwrap();
    fs::remove_file(home.folder.path().join("keys").join("keys.json")).unwrap();
    let found = home.stores.choose(None).unwrap();
    assert_eq!(
        (found.name, found.address),
        (name("a"), secret().pair().unwrap().address().clone())
    );
    assert!(home.read("a", "four random words").is_ok());
    assert!(matches!(home.keep("a", &other()), Err(KeyStoreError::NameTaken { .. })));
    fs::write(home.path("b"), "somebody's notes").unwrap();
    assert!(matches!(home.keep("b", &other()), Err(KeyStoreError::FileThere(_))));
    assert_eq!(fs::read_to_string(home.path("b")).unwrap(), "somebody's notes");
    home.stores.remove(&name("a")).unwrap();
    assert!(home.stores.list().unwrap().is_empty());
}

#[test]
fn a_file_of_another_key_in_its_place_is_noticed() {
    let home = Home::new();
    home.keep("a", &secret()).unwrap();
    home.keep("b", &other()).unwrap();
    fs::copy(home.path("b"), home.path("a")).unwrap();
    let error = home.read("a", "four random words").unwrap_err();
    assert!(matches!(error, KeyStoreError::OtherKey { .. }), "{error}");
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_the_files_and_others_rights_are_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::new();
    home.keep("a", &secret()).unwrap();
    for file in fs::read_dir(home.folder.path().join("keys")).unwrap() {
        let file = file.unwrap();
        let private = file.metadata().unwrap().permissions().mode() & 0o077 == 0;
        assert!(private || file.file_name() == "keys.lock", "{:?}", file.path());
    }
    fs::set_permissions(home.path("a"), fs::Permissions::from_mode(0o640)).unwrap();
    let error = home.stores.get(&name("a"), &mut Nobody).unwrap_err().to_string();
    assert!(error.contains("chmod 600") && error.contains("a.key"), "{error}");
}

#[test]
fn of_two_that_take_a_name_at_once_one_wins_and_nothing_is_lost() {
    let home = Home::new();
    let (one, two) = (secret(), other());
    let results = std::thread::scope(|scope| {
        let first = scope.spawn(|| home.keep("a", &one));
        let second = scope.spawn(|| home.keep("a", &two));
        [first.join().unwrap(), second.join().unwrap()]
    });
    let kept = results.iter().filter_map(|result| result.as_ref().ok()).collect::<Vec<_>>();
    assert_eq!(kept.len(), 1, "{results:?}");
    let back = home.read("a", "four random words").unwrap();
    assert_eq!(back.pair().unwrap().address(), &kept[0].address);
    assert_eq!(home.stores.list().unwrap().len(), 1);
}

#[test]
fn a_removed_key_is_gone_from_disk_and_list() {
    let home = Home::new();
    home.keep("a", &secret()).unwrap();
    home.stores.remove(&name("a")).unwrap();
    assert!(home.stores.list().unwrap().is_empty());
    assert!(!home.path("a").exists());
    assert!(matches!(home.stores.remove(&name("a")), Err(KeyStoreError::Unknown { .. })));
}

#[test]
fn the_first_store_that_works_is_preferred() {
    let trouble = || Trouble { why: "why".into(), fix: "fix".into() };
    let probe = |store, state| Probe { store, state };
    let file = probe(StoreKind::EncryptedFile, StoreState::Works);
    let keyring = |state| probe(StoreKind::Keyring, state);
    assert_eq!(preferred(&[keyring(StoreState::Works), file.clone()]), StoreKind::Keyring);
    for state in [StoreState::Locked(trouble()), StoreState::Absent(trouble())] {
        assert_eq!(preferred(&[keyring(state), file.clone()]), StoreKind::EncryptedFile);
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_found_by_the_probe() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("file");
    fs::write(&data, b"").unwrap();
    let stores = KeyStores::open(&data, &Clock::system());
    let state = stores.probe_one(StoreKind::EncryptedFile);
    assert!(matches!(state, StoreState::Absent(Trouble { why, .. }) if why.contains("file")));
}

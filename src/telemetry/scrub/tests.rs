//! Private things planted in all sorts of texts, and texts that have none.

use proptest::prelude::*;

use super::*;

const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
const SEED: &str = "0xe5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a";
const WORDS: &str = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";

fn scrubber() -> Scrubber {
    let mut scrubber = Scrubber::new();
    scrubber.hide(Kind::Secret, "hunter2 \"quoted\"");
    scrubber.hide(Kind::User, "ada");
    scrubber.hide(Kind::Host, "attic-pc");
    scrubber.call_folder("/home/ada/.local/state/hearth", "state");
    scrubber.call_folder("/home/ada", "home");
    scrubber.keep_host("iota.example");
    scrubber.keep_web_path("/miner/register");
    scrubber
}

#[test]
fn what_is_private_goes() {
    for (text, clean) in [
        (format!("the hotkey {ALICE} is held"), "the hotkey [address-1] is held"),
        (format!("{{\"hotkey\":\"{ALICE}\"}}"), "{\"hotkey\":\"[address-1]\"}"),
        ("paid to 0x52908400098527886E0F7030069857D2E4169EE7.".into(), "paid to [address-1]."),
        (format!("seed={SEED}"), "seed=[secret-1]"),
        (format!("read {SEED}: no"), "read [hex-1]: no"),
        (format!("it said: {WORDS}, oh"), "it said: [phrase-1], oh"),
        (
            "1. bottom 2. drive 3. obey 4. lake 5. curtain 6. smoke 7. basket 8. hold 9. race"
                .into(),
            "1. [phrase-1]",
        ),
        ("peer 203.0.113.9:49200 and 10.0.0.7".into(), "peer [ip-1]:49200 and [ip-2]"),
        ("peer=[2001:db8::17]:443, fe80::1%eth0".into(), "peer=[[ip-1]]:443, [ip-2]"),
        ("on 127.0.0.1:8000 and [::1]:9".into(), "on 127.0.0.1:8000 and [::1]:9"),
        (
            "POST https://kuma.home.example/api/push/k3y?status=up failed".into(),
            "POST https://[host-1]/[path-1]?[query] failed",
        ),
        (
            "https://iota.example:443/miner/register: 403".into(),
            "https://iota.example:443/miner/register: 403",
        ),
        ("http://me:pw@127.0.0.1:4318/x".into(), "http://[secret-1]@127.0.0.1:4318/[path-1]"),
        ("cannot write /home/ada/keys/hot (no)".into(), "cannot write [home]/keys/[name-1] (no)"),
        (
            "in /home/ada/.local/state/hearth/logs/hearth.log:12".into(),
            "in [state]/logs/hearth.log:12",
        ),
        ("open \"/mnt/my disk/secret plan\": no".into(), "open \"[path-1]\": no"),
        (r"at C:\Users\ada\hot.json now".into(), r"at [path-1] now"),
        ("ada@attic-pc:~$ canada".into(), "[user-1]@[host-1]:~$ canada"),
        ("card aa:bb:cc:0d:ee:ff up".into(), "card [hex-1] up"),
        ("{\"token\": \"abc\"}".into(), "{\"token\": \"[secret-1]\"}"),
        ("Authorization: Bearer abc.def-1".into(), "Authorization: Bearer [secret-1]"),
        ("token=tk_9 next".into(), "token=[secret-1] next"),
        ("he said hunter2 \"quoted\" twice".into(), "he said [secret-1] twice"),
        ("?p=hunter2+%22quoted%22&x".into(), "?p=[secret-1]&x"),
        (
            "tk AgQdq7mVBoFD37zQVN29RhuMzNIz2 and SGVsbG8gV29ybGQhIDEyMzQ1Njc4OTA+/==".into(),
            "tk [secret-1] and [secret-2]",
        ),
        ("write to ada.b@mail.example".into(), "write to [user-2]"),
        // A property found this one: a path with an equals sign and another path in it.
        ("\"/A 2001:db8:1::1 =/A\"".into(), "\"[path-1]=[path-2]\""),
        ("/home/eve/my_token=abcdef".into(), "[path-1]=[secret-1]"),
        ("\"/usr/share/a 2001:db8:a::1\"".into(), "\"/usr/share/a [ip-1]\""),
    ] {
        let got = scrubber().text(&text);
        assert_eq!(got, clean, "from {text}");
    }
}

#[test]
fn what_is_not_private_stays() {
    for text in [
        "epoch 3, stage 1: 4 partitions merged",
        "hearth 0.1.0 on linux x86_64, Mesa 25.0.7, driver 535.154.05",
        "2026-11-22T20:00:36Z  WARN the peer did not answer in time; trying again",
        "thread 'screen' panicked at src/tui/mod.rs:12:3",
        "/usr/lib/libvulkan.so.1 and /dev/dri/renderD128 and /proc/self/status",
        "llvmpipe (LLVM 20.1.2, 256 bits), 5.0 MiB of 13.97 GB and/or 50%",
        "activation 7f2c0f3e-3c1f-4f0e-9a43-27a1a0b1c2d3 forward",
        r#"{"event":"loss","epoch":1,"loss":7.8671875}"#,
        "wait, key: there is none",
        "",
    ] {
        assert_eq!(scrubber().text(text), text);
    }
}

#[test]
fn the_same_thing_has_the_same_placeholder_everywhere() {
    let mut scrubber = scrubber();
    let one = scrubber.text("from 198.51.100.1 to 198.51.100.2");
    let two = scrubber.text("from 198.51.100.2 to 198.51.100.1");
    assert_eq!((one.as_str(), two.as_str()), ("from [ip-1] to [ip-2]", "from [ip-2] to [ip-1]"));
    let taken: Vec<_> = scrubber.taken().collect();
    assert_eq!(taken, [("ip", 2)]);
}

#[test]
fn json_keeps_its_form_and_loses_its_secrets() {
    let mut scrubber = scrubber();
    let lines = format!(
        "{{\"fields\":{{\"api_key\":\"x\",\"n\":3,\"{ALICE}\":true}},\"message\":\"hunter2 \\\"quoted\\\"\"}}\nplain {ALICE}\n"
    );
    let clean = scrubber.lines(&lines);
    let first: Value = serde_json::from_str(clean.lines().next().unwrap()).unwrap();
    assert_eq!(first["fields"]["n"], 3);
    assert_eq!(first["fields"]["api_key"], "[secret-1]");
    assert_eq!(first["fields"]["[address-1]"], true);
    assert_eq!(first["message"], "[secret-2]");
    assert_eq!(clean.lines().nth(1), Some("plain [address-1]"));
}

/// What stands around a secret in real texts.
fn around() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,40}",
        "\\PC{0,20}",
        prop::sample::select(vec![
            " ",
            "\"",
            "'",
            "(",
            ")=",
            ": ",
            "=",
            "url: ",
            "error at ",
            "\n",
            "\t",
            "{\"a\":\"",
            "\"}",
            "[",
            "]",
        ])
        .prop_map(str::to_owned),
    ]
}

/// Something private, and what of it must not be found again.
fn private() -> impl Strategy<Value = (String, String)> {
    let same = |text: String| (text.clone(), text);
    let hex = "[0-9a-f]{64}".prop_filter("not one letter", |hex| hex.chars().any(|c| c != '0'));
    prop_oneof![
        prop::array::uniform32(any::<u8>())
            .prop_map(move |bytes| { same(crate::protocol::ss58::encode(&bytes)) }),
        "0x[0-9a-fA-F]{40}".prop_map(same),
        hex.prop_map(same),
        (11_u8..=223, any::<u8>(), any::<u8>(), 1_u8..=254)
            .prop_filter("no loopback", |ip| ip.0 != 127)
            .prop_map(move |(a, b, c, d)| same(format!("{a}.{b}.{c}.{d}"))),
        (1_u16.., 1_u16..).prop_map(move |(a, b)| same(format!("2001:db8:{a:x}::{b:x}"))),
        prop::collection::vec(0_usize..2048, 12).prop_map(move |picks| {
            let list = bip39::Language::English.word_list();
            same(picks.into_iter().map(|i| list[i]).collect::<Vec<_>>().join(" "))
        }),
        ("[a-z]{3,8}", "[a-z0-9]{6,12}")
            .prop_map(|(user, file)| { (format!("/home/{user}/{file}/hot"), file) }),
        ("[a-z]{4,9}", "[A-Za-z0-9]{10,20}")
            .prop_map(|(host, key)| { (format!("https://{host}.lan/push/{key}"), key) }),
        Just(same("hunter2 \"quoted\"".to_owned())),
    ]
}

proptest! {
    #[test]
    fn nothing_private_survives_anywhere(before in around(), secret in private(), after in around()) {
        let (secret, gone) = secret;
        // Letters that touch it make it another word; a number in front makes it another number.
        let text = format!("{before} {secret} {after}");
        let clean = scrubber().text(&text);
        let count = |text: &str| text.matches(gone.as_str()).count();
        // What stands around it may contain it by chance only where it is short.
        prop_assert!(count(&clean) <= count(&before) + count(&after), "{text:?} became {clean:?}");
    }

    #[test]
    fn no_text_breaks_it(raw in prop::collection::vec(any::<char>(), 0..80)) {
        let raw: String = raw.into_iter().collect();
        let mut scrubber = scrubber();
        let clean = scrubber.text(&raw);
        prop_assert_eq!(clean.matches('\n').count(), raw.matches('\n').count());
        scrubber.lines(&raw);
    }
}

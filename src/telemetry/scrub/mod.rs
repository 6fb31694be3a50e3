//! Takes out of a text what says who or where somebody is: secrets, addresses, paths, names of people
//! and machines. What it takes out is replaced by placeholders, the same one for the same thing, so
//! that a report can still be followed. In doubt it takes out too much.

mod atoms;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::Value;

/// What a placeholder stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A password, a token, a passphrase.
    Secret,
    /// The words of a key.
    Phrase,
    /// A wallet's address (SS58 or EVM).
    Address,
    /// A long hexadecimal number: a seed, a signature, a peer's id.
    Hex,
    /// An address of the internet.
    Ip,
    /// A machine's name.
    Host,
    /// A file or folder outside the system's own.
    Path,
    /// A person's account.
    User,
    /// A name that the user gave something.
    Name,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Phrase => "phrase",
            Self::Address => "address",
            Self::Hex => "hex",
            Self::Ip => "ip",
            Self::Host => "host",
            Self::Path => "path",
            Self::User => "user",
            Self::Name => "name",
        }
    }
}

/// A folder of Hearth's own, or of the system, which may stay as it is or get a word of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Folder {
    path: String,
    /// In its place; what is below it goes.
    word: String,
}

/// A text that is known to be private, in one of its forms.
#[derive(Clone, Debug)]
struct Known {
    form: String,
    kind: Kind,
    text: String,
}

/// Replaces, and remembers what it replaced by what.
#[derive(Clone, Debug, Default)]
pub struct Scrubber {
    /// Known texts, the longest first.
    known: Vec<Known>,
    folders: Vec<Folder>,
    /// Host names that everybody may know.
    public_hosts: Vec<String>,
    /// Paths of web addresses that everybody may know.
    public_paths: Vec<String>,
    given: BTreeMap<(Kind, String), usize>,
    counts: BTreeMap<Kind, usize>,
}

/// Names of fields whose value is secret, whatever it looks like.
const SECRET_FIELDS: [&str; 16] = [
    "password",
    "passwd",
    "passphrase",
    "pass",
    "token",
    "secret",
    "apikey",
    "api_key",
    "api-key",
    "authorization",
    "cookie",
    "mnemonic",
    "phrase",
    "seed",
    "private_key",
    "signature",
];

/// Words after which a secret follows.
const SECRET_SCHEMES: [&str; 2] = ["bearer", "basic"];

/// Folders of the system: they say what a machine is, not whose.
const SYSTEM: [&str; 13] = [
    "/dev/",
    "/proc/",
    "/sys/",
    "/usr/",
    "/lib/",
    "/lib64/",
    "/etc/",
    "/bin/",
    "/sbin/",
    "/run/systemd/",
    "/rustc/",
    "/System/",
    "/Library/",
];

impl Scrubber {
    /// One that knows nobody yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes out this very text wherever it stands, and the forms it takes in JSON and in web addresses.
    pub fn hide(&mut self, kind: Kind, text: &str) {
        let text = text.trim();
        // Single letters are everywhere; taking them out would leave nothing.
        if text.chars().count() < 2 {
            return;
        }
        let json = serde_json::to_string(text).unwrap_or_default();
        let percent: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
        let forms = [text, json.trim_matches('"'), &percent, &percent.replace('+', "%20")];
        for form in forms {
            if !self.known.iter().any(|known| known.form == form) {
                self.known.push(Known { form: form.to_owned(), kind, text: text.to_owned() });
            }
        }
        self.known.sort_by_key(|known| std::cmp::Reverse(known.form.len()));
    }

    /// Writes `word` for this folder and everything in it.
    pub fn call_folder(&mut self, path: &str, word: &str) {
        let path = path.trim_end_matches(['/', '\\']).to_owned();
        if path.len() > 1 {
            self.folders.push(Folder { path, word: word.to_owned() });
            self.folders.sort_by_key(|folder| std::cmp::Reverse(folder.path.len()));
        }
    }

    /// Leaves this host name as it is.
    pub fn keep_host(&mut self, name: &str) {
        self.public_hosts.push(name.to_lowercase());
    }

    /// Leaves this path of web addresses as it is.
    pub fn keep_web_path(&mut self, path: &str) {
        self.public_paths.push(path.to_owned());
    }

    /// The text without what is private.
    pub fn text(&mut self, text: &str) -> String {
        let text = self.phrases(text);
        // A folder may have somebody's name in it, and a secret may have a folder's.
        let text = self.known_texts(&text, |kind| !is_name(kind));
        let text = self.folders(&text);
        let text = self.known_texts(&text, is_name);
        text.split_inclusive('\n').map(|line| self.line(line)).collect()
    }

    /// The same for everything in a JSON value, names of fields too.
    pub fn json(&mut self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.json(item)).collect(),
            Value::Object(fields) => {
                let mut clean = serde_json::Map::new();
                for (name, value) in fields {
                    let value = match value {
                        Value::String(text) if is_secret_field(&name) => {
                            Value::String(self.placeholder(Kind::Secret, &text))
                        }
                        other => self.json(other),
                    };
                    clean.insert(self.text(&name), value);
                }
                Value::Object(clean)
            }
            other => other,
        }
    }

    /// Lines of a log: as JSON where a line is an object, as text elsewhere.
    pub fn lines(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for line in text.split_inclusive('\n') {
            match serde_json::from_str::<Value>(line) {
                Ok(value @ Value::Object(_)) => {
                    out.push_str(&self.json(value).to_string());
                    out.push('\n');
                }
                _ => out.push_str(&self.text(line)),
            }
        }
        out
    }

    /// How much was taken out, by kind.
    pub fn taken(&self) -> impl Iterator<Item = (&'static str, usize)> {
        self.counts.iter().map(|(kind, count)| (kind.word(), *count))
    }

    /// `[host-2]`: the same for the same text.
    fn placeholder(&mut self, kind: Kind, text: &str) -> String {
        if text.is_empty() || is_placeholder(text) {
            return text.to_owned();
        }
        let number = match self.given.get(&(kind, text.to_owned())) {
            Some(number) => *number,
            None => {
                let count = self.counts.entry(kind).or_default();
                *count += 1;
                self.given.insert((kind, text.to_owned()), *count);
                *count
            }
        };
        format!("[{}-{number}]", kind.word())
    }

    /// Texts that are known to be private.
    fn known_texts(&mut self, text: &str, wanted: impl Fn(Kind) -> bool) -> String {
        let mut text = text.to_owned();
        for known in self.known.clone() {
            if wanted(known.kind) && text.contains(&known.form) {
                let word = self.placeholder(known.kind, &known.text);
                text = replace(&text, &known.form, &word, is_name(known.kind));
            }
        }
        text
    }

    /// Folders that have a word of their own.
    fn folders(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for folder in &self.folders {
            if text.contains(&folder.path) {
                text = replace(&text, &folder.path, &format!("[{}]", folder.word), true);
            }
        }
        text
    }

    /// What stands behind such a word, if the text begins with one.
    fn behind_folder<'a>(&self, text: &'a str) -> Option<(&'a str, &'a str)> {
        let (word, rest) = text.split_once(']')?;
        let name = word.strip_prefix('[')?;
        let known = self.folders.iter().any(|folder| folder.word == name);
        (known && rest.starts_with(['/', '\\']))
            .then(|| (text.get(..=word.len()).unwrap_or_default(), rest))
    }

    /// Nine and more words of the list in a row are the words of a key, or a part of them.
    fn phrases(&mut self, text: &str) -> String {
        const ENOUGH: usize = 9;
        let list = bip39::Language::English.word_list();
        let mut out = String::with_capacity(text.len());
        let mut run: Vec<(usize, usize)> = Vec::new();
        let mut copied = 0;
        let mut flush = |run: &mut Vec<(usize, usize)>, out: &mut String, scrubber: &mut Self| {
            if let (true, Some((from, _)), Some((_, to))) =
                (run.len() >= ENOUGH, run.first(), run.last())
            {
                out.push_str(text.get(copied..*from).unwrap_or_default());
                let words: Vec<&str> = run.iter().filter_map(|(a, b)| text.get(*a..*b)).collect();
                out.push_str(&scrubber.placeholder(Kind::Phrase, &words.join(" ").to_lowercase()));
                copied = *to;
            }
            run.clear();
        };
        for (from, to) in words(text) {
            let word = text.get(from..to).unwrap_or_default().to_lowercase();
            // Numbers between them, as in a list that was written down, do not make it another thing.
            if word.len() <= 2 && word.chars().all(|c| c.is_ascii_digit()) {
                continue;
            }
            if list.binary_search(&word.as_str()).is_ok() {
                run.push((from, to));
            } else {
                flush(&mut run, &mut out, self);
            }
        }
        flush(&mut run, &mut out, self);
        out.push_str(text.get(copied..).unwrap_or_default());
        out
    }

    /// Whether an address of the internet says nothing about anybody.
    fn is_public(ip: IpAddr) -> bool {
        ip.is_loopback() || ip.is_unspecified()
    }

    fn is_public_host(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        name == "localhost"
            || name.ends_with(".localhost")
            || self.public_hosts.contains(&name)
            || name.parse().is_ok_and(Self::is_public)
    }
}

/// Names are taken out only where they stand as a word: they may be short.
fn is_name(kind: Kind) -> bool {
    matches!(kind, Kind::User | Kind::Host | Kind::Name)
}

/// Runs of letters and digits, as byte ranges.
fn words(text: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut start = None;
    for (at, c) in text.char_indices() {
        match (c.is_alphanumeric(), start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                found.push((from, at));
                start = None;
            }
            _ => {}
        }
    }
    found.extend(start.map(|from| (from, text.len())));
    found
}

/// Replaces every occurrence; with `whole_words`, only those that no letter or digit touches.
fn replace(text: &str, known: &str, word: &str, whole_words: bool) -> String {
    if !whole_words {
        return text.replace(known, word);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut before = None;
    while let Some(at) = rest.find(known) {
        let (head, tail) = rest.split_at(at);
        let tail = tail.strip_prefix(known).unwrap_or_default();
        let left = head.chars().next_back().or(before);
        let right = tail.chars().next();
        let touches = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        out.push_str(head);
        out.push_str(if touches(left) || touches(right) { known } else { word });
        before = known.chars().next_back();
        rest = tail;
    }
    out.push_str(rest);
    out
}

fn is_secret_field(name: &str) -> bool {
    let name = name.to_lowercase();
    let last = name.rsplit(['.', ' ']).next().unwrap_or_default().trim_matches(['"', '\'']);
    SECRET_FIELDS.contains(&last)
        || ["_token", "_secret", "_password", "_key", "-token", "-signature"]
            .iter()
            .any(|end| last.ends_with(end))
}

/// `[host-2]`, `[data]/...`.
fn is_placeholder(text: &str) -> bool {
    let inside = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    inside.is_some_and(|inside| {
        !inside.is_empty()
            && inside.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    })
}

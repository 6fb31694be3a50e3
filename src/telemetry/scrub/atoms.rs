//! A line, piece by piece: web addresses, paths, numbers of the internet and of wallets, long words
//! that nobody says.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Kind, SECRET_SCHEMES, SYSTEM, Scrubber, is_placeholder, is_secret_field};

/// What stands between two pieces.
const BETWEEN: &[char] =
    &[' ', '\t', '\r', '\n', '"', '\'', '`', '<', '>', '(', ')', '{', '}', ',', ';', '|', '“', '”'];

/// From so many letters on, a word of letters and digits is no word.
const LONG: usize = 24;
/// From so many digits on, a hexadecimal number is somebody's.
const LONG_HEX: usize = 32;

impl Scrubber {
    pub(super) fn line(&mut self, line: &str) -> String {
        let mut out = String::with_capacity(line.len());
        let mut rest = line;
        let mut quote = None;
        let mut secret_next = false;
        let mut before = "";
        while !rest.is_empty() {
            let end = rest.find(BETWEEN).unwrap_or(rest.len());
            let mut piece_end = end;
            // A path between quotes may have spaces.
            if let Some(quote) = quote
                && (starts_a_path(rest) || self.behind_folder(rest).is_some())
                && let Some(closing) = rest.find(quote)
            {
                piece_end = closing;
            }
            let (piece, tail) = rest.split_at(piece_end);
            if !piece.is_empty() {
                if secret_next && !is_scheme(piece) {
                    out.push_str(&self.placeholder(Kind::Secret, piece));
                    secret_next = false;
                } else {
                    out.push_str(&self.piece(piece));
                    // `name: value`, and `"name": "value"`.
                    let named = piece
                        .strip_suffix([':', '='])
                        .map(|name| if name.is_empty() { before } else { name });
                    secret_next = is_scheme(piece) || named.is_some_and(is_secret_field);
                }
                before = piece;
            }
            let mut letters = tail.chars();
            let Some(between) = letters.next() else { break };
            quote = matches!(between, '"' | '\'' | '`').then_some(between);
            if !matches!(between, ' ' | '"' | '\'' | '`' | '\t') {
                secret_next = false;
            }
            out.push(between);
            rest = letters.as_str();
        }
        out
    }

    /// What stands between two gaps.
    fn piece(&mut self, piece: &str) -> String {
        if is_placeholder(piece) {
            return piece.to_owned();
        }
        if let Some((scheme, rest)) = piece.split_once("://") {
            let clean = self.web_address(rest);
            return format!("{}://{clean}", self.plain(scheme));
        }
        if let Some((name, value)) = piece.split_once(['=', ':'])
            && !value.is_empty()
            && is_secret_field(name)
        {
            let between = piece.get(name.len()..=name.len()).unwrap_or("=");
            let name = self.piece(name);
            return format!("{name}{between}{}", self.placeholder(Kind::Secret, value));
        }
        if let Some((name, value)) = piece.split_once('=')
            && starts_a_path(value)
        {
            // What is in front may be a path too: one may have such a sign in it.
            return format!("{}={}", self.piece(name), self.path(value));
        }
        if starts_a_path(piece) {
            return self.path(piece);
        }
        if let Some((word, below)) = self.behind_folder(piece) {
            let tidy = below.trim_end_matches(['.', ':', '!', '?']);
            let end = below.get(tidy.len()..).unwrap_or_default();
            let (path, line) = split_line(tidy);
            let clean = self.below(path.trim_matches(['/', '\\']));
            return format!("{word}/{clean}{line}{end}");
        }
        // `file.rs:/home/...`, `error:/home/...`.
        if let Some(at) = piece.find(":/").filter(|at| *at > 1) {
            let (head, tail) = piece.split_at(at + 1);
            return format!("{}{}", self.plain(head), self.path(tail));
        }
        if is_mail(piece) {
            return self.placeholder(Kind::User, piece);
        }
        self.plain(piece)
    }

    /// Behind the scheme of a web address.
    fn web_address(&mut self, rest: &str) -> String {
        let (authority, path) = match rest.find(['/', '?', '#']) {
            Some(at) => rest.split_at(at),
            None => (rest, ""),
        };
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port))
                if port.chars().all(|c| c.is_ascii_digit()) && !name.ends_with(':') =>
            {
                (name, Some(port))
            }
            _ => (host, None),
        };
        let bare = name.trim_matches(['[', ']']).trim_end_matches('.');
        let clean = if name.is_empty() || is_placeholder(name) || self.is_public_host(bare) {
            name.to_owned()
        } else if bare.parse::<IpAddr>().is_ok() {
            self.placeholder(Kind::Ip, bare)
        } else {
            self.placeholder(Kind::Host, &bare.to_lowercase())
        };
        let user = user.map(|user| format!("{}@", self.placeholder(Kind::Secret, user)));
        let port = port.map(|port| format!(":{port}"));
        let path = self.web_path(path);
        format!("{}{clean}{}{path}", user.unwrap_or_default(), port.unwrap_or_default())
    }

    /// Path and query of a web address: what the protocol names may stay, the rest may be a key.
    fn web_path(&mut self, path: &str) -> String {
        let (path, query) = match path.find(['?', '#']) {
            Some(at) => path.split_at(at),
            None => (path, ""),
        };
        let tidy = path.trim_end_matches(['.', ':', '!']);
        let known = tidy.len() <= 1
            || is_placeholder(tidy.trim_start_matches('/'))
            || self.public_paths.iter().any(|known| known == tidy);
        let path = if known {
            path.to_owned()
        } else {
            format!("/{}", self.placeholder(Kind::Path, tidy))
        };
        let query = if query.is_empty() { "" } else { "?[query]" };
        format!("{path}{query}")
    }

    /// A path of this machine.
    fn path(&mut self, piece: &str) -> String {
        let tidy = piece.trim_end_matches(['.', ':', '!', '?']);
        let end = piece.get(tidy.len()..).unwrap_or_default();
        // `file.rs:12:3` keeps its line.
        let (path, line) = split_line(tidy);
        if path.len() < 2 || self.public_paths.iter().any(|known| known == path) {
            return piece.to_owned();
        }
        if SYSTEM.iter().any(|folder| path.starts_with(folder)) && !path.contains("..") {
            return format!("{}{end}", self.plain(tidy));
        }
        format!("{}{line}{end}", self.placeholder(Kind::Path, path))
    }

    /// Below a folder of Hearth's own: its own names say something about the fault; what else lies
    /// there was named by the user.
    fn below(&mut self, below: &str) -> String {
        let parts: Vec<String> = below
            .split(['/', '\\'])
            .map(|part| match is_own_name(part) {
                true => self.plain(part),
                false => self.placeholder(Kind::Name, part),
            })
            .collect();
        parts.join("/")
    }

    /// Anything else: numbers of the internet and of wallets within it.
    fn plain(&mut self, piece: &str) -> String {
        if let Some(clean) = self.ip_v6(piece) {
            return clean;
        }
        let wide = piece.trim_end_matches(['.', ':', '!', '?']);
        let one_word = wide.chars().all(|c| c.is_ascii_alphanumeric());
        if !one_word
            && looks_drawn(wide, 32, |c| {
                c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '_' | '-')
            })
        {
            let end = piece.get(wide.len()..).unwrap_or_default();
            return format!("{}{end}", self.placeholder(Kind::Secret, wide));
        }
        let mut out = String::with_capacity(piece.len());
        let mut rest = piece;
        while let Some(from) = rest.find(|c: char| c.is_ascii_alphanumeric()) {
            let (between, tail) = rest.split_at(from);
            out.push_str(between);
            let end =
                tail.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(tail.len());
            let (atom, tail) = tail.split_at(end);
            let tidy = atom.trim_end_matches('.');
            out.push_str(&self.atom(tidy));
            out.push_str(atom.get(tidy.len()..).unwrap_or_default());
            rest = tail;
        }
        out.push_str(rest);
        out
    }

    /// Letters, digits and dots.
    fn atom(&mut self, atom: &str) -> String {
        if let Ok(ip) = atom.parse::<Ipv4Addr>() {
            return match Self::is_public(ip.into()) {
                true => atom.to_owned(),
                false => self.placeholder(Kind::Ip, atom),
            };
        }
        if atom.contains('.') {
            let parts: Vec<String> = atom.split('.').map(|part| self.word(part)).collect();
            return parts.join(".");
        }
        self.word(atom)
    }

    fn word(&mut self, word: &str) -> String {
        let hex = word.strip_prefix("0x").unwrap_or(word);
        let is_hex = hex.chars().all(|c| c.is_ascii_hexdigit());
        if is_hex && hex.len() == 40 && hex.len() < word.len() {
            return self.placeholder(Kind::Address, &word.to_lowercase());
        }
        if is_hex && hex.len() >= LONG_HEX {
            return self.placeholder(Kind::Hex, &hex.to_lowercase());
        }
        if (46..=50).contains(&word.len()) && word.chars().all(is_base58) {
            return self.placeholder(Kind::Address, word);
        }
        let mixed = word.chars().any(|c| c.is_ascii_digit())
            && word.chars().any(|c| c.is_ascii_alphabetic());
        if word.len() >= LONG && mixed {
            return self.placeholder(Kind::Secret, word);
        }
        word.to_owned()
    }

    /// An address with colons, with or without brackets and port.
    fn ip_v6(&mut self, piece: &str) -> Option<String> {
        let colons = |text: &str| text.matches(':').count();
        if colons(piece) < 2 {
            return None;
        }
        let pairs: Vec<&str> = piece.trim_end_matches('.').split(':').collect();
        if pairs.len() == 6
            && pairs
                .iter()
                .all(|pair| pair.len() == 2 && pair.chars().all(|c| c.is_ascii_hexdigit()))
        {
            // A network card's own number.
            return Some(self.placeholder(Kind::Hex, &piece.to_lowercase()));
        }
        // `peer=2001:db8::1`, `[2001:db8::1]:443`, `fe80::1%eth0`; in quotes a space may stand before it.
        let from = piece.find(|c: char| c.is_ascii_hexdigit() || c == ':')?;
        let starts = std::iter::once(from)
            .chain(piece.match_indices([' ', '=', '@', '[', '/']).map(|(at, _)| at + 1));
        for from in starts {
            let tail = piece.get(from..)?;
            let end = tail
                .find(|c: char| !c.is_ascii_hexdigit() && c != ':' && c != '.')
                .unwrap_or(tail.len());
            let text = tail.get(..end)?;
            let ends = (0..=end).rev().filter(|end| text.is_char_boundary(*end));
            for end in ends {
                let Ok(ip) = text.get(..end)?.parse::<Ipv6Addr>() else { continue };
                if Self::is_public(ip.into()) {
                    return Some(piece.to_owned());
                }
                let head = piece.get(..from)?.to_owned();
                let rest = tail.get(end..)?;
                let rest = rest.strip_prefix('%').map_or(rest, |zone| {
                    zone.trim_start_matches(|c: char| c.is_ascii_alphanumeric())
                });
                let address = self.placeholder(Kind::Ip, &ip.to_string());
                let (head, rest) = (self.plain(&head), self.plain(rest));
                return Some(format!("{head}{address}{rest}"));
            }
        }
        None
    }
}

fn is_scheme(piece: &str) -> bool {
    let last = piece.rsplit([':', '=']).next().unwrap_or_default().to_lowercase();
    SECRET_SCHEMES.contains(&last.as_str())
}

fn is_mail(piece: &str) -> bool {
    piece
        .split_once('@')
        .is_some_and(|(who, place)| !who.is_empty() && !is_placeholder(who) && place.len() > 2)
}

fn is_base58(c: char) -> bool {
    c.is_ascii_alphanumeric() && !matches!(c, '0' | 'O' | 'I' | 'l')
}

/// `/x`, `~/x`, `C:\x`, `\\server`.
fn starts_a_path(text: &str) -> bool {
    let bytes = text.as_bytes();
    let drive = bytes.len() > 2
        && bytes[0].is_ascii_alphabetic()
        && bytes[1] == b':'
        && matches!(bytes[2], b'\\' | b'/');
    let rooted = text.starts_with('/') && !text.starts_with("//") && bytes.len() > 1;
    drive && !text.get(2..).is_some_and(|rest| rest.starts_with("//"))
        || rooted
        || text.starts_with("~/")
        || text.starts_with(r"\\")
}

/// The path, and `:12:3` behind it.
fn split_line(path: &str) -> (&str, &str) {
    let is_place = |c: char| c.is_ascii_digit() || c == ':';
    let tidy = path.trim_end_matches(is_place);
    match path.get(tidy.len()..) {
        Some(line) if line.starts_with(':') && tidy.len() > 2 => (tidy, line),
        _ => (path, ""),
    }
}

/// Names that Hearth itself gives: small letters with dots, dashes, numbers.
fn is_own_name(part: &str) -> bool {
    const OWN: [&str; 16] = [
        "data",
        "config",
        "state",
        "cache",
        "records",
        "logs",
        "crashes",
        "practice",
        "keys",
        "swarm",
        "snapshots",
        "config.toml",
        "tokenizers",
        "practice.json",
        "peer-identity",
        "lock",
    ];
    OWN.contains(&part)
        || part.ends_with(".record")
        || part
            .strip_prefix("hearth")
            .is_some_and(|rest| rest.starts_with(['.', '-']) && !rest.contains('@'))
        || part.starts_with("crash-")
}

/// A long word of all sorts of letters, as programs draw them.
fn looks_drawn(text: &str, least: usize, allowed: impl Fn(char) -> bool) -> bool {
    let has = |wanted: fn(&char) -> bool| text.chars().filter(wanted).count();
    text.len() >= least
        && text.chars().all(allowed)
        && has(char::is_ascii_uppercase) >= 3
        && has(char::is_ascii_lowercase) >= 3
        && has(char::is_ascii_digit) >= 3
}

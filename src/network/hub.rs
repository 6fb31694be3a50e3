//! Tokenizers that a run names by their place on the model hub (spec 5.4): looked for in the hub's
//! own cache on this machine, and downloaded only where the user allows it, since the hub is a third
//! party that then learns this machine's address.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderValue, LOCATION};
use reqwest::{Method, StatusCode, Url};
use zeroize::Zeroizing;

use super::http::{Answer, HttpClient};
use crate::config::folders::{FolderError, write_atomically};

/// The file a tokenizer is in.
const FILE: &str = "tokenizer.json";
/// Largest tokenizer read, in bytes.
const MAX_BYTES: usize = 64 << 20;
/// Longest time of one request.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Most redirections followed: the hub keeps large files elsewhere.
const MAX_REDIRECTIONS: usize = 5;

/// Whether a tokenizer may be downloaded.
#[derive(Clone, Debug)]
pub enum Download {
    /// No: nothing is asked of the hub.
    Forbidden,
    /// Yes, with the user's token where there is one.
    Allowed(Option<Zeroizing<String>>),
}

/// The model hub, as far as this machine may use it.
#[derive(Clone, Debug)]
pub struct Hub {
    /// The hub's cache on this machine, shared with other programs and never written to.
    pub cache: Option<PathBuf>,
    /// Where Hearth keeps what it downloaded.
    pub shelf: PathBuf,
    /// The hub's address.
    pub base: String,
    /// Whether it may be asked.
    pub download: Download,
}

/// Why a tokenizer cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The run's name for it is no name.
    #[error(
        "the run names the tokenizer {0:?}, which is no name of the model hub: give a tokenizer.json with --tokenizer"
    )]
    Name(String),
    /// It is not here and must not be fetched.
    #[error(
        "the run uses the tokenizer {0}, which is not on this machine: give its tokenizer.json with --tokenizer, or let Hearth fetch it from the model hub with tokenizer_download = true (the hub then sees this machine's address)"
    )]
    NotHere(String),
    /// The user has not accepted its licence, or the token is missing or wrong.
    #[error(
        "the tokenizer {name} is behind a licence on the model hub (status {status}): accept it at {page}, make a read token there, set it as HF_TOKEN, and start again; or give its tokenizer.json with --tokenizer"
    )]
    Gated {
        /// The tokenizer.
        name: String,
        /// Of HTTP.
        status: u16,
        /// Where the licence is.
        page: String,
    },
    /// There is no such thing.
    #[error("the model hub has no tokenizer {0}: give its tokenizer.json with --tokenizer")]
    Missing(String),
    /// The hub cannot be reached, or answers with something else.
    #[error(
        "the tokenizer {name} cannot be fetched from the model hub ({why}): check the internet connection, or give its tokenizer.json with --tokenizer"
    )]
    Unreachable {
        /// The tokenizer.
        name: String,
        /// What happened.
        why: String,
    },
    /// It cannot be kept.
    #[error(transparent)]
    Disk(#[from] FolderError),
}

impl Hub {
    /// The file of the tokenizer `name` (`owner/repository`): from the cache, from the shelf, or
    /// fetched.
    pub async fn tokenizer(&self, http: &HttpClient, name: &str) -> Result<PathBuf, HubError> {
        let (owner, repository) =
            parts(name).ok_or_else(|| HubError::Name(name.chars().take(80).collect()))?;
        let folder = format!("models--{owner}--{repository}");
        if let Some(found) = self.cache.as_deref().and_then(|cache| cached(&cache.join(&folder))) {
            return Ok(found);
        }
        let kept = self.shelf.join(&folder).join(FILE);
        if kept.is_file() {
            return Ok(kept);
        }
        let Download::Allowed(token) = &self.download else {
            return Err(HubError::NotHere(name.to_owned()));
        };
        let bytes = self.fetch(http, name, token.as_ref()).await?;
        if let Some(parent) = kept.parent() {
            std::fs::create_dir_all(parent)
                .map_err(|source| FolderError::NotWritable { path: parent.to_owned(), source })?;
        }
        write_atomically(&kept, &bytes)?;
        Ok(kept)
    }

    async fn fetch(
        &self,
        http: &HttpClient,
        name: &str,
        token: Option<&Zeroizing<String>>,
    ) -> Result<Vec<u8>, HubError> {
        let unreachable = |why: String| HubError::Unreachable { name: name.to_owned(), why };
        let base = self.base.trim_end_matches('/');
        let first: Url = format!("{base}/{name}/resolve/main/{FILE}")
            .parse()
            .map_err(|_| unreachable(format!("{base} is no address")))?;
        let mut url = first.clone();
        for _ in 0..=MAX_REDIRECTIONS {
            // The token is the hub's: it goes to no other host.
            let ours = url.origin() == first.origin();
            let answer =
                get(http, url.clone(), token.filter(|_| ours)).await.map_err(&unreachable)?;
            match answer.status {
                StatusCode::OK => return Ok(answer.body),
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    let (status, page) = (answer.status.as_u16(), format!("{base}/{name}"));
                    return Err(HubError::Gated { name: name.to_owned(), status, page });
                }
                StatusCode::NOT_FOUND => return Err(HubError::Missing(name.to_owned())),
                status if status.is_redirection() => {
                    url = redirected(&url, &answer, &first)
                        .ok_or_else(|| unreachable("it points to a strange place".to_owned()))?;
                }
                status => return Err(unreachable(format!("status {}", status.as_u16()))),
            }
        }
        Err(unreachable("it points from place to place".to_owned()))
    }
}

async fn get(
    http: &HttpClient,
    url: Url,
    token: Option<&Zeroizing<String>>,
) -> Result<Answer, String> {
    let mut builder = http.requests().request(Method::GET, url);
    if let Some(token) = token {
        let text = Zeroizing::new(format!("Bearer {}", token.trim()));
        let mut value =
            HeaderValue::from_str(&text).map_err(|_| "HF_TOKEN is no token".to_owned())?;
        value.set_sensitive(true);
        builder = builder.header(AUTHORIZATION, value);
    }
    let request = builder.build().map_err(|error| error.to_string())?;
    http.exchange(request, MAX_BYTES, TIMEOUT).await.map_err(|error| error.to_string())
}

/// Where an answer points; never from an encrypted place to an open one.
fn redirected(from: &Url, answer: &Answer, first: &Url) -> Option<Url> {
    let to = answer.headers.get(LOCATION)?.to_str().ok()?;
    let to = from.join(to).ok()?;
    let safe = to.scheme() == "https" || (first.scheme() == "http" && to.scheme() == "http");
    safe.then_some(to)
}

/// Owner and repository of a name; only what cannot lead out of a folder or an address.
fn parts(name: &str) -> Option<(&str, &str)> {
    let (owner, repository) = name.split_once('/')?;
    let fine = |part: &str| {
        !part.is_empty()
            && part.len() <= 96
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    (fine(owner) && fine(repository)).then_some((owner, repository))
}

/// The tokenizer in a model's folder of the hub's cache: of the revision it calls `main`, else of any.
fn cached(folder: &Path) -> Option<PathBuf> {
    let snapshots = folder.join("snapshots");
    let main = std::fs::read_to_string(folder.join("refs").join("main")).ok();
    let named = main.map(|revision| snapshots.join(revision.trim()).join(FILE));
    if let Some(file) = named.filter(|file| file.is_file()) {
        return Some(file);
    }
    let mut all: Vec<PathBuf> = std::fs::read_dir(snapshots)
        .ok()?
        .flatten()
        .map(|entry| entry.path().join(FILE))
        .filter(|file| file.is_file())
        .collect();
    all.sort();
    all.pop()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::test_server;
    use axum::Router;
    use axum::http::HeaderMap;
    use axum::response::{IntoResponse, Redirect};
    use axum::routing::get;

    const NAME: &str = "meta/Tok-1";

    fn hub(folder: &Path, base: &str, download: Download) -> Hub {
        let (cache, shelf) = (Some(folder.join("cache")), folder.join("shelf"));
        Hub { cache, shelf, base: base.to_owned(), download }
    }

    fn with_token() -> Download {
        Download::Allowed(Some(Zeroizing::new("hf_secret".to_owned())))
    }

    async fn server() -> (String, String) {
        let elsewhere = Router::new().route(
            "/file",
            get(|headers: HeaderMap| async move {
                if headers.contains_key("authorization") {
                    StatusCode::IM_A_TEAPOT.into_response()
                } else {
                    "{\"far\":1}".into_response()
                }
            }),
        );
        let far = test_server::start(elsewhere).await;
        let to = format!("{far}/file");
        let near = Router::new()
            .route(
                "/meta/Tok-1/resolve/main/tokenizer.json",
                get(move |headers: HeaderMap| async move {
                    match headers.get("authorization").map(HeaderValue::as_bytes) {
                        Some(b"Bearer hf_secret") => Redirect::temporary(&to).into_response(),
                        _ => StatusCode::UNAUTHORIZED.into_response(),
                    }
                }),
            )
            .route(
                "/meta/loop/resolve/main/tokenizer.json",
                get(|| async { Redirect::temporary("/meta/loop/resolve/main/tokenizer.json") }),
            );
        (test_server::start(near).await, far)
    }

    async fn outcome(download: Download, name: &str) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let (base, _) = server().await;
        let hub = hub(folder.path(), &base, download);
        let path = hub.tokenizer(&test_server::client(), name).await.map_err(|e| e.to_string())?;
        Ok(std::fs::read_to_string(path).unwrap())
    }

    #[tokio::test]
    async fn a_token_opens_a_gated_file_and_goes_to_no_other_host() {
        assert_eq!(outcome(with_token(), NAME).await.unwrap(), "{\"far\":1}");
    }

    #[tokio::test]
    async fn each_failure_says_what_to_do() {
        let forbidden = outcome(Download::Forbidden, NAME).await.unwrap_err();
        assert!(forbidden.contains("tokenizer_download") && forbidden.contains("--tokenizer"));
        let gated = outcome(Download::Allowed(None), NAME).await.unwrap_err();
        assert!(gated.contains("licence") && gated.contains("HF_TOKEN"), "{gated}");
        let missing = outcome(with_token(), "meta/none").await.unwrap_err();
        assert!(missing.contains("has no tokenizer"), "{missing}");
        let circle = outcome(with_token(), "meta/loop").await.unwrap_err();
        assert!(circle.contains("place to place"), "{circle}");
        for name in ["", "x", "../etc/passwd", "a/../b", "a/b/c", "a b/c"] {
            let error = outcome(with_token(), name).await.unwrap_err();
            assert!(error.contains("no name"), "{name}: {error}");
        }
        let folder = tempfile::tempdir().unwrap();
        let hub = hub(folder.path(), "http://127.0.0.1:1", with_token());
        let error = hub.tokenizer(&test_server::client(), NAME).await.unwrap_err().to_string();
        assert!(error.contains("internet connection") && !error.contains("hf_secret"), "{error}");
    }

    #[tokio::test]
    async fn the_cache_of_the_hub_is_used_without_asking_anybody() {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("cache").join("models--meta--Tok-1");
        for (revision, text) in [("aaa", "old"), ("bbb", "main"), ("ccc", "new")] {
            let place = model.join("snapshots").join(revision);
            std::fs::create_dir_all(&place).unwrap();
            std::fs::write(place.join(FILE), text).unwrap();
        }
        let hub = hub(folder.path(), "http://127.0.0.1:1", Download::Forbidden);
        let found = hub.tokenizer(&test_server::client(), NAME).await.unwrap();
        assert_eq!(std::fs::read_to_string(found).unwrap(), "new");
        std::fs::create_dir_all(model.join("refs")).unwrap();
        std::fs::write(model.join("refs").join("main"), "bbb\n").unwrap();
        let found = hub.tokenizer(&test_server::client(), NAME).await.unwrap();
        assert_eq!(std::fs::read_to_string(found).unwrap(), "main");
    }
}

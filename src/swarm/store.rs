//! The object store of a practice swarm: a real S3 server on loopback, in this process, over a folder
//! of its own. Miners only ever see presigned URLs, as on the live network (spec 5).

use std::future::IntoFuture;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Router;
use axum::error_handling::HandleError;
use axum::http::StatusCode;
use reqwest::{Client, Method, RequestBuilder, Response};
use rusty_s3::actions::{CreateMultipartUpload, S3Action};
use rusty_s3::{Bucket, Credentials, UrlStyle};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::Url;

use crate::clock::{Clock, Entropy};

/// Bucket that everything lies in.
const BUCKET: &str = "practice";
/// Validity of a presigned URL. Long, because a slow backend may hold a sample's address for hours.
const URL_LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// Limit of one request of the orchestrator's own to the store.
const REQUEST_LIMIT: Duration = Duration::from_secs(120);

/// Why the store could not start, or did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder cannot be made or written.
    #[error(
        "the folder {folder} for the swarm's objects cannot be used ({source}); choose another folder, or make this one writable"
    )]
    Folder {
        /// Where the objects should go.
        folder: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// No room.
    #[error(
        "the disk with {folder} is full: {} more do not fit; free some space, or set HEARTH_HOME to a folder on another disk",
        bytesize::ByteSize::b(*.size as u64).display().si()
    )]
    Full {
        /// Where the objects are.
        folder: PathBuf,
        /// What was to be written.
        size: usize,
    },
    /// No loopback port, or the server cannot be set up.
    #[error("the swarm's object store cannot start: {0}")]
    Start(String),
    /// The store did not answer.
    #[error("the swarm's object store did not answer: {0}; is the disk full?")]
    Transport(String),
    /// The store refused.
    #[error("the swarm's object store refused {object}: {reason}")]
    Refused {
        /// Which object.
        object: String,
        /// What it said.
        reason: String,
    },
}

/// A running object store, with the only key to it. The server ends when this is dropped.
#[derive(Debug)]
pub struct Store {
    bucket: Bucket,
    credentials: Credentials,
    http: Client,
    clock: Clock,
    folder: PathBuf,
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl Drop for Store {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Store {
    /// Starts a server over `folder` (made if missing) on a free loopback port, with a new random
    /// access key, and makes the bucket.
    pub async fn start(
        folder: &Path,
        clock: Clock,
        entropy: &mut Entropy,
    ) -> Result<Self, StoreError> {
        make_writable(folder)
            .map_err(|source| StoreError::Folder { folder: folder.to_owned(), source })?;
        let (key, secret) = (random_hex(entropy), random_hex(entropy));
        let (address, server) = serve(folder, &key, &secret).await?;
        let start = |reason: String| StoreError::Start(reason);
        let endpoint =
            Url::parse(&format!("http://{address}")).map_err(|e| start(e.to_string()))?;
        let bucket = Bucket::new(endpoint, UrlStyle::Path, BUCKET, "us-east-1")
            .map_err(|e| start(format!("{e:?}")))?;
        let store = Self {
            bucket,
            credentials: Credentials::new(key, secret),
            http: client().map_err(|e| start(e.to_string()))?,
            clock,
            folder: folder.to_owned(),
            address,
            server,
        };
        store.make_bucket().await?;
        Ok(store)
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// An address that `object` can be fetched from, ranges included.
    pub fn presign_get(&self, object: &str) -> String {
        let action = self.bucket.get_object(Some(&self.credentials), object);
        action.sign(URL_LIFETIME).into()
    }

    /// An address that `object` can be written to with one `PUT`.
    pub fn presign_put(&self, object: &str) -> String {
        let action = self.bucket.put_object(Some(&self.credentials), object);
        action.sign(URL_LIFETIME).into()
    }

    /// Begins an upload in `parts` parts. Returns its id and one `PUT` address a part, in order.
    pub async fn begin_multipart(
        &self,
        object: &str,
        parts: u16,
    ) -> Result<(String, Vec<String>), StoreError> {
        let action = self.bucket.create_multipart_upload(Some(&self.credentials), object);
        let url = action.sign(URL_LIFETIME);
        let text = self.text(object, self.http.request(Method::POST, url)).await?;
        let upload = CreateMultipartUpload::parse_response(&text)
            .map_err(|e| StoreError::Transport(format!("unreadable answer: {e}")))?;
        let id = upload.upload_id().to_owned();
        let urls = (1..=parts)
            .map(|part| {
                let action = self.bucket.upload_part(Some(&self.credentials), object, part, &id);
                String::from(action.sign(URL_LIFETIME))
            })
            .collect();
        Ok((id, urls))
    }

    /// The parts of an upload that lie in the store, in order.
    pub async fn parts(&self, object: &str, upload_id: &str) -> Result<Vec<u64>, StoreError> {
        let credentials = Some(&self.credentials);
        let action = self.bucket.list_parts(credentials, object, upload_id);
        let url = action.sign(URL_LIFETIME);
        let text = self.text(object, self.http.get(url)).await?;
        // Read by hand: the server leaves out elements that the library's parser wants.
        let numbers = text.split("<PartNumber>").skip(1);
        let number = |rest: &str| rest.split('<').next().and_then(|digits| digits.parse().ok());
        let mut parts: Vec<u64> = numbers.filter_map(number).collect();
        parts.sort_unstable();
        Ok(parts)
    }

    /// Joins the parts of an upload; `etags` are those of parts 1, 2, ... in order.
    pub async fn complete_multipart(
        &self,
        object: &str,
        upload_id: &str,
        etags: &[&str],
    ) -> Result<(), StoreError> {
        let credentials = Some(&self.credentials);
        let action = self.bucket.complete_multipart_upload(
            credentials,
            object,
            upload_id,
            etags.iter().copied(),
        );
        let url = action.sign(URL_LIFETIME);
        let request = self.http.request(Method::POST, url).body(action.body());
        let answer = self.text(object, request).await?;
        // S3 may say 200 and put the error in the body.
        if answer.contains("<CompleteMultipartUploadResult") {
            return Ok(());
        }
        Err(refused(object, answer))
    }

    /// Writes a whole object.
    pub async fn put(&self, object: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        let size = bytes.len();
        let request = self.http.request(Method::PUT, self.presign_put(object)).body(bytes);
        match self.send(object, request).await {
            Ok(_) => Ok(()),
            // The server tells nobody why it cannot write; the disk does.
            Err(error) => Err(self.full_disk(size).unwrap_or(error)),
        }
    }

    /// Whether it is the disk that has no room for `size` more bytes.
    fn full_disk(&self, size: usize) -> Option<StoreError> {
        let probe = self.folder.join(".hearth-probe");
        let written = std::fs::write(&probe, vec![0; size]);
        // What was written of it only takes room.
        let _ = std::fs::remove_file(&probe);
        let full = written.is_err_and(|error| error.kind() == std::io::ErrorKind::StorageFull);
        full.then(|| StoreError::Full { folder: self.folder.clone(), size })
    }

    /// Reads a whole object.
    pub async fn read(&self, object: &str) -> Result<Vec<u8>, StoreError> {
        let answer = self.send(object, self.http.get(self.presign_get(object))).await?;
        let body = self.clock.timeout(REQUEST_LIMIT, answer.bytes()).await;
        let bytes = body.map_err(transport)?.map_err(transport)?;
        Ok(bytes.into())
    }

    /// Whether there is such an object.
    pub async fn exists(&self, object: &str) -> bool {
        let action = self.bucket.head_object(Some(&self.credentials), object);
        let request = self.http.request(Method::HEAD, action.sign(URL_LIFETIME));
        self.send(object, request).await.is_ok()
    }

    /// Makes sure that a power cut does not take an object that is there: the books will name it.
    pub async fn keep(&self, object: &str) -> Result<(), StoreError> {
        let kept = |source| StoreError::Folder { folder: self.folder.clone(), source };
        let path = self.folder.join(BUCKET).join(object);
        tokio::fs::File::open(&path).await.map_err(kept)?.sync_all().await.map_err(kept)?;
        // The server reads these first; one that is empty is no better than none of the object.
        for note in self.notes(object) {
            if let Ok(note) = tokio::fs::File::open(note).await {
                note.sync_all().await.map_err(kept)?;
            }
        }
        #[cfg(unix)]
        for folder in path.parent().into_iter().chain([self.folder.as_path()]) {
            tokio::fs::File::open(folder).await.map_err(kept)?.sync_all().await.map_err(kept)?;
        }
        Ok(())
    }

    /// Deletes an object; one that is not there is no error.
    pub async fn delete(&self, object: &str) -> Result<(), StoreError> {
        let action = self.bucket.delete_object(Some(&self.credentials), object);
        let request = self.http.request(Method::DELETE, action.sign(URL_LIFETIME));
        self.send(object, request).await?;
        self.forget_notes(object).await;
        self.forget_folders(object).await;
        Ok(())
    }

    /// The server leaves the folders that a key looked like. Those that hold something stay.
    async fn forget_folders(&self, object: &str) {
        let bucket = self.folder.join(BUCKET);
        let folders = Path::new(object).ancestors().skip(1);
        for folder in folders.filter(|folder| !folder.as_os_str().is_empty()) {
            if tokio::fs::remove_dir(bucket.join(folder)).await.is_err() {
                return;
            }
        }
    }

    /// The server keeps two small notes beside every object and leaves them when it is deleted; over
    /// a long run they would outnumber the objects. Losing this race only costs their space.
    async fn forget_notes(&self, object: &str) {
        for note in self.notes(object) {
            let _ = tokio::fs::remove_file(note).await;
        }
    }

    fn notes(&self, object: &str) -> [PathBuf; 2] {
        let (bucket, key) = (base64_url(BUCKET.as_bytes()), base64_url(object.as_bytes()));
        ["metadata", "internal"]
            .map(|kind| self.folder.join(format!(".bucket-{bucket}.object-{key}.{kind}.json")))
    }

    async fn make_bucket(&self) -> Result<(), StoreError> {
        let action = self.bucket.create_bucket(&self.credentials);
        let request = self.http.request(Method::PUT, action.sign(URL_LIFETIME));
        let sent = self.clock.timeout(REQUEST_LIMIT, request.send()).await;
        let answer = sent.map_err(transport)?.map_err(transport)?;
        match answer.status() {
            // A swarm that is resumed has its bucket already.
            status if status.is_success() || status == StatusCode::CONFLICT => Ok(()),
            status => Err(StoreError::Start(format!("making its bucket failed with {status}"))),
        }
    }

    async fn text(&self, object: &str, request: RequestBuilder) -> Result<String, StoreError> {
        let answer = self.send(object, request).await?;
        let body = self.clock.timeout(REQUEST_LIMIT, answer.text()).await;
        body.map_err(transport)?.map_err(transport)
    }

    async fn send(&self, object: &str, request: RequestBuilder) -> Result<Response, StoreError> {
        let sent = self.clock.timeout(REQUEST_LIMIT, request.send()).await;
        let answer = sent.map_err(transport)?.map_err(transport)?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let text = answer.text().await.unwrap_or_default();
        Err(refused(object, format!("{status} {text}")))
    }
}

/// Serves `folder` over S3 to whoever has the key.
async fn serve(
    folder: &Path,
    key: &str,
    secret: &str,
) -> Result<(SocketAddr, JoinHandle<()>), StoreError> {
    let files = FileSystem::new(folder).map_err(|e| StoreError::Start(format!("{e:?}")))?;
    let mut builder = S3ServiceBuilder::new(files);
    builder.set_auth(SimpleAuth::from_single(key, secret));
    let service = HandleError::new(builder.build(), |error: s3s::HttpError| async move {
        tracing::warn!(?error, "object store");
        StatusCode::INTERNAL_SERVER_ERROR
    });
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .map_err(|e| StoreError::Start(format!("no loopback port: {e}")))?;
    let address = listener.local_addr().map_err(|e| StoreError::Start(e.to_string()))?;
    let app = Router::new().fallback_service(service);
    let server = axum::serve(listener, app).into_future();
    let task = tokio::spawn(async move {
        let _ = server.await;
    });
    Ok((address, task))
}

/// Makes `folder` and proves that a file can be written there, so that a read-only folder is told at
/// the start and not by the first upload.
pub(super) fn make_writable(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let probe = folder.join(".writable");
    std::fs::write(&probe, b"1")?;
    std::fs::remove_file(probe)
}

/// An HTTP client for the swarm's own requests.
pub(super) fn client() -> reqwest::Result<Client> {
    // An error means that a provider is installed already, which is what we want.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().tls_certs_only([]).build()
}

fn random_hex(entropy: &mut Entropy) -> String {
    let mut bytes = [0_u8; 16];
    entropy.fill(&mut bytes);
    hex::encode(bytes)
}

fn transport(error: impl std::fmt::Display) -> StoreError {
    StoreError::Transport(error.to_string())
}

fn refused(object: &str, reason: String) -> StoreError {
    let reason = reason.chars().take(300).collect();
    StoreError::Refused { object: object.to_owned(), reason }
}

/// URL-safe base64 without padding, as the server names its notes.
fn base64_url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word = group.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
        let word = word << (8 * (3 - group.len()));
        for digit in 0..=group.len() {
            let index = (word >> (18 - 6 * digit)) & 63;
            out.push(char::from(DIGITS[index as usize]));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn store(folder: &Path) -> Store {
        Store::start(folder, Clock::system(), &mut Entropy::system()).await.unwrap()
    }

    async fn fetch(url: &str, range: Option<&str>) -> (u16, Vec<u8>) {
        let mut request = client().unwrap().get(url);
        if let Some(range) = range {
            request = request.header("Range", range);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.bytes().await.unwrap().to_vec())
    }

    async fn upload(url: &str, bytes: Vec<u8>) -> (u16, String) {
        let answer = client().unwrap().put(url).body(bytes).send().await.unwrap();
        let etag = answer.headers().get("etag").map(|tag| tag.to_str().unwrap().to_owned());
        (answer.status().as_u16(), etag.unwrap_or_default().trim_matches('"').to_owned())
    }

    #[test]
    fn notes_are_named_in_url_safe_base64() {
        assert_eq!(base64_url(b""), "");
        assert_eq!(base64_url(b"f"), "Zg");
        assert_eq!(base64_url(b"fo"), "Zm8");
        assert_eq!(base64_url(b"foo/bar?>"), "Zm9vL2Jhcj8-");
    }

    #[tokio::test]
    async fn presigned_urls_write_and_read_whole_objects_and_ranges() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path()).await;
        let (status, etag) = upload(&store.presign_put("a/b c"), b"0123456789".to_vec()).await;
        assert_eq!((status, etag.len()), (200, 32));
        let url = store.presign_get("a/b c");
        assert_eq!(fetch(&url, None).await, (200, b"0123456789".to_vec()));
        assert_eq!(fetch(&url, Some("bytes=2-4")).await, (206, b"234".to_vec()));
        assert_eq!(fetch(&url, Some("bytes=8-")).await, (206, b"89".to_vec()));
        assert_eq!(store.read("a/b c").await.unwrap(), b"0123456789");
    }

    #[tokio::test]
    async fn a_url_opens_one_object_for_one_purpose() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path()).await;
        store.put("mine", b"1".to_vec()).await.unwrap();
        let other = store.presign_get("mine").replace("/mine?", "/yours?");
        assert_eq!(fetch(&other, None).await.0, 403);
        assert_eq!(upload(&store.presign_get("mine"), b"2".to_vec()).await.0, 403);
        let bare = format!("http://{}/{BUCKET}/mine", store.address());
        assert_eq!(fetch(&bare, None).await.0, 403);
        assert_eq!(store.read("mine").await.unwrap(), b"1");
    }

    #[tokio::test]
    async fn a_multipart_upload_is_the_parts_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path()).await;
        let (id, urls) = store.begin_multipart("big", 3).await.unwrap();
        let parts = [vec![1_u8; 5 << 20], vec![2_u8; 5 << 20], vec![3_u8; 7]];
        let mut etags = Vec::new();
        for (url, part) in urls.iter().zip(&parts) {
            let (status, etag) = upload(url, part.clone()).await;
            assert_eq!(status, 200);
            etags.push(etag);
        }
        assert!(!store.exists("big").await);
        let etags: Vec<&str> = etags.iter().map(String::as_str).collect();
        store.complete_multipart("big", &id, &etags).await.unwrap();
        assert_eq!(store.read("big").await.unwrap(), parts.concat());
        assert!(store.complete_multipart("big", &id, &etags).await.is_err());
    }

    #[tokio::test]
    async fn a_deleted_object_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path()).await;
        store.put("x", vec![7; 100]).await.unwrap();
        assert!(store.exists("x").await);
        store.delete("x").await.unwrap();
        store.delete("x").await.unwrap();
        assert!(!store.exists("x").await);
        let left: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(left, [BUCKET]);
    }

    #[tokio::test]
    async fn objects_survive_a_restart_and_old_urls_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let first = store(folder.path()).await;
        first.put("kept", b"1".to_vec()).await.unwrap();
        let old = first.presign_get("kept");
        let old_host = first.address().to_string();
        drop(first);
        let second = store(folder.path()).await;
        assert_eq!(second.read("kept").await.unwrap(), b"1");
        let old = old.replace(&old_host, &second.address().to_string());
        assert_eq!(fetch(&old, None).await.0, 403);
    }

    #[tokio::test]
    async fn a_file_in_the_folders_place_is_told_plainly() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, b"").unwrap();
        let error = Store::start(&file, Clock::system(), &mut Entropy::system()).await.unwrap_err();
        assert!(matches!(error, StoreError::Folder { .. }), "{error}");
        assert!(error.to_string().contains("choose another folder"));
    }
}

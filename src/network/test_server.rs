//! A real HTTP server on loopback for this module's tests.

use axum::Router;

/// Serves `router` for the rest of the test; gives the base URL without a trailing slash.
pub(crate) async fn start(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

//! Who is let in: programs of this machine that know the token. A web page is not, by whatever name it
//! reached this port.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::Served;
use super::refusal::Refusal;

/// The one path that needs no token: it says only that somebody is there.
pub(super) const OPEN: &str = "/health";

/// Names of this machine that no name server can give away.
const LOOPBACK: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

/// Lets a request through, or not.
pub(super) async fn guard(
    State(served): State<Arc<Served>>,
    request: Request,
    next: Next,
) -> Response {
    match check(&served, request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    }
}

fn check(served: &Served, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
    // A page whose name was made to point at this machine still sends its own name.
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok()).ok_or(Refusal::ForeignHost)?;
    let written = uri.authority().map(Authority::as_str);
    let ours = |host: &str| is_ours(host, served.port);
    if hosts.next().is_some() || !ours(host) || !written.is_none_or(ours) {
        return Err(Refusal::ForeignHost);
    }
    let from_us = |origin: &HeaderValue| {
        let origin = origin.to_str().ok().and_then(|origin| origin.strip_prefix("http://"));
        origin.is_some_and(ours)
    };
    if !headers.get_all(header::ORIGIN).iter().all(from_us) {
        return Err(Refusal::ForeignOrigin);
    }
    if uri.path() == OPEN {
        return Ok(());
    }
    let given = headers.get(header::AUTHORIZATION).ok_or(Refusal::TokenMissing)?;
    let (scheme, token) =
        given.to_str().ok().and_then(|given| given.split_once(' ')).ok_or(Refusal::TokenWrong)?;
    let right = scheme.eq_ignore_ascii_case("bearer") && served.token.is(token.trim());
    right.then_some(()).ok_or(Refusal::TokenWrong)
}

fn is_ours(host: &str, port: u16) -> bool {
    let Some((name, written)) = host.rsplit_once(':') else { return false };
    written.parse() == Ok(port) && LOOPBACK.iter().any(|own| name.eq_ignore_ascii_case(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_with_our_port_are_ours() {
        for host in ["127.0.0.1:80", "localhost:80", "LocalHost:80", "[::1]:80"] {
            assert!(is_ours(host, 80), "{host}");
        }
        let foreign = [
            "",
            ":80",
            "127.0.0.1",
            "localhost",
            "127.0.0.1:81",
            "evil.example:80",
            "0.0.0.0:80",
            "127.0.0.1.evil.example:80",
            "localhost:80:80",
            "127.0.0.1:080x",
            "::1:80",
            "user@127.0.0.1:80",
        ];
        for host in foreign {
            assert!(!is_ours(host, 80), "{host}");
        }
    }
}

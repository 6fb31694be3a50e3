//! What the local API refuses, and how it says so: a code that scripts can rely on, what is wrong, and
//! what to do now.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// The largest body that is read.
pub(super) const LARGEST_BODY: usize = 16 * 1024;

/// A request that is not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No token.
    TokenMissing,
    /// Another token.
    TokenWrong,
    /// Sent to a name that is not this machine's own: a web page may be behind it.
    ForeignHost,
    /// Sent by a web page.
    ForeignOrigin,
    /// More than any command needs.
    TooLarge,
    /// No such path.
    UnknownPath,
    /// The path exists, the method does not.
    WrongMethod,
    /// Not a command.
    UnknownCommand(String),
    /// Not a command for a swarm.
    UnknownSwarmCommand(String),
    /// There is no practice swarm in this process.
    NoSwarm,
    /// Not a log level.
    UnknownLevel(String),
    /// A time that has passed.
    TimePassed,
    /// No own miner has this name.
    UnknownMiner {
        /// As written.
        wanted: String,
        /// Those there are.
        there: String,
    },
    /// The miner takes no commands any more.
    MinerEnded(String),
    /// Somebody must act before it trains.
    NotReady(String),
}

/// What the body says.
#[derive(Serialize)]
struct Body<'a> {
    code: &'static str,
    what: &'a str,
    fix: &'static str,
}

impl Refusal {
    /// Stable code.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::TokenMissing => "api-token-missing",
            Self::TokenWrong => "api-token-wrong",
            Self::ForeignHost => "api-foreign-host",
            Self::ForeignOrigin => "api-foreign-origin",
            Self::TooLarge => "api-too-large",
            Self::UnknownPath => "api-unknown-path",
            Self::WrongMethod => "api-wrong-method",
            Self::UnknownCommand(_) | Self::UnknownSwarmCommand(_) => "api-unknown-command",
            Self::NoSwarm => "api-no-swarm",
            Self::UnknownLevel(_) => "api-unknown-level",
            Self::TimePassed => "api-time-passed",
            Self::UnknownMiner { .. } => "api-unknown-miner",
            Self::MinerEnded(_) => "api-miner-ended",
            Self::NotReady(_) => "not-ready",
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::TokenMissing | Self::TokenWrong => StatusCode::UNAUTHORIZED,
            Self::ForeignHost | Self::ForeignOrigin => StatusCode::FORBIDDEN,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnknownPath | Self::NoSwarm | Self::UnknownMiner { .. } => StatusCode::NOT_FOUND,
            Self::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::UnknownCommand(_)
            | Self::UnknownSwarmCommand(_)
            | Self::UnknownLevel(_)
            | Self::TimePassed => StatusCode::BAD_REQUEST,
            Self::MinerEnded(_) => StatusCode::CONFLICT,
            Self::NotReady(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn what(&self) -> String {
        match self {
            Self::TokenMissing => "the request has no token".into(),
            Self::TokenWrong => "the token is not the one of this run".into(),
            Self::ForeignHost => "the request was sent to another name than this machine's".into(),
            Self::ForeignOrigin => "the request comes from a web page".into(),
            Self::TooLarge => format!("the body is larger than {LARGEST_BODY} bytes"),
            Self::UnknownPath => "there is nothing at this path".into(),
            Self::WrongMethod => "this path does not take this method".into(),
            Self::UnknownCommand(why) => format!("this is not a command: {why}"),
            Self::UnknownSwarmCommand(why) => {
                format!("this is not a command for a swarm: {why}")
            }
            Self::NoSwarm => "there is no practice swarm in this run".into(),
            Self::UnknownLevel(why) => format!("this is not a log level: {why}"),
            Self::TimePassed => "the time until which it shall last has passed".into(),
            Self::UnknownMiner { wanted, there } => {
                format!("there is no miner {wanted:?} here, only {there}")
            }
            Self::MinerEnded(name) => format!("{name} has ended"),
            Self::NotReady(why) => why.clone(),
        }
    }

    fn fix(&self) -> &'static str {
        match self {
            Self::TokenMissing => {
                "send the header \"Authorization: Bearer TOKEN\" with the token in the file \
                 api.token of the state folder"
            }
            Self::TokenWrong => "read the file api.token again: each start draws a new token",
            Self::ForeignHost => "use 127.0.0.1 or localhost, and the port in the file api.json",
            Self::ForeignOrigin => "leave the header Origin out; pages in a browser are not let in",
            Self::TooLarge => "send one command at a time",
            Self::UnknownPath => "docs/api.md lists what there is",
            Self::WrongMethod => "docs/api.md says how each path is asked",
            Self::UnknownCommand(_) => {
                "send one such as {\"to\":\"all\",\"command\":\"pause\"}; docs/api.md lists them"
            }
            Self::UnknownSwarmCommand(_) => {
                "send one such as {\"command\":\"write\"}; docs/api.md lists them"
            }
            Self::NoSwarm => "`hearth demo` and `hearth run --network practice` have one",
            Self::UnknownLevel(_) => "send one such as {\"level\":\"debug\"}",
            Self::TimePassed => "send a time in the future, in seconds since 1970",
            Self::UnknownMiner { .. } => "name one of those, or \"all\"",
            Self::MinerEnded(_) => "start it again",
            Self::NotReady(_) => "`hearth status` says more",
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let what = self.what();
        let body = Body { code: self.code(), what: &what, fix: self.fix() };
        let mut response = (self.status(), axum::Json(body)).into_response();
        if self.status() == StatusCode::UNAUTHORIZED {
            let scheme = axum::http::HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}

//! Questions to services over D-Bus. A connection is kept as long as it works; no service is started by
//! a question.

use std::path::Path;
use std::time::Duration;

use dbus::Message;
use dbus::arg::{AppendAll, Arg, Get, ReadAll, Variant};
use dbus::channel::Channel;

use crate::host::Roots;
use crate::host::surroundings::Variables;

/// A service that lives answers at once.
const LIMIT: Duration = Duration::from_secs(1);

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::host) enum BusError {
    /// There is no bus, or it lets nobody in.
    #[error("there is no message bus here")]
    NoBus,
    /// The service is not there.
    #[error("nobody answers for {0}")]
    NoService(String),
    /// The service refuses, or is silent.
    #[error("{service} does not say: {why}")]
    Refused {
        /// Who.
        service: String,
        /// In the bus's words.
        why: String,
    },
}

/// A place on a bus: service, object, interface.
#[derive(Clone, Copy, Debug)]
pub(in crate::host) struct Object<'a> {
    pub(in crate::host) service: &'a str,
    pub(in crate::host) path: &'a str,
    pub(in crate::host) interface: &'a str,
}

/// The address of the system's bus.
pub(in crate::host) fn system_address(roots: &Roots, variables: &Variables) -> Option<String> {
    if let Some(address) = said(variables, "DBUS_SYSTEM_BUS_ADDRESS") {
        return Some(address);
    }
    at(&roots.run.join("dbus/system_bus_socket"))
}

/// The address of the bus of the user's session. None is started where there is none.
pub(in crate::host) fn session_address(variables: &Variables) -> Option<String> {
    said(variables, "DBUS_SESSION_BUS_ADDRESS")
        .or_else(|| at(&Path::new(variables.get("XDG_RUNTIME_DIR")?).join("bus")))
}

fn said(variables: &Variables, name: &str) -> Option<String> {
    // `autolaunch:` would start a bus that nobody else is on.
    variables.get(name).filter(|text| !text.is_empty() && !text.starts_with("autolaunch:")).cloned()
}

fn at(socket: &Path) -> Option<String> {
    socket.exists().then(|| format!("unix:path={}", socket.display()))
}

/// A bus.
pub(in crate::host) struct Bus {
    address: Option<String>,
    channel: Option<Channel>,
}

impl Bus {
    pub(in crate::host) fn new(address: Option<String>) -> Self {
        Self { address, channel: None }
    }

    /// A property of an object.
    pub(in crate::host) fn property<T>(&mut self, at: Object<'_>, name: &str) -> Result<T, BusError>
    where
        T: Arg + for<'z> Get<'z> + 'static,
    {
        let of = at.interface;
        let at = Object { interface: "org.freedesktop.DBus.Properties", ..at };
        self.call::<(Variant<T>,)>(at, "Get", (of, name)).map(|(value,)| value.0)
    }

    /// What a method gives.
    pub(in crate::host) fn call<R: ReadAll>(
        &mut self,
        at: Object<'_>,
        method: &str,
        arguments: impl AppendAll,
    ) -> Result<R, BusError> {
        let refused = |why: String| BusError::Refused { service: at.service.to_owned(), why };
        let mut message =
            Message::new_method_call(at.service, at.path, at.interface, method).map_err(refused)?;
        message.set_auto_start(false);
        message.append_all(arguments);
        let answer = match self.channel()?.send_with_reply_and_block(message, LIMIT) {
            Ok(answer) => answer,
            Err(error) => return Err(self.judge(at.service, &error)),
        };
        answer.read_all().map_err(|error| refused(error.to_string()))
    }

    fn channel(&mut self) -> Result<&Channel, BusError> {
        if self.channel.as_ref().is_some_and(|channel| !channel.is_connected()) {
            self.channel = None;
        }
        if self.channel.is_none() {
            let address = self.address.as_deref().ok_or(BusError::NoBus)?;
            let mut channel = Channel::open_private(address).map_err(|_| BusError::NoBus)?;
            channel.register().map_err(|_| BusError::NoBus)?;
            self.channel = Some(channel);
        }
        self.channel.as_ref().ok_or(BusError::NoBus)
    }

    fn judge(&mut self, service: &str, error: &dbus::Error) -> BusError {
        let service = service.to_owned();
        match error.name().unwrap_or_default() {
            "org.freedesktop.DBus.Error.ServiceUnknown"
            | "org.freedesktop.DBus.Error.NameHasNoOwner" => BusError::NoService(service),
            "org.freedesktop.DBus.Error.Disconnected" => {
                self.channel = None;
                BusError::NoBus
            }
            _ => {
                let why = error.message().unwrap_or("it gives no reason").to_owned();
                BusError::Refused { service, why }
            }
        }
    }
}

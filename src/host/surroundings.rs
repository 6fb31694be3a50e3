//! What this process runs in: a container, WSL, a session over SSH, a service. Each takes something
//! away that a desktop has: the card's driver, the keyring, a way in from outside.

use std::collections::BTreeMap;

use super::{Roots, text};

/// Variables of the environment, as far as anybody looks at them.
pub type Variables = BTreeMap<String, String>;

/// What kind of a box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// Docker.
    Docker,
    /// Podman.
    Podman,
    /// A pod of Kubernetes.
    Kubernetes,
    /// LXC, systemd-nspawn, or one that does not say.
    Other,
}

/// What this process runs in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// The container, if it is one.
    pub container: Option<Container>,
    /// Linux inside Windows.
    pub wsl: bool,
    /// A login from another machine.
    pub ssh: bool,
    /// Started as a service, without anybody at a desktop.
    pub service: bool,
    /// The system is run by systemd.
    pub systemd: bool,
    /// There is a desktop to show windows on.
    pub desktop: bool,
}

impl Surroundings {
    /// Looks around.
    pub fn look(roots: &Roots, variables: &Variables) -> Self {
        let has = |name: &str| variables.get(name).is_some_and(|value| !value.is_empty());
        Self {
            container: container(roots, variables),
            wsl: is_wsl(roots, variables),
            ssh: has("SSH_CONNECTION") || has("SSH_TTY"),
            service: has("INVOCATION_ID") && !has("TERM"),
            systemd: roots.run.join("systemd/system").is_dir(),
            desktop: has("DISPLAY") || has("WAYLAND_DISPLAY"),
        }
    }
}

/// The variables of this process.
pub fn variables() -> Variables {
    let all = std::env::vars_os();
    all.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// The kernel of WSL has its maker in its name.
fn is_wsl(roots: &Roots, variables: &Variables) -> bool {
    let release = text(&roots.proc.join("sys/kernel/osrelease")).unwrap_or_default().to_lowercase();
    // A container on WSL has the same kernel, and the same troubles.
    release.contains("microsoft") || variables.contains_key("WSL_DISTRO_NAME")
}

fn container(roots: &Roots, variables: &Variables) -> Option<Container> {
    if variables.contains_key("KUBERNETES_SERVICE_HOST") {
        return Some(Container::Kubernetes);
    }
    if roots.run.join(".containerenv").exists() {
        return Some(Container::Podman);
    }
    if roots.root.join(".dockerenv").exists() {
        return Some(Container::Docker);
    }
    let named =
        text(&roots.run.join("systemd/container")).or_else(|| variables.get("container").cloned());
    match named.as_deref() {
        Some("docker") => return Some(Container::Docker),
        Some("podman") => return Some(Container::Podman),
        // WSL calls itself a container; it is told on its own.
        Some("wsl") | None => {}
        Some(_) => return Some(Container::Other),
    }
    let groups = text(&roots.proc.join("1/cgroup")).unwrap_or_default();
    match () {
        () if groups.contains("kubepods") => Some(Container::Kubernetes),
        () if groups.contains("/docker/") => Some(Container::Docker),
        () if groups.contains("/lxc/") => Some(Container::Other),
        () => None,
    }
}

/// Whether services of this user go on after the last logout (`loginctl enable-linger`); none where
/// systemd does not run things, or the user has no name.
pub fn lingers(roots: &Roots, variables: &Variables) -> Option<bool> {
    if !roots.run.join("systemd/system").is_dir() {
        return None;
    }
    let user = variables.get("USER").or_else(|| variables.get("LOGNAME"))?;
    let plain = !user.is_empty() && !user.contains(['/', '.']);
    plain.then(|| roots.var.join("lib/systemd/linger").join(user).exists())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::trees::tree;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn wsl_is_known_by_its_kernel() {
        let kernel = "5.15.153.1-microsoft-standard-WSL2\n";
        let (_folder, roots) =
            tree(&[("proc/sys/kernel/osrelease", kernel), ("run/systemd/container", "wsl\n")]);
        let here = Surroundings::look(&roots, &Variables::new());
        assert!(here.wsl && here.container.is_none(), "{here:?}");
        let (_folder, roots) = tree(&[("proc/sys/kernel/osrelease", "6.8.0-41-generic\n")]);
        assert_eq!(Surroundings::look(&roots, &Variables::new()), Surroundings::default());
    }

    #[test]
    fn containers_are_known_by_what_they_leave() {
        for (path, content, kind) in [
            (".dockerenv", "", Container::Docker),
            ("run/.containerenv", "", Container::Podman),
            ("run/systemd/container", "systemd-nspawn", Container::Other),
            ("proc/1/cgroup", "0::/kubepods/besteffort/pod1", Container::Kubernetes),
            ("proc/1/cgroup", "12:cpu:/docker/0123", Container::Docker),
        ] {
            let (_folder, roots) = tree(&[(path, content)]);
            let here = Surroundings::look(&roots, &Variables::new());
            assert_eq!(here.container, Some(kind), "{path}");
        }
    }

    #[test]
    fn sessions_and_services_are_known_by_their_variables() {
        let (_folder, roots) = tree(&[("run/systemd/system/x", "")]);
        let ssh = variables(&[("SSH_CONNECTION", "192.0.2.1 5 192.0.2.2 22"), ("TERM", "xterm")]);
        let here = Surroundings::look(&roots, &ssh);
        assert!(here.ssh && here.systemd && !here.service && !here.desktop, "{here:?}");
        let here = Surroundings::look(&roots, &variables(&[("INVOCATION_ID", "ab")]));
        assert!(here.service, "{here:?}");
    }

    #[test]
    fn lingering_is_a_file_with_the_users_name() {
        let (_folder, roots) =
            tree(&[("run/systemd/system/x", ""), ("var/lib/systemd/linger/ada", "")]);
        assert_eq!(lingers(&roots, &variables(&[("USER", "ada")])), Some(true));
        assert_eq!(lingers(&roots, &variables(&[("USER", "bob")])), Some(false));
        assert_eq!(lingers(&roots, &variables(&[("USER", "../x")])), None);
        assert_eq!(lingers(&tree(&[]).1, &variables(&[("USER", "ada")])), None);
    }
}

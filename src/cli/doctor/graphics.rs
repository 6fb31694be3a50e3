//! Checks of the card: whether its driver is there, may be used, and is found by Vulkan; which device
//! computes, whether its kernels are right, and what fits. Only Linux leaves files that tell of the
//! driver; other systems bring it along.

use super::finding::Judgement;
use super::scope::Scope;
use crate::cli::devices::{Chosen, Fit, Survey, Verdict, survey};
use crate::host::graphics::{Access, DriverFiles, Maker};
use crate::host::surroundings::Surroundings;

/// The one look at the devices, which several checks speak of.
pub(super) async fn surveyed(scope: &Scope) -> Result<&Survey, Judgement> {
    let folders = scope.folders.as_ref().ok().cloned();
    let look = || async move {
        let looked = tokio::task::spawn_blocking(move || survey(folders.as_ref())).await;
        looked.map_err(|error| error.to_string())
    };
    // A driver that falls over while it lists its cards must not take the doctor along.
    scope.survey.get_or_init(look).await.as_ref().map_err(|why| {
        let what = format!("The graphics driver broke while it listed its cards ({why}).");
        Judgement::error(
            "driver-broken",
            what,
            "Restart the machine; if that does not help, install the driver again.",
        )
    })
}

/// Which device computes, and why.
pub(super) async fn device(scope: &Scope) -> Judgement {
    surveyed(scope).await.map_or_else(|broken| broken, judge_device)
}

fn judge_device(survey: &Survey) -> Judgement {
    let (name, why) = (survey.chosen_name(), &survey.why);
    match survey.chosen {
        Chosen::Adapter(_) => Judgement::fine(format!("{name} computes: {why}.")),
        Chosen::Processor => Judgement::warning(
            "processor-only",
            format!("The processor computes ({name}): {why}. It is too slow to earn anything."),
            "`hearth devices` tells of each GPU why it is refused.",
        ),
    }
}

/// Whether the kernels of the device are known to be right.
pub(super) async fn kernels(scope: &Scope) -> Judgement {
    let survey = match surveyed(scope).await {
        Ok(survey) => survey,
        Err(broken) => return broken,
    };
    match survey.chosen_adapter() {
        None => refused_by_test(survey).unwrap_or_else(|| {
            Judgement::fine(
                "The processor's kernels are the reference, so there is nothing to test.",
            )
        }),
        Some(adapter) => judge_kernels(&adapter.name, adapter.verdict.as_ref()),
    }
}

/// A card that is not taken since its kernels are wrong.
fn refused_by_test(survey: &Survey) -> Option<Judgement> {
    let refused = survey
        .adapters
        .iter()
        .find_map(|adapter| Some((&adapter.name, adapter.verdict.as_ref()?.refusal.as_ref()?)));
    let (name, why) = refused?;
    let what = format!("{name} failed its self-test ({why}), so the processor computes.");
    Some(Judgement::error(
        "kernel-failed",
        what,
        "Update the graphics driver; `hearth devices --test` tests again.",
    ))
}

fn judge_kernels(name: &str, verdict: Option<&Verdict>) -> Judgement {
    let Some(verdict) = verdict else {
        return Judgement::note(
            "kernels-untested",
            format!("The kernels were not tested on {name} with this driver yet."),
            "It is done at the first start; `hearth devices --test` does it now.",
        );
    };
    let replaced = verdict.kinds.iter().filter(|kind| kind.outcome == "replaced");
    let replaced: Vec<&str> = replaced.map(|kind| kind.kernel.as_str()).collect();
    if replaced.is_empty() {
        return Judgement::fine(format!(
            "All kernels are right on {name} ({} cases).",
            verdict.cases
        ));
    }
    let what = format!(
        "On {name} the fast form of some kernels is wrong, so a slower one runs: {}.",
        replaced.join(", ")
    );
    Judgement::warning(
        "kernel-replaced",
        what,
        "Update the graphics driver; `hearth devices --test` tests again.",
    )
}

/// Whether any stage of a real run fits.
pub(super) async fn fits(scope: &Scope) -> Judgement {
    match surveyed(scope).await {
        Ok(survey) => judge_fit(survey.chosen_name(), survey.chosen_fit().as_ref()),
        Err(broken) => broken,
    }
}

fn judge_fit(name: &str, fit: Option<&Fit>) -> Judgement {
    let Some(fit) = fit else {
        let what = format!("Nobody tells how much memory {name} has, so what fits is not known.");
        return Judgement::note(
            "fit-unknown",
            what,
            "A stage that does not fit is refused when it is given.",
        );
    };
    if fit.head.or(fit.body).or(fit.tail).is_none() {
        let what = format!("{name} has too little memory for any stage of a real run.");
        return Judgement::warning(
            "nothing-fits",
            what,
            "Close other programs, or use a machine with more memory. The practice swarm runs all the same.",
        );
    }
    Judgement::fine(format!("What fits on {name}: {}.", fit.words()))
}

/// Whether the driver's files are in order.
pub(super) fn driver(scope: &Scope) -> Judgement {
    if !cfg!(target_os = "linux") {
        return Judgement::fine("This system brings its graphics driver along.");
    }
    judge(&DriverFiles::look(&scope.roots, &scope.variables), &scope.here)
}

fn judge(files: &DriverFiles, here: &Surroundings) -> Judgement {
    let by_wsl = if here.wsl { wsl(files) } else { None };
    by_wsl
        .or_else(|| locked_out(files))
        .or_else(|| in_a_container(files, here))
        .or_else(|| without_vulkan(files))
        .unwrap_or_else(|| what_is_there(files))
}

fn wsl(files: &DriverFiles) -> Option<Judgement> {
    const FIX: &str = "Use Hearth for Windows itself: it reaches the card directly.";
    let what = match (files.dxg, files.has_vulkan_of(Maker::Other)) {
        (false, _) => {
            "WSL does not pass the card through (there is no /dev/dxg), so only the processor computes."
        }
        (true, false) => {
            "WSL passes the card through, but has no Vulkan driver for it, so only the processor computes."
        }
        (true, true) => return None,
    };
    Some(Judgement::warning("wsl-no-adapter", what, FIX))
}

/// A node that exists and may not be opened.
fn locked_out(files: &DriverFiles) -> Option<Judgement> {
    if files.nodes.iter().any(|node| node.access == Access::Open) {
        return None;
    }
    let node = files.nodes.first()?;
    let path = node.path.display();
    Some(match &node.access {
        Access::Denied(group) => {
            let group = group.as_deref().unwrap_or("render");
            let what =
                format!("This user may not use the card: {path} belongs to the group {group}.");
            let fix = format!("Run `sudo usermod -aG {group} $USER`, log out, and log in again.");
            Judgement::error("render-group", what, fix)
        }
        Access::Broken(why) => {
            let what = format!("The card's device {path} does not answer ({why}).");
            Judgement::error(
                "driver-broken",
                what,
                "Restart the machine; if that does not help, install the driver again.",
            )
        }
        Access::Open => return None,
    })
}

/// NVIDIA's driver puts only those parts into a container that its start asks for.
fn in_a_container(files: &DriverFiles, here: &Surroundings) -> Option<Judgement> {
    here.container?;
    let given = files.nvidia_capabilities.as_deref();
    let lacks = given.is_some_and(|given| {
        !given.split(',').any(|part| matches!(part.trim(), "all" | "graphics"))
    });
    let nvidia = files.nvidia_kernel || given.is_some();
    if !nvidia || (!lacks && files.has_vulkan_of(Maker::Nvidia)) {
        return None;
    }
    let what =
        "This container has NVIDIA's driver without its graphics part, so Vulkan finds no card.";
    let fix = "Start it with `--gpus all -e NVIDIA_DRIVER_CAPABILITIES=all`.";
    Some(Judgement::error("container-graphics", what, fix))
}

fn without_vulkan(files: &DriverFiles) -> Option<Judgement> {
    let maker = files.makers.iter().find(|maker| **maker != Maker::Other)?;
    if files.makers.iter().any(|maker| files.has_vulkan_of(*maker)) {
        return None;
    }
    let (name, fix) = match maker {
        Maker::Nvidia => (
            "NVIDIA",
            "Install NVIDIA's driver with the system's driver tool (it brings Vulkan along), and restart.",
        ),
        Maker::Amd => ("AMD", INSTALL_MESA),
        Maker::Intel | Maker::Other => ("Intel", INSTALL_MESA),
    };
    let what = format!("There is a card of {name}, but no Vulkan driver for it.");
    Some(Judgement::error("no-vulkan-driver", what, fix))
}

const INSTALL_MESA: &str = "Install Mesa's Vulkan drivers: `sudo apt install mesa-vulkan-drivers`, `sudo dnf \
                            install mesa-vulkan-drivers`, or the like.";

fn what_is_there(files: &DriverFiles) -> Judgement {
    let card = !files.nodes.is_empty()
        || files.makers.iter().any(|maker| *maker != Maker::Other)
        || files.dxg;
    if !card && !files.nvidia_kernel {
        return Judgement::warning(
            "no-graphics-card",
            "There is no graphics card here, only the processor, which is too slow to earn anything.",
            "The practice swarm runs all the same: `hearth demo`. To earn, use a machine with a card.",
        );
    }
    Judgement::fine(format!("The card's driver is in place ({} Vulkan files).", files.vulkan.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::graphics::RenderNode;
    use crate::host::surroundings::Container;

    fn node(access: Access) -> Vec<RenderNode> {
        vec![RenderNode { path: "/dev/dri/renderD128".into(), access }]
    }

    fn judged(files: &DriverFiles, here: &Surroundings) -> (&'static str, String) {
        match judge(files, here) {
            Judgement::Fine(_) => ("fine", String::new()),
            Judgement::Trouble { code, fix, .. } => (code, fix),
        }
    }

    #[test]
    fn each_trouble_of_linux_is_told_with_its_fix() {
        let home = Surroundings::default();
        let vulkan = |name: &str| vec![format!("/usr/share/vulkan/icd.d/{name}.json").into()];
        let denied = DriverFiles {
            nodes: node(Access::Denied(Some("render".into()))),
            makers: vec![Maker::Amd],
            vulkan: vulkan("radeon_icd"),
            ..DriverFiles::default()
        };
        let (code, fix) = judged(&denied, &home);
        assert!(code == "render-group" && fix.contains("usermod -aG render"), "{code} {fix}");
        let fine = DriverFiles { nodes: node(Access::Open), ..denied.clone() };
        assert_eq!(judged(&fine, &home).0, "fine");
        let bare = DriverFiles { vulkan: vec![], ..fine.clone() };
        assert_eq!(judged(&bare, &home).0, "no-vulkan-driver");
        let broken = DriverFiles { nodes: node(Access::Broken("No such device".into())), ..fine };
        assert_eq!(judged(&broken, &home).0, "driver-broken");
        assert_eq!(judged(&DriverFiles::default(), &home).0, "no-graphics-card");
    }

    #[test]
    fn what_fits_and_what_is_tested_is_told() {
        let code = |judgement| match judgement {
            Judgement::Fine(_) => "fine",
            Judgement::Trouble { code, .. } => code,
        };
        let fit = |body| Fit { layers_of_model: 16, head: None, body, tail: None, one_layer: 1 };
        assert_eq!(code(judge_fit("card", Some(&fit(Some(4))))), "fine");
        assert_eq!(code(judge_fit("card", Some(&fit(None)))), "nothing-fits");
        assert_eq!(code(judge_fit("card", None)), "fit-unknown");
        assert_eq!(code(judge_kernels("card", None)), "kernels-untested");
    }

    #[test]
    fn a_container_needs_the_graphics_part() {
        let boxed = Surroundings { container: Some(Container::Docker), ..Surroundings::default() };
        let compute = DriverFiles {
            nvidia_kernel: true,
            nvidia_capabilities: Some("compute,utility".into()),
            ..DriverFiles::default()
        };
        let (code, fix) = judged(&compute, &boxed);
        assert!(
            code == "container-graphics" && fix.contains("NVIDIA_DRIVER_CAPABILITIES"),
            "{fix}"
        );
        let all = DriverFiles {
            nvidia_capabilities: Some("all".into()),
            vulkan: vec!["/etc/vulkan/icd.d/nvidia_icd.json".into()],
            ..compute
        };
        assert_eq!(judged(&all, &boxed).0, "fine");
    }

    #[test]
    fn wsl_is_sent_to_windows() {
        let wsl = Surroundings { wsl: true, ..Surroundings::default() };
        assert_eq!(judged(&DriverFiles::default(), &wsl).0, "wsl-no-adapter");
        let passed = DriverFiles { dxg: true, ..DriverFiles::default() };
        assert_eq!(judged(&passed, &wsl).0, "wsl-no-adapter");
        let vulkan = vec!["/usr/share/vulkan/icd.d/dzn_icd.json".into()];
        assert_eq!(judged(&DriverFiles { vulkan, ..passed }, &wsl).0, "fine");
    }
}

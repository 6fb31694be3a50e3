//! Uninstalling: exactly what was installed goes; keys and data stay unless somebody says otherwise.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Output};

use crate::world::{World, output, refused, said, tree, well};

/// Hearth's folders in use, with a key.
fn in_use(world: &World) {
    for file in [
        ".local/share/hearth/keys/mine.key",
        ".local/share/hearth/ledger",
        ".config/hearth/config.toml",
        ".local/state/hearth/log",
        ".cache/hearth/kernels",
    ] {
        let path = world.home().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }
}

fn uninstall(world: &World, flags: &[&str]) -> Output {
    output(world.installer().arg("--uninstall").args(flags))
}

#[test]
fn keys_and_data_stay_and_it_says_where() {
    let world = World::new(&["0.1.0"]);
    fs::create_dir_all(world.local("bin")).unwrap();
    fs::write(world.local("bin/other"), "not ours").unwrap();
    in_use(&world);
    let before = tree(&world.home());
    well(&output(&mut world.install()));
    let said = well(&uninstall(&world, &[]));
    for folder in [".local/share/hearth", ".config/hearth", ".local/state/hearth", ".cache/hearth"]
    {
        let path = world.home().join(folder).display().to_string();
        assert!(said.contains(&path), "{path} is missing in: {said}");
    }
    world.assert_untouched(&before);
    let said = well(&uninstall(&world, &[]));
    assert!(said.contains("There is no Hearth under"), "{said}");
    world.assert_untouched(&before);
}

#[test]
fn everything_but_the_keys_goes_when_asked() {
    let world = World::new(&["0.1.0"]);
    well(&output(&mut world.install()));
    in_use(&world);
    let said = well(&uninstall(&world, &["--keep-keys", "--yes"]));
    assert!(said.contains("Kept: ") && said.contains("share/hearth/keys"), "{said}");
    let left: Vec<_> = tree(&world.home()).into_iter().filter(|(_, file)| file.is_some()).collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(left[0].0.ends_with("share/hearth/keys/mine.key"), "{left:?}");
}

#[test]
fn a_purge_takes_everything_of_hearths_and_nothing_else() {
    let world = World::new(&["0.1.0"]);
    for other in [".bittensor/wallets/w/hotkeys/h", ".config/other/settings", ".cache/other"] {
        let path = world.home().join(other);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "not ours").unwrap();
    }
    fs::create_dir_all(world.local("state")).unwrap();
    let before = tree(&world.home());
    well(&output(&mut world.install()));
    in_use(&world);
    let said = well(&uninstall(&world, &["--purge", "--yes"]));
    assert!(said.contains("stay there: mine") && said.contains("not touched"), "{said}");
    // The share folder was made by the installer, so it went with the last file in it.
    world.assert_untouched(&before);
}

#[test]
fn a_purge_finds_the_folders_where_hearth_was_told_to_keep_them() {
    let world = World::new(&["0.1.0"]);
    well(&output(&mut world.install()));
    in_use(&world);
    let home = world.path("elsewhere");
    for folder in ["data/keys", "config", "state", "cache", "other"] {
        fs::create_dir_all(home.join(folder)).unwrap();
    }
    let mut purge = world.installer();
    well(&output(purge.args(["--uninstall", "--purge", "--yes"]).env("HEARTH_HOME", &home)));
    let left: Vec<_> = tree(&home).into_keys().collect();
    assert_eq!(left, ["other"].map(std::path::PathBuf::from));
    assert!(world.local("share/hearth/keys/mine.key").exists());
}

#[test]
fn nothing_is_deleted_where_nobody_can_be_asked() {
    let world = World::new(&["0.1.0"]);
    well(&output(&mut world.install()));
    in_use(&world);
    let before = tree(&world.home());
    // Without a terminal of its own.
    let inside = uninstall_command(&world, &["--purge"]);
    let mut command = Command::new("setsid");
    command.args(["--wait", "sh"]).args(inside.get_args()).env_clear();
    command.envs(inside.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = output(command.process_group(0));
    refused(&output, 1, &["nothing was deleted", "--yes", "share/hearth"]);
    world.assert_untouched(&before);
}

fn uninstall_command(world: &World, flags: &[&str]) -> Command {
    let mut command = world.installer();
    command.arg("--uninstall").args(flags);
    command
}

#[test]
fn a_purge_happens_only_after_the_word_is_typed() {
    for (typed, deleted) in [("yes", false), ("delete", true)] {
        let world = World::new(&["0.1.0"]);
        well(&output(&mut world.install()));
        in_use(&world);
        let told = in_a_terminal(&uninstall_command(&world, &["--purge"]), typed);
        assert!(told.contains("deletes for ever") && told.contains("Coins"), "{told}");
        assert_eq!(!world.local("share/hearth").exists(), deleted, "{told}");
        assert_eq!(!world.local("bin/hearth").exists(), deleted, "{told}");
    }
}

/// Runs a command in a terminal, types a line when it asks, and returns what it wrote.
fn in_a_terminal(command: &Command, typed: &str) -> String {
    use std::io::{Read as _, Write as _};
    let size = portable_pty::PtySize { rows: 24, cols: 200, ..portable_pty::PtySize::default() };
    let pair = portable_pty::native_pty_system().openpty(size).unwrap();
    let mut builder = portable_pty::CommandBuilder::new(command.get_program());
    builder.args(command.get_args());
    builder.env_clear();
    for (name, value) in command.get_envs() {
        builder.env(name, value.unwrap());
    }
    let mut child = pair.slave.spawn_command(builder).unwrap();
    drop(pair.slave);
    let mut reader = pair.master.try_clone_reader().unwrap();
    let mut writer = pair.master.take_writer().unwrap();
    let (mut text, mut answered, mut buffer) = (String::new(), false, [0; 1024]);
    // The end of a terminal is an error on Linux.
    while let Ok(count @ 1..) = reader.read(&mut buffer) {
        text += &String::from_utf8_lossy(&buffer[..count]);
        if !answered && text.contains("to go on: ") {
            writeln!(writer, "{typed}").unwrap();
            answered = true;
        }
    }
    child.wait().unwrap();
    text
}

#[test]
fn an_installation_that_was_killed_half_way_can_be_removed_or_repeated() {
    for repeat in [false, true] {
        let world = World::new(&["0.1.0"]);
        let before = tree(&world.home());
        // Dies hard when the second file is placed, with no time to clean up.
        let count = world.path("count");
        let mv = format!(
            "echo >>'{count}'\n[ $(wc -l <'{count}') -ne 3 ] || {{ kill -9 $PPID; exit 1; }}\nexec /bin/mv \"$@\"",
            count = count.display()
        );
        crate::world::script(&world.path("tools/mv"), &mv);
        let path = format!("{}:/usr/bin:/bin", world.path("tools").display());
        let killed = output(world.install().env("PATH", path));
        assert_eq!(killed.status.code(), None, "{}", said(&killed));
        assert!(world.local("lib/hearth/manifest").exists());
        for left in fs::read_dir(world.temporary()).unwrap() {
            fs::remove_dir_all(left.unwrap().path()).unwrap();
        }
        if repeat {
            well(&output(&mut world.install()));
            assert_eq!(world.installed_version(), "hearth 0.1.0");
        }
        well(&uninstall(&world, &[]));
        world.assert_untouched(&before);
    }
}

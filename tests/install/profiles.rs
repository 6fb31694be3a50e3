//! The line in the shell's profile: the right file, only when it is missing, only after saying so,
//! and gone afterwards.

use std::fs;

use crate::world::{World, output, tree, well};

fn block(text: &str) -> usize {
    text.matches("# >>> hearth").count()
}

#[test]
fn each_shell_gets_the_line_where_it_looks() {
    for (shell, files) in [
        ("/bin/bash", &[".bashrc", ".profile"][..]),
        ("/usr/bin/zsh", &[".zshenv"]),
        ("/usr/bin/fish", &[".config/fish/conf.d/hearth.fish"]),
        ("/bin/dash", &[".profile"]),
    ] {
        let world = World::new(&["0.1.0"]);
        let said = well(&output(world.install().env("SHELL", shell)));
        for file in files {
            let path = world.home().join(file);
            assert!(said.contains(&format!("adding it in {}", path.display())), "{shell}: {said}");
            assert_eq!(block(&fs::read_to_string(&path).unwrap()), 1, "{shell}: {file}");
        }
        let profiles = tree(&world.home());
        let profiles = profiles
            .iter()
            .filter(|(name, content)| content.is_some() && !name.starts_with(".local"));
        assert_eq!(profiles.count(), files.len(), "{shell}");
        let again = well(&output(world.install().env("SHELL", shell)));
        assert!(!again.contains("adding"), "{again}");
        well(&output(world.installer().arg("--uninstall")));
        assert!(tree(&world.home()).is_empty(), "{shell}: {:?}", tree(&world.home()).keys());
    }
}

#[test]
fn the_line_works_in_a_plain_shell_and_in_zsh_syntax() {
    let world = World::new(&["0.1.0"]);
    well(&output(world.install().env("SHELL", "/bin/sh")));
    let found = output(world.shell("sh").args(["-c", ". \"$HOME/.profile\"; hearth --version"]));
    assert_eq!(well(&found), "hearth 0.1.0\n");
    let twice = ". \"$HOME/.profile\"; . \"$HOME/.profile\"; echo \"$PATH\"";
    let path = well(&output(world.shell("sh").args(["-c", twice])));
    assert_eq!(path.matches(".local/bin").count(), 1, "{path}");
    let zsh = World::new(&["0.1.0"]);
    well(&output(zsh.install().env("SHELL", "/bin/zsh").env("ZDOTDIR", zsh.home().join("z"))));
    let line = fs::read_to_string(zsh.home().join("z/.zshenv")).unwrap();
    let functions = format!("fpath=('{}' $fpath)", zsh.local("share/zsh/site-functions").display());
    assert!(line.contains(&functions), "{line}");
    assert!(zsh.local("share/zsh/site-functions/_hearth").exists());
}

#[test]
fn profiles_are_left_alone_when_asked_when_not_needed_and_when_unknown() {
    let world = World::new(&["0.1.0"]);
    let with_bin = format!("/usr/bin:/bin:{}", world.local("bin").display());
    let line = "*) PATH=";
    for (flag, path, shell, told) in [
        ("--no-modify-path", "/usr/bin:/bin", "/bin/bash", true),
        ("--yes", with_bin.as_str(), "/bin/bash", false),
        ("--yes", "/usr/bin:/bin", "/usr/bin/nu", true),
    ] {
        let mut install = world.install();
        let said = well(&output(install.arg(flag).env("PATH", path).env("SHELL", shell)));
        assert_eq!(said.contains(line), told, "{flag} {shell}: {said}");
        let names: Vec<_> = tree(&world.home()).into_keys().collect();
        assert!(names.iter().all(|name| name.starts_with(".local")), "{flag} {shell}: {names:?}");
    }
}

#[test]
fn a_profile_of_the_users_comes_back_as_it_was() {
    let world = World::new(&["0.1.0"]);
    let mine = "export EDITOR='vi' # >>> not hearth >>>\n\\n $HOME `x`\n";
    fs::create_dir_all(world.home().join("dotfiles")).unwrap();
    fs::write(world.home().join("dotfiles/bashrc"), mine).unwrap();
    std::os::unix::fs::symlink("dotfiles/bashrc", world.home().join(".bashrc")).unwrap();
    // Its last line has no end.
    fs::write(world.home().join(".bash_profile"), ". ~/.bashrc").unwrap();
    fs::write(world.home().join(".profile"), "# not read by bash here\n").unwrap();
    let before = tree(&world.home());
    well(&output(&mut world.install()));
    assert_eq!(block(&fs::read_to_string(world.home().join("dotfiles/bashrc")).unwrap()), 1);
    assert!(world.home().join(".bashrc").is_symlink());
    let login = output(world.shell("bash").args(["-lc", "hearth --version"]));
    assert!(well(&login).contains("hearth 0.1.0"));
    well(&output(world.installer().arg("--uninstall")));
    let ended = fs::read_to_string(world.home().join(".bash_profile")).unwrap();
    assert_eq!(ended, ". ~/.bashrc\n");
    fs::write(world.home().join(".bash_profile"), ". ~/.bashrc").unwrap();
    world.assert_untouched(&before);
}

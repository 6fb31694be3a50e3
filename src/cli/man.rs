//! `hearth man`: the manual, one page per command, made from the one definition of the arguments so
//! that it cannot fall behind them.

use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory as _};

use clap_mangen::roff::{Roff, bold, roman};

use super::{Arguments, Exit, Failure, completions, reference};
use crate::config::folders;

/// Print the manual page of `hearth`, or write the pages of all commands into a folder.
#[derive(Clone, Debug, Args)]
pub struct ManArguments {
    /// Where the pages go (hearth.1, hearth-demo.1, ...); without it the first is printed
    #[arg(value_name = "FOLDER")]
    pub folder: Option<PathBuf>,
}

/// One manual page.
#[derive(Debug)]
struct Page {
    /// Name of its file, such as `hearth-demo.1`.
    file: String,
    /// Its source, in roff.
    text: Vec<u8>,
}

/// Prints or writes the pages.
pub fn run(arguments: &ManArguments) -> Result<Exit, Failure> {
    match &arguments.folder {
        None => completions::print(&main_page()?.text)?,
        Some(folder) => {
            let pages = all_pages()?;
            write(folder, &pages)?;
            println!("{} manual pages are in {}", pages.len(), folder.display());
        }
    }
    Ok(Exit::Done)
}

fn write(folder: &Path, pages: &[Page]) -> Result<(), Failure> {
    let refused = |error| Failure::new(Exit::Disk, error);
    folders::prepare(folder).map_err(refused)?;
    for page in pages {
        folders::write_atomically(&folder.join(&page.file), &page.text).map_err(refused)?;
    }
    Ok(())
}

/// The command line with every name filled in: `hearth-keys-new` and the flags that all take.
fn command() -> clap::Command {
    // What follows the help has sections of its own here.
    let mut command = Arguments::command()
        .disable_help_subcommand(true)
        .after_long_help(clap::builder::Resettable::Reset);
    command.build();
    command
}

fn main_page() -> Result<Page, Failure> {
    page(&command())
}

fn all_pages() -> Result<Vec<Page>, Failure> {
    let mut pages = Vec::new();
    let mut waiting = vec![command()];
    while let Some(command) = waiting.pop() {
        pages.push(page(&command)?);
        let shown = |one: &&clap::Command| !one.is_hide_set() && one.get_name() != "help";
        waiting.extend(command.get_subcommands().filter(shown).cloned());
    }
    Ok(pages)
}

fn page(command: &clap::Command) -> Result<Page, Failure> {
    let man = clap_mangen::Man::new(command.clone()).manual("Hearth");
    let mut text = Vec::new();
    man.render(&mut text).and_then(|()| sections(command).to_writer(&mut text)).map_err(
        |error| Failure::new(Exit::Failed, format!("a manual page cannot be made ({error})")),
    )?;
    Ok(Page { file: man.get_filename(), text })
}

/// What holds for every command; in full on the first page only.
fn sections(command: &clap::Command) -> Roff {
    let mut roff = Roff::new();
    if command.get_name() != "hearth" {
        roff.control("SH", ["SEE ALSO"]).text([bold("hearth"), roman("(1)")]);
        return roff;
    }
    let mut list = |title: &str, entries: Vec<(String, &str)>| {
        roff.control("SH", [title]);
        for (name, meaning) in entries {
            roff.control("TP", []).text([bold(name)]).text([roman(meaning)]);
        }
    };
    let variables = reference::ENVIRONMENT.map(|(name, meaning)| (name.to_owned(), meaning));
    list("ENVIRONMENT", variables.into());
    let codes = reference::EXIT_CODES.map(|(exit, meaning)| ((exit as u8).to_string(), meaning));
    list("EXIT STATUS", codes.into());
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_that_names_it_and_its_flags() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &all_pages().unwrap()).unwrap();
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        let first = read("hearth.1");
        for words in ["hearth\\-demo(1)", ".SH ENVIRONMENT", "HEARTH_HOME", ".SH \"EXIT STATUS\""] {
            assert!(first.contains(words), "{words}: {first}");
        }
        let demo = read("hearth-demo.1");
        assert!(demo.contains("epochs") && demo.contains(".TH hearth-demo 1"), "{demo}");
        let commands = Arguments::command();
        for command in commands.get_subcommands().filter(|one| !one.is_hide_set()) {
            let page = read(&format!("hearth-{}.1", command.get_name()));
            assert!(page.contains(".SH SYNOPSIS"), "{page}");
        }
    }

    #[test]
    fn pages_are_the_same_each_time() {
        let texts = || all_pages().unwrap().into_iter().map(|page| page.text).collect::<Vec<_>>();
        assert_eq!(texts(), texts());
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, b"").unwrap();
        let failure = write(&file.join("man1"), &all_pages().unwrap()).unwrap_err();
        assert_eq!(failure.exit, Exit::Disk);
        assert!(failure.line.contains("man1"), "{failure}");
    }
}

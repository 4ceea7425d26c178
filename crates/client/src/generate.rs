//! `completion` and `man`: what is made from the table of commands.

use crate::failure::Failure;
use crate::term::print_bytes;
use clap::{Args, Command, ValueEnum};
use clap_complete::Shell;
use std::path::{Path, PathBuf};

/// `stead completion`.
#[derive(Args, Debug)]
pub(crate) struct Completion {
    /// The shell
    shell: KnownShell,
}

/// Shells that are completed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum KnownShell {
    Bash,
    Zsh,
    Fish,
}

/// `stead man`.
#[derive(Args, Debug)]
pub(crate) struct Man {
    /// Write a page for each command into this directory; without it one page is printed
    directory: Option<PathBuf>,
}

pub(crate) fn completion(args: &Completion, mut command: Command) -> Result<(), Failure> {
    let shell = match args.shell {
        KnownShell::Bash => Shell::Bash,
        KnownShell::Zsh => Shell::Zsh,
        KnownShell::Fish => Shell::Fish,
    };
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut command, "stead", &mut out);
    print_bytes(&out)
}

pub(crate) fn man(args: &Man, command: Command) -> Result<(), Failure> {
    let Some(directory) = &args.directory else {
        return print_bytes(&page(command)?);
    };
    let made = std::fs::create_dir_all(directory);
    made.map_err(|error| Failure::Local(format!("{}: {error}", directory.display())))?;
    let mut command = command;
    command.build();
    write_all(directory, "stead", &command)
}

/// Writes the page of a command, and those of the commands in it.
fn write_all(directory: &Path, name: &str, command: &Command) -> Result<(), Failure> {
    write(directory, name, command.clone())?;
    command
        .get_subcommands()
        .try_for_each(|one| write_all(directory, &format!("{name}-{}", one.get_name()), one))
}

fn page(command: Command) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::new();
    let rendered = clap_mangen::Man::new(command).render(&mut out);
    rendered.map_err(|error| Failure::Local(format!("the page cannot be made: {error}")))?;
    Ok(out)
}

fn write(directory: &Path, name: &str, command: Command) -> Result<(), Failure> {
    let path = directory.join(format!("{name}.1"));
    std::fs::write(&path, page(command)?)
        .map_err(|error| Failure::Local(format!("cannot write {}: {error}", path.display())))
}

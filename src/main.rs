//! The binary: parse, dispatch, exit code. Nothing else.

use std::process::ExitCode;

use clap::Parser;
use hearth::cli;

/// Memory goes back when it is not used: the C library keeps what many threads freed, and what a
/// miner of weeks holds would grow with it (docs/faults.md, "Half an hour of training").
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = match cli::Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let asked = !error.use_stderr();
            // A closed pipe is the only way this fails, and then nobody reads.
            let _ = error.print();
            return if asked { cli::Exit::Done } else { cli::Exit::Usage }.into();
        }
    };
    match cli::run(arguments) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            eprintln!("hearth: {failure}");
            eprintln!("More: hearth explain {}", failure.code);
            failure.exit.into()
        }
    }
}

//! The binary `gauntlet` with one penalty more.

use std::process::ExitCode;

fn main() -> ExitCode {
    gauntlet_cli::app().penalty(gradient_times_input::SPEC).run()
}

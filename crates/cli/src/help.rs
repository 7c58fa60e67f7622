//! What `--help` says beside the arguments: headings, examples, and which options mean something where.

use crate::arguments::{Cli, EXIT_CODES};
use clap::{Arg, Command, CommandFactory};

/// Headings, and the options below them in whatever command.
const HEADINGS: [(&str, &[&str]); 3] = [
    ("Data", &["data_dir", "take", "all", "validation", "sample"]),
    ("Machine", &["threads", "device", "tf32", "jobs", "slots", "cpus", "array_limit", "partition", "time"]),
    (
        "Output",
        &[
            "json",
            "quiet",
            "out",
            "runs",
            "no_report",
            "save",
            "eight_bit",
            "verdicts",
            "journal",
            "verbose",
            "markdown",
        ],
    ),
];

/// Options of the machine, which the commands below do nothing with.
const MACHINE: [&str; 3] = ["threads", "device", "tf32"];
const WITHOUT_MACHINE: [&str; 14] = [
    "status",
    "watch",
    "clean",
    "report",
    "leaderboard",
    "list",
    "inspect",
    "export",
    "init",
    "new",
    "schema",
    "help",
    "completions",
    "man",
];

/// Examples of every command.
const EXAMPLES: [(&str, &str); 23] = [
    (
        "run",
        "gauntlet run quickstart\ngauntlet run mine.toml --only row=ce --only seed=0\ngauntlet run mnist-recipes --data-dir data --jobs 2",
    ),
    ("status", "gauntlet status\ngauntlet status mine.toml --runs runs"),
    (
        "watch",
        "gauntlet watch mine.toml                      # beside `gauntlet run mine.toml`\ngauntlet watch --once --tensorboard events    # what was trained so far",
    ),
    ("clean", "gauntlet clean          # lists\ngauntlet clean --yes    # removes"),
    ("submit", "gauntlet submit mine.toml --slurm --time 4:00:00 --cpus 8 --dry-run"),
    ("verify", "gauntlet verify reports/mnist-recipes --sample 20"),
    (
        "train",
        "gauntlet train --model lenet-small --recipe ce --data mnist --out ce.safetensors\ngauntlet train --model lenet-small --recipe '{ name = \"grad-norm\", weight = 0.3 }' --data glyphs --epochs 2 --out gn.safetensors",
    ),
    (
        "attack",
        "gauntlet attack --model lenet-small --checkpoint ce.safetensors --data mnist --attack pgd --eps 0.1,0.3\ngauntlet attack --model lenet-small --checkpoint ce.pt --data mnist --attack autoattack --eps 8/255 --all --json\ngauntlet attack --model onnx:net.onnx --data mnist --attack pgd --eps 0.1\ngauntlet attack --model onnx:net.onnx --property p.vnnlib.gz",
    ),
    (
        "certify",
        "gauntlet certify --model lenet-small --checkpoint ibp.safetensors --data mnist --eps 0.1\ngauntlet certify --model lenet-small --checkpoint kw.pth --data mnist --eps 0.1 --all --methods ibp,crown,bab --json",
    ),
    ("report", "gauntlet report reports/mnist-recipes\ngauntlet report reports/mnist-recipes --out again"),
    ("leaderboard", "gauntlet leaderboard reports/mnist-recipes reports/mine --out board"),
    ("list", "gauntlet list attacks\ngauntlet list attacks pgd bim"),
    ("check", "gauntlet check mine.toml\ngauntlet check grad-norm\ngauntlet check mine.rhai"),
    ("inspect", "gauntlet inspect net.onnx\ngauntlet inspect net.onnx --channels last --json"),
    (
        "export",
        "gauntlet export --model lenet-small --checkpoint ce.safetensors --data mnist --out ce.onnx\ngauntlet export --model onnx:net.onnx --checkpoint trained.safetensors --out trained.onnx",
    ),
    ("init", "gauntlet init mine.toml"),
    ("new", "gauntlet new recipe steep\ngauntlet new dataset stripes --classes left,right"),
    ("schema", "gauntlet schema suite > suite.schema.json\ngauntlet schema dataset --markdown"),
    ("bench", "gauntlet bench step --model lenet-small --recipe grad-norm --threads 1"),
    ("doctor", "gauntlet doctor\ngauntlet doctor --json"),
    ("help", "gauntlet help attack\ngauntlet help attacks pgd    # the same as: gauntlet list attacks pgd"),
    (
        "completions",
        "gauntlet completions bash > ~/.local/share/bash-completion/completions/gauntlet\ngauntlet completions zsh > ~/.zfunc/_gauntlet\ngauntlet completions fish > ~/.config/fish/completions/gauntlet.fish",
    ),
    ("man", "gauntlet man ~/.local/share/man/man1"),
];

/// Numbers may begin with a minus everywhere, so that what is said is that one is too small, not that there is no option `-1`.
fn negative(command: Command) -> Command {
    let valued = |a: Arg| if a.get_action().takes_values() { a.allow_negative_numbers(true) } else { a };
    command.mut_args(valued).mut_subcommands(negative)
}

/// The command line with all that `--help` says.
pub(crate) fn command() -> Command {
    let mut root = with_headings(negative(Cli::command()));
    let machine: Vec<Arg> = root.get_arguments().filter(|a| MACHINE.contains(&a.get_id().as_str())).cloned().collect();
    for name in WITHOUT_MACHINE {
        // One of its own, hidden, takes the place of the one that every command inherits.
        root = root.mut_subcommand(name, |c| c.args(machine.iter().map(|a| a.clone().global(false).hide(true))));
    }
    for (name, examples) in EXAMPLES {
        let told = examples.lines().map(|l| format!("  {l}\n")).collect::<String>();
        root = root.mut_subcommand(name, |c| c.after_help(format!("Examples:\n{}", told.trim_end())));
    }
    let examples = "Examples:\n  gauntlet run quickstart\n  gauntlet check mine.toml\n  gauntlet help attacks pgd";
    root.after_help(format!("{examples}\n\n{EXIT_CODES}"))
}

fn with_headings(command: Command) -> Command {
    let headed = |arg: Arg| {
        let heading = HEADINGS.iter().find(|(_, ids)| ids.contains(&arg.get_id().as_str()));
        match heading.filter(|_| !arg.is_positional()) {
            Some((heading, _)) => arg.help_heading(*heading),
            None => arg,
        }
    };
    command.mut_args(headed).mut_subcommands(with_headings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_examples_and_is_sound() {
        command().debug_assert();
        for sub in command().get_subcommands() {
            assert!(EXAMPLES.iter().any(|e| e.0 == sub.get_name()), "{} has no example", sub.get_name());
        }
    }

    #[test]
    fn examples_are_read_by_the_grammar() {
        for (name, examples) in EXAMPLES {
            for line in examples.lines() {
                let line = line
                    .split(['#', '>'])
                    .next()
                    .unwrap_or_default()
                    .replace("'{ name = \"grad-norm\", weight = 0.3 }'", "ce");
                let read = command().try_get_matches_from(line.split_whitespace());
                assert!(read.is_ok() && line.starts_with(&format!("gauntlet {name}")), "{line}: {:?}", read.err());
            }
        }
    }
}

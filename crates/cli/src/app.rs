//! The application: built-in components, a plug-in's own, and the command line over them.

use crate::arguments::{Cli, Command};
use crate::exit::Failure;
use crate::session::Session;
use crate::{commands, component, help, interrupt, threads};
use clap::FromArgMatches;
use gauntlet::core::{Entry, Error, Network, Objective, Plan, Recipe, Registry, Result, Task};
use gauntlet::engine::{Conformance, conformance, documented_choices, short_kind};
use serde_json::Value;
use std::process::ExitCode;

/// The command line over built-in components and those that are added.
pub struct App {
    /// An error is said when the components are asked for.
    registry: Result<Registry>,
}

/// The application with the built-in components.
pub fn app() -> App {
    App { registry: gauntlet::registry() }
}

impl App {
    fn with(self, add: impl FnOnce(&mut Registry) -> Result<()>) -> Self {
        App { registry: self.registry.and_then(|mut registry| add(&mut registry).map(|()| registry)) }
    }
    /// Adds a base recipe.
    #[must_use]
    pub fn recipe(self, entry: impl Into<Entry<dyn Recipe, Registry>>) -> Self {
        self.with(|r| r.recipes.add(entry))
    }
    /// Adds a penalty.
    #[must_use]
    pub fn penalty(self, entry: impl Into<Entry<dyn Recipe, Registry>>) -> Self {
        self.with(|r| r.penalties.add(entry))
    }
    /// Adds an attack.
    #[must_use]
    pub fn attack(self, entry: impl Into<Entry<Plan, Registry>>) -> Self {
        self.with(|r| r.attacks.add(entry))
    }
    /// Adds an architecture.
    #[must_use]
    pub fn model(self, entry: impl Into<Entry<dyn Network, Task>>) -> Self {
        self.with(|r| r.models.add(entry))
    }
    /// Adds an objective for attacks to ascend.
    #[must_use]
    pub fn objective(self, entry: impl Into<Entry<dyn Objective, Registry>>) -> Self {
        self.with(|r| r.objectives.add(entry))
    }

    /// Built-in components first, then those that were added.
    ///
    /// # Errors
    /// A name that is taken.
    pub fn registry(self) -> Result<Registry> {
        self.registry
    }

    /// The conformance suite ([`gauntlet::engine::conformance()`]), for the test of a plug-in: over the table `{ name =
    /// "...", ... }`, or, given a bare name, over every documented choice of its parameters.
    ///
    /// # Errors
    /// A name that is taken or unknown, an argument outside its domain.
    pub fn conformance(self, given: &str) -> gauntlet::engine::Result<Vec<Conformance>> {
        let registry = self.registry()?;
        let table = component::parse("recipe", given).map_err(|f| Error::Message(f.message))?;
        let name = table.get("name").and_then(Value::as_str).unwrap_or_default();
        let kind = short_kind(&registry, name)?;
        let all = match table.len() {
            1 => documented_choices(&registry, kind, name)?,
            _ => vec![table],
        };
        all.iter().map(|given| conformance(&registry, kind, given)).collect()
    }

    /// Reads the command line, does what it says and returns the exit code.
    pub fn run(self) -> ExitCode {
        interrupt::survive_file_limits();
        let matches = help::command().get_matches();
        let cli = match Cli::from_arg_matches(&matches) {
            Ok(cli) => cli,
            Err(error) => error.exit(),
        };
        let json = cli.global.json;
        let limited = threads::limit(cli.global.threads);
        let done = limited.and_then(|()| self.registry().map_err(Failure::from)).and_then(|registry| {
            let session = Session::new(registry, cli.global)?;
            // On a thread of the pool: from outside, every tensor operation would wake it and wait for it.
            rayon::scope(|_| match cli.command {
                Command::Run(a) => commands::run::run(&session, &a),
                Command::Status(a) => commands::status::status(&session, &a),
                Command::Watch(a) => commands::watch::watch(&session, &a),
                Command::Clean(a) => commands::clean::clean(&session, &a),
                Command::Submit(a) => commands::submit::submit(&session, &a),
                Command::Verify(a) => commands::verify::verify(&session, &a),
                Command::Train(a) => commands::train::train(&session, &a),
                Command::Attack(a) => match &a.property {
                    Some(property) => commands::property::property(&session, &a, property),
                    None => commands::attack::attack(&session, &a),
                },
                Command::Certify(a) => commands::certify::certify(&session, &a),
                Command::Report(a) => commands::report::report(&session, &a),
                Command::Leaderboard(a) => commands::leaderboard::leaderboard(&session, &a),
                Command::List(a) => commands::list::list(&session, &a),
                Command::Inspect(a) => commands::inspect::inspect(&session, &a),
                Command::Export(a) => commands::export::export(&session, &a),
                Command::Init(a) => commands::init::init(&session, &a),
                Command::New(a) => commands::new::new(&session, &a),
                Command::Schema(a) => commands::schema::schema(&session, &a),
                Command::Check(a) => commands::check::check(&session, &a),
                Command::Bench(a) => commands::bench::bench(&session, &a),
                Command::Doctor(a) => commands::doctor::doctor(&session, &a),
                Command::Help(a) => commands::help::help(&session, &a),
                Command::Completions(a) => commands::help::completions(&session, &a),
                Command::Man(a) => commands::help::man(&session, &a),
            })
        });
        match done {
            Ok(code) => code.into(),
            Err(failure) => failure.print(json).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gauntlet::core::registry::BuildAttack;
    use gauntlet::core::{Args, Attack, Spec};
    use std::sync::Arc;

    fn nothing(_: &Args, _: &Registry) -> Result<Arc<dyn Attack>> {
        Err(gauntlet::core::Error::Message("for tests".into()))
    }
    fn spec(name: &'static str) -> Spec<BuildAttack> {
        Spec {
            name,
            summary: "mine",
            formula: "",
            paper: "",
            params: &[],
            numerics: 1,
            origin: "plug-in",
            build: nothing,
        }
    }

    #[test]
    fn a_bare_name_is_checked_with_every_choice_and_a_table_once() {
        let found = app().conformance("grad-align").unwrap();
        assert!(found.len() > 1 && found.iter().all(|f| f.recipe == "grad-align" && f.passed()));
        assert_eq!(app().conformance("{ name = \"grad-align\", eps = \"0.2\" }").unwrap().len(), 1);
        assert!(app().conformance("grad-alin").unwrap_err().to_string().contains("did you mean \"grad-align\""));
    }

    #[test]
    fn a_plug_ins_components_stand_beside_the_built_in_ones() {
        let registry = app().attack(spec("mine")).registry().unwrap();
        assert_eq!(registry.attacks.get("mine").unwrap().origin, "plug-in");
        assert!(registry.attacks.contains("pgd") && registry.recipes.contains("ce"));
        let taken = app().attack(spec("pgd")).registry().unwrap_err();
        assert!(taken.to_string().contains("\"pgd\" is registered twice"), "{taken}");
    }
}

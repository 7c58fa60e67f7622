//! Attacks on a share of the examples, for processes that divide one evaluation among them.

use crate::event::Part;
use crate::run::progress::Progress;
use crate::run::runner::Runner;
use crate::store::journal::Journal;
use crate::{Result, Shard};
use gauntlet_core::{Frozen, Target};
use gauntlet_evaluate::{AttackEntry, CleanPass, Done, Evaluator, evaluate};

impl<'a> Runner<'a> {
    /// The verdicts of an evaluation's shards, at their places among all examples. `None`: one of them is still at work.
    pub(crate) fn of_shards(&self, key: &str) -> Result<Option<Done>> {
        let store = &self.context.store;
        let mut all = Done::new();
        for (shard, path) in store.shards(key)? {
            let Some(_claim) = store.claim_shard(key, shard)? else { return Ok(None) };
            let (_, verdicts) = Journal::open(&path)?;
            all.extend(verdicts.into_iter().map(|((eps, index), v)| ((eps, shard.place(index)), v)));
        }
        Ok(Some(all))
    }

    /// Verdicts on a shard's examples under one attack, kept in a journal of their own beside the evaluation's. False: another
    /// process is at this very shard.
    ///
    /// Verdicts depend on no other example, so that the undivided evaluation takes them for its own ([`Runner::of_shards`]).
    pub(crate) fn judge_shard(
        &self,
        shard: Shard,
        key: &str,
        (part, attack): (Part<'_>, &'a AttackEntry),
        (target, pass): &(Frozen, CleanPass),
        surrogate: Option<&dyn Target>,
    ) -> Result<bool> {
        let store = &self.context.store;
        let Some(_claim) = store.claim_shard(key, shard)? else { return Ok(false) };
        let own = self.inputs.own_examples(self.suite, attack, pass)?;
        let (examples, pass) = match &own {
            Some((examples, pass)) => (examples, pass),
            None => (self.inputs.examples(self.suite)?, pass),
        };
        let places = shard.places(examples.len());
        if places.is_empty() {
            return Ok(true);
        }
        let (examples, pass) = (examples.at(&places)?, pass.at(&places));
        let evaluator = Evaluator { surrogate, clean: Some(&pass), ..self.evaluator(target, &examples) };
        let journal = Journal::open(&store.shard(key, shard))?;
        let mut progress = Progress::new(self.teller.events, part, attack, Some(journal));
        evaluate(&evaluator, std::slice::from_ref(attack), self.context.registry, &mut progress)?;
        Ok(true)
    }
}

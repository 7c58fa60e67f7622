//! `gauntlet certify`: what is proved of a checkpoint beside what an attack breaks, each checking the other.

mod exported;
mod outcome;
mod property;

use super::attack::weights;
use crate::arguments;
use crate::exit::{Code, Failure};
use crate::session::Session;
use crate::{component, interrupt};
use gauntlet::Precision;
use gauntlet::candle::Tensor;
use gauntlet::certify::{Budget, Certificate, Executed, Method, Plan};
use gauntlet::core::{Error, ThreatModel};
use gauntlet::engine::{AttackReport, AttackRequest, Prover, Store};
use gauntlet::evaluate::{Origin, Selection, Subject};
use gauntlet::records::{Eps, Fate as Attacked, Norm};
use outcome::{Ended, Outcome};
use rayon::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Examples if neither `--take` nor `--all` is given.
const USUAL: usize = 1000;

pub(crate) fn certify(session: &Session, arguments: &arguments::Certify) -> Result<Code, Failure> {
    if let Some(path) = &arguments.property {
        return property::property(session, arguments, path);
    }
    let (Some(data), Some(eps)) = (&arguments.data, &arguments.eps) else {
        return Err(Failure::user("--data and --eps say what is to be certified, or --property"));
    };
    let eps: Eps = eps.parse().map_err(|e| Failure::flag("eps", e))?;
    let norm: Norm = arguments.norm.parse().map_err(|e| Failure::flag("norm", e))?;
    let named = |name: &String| Method::named(name.trim()).map_err(|e| Failure::flag("methods", e));
    let mut methods = arguments.methods.iter().map(named).collect::<Result<Vec<_>, _>>()?;
    methods.sort();
    methods.dedup();
    let examples = match (arguments.examples.all, arguments.examples.take) {
        (true, _) => Selection::All,
        (false, take) => Selection::Take(take.map_or(USUAL, |n| n.get())),
    };
    let request = AttackRequest {
        model: component::parse("model", &arguments.model)?,
        checkpoint: Some(weights(&arguments.model, arguments.checkpoint.as_deref())?),
        data: data.clone(),
        examples,
        attack: component::parse("attack", &arguments.attack)?,
        norm,
        eps: vec![eps.clone()],
        seed: arguments.seed,
        draws: 1,
        surrogate: None,
        keep: true,
        eight_bit: false,
        journal: None,
        names: None,
    };
    let interrupt = interrupt::flag();
    let mut context = session.context(&session.catalogue, Store::new("runs"), interrupt);
    context.data = session.data(&arguments.source);
    context.force = arguments.size.force;
    context.width = arguments.slots.get();
    let executed = match arguments.executed {
        arguments::Execution::Exact => Executed::Exactly,
        arguments::Execution::F32 => Executed::Single,
    };
    if executed == Executed::Single && !session.compute.device().is_cpu() {
        return Err(Failure::user(
            "--executed f32 is about the arithmetic of a CPU; leave out --device, or certify exactly",
        ));
    }
    // What cannot be bounded is said before anything is attacked.
    let prover = open(session, &request, &context)?;
    let progress = session.progress();
    let report = gauntlet::engine::attack(&request, &context, &progress);
    progress.finish();
    let report = report.map_err(|e| match e {
        gauntlet::engine::Error::Interrupted => interrupted(),
        other => other.into(),
    })?;
    let budget = Budget { nodes: arguments.nodes, most_undecided: arguments.undecided, ..Budget::default() };
    let plan = Plan { methods, executed, budget };
    let start = Instant::now();
    let threat = ThreatModel::new(norm, eps.value());
    let proofs = Proofs { prover: &prover, threat, plan: &plan, interrupt };
    let mut outcome = Outcome::new(&report, eps, plan.clone());
    proofs.bounds(session, &report, &mut outcome)?;
    outcome.seconds = report.seconds + start.elapsed().as_secs_f64();
    if let Some(contradiction) = outcome.contradiction(&report, &arguments.save)? {
        return Err(contradiction);
    }
    if let Some(file) = &arguments.verdicts {
        outcome.write(file)?;
    }
    if let Some(folder) = &arguments.export_open {
        let places = outcome.open();
        exported::write(session, &request, &context, (folder, threat), &report.examples, &places)?;
    }
    session.result(|| outcome.object(&request, &report), || outcome.text(&request, &report))?;
    Ok(Code::Done)
}

fn interrupted() -> Failure {
    Failure::new(Code::Interrupted, "interrupted; a certification keeps no state")
}

fn open(
    session: &Session,
    request: &AttackRequest,
    context: &gauntlet::engine::Context<'_>,
) -> Result<Prover, Failure> {
    let manifest = session.catalogue.get(&request.data)?;
    let (network, _) = session.registry.model(&request.model, manifest.shape, manifest.labels().len())?;
    let Some(checkpoint) = &request.checkpoint else { return Err(Failure::user("--checkpoint is needed")) };
    let (file, _) = checkpoint.resolve(&context.data)?;
    let origin = file.as_deref().map_or(Origin::Own, Origin::file);
    let subject = Subject::open(network, origin, Precision::F32).map_err(gauntlet::engine::Error::from)?;
    Ok(Prover::open(&subject, &context.compute)?)
}

/// How images are certified.
struct Proofs<'a> {
    prover: &'a Prover,
    threat: ThreatModel,
    plan: &'a Plan,
    interrupt: &'a AtomicBool,
}

impl Proofs<'_> {
    /// Bounds every image that is classified right, broken or not; then branch and bound of those that are neither proved nor broken.
    fn bounds(&self, session: &Session, report: &AttackReport, outcome: &mut Outcome) -> Result<(), Failure> {
        let right: Vec<usize> =
            (0..report.n).filter(|i| report.clean[*i].label == report.clean[*i].predicted).collect();
        let (cheap, search): (Vec<Method>, Vec<Method>) =
            self.plan.methods.iter().partition(|method| **method != Method::Bab);
        let broken = |i: usize| report.attacked[0].verdicts[i].fate == Attacked::Broken;
        right.iter().filter(|i| broken(**i)).for_each(|i| outcome.ended[*i] = Ended::Attacked);
        if !cheap.is_empty() {
            session.say(format!("bounds of {} images", right.len()));
            let plan = Plan { methods: cheap, ..self.plan.clone() };
            for (i, (certificate, _)) in self.each(&right, &plan, report)? {
                outcome.bounded(i, certificate);
            }
        }
        if !search.is_empty() {
            let left: Vec<usize> =
                right.iter().copied().filter(|i| matches!(outcome.ended[*i], Ended::Open(_))).collect();
            session.say(format!("branch and bound of {} images", left.len()));
            let plan = Plan { methods: search, ..self.plan.clone() };
            for (i, (certificate, found)) in self.each(&left, &plan, report)? {
                outcome.bounded(i, certificate);
                outcome.found.extend(found.map(|x| (i, x)));
            }
        }
        // Where f32 breaks what is proved of real numbers, f64 decides.
        let both: Vec<usize> = right.into_iter().filter(|i| broken(*i) && outcome.certified(*i)).collect();
        for i in both {
            let wrong = self.wrong_in_f64(&report.adversarial[0].x_adv, i, report.clean[i].label)?;
            if self.plan.executed == Executed::Exactly && !wrong {
                outcome.rounding_decides(i);
            }
        }
        Ok(())
    }

    fn wrong_in_f64(&self, all: &Tensor, i: usize, label: u32) -> Result<bool, Error> {
        self.prover.wrong_in_f64(&all.narrow(0, i, 1)?, label)
    }

    /// Certificates of images, with the proposals that the referee took.
    #[allow(clippy::type_complexity)]
    fn each(
        &self,
        places: &[usize],
        plan: &Plan,
        report: &AttackReport,
    ) -> Result<Vec<(usize, (Certificate, Option<Tensor>))>, Failure> {
        let one = |i: &usize| -> Result<Option<(usize, (Certificate, Option<Tensor>))>, Error> {
            if self.interrupt.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let found =
                self.prover.prove(&report.examples.image(*i)?, report.examples.labels()[*i], &self.threat, plan)?;
            Ok(Some((*i, found)))
        };
        let found: Vec<_> = places.par_iter().map(one).collect::<Result<_, Error>>()?;
        found.into_iter().collect::<Option<Vec<_>>>().ok_or_else(interrupted)
    }
}

//! `gauntlet bench attack`: one attack on test images.

use super::peak::peak_rss_mb;
use crate::arguments::BenchAttack;
use crate::commands::attack::{object, source, text};
use crate::exit::{Code, Failure};
use crate::session::Session;
use crate::{component, interrupt};
use gauntlet::engine::{AttackRequest, Store};
use gauntlet::evaluate::Selection;
use gauntlet::records::Norm;

pub(super) fn attack(session: &Session, arguments: &BenchAttack) -> Result<Code, Failure> {
    let norm: Norm = arguments.norm.parse().map_err(|e| Failure::flag("norm", e))?;
    let request = AttackRequest {
        model: component::parse("model", &arguments.model)?,
        checkpoint: arguments.checkpoint.as_deref().map(source).transpose()?,
        data: arguments.data.clone(),
        examples: Selection::Take(arguments.take.get()),
        attack: component::parse("attack", &arguments.attack)?,
        norm,
        eps: vec![arguments.eps.parse().map_err(|e| Failure::flag("eps", e))?],
        seed: 0,
        draws: 1,
        surrogate: None,
        keep: false,
        eight_bit: false,
        journal: None,
        names: None,
    };
    let interrupt = interrupt::flag();
    // Nothing is stored: the store's folder is never touched.
    let mut context = session.context(&session.catalogue, Store::new("runs"), interrupt);
    context.data = session.data(&arguments.source);
    let progress = session.progress();
    let report = gauntlet::engine::attack(&request, &context, &progress);
    progress.finish();
    let report = report?;
    session.result(
        || {
            let mut all = object(&request, &report);
            all["peak_rss_mb"] = peak_rss_mb().into();
            all
        },
        || text(&request, &report),
    )?;
    Ok(Code::Done)
}

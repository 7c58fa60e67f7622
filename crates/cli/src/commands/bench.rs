//! `gauntlet bench`: how fast this machine is at what gauntlet does.

mod attack;
mod beside;
mod ops;
mod peak;
mod step;
mod subject;
mod times;

use crate::arguments::{Bench, BenchWhat};
use crate::exit::{Code, Failure};
use crate::session::Session;

pub(crate) fn bench(session: &Session, arguments: &Bench) -> Result<Code, Failure> {
    match &arguments.what {
        BenchWhat::Step(a) => step::step(session, a),
        BenchWhat::Attack(a) => attack::attack(session, a),
        BenchWhat::Ops(a) => ops::ops(session, a),
    }
}

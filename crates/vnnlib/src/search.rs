//! The search for an input that satisfies a property.

use crate::answer::{Answer, Verdict, Witness};
use crate::climb::{Aim, Bounds, Climb, Kind};
use crate::error::Result;
use crate::property::Property;
use crate::subject::Subject;
use gauntlet_core::{Key, Purpose};
use std::time::Instant;

/// When a search ends without a witness, and what its draws are keyed by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Wall time, seconds; the step under way is finished.
    pub seconds: f64,
    /// Inputs whose outputs are computed; the step under way is finished.
    pub forwards: u64,
    /// Steps of one ascent.
    pub steps: u32,
    /// Ascents side by side.
    pub width: usize,
    /// Seed of the random starts.
    pub seed: u64,
}

impl Default for Limits {
    /// A minute, ascents of 100 steps, 64 side by side, seed 0.
    fn default() -> Self {
        Limits { seconds: 60.0, forwards: u64::MAX, steps: 100, width: 64, seed: 0 }
    }
}

/// Slack relative to what it is computed of beyond which another computation in float32 has it as well.
const FIRM: f64 = 1e-5;
/// How far below 0 a float32 slack may lie for float64 to be asked, likewise relative.
const NEAR: f64 = 1e-5;

/// Looks for an input that satisfies a property of a network.
///
/// For every case the smallest slack of its inequalities is ascended in its box: from the middle, then from random points,
/// until an input holds in float64 (f(x) with x in the box as float64 reads it) or a limit is reached. One that holds by less than
/// rounding errors is kept while the ascents under way look for a better one.
///
/// # Errors
/// A property of other numbers of inputs and outputs; the network fails.
pub fn search(subject: &Subject, property: &Property, limits: &Limits) -> Result<Answer> {
    subject.fits(property)?;
    let bounds = property.regions().iter().map(|r| r.single()).map(|(low, high)| Bounds { low, high }).collect();
    let mut search = Search {
        subject,
        property,
        limits,
        bounds,
        start: Instant::now(),
        forwards: 0,
        backwards: 0,
        best: vec![f64::NEG_INFINITY; property.cases().len()],
        found: None,
        firm: false,
    };
    search.centres()?;
    search.rounds()?;
    Ok(search.answer())
}

struct Search<'a> {
    subject: &'a Subject,
    property: &'a Property,
    limits: &'a Limits,
    /// Of each region.
    bounds: Vec<Bounds>,
    start: Instant,
    forwards: u64,
    backwards: u64,
    /// The highest slack of each case.
    best: Vec<f64>,
    /// The best witness yet, and what found it.
    found: Option<(Witness, &'static str)>,
    /// Whether it holds by more than rounding errors.
    firm: bool,
}

impl Search<'_> {
    fn over(&self) -> bool {
        let late = self.start.elapsed().as_secs_f64() >= self.limits.seconds;
        self.firm || late || self.forwards >= self.limits.forwards
    }

    fn answer(self) -> Answer {
        let (witness, attack) = self.found.unzip();
        Answer {
            result: if witness.is_some() { Verdict::Sat } else { Verdict::Unknown },
            attack,
            seconds: self.start.elapsed().as_secs_f64(),
            forwards: self.forwards,
            backwards: self.backwards,
            witness,
        }
    }

    /// Takes note of the outputs of a point of a case's box.
    fn judge(&mut self, case: usize, x: &[f32], y: &[f64], attack: &'static str) -> Result<f64> {
        let asked = &self.property.cases()[case];
        let slack = asked.slack(y);
        let near = slack >= -NEAR * asked.magnitude(y);
        let better = self.found.as_ref().is_none_or(|(known, _)| slack > known.slack);
        if near && better && slack >= self.best[case] {
            self.confirm(case, slack, x, attack)?;
        }
        self.best[case] = self.best[case].max(slack);
        Ok(slack)
    }

    /// Asks the float64 network.
    fn confirm(&mut self, case: usize, single: f64, x: &[f32], attack: &'static str) -> Result<()> {
        let asked = &self.property.cases()[case];
        let x = self.property.regions()[asked.region].nearest(x);
        let y = self.subject.exact(&x)?;
        self.forwards += 1;
        let slack = asked.slack(&y);
        let better = self.found.as_ref().is_none_or(|(known, _)| slack > known.slack);
        if !(better && self.property.satisfied(&x, &y) && y.iter().all(|v| v.is_finite())) {
            return Ok(());
        }
        let margin = FIRM * asked.magnitude(&y);
        self.firm = asked.atoms.is_empty() || slack > margin && single > margin;
        // Without an inequality nothing is left over.
        let slack = if slack.is_finite() { slack } else { 0.0 };
        self.found = Some((Witness { x, y, slack }, attack));
        Ok(())
    }

    /// The middle of every box, and one signed gradient step to its border.
    fn centres(&mut self) -> Result<()> {
        let cases: Vec<usize> = (0..self.property.cases().len()).collect();
        for some in cases.chunks(self.limits.width.max(1)) {
            if self.over() {
                return Ok(());
            }
            let mut climbs: Vec<Climb> = some
                .iter()
                .map(|case| {
                    let x = self.bounds[self.property.cases()[*case].region].centre();
                    Climb::new(*case, (Kind::Apgd, Aim::Least), x, Vec::new(), 1)
                })
                .collect();
            self.turn(&mut climbs, "centre")?;
            if self.over() {
                return Ok(());
            }
            let x: Vec<f32> = climbs.iter().flat_map(|c| c.x.iter().copied()).collect();
            let y = self.subject.outputs(x)?;
            self.forwards += climbs.len() as u64;
            for (climb, y) in climbs.iter().zip(y.chunks(self.property.outputs())) {
                self.judge(climb.case, &climb.x, y, "corner")?;
            }
        }
        Ok(())
    }

    /// Ascents of all cases from the middle, then from random points, again and again.
    fn rounds(&mut self) -> Result<()> {
        // A point has been seen.
        let wide = |b: &Bounds| b.low.iter().zip(&b.high).any(|(l, h)| l < h);
        let mut cases: Vec<usize> = (0..self.property.cases().len())
            .filter(|case| wide(&self.bounds[self.property.cases()[*case].region]))
            .collect();
        for round in 0.. {
            // Every second round goes to the cases that came closest.
            cases.sort_by(|a, b| self.best[*b].total_cmp(&self.best[*a]).then(a.cmp(b)));
            let chosen = if round > 1 && round % 2 == 1 { cases.len().div_ceil(3) } else { cases.len() };
            let copies = if round == 0 { 1 } else { (self.limits.width / 2 / chosen.max(1)).clamp(1, 8) };
            let runs: Vec<(usize, usize)> =
                cases[..chosen].iter().flat_map(|case| (0..copies).map(|copy| (*case, copy))).collect();
            for some in runs.chunks(self.limits.width.max(1)) {
                let mut climbs: Vec<Climb> = some.iter().map(|(case, copy)| self.climb(round, *case, *copy)).collect();
                for _ in 0..=self.limits.steps {
                    if self.over() {
                        return Ok(());
                    }
                    let name = climbs[0].kind.name();
                    self.turn(&mut climbs, name)?;
                }
                // One by less than rounding errors: nothing better was found.
                if self.found.is_some() {
                    return Ok(());
                }
            }
            if runs.is_empty() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn climb(&self, round: u32, case: usize, copy: usize) -> Climb {
        let kind = match round % 3 {
            0 if round > 0 => Kind::Pgd,
            2 => Kind::Odi,
            _ => Kind::Apgd,
        };
        let asked = &self.property.cases()[case];
        let aim = if asked.atoms.len() > 1 && (round as usize + copy) % 2 == 1 { Aim::Sum } else { Aim::Least };
        let bounds = &self.bounds[asked.region];
        let key = Key::new(self.limits.seed, Purpose::AttackStart).named("vnnlib").child(case as u64);
        let mut stream = key.stream(copy as u64, round, 0);
        let x = if round == 0 { bounds.centre() } else { bounds.random(&mut stream) };
        let direction = (0..self.property.outputs()).map(|_| (2.0 * stream.uniform() - 1.0) as f32).collect();
        Climb::new(case, (kind, aim), x, direction, self.limits.steps)
    }

    /// A step of all.
    fn turn(&mut self, climbs: &mut [Climb], attack: &'static str) -> Result<()> {
        let (property, k) = (self.property, self.property.outputs());
        let forward = self.subject.linearise(climbs.iter().flat_map(|c| c.x.iter().copied()).collect())?;
        self.forwards += climbs.len() as u64;
        let mut cotangent = Vec::with_capacity(climbs.len() * k);
        let mut slacks = Vec::with_capacity(climbs.len());
        for (climb, y) in climbs.iter().zip(forward.outputs.chunks(k)) {
            slacks.push(self.judge(climb.case, &climb.x, y, attack)?);
            cotangent.extend(climb.cotangent(&property.cases()[climb.case], y));
        }
        if self.over() {
            return Ok(());
        }
        let gradient = forward.pull(cotangent)?;
        self.backwards += climbs.len() as u64;
        for ((climb, slack), gradient) in climbs.iter_mut().zip(slacks).zip(gradient.chunks(property.inputs())) {
            climb.advance(&self.bounds[property.cases()[climb.case].region], slack, gradient);
        }
        Ok(())
    }
}

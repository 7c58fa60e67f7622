//! The page of trainings that go on.

use crate::Result;
use crate::plots::training::so_far;
use gauntlet_records::Course;
use minijinja::Environment;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use serde::Serialize;

/// A training and where it stands.
#[derive(Debug, Clone)]
pub struct Watched {
    /// What it said so far.
    pub course: Course,
    /// `done`, `running on host (pid 7)`, `begun, …`.
    pub state: String,
    /// Whether a process works on it.
    pub running: bool,
}

#[derive(Serialize)]
struct Page<'a> {
    style: &'a str,
    theme: &'a str,
    refresh: Option<u32>,
    written: &'a str,
    found: String,
    trainings: Vec<Section>,
}

#[derive(Serialize)]
struct Section {
    title: String,
    state: String,
    facts: Vec<(&'static str, String)>,
    picture: Option<String>,
    description: String,
    header: Vec<String>,
    lines: Vec<Vec<String>>,
}

/// One page that needs nothing else; with `refresh`, a browser reads it again after so many seconds. `written`: when, in words.
///
/// # Errors
/// A picture cannot be drawn.
pub fn watch(trainings: &[Watched], refresh: Option<u32>, written: &str) -> Result<String> {
    let sections = trainings.iter().enumerate().map(|(i, t)| section(i, t)).collect::<Result<_>>()?;
    let running: Vec<&Watched> = trainings.iter().filter(|t| t.running).collect();
    let found = match (trainings.len(), running.len()) {
        (0, _) => "No training has said anything yet.".to_string(),
        (all, 0) => format!("Nothing is being trained; {all} here came to an end or were interrupted."),
        (all, now) => {
            let left = running.iter().filter_map(|t| t.course.seconds_left()).fold(0.0, f64::max);
            let rest = if left > 0.0 { format!(", about {} left", duration(left)) } else { String::new() };
            format!("{now} of {all} trainings here are running{rest}.")
        }
    };
    let page = Page {
        style: include_str!("page/style.css"),
        theme: crate::page::THEME,
        refresh,
        written,
        found,
        trainings: sections,
    };
    let mut environment = Environment::new();
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.add_template("watch.html", include_str!("watch.html"))?;
    Ok(environment.get_template("watch.html")?.render(Serde(&page))?)
}

fn section(i: usize, watched: &Watched) -> Result<Section> {
    let course = &watched.course;
    let plot = so_far(course)?;
    let steps = u64::from(course.steps.max(1));
    let (epoch, step) = (course.last.1 / steps, course.last.1 % steps);
    let mut facts = vec![
        ("epochs", format!("{epoch} of {}", course.epochs)),
        ("steps of the next one", format!("{step} of {}", course.steps)),
    ];
    if epoch >= u64::from(course.epochs) {
        facts.pop();
    }
    if let Some((_, epoch)) = course.curve.last() {
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        facts.push(("clean", percent(epoch.clean_accuracy)));
        facts.push(("quick attack", percent(epoch.robust_accuracy)));
        facts.push(("measured on", format!("{} images", epoch.monitored_on)));
        let best = course.curve.iter().max_by(|a, b| a.1.robust_accuracy.total_cmp(&b.1.robust_accuracy));
        if let Some((_, best)) = best.filter(|(_, b)| b.epoch != epoch.epoch) {
            let words = format!("{} after epoch {}", percent(best.robust_accuracy), best.epoch);
            facts.push(("most under the quick attack", words));
        }
    }
    facts.push(("so far", duration(course.seconds())));
    if let Some(cpu) = course.cpu_seconds.filter(|s| *s > 0.0) {
        facts.push(("CPU time until the last epoch's end", duration(cpu)));
    }
    if let Some(left) = course.seconds_left().filter(|_| watched.running) {
        facts.push(("left", format!("about {}", duration(left))));
    }
    let (picture, description, header, lines) = match plot {
        Some(plot) => {
            let picture = plot.drawing.inline(&format!("training-{i}"), &plot.title, &plot.description);
            (Some(picture), plot.description, plot.header, plot.lines)
        }
        None => (None, String::new(), Vec::new(), Vec::new()),
    };
    let title = format!("{}, seed {}", course.row, course.seed);
    Ok(Section { title, state: watched.state.clone(), facts, picture, description, header, lines })
}

/// `3 h 5 min`, `4 min 20 s`, `7 s`.
fn duration(seconds: f64) -> String {
    let whole = seconds.round().max(0.0) as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gauntlet_records::course::Moment;
    use std::collections::BTreeMap;

    fn course() -> Course {
        let moment = |done: u64, loss: f64| Moment {
            time: 100.0 + done as f64,
            done,
            loss,
            terms: BTreeMap::from([("ce".to_string(), loss)]),
        };
        Course {
            row: "<b>ce".into(),
            seed: 1,
            epochs: 3,
            steps: 10,
            since: (100.0, 0),
            last: (106.0, 6),
            earlier: 0.0,
            cpu_seconds: Some(0.0),
            moments: vec![moment(2, 2.0), moment(6, 1.0)],
            curve: Vec::new(),
        }
    }

    #[test]
    fn a_training_in_its_first_epoch_has_a_picture_and_a_time_to_come() {
        let watched = Watched { course: course(), state: "running on here (pid 7)".into(), running: true };
        let page = watch(&[watched], Some(5), "2026-12-01 00:00:00 UTC").unwrap();
        for part in [
            "http-equiv=\"refresh\" content=\"5\"",
            "&lt;b&gt;ce, seed 1",
            "<svg",
            "1 of 1 trainings here are running, about 24 s left.",
            "running on here (pid 7)",
            "0 of 3",
            "6 of 10",
        ] {
            assert!(page.contains(part), "{part}");
        }
        assert!(!page.contains("<b>ce"), "what is foreign is escaped");
    }

    #[test]
    fn an_ended_training_promises_nothing() {
        let ended = Course { last: (130.0, 30), ..course() };
        let page = watch(&[Watched { course: ended, state: "done".into(), running: false }], None, "now").unwrap();
        assert!(page.contains("Nothing is being trained") && !page.contains("http-equiv=\"refresh\""));
        assert!(page.contains("3 of 3") && !page.contains("about"));
        assert!(watch(&[], None, "now").unwrap().contains("No training has said anything yet."));
        assert_eq!([duration(7.4), duration(260.0), duration(11_100.0)], ["7 s", "4 min 20 s", "3 h 5 min"]);
    }
}

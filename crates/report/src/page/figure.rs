//! Pictures of the page, by subject.

use crate::{Plot, Subject};
use serde::Serialize;

/// Bytes of pictures in a page; drawings after them are linked.
const MOST: usize = 3_400_000;

/// All pictures of a subject.
#[derive(Serialize)]
pub(super) struct Section {
    id: &'static str,
    heading: &'static str,
    explanation: &'static str,
    figures: Vec<Figure>,
}

/// What a page shows of its pictures.
pub(super) struct Pictures {
    /// Up to three to look at first.
    pub(super) leading: Vec<Figure>,
    /// All others, by subject, behind the subject's name.
    pub(super) sections: Vec<Section>,
}

/// A picture with its numbers.
#[derive(Serialize)]
pub(super) struct Figure {
    id: String,
    name: String,
    title: String,
    /// None where the page would become too large with it; the picture's file is named instead.
    svg: Option<String>,
    header: Vec<String>,
    lines: Vec<Vec<String>>,
}

/// The pictures, where `bytes` are taken by others.
pub(super) fn pictures(plots: &[Plot], mut bytes: usize) -> Pictures {
    let (first, others): (Vec<&Plot>, Vec<&Plot>) = plots.iter().partition(|p| p.leads);
    let mut figures = |of: Vec<&Plot>| -> Vec<Figure> { of.into_iter().map(|plot| figure(plot, &mut bytes)).collect() };
    let (first, others) = match others.split_first() {
        Some((one, rest)) if first.is_empty() => (vec![*one], rest.to_vec()),
        _ => (first, others),
    };
    let leading = figures(first);
    let section = |subject: Subject| {
        let (id, heading, explanation) = words(subject);
        let of_it = others.iter().copied().filter(|p| p.subject == subject).collect();
        Section { id, heading, explanation, figures: figures(of_it) }
    };
    let sections = Subject::ALL.into_iter().map(section).filter(|s| !s.figures.is_empty()).collect();
    Pictures { leading, sections }
}

fn figure(plot: &Plot, bytes: &mut usize) -> Figure {
    let id = format!("plot-{}", plot.name);
    let svg = plot.drawing.inline(&id, &plot.title, &plot.description);
    *bytes += svg.len();
    Figure {
        svg: (*bytes <= MOST).then_some(svg),
        id,
        name: plot.name.clone(),
        title: plot.title.clone(),
        header: plot.header.clone(),
        lines: plot.lines.clone(),
    }
}

fn words(subject: Subject) -> (&'static str, &'static str, &'static str) {
    match subject {
        Subject::Security => (
            "security",
            "Security curves",
            "Robust accuracy against the budget ε; at ε = 0 it is the clean accuracy. Bands are one standard deviation \
             over seeds. A curve that does not fall to zero at a large ε is a sign of masked gradients.",
        ),
        Subject::Scatter => (
            "scatter",
            "Clean against robust accuracy",
            "Up and to the right is better. The line joins the rows that no other row equals in one accuracy and beats in \
             the other (the Pareto front). Robust accuracy goes from 0 to 100 %, clean accuracy over what there is.",
        ),
        Subject::Culprits => (
            "culprits",
            "What broke it",
            "All examples of a row: wrong without any attack, broken, or standing. An example is counted for the first \
             that broke it, of an ensemble's stages or of the suite's attacks in their order, so what stands late in the \
             order shows what the earlier ones left.",
        ),
        Subject::Classes => {
            ("classes", "Classes", "Accuracy on the examples of each class, in percent, over all seeds of a row.")
        }
        Subject::Transfer => (
            "transfer",
            "Transfer",
            "Examples crafted on one model and tried on another. What falls to others' examples but not to its own has \
             masked gradients.",
        ),
        Subject::Training => (
            "training",
            "Training curves",
            "Loss terms, accuracies, size and alignment of the input gradient after every epoch, on the monitored images; \
             bands are one standard deviation over seeds. Loss terms and norms that span more than a factor of twenty \
             have a logarithmic axis.",
        ),
    }
}

//! Maxout networks.

use crate::hidden::widths;
use crate::normalise::{linear, normalise};
use crate::settings::{INIT, MEAN, STD, Settings};
use gauntlet_autograd::Var;
use gauntlet_core::registry::BuildModel;
use gauntlet_core::{Error, ModelInfo, Network, ParamDoc, ParamSpec, Params, Pass, Result, Spec};
use std::sync::Arc;

/// Registration.
pub const SPEC: Spec<BuildModel> = Spec {
    name: "maxout",
    summary: "fully connected maxout units, by default two layers of 240 with 5 pieces",
    formula: "y_u = max_p (W_p x + b_p)_u per layer, then a linear layer",
    paper: "Goodfellow et al. 2013; Goodfellow, Shlens & Szegedy 2015",
    params: &[
        ParamDoc {
            name: "hidden",
            kind: "list of ints",
            default: "[240, 240]",
            unit: "units",
            doc: "widths of the hidden layers",
        },
        ParamDoc { name: "pieces", kind: "int", default: "5", unit: "", doc: "linear pieces of a unit" },
        INIT,
        MEAN,
        STD,
    ],
    numerics: 1,
    origin: "built-in",
    build: |args, input, classes| {
        let hidden = widths("maxout", args)?;
        let pieces = args.usize("pieces", 2)?;
        if pieces > 100 {
            return Err(Error::value("maxout.pieces", format!("must be at most 100, got {pieces}")));
        }
        Ok(Arc::new(Maxout { settings: Settings::new("maxout", args, input, classes)?, hidden, pieces }))
    },
};

/// Linear layers 1, 2, ..., each with its pieces one after the other: row p · units + u is piece p of unit u.
struct Maxout {
    settings: Settings,
    hidden: Vec<usize>,
    pieces: usize,
}

impl Network for Maxout {
    fn info(&self) -> &ModelInfo {
        &self.settings.info
    }
    fn specs(&self) -> Vec<ParamSpec> {
        let (c, h, w) = self.settings.info.input;
        let mut specs = Vec::new();
        let mut before = c * h * w;
        for (i, width) in self.hidden.iter().enumerate() {
            specs.extend(self.settings.layer(&(i + 1).to_string(), &[width * self.pieces, before], None));
            before = *width;
        }
        let last = (self.hidden.len() + 1).to_string();
        specs.extend(self.settings.layer(&last, &[self.settings.info.classes, before], None));
        specs
    }
    fn forward(&self, params: &Params, x: &Var, _: &mut Pass<'_>) -> Result<Var> {
        let mut y = normalise(&self.settings.info, x)?.flatten()?;
        for (i, width) in self.hidden.iter().enumerate() {
            let z = linear(params, &(i + 1).to_string(), &y)?;
            let mut best = z.narrow(1, 0, *width)?;
            for p in 1..self.pieces {
                // max(a, b) = b + relu(a − b)
                let piece = z.narrow(1, p * width, *width)?;
                best = piece.add(&best.sub(&piece)?.relu()?)?;
            }
            y = best;
        }
        linear(params, &(self.hidden.len() + 1).to_string(), &y)
    }
}

//! Which tensor of a file is which parameter of a model: by name, else by order and shape.

use crate::ParamSpec;
use candle_core::Tensor;

/// Prefixes that PyTorch's wrappers (`DataParallel`, `torch.compile`) put before every name.
const WRAPPERS: [&str; 2] = ["module.", "_orig_mod."];

type Named = Vec<(String, Tensor)>;

/// A model's parameters with the tensors of a file, in the model's order, and a note if names differ.
#[derive(Debug)]
pub(super) struct Fit {
    pub(super) entries: Vec<(String, Tensor, bool)>,
    pub(super) notes: Vec<String>,
}

/// Finds the tensor of every parameter. `ordered`: the file keeps the order of the modules.
///
/// # Errors
/// In words: what does not fit, by name and by order.
pub(super) fn fit(mut tensors: Named, ordered: bool, specs: &[ParamSpec], model: &str) -> Result<Fit, String> {
    let mut notes = Vec::new();
    while let Some(prefix) = wrapper(&tensors, specs) {
        tensors.iter_mut().for_each(|(name, _)| *name = name[prefix.len()..].to_string());
        notes.push(format!("every name begins with {prefix:?}, as a wrapper of PyTorch's leaves it; it was taken off"));
    }
    let missing = names(specs.iter().map(|s| &s.name).filter(|name| !tensors.iter().any(|(n, _)| n == *name)));
    if missing.is_empty() {
        let extra = names(tensors.iter().map(|(n, _)| n).filter(|n| !specs.iter().any(|s| s.name == **n)));
        if !extra.is_empty() {
            return Err(format!("it has tensors that {model} has not: {}", some(&extra)));
        }
        let of = |s: &ParamSpec| tensors.iter().find(|(n, _)| *n == s.name).map(|(_, t)| t.clone());
        let entries: Vec<_> = specs.iter().filter_map(|s| of(s).map(|t| (s.name.clone(), t, s.trainable))).collect();
        if let Some(((name, t, _), s)) = entries.iter().zip(specs).find(|((_, t, _), s)| t.dims() != s.shape) {
            return Err(format!("it does not fit {model}: {name} is {:?}, the model's is {:?}", t.dims(), s.shape));
        }
        return Ok(Fit { entries, notes });
    }
    // The order of a state dict is that of the modules; a safetensors file's is lost.
    let mut orders: Vec<Named> = if ordered { vec![tensors.clone()] } else { Vec::new() };
    orders.push(in_module_order(tensors));
    let mut why = String::new();
    for order in orders {
        match unlike(&order, specs, model) {
            None => {
                let pairs: Vec<String> =
                    order.iter().zip(specs).map(|((n, _), s)| format!("{n} → {}", s.name)).collect();
                notes.push(format!(
                    "names differ from {model}'s; tensors were mapped by order and shape: {}",
                    some(&pairs)
                ));
                let entries =
                    order.into_iter().zip(specs).map(|((_, t), s)| (s.name.clone(), t, s.trainable)).collect();
                return Ok(Fit { entries, notes });
            }
            Some(difference) if why.is_empty() => why = difference,
            Some(_) => {}
        }
    }
    Err(format!("it does not fit {model}: no tensor named {}; by order and shape neither: {why}", some(&missing)))
}

/// Why a file's tensors, in this order, are not the model's.
fn unlike(order: &Named, specs: &[ParamSpec], model: &str) -> Option<String> {
    if order.len() != specs.len() {
        return Some(format!("it has {} tensors, {model} has {}", order.len(), specs.len()));
    }
    let mut pairs = order.iter().zip(specs);
    let ((name, t), s) = pairs.find(|((_, t), s)| t.dims() != s.shape)?;
    Some(format!("{name} is {:?} where the model's {} is {:?}", t.dims(), s.name, s.shape))
}

/// The prefix of all names, unless the model's own names have it.
fn wrapper(tensors: &Named, specs: &[ParamSpec]) -> Option<&'static str> {
    let all = |p: &&str| !tensors.is_empty() && tensors.iter().all(|(n, _)| n.starts_with(*p));
    let own = |p: &&str| specs.iter().any(|s| s.name.starts_with(*p));
    WRAPPERS.into_iter().find(|p| all(p) && !own(p))
}

fn names<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    names.cloned().collect()
}

fn some(names: &[String]) -> String {
    let more = names.len().saturating_sub(4);
    let shown = names[..names.len().min(4)].join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

/// Tensors in module order: safetensors sorts them by name, so the order of a foreign network is recovered from its
/// names, numbers compared as numbers, a module's weight before its bias and its running statistics.
fn in_module_order(mut tensors: Named) -> Named {
    let rank =
        |leaf: &str| ["weight", "bias", "running_mean", "running_var"].iter().position(|l| *l == leaf).unwrap_or(4);
    let number = |part: &str| {
        let digits = part.trim_start_matches(|c: char| !c.is_ascii_digit());
        (part[..part.len() - digits.len()].to_string(), digits.parse::<u64>().unwrap_or(0), part.to_string())
    };
    tensors.sort_by_cached_key(|(name, _)| {
        let (module, leaf) = name.rsplit_once('.').unwrap_or(("", name));
        (module.split('.').map(number).collect::<Vec<_>>(), rank(leaf), leaf.to_string())
    });
    tensors
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Init;
    use candle_core::{DType, Device};

    fn spec(name: &str, shape: &[usize]) -> ParamSpec {
        ParamSpec { name: name.into(), shape: shape.to_vec(), init: Init::Constant(0.0), trainable: true }
    }
    fn specs() -> Vec<ParamSpec> {
        vec![spec("0.weight", &[4, 2]), spec("0.bias", &[4]), spec("2.weight", &[3, 4]), spec("2.bias", &[3])]
    }
    fn file(names: &[(&str, &[usize])]) -> Named {
        let zeros = |dims: &[usize]| Tensor::zeros(dims, DType::F32, &Device::Cpu).unwrap();
        names.iter().map(|(n, dims)| (n.to_string(), zeros(dims))).collect()
    }

    #[test]
    fn wrappers_are_taken_off_with_a_note() {
        let wrapped = file(&[
            ("module._orig_mod.0.weight", &[4, 2]),
            ("module._orig_mod.0.bias", &[4]),
            ("module._orig_mod.2.weight", &[3, 4]),
            ("module._orig_mod.2.bias", &[3]),
        ]);
        let fit = fit(wrapped, true, &specs(), "mlp").unwrap();
        assert_eq!(fit.notes.len(), 2);
        assert!(fit.notes[0].contains("\"module.\"") && fit.notes[1].contains("\"_orig_mod.\""), "{:?}", fit.notes);
    }

    #[test]
    fn foreign_names_are_mapped_by_the_files_order_and_else_by_the_names_order() {
        let tensors: &[(&str, &[usize])] =
            &[("stem.weight", &[4, 2]), ("stem.bias", &[4]), ("head.weight", &[3, 4]), ("head.bias", &[3])];
        let found = fit(file(tensors), true, &specs(), "mlp").unwrap();
        assert_eq!(found.entries[2].0, "2.weight");
        assert!(found.notes[0].contains("by order and shape: stem.weight → 0.weight"), "{:?}", found.notes);
        // Sorted by name, head comes before stem.
        let error = fit(file(tensors), false, &specs(), "mlp").unwrap_err();
        assert!(error.contains("no tensor named 0.weight") && error.contains("head.weight is [3, 4] where"), "{error}");
        let sorted: &[(&str, &[usize])] =
            &[("fc10.bias", &[3]), ("fc10.weight", &[3, 4]), ("fc2.bias", &[4]), ("fc2.weight", &[4, 2])];
        assert!(fit(file(sorted), false, &specs(), "mlp").unwrap().notes[0].contains("fc2.weight → 0.weight"));
    }

    #[test]
    fn what_cannot_be_mapped_is_told_by_name_and_by_order() {
        let short = fit(file(&[("a.weight", &[4, 2]), ("a.bias", &[4])]), true, &specs(), "mlp").unwrap_err();
        assert!(
            short.contains("0.weight, 0.bias, 2.weight, 2.bias") && short.contains("has 2 tensors, mlp has 4"),
            "{short}"
        );
        let mut more = file(&[("0.weight", &[4, 2]), ("0.bias", &[4]), ("2.weight", &[3, 4]), ("2.bias", &[3])]);
        more.push(file(&[("mean", &[1])]).remove(0));
        assert!(fit(more, true, &specs(), "mlp").unwrap_err().contains("tensors that mlp has not: mean"));
    }
}

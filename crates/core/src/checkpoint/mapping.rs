//! Which tensor of a file is which parameter of a model: by name, else by order and shape.

use super::contents::Listed;
use crate::ParamSpec;
use std::collections::HashMap;

/// Prefixes that PyTorch's wrappers (`DataParallel`, `torch.compile`) put before every name.
const WRAPPERS: [&str; 2] = ["module.", "_orig_mod."];

/// Which tensor of a file's list is the model's first, second, ... parameter, and notes if names differ.
#[derive(Debug)]
pub(super) struct Fit {
    pub(super) places: Vec<usize>,
    pub(super) notes: Vec<String>,
}

/// Finds the tensor of every parameter. `ordered`: the file keeps the order of the modules.
///
/// # Errors
/// In words: what does not fit, by name and by order.
pub(super) fn fit(listed: &[Listed], ordered: bool, specs: &[ParamSpec], model: &str) -> Result<Fit, String> {
    let mut notes = Vec::new();
    let mut names: Vec<&str> = listed.iter().map(|t| t.name.as_str()).collect();
    while let Some(prefix) = wrapper(&names, specs) {
        names.iter_mut().for_each(|name| *name = &name[prefix.len()..]);
        notes.push(format!("every name begins with {prefix:?}, as a wrapper of PyTorch's leaves it; it was taken off"));
    }
    let at: HashMap<&str, usize> = names.iter().enumerate().map(|(place, name)| (*name, place)).collect();
    let places: Option<Vec<usize>> = specs.iter().map(|s| at.get(s.name.as_str()).copied()).collect();
    if let Some(places) = places {
        let extra: Vec<&str> = (0..names.len()).filter(|i| !places.contains(i)).map(|i| names[i]).collect();
        if !extra.is_empty() {
            return Err(format!("it has tensors that {model} has not: {}", some(&extra)));
        }
        if let Some((place, s)) = places.iter().zip(specs).find(|(place, s)| listed[**place].shape != s.shape) {
            let shape = &listed[*place].shape;
            return Err(format!("it does not fit {model}: {} is {shape:?}, the model's is {:?}", s.name, s.shape));
        }
        return Ok(Fit { places, notes });
    }
    // The order of a state dict is that of the modules; a safetensors file's is lost.
    let mut orders: Vec<Vec<usize>> = if ordered { vec![(0..listed.len()).collect()] } else { Vec::new() };
    orders.push(in_module_order(&names));
    let mut why = String::new();
    for places in orders {
        match unlike(&places, listed, &names, specs, model) {
            None => {
                let pairs: Vec<String> =
                    places.iter().zip(specs).map(|(place, s)| format!("{} → {}", names[*place], s.name)).collect();
                notes.push(format!(
                    "names differ from {model}'s; tensors were mapped by order and shape: {}",
                    some(&pairs)
                ));
                return Ok(Fit { places, notes });
            }
            Some(difference) if why.is_empty() => why = difference,
            Some(_) => {}
        }
    }
    let missing: Vec<&str> = specs.iter().map(|s| s.name.as_str()).filter(|name| !at.contains_key(name)).collect();
    Err(format!("it does not fit {model}: no tensor named {}; by order and shape neither: {why}", some(&missing)))
}

/// Why a file's tensors, in this order, are not the model's.
fn unlike(places: &[usize], listed: &[Listed], names: &[&str], specs: &[ParamSpec], model: &str) -> Option<String> {
    if places.len() != specs.len() {
        return Some(format!("it has {} tensors, {model} has {}", places.len(), specs.len()));
    }
    let (place, s) = places.iter().zip(specs).find(|(place, s)| listed[**place].shape != s.shape)?;
    let (name, shape) = (names[*place], &listed[*place].shape);
    Some(format!("{name} is {shape:?} where the model's {} is {:?}", s.name, s.shape))
}

/// The prefix of all names, unless the model's own names have it.
fn wrapper(names: &[&str], specs: &[ParamSpec]) -> Option<&'static str> {
    let all = |p: &&str| !names.is_empty() && names.iter().all(|n| n.starts_with(*p));
    let own = |p: &&str| specs.iter().any(|s| s.name.starts_with(*p));
    WRAPPERS.into_iter().find(|p| all(p) && !own(p))
}

fn some<S: AsRef<str>>(names: &[S]) -> String {
    let more = names.len().saturating_sub(4);
    let shown: Vec<&str> = names.iter().take(4).map(AsRef::as_ref).collect();
    let shown = shown.join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

/// Places in module order: safetensors sorts tensors by name, so the order of a foreign network is recovered from its
/// names, numbers compared as numbers, a module's weight before its bias and its running statistics.
fn in_module_order(names: &[&str]) -> Vec<usize> {
    let rank =
        |leaf: &str| ["weight", "bias", "running_mean", "running_var"].iter().position(|l| *l == leaf).unwrap_or(4);
    let number = |part: &str| {
        let digits = part.trim_start_matches(|c: char| !c.is_ascii_digit());
        (part[..part.len() - digits.len()].to_string(), digits.parse::<u64>().unwrap_or(0), part.to_string())
    };
    let mut places: Vec<usize> = (0..names.len()).collect();
    places.sort_by_cached_key(|place| {
        let name = names[*place];
        let (module, leaf) = name.rsplit_once('.').unwrap_or(("", name));
        (module.split('.').map(number).collect::<Vec<_>>(), rank(leaf), leaf.to_string())
    });
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Init;

    fn spec(name: &str, shape: &[usize]) -> ParamSpec {
        ParamSpec { name: name.into(), shape: shape.to_vec(), init: Init::Constant(0.0), trainable: true }
    }
    fn specs() -> Vec<ParamSpec> {
        vec![spec("0.weight", &[4, 2]), spec("0.bias", &[4]), spec("2.weight", &[3, 4]), spec("2.bias", &[3])]
    }
    fn file(names: &[(&str, &[usize])]) -> Vec<Listed> {
        names.iter().map(|(n, dims)| Listed { name: n.to_string(), shape: dims.to_vec() }).collect()
    }

    #[test]
    fn wrappers_are_taken_off_with_a_note() {
        let wrapped = file(&[
            ("module._orig_mod.0.weight", &[4, 2]),
            ("module._orig_mod.0.bias", &[4]),
            ("module._orig_mod.2.weight", &[3, 4]),
            ("module._orig_mod.2.bias", &[3]),
        ]);
        let fit = fit(&wrapped, true, &specs(), "mlp").unwrap();
        assert_eq!(fit.notes.len(), 2);
        assert!(fit.notes[0].contains("\"module.\"") && fit.notes[1].contains("\"_orig_mod.\""), "{:?}", fit.notes);
    }

    #[test]
    fn foreign_names_are_mapped_by_the_files_order_and_else_by_the_names_order() {
        let tensors: &[(&str, &[usize])] =
            &[("stem.weight", &[4, 2]), ("stem.bias", &[4]), ("head.weight", &[3, 4]), ("head.bias", &[3])];
        let found = fit(&file(tensors), true, &specs(), "mlp").unwrap();
        assert_eq!(found.places, [0, 1, 2, 3]);
        assert!(found.notes[0].contains("by order and shape: stem.weight → 0.weight"), "{:?}", found.notes);
        // Sorted by name, head comes before stem.
        let error = fit(&file(tensors), false, &specs(), "mlp").unwrap_err();
        assert!(error.contains("no tensor named 0.weight") && error.contains("head.weight is [3, 4] where"), "{error}");
        let sorted: &[(&str, &[usize])] =
            &[("fc10.bias", &[3]), ("fc10.weight", &[3, 4]), ("fc2.bias", &[4]), ("fc2.weight", &[4, 2])];
        assert!(fit(&file(sorted), false, &specs(), "mlp").unwrap().notes[0].contains("fc2.weight → 0.weight"));
    }

    #[test]
    fn what_cannot_be_mapped_is_told_by_name_and_by_order() {
        let short = fit(&file(&[("a.weight", &[4, 2]), ("a.bias", &[4])]), true, &specs(), "mlp").unwrap_err();
        assert!(
            short.contains("0.weight, 0.bias, 2.weight, 2.bias") && short.contains("has 2 tensors, mlp has 4"),
            "{short}"
        );
        let mut more = file(&[("0.weight", &[4, 2]), ("0.bias", &[4]), ("2.weight", &[3, 4]), ("2.bias", &[3])]);
        more.push(file(&[("mean", &[1])]).remove(0));
        assert!(fit(&more, true, &specs(), "mlp").unwrap_err().contains("tensors that mlp has not: mean"));
    }
}

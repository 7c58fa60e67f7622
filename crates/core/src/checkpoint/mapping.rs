//! Which tensor of a file is which parameter of a model: by name, else by order and shape.

use super::contents::Listed;
use crate::ParamSpec;
use std::collections::{HashMap, HashSet};

/// Where TRADES' code keeps blocks that its forward does not read.
const UNREAD: &str = "sub_block1.";
/// Prefixes that PyTorch's wrappers (`DataParallel`, `torch.compile`) put before every name.
const WRAPPERS: [&str; 2] = ["module.", "_orig_mod."];

/// Names of a mean and of its standard deviation, which published networks keep beside their weights.
const NORMALISATIONS: [(&str, &str); 2] = [("mu", "sigma"), ("mean", "std")];

/// Which tensor of a file's list is the model's first, second, ... parameter, and notes if names differ.
#[derive(Debug)]
pub(super) struct Fit {
    pub(super) places: Vec<usize>,
    pub(super) notes: Vec<String>,
    /// The tensors of the file that are its normalisation: mean and standard deviation.
    pub(super) normalisation: Option<(usize, usize)>,
}

/// Finds the tensor of every parameter, when what is no parameter of any model is set aside: mean and standard deviation of the images,
/// which are the file's normalisation, and the copy of the first group of blocks that TRADES' code makes and never reads.
///
/// # Errors
/// See [`fit_parameters`].
pub(super) fn fit(listed: &[Listed], ordered: bool, specs: &[ParamSpec], model: &str) -> Result<Fit, String> {
    let mut names: Vec<&str> = listed.iter().map(|t| t.name.as_str()).collect();
    let mut notes = unwrap(&mut names, specs);
    let own: HashSet<&str> = specs.iter().map(|s| s.name.as_str()).collect();
    let normalisation = normalisation(&names, &own);
    let unread: Vec<usize> = match specs.iter().any(|s| s.name.starts_with(UNREAD)) {
        true => Vec::new(),
        false => (0..names.len()).filter(|i| names[*i].contains(UNREAD)).collect(),
    };
    if !unread.is_empty() {
        notes.push(format!(
            "{} tensors of {UNREAD} were left out: a copy of the first blocks that the network never reads",
            unread.len()
        ));
    }
    let aside = |i: &usize| unread.contains(i) || normalisation.is_some_and(|(mean, std)| [mean, std].contains(i));
    let kept: Vec<usize> = (0..listed.len()).filter(|i| !aside(i)).collect();
    let rest = |i: &usize| Listed { name: names[*i].to_string(), shape: listed[*i].shape.clone() };
    let found = fit_parameters(&kept.iter().map(rest).collect::<Vec<_>>(), ordered, specs, model)?;
    notes.extend(found.notes);
    Ok(Fit { places: found.places.into_iter().map(|i| kept[i]).collect(), notes, normalisation })
}

/// Takes off what wrappers put before every name, and says so.
fn unwrap(names: &mut [&str], specs: &[ParamSpec]) -> Vec<String> {
    let mut notes = Vec::new();
    while let Some(prefix) = wrapper(names, specs) {
        names.iter_mut().for_each(|name| *name = &name[prefix.len()..]);
        notes.push(format!("every name begins with {prefix:?}, as a wrapper of PyTorch's leaves it; it was taken off"));
    }
    notes
}

/// The one pair of a mean and a standard deviation, by the last part of their names, that are not the model's `own`.
fn normalisation(names: &[&str], own: &HashSet<&str>) -> Option<(usize, usize)> {
    let mut pairs = names.iter().enumerate().filter_map(|(i, name)| {
        let leaf = name.rsplit('.').next()?;
        let (_, std) = NORMALISATIONS.iter().find(|(mean, _)| *mean == leaf)?;
        let std = format!("{}{std}", &name[..name.len() - leaf.len()]);
        let place = names.iter().position(|other| *other == std)?;
        (!own.contains(name) && !own.contains(std.as_str())).then_some((i, place))
    });
    pairs.next().filter(|_| pairs.next().is_none())
}

/// Finds the tensor of every parameter: by its name, by the order of the modules, by its shape where no two are alike, by the file's own
/// order. `ordered`: the file keeps the order of the modules.
///
/// # Errors
/// In words: what does not fit, by name, order and shape, and how to say what belongs where.
fn fit_parameters(listed: &[Listed], ordered: bool, specs: &[ParamSpec], model: &str) -> Result<Fit, String> {
    let mut names: Vec<&str> = listed.iter().map(|t| t.name.as_str()).collect();
    let mut notes = unwrap(&mut names, specs);
    if let Some(prefix) = outer(&names, specs) {
        names.iter_mut().for_each(|name| *name = &name[prefix.len()..]);
        notes.push(format!("the network is {prefix:?} of a larger module, which has nothing else; that was taken off"));
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
        return Ok(Fit { places, notes, normalisation: None });
    }
    // The order of a state dict is that of the modules; a safetensors file's is lost.
    let own: Vec<usize> = (0..listed.len()).collect();
    let by = |how: &'static str| move |places: Vec<usize>| (how, places);
    let mut orders = vec![("order and shape", in_module_order(&names))];
    if ordered {
        orders.insert(0, ("order and shape", own.clone()));
    }
    orders.extend(by_shape(listed, specs).map(by("shape, since no two are alike")));
    // Whoever wrote a file in another order than that of its names meant something by it.
    if !ordered && !names.is_sorted() {
        orders.push(("the file's own order and shape", own));
    }
    let mut why = String::new();
    for (how, places) in orders {
        match unlike(&places, listed, &names, specs, model) {
            None => {
                let pairs: Vec<String> =
                    places.iter().zip(specs).map(|(place, s)| format!("{} → {}", names[*place], s.name)).collect();
                notes.push(format!("names differ from {model}'s; tensors were mapped by {how}: {}", some(&pairs)));
                return Ok(Fit { places, notes, normalisation: None });
            }
            Some(difference) if why.is_empty() => why = difference,
            Some(_) => {}
        }
    }
    let missing: Vec<&str> = specs.iter().map(|s| s.name.as_str()).filter(|name| !at.contains_key(name)).collect();
    let mut error =
        format!("it does not fit {model}: no tensor named {}; by order and shape neither: {why}", some(&missing));
    if listed.len() >= specs.len() {
        let of = |name: &str, shape: &[usize]| format!("{name} {shape:?}");
        let wanted: Vec<String> = specs.iter().map(|s| of(&s.name, &s.shape)).collect();
        let found: Vec<String> = listed.iter().map(|t| of(&t.name, &t.shape)).collect();
        error += &format!(
            "; if it is this model all the same, write the names of its tensors ({}) into a file, one a line, in the order of the model's \
             ({}), and give gauntlet attack that file with --names FILE",
            found.join(", "),
            wanted.join(", ")
        );
    }
    Err(error)
}

/// The tensors that somebody names, in the order of the model's parameters; what is not named is left out.
///
/// # Errors
/// In words: a name that the file has not, too many or too few of them, a shape that is not the model's.
pub(super) fn by_names(listed: &[Listed], names: &[String], specs: &[ParamSpec], model: &str) -> Result<Fit, String> {
    let at: HashMap<&str, usize> = listed.iter().enumerate().map(|(place, t)| (t.name.as_str(), place)).collect();
    let mut places = Vec::new();
    for (line, name) in names.iter().enumerate() {
        let known = at
            .get(name.as_str())
            .ok_or_else(|| format!("--names: line {} names {name:?}, and it has no tensor of that name", line + 1))?;
        if places.contains(known) {
            return Err(format!("--names: line {} names {name:?} again", line + 1));
        }
        places.push(*known);
    }
    let own: Vec<&str> = listed.iter().map(|t| t.name.as_str()).collect();
    if names.len() != specs.len() {
        let wanted: Vec<&str> = specs.iter().map(|s| s.name.as_str()).collect();
        let (given, needed) = (names.len(), specs.len());
        return Err(format!("--names lists {given} tensors, {model} has {needed}: {}", wanted.join(", ")));
    }
    if let Some(why) = unlike(&places, listed, &own, specs, model) {
        return Err(format!("--names: {why}"));
    }
    let mut notes = vec!["tensors were mapped by the list of names".to_string()];
    let normalisation = normalisation(&own, &names.iter().map(String::as_str).collect());
    let known = |i: &usize| places.contains(i) || normalisation.is_some_and(|(mean, std)| [mean, std].contains(i));
    let left: Vec<&str> = (0..listed.len()).filter(|i| !known(i)).map(|i| own[i]).collect();
    if !left.is_empty() {
        notes.push(format!("tensors that the list does not name were left out: {}", some(&left)));
    }
    Ok(Fit { places, notes, normalisation })
}

/// The tensor of each parameter's shape, where every shape comes once, in the file and in the model.
fn by_shape(listed: &[Listed], specs: &[ParamSpec]) -> Option<Vec<usize>> {
    let at: HashMap<&[usize], usize> = listed.iter().enumerate().map(|(i, t)| (t.shape.as_slice(), i)).collect();
    let places: Vec<usize> = specs.iter().map(|s| at.get(s.shape.as_slice()).copied()).collect::<Option<_>>()?;
    let once: HashSet<usize> = places.iter().copied().collect();
    (at.len() == listed.len() && listed.len() == specs.len() && once.len() == specs.len()).then_some(places)
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

/// The module that all tensors lie in, where its own names are the model's: `1.` behind a normalisation, `model.` in a wrapper.
fn outer<'n>(names: &[&'n str], specs: &[ParamSpec]) -> Option<&'n str> {
    let first = names.first()?;
    let prefix = &first[..first.find('.')? + 1];
    let inner: HashSet<&str> = names.iter().map(|name| name.strip_prefix(prefix)).collect::<Option<_>>()?;
    let has = |names: &HashSet<&str>| specs.iter().all(|s| names.contains(s.name.as_str()));
    (has(&inner) && !has(&names.iter().copied().collect())).then_some(prefix)
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
        // Sorted by name, head comes before stem; and two of the shapes are alike.
        let alike =
            vec![spec("0.weight", &[4, 2]), spec("0.bias", &[4]), spec("2.weight", &[4, 4]), spec("2.bias", &[4])];
        let tensors: &[(&str, &[usize])] =
            &[("head.bias", &[4]), ("head.weight", &[4, 4]), ("stem.bias", &[4]), ("stem.weight", &[4, 2])];
        let error = fit(&file(tensors), false, &alike, "mlp").unwrap_err();
        assert!(error.contains("no tensor named 0.weight") && error.contains("head.weight is [4, 4] where"), "{error}");
        let way_out = "write the names of its tensors (head.bias [4], head.weight [4, 4], stem.bias [4], stem.weight [4, 2]) into a \
                       file, one a line, in the order of the model's (0.weight [4, 2], 0.bias [4], 2.weight [4, 4], 2.bias [4]), and \
                       give gauntlet attack that file with --names FILE";
        assert!(error.contains(way_out), "{error}");
        // Not sorted by name: the writer's order.
        let tensors: &[(&str, &[usize])] =
            &[("stem.weight", &[4, 2]), ("stem.bias", &[4]), ("head.weight", &[4, 4]), ("head.bias", &[4])];
        let found = fit(&file(tensors), false, &alike, "mlp").unwrap();
        assert!(
            found.notes[0].contains("by the file's own order and shape: stem.weight → 0.weight"),
            "{:?}",
            found.notes
        );
        let sorted: &[(&str, &[usize])] =
            &[("fc10.bias", &[3]), ("fc10.weight", &[3, 4]), ("fc2.bias", &[4]), ("fc2.weight", &[4, 2])];
        assert!(fit(&file(sorted), false, &specs(), "mlp").unwrap().notes[0].contains("fc2.weight → 0.weight"));
    }

    #[test]
    fn shapes_that_come_once_need_no_order() {
        let sorted: &[(&str, &[usize])] =
            &[("head.bias", &[3]), ("head.weight", &[3, 4]), ("stem.bias", &[4]), ("stem.weight", &[4, 2])];
        let found = fit(&file(sorted), false, &specs(), "mlp").unwrap();
        assert_eq!(found.places, [3, 2, 1, 0]);
        assert!(
            found.notes[0].contains("by shape, since no two are alike: stem.weight → 0.weight"),
            "{:?}",
            found.notes
        );
        assert!(fit(&file(&sorted[..3]), false, &specs(), "mlp").is_err());
    }

    #[test]
    fn a_list_of_names_says_what_belongs_where() {
        let tensors: &[(&str, &[usize])] = &[("a", &[4]), ("b", &[3]), ("c", &[4, 2]), ("d", &[3, 4]), ("epoch", &[1])];
        let map = |names: &str| {
            let names: Vec<String> = names.split(' ').map(String::from).collect();
            by_names(&file(tensors), &names, &specs(), "mlp")
        };
        let found = map("c a d b").unwrap();
        assert_eq!((found.places.as_slice(), found.notes.len()), (&[2, 0, 3, 1][..], 2));
        assert!(found.notes[1].contains("left out: epoch"), "{:?}", found.notes);
        let with_own: &[(&str, &[usize])] =
            &[("mean", &[1]), ("a", &[4]), ("b", &[3]), ("c", &[4, 2]), ("d", &[3, 4]), ("std", &[1])];
        let found = by_names(&file(with_own), &["c", "a", "d", "b"].map(String::from), &specs(), "mlp").unwrap();
        assert_eq!((found.normalisation, found.notes.len()), (Some((0, 5)), 1));
        for (names, why) in [
            ("c a d e", "--names: line 4 names \"e\", and it has no tensor of that name"),
            ("c a a b", "--names: line 3 names \"a\" again"),
            ("c a d", "--names lists 3 tensors, mlp has 4: 0.weight, 0.bias, 2.weight, 2.bias"),
            ("a c d b", "--names: a is [4] where the model's 0.weight is [4, 2]"),
        ] {
            assert_eq!(map(names).unwrap_err(), why);
        }
    }

    #[test]
    fn what_is_no_parameter_of_any_model_is_set_aside() {
        let own: [(&str, &[usize]); 4] =
            [("0.weight", &[4, 2]), ("0.bias", &[4]), ("2.weight", &[3, 4]), ("2.bias", &[3])];
        let with = |before: &[&str], prefix: &str, more: &[&str]| {
            let three: &[usize] = &[1, 3, 1, 1];
            let named = own.iter().map(|(name, shape)| (format!("{prefix}{name}"), *shape));
            let before = before.iter().map(|name| (name.to_string(), three));
            let named: Vec<_> = before.chain(named).chain(more.iter().map(|name| (name.to_string(), three))).collect();
            let named: Vec<(&str, &[usize])> = named.iter().map(|(name, shape)| (name.as_str(), *shape)).collect();
            fit(&file(&named), true, &specs(), "mlp")
        };
        // Buffers come first in a state dict; a wrapper stands before all of them or before the weights alone.
        let found = with(&["mu", "sigma"], "", &[]).unwrap();
        assert_eq!((found.places.as_slice(), found.normalisation), (&[2, 3, 4, 5][..], Some((0, 1))));
        assert!(found.notes.is_empty(), "{:?}", found.notes);
        let found = with(&["module.mu", "module.sigma"], "module.", &[]).unwrap();
        assert_eq!((found.places.as_slice(), found.normalisation), (&[2, 3, 4, 5][..], Some((0, 1))));
        let found = with(&["normalize.mean", "normalize.std"], "module.", &[]).unwrap();
        assert_eq!(found.normalisation, Some((0, 1)));
        let found = with(&[], "model.", &["normalizer.std", "normalizer.mean"]).unwrap();
        assert_eq!(found.normalisation, Some((5, 4)));
        assert!(found.notes[0].contains("the network is \"model.\" of a larger module"), "{:?}", found.notes);
        let found = with(&[], "", &["sub_block1.layer.0.conv1.weight", "sub_block1.layer.0.bn1.bias"]).unwrap();
        assert_eq!((found.places.as_slice(), found.normalisation), (&[0, 1, 2, 3][..], None));
        assert!(found.notes[0].contains("2 tensors of sub_block1. were left out"), "{:?}", found.notes);
        // Half of a pair, or two pairs, are no normalisation.
        assert!(with(&["mu"], "", &[]).unwrap_err().contains("tensors that mlp has not: mu"));
        let two = with(&["mu", "sigma"], "", &["mean", "std"]).unwrap_err();
        assert!(two.contains("tensors that mlp has not: mu, sigma, mean, std"), "{two}");
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

//! The scripting engine's errors in the words of this project.

use crate::complaint::Complaint;
use crate::language::{self, MAX_CALLS, MAX_OPERATIONS, MAX_SIZE};
use crate::nearest::nearest;
use crate::spelling;
use rhai::{AST, EvalAltResult as Error, ParseError, ParseErrorType};

/// A script that does not parse.
pub(crate) fn of_parsing(path: &str, text: &str, error: &ParseError) -> Complaint {
    let message = match &*error.0 {
        ParseErrorType::VariableUndefined(name) => {
            let known = variables(text);
            if known.contains(&name.as_str()) {
                format!("there is no variable `{name}` here yet; is a `;` missing in the line before?")
            } else {
                format!("there is no variable `{name}`{}", nearest(name, known.into_iter()))
            }
        }
        ParseErrorType::Reserved(word) if ["import", "export"].contains(&word.as_str()) => {
            format!("`{word}` is not available: a recipe is one file, without access to others")
        }
        ParseErrorType::MissingToken(token, why) => format!("expected `{token}` {why}"),
        ParseErrorType::ExprTooDeep => "this expression is nested too deeply; name its parts with `let`".into(),
        other => lower(&other.to_string()),
    };
    Complaint::at(path, text, error.1, message)
}

/// A script that failed while it ran.
pub(crate) fn of_running(path: &str, text: &str, program: &AST, mut error: Error) -> Complaint {
    let mut within = String::new();
    while let Error::ErrorInFunctionCall(name, _, inner, place) = error {
        if let Some(line) = place.line() {
            within = format!("{within}, in `{name}`, called in line {line}");
        }
        error = *inner;
    }
    let mut place = error.take_position();
    if let (Error::ErrorTooManyOperations(_) | Error::ErrorDataTooLarge(..), None) = (&error, place.line()) {
        place = spelling::endless(program, false).unwrap_or(place);
    }
    let message = match &error {
        Error::ErrorFunctionNotFound(call, _) => unknown_call(program, call),
        Error::ErrorTooManyOperations(_) => {
            format!("more than {MAX_OPERATIONS} operations in one step: is there a loop without an end?")
        }
        Error::ErrorDataTooLarge(..) => {
            format!("a list or text grows beyond {MAX_SIZE} items: is there a loop without an end?")
        }
        Error::ErrorStackOverflow(_) => {
            format!("calls are nested more than {MAX_CALLS} deep: does a function call itself without an end?")
        }
        Error::ErrorRuntime(said, _) => said.to_string(),
        Error::ErrorDotExpr(said, _) => format!("{}; a function needs its brackets, `x.sqr()`", lower(said)),
        Error::ErrorMismatchDataType(want, got, _) if plain(want) == plain(got) => {
            format!("expected a whole number, got one that is none ({got})")
        }
        Error::ErrorMismatchDataType(want, got, _) => {
            format!("expected {}, got {}", plain(want), plain(got))
        }
        other => lower(&other.to_string()),
    };
    Complaint::at(path, text, place, format!("{message}{within}"))
}

/// `sqr (Var, i64)`: a call that no function takes.
fn unknown_call(program: &AST, call: &str) -> String {
    let (name, given) = call.split_once(" (").unwrap_or((call, ")"));
    let given = plain(given.trim_end_matches(')'));
    let bound = language::bound().iter().filter(|b| b.name() == name).map(|b| b.signature.to_string());
    let own = program.iter_functions().filter(|f| f.name == name).map(|f| format!("{name}({})", f.params.join(", ")));
    let known: Vec<String> = bound.chain(own).collect();
    if !known.is_empty() {
        return format!("`{name}` was called with ({given}); it is `{}`", known.join("` or `"));
    }
    if name.chars().all(|c| !c.is_alphanumeric()) {
        return format!("`{name}` is not defined for ({given})");
    }
    format!("there is no function `{name}`{}", nearest(name, language::bound().iter().map(|b| b.name())))
}

/// The engine's names of types in plain words.
fn plain(types: &str) -> String {
    let word = |t: &str| match t.trim() {
        "i64" | "f64" => "a number".to_string(),
        "string" | "&str | ImmutableString | String" => "a text".to_string(),
        "array" => "an array".to_string(),
        "()" => "nothing".to_string(),
        other => other.to_string(),
    };
    types.split(',').map(word).collect::<Vec<_>>().join(", ")
}

/// Names that a script gives to values.
fn variables(text: &str) -> Vec<&str> {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let words: Vec<&str> = text.split(|c: char| !word(c)).filter(|w| !w.is_empty()).collect();
    let mut names: Vec<&str> =
        words.windows(2).filter(|w| ["let", "const", "for"].contains(&w[0])).map(|w| w[1]).collect();
    for line in text.lines().filter_map(|l| l.trim_start().strip_prefix("fn ")) {
        let inside = line.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map_or("", |(inside, _)| inside);
        names.extend(inside.split(',').map(str::trim).filter(|n| !n.is_empty()));
    }
    names
}

fn lower(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_lowercase().chain(letters).collect())
}

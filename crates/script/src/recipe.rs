//! A recipe whose loss is a script's.

use crate::bindings::StepHandle;
use crate::complaint::Complaint;
use crate::explanation::of_running;
use crate::script::Script;
use crate::{language, loan};
use gauntlet_core::{Recipe, Result, Step, Term};
use rhai::{AST, Array, CallFnOptions, Dynamic, Scope};
use serde_json::Value;

/// A script with values for its constants.
pub struct ScriptRecipe {
    name: String,
    script: Script,
    program: AST,
}

impl ScriptRecipe {
    /// Compiles the script with these values, one for each constant.
    ///
    /// # Errors
    /// A value of another kind than the constant's.
    pub fn new(name: &str, script: Script, values: &[Value]) -> std::result::Result<Self, Complaint> {
        let program = script.compile(values)?;
        Ok(ScriptRecipe { name: name.to_string(), script, program })
    }

    fn read(&self, returned: Dynamic) -> Result<Vec<Term>> {
        let whole = |why: String| Complaint::whole(&self.script.path, why);
        if let Some(term) = returned.clone().try_cast::<Term>() {
            return Ok(vec![term]);
        }
        let kind = returned.type_name();
        let list = returned.try_cast::<Array>().ok_or_else(|| {
            whole(format!("`loss` must return a list of terms such as `[term(\"ce\", 1.0, ce)]`, got {}", called(kind)))
        })?;
        let mut terms: Vec<Term> = Vec::with_capacity(list.len());
        for (i, item) in list.into_iter().enumerate() {
            let kind = item.type_name();
            let term = item.try_cast::<Term>().ok_or_else(|| {
                let why = format!("item {} of the list that `loss` returns is {}, not a term", i + 1, called(kind));
                whole(why + "; write `term(\"name\", weight, values)`")
            })?;
            if terms.iter().any(|t| t.name == term.name) {
                return Err(whole(format!("`loss` returns two terms named {:?}", term.name)).into());
            }
            terms.push(term);
        }
        if terms.is_empty() {
            return Err(whole("`loss` returns no term".into()).into());
        }
        Ok(terms)
    }
}

/// A type in plain words.
fn called(type_name: &str) -> &str {
    match type_name {
        "()" => "nothing: its last line is what it returns",
        "i64" | "f64" => "a number",
        "string" => "a text",
        name if name.ends_with("Var") => "a Var",
        name => name,
    }
}

impl Recipe for ScriptRecipe {
    fn name(&self) -> &str {
        &self.name
    }
    fn terms(&self, step: &mut Step<'_>) -> Result<Vec<Term>> {
        // The constants outside functions are in the program already.
        let options = CallFnOptions::new().eval_ast(false);
        let returned: std::result::Result<Dynamic, _> = loan::lend(step, || {
            let mut scope = Scope::new();
            language::engine().call_fn_with_options(options, &mut scope, &self.program, "loss", (StepHandle,))
        });
        self.read(returned.map_err(|e| of_running(&self.script.path, &self.script.text, &self.program, *e))?)
    }
    fn held_constant(&self) -> Option<&'static str> {
        let says_so = ["detached", "sg("].iter().any(|word| self.script.formula.contains(word));
        says_so.then_some("what its formula calls detached")
    }
}

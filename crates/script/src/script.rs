//! A script: what stands in its file.

use crate::complaint::Complaint;
use crate::explanation::of_parsing;
use crate::{language, spelling};
use gauntlet_core::{OwnedKind, ParamKind, Range};
use gauntlet_records::Eps;
use rhai::{AST, ASTFlags, Dynamic, Position, Scope, Stmt};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Bytes of a script's file.
pub(crate) const MAX_BYTES: usize = 64 * 1024;

/// A recipe's file, parsed.
#[derive(Debug, Clone)]
pub struct Script {
    /// The file, as complaints name it.
    pub path: String,
    /// Its text.
    pub text: String,
    /// sha256 of the text, in hexadecimal digits.
    pub sha256: String,
    /// The first line of the comment at the top.
    pub summary: String,
    /// What follows `formula:` there.
    pub formula: String,
    /// What follows `paper:` there.
    pub paper: String,
    /// The constants, which suites may override, in order.
    pub constants: Vec<Constant>,
}

/// A constant of a script: a parameter with its default.
#[derive(Debug, Clone, PartialEq)]
pub struct Constant {
    /// Its name in the script, e.g. `WEIGHT`.
    pub name: String,
    /// Its name in suites, e.g. `weight`: in small letters, as all parameters are.
    pub parameter: String,
    /// A number, a text or a truth value.
    pub value: Value,
    /// The comment behind it.
    pub doc: String,
}

impl Script {
    /// Reads a script's text.
    ///
    /// # Errors
    /// What the grammar refuses, names that mean nothing, a statement outside functions other than a constant with a
    /// literal value, no `fn loss(step)`: each with its place.
    pub fn parse(path: &str, text: &str) -> Result<Script, Complaint> {
        // Some editors put a mark before a text.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.len() > MAX_BYTES {
            return Err(Complaint::whole(path, format!("{} bytes are too long for a recipe", text.len())));
        }
        if let Some((at, found)) = text.char_indices().find(|(_, c)| c.is_control() && !"\n\r\t".contains(*c)) {
            let before = &text[..at];
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            let place = Position::new(line as u16, column as u16);
            return Err(Complaint::at(
                path,
                text,
                place,
                format!("here is the control character {found:?}; remove it"),
            ));
        }
        // Names of constants are not known before the first look, so it is not strict about names.
        let mut lenient = language::bare();
        lenient.set_optimization_level(rhai::OptimizationLevel::None);
        let ast = lenient.compile(text).map_err(|e| of_parsing(path, text, &e))?;
        if let Some(place) = spelling::stray(&ast) {
            let message = "only constants and functions may stand outside functions; write `const` or move it inside";
            return Err(Complaint::at(path, text, place, message));
        }
        let constants = constants(path, text, &ast)?;
        entry(path, &ast)?;
        spelling::check(path, text, &ast)?;
        if let Some((place, why)) = spelling::unprintable(&ast) {
            return Err(Complaint::at(path, text, place, why));
        }
        let header = Header::of(text);
        let script = Script {
            path: path.to_string(),
            text: text.to_string(),
            sha256: Sha256::digest(text).iter().map(|b| format!("{b:02x}")).collect(),
            summary: header.summary,
            formula: header.formula,
            paper: header.paper,
            constants,
        };
        let defaults: Vec<Value> = script.constants.iter().map(|c| c.value.clone()).collect();
        match spelling::endless(&script.compile(&defaults)?, true) {
            Some(place) => Err(Complaint::at(path, text, place, "this loop does nothing, so it has no end")),
            None => Ok(script),
        }
    }

    /// The program, with these values for the constants.
    pub(crate) fn compile(&self, values: &[Value]) -> Result<AST, Complaint> {
        let mut scope = Scope::new();
        for (constant, value) in self.constants.iter().zip(values) {
            let value = constant.read(value).map_err(|why| Complaint::whole(&self.path, why))?;
            scope.push_constant_dynamic(constant.name.as_str(), value);
        }
        // The optimiser puts the scope's constants into the functions.
        language::engine().compile_with_scope(&scope, &self.text).map_err(|e| of_parsing(&self.path, &self.text, &e))
    }
}

impl Constant {
    /// A number (or a length in pixels that stands for it), a whole number, true or false, a text: what its value is.
    pub fn kind(&self) -> OwnedKind {
        match &self.value {
            Value::Number(n) if n.is_f64() => ParamKind::FloatOrLength,
            Value::Number(_) => ParamKind::Int(Range::ANY),
            Value::Bool(_) => ParamKind::Bool,
            _ => ParamKind::Text,
        }
    }

    /// A value of this constant's kind, as the script has it.
    fn read(&self, given: &Value) -> Result<Dynamic, String> {
        self.kind().check(&self.parameter, given).map_err(|error| error.to_string())?;
        let wrong = |want: &str| format!("{}: must be {want}, got {given}", self.parameter);
        Ok(match (self.kind(), given) {
            (ParamKind::FloatOrLength, Value::String(s)) => {
                s.parse::<Eps>().map_err(|error| error.to_string())?.value().into()
            }
            (ParamKind::FloatOrLength, _) => given.as_f64().ok_or_else(|| wrong("a number"))?.into(),
            (ParamKind::Int(_), _) => given.as_i64().ok_or_else(|| wrong("a whole number below 2⁶³"))?.into(),
            (_, Value::Bool(b)) => (*b).into(),
            (_, Value::String(s)) if s.chars().any(char::is_control) => {
                return Err(wrong("a text without control characters"));
            }
            (_, Value::String(s)) => s.clone().into(),
            _ => return Err(wrong("a text, true or false")),
        })
    }
}

fn constants(path: &str, text: &str, ast: &AST) -> Result<Vec<Constant>, Complaint> {
    let mut found: Vec<Constant> = Vec::new();
    for statement in ast.statements() {
        let Stmt::Var(definition, flags, place) = statement else { continue };
        debug_assert!(flags.contains(ASTFlags::CONSTANT), "anything else is stray");
        let (ident, expression, _) = &**definition;
        let name = ident.name.to_string();
        let complain = |place: Position, why: String| Complaint::at(path, text, place, why);
        let parameter = name.to_lowercase();
        if parameter == "name" || parameter == "sha256" {
            return Err(complain(ident.pos, format!("`{name}` is taken: choose another name for this constant")));
        }
        if found.iter().any(|c| c.parameter == parameter) {
            return Err(complain(ident.pos, format!("the parameter `{parameter}` is defined twice")));
        }
        let value = expression.get_literal_value(None).and_then(|v| json(&v)).ok_or_else(|| {
            let why = "a constant outside functions is a parameter, so it must be a number, a text, true or false";
            complain(expression.start_position(), why.into())
        })?;
        let line = place.line().and_then(|l| text.lines().nth(l - 1)).unwrap_or_default();
        let doc = line.rsplit_once("//").map_or("", |(_, comment)| comment.trim());
        found.push(Constant { name, parameter, value, doc: doc.to_string() });
    }
    Ok(found)
}

fn json(value: &Dynamic) -> Option<Value> {
    if let Ok(x) = value.as_float() {
        return serde_json::Number::from_f64(x).map(Value::Number);
    }
    if let Ok(n) = value.as_int() {
        return Some(n.into());
    }
    if let Ok(b) = value.as_bool() {
        return Some(b.into());
    }
    value.as_immutable_string_ref().ok().map(|s| Value::String(s.to_string()))
}

/// There is a `fn loss(step)`.
fn entry(path: &str, ast: &AST) -> Result<(), Complaint> {
    let arities: Vec<usize> = ast.iter_functions().filter(|f| f.name == "loss").map(|f| f.params.len()).collect();
    if arities.contains(&1) {
        return Ok(());
    }
    let message = match arities.first() {
        None => "a recipe needs a function `fn loss(step) { ... }` that returns a list of terms".to_string(),
        Some(n) => format!("`fn loss` must take one parameter, the step; this one takes {n}"),
    };
    Err(Complaint::whole(path, message))
}

#[derive(Default)]
struct Header {
    summary: String,
    formula: String,
    paper: String,
}

impl Header {
    /// The comment at the top of a text.
    fn of(text: &str) -> Header {
        let mut header = Header::default();
        let comments = text.lines().map_while(|l| l.trim().strip_prefix("//"));
        for line in comments.map(|l| l.trim_start_matches(['!', '/']).trim()) {
            if let Some(formula) = line.strip_prefix("formula:") {
                header.formula = formula.trim().to_string();
            } else if let Some(paper) = line.strip_prefix("paper:") {
                header.paper = paper.trim().to_string();
            } else if header.summary.is_empty() {
                header.summary = line.trim_end_matches('.').to_string();
            }
        }
        header
    }
}

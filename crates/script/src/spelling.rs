//! Calls of functions that do not exist are found when a script is read, not an hour into a suite.

use crate::complaint::Complaint;
use crate::language;
use crate::nearest::nearest;
use rhai::{AST, ASTNode, Expr, FnCallExpr, Position, Stmt};

/// Functions of the language that recipes may not use, and why.
const REFUSED: [&str; 11] =
    ["eval", "print", "debug", "Fn", "call", "curry", "type_of", "is_def_fn", "is_def_var", "sleep", "timestamp"];

/// Complains about the first call of a function that neither is bound nor stands in the script.
pub(crate) fn check(path: &str, text: &str, ast: &AST) -> Result<(), Complaint> {
    let own: Vec<&str> = ast.iter_functions().map(|f| f.name).collect();
    let mut wrong: Option<Complaint> = None;
    ast.walk(&mut |nodes| {
        let called = match nodes.last() {
            Some(ASTNode::Expr(Expr::FnCall(call, place) | Expr::MethodCall(call, place)))
            | Some(ASTNode::Stmt(Stmt::FnCall(call, place))) => Some((call, *place)),
            _ => None,
        };
        if let Some((call, place)) = called
            && let Err(message) = known(call, &own)
        {
            wrong = Some(Complaint::at(path, text, place, message));
        }
        wrong.is_none()
    });
    wrong.map_or(Ok(()), Err)
}

fn known(call: &FnCallExpr, own: &[&str]) -> Result<(), String> {
    let name = call.name.as_str();
    let bound = || language::bound().iter().map(|b| b.name());
    if call.op_token.is_some() || own.contains(&name) || bound().any(|b| b == name) {
        return Ok(());
    }
    if REFUSED.contains(&name) {
        return Err(format!("`{name}` is not available in recipes"));
    }
    // Operators are calls too.
    if !name.chars().any(char::is_alphabetic) {
        return Ok(());
    }
    let near = nearest(name, bound().chain(own.iter().copied()));
    Err(format!("there is no function `{name}`{near}"))
}

/// The first loop that may have no end, or that of which the optimiser left no body: the engine does not always say
/// where it was stopped.
pub(crate) fn endless(program: &AST, idle: bool) -> Option<Position> {
    let mut found = None;
    program.walk(&mut |nodes| {
        if let Some(ASTNode::Stmt(Stmt::While(flow, place) | Stmt::Do(flow, _, place))) = nodes.last()
            && (!idle || flow.body.is_empty())
        {
            found = Some(*place);
        }
        found.is_none()
    });
    found
}

/// The first text of a script that has a control character, and what is wrong with it: names of terms head columns, files and pictures.
pub(crate) fn unprintable(ast: &AST) -> Option<(Position, String)> {
    let mut found = None;
    ast.walk(&mut |nodes| {
        let (text, place) = match nodes.last() {
            Some(ASTNode::Expr(Expr::StringConstant(text, place))) => (text.to_string(), *place),
            Some(ASTNode::Expr(Expr::CharConstant(c, place))) => (c.to_string(), *place),
            _ => return true,
        };
        if let Some(c) = text.chars().find(|c| c.is_control()) {
            let why =
                format!("this text has the control character {c:?}, which no page or picture can show; remove it");
            found = Some((place, why));
        }
        found.is_none()
    });
    found
}

/// Where the first statement stands that is neither a constant nor a function.
pub(crate) fn stray(ast: &AST) -> Option<Position> {
    let constant = |s: &&Stmt| matches!(s, Stmt::Var(_, flags, _) if flags.contains(rhai::ASTFlags::CONSTANT));
    ast.statements().iter().find(|s| !s.is_noop() && !constant(s)).map(Stmt::position)
}

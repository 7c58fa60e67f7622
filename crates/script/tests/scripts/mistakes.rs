//! What a new user gets wrong, and what is said about it.

use crate::bench::Bench;
use gauntlet_script::{
    MAX_ALL_OPERATIONS, MAX_CALLS, MAX_ELEMENTS, MAX_LARGEST, MAX_OPERATIONS, MAX_ORDER, MAX_PASSES,
    MAX_TENSOR_OPERATIONS, Script,
};
use proptest::prelude::*;

fn unread(text: &str) -> String {
    Script::parse("mine.rhai", text).err().unwrap_or_else(|| panic!("{text} can be read")).to_string()
}

#[test]
fn a_typo_is_shown_with_its_place_when_the_script_is_read() {
    let text = "const WEIGHT = 0.1;\n\nfn loss(step) {\n    let x = step.input();\n    let q = x.sqrr();\n    [term(\"q\", WEIGHT, q)]\n}\n";
    let said = "mine.rhai:5:15: there is no function `sqrr`, did you mean `sqr`?\n  5 |     let q = x.sqrr();\n    |               ^";
    assert_eq!(unread(text), said);
    let fixed = text.replace("sqrr", "sqr");
    for (right, wrong, needle) in [
        ("WEIGHT, q", "WIEGHT, q", "mine.rhai:6:16: there is no variable `WIEGHT`, did you mean `WEIGHT`?"),
        ("x.sqr()", "y.sqr()", "mine.rhai:5:13: there is no variable `y`"),
        ("term(", "trem(", "mine.rhai:6:6: there is no function `trem`, did you mean `term`?"),
        ("sqr();", "sqr()", "mine.rhai:6:24: there is no variable `q` here yet; is a `;` missing in the line before?"),
        ("sqr();", "sqr(;", "mine.rhai:5:"),
        ("sqr();", "sqr(); loop { }", "mine.rhai:5:22: this loop does nothing, so it has no end"),
        ("sqr();", "sqr(); while WEIGHT < 1 { let i = 1; }", "this loop does nothing"),
        ("[term", "[[term", "mine.rhai:"),
        ("fn loss", "fn lost", "mine.rhai: a recipe needs a function `fn loss(step) { ... }`"),
        ("fn loss(step)", "fn loss(step, x)", "`fn loss` must take one parameter"),
        ("const WEIGHT", "let WEIGHT", "mine.rhai:1:1: only constants and functions may stand outside functions"),
        ("= 0.1", "= 0.1 * x", "mine.rhai:1:20: a constant outside functions is a parameter"),
        (
            "const WEIGHT = 0.1;",
            "const WEIGHT = 0.1; const weight = 2;",
            "mine.rhai:1:27: the parameter `weight` is defined twice",
        ),
        ("WEIGHT", "SHA256", "`SHA256` is taken"),
    ] {
        assert!(fixed.contains(right), "{right}");
        let said = unread(&fixed.replace(right, wrong));
        assert!(said.contains(needle), "{wrong}: {needle} is not in\n{said}");
    }
    assert!(Script::parse("mine.rhai", &fixed).is_ok());
    // Some editors put a mark before a text; the sha256 is that of the text.
    let marked = Script::parse("mine.rhai", &format!("\u{feff}{fixed}")).unwrap();
    assert_eq!(marked.sha256, Script::parse("mine.rhai", &fixed).unwrap().sha256);
    let said = unread(&fixed.replace("\"q\"", "\"a\\x1b\""));
    assert!(said.starts_with("mine.rhai:6:11: this text has the control character '\\u{1b}', which no page"), "{said}");
    let said = unread(&fixed.replace("\"q\"", "\"a\u{1b}\""));
    assert!(said.starts_with("mine.rhai:6:13: here is the control character '\\u{1b}'; remove it"), "{said}");
}

#[test]
fn files_network_printing_and_eval_are_not_there() {
    for (line, needle) in [
        ("import \"other\" as o;", "`import` is not available"),
        ("eval(\"1 + 1\");", "`eval` is not available"),
        ("print(\"here\");", "`print` is not available"),
        ("debug(step);", "`debug` is not available"),
        ("sleep(1.0);", "`sleep` is not available"),
        ("let t = timestamp();", "`timestamp` is not available"),
        ("let f = Fn(\"eval\");", "`Fn` is not available"),
        ("\"eval\".call(\"1\");", "`call` is not available"),
        ("let f = open_file(\"/etc/passwd\");", "there is no function `open_file`"),
        ("let f = |x| x;", "mine.rhai:1:"),
        ("let r = rand();", "there is no function `rand`"),
    ] {
        let said = unread(&format!("fn loss(step) {{ {line} [] }}"));
        assert!(said.contains(needle), "{line}: {needle} is not in\n{said}");
    }
}

#[test]
fn wrong_shapes_are_named_with_the_term_or_the_operation() {
    let bench = Bench::new(3);
    let said = bench.fails("[term(\"grad_norm\", 0.1, step.input().sqr())]");
    let want = "mine.rhai:2:6: term \"grad_norm\" has the shape [3, 1, 8, 8] instead of [3], a value per example: reduce it \
                with `sum_per_example`, `mean_per_example` or a norm\n  2 |     [term(";
    assert!(said.starts_with(want), "{said}");
    for (body, needles) in [
        ("[term(\"it\", 1.0, step.input().mean_all())]", ["[] instead of [3]", "it lost its examples"]),
        ("let x = step.input(); [term(\"it\", 1.0, step.cross_entropy(x) + x)]", ["mine.rhai:2:", "[3, 1, 8, 8]"]),
        ("[term(\"it\", 1.0, step.input().reshape([3, 5]))]", ["mine.rhai:2:", "reshape"]),
        ("[term(\"it\", 1.0, step.input().narrow(1, 0, -1))]", ["len must be at least 0, got -1", "mine.rhai:2:"]),
        ("let x = step.input(); [term(\"it\", 1.0, step.forward(x.flatten()))]", ["mine.rhai:2:", "forward"]),
    ] {
        let said = bench.fails(body);
        for needle in needles {
            assert!(said.contains(needle), "{body}: {needle} is not in\n{said}");
        }
    }
}

#[test]
fn an_endless_loop_ends() {
    let bench = Bench::new(2);
    let many = |limit: u64| format!("more than {limit}");
    for (body, needle) in [
        ("let i = 0; loop { i += 1; }", many(MAX_OPERATIONS)),
        ("let i = 0; while i < 1 { i -= 1; }", many(MAX_OPERATIONS)),
        ("let x = step.input(); loop { x = x * 0.5; }", many(MAX_TENSOR_OPERATIONS.into())),
        ("loop { let x = leaf(step.input()); step.forward(x); }", many(MAX_PASSES.into())),
    ] {
        let said = bench.fails(body);
        assert!(said.contains("mine.rhai:2:") && said.contains(&needle), "{body}: {said}");
        assert!(said.contains("is there a loop without an end?"), "{said}");
    }
    let said = bench.terms("fn deep(x) { deep(x) }\nfn loss(step) { deep(1) }").err().unwrap();
    assert!(said.contains(&format!("nested more than {MAX_CALLS} deep")), "{said}");
    for body in ["let l = []; loop { l.push(1); }", "let t = \"aaaaaaaa\"; loop { t += t; }"] {
        let said = bench.fails(body);
        assert!(said.contains("mine.rhai:2:") && said.contains("a list or text grows beyond"), "{said}");
    }
}

#[test]
fn tensors_that_grow_without_end_are_refused_before_they_are_made() {
    let bench = Bench::new(4);
    let one = |shape: &str| {
        format!("a tensor of shape {shape} is too large: one of a script has at most {MAX_ELEMENTS} elements")
    };
    let (most, all) = (MAX_ELEMENTS.to_string(), (MAX_ELEMENTS * MAX_LARGEST).to_string());
    for (body, needle) in [
        ("x.pad_zeros(0, 0, 1000000000000)", one("[1000000000004, 1, 8, 8]")),
        ("x.pad_zeros(3, 9223372036854775807, 9223372036854775807)", most.clone()),
        ("step.constant([1.0], [1, 1]).broadcast_to([1000000, 1000000])", one("[1000000, 1000000]")),
        ("step.constant([1.0], [1, 1]).broadcast_to([4294967296, 4294967296])", most.clone()),
        ("step.constant([], [9223372036854775807, 3, 0])", most.clone()),
        ("step.constant([1.0], [1]).reshape([9223372036854775807, 2, 1])", most.clone()),
        ("step.constant([1.0], [1]).broadcast_channels([100000, 1, 100000])", most.clone()),
        ("step.normal(\"n\", [1000000, 1000000])", one("[4, 1000000, 1000000]")),
        ("step.uniform(\"n\", [10000000000], 0.0, 1.0)", one("[4, 10000000000]")),
        ("let a = x; for i in 0..40 { a = cat([a, a], 0); }", one("[524288, 1, 8, 8]")),
        ("let a = x; for i in 0..40 { a = cat([a, a], 3); }", most.clone()),
        (
            "let a = x.reshape([256, 1]); for i in 0..6 { let k = a.dim(0); a = a.matmul(a.transpose(0, 1)).reshape([k * k, 1]); }",
            one("[65536, 65536]"),
        ),
        ("let a = x.reshape([256, 1]); a = a.linear(a).reshape([65536, 1]); a.linear(a)", one("[65536, 65536]")),
        (
            "let a = x.pad_zeros(0, 0, 10000).reshape([640256, 1]); a.broadcast_add(a.transpose(0, 1))",
            one("[640256, 640256]"),
        ),
        ("x.conv2d(step.constant([1.0], [1, 1, 1, 1]), 1, 1000000)", one("[4, 1, 2000008, 2000008]")),
        (
            "let a = x.pad_zeros(0, 0, 100000); for i in 0..1000 { a = a * 0.5; }",
            format!("have more than {all} elements together"),
        ),
        (
            "let l = []; for i in 0..1000 { l.push(step.normal(\"n\", [1000000])); }",
            format!("have more than {all} elements together"),
        ),
        (
            "let a = leaf(cat([x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x], 0)); for i in 0..14 { step.forward(leaf(a)); }",
            format!("more than {MAX_PASSES} passes"),
        ),
    ] {
        let said = bench.fails(&format!("let x = step.input(); {body}"));
        assert!(said.contains("mine.rhai:2:") && said.contains(&needle), "{body}: {needle} is not in\n{said}");
    }
}

#[test]
fn gradients_of_gradients_have_an_order_and_a_price() {
    let bench = Bench::new(2);
    let nested = |order: u32| {
        format!(
            "let x = step.input(); let g = step.input_gradient(step.cross_entropy(x), x); \
             for i in 1..{order} {{ g = step.input_gradient(g.sqr().sum_per_example(), x); }} \
             [term(\"g\", 1.0, g.sqr().sum_per_example())]"
        )
    };
    assert!(bench.terms(&format!("fn loss(step) {{ {} }}", nested(MAX_ORDER))).is_ok());
    let said = bench.fails(&nested(MAX_ORDER + 1));
    assert!(
        said.contains("mine.rhai:2:")
            && said.contains("a derivative of order 4 by the input: gradients of gradients are taken up to order 3"),
        "{said}"
    );
    // One beside the other is no order.
    let beside = "let x = step.input(); let q = step.cross_entropy(x); \
                  for i in 0..20 { q = q + step.input_gradient(step.cross_entropy(x), x).sqr().sum_per_example(); } [term(\"q\", 1.0, q)]";
    assert!(bench.terms(&format!("fn loss(step) {{ {beside} }}")).is_ok());
    let tower = "let x = step.input(); let y = x; for i in 0..1500 { y = y.tanh(); } let q = y.sum_per_example(); \
                 for i in 0..3 { q = step.input_gradient(q, x).sqr().sum_per_example(); } [term(\"q\", 1.0, q)]";
    let said = bench.fails(tower);
    let words = format!("more than {MAX_ALL_OPERATIONS} operations on tensors, forward and backward");
    assert!(said.contains("mine.rhai:2:") && said.contains(&words), "{said}");
}

#[test]
fn wrong_arguments_say_what_would_be_right() {
    let bench = Bench::new(2);
    for (body, needle) in [
        ("step.input().sqr(2)", "`sqr` was called with (Var, a number); it is `sqr(x)`"),
        (
            "step.cross_entropy(3)",
            "`cross_entropy` was called with (Step, a number); it is `cross_entropy(step, x)` or `cross_entropy(z, labels)`",
        ),
        ("step.input() + \"a\"", "`+` is not defined for (Var, a text)"),
        ("step.input().affine(\"a\", 1)", "mul must be a number"),
        (
            "step.forward_in(step.input(), \"evil\")",
            "mode must be one of train, eval, got \"evil\", did you mean `eval`?",
        ),
        ("step.input_gradient(step.cross_entropy(step.input()), step.input(), \"keap\")", "did you mean `keep`?"),
        (
            "let x = step.input(); step.input_gradient(step.cross_entropy(x.detach()), x)",
            "the values do not depend on x",
        ),
        ("step.input().dims", "a function needs its brackets"),
        ("pixels(\"8/0\")", "8/0"),
        ("throw \"only for two classes\"", "mine.rhai:2:5: only for two classes"),
        (
            "[term(\"a\", 1.0, step.cross_entropy(step.input())), 3]",
            "item 2 of the list that `loss` returns is a number, not a term",
        ),
        ("let t = term(\"a\", 1.0, step.cross_entropy(step.input())); [t, t]", "two terms named \"a\""),
        ("[]", "returns no term"),
        (
            "let t = [term(\"a\", 1.0, step.cross_entropy(step.input()))];",
            "got nothing: its last line is what it returns",
        ),
        (
            "step.cross_entropy(step.input())",
            "must return a list of terms such as `[term(\"ce\", 1.0, ce)]`, got a Var",
        ),
        ("[term(\"a\", 0.0 / 0.0, step.cross_entropy(step.input()))]", "the weight of term \"a\" is NaN"),
        ("[term(\"\", 1.0, step.cross_entropy(step.input()))]", "a term needs a name"),
    ] {
        let said = bench.fails(body);
        assert!(said.contains(needle), "{body}: {needle} is not in\n{said}");
    }
    let said = bench.terms("fn twice(x) { x + x }\nfn loss(step) { twice(step.input(), 2) }").err().unwrap();
    assert!(said.contains("mine.rhai:2:17: `twice` was called with (Var, a number); it is `twice(x)`"), "{said}");
    let said = bench.fails("for i in 0..20 { step.fixed_normal(\"d\" + if i < 9 { \"a\" } else { \"b\" }); }");
    assert!(said.contains("returns") || said.contains("must return"), "two names are fine: {said}");
    let said = bench.fails("let name = \"d\"; for i in 0..20 { name += \"d\"; step.fixed_normal(name); }");
    assert!(said.contains("a fixed draw must have the same name in every step"), "{said}");
    // An error deep inside names the way there.
    let text = "fn inner(x) {\n    x.reshape([7])\n}\nfn loss(step) {\n    inner(step.input())\n}\n";
    let said = bench.terms(text).err().unwrap();
    assert!(said.starts_with("mine.rhai:2:7: ") && said.contains("in `inner`, called in line 5"), "{said}");
}

#[test]
fn a_single_term_need_not_be_a_list() {
    let bench = Bench::new(2);
    let terms = bench.terms("fn loss(step) { term(\"ce\", 1.0, step.cross_entropy(step.input())) }").unwrap();
    assert_eq!(terms.len(), 1);
}

const SOUND: &str = "// Cross-entropy and more.
const WEIGHT = 1.0; // of the penalty
fn loss(step) {
    let x = step.input();
    let ce = step.cross_entropy(x);
    let q = step.input_gradient(ce, x).sqr().sum_per_example();
    let parts = [];
    for i in 0..3 { parts.push(step.forward(x).narrow(1, i, 1)); }
    let s = cat(parts, 1).reshape([2, 3]).broadcast_mul(step.constant([1.0], [1, 1])).sum([1]);
    [term(\"ce\", 1.0, ce), term(\"q\", WEIGHT, q + s)]
}
";
const WORDS: [&str; 16] = [
    "x",
    "ce",
    "q",
    "[]",
    "[x, x]",
    "-1",
    "1000000000000",
    "0",
    "step",
    "x.flatten()",
    "x.pad_zeros(0, 0, 1000000000)",
    "loss(step)",
    "leaf(x)",
    "x.transpose(0, 1)",
    "\"a\"",
    "1.0 / 0.0",
];

/// Cases of a target: PROPTEST_CASES where it is set, for scripts/hostile/long.sh.
fn cases(usual: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(usual)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(300), failure_persistence: None, ..ProptestConfig::default() })]

    /// Terms or a complaint with the script's name, whatever stands in it.
    #[test]
    fn no_harm_to_a_script_harms_the_program(
        harms in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<char>(), 0u8..4), 1..4)
    ) {
        let mut text: Vec<char> = SOUND.chars().collect();
        for (at, word, letter, kind) in harms {
            let at = at.index(text.len());
            match kind {
                0 => text[at] = letter,
                1 => drop(text.remove(at)),
                // An argument or an operand in place of another.
                _ => {
                    let begins = |c: &char| "(, ".contains(*c);
                    let from = text[at..].iter().position(begins).map_or(at, |i| at + i + 1);
                    let length = text[from..].iter().position(|c| "),; ".contains(*c)).unwrap_or(0);
                    text.splice(from..from + length, word.get(&WORDS).chars());
                }
            }
        }
        let text: String = text.into_iter().collect();
        let said = match Script::parse("mine.rhai", &text) {
            Err(complaint) => Some(complaint.to_string()),
            Ok(_) => Bench::new(2).terms(&text).err(),
        };
        if let Some(said) = said {
            prop_assert!(said.starts_with("mine.rhai"), "{said}");
        }
    }
}

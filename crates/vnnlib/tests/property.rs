//! Reading properties: what they mean, and what is said of those that are wrong.
#![allow(clippy::unwrap_used)]

use gauntlet_vnnlib::{Property, Region, instances};
use proptest::prelude::*;
use std::io::Write;

/// Two inputs, three outputs, and what follows.
fn text(rest: &str) -> String {
    let declared: String =
        ["X_0", "X_1", "Y_0", "Y_1", "Y_2"].iter().map(|v| format!("(declare-const {v} Real)\n")).collect();
    declared + rest
}

/// The unit square.
const SQUARE: &str =
    "(assert (>= X_0 0)) (assert (<= X_0 1)) (assert (>= X_1 0.0)) (assert (<= 1e0 1))(assert (<= X_1 1.))\n";

fn parse(rest: &str) -> Property {
    Property::parse(&text(rest), "p.vnnlib").unwrap()
}

fn said(rest: &str) -> String {
    Property::parse(&text(rest), "p.vnnlib").unwrap_err().to_string()
}

#[test]
fn a_condition_of_the_competition_is_one_case_for_each_class() {
    let p = parse(&format!("; comment )(\n{SQUARE}(assert (or\n\t(and (>= Y_0 Y_2))\n\t(and (<= Y_2 Y_1))\n))"));
    assert_eq!(p.regions(), [Region { lower: vec![0.0; 2], upper: vec![1.0; 2] }]);
    assert_eq!(p.cases().len(), 2);
    assert!(p.satisfied(&[1.0, 0.0], &[2.0, 0.0, 2.0]));
    assert!(p.satisfied(&[0.5, 0.5], &[0.0, 3.0, 2.0]));
    assert!(!p.satisfied(&[0.5, 0.5], &[1.0, 1.5, 2.0]));
    assert!(!p.satisfied(&[1.1, 0.5], &[2.0, 0.0, 1.0]));
    assert!(!p.satisfied(&[0.5, 0.5], &[f64::NAN, f64::NAN, f64::NAN]));
}

#[test]
fn boxes_inside_the_disjunction_are_boxes_of_their_cases() {
    let p = parse(
        "(assert (>= X_0 -1)) (assert (<= X_0 1))
        (assert (or (and (<= X_0 -0.5) (>= X_1 2) (<= X_1 2) (>= Y_0 1)) (and (>= X_0 0.5) (>= X_1 0) (<= X_1 1) (>= Y_1 1))
                    (and (>= X_0 0.5) (<= X_0 0.25) (>= X_1 0) (<= X_1 1)) (and (>= X_0 3) (>= X_1 0) (<= X_1 1))))
        (assert (<= Y_2 0))",
    );
    let region = |lower: [f64; 2], upper: [f64; 2]| Region { lower: lower.into(), upper: upper.into() };
    assert_eq!(p.regions(), [region([-1.0, 2.0], [-0.5, 2.0]), region([0.5, 0.0], [1.0, 1.0])]);
    assert_eq!(p.cases().iter().map(|c| (c.region, c.atoms.len())).collect::<Vec<_>>(), [(0, 2), (1, 2)]);
    assert!(p.satisfied(&[-0.75, 2.0], &[1.0, 0.0, 0.0]) && !p.satisfied(&[-0.75, 2.0], &[0.0, 1.0, 0.0]));
    assert!(!p.satisfied(&[-0.75, 2.0], &[1.0, 0.0, 0.1]));
}

#[test]
fn terms_are_sums_and_products_with_numbers() {
    // 2·Y_0 − Y_1 + 0.5 ≤ −(Y_2 · 3), and 4·X_0 ≤ 1 + 2.
    let p = parse(&format!(
        "{SQUARE}(assert (<= (+ (* 2 Y_0) (- Y_1) 0.5) (- (* Y_2 (- 1.0 -2)))))(assert (<= (* 4 X_0) (+ 1 2)))
        (assert (>= (- X_1 0.25 0.25) (- Y_0 Y_0)))"
    ));
    let atom = &p.cases()[0].atoms[0];
    assert_eq!(atom.terms, [(0, -2.0), (1, 1.0), (2, -3.0)]);
    assert_eq!(atom.constant, -0.5);
    assert_eq!(atom.slack(&[1.0, 5.0, 0.5]), -2.0 + 5.0 - 1.5 - 0.5);
    assert_eq!(p.regions()[0], Region { lower: vec![0.0, 0.5], upper: vec![0.75, 1.0] });
}

#[test]
fn bounds_that_divide_badly_stay_inside() {
    for (c, k) in [(3.0, 1.0), (7.0, 2.0), (0.1, 0.3), (49.0, 1.0), (1e-3, 0.7)] {
        let p =
            parse(&format!("{SQUARE}(assert (<= (* {c} Y_0) 1))(assert (or (and (<= (* {c} X_0) {k}) (>= X_1 0))))"));
        let upper = p.regions()[0].upper[0];
        assert!(c * upper <= k && (c * upper.next_up() >= k || upper == 1.0), "{c}·{upper} ≤ {k}");
    }
}

#[test]
fn what_cannot_hold_has_no_case() {
    assert!(parse(&format!("{SQUARE}(assert (>= X_0 2))(assert (>= Y_0 0))")).cases().is_empty());
    assert!(parse(&format!("{SQUARE}(assert (<= 1 0))")).cases().is_empty());
    assert_eq!(parse(&format!("{SQUARE}(assert (or (<= 1 0) (<= 0 1)))")).cases().len(), 1);
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let at = "p.vnnlib, line 6: ";
    for (rest, why) in [
        ("(assert (<= X_0 1)", "a bracket is opened and never closed"),
        (")", "a bracket is closed that was never opened"),
        ("(assert (<= X_7 1))", "X_7 is not declared: (declare-const X_7 Real)"),
        ("(assert (<= x0 1))", "\"x0\" is no variable: inputs are X_0, X_1, .., outputs Y_0, Y_1, .."),
        ("(assert (<= X_01 1))", "\"X_01\" is no variable: inputs are X_0, X_1, .., outputs Y_0, Y_1, .."),
        ("(assert (<= X_0 1.5.2))", "\"1.5.2\" is no number"),
        ("(assert (<= X_0 -inf))", "a number is beyond what float64 holds"),
        ("(assert (<= X_0 1e39))", "the bound 1e39 of X_0 is beyond what float32 holds"),
        ("(assert (<= X_0 X_1))", "a condition joins several inputs: only boxes of inputs are read"),
        ("(assert (<= X_0 Y_1))", "a condition joins inputs and outputs: each has to have its own"),
        ("(assert (<= (* Y_0 Y_1) 1))", "two variables are multiplied: only linear terms are read"),
        ("(assert (<= (/ Y_0 2) 1))", "\"/\" is no operation of linear terms: +, - and * are read"),
        ("(assert (< Y_0 1))", "< is not read, only <= and >=: a search in floating point decides nothing finer"),
        ("(assert (<= Y_0))", "<= compares two terms, and there are 1"),
        ("(assert (not (<= Y_0 1)))", "\"not\" is no condition: and, or, <= and >= are read"),
        ("(assert (or))", "or joins nothing"),
        ("(assert Y_0)", "\"Y_0\" stands where a list in brackets is expected"),
        ("(assert ((and)))", "a list begins with a list, and a word is expected"),
        ("(assert)", "assert has one condition, and there are 0"),
        ("(declare-const X_0 Real)", "X_0 is declared twice"),
        ("(declare-const X_2 Int)", "a variable is declared with its name and the sort Real"),
        ("(declare-const X_99999999 Real)", "\"X_99999999\" is beyond the 4194304 variables that are read"),
        ("(vnnlib-version <2.0>)", "vnnlib-version is of VNN-LIB 2: version 1 is read"),
        ("(minimise Y_0)", "\"minimise\" is no command that is read: declare-const, assert"),
        ("(set-info :source |never closed)", "a quote is never closed"),
    ] {
        assert_eq!(said(rest), format!("{at}{why}"));
    }
    assert_eq!(
        said(&format!("\n\n{SQUARE}\n(assert (or (<= Y_0 1)\n (<= Y_9 1)))")),
        "p.vnnlib, line 11: Y_9 is not declared: (declare-const Y_9 Real)"
    );
    assert_eq!(
        said("(assert (<= X_0 1)) (assert (>= X_0 0)) (assert (>= X_1 0))"),
        "p.vnnlib: X_1 has no upper bound: (assert (<= X_1 ..))"
    );
    assert_eq!(said(&format!("{SQUARE}(declare-const Y_4 Real)")), "p.vnnlib: Y_3 is not declared, and Y_4 is");
    assert_eq!(
        Property::parse("(declare-const X_0 Real)", "p.vnnlib").unwrap_err().to_string(),
        "p.vnnlib: no output is declared: (declare-const Y_0 Real)"
    );
}

#[test]
fn what_multiplies_itself_or_is_nested_without_end_is_refused() {
    let pair = "(assert (or (>= Y_0 1) (>= Y_1 1)))\n".repeat(40);
    assert!(said(&format!("{SQUARE}{pair}")).contains("has more than"), "{}", said(&format!("{SQUARE}{pair}")));
    let nothing = format!("(assert (and {}))", "(or (<= 1 0) (<= 0 1) (<= 0 1))".repeat(60));
    assert!(said(&format!("{SQUARE}{nothing}")).contains("has more than"));
    let deep = format!("(assert {}(>= Y_0 1){})", "(and ".repeat(100_000), ")".repeat(100_000));
    assert_eq!(said(&deep), "p.vnnlib, line 6: brackets are nested more than 64 deep");
}

#[test]
fn gzip_is_unpacked_up_to_a_limit() {
    let folder = tempfile::tempdir().unwrap();
    let packed = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        let mut gzip =
            flate2::write::GzEncoder::new(std::fs::File::create(&path).unwrap(), flate2::Compression::fast());
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap();
        path
    };
    let whole = text(&format!("{SQUARE}(assert (>= Y_0 1))"));
    let path = packed("p.vnnlib.gz", whole.as_bytes());
    assert_eq!(Property::open(&path).unwrap(), Property::parse(&whole, "p").unwrap());
    let bomb = packed("bomb.gz", &vec![b' '; (64 << 20) + 1]);
    let why = Property::open(&bomb).unwrap_err().to_string();
    assert!(why.ends_with("unpacked it has more than 67108864 bytes, and a property has at most that many"), "{why}");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 9]).unwrap();
    let why = Property::open(&path).unwrap_err().to_string();
    assert!(why.contains("it begins like gzip and cannot be unpacked"), "{why}");
    std::fs::write(&path, [b'(', 0xff]).unwrap();
    assert!(Property::open(&path).unwrap_err().to_string().contains("it is no text in UTF-8"));
    assert!(Property::open(folder.path()).unwrap_err().to_string().contains("it is a directory"));
}

#[test]
fn lists_of_instances_are_read_with_titles_and_without() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("instances.csv");
    std::fs::write(folder.path().join("b.vnnlib.gz"), "").unwrap();
    std::fs::write(&list, "network,property,verdict\nn.onnx,a.vnnlib,sat,7,1\nn.onnx, b.vnnlib,unsat\n").unwrap();
    let found = instances(folder.path()).unwrap();
    let names = |i: usize| found[i].property.file_name().unwrap().to_str().unwrap();
    assert_eq!((names(0), found[0].expected.as_deref()), ("a.vnnlib", Some("sat")));
    assert_eq!((names(1), found[1].expected.as_deref()), ("b.vnnlib.gz", Some("unsat")));
    // The competition's: the third is a time limit.
    std::fs::write(&list, "onnx/n.onnx,vnnlib/a.vnnlib,300\n").unwrap();
    let found = instances(folder.path()).unwrap();
    assert_eq!((found.len(), &found[0].expected, found[0].network.ends_with("onnx/n.onnx")), (1, &None, true));
    std::fs::write(&list, "n.onnx,a.vnnlib\nn.onnx\n").unwrap();
    let why = instances(folder.path()).unwrap_err().to_string();
    assert!(
        why.ends_with("instances.csv, line 2: a network and a property are expected, with a comma between"),
        "{why}"
    );
}

/// A condition, written and as a function of inputs and outputs.
#[derive(Debug, Clone)]
enum Condition {
    Input(usize, bool, i8),
    Output([i8; 3], i8),
    And(Vec<Condition>),
    Or(Vec<Condition>),
}

impl Condition {
    fn written(&self) -> String {
        let joined = |head: &str, parts: &[Condition]| {
            format!("({head} {})", parts.iter().map(Condition::written).collect::<Vec<_>>().join("\n "))
        };
        match self {
            Condition::Input(i, lower, v) => format!("({} X_{i} {v})", if *lower { ">=" } else { "<=" }),
            Condition::Output([a, b, c], k) => format!("(<= (- {k}) (+ (* {a} Y_0) (* Y_1 {b}) (- (* {c} Y_2))))"),
            Condition::And(parts) => joined("and", parts),
            Condition::Or(parts) => joined("or", parts),
        }
    }
    fn holds(&self, x: &[f64], y: &[f64]) -> bool {
        match self {
            Condition::Input(i, true, v) => x[*i] >= f64::from(*v),
            Condition::Input(i, false, v) => x[*i] <= f64::from(*v),
            Condition::Output([a, b, c], k) => {
                f64::from(*a) * y[0] + f64::from(*b) * y[1] - f64::from(*c) * y[2] + f64::from(*k) >= 0.0
            }
            Condition::And(parts) => parts.iter().all(|p| p.holds(x, y)),
            Condition::Or(parts) => parts.iter().any(|p| p.holds(x, y)),
        }
    }
}

fn condition() -> impl Strategy<Value = Condition> {
    let leaf = prop_oneof![
        (0usize..2, any::<bool>(), -3i8..4).prop_map(|(i, lower, v)| Condition::Input(i, lower, v)),
        ([-2i8..3, -2i8..3, -2i8..3], -3i8..4).prop_map(|(c, k)| Condition::Output(c, k)),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Condition::And),
            prop::collection::vec(inner, 1..4).prop_map(Condition::Or),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_disjunction_means_what_the_conditions_mean(
        conditions in prop::collection::vec(condition(), 1..4),
        points in prop::collection::vec(([-8i8..9, -8i8..9], [-4i8..5, -4i8..5, -4i8..5]), 40),
    ) {
        let asserted: String = conditions.iter().map(|c| format!("(assert {})\n", c.written())).collect();
        let hull = "(assert (>= X_0 -4)) (assert (<= X_0 4)) (assert (>= X_1 -4)) (assert (<= X_1 4))\n";
        let p = parse(&format!("{hull}{asserted}"));
        for (x, y) in points {
            // Halves: between the bounds as well as on them.
            let x = x.map(|v| f64::from(v) / 2.0);
            let y = y.map(f64::from);
            prop_assert_eq!(p.satisfied(&x, &y), conditions.iter().all(|c| c.holds(&x, &y)), "{:?} {:?}\n{}", x, y, asserted);
        }
    }

    #[test]
    fn texts_that_are_damaged_are_read_or_refused(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0usize..4), 1..8)
    ) {
        const PIECES: [&str; 16] = [
            "(", ")", "((", "))", " or ", " and ", "Y_", "X_4194303", "1e308", "-", "* ", ";", "|", "\"", "é", "\u{0}",
        ];
        let mut whole = text(&format!("{SQUARE}(assert (or (and (>= Y_0 Y_2) (<= X_0 0.5)) (and (<= (* 2 Y_2) (+ Y_1 1)))))"));
        for (at, piece, kind) in changes {
            let mut place = at.index(whole.len() + 1);
            while !whole.is_char_boundary(place) {
                place -= 1;
            }
            match kind {
                0 => whole.truncate(place),
                1 => whole.insert_str(place, PIECES[piece.index(PIECES.len())]),
                2 => drop((place < whole.len()).then(|| whole.remove(place))),
                _ => {
                    let copy = whole[place..].chars().take(30).collect::<String>();
                    whole.insert_str(place, &copy);
                }
            }
        }
        if let Err(e) = Property::parse(&whole, "p.vnnlib") {
            prop_assert!(e.to_string().starts_with("p.vnnlib"), "{}", e);
        }
    }

    #[test]
    fn any_text_is_no_panic(noise in "[()XY_0-9.;<>=|\" \\nandorse*+-]{0,200}") {
        let _ = Property::parse(&noise, "p.vnnlib");
        let _ = Property::parse(&text(&noise), "p.vnnlib");
    }
}

//! The promises that every recipe keeps.

use gradient_times_input::SPEC;

#[test]
fn every_promise_is_kept() {
    // Every documented choice of the parameters, then one setting in particular.
    for given in [SPEC.name, "{ name = \"gradient-times-input\", weight = 0.3 }"] {
        for found in gauntlet_cli::app().penalty(SPEC).conformance(given).unwrap() {
            println!("{found}");
            assert!(found.passed(), "{found}");
        }
    }
}

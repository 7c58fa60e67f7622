//! A number of ours beside what was published.

use crate::Judgement;
use gauntlet_records::Expectation;

/// What a number of ours is beside what was published, and why it is outside where the number does not say.
///
/// With the published value p and its error (e₋, e₊), and ours v with its interval [l, u]: reproduced where |v − p| is at most
/// √((v − l)² + e₊²) for v above p, √((u − v)² + e₋²) below (the interval of a difference from those of its two parts, Newcombe
/// 1998). Of a difference of two rows the whole interval must lie in the band, so that an ordering is more than chance.
pub(crate) fn verdict(
    expectation: &Expectation,
    value: f64,
    interval: Option<(f64, f64)>,
) -> (Judgement, Option<String>) {
    let (low, high) = interval.unwrap_or((value, value));
    let mut by = f64::INFINITY;
    if let Some(published) = expectation.value {
        let (below, above) = expectation.published_error();
        let allowed = if value > published { (value - low).hypot(above) } else { (high - value).hypot(below) };
        let beyond = (value - published).abs() - allowed;
        // Percentages that are equal as written differ by rounding.
        if beyond <= 1e-9 {
            return (Judgement::Reproduced, None);
        }
        by = if beyond.is_nan() { by } else { beyond };
    }
    let Some(band) = &expectation.band else { return (Judgement::Outside { by }, None) };
    let point = band.distance(value);
    let distance = match expectation.minus {
        Some(_) => point.max(band.distance(low)).max(band.distance(high)),
        None => point,
    };
    match distance {
        0.0 => (Judgement::Compatible, None),
        _ if point == 0.0 => {
            (Judgement::Outside { by: by.min(distance) }, Some("not told apart from the other side of the band".into()))
        }
        _ => (Judgement::Outside { by: by.min(distance) }, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gauntlet_records::{Band, Operand, Quantity};

    fn expectation(value: Option<f64>, sd: Option<f64>, band: Option<Band>) -> Expectation {
        let (row, source) = ("at".into(), Some("a table".into()));
        Expectation {
            row,
            of: Quantity::Clean,
            minus: None,
            value,
            sd,
            n: None,
            band,
            or: None,
            source,
            published_with: None,
        }
    }

    #[test]
    fn a_value_is_reproduced_within_both_errors_and_no_further() {
        let judge = |sd, ours, interval| verdict(&expectation(Some(90.0), sd, None), ours, interval).0;
        // Only ours, then only theirs, then both: 3² + 3.92² = 4.94².
        assert_eq!(judge(None, 93.0, Some((90.0, 95.0))), Judgement::Reproduced);
        assert_eq!(judge(None, 93.0, Some((91.0, 95.0))), Judgement::Outside { by: 1.0 });
        assert_eq!(judge(Some(2.0), 93.9, None), Judgement::Reproduced);
        assert_eq!(judge(Some(2.0), 86.0, Some((86.0, 86.0))), Judgement::Outside { by: 4.0 - 1.96 * 2.0 });
        assert_eq!(judge(Some(2.0), 94.9, Some((91.9, 99.0))), Judgement::Reproduced);
        assert!(matches!(judge(Some(2.0), 95.0, Some((92.0, 99.0))), Judgement::Outside { by } if by < 0.1));
        // The side that faces the published value counts: ours is below, its upper end decides.
        assert_eq!(judge(None, 88.0, Some((80.0, 89.0))), Judgement::Outside { by: 1.0 });
        assert_eq!(judge(None, f64::NAN, None), Judgement::Outside { by: f64::INFINITY });
    }

    #[test]
    fn a_band_is_no_reproduction_and_an_ordering_is_more_than_chance() {
        let at_least = Some(Band(Some(0.0), None));
        let mut e = expectation(Some(7.4), None, at_least);
        assert_eq!(verdict(&e, 50.0, Some((45.0, 55.0))).0, Judgement::Compatible);
        assert_eq!(
            verdict(&e, 1.0, Some((-1.0, 3.0))).0,
            Judgement::Compatible,
            "a bound is held by the number itself"
        );
        let minus = Operand { row: "plain".into(), of: Quantity::Clean };
        e.minus = Some(minus);
        let (judgement, why) = verdict(&e, 1.0, Some((-1.0, 3.0)));
        assert_eq!((judgement, why.is_some()), (Judgement::Outside { by: 1.0 }, true));
        assert_eq!(verdict(&e, 1.0, Some((-1.0, 7.5))).0, Judgement::Reproduced);
        assert_eq!(verdict(&e, -3.0, Some((-4.0, -2.0))), (Judgement::Outside { by: 4.0 }, None));
        assert_eq!(verdict(&e, f64::NAN, None).0, Judgement::Outside { by: f64::INFINITY });
    }
}

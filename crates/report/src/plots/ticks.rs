//! Round numbers along an axis.

/// About `wanted` multiples of 1, 2 or 5 times a power of ten inside `[low, high]`, with their texts.
pub(super) fn linear(low: f64, high: f64, wanted: usize) -> Vec<(f64, String)> {
    let span = high - low;
    if span.is_nan() || span <= 0.0 {
        return vec![(low, number(low))];
    }
    let rough = span / wanted.max(1) as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|s| *s >= rough * 0.999).unwrap_or(rough);
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    let decimals = (-(step.log10() + 1e-9).floor()).max(0.0) as usize;
    (first..=last)
        .map(|k| {
            let value = k as f64 * step;
            (value, format!("{value:.decimals$}").replace('-', "−"))
        })
        .collect()
}

/// The end of an axis that holds `high` and has a round number on top.
pub(super) fn end(low: f64, high: f64, wanted: usize) -> f64 {
    let ticks = linear(low, high, wanted);
    let (Some(first), Some(last)) = (ticks.first(), ticks.last()) else { return high };
    let step = if ticks.len() > 1 { (last.0 - first.0) / (ticks.len() - 1) as f64 } else { high - low };
    if last.0 >= high - 1e-9 * step { last.0 } else { last.0 + step }
}

/// Ticks of a logarithmic axis, as decimal logarithms: powers of ten, and between them 2 and 5, or 3, where there is room.
pub(super) fn logarithmic(low: f64, high: f64) -> Vec<(f64, String)> {
    let (first, last) = (low.floor() as i32, high.ceil() as i32);
    let at = |multiples: &[f64]| -> Vec<(f64, String)> {
        let all = (first..=last).flat_map(|k| multiples.iter().map(move |m| m * 10f64.powi(k)));
        all.map(|v| (v.log10(), number(v))).filter(|(l, _)| (low - 1e-9..=high + 1e-9).contains(l)).collect()
    };
    let powers = at(&[1.0]);
    if powers.len() > 6 {
        let every = powers.len().div_ceil(6);
        return powers.into_iter().step_by(every).collect();
    }
    let (fifths, all) = (at(&[1.0, 3.0]), at(&[1.0, 2.0, 5.0]));
    [all, fifths].into_iter().find(|t| t.len() <= 7).unwrap_or(powers)
}

/// Whole numbers from `low` to `high`, at most `most` of them.
pub(super) fn whole(low: u32, high: u32, most: u32) -> Vec<(f64, String)> {
    let ticks = linear(f64::from(low), f64::from(high), most as usize);
    let inside = ticks.into_iter().filter(|(v, _)| v.fract() == 0.0);
    let mut ticks: Vec<_> = inside.map(|(v, _)| (v, format!("{v}"))).collect();
    if ticks.first().is_none_or(|t| t.0 > f64::from(low)) && ticks.len() < most as usize {
        ticks.insert(0, (f64::from(low), low.to_string()));
    }
    ticks
}

/// A number with three digits that matter.
pub(super) fn number(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let magnitude = value.abs().log10().floor();
    let text = if !(-4.0..5.0).contains(&magnitude) {
        format!("{value:.1e}")
    } else {
        let decimals = (2.0 - magnitude).max(0.0) as usize;
        let text = format!("{value:.decimals$}");
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_string() } else { text }
    };
    text.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let texts = |ticks: Vec<(f64, String)>| ticks.into_iter().map(|t| t.1).collect::<Vec<_>>();
        assert_eq!(texts(linear(0.0, 100.0, 5)), ["0", "20", "40", "60", "80", "100"]);
        assert_eq!(texts(linear(-0.03, 0.05, 4)), ["−0.02", "0.00", "0.02", "0.04"]);
        assert_eq!(texts(linear(2.0, 2.0, 4)), ["2"]);
        assert!((end(0.0, 0.97, 4) - 1.0).abs() < 1e-9);
        assert_eq!([end(0.0, 100.0, 5), end(-0.5, 7.2, 4)], [100.0, 8.0]);
        assert_eq!(texts(logarithmic(-1.2, 1.1)), ["0.1", "0.2", "0.5", "1", "2", "5", "10"]);
        assert_eq!(texts(logarithmic(-2.2, 1.1)), ["0.01", "0.03", "0.1", "0.3", "1", "3", "10"]);
        assert_eq!(texts(whole(1, 30, 6)), ["5", "10", "15", "20", "25", "30"]);
        assert_eq!(texts(whole(1, 30, 7)), ["1", "5", "10", "15", "20", "25", "30"]);
        assert_eq!(texts(whole(1, 4, 6)), ["1", "2", "3", "4"]);
        assert_eq!([0.0, 1234.5, 0.012_34, -3.0, 1e-9].map(number), ["0", "1234", "0.0123", "−3", "1.0e−9"]);
    }
}

//! Numbers that others published or computed of Wong & Kolter's weights for MNIST, which cannot be distributed:
//! `GAUNTLET_WONG_KOLTER=mnist.pth GAUNTLET_MNIST=FOLDER cargo test --release -p gauntlet-certify --test wong_kolter -- --ignored --nocapture`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use candle_core::Device;
use gauntlet_certify::{Between, Bounds, Network, Region, Rows, Settings, Slope};
use gauntlet_core::Precision;
use gauntlet_core::checkpoint;
use gauntlet_data::{Catalogue, Half, LoadOptions, Split, load_half};
use gauntlet_records::Norm;
use rayon::prelude::*;
use serde_json::json;
use std::path::PathBuf;

fn named(variable: &str) -> PathBuf {
    std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} says where")).into()
}

fn network() -> Network {
    let given = json!({ "name": "lenet-small" });
    let graph = gauntlet_models::graph(given.as_object().unwrap(), None, 10).unwrap();
    let path = named("GAUNTLET_WONG_KOLTER");
    let (weights, _) = checkpoint::load_named(&path, None, graph.params(), graph.interface(), Precision::F64).unwrap();
    Network::new(&graph, &weights).unwrap()
}

fn images() -> Split {
    let catalogue = Catalogue::default();
    let options = LoadOptions { data_dir: Some(named("GAUNTLET_MNIST")), ..LoadOptions::default() };
    load_half(&catalogue.get("mnist").unwrap(), &options, Half::Test).unwrap()
}

fn image(split: &Split, i: usize) -> Vec<f64> {
    split.batch(&[i], Precision::F64, &Device::Cpu).unwrap().x.flatten_all().unwrap().to_vec1().unwrap()
}

fn margins(network: &Network, x: &[f64], label: u32, boxed: bool, between: Between, slope: Slope) -> Vec<f64> {
    let region = Region::ball(x, Norm::Linf, 0.1, boxed.then_some((0.0, 1.0))).unwrap();
    let rows = Rows::margins(10, label as usize).unwrap();
    let bounds = Bounds::new(network, region, Settings { between, slope }).unwrap();
    bounds.crown(&rows, slope).unwrap()
}

/// Of auto_LiRPA 0.7.1 in f64 (IBP, CROWN-IBP, CROWN) and of convex_adversarial 0.4.4 (Fast-Lin): the first margins of test images 0 and 1.
#[test]
#[ignore = "needs Wong & Kolter's weights and MNIST"]
fn bounds_are_those_of_other_tools() {
    let (network, test) = (network(), images());
    let of = |i: usize, between, slope| margins(&network, &image(&test, i), test.labels()[i], true, between, slope);
    let rows = Rows::margins(10, test.labels()[0] as usize).unwrap();
    let region = Region::ball(&image(&test, 0), Norm::Linf, 0.1, Some((0.0, 1.0))).unwrap();
    let settings = Settings { between: Between::Intervals, slope: Slope::Adaptive };
    let ibp = Bounds::new(&network, region, settings).unwrap().interval_margins(&rows).unwrap();
    let golden = [
        ("IBP", ibp, vec![-74.684_833_795_4, -57.479_048_191_7, -62.255_419_651_9]),
        (
            "CROWN-IBP",
            of(0, Between::Intervals, Slope::Adaptive),
            vec![-14.886_448_001_8, -11.432_799_149_8, -15.841_340_833_6],
        ),
        ("CROWN-IBP, same slopes", of(0, Between::Intervals, Slope::Same), vec![-20.910_796_471_2]),
        (
            "CROWN",
            of(0, Between::CrownAlone, Slope::Adaptive),
            vec![14.937_762_799_7, 15.211_666_601_0, 10.189_949_342_8],
        ),
        (
            "CROWN, image 1",
            of(1, Between::CrownAlone, Slope::Adaptive),
            vec![6.484_068_646_1, 10.966_550_672_9, 8.767_584_786_5],
        ),
        (
            "Fast-Lin",
            of(0, Between::CrownAlone, Slope::Same),
            vec![14.655_116_873_1, 14.944_682_188_8, 9.961_043_692_3],
        ),
        (
            "Fast-Lin, image 1",
            of(1, Between::CrownAlone, Slope::Same),
            vec![6.165_669_622_8, 10.603_427_665_1, 8.449_545_361_1],
        ),
        ("meet, image 1", of(1, Between::Crown, Slope::Adaptive), vec![6.487_523_208_8]),
    ];
    let mut far = Vec::new();
    for (name, found, golden) in golden {
        for (f, g) in found.iter().zip(&golden) {
            println!("{name}: {f:.10} {g:.10} {:.1e}", f - g);
            if (f - g).abs() > 1e-9 {
                far.push(format!("{name}: {f} and {g}"));
            }
        }
    }
    assert!(far.is_empty(), "{far:#?}");
}

/// All 10,000 test images: 1.80 % are wrong, and Fast-Lin without the box fails for 5.82 % (published); with it for 564 images (computed
/// elsewhere). `GAUNTLET_TAKE=N`: the first N alone, of which the order of the three holds.
#[test]
#[ignore = "needs Wong & Kolter's weights and MNIST, and three quarters of an hour of CPU"]
fn fast_lin_fails_for_the_published_share() {
    let (network, test) = (network(), images());
    let take = std::env::var("GAUNTLET_TAKE").ok().map_or(10_000, |n| n.parse().unwrap());
    let wrong = |i: &usize| {
        let z = network.logits(&image(&test, *i)).unwrap();
        let best = (0..10).max_by(|a, b| z[*a].total_cmp(&z[*b])).unwrap();
        best != test.labels()[*i] as usize
    };
    let right: Vec<usize> = (0..take).into_par_iter().filter(|i| !wrong(i)).collect();
    let fails = |boxed: bool| {
        let open = |i: &&usize| {
            let x = image(&test, **i);
            let margins = margins(&network, &x, test.labels()[**i], boxed, Between::CrownAlone, Slope::Same);
            margins.iter().any(|m| *m <= 0.0)
        };
        take - right.len() + right.par_iter().filter(open).count()
    };
    let clean = take - right.len();
    let start = std::time::Instant::now();
    let (without, with) = (fails(false), fails(true));
    println!("of {take}: {clean} wrong, Fast-Lin {without} without the box, {with} with it; {:?}", start.elapsed());
    assert!(clean <= with && with <= without, "the box only helps");
    if take == 10_000 {
        assert_eq!(clean, 180);
        assert!((581..=583).contains(&without) && with == 564);
    }
}

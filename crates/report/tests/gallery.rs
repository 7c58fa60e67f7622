//! Images on the page: their pixels, their words, and how many there are.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod pictures;
mod records;

use base64::Engine;
use gauntlet_records::{Norm, Pictures};
use gauntlet_report::{Entry, Folder, Report};
use pictures::pictures;
use png::ColorType;
use records::record;
use serde_json::json;

/// A folder whose rows have these pictures, seed 0.
fn folder(rows: &[(&str, Pictures)]) -> Folder {
    let one = |row: &str| record(row, 0, json!([]), &[("pgd", "0.25", "RRRB")]);
    let mut folder = Folder::of("tiny", "gauntlet run tiny", rows.iter().map(|r| one(r.0)).collect());
    for r in &mut folder.records {
        r.result.configuration["classes"] = json!(["cat", "dog & co", "fish"]);
    }
    let entry = |row: &str| Entry { row: row.into(), seed: 0 };
    folder.pictures = rows.iter().map(|(row, pictures)| (entry(row), pictures.clone())).collect();
    folder
}

fn page(folder: &Folder) -> String {
    Report::new(folder).unwrap().page(folder, &[]).unwrap()
}

/// One section of the page.
fn section<'a>(page: &'a str, id: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("<section id=\"{id}\"")).unwrap();
    rest.split_once("</section>").unwrap().0
}

/// The images of a section, decoded.
fn decoded(section: &str) -> Vec<(ColorType, Vec<u8>)> {
    let data = |part: &str| {
        let file = base64::engine::general_purpose::STANDARD.decode(part.split_once('"').unwrap().0).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let frame = reader.next_frame(&mut bytes).unwrap();
        bytes.truncate(frame.buffer_size());
        (frame.color_type, bytes)
    };
    section.split("data:image/png;base64,").skip(1).map(data).collect()
}

#[test]
fn the_attacked_image_is_the_image_and_its_perturbation() {
    let page = page(&folder(&[("ce", pictures((1, 2, 2), 1, 3.0))]));
    let images: Vec<Vec<u8>> = decoded(section(&page, "gallery")).into_iter().map(|i| i.1).collect();
    // 0.25 is 63.75 of 255; half as much downwards is kept as −64 of 127: 32.1 of 255.
    let [clean, delta, attacked] = images.as_slice() else { panic!("{} images", images.len()) };
    assert_eq!(clean, &[0, 85, 170, 255]);
    assert_eq!(delta, &[255, 64, 255, 64]);
    assert_eq!(attacked, &[64, 53, 234, 223]);
}

#[test]
fn a_gradient_is_orange_above_zero_and_blue_below() {
    let page = page(&folder(&[("ce", pictures((1, 1, 3), 1, 3.0))]));
    let images = decoded(section(&page, "gradients"));
    assert_eq!(images.len(), 2, "the original and its gradient");
    let [orange, white, blue] = [[213, 94, 0], [255, 255, 255], [0, 114, 178]];
    assert_eq!(images[1], (ColorType::Rgb, [orange, white, blue].concat()));
    assert!(section(&page, "gradients").contains("at most 3.00"));
}

#[test]
fn channels_become_colours_and_their_gradients_are_summed() {
    let mut coloured = pictures((3, 1, 2), 1, 1.0);
    coloured.shown[0].x = vec![1, 2, 10, 20, 100, 200];
    // The first pixel's channels sum to 30, the second's to −60, of 127 that are 1.
    coloured.shown[0].gradient = vec![10, -20, 10, -20, 10, -20];
    let page = page(&folder(&[("ce", coloured)]));
    assert_eq!(decoded(section(&page, "gallery"))[0], (ColorType::Rgb, vec![1, 10, 100, 2, 20, 200]));
    let gradients = section(&page, "gradients");
    assert_eq!(decoded(gradients)[1].1, [234, 175, 128, 0, 114, 178]);
    assert!(gradients.contains("summed over channels") && gradients.contains("at most 0.472"), "{gradients}");
}

#[test]
fn every_image_says_what_is_seen() {
    let mut shown = pictures((1, 2, 2), 3, 1.0);
    shown.shown[1].delta_scale = 0.0;
    shown.shown[1].attacked = shown.shown[1].clean;
    shown.shown[2].attacked = (3, f32::NAN);
    let page = page(&folder(&[("ce", shown)]));
    let gallery = section(&page, "gallery");
    for said in [
        "ce: quick attack (pgd, 10 steps), L∞ ε = 0.25, seed 0</h3>",
        "alt=\"class cat, predicted cat with 99 %; after the attack dog &amp; co with 76 %\"",
        "alt=\"class cat after the attack, predicted dog &amp; co with 76 %\"",
        "<span>cat → cat, 99 %</span>",
        "<span class=\"wrong\">✗ cat → dog &amp; co, 76 %</span>",
        "<span>× 4.00</span>",
        "alt=\"no perturbation\"",
        "<span>dog &amp; co → dog &amp; co, 99 %</span>",
        "✗ fish → no class",
    ] {
        assert!(gallery.contains(said), "{said}: {gallery}");
    }
    assert!(!page.contains("alt=\"\""), "an image without words");
    assert!(!gallery.contains("Shown here are"), "nothing was left out");
}

#[test]
fn what_the_strongest_attack_found_stands_before_what_the_quick_one_does() {
    let mut folder = folder(&[("ce", pictures((1, 2, 2), 3, 1.0)), ("other", pictures((1, 2, 2), 3, 1.0))]);
    let mut found = pictures((1, 2, 2), 3, 1.0);
    found.attack = "pgd".into();
    for picture in &mut found.shown {
        (picture.gradient, picture.gradient_scale) = (Vec::new(), 0.0);
    }
    // The second withstands, the third is wrong before any attack.
    for picture in &mut found.shown[1..] {
        (picture.delta_scale, picture.attacked) = (0.0, picture.clean);
    }
    found.shown[2].clean.0 = 0;
    folder.strongest.push((Entry { row: "ce".into(), seed: 0 }, found.clone()));
    let page = page(&folder);
    let gallery = section(&page, "gallery");
    for said in [
        "strongest of the suite",
        "“Quick attack”: of that row",
        "<h4 class=\"row\">ce: pgd, L∞ ε = 0.25, seed 0</h4>",
        "<h4 class=\"row\">other: quick attack (pgd, 10 steps), L∞ ε = 0.25, seed 0</h4>",
        "alt=\"no perturbation: withstands\"",
        "<span>withstands</span>",
        "<span>wrong already</span>",
    ] {
        assert!(gallery.contains(said), "{said}: {gallery}");
    }
    assert_eq!(decoded(section(&page, "gradients")).len(), 3 + 2 * 3, "gradients are the quick attack's");

    // Both come back from disk, also where one file stood for all norms; pictures of what the record has not do not.
    let place = tempfile::tempdir().unwrap();
    folder.write(place.path()).unwrap();
    assert_eq!(Folder::read(place.path()).unwrap(), folder);
    let file = Pictures::path_of_strongest(place.path(), "ce-0", Norm::Linf);
    let one_for_all = place.path().join("ce-0.strongest.safetensors.gz");
    std::fs::rename(&file, &one_for_all).unwrap();
    assert_eq!(Folder::read(place.path()).unwrap(), folder);
    folder.write(place.path()).unwrap();
    assert!(file.exists() && !one_for_all.exists());
    Pictures { eps: "0.1".parse().unwrap(), ..found }.write(&file).unwrap();
    assert!(Folder::read(place.path()).unwrap().strongest.is_empty());
}

#[test]
fn rows_and_examples_beyond_the_table_are_counted() {
    let rows: Vec<String> = (0..14).map(|r| format!("row-{r:02}")).collect();
    let all: Vec<(&str, Pictures)> = rows.iter().map(|r| (r.as_str(), pictures((1, 4, 4), 9, 1.0))).collect();
    let page = page(&folder(&all));
    let (gallery, gradients) = (section(&page, "gallery"), section(&page, "gradients"));
    assert!(gallery.contains("Shown here are 12 of 14 rows and 8 of 9 examples"), "{gallery}");
    assert!(gradients.contains("Shown here are 12 of 14 rows and 6 of 9 examples"), "{gradients}");
    assert_eq!((decoded(gallery).len(), decoded(gradients).len()), (12 * 8 * 3, 6 + 12 * 6));
    assert!(gallery.contains("row-11") && !gallery.contains("row-12"));
}

#[test]
fn an_example_that_a_row_lacks_leaves_its_place_empty() {
    let mut fewer = pictures((1, 2, 2), 3, 1.0);
    fewer.shown.remove(0);
    let page = page(&folder(&[("ce", pictures((1, 2, 2), 3, 1.0)), ("other", fewer)]));
    let gradients = section(&page, "gradients");
    assert_eq!(decoded(gradients).len(), 3 + 3 + 2);
    assert_eq!(gradients.matches("<td>–</td>").count(), 1);
}

#[test]
fn a_folder_without_pictures_has_no_gallery() {
    let page = page(&folder(&[("ce", pictures((1, 2, 2), 0, 1.0))]));
    assert!(!page.contains("id=\"gallery\"") && !page.contains("id=\"gradients\""));
}

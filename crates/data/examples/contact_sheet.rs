//! Draws the first images of a data set's training split as a PNG: `contact_sheet NAME OUT.png [DATA_DIR]`.
use gauntlet_data::{Catalogue, LoadOptions, load};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let name = args.next().unwrap_or_else(|| "glyphs".into());
    let out = args.next().unwrap_or_else(|| "contact_sheet.png".into());
    let options = LoadOptions { data_dir: args.next().map(Into::into), ..LoadOptions::default() };
    let start = std::time::Instant::now();
    let set = load(&Catalogue::default().get(&name)?, &options)?;
    let ((c, h, w), (rows, columns)) = (set.shape, (10u32, 20u32));
    let (h, w) = (h as u32, w as u32);
    let mut sheet = image::RgbImage::new(columns * (w + 2), rows * (h + 2));
    for i in 0..rows * columns {
        let Some(pixels) = set.train.image(i as usize) else { break };
        for y in 0..h {
            for x in 0..w {
                let at = |ch: usize| pixels[(ch.min(c - 1) * h as usize + y as usize) * w as usize + x as usize];
                let place = ((i % columns) * (w + 2) + x, (i / columns) * (h + 2) + y);
                sheet.put_pixel(place.0, place.1, image::Rgb([at(0), at(1), at(2)]));
            }
        }
    }
    sheet.save(&out)?;
    println!("{name}: {} + {} images in {:.2} s", set.train.len(), set.test.len(), start.elapsed().as_secs_f64());
    println!("train {}\ntest  {}", set.train.sha256(), set.test.sha256());
    Ok(())
}

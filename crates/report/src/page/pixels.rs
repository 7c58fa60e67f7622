//! Small images as PNG within the page.

use crate::{Error, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gauntlet_records::{Picture, Pictures};
use png::{BitDepth, ColorType, Compression, Encoder};

/// About how many screen pixels wide an image is shown; its own pixels become squares of whole ones.
const WIDE: usize = 84;

/// Both ends of the scale of signed values, told apart with any kind of colour vision (Okabe & Ito 2008).
const BELOW: [f64; 3] = [0.0, 114.0, 178.0];
const ABOVE: [f64; 3] = [213.0, 94.0, 0.0];

/// Draws images of one shape.
#[derive(Clone, Copy)]
pub(super) struct Pixels {
    channels: usize,
    height: usize,
    width: usize,
}

impl Pixels {
    pub(super) fn of(pictures: &Pictures) -> Pixels {
        let (channels, height, width) = pictures.shape;
        Pixels { channels, height, width }
    }

    /// Width and height on the screen.
    pub(super) fn screen(self) -> (usize, usize) {
        let times = ((WIDE + self.width / 2) / self.width.max(1)).max(1);
        (self.width * times, self.height * times)
    }

    /// At most about so many bytes a drawing of it has, of three channels where it has colours.
    pub(super) fn bytes(self, channels: usize) -> usize {
        // Base64 makes four of three; a PNG has some hundred of its own.
        self.height * self.width * channels * 4 / 3 + 200
    }

    /// The image as it is.
    pub(super) fn image(self, picture: &Picture) -> Result<String> {
        self.drawn(&picture.x)
    }

    /// The perturbation with its largest value at full size: 128 is zero.
    pub(super) fn perturbation(self, picture: &Picture) -> Result<String> {
        let bytes: Vec<u8> = picture.delta.iter().map(|d| d.cast_unsigned() ^ 0x80).collect();
        self.drawn(&bytes)
    }

    /// The image with its perturbation.
    pub(super) fn perturbed(self, picture: &Picture) -> Result<String> {
        let unit = 255.0 * picture.delta_scale / 127.0;
        let moved = picture.x.iter().zip(&picture.delta).map(|(x, d)| f32::from(*x) + f32::from(*d) * unit);
        self.drawn(&moved.map(|v| v.round().clamp(0.0, 255.0) as u8).collect::<Vec<u8>>())
    }

    /// The input gradient, summed over channels: blue below zero, white, orange above; and its largest size.
    pub(super) fn gradient(self, picture: &Picture) -> Result<(String, f64)> {
        let area = self.height * self.width;
        let sum = |i: usize| picture.gradient.iter().skip(i).step_by(area).map(|g| i32::from(*g)).sum::<i32>();
        let sums: Vec<i32> = (0..area).map(sum).collect();
        let largest = sums.iter().map(|s| s.abs()).max().unwrap_or(0);
        let colour = |s: &i32| {
            let share = f64::from(*s) / f64::from(largest.max(1));
            let end = if share < 0.0 { BELOW } else { ABOVE };
            end.map(|e| (255.0 + (e - 255.0) * share.abs()).round() as u8)
        };
        let uri = uri(ColorType::Rgb, self.width, self.height, &sums.iter().flat_map(colour).collect::<Vec<u8>>())?;
        Ok((uri, f64::from(largest) / 127.0 * f64::from(picture.gradient_scale)))
    }

    /// Values with channels first: three are colours, any other number is shown as the mean in grey.
    fn drawn(self, values: &[u8]) -> Result<String> {
        let area = self.height * self.width;
        let of = |i: usize| values.iter().skip(i).step_by(area.max(1));
        if self.channels == 3 {
            return uri(ColorType::Rgb, self.width, self.height, &(0..area).flat_map(of).copied().collect::<Vec<u8>>());
        }
        let mean = |i: usize| (of(i).map(|v| u32::from(*v)).sum::<u32>() / self.channels.max(1) as u32) as u8;
        uri(ColorType::Grayscale, self.width, self.height, &(0..area).map(mean).collect::<Vec<u8>>())
    }
}

/// The PNG as a data URI.
fn uri(colour: ColorType, width: usize, height: usize, bytes: &[u8]) -> Result<String> {
    let refused = |e: png::EncodingError| Error::Plot(e.to_string());
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, width as u32, height as u32);
    encoder.set_color(colour);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::High);
    let mut writer = encoder.write_header().map_err(refused)?;
    writer.write_image_data(bytes).map_err(refused)?;
    writer.finish().map_err(refused)?;
    Ok(format!("data:image/png;base64,{}", STANDARD.encode(&file)))
}

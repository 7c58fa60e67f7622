//! Architectures with PyTorch's parameter names. Inputs are pixels in `[0, 1]`; normalisation is a layer inside the model.

mod batch_norm;
mod candle_module;
mod cnn4;
mod hidden;
mod lenet_small;
mod linear;
mod madry_cnn;
mod maxout;
mod mlp;
mod normalise;
mod preactresnet18;
mod settings;
mod trades_smallcnn;
mod wideresnet;

pub use candle_module::CandleModule;
pub use settings::Settings;

use gauntlet_core::{Registry, Result};

/// Registers every architecture of this crate.
///
/// # Errors
/// A name that is taken.
pub fn register(registry: &mut Registry) -> Result<()> {
    registry.models.add(linear::SPEC)?;
    registry.models.add(mlp::SPEC)?;
    registry.models.add(maxout::SPEC)?;
    registry.models.add(lenet_small::SPEC)?;
    registry.models.add(cnn4::SPEC)?;
    registry.models.add(madry_cnn::SPEC)?;
    registry.models.add(trades_smallcnn::SPEC)?;
    registry.models.add(preactresnet18::SPEC)?;
    registry.models.add(wideresnet::SPEC)
}

//! Data sets: embedded glyphs, the Hugging Face hub, local files. Images are kept as u8 and handed out in `[0, 1]`.
//!
//! A data set is a manifest (`datasets/<name>.toml`); any image-classification parquet data set can be added by writing
//! one, without code.

mod bar;
mod catalogue;
mod ceiling;
mod cifar;
mod decode;
mod discovery;
mod error;
mod glyphs;
mod half;
mod hub;
mod hub_file;
mod idx;
mod layout;
mod load;
mod load_options;
mod local;
mod manifest;
pub mod manifest_keys;
mod page_header;
mod parquet_rows;
mod plain_get;
mod repo;
mod split;

pub use catalogue::Catalogue;
pub use discovery::{Discovery, Found};
pub use error::{Error, Result};
pub use half::Half;
pub use hub_file::HubFile;
pub use load::{load, load_half};
pub use load_options::LoadOptions;
pub use manifest::{Manifest, Part, RemoteFile, Source};
pub use split::{Dataset, Split};

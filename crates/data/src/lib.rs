//! Data sets: embedded glyphs, the Hugging Face hub, local files. Images are kept as u8 and handed out in `[0, 1]`.
//!
//! A data set is a manifest (`datasets/<name>.toml`); any image-classification parquet data set can be added by writing
//! one, without code.

#[cfg(feature = "hub")]
mod bar;
mod catalogue;
#[cfg_attr(not(feature = "hub"), allow(dead_code, reason = "parquet files come with the hub"))]
mod ceiling;
mod checked;
mod cifar;
#[cfg_attr(not(feature = "hub"), allow(dead_code, reason = "folders are looked through with the hub's feature"))]
mod class_folders;
#[cfg_attr(not(feature = "hub"), allow(dead_code, reason = "folders are looked through with the hub's feature"))]
mod decode;
#[cfg(feature = "hub")]
mod discovery;
mod error;
mod glyphs;
mod half;
#[cfg(feature = "hub")]
mod hub;
mod hub_file;
mod idx;
#[cfg(feature = "hub")]
mod layout;
mod load;
mod load_options;
mod local;
mod manifest;
pub mod manifest_keys;
#[cfg_attr(not(feature = "hub"), allow(dead_code, reason = "folders are looked through with the hub's feature"))]
mod numpy;
#[cfg(feature = "hub")]
mod page_header;
#[cfg(feature = "hub")]
mod parquet_rows;
#[cfg(feature = "hub")]
mod plain_get;
#[cfg(feature = "hub")]
mod repo;
mod split;
mod transform;
#[cfg(not(feature = "hub"))]
mod without_hub;

pub use catalogue::Catalogue;
#[cfg(feature = "hub")]
pub use discovery::{Discovery, Found};
pub use error::{Error, Result};
pub use half::Half;
pub use hub_file::HubFile;
pub use load::{load, load_half};
pub use load_options::LoadOptions;
pub use manifest::{Arrays, Manifest, Part, RemoteFile, Source};
pub use split::{Dataset, Split};
pub use transform::Transform;

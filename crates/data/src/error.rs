//! What can go wrong on the way from a manifest to pixels.

/// Errors of loading data; each names the cause and the way out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No manifest of that name.
    #[error("unknown data set {name:?}{}; `gauntlet list datasets` shows all, a file datasets/{name}.toml adds one",
        hint.as_ref().map(|h| format!(" (did you mean {h:?}?)")).unwrap_or_default())]
    Unknown {
        /// What was asked for.
        name: String,
        /// The nearest known name.
        hint: Option<String>,
    },
    /// A manifest that does not parse or does not make sense.
    #[error("manifest {path}: {why}")]
    Manifest {
        /// The file.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// The hub did not deliver.
    #[error("cannot fetch {file} of {id} from {endpoint}: {why}; check the network or HF_ENDPOINT, or {local}")]
    Hub {
        /// Id on the hub.
        id: String,
        /// File within it.
        file: String,
        /// Endpoint asked.
        endpoint: String,
        /// The cause.
        why: String,
        /// What to do without the hub.
        local: &'static str,
    },
    /// A model's file whose sha256 neither the hub nor the reference names.
    #[error(
        "the hub names no sha256 for {file} of {id}, so it cannot be verified; if you trust what came, pin it by \
         writing #sha256={got} after the revision"
    )]
    Unverified {
        /// Id on the hub.
        id: String,
        /// File within it.
        file: String,
        /// What came.
        got: String,
    },
    /// A file whose sha256 is not the pinned one, twice.
    #[error("{file} of {id} has sha256 {got}, {want} (downloaded twice); {way_out}")]
    Sha {
        /// Id on the hub.
        id: String,
        /// File within it.
        file: String,
        /// What came.
        got: String,
        /// What it should be and who says so: "the manifest pins ...".
        want: String,
        /// What to do.
        way_out: String,
    },
    /// Decoded pixels and labels that are not the pinned ones.
    #[error(
        "the {split} split of {name} decodes to {got}, the manifest pins {want}; the files are not the ones the manifest describes"
    )]
    Content {
        /// Data set.
        name: String,
        /// `train` or `test`.
        split: String,
        /// What came.
        got: String,
        /// What the manifest pins.
        want: String,
    },
    /// A local file that cannot be read.
    #[error("cannot read {path}: {why}")]
    File {
        /// The file.
        path: String,
        /// The cause.
        why: String,
    },
    /// No file of a known layout in `--data-dir`.
    #[error("{folder} holds no {split} split of {name}; looked for {looked_for}, there and in {name}/ below it")]
    NothingLocal {
        /// The folder.
        folder: String,
        /// Data set.
        name: String,
        /// `train` or `test`.
        split: &'static str,
        /// All layouts.
        looked_for: String,
    },
    /// A local data set whose folder nobody named.
    #[error(
        "{name} is local ([source.local]) and its folder is not known: give it with --data-dir DIR or in GAUNTLET_DATA, or write \
         `folder = \"...\"` into the manifest's [source.local]"
    )]
    NoFolder {
        /// Data set.
        name: String,
    },
    /// A file of the hub that is not in the cache, where nothing may be downloaded.
    #[error("{file} of {id} is not on this machine; it would be downloaded from {endpoint}")]
    Absent {
        /// Id on the hub.
        id: String,
        /// File within it.
        file: String,
        /// Endpoint that has it.
        endpoint: String,
    },
    /// A row that is not what the manifest says.
    #[error("{path}, row {row}: {why}")]
    Row {
        /// The file.
        path: String,
        /// Row within it, from 0.
        row: usize,
        /// What is wrong and what would be right.
        why: String,
    },
    /// A split without a single example.
    #[error("the {split} split of {name} is empty: an accuracy over 0 examples means nothing")]
    Empty {
        /// Data set.
        name: String,
        /// `train` or `test`.
        split: String,
    },
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// A row number outside a split, or another misuse.
    #[error("{0}")]
    Message(String),
}

/// Result with [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Whether the surroundings failed (network, disk) rather than what the user wrote.
    pub fn is_environment(&self) -> bool {
        matches!(self, Error::Hub { .. } | Error::Sha { .. } | Error::Unverified { .. } | Error::File { .. })
    }
}

pub(crate) fn file(path: &std::path::Path, why: impl ToString) -> Error {
    Error::File { path: path.display().to_string(), why: why.to_string() }
}

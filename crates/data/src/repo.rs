//! Repositories of the hub.

/// What a repository holds: the hub keeps the two kinds apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RepoKind {
    Dataset,
    Model,
}

/// A repository at a revision.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Repo<'a> {
    pub(crate) kind: RepoKind,
    /// `owner/name`.
    pub(crate) id: &'a str,
    /// Commit, branch or tag.
    pub(crate) revision: &'a str,
}

impl RepoKind {
    /// What to do where the hub does not deliver.
    pub(crate) fn local(self) -> &'static str {
        match self {
            RepoKind::Dataset => "give local files with --data-dir",
            RepoKind::Model => "download the file and give its path",
        }
    }
}

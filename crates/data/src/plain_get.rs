//! A file of the hub by plain GET, for where hf-hub fails.
//!
//! The real hub announces large files as stored in xet; hf-hub 1.0 then takes the xet protocol and has no switch
//! against it. Some mirrors, proxies and firewalls let only plain HTTP through, which the hub also serves.

use crate::bar::Bar;
use crate::repo::{Repo, RepoKind};
use reqwest::header::{ETAG, HeaderMap, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use std::io::Write;
use std::path::{Path, PathBuf};

/// What to fetch, and the cache to put it in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlainGet<'a> {
    /// Base URL of the hub.
    pub(crate) endpoint: &'a str,
    /// The repository and its revision.
    pub(crate) repo: Repo<'a>,
    /// Path in the repository.
    pub(crate) file: &'a str,
    /// The hub cache, laid out as hf-hub does.
    pub(crate) cache: &'a Path,
}

impl PlainGet<'_> {
    /// Downloads the file into the cache if the hub says that it is stored in xet; `None` if not (then hf-hub's own
    /// error stands). Without a token: public repositories only.
    ///
    /// # Errors
    /// In words: what the hub answered, a short body, a disk that refuses.
    pub(crate) fn fetch(&self, bar: &Bar) -> Result<Option<PathBuf>, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| format!("no runtime for downloads: {e}"))?;
        runtime.block_on(self.run(bar))
    }

    async fn run(&self, bar: &Bar) -> Result<Option<PathBuf>, String> {
        let client = Client::builder().redirect(Policy::none()).build().map_err(|e| chain(&e))?;
        let mut url = self.url()?;
        let mut about = HeaderMap::new();
        for _ in 0..10 {
            let answer = client.get(url.clone()).send().await.map_err(|e| chain(&e))?;
            // The answer that names the commit describes the file; a content server behind it knows only bytes.
            if about.is_empty() && answer.headers().contains_key("x-repo-commit") {
                about = answer.headers().clone();
            }
            if answer.status().is_redirection() {
                let to = text(answer.headers(), LOCATION.as_str()).ok_or("a redirection without a location")?;
                url = url.join(&to).map_err(|e| format!("a redirection to {to:?}: {e}"))?;
                continue;
            }
            if !about.contains_key("x-xet-hash") {
                return Ok(None);
            }
            if !answer.status().is_success() {
                return Err(format!("plain GET answered {}", answer.status()));
            }
            return self.store(answer, &about, bar).await.map(Some);
        }
        Err("more than 10 redirections".into())
    }

    fn url(&self) -> Result<Url, String> {
        let mut url = Url::parse(self.endpoint).map_err(|e| format!("endpoint {:?}: {e}", self.endpoint))?;
        let mut path = url.path_segments_mut().map_err(|()| format!("endpoint {:?} is no base", self.endpoint))?;
        path.pop_if_empty();
        if self.repo.kind == RepoKind::Dataset {
            path.push("datasets");
        }
        path.extend(self.repo.id.split('/')).push("resolve").push(self.repo.revision);
        path.extend(self.file.split('/'));
        drop(path);
        Ok(url)
    }

    async fn store(&self, mut answer: Response, about: &HeaderMap, bar: &Bar) -> Result<PathBuf, String> {
        let name = text(about, "x-linked-etag").or_else(|| text(about, ETAG.as_str())).unwrap_or_default();
        let name = name.trim_start_matches("W/").trim_matches('"').to_string();
        let commit = text(about, "x-repo-commit").unwrap_or_default();
        let word = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !word(&name) || !word(&commit) {
            return Err("the hub names neither content (ETag) nor commit (X-Repo-Commit)".into());
        }
        let repo = self.cache.join(match self.repo.kind {
            RepoKind::Dataset => format!("datasets--{}", self.repo.id.replace('/', "--")),
            RepoKind::Model => format!("models--{}", self.repo.id.replace('/', "--")),
        });
        let blobs = repo.join("blobs");
        let partial = blobs.join(format!("{name}.{}.incomplete", std::process::id()));
        let says = |what: &str, path: &Path, e: std::io::Error| format!("cannot {what} {}: {e}", path.display());
        std::fs::create_dir_all(&blobs).map_err(|e| says("create", &blobs, e))?;
        let mut file = std::fs::File::create(&partial).map_err(|e| says("create", &partial, e))?;
        let length = answer.content_length();
        bar.begin(length.unwrap_or(0));
        let mut done = 0u64;
        while let Some(piece) = answer.chunk().await.map_err(|e| chain(&e))? {
            file.write_all(&piece).map_err(|e| says("write", &partial, e))?;
            done += piece.len() as u64;
            bar.at(done);
        }
        if length.is_some_and(|l| l != done) {
            return Err(format!("the body ended after {done} of {} bytes", length.unwrap_or(0)));
        }
        let blob = blobs.join(&name);
        std::fs::rename(&partial, &blob).map_err(|e| says("rename", &partial, e))?;
        let pointer = repo.join("snapshots").join(&commit).join(self.file);
        let depth = self.file.split('/').count() + 1;
        let target: PathBuf = std::iter::repeat_n("..", depth).collect::<PathBuf>().join("blobs").join(&name);
        if let Some(parent) = pointer.parent() {
            std::fs::create_dir_all(parent).map_err(|e| says("create", parent, e))?;
        }
        let _ = std::fs::remove_file(&pointer);
        #[cfg(unix)]
        std::os::unix::fs::symlink(&target, &pointer).map_err(|e| says("link", &pointer, e))?;
        #[cfg(not(unix))]
        std::fs::copy(&blob, &pointer).map(drop).map_err(|e| says("copy", &pointer, e))?;
        if self.repo.revision != commit {
            let reference = repo.join("refs").join(self.repo.revision);
            if let Some(parent) = reference.parent() {
                std::fs::create_dir_all(parent).map_err(|e| says("create", parent, e))?;
            }
            std::fs::write(&reference, &commit).map_err(|e| says("write", &reference, e))?;
        }
        Ok(pointer)
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_string)
}

/// An error with its causes, outermost first, each said once.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !said.contains(&words) {
            said = format!("{said}: {words}");
        }
        cause = inner.source();
    }
    said
}

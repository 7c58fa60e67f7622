//! Files from the Hugging Face hub: pinned revision, sha256 verified on every use, downloaded once more on a mismatch.

use crate::bar::Bar;
use crate::plain_get::PlainGet;
use crate::repo::{Repo, RepoKind};
use crate::{Error, LoadOptions, RemoteFile, Result};
use gauntlet_records::file::hex;
use hf_hub::{HFClient, HFClientSync, HFError, HFRepositorySync, RepoType, split_id};
use sha2::{Digest, Sha256};
use std::io::Read;
use std::path::{Path, PathBuf};

/// The hub and where it is.
pub(crate) struct Hub {
    client: HFClientSync,
    endpoint: String,
    cache: PathBuf,
}

/// A client: the environment (HF_ENDPOINT, HF_HOME, HF_HUB_CACHE, HF_TOKEN) unless the options say otherwise.
pub(crate) fn connect(options: &LoadOptions) -> Result<Hub> {
    let mut builder = HFClient::builder();
    if let Some(endpoint) = &options.endpoint {
        builder = builder.endpoint(endpoint.clone());
    }
    if let Some(cache) = &options.cache_dir {
        builder = builder.cache_dir(cache.clone());
    }
    let fail = |e: hf_hub::HFError| Error::Message(format!("cannot set up the hub client: {e}"));
    let inner = builder.build().map_err(fail)?;
    let endpoint = inner.endpoint().to_string();
    let cache = inner.cache_dir().to_path_buf();
    Ok(Hub { client: HFClientSync::from_inner(inner).map_err(fail)?, endpoint, cache })
}

/// sha256 of a file, lower-case hexadecimal.
pub(crate) fn sha256(path: &Path) -> Result<String> {
    let fail = |e: std::io::Error| crate::error::file(path, e);
    let mut file = std::fs::File::open(path).map_err(fail)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let n = file.read(&mut buffer).map_err(fail)?;
        if n == 0 {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(&buffer[..n]);
    }
}

/// The sha256 that the cache's own blob name promises, where a file pins none.
fn blob_name(path: &Path) -> Option<String> {
    let blob = std::fs::canonicalize(path).ok()?;
    let name = blob.file_name()?.to_str()?.to_string();
    (name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit())).then_some(name)
}

/// The verified local path of one file.
///
/// # Errors
/// [`Error::Hub`] if nothing arrives, [`Error::Sha`] if what arrives is wrong twice, [`Error::Unverified`] for a model
/// whose sha256 nobody names.
pub(crate) fn fetch(hub: &Hub, repo: Repo<'_>, file: &RemoteFile, options: &LoadOptions) -> Result<PathBuf> {
    let Repo { kind, id, revision } = repo;
    let Hub { client, endpoint, cache } = hub;
    let fail = |why: String| Error::Hub {
        id: id.into(),
        file: file.path.clone(),
        endpoint: endpoint.clone(),
        why: once(&why),
        local: kind.local(),
    };
    let (owner, name) = split_id(id);
    let whence = format!("{} of {id}", file.path);
    let download = |again: bool| match kind {
        RepoKind::Dataset => send(client.dataset(owner, name), (revision, file, &whence), again, options),
        RepoKind::Model => send(client.model(owner, name), (revision, file, &whence), again, options),
    };
    let mut last = String::new();
    for again in [false, true] {
        let path = match download(again) {
            Ok(path) => path,
            Err(_) if options.offline => {
                let (id, file) = (id.to_string(), file.path.clone());
                return Err(Error::Absent { id, file, endpoint: endpoint.clone() });
            }
            // A body that breaks off is worth the second try; a refusal is answered in the same words again.
            Err(e) => {
                last = e.to_string();
                // Where the hub announces xet and that protocol does not get through, plain HTTP may.
                let unreachable = matches!(&e, HFError::Request { source, .. } if source.is_connect());
                let bar = Bar::new(&whence, options);
                let plain = PlainGet { endpoint, repo, file: &file.path, cache };
                match if unreachable { Ok(None) } else { plain.fetch(&bar) } {
                    Ok(Some(path)) => path,
                    Ok(None) | Err(_) if !again => continue,
                    Ok(None) => return Err(fail(last)),
                    Err(why) => return Err(fail(format!("{last}; by plain GET: {why}"))),
                }
            }
        };
        let got = sha256(&path)?;
        let Some(want) = file.sha256.clone().or_else(|| blob_name(&path)) else {
            return match kind {
                RepoKind::Dataset => Ok(path),
                // Weights that nobody vouches for are not told from an error page or from somebody else's.
                RepoKind::Model => Err(Error::Unverified { id: id.into(), file: file.path.clone(), got }),
            };
        };
        if got == want {
            return Ok(path);
        }
        // The client stores whatever came, error pages too, under the right name: it must not be served again.
        let head = std::fs::read(&path)
            .map(|b| String::from_utf8_lossy(&b[..b.len().min(120)]).into_owned())
            .unwrap_or_default();
        if let Ok(blob) = std::fs::canonicalize(&path) {
            let _ = std::fs::remove_file(blob);
        }
        let _ = std::fs::remove_file(&path);
        if again {
            let printable = !head.is_empty() && head.chars().all(|c| !c.is_control() || c == '\n');
            let way_out = if printable {
                format!("the hub at {endpoint} answered {head:?} instead of the file: check access and HF_ENDPOINT")
            } else {
                format!("the connection or the hub corrupts it: try again, or {}", kind.local())
            };
            let says = match (kind, &file.sha256) {
                (RepoKind::Dataset, _) => "the manifest pins",
                (RepoKind::Model, Some(_)) => "the checkpoint's reference pins",
                (RepoKind::Model, None) => "the hub announced",
            };
            let want = format!("{says} {want}");
            return Err(Error::Sha { id: id.into(), file: file.path.clone(), got, want, way_out });
        }
    }
    Err(fail(last))
}

/// Words with each address in brackets told once: every layer of a client adds it again.
fn once(words: &str) -> String {
    let mut told = String::new();
    let mut rest = words;
    while let Some(at) = rest.find(" (http") {
        let Some(end) = rest[at..].find(')').map(|n| at + n + 1) else { break };
        told += &rest[..at];
        if !told.contains(rest[at..end].trim()) {
            told += &rest[at..end];
        }
        rest = &rest[end..];
    }
    told + rest
}

fn send<T: RepoType>(
    repository: HFRepositorySync<T>,
    (revision, file, whence): (&str, &RemoteFile, &str),
    again: bool,
    options: &LoadOptions,
) -> Result<PathBuf, HFError> {
    let request = repository.download_file().filename(file.path.clone()).revision(revision.to_string());
    let request = request.force_download(again).local_files_only(options.offline);
    request.progress(Bar::new(whence, options)).send()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_once() {
        let twice = "request error: for url (http://a/b) (http://a/b); by plain GET: for url (http://a/c): refused (os error 111)";
        let said = "request error: for url (http://a/b); by plain GET: for url (http://a/c): refused (os error 111)";
        assert_eq!(once(twice), said);
        assert_eq!((once("timed out"), once("cut (http://a")), ("timed out".into(), "cut (http://a".into()));
    }
}

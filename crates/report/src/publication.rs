//! Everything that a report is written as.

use crate::parallel::mapped;
use crate::{Folder, Plot, Report, Result, Subject};
use gauntlet_records::Error as RecordError;
use gauntlet_records::file::write_atomically;
use std::path::{Path, PathBuf};

/// The folder of a report that holds its pictures.
const PLOTS: &str = "plots";

/// Rows up to which every picture is written as PNG too; beyond, only what shows all rows at once.
const MOST: usize = 40;

impl Report {
    /// Writes the tables, `table.tex`, `records.json`, `index.html` and `plots/` into `out`; `folder` is what the report
    /// was made of. Pictures there that are no longer drawn are removed. Returns the paths.
    ///
    /// # Errors
    /// A picture cannot be drawn, a file cannot be written.
    pub fn publish(&self, folder: &Folder, out: &Path) -> Result<Vec<PathBuf>> {
        let mut written = self.write(out)?;
        let plots = Plot::all(self, folder)?;
        let mut files = vec![
            (out.join("table.tex"), self.latex().into_bytes()),
            (out.join("records.json"), self.digest(folder)?),
            (out.join("index.html"), self.page(folder, &plots)?.into_bytes()),
        ];
        files.extend(self.pictures(&plots, &out.join(PLOTS))?);
        // Every file waits for its disk; two can do so at once.
        let write = |(path, bytes): &(PathBuf, Vec<u8>)| write_atomically(path, bytes);
        mapped(&files, write).into_iter().collect::<std::result::Result<(), _>>()?;
        let kept: Vec<PathBuf> = files.into_iter().map(|f| f.0).collect();
        remove_others(&out.join(PLOTS), &kept)?;
        written.extend(kept);
        Ok(written)
    }

    fn pictures(&self, plots: &[Plot], folder: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>> {
        let one = |plot: &Plot| -> Result<Vec<(PathBuf, Vec<u8>)>> {
            let mut files = vec![(folder.join(format!("{}.svg", plot.name)), plot.svg().into_bytes())];
            if plot.subject == Subject::Scatter || self.rows.len() <= MOST {
                files.push((folder.join(format!("{}.png", plot.name)), plot.png()?));
            }
            Ok(files)
        };
        let drawn = mapped(plots, one).into_iter().collect::<Result<Vec<_>>>()?;
        Ok(drawn.into_iter().flatten().collect())
    }
}

/// Removes pictures of an earlier report.
fn remove_others(folder: &Path, kept: &[PathBuf]) -> Result<()> {
    let io = |action, path: &Path| {
        let path = path.display().to_string();
        move |source| RecordError::Io { action, path, source }
    };
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in std::fs::read_dir(folder).map_err(io("list", folder))? {
        let path = entry.map_err(io("list", folder))?.path();
        let picture = path.extension().is_some_and(|e| e == "svg" || e == "png");
        if picture && !kept.contains(&path) {
            std::fs::remove_file(&path).map_err(io("remove", &path))?;
        }
    }
    Ok(())
}

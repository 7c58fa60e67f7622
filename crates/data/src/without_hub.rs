//! What a build without the hub says.

use crate::Error;

/// Something that feature `hub` is for.
pub(crate) fn missing(what: &str) -> Error {
    Error::Message(format!(
        "{what}: this program was built without the feature `hub`, which fetches files and reads parquet"
    ))
}

#[cfg(test)]
mod tests {
    use crate::{Catalogue, HubFile, LoadOptions, load};

    #[test]
    fn what_needs_the_hub_says_so_and_the_rest_works() {
        let catalogue = Catalogue::default();
        let said =
            |name: &str, options: &LoadOptions| load(&catalogue.get(name).unwrap(), options).unwrap_err().to_string();
        let without = "this program was built without the feature `hub`, which fetches files and reads parquet";
        assert_eq!(said("mnist", &LoadOptions::default()), format!("ylecun/mnist: {without}"));
        let folder = tempfile::tempdir().unwrap();
        for part in ["train", "test"] {
            std::fs::write(folder.path().join(format!("{part}-00000-of-00001.parquet")), "PAR1").unwrap();
        }
        let options = LoadOptions { data_dir: Some(folder.path().into()), ..LoadOptions::default() };
        let found = said("mnist", &options);
        assert!(found.contains("train-00000-of-00001.parquet: ") && found.ends_with(without), "{found}");
        let file: HubFile = "hf:a/b/c.safetensors@v1".parse().unwrap();
        assert_eq!(file.fetch(&LoadOptions::default()).unwrap_err().to_string(), format!("{file}: {without}"));
        assert_eq!(load(&catalogue.get("glyphs").unwrap(), &LoadOptions::default()).unwrap().test.len(), 2000);
    }
}

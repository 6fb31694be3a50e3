//! Made-up system trees for tests: a few files below a temporary folder.

use std::fs;

use super::Roots;

/// A tree with these files; the folder must be kept as long as it is used.
pub(crate) fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, Roots) {
    let folder = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let roots = Roots::under(folder.path());
    (folder, roots)
}

//! Shared by the unit tests of the crates that have fuzz targets: what the fuzzer found, once more, without a fuzzer.

use std::path::Path;

/// Gives every target the inputs in `tests/fuzz/corpus`, in a folder of its name.
///
/// # Panics
/// If a target panics, or if it has no inputs.
pub(super) fn replay(targets: &[super::Target]) {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let corpus = crate_folder
        .ancestors()
        .map(|folder| folder.join("tests/fuzz/corpus"))
        .find(|folder| folder.is_dir())
        .expect("tests/fuzz/corpus is in this repository");
    for (name, target) in targets {
        let folder = corpus.join(name);
        let entries = std::fs::read_dir(&folder)
            .unwrap_or_else(|e| panic!("{}: {e}; tests/fuzz/run --keep {name} makes it", folder.display()));
        let mut count = 0;
        for entry in entries {
            let path = entry.expect("an entry of the folder").path();
            let input = std::fs::read(&path).expect("a readable input");
            // shown if the target panics
            eprintln!("{}", path.display());
            target(&input);
            count += 1;
        }
        assert!(count > 0, "{} is empty", folder.display());
    }
}

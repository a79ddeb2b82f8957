//! `doorline bench`.

use crate::bench;
use crate::cli::Bench;

/// Measures.
pub(super) fn bench(args: &Bench) -> anyhow::Result<u8> {
    bench::run(args)
}

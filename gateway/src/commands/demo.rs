//! `doorline demo`: the whole story on virtual hardware, then the page.

use crate::cli::Demo;
use crate::{demo, run};

/// Plays it.
pub(super) fn demo(args: &Demo) -> anyhow::Result<u8> {
    run::log::quiet();
    run::runtime()?.block_on(demo::play(args))
}

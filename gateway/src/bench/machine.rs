//! The machine that figures belong to.

use std::fs;
use std::path::Path;

/// Load average over 1, 5 and 15 minutes.
pub(crate) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// What a reader must know to compare figures.
pub(crate) fn describe(dir: &Path) -> Vec<(&'static str, String)> {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    vec![
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("profile", profile().to_owned()),
        ("processor", format!("{cores} x {}", processor())),
        ("kernel", kernel.trim().to_owned()),
        ("medium", format!("{} ({})", medium(&mounts, dir), dir.display())),
        ("load", load()),
        (
            "time",
            gateway_core::Timestamp::now()
                .strftime("%Y-%m-%d %H:%M UTC")
                .to_string(),
        ),
    ]
}

/// How this program was built.
const fn profile() -> &'static str {
    if cfg!(debug_assertions) {
        "dev (figures worth comparing come from `cargo run --release -- bench`)"
    } else {
        "release"
    }
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    text.lines()
        .find_map(|line| {
            line.strip_prefix("model name")?
                .split_once(": ")
                .map(|(_, name)| name)
        })
        .map_or_else(|| std::env::consts::ARCH.to_owned(), ToOwned::to_owned)
}

/// File system type of the mount that holds `dir`.
fn medium(mounts: &str, dir: &Path) -> String {
    let fields = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        Some((words.next()?, words.next()?))
    });
    fields
        .filter(|(at, _)| dir.starts_with(at))
        .max_by_key(|(at, _)| at.len())
        .map_or_else(|| "unknown".to_owned(), |(_, kind)| kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_medium_is_that_of_the_longest_mount_above_the_folder() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\ntmpfs /tmpfoo xfs rw 0 0\n";
        assert_eq!(medium(mounts, Path::new("/tmp/x")), "tmpfs");
        assert_eq!(medium(mounts, Path::new("/var")), "ext4");
    }
}

//! Memory that was needed only to start.
//!
//! Reading the configuration, opening devices and the like runs once, and the kernel maps 64 KiB of the program around
//! each place that runs. Three processes stand in a cupboard for years with what they ran in their first second.

use std::io;
use std::ops::Range;
use std::time::Duration;

/// So long after the start clients are connected and accounts registered, which happens seldom again.
const SETTLED: Duration = Duration::from_secs(3);

/// Gives back what only the start used, now and once more when everything is connected. To be called within a runtime
/// of tokio.
pub fn settle() {
    give_back();
    tokio::spawn(async {
        tokio::time::sleep(SETTLED).await;
        give_back();
    });
}

/// Gives back what only the start used; where the kernel does not take it, memory is all that is lost.
pub(crate) fn give_back() {
    give_back_heap();
    if let Err(error) = give_back_code() {
        tracing::debug!(%error, "the code that ran at start stays in memory");
    }
}

/// Gives back what the start allocated and freed: the allocator keeps it for later, in each thread's arena.
fn give_back_heap() {
    #[cfg(target_env = "gnu")]
    #[expect(
        unsafe_code,
        reason = "the call takes a number, and frees what is free already"
    )]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Takes the program's code and constants out of this process's memory, and gives their size in bytes: what is still
/// used is mapped again from the page cache as it is used, a microsecond for 64 KiB; what only the start used is not.
///
/// # Errors
/// The kernel does not say where they are, or does not take them; nothing is lost then.
fn give_back_code() -> io::Result<usize> {
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let here = give_back_code as fn() -> io::Result<usize> as usize;
    let parts = never_written(&maps, here);
    if parts.is_empty() {
        let text = "no mapping of /proc/self/maps holds the program's code";
        return Err(io::Error::other(text));
    }
    for part in &parts {
        #[expect(
            unsafe_code,
            reason = "the call takes an address; what it drops was never writable, so the file has the same bytes"
        )]
        unsafe {
            let start = std::ptr::with_exposed_provenance_mut(part.start);
            rustix::mm::madvise(start, part.len(), rustix::mm::Advice::LinuxDontNeed)?;
        }
    }
    Ok(parts.iter().map(Range::len).sum())
}

/// The addresses of the code that holds `address`, and of the constants at the head of the same file. What is read-only
/// behind the code is not among them: the loader wrote to it.
fn never_written(maps: &str, address: usize) -> Vec<Range<usize>> {
    let maps: Vec<Mapping<'_>> = maps.lines().filter_map(Mapping::read).collect();
    let code = |m: &&Mapping<'_>| m.rights == "r-xp" && m.inode != "0" && m.at.contains(&address);
    let Some(code) = maps.iter().find(code) else {
        return vec![];
    };
    let head = |m: &&Mapping<'_>| m.rights == "r--p" && m.inode == code.inode && m.offset == 0;
    let parts = maps.iter().find(head).into_iter().chain([code]);
    parts.map(|m| m.at.clone()).collect()
}

/// A line of `/proc/PID/maps`, see proc_pid_maps(5).
struct Mapping<'a> {
    at: Range<usize>,
    inode: &'a str,
    offset: usize,
    rights: &'a str,
}

impl<'a> Mapping<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let number = |text| usize::from_str_radix(text, 16).ok();
        let (start, end) = words.next()?.split_once('-')?;
        let (rights, offset, _device) = (words.next()?, words.next()?, words.next()?);
        Some(Self {
            at: number(start)?..number(end)?,
            inode: words.next()?,
            offset: number(offset)?,
            rights,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
        1000-3000 r--p 00000000 fe:00 77 /usr/bin/doorline\n\
        3000-7000 r-xp 00002000 fe:00 77 /usr/bin/doorline\n\
        7000-8000 r--p 00006000 fe:00 77 /usr/bin/doorline\n\
        8000-9000 rw-p 00007000 fe:00 77 /usr/bin/doorline\n\
        a000-b000 r--p 00000000 fe:00 99 /lib/libc.so.6\n\
        b000-d000 r-xp 00001000 fe:00 99 /lib/libc.so.6\n\
        e000-f000 r-xp 00000000 00:00 0 [vdso]\n\
        f000-x000 r-xp broken\n";

    #[test]
    fn only_what_nobody_can_have_written_to_is_given_back() {
        assert_eq!(never_written(MAPS, 0x3000), [0x1000..0x3000, 0x3000..0x7000]);
        assert_eq!(never_written(MAPS, 0xc000), [0xa000..0xb000, 0xb000..0xd000]);
        for address in [0x1000, 0x7000, 0x8000, 0xe000, 0xf000] {
            assert!(never_written(MAPS, address).is_empty(), "{address:x}");
        }
        assert!(never_written(&MAPS.replace("r-xp", "rwxp"), 0x3000).is_empty());
    }

    #[test]
    fn the_program_goes_on_after_its_code_was_given_back() {
        for _ in 0..3 {
            let size = give_back_code().expect("the kernel takes it");
            assert!(size > 4096 && size.is_multiple_of(4096), "{size}");
        }
    }
}

//! Is the machine's clock synchronised? The kernel knows, whoever sets it: systemd-timesyncd, chrony and ntpd all tell
//! it through `adjtimex(2)`, and it takes the mark back when nobody has said anything for hours (its estimate of the
//! error grows by 500 ppm and ends at 16 s: RFC 1589 §3.2).

/// `STA_UNSYNC`: the clock is not synchronised (`linux/timex.h`).
const UNSYNC: i32 = 0x40;
/// `TIME_ERROR`: as the state of the clock (`adjtimex(2)`).
const ERROR: i32 = 5;

/// What the kernel says of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sync {
    /// Largest error that is thought possible, in µs.
    pub max_error_us: i64,
    /// True if a time service keeps it right.
    pub synchronised: bool,
}

/// Asks the kernel; `None` if it does not answer, as in a container that may not ask.
#[must_use]
pub fn sync() -> Option<Sync> {
    #[expect(
        unsafe_code,
        reason = "no crate of ours wraps adjtimex; it reads or writes this one structure"
    )]
    // SAFETY: `timex` is plain numbers, for which zero is a value; with `modes` 0 the call writes into the structure
    // and changes nothing.
    let (state, timex) = unsafe {
        let mut timex: libc::timex = std::mem::zeroed();
        (libc::adjtimex(&raw mut timex), timex)
    };
    #[cfg_attr(
        target_pointer_width = "64",
        expect(clippy::useless_conversion, reason = "it has 32 bits elsewhere")
    )]
    let max_error_us = i64::from(timex.maxerror);
    (state >= 0).then(|| judged(state, timex.status, max_error_us))
}

const fn judged(state: i32, status: i32, max_error_us: i64) -> Sync {
    Sync {
        max_error_us,
        synchronised: state != ERROR && status & UNSYNC == 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_marks_of_the_kernel_count() {
        assert!(judged(0, 0x2001, 1000).synchronised);
        assert!(!judged(5, 0x2001, 1000).synchronised);
        assert!(!judged(0, 0x0041, 16_000_000).synchronised);
    }

    #[test]
    fn the_kernel_is_asked() {
        // a sandbox may refuse; an answer has an error that can be
        if let Some(sync) = sync() {
            assert!((0..=20_000_000).contains(&sync.max_error_us), "{sync:?}");
        }
    }
}

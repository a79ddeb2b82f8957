//! Which threads come before other work of the machine.
//!
//! A nice value is a share: the kernel's fair scheduler (EEVDF) lets a thread that wakes up wait for the end of somebody
//! else's slice, four milliseconds on a kernel with 250 ticks a second, however small its nice value. Half a tick of
//! speech is late by then, and a door takes three such turns. A thread of `SCHED_RR` (sched(7)) runs as soon as it wakes
//! up.
//!
//! Whoever runs at that class and never waits takes the processor from everybody, the relay guard among them, so there is
//! an order, and the guard stands first. It is taken only where it was granted on purpose: by `LimitRTPRIO=` of the unit
//! (`RLIMIT_RTPRIO`), or by starting the program in that class (`chrt --rr 1 doorline run …`). That a process may do
//! everything, as root may, is no such grant. Without it the nice value counts, and without permission for that a thread
//! takes its turn like everybody else.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Resource, getpriority_process, getrlimit, setpriority_process};

/// The program was started in the real-time class.
static STARTED_SO: AtomicBool = AtomicBool::new(false);

/// To be called by the first thread before there is another: a program that was started in the real-time class was granted it
/// by that, for the threads that ask for it, and is like any other program itself.
pub fn begin() {
    if is_real_time() {
        STARTED_SO.store(true, Ordering::Relaxed);
        let _ = Turn::Last.take();
    }
}

/// What a thread does, and so who comes before whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Relays: it ends what the others began, whatever they do.
    Guard,
    /// Core, adapters and the way to the guard.
    Doors,
    /// Speech in and out, and sound cards.
    Speech,
    /// Signalling, which may wait for speech.
    Calls,
    /// Like any other program: what is started from a thread that comes first inherits its turn, unless it takes this.
    Last,
}

/// How a thread comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// `SCHED_RR` with this priority, 1 to 99; a larger one comes first.
    RealTime(u32),
    /// Nice value, -20 to 19; a smaller one gets more.
    Nice(i32),
}

impl Turn {
    /// Priority in `SCHED_RR`; `None`: not of that class.
    const fn real_time(self) -> Option<u32> {
        match self {
            Self::Guard => Some(3),
            Self::Doors => Some(2),
            Self::Speech => Some(1),
            Self::Calls | Self::Last => None,
        }
    }

    const fn nice(self) -> i32 {
        match self {
            Self::Guard | Self::Doors => -10,
            Self::Speech | Self::Calls => -5,
            Self::Last => 0,
        }
    }

    /// Gives the calling thread this turn, and whatever it starts from now on.
    ///
    /// # Errors
    /// If the system permits neither; the thread has the turn that it had.
    pub fn take(self) -> io::Result<Taken> {
        let limit = getrlimit(Resource::Rtprio).current.unwrap_or(u64::MAX);
        let granted = |wanted: &u32| u64::from(*wanted) <= limit || STARTED_SO.load(Ordering::Relaxed);
        if let Some(wanted) = self.real_time().filter(granted)
            && class(libc::SCHED_RR, wanted).is_ok()
        {
            return Ok(Taken::RealTime(wanted));
        }
        // whoever is in that class leaves it; one who was put behind everybody (SCHED_IDLE, SCHED_BATCH) stays there
        if is_real_time() {
            class(libc::SCHED_OTHER, 0)?;
        }
        // without a process id it is the calling thread
        let already = getpriority_process(None)?;
        // a whole program that was put behind others, or before them, stays there
        let wanted = if self == Self::Last {
            already.max(self.nice())
        } else {
            already.min(self.nice())
        };
        if wanted != already {
            setpriority_process(None, wanted)?;
        }
        Ok(Taken::Nice(wanted))
    }
}

/// Grants this process, and each that a thread which has the turn of doors starts, the real-time class.
///
/// # Errors
/// Without permission.
pub fn grant() -> io::Result<()> {
    // whether it may is seen by trying, in a thread that ends
    let tried = std::thread::scope(|scope| scope.spawn(|| class(libc::SCHED_RR, 1)).join());
    tried.unwrap_or_else(|_| Err(io::Error::other("the thread that tried it ended")))?;
    STARTED_SO.store(true, Ordering::Relaxed);
    Ok(())
}

/// Is the calling thread in the real-time class?
fn is_real_time() -> bool {
    #[expect(unsafe_code, reason = "the call takes a number; 0 names the calling thread")]
    let policy = unsafe { libc::sched_getscheduler(0) };
    [libc::SCHED_RR, libc::SCHED_FIFO].contains(&policy)
}

/// Puts the calling thread into a class, with a priority that is 0 in all but the real-time ones.
fn class(policy: i32, priority: u32) -> io::Result<()> {
    let param = libc::sched_param {
        sched_priority: i32::try_from(priority).unwrap_or(i32::MAX),
    };
    #[expect(
        unsafe_code,
        reason = "the call reads the structure that it is given; 0 names the calling thread"
    )]
    let done = unsafe { libc::sched_setscheduler(0, policy, &raw const param) };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Class and priority of the calling thread: fields 41 and 40 of `proc_pid_stat(5)`.
    fn stands() -> (u32, u32) {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("a thread");
        let fields: Vec<u32> = stat
            .rsplit_once(')')
            .map(|(_, rest)| {
                rest.split_whitespace()
                    .map(|word| word.parse().unwrap_or(0))
                    .collect()
            })
            .unwrap_or_default();
        (fields[38], fields[37])
    }

    #[test]
    fn a_thread_is_of_the_real_time_class_only_where_that_was_granted_and_leaves_it_again() {
        let granted = getrlimit(Resource::Rtprio).current.unwrap_or(u64::MAX);
        for turn in [Turn::Guard, Turn::Doors, Turn::Speech, Turn::Calls] {
            // a thread of its own each, so that the turn ends with it
            let (taken, stood) = std::thread::spawn(move || (turn.take(), stands()))
                .join()
                .expect("it ends");
            match taken {
                Ok(Taken::RealTime(priority)) => {
                    let started_so = STARTED_SO.load(Ordering::Relaxed);
                    assert!(u64::from(priority) <= granted || started_so, "{turn:?}");
                    assert_eq!(stood, (2, priority));
                }
                Ok(Taken::Nice(nice)) => {
                    assert!(nice <= turn.nice(), "{turn:?}: {nice}");
                    assert_eq!(stood, (0, 0));
                }
                Err(_) => assert_eq!(stood, (0, 0), "without permission nothing has changed"),
            }
        }
        let last = || {
            let _ = Turn::Doors.take();
            (Turn::Last.take(), stands())
        };
        let (taken, stood) = std::thread::spawn(last).join().expect("it ends");
        assert!(matches!(taken, Ok(Taken::Nice(0..))), "{taken:?}");
        assert_eq!(stood, (0, 0));
    }

    #[test]
    fn the_guard_comes_before_doors_and_doors_before_speech() {
        let order = [Turn::Guard, Turn::Doors, Turn::Speech].map(|turn| turn.real_time().unwrap_or(0));
        assert!(order.is_sorted_by(|first, second| first > second));
        assert_eq!(Turn::Calls.real_time().or(Turn::Last.real_time()), None);
    }

    #[test]
    fn who_may_grants_the_class_and_a_thread_that_begins_in_it_leaves_it() {
        if grant().is_err() {
            assert!(
                !STARTED_SO.load(Ordering::Relaxed),
                "nothing is granted without permission"
            );
            return;
        }
        let begun = || {
            let before = (Turn::Doors.take(), is_real_time());
            begin();
            (before, is_real_time())
        };
        let (before, after) = std::thread::spawn(begun).join().expect("it ends");
        assert!(matches!(before, (Ok(Taken::RealTime(2)), true)), "{before:?}");
        assert!(!after);
    }
}

//! Waits until a point on `CLOCK_BOOTTIME`.
//!
//! The runtime's own timer rounds up to whole milliseconds, which is as long as a door may take altogether, and stands
//! still while the machine sleeps.

use std::future::pending;
use std::io;
use std::os::fd::OwnedFd;

use gateway_core::Instant;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A kernel timer.
pub struct Alarm(AsyncFd<OwnedFd>);

impl Alarm {
    /// Makes one; must be called inside the runtime.
    ///
    /// # Errors
    /// What the system says if it has no more timers.
    ///
    /// # Panics
    /// Outside a runtime.
    #[expect(
        deprecated,
        reason = "the successor is unsafe to call, for types that lie about their descriptor; this one owns its own"
    )]
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = timerfd_create(TimerfdClockId::Boottime, flags)?;
        Ok(Self(AsyncFd::with_interest(timer, Interest::READABLE)?))
    }

    /// Waits until `when`, for ever if there is none. Dropping the wait is fine: the next one sets the timer anew.
    pub async fn at(&self, when: Option<Instant>) {
        let Some(when) = when else {
            return pending().await;
        };
        if self.wait(when).await.is_err() {
            // the caller comes by often enough without it
            pending().await
        }
    }

    async fn wait(&self, when: Instant) -> io::Result<()> {
        // zero would mean "never"
        let nanos = when.as_nanos().max(1);
        let zero = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let once = Itimerspec {
            it_interval: zero,
            it_value: Timespec {
                tv_sec: i64::try_from(nanos / 1_000_000_000).unwrap_or(i64::MAX),
                tv_nsec: (nanos % 1_000_000_000) as _,
            },
        };
        timerfd_settime(self.0.get_ref(), TimerfdTimerFlags::ABSTIME, &once)?;
        loop {
            let mut ready = self.0.readable().await?;
            let mut count = [0; 8];
            // readiness of an earlier wait is seen through: nothing is to be read then
            let read = ready.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), &mut count)?));
            if let Ok(read) = read {
                return read.map(|_| ());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::time::{ClockId, clock_gettime};

    use super::*;

    fn now() -> Instant {
        let t = clock_gettime(ClockId::Boottime);
        let part = |n: i64| u64::try_from(n).expect("after boot");
        Instant::from_nanos(part(t.tv_sec) * 1_000_000_000 + part(t.tv_nsec))
    }

    #[tokio::test(flavor = "current_thread")]
    async fn an_alarm_never_comes_early_and_can_be_set_anew() {
        let alarm = Alarm::new().expect("a timer");
        let long = Duration::from_secs(3600);
        alarm.at(Some(Instant::ZERO)).await;
        tokio::select! {
            biased;
            () = alarm.at(Some(now() + long)) => panic!("an hour has not passed"),
            () = tokio::task::yield_now() => {}
        }
        let when = now() + Duration::from_millis(3);
        alarm.at(Some(when)).await;
        assert!(now() >= when);
    }
}

//! Session timers (RFC 4028): how long a session lives without a refresh, and who refreshes it.
//!
//! The negotiation is here and pure; sending refreshes is in [`inside`](super::inside).

use std::time::Duration;

use gateway_core::Instant;

use crate::{HeaderName, Headers};

/// Least interval that anybody may ask for, seconds (RFC 4028 §4).
const LEAST: u32 = 90;
/// Longest interval that is believed, seconds.
const MOST: u32 = 86_400;
/// Shortest interval that is followed though it is below the least: a refresh every 5 s harms nobody.
const FLOOR: u32 = 10;
/// The session ends so long before its interval is over, at most (RFC 4028 §10).
const MARGIN: Duration = Duration::from_secs(32);

/// What we want of session timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTimer {
    /// Interval asked for (Session-Expires), 90 s to 1 d.
    pub expires: Duration,
    /// Least interval accepted (Min-SE), 90 s to 1 d.
    pub min: Duration,
}

impl Default for SessionTimer {
    /// 1800 s, as RFC 4028 §4 recommends, and 90 s.
    fn default() -> Self {
        Self {
            expires: Duration::from_secs(1800),
            min: Duration::from_secs(90),
        }
    }
}

/// One side of a request: who sent it, or who answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Uac,
    Uas,
}

impl Side {
    const fn word(self) -> &'static str {
        match self {
            Self::Uac => "uac",
            Self::Uas => "uas",
        }
    }
}

/// What the answer to a request says about the timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Granted {
    interval: u32,
    refresher: Side,
    /// The asker knows timers and is told to follow (`Require: timer`).
    pub(crate) require: bool,
}

impl Granted {
    /// Value of Session-Expires.
    pub(crate) fn value(&self) -> String {
        format!("{};refresher={}", self.interval, self.refresher.word())
    }

    /// The clock of whoever gave this answer.
    pub(crate) fn clock(&self, now: Instant) -> SessionClock {
        SessionClock::new(now, self.interval, self.refresher == Side::Uas)
    }
}

/// A request whose interval is too small: 422 with this Min-SE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooSmall(pub(crate) u32);

impl SessionTimer {
    fn wish(&self) -> u32 {
        seconds(self.expires).max(seconds(self.min))
    }

    /// Values of Session-Expires and Min-SE for a request, when peers have asked for at least `learned` seconds.
    pub(crate) fn asks(&self, learned: u32) -> (u32, Option<u32>) {
        let min = seconds(self.min).max(learned);
        (self.wish().max(min), (min > LEAST).then_some(min))
    }

    /// What to answer to a request with these headers; `None`: the session has no timer (RFC 4028 §9).
    pub(crate) fn answer(&self, headers: &Headers) -> Result<Option<Granted>, TooSmall> {
        let knows = headers.has_token(&HeaderName::Supported, "timer")
            || headers.has_token(&HeaderName::Require, "timer");
        let ours = seconds(self.min);
        let least = min_se(headers).unwrap_or(LEAST).max(ours);
        let Some(asked) = headers.leading_number(&HeaderName::SessionExpires) else {
            // Nobody asked: we do, and refresh ourselves.
            return Ok(knows.then(|| Granted {
                interval: self.wish().max(least).min(MOST),
                refresher: Side::Uas,
                require: true,
            }));
        };
        if asked < ours && knows {
            return Err(TooSmall(ours));
        }
        if asked < LEAST {
            // A proxy asked for less than it may, and the caller could not do anything about a 422.
            return Ok(None);
        }
        let refresher = match refresher(headers) {
            _ if !knows => Side::Uas,
            Some(side) => side,
            None => Side::Uac,
        };
        Ok(Some(Granted {
            interval: asked.min(self.wish().max(least)).min(MOST),
            refresher,
            require: knows,
        }))
    }
}

/// What a 2xx to a request of ours says; `None`: the session has no timer (RFC 4028 §7.2).
pub(crate) fn confirmed(now: Instant, headers: &Headers) -> Option<SessionClock> {
    let interval = headers.leading_number(&HeaderName::SessionExpires)?;
    let ours = refresher(headers) != Some(Side::Uas);
    Some(SessionClock::new(now, interval.clamp(FLOOR, MOST), ours))
}

/// The Min-SE of a 422 or of a request.
pub(crate) fn min_se(headers: &Headers) -> Option<u32> {
    headers.leading_number(&HeaderName::MinSe).map(|n| n.min(MOST))
}

fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(MOST).clamp(LEAST, MOST)
}

fn refresher(headers: &Headers) -> Option<Side> {
    let text = headers.text(&HeaderName::SessionExpires)?;
    text.split(';').skip(1).find_map(|param| {
        let (name, value) = param.split_once('=')?;
        let value = value.trim();
        if !name.trim().eq_ignore_ascii_case("refresher") {
            None
        } else if value.eq_ignore_ascii_case("uac") {
            Some(Side::Uac)
        } else if value.eq_ignore_ascii_case("uas") {
            Some(Side::Uas)
        } else {
            None
        }
    })
}

/// The timer of a session that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionClock {
    /// When the session is over unless it was refreshed.
    pub(crate) end: Instant,
    /// For the journal.
    pub(crate) interval: u32,
    /// When we refresh it; `None` leaves it to the other side, or an own refresh is on its way.
    pub(crate) refresh: Option<Instant>,
}

impl SessionClock {
    fn new(now: Instant, interval: u32, ours: bool) -> Self {
        let time = Duration::from_secs(u64::from(interval));
        Self {
            end: now + time - MARGIN.min(time / 3),
            interval,
            refresh: ours.then(|| now + time / 2),
        }
    }

    pub(crate) fn due(&self) -> Instant {
        self.refresh.map_or(self.end, |at| at.min(self.end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(HeaderName, &str)]) -> Headers {
        let mut headers = Headers::new();
        for (name, value) in list {
            headers.push(name.clone(), *value);
        }
        headers
    }

    const TIMER: (HeaderName, &str) = (HeaderName::Supported, "replaces, timer");

    fn ours(expires: u64, min: u64) -> SessionTimer {
        SessionTimer {
            expires: Duration::from_secs(expires),
            min: Duration::from_secs(min),
        }
    }

    #[test]
    fn an_answer_never_raises_what_was_asked_and_never_goes_below_either_least() {
        use HeaderName::{MinSe, SessionExpires};
        let answer = |timer: SessionTimer, list: &[(HeaderName, &str)]| {
            timer
                .answer(&headers(list))
                .map(|granted| granted.map(|g| (g.value(), g.require)))
        };
        let granted = |value: &str, require| Ok(Some((value.to_owned(), require)));
        let us = ours(1800, 120);
        assert_eq!(
            answer(us, &[TIMER, (SessionExpires, "600")]),
            granted("600;refresher=uac", true)
        );
        assert_eq!(
            answer(us, &[TIMER, (SessionExpires, "600 ; Refresher = UAS")]),
            granted("600;refresher=uas", true)
        );
        assert_eq!(
            answer(us, &[TIMER, (SessionExpires, "4000")]),
            granted("1800;refresher=uac", true)
        );
        assert_eq!(
            answer(us, &[TIMER, (SessionExpires, "4000"), (MinSe, "3000")]),
            granted("3000;refresher=uac", true)
        );
        assert_eq!(answer(us, &[TIMER, (SessionExpires, "100")]), Err(TooSmall(120)));
        // A proxy put it in, the caller knows nothing of it: we refresh, and a 422 would help nobody.
        assert_eq!(
            answer(us, &[(SessionExpires, "100")]),
            granted("100;refresher=uas", false)
        );
        assert_eq!(
            answer(us, &[(SessionExpires, "600;refresher=uac")]),
            granted("600;refresher=uas", false)
        );
        assert_eq!(answer(us, &[(SessionExpires, "30")]), Ok(None));
        // Nobody asked.
        assert_eq!(answer(us, &[TIMER]), granted("1800;refresher=uas", true));
        assert_eq!(
            answer(us, &[TIMER, (MinSe, "2000")]),
            granted("2000;refresher=uas", true)
        );
        assert_eq!(answer(us, &[]), Ok(None));
        assert_eq!(
            answer(us, &[TIMER, (SessionExpires, "soon")]),
            granted("1800;refresher=uas", true)
        );
    }

    #[test]
    fn what_we_ask_for_follows_the_least_that_a_peer_named() {
        assert_eq!(ours(1800, 90).asks(0), (1800, None));
        assert_eq!(ours(600, 90).asks(900), (900, Some(900)));
        assert_eq!(ours(100, 300).asks(0), (300, Some(300)));
    }

    #[test]
    fn half_the_time_refreshes_and_a_third_or_32_s_before_the_end_it_is_over() {
        let now = Instant::from_nanos(0);
        let at = |s| now + Duration::from_secs(s);
        let clock = confirmed(now, &headers(&[(HeaderName::SessionExpires, "90;refresher=uac")]));
        let clock = clock.expect("a timer");
        assert_eq!((clock.refresh, clock.end), (Some(at(45)), at(60)));
        let theirs = headers(&[(HeaderName::SessionExpires, "1800;refresher=uas")]);
        let clock = confirmed(now, &theirs).expect("a timer");
        assert_eq!(
            (clock.refresh, clock.end, clock.due()),
            (None, at(1768), at(1768))
        );
        // Absurd values neither storm nor overflow.
        for text in ["0", "4294967295", "1;refresher=uac"] {
            let clock = confirmed(now, &headers(&[(HeaderName::SessionExpires, text)])).expect("a timer");
            assert!(clock.refresh >= Some(at(5)) && clock.end <= at(86_400), "{text}");
        }
        assert_eq!(confirmed(now, &headers(&[])), None);
    }
}

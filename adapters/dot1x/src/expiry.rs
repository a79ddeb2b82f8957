//! The watch over the ends of certificates. Pure.

use gateway_core::{PortEvent, Timestamp};

use crate::material::Named;

/// Days before the end at which it is told.
pub const WARN_DAYS: [i64; 3] = [30, 7, 1];

const DAY_S: i64 = 86_400;
/// 2025-01-01T00:00:00Z: a clock that shows less was never set, and proves nothing about dates.
const CLOCK_SET_S: i64 = 1_735_689_600;

/// Which end was told how.
#[derive(Clone, Debug)]
pub struct Expiry {
    certificates: Vec<(Named, Option<usize>)>,
}

impl Expiry {
    /// Watches these.
    #[must_use]
    pub fn new(certificates: Vec<Named>) -> Self {
        Self {
            certificates: certificates.into_iter().map(|c| (c, None)).collect(),
        }
    }

    /// What is to be told at this time: each certificate at most once for 30, 7 and 1 days before its end, and once at
    /// the end. Call it hourly.
    pub fn look(&mut self, wall: Timestamp) -> Vec<PortEvent> {
        if wall.as_second() < CLOCK_SET_S {
            return vec![];
        }
        let mut events = vec![];
        for (certificate, told) in &mut self.certificates {
            let left = certificate.not_after.as_second() - wall.as_second();
            // how many of the marks have been passed; the end itself is the last one
            let passed =
                WARN_DAYS.iter().filter(|days| left <= **days * DAY_S).count() + usize::from(left < 0);
            if passed == 0 || told.is_some_and(|told| told >= passed) {
                continue;
            }
            *told = Some(passed);
            let Named {
                part,
                subject,
                not_after,
                ..
            } = certificate;
            let text = if left < 0 {
                format!(
                    "{part}: the certificate of {subject} ended at {not_after}; the port closes at the next authentication: renew it"
                )
            } else {
                format!("{part}: the certificate of {subject} ends at {not_after}; renew it before")
            };
            events.push(PortEvent::CertificateExpires {
                days: left.div_euclid(DAY_S),
                part: (*part).to_owned(),
                text,
            });
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: i64, hour: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + day * DAY_S + hour * 3600).expect("a date")
    }

    #[test]
    fn an_end_is_told_30_7_and_1_days_before_and_at_the_end_once_each() {
        let named = |part, day| Named {
            not_after: at(day, 0),
            not_before: at(-100, 0),
            part,
            subject: "CN=gateway".into(),
        };
        let mut expiry = Expiry::new(vec![named("client-cert-file", 40), named("ca-file", 1000)]);
        let mut told = vec![];
        for hour in 0..24 * 45 {
            for event in expiry.look(at(0, hour)) {
                let PortEvent::CertificateExpires { days, part, text } = event else {
                    panic!("{event:?}");
                };
                assert_eq!(part, "client-cert-file");
                assert!(text.contains("renew"), "{text}");
                told.push((hour, days));
            }
        }
        assert_eq!(told, [(240, 30), (24 * 33, 7), (24 * 39, 1), (24 * 40 + 1, -1)]);
    }

    #[test]
    fn a_start_late_tells_the_nearest_mark_only_and_an_unset_clock_tells_nothing() {
        let named = Named {
            not_after: at(5, 0),
            not_before: at(-100, 0),
            part: "ca-file",
            subject: "CN=ca".into(),
        };
        let mut expiry = Expiry::new(vec![named]);
        assert_eq!(expiry.look(Timestamp::UNIX_EPOCH), []);
        assert_eq!(expiry.look(at(0, 0)).len(), 1);
        assert_eq!(expiry.look(at(0, 1)), []);
    }
}

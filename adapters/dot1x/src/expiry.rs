//! The watch over the ends of certificates. Pure.

use gateway_core::{PortEvent, Timestamp};

use crate::material::{CA, Named};

/// Days before the end at which it is told.
pub const WARN_DAYS: [i64; 3] = [30, 7, 1];

const DAY_S: i64 = 86_400;

/// Which end was told how.
#[derive(Clone, Debug)]
pub struct Expiry {
    /// How many of the marks were passed when it was told last.
    certificates: Vec<(Named, usize)>,
}

impl Expiry {
    /// Watches these.
    #[must_use]
    pub fn new(certificates: Vec<Named>) -> Self {
        Self {
            certificates: certificates.into_iter().map(|c| (c, 0)).collect(),
        }
    }

    /// What is to be told at this time, by a clock that can be believed: each certificate at most once for 30, 7 and 1
    /// days before its end, and once at the end; and a part of which that was told by a clock that was wrong. Call it
    /// hourly.
    pub fn look(&mut self, wall: Timestamp) -> Vec<PortEvent> {
        let left = |named: &Named| named.not_after.as_second() - wall.as_second();
        let ca_goes_on = self
            .certificates
            .iter()
            .any(|(c, _)| c.part == CA && left(c) >= 0);
        let (mut events, mut recovered) = (vec![], vec![]);
        for (certificate, told) in &mut self.certificates {
            let left = left(certificate);
            // how many of the marks have been passed; the end itself is the last one
            let passed =
                WARN_DAYS.iter().filter(|days| left <= **days * DAY_S).count() + usize::from(left < 0);
            // an old CA beside the new one is usual, and no news
            let old = certificate.part == CA && left < 0 && *told == 0 && ca_goes_on;
            if passed == *told || old {
                continue;
            }
            *told = passed;
            if passed == 0 {
                recovered.push(certificate.part);
                continue;
            }
            events.push(told_of(certificate, left));
        }
        recovered.dedup();
        for part in recovered {
            // what stands of a part is what was told last
            let stands = self
                .certificates
                .iter()
                .find(|(c, told)| c.part == part && *told > 0);
            events.push(match stands {
                Some((certificate, _)) => told_of(certificate, left(certificate)),
                None => PortEvent::CertificateGoesOn {
                    part: part.to_owned(),
                },
            });
        }
        events
    }
}

/// The end of a certificate that is so many seconds away.
fn told_of(certificate: &Named, left: i64) -> PortEvent {
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
    PortEvent::CertificateExpires {
        days: left.div_euclid(DAY_S),
        part: (*part).to_owned(),
        text,
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
    fn a_start_late_tells_the_nearest_mark_only() {
        let named = Named {
            not_after: at(5, 0),
            not_before: at(-100, 0),
            part: "ca-file",
            subject: "CN=ca".into(),
        };
        let mut expiry = Expiry::new(vec![named]);
        assert_eq!(expiry.look(at(0, 0)).len(), 1);
        assert_eq!(expiry.look(at(0, 1)), []);
    }

    #[test]
    fn what_a_wrong_clock_had_told_is_taken_back() {
        let named = |part, day| Named {
            not_after: at(day, 0),
            not_before: at(-100, 0),
            part,
            subject: "CN=gateway".into(),
        };
        let parts = [
            ("ca-file", 3000),
            ("client-cert-file", 400),
            ("client-cert-file", 2000),
        ];
        let mut expiry = Expiry::new(parts.map(|(part, day)| named(part, day)).to_vec());
        let mut look = |day| {
            let told = expiry.look(at(day, 0)).into_iter();
            let told = told.map(|event| {
                if let PortEvent::CertificateExpires { days, .. } = &event {
                    return Some(*days);
                }
                let PortEvent::CertificateGoesOn { part } = &event else {
                    panic!("{event:?}");
                };
                assert_eq!(part, "client-cert-file");
                None
            });
            told.collect::<Vec<_>>()
        };
        assert_eq!(look(500), [Some(-100)]);
        // back to a time at which it ends soon, then to one at which it does not
        assert_eq!(look(380), [Some(20)]);
        assert_eq!(look(10), [None]);
        assert_eq!(look(11), []);
        // one of a part is told as long as another of it has ended
        assert_eq!(look(2500), [Some(-2100), Some(-500)]);
        assert_eq!(look(1000), [Some(-600)]);
        assert_eq!(look(10), [None]);
    }

    #[test]
    fn an_old_ca_beside_one_that_is_valid_is_no_news() {
        let named = |day| Named {
            not_after: at(day, 0),
            not_before: at(-100, 0),
            part: "ca-file",
            subject: "CN=ca".into(),
        };
        let mut expiry = Expiry::new(vec![named(-5), named(400)]);
        assert_eq!(expiry.look(at(0, 0)), []);
        assert_eq!(expiry.look(at(401, 0)).len(), 2);
        // one that was watched to its end is told
        let mut expiry = Expiry::new(vec![named(1), named(400)]);
        assert_eq!(expiry.look(at(0, 0)).len(), 1);
        assert_eq!(expiry.look(at(2, 0)).len(), 1);
    }
}

//! The certificate that is served, and when somebody has to look after it.

use gateway_core::Timestamp;

use super::certificate::Shown;

/// So long before its end a certificate is a fault.
const WARN_DAYS: i64 = 30;
const DAY_S: i64 = 86_400;

/// Where a certificate is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateFrom {
    /// The files that the site file names.
    Files,
    /// The gateway has made it.
    Own,
    /// An administrator gave it over the API.
    Uploaded,
}

impl CertificateFrom {
    /// The word for it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Own => "own",
            Self::Uploaded => "uploaded",
        }
    }
}

/// The certificate that new connections get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// Where it is from.
    pub from: CertificateFrom,
    /// What it says.
    pub shown: Shown,
    /// Why it is not the one that was uploaded.
    pub trouble: Option<String>,
}

impl Served {
    /// What somebody has to do about it, if anything: within 30 days before it ends, and after that. `now` is `None` while
    /// the clock is not believed: then nobody knows.
    #[must_use]
    pub fn fault(&self, now: Option<Timestamp>) -> Option<String> {
        if let Some(trouble) = &self.trouble {
            return Some(format!(
                "the certificate that was uploaded cannot be used, the gateway's own is served: {trouble}; upload it once more, \
                 or remove it (DELETE /api/v1/certificate)"
            ));
        }
        let left = self.shown.not_after.as_second() - now?.as_second();
        if left > WARN_DAYS * DAY_S {
            return None;
        }
        let what = match self.from {
            CertificateFrom::Files => {
                "renew the files of http.cert-file and http.key-file, then send SIGHUP (systemctl reload doorline)"
            }
            CertificateFrom::Own => {
                "upload one that is trusted (PUT /api/v1/certificate), or remove http/names.txt in the state folder and send \
                 SIGHUP (systemctl reload doorline), and a new one is made"
            }
            CertificateFrom::Uploaded => "upload its successor (PUT /api/v1/certificate)",
        };
        let (subject, end) = (&self.shown.subject, self.shown.not_after);
        Some(if left <= 0 {
            format!("the certificate of the page, {subject}, ended at {end}, and browsers refuse it: {what}")
        } else {
            let days = left / DAY_S;
            format!("the certificate of the page, {subject}, ends at {end}, in {days} days: {what}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(from: CertificateFrom) -> Served {
        Served {
            from,
            shown: Shown {
                fingerprint: "AA".into(),
                issuer: "CN=CA".into(),
                names: vec!["door.example".into()],
                not_before: Timestamp::UNIX_EPOCH,
                not_after: "2026-04-01T00:00:00Z".parse().expect("a date"),
                subject: "CN=door.example".into(),
            },
            trouble: None,
        }
    }

    #[test]
    fn an_end_is_a_fault_thirty_days_before_it_whoever_made_the_certificate() {
        let fault = |from, at: &str| served(from).fault(at.parse().ok());
        for from in [
            CertificateFrom::Files,
            CertificateFrom::Own,
            CertificateFrom::Uploaded,
        ] {
            assert_eq!(fault(from, "2026-03-01T23:59:59Z"), None);
            assert!(fault(from, "2026-03-02T00:00:00Z").is_some(), "{from:?}");
            assert_eq!(served(from).fault(None), None, "nobody knows the date");
        }
        assert_eq!(
            fault(CertificateFrom::Uploaded, "2026-03-30T12:00:00Z").as_deref(),
            Some(
                "the certificate of the page, CN=door.example, ends at 2026-04-01T00:00:00Z, in 1 days: upload its successor \
                 (PUT /api/v1/certificate)"
            )
        );
        assert_eq!(
            fault(CertificateFrom::Files, "2026-04-01T00:00:00Z").as_deref(),
            Some(
                "the certificate of the page, CN=door.example, ended at 2026-04-01T00:00:00Z, and browsers refuse it: renew the \
                 files of http.cert-file and http.key-file, then send SIGHUP (systemctl reload doorline)"
            )
        );
    }

    #[test]
    fn an_upload_that_cannot_be_used_is_a_fault_at_any_time() {
        let mut served = served(CertificateFrom::Own);
        served.trouble = Some("it is cut".into());
        let text = served.fault(None).expect("a fault");
        assert!(text.contains("it is cut; upload it once more"), "{text}");
    }
}

//! What the relay guard says, in the site machine's words.

use gateway_core::OutputId;
use gateway_guard::GuardReport;
use gateway_guard_proto::{LeaseId, RefuseWhy, ReleaseWhy, Report};
use gateway_site::{self as site, ReleaseCause};

use crate::run::faults::{Faults, Guarded};

/// What is said of a guard that was told to end.
pub(crate) const RESTARTS: &str =
    "the relay guard ends and starts anew, since outputs changed in the site file";

/// The site machine's input for a report, if it is one; standing faults are noted.
pub(crate) fn inputs(report: GuardReport, faults: &Faults) -> Vec<site::GuardReport> {
    match report {
        GuardReport::Lost { leases, text } => {
            tracing::error!(%text, "the relay guard cannot be reached; doors stay shut");
            faults.guard_is(Guarded::Away(text.clone()));
            faults.set(
                "guard",
                Some(format!(
                    "the relay guard cannot be reached: {text}; doors stay shut. Its last lines in the log say why \
                     (journalctl -u doorline -u doorline-guard); it is started again by itself"
                )),
            );
            // whoever held what: the guard, its sentinel or the kernel lets go of it
            released(leases)
                .chain([site::GuardReport::Down { text }])
                .collect()
        }
        GuardReport::Restarts { leases } => {
            tracing::info!("{RESTARTS}");
            faults.guard_is(Guarded::Starts);
            let text = RESTARTS.to_owned();
            released(leases)
                .chain([site::GuardReport::Restarts { text }])
                .collect()
        }
        GuardReport::Up {
            faults: devices,
            outputs,
        } => {
            tracing::info!("the relay guard can be used");
            faults.guard_is(Guarded::Up);
            faults.set("guard", None);
            // what was wrong when the last one was heard may have been mended since
            faults.clear("output:");
            for device in devices {
                faults.set(&format!("output:{}", device.device), Some(device.text));
            }
            let dead = outputs.into_iter().filter(|o| !o.usable).map(|o| o.output);
            vec![site::GuardReport::Up { dead: dead.collect() }]
        }
        GuardReport::Unsent { lease, output } => vec![site::GuardReport::Failed {
            grant: lease.0,
            output,
            text: "the relay guard cannot be reached".to_owned(),
        }],
        GuardReport::Guard(report) => said(report, faults),
        GuardReport::Wired { differently } => {
            if !differently.is_empty() {
                tracing::error!(
                    ?differently,
                    "the relay guard runs with another site file: start it anew"
                );
            }
            vec![site::GuardReport::Wired { differently }]
        }
    }
}

fn released(leases: Vec<(LeaseId, OutputId)>) -> impl Iterator<Item = site::GuardReport> {
    leases
        .into_iter()
        .map(|(lease, output)| site::GuardReport::Released {
            cause: ReleaseCause::Guard,
            grant: lease.0,
            output,
        })
}

fn said(report: Report, faults: &Faults) -> Vec<site::GuardReport> {
    match report {
        Report::Alarm { output, .. } => {
            let text = "was energised without a lease and was written to rest; check the wiring and the board (a device at a broker or \
                 at the web may have done late what it was told)";
            tracing::error!(%output, "{text}");
            faults.set(&format!("output:{output}"), Some(text.to_owned()));
            // each time, also while the fault stands: somebody may have gone in
            let text = format!("{output} {text}");
            vec![site::GuardReport::Unasked { output, text }]
        }
        Report::DeviceFault(fault) => {
            tracing::error!(device = %fault.device, text = %fault.text, "an output device fails");
            faults.set(&format!("output:{}", fault.device), Some(fault.text));
            vec![]
        }
        Report::DeviceReady { device } => {
            faults.set(&format!("output:{device}"), None);
            vec![]
        }
        Report::Energised { lease, output, .. } => {
            faults.set(&format!("output:{output}"), None);
            vec![site::GuardReport::Energised {
                grant: lease.0,
                output,
            }]
        }
        Report::Refused {
            lease,
            output,
            why: RefuseWhy::Unanswered,
        } => {
            let text = format!(
                "the board of output {output} failed as it was told to open, and did not say that it did: the lock may have been open \
                 for a moment; the output is written to rest as soon as the board takes it"
            );
            vec![site::GuardReport::MayHaveOpened {
                grant: lease.0,
                output,
                text,
            }]
        }
        Report::Refused { lease, output, why } => {
            vec![site::GuardReport::Failed {
                grant: lease.0,
                output,
                text: format!("the guard refused: {why}"),
            }]
        }
        Report::Released {
            lease, output, why, ..
        } => {
            let cause = match why {
                ReleaseWhy::Asked => ReleaseCause::Asked,
                ReleaseWhy::PulseEnd => ReleaseCause::PulseEnd,
                ReleaseWhy::Superseded => ReleaseCause::Superseded,
                ReleaseWhy::Cap
                | ReleaseWhy::DeviceFault
                | ReleaseWhy::LeaseLapsed
                | ReleaseWhy::Stopping => ReleaseCause::Guard,
            };
            let released = site::GuardReport::Released {
                cause,
                grant: lease.0,
                output: output.clone(),
            };
            let let_go = (why == ReleaseWhy::DeviceFault).then(|| {
                let text = format!(
                    "the board of output {output} failed in a pulse, or its relay rests though it said that it is on: whoever was let in may find \
                     the lock shut; look at the board and its supply"
                );
                faults.set(&format!("output:{output}"), Some(text.clone()));
                site::GuardReport::LetGo { output, text }
            });
            [released].into_iter().chain(let_go).collect()
        }
        Report::Usable { output, usable } => {
            if usable {
                // what was said of it as it was on unasked is over; it stays on record
                faults.set(&format!("output:{output}"), None);
                return vec![site::GuardReport::Usable { output, usable }];
            }
            let text = format!(
                "output {output} cannot be operated: its board does not answer, as the faults of the gateway say"
            );
            let report = site::GuardReport::LetGo {
                output: output.clone(),
                text,
            };
            vec![site::GuardReport::Usable { output, usable }, report]
        }
        Report::InputEdge { .. } | Report::Pong(_) | Report::Welcome { .. } => vec![],
    }
}

#[cfg(test)]
mod tests {
    use gateway_core::Instant;

    use super::*;

    #[test]
    fn a_board_that_lets_go_is_told_at_the_door_and_stands_until_it_works_again() {
        let faults = Faults::default();
        let output: OutputId = "strike".parse().expect("a name");
        let let_go = |report: Report| {
            let said = said(report, &faults);
            said.iter()
                .any(|said| matches!(said, site::GuardReport::LetGo { .. }))
        };
        let released = |why| Report::Released {
            at: Instant::ZERO,
            lease: LeaseId(1),
            output: output.clone(),
            why,
        };
        let usable = |usable| Report::Usable {
            output: output.clone(),
            usable,
        };
        for why in ReleaseWhy::ALL {
            assert_eq!(let_go(released(*why)), *why == ReleaseWhy::DeviceFault, "{why}");
        }
        assert_eq!(faults.list().len(), 1);
        assert!(let_go(usable(false)));
        assert!(!let_go(usable(true)));
        assert!(faults.list().is_empty());
    }
}

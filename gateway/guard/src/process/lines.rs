//! Which parameters a guard takes: each output on a physical line of its own. Asked by the guard at its start, and by the
//! gateway before it puts a configuration into force, so that it is told there and not by doors that stay shut.

use std::collections::BTreeMap;

use gateway_guard_proto::distinct;

use super::{GuardError, LEASE};
use crate::params::{GuardBoard, GuardParams};

/// Would a guard run with these parameters? No device is opened for the answer.
///
/// # Errors
/// [`GuardError::Config`] or [`GuardError::Lease`], as the guard would end with.
pub fn acceptable(params: &GuardParams) -> Result<(), GuardError> {
    if !LEASE.contains(&params.lease) {
        return Err(GuardError::Lease { found: params.lease });
    }
    let lines = params.boards.iter().flat_map(|board| {
        let outputs = board.outputs.iter();
        outputs.map(move |o| (&o.output, board.driver.line(o.channel)))
    });
    let lines: Vec<_> = lines.collect();
    distinct(lines.iter().map(|(output, line)| (*output, line.as_str())))?;
    Ok(())
}

/// The name of each board's device, for messages: faults are kept by it, so that boards at one server, or at one topic,
/// are told apart by their outputs.
pub(super) fn device_names(boards: &[GuardBoard]) -> Vec<String> {
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for board in boards {
        *times.entry(board.driver.device()).or_default() += 1;
    }
    let name = |board: &GuardBoard| {
        let device = board.driver.device();
        if times.get(&device).is_none_or(|times| *times == 1) {
            return device;
        }
        let outputs: Vec<&str> = board.outputs.iter().map(|o| o.output.as_str()).collect();
        format!("{device} ({})", outputs.join(", "))
    };
    boards.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use adapter_api::{BoxFuture, DriverError, OutputDriver};
    use gateway_core::OutputId;
    use gateway_guard_proto::Wiring;

    use super::*;
    use crate::params::GuardOutput;

    /// A relay at a server, known by the path of its order; `None` for one of a plain board.
    struct Named(&'static str, Option<&'static str>);

    impl OutputDriver for Named {
        fn claim<'a>(&'a mut self, _channels: &'a [u16]) -> BoxFuture<'a, Result<(), DriverError>> {
            Box::pin(async { Ok(()) })
        }
        fn device(&self) -> String {
            self.0.to_owned()
        }
        fn line(&self, channel: u16) -> String {
            let Self(device, order) = self;
            order.map_or_else(
                || format!("{device} channel {channel}"),
                |order| format!("{device}{order}"),
            )
        }
        fn read_back(&mut self, _channel: u16) -> BoxFuture<'_, Result<Option<bool>, DriverError>> {
            Box::pin(async { Ok(None) })
        }
        fn set(&mut self, _channel: u16, _energised: bool) -> BoxFuture<'_, Result<(), DriverError>> {
            Box::pin(async { Ok(()) })
        }
    }

    fn params(boards: &[(&'static str, Option<&'static str>, &str)]) -> GuardParams {
        let board = |(device, order, output): &(&'static str, Option<&'static str>, &str)| GuardBoard {
            driver: Box::new(Named(device, *order)),
            outputs: vec![GuardOutput {
                channel: 0,
                max_on: Duration::from_secs(10),
                output: OutputId::new(output).expect("a name"),
                relay: None,
                wiring: Wiring(0),
            }],
            vanished: String::new(),
        };
        GuardParams {
            boards: boards.iter().map(board).collect(),
            follow_stdin: false,
            lease: Duration::from_secs(1),
            sentinel: None,
            services: vec![],
            socket: "guard.sock".into(),
        }
    }

    #[test]
    fn relays_at_one_server_are_lines_of_their_own_and_faults_of_their_own() {
        let two = params(&[
            ("http://a", Some("/0"), "front"),
            ("http://a", Some("/1"), "back"),
        ]);
        assert!(acceptable(&two).is_ok());
        assert_eq!(device_names(&two.boards), ["http://a (front)", "http://a (back)"]);
        let apart = params(&[("http://a", None, "front"), ("http://b", None, "back")]);
        assert!(acceptable(&apart).is_ok());
        assert_eq!(device_names(&apart.boards), ["http://a", "http://b"]);
    }

    #[test]
    fn one_relay_under_two_names_is_refused_with_both() {
        for order in [None, Some("/0")] {
            let same = params(&[("http://a", order, "front"), ("http://a", order, "back")]);
            let error = acceptable(&same).expect_err("one line");
            let text = std::error::Error::source(&error).map(ToString::to_string);
            assert!(
                text.as_ref()
                    .is_some_and(|text| text.contains("front") && text.contains("back")),
                "{text:?}"
            );
        }
        let mut hasty = params(&[]);
        hasty.lease = Duration::from_millis(100);
        assert!(matches!(acceptable(&hasty), Err(GuardError::Lease { .. })));
    }
}

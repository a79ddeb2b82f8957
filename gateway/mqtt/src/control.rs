//! What the running interface is told, and what it tells of itself.

use std::time::Duration;

use gateway_core::Seq;

use crate::params::MqttParams;

/// How it goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MqttStatus {
    /// The broker has taken our connection.
    pub connected: bool,
    /// What is wrong and what to do; `None` if nothing.
    pub fault: Option<String>,
    /// Which MQTT is spoken while it is connected: `3.1.1` or `5`.
    pub protocol: Option<&'static str>,
    /// Last record that the broker has acknowledged with all before it.
    pub published: Seq,
    /// Commands that could not be read or were too many, since start; refusals of the core are not counted.
    pub refused: u64,
    /// Instance id of another live gateway that publishes under our name.
    pub second_instance: Option<String>,
    /// What others do on our topics and only a person can end; `None` if nothing.
    pub topics: Option<String>,
}

/// How long things take; tests shorten it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// Between a device that is no more, announced once more, and its removal.
    pub(crate) ghosts: Duration,
    /// Between two questions to the broker what commands it keeps.
    pub(crate) keeps: Duration,
    /// How soon we say again that we are here to whoever keeps saying that we are away.
    pub(crate) mend: Duration,
    /// Refusals without a record each are counted for so long before their number is put on record.
    pub(crate) report: Duration,
    /// First pause before another try to connect; doubles up to `retry_max`.
    pub(crate) retry: Duration,
    /// Longest pause.
    pub(crate) retry_max: Duration,
    /// Between the removal of a device and that of what it listened to.
    pub(crate) settle: Duration,
    /// Something published is not acknowledged for so long: the connection is made anew.
    pub(crate) stall: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            ghosts: Duration::from_secs(15),
            keeps: Duration::from_secs(5),
            mend: Duration::from_secs(10),
            report: Duration::from_secs(20),
            retry: Duration::from_millis(500),
            retry_max: Duration::from_secs(30),
            settle: Duration::from_secs(5),
            stall: Duration::from_secs(60),
        }
    }
}

#[derive(Clone)]
pub(crate) struct Control {
    pub(crate) params: MqttParams,
    pub(crate) stop: bool,
}

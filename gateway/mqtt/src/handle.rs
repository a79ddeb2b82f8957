//! Starting, watching, changing and ending the interface.

use std::sync::Arc;
use std::time::Duration;

use gateway_bus::Bus;
use gateway_core::Clock;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::control::{Control, MqttStatus, Timing};
use crate::driver::Driver;
use crate::params::MqttParams;

/// How long [`MqttHandle::shutdown`] may take; the parts of the farewell together take less.
const END: Duration = Duration::from_secs(4);

/// The running interface. Dropping it without [`shutdown`](Self::shutdown) ends it like a crash: the last will speaks.
pub struct MqttHandle {
    control: watch::Sender<Control>,
    status: watch::Receiver<MqttStatus>,
    task: JoinHandle<()>,
}

/// Starts the interface; it connects once the core has shown its first picture of the site, and tries again for
/// as long as it runs. Must be called within a tokio runtime.
#[must_use]
pub fn start(params: MqttParams, bus: Bus, clock: Arc<dyn Clock>) -> MqttHandle {
    start_with(params, bus, clock, Timing::default())
}

pub(crate) fn start_with(params: MqttParams, bus: Bus, clock: Arc<dyn Clock>, timing: Timing) -> MqttHandle {
    let (control, orders) = watch::channel(Control { params, stop: false });
    let (tell, status) = watch::channel(MqttStatus::default());
    let task = tokio::spawn(Driver::new(bus, clock, timing, orders, tell).run());
    MqttHandle {
        control,
        status,
        task,
    }
}

impl MqttHandle {
    /// How it goes; changes wake the receiver.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<MqttStatus> {
        self.status.clone()
    }

    /// Takes new parameters. Time to live and `accept_untimed` act at once; others end the connection in good
    /// order and make it anew, and topics that are no longer used are cleared. Equal parameters do nothing.
    pub fn apply(&self, params: MqttParams) {
        self.control.send_if_modified(|control| {
            let new = control.params != params;
            control.params = params;
            new
        });
    }

    /// Publishes what is durable, says `offline` and disconnects; what the broker does not take within 3 s is
    /// published after the next start.
    pub async fn shutdown(mut self) {
        self.control.send_modify(|control| control.stop = true);
        if tokio::time::timeout(END, &mut self.task).await.is_err() {
            tracing::warn!("the MQTT interface did not end in time");
        }
    }
}

impl Drop for MqttHandle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

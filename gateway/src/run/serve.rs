//! What the commands of this machine ask of a running gateway.

use anyhow::Context;
use gateway_core::Clock;

use super::{Gateway, by_hand, controllers, sim, support};
use crate::clock::SystemClock;
use crate::control;
use crate::run::learning::Learning;
use crate::run::osdp::Installs;
use crate::run::people::Desk;
use crate::run::port::SwitchPort;

impl Gateway {
    /// What `doorline sim` reaches; nothing if nothing is virtual.
    pub(crate) fn simulator(&self) -> sim::Simulator {
        sim::Simulator {
            bus: self.bus.clone(),
            inputs: self.adapters.inputs(),
            virtual_site: self.adapters.virtual_site(),
        }
    }

    /// Serves `doorline sim`, beside the virtual devices it reaches, until the future is dropped. Ends only with an
    /// error.
    pub(crate) fn serve_control(&self) -> impl Future<Output = anyhow::Result<()>> + use<> {
        let simulator = self.simulator();
        let run_dir = self.config.site.run_dir.clone();
        let desk = Desk {
            bus: self.bus.clone(),
            in_force: self.in_force.clone(),
            key: self.key.clone(),
            state_dir: self.config.site.state_dir.clone(),
            store: self.store.clone(),
        };
        let (installs, port) = (self.adapters.installs(), self.port.clone());
        let learning = self.learning.clone();
        let service = self.time_service.clone();
        let act = move |request, mut asker: control::Asker| {
            let (simulator, desk) = (simulator.clone(), desk.clone());
            let (installs, port, service) = (installs.clone(), port.clone(), service.clone());
            let learning = learning.clone();
            async move {
                if SwitchPort::knows(&request) {
                    port.act(&request).await
                } else if by_hand::knows(&request) {
                    Ok(by_hand::act(&service))
                } else if support::knows(&request) {
                    support::act(&desk.bus, &request).await
                } else if Installs::knows(&request) {
                    installs.act(SystemClock.now(), &request)
                } else if Learning::knows(&request) {
                    learning.act(&desk.store, &request, &mut asker).await
                } else if controllers::knows(&request) {
                    controllers::act(&desk.bus, SystemClock.now(), &request).await
                } else if Desk::knows(&request) {
                    desk.act(request).await
                } else {
                    simulator.act(request, asker.left()).await
                }
            }
        };
        // a set, because it ends its tasks when it is dropped
        let mut serving = tokio::task::JoinSet::new();
        let serve = async move { control::serve(&run_dir, act).await };
        serving.spawn_on(serve, self.doors.handle());
        async move {
            let end = serving.join_next().await.context("nothing is served")?;
            end?.context("the control socket cannot be served")
        }
    }
}

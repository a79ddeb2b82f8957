//! Broker, gateway and Home Assistant end and come back in every order there is, while somebody says old commands again.

use anyhow::Context as _;
use serde_json::Value;

use super::{LOCK, SOON, Stage};
use crate::secs;

/// Where Home Assistant's lock commands the door.
const COMMAND: &str = "doorline/test/door/front/command";

/// Who ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Broker,
    Gateway,
    Hub,
}

/// Every choice of them, in every order in which they come back.
fn orders() -> Vec<Vec<Who>> {
    let mut orders: Vec<Vec<Who>> = vec![vec![]];
    let mut at = 0;
    while let Some(order) = orders.get(at).cloned() {
        at += 1;
        for who in [Who::Broker, Who::Gateway, Who::Hub] {
            if !order.contains(&who) {
                orders.push([order.clone(), vec![who]].concat());
            }
        }
    }
    orders.retain(|order| !order.is_empty());
    orders
}

impl Stage<'_> {
    pub(super) fn every_order(&mut self) -> anyhow::Result<()> {
        let orders = orders();
        anyhow::ensure!(orders.len() == 15, "{orders:?}");
        // one that was carried out: it has its id and its time
        self.opens("lock/unlock", LOCK)?;
        let said = self.listener.all();
        let old = said.iter().rev().find(|message| message.topic == COMMAND);
        let old = old
            .context("no command of Home Assistant was heard")?
            .payload
            .clone();
        for order in orders {
            self.one_order(&order, &old)
                .with_context(|| format!("back came {order:?}"))?;
        }
        self.rings()?;
        self.opens("lock/unlock", LOCK)
    }

    fn one_order(&mut self, order: &[Who], old: &Value) -> anyhow::Result<()> {
        let ends = |who| order.contains(&who);
        if ends(Who::Gateway) && !ends(Who::Broker) {
            // kept for whoever comes
            self.listener.send(COMMAND, old, true)?;
        }
        if ends(Who::Broker) {
            self.broker.kill();
        }
        if ends(Who::Gateway) {
            self.gateway.process().kill();
        }
        if ends(Who::Hub) {
            self.hub.kill();
        } else {
            self.hub.shows(LOCK, "unavailable", secs(SOON))?;
            // asked for while nobody is there: it must not be done later
            self.hub.call("lock/unlock", LOCK)?;
        }
        for who in order {
            match who {
                Who::Broker => self.broker.again(self.rig)?,
                Who::Gateway => self.gateway.again(self.rig)?,
                Who::Hub => self.hub.launch(self.rig)?,
            }
        }
        if ends(Who::Hub) {
            self.hub.runs()?;
        }
        self.truth("all are back")?;
        // said again, as it was
        self.listener.send(COMMAND, old, false)?;
        self.listener.send(COMMAND, old, true)?;
        self.gateway.stays_at_rest(secs(2))?;
        self.truth("after what was said again")
    }
}

//! One board as an output driver.

use std::collections::BTreeMap;
use std::time::Duration;

use adapter_api::{BoxFuture, Claim, DriverError, OutputDriver};

use crate::bus::{Bus, BusError};
use crate::pdu::Request;
use crate::profile::Profile;

/// One board on a bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelaysParams {
    /// Address of relay 1, from 0.
    pub first: u16,
    /// Its family.
    pub profile: &'static Profile,
    /// Pulses are ended by the board's own timer as well, if it has one.
    pub timed: bool,
    /// Its address on the bus, 1 to 255.
    pub unit: u8,
}

/// One board.
pub struct Relays {
    bus: Bus,
    channels: Vec<u16>,
    /// Levels that were read with those of other channels and not asked for yet.
    levels: BTreeMap<u16, bool>,
    params: RelaysParams,
}

impl Relays {
    /// Nothing is opened before [`OutputDriver::claim`].
    #[must_use]
    pub fn new(bus: &Bus, params: RelaysParams) -> Self {
        Self {
            bus: bus.clone(),
            channels: vec![],
            levels: BTreeMap::new(),
            params,
        }
    }

    /// The channel that an output needs for itself.
    #[must_use]
    pub fn claim_of(&self, channel: u16) -> Claim {
        Claim::Channel {
            board: self.name(),
            channel,
        }
    }

    fn name(&self) -> String {
        format!("{} unit {}", self.bus.device(), self.params.unit)
    }

    fn failed(&self, text: String) -> DriverError {
        DriverError {
            device: self.name(),
            text,
            source: None,
        }
    }

    /// The address of a relay, counted from 1 as printed on the board.
    fn address(&self, channel: u16) -> Result<u16, DriverError> {
        let most = self.params.profile.channels;
        if !(1..=most).contains(&channel) {
            return Err(self.failed(format!("relay {channel}, allowed are 1 to {most}")));
        }
        let address = self.params.first.checked_add(channel - 1);
        address.ok_or_else(|| self.failed(format!("relay {channel} has no address")))
    }

    async fn ask(&self, request: Request) -> Result<crate::pdu::Reply, DriverError> {
        self.bus
            .ask(self.params.unit, request)
            .await
            .map_err(|error| self.bus_error(&error))
    }

    /// Asks a second time if the answer did not come or was damaged: for what does no harm when it is done twice.
    async fn ask_twice(&self, request: Request) -> Result<crate::pdu::Reply, DriverError> {
        match self.bus.ask(self.params.unit, request).await {
            Err(BusError::NoAnswer { .. } | BusError::Garbled { .. }) => self.ask(request).await,
            reply => reply.map_err(|error| self.bus_error(&error)),
        }
    }

    fn bus_error(&self, error: &BusError) -> DriverError {
        self.failed(error.text())
    }

    async fn claimed(&mut self, channels: &[u16]) -> Result<(), DriverError> {
        self.levels.clear();
        self.channels = channels.to_vec();
        let bus = self.bus.clone();
        let _turn = bus.claiming().await;
        bus.open().await.map_err(|error| self.bus_error(&error))?;
        for &channel in channels {
            self.ask_twice(self.params.profile.write(self.address(channel)?, false))
                .await?;
        }
        // A board that confirms and does not do it is not ready, and neither is an adapter that hears itself only.
        for &channel in channels {
            if self.level(channel).await? {
                return Err(self.failed(format!(
                    "relay {channel} stays on though it was written to rest: is the profile right?"
                )));
            }
        }
        Ok(())
    }

    /// Reads all channels in use at once, and gives each of them out once.
    async fn level(&mut self, channel: u16) -> Result<bool, DriverError> {
        if let Some(level) = self.levels.remove(&channel) {
            return Ok(level);
        }
        let all = || self.channels.iter().copied().chain([channel]);
        let low = all().min().unwrap_or(channel);
        let high = all().max().unwrap_or(channel);
        let (address, _) = (self.address(low)?, self.address(high)?);
        let reply = self
            .ask_twice(self.params.profile.read(address, high - low + 1))
            .await?;
        self.levels = (low..=high).zip(Profile::levels(reply)).collect();
        self.levels
            .remove(&channel)
            .ok_or_else(|| self.failed(format!("relay {channel} is not in the answer")))
    }

    async fn switch(&mut self, channel: u16, on: bool) -> Result<(), DriverError> {
        self.levels.clear();
        let request = self.params.profile.write(self.address(channel)?, on);
        // rest is written twice if need be; to switch on is tried once, for it has a deadline
        if on {
            self.ask(request).await?;
        } else {
            self.ask_twice(request).await?;
        }
        Ok(())
    }
}

impl OutputDriver for Relays {
    fn claim<'a>(&'a mut self, channels: &'a [u16]) -> BoxFuture<'a, Result<(), DriverError>> {
        Box::pin(self.claimed(channels))
    }

    fn device(&self) -> String {
        self.name()
    }

    fn patience(&self) -> Duration {
        self.bus.params().patience()
    }

    fn pulse(&mut self, channel: u16, length: Duration) -> Option<BoxFuture<'_, Result<(), DriverError>>> {
        if !self.params.timed || !self.params.profile.is_timed() {
            return None;
        }
        self.levels.clear();
        let request = self
            .address(channel)
            .map(|address| self.params.profile.pulse(address, length));
        Some(Box::pin(async move {
            let request = request?.ok_or_else(|| self.failed(format!("relay {channel} has no timer")))?;
            self.ask(request).await.map(|_| ())
        }))
    }

    fn read_back(&mut self, channel: u16) -> BoxFuture<'_, Result<Option<bool>, DriverError>> {
        Box::pin(async move { self.level(channel).await.map(Some) })
    }

    fn set(&mut self, channel: u16, energised: bool) -> BoxFuture<'_, Result<(), DriverError>> {
        Box::pin(self.switch(channel, energised))
    }
}

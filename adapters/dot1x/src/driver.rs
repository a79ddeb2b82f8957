//! The adapter: carries out what the state machine of the port says.

use std::time::Duration;

use adapter_api::{Adapter, AdapterContext, AdapterError};
use gateway_core::{Instant, PortEvent, SignalKind};
use tokio::sync::watch;
use tokio::time::{interval, sleep, sleep_until};

use crate::child::permitted;
use crate::expiry::Expiry;
use crate::link::{Link, News};
use crate::manager::managed_elsewhere;
use crate::material::Named;
use crate::network::{Files, block};
use crate::params::Params;
use crate::port::{Command, Input, Neighbours, Output, Port};
use crate::supplicant::{Supplicant, folder};

/// Pause before the supplicant is started again; doubled up to [`LONGEST`].
const FIRST: Duration = Duration::from_secs(1);
/// Longest pause.
const LONGEST: Duration = Duration::from_secs(30);
/// How often it is looked whether another manager is gone, or has come.
const MANAGER: Duration = Duration::from_secs(5);
/// The same while the port is authorized: one that speaks EAPOL beside us may leave it so for long.
const MANAGER_QUIET: Duration = Duration::from_secs(30);
/// How often the ends of certificates are looked at.
const HOUR: Duration = Duration::from_secs(3600);

/// The 802.1X adapter of one port.
#[derive(Clone, Debug)]
pub struct Dot1x {
    /// Certificates whose ends are watched: what [`check`](crate::check) found.
    pub certificates: Vec<Named>,
    /// What it is told.
    pub params: Params,
    /// Can the wall clock be believed? `None` before anybody knows.
    pub trust: watch::Receiver<Option<bool>>,
}

/// Why a session with a supplicant ended.
enum End {
    /// Another program looks after the port.
    Elsewhere,
    Gone(String),
    /// The interface is gone, and its supplicant is deaf.
    Removed,
    Shutdown,
}

impl Adapter for Dot1x {
    async fn run(self, mut ctx: AdapterContext) -> Result<(), AdapterError> {
        let files =
            Files::of(&self.params).map_err(|source| device(&self.params, "no memory files", source))?;
        let link = Link::watch(&self.params.interface).map_err(|source| untold(&self.params, source))?;
        let mut run = Running {
            awaited: false,
            expiry: Expiry::new(self.certificates),
            expiry_at: Instant::ZERO,
            files,
            link,
            port: Port::new(&self.params.interface, self.params.silence),
            params: self.params,
            trust: self.trust,
        };
        let end = run.serve(&mut ctx).await;
        if end.is_ok() {
            // a gateway that stops takes no signals any more, and needs none
            let _ = ctx
                .signal(ctx.clock.now(), SignalKind::Port(PortEvent::Released {}))
                .await;
        }
        end
    }
}

fn untold(params: &Params, source: std::io::Error) -> AdapterError {
    device(params, "the kernel tells nothing of the link", source)
}

fn device(params: &Params, text: &str, source: std::io::Error) -> AdapterError {
    AdapterError::Device {
        device: params.interface.clone(),
        text: text.to_owned(),
        source: Some(source),
    }
}

struct Running {
    /// The interface was gone, and the supplicant of its unit comes with it.
    awaited: bool,
    expiry: Expiry,
    expiry_at: Instant,
    files: Files,
    link: Link,
    params: Params,
    port: Port,
    trust: watch::Receiver<Option<bool>>,
}

impl Running {
    /// Until shutdown.
    async fn serve(&mut self, ctx: &mut AdapterContext) -> Result<(), AdapterError> {
        let mut pause = FIRST;
        loop {
            let news = self.link.look().map_err(|source| untold(&self.params, source))?;
            if news.contains(&News::Gone) || !self.link.is_there() {
                self.removed(ctx).await?;
                pause = FIRST;
            }
            if !self.link.is_there() {
                if self.rest(ctx, HOUR).await? {
                    return Ok(());
                }
                continue;
            }
            if let Some((manager, text)) = self.other_manager().await {
                self.input(ctx, None, Input::Elsewhere { manager, text }).await?;
                if self.rest(ctx, MANAGER).await? {
                    return Ok(());
                }
                continue;
            }
            let began = tokio::time::Instant::now();
            let awaited = std::mem::take(&mut self.awaited);
            let find = async {
                if awaited {
                    Supplicant::comes_back(&self.params).await;
                }
                Supplicant::find(&self.params).await
            };
            let found = tokio::select! {
                biased;
                () = ctx.shutdown.fired() => return Ok(()),
                found = find => found,
            };
            let end = match found {
                Ok(mut supplicant) => {
                    let end = self.session(ctx, &mut supplicant).await;
                    supplicant.stop().await;
                    end?
                }
                Err(why) => End::Gone(why),
            };
            let why = match end {
                End::Shutdown => return Ok(()),
                // who that is, is told by the next look
                End::Elsewhere => continue,
                End::Removed => {
                    self.removed(ctx).await?;
                    pause = FIRST;
                    continue;
                }
                End::Gone(why) => why,
            };
            tracing::warn!(interface = %self.params.interface, %why, "wpa_supplicant does not run");
            self.input(ctx, None, Input::Gone(why)).await?;
            pause = if began.elapsed() > LONGEST {
                FIRST
            } else {
                (pause * 2).min(LONGEST)
            };
            if self.rest(ctx, pause).await? {
                return Ok(());
            }
        }
    }

    /// Looks through the processes of the machine, away from the doors' thread.
    async fn other_manager(&self) -> Option<(String, String)> {
        let interface = self.params.interface.clone();
        let ours = [folder(&self.params), self.params.control_dir.clone()];
        let look = move || {
            let index = Link::index(&interface).ok().flatten();
            managed_elsewhere(&interface, index, &ours)
        };
        tokio::task::spawn_blocking(look).await.ok().flatten()
    }

    /// The interface is gone, or was. What its unit's supplicant holds of it is deaf for ever, so that has to start anew.
    async fn removed(&mut self, ctx: &AdapterContext) -> Result<(), AdapterError> {
        self.input(ctx, None, Input::Absent).await?;
        // systemd starts it with the device, which takes longer than to hear of that here
        self.awaited |= Supplicant::end_deaf(&self.params).await || !permitted();
        Ok(())
    }

    /// Waits while no supplicant runs; the link is watched all the same, and the wait ends early if the interface goes or
    /// comes. True at shutdown.
    async fn rest(&mut self, ctx: &mut AdapterContext, pause: Duration) -> Result<bool, AdapterError> {
        let end = tokio::time::Instant::now() + pause;
        loop {
            self.look_at_certificates(ctx).await?;
            let news = tokio::select! {
                () = sleep_until(end) => return Ok(false),
                () = sleep(self.expiry_at.since(ctx.clock.now())) => continue,
                () = ctx.shutdown.fired() => return Ok(true),
                news = self.link.news() => news.map_err(|source| untold(&self.params, source))?,
            };
            for news in news {
                match news {
                    News::Carrier(up) => {
                        self.input(ctx, None, Input::Carrier(up)).await?;
                    }
                    News::Gone => {
                        self.removed(ctx).await?;
                        return Ok(false);
                    }
                    News::There => return Ok(false),
                }
            }
        }
    }

    /// One life of the supplicant.
    async fn session(
        &mut self,
        ctx: &mut AdapterContext,
        supplicant: &mut Supplicant,
    ) -> Result<End, AdapterError> {
        if let Err(why) = self.configure(supplicant).await {
            return Ok(End::Gone(why));
        }
        let news = self.link.look().map_err(|source| untold(&self.params, source))?;
        if let Some(end) = self.hear(ctx, supplicant, news).await? {
            return Ok(end);
        }
        if let Some(end) = self.input(ctx, Some(&*supplicant), Input::Connected).await? {
            return Ok(end);
        }
        let mut looked = ctx.clock.now();
        let mut beside = interval(MANAGER);
        loop {
            self.look_at_certificates(ctx).await?;
            let now = ctx.clock.now();
            let quiet = self.port.is_authorized();
            if now.since(looked) >= if quiet { MANAGER_QUIET } else { MANAGER } {
                looked = now;
                if self.other_manager().await.is_some() {
                    return Ok(End::Elsewhere);
                }
            }
            let due = self
                .port
                .poll_timeout()
                .map_or(HOUR, |at| at.since(now))
                .min(self.expiry_at.since(now))
                .min(MANAGER);
            let end = tokio::select! {
                // the end comes first, so that nothing can keep it waiting
                biased;
                () = ctx.shutdown.fired() => return Ok(End::Shutdown),
                news = self.link.news() => {
                    let news = news.map_err(|source| untold(&self.params, source))?;
                    self.hear(ctx, supplicant, news).await?
                }
                message = supplicant.message() => match message {
                    Ok(message) => self.input(ctx, Some(&*supplicant), Input::Message(&message)).await?,
                    Err(why) => Some(End::Gone(why)),
                },
                _ = beside.tick() => {
                    let doubled = supplicant.is_doubled(&self.params).await;
                    doubled.then(|| End::Gone("the one of its unit runs, and takes its place".to_owned()))
                }
                () = sleep(due) => {
                    self.port.handle_timeout(ctx.clock.now());
                    self.drain(ctx, Some(&*supplicant)).await?
                }
            };
            if let Some(end) = end {
                return Ok(end);
            }
        }
    }

    /// Takes what the kernel tells during a session.
    async fn hear(
        &mut self,
        ctx: &AdapterContext,
        supplicant: &Supplicant,
        news: Vec<News>,
    ) -> Result<Option<End>, AdapterError> {
        for news in news {
            let end = match news {
                News::Carrier(up) => self.input(ctx, Some(supplicant), Input::Carrier(up)).await?,
                // what is told of another one that is there already belongs to the next session
                News::Gone => Some(End::Removed),
                News::There => None,
            };
            if end.is_some() {
                return Ok(end);
            }
        }
        Ok(None)
    }

    /// Tells the supplicant the network; errors name the key, never the value.
    async fn configure(&self, supplicant: &Supplicant) -> Result<(), String> {
        // one that is not our child may have a network of the gateway before; nobody scans on a wire
        supplicant.must(2, "REMOVE_NETWORK all").await?;
        supplicant.must(2, "AP_SCAN 0").await?;
        supplicant.must(2, "SET eapol_version 2").await?;
        let id = supplicant.command("ADD_NETWORK").await?;
        if id.is_empty() || !id.bytes().all(|b| b.is_ascii_digit()) {
            return Err(format!("ADD_NETWORK was answered with {id:?}"));
        }
        for (key, value) in block(&self.params, &self.files) {
            supplicant
                .must(3, &format!("SET_NETWORK {id} {key} {value}"))
                .await?;
        }
        supplicant.must(1, &format!("ENABLE_NETWORK {id}")).await
    }

    async fn look_at_certificates(&mut self, ctx: &AdapterContext) -> Result<(), AdapterError> {
        let now = ctx.clock.now();
        if now < self.expiry_at {
            return Ok(());
        }
        if *self.trust.borrow() != Some(true) {
            self.expiry_at = now + MANAGER;
            return Ok(());
        }
        self.expiry_at = now + HOUR;
        for event in self.expiry.look(ctx.clock.wall()) {
            tell(ctx, now, event).await?;
        }
        Ok(())
    }

    async fn input(
        &mut self,
        ctx: &AdapterContext,
        supplicant: Option<&Supplicant>,
        input: Input<'_>,
    ) -> Result<Option<End>, AdapterError> {
        self.port.handle_input(ctx.clock.now(), input);
        self.drain(ctx, supplicant).await
    }

    /// Carries out everything the port wants. An end if the supplicant does not answer.
    async fn drain(
        &mut self,
        ctx: &AdapterContext,
        supplicant: Option<&Supplicant>,
    ) -> Result<Option<End>, AdapterError> {
        while let Some(output) = self.port.poll_output() {
            match (output, supplicant) {
                (Output::Event(event), _) => tell(ctx, ctx.clock.now(), event).await?,
                (Output::Command(_), None) => {}
                (Output::Command(Command::Neighbours), Some(_)) => {
                    let found = self.link.neighbours().unwrap_or(Neighbours::Unknown);
                    self.port.handle_input(ctx.clock.now(), Input::Neighbours(found));
                }
                (Output::Command(Command::Reassociate), Some(supplicant)) => {
                    if let Err(why) = supplicant.command("REASSOCIATE").await {
                        return Ok(Some(End::Gone(why)));
                    }
                }
                (Output::Command(Command::Status), Some(supplicant)) => {
                    match supplicant.command("STATUS").await {
                        Ok(answer) => self.port.handle_input(ctx.clock.now(), Input::Status(&answer)),
                        Err(why) => return Ok(Some(End::Gone(why))),
                    }
                }
            }
        }
        Ok(None)
    }
}

async fn tell(ctx: &AdapterContext, now: Instant, event: PortEvent) -> Result<(), AdapterError> {
    match event.standing() {
        Some(Some(text)) => tracing::warn!("the port: {text}"),
        Some(None) => tracing::info!("the port is authorized"),
        None => tracing::info!(?event, "the port"),
    }
    ctx.signal(now, SignalKind::Port(event)).await
}

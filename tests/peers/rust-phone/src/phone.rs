//! One phone with at most one call, on the parts of `ezk-sip-ua`: dialogs, INVITE sessions, transactions, transports.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use bytesstr::BytesStr;
use ezk_sip_core::{Endpoint, IncomingRequest, Layer, MayTake};
use ezk_sip_types::header::typed::{Contact, ContentType};
use ezk_sip_types::uri::{NameAddr, SipUri};
use ezk_sip_types::{CodeKind, Method, StatusCode};
use ezk_sip_ua::dialog::{Dialog, DialogLayer};
use ezk_sip_ua::invite::acceptor::InviteAcceptor;
use ezk_sip_ua::invite::initiator::{EarlyResponse, InviteInitiator, Response};
use ezk_sip_ua::invite::session::{InviteSession, InviteSessionEvent};
use ezk_sip_ua::invite::{InviteLayer, create_ack};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio_native_tls::{TlsAcceptor, TlsConnector, native_tls};

use crate::sdp::{Ours, Theirs};
use crate::sound;
use crate::speech::{Key, Speech};

/// What the phone is like.
pub(crate) struct Params {
    /// `udp`, `tcp` or `tls`.
    pub(crate) carrier: String,
    /// Where what it hears is written.
    pub(crate) heard: PathBuf,
    /// It offers and takes telephone events.
    pub(crate) events: bool,
    /// Port of the speech.
    pub(crate) rtp: u16,
    /// Port of SIP.
    pub(crate) sip: u16,
    /// Encrypted speech only.
    pub(crate) srtp: bool,
    /// PEM files with TLS: authority, own certificate, own key.
    pub(crate) trust: Option<[PathBuf; 3]>,
    /// User part of its address.
    pub(crate) user: String,
    /// What it speaks, over and over.
    pub(crate) voice: PathBuf,
}

/// A phone that can be called.
pub(crate) struct Phone {
    call: Option<Call>,
    contact: SipUri,
    endpoint: Endpoint,
    invites: mpsc::UnboundedReceiver<IncomingRequest>,
    params: Params,
    ringing: Option<(InviteAcceptor, Ours, Theirs)>,
    socket: Arc<UdpSocket>,
}

struct Call {
    ours: Ours,
    session: InviteSession,
    speech: Speech,
}

/// What comes from outside.
pub(crate) enum Heard {
    Invite(IncomingRequest),
    Session(InviteSessionEvent),
}

/// Takes new calls; requests of running ones are taken by the layers before it.
struct Bell(mpsc::UnboundedSender<IncomingRequest>);

#[async_trait::async_trait]
impl Layer for Bell {
    fn name(&self) -> &'static str {
        "bell"
    }

    async fn receive(&self, _: &Endpoint, request: MayTake<'_, IncomingRequest>) {
        if request.line.method == Method::INVITE {
            // the receiver lives as long as the phone
            let _ = self.0.send(request.take());
        }
    }
}

impl Phone {
    /// Opens its ports.
    ///
    /// # Errors
    /// If they are taken, or a certificate cannot be read.
    pub(crate) async fn start(params: Params) -> anyhow::Result<Self> {
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut builder = Endpoint::builder();
        builder.user_agent("rust-phone (ezk-sip-ua)");
        match (params.carrier.as_str(), &params.trust) {
            ("udp", _) => drop(builder.bind_udp(at(params.sip)).await?),
            ("tcp", _) => builder.listen_tcp(at(params.sip)).await?,
            ("tls", Some([authority, cert, key])) => {
                let read = |path: &Path| std::fs::read(path).with_context(|| path.display().to_string());
                let own = native_tls::Identity::from_pkcs8(&read(cert)?, &read(key)?)?;
                let acceptor = TlsAcceptor::from(native_tls::TlsAcceptor::new(own)?);
                let authority = native_tls::Certificate::from_pem(&read(authority)?)?;
                let connector = native_tls::TlsConnector::builder()
                    .disable_built_in_roots(true)
                    .add_root_certificate(authority)
                    .build()?;
                builder.listen_native_tls(at(params.sip), acceptor).await?;
                builder.use_native_tls_connector(TlsConnector::from(connector));
            }
            (other, _) => bail!("nothing carries SIP by {other} here"),
        }
        let (bell, invites) = mpsc::unbounded_channel();
        builder.add_layer(DialogLayer::default());
        builder.add_layer(InviteLayer::default());
        builder.add_layer(Bell(bell));
        let contact = format!(
            "sip:{}@{};transport={}",
            params.user,
            at(params.sip),
            params.carrier
        );
        Ok(Self {
            call: None,
            contact: uri(&contact)?,
            endpoint: builder.build(),
            invites,
            ringing: None,
            socket: Arc::new(UdpSocket::bind(at(params.rtp)).await?),
            params,
        })
    }

    /// What it wants of a new call, whose key nothing had before.
    fn ours(&self) -> anyhow::Result<Ours> {
        Ok(Ours {
            events: self.params.events,
            port: self.params.rtp,
            key: self.params.srtp.then(random).transpose()?,
        })
    }

    /// Waits for something from outside. Nothing is lost if this is given up.
    ///
    /// # Errors
    /// If the call is broken.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Heard> {
        let call = &mut self.call;
        let session = async {
            match call {
                Some(call) => call.session.run().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(invite) = self.invites.recv() => Ok(Heard::Invite(invite)),
            event = session => Ok(Heard::Session(event?)),
        }
    }

    /// Does what has to be done about it.
    ///
    /// # Errors
    /// If it cannot be done.
    pub(crate) async fn take(&mut self, heard: Heard) -> anyhow::Result<()> {
        match heard {
            Heard::Invite(invite) => self.rings(invite).await,
            Heard::Session(InviteSessionEvent::Bye(bye)) => {
                if let Some(mut call) = self.call.take() {
                    call.session.handle_bye(bye).await?;
                }
                println!("closed");
                Ok(())
            }
            Heard::Session(InviteSessionEvent::Terminated) => {
                self.call = None;
                println!("closed");
                Ok(())
            }
            Heard::Session(InviteSessionEvent::RefreshNeeded) => {
                let call = self.call.as_mut().context("no call")?;
                Ok(call.session.refresh().await?)
            }
            Heard::Session(InviteSessionEvent::ReInviteReceived(again)) => {
                let call = self.call.as_mut().context("no call")?;
                let theirs = call.ours.read(&again.invite.body)?;
                let mut response =
                    call.session
                        .dialog
                        .create_response(&again.invite, StatusCode::OK, None)?;
                response.msg.headers.insert_named(&sdp_type());
                response.msg.body = call.ours.answer(&theirs)?.into();
                call.session.handle_reinvite_success(again, response).await?;
                Ok(())
            }
            // the stack has answered it
            Heard::Session(InviteSessionEvent::Notify(_)) => Ok(()),
        }
    }

    async fn rings(&mut self, invite: IncomingRequest) -> anyhow::Result<()> {
        let ours = self.ours()?;
        let theirs = ours.read(&invite.body);
        let contact = Contact::new(NameAddr::uri(self.contact.clone()));
        let dialog = Dialog::new_server(self.endpoint.clone(), &invite, contact)?;
        let mut acceptor = InviteAcceptor::new(dialog, invite);
        let theirs = match theirs {
            Ok(theirs) if self.call.is_none() && self.ringing.is_none() => theirs,
            Ok(_) => {
                let busy = acceptor.create_response(StatusCode::BUSY_HERE, None).await?;
                return Ok(acceptor.respond_failure(busy).await?);
            }
            Err(error) => {
                println!("not acceptable: {error:#}");
                let refused = acceptor
                    .create_response(StatusCode::NOT_ACCEPTABLE_HERE, None)
                    .await?;
                return Ok(acceptor.respond_failure(refused).await?);
            }
        };
        let ringing = acceptor.create_response(StatusCode::RINGING, None).await?;
        acceptor.respond_provisional(ringing).await?;
        self.ringing = Some((acceptor, ours, theirs));
        println!("incoming");
        Ok(())
    }

    /// Answers the ringing call, and is back when the caller has confirmed it.
    ///
    /// # Errors
    /// If nothing rings, or it was given up.
    pub(crate) async fn answer(&mut self) -> anyhow::Result<()> {
        let (acceptor, ours, theirs) = self.ringing.take().context("nothing rings")?;
        let mut response = acceptor.create_response(StatusCode::OK, None).await?;
        response.msg.headers.insert_named(&sdp_type());
        response.msg.body = ours.answer(&theirs)?.into();
        let (session, _) = acceptor.respond_success(response).await?;
        self.talk(session, ours, &theirs)
    }

    /// Calls somebody, and is back when they have answered.
    ///
    /// # Errors
    /// If they do not.
    pub(crate) async fn dial(&mut self, to: &str) -> anyhow::Result<()> {
        ensure!(self.call.is_none(), "there is a call");
        let contact = Contact::new(NameAddr::uri(self.contact.clone()));
        let id = NameAddr::uri(self.contact.clone());
        let mut initiator = InviteInitiator::new(self.endpoint.clone(), id, contact, uri(to)?);
        // provisional responses are not confirmed here
        initiator.support_100rel = false;
        let mut invite = initiator.create_invite();
        invite.headers.insert_named(&sdp_type());
        let ours = self.ours()?;
        invite.body = ours.offer()?.into();
        initiator.send_invite(invite).await?;
        let mut ringing = None;
        let (session, response) = loop {
            match initiator.receive().await? {
                Response::Provisional(_) => {}
                Response::Early(early, ..) => ringing = Some(early),
                Response::EarlyEvent => {
                    let early = ringing.as_mut().context("an event of no early dialog")?;
                    match early.receive().await? {
                        EarlyResponse::Provisional(..) => {}
                        EarlyResponse::Success(session, response) => break (session, response),
                        EarlyResponse::Terminated => bail!("given up while it rang"),
                    }
                }
                Response::Session(session, response) => break (session, response),
                Response::Failure(response) => bail!("refused: {:?}", response.line),
                Response::Finished => bail!("no answer"),
            }
        };
        let theirs = ours.read(&response.body)?;
        let mut ack = create_ack(&session.dialog, response.base_headers.cseq.cseq).await?;
        self.endpoint.send_outgoing_request(&mut ack).await?;
        initiator.set_acknowledge(&session, ack);
        // a repeated answer is confirmed again
        tokio::spawn(async move {
            while let Ok(Response::Provisional(_) | Response::EarlyEvent) = initiator.receive().await {}
        });
        self.talk(session, ours, &theirs)
    }

    fn talk(&mut self, session: InviteSession, ours: Ours, theirs: &Theirs) -> anyhow::Result<()> {
        let voice = sound::read(&self.params.voice)?;
        let heard = self.params.heard.clone();
        let speech = Speech::begin(&self.socket, ours, theirs, voice, heard)?;
        self.call = Some(Call {
            ours,
            session,
            speech,
        });
        println!("established; telephone events: {:?}", theirs.events);
        Ok(())
    }

    /// Presses a key: a telephone event, or tones.
    ///
    /// # Errors
    /// If there is no call, or no such key.
    pub(crate) fn press(&self, key: Key) -> anyhow::Result<()> {
        self.call.as_ref().context("no call")?.speech.press(key);
        Ok(())
    }

    /// Presses a key: an INFO request with `application/dtmf-relay`.
    ///
    /// # Errors
    /// If it is not taken.
    pub(crate) async fn info(&mut self, key: char) -> anyhow::Result<()> {
        let session = &self.call.as_ref().context("no call")?.session;
        let mut info = session.dialog.create_request(Method::INFO, None);
        info.headers
            .insert_named(&ContentType(BytesStr::from_static("application/dtmf-relay")));
        info.body = format!("Signal={key}\r\nDuration=160\r\n").into();
        let mut target = session.dialog.target_tp_info.lock().await;
        let mut transaction = self.endpoint.send_request(info, &mut target).await?;
        drop(target);
        let response = transaction.receive_final().await?;
        ensure!(
            response.line.code.kind() == CodeKind::Success,
            "refused: {:?}",
            response.line
        );
        Ok(())
    }

    /// Ends the call.
    ///
    /// # Errors
    /// If there is none, or nobody answers the BYE.
    pub(crate) async fn hang_up(&mut self) -> anyhow::Result<()> {
        let mut call = self.call.take().context("no call")?;
        let response = call.session.terminate().await?;
        ensure!(
            response.line.code.kind() == CodeKind::Success,
            "refused: {:?}",
            response.line
        );
        println!("closed");
        Ok(())
    }
}

const fn sdp_type() -> ContentType {
    ContentType(BytesStr::from_static("application/sdp"))
}

fn uri(text: &str) -> anyhow::Result<SipUri> {
    text.parse().map_err(|_| anyhow::anyhow!("{text} is no SIP URI"))
}

fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut bytes)?;
    Ok(bytes)
}

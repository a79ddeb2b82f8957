//! Where others see us: the public address of the site file, or what a STUN server says (RFC 8489).
//!
//! Only the address is asked for here; the ports of speech are [`ready`](crate::ready)'s matter. Whoever is on our side
//! of it gets our own address.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use gateway_core::Clock;
use gateway_media::stun::client::{Change, Client};
pub(crate) use gateway_sip::ua::is_far;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::SipParams;

/// Time between two tries to reach a server that has no address, or is silent.
const AGAIN: Duration = Duration::from_secs(60);
/// Longest answer that is read.
const LONGEST: usize = 1_280;

/// See the [module](self).
pub(crate) struct Outside {
    /// What was told last by the server, or by the file.
    before: Option<IpAddr>,
    fixed: Option<IpAddr>,
    known: watch::Receiver<Option<IpAddr>>,
    server: Option<String>,
    task: Option<AbortHandle>,
}

impl Outside {
    /// Nothing is known until it is configured.
    pub(crate) fn new() -> Self {
        Self {
            before: None,
            fixed: None,
            known: watch::channel(None).1,
            server: None,
            task: None,
        }
    }

    /// Other parameters count from here on; with the same server what it said does, too.
    pub(crate) fn configure(&mut self, params: &SipParams, clock: &Arc<dyn Clock>) {
        self.fixed = params.public_address;
        if self.server == params.stun {
            return;
        }
        self.stop();
        self.server.clone_from(&params.stun);
        let (tell, known) = watch::channel(None);
        self.known = known;
        if let Some(server) = self.server.clone() {
            let asking = tokio::spawn(ask(server, Arc::clone(clock), tell));
            self.task = Some(asking.abort_handle());
        }
    }

    /// Waits until the server says something new; for ever if there is none.
    pub(crate) async fn news(&mut self) {
        if self.known.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// True once if others see us at another address than before. That they see us at one for the first time is no move.
    pub(crate) fn has_moved(&mut self) -> bool {
        let Some(public) = self.public() else {
            return false;
        };
        self.before.replace(public).is_some_and(|before| before != public)
    }

    fn public(&self) -> Option<IpAddr> {
        self.fixed.or(*self.known.borrow())
    }

    fn stop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }

    /// Where somebody at `remote` sees us, if that is not where we are: nobody near does, and none of another family.
    pub(crate) fn seen_by(&self, remote: Option<IpAddr>, local: IpAddr) -> Option<IpAddr> {
        let public = self.public()?;
        let local = local.to_canonical();
        let far = remote.is_some_and(is_far);
        (far && public.is_ipv4() == local.is_ipv4() && public != local).then_some(public)
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The server's address, of IPv4 if it has one: that is where routers write others.
pub(crate) async fn look_up(server: &str) -> io::Result<SocketAddr> {
    let found: Vec<SocketAddr> = tokio::net::lookup_host(server).await?.collect();
    let of_v4 = found.iter().find(|address| address.is_ipv4());
    Ok(*of_v4.or(found.first()).ok_or(io::ErrorKind::NotFound)?)
}

/// Asks a server for ever, and tells what it says.
async fn ask(server: String, clock: Arc<dyn Clock>, tell: watch::Sender<Option<IpAddr>>) {
    loop {
        if let Err(error) = ask_while_it_answers(&server, &*clock, &tell).await {
            tracing::warn!(server, %error, "the STUN server does not say where others see us");
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Returns when it is silent or cannot be reached; its name is looked up anew then.
async fn ask_while_it_answers(
    server: &str,
    clock: &dyn Clock,
    tell: &watch::Sender<Option<IpAddr>>,
) -> io::Result<()> {
    let address = look_up(server).await?;
    let any = match address {
        SocketAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    let mut client = Client::new(address, clock.now());
    let mut rng = StdRng::from_os_rng();
    let (mut out, mut buffer) = (Vec::new(), [0; LONGEST]);
    loop {
        let now = clock.now();
        if client.handle_timeout(now, &mut rng, &mut out) == Some(Change::Silent) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if !out.is_empty() {
            socket.send_to(&out, address).await?;
        }
        let wait = client.poll_timeout().since(now);
        let came = tokio::select! {
            came = socket.recv_from(&mut buffer) => came,
            () = tokio::time::sleep(wait) => continue,
        };
        let Ok((length, from)) = came else {
            // an ICMP error of an earlier datagram: nobody listens there now, perhaps later
            continue;
        };
        let datagram = buffer.get(..length).unwrap_or_default();
        match client.handle_packet(clock.now(), from, datagram) {
            Some(Change::Address(ip)) => {
                tracing::info!(server, address = %ip, "others see us at this address");
                tell.send_replace(Some(ip));
            }
            Some(Change::Silent) => return Err(io::ErrorKind::InvalidData.into()),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outside(public: &str) -> Outside {
        let mut outside = Outside::new();
        outside.fixed = public.parse().ok();
        outside
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn only_who_is_far_away_and_of_the_same_family_is_told_the_public_address() {
        let seen = |remote: &str, local: &str| outside("203.0.113.5").seen_by(remote.parse().ok(), ip(local));
        let public = Some(ip("203.0.113.5"));
        assert_eq!(seen("198.51.100.1", "192.168.0.9"), public);
        assert_eq!(seen("::ffff:198.51.100.1", "192.168.0.9"), public);
        for near in [
            "192.168.7.1",
            "10.0.0.1",
            "172.16.3.3",
            "169.254.1.1",
            "127.0.0.1",
            "::ffff:10.0.0.1",
        ] {
            assert_eq!(seen(near, "192.168.0.9"), None, "{near}");
        }
        assert_eq!(
            seen("2001:db8::1", "2001:db8::9"),
            None,
            "no address of this family"
        );
        assert_eq!(seen("198.51.100.1", "203.0.113.5"), None, "it is our own");
        assert_eq!(outside("203.0.113.5").seen_by(None, ip("192.168.0.9")), None);
        let six = outside("2001:db8::5");
        assert_eq!(
            six.seen_by(Some(ip("2001:db8:1::1")), ip("fd00::9")),
            Some(ip("2001:db8::5"))
        );
        assert_eq!(six.seen_by(Some(ip("fd00::1")), ip("fd00::9")), None);
    }

    #[tokio::test]
    async fn another_address_is_a_move_and_the_first_one_is_none() {
        let (tell, known) = watch::channel(None);
        let mut outside = Outside::new();
        outside.known = known;
        let mut moves = Vec::new();
        for told in ["203.0.113.5", "203.0.113.6", "203.0.113.6"] {
            tell.send_replace(told.parse().ok());
            outside.news().await;
            moves.push(outside.has_moved());
            assert_eq!(
                outside.seen_by("198.51.100.1".parse().ok(), ip("192.168.0.9")),
                told.parse().ok()
            );
        }
        assert_eq!(moves, [false, true, false]);
        // a file that says another one is a move, too; a server that is not asked any more is none
        outside.fixed = "203.0.113.7".parse().ok();
        assert!(outside.has_moved() && !outside.has_moved());
        (outside.fixed, outside.known) = (None, watch::channel(None).1);
        assert!(!outside.has_moved());
    }
}

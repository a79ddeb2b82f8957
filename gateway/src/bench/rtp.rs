//! The sound of the bench's telephone: RTP written by hand, so that the moment of each packet is known.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use crate::bench::boottime;

/// G.711 A-law (RFC 3551 §6).
const PCMA: u8 = 8;
/// Silence in A-law.
const SILENCE: [u8; 160] = [0xd5; 160];
/// Samples of 20 ms.
const STEP: u32 = 160;

/// One stream towards the gateway.
#[derive(Debug)]
pub(crate) struct Stream {
    event_type: u8,
    sequence: u16,
    socket: UdpSocket,
    ssrc: u32,
    time: u32,
    to: SocketAddr,
}

impl Stream {
    /// A stream to where an INVITE says that it listens; `None` if it says nothing that fits.
    pub(crate) fn answering(invite: &str) -> Option<Self> {
        let port: u16 = invite
            .lines()
            .find_map(|line| line.strip_prefix("m=audio "))?
            .split(' ')
            .next()?
            .parse()
            .ok()?;
        let event_type = invite.lines().find_map(|line| {
            let (number, name) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
            name.starts_with("telephone-event/8000")
                .then(|| number.parse().ok())?
        })?;
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
        socket.set_nonblocking(true).ok()?;
        Some(Self {
            event_type,
            sequence: 100,
            ssrc: 0x5eed_0000 | u32::from(port),
            socket,
            time: 8000,
            to: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        })
    }

    /// The answer to the offer: A-law and telephone-event on this socket.
    pub(crate) fn description(&self) -> String {
        let port = self.socket.local_addr().map_or(9, |at| at.port());
        let event = self.event_type;
        format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP {PCMA} {event}\r\na=rtpmap:{PCMA} PCMA/8000\r\n\
             a=rtpmap:{event} telephone-event/8000\r\na=fmtp:{event} 0-16\r\na=sendrecv\r\n"
        )
    }

    /// Sends 20 ms of silence, and throws away what came.
    pub(crate) fn silence(&mut self) -> std::io::Result<()> {
        let mut heard = [0; 2048];
        while self.socket.recv(&mut heard).is_ok() {}
        self.send(PCMA, false, self.time, &SILENCE)?;
        self.time = self.time.wrapping_add(STEP);
        Ok(())
    }

    /// Presses 9 for 60 ms (RFC 4733): the first packet, then three that end the event. Gives the time just before
    /// the first was sent, in nanoseconds of the boot clock.
    pub(crate) fn nine(&mut self) -> std::io::Result<u64> {
        let event = |end: bool, duration: u32| {
            [
                9,
                if end { 0x8a } else { 0x0a },
                (duration >> 8) as u8,
                duration as u8,
            ]
        };
        let began = self.time;
        let at = boottime();
        self.send(self.event_type, true, began, &event(false, STEP))?;
        for _ in 0..3 {
            self.send(self.event_type, false, began, &event(true, 3 * STEP))?;
        }
        self.time = began.wrapping_add(4 * STEP);
        Ok(at)
    }

    fn send(&mut self, kind: u8, marker: bool, time: u32, payload: &[u8]) -> std::io::Result<()> {
        let mut packet = vec![0x80, kind | if marker { 0x80 } else { 0 }];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(time.to_be_bytes());
        packet.extend(self.ssrc.to_be_bytes());
        packet.extend(payload);
        self.sequence = self.sequence.wrapping_add(1);
        self.socket.send_to(&packet, self.to).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_without_telephone_event_is_not_answered() {
        let plain = "INVITE x\r\n\r\nm=audio 4000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n";
        assert!(Stream::answering(plain).is_none());
        let both = format!("{plain}a=rtpmap:101 telephone-event/8000\r\n");
        let stream = Stream::answering(&both).expect("a stream");
        assert_eq!((stream.event_type, stream.to.port()), (101, 4000));
        assert!(stream.description().contains("RTP/AVP 8 101\r\n"));
    }
}

//! Site files for measuring: doors with everything virtual, accounts and cards in any number.

use std::fmt::Write;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};

/// How doors reach telephones.
#[derive(Clone, Debug)]
pub(crate) enum Calls {
    /// Directly, at a UDP port of this machine.
    Direct(u16),
    /// Over one account per door at a registrar on this machine, by UDP.
    Udp(u16),
    /// The same by TLS; the file is the certificate that the registrar shows.
    Tls(u16, PathBuf),
}

/// What a site has. Door `d7` has output `o7`, bell `b7`, REX `x7`, reader `r7`, panel `p7`, line `l7`.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    /// How it calls.
    pub(crate) calls: Calls,
    /// How many cards are configured; the first ones open a door each, `card(n)` opens door n.
    pub(crate) cards: usize,
    /// How many doors.
    pub(crate) doors: usize,
    /// Port of an MQTT broker on this machine.
    pub(crate) mqtt: Option<u16>,
    /// Opening pulse.
    pub(crate) strike_ms: u64,
}

/// The card that opens door `n`, as text of the site file.
pub(crate) fn card(n: usize) -> String {
    // 26 bits hold 65 536 numbers in each of 256 facilities
    format!("26:{},{}", n >> 16, n & 0xffff)
}

impl Spec {
    /// Writes `site.toml` into `dir`, where its state and run folders lie too.
    /// Tells the port of its page.
    pub(crate) fn write(&self, dir: &Path) -> anyhow::Result<u16> {
        let page = free_tcp()?;
        std::fs::write(dir.join("site.toml"), self.text(dir, free_udp()?, page)?)?;
        Ok(page)
    }

    fn text(&self, dir: &Path, sip: u16, page: u16) -> Result<String, std::fmt::Error> {
        let mut t = String::new();
        let dir = dir.display();
        writeln!(
            t,
            "[site]\nid = \"bench\"\nname = \"Bench\"\nnumber = \"000000001\"\naddress = \"1 Example Street\"\n\
             state-dir = \"{dir}/state\"\nrun-dir = \"{dir}/run\"\n\
             [guard]\nmode = \"spawn\"\n\
             [http]\nlisten = \"127.0.0.1:{page}\"\n\
             [sip]\nbind = \"127.0.0.1\"\nudp-port = {sip}\ntcp-port = 0\nrtp-ports = [20000, 20399]\n\
             direct-peers = [\"127.0.0.1\"]"
        )?;
        if let Some(port) = self.mqtt {
            writeln!(t, "[mqtt]\nbroker = \"mqtt://127.0.0.1:{port}\"")?;
        }
        for n in 0..self.doors {
            self.door(&mut t, n)?;
        }
        let every: Vec<String> = (0..self.doors).map(|n| format!("\"d{n}\"")).collect();
        writeln!(
            t,
            "[codes.nine]\ndigits = \"9\"\nfrom = [\"call\"]\ndoors = [{}]",
            every.join(",")
        )?;
        writeln!(t, "[cards]")?;
        for n in 0..self.cards {
            let door = if n < self.doors { n } else { 0 };
            writeln!(t, "a{n}={{card=\"{}\",doors=[\"d{door}\"]}}", card(n))?;
        }
        Ok(t)
    }

    fn door(&self, t: &mut String, n: usize) -> std::fmt::Result {
        writeln!(
            t,
            "[outputs.o{n}]\nmax-on-ms = 10000\n[outputs.o{n}.virtual]\n\
             [inputs.b{n}.virtual]\n[inputs.x{n}.virtual]\n[readers.r{n}.virtual]\n\
             [lines.l{n}]\ncall-in = \"self-start\"\n[lines.l{n}.virtual]\ncapture = \"silence\"\n\
             [doors.d{n}]\nname = \"Door {n}\"\nlock = \"strike\"\noutput = \"o{n}\"\nstrike-ms = {}\n\
             rex = [{{ input = \"x{n}\", kind = \"unlock\" }}]\nreaders = [\"r{n}\"]\n\
             [panels.p{n}]\nname = \"Panel {n}\"\nline = \"l{n}\"\ndoors = [\"d{n}\"]{}\n\
             [panels.p{n}.buttons.bell]\nname = \"Bell\"\ninput = \"b{n}\"\ncall = \"k{n}\"",
            self.strike_ms,
            match self.calls {
                Calls::Direct(_) => String::new(),
                Calls::Udp(_) | Calls::Tls(..) => format!("\naccount = \"c{n}\""),
            },
        )?;
        let target = match &self.calls {
            Calls::Direct(port) => format!("sip:k{n}@127.0.0.1:{port}"),
            Calls::Udp(_) | Calls::Tls(..) => "1000".to_owned(),
        };
        writeln!(t, "[lists.k{n}]\nring-s = 20\ntargets = [\"{target}\"]")?;
        let (transport, port, trust) = match &self.calls {
            Calls::Direct(_) => return Ok(()),
            Calls::Udp(port) => ("udp", port, String::new()),
            Calls::Tls(port, ca) => (
                "tls",
                port,
                format!("srtp = \"required\"\ntls-ca-file = \"{}\"\n", ca.display()),
            ),
        };
        writeln!(
            t,
            "[accounts.c{n}]\ndomain = \"127.0.0.1\"\nuser = \"{}\"\npassword = \"bench-{n}\"\n\
             transport = \"{transport}\"\nport = {port}\n{trust}",
            500 + n
        )
    }
}

/// A UDP port of 127.0.0.1 that is free at the moment.
pub(crate) fn free_udp() -> anyhow::Result<u16> {
    Ok(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn free_tcp() -> anyhow::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway_config::SecretFiles;

    #[test]
    fn every_site_that_is_measured_has_no_faults() {
        let dir = tempfile::tempdir().expect("a folder");
        let ca = dir.path().join("ca.pem");
        std::fs::write(&ca, "").expect("a file");
        for calls in [Calls::Direct(5060), Calls::Udp(5060), Calls::Tls(5061, ca)] {
            for doors in [1, 32] {
                let spec = Spec {
                    calls: calls.clone(),
                    cards: 100,
                    doors,
                    mqtt: Some(1883),
                    strike_ms: 1000,
                };
                let text = spec.text(dir.path(), 5070, 8080).expect("a text");
                let loaded = gateway_config::parse("bench.toml", dir.path(), &text, SecretFiles::Needed);
                let config = loaded.unwrap_or_else(|faults| panic!("{faults}")).config;
                assert_eq!((config.doors.len(), config.cards.len()), (doors, 100));
            }
        }
    }

    #[test]
    fn cards_beyond_one_facility_differ() {
        assert_eq!(card(65_535), "26:0,65535");
        assert_eq!(card(65_536), "26:1,0");
    }
}

//! A real STUN server: coturn.

use std::path::Path;
use std::time::Duration;

use crate::ports::Use;
use crate::process::Process;
use crate::rig::Rig;

/// A running server on [`Use::Stun`].
#[derive(Debug)]
pub struct StunServer {
    _process: Process,
}

impl StunServer {
    /// Starts it and waits until it serves.
    ///
    /// # Errors
    /// If it is not installed, or does not come up within 15 s.
    pub fn start(rig: &Rig) -> anyhow::Result<Self> {
        let port = rig.port(Use::Stun).to_string();
        let pid = rig.path("turnserver.pid").display().to_string();
        let args = [
            "-n",
            "--stun-only",
            "--no-tls",
            "--no-dtls",
            "--no-cli",
            "--verbose",
            "--listening-ip",
            "127.0.0.1",
            "--listening-port",
            &port,
            "--log-file",
            "stdout",
            "--pidfile",
            &pid,
        ];
        let mut process = Process::start(rig, "turnserver", Path::new("/usr/bin/turnserver"), args)?;
        process.says("IPv4. UDP listener opened on", Duration::from_secs(15))?;
        Ok(Self { _process: process })
    }
}

//! Arguments of `doorline dot1x`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::SiteFile;

#[derive(Args, Debug)]
pub(crate) struct Dot1x {
    #[command(subcommand)]
    pub(crate) act: Dot1xAct,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Dot1xAct {
    /// Keep a change of `[dot1x]`, which the gateway would take back.
    Confirm(SiteFile),
    /// A key, and a request that the network's CA signs.
    Request(NewKey),
    /// Take a change of `[dot1x]` back at once.
    Rollback(SiteFile),
    /// A key, and a certificate that it signs itself; for servers that are told single certificates.
    SelfSigned {
        #[command(flatten)]
        new: NewKey,
        /// How many days it is valid, 1 to 3650.
        #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=3650))]
        days: u32,
    },
}

#[derive(Args, Clone, Debug)]
pub(crate) struct NewKey {
    /// Common name: who the gateway is for the authentication server.
    #[arg(long)]
    pub(crate) name: String,
    /// DNS name in the certificate; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub(crate) dns: Vec<String>,
    /// New file of the private key (ECDSA P-256).
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// New file of the request or certificate.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// The clock was set by hand: do not wait for the time service.
    #[arg(long)]
    pub(crate) clock_is_right: bool,
}

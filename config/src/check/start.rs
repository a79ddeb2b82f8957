//! Inputs that are held at the start.

use super::Check;
use crate::fault::FaultKind;
use crate::model::LineDriver;
use crate::value::CallIn;

pub(super) fn check(check: &mut Check<'_>) {
    let config = check.config;
    let start = &config.start;
    if start.reset_input.is_some() {
        if config.network.is_none() {
            let text = "without [network] it resets users and tokens of the page only".to_owned();
            let hint = "add [network], or leave it: the network of the machine is then not the gateway's";
            check.warn(FaultKind::Missing, "start.reset-input", text, hint);
        }
        let listens = config.http.as_ref().map(|http| http.listen.ip());
        if let Some(ip) = listens.filter(|ip| {
            !ip.is_unspecified() && !ip.is_loopback() && *ip != std::net::IpAddr::V4(start.factory_address.ip)
        }) {
            let text =
                format!("the page listens at {ip} only, and could not be reached at start.factory-address");
            let hint = "set listen to 0.0.0.0 with the port";
            check.warn(FaultKind::Conflict, "http.listen", text, hint);
        }
    }
    let pairs = [
        ("start.tell-input", "start.tell-line", start.tell_line.is_some()),
        ("start.tell-line", "start.tell-input", start.tell_input.is_some()),
        (
            "start.tell-folder",
            "start.tell-input",
            start.tell_input.is_some(),
        ),
    ];
    for (at, needs, there) in pairs {
        if check.is_written(at) && !there {
            let text = format!("has no meaning without {needs}");
            check.fault(
                FaultKind::Missing,
                at,
                &[needs],
                text,
                "add it, or remove this one",
            );
        }
    }
    let Some((id, line)) = start
        .tell_line
        .as_ref()
        .and_then(|id| config.lines.get_key_value(id))
    else {
        return;
    };
    if let LineDriver::Contact(_) = line.driver {
        let text = format!(
            "line {:?} has buttons only: nobody hears anything there",
            id.as_str()
        );
        let hint = "allowed: a line with audio";
        check.fault(FaultKind::Conflict, "start.tell-line", &[], text, hint);
    } else if let LineDriver::FrontEnd(_) = line.driver {
        let text = format!(
            "line {:?} is on a front end, which carries no speech: nobody hears anything there",
            id.as_str()
        );
        let hint = "allowed: a line with audio";
        check.fault(FaultKind::Conflict, "start.tell-line", &[], text, hint);
    } else if line.call_in == CallIn::None {
        let text = format!("line {:?} does not start by itself", id.as_str());
        let hint = "allowed: a line with call-in = \"self-start\"";
        let key = format!("lines.{id}.call-in");
        check.fault(FaultKind::Conflict, "start.tell-line", &[&key], text, hint);
    }
}

//! Logins by RADIUS: secrets, and how long somebody may have to wait.

use std::time::Duration;

use super::Check;
use crate::fault::FaultKind;
use crate::model::Radius;
use crate::read::quoted;

/// Servers times tries times time-out: the page waits no longer for an answer.
const LONGEST: Duration = Duration::from_secs(12);
/// Characters of a secret that is not guessed by who hears one login.
const LENGTH: usize = 16;

pub(super) fn check(check: &mut Check<'_>) {
    let config = check.config;
    let Some(radius) = config.logins.as_ref().and_then(|l| l.radius.as_ref()) else {
        return;
    };
    if config.http.is_none() {
        let text = "has no meaning without page and API".to_owned();
        check.fault(
            FaultKind::Conflict,
            "logins.radius",
            &["http"],
            text,
            "add [http], or remove it",
        );
    }
    secrets(check, radius);
    let servers = u32::try_from(radius.servers.len()).unwrap_or(u32::MAX);
    let longest = radius
        .timeout
        .saturating_mul(servers.saturating_mul(radius.tries.into()));
    if longest > LONGEST {
        let text = format!(
            "{servers} servers, {} tries and {} ms are {} ms for one login",
            radius.tries,
            radius.timeout.as_millis(),
            longest.as_millis()
        );
        let at = [
            "logins.radius.timeout-ms",
            "logins.radius.tries",
            "logins.radius.servers",
        ];
        let shown = at
            .into_iter()
            .find(|at| check.is_written(at))
            .unwrap_or("logins.radius");
        check.fault(
            FaultKind::Conflict,
            shown,
            &at,
            text,
            "allowed: at most 12000 ms together",
        );
    }
    for (index, server) in radius.servers.iter().enumerate() {
        let same = |s: &&crate::model::RadiusServer| {
            s.address.host == server.address.host && s.ports().0 == server.ports().0
        };
        if radius.servers[..index].iter().any(|s| same(&s)) {
            let text = format!("{} is listed twice", quoted(&server.address.to_string()));
            let at = format!("logins.radius.servers[{index}]");
            check.fault(
                FaultKind::Conflict,
                &at,
                &[],
                text,
                "remove one; tries says how often each is asked",
            );
        }
    }
    if !radius.require_message_authenticator {
        let at = "logins.radius.require-message-authenticator";
        let text = "false: who is on the way to the server can let himself in as an administrator".to_owned();
        check.warn(
            FaultKind::Unsafe,
            at,
            text,
            "have the server send Message-Authenticator, see docs/radius.md",
        );
    }
}

fn secrets(check: &mut Check<'_>, radius: &Radius) {
    let mut all = vec![("logins.radius".to_owned(), radius.secret.as_ref())];
    for (index, server) in radius.servers.iter().enumerate() {
        all.push((format!("logins.radius.servers[{index}]"), server.secret.as_ref()));
    }
    let common = ["secret", "secret-file"].map(|key| format!("logins.radius.{key}"));
    let has_common = common.iter().any(|at| check.is_written(at));
    for (n, (at, secret)) in all.into_iter().enumerate() {
        let (here, file) = (format!("{at}.secret"), format!("{at}.secret-file"));
        let (is_here, is_file) = (check.is_written(&here), check.is_written(&file));
        if is_here && is_file {
            let text = "there is also a secret".to_owned();
            check.fault(
                FaultKind::Conflict,
                &file,
                &[],
                text,
                "allowed: secret or secret-file",
            );
        }
        if n > 0 && !is_here && !is_file && !has_common {
            let text = "no secret is shared with this server".to_owned();
            let hint = "add: secret-file = \"…\" in [logins.radius]";
            check.fault(FaultKind::Missing, &at, &[&common[0], &common[1]], text, hint);
        }
        let length = secret.map_or(LENGTH, |s| s.reveal().chars().count());
        if length < LENGTH {
            let text = format!("has {length} characters: who hears one login can find it by trying");
            check.warn(
                FaultKind::Unsafe,
                &here,
                text,
                "use at least 16 random characters",
            );
        }
    }
}

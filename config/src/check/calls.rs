//! Accounts, lists and panels: calls that cannot work, and secrets that would be seen.

use std::time::Duration;

use gateway_access::When;
use gateway_core::{AccountId, DoorId, ListId, PanelId};

use super::{Check, alarms};
use crate::fault::FaultKind;
use crate::model::{Account, Line, LineDriver, Panel, Target};
use crate::value::{
    AddressKind, CallIn, Codec, Extension, KeepAlive, Route, Srtp, SrtpKeys, Strategy, Transport,
};

pub(super) fn check(check: &mut Check<'_>) {
    let config = check.config;
    for (id, account) in &config.accounts {
        user(check, id, account);
        password(check, id, account);
        session_timer(check, id, account);
        way(check, id, account);
        transport(check, id, account);
        encryption(check, &format!("accounts.{id}.srtp"), account.srtp);
        codecs(
            check,
            &format!("accounts.{id}"),
            account.codecs.as_deref().unwrap_or_default(),
        );
    }
    codecs(check, "sip", &config.sip.codecs);
    direct(check);
    if check.is_written("sip.public-address") && check.is_written("sip.stun") {
        let text = "there is also a public-address, which counts".to_owned();
        let hint = "allowed: public-address or stun";
        check.fault(
            FaultKind::Conflict,
            "sip.stun",
            &["sip.public-address"],
            text,
            hint,
        );
    }
    for (id, panel) in &config.panels {
        backups(check, id, panel);
        answers(check, id, panel);
        recorded(check, id, panel);
        buttons(check, id, panel);
    }
    extensions(check);
    for (id, list) in &config.lists {
        let (rounds, again) = (format!("lists.{id}.rounds"), format!("lists.{id}.again-s"));
        if list.rounds == 1 && check.is_written(&again) {
            let text = "there is one round only".to_owned();
            let hint = "remove it, or add: rounds = 2";
            check.fault(FaultKind::Conflict, &again, &[&rounds], text, hint);
        }
        for (index, target) in list.targets.iter().enumerate() {
            let at = format!("lists.{id}.targets[{index}]");
            let (method, keys) = (format!("{at}.digit-method"), format!("{at}.digits-after-answer"));
            if target.digits_after_answer.is_none() && check.is_written(&method) {
                let text = "there are no keys to be sent".to_owned();
                let hint = "add digits-after-answer, or remove it";
                check.fault(FaultKind::Conflict, &method, &[&keys], text, hint);
            }
        }
        let mut buttons = config.panels.values().flat_map(|panel| panel.buttons.values());
        let mut bells = config.panels.values().flat_map(|panel| {
            let concierge = panel.apartments.as_ref().and_then(|of| of.concierge.as_ref());
            panel.floor_call.iter().chain(concierge)
        });
        let mut callers = config.panels.values().flat_map(|panel| &panel.callers);
        if !buttons.any(|button| button.lists().any(|list| list == id))
            && !bells.any(|list| list == id)
            && !callers.any(|caller| caller.list.as_ref() == Some(id))
            && !alarms::calls(config, id)
        {
            let text = "no button rings it".to_owned();
            check.warn(
                FaultKind::Conflict,
                &format!("lists.{id}"),
                text,
                "use it, or remove it",
            );
        }
    }
}

/// A call is answered by a button or by itself, and by a button only where there is one.
fn answers(check: &mut Check<'_>, id: &PanelId, panel: &Panel) {
    let (after, by_button) = (
        format!("panels.{id}.answer-after-s"),
        format!("panels.{id}.answer-by-button-s"),
    );
    if panel.answer_by_button.is_none() {
        return;
    }
    if panel.answer_after.is_some() {
        let text = "calls are answered by a button".to_owned();
        let hint = "allowed: answer-after-s or answer-by-button-s";
        check.fault(FaultKind::Conflict, &after, &[&by_button], text, hint);
    }
    let bells = panel.apartments.is_some() || panel.floor_call.is_some();
    if panel.buttons.is_empty() && !bells {
        let text = "the panel has no button to answer by".to_owned();
        let hint = "remove it, or add: [panels.NAME.buttons.NAME]";
        check.fault(FaultKind::Conflict, &by_button, &[], text, hint);
    }
}

/// Nothing is recorded that could not be announced.
fn recorded(check: &mut Check<'_>, id: &PanelId, panel: &Panel) {
    let key = format!("panels.{id}.record");
    if panel.record && check.config.recordings.is_none() && !check.is_written("recordings") {
        let text = "there is no announcement by which both sides learn that they are recorded".to_owned();
        let hint = "add: [recordings] with announcement-file = \"…\"";
        check.fault(FaultKind::Missing, &key, &["recordings"], text, hint);
    }
}

/// Each account of a panel is another one, and there is a first.
fn backups(check: &mut Check<'_>, id: &PanelId, panel: &Panel) {
    let account = format!("panels.{id}.account");
    for (index, backup) in panel.backup_accounts.iter().enumerate() {
        let at = format!("panels.{id}.backup-accounts[{index}]");
        if panel.account.is_none() {
            let text = "there is no account before it".to_owned();
            let hint = "write the first one as account";
            check.fault(FaultKind::Missing, &at, &[&account], text, hint);
            return;
        }
        if panel.accounts().take(index + 1).any(|before| before == backup) {
            let text = format!("{:?} stands there already", backup.as_str());
            check.fault(FaultKind::Duplicate, &at, &[&account], text, "remove it");
        }
    }
}

/// Each name calls one panel; and lines that share an account which registers cannot be called over it, since the PBX
/// always calls the name that was registered.
fn extensions(check: &mut Check<'_>) {
    let config = check.config;
    for (id, panel) in &config.panels {
        let Some(extension) = &panel.extension else {
            continue;
        };
        let at = format!("panels.{id}.extension");
        let same = |(other, of): &(&PanelId, &Panel)| {
            let named = of.extension.as_ref().map(Extension::as_str);
            let name = [Some(other.as_str()), named].into_iter().flatten();
            let mut name = name.map(|name| name.eq_ignore_ascii_case(extension.as_str()));
            *other != id && name.any(|same| same)
        };
        if let Some((other, _)) = config.panels.iter().find(same) {
            let there = format!("panels.{other}");
            let text = format!("{:?} also calls {}", extension.as_str(), check.cite(&there));
            check.fault(
                FaultKind::Conflict,
                &at,
                &[],
                text,
                "allowed: a name that no other panel has",
            );
        }
    }
    for (id, account) in &config.accounts {
        let starts = |panel: &Panel| {
            let line = config.lines.get(&panel.line);
            panel.answer_by_button.is_some() || line.is_some_and(|line| line.call_in == CallIn::SelfStart)
        };
        let of_it = |panel: &Panel| panel.accounts().any(|own| own == id) && starts(panel);
        let mut panels = config.panels.iter().filter(|(_, panel)| of_it(panel));
        if let (true, Some((first, _)), Some((second, _))) = (account.register, panels.next(), panels.next())
        {
            let text = format!(
                "shared by the panels {first} and {second}: a PBX calls {}, which tells neither of them, and gets 404",
                account.user
            );
            let hint = "to call them give each an account of its own, or use a trunk (register = false)";
            check.warn(FaultKind::Conflict, &format!("accounts.{id}"), text, hint);
        }
    }
}

/// What the SIP engine would refuse at its start.
fn user(check: &mut Check<'_>, id: &AccountId, account: &Account) {
    let fits = |b: u8| b.is_ascii_graphic() && !b"<>\"@,;?#\\".contains(&b);
    if !account.user.bytes().all(fits) {
        let text = format!("{:?} cannot be the user part of a SIP address", account.user);
        let hint =
            "allowed: letters, digits and signs of ASCII, but no space and none of < > \" @ , ; ? # \\";
        check.fault(
            FaultKind::BadValue,
            &format!("accounts.{id}.user"),
            &[],
            text,
            hint,
        );
    }
}

fn password(check: &mut Check<'_>, id: &AccountId, account: &Account) {
    let at = format!("accounts.{id}");
    let (here, file) = (format!("{at}.password"), format!("{at}.password-file"));
    if check.is_written(&here) && check.is_written(&file) {
        let text = "there is also a password".to_owned();
        let hint = "allowed: password or password-file";
        check.fault(FaultKind::Conflict, &file, &[], text, hint);
    }
    if account.register && !check.is_written(&here) && !check.is_written(&file) {
        let text = "registers, but has no password".to_owned();
        let hint = "add: password-file = \"…\", or register = false for a trunk known by our address";
        check.fault(FaultKind::Missing, &at, &[&format!("{at}.register")], text, hint);
    }
}

fn session_timer(check: &mut Check<'_>, id: &AccountId, account: &Account) {
    let at = format!("accounts.{id}");
    let (least, expires) = (format!("{at}.min-se-s"), format!("{at}.session-expires-s"));
    match account.session_expires {
        None if check.is_written(&least) => {
            let text = "has no meaning with session-expires-s = \"off\"".to_owned();
            let hint = "remove it, or set session-expires-s";
            check.fault(FaultKind::Conflict, &least, &[&expires], text, hint);
        }
        Some(time) if time < account.min_se => {
            let text = format!(
                "{} s is more than session-expires-s, {} s: what we ask for would be refused by ourselves",
                seconds(account.min_se),
                seconds(time)
            );
            let hint = "allowed: at most session-expires-s";
            check.fault(FaultKind::Conflict, &least, &[&expires], text, hint);
        }
        Some(_) | None => {}
    }
}

/// Where its messages go, and what keeps that open.
fn way(check: &mut Check<'_>, id: &AccountId, account: &Account) {
    let at = format!("accounts.{id}");
    let (interval, keep) = (format!("{at}.keep-alive-s"), format!("{at}.keep-alive"));
    if account.keep_alive == KeepAlive::Off && check.is_written(&interval) {
        let text = "has no meaning with keep-alive = \"off\"".to_owned();
        let hint = "remove it, or set keep-alive = \"options\"";
        check.fault(FaultKind::Conflict, &interval, &[&keep], text, hint);
    }
    let (routes, proxy) = (format!("{at}.routes"), format!("{at}.proxy"));
    if !account.routes.is_empty() && check.is_written(&proxy) {
        let text = "there is also a proxy".to_owned();
        let hint = "allowed: proxy or routes; a proxy is the same as routes = [\"<sip:PROXY;lr>\"]";
        check.fault(FaultKind::Conflict, &routes, &[&proxy], text, hint);
    }
    let other = |named: &Transport| *named != account.transport;
    if let Some(named) = account.routes.first().and_then(Route::transport).filter(other) {
        let text = format!(
            "the first route is reached over {named}, the account has {}",
            account.transport
        );
        let hint = "set transport to that of the first route";
        let transport = format!("{at}.transport");
        check.fault(
            FaultKind::Conflict,
            &format!("{routes}[0]"),
            &[&transport],
            text,
            hint,
        );
    }
}

/// What DNS is to choose must not be settled already, and must not be able to show anybody the keys of speech.
fn automatic(check: &mut Check<'_>, at: &str, account: &Account) {
    let transport = format!("{at}.transport");
    let port = format!("{at}.port");
    if check.is_written(&port) {
        let text = "DNS tells the transport together with the port".to_owned();
        let hint = "remove it, or set transport to udp, tcp or tls";
        check.fault(FaultKind::Conflict, &port, &[&transport], text, hint);
    }
    if account.srtp != Srtp::Off {
        let text =
            "with transport = \"auto\" DNS decides whether the keys of SRTP travel in clear".to_owned();
        let hint = "set transport = \"tls\"";
        check.fault(
            FaultKind::Conflict,
            &format!("{at}.srtp"),
            &[&transport],
            text,
            hint,
        );
    }
}

fn transport(check: &mut Check<'_>, id: &AccountId, account: &Account) {
    let at = format!("accounts.{id}");
    let transport = format!("{at}.transport");
    let plain = match account.transport {
        Transport::Auto => {
            automatic(check, &at, account);
            false
        }
        Transport::Tcp | Transport::Udp => true,
        Transport::Tls => false,
    };
    if plain {
        for key in [
            "tls-ca-file",
            "tls-verify",
            "tls-check-name",
            "tls-cert-file",
            "tls-key-file",
        ] {
            let key_at = format!("{at}.{key}");
            if check.is_written(&key_at) {
                let text = format!("has no meaning with transport = \"{}\"", account.transport);
                let hint = "remove it, or set transport = \"tls\"";
                check.fault(FaultKind::Conflict, &key_at, &[&transport], text, hint);
            }
        }
        if account.srtp != Srtp::Off {
            let text = match account.srtp_keys {
                SrtpKeys::Dtls => format!(
                    "the fingerprints of DTLS travel in clear over {}: who is in between can put others in their place",
                    account.transport
                ),
                SrtpKeys::Sdes => format!("the keys of SRTP travel in clear over {}", account.transport),
            };
            check.warn(
                FaultKind::Unsafe,
                &format!("{at}.srtp"),
                text,
                "set transport = \"tls\"",
            );
        }
        return;
    }
    let (cert, key) = (format!("{at}.tls-cert-file"), format!("{at}.tls-key-file"));
    for (there, other) in [(&cert, &key), (&key, &cert)] {
        if check.is_written(there) && !check.is_written(other) {
            let text = format!("needs {other} as well");
            check.fault(
                FaultKind::Conflict,
                there,
                &[other],
                text,
                "allowed: both, or neither",
            );
        }
    }
    let name = format!("{at}.tls-check-name");
    if !account.tls_verify && check.is_written(&name) {
        let text = "has no meaning with tls-verify = false: no certificate is looked at".to_owned();
        let hint = "remove it, or tls-verify";
        check.fault(
            FaultKind::Conflict,
            &name,
            &[&format!("{at}.tls-verify")],
            text,
            hint,
        );
    }
    if account.tls_verify && !account.tls_check_name && account.tls_ca_file.is_none() {
        let text = "false: any host with a certificate of a public authority is taken for the PBX".to_owned();
        let hint = "set tls-ca-file to the certificate of the PBX, or to its authority's";
        check.warn(FaultKind::Unsafe, &name, text, hint);
    }
    if !account.tls_verify {
        let text = "false: any certificate is taken, anybody in between can listen and call".to_owned();
        let hint = "set tls-ca-file to the certificate of the PBX instead";
        check.warn(FaultKind::Unsafe, &format!("{at}.tls-verify"), text, hint);
    }
}

/// `at` is the key `srtp`.
fn encryption(check: &mut Check<'_>, at: &str, srtp: Srtp) {
    let keys = format!("{at}-keys");
    if srtp == Srtp::Off && check.is_written(&keys) {
        let name = at.rsplit('.').next().unwrap_or(at);
        let text = format!("has no meaning with {name} = \"off\"");
        let hint = format!("remove it, or set {name} = \"required\"");
        check.fault(FaultKind::Conflict, &keys, &[at], text, &hint);
    }
}

/// Calls without an account.
fn direct(check: &mut Check<'_>) {
    let sip = &check.config.sip;
    encryption(check, "sip.direct-srtp", sip.direct_srtp);
    if sip.direct_srtp != Srtp::Off {
        let text = "its keys travel in clear where a call does not come and go over TLS".to_owned();
        let hint = "set tls-port, and have the others call over TLS";
        check.warn(FaultKind::Unsafe, "sip.direct-srtp", text, hint);
    }
}

fn codecs(check: &mut Check<'_>, at: &str, list: &[Codec]) {
    for (index, codec) in list.iter().enumerate() {
        if let Some(first) = list[..index].iter().position(|c| c == codec) {
            let text = format!("{codec} is named twice");
            let (here, there) = (format!("{at}.codecs[{index}]"), format!("{at}.codecs[{first}]"));
            check.fault(
                FaultKind::Duplicate,
                &here,
                &[&there],
                text,
                "name each codec once",
            );
        }
    }
}

fn buttons(check: &mut Check<'_>, id: &PanelId, panel: &Panel) {
    let config = check.config;
    let opens = |door: &DoorId| {
        config
            .doors
            .get(door)
            .is_some_and(|d| d.open_by_call != When::Never)
    };
    let key = format!("panels.{id}.opened-call");
    if check.is_written(&key) && !panel.doors.iter().any(opens) {
        let text = "no door of this panel opens by a call alone".to_owned();
        let hint = "add open-by-call to one of its doors, or remove this";
        check.warn(FaultKind::Conflict, &key, text, hint);
    }
    let line = config.lines.get(&panel.line);
    let bells = panel.apartments.is_some() || panel.floor_call.is_some();
    if panel.buttons.is_empty() && !bells && !check.is_written(&format!("panels.{id}.buttons")) {
        let text = "has no button".to_owned();
        check.warn(
            FaultKind::Conflict,
            &format!("panels.{id}"),
            text,
            "add: [panels.NAME.buttons.NAME]",
        );
    }
    for (button, use_of) in &panel.buttons {
        let at = format!("panels.{id}.buttons.{button}");
        if use_of.input.is_none()
            && line.is_some_and(|line| !rings_by_itself(line))
            && !super::rules::presses(config, id, button)
        {
            let text = "has no input, and its line is not virtual: nothing can press it".to_owned();
            let hint = "add: input = \"name of a configured input\"";
            check.fault(FaultKind::Conflict, &at, &[&format!("{at}.input")], text, hint);
        }
        let keys = [
            ("call", Some(&use_of.call)),
            ("night-call", use_of.night_call.as_ref()),
        ];
        for (key, id_of) in keys {
            if let Some(list) = id_of {
                rung(check, (id, panel), &format!("{at}.{key}"), list);
            }
        }
    }
}

/// A contact that has a number only needs an account to be called through; with an IP address it needs none.
fn contact_called(check: &mut Check<'_>, (id, panel): (&PanelId, &Panel), at: &str, target: &Target) {
    let directory = check.config.directory.as_ref();
    let account = [
        target.account.as_ref(),
        directory.and_then(|directory| directory.account.as_ref()),
        panel.account.as_ref(),
    ];
    if let Some(contact) = &target.contact
        && account.into_iter().flatten().next().is_none()
    {
        let text = format!(
            "{contact:?} can be called only if it has an IP address: neither the directory, nor panel {:?}, nor the target \
             has an account for its number",
            id.as_str()
        );
        let hint = "give [directory], the panel or the target an account";
        check.warn(FaultKind::Conflict, at, text, hint);
    }
}

/// A list that is called for a panel: who cannot be called from it.
pub(super) fn reached(check: &mut Check<'_>, (id, panel): (&PanelId, &Panel), name: &ListId) {
    let config = check.config;
    let Some(list) = config.lists.get(name) else {
        return;
    };
    for (index, target) in list.targets.iter().enumerate() {
        let Some(to) = &target.to else {
            contact_called(
                check,
                (id, panel),
                &format!("lists.{name}.targets[{index}]"),
                target,
            );
            continue;
        };
        let bare = to.kind == AddressKind::Number;
        if bare && target.account.is_none() && panel.account.is_none() {
            let target_at = format!("lists.{name}.targets[{index}]");
            let text = format!("{} has no domain, and panel {:?} has no account", to, id.as_str());
            let hint = "allowed without account: USER@HOST; or give the panel or the target an account";
            let depends = [format!("panels.{id}.account"), format!("{target_at}.account")];
            check.fault(
                FaultKind::Conflict,
                &target_at,
                &[&depends[0], &depends[1]],
                text,
                hint,
            );
        }
    }
}

/// A list that a button rings: who cannot be called from this panel, or would never ring.
fn rung(check: &mut Check<'_>, (id, panel): (&PanelId, &Panel), at: &str, name: &ListId) {
    reached(check, (id, panel), name);
    let config = check.config;
    let Some(list) = config.lists.get(name) else {
        return;
    };
    let rings = match list.strategy {
        Strategy::Parallel => 1,
        Strategy::Sequential => u32::try_from(list.targets.len()).unwrap_or(1),
    };
    let Some(line) = config.lines.get(&panel.line) else {
        return;
    };
    if list.ring.saturating_mul(rings) > line.ring_window {
        let text = format!(
            "list {:?} takes {} s, but line {:?} rings for {} s: the last targets may never ring",
            name.as_str(),
            seconds(list.ring.saturating_mul(rings)),
            panel.line.as_str(),
            seconds(line.ring_window)
        );
        check.warn(
            FaultKind::Conflict,
            at,
            text,
            "lower ring-s, or list fewer targets",
        );
    }
}

const fn seconds(time: Duration) -> u64 {
    time.as_secs()
}

/// Does a ring come over the line itself? Where the line says whom, that is a bell of an apartment.
fn rings_by_itself(line: &Line) -> bool {
    match &line.driver {
        LineDriver::Contact(_) => false,
        LineDriver::FrontEnd(of) => of
            .panel_profile()
            .is_none_or(|profile| !profile.names_apartments()),
        LineDriver::Virtual(_) => true,
    }
}

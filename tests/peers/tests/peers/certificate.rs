//! A certificate that is uploaded by curl, in the middle of a call and with a WebSocket open: both go on, and whoever connects
//! from then on gets it.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, ensure};
use peers::{Api, Gateway, Phone, PhoneParams, Rig, Site, Trust, Use, run, until};
use serde_json::{Value, json};

use crate::secs;
use crate::story::nine_opens;

/// curl, for people at a shell: what it says of the status, and the body.
fn curl(rig: &Rig, ca: &std::path::Path, args: &[&str], path: &str) -> anyhow::Result<(u16, Value)> {
    let url = format!("https://127.0.0.1:{}{path}", rig.port(Use::Http));
    let said = Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--max-time",
            "20",
            "--write-out",
            "\n%{http_code}",
        ])
        .arg("--cacert")
        .arg(ca)
        .args(args)
        .arg(url)
        .output()?;
    let text = String::from_utf8(said.stdout)?;
    let (body, status) = text
        .rsplit_once('\n')
        .with_context(|| format!("{path}: {text:?}"))?;
    ensure!(
        said.status.success(),
        "curl {path}: {}",
        String::from_utf8_lossy(&said.stderr)
    );
    let body = serde_json::from_str(body).unwrap_or_else(|_| body.into());
    Ok((status.parse()?, body))
}

/// A WebSocket through openssl, which does not care whom the certificate is for.
struct Live {
    child: Child,
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Live {
    fn open(rig: &Rig, token: &str) -> anyhow::Result<Self> {
        let port = rig.port(Use::Http);
        let mut child = Command::new("openssl")
            .args(["s_client", "-quiet", "-connect", &format!("127.0.0.1:{port}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let request = format!(
            "GET /api/v1/live HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        let to = child.stdin.as_mut().context("piped")?;
        to.write_all(request.as_bytes())?;
        to.flush()?;
        let mut from = child.stdout.take().context("piped")?;
        let heard = Arc::<Mutex<Vec<u8>>>::default();
        let kept = Arc::clone(&heard);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = from.read(&mut bytes) {
                kept.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend_from_slice(&bytes[..n]);
            }
        });
        let live = Self { child, heard };
        live.hears("\"type\":\"hello\"")?;
        Ok(live)
    }

    /// Waits until this was said.
    fn hears(&self, wanted: &str) -> anyhow::Result<()> {
        until(secs(20), wanted, || {
            let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(String::from_utf8_lossy(&heard).contains(wanted).then_some(()))
        })
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A person is made over plain HTTP, on loopback; then TLS is on.
fn begin(rig: &Rig, phone: &Phone) -> anyhow::Result<(Gateway, String)> {
    let mut site = Site {
        http: true,
        targets: vec![phone.address()],
        ..Site::default()
    };
    let mut gateway = Gateway::start(rig, &site.text(rig))?;
    let api = Api::set_up(rig, &gateway)?;
    let made = api.post("/api/v1/tokens", &json!({ "name": "t", "scopes": ["admin"] }))?;
    let token = made.body["token"].as_str().context("a token")?.to_owned();
    site.http = false;
    let port = rig.port(Use::Http);
    site.more = format!("[http]\nlisten = \"127.0.0.1:{port}\"\ntls = true\n");
    gateway.reload(&site.text(rig))?;
    Ok((gateway, token))
}

#[test]
fn a_call_and_an_open_socket_go_on_while_a_certificate_is_uploaded() {
    run(|rig| {
        let mut phone = Phone::start(rig, PhoneParams::direct(0, "101"))?;
        let (mut gateway, token) = begin(rig, &phone)?;
        let own = rig.path("state").join("http").join("cert.pem");
        until(secs(20), "the page's own certificate", || {
            Ok(own.exists().then_some(()))
        })?;
        let bearer = format!("Authorization: Bearer {token}");
        let (status, before) = curl(rig, &own, &["-H", &bearer], "/api/v1/certificate")?;
        ensure!(status == 200 && before["from"] == "own", "{status} {before}");

        gateway.ring()?;
        phone.hears("CALL_INCOMING", secs(10))?;
        phone.answer()?;
        phone.hears("CALL_ESTABLISHED", secs(10))?;
        gateway.event(0, "call.answered", secs(5), |_| true)?;
        let live = Live::open(rig, &token)?;

        let trust = Trust::named(rig, "page", &["127.0.0.1", "localhost"])?;
        let body = json!({
            "certificate": std::fs::read_to_string(&trust.cert)?,
            "key": std::fs::read_to_string(&trust.key)?,
        });
        let file = rig.path("upload.json");
        std::fs::write(&file, body.to_string())?;
        let data = format!("@{}", file.display());
        let upload = [
            "-X",
            "PUT",
            "-H",
            &bearer,
            "-H",
            "If-Match: *",
            "-H",
            "Content-Type: application/json",
            "--data",
            &data,
        ];
        let (status, taken) = curl(rig, &own, &upload, "/api/v1/certificate")?;
        ensure!(status == 200 && taken["from"] == "uploaded", "{status} {taken}");
        ensure!(taken["covers_host"] == true, "{taken}");

        // who connects from here on trusts the CA alone
        let (status, now) = curl(rig, &trust.ca, &["-H", &bearer], "/api/v1/certificate")?;
        ensure!(
            status == 200 && now["fingerprint"] != before["fingerprint"],
            "{now}"
        );
        let (_, calls) = curl(rig, &trust.ca, &["-H", &bearer], "/api/v1/calls")?;
        ensure!(calls["calls"][0]["state"] == "talking", "{calls}");
        // the call still opens the door, and the socket still tells of it
        nine_opens(rig, &mut gateway, &mut phone)?;
        live.hears("door.granted")?;
        let key = std::fs::read_to_string(&trust.key)?;
        let secret = key.lines().nth(1).context("a key")?;
        let bundle = rig.path("support.tar");
        let out = bundle.display().to_string();
        curl(
            rig,
            &trust.ca,
            &["-H", &bearer, "-o", &out],
            "/api/v1/support/bundle",
        )?;
        let bundle = std::fs::read(&bundle)?;
        ensure!(
            !bundle.windows(secret.len()).any(|part| part == secret.as_bytes()),
            "the key is in the support bundle"
        );
        phone.hang_up()?;
        gateway.event(0, "call.ended", secs(5), |_| true)?;

        // a restart keeps it, and it can be taken back
        gateway.stop()?;
        gateway.again(rig)?;
        let (status, kept) = until(secs(20), "the page after a restart", || {
            Ok(curl(rig, &trust.ca, &["-H", &bearer], "/api/v1/certificate").ok())
        })?;
        ensure!(status == 200 && kept["from"] == "uploaded", "{status} {kept}");
        let (status, _) = curl(
            rig,
            &trust.ca,
            &["-X", "DELETE", "-H", &bearer],
            "/api/v1/certificate",
        )?;
        ensure!(status == 204, "{status}");
        let (status, back) = curl(rig, &own, &["-H", &bearer], "/api/v1/certificate")?;
        ensure!(
            status == 200 && back["fingerprint"] == before["fingerprint"],
            "{back}"
        );
        gateway.stop()
    });
}

/// What TLS would not serve afterwards is refused, and what is served stays, also over a start.
#[test]
fn a_certificate_that_cannot_be_served_replaces_none() {
    run(|rig| {
        let phone = Phone::start(rig, PhoneParams::direct(0, "101"))?;
        let (mut gateway, token) = begin(rig, &phone)?;
        let own = rig.path("state").join("http").join("cert.pem");
        until(secs(20), "the page's own certificate", || {
            Ok(own.exists().then_some(()))
        })?;
        let bearer = format!("Authorization: Bearer {token}");
        let openssl = |args: &[&str]| -> anyhow::Result<()> {
            let said = Command::new("openssl").args(args).output()?;
            ensure!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
            Ok(())
        };
        let (key, cert) = (rig.path("k.pem"), rig.path("c.pem"));
        let (key_at, cert_at) = (key.display().to_string(), cert.display().to_string());
        // what openssl makes of each extension, beside a name
        let made = |extensions: &[&str]| -> anyhow::Result<(String, String)> {
            let mut args = vec![
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "30",
                "-subj",
                "/CN=door",
                "-keyout",
                &key_at,
                "-out",
                &cert_at,
                "-addext",
                "subjectAltName=IP:127.0.0.1",
            ];
            for extension in extensions {
                args.extend(["-addext", extension]);
            }
            openssl(&args)?;
            Ok((std::fs::read_to_string(&cert)?, std::fs::read_to_string(&key)?))
        };
        let put = |certificate: &str, key: &str| {
            let file = rig.path("upload.json");
            std::fs::write(
                &file,
                json!({ "certificate": certificate, "key": key }).to_string(),
            )?;
            let data = format!("@{}", file.display());
            let args = [
                "-X",
                "PUT",
                "-H",
                &bearer,
                "-H",
                "If-Match: *",
                "-H",
                "Content-Type: application/json",
                "--data",
                &data,
            ];
            curl(rig, &own, &args, "/api/v1/certificate")
        };
        let (_, before) = curl(rig, &own, &["-H", &bearer], "/api/v1/certificate")?;
        let (good, its_key) = made(&[])?;
        let strange = made(&["1.3.6.1.4.1.32473.1=critical,DER:0500"])?;
        let signs = made(&["keyUsage=critical,keyCertSign"])?;
        let clients = made(&["extendedKeyUsage=clientAuth"])?;
        let two_keys = (format!("{good}{}", strange.1), its_key.clone());
        for (which, (certificate, key)) in [
            ("an unknown critical extension", strange),
            ("a key that only signs certificates", signs),
            ("one for clients", clients),
            ("a second key", two_keys),
        ] {
            let (status, refused) = put(&certificate, &key)?;
            ensure!(
                status == 400 && refused["reason"] == "certificate",
                "{which}: {status} {refused}"
            );
        }
        gateway.stop()?;
        gateway.again(rig)?;
        let (_, now) = until(secs(20), "the page after a restart", || {
            Ok(curl(rig, &own, &["-H", &bearer], "/api/v1/certificate").ok())
        })?;
        ensure!(
            now["fingerprint"] == before["fingerprint"] && now["fault"].is_null(),
            "{now}"
        );
        gateway.stop()
    });
}

//! The control socket: how `doorline sim` reaches a running gateway.
//!
//! One request a line, one answer a line, JSON, over a Unix socket in the run folder that only the gateway's
//! own user can open. It carries injections for virtual devices, and people and their credentials (`doorline people`),
//! who could change the gateway's files as well. No door is opened here. A request may say that so many bytes of text
//! come after its line.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use gateway_core::{Clock, Instant};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::sync::watch;

use crate::clock::SystemClock;

/// Field of a request that tells when it was made: `CLOCK_BOOTTIME`, nanoseconds.
const ASKED: &str = "asked-ns";
/// Older requests waited for a gateway that stood still: a press of that time is nobody's wish any more.
const OLD: Duration = Duration::from_millis(500);
/// Longest request: a path or a card never needs more.
const LINE_LIMIT: u64 = 4096;
/// Field of a request that tells how many bytes of text come after its line; they become the field [`BODY`].
const BYTES: &str = "body-bytes";
const BODY: &str = "body";
/// Longest text: 250 000 lines of an import. One at a time.
const BODY_LIMIT: u64 = 64 << 20;
/// For a text to come.
const BODY_TIME: Duration = Duration::from_secs(30);
/// Pause after a connection that could not be taken.
const PAUSE: Duration = Duration::from_millis(100);
/// How often it is seen to that the socket is still there.
const LOOK: Duration = Duration::from_secs(1);
/// Clients at one time.
const CLIENTS: usize = 8;

/// The socket's path.
pub(crate) fn path(run_dir: &Path) -> PathBuf {
    run_dir.join("control.sock")
}

/// Serves requests until the task is dropped. `act` gets the request and gives the answer.
pub(crate) async fn serve<F, Fut>(run_dir: &Path, act: F) -> anyhow::Result<()>
where
    F: Fn(Value, Asker) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<Value, String>> + Send,
{
    let path = path(run_dir);
    let (mut listener, mut file) = listen(&path)?;
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let places = std::sync::Arc::new(tokio::sync::Semaphore::new(CLIENTS));
    let bodies = std::sync::Arc::new(tokio::sync::Semaphore::new(1));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // who empties the run folder must not keep everybody from steering the gateway
            _ = look.tick() => {
                if number(&path) != Some(file)
                    && let Ok(again) = listen(&path)
                {
                    tracing::warn!(path = %path.display(), "the control socket was removed and is made again");
                    (listener, file) = again;
                }
                continue;
            }
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // too many open files, for example: the doors go on without this socket
                tracing::warn!(%error, "a control connection could not be taken");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let Ok(place) = std::sync::Arc::clone(&places).try_acquire_owned() else {
            continue;
        };
        let (act, bodies) = (act.clone(), std::sync::Arc::clone(&bodies));
        tokio::spawn(async move {
            let _place = place;
            let (read, mut write) = stream.into_split();
            let mut lines = tokio::io::BufReader::new(read);
            loop {
                let mut line = String::new();
                match (&mut lines).take(LINE_LIMIT).read_line(&mut line).await {
                    Ok(n) if n > 0 && line.ends_with('\n') => {}
                    Ok(_) | Err(_) => return,
                }
                let answer = match serde_json::from_str::<Value>(&line) {
                    Ok(request) if is_old(&request, SystemClock.now()) => {
                        json!({ "error": "the gateway stood still when this was asked; ask again" })
                    }
                    Ok(mut request) => {
                        // when it was asked is no part of what is asked
                        if let Some(request) = request.as_object_mut() {
                            request.remove(ASKED);
                        }
                        // held until it is answered: it is the memory that is rare
                        let turn = request.get(BYTES).is_some().then(|| bodies.acquire());
                        let _turn = match turn {
                            Some(turn) => turn.await.ok(),
                            None => None,
                        };
                        let whole = tokio::time::timeout(BODY_TIME, body(&mut request, &mut lines)).await;
                        if !whole.unwrap_or(false) {
                            return;
                        }
                        // whoever leaves before the answer lets go of what is held
                        let (gone, leaves) = watch::channel(false);
                        let act = act(request, Asker(leaves));
                        tokio::pin!(act);
                        let done = tokio::select! {
                            done = &mut act => done,
                            () = left(&mut lines) => {
                                gone.send_replace(true);
                                act.await
                            }
                        };
                        match done {
                            Ok(value) => json!({ "ok": value }),
                            Err(text) => json!({ "error": text }),
                        }
                    }
                    Err(e) => json!({ "error": format!("not a JSON request: {e}") }),
                };
                if write.write_all(format!("{answer}\n").as_bytes()).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// Whoever asked.
pub(crate) struct Asker(watch::Receiver<bool>);

impl Asker {
    /// Waits until they are gone.
    pub(crate) async fn left(&mut self) {
        if self.0.wait_for(|gone| *gone).await.is_err() {
            // the answer is made already: nobody waits for this
            std::future::pending().await
        }
    }
}

/// Waits until the client has closed the connection; for ever if it has sent something else.
async fn left(lines: &mut (impl tokio::io::AsyncBufRead + Unpin)) {
    if lines.fill_buf().await.is_ok_and(|next| !next.is_empty()) {
        std::future::pending().await
    }
}

/// Reads the text after a request that has one; false if it is not what was said.
async fn body(request: &mut Value, from: &mut (impl tokio::io::AsyncBufRead + Unpin)) -> bool {
    let Some(length) = request.get(BYTES).and_then(Value::as_u64) else {
        return request.get(BYTES).is_none();
    };
    if length > BODY_LIMIT {
        return false;
    }
    let mut text = String::new();
    let read = from.take(length).read_to_string(&mut text).await;
    let whole = read.is_ok_and(|n| n as u64 == length);
    if let Some(fields) = request.as_object_mut().filter(|_| whole) {
        fields.insert(BODY.to_owned(), text.into());
    }
    whole
}

/// A socket at the path, and which file that is.
fn listen(path: &Path) -> anyhow::Result<(UnixListener, u64)> {
    // the state folder's lock says that no other gateway runs: a socket left behind is ours to remove
    let _ = std::fs::remove_file(path);
    let listener =
        UnixListener::bind(path).with_context(|| format!("cannot listen on {}", path.display()))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    let file = number(path).context("the control socket is gone")?;
    Ok((listener, file))
}

fn number(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|file| file.ino())
}

fn is_old(request: &Value, now: Instant) -> bool {
    let asked = request.get(ASKED).and_then(Value::as_u64);
    asked.is_some_and(|asked| now.since(Instant::from_nanos(asked)) > OLD)
}

/// Asks a running gateway, from a command.
///
/// # Errors
/// If no gateway runs there, or if it refuses ([`Refused`]).
pub(crate) fn ask(run_dir: &Path, request: &Value) -> anyhow::Result<Value> {
    exchange(run_dir, request, None)
}

/// The same, with a text that may be long; the answer may take minutes.
///
/// # Errors
/// As [`ask`].
pub(crate) fn ask_with(run_dir: &Path, request: &Value, text: &str) -> anyhow::Result<Value> {
    exchange(run_dir, request, Some(text))
}

/// A connection to a running gateway.
///
/// # Errors
/// If no gateway runs there.
pub(crate) fn reach(run_dir: &Path) -> anyhow::Result<UnixStream> {
    let path = path(run_dir);
    UnixStream::connect(&path).with_context(|| {
        format!(
            "no gateway answers at {}; is `doorline run` or `doorline demo` running?",
            path.display()
        )
    })
}

fn exchange(run_dir: &Path, request: &Value, text: Option<&str>) -> anyhow::Result<Value> {
    let mut stream = reach(run_dir)?;
    let patience = Duration::from_secs(if text.is_some() { 300 } else { 10 });
    // a button is held for as long as it was asked for
    let held = Duration::from_millis(request.get("ms").and_then(Value::as_u64).unwrap_or(0));
    stream.set_read_timeout(Some(patience + held))?;
    let mut request = request.clone();
    if let Some(fields) = request.as_object_mut() {
        fields.insert(ASKED.to_owned(), json!(SystemClock.now().as_nanos()));
        if let Some(text) = text {
            fields.insert(BYTES.to_owned(), json!(text.len()));
        }
    }
    stream.write_all(format!("{request}\n").as_bytes())?;
    if let Some(text) = text {
        stream.write_all(text.as_bytes())?;
    }
    let mut answer = answer(stream)?;
    if let Some(text) = answer.get("error").and_then(Value::as_str) {
        bail!(Refused(text.to_owned()));
    }
    Ok(answer["ok"].take())
}

/// Reads the line of an answer. Without one nobody knows what became of the request.
fn answer(from: impl std::io::Read) -> anyhow::Result<Value> {
    const UNKNOWN: &str = "whether it was done is not known: look at `doorline journal tail` and at what it was about, such as \
                           `doorline people list`, before asking again";
    let mut line = String::new();
    let read = BufReader::new(from).read_line(&mut line);
    if let Err(error) = read {
        return Err(anyhow::Error::new(error).context(format!("the gateway did not answer; {UNKNOWN}")));
    }
    if !line.ends_with('\n') {
        bail!("the gateway ended before it answered; {UNKNOWN}");
    }
    serde_json::from_str(&line).with_context(|| format!("the gateway's answer is not JSON; {UNKNOWN}"))
}

/// The gateway said no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) String);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_whole_answer_the_result_is_said_to_be_unknown_and_where_to_look() {
        assert_eq!(
            answer(&b"{\"ok\":7}\n"[..]).expect("an answer"),
            json!({ "ok": 7 })
        );
        for (text, begin) in [
            (&b""[..], "the gateway ended before it answered; "),
            (b"{\"ok\":", "the gateway ended before it answered; "),
            (b"no\n", "the gateway's answer is not JSON; "),
        ] {
            let said = answer(text).expect_err("no answer").to_string();
            assert!(said.starts_with(begin), "{said}");
            assert!(
                said.contains("not known") && said.contains("doorline journal tail"),
                "{said}"
            );
        }
    }
}

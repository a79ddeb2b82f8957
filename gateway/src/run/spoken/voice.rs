//! A voice: the program `espeak-ng`, which speaks all languages of a site and is small enough for any gateway.
//!
//! It gets its text as one argument, no shell is asked, and what it gives is bounded in length and time. It has no file
//! of ours and writes none.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use adapter_virtual::wav_samples;
use anyhow::{Context as _, anyhow, bail, ensure};
use gateway_config::Language;
use gateway_priority::Turn;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

/// The program, and the Debian package that has it.
pub(crate) const PROGRAM: &str = "espeak-ng";
/// It is given up after so long: a small processor needs some seconds for an IPv6 address.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);
/// Most bytes of its sound: 95 s at its rate. An IPv6 address takes half of it.
const MOST: u64 = 4 * 1024 * 1024;
/// What is kept of its words when it fails, in bytes.
const SAID: u64 = 200;
/// Words a minute: slow enough for who writes it down.
const PACE: &str = "120";
/// Between two words, in 10 ms.
const GAP: &str = "5";
/// Loudest sample of what is played: about 6 dB below full scale.
const PEAK: i32 = 16_384;

/// Where the program is on this machine.
pub(crate) fn program() -> Option<PathBuf> {
    program_in(&std::env::var_os("PATH")?)
}

fn program_in(path: &OsStr) -> Option<PathBuf> {
    let runs = |file: &PathBuf| {
        let found = std::fs::metadata(file);
        found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(path)
        .map(|folder| folder.join(PROGRAM))
        .find(runs)
}

/// There is no such program.
pub(crate) fn missing() -> anyhow::Error {
    anyhow!("{PROGRAM} is not on this machine; apt-get install {PROGRAM}")
}

/// The name of a language's voice.
const fn voice(language: Language) -> &'static str {
    match language {
        Language::De => "de",
        Language::En => "en",
        Language::Es => "es",
        Language::Fr => "fr",
        Language::Pt => "pt",
        Language::Ru => "ru",
    }
}

/// Speaks a text, as 16 kHz samples.
///
/// # Errors
/// Why a voice said nothing: it does not run, failed, did not end, or gave too much or no sound. The program has ended then,
/// too.
pub(crate) async fn speak(
    program: &Path,
    language: Language,
    text: &str,
    limit: Duration,
) -> anyhow::Result<Arc<[i16]>> {
    let mut command = Command::new(program);
    command
        .args([
            "-v",
            voice(language),
            "-s",
            PACE,
            "-g",
            GAP,
            "-b",
            "1",
            "--stdout",
            "--",
            text,
        ])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child =
        behind(command).with_context(|| format!("{PROGRAM} does not run; apt-get install {PROGRAM}"))?;
    let (sound, words) = (child.stdout.take(), child.stderr.take());
    let all = async {
        let (sound, words) = tokio::join!(bounded(sound, MOST + 1), bounded(words, SAID));
        ensure!(
            sound.len() as u64 <= MOST,
            "{PROGRAM} gave more than {MOST} bytes"
        );
        Ok((sound, words, child.wait().await?))
    };
    let (sound, words, status) = match tokio::time::timeout(limit, all).await {
        Ok(done) => done?,
        Err(_) => bail!("{PROGRAM} did not end within {} s", limit.as_secs()),
    };
    let said = String::from_utf8_lossy(&words)
        .trim()
        .replace(char::is_control, " ");
    ensure!(status.success(), "{PROGRAM} failed ({status}): {said}");
    let no_sound = |why: &str| anyhow!("{PROGRAM} gave no sound that can be played: {why}");
    let samples = wav_samples(sound).map_err(|why| no_sound(&why))?;
    let silent = samples.iter().all(|sample| sample.unsigned_abs() < 100);
    ensure!(!silent, no_sound("it is silent"));
    Ok(levelled(samples).into())
}

/// Starts a program that takes its turn behind doors and speech, whatever thread asks for it: a thread of its own, whose
/// turn the program inherits, starts it.
fn behind(mut command: Command) -> std::io::Result<Child> {
    let runtime = tokio::runtime::Handle::current();
    let start = move || {
        let _runtime = runtime.enter();
        Turn::Last.take()?;
        command.spawn()
    };
    let started = std::thread::Builder::new()
        .name("voice".to_owned())
        .spawn(start)?;
    started
        .join()
        .unwrap_or_else(|_| Err(std::io::Error::other("its thread ended before it")))
}

/// At most so many bytes; then nobody reads on, and the program ends by it.
async fn bounded(from: Option<impl AsyncRead + Unpin>, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        // what broke off is found out by whoever reads it
        let _ = from.take(most).read_to_end(&mut bytes).await;
    }
    bytes
}

/// Voices are not equally loud.
fn levelled(mut samples: Vec<i16>) -> Vec<i16> {
    let loudest = samples.iter().map(|sample| i32::from(*sample).abs()).max();
    let loudest = loudest.unwrap_or(0).max(1);
    for sample in &mut samples {
        *sample = i16::try_from(i32::from(*sample) * PEAK / loudest).unwrap_or(0);
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program of that name which does this.
    fn script(dir: &Path, text: &str) -> PathBuf {
        let file = dir.join(PROGRAM);
        std::fs::write(&file, format!("#!/bin/sh\n{text}\n")).expect("written");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("set");
        file
    }

    /// Speaks by a script, and gives what was wrong.
    async fn failed(text: &str, limit: Duration) -> String {
        let dir = tempfile::tempdir().expect("a folder");
        let program = script(dir.path(), text);
        loop {
            let done = speak(&program, Language::En, "1", limit).await;
            let error = done.expect_err("no voice");
            let busy = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ExecutableFileBusy;
            // else a child of another test was born while the file was written
            if !error.downcast_ref().is_some_and(busy) {
                return format!("{error:#}");
            }
        }
    }

    const LONG: Duration = Duration::from_secs(600);

    #[tokio::test]
    async fn a_program_that_fails_hangs_floods_or_says_nothing_is_told_apart() {
        for (text, limit, said) in [
            (
                "echo no voice >&2; exit 1",
                LONG,
                "espeak-ng failed (exit status: 1): no voice",
            ),
            (
                "exec sleep 1000",
                Duration::from_millis(50),
                "did not end within 0 s",
            ),
            ("exec cat /dev/zero", LONG, "gave more than 4194304 bytes"),
            ("head -c 1000 /dev/zero", LONG, "no sound that can be played"),
            (
                "exec cat /dev/zero >&2",
                LONG,
                "espeak-ng failed (signal: 13 (SIGPIPE)",
            ),
        ] {
            let found = failed(text, limit).await;
            assert!(found.contains(said), "{text}: {found}");
        }
        let error = speak(Path::new("/nonexistent/espeak-ng"), Language::En, "1", LONG).await;
        let error = format!("{:#}", error.expect_err("it is not there"));
        assert!(error.contains("apt-get install espeak-ng"), "{error}");
    }

    #[test]
    fn a_program_is_found_where_the_path_leads_and_only_if_it_runs() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().as_os_str();
        assert_eq!(program_in(path), None);
        let file = script(dir.path(), "exit 0");
        assert_eq!(program_in(path), Some(file.clone()));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("set");
        assert_eq!(program_in(path), None);
    }

    #[test]
    fn a_quiet_voice_and_a_loud_one_are_played_alike() {
        assert_eq!(levelled(vec![0, 100, -200]), [0, 8_192, -16_384]);
        assert_eq!(levelled(vec![i16::MIN, 0]), [-16_384, 0]);
        assert_eq!(levelled(vec![0, 0]), [0, 0]);
    }
}

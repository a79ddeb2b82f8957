//! Encrypted keys and PKCS#12 files are opened by the program `openssl`, for the check only: the supplicant opens them
//! itself. It also judges kinds of keys that ring does not know. A library for the dozen of old and new ciphers in such files is more to trust than a program that is on
//! nearly every system. File and result stay in memory, the passphrase goes through a pipe, nothing is an argument.

use std::io::Write;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use gateway_core::Secret;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::memory::MemoryFile;
use crate::params::Bytes;

/// Why something could not be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OpenError {
    /// It is encrypted by a cipher that OpenSSL has in its legacy provider only, or nowhere.
    Legacy,
    /// It is not what it should be. What `openssl` says of it helps nobody.
    Malformed,
    /// `openssl` is not installed or did not run: nothing is known.
    NoProgram(String),
    /// The passphrase is wrong.
    Passphrase,
}

/// The program.
const PROGRAM: &str = "openssl";
/// It is given up after so long: a key may ask for any number of rounds, and doors wait for nobody's file.
const LIMIT: Duration = Duration::from_secs(5);

/// A private key in PEM, without encryption.
///
/// # Errors
/// [`OpenError`]; one of [`OpenError::Legacy`] was opened by the passphrase, if it could be tried.
pub(crate) fn open_key(pem: &Bytes, passphrase: &Secret) -> Result<Bytes, OpenError> {
    let found = run(&["pkey", "-passin", "stdin"], pem, passphrase);
    if found != Err(OpenError::Legacy) {
        return found;
    }
    let words = [
        "pkey",
        "-provider",
        "legacy",
        "-provider",
        "default",
        "-passin",
        "stdin",
    ];
    match run(&words, pem, passphrase) {
        Err(OpenError::Passphrase) => Err(OpenError::Passphrase),
        Ok(_) | Err(_) => Err(OpenError::Legacy),
    }
}

/// Key and certificates of a PKCS#12 file, in PEM.
pub(crate) fn open_pkcs12(file: &Bytes, passphrase: &Secret) -> Result<Bytes, OpenError> {
    match run(&["pkcs12", "-nodes", "-passin", "stdin"], file, passphrase) {
        // RC2, 3DES and DES of old exports need the legacy provider of OpenSSL 3; older programs do not know the word
        Err(first @ (OpenError::Malformed | OpenError::Legacy)) => {
            let words = ["pkcs12", "-legacy", "-nodes", "-passin", "stdin"];
            run(&words, file, passphrase).map_err(|second| match second {
                OpenError::Malformed => first,
                OpenError::Legacy | OpenError::NoProgram(_) | OpenError::Passphrase => second,
            })
        }
        other => other,
    }
}

/// The public half of a private key in DER, likewise in DER.
pub(crate) fn public_half(der: &Bytes) -> Result<Vec<u8>, OpenError> {
    let words = ["pkey", "-inform", "DER", "-pubout", "-outform", "DER"];
    run(&words, der, &Secret::default()).map(|public| public.reveal().to_vec())
}

/// Was a certificate issued by another one? Both in PEM. Its dates do not count.
///
/// # Errors
/// Why nothing is known.
pub(crate) fn issued(below: &Bytes, above: &Bytes) -> Result<bool, String> {
    let issuer = MemoryFile::new("dot1x-issuer", above.reveal()).map_err(|why| not_run(&why))?;
    let file = MemoryFile::new("dot1x-check", below.reveal()).map_err(|why| not_run(&why))?;
    let child = Command::new(PROGRAM)
        .args(["verify", "-no_check_time", "-partial_chain", "-trusted"])
        .arg(issuer.path())
        .arg(file.path())
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|why| not_run(&why))?;
    Ok(in_time(child, LIMIT)?.status.success())
}

/// What a program gives, if it ends in time; else it is killed.
///
/// # Errors
/// Why nothing is known.
fn in_time(child: Child, limit: Duration) -> Result<Output, String> {
    // the number of a child is nobody else's until it is waited for
    let pid = Pid::from_child(&child);
    let handle = pidfd_open(pid, PidfdFlags::empty()).map_err(|why| not_run(&why.into()))?;
    let (done, ended) = channel::<()>();
    let watch = std::thread::spawn(move || {
        let late = ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout);
        late && pidfd_send_signal(handle, Signal::KILL).is_ok()
    });
    let output = child.wait_with_output();
    drop(done);
    if watch.join().unwrap_or(false) {
        let seconds = limit.as_secs();
        return Err(format!(
            "cannot be checked: {PROGRAM} needed longer than {seconds} s; protect the key with fewer rounds"
        ));
    }
    output.map_err(|why| not_run(&why))
}

fn not_run(why: &std::io::Error) -> String {
    format!("cannot be checked: {PROGRAM} does not run ({why}); install the package openssl")
}

fn run(words: &[&str], input: &Bytes, passphrase: &Secret) -> Result<Bytes, OpenError> {
    let missing = |why: std::io::Error| OpenError::NoProgram(not_run(&why));
    let file = MemoryFile::new("dot1x-check", input.reveal()).map_err(missing)?;
    let mut child = Command::new(PROGRAM)
        .args(words)
        .arg("-in")
        .arg(file.path())
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(missing)?;
    if let Some(mut stdin) = child.stdin.take() {
        // it may have given up before it read: its own words tell more than a broken pipe
        let _ = stdin.write_all(format!("{}\n", passphrase.reveal()).as_bytes());
    }
    let output = in_time(child, LIMIT).map_err(OpenError::NoProgram)?;
    let plain = Bytes::new(output.stdout);
    if output.status.success() {
        return Ok(plain);
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let wrong = [
        "invalid password",
        "bad decrypt",
        "bad password",
        "maybe wrong password",
    ];
    if wrong.iter().any(|words| said.contains(words)) {
        return Err(OpenError::Passphrase);
    }
    // an algorithm that no loaded provider has; data of no known form is "unsupported", too, but not here
    if said
        .lines()
        .any(|line| line.contains("evp_generic_fetch:unsupported"))
    {
        return Err(OpenError::Legacy);
    }
    Err(OpenError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn child(words: &[&str]) -> Child {
        let mut command = Command::new(words[0]);
        let command = command.args(&words[1..]).stdin(Stdio::null());
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs")
    }

    #[test]
    fn one_that_hangs_is_given_up_and_one_that_ends_is_heard() {
        let why = in_time(child(&["sleep", "1000"]), Duration::from_millis(10)).expect_err("given up");
        assert!(why.contains("needed longer"), "{why}");
        let output = in_time(child(&["echo", "said"]), Duration::from_secs(600)).expect("it ends");
        assert_eq!(output.stdout, b"said\n");
    }
}

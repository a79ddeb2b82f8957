//! The programs of a network manager, each with a limit: a script that hangs keeps no change from being taken back.

use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use super::error::ChangeError;

/// Runs the programs of a network manager.
pub trait Run {
    /// Runs one to its end, at most for `limit`, of which only whole seconds count.
    ///
    /// # Errors
    /// What it said, or that it did not end.
    fn run(&mut self, program: &str, args: &[&str], limit: Duration) -> Result<(), ChangeError>;
}

/// The programs of this machine.
#[derive(Debug, Default)]
pub struct Programs;

/// What is kept of the words of a program, in bytes; the rest is read and dropped.
const WORDS: usize = 4096;

/// How long the last words of a program that has ended may take; what it left behind may hold its output open for ever.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Runs a program for so many seconds; then everything in this session is killed. A session, since `ifup` makes a group of
/// its own; and a shell, which outlives whoever kills us, so that not even then a program that hangs keeps its locks until
/// somebody comes: nobody may read its words any more, so it says none. More than one pass finds what was started in the one
/// before.
const LIMITED: &str = r#"
limit=$1
shift
exec 3>&2 2>/dev/null
(exec timeout --signal=KILL "$limit" "$@" 2>&3 3>&-)
code=$?
[ "$code" = 137 ] || exit "$code"
for pass in 1 2 3 4 5; do
    for stat in /proc/[0-9]*/stat; do
        read -r line <"$stat" || continue
        set -- ${line##*) }
        pid=${stat#/proc/}
        pid=${pid%/stat}
        [ "$4" != "$$" ] || [ "$pid" = "$$" ] || kill -KILL "$pid"
    done
done
exit 137
"#;

impl Run for Programs {
    fn run(&mut self, program: &str, args: &[&str], limit: Duration) -> Result<(), ChangeError> {
        let failed = |text: String| ChangeError::Command {
            program: format!("{program} {}", args.join(" ")),
            text,
        };
        let seconds = limit.as_secs().max(1);
        let began = Instant::now();
        let mut child = Command::new("setsid")
            .args(["--wait", "sh", "-c", LIMITED, "sh", &seconds.to_string(), program])
            .args(args)
            // a service has a short one
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| failed(format!("setsid of util-linux does not run: {error}")))?;
        let words = child.stderr.take().map(read);
        let status = child.wait().map_err(|error| failed(error.to_string()))?;
        if status.success() {
            return Ok(());
        }
        // 128 + SIGKILL, as a shell tells it
        if status.code() == Some(137) && began.elapsed() >= Duration::from_secs(seconds) {
            return Err(failed(format!(
                "it did not end within {seconds} s and was killed with all that it had started; look at the scripts in \
                 /etc/network/if-*.d and at what it waits for"
            )));
        }
        let words = words.and_then(|words| words.recv_timeout(LAST_WORDS).ok());
        Err(failed(format!("{status}, {}", words.unwrap_or_default())))
    }
}

/// Reads to the end in a thread of its own, so that nobody waits for a full pipe; the first bytes come through the channel.
fn read(mut from: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (tell, told) = mpsc::sync_channel(1);
    thread::spawn(move || {
        let (mut kept, mut buffer) = (Vec::new(), [0; 1024]);
        while let Ok(n @ 1..) = from.read(&mut buffer) {
            let room = WORDS - kept.len();
            kept.extend_from_slice(&buffer[..n.min(room)]);
        }
        let _ = tell.send(String::from_utf8_lossy(&kept).trim().to_owned());
    });
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, limit: Duration) -> Result<(), String> {
        let done = Programs.run("sh", &["-c", script], limit);
        done.map_err(|error| error.to_string())
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn what_a_program_says_is_told_when_it_fails() {
        assert_eq!(sh("exit 0", LONG), Ok(()));
        let said = sh("echo no such thing >&2; exit 3", LONG).expect_err("it fails");
        assert!(said.ends_with("failed: exit status: 3, no such thing"), "{said}");
        let missing = Programs.run("no-program-of-this-name", &[], LONG);
        let said = missing.expect_err("there is none").to_string();
        assert!(said.contains("no-program-of-this-name"), "{said}");
    }

    #[test]
    fn a_program_that_hangs_is_killed_with_what_it_started() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("pid");
        // in a group of its own, as ifup has
        let script = format!(
            "trap '' TERM; set -m; sh -c 'trap \"\" TERM; echo $$ > {0}.new; mv {0}.new {0}; while :; do sleep 1000; done' & \
             while :; do sleep 1000; done",
            file.display()
        );
        let said = sh(&script, Duration::from_secs(3)).expect_err("it hangs");
        assert!(said.contains("did not end within 3 s and was killed"), "{said}");
        let pid = std::fs::read_to_string(&file).expect("it had started another one");
        let end = Instant::now() + LONG;
        while lives(pid.trim()) {
            assert!(Instant::now() < end, "{pid} lives on");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// It is there, and not dead and only waiting to be collected.
    fn lives(pid: &str) -> bool {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after = state.rsplit(')').next().unwrap_or_default().trim();
        !after.is_empty() && !after.starts_with(['Z', 'X'])
    }

    #[test]
    fn what_a_program_leaves_behind_keeps_nobody_waiting() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("pid");
        let script = format!("sleep 1000 & echo $! > {}; exit 4", file.display());
        let said = sh(&script, LONG).expect_err("it fails");
        assert!(said.contains("exit status: 4"), "{said}");
        let pid = std::fs::read_to_string(&file).expect("it had started another one");
        let killed = Command::new("kill").args(["-KILL", pid.trim()]).status();
        assert!(killed.expect("kill runs").success(), "it was left running");
    }

    #[test]
    fn a_flood_of_words_is_cut() {
        let said = sh("head -c 200000 /dev/zero | tr '\\0' x >&2; exit 1", LONG).expect_err("it fails");
        assert!(said.len() < WORDS + 300, "{}", said.len());
    }
}

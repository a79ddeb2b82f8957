//! Sockets between the gateway and its relay guard, for devices whose line only one of both can have: lines of text, each side says
//! one and waits for the other's.

use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use tokio::io::AsyncReadExt;
use tokio::net::{UnixListener, UnixStream};

/// Listens at `path`, for programs of our own user: says who that is, by its number. A socket that stands there is replaced.
///
/// # Errors
/// What the system says.
pub fn listen(path: &Path) -> io::Result<(UnixListener, u32)> {
    let new = path.with_extension("new");
    for old in [&new, &path.to_owned()] {
        match std::fs::remove_file(old) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    let listener = UnixListener::bind(&new)?;
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600))?;
    let owner = std::fs::metadata(&new)?.uid();
    // nobody finds it before it is ours alone
    std::fs::rename(&new, path)?;
    Ok((listener, owner))
}

/// The next line of at most `longest` bytes with its end, without it; `None` at the end of the connection.
///
/// # Errors
/// What the system says; [`io::ErrorKind::InvalidData`] for what is no line, or too long for one.
pub async fn line(stream: &mut UnixStream, longest: usize) -> io::Result<Option<String>> {
    let wrong = || io::Error::from(io::ErrorKind::InvalidData);
    let mut line = Vec::new();
    let mut buffer = vec![0; longest];
    loop {
        let room = longest - line.len();
        match stream.read(&mut buffer[..room]).await? {
            0 if line.is_empty() => return Ok(None),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => line.extend(&buffer[..count]),
        }
        match line.iter().position(|byte| *byte == b'\n') {
            Some(end) if end + 1 == line.len() => {
                line.pop();
                return String::from_utf8(line).map(Some).map_err(|_| wrong());
            }
            None if line.len() < longest => {}
            Some(_) | None => return Err(wrong()),
        }
    }
}

//! Files that exist in memory only: how certificates and keys reach `wpa_supplicant` without lying on a disk.
//!
//! The supplicant opens `/proc/PID/fd/N`, which the kernel permits to the same user only. It reads them again at each
//! authentication, so they live as long as the adapter does. Blobs over the control socket were the other way; they
//! are limited to 4 KiB and know neither encrypted PEM keys nor chains.

use std::io::Write;
use std::os::fd::AsRawFd;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

/// A sealed file in memory.
#[derive(Debug)]
pub(crate) struct MemoryFile(std::fs::File);

impl MemoryFile {
    /// Makes one.
    ///
    /// # Errors
    /// What the kernel said.
    pub(crate) fn new(name: &str, content: &[u8]) -> std::io::Result<Self> {
        let fd = memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        let mut file = std::fs::File::from(fd);
        file.write_all(content)?;
        // only for us, and never changed behind the supplicant's back
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
        fcntl_add_seals(&file, seals)?;
        Ok(Self(file))
    }

    /// The path under which another process of this user finds it.
    pub(crate) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_by_its_path_as_often_as_wanted_and_never_written() {
        let file = MemoryFile::new("x", b"key").expect("the kernel has memory files");
        for _ in 0..2 {
            assert_eq!(std::fs::read(file.path()).expect("ours"), b"key");
        }
        assert!(std::fs::write(file.path(), b"other").is_err());
        let path = file.path();
        drop(file);
        assert!(std::fs::read(path).map_or(true, |bytes| bytes != b"key"));
    }
}

//! The kernel's word on the cable and on neighbours, over rtnetlink.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::netlink::{GROUP_LINK, Netlink, RTM_GETLINK, RTM_GETNEIGH, dump, judge, read};
use crate::port::Neighbours;

/// Datagrams of the kernel are at most this long (`NLMSG_GOODSIZE` and dumps of up to 32 KiB).
const BUFFER: usize = 32 * 1024;
/// Most datagrams of one dump that are read: tables are larger nowhere that this runs.
const DATAGRAMS: usize = 256;

/// The watch over one interface.
#[derive(Debug)]
pub(crate) struct Link {
    /// Changes of the carrier that are known.
    changes: Option<u32>,
    interface: String,
    socket: AsyncFd<OwnedFd>,
}

/// Protocol 0 of this family is `NETLINK_ROUTE`.
fn socket(groups: u32) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    rustix::net::bind(&socket, &SocketAddrNetlink::new(0, groups))?;
    Ok(socket)
}

/// Everything of a kind. The kernel fills the first datagram as it takes the question, and the next one as each is read,
/// so nothing is waited for.
fn all(kind: u16) -> io::Result<Vec<Netlink>> {
    let socket = socket(0)?;
    rustix::net::send(&socket, &dump(kind), SendFlags::empty())?;
    let mut buffer = vec![0; BUFFER];
    let mut found = vec![];
    for _ in 0..DATAGRAMS {
        let (n, _) = rustix::net::recv(&socket, &mut buffer[..], RecvFlags::empty())?;
        for message in read(&buffer[..n]) {
            if message == Netlink::Done {
                return Ok(found);
            }
            found.push(message);
        }
    }
    Ok(found)
}

impl Link {
    /// Begins to watch.
    ///
    /// # Errors
    /// What the kernel said.
    #[expect(
        deprecated,
        reason = "the successor is unsafe to call, for types that lie about their descriptor; this one owns its own"
    )]
    pub(crate) fn watch(interface: &str) -> io::Result<Self> {
        Ok(Self {
            changes: None,
            interface: interface.to_owned(),
            socket: AsyncFd::with_interest(socket(GROUP_LINK)?, Interest::READABLE)?,
        })
    }

    /// Index of an interface; `None` if there is none of this name.
    ///
    /// # Errors
    /// What the kernel said.
    pub(crate) fn index(interface: &str) -> io::Result<Option<i32>> {
        Ok(Self::find(interface)?.map(|(index, ..)| index))
    }

    /// Index, carrier and changes of the carrier of an interface; `None` if there is none of this name.
    ///
    /// # Errors
    /// What the kernel said.
    pub(crate) fn find(interface: &str) -> io::Result<Option<(i32, bool, Option<u32>)>> {
        Ok(all(RTM_GETLINK)?.into_iter().find_map(|message| match message {
            Netlink::Link {
                carrier,
                changes,
                index,
                name,
            } if name == interface => Some((index, carrier, changes)),
            Netlink::Done | Netlink::Link { .. } | Netlink::Neighbour(_) => None,
        }))
    }

    /// Has it a carrier? An interface that is not there has none.
    ///
    /// # Errors
    /// What the kernel said.
    pub(crate) fn carrier(&mut self) -> io::Result<bool> {
        let found = Self::find(&self.interface)?;
        self.changes = found.and_then(|(_, _, changes)| changes);
        Ok(found.is_some_and(|(_, carrier, _)| carrier))
    }

    /// What the carrier went through until it is `up`, by the kernel's count: it tells of a carrier that goes and comes
    /// within a second only once, as it is then.
    fn went_through(&mut self, up: bool, changes: Option<u32>) -> impl Iterator<Item = bool> + use<> {
        let before = std::mem::replace(&mut self.changes, changes);
        let flapped = before
            .zip(changes)
            .is_some_and(|(before, now)| now.wrapping_sub(before) > 1);
        (up && flapped).then_some(false).into_iter().chain([up])
    }

    /// Waits for news of the link and tells every carrier that it went through, oldest first.
    ///
    /// # Errors
    /// What the kernel said.
    pub(crate) async fn news(&mut self) -> io::Result<Vec<bool>> {
        let mut buffer = vec![0; BUFFER];
        let got = {
            let mut guard = self.socket.readable().await?;
            guard.try_io(|socket| {
                rustix::net::recv(socket.as_fd(), &mut buffer[..], RecvFlags::empty())
                    .map_err(io::Error::from)
            })
        };
        let states = match got {
            Ok(Ok((n, _))) => read(&buffer[..n])
                .into_iter()
                .filter_map(|message| match message {
                    Netlink::Link {
                        carrier,
                        changes,
                        name,
                        ..
                    } if name == self.interface => Some((carrier, changes)),
                    Netlink::Done | Netlink::Link { .. } | Netlink::Neighbour(_) => None,
                })
                .collect(),
            // messages were lost: the state is asked for
            Ok(Err(error)) if error.raw_os_error() == Some(rustix::io::Errno::NOBUFS.raw_os_error()) => {
                let found = Self::find(&self.interface)?;
                vec![found.map_or((false, None), |(_, carrier, changes)| (carrier, changes))]
            }
            Ok(Err(error)) => return Err(error),
            Err(_not_yet) => vec![],
        };
        let mut told = vec![];
        for (up, changes) in states {
            told.extend(self.went_through(up, changes));
        }
        Ok(told)
    }

    /// What the neighbours on this interface tell.
    ///
    /// # Errors
    /// What the kernel said.
    pub(crate) fn neighbours(&self) -> io::Result<Neighbours> {
        let Some((index, ..)) = Self::find(&self.interface)? else {
            return Ok(Neighbours::Unknown);
        };
        let entries: Vec<_> = all(RTM_GETNEIGH)?
            .into_iter()
            .filter_map(|message| match message {
                Netlink::Neighbour(neighbour) => Some(neighbour),
                Netlink::Done | Netlink::Link { .. } => None,
            })
            .collect();
        Ok(judge(&entries, index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_carrier_that_went_and_came_at_once_is_told_as_both() {
        let mut link = Link::watch("lo").expect("netlink is there");
        let mut told = |up, changes| link.went_through(up, changes).collect::<Vec<_>>();
        // the first word says nothing of what was before
        assert_eq!(told(true, Some(7)), [true]);
        assert_eq!(told(true, Some(7)), [true]);
        assert_eq!(told(false, Some(8)), [false]);
        assert_eq!(told(true, Some(9)), [true]);
        assert_eq!(told(true, Some(11)), [false, true]);
        assert_eq!(told(false, Some(14)), [false]);
        assert_eq!(told(true, Some(u32::MAX)), [false, true]);
        assert_eq!(told(true, Some(1)), [false, true]);
        // a kernel that does not count
        assert_eq!(told(true, None), [true]);
        assert_eq!(told(true, Some(90)), [true]);
    }
}

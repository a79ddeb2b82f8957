//! The kernel's word on the interface, its cable and its neighbours, over rtnetlink.

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

/// What the kernel tells of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// It has a carrier, or not.
    Carrier(bool),
    /// It was removed or renamed, or another has its name: sockets that are bound to it hear nothing more.
    Gone,
    /// There is one of this name, which there was not.
    There,
}

/// Index, carrier and changes of the carrier.
type Found = Option<(i32, bool, Option<u32>)>;

/// The watch over one interface.
#[derive(Debug)]
pub(crate) struct Link {
    /// Changes of the carrier that are known.
    changes: Option<u32>,
    /// Of the interface that is known.
    index: Option<i32>,
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
            index: None,
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
    pub(crate) fn find(interface: &str) -> io::Result<Found> {
        Ok(all(RTM_GETLINK)?.into_iter().find_map(|message| match message {
            Netlink::Link {
                carrier,
                changes,
                index,
                name,
                there: true,
            } if name == interface => Some((index, carrier, changes)),
            Netlink::Done | Netlink::Link { .. } | Netlink::Neighbour(_) => None,
        }))
    }

    /// Looks at how it is, and tells what is news; its carrier is always told.
    ///
    /// # Errors
    /// What the kernel said.
    pub(crate) fn look(&mut self) -> io::Result<Vec<News>> {
        let found = Self::find(&self.interface)?;
        Ok(self.is(found, false))
    }

    /// True if there was an interface of this name by all that was told.
    pub(crate) const fn is_there(&self) -> bool {
        self.index.is_some()
    }

    /// Takes how it is. It is another one if it has another index, or if somebody knows so: an index may be given twice.
    fn is(&mut self, found: Found, another: bool) -> Vec<News> {
        let index = found.map(|(index, ..)| index);
        let mut told = vec![];
        if another || index != self.index {
            let before = std::mem::replace(&mut self.index, index);
            self.changes = None;
            told.extend(before.map(|_| News::Gone));
            told.extend(index.map(|_| News::There));
        }
        if let Some((_, up, changes)) = found {
            told.extend(self.went_through(up, changes).map(News::Carrier));
        }
        told
    }

    /// Takes a message. Where it speaks of another interface than the known one, or of the end of that, it may be old
    /// already, and `present` tells how it is.
    fn judge(
        &mut self,
        message: &Netlink,
        present: impl FnOnce() -> io::Result<Found>,
    ) -> io::Result<Vec<News>> {
        let Netlink::Link {
            carrier,
            changes,
            index,
            name,
            there,
        } = message
        else {
            return Ok(vec![]);
        };
        let known = self.index == Some(*index);
        match (known, *there && *name == self.interface) {
            (true, true) => Ok(self.went_through(*carrier, *changes).map(News::Carrier).collect()),
            (true, false) => Ok(self.is(present()?, true)),
            (false, true) => Ok(self.is(present()?, false)),
            (false, false) => Ok(vec![]),
        }
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

    /// Waits for news of the link and tells all of it, oldest first.
    ///
    /// # Errors
    /// What the kernel said.
    pub(crate) async fn news(&mut self) -> io::Result<Vec<News>> {
        let mut buffer = vec![0; BUFFER];
        let got = {
            let mut guard = self.socket.readable().await?;
            guard.try_io(|socket| {
                rustix::net::recv(socket.as_fd(), &mut buffer[..], RecvFlags::empty())
                    .map_err(io::Error::from)
            })
        };
        match got {
            Ok(Ok((n, _))) => {
                let mut told = vec![];
                for message in read(&buffer[..n]) {
                    let interface = self.interface.clone();
                    told.extend(self.judge(&message, || Self::find(&interface))?);
                }
                Ok(told)
            }
            // messages were lost: the state is asked for
            Ok(Err(error)) if error.raw_os_error() == Some(rustix::io::Errno::NOBUFS.raw_os_error()) => {
                self.look()
            }
            Ok(Err(error)) => Err(error),
            Err(_not_yet) => Ok(vec![]),
        }
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

    fn message(there: bool, index: i32, name: &str) -> Netlink {
        Netlink::Link {
            carrier: there,
            changes: Some(1),
            index,
            name: name.to_owned(),
            there,
        }
    }

    #[tokio::test]
    async fn an_interface_that_goes_or_is_another_one_is_told_and_old_messages_of_it_are_not_believed() {
        use News::{Carrier, Gone, There};

        let mut link = Link::watch("eth1").expect("netlink is there");
        let up = |index| Some((index, true, Some(1)));
        let mut told = |message: Netlink, present: Found| {
            let told = link.judge(&message, || Ok(present)).expect("told");
            (told, link.is_there())
        };
        assert_eq!(told(message(true, 3, "eth0"), None), (vec![], false));
        assert_eq!(
            told(message(true, 7, "eth1"), up(7)),
            (vec![There, Carrier(true)], true)
        );
        assert_eq!(told(message(true, 7, "eth1"), None), (vec![Carrier(true)], true));
        assert_eq!(told(message(false, 3, "eth0"), None), (vec![], true));
        // removed
        assert_eq!(told(message(false, 7, "eth1"), None), (vec![Gone], false));
        assert_eq!(told(message(false, 7, "eth1"), None), (vec![], false));
        assert_eq!(
            told(message(true, 8, "eth1"), up(8)),
            (vec![There, Carrier(true)], true)
        );
        // removed, and another one is there as that is read; what is left to read tells nothing more
        assert_eq!(
            told(message(false, 8, "eth1"), up(9)),
            (vec![Gone, There, Carrier(true)], true)
        );
        assert_eq!(told(message(true, 8, "eth1"), up(9)), (vec![Carrier(true)], true));
        // also under the same number
        assert_eq!(
            told(message(false, 9, "eth1"), up(9)),
            (vec![Gone, There, Carrier(true)], true)
        );
        // renamed
        assert_eq!(told(message(true, 9, "uplink"), None), (vec![Gone], false));
        assert_eq!(
            told(message(true, 9, "eth1"), up(9)),
            (vec![There, Carrier(true)], true)
        );
        // replaced, and the end of the one before was lost
        assert_eq!(
            told(message(true, 10, "eth1"), up(10)),
            (vec![Gone, There, Carrier(true)], true)
        );
    }
}

//! USB relay boards that are HID devices: they are named by what they keep, which only they can say.

use std::io;
use std::path::{Path, PathBuf};

use adapter_hid_relay::Status;

use super::{Claims, Finding};

/// What the site file names a board's place.
fn place(id: &str) -> PathBuf {
    PathBuf::from(format!("USB relay board {id}"))
}

/// Boards that are there, by their ids, and those that are claimed and are not.
pub(super) fn boards(claims: &Claims, found: io::Result<Vec<(PathBuf, io::Result<Status>)>>) -> Vec<Finding> {
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            return vec![Finding {
                note: true,
                remedy: "run it as a user who may read /sys".into(),
                text: format!("HID devices cannot be looked through: {error}"),
            }];
        }
    };
    let mut there = Vec::new();
    let mut findings = Vec::new();
    for (path, status) in &found {
        match status {
            Ok(status) => {
                let place = place(&status.id());
                let users = claims
                    .get(&place)
                    .map_or_else(|| "claimed by nobody".to_owned(), |users| users.join(", "));
                findings.push(Finding::well(format!(
                    "{} ({}): {users}",
                    place.display(),
                    path.display()
                )));
                there.push(place);
            }
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => findings.push(Finding {
                note: false,
                remedy:
                    "install the udev rule of gateway/systemd/doorline.rules, and be in the group dialout"
                        .into(),
                text: format!(
                    "{} may be a USB relay board, and may not be opened",
                    path.display()
                ),
            }),
            // the pair of vendor and product is lent to devices of many makers
            Err(error) => findings.push(Finding {
                note: true,
                remedy: "if it is a relay board, plug it in again".into(),
                text: format!("{} is no USB relay board that is known: {error}", path.display()),
            }),
        }
    }
    let claimed = claims.iter().filter(|(path, _)| is_board(path));
    for (path, users) in claimed.filter(|(path, _)| !there.contains(path)) {
        findings.push(Finding {
            note: false,
            remedy: "plug it in, or correct its id".into(),
            text: format!(
                "{} is claimed ({}) and not there",
                path.display(),
                users.join(", ")
            ),
        });
    }
    findings
}

fn is_board(path: &Path) -> bool {
    path.to_str()
        .is_some_and(|path| path.starts_with("USB relay board "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boards_are_told_by_their_ids_and_one_that_is_claimed_and_away_is_a_fault() {
        let status = Status::parse(&[0, b'6', b'Q', b'M', b'B', b'S', 0, 0, 0]).expect("an answer");
        let claim = |id: &str| (place(id), vec!["channel 1: output strike".to_owned()]);
        let claims: Claims = [claim("6QMBS"), claim("AAAAA"), ("/dev/ttyUSB0".into(), vec![])].into();
        let found = vec![
            ("/dev/hidraw3".into(), Ok(status)),
            ("/dev/hidraw4".into(), Err(io::ErrorKind::PermissionDenied.into())),
            ("/dev/hidraw5".into(), Err(io::ErrorKind::InvalidData.into())),
        ];
        let said: Vec<String> = boards(&claims, Ok(found))
            .into_iter()
            .map(|finding| format!("{} {} {}", finding.note, finding.text, finding.remedy))
            .collect();
        assert_eq!(said.len(), 4, "{said:?}");
        assert_eq!(
            said[0],
            "false USB relay board 6QMBS (/dev/hidraw3): channel 1: output strike "
        );
        assert!(
            said[1].starts_with("false /dev/hidraw4 ") && said[1].contains("udev"),
            "{said:?}"
        );
        assert!(
            said[2].starts_with("true /dev/hidraw5 is no USB relay board"),
            "{said:?}"
        );
        assert!(
            said[3].starts_with("false USB relay board AAAAA is claimed"),
            "{said:?}"
        );
    }
}

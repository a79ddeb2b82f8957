//! REGISTERs with credentials that a PBX did not accept. A gateway that starts anew goes on with the count: else a wrong
//! password and a few restarts get the whole building banned there.
//!
//! Within one boot they count by the monotonic clock, whatever becomes of the date. After another boot there is the date alone,
//! which may be wrong: then no try counts for longer than it would have from that start on.

use std::collections::BTreeMap;
use std::time::Duration;

use gateway_core::{AccountId, Instant, Timestamp};
use gateway_sip_io::{CredentialsMark, Tries};
use gateway_site::PinKey;
use gateway_store::{PutError, Store};

/// Kind of the entries of tries among the journal's records, by account.
const TRIES: &str = "register-tries";

/// A moment, and in which boot it is.
pub(crate) struct Moment<'a> {
    pub(crate) boot: &'a str,
    pub(crate) now: Instant,
    pub(crate) wall: Timestamp,
}

/// Keeps the tries of all accounts.
///
/// # Errors
/// [`PutError`] if the records cannot take it now.
pub(crate) fn keep_tries(
    store: &Store,
    key: &PinKey,
    all: &BTreeMap<AccountId, Tries>,
    at: &Moment<'_>,
) -> Result<(), PutError> {
    let counting = |tries: &Tries| !tries.is_over(at.now);
    for (id, tries) in all.iter().filter(|(_, tries)| counting(tries)) {
        let date = |until: Instant| at.wall.checked_add(until.since(at.now)).unwrap_or(at.wall);
        let value = serde_json::json!({
            "boot": at.boot,
            "of": key.account(&tries.mark().0).to_string(),
            "until": tries.until().map(|until| date(until).to_string()).collect::<Vec<_>>(),
            "until-ns": tries.until().map(Instant::as_nanos).collect::<Vec<_>>(),
        });
        // an end by date would be that of a clock which may be set
        store.records().put(TRIES, id.as_str(), value, None)?;
    }
    for (id, _) in store.records().list(TRIES) {
        let still = |known: &AccountId| known.as_str() == id && counting(&all[known]);
        if !all.keys().any(still) {
            store.records().delete(TRIES, &id)?;
        }
    }
    Ok(())
}

/// Tries of before, of accounts that have the same credentials.
pub(crate) fn tries(
    store: &Store,
    key: &PinKey,
    accounts: impl IntoIterator<Item = (AccountId, CredentialsMark)>,
    at: &Moment<'_>,
) -> BTreeMap<AccountId, Tries> {
    let of_account = |(id, mark): (AccountId, CredentialsMark)| {
        let value = store.records().get(TRIES, id.as_str())?.value;
        if value["of"].as_str() != Some(key.account(&mark.0).to_string().as_str()) {
            return None;
        }
        let until: Vec<Instant> = if value["boot"].as_str() == Some(at.boot) && !at.boot.is_empty() {
            let all = value["until-ns"].as_array()?.iter();
            all.filter_map(serde_json::Value::as_u64)
                .map(Instant::from_nanos)
                .collect()
        } else {
            let dates = value["until"].as_array()?.iter();
            dates
                .filter_map(|date| date.as_str()?.parse::<Timestamp>().ok())
                .map(|date| at.now + Duration::try_from(date.duration_since(at.wall)).unwrap_or_default())
                .collect()
        };
        let tries = Tries::new(at.now, mark, until);
        (!tries.is_over(at.now)).then_some((id, tries))
    };
    accounts.into_iter().filter_map(of_account).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use gateway_store::{Options, RealIo};

    use super::*;

    const KEY: PinKey = PinKey::new([7; 32]);
    const MARK: CredentialsMark = CredentialsMark([1; 32]);

    fn open(dir: &Path) -> Store {
        Store::open(dir, Options::default(), RealIo).expect("opens").0
    }

    fn id() -> AccountId {
        AccountId::new("pbx").expect("a name")
    }

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn moment(boot: &str, up: u64, date: i64) -> Moment<'_> {
        Moment {
            boot,
            now: Instant::ZERO + secs(up),
            wall: Timestamp::from_second(date).expect("a date"),
        }
    }

    /// How long each still counts, in seconds, after four that were kept at 1000 s of the first boot.
    fn left(of: CredentialsMark, at: &Moment<'_>) -> Vec<u64> {
        let dir = tempfile::tempdir().expect("a folder");
        let store = open(dir.path());
        let kept = moment("one", 1000, 1_800_000_000);
        let until = [100, 200, 300, 400].map(|left| kept.now + secs(left));
        let all = [(id(), Tries::new(kept.now, MARK, until))].into();
        keep_tries(&store, &KEY, &all, &kept).expect("taken");
        let (_, entry) = store.records().list(TRIES).remove(0);
        assert!(
            !entry.value.to_string().contains("0101010101"),
            "the mark itself is kept"
        );
        store.close();
        let store = open(dir.path());
        let mut found = tries(&store, &KEY, [(id(), of)], at);
        let Some(tries) = found.remove(&id()) else {
            return Vec::new();
        };
        tries.until().map(|until| until.since(at.now).as_secs()).collect()
    }

    #[test]
    fn a_start_goes_on_with_the_count_whatever_the_date_is() {
        // the same boot, five seconds later: with the right date, before all time, and far ahead
        for date in [1_800_000_005, 0, 4_000_000_000] {
            assert_eq!(left(MARK, &moment("one", 1005, date)), [95, 195, 295, 395]);
        }
        // another boot
        assert_eq!(left(MARK, &moment("two", 5, 1_800_000_150)), [50, 150, 250]);
        // its clock stands far back, or ahead
        assert_eq!(left(MARK, &moment("two", 5, 0)), [600; 4]);
        assert!(left(MARK, &moment("two", 5, 4_000_000_000)).is_empty());
        // where nobody knows which boot it is
        assert_eq!(left(MARK, &moment("", 5, 1_800_000_150)), [50, 150, 250]);
    }

    #[test]
    fn another_password_is_tried_at_once() {
        assert!(left(CredentialsMark([2; 32]), &moment("one", 1005, 1_800_000_005)).is_empty());
    }

    #[test]
    fn what_counts_no_more_is_not_kept() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = open(dir.path());
        let at = moment("one", 1000, 1_800_000_000);
        let tries = |left: u64| Tries::new(at.now, MARK, [at.now + secs(left)]);
        let other = AccountId::new("other").expect("a name");
        let all = [(id(), tries(60)), (other.clone(), tries(600))].into();
        keep_tries(&store, &KEY, &all, &at).expect("taken");
        assert_eq!(store.records().list(TRIES).len(), 2);
        let later = moment("one", 1100, 1_800_000_100);
        keep_tries(&store, &KEY, &all, &later).expect("taken");
        let kept = store.records().list(TRIES);
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[0].0, other.as_str());
        keep_tries(&store, &KEY, &BTreeMap::new(), &later).expect("taken");
        assert!(store.records().list(TRIES).is_empty());
    }
}

//! Pages of lists whose members have names and an order.

use crate::ask::Ask;
use crate::param::{AFTER_ID, MAX};
use crate::parse::escape;
use crate::problem::Problem;

/// Members of a page, at most.
const PAGE: usize = 500;
/// The longest name that a page begins after.
const NAME: usize = 300;

/// One page of them: those after `after`, at most `max`. `id` is what they are in order of.
pub(crate) struct Paged<T> {
    pub(crate) members: Vec<T>,
    /// Where the next page is; `None` at the end.
    pub(crate) next: Option<String>,
}

/// Takes the page that was asked for; `all` are in order of their ids.
pub(crate) fn page<T>(ask: &Ask, all: Vec<T>, id: impl Fn(&T) -> String) -> Result<Paged<T>, Problem> {
    let mut query = ask.query()?;
    let named = |text: &str| (1..=NAME).contains(&text.len()).then(|| text.to_owned());
    let after = query.take_with(&AFTER_ID, named)?;
    let max = query
        .take_with(&MAX, |text| text.parse().ok().filter(|n| (1..=PAGE).contains(n)))?
        .unwrap_or(PAGE);
    let begin = after.map_or(0, |after| all.partition_point(|one| id(one) <= after));
    let more = all.len() > begin + max;
    let members: Vec<T> = all.into_iter().skip(begin).take(max).collect();
    let path = &ask.head.path;
    let next = members.last().filter(|_| more);
    let next = next.map(|last| format!("{path}?max={max}&after={}", escape(&id(last))));
    Ok(Paged { members, next })
}

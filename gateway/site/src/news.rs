//! Is a command news? Old, repeated, kept and untimed ones are refused (invariant 4).

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use gateway_core::{CommandId, CommandRequest, Given, Instant, Refusal, Subject, Timestamp};
use jiff::SignedDuration;

use crate::io::SeenId;

/// How long the id of a command that was acted on is remembered: whoever repeats a request that has no date of its own
/// is not let in twice.
pub(crate) const ACTED_ON: Duration = Duration::from_secs(24 * 3600);

/// How many ids are remembered. A burst beyond it is refused until the oldest have outlived their time.
const MAX_IDS: usize = 4096;

/// An id, and who gave it: clients know nothing of each other's ids.
type Key = (Subject, CommandId);

/// Remembers command ids for as long as a copy of the command could still count as news.
#[derive(Debug)]
pub(crate) struct News {
    /// Ids of commands that were acted on, by the time until which they are remembered. When there are too many, the
    /// oldest are forgotten.
    acted_on: VecDeque<(Instant, Key)>,
    /// Every id once, by the time to look at it again.
    order: VecDeque<(Instant, Key)>,
    /// When an id may be forgotten: some time after it was seen last.
    seen: BTreeMap<Key, Instant>,
    /// The latest time that a command could have carried before the wall clock was set back.
    set_back: Option<Timestamp>,
    started: Instant,
    /// Both clocks at the last command.
    told: Option<(Instant, Timestamp)>,
}

impl News {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            acted_on: VecDeque::new(),
            order: VecDeque::new(),
            seen: BTreeMap::new(),
            set_back: None,
            started: now,
            told: None,
        }
    }

    /// How long an id is kept. A command may be dated a little ahead of our clock and counts for one time to live after
    /// that.
    fn keep(ttl: Duration) -> Duration {
        ttl * 2 + CommandRequest::AHEAD
    }

    /// Ids judged before a restart.
    pub(crate) fn restore(&mut self, seen: Vec<SeenId>, ttl: Duration, now: Instant, wall: Timestamp) {
        let mut acted_on: Vec<_> = seen
            .iter()
            .filter(|seen| seen.accepted)
            .filter_map(|seen| {
                let age = Duration::try_from(wall.duration_since(seen.at)).unwrap_or(Duration::ZERO);
                Some((
                    now + ACTED_ON.checked_sub(age)?,
                    (seen.subject.clone(), seen.id.clone()),
                ))
            })
            .collect();
        acted_on.sort();
        for (until, id) in acted_on {
            self.remember(until, id);
        }
        let mut fresh: Vec<_> = seen
            .into_iter()
            .filter_map(|s| {
                let age = wall.duration_since(s.at);
                let age = Duration::try_from(age).unwrap_or(Duration::ZERO);
                (age < Self::keep(ttl)).then(|| (now + (Self::keep(ttl) - age), (s.subject, s.id)))
            })
            .collect();
        fresh.sort();
        for (until, id) in fresh.into_iter().take(MAX_IDS) {
            if self.seen.insert(id.clone(), until).is_none() {
                self.order.push_back((until, id));
            }
        }
    }

    /// A command was acted on: the same id opens nothing again.
    pub(crate) fn act_on(&mut self, now: Instant, subject: Subject, id: CommandId) {
        self.remember(now + ACTED_ON, (subject, id));
    }

    /// Nothing came of a command, and whoever gave it was told so: the id is as new as before.
    pub(crate) fn forget(&mut self, subject: Subject, id: CommandId) {
        let key = (subject, id);
        self.seen.remove(&key);
        self.order.retain(|(_, of)| *of != key);
    }

    fn remember(&mut self, until: Instant, id: Key) {
        if self.acted_on.len() >= MAX_IDS {
            self.acted_on.pop_front();
        }
        self.acted_on.push_back((until, id));
    }

    /// Notices that the wall clock was set back: the dates of old commands come again, and their ids may be
    /// forgotten. Until the clock is past them, or a restart has read the ids from the journal, no date counts.
    fn notice_step(&mut self, now: Instant, wall: Timestamp) {
        if let Some((then, told)) = self.told.replace((now, wall)) {
            let due = told.checked_add(now.since(then)).unwrap_or(told);
            if due.duration_since(wall) > SignedDuration::from_secs(1) {
                let latest = due.checked_add(CommandRequest::AHEAD).unwrap_or(due);
                self.set_back = Some(self.set_back.map_or(latest, |before| before.max(latest)));
            }
        }
        self.set_back = self.set_back.filter(|latest| wall <= *latest);
    }

    /// Judges a command and remembers its id, whatever comes of it. Until `stood_still` commands may come that
    /// waited while the main loop stood still.
    pub(crate) fn judge(
        &mut self,
        request: &CommandRequest,
        now: Instant,
        wall: Timestamp,
        ttl: Duration,
        accept_untimed: bool,
        stood_still: Instant,
    ) -> Result<(), (Refusal, String)> {
        self.notice_step(now, wall);
        while self.order.front().is_some_and(|(until, _)| *until <= now) {
            let Some((_, id)) = self.order.pop_front() else {
                break;
            };
            match self.seen.get(&id) {
                Some(until) if *until > now => self.order.push_back((*until, id)),
                Some(_) | None => {
                    self.seen.remove(&id);
                }
            }
        }
        while self.acted_on.front().is_some_and(|(until, _)| *until <= now) {
            self.acted_on.pop_front();
        }
        let key = (request.origin.subject.clone(), request.id.clone());
        if self.acted_on.iter().any(|(_, of)| *of == key) {
            let text = "this id was acted on before; give every command a new one".to_owned();
            return Err((Refusal::Duplicate, text));
        }
        if let Some(until) = self.seen.get_mut(&key) {
            // A copy may be dated later than the first one.
            *until = now + Self::keep(ttl);
            let text = "this id was seen before; give every command a new one".to_owned();
            return Err((Refusal::Duplicate, text));
        }
        if self.order.len() >= MAX_IDS {
            let text = "too many commands; wait some seconds and send again".to_owned();
            return Err((Refusal::Overload, text));
        }
        self.seen.insert(key.clone(), now + Self::keep(ttl));
        self.order.push_back((now + Self::keep(ttl), key));

        if request.stale_by_transport {
            let text = "the broker kept this command; publish it without retain".to_owned();
            return Err((Refusal::Stale, text));
        }
        if now < stood_still {
            let text = "the gateway stood still a moment ago; send it again".to_owned();
            return Err((Refusal::Stale, text));
        }
        let at = match request.given {
            Given::At(at) => at,
            // whatever the wall clock does meanwhile
            Given::Live(arrived) => {
                return Self::in_time(now.since(arrived), now.since(stood_still), ttl);
            }
            Given::Undated if request.command.opens_for_minutes() => {
                let text =
                    "what opens for minutes needs a time, whatever accept-untimed says; add the field \"at\""
                        .to_owned();
                return Err((Refusal::Untimed, text));
            }
            Given::Undated if accept_untimed => return Ok(()),
            Given::Undated => {
                let text =
                    "the command carries no time; add the field \"at\", or set accept-untimed".to_owned();
                return Err((Refusal::Untimed, text));
            }
        };
        if self.set_back.is_some_and(|latest| at <= latest) {
            let text =
                "the clock was set back; wait until it has caught up, or start the gateway anew".to_owned();
            return Err((Refusal::Stale, text));
        }
        let age = Duration::try_from(wall.duration_since(at));
        let ahead = Duration::try_from(at.duration_since(wall));
        if let Ok(age) = age {
            Self::in_time(age, now.since(stood_still), ttl)?;
            // By the monotonic clock, so that a step of the wall clock neither shuts commands out nor lets them in.
            if age > now.since(self.started) {
                let text = "the command was given before this start".to_owned();
                return Err((Refusal::Stale, text));
            }
        }
        if let Some(ahead) = ahead.ok().filter(|ahead| *ahead > CommandRequest::AHEAD) {
            let (ahead, allowed) = (ahead.as_secs_f32(), CommandRequest::AHEAD.as_secs());
            let text = format!(
                "the command is dated {ahead:.1} s ahead, allowed are {allowed} s; compare the clocks"
            );
            return Err((Refusal::Stale, text));
        }
        Ok(())
    }

    /// Is a command of this age news, if the main loop has run on for so long?
    fn in_time(age: Duration, awake: Duration, ttl: Duration) -> Result<(), (Refusal, String)> {
        let text = if age > ttl {
            let (age, ttl) = (age.as_secs(), ttl.as_secs());
            format!("the command is {age} s old, allowed are {ttl} s; compare the clocks")
        } else if age > awake {
            "the gateway stood still when the command came; send it again".to_owned()
        } else {
            return Ok(());
        };
        Err((Refusal::Stale, text))
    }
}

#[cfg(test)]
mod tests {
    use gateway_core::{Command, DoorId, Factor, Origin};

    use super::*;

    const T0: Instant = Instant::from_nanos(1_000_000_000_000);
    const TTL: Duration = Duration::from_secs(10);

    fn wall(s: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + s).expect("a date")
    }

    fn command(id: &str, at: Option<Timestamp>) -> CommandRequest {
        CommandRequest {
            given: at.map_or(Given::Undated, Given::At),
            command: Command::Open {
                door: DoorId::new("front").expect("a name"),
            },
            id: CommandId::new(id).expect("an id"),
            origin: Origin {
                factor: Factor::Mqtt,
                may_simulate: false,
                subject: Subject::Integration("ha".into()),
            },
            stale_by_transport: false,
        }
    }

    /// Judges at `s` seconds after the start.
    fn judge(news: &mut News, s: u64, request: &CommandRequest) -> Option<Refusal> {
        let wall = wall(i64::try_from(s).expect("small"));
        news.judge(
            request,
            T0 + Duration::from_secs(s),
            wall,
            TTL,
            false,
            Instant::ZERO,
        )
        .err()
        .map(|(reason, _)| reason)
    }

    #[test]
    fn the_age_of_a_command_decides() {
        for (at, expected) in [
            (Some(wall(100)), None),
            (Some(wall(90)), None),
            (Some(wall(89)), Some(Refusal::Stale)),
            (Some(wall(102)), None),
            (Some(wall(103)), Some(Refusal::Stale)),
            (None, Some(Refusal::Untimed)),
        ] {
            let mut news = News::new(T0);
            assert_eq!(judge(&mut news, 100, &command("a", at)), expected, "{at:?}");
        }
    }

    #[test]
    fn a_command_from_before_the_start_is_stale() {
        let mut news = News::new(T0);
        assert_eq!(
            judge(&mut news, 1, &command("a", Some(wall(-2)))),
            Some(Refusal::Stale)
        );
        assert_eq!(judge(&mut news, 1, &command("b", Some(wall(0)))), None);
    }

    #[test]
    fn a_kept_command_is_stale_and_an_untimed_one_needs_the_option() {
        let mut news = News::new(T0);
        let mut kept = command("a", Some(wall(50)));
        kept.stale_by_transport = true;
        assert_eq!(judge(&mut news, 50, &kept), Some(Refusal::Stale));
        let untimed = command("b", None);
        assert_eq!(
            news.judge(&untimed, T0, wall(0), TTL, true, Instant::ZERO),
            Ok(())
        );
    }

    #[test]
    fn what_opens_for_minutes_needs_a_time_whatever_the_option_says() {
        let minutes = Duration::from_secs(600);
        let (door, panel) = (DoorId::new("front"), gateway_core::PanelId::new("main"));
        for (id, wanted) in [
            (
                "a",
                Command::Hold {
                    door: door.expect("a name"),
                    time: minutes,
                },
            ),
            (
                "b",
                Command::RingToOpen {
                    panel: panel.expect("a name"),
                    time: minutes,
                },
            ),
        ] {
            let mut news = News::new(T0);
            let mut request = command(id, None);
            request.command = wanted;
            let judged = news.judge(&request, T0, wall(0), TTL, true, Instant::ZERO);
            assert_eq!(
                judged.err().map(|(reason, _)| reason),
                Some(Refusal::Untimed),
                "{id}"
            );
            request.given = Given::At(wall(0));
            request.id = CommandId::new("dated").expect("an id");
            assert_eq!(
                news.judge(&request, T0, wall(0), TTL, true, Instant::ZERO),
                Ok(())
            );
        }
    }

    #[test]
    fn a_duplicate_is_refused_for_as_long_as_it_could_count() {
        let mut news = News::new(T0);
        let ahead = command("a", Some(wall(102)));
        assert_eq!(judge(&mut news, 100, &ahead), None);
        for s in 100..140 {
            assert_eq!(judge(&mut news, s, &ahead), Some(Refusal::Duplicate), "{s}");
        }
        assert_eq!(judge(&mut news, 161, &ahead), Some(Refusal::Stale));
        assert_eq!(news.order.len(), 1);
    }

    #[test]
    fn a_duplicate_across_a_restart_is_refused() {
        let mut news = News::new(T0);
        let seen = SeenId {
            accepted: false,
            at: wall(-1),
            id: CommandId::new("a").expect("an id"),
            subject: Subject::Integration("ha".into()),
        };
        news.restore(vec![seen], TTL, T0, wall(0));
        assert_eq!(
            judge(&mut news, 1, &command("a", Some(wall(1)))),
            Some(Refusal::Duplicate)
        );
        assert_eq!(judge(&mut news, 1, &command("b", Some(wall(1)))), None);
    }

    #[test]
    fn what_was_acted_on_is_not_acted_on_again_for_a_day_also_after_a_restart() {
        let mut news = News::new(T0);
        let untimed = command("key", None);
        let judge_at = |news: &mut News, s: u64| {
            let now = T0 + Duration::from_secs(s);
            let judged = news.judge(&untimed, now, wall(0), TTL, true, Instant::ZERO);
            judged.err().map(|(reason, _)| reason)
        };
        assert_eq!(judge_at(&mut news, 1), None);
        news.act_on(
            T0 + Duration::from_secs(1),
            Subject::Integration("ha".into()),
            CommandId::new("key").expect("an id"),
        );
        assert_eq!(judge_at(&mut news, 3600), Some(Refusal::Duplicate));
        let mut after = News::new(T0);
        let seen = SeenId {
            accepted: true,
            at: wall(-3600),
            id: CommandId::new("key").expect("an id"),
            subject: Subject::Integration("ha".into()),
        };
        after.restore(vec![seen], TTL, T0, wall(0));
        assert_eq!(judge_at(&mut after, 1), Some(Refusal::Duplicate));
        assert_eq!(judge_at(&mut after, 23 * 3600), None);
        for n in 0..=MAX_IDS {
            after.act_on(
                T0,
                Subject::Integration("ha".into()),
                CommandId::new(&n.to_string()).expect("an id"),
            );
        }
        assert_eq!(after.acted_on.len(), MAX_IDS);
    }

    #[test]
    fn an_id_is_one_of_its_client_also_after_a_restart() {
        let of = |name: &str| {
            let mut request = command("k1", None);
            request.origin.subject = Subject::Integration(name.into());
            request
        };
        let judge = |news: &mut News, name: &str| {
            let judged = news.judge(&of(name), T0, wall(0), TTL, true, Instant::ZERO);
            judged.err().map(|(reason, _)| reason)
        };
        let mut news = News::new(T0);
        assert_eq!(judge(&mut news, "hub"), None);
        news.act_on(T0, of("hub").origin.subject, of("hub").id);
        assert_eq!(judge(&mut news, "hub"), Some(Refusal::Duplicate));
        assert_eq!(judge(&mut news, "desk"), None);
        assert_eq!(judge(&mut news, "desk"), Some(Refusal::Duplicate));
        let mut after = News::new(T0);
        let seen = SeenId {
            accepted: true,
            at: wall(-3600),
            id: of("hub").id,
            subject: of("hub").origin.subject,
        };
        after.restore(vec![seen], TTL, T0, wall(0));
        assert_eq!(judge(&mut after, "desk"), None);
        assert_eq!(judge(&mut after, "hub"), Some(Refusal::Duplicate));
    }

    #[test]
    fn what_is_forgotten_is_news_again_and_leaves_nothing_behind() {
        let mut news = News::new(T0);
        for _ in 0..3 {
            let request = command("a", Some(wall(100)));
            assert_eq!(judge(&mut news, 100, &request), None);
            assert_eq!((news.order.len(), news.seen.len()), (1, 1));
            news.forget(request.origin.subject, request.id);
        }
        assert_eq!((news.order.len(), news.seen.len()), (0, 0));
    }

    #[test]
    fn what_came_while_the_loop_stood_still_is_stale() {
        let mut news = News::new(T0);
        let (now, end) = (T0 + Duration::from_secs(100), T0 + Duration::from_secs(99));
        let mut judge = |id, at| {
            news.judge(&command(id, Some(at)), now, wall(100), TTL, false, end)
                .err()
                .map(|(reason, _)| reason)
        };
        assert_eq!(judge("a", wall(98)), Some(Refusal::Stale));
        assert_eq!(judge("b", wall(99)), None);
    }

    #[test]
    fn a_command_that_is_repeated_after_the_clock_was_set_back_opens_nothing() {
        let mut news = News::new(T0);
        let mut judge = |id, mono, at, now| {
            let now_mono = T0 + Duration::from_secs(mono);
            let request = command(id, Some(wall(at)));
            news.judge(&request, now_mono, wall(now), TTL, false, Instant::ZERO)
                .err()
                .map(|(reason, _)| reason)
        };
        assert_eq!(judge("open", 3600, 3600, 3600), None);
        // Half an hour later the id is forgotten, the clock is set back by that, and somebody sends a copy.
        assert_eq!(judge("open", 5400, 3600, 3600), Some(Refusal::Stale));
        assert_eq!(judge("new", 5401, 3601, 3601), Some(Refusal::Stale));
        // The clock has caught up.
        assert_eq!(judge("later", 7300, 5500, 5500), None);
        // A clock that is corrected by less than a second is none that was set back.
        assert_eq!(judge("jitter", 7310, 5509, 5509), None);
    }

    #[test]
    fn what_somebody_waits_for_is_news_by_the_monotonic_clock_alone() {
        let mut news = News::new(T0);
        let mut judge = |id: &str, arrived, now, date, stood_still| {
            let at = |s| T0 + Duration::from_secs(s);
            let request = CommandRequest {
                given: Given::Live(at(arrived)),
                ..command(id, None)
            };
            news.judge(&request, at(now), wall(date), TTL, false, at(stood_still))
                .err()
                .map(|(reason, _)| reason)
        };
        assert_eq!(judge("a", 100, 100, 100, 0), None);
        // the wall clock was set back by an hour, and then ahead by a day
        assert_eq!(judge("b", 200, 200, -3400, 0), None);
        assert_eq!(judge("c", 300, 301, 90_000, 0), None);
        assert_eq!(judge("c", 300, 302, 90_001, 0), Some(Refusal::Duplicate));
        // it waited for too long, and in a gateway that stood still
        assert_eq!(judge("d", 400, 411, 411, 0), Some(Refusal::Stale));
        assert_eq!(judge("e", 500, 502, 502, 501), Some(Refusal::Stale));
    }

    #[test]
    fn what_comes_right_after_a_standstill_is_stale_whatever_its_date() {
        let mut news = News::new(T0);
        let (now, until) = (T0 + Duration::from_secs(100), T0 + Duration::from_secs(101));
        let fresh = command("a", Some(wall(100)));
        let judged = news.judge(&fresh, now, wall(100), TTL, false, until);
        assert_eq!(judged.err().map(|(reason, _)| reason), Some(Refusal::Stale));
        let untimed = command("b", None);
        let judged = news.judge(&untimed, now, wall(100), TTL, true, until);
        assert_eq!(judged.err().map(|(reason, _)| reason), Some(Refusal::Stale));
    }

    #[test]
    fn a_flood_of_ids_is_bounded() {
        let mut news = News::new(T0);
        for n in 0..MAX_IDS {
            assert_eq!(
                judge(&mut news, 100, &command(&n.to_string(), Some(wall(100)))),
                None
            );
        }
        assert_eq!(
            judge(&mut news, 100, &command("more", Some(wall(100)))),
            Some(Refusal::Overload)
        );
        assert_eq!(judge(&mut news, 123, &command("later", Some(wall(123)))), None);
        assert_eq!(news.order.len(), news.seen.len());
        assert_eq!(news.order.len(), 1);
    }
}

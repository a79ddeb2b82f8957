//! Which rules act on an event.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use gateway_access::{InForce, When};
use gateway_core::{GroupId, Instant, Record, RuleId};

use crate::rule::{Action, Conditions, FieldIs, Rule, State};

/// An event that rules led to through so many others makes none act any more.
pub const MAX_DEPTH: u8 = 4;
const MINUTE: Duration = Duration::from_secs(60);

/// What the engine asks of the site.
pub trait Facts {
    /// Is a schedule in force?
    fn in_force(&self, when: &When) -> InForce;
    /// Is it so? `None` if nobody knows.
    fn is_so(&self, state: &State) -> Option<bool>;
    /// Is whoever an event is about in a group? `subject` is as in the journal: `person:alice`.
    fn is_in(&self, subject: &str, group: &GroupId) -> bool;
}

/// What one rule makes of an event that it looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// What comes of it.
    pub outcome: Outcome,
    /// Which rule.
    pub rule: RuleId,
}

/// What comes of an event for a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It acts.
    Acts {
        /// What is asked for.
        actions: Vec<Action>,
        /// The clock is not believed, and a schedule limits the rule: it opens nothing then.
        in_doubt: bool,
    },
    /// It would act, and is kept from it.
    HeldBack {
        /// True for the first time in a row: what follows is no news.
        first: bool,
        /// Why.
        why: HeldBack,
    },
    /// A condition is not met.
    Not(Unmet),
}

/// Why a rule is kept from acting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldBack {
    /// Rules led to the event through too many others.
    Depth,
    /// It acted too often within a minute.
    Rate {
        /// How often it may.
        most: u32,
    },
}

impl fmt::Display for HeldBack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Depth => write!(
                f,
                "rules led to this event through {MAX_DEPTH} others; break the chain"
            ),
            Self::Rate { most } => {
                write!(f, "it acted {most} times within a minute (most-per-minute)")
            }
        }
    }
}

/// The condition that is not met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unmet {
    /// Too few such events so far.
    Counter {
        /// How many there were.
        found: u32,
        /// How many it takes.
        of: u32,
        /// Within how long.
        within: Duration,
    },
    /// The event says something else, or nothing of it.
    Field {
        /// What it says.
        found: String,
        /// What it should say.
        wanted: FieldIs,
    },
    /// Whoever it is about is in none of the groups.
    Group {
        /// Who it is about.
        found: String,
    },
    /// Another time.
    Schedule(When),
    /// The site is otherwise, or nobody knows.
    State {
        /// How it should be.
        wanted: State,
        /// True if nobody knows.
        unknown: bool,
    },
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Counter { found, of, within } => {
                write!(
                    f,
                    "{found} such events within {} s, {of} are wanted",
                    within.as_secs()
                )
            }
            Self::Field { found, wanted } if found.is_empty() => {
                write!(
                    f,
                    "the event has no {}, {:?} is wanted",
                    wanted.name, wanted.value
                )
            }
            Self::Field { found, wanted } => {
                write!(f, "{} is {found:?}, {:?} is wanted", wanted.name, wanted.value)
            }
            Self::Group { found } if found.is_empty() => f.write_str("the event is about nobody"),
            Self::Group { found } => write!(f, "{found} is in none of the groups"),
            Self::Schedule(When::In(schedule)) => write!(f, "schedule {schedule} is not in force"),
            Self::Schedule(When::Always | When::Never) => f.write_str("its schedule is \"never\""),
            Self::State {
                wanted,
                unknown: true,
            } => write!(f, "nobody knows whether {wanted}"),
            Self::State {
                wanted,
                unknown: false,
            } => write!(f, "it is not so that {wanted}"),
        }
    }
}

/// What a rule remembers.
#[derive(Clone, Debug, Default)]
struct Memory {
    /// When it acted within the last minute.
    acted: VecDeque<Instant>,
    /// It was held back the last time.
    held: bool,
    /// When events came that its counter counts.
    seen: VecDeque<Instant>,
}

/// All rules of a site, with what they remember. A restart forgets it: counters begin anew.
#[derive(Clone, Debug, Default)]
pub struct Engine {
    rules: BTreeMap<RuleId, (Rule, Memory)>,
}

impl Engine {
    /// These rules.
    #[must_use]
    pub fn new(rules: BTreeMap<RuleId, Rule>) -> Self {
        let mut engine = Self::default();
        engine.configure(rules);
        engine
    }

    /// Takes other rules; one that stays as it is keeps what it remembers.
    pub fn configure(&mut self, rules: BTreeMap<RuleId, Rule>) {
        let mut before = std::mem::take(&mut self.rules);
        let keep = |(id, rule): (RuleId, Rule)| {
            let memory = before.remove(&id).filter(|(old, _)| *old == rule);
            let memory = memory.map(|(_, memory)| memory).unwrap_or_default();
            (id, (rule, memory))
        };
        self.rules = rules.into_iter().map(keep).collect();
    }

    /// True if there is no rule.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Does any rule look at this kind of event?
    #[must_use]
    pub fn looks_at(&self, kind: &str) -> bool {
        self.rules.values().any(|(rule, _)| rule.on.has_kind(kind))
    }

    /// What every rule that looks at an event makes of it, in the order of their names. `depth` is through how many
    /// events rules led to this one: 0 if none did.
    pub fn take(&mut self, now: Instant, record: &Record, depth: u8, facts: &impl Facts) -> Vec<Turn> {
        let rules = self.rules.iter_mut();
        let looking = rules.filter(|(_, (rule, _))| rule.on.fits(record));
        looking
            .map(|(id, (rule, memory))| Turn {
                outcome: turn(rule, memory, now, record, depth, facts),
                rule: id.clone(),
            })
            .collect()
    }
}

fn turn(
    rule: &Rule,
    memory: &mut Memory,
    now: Instant,
    record: &Record,
    depth: u8,
    facts: &impl Facts,
) -> Outcome {
    let in_doubt = match met(&rule.when, record, facts) {
        Ok(in_doubt) => in_doubt,
        Err(unmet) => return Outcome::Not(unmet),
    };
    if let Some(counter) = rule.when.counter {
        forget(&mut memory.seen, now, counter.within);
        memory.seen.push_back(now);
        let found = u32::try_from(memory.seen.len()).unwrap_or(u32::MAX);
        if found < counter.times {
            let (of, within) = (counter.times, counter.within);
            return Outcome::Not(Unmet::Counter { found, of, within });
        }
        memory.seen.clear();
    }
    forget(&mut memory.acted, now, MINUTE);
    let most = rule.most_per_minute;
    let too_often = u32::try_from(memory.acted.len()).is_ok_and(|acted| acted >= most);
    let why = match (depth >= MAX_DEPTH, too_often) {
        (true, _) => HeldBack::Depth,
        (false, true) => HeldBack::Rate { most },
        (false, false) => {
            memory.acted.push_back(now);
            memory.held = false;
            let actions = rule.actions.clone();
            return Outcome::Acts { actions, in_doubt };
        }
    };
    let first = !std::mem::replace(&mut memory.held, true);
    Outcome::HeldBack { first, why }
}

/// Drops what is as old as this, or older.
fn forget(times: &mut VecDeque<Instant>, now: Instant, age: Duration) {
    while times.front().is_some_and(|at| now.since(*at) >= age) {
        times.pop_front();
    }
}

/// Are the conditions met that need no memory? `true` if the clock is in doubt.
fn met(when: &Conditions, record: &Record, facts: &impl Facts) -> Result<bool, Unmet> {
    for wanted in &when.fields {
        let found = record.text_of(&wanted.name);
        if found != wanted.value {
            let wanted = wanted.clone();
            return Err(Unmet::Field { found, wanted });
        }
    }
    if !when.groups.is_empty() {
        let found = record.text_of("subject");
        if found.is_empty() || !when.groups.iter().any(|group| facts.is_in(&found, group)) {
            return Err(Unmet::Group { found });
        }
    }
    let in_doubt = match facts.in_force(&when.schedule) {
        InForce::Yes => false,
        InForce::Unknown => true,
        InForce::No => return Err(Unmet::Schedule(when.schedule.clone())),
    };
    for wanted in &when.states {
        let so = facts.is_so(wanted);
        if so != Some(true) {
            let (wanted, unknown) = (wanted.clone(), so.is_none());
            return Err(Unmet::State { wanted, unknown });
        }
    }
    Ok(in_doubt)
}

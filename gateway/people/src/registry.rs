//! The one place where people and credentials are changed.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use gateway_access::{Change, PinKey, PinTag};
use gateway_core::{CredentialId, PersonId};
use gateway_store::{Edit, EraseError, Erased, PutError, Records, Store, Traces};
use tokio::sync::{Mutex, OwnedMutexGuard, mpsc, oneshot};

use crate::line::{self, LineFault};
use crate::plan::{NewCode, Planner, SiteNames};
use crate::row::{BARRED, CREDENTIAL, PERSON, USE, use_value};
use crate::show::{self, Form, Shown};
use crate::state::State;
use crate::traces;

/// Faults that a report tells; more are counted.
const TOLD: usize = 500;

/// Changes that the core takes in one go.
const PART: usize = 200;

/// Changes for the core. They are durable already.
#[derive(Debug)]
pub struct Changed {
    /// What changed, in order.
    pub changes: Vec<Change>,
    /// Told once the decision goes by them.
    pub done: oneshot::Sender<()>,
}

/// One person, with all credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// A line for each credential, with cards and numbers masked.
    pub lines: Vec<Shown>,
    /// What is stored of them, for comparing: it changes with every change, and not by use. It holds cards and digests. `None` if
    /// the site file alone names them.
    pub state: Option<String>,
}

/// Whether a change is still wanted, by what is stored of its person ([`Person::state`]; `None` if nothing is).
type Wanted = Box<dyn FnOnce(Option<&str>) -> bool + Send>;

/// Why nothing was changed, or why it is not acknowledged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeopleError {
    /// The person is not as the change was meant for; nothing was changed.
    #[error("{person:?} was changed, made or removed meanwhile; nothing was changed")]
    Changed {
        /// Who.
        person: String,
    },
    /// The core does not take changes: it is durable, and counts after the next start.
    #[error("it is written down, but the gateway stops and does not go by it yet")]
    CoreGone,
    /// An erasure could not be finished.
    #[error("they open nothing any more, but what tells of them is still in the journal")]
    Erase(#[from] EraseError),
    /// Lines have faults; nothing was changed.
    #[error("{count} faults, so nothing was changed; the first: {first}")]
    Faults {
        /// How many.
        count: usize,
        /// The first ones.
        faults: Vec<LineFault>,
        /// The first one.
        first: LineFault,
    },
    /// The records did not take it.
    #[error("not saved")]
    Put(#[from] PutError),
    /// The machine gives no random numbers.
    #[error("no random numbers: {0}")]
    Random(String),
    /// The site file names the person, and the records know nothing of them.
    #[error("only the site file names {id:?}: take their cards and codes out of it, or block them here")]
    OfSiteOnly {
        /// Who.
        id: String,
    },
    /// There is no such person or credential.
    #[error("there is no {what} {id:?}")]
    Unknown {
        /// Its name.
        id: String,
        /// `person` or `credential`.
        what: &'static str,
    },
}

/// How an import is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Import {
    /// Check everything and change nothing.
    pub dry_run: bool,
    /// The lines are all there is: who stands in no line is removed, and what a line leaves empty is as it would be for
    /// somebody new. Names of credentials, their values, and how often they were used stay.
    pub replace: bool,
}

/// What an import changed, or would.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Credentials: new, different, withdrawn.
    pub credentials: [usize; 3],
    /// What of those who were blocked or removed still stands in the site file, in words.
    pub left: Vec<String>,
    /// How many lines there were.
    pub lines: usize,
    /// Codes that were drawn.
    pub made: Vec<NewCode>,
    /// People: new, different, removed.
    pub people: [usize; 3],
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [p, c] = [self.people, self.credentials];
        write!(
            f,
            "people: {} new, {} changed, {} removed; credentials: {} new, {} changed, {} removed",
            p[0], p[1], p[2], c[0], c[1], c[2]
        )
    }
}

struct Inner {
    changes: mpsc::Sender<Changed>,
    key: PinKey,
    records: Records,
    site: RwLock<Arc<SiteNames>>,
    /// One change at a time, so that each is checked against all before it.
    turn: Arc<Mutex<()>>,
}

impl Inner {
    fn site(&self) -> Arc<SiteNames> {
        Arc::clone(&self.site.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What makes one state of the other; whom the site file names is barred by it with their removal.
    fn difference(&self, old: &State, mut new: State) -> Difference {
        let site = self.site();
        new.bar(old, &site, &self.key);
        let (edits, changes, mut report) = difference(old, &new);
        report.left = site.left(old, &new);
        (edits, changes, report)
    }

    /// Returns once it is on the medium.
    async fn write(&self, edits: Vec<Edit>) -> Result<(), PeopleError> {
        if edits.is_empty() {
            return Ok(());
        }
        let ticket = self.records.put_all(edits)?;
        ticket.durable().await.map_err(|_| PutError::NotDurable)?;
        Ok(())
    }

    /// Returns once the decision goes by it.
    async fn tell(&self, changes: Vec<Change>) -> Result<(), PeopleError> {
        // In small parts: between them the core does what it is for.
        let mut changes = changes.into_iter();
        loop {
            let part: Vec<Change> = changes.by_ref().take(PART).collect();
            if part.is_empty() {
                return Ok(());
            }
            let (done, taken) = oneshot::channel();
            let told = self.changes.send(Changed { changes: part, done }).await;
            told.map_err(|_| PeopleError::CoreGone)?;
            taken.await.map_err(|_| PeopleError::CoreGone)?;
        }
    }
}

/// People and credentials. Cheap to clone.
#[derive(Clone)]
pub struct People(Arc<Inner>);

impl People {
    /// Over the records of a journal. Changes go to the core through `changes`.
    #[must_use]
    pub fn new(records: Records, key: PinKey, changes: mpsc::Sender<Changed>) -> Self {
        Self(Arc::new(Inner {
            changes,
            key,
            records,
            site: RwLock::default(),
            turn: Arc::default(),
        }))
    }

    /// What the site file in force names.
    pub fn set_site(&self, site: SiteNames) {
        *self.0.site.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(site);
    }

    /// Takes lines of CSV or JSON: adds people and credentials, and changes those that are there. Either all of it is
    /// done or nothing. Returns once it is on the medium and the decision goes by it.
    ///
    /// What was begun is carried to its end although the caller drops the future. `note` is called once the change is
    /// on the medium; a dry run does not call it.
    ///
    /// # Errors
    /// [`PeopleError::Faults`] tells every bad line.
    pub async fn import(
        &self,
        text: String,
        how: Import,
        note: impl FnOnce(&Report) + Send + 'static,
    ) -> Result<Report, PeopleError> {
        self.take(text, how, None, note).await
    }

    /// Changes one person if `wanted` says so of what is stored of them: lines as [`import`](Self::import) takes them,
    /// all about this person.
    ///
    /// # Errors
    /// [`PeopleError::Changed`] if it is not wanted, else as [`import`](Self::import).
    pub async fn change(
        &self,
        person: &str,
        text: String,
        wanted: impl FnOnce(Option<&str>) -> bool + Send + 'static,
        note: impl FnOnce(&Report) + Send + 'static,
    ) -> Result<Report, PeopleError> {
        let wanted: Wanted = Box::new(wanted);
        self.take(text, Import::default(), Some((person.to_owned(), wanted)), note)
            .await
    }

    async fn take(
        &self,
        text: String,
        how: Import,
        only: Option<(String, Wanted)>,
        note: impl FnOnce(&Report) + Send + 'static,
    ) -> Result<Report, PeopleError> {
        let turn = Arc::clone(&self.0.turn).lock_owned().await;
        let me = self.clone();
        let planned = tokio::task::spawn_blocking(move || me.plan(&text, how.replace, only));
        let (old, new, made, lines) = planned.await.map_err(|_| PeopleError::CoreGone)??;
        let (edits, changes, mut report) = self.0.difference(&old, new);
        (report.made, report.lines) = (made, lines);
        if how.dry_run {
            report.made.clear();
            return Ok(report);
        }
        self.commit(turn, (edits, changes, report), note).await
    }

    fn plan(
        &self,
        text: &str,
        replace: bool,
        only: Option<(String, Wanted)>,
    ) -> Result<(State, State, Vec<NewCode>, usize), PeopleError> {
        let (lines, unread) = line::read(text);
        let site = self.0.site();
        let old = State::load(&self.0.records);
        if let Some((person, wanted)) = only {
            if !unread.is_empty() {
                return Err(faults(unread));
            }
            let strange = lines.iter().find(|line| line.cell("person") != Some(&person));
            if let Some(line) = strange {
                let text = format!("is not {person:?}, who is to be changed");
                return Err(faults(vec![line.fault("person", text)]));
            }
            if !wanted(show::state_of(&old, &person).as_deref()) {
                return Err(PeopleError::Changed { person });
            }
        }
        let mut failed = None;
        let mut random = || {
            let mut bytes = [0; 8];
            if let Err(error) = getrandom::fill(&mut bytes) {
                failed = Some(error.to_string());
            }
            u64::from_le_bytes(bytes)
        };
        let mut planner = Planner::new(old.clone(), &site, &self.0.key, &mut random, replace);
        for line in &lines {
            planner.line(line);
        }
        planner.unread(unread);
        let planned = planner.finish();
        if let Some(error) = failed {
            return Err(PeopleError::Random(error));
        }
        let (new, made) = planned.map_err(faults)?;
        Ok((old, new, made, lines.len()))
    }

    /// Removes a person with all their credentials. Goes to its end, and calls `note`, as [`import`](Self::import) does.
    ///
    /// # Errors
    /// [`PeopleError`].
    pub async fn remove_person(
        &self,
        id: &str,
        note: impl FnOnce(&Report) + Send + 'static,
    ) -> Result<Report, PeopleError> {
        self.remove_person_if(id, |_| true, note).await
    }

    /// The same, if `wanted` says so of what is stored of them ([`Person::state`]).
    ///
    /// # Errors
    /// [`PeopleError::Changed`] if it is not wanted.
    pub async fn remove_person_if(
        &self,
        id: &str,
        wanted: impl FnOnce(Option<&str>) -> bool + Send + 'static,
        note: impl FnOnce(&Report) + Send + 'static,
    ) -> Result<Report, PeopleError> {
        let id = id.to_owned();
        let site = self.0.site();
        let change = move |state: &mut State| {
            let now = show::state_of(state, &id);
            if now.is_some() && !wanted(now.as_deref()) {
                return Err(PeopleError::Changed { person: id });
            }
            let gone = state.people.remove(&id).is_some();
            let before = state.credentials.len();
            state
                .credentials
                .retain(|_, row| row.person.as_ref() != Some(&id));
            if gone || state.credentials.len() < before {
                Ok(())
            } else if site.has_of(&id) {
                Err(PeopleError::OfSiteOnly { id })
            } else {
                Err(PeopleError::Unknown { id, what: "person" })
            }
        };
        self.remove(change, note).await
    }

    /// Erases a person: their rows, and what tells of them everywhere in the journal. `also` are further names, numbers
    /// and cards of theirs, such as they had earlier. Returns once it is in no file of the journal any more, which may take
    /// as long as reading all of it, and says what was looked for; what was begun goes to its end also after a power cut. `note` is called with nothing
    /// that tells of them once they open nothing any more.
    ///
    /// # Errors
    /// [`PeopleError::Unknown`] if nothing is known of them and `also` is empty; [`PeopleError::Erase`] if it could not
    /// be finished, and goes on with the next start.
    pub async fn erase(
        &self,
        store: &Store,
        id: &str,
        also: Vec<String>,
        note: impl FnOnce() + Send + 'static,
    ) -> Result<(Erased, Traces), PeopleError> {
        let turn = Arc::clone(&self.0.turn).lock_owned().await;
        let (inner, store, id) = (Arc::clone(&self.0), store.clone(), id.to_owned());
        let task = tokio::spawn(async move {
            let _turn = turn;
            let records = inner.records.clone();
            let planned =
                tokio::task::spawn_blocking(move || traces::plan(&State::load(&records), &id, also));
            let (old, new, traces) = planned.await.map_err(|_| PeopleError::CoreGone)??;
            let (edits, changes, _) = inner.difference(&old, new);
            let begun = store.begin_erasure(edits, &traces).await;
            begun.map_err(|error| match error {
                EraseError::Put(error) => PeopleError::Put(error),
                error @ (EraseError::Io(_) | _) => PeopleError::Erase(error),
            })?;
            // first they open nothing, so that nothing new tells of them
            let told = inner.tell(changes).await;
            note();
            let finished = tokio::task::spawn_blocking(move || store.finish_erasure()).await;
            told?;
            Ok((finished.map_err(|_| PeopleError::CoreGone)??, traces))
        });
        task.await.map_err(|_| PeopleError::CoreGone)?
    }

    /// Withdraws a credential. Goes to its end, and calls `note`, as [`import`](Self::import) does.
    ///
    /// # Errors
    /// [`PeopleError`].
    pub async fn remove_credential(
        &self,
        id: &str,
        note: impl FnOnce(&Report) + Send + 'static,
    ) -> Result<Report, PeopleError> {
        let id = id.to_owned();
        let change = move |state: &mut State| {
            state
                .credentials
                .remove(&id)
                .map(|_| ())
                .ok_or(PeopleError::Unknown {
                    id,
                    what: "credential",
                })
        };
        self.remove(change, note).await
    }

    async fn remove(
        &self,
        change: impl FnOnce(&mut State) -> Result<(), PeopleError> + Send + 'static,
        note: impl FnOnce(&Report) + Send + 'static,
    ) -> Result<Report, PeopleError> {
        let turn = Arc::clone(&self.0.turn).lock_owned().await;
        let records = self.0.records.clone();
        let planned = tokio::task::spawn_blocking(move || {
            let old = State::load(&records);
            let mut new = old.clone();
            change(&mut new)?;
            let credentials = &new.credentials;
            new.uses.retain(|id, _| credentials.contains_key(id));
            Ok::<_, PeopleError>((old, new))
        });
        let (old, new) = planned.await.map_err(|_| PeopleError::CoreGone)??;
        self.commit(turn, self.0.difference(&old, new), note).await
    }

    /// On the medium first, then in force, then acknowledged.
    async fn commit(
        &self,
        turn: OwnedMutexGuard<()>,
        (edits, changes, report): Difference,
        note: impl FnOnce(&Report) + Send + 'static,
    ) -> Result<Report, PeopleError> {
        let inner = Arc::clone(&self.0);
        // A task of its own: were the change dropped halfway with the request it came by, the records would have it
        // and the core would not. Who was blocked would still get in, and asking again would find nothing to change.
        let task = tokio::spawn(async move {
            let _turn = turn;
            inner.write(edits).await?;
            note(&report);
            inner.tell(changes).await?;
            Ok(report)
        });
        task.await.map_err(|_| PeopleError::CoreGone)?
    }

    /// Everybody of the records, with cards and numbers masked.
    pub async fn list(&self) -> Vec<Shown> {
        self.read(|state| show::lines(&state, true))
            .await
            .unwrap_or_default()
    }

    /// As [`list`](Self::list), each line with its origin, and what stands in the site file behind.
    pub async fn everybody(&self) -> Vec<Shown> {
        let of_site = show::of_site(&self.0.site(), None);
        show::with_site(self.list().await, of_site)
    }

    /// One person, with cards and numbers masked; `None` if nothing is known of them.
    pub async fn person(&self, id: &str) -> Option<Person> {
        let (id, site) = (id.to_owned(), self.0.site());
        let found = self.read(move |state| {
            let of_site = show::of_site(&site, Some(&id));
            let lines = show::with_site(show::of(&state, &id, true), of_site);
            let state = show::state_of(&state, &id);
            (!lines.is_empty()).then_some(Person { lines, state })
        });
        found.await.flatten()
    }

    /// Everybody, with cards and numbers, and digests of codes and PINs: what [`import`](Self::import) reads.
    pub async fn export(&self, form: Form) -> String {
        let key = self.0.key.clone();
        self.read(move |state| show::export(&state, form, &key))
            .await
            .unwrap_or_default()
    }

    async fn read<T: Send + 'static>(&self, make: impl FnOnce(State) -> T + Send + 'static) -> Option<T> {
        let records = self.0.records.clone();
        tokio::task::spawn_blocking(move || make(State::load(&records)))
            .await
            .ok()
    }
}

fn faults(faults: Vec<LineFault>) -> PeopleError {
    let first = faults.first().cloned().unwrap_or(LineFault {
        column: String::new(),
        line: 1,
        text: "cannot be read".to_owned(),
    });
    PeopleError::Faults {
        count: faults.len(),
        faults: faults.into_iter().take(TOLD).collect(),
        first,
    }
}

/// For the records, for the core, and for whoever asked.
type Difference = (Vec<Edit>, Vec<Change>, Report);

/// The edits and changes that make one state of the other.
fn difference(old: &State, new: &State) -> Difference {
    let mut edits = Vec::new();
    let mut changes = Vec::new();
    let mut report = Report::default();
    // Withdrawn first: what takes the place of something never stands beside it.
    for id in gone(&old.credentials, &new.credentials) {
        edits.push(Edit::delete(CREDENTIAL, id));
        edits.push(Edit::delete(USE, id));
        changes.extend(CredentialId::new(id).ok().map(Change::CredentialGone));
        report.credentials[2] += 1;
    }
    // barred before they are gone, so that they are never nobody of whom the records know nothing
    for tag in new.barred.difference(&old.barred) {
        edits.push(Edit::set(BARRED, tag, serde_json::json!({})));
        changes.extend(PinTag::parse(tag).map(Change::PersonBarred));
    }
    for id in gone(&old.people, &new.people) {
        edits.push(Edit::delete(PERSON, id));
        changes.extend(PersonId::new(id).ok().map(Change::PersonGone));
        report.people[2] += 1;
    }
    for (id, times) in new
        .uses
        .iter()
        .filter(|(id, times)| old.uses.get(*id) != Some(times))
    {
        edits.push(Edit::set(USE, id, use_value(*times)));
        changes.extend(CredentialId::new(id).ok().map(|credential| Change::Used {
            credential,
            times: *times,
        }));
    }
    for (id, row) in new
        .people
        .iter()
        .filter(|(id, row)| old.people.get(*id) != Some(row))
    {
        let value = serde_json::to_value(row).expect("texts only");
        edits.push(Edit::set(PERSON, id, value));
        changes.extend(row.change(id));
        report.people[usize::from(old.people.contains_key(id))] += 1;
    }
    for tag in old.barred.difference(&new.barred) {
        edits.push(Edit::delete(BARRED, tag));
    }
    for (id, row) in new
        .credentials
        .iter()
        .filter(|(id, row)| old.credentials.get(*id) != Some(row))
    {
        let value = serde_json::to_value(row).expect("texts only");
        edits.push(Edit::set(CREDENTIAL, id, value));
        changes.extend(row.change(id));
        report.credentials[usize::from(old.credentials.contains_key(id))] += 1;
    }
    (edits, changes, report)
}

fn gone<'a, V>(old: &'a BTreeMap<String, V>, new: &BTreeMap<String, V>) -> Vec<&'a String> {
    old.keys().filter(|id| !new.contains_key(*id)).collect()
}

//! Lockdowns and interlocks against a model of their own: not one opening that it forbids, not one refusal where it
//! would open, and nobody is kept in.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::site::{FIT, burning, command, door, input, keypad, policy, reader, rex};
use gateway_access::{
    Access, Change, CodeFrom, Credential, Decision, Directory, DoorGroup, DoorPolicy, Held, PinKey, Policy,
    Proof, Reason, Request, RexKind, Standing, Validity, When,
};
use gateway_core::{DoorGroupId, Factor, Instant, OutputId, Refusal, Secret};
use proptest::prelude::*;

const DOORS: [&str; 4] = ["outer", "inner", "lab", "yard"];
/// Name, doors, interlock. `lab` stands in two interlocks.
const GROUPS: [(&str, &[usize], bool); 4] = [
    ("mantrap", &[0, 1], true),
    ("clean", &[1, 2], true),
    ("street", &[0, 3], false),
    ("nowhere", &[], false),
];
const T0: Instant = Instant::from_nanos(1_000_000_000_000);

fn group(n: usize) -> Option<DoorGroupId> {
    GROUPS.get(n).map(|(name, ..)| name.parse().expect("a name"))
}

/// Four doors with an exit each; with or without their groups.
fn house(grouped: bool) -> Policy {
    let doors = DOORS.iter().map(|name| {
        let mut at = DoorPolicy::new(OutputId::new(&format!("{name}-strike")).expect("a name"));
        at.readers = [reader("pad")].into();
        at.rex = [(input(&format!("{name}-rex")), RexKind::Unlock)].into();
        (door(name), at)
    });
    let groups = GROUPS.iter().filter(|_| grouped).map(|(name, doors, interlock)| {
        let of = DoorGroup {
            doors: doors.iter().map(|n| door(DOORS[*n])).collect(),
            interlock: *interlock,
        };
        (name.parse().expect("a name"), of)
    });
    Policy {
        door_groups: groups.collect(),
        doors: doors.collect(),
        ..policy()
    }
}

/// A code that opens every door, and is counted.
fn directory() -> Directory {
    let key = PinKey::new([3; 32]);
    let digits = Secret::new("4812");
    let (heads, tag) = (key.heads(&digits), key.code(&digits));
    let mut directory = Directory::new(key);
    directory.apply(Change::Credential(Credential {
        doors: DOORS.iter().map(|name| door(name)).collect(),
        id: "c-visit".parse().expect("a name"),
        person: None,
        proof: Proof::Code {
            duress: false,
            from: [CodeFrom::Keypad].into(),
            heads,
            tag,
        },
        uses: Some(100_000),
        valid: Validity::default(),
        when: When::Always,
    }));
    directory
}

#[derive(Clone, Debug)]
enum Step {
    /// A command, which opens at once.
    Command(usize),
    Fire(usize),
    /// A counted code, and what happens while its use is written.
    Held(usize, Vec<Step>),
    /// Begins or ends; beyond the groups it is the whole site.
    Lockdown(usize, bool),
    Reload(bool),
    Rex(usize),
    /// The process ends and begins again; doors are unread until they are told.
    Restart,
    Stands(usize, Standing),
    /// A wrong code.
    Wrong(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let standing = prop::sample::select(vec![
        Standing::AtRest,
        Standing::AtRest,
        Standing::Open,
        Standing::Opening,
        Standing::Unknown,
    ]);
    let simple = prop_oneof![
        6 => (0..4_usize).prop_map(Step::Command),
        1 => (0..4_usize).prop_map(Step::Fire),
        2 => (0..5_usize, prop::bool::weighted(0.3)).prop_map(|(n, on)| Step::Lockdown(n, on)),
        1 => any::<bool>().prop_map(Step::Reload),
        3 => (0..4_usize).prop_map(Step::Rex),
        1 => Just(Step::Restart),
        6 => (0..4_usize, standing).prop_map(|(n, standing)| Step::Stands(n, standing)),
        1 => (0..4_usize).prop_map(Step::Wrong),
    ];
    let meanwhile = prop::collection::vec(simple.clone(), 0..4);
    prop_oneof![
        8 => simple,
        2 => (0..4_usize, meanwhile).prop_map(|(n, steps)| Step::Held(n, steps)),
    ]
}

/// What the model knows.
struct Model {
    grouped: bool,
    locked: BTreeSet<usize>,
    stands: [Standing; 4],
}

impl Model {
    fn named(&self) -> &[(&str, &[usize], bool)] {
        if self.grouped { &GROUPS } else { &[] }
    }

    fn locked_down(&self, n: usize) -> bool {
        let named = self.named().iter().enumerate();
        let mut groups = named.filter(|(g, _)| self.locked.contains(g));
        self.locked.contains(&GROUPS.len()) || groups.any(|(_, (_, doors, _))| doors.contains(&n))
    }

    fn lets_in(&self, n: usize) -> bool {
        let mut blocked = false;
        for (_, doors, interlock) in self.named() {
            for other in *doors {
                blocked |= *interlock
                    && doors.contains(&n)
                    && *other != n
                    && self.stands[*other] != Standing::AtRest;
            }
        }
        !self.locked_down(n) && !blocked
    }
}

struct World {
    access: Access,
    model: Model,
}

impl World {
    fn new() -> Self {
        let mut access = burning(house(true));
        access.set_directory(directory());
        let model = Model {
            grouped: true,
            locked: BTreeSet::new(),
            stands: [Standing::Unknown; 4],
        };
        Self { access, model }
    }

    fn decide(&mut self, request: Request) -> Decision {
        self.access.decide(T0, &FIT, request)
    }

    /// Is the answer the model's, and a refusal told by its name?
    fn check(&self, n: usize, decision: Decision) -> Result<Option<Held>, TestCaseError> {
        let lets_in = self.model.lets_in(n);
        match decision {
            Decision::Granted(grant) => {
                prop_assert!(lets_in, "{} opened: {}", DOORS[n], grant.parts().rule);
                Ok(None)
            }
            Decision::Held(held) => {
                prop_assert!(lets_in, "{} is held", DOORS[n]);
                Ok(Some(held))
            }
            Decision::Denied(denied) => {
                prop_assert!(!lets_in, "{} refused: {}", DOORS[n], denied.reason);
                let word = if self.model.locked_down(n) {
                    Refusal::Lockdown
                } else {
                    Refusal::Interlock
                };
                prop_assert_eq!(denied.refusal(), word);
                prop_assert!(
                    denied.reason.to_string().starts_with(word.word()),
                    "{}",
                    denied.reason
                );
                Ok(None)
            }
        }
    }

    fn play(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Command(n) => {
                let request = command(DOORS[*n], Factor::Api, "ann", true);
                let told = self.access.explain(T0, &FIT, &request).result;
                prop_assert_eq!(told.is_ok(), self.model.lets_in(*n), "{:?}", told);
                let decision = self.decide(request);
                self.check(*n, decision)?;
            }
            Step::Fire(n) => {
                let door = door(DOORS[*n]);
                prop_assert!(self.decide(Request::Fire { door }).granted().is_some(), "fire");
            }
            Step::Held(n, meanwhile) => {
                let decision = self.decide(keypad(T0, DOORS[*n], "pad", "4812"));
                if let Some(held) = self.check(*n, decision)? {
                    for step in meanwhile {
                        // what is let go after a restart is not there any more
                        if !matches!(step, Step::Restart) {
                            self.play(step)?;
                        }
                    }
                    let released = self.access.release(T0, &FIT, held);
                    self.check(*n, released)?;
                }
            }
            Step::Lockdown(n, active) => {
                let before = self.model.locked.contains(n);
                if *active {
                    self.model.locked.insert(*n);
                } else {
                    self.model.locked.remove(n);
                }
                prop_assert_eq!(self.access.set_lockdown(group(*n), *active), before != *active);
            }
            Step::Reload(grouped) => {
                self.access.apply(house(*grouped));
                self.model.grouped = *grouped;
            }
            Step::Rex(n) => {
                let exit = rex(DOORS[*n], &format!("{}-rex", DOORS[*n]));
                prop_assert!(self.decide(exit).granted().is_some(), "kept in at {}", DOORS[*n]);
            }
            Step::Restart => {
                let kept: Vec<_> = self.access.lockdowns().cloned().collect();
                prop_assert_eq!(kept.len(), self.model.locked.len());
                self.access = burning(house(self.model.grouped));
                self.access.set_directory(directory());
                for group in kept {
                    self.access.set_lockdown(group, true);
                }
                self.model.stands = [Standing::Unknown; 4];
            }
            Step::Stands(n, standing) => {
                self.access.set_standing(&door(DOORS[*n]), *standing);
                self.model.stands[*n] = *standing;
            }
            Step::Wrong(n) => {
                let decision = self.decide(keypad(T0, DOORS[*n], "pad", "0000"));
                prop_assert!(decision.granted().is_none());
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn doors_open_as_the_model_of_lockdowns_and_interlocks_says(steps in prop::collection::vec(step(), 1..80)) {
        let mut world = World::new();
        // wrong codes must not lock the keypad in this world
        for step in steps.iter().filter(|step| !matches!(step, Step::Wrong(_))) {
            world.play(step)?;
        }
    }

    /// Under a lockdown nobody's try counts, and nobody learns anything of a code.
    #[test]
    fn tries_under_a_lockdown_lock_nobody_out(tries in 1..40_usize) {
        let mut world = World::new();
        for n in 0..4 {
            world.play(&Step::Stands(n, Standing::AtRest))?;
        }
        world.play(&Step::Lockdown(GROUPS.len(), true))?;
        for _ in 0..tries {
            for digits in ["0000", "4812"] {
                let decision = world.decide(keypad(T0, "yard", "pad", digits));
                prop_assert_eq!(decision.explain(), "lockdown: the whole site is locked down");
            }
        }
        world.play(&Step::Lockdown(GROUPS.len(), false))?;
        let decision = world.decide(keypad(T0, "yard", "pad", "4812"));
        prop_assert!(matches!(decision, Decision::Held(_)), "{}", decision.explain());
    }
}

#[test]
fn a_refusal_says_what_keeps_the_door_shut_and_who_it_was() {
    let mut world = World::new();
    let denied = |decision: Decision| match decision {
        Decision::Denied(denied) => (denied.reason.to_string(), denied.subject.to_string()),
        other @ (Decision::Granted(_) | Decision::Held(_)) => panic!("{}", other.explain()),
    };
    let open = || command("outer", Factor::Web, "ann", true);
    for (standing, how) in [
        (Standing::Unknown, "is not known to be shut"),
        (Standing::Open, "is open"),
        (Standing::Opening, "is being opened"),
    ] {
        world.access.set_standing(&door("inner"), standing);
        let expected = (format!("interlock: door inner {how}"), "user:ann".to_owned());
        assert_eq!(denied(world.decide(open())), expected);
    }
    world.access.set_standing(&door("inner"), Standing::AtRest);
    assert!(world.decide(open()).granted().is_some());
    world.access.set_lockdown(group(2), true);
    let expected = (
        "lockdown: door group street is locked down".to_owned(),
        "user:ann".to_owned(),
    );
    assert_eq!(denied(world.decide(open())), expected);
    // late is late, but the lockdown is told all the same
    let old = keypad(T0 - Duration::from_secs(9), "outer", "pad", "4812");
    assert!(matches!(
        world.decide(old),
        Decision::Denied(d) if matches!(d.reason, Reason::Lockdown { .. })
    ));
}

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::config::Credential;

#[derive(Debug, PartialEq, Eq)]
struct Fake(Identity);

impl Member for Fake {
    fn identity(&self) -> &Identity {
        &self.0
    }
}

fn identity(client: &str, process: u8, generation: u64, claim: Claim) -> Identity {
    let client = ClientKey { id: client.into(), replica: 0 };
    let proven = Proven::Key([0; 32]);
    Identity { client, proven, instance: [process; 16], generation, claim }
}

/// Logs in from Hello to Welcome without anybody in between.
fn log_in(roster: &mut Roster<Fake>, identity: Identity) -> Result<Vec<u64>, KeptOut> {
    roster.announce(&identity)?;
    let out = roster.enter(&Arc::new(Fake(identity.clone())));
    roster.forget(identity.generation);
    Ok(out?.iter().map(|member| member.0.generation).collect())
}

fn live(roster: &Roster<Fake>) -> Vec<u64> {
    roster.members().iter().map(|member| member.0.generation).collect()
}

#[test]
fn a_restarted_client_takes_the_place_of_its_former_self() {
    let mut roster = Roster::default();
    assert_eq!(log_in(&mut roster, identity("a", 1, 1, Claim::New)), Ok(vec![]));
    assert_eq!(log_in(&mut roster, identity("b", 2, 2, Claim::New)), Ok(vec![]));
    assert_eq!(log_in(&mut roster, identity("a", 3, 3, Claim::New)), Ok(vec![1]));
    // The late clean-up of the first.
    roster.leave(1);
    assert_eq!(live(&roster), [2, 3]);
    let replica = ClientKey { id: "a".into(), replica: 1 };
    let replica = Identity { client: replica, ..identity("a", 3, 4, Claim::New) };
    assert_eq!(log_in(&mut roster, replica), Ok(vec![]));
    assert_eq!(live(&roster), [2, 3, 4]);
}

#[test]
fn a_client_that_comes_back_replaces_itself_but_nobody_newer() {
    let mut roster = Roster::default();
    log_in(&mut roster, identity("a", 1, 1, Claim::New)).unwrap();
    assert_eq!(log_in(&mut roster, identity("a", 1, 2, Claim::UpTo(1))), Ok(vec![1]));
    // Its Welcome was lost: it knows of the first only.
    assert_eq!(log_in(&mut roster, identity("a", 1, 3, Claim::UpTo(1))), Ok(vec![2]));
    // A second process with the same name, and the first one, which does not give up.
    assert_eq!(log_in(&mut roster, identity("a", 2, 4, Claim::New)), Ok(vec![3]));
    assert_eq!(log_in(&mut roster, identity("a", 1, 5, Claim::UpTo(3))), Err(KeptOut::Newer));
    assert_eq!(live(&roster), [4]);
    assert_eq!(roster.expected(None), 1, "who was kept out is not expected");
    // The second one leaves, so the first one may come back, and the second one then not.
    roster.leave(4);
    assert_eq!(log_in(&mut roster, identity("a", 1, 6, Claim::UpTo(3))), Ok(vec![]));
    assert_eq!(log_in(&mut roster, identity("a", 2, 7, Claim::UpTo(4))), Err(KeptOut::Newer));
}

#[test]
fn of_two_that_arrive_at_once_the_later_one_stays() {
    let mut roster = Roster::default();
    let (slow, fast) = (identity("a", 1, 1, Claim::New), identity("a", 1, 2, Claim::New));
    roster.announce(&slow).unwrap();
    roster.announce(&fast).unwrap();
    assert_eq!((roster.expected(None), roster.at_most()), (1, 2));
    assert_eq!(roster.enter(&Arc::new(Fake(fast))), Ok(vec![]));
    assert_eq!(roster.enter(&Arc::new(Fake(slow))), Err(KeptOut::Newer));
    assert_eq!(live(&roster), [2]);
}

#[test]
fn nobody_takes_the_place_of_who_has_proven_something_else() {
    let secret = |byte| Proven::Secret(Credential::Argon2id(format!("{byte}")));
    let (key, another) = (Proven::Key([0; 32]), Proven::Key([1; 32]));
    let proving = |proven: &Proven, generation, claim| Identity {
        proven: proven.clone(),
        ..identity("a", 1, generation, claim)
    };
    for (standing, comer) in [(&key, &another), (&key, &secret(1))] {
        let mut roster = Roster::default();
        log_in(&mut roster, proving(standing, 1, Claim::New)).unwrap();
        for claim in [Claim::New, Claim::UpTo(1), Claim::UpTo(9)] {
            assert_eq!(log_in(&mut roster, proving(comer, 2, claim)), Err(KeptOut::Anothers));
        }
        // Of two that arrive at once the second one may not enter either.
        roster.leave(1);
        let (first, second) = (proving(standing, 3, Claim::New), proving(comer, 4, Claim::New));
        roster.announce(&first).unwrap();
        roster.announce(&second).unwrap();
        assert_eq!(roster.enter(&Arc::new(Fake(first))), Ok(vec![]));
        assert_eq!(roster.enter(&Arc::new(Fake(second))), Err(KeptOut::Anothers));
        assert_eq!(live(&roster), [3]);
    }
    for (standing, comer) in [(&key, &key), (&secret(1), &secret(2))] {
        let mut roster = Roster::default();
        log_in(&mut roster, proving(standing, 1, Claim::New)).unwrap();
        assert_eq!(log_in(&mut roster, proving(comer, 2, Claim::New)), Ok(vec![1]));
    }
}

#[test]
fn a_key_takes_its_own_name_from_whoever_has_the_groups_secret() {
    let secret = Proven::Secret(Credential::Argon2id("1".into()));
    let by_secret = |generation| Identity {
        proven: secret.clone(),
        ..identity("a", 1, generation, Claim::New)
    };
    for claim in [Claim::New, Claim::UpTo(0), Claim::UpTo(9)] {
        let mut roster = Roster::default();
        log_in(&mut roster, by_secret(1)).unwrap();
        assert_eq!(log_in(&mut roster, identity("a", 2, 2, claim)), Ok(vec![1]));
        assert_eq!(log_in(&mut roster, by_secret(3)), Err(KeptOut::Anothers));
        // Who is faster after it does not keep it out either.
        roster.leave(2);
        let (key, faster) = (identity("a", 2, 4, claim), by_secret(5));
        roster.announce(&key).unwrap();
        assert_eq!(log_in(&mut roster, faster), Ok(vec![]));
        assert_eq!(roster.enter(&Arc::new(Fake(key))).map(|out| out.len()), Ok(1));
        assert_eq!(live(&roster), [4]);
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// A process sends Hello.
    Hello { process: u8, claim: Claims },
    /// The oldest of those that are welcomed and have not entered does.
    Enter,
    /// The newest of them does.
    EnterNewest,
    /// One of them gives up.
    GiveUp,
    /// The clean-up of the n-th session that ever was.
    Leave(usize),
}

#[derive(Debug, Clone, Copy)]
enum Claims {
    New,
    LastOwn,
    Any(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let claim =
        prop_oneof![Just(Claims::New), Just(Claims::LastOwn), (0_u64..30).prop_map(Claims::Any)];
    prop_oneof![
        4 => (0_u8..6, claim).prop_map(|(process, claim)| Step::Hello { process, claim }),
        4 => Just(Step::Enter),
        1 => Just(Step::EnterNewest),
        1 => Just(Step::GiveUp),
        2 => (0_usize..30).prop_map(Step::Leave),
    ]
}

/// Process 0 to 2 are called "a", 3 to 5 "b".
fn name(process: u8) -> &'static str {
    if process < 3 { "a" } else { "b" }
}

/// Who is live under each name, as told rather than searched for.
type Model = HashMap<String, Identity>;

/// The rule in other words than the code's.
fn may(model: &Model, comer: &Identity) -> bool {
    model.get(&comer.client.id).is_none_or(|standing| {
        let mine = standing.instance == comer.instance;
        let named = match comer.claim {
            Claim::New => true,
            Claim::UpTo(generation) => generation >= standing.generation,
        };
        comer.generation > standing.generation && (mine || named)
    })
}

proptest! {
    #[test]
    fn one_session_of_each_name_is_live_and_only_the_rule_replaces_it(
        steps in proptest::collection::vec(step(), 0..60)
    ) {
        let mut roster = Roster::<Fake>::default();
        let (mut model, mut last) = (Model::new(), HashMap::new());
        let mut arriving: Vec<Identity> = vec![];
        let mut ever = vec![];
        let mut generation = 0;
        for step in steps {
            match step {
                Step::Hello { process, claim } => {
                    generation += 1;
                    let own = last.get(&process).copied();
                    let claim = match (claim, own) {
                        (Claims::LastOwn, Some(own)) => Claim::UpTo(own),
                        (Claims::New | Claims::LastOwn, _) => Claim::New,
                        (Claims::Any(any), _) => Claim::UpTo(any),
                    };
                    let comer = identity(name(process), process, generation, claim);
                    let announced = roster.announce(&comer);
                    prop_assert_eq!(announced.is_ok(), may(&model, &comer));
                    if announced.is_ok() {
                        arriving.push(comer);
                    }
                }
                Step::Enter | Step::EnterNewest if !arriving.is_empty() => {
                    let newest = matches!(step, Step::EnterNewest);
                    let at = if newest { arriving.len() - 1 } else { 0 };
                    let comer = arriving.remove(at);
                    let entered = roster.enter(&Arc::new(Fake(comer.clone())));
                    roster.forget(comer.generation);
                    prop_assert_eq!(entered.is_ok(), may(&model, &comer));
                    if let Ok(out) = entered {
                        let replaced = model.insert(comer.client.id.clone(), comer.clone());
                        let out = out.iter().map(|it| it.0.clone()).collect::<Vec<_>>();
                        prop_assert_eq!(out, replaced.into_iter().collect::<Vec<_>>());
                        last.insert(comer.instance[0], comer.generation);
                        ever.push(comer);
                    }
                }
                Step::GiveUp => {
                    if let Some(gone) = arriving.pop() {
                        roster.forget(gone.generation);
                    }
                }
                Step::Leave(at) => {
                    if let Some(gone) = ever.get(at) {
                        roster.leave(gone.generation);
                        model.retain(|_, standing| standing != gone);
                    }
                }
                Step::Enter | Step::EnterNewest => {}
            }
            let mut live = live(&roster);
            live.sort_unstable();
            let mut told = model.values().map(|it| it.generation).collect::<Vec<_>>();
            told.sort_unstable();
            prop_assert_eq!(live, told);
            prop_assert!(roster.expected(None) <= roster.at_most());
            prop_assert!(roster.members().len() <= roster.expected(None));
        }
    }

    /// Two processes that share a name by mistake, and come back whenever they are thrown out.
    #[test]
    fn two_processes_with_one_name_do_not_push_each_other_out_for_ever(
        turns in proptest::collection::vec((0_u8..2, any::<bool>()), 1..200)
    ) {
        let mut roster = Roster::<Fake>::default();
        let mut last = [None, None];
        let mut thrown_out = 0;
        for (generation, (process, lost)) in (1_u64..).zip(turns) {
            let me = usize::from(process);
            if lost && let Some(standing) = roster.members().first().cloned()
                && standing.0.instance[0] == process
            {
                // Its link broke; the gateway does not know yet, or does.
                if generation % 2 == 0 {
                    roster.leave(standing.0.generation);
                }
            }
            let claim = last[me].map_or(Claim::New, Claim::UpTo);
            let other = roster.members().iter().any(|it| it.0.instance[0] != process);
            if log_in(&mut roster, identity("a", process, generation, claim)).is_ok() {
                thrown_out += usize::from(other);
                last[me] = Some(generation);
            }
        }
        prop_assert!(thrown_out <= 2, "{} times", thrown_out);
    }
}

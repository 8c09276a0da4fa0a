//! Whatever the pieces and the waits, what comes out is what went in.

use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any};
use proptest::{prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::script::{In, Out, Script, end};
use crate::{Deadline, Outcome, RelayTimeouts, relay};

const DAY: Duration = Duration::from_secs(86_400);

fn rest() -> impl Strategy<Value = Duration> {
    (1_u64..100_000).prop_map(Duration::from_millis)
}

fn input() -> impl Strategy<Value = Vec<In>> {
    let bytes = vec(any::<u8>(), 1..600).prop_map(In::Bytes);
    vec(prop_oneof![4 => bytes, 2 => Just(In::Blink), 1 => rest().prop_map(In::Rest)], 0..40)
}

fn output() -> impl Strategy<Value = Vec<Out>> {
    let take = (1_usize..200).prop_map(Out::Take);
    vec(prop_oneof![4 => take, 2 => Just(Out::Blink), 1 => rest().prop_map(Out::Rest)], 0..80)
}

fn waits() -> impl Strategy<Value = Vec<Out>> {
    vec(prop_oneof![Just(Out::Blink), rest().prop_map(Out::Rest)], 0..10)
}

#[derive(Debug, Clone)]
struct Plan {
    input: Vec<In>,
    output: Vec<Out>,
    waits: Vec<Out>,
}

fn plan() -> impl Strategy<Value = Plan> {
    (input(), output(), waits()).prop_map(|(input, output, waits)| Plan { input, output, waits })
}

impl Plan {
    fn sent(&self) -> Vec<u8> {
        let pieces = self.input.iter().filter_map(|step| match step {
            In::Bytes(bytes) => Some(bytes.as_slice()),
            In::Blink | In::Rest(_) | In::Error(_) | In::Eof => None,
        });
        pieces.flatten().copied().collect()
    }

    fn script(&self, last: In) -> Script {
        let mut script = Script::new(self.input.clone(), self.output.clone());
        script.input.push_back(last);
        script.on_flush.extend(self.waits.clone());
        script
    }
}

fn run(a: &mut Script, b: &mut Script, timeouts: RelayTimeouts) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let relayed = relay(a, b, timeouts);
        Deadline::after(10 * DAY).bound(relayed).await.expect("the relay hangs")
    })
}

/// None, or limits longer than any rest of a plan.
fn timeouts() -> impl Strategy<Value = RelayTimeouts> {
    prop_oneof![
        Just(RelayTimeouts::default()),
        Just(RelayTimeouts { idle: Some(DAY), stall: Some(DAY) })
    ]
}

proptest! {
    #[test]
    fn every_byte_arrives_in_order(one in plan(), other in plan(), timeouts in timeouts()) {
        let (mut a, mut b) = (one.script(In::Eof), other.script(In::Eof));
        let outcome = run(&mut a, &mut b, timeouts);
        prop_assert_eq!(end(&outcome.a_to_b), "Finished");
        prop_assert_eq!(end(&outcome.b_to_a), "Finished");
        prop_assert_eq!(&b.written, &one.sent());
        prop_assert_eq!(&a.written, &other.sent());
        prop_assert_eq!(outcome.a_to_b.bytes, b.written.len() as u64);
        prop_assert_eq!(outcome.b_to_a.bytes, a.written.len() as u64);
        prop_assert_eq!((a.finished, b.finished), (1, 1));
        prop_assert_eq!((a.flushed, b.flushed), (a.written.len(), b.written.len()));
    }

    #[test]
    fn all_bytes_before_a_reset_arrive(one in plan(), other in plan(), timeouts in timeouts()) {
        let mut a = one.script(In::Error(ConnectionReset));
        let mut b = other.script(In::Rest(10 * DAY));
        let outcome = run(&mut a, &mut b, timeouts);
        prop_assert_eq!(end(&outcome.a_to_b), "ReadFailed(ConnectionReset)");
        prop_assert_eq!(end(&outcome.b_to_a), "Abandoned");
        prop_assert_eq!(&b.written, &one.sent());
        prop_assert_eq!(b.flushed, b.written.len());
        prop_assert!(other.sent().starts_with(&a.written));
        prop_assert_eq!((a.finished, b.finished), (0, 0));
    }

    #[test]
    fn a_broken_sink_costs_the_other_direction_nothing(one in plan(), other in plan()) {
        let mut a = one.script(In::Eof);
        let mut b = other.script(In::Eof);
        b.output.push_back(Out::Error(BrokenPipe));
        let outcome = run(&mut a, &mut b, RelayTimeouts::default());
        prop_assert_eq!(end(&outcome.b_to_a), "Finished");
        prop_assert_eq!(&a.written, &other.sent());
        prop_assert!(one.sent().starts_with(&b.written));
        prop_assert_eq!(outcome.a_to_b.bytes, b.written.len() as u64);
        let broke = end(&outcome.a_to_b) == "WriteFailed(BrokenPipe)";
        prop_assert_eq!(a.stopped.len(), usize::from(broke));
        prop_assert!(broke || b.written == one.sent());
    }
}

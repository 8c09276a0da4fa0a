use super::*;

fn addr(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

fn connected(forwards: &[ForwardState], replicas: u32) -> State {
    State::Connected { transport: Transport::Quic, forwards: forwards.to_vec(), replicas }
}

#[test]
fn a_client_is_connected_while_any_replica_is() {
    let (reporters, seen) = Reporter::for_replicas(3);
    assert_eq!(*seen.borrow(), State::Connecting);
    reporters[0].set(State::Waiting("refused".into()));
    assert_eq!(*seen.borrow(), State::Waiting("refused".into()));
    reporters[2].connected(Transport::Quic, 0);
    assert_eq!(*seen.borrow(), connected(&[], 1));
    reporters[0].connected(Transport::Quic, 0);
    assert_eq!(*seen.borrow(), connected(&[], 2));
    reporters[2].set(State::Connecting);
    reporters[1].set(State::Ended);
    assert_eq!(*seen.borrow(), connected(&[], 1));
    reporters[0].set(State::Ended);
    assert_eq!(*seen.borrow(), State::Connecting);
    reporters[2].set(State::Ended);
    assert_eq!(*seen.borrow(), State::Ended);
}

#[test]
fn a_forward_is_as_far_as_any_replica_got() {
    use ForwardState::{Bound, Refused, Requested};
    let (reporters, seen) = Reporter::for_replicas(2);
    for reporter in &reporters {
        reporter.connected(Transport::Quic, 2);
    }
    assert_eq!(*seen.borrow(), connected(&[Requested, Requested], 2));
    reporters[1].set_forward(0, Refused("held".into()));
    assert_eq!(*seen.borrow(), connected(&[Refused("held".into()), Requested], 2));
    reporters[0].set_forward(0, Bound(addr(1)));
    reporters[1].set_forward(1, Bound(addr(2)));
    assert_eq!(*seen.borrow(), connected(&[Bound(addr(1)), Bound(addr(2))], 2));
    reporters[0].set(State::Connecting);
    assert_eq!(*seen.borrow(), connected(&[Refused("held".into()), Bound(addr(2))], 1));
}

#[test]
fn what_changes_nothing_wakes_nobody() {
    let (reporters, mut seen) = Reporter::for_replicas(2);
    reporters[0].connected(Transport::Quic, 0);
    seen.mark_unchanged();
    reporters[1].set(State::Waiting("refused".into()));
    assert!(!seen.has_changed().unwrap());
    reporters[1].connected(Transport::Quic, 0);
    assert!(seen.has_changed().unwrap());
}

#[test]
fn a_refusal_that_is_told_again_is_no_news() {
    let (reporters, _seen) = Reporter::for_replicas(2);
    for reporter in &reporters {
        reporter.connected(Transport::Quic, 1);
        let refused = |why: &str| reporter.set_forward(0, ForwardState::Refused(why.into()));
        assert!(refused("held"), "news of this replica, whatever the others know");
        assert!(!refused("held"));
        assert!(refused("not allowed"));
        assert!(reporter.set_forward(0, ForwardState::Bound(addr(1))));
    }
}

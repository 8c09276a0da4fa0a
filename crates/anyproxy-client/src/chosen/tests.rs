use super::*;

fn any() -> Forward {
    Forward { listen: "192.0.2.1:0".into(), ..Forward::default() }
}

fn listen(text: &str) -> Ask {
    Ask::Listen(text.into())
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn a_fixed_port_is_everybodys_at_once() {
    let (ports, fixed) =
        (ChosenPorts::new(1), Forward { listen: "192.0.2.1:80".into(), ..Forward::default() });
    assert_eq!(ports.ask(0, &fixed, 0), listen("192.0.2.1:80"));
    assert_eq!(ports.ask(0, &fixed, 1), listen("192.0.2.1:80"));
}

#[test]
fn one_asks_and_the_others_follow() {
    let ports = ChosenPorts::new(2);
    let mut changes = ports.changes();
    assert_eq!(ports.ask(1, &any(), 5), listen("192.0.2.1:0"));
    assert_eq!(ports.ask(1, &any(), 6), Ask::Later);
    assert_eq!(ports.ask(0, &any(), 6), listen("192.0.2.1:0"), "each forward for itself");
    assert!(!changes.has_changed().unwrap());
    ports.answered(1, 5, Some(addr("192.0.2.1:4711")));
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    assert_eq!(ports.ask(1, &any(), 6), listen("192.0.2.1:4711"));
    assert_eq!(ports.ask(1, &any(), 5), listen("192.0.2.1:4711"), "after a reconnect too");
}

#[test]
fn a_port_is_given_up_with_its_last_holder() {
    let ports = ChosenPorts::new(1);
    assert_eq!(ports.ask(0, &any(), 0), listen("192.0.2.1:0"));
    ports.answered(0, 0, Some(addr("192.0.2.1:4711")));
    ports.answered(0, 1, Some(addr("192.0.2.1:4711")));
    ports.answered(0, 1, Some(addr("192.0.2.1:4711")));
    ports.left(0);
    assert_eq!(ports.ask(0, &any(), 0), listen("192.0.2.1:4711"));
    ports.left(1);
    assert_eq!(ports.ask(0, &any(), 0), listen("192.0.2.1:0"));
}

#[test]
fn who_fails_to_get_a_port_lets_the_next_one_try() {
    for fail in
        [|ports: &ChosenPorts| ports.answered(0, 0, None), |ports: &ChosenPorts| ports.left(0)]
    {
        let ports = ChosenPorts::new(1);
        assert_eq!(ports.ask(0, &any(), 0), listen("192.0.2.1:0"));
        assert_eq!(ports.ask(0, &any(), 1), Ask::Later);
        let changes = ports.changes();
        ports.answered(0, 1, None);
        ports.left(1);
        assert!(!changes.has_changed().unwrap(), "that was another replica");
        fail(&ports);
        assert!(changes.has_changed().unwrap());
        assert_eq!(ports.ask(0, &any(), 1), listen("192.0.2.1:0"));
    }
}

#[test]
fn a_port_that_the_gateway_took_back_is_asked_for_anew() {
    let ports = ChosenPorts::new(1);
    let port = addr("192.0.2.1:4711");
    assert_eq!(ports.ask(0, &any(), 0), listen("192.0.2.1:0"));
    ports.answered(0, 0, Some(port));
    ports.answered(0, 1, Some(port));
    ports.answered(0, 2, None);
    assert_eq!(ports.ask(0, &any(), 2), listen("192.0.2.1:4711"));
    ports.answered(0, 0, None);
    ports.answered(0, 1, None);
    assert_eq!(ports.ask(0, &any(), 2), listen("192.0.2.1:0"));
    assert_eq!(ports.ask(0, &any(), 0), Ask::Later);
}

//! Any events, in any order.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone, Copy)]
enum Step {
    Pass(u64),
    Dialled(Transport),
    Failed(Transport, Obstacle),
    LoggedIn(Transport),
    Look(bool, u64, u64),
    Over,
    FellBack(Transport),
    Cut(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let transport = || prop_oneof![Just(Quic), Just(WebSocket)];
    let obstacle = prop_oneof![4 => Just(Obstacle::Way), 1 => Just(Obstacle::Gateway)];
    prop_oneof![
        4 => (0_u64..3000).prop_map(Step::Pass),
        4 => transport().prop_map(Step::Dialled),
        2 => (transport(), obstacle).prop_map(|(transport, why)| Step::Failed(transport, why)),
        4 => transport().prop_map(Step::LoggedIn),
        8 => (any::<bool>(), 0_u64..60, 0_u64..2).prop_map(|(heard, lost, strains)| {
            Step::Look(heard, lost, strains)
        }),
        1 => Just(Step::Over),
        1 => transport().prop_map(Step::FellBack),
        1 => (9_u32..12).prop_map(Step::Cut),
    ]
}

/// What a driver would know: what runs over each transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Nothing,
    Dialling,
    Dialled,
    LoggingIn,
}

fn may_use(choice: Choice, transport: Transport) -> bool {
    match choice {
        Choice::Auto => true,
        Choice::Quic => transport == Quic,
        Choice::WebSocket => transport == WebSocket,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever happens, in whatever order.
    #[test]
    fn commands_make_sense(
        choice in prop_oneof![
            2 => Just(Choice::Auto), 1 => Just(Choice::Quic), 1 => Just(Choice::WebSocket)
        ],
        max_age in proptest::option::of((10_u64..100).prop_map(Duration::from_secs)),
        steps in proptest::collection::vec(step(), 0..200),
        seed: u64,
    ) {
        let mut now = Instant::now();
        let mut path = Path::new(choice, max_age, seed);
        path.start(now, None);
        let mut doing = [Doing::Nothing; 2];
        let mut carrier: Option<Transport> = None;
        let mut sample = Sample { rtt: RTT, ..Sample::default() };
        let index = |transport| usize::from(transport == WebSocket);
        for step in steps {
            match step {
                Step::Pass(millis) => now += Duration::from_millis(millis),
                Step::Dialled(it) if doing[index(it)] == Doing::Dialling => {
                    doing[index(it)] = Doing::Dialled;
                    path.dialled(now, it);
                }
                Step::Failed(it, why) if doing[index(it)] != Doing::Nothing => {
                    doing[index(it)] = Doing::Nothing;
                    path.failed(now, it, why);
                }
                Step::LoggedIn(it) if doing[index(it)] == Doing::LoggingIn => {
                    doing[index(it)] = Doing::Nothing;
                    carrier = Some(it);
                    path.logged_in(now, it);
                }
                Step::FellBack(it) if carrier.is_some() && may_use(choice, it) => {
                    carrier = Some(it);
                    path.fell_back(now, it, now);
                }
                Step::Look(heard, lost, strains) => {
                    now += LOOK;
                    sample.received += u64::from(heard);
                    sample.sent += 60;
                    sample.lost += lost;
                    sample.strains += strains;
                    path.sample(now, &sample);
                }
                Step::Cut(age) => {
                    let born = now.checked_sub(age * SECOND).unwrap_or(now);
                    path.lived(now, (WebSocket, born), Life::Cut);
                }
                Step::Over => {
                    (carrier, doing) = (None, [Doing::Nothing; 2]);
                    path.start(now, carrier);
                }
                Step::Dialled(_) | Step::Failed(..) | Step::LoggedIn(_) | Step::FellBack(_) => {}
            }
            for turn in 0.. {
                prop_assert!(turn < 10, "it never rests");
                let Some(command) = path.poll(now) else { break };
                match command {
                    Command::Ping => prop_assert!(carrier.is_some()),
                    Command::Dial(it) => {
                        prop_assert_eq!(doing[index(it)], Doing::Nothing);
                        prop_assert!(may_use(choice, it));
                        doing[index(it)] = Doing::Dialling;
                    }
                    Command::LogIn(it) => {
                        prop_assert_eq!(doing[index(it)], Doing::Dialled);
                        let other = doing[index(other(it))];
                        prop_assert_ne!(other, Doing::LoggingIn, "one at a time");
                        doing[index(it)] = Doing::LoggingIn;
                    }
                    Command::GiveUp(it) => {
                        prop_assert_ne!(doing[index(it)], Doing::Nothing);
                        doing[index(it)] = Doing::Nothing;
                    }
                }
            }
            prop_assert!(path.wait_until().is_none_or(|until| until > now));
            let alive = doing.iter().any(|it| *it != Doing::Nothing);
            if path.is_exhausted() {
                // The driver drops whatever runs, and tries again later.
                prop_assert!(carrier.is_none());
                doing = [Doing::Nothing; 2];
                path.start(now, None);
            } else if carrier.is_none() {
                prop_assert!(alive || path.wait_until().is_some(), "it waits for nothing");
            } else if (carrier, choice) == (Some(WebSocket), Choice::Auto) {
                let quic = doing[index(Quic)] != Doing::Nothing;
                prop_assert!(quic || path.wait_until().is_some(), "QUIC is forgotten");
            }
        }
    }
}

use anyproxy_transport::Transport::{Quic, WebSocket};
use proptest::prelude::*;

use super::*;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const RTT: Duration = Duration::from_millis(20);
/// How often the tunnel is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// A path, and a clock that goes on from each thing that is to happen to the next.
struct Stage {
    path: Path,
    now: Instant,
    sample: Sample,
}

impl Stage {
    fn new(choice: Choice) -> Self {
        let now = Instant::now();
        let mut path = Path::new(choice, 7);
        path.start(now, None);
        Self { path, now, sample: Sample { rtt: RTT, ..Sample::default() } }
    }

    fn again(mut self, winner: Transport) -> Self {
        self.path.start(self.now, Some(winner));
        self
    }

    /// With a session over `carrier`, and nothing else under way.
    fn carried(choice: Choice, carrier: Transport) -> Self {
        let mut stage = Self::new(choice);
        stage.commands();
        if carrier == WebSocket {
            stage.path.failed(stage.now, Quic, Obstacle::Way);
            stage.commands();
        }
        stage.up(carrier);
        stage
    }

    fn commands(&mut self) -> Vec<Command> {
        std::iter::from_fn(|| self.path.poll(self.now)).collect()
    }

    fn pass(&mut self, time: Duration) -> Vec<Command> {
        self.now += time;
        self.commands()
    }

    /// To the next thing that is due.
    fn next(&mut self) -> (Duration, Vec<Command>) {
        let until = self.path.wait_until().expect("nothing is due");
        let passed = until.saturating_duration_since(self.now);
        self.now = self.now.max(until);
        (passed, self.commands())
    }

    fn dialled(&mut self, transport: Transport) -> Vec<Command> {
        self.path.dialled(self.now, transport);
        self.commands()
    }

    fn failed(&mut self, transport: Transport) -> Vec<Command> {
        self.path.failed(self.now, transport, Obstacle::Way);
        self.commands()
    }

    /// The whole of an attempt that was begun.
    fn up(&mut self, transport: Transport) {
        assert_eq!(self.dialled(transport), [Command::LogIn(transport)]);
        self.path.logged_in(self.now, transport);
        assert!(!self.commands().contains(&Command::Dial(transport)));
    }

    /// Looks at the tunnel for so long, while `heard` says whether something comes.
    fn watch(&mut self, time: Duration, traffic: Traffic) -> Vec<Command> {
        let (end, mut commands) = (self.now + time, vec![]);
        while self.now < end {
            self.now += LOOK;
            match traffic {
                Traffic::Silent => self.sample.sent += 1,
                Traffic::Losing(percent) => {
                    self.sample.received += 1000;
                    self.sample.sent += 100;
                    self.sample.lost += percent;
                }
            }
            self.path.sample(self.now, &self.sample);
            commands.extend(self.commands());
        }
        commands
    }
}

#[derive(Clone, Copy)]
enum Traffic {
    Silent,
    Losing(u64),
}

const GOOD: Traffic = Traffic::Losing(1);

#[test]
fn quic_has_a_head_start() {
    let mut stage = Stage::new(Choice::Auto);
    assert_eq!(stage.commands(), [Command::Dial(Quic)]);
    assert_eq!(stage.next(), (HEAD_START, vec![Command::Dial(WebSocket)]));
    assert_eq!(stage.dialled(WebSocket), [Command::LogIn(WebSocket)]);
    assert_eq!(stage.dialled(Quic), [], "one at a time");
}

#[test]
fn what_carried_the_last_session_starts_first() {
    let mut stage = Stage::new(Choice::Auto).again(WebSocket);
    assert_eq!(stage.commands(), [Command::Dial(WebSocket)]);
    assert_eq!(stage.next(), (HEAD_START, vec![Command::Dial(Quic)]), "it gets its chance");
    stage.up(WebSocket);
    assert_eq!(stage.dialled(Quic), [Command::LogIn(Quic)], "and takes the session over");
}

#[test]
fn one_that_fails_makes_way_at_once() {
    let mut stage = Stage::new(Choice::Auto);
    stage.commands();
    stage.pass(MS);
    assert_eq!(stage.failed(Quic), [Command::Dial(WebSocket)]);
    assert!(!stage.path.is_exhausted());
    stage.failed(WebSocket);
    assert!(stage.path.is_exhausted());
    assert_eq!(stage.path.wait_until(), None);
}

#[test]
fn quic_that_is_up_first_ends_the_race() {
    for begun in [false, true] {
        let mut stage = Stage::new(Choice::Auto);
        stage.commands();
        if begun {
            assert_eq!(stage.pass(HEAD_START), [Command::Dial(WebSocket)]);
        }
        assert_eq!(stage.dialled(Quic), [Command::LogIn(Quic)]);
        if begun {
            assert_eq!(stage.dialled(WebSocket), []);
        }
        stage.path.logged_in(stage.now, Quic);
        let end: &[_] = if begun { &[Command::GiveUp(WebSocket)] } else { &[] };
        assert_eq!(stage.commands(), end);
        assert_eq!(stage.path.wait_until(), None);
    }
}

#[test]
fn a_login_that_hangs_gives_way() {
    let mut stage = Stage::new(Choice::Auto);
    stage.commands();
    stage.dialled(Quic);
    assert_eq!(stage.pass(HEAD_START), [Command::Dial(WebSocket)]);
    stage.now += 5 * SECOND;
    assert_eq!(stage.commands(), [], "nobody waits for its turn");
    assert_eq!(stage.dialled(WebSocket), [Command::GiveUp(Quic), Command::LogIn(WebSocket)]);
    let mut stage = Stage::new(Choice::Auto);
    stage.commands();
    stage.pass(HEAD_START);
    stage.dialled(Quic);
    assert_eq!(stage.dialled(WebSocket), []);
    let gives_way = vec![Command::GiveUp(Quic), Command::LogIn(WebSocket)];
    assert_eq!(stage.next(), (LOGIN_PATIENCE, gives_way));
}

#[test]
fn what_the_gateway_says_goes_for_both() {
    let mut stage = Stage::new(Choice::Auto);
    stage.commands();
    stage.pass(HEAD_START);
    stage.dialled(Quic);
    stage.path.failed(stage.now, Quic, Obstacle::Gateway);
    assert!(stage.path.is_exhausted());
    assert_eq!(stage.commands(), []);
}

#[test]
fn quic_is_probed_for_ever_with_growing_pauses() {
    let mut stage = Stage::carried(Choice::Auto, WebSocket);
    let mut expected = FIRST_PROBE;
    for _ in 0..1000 {
        let (pause, commands) = stage.next();
        assert_eq!(commands, [Command::Dial(Quic)]);
        assert!(pause >= expected * 3 / 4 && pause <= expected * 5 / 4, "{pause:?} {expected:?}");
        expected = (expected * 2).min(LAST_PROBE);
        assert_eq!(stage.pass(10 * SECOND), []);
        stage.failed(Quic);
    }
    stage.next();
    stage.up(Quic);
}

#[test]
fn quic_that_was_good_is_probed_soon_again_and_quic_that_was_not_is_not() {
    for (lasted, soon) in [(2 * GOOD_QUIC, true), (GOOD_QUIC / 2, false)] {
        let mut stage = Stage::carried(Choice::Auto, WebSocket);
        for _ in 0..4 {
            stage.next();
            stage.failed(Quic);
        }
        stage.next();
        stage.up(Quic);
        assert_eq!(stage.watch(lasted, GOOD), []);
        stage.watch(4 * SECOND, Traffic::Silent);
        stage.up(WebSocket);
        let (pause, _) = stage.next();
        assert_eq!(pause < 2 * FIRST_PROBE, soon, "{pause:?}");
    }
}

#[test]
fn silence_is_answered_within_five_seconds() {
    let mut stage = Stage::carried(Choice::Auto, Quic);
    assert_eq!(stage.watch(60 * SECOND, GOOD), []);
    assert_eq!(stage.watch(2 * SECOND, Traffic::Silent), [Command::Dial(WebSocket)], "standby");
    assert_eq!(stage.dialled(WebSocket), [], "it may come back");
    assert_eq!(stage.watch(SECOND, Traffic::Silent), [Command::LogIn(WebSocket)]);
    stage.path.logged_in(stage.now, WebSocket);
    assert!(stage.next().0 < 2 * FIRST_PROBE);
}

#[test]
fn silence_that_ends_moves_nothing() {
    let mut stage = Stage::carried(Choice::Auto, Quic);
    stage.watch(60 * SECOND, GOOD);
    stage.watch(2 * SECOND + 500 * MS, Traffic::Silent);
    stage.dialled(WebSocket);
    assert_eq!(stage.watch(SECOND, GOOD), [Command::GiveUp(WebSocket)]);
    assert_eq!(stage.watch(60 * SECOND, GOOD), []);
}

#[test]
fn who_wakes_up_has_not_been_silent() {
    let mut stage = Stage::carried(Choice::Auto, Quic);
    stage.watch(SECOND, GOOD);
    stage.now += Duration::from_secs(3600);
    assert_eq!(stage.watch(SECOND, Traffic::Silent), []);
}

#[test]
fn a_slow_network_is_given_its_time() {
    let mut stage = Stage::carried(Choice::Auto, Quic);
    stage.sample.rtt = 800 * MS;
    stage.watch(60 * SECOND, GOOD);
    assert_eq!(stage.watch(5 * SECOND, Traffic::Silent), []);
    assert_eq!(stage.watch(4 * SECOND, Traffic::Silent), [Command::Dial(WebSocket)]);
}

#[test]
fn a_rescue_that_fails_is_tried_again() {
    let mut stage = Stage::carried(Choice::Auto, Quic);
    stage.watch(SECOND, GOOD);
    stage.watch(3 * SECOND, Traffic::Silent);
    for _ in 0..10 {
        assert_eq!(stage.failed(WebSocket), []);
        assert_eq!(stage.watch(RESCUE_PAUSE, Traffic::Silent), [Command::Dial(WebSocket)]);
    }
    stage.up(WebSocket);
}

#[test]
fn a_collapse_is_left_if_the_other_way_is_brisk() {
    let losing = Traffic::Losing(40);
    let mut stage = Stage::carried(Choice::Auto, Quic);
    stage.watch(60 * SECOND, GOOD);
    assert_eq!(stage.watch(12 * SECOND, losing), []);
    assert_eq!(stage.watch(8 * SECOND, losing), [Command::Dial(WebSocket)]);
    stage.now += 1500 * MS;
    assert_eq!(stage.dialled(WebSocket), [Command::GiveUp(WebSocket)], "TCP fares no better");
    assert_eq!(stage.watch(5 * SECOND, losing), []);
    assert_eq!(stage.watch(6 * SECOND, losing), [Command::Dial(WebSocket)]);
    assert_eq!(stage.dialled(WebSocket), [Command::LogIn(WebSocket)]);
}

#[test]
fn silence_does_not_wait_for_what_a_collapse_waits_for() {
    let mut stage = Stage::carried(Choice::Auto, Quic);
    stage.watch(60 * SECOND, GOOD);
    assert_eq!(stage.watch(20 * SECOND, Traffic::Losing(40)), [Command::Dial(WebSocket)]);
    stage.now += 1500 * MS;
    assert_eq!(stage.dialled(WebSocket), [Command::GiveUp(WebSocket)]);
    assert_eq!(stage.watch(3 * SECOND, Traffic::Silent), [Command::Dial(WebSocket)]);
    assert_eq!(stage.watch(SECOND, Traffic::Silent), []);
    assert_eq!(stage.dialled(WebSocket), [Command::LogIn(WebSocket)]);
}

#[test]
fn loss_and_delay_that_quic_is_made_for_are_no_collapse() {
    for (percent, rtt) in [(10, RTT), (20, 400 * MS), (1, 1900 * MS)] {
        let mut stage = Stage::carried(Choice::Auto, Quic);
        stage.sample.rtt = rtt;
        assert_eq!(stage.watch(600 * SECOND, Traffic::Losing(percent)), []);
    }
}

#[test]
fn a_fixed_choice_is_kept() {
    for (choice, transport) in [(Choice::Quic, Quic), (Choice::WebSocket, WebSocket)] {
        let mut stage = Stage::new(choice).again(other(transport));
        assert_eq!(stage.commands(), [Command::Dial(transport)]);
        assert_eq!(stage.path.wait_until(), None);
        stage.up(transport);
        assert!(!stage.path.watches());
        assert_eq!(stage.watch(60 * SECOND, Traffic::Silent), []);
        assert_eq!(stage.path.wait_until(), None);
        let mut stage = Stage::new(choice);
        stage.commands();
        stage.failed(transport);
        assert!(stage.path.is_exhausted());
    }
}

#[test]
fn the_session_falls_back_to_a_tunnel_that_is_left() {
    let mut stage = Stage::carried(Choice::Auto, WebSocket);
    stage.next();
    stage.up(Quic);
    stage.path.fell_back(stage.now, WebSocket);
    assert!(stage.next().1.contains(&Command::Dial(Quic)));
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Pass(u64),
    Dialled(Transport),
    Failed(Transport, Obstacle),
    LoggedIn(Transport),
    Look(bool, u64),
    Over,
    FellBack(Transport),
}

fn step() -> impl Strategy<Value = Step> {
    let transport = || prop_oneof![Just(Quic), Just(WebSocket)];
    let obstacle = prop_oneof![4 => Just(Obstacle::Way), 1 => Just(Obstacle::Gateway)];
    prop_oneof![
        4 => (0_u64..3000).prop_map(Step::Pass),
        4 => transport().prop_map(Step::Dialled),
        2 => (transport(), obstacle).prop_map(|(transport, why)| Step::Failed(transport, why)),
        4 => transport().prop_map(Step::LoggedIn),
        8 => (any::<bool>(), 0_u64..60).prop_map(|(heard, lost)| Step::Look(heard, lost)),
        1 => Just(Step::Over),
        1 => transport().prop_map(Step::FellBack),
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever happens, in whatever order.
    #[test]
    fn commands_make_sense(steps in proptest::collection::vec(step(), 0..200), seed: u64) {
        let mut now = Instant::now();
        let mut path = Path::new(Choice::Auto, seed);
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
                Step::FellBack(it) if carrier.is_some_and(|carrier| carrier != it) => {
                    carrier = Some(it);
                    path.fell_back(now, it);
                }
                Step::Look(heard, lost) => {
                    now += LOOK;
                    sample.received += u64::from(heard);
                    sample.sent += 60;
                    sample.lost += lost;
                    path.sample(now, &sample);
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
                    Command::Dial(it) => {
                        prop_assert_eq!(doing[index(it)], Doing::Nothing);
                        prop_assert_ne!(carrier, Some(it), "it carries the session already");
                        doing[index(it)] = Doing::Dialling;
                    }
                    Command::LogIn(it) => {
                        prop_assert_eq!(doing[index(it)], Doing::Dialled);
                        if carrier.is_none() {
                            let other = doing[index(other(it))];
                            prop_assert_ne!(other, Doing::LoggingIn, "one at a time");
                        }
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
            } else if carrier == Some(WebSocket) {
                let quic = doing[index(Quic)] != Doing::Nothing;
                prop_assert!(quic || path.wait_until().is_some(), "QUIC is forgotten");
            }
        }
    }
}

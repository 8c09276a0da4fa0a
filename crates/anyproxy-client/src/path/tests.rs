use anyproxy_transport::Transport::{Quic, WebSocket};

use super::*;

mod age;
mod choice;
mod hung;
mod random;
mod silence;
mod single;

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
        Self::with(choice, None)
    }

    fn with(choice: Choice, max_age: Option<Duration>) -> Self {
        let now = Instant::now();
        let mut path = Path::new(choice, max_age, 7);
        path.start(now, None);
        Self { path, now, sample: Sample { rtt: RTT, ..Sample::default() } }
    }

    fn again(mut self, winner: Transport) -> Self {
        self.path.start(self.now, Some(winner));
        self
    }

    /// With a session over `carrier`, and nothing else under way.
    fn carried(choice: Choice, carrier: Transport) -> Self {
        Self::new(choice).onto(carrier)
    }

    fn onto(self, carrier: Transport) -> Self {
        let mut stage = self;
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
                Traffic::Strained => {
                    self.sample.received += 1000;
                    self.sample.sent += 100;
                    self.sample.strains += 1;
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
    Strained,
}

const GOOD: Traffic = Traffic::Losing(1);

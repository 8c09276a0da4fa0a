use super::*;

/// Queues attempts by address and account, numbered in order.
#[derive(Default)]
struct Line {
    queue: Queue,
    entered: u64,
    turns: Vec<oneshot::Receiver<Memory>>,
}

impl Line {
    fn enter(&mut self, peer: u32, account: u8, standing: Standing) -> Result<u64, Full> {
        let (turn, receiver) = oneshot::channel();
        let number = self.entered;
        self.entered += 1;
        self.turns.push(receiver);
        let attempt = Attempt::new(IpAddr::V4(peer.into()), [account; 32]);
        self.queue.enter(Waiter { number, attempt, turn }, standing).map(|()| number)
    }

    fn stranger(&mut self, peer: u32, account: u8) -> Result<u64, Full> {
        self.enter(peer, account, Standing::Stranger)
    }

    fn next(&mut self) -> Option<u64> {
        self.queue.next(|_| true).map(|(waiter, _)| waiter.number)
    }

    fn turned_away(&mut self, number: u64) -> bool {
        let turn = &mut self.turns[usize::try_from(number).unwrap()];
        turn.try_recv().unwrap_err() == oneshot::error::TryRecvError::Closed
    }
}

#[test]
fn addresses_take_turns_and_so_do_the_accounts_of_each() {
    let mut line = Line::default();
    let flood = [(1, 1), (1, 1), (1, 2), (1, 1)].map(|(peer, to)| line.stranger(peer, to).unwrap());
    let other = [(2, 1), (2, 1)].map(|(peer, to)| line.stranger(peer, to).unwrap());
    let order = std::iter::from_fn(|| line.next()).collect::<Vec<_>>();
    assert_eq!(order, [flood[0], other[0], flood[2], other[1], flood[1], flood[3]]);
}

#[test]
fn who_got_in_before_goes_first_and_an_address_that_may_not_waits() {
    let mut line = Line::default();
    let slow = line.stranger(1, 1).unwrap();
    let quick = line.stranger(2, 1).unwrap();
    let known = line.enter(1, 2, Standing::Known).unwrap();
    assert_eq!(line.next(), Some(known));
    let may = |peer| peer != IpAddr::V4(1.into());
    assert_eq!(line.queue.next(may).unwrap().0.number, quick);
    assert!(line.queue.next(may).is_none());
    assert_eq!(line.next(), Some(slow));
}

#[test]
fn a_full_queue_makes_room_at_the_cost_of_who_has_most_places() {
    let mut line = Line::default();
    for peer in 0..8 {
        for account in 0..64 {
            line.stranger(peer, account).unwrap();
        }
    }
    assert!(line.stranger(1, 64).is_err(), "one address has its share");
    let late = line.stranger(9, 1).unwrap();
    let away = (0..512).filter(|number| line.turned_away(*number)).count();
    assert_eq!(away, 1);
    // The eight are before it, each once.
    assert_eq!((0..9).find(|_| line.next() == Some(late)), Some(8));
}

#[test]
fn one_account_leaves_the_others_of_its_address_their_places() {
    let mut line = Line::default();
    let flood = (0..64).map(|_| line.stranger(1, 1).unwrap()).collect::<Vec<_>>();
    assert!(line.stranger(1, 1).is_err());
    let late = line.stranger(1, 2).unwrap();
    assert!(line.turned_away(flood[63]));
    assert_eq!([line.next(), line.next()], [Some(flood[0]), Some(late)]);
}

#[test]
fn who_leaves_gives_the_place_back() {
    let mut line = Line::default();
    let numbers = (0..64).map(|account| line.stranger(1, account).unwrap()).collect::<Vec<_>>();
    assert!(line.stranger(1, 99).is_err());
    for number in numbers {
        line.queue.leave(number);
    }
    assert!(line.queue.lanes.is_empty());
    line.stranger(1, 99).unwrap();
}

//! Health against listeners that answer, hang up, say nothing, or are not there.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    thread,
};

use super::*;

/// What a listener does with a connection.
enum Habit {
    Answers,
    HangsUp,
    SaysNothing,
}

/// A listener with that habit, for one connection. It ends when the asker has gone.
fn listener(habit: Habit) -> HostPort {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut question = vec![0; QUESTION.len()];
        stream.read_exact(&mut question).unwrap();
        match habit {
            Habit::Answers => stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap(),
            Habit::HangsUp => {}
            Habit::SaysNothing => assert_eq!(stream.read(&mut question).unwrap(), 0),
        }
    });
    HostPort { host: "127.0.0.1".into(), port }
}

async fn health(addresses: Vec<HostPort>, timeout: Duration) -> (Result<(), Fault>, String) {
    let mut out = Vec::new();
    let result = run(&HealthArgs { addresses, timeout }, &mut out).await;
    (result.map_err(|error| error.fault), String::from_utf8(out).unwrap())
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn what_answers_is_healthy() {
    let address = listener(Habit::Answers);
    let (result, out) = health(vec![address.clone()], LONG).await;
    assert_eq!(result, Ok(()));
    assert_eq!(out, format!("{address}: ok\n"));
}

#[tokio::test]
async fn what_hangs_up_is_not() {
    let addresses = vec![listener(Habit::Answers), listener(Habit::HangsUp)];
    assert_eq!(health(addresses, LONG).await.0, Err(Fault::Silent));
}

#[tokio::test]
async fn what_says_nothing_is_not() {
    let limit = Duration::from_millis(50);
    let (result, out) = health(vec![listener(Habit::SaysNothing)], limit).await;
    assert_eq!((result, out.as_str()), (Err(Fault::Late(limit)), ""));
}

#[tokio::test]
async fn what_is_not_there_is_not() {
    // Bound but not listening: refused, and nobody else gets the port meanwhile.
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = held.local_addr().unwrap().port();
    let address = HostPort { host: "127.0.0.1".into(), port };
    assert_eq!(health(vec![address], LONG).await.0, Err(Fault::Unreachable));
}

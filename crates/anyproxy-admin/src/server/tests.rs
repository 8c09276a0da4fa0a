use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    sync::{Mutex, mpsc},
    time::Instant,
};

use super::*;

struct Fake(Readiness);

impl Subject for Fake {
    fn readiness(&self) -> Readiness {
        self.0.clone()
    }

    fn metrics(&self, page: &mut Page) {
        page.single(&crate::catalogue::READY, 1_u64);
    }

    fn status(&self) -> Status {
        Status { role: "gateway".into(), ..Status::default() }
    }
}

/// A door through which a test comes.
struct Pipes(Mutex<mpsc::Receiver<DuplexStream>>);

impl Door for Pipes {
    type Conn = DuplexStream;

    async fn accept(&self) -> io::Result<DuplexStream> {
        match self.0.lock().await.recv().await {
            Some(conn) => Ok(conn),
            None => std::future::pending().await,
        }
    }
}

struct Served {
    scope: Scope,
    door: mpsc::Sender<DuplexStream>,
}

fn served(readiness: Readiness, offer: Offer) -> Served {
    let (door, conns) = mpsc::channel(64);
    let scope = Scope::root("admin");
    let subject = Arc::new(Fake(readiness));
    scope.spawn("admin", serve(Pipes(Mutex::new(conns)), subject, offer, scope.clone()));
    Served { scope, door }
}

impl Served {
    async fn connect(&self) -> DuplexStream {
        let (near, far) = duplex(64 * 1024);
        self.door.send(far).await.unwrap();
        near
    }

    /// The whole answer to these bytes.
    async fn ask(&self, request: &str) -> String {
        let mut conn = self.connect().await;
        conn.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        conn.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn get(&self, path: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await
    }
}

#[tokio::test(start_paused = true)]
async fn metrics_health_and_readiness() {
    let served = served(Readiness::Ready, Offer::Figures);
    let metrics = served.get("/metrics").await;
    assert!(metrics.starts_with("HTTP/1.1 200"), "{metrics}");
    assert!(metrics.contains("content-type: text/plain; version=0.0.4"), "{metrics}");
    assert!(metrics.ends_with("# TYPE anyproxy_ready gauge\nanyproxy_ready 1\n"), "{metrics}");
    assert!(served.get("/healthz").await.ends_with("\r\n\r\nok\n"));
    assert!(served.get("/readyz").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test(start_paused = true)]
async fn who_is_not_ready_says_why() {
    let served = served(Readiness::NotReady("it drains".into()), Offer::Figures);
    let answer = served.get("/readyz").await;
    assert!(answer.starts_with("HTTP/1.1 503") && answer.ends_with("it drains\n"), "{answer}");
    assert!(served.get("/healthz").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test(start_paused = true)]
async fn the_status_is_served_only_where_everything_is() {
    let numbers = served(Readiness::Ready, Offer::Figures);
    assert!(numbers.get("/status").await.starts_with("HTTP/1.1 404"));
    let all = served(Readiness::Ready, Offer::Everything);
    assert!(all.get("/status").await.contains(r#""role":"gateway""#));
}

#[tokio::test(start_paused = true)]
async fn only_get_and_head() {
    let served = served(Readiness::Ready, Offer::Figures);
    let answer =
        served.ask("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc").await;
    assert!(answer.starts_with("HTTP/1.1 405") && answer.contains("allow: GET, HEAD"), "{answer}");
    let answer = served.ask("HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_head_has_a_bound() {
    let served = served(Readiness::Ready, Offer::Figures);
    let head = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(LONGEST_HEAD));
    assert!(served.ask(&head).await.starts_with("HTTP/1.1 431"));
}

/// Whether the other end has closed without a word.
async fn is_closed(conn: &mut DuplexStream) -> bool {
    let mut nothing = Vec::new();
    conn.read_to_end(&mut nothing).await.is_ok() && nothing.is_empty()
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_is_gone_after_ten_seconds() {
    let served = served(Readiness::Ready, Offer::Figures);
    let mut silent = served.connect().await;
    let began = Instant::now();
    assert!(is_closed(&mut silent).await);
    assert_eq!(began.elapsed().as_secs(), WITHIN.as_secs());
    served.scope.cancel();
    served.scope.finished().await;
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_keeps_nobody_waiting() {
    let served = served(Readiness::Ready, Offer::Figures);
    let mut silent = Vec::new();
    for _ in 0..3 * MOST {
        silent.push(served.connect().await);
    }
    let began = Instant::now();
    assert!(served.get("/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(served.get("/metrics").await.starts_with("HTTP/1.1 200"));
    // The oldest had to go; the latest may still ask.
    assert!(is_closed(&mut silent.remove(0)).await);
    let mut latest = silent.pop().unwrap();
    latest.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    latest.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(began.elapsed(), Duration::ZERO);
}

/// One that has asked and does not read: there is no room for its answer.
async fn resting(served: &Served) -> DuplexStream {
    let (mut near, far) = duplex(48);
    served.door.send(far).await.unwrap();
    near.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    near
}

async fn read(mut conn: DuplexStream) -> String {
    let mut answer = String::new();
    conn.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(start_paused = true)]
async fn readers_that_rest_give_way_after_those_who_say_nothing() {
    let served = served(Readiness::Ready, Offer::Figures);
    let mut all = Vec::new();
    for _ in 1..MOST {
        all.push(resting(&served).await);
    }
    let mut silent = served.connect().await;
    let began = Instant::now();
    assert!(served.get("/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(is_closed(&mut silent).await);
    all.push(resting(&served).await);
    assert!(served.get("/healthz").await.starts_with("HTTP/1.1 200"));
    let mut answers = Vec::new();
    for conn in all {
        answers.push(read(conn).await.ends_with("ok\n"));
    }
    assert_eq!(answers.iter().position(|whole| !whole), Some(0), "the oldest had to go");
    assert_eq!(answers.iter().filter(|whole| !**whole).count(), 1);
    assert!(began.elapsed() < Duration::from_millis(10));
}

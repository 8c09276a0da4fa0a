use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    sync::{Mutex, mpsc},
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

#[tokio::test(start_paused = true)]
async fn who_says_nothing_is_gone_after_ten_seconds_and_keeps_nobody_out_for_longer() {
    let served = served(Readiness::Ready, Offer::Figures);
    let mut silent = Vec::new();
    for _ in 0..MOST {
        silent.push(served.connect().await);
    }
    let began = tokio::time::Instant::now();
    assert!(served.get("/healthz").await.starts_with("HTTP/1.1 200"));
    assert_eq!(began.elapsed().as_secs(), WITHIN.as_secs());
    let mut nothing = Vec::new();
    silent.remove(0).read_to_end(&mut nothing).await.unwrap();
    assert!(nothing.is_empty());
    served.scope.cancel();
    served.scope.finished().await;
}

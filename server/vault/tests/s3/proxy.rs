//! The way between a vault and its store, doing harm as told. The store behind it is the real one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use super::report::{Row, report};

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verb {
    Put,
    /// Of a multipart upload: beginning it, a part, its completion, giving it up.
    Begin,
    Part,
    Complete,
    Abort,
    Get,
    Head,
    List,
    Delete,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Harm {
    /// It is not heard, and nothing comes back.
    Timeout,
    /// It is done, and the connection ends without an answer.
    Lost,
    /// It is not heard, and this status comes back.
    Status(u16),
    /// The connection ends in the middle of the body that matters.
    Reset,
    /// Half of the body that matters, as if that were all.
    Short,
    /// One bit of it is another; instead of a list comes a page for people.
    Bent,
    /// The list that came when the same was asked for the first time.
    Stale,
    /// The list without its last entry, and well-formed.
    Lacking,
}

struct Rule {
    verb: Verb,
    harm: Harm,
    /// So many pass before it begins.
    spared: usize,
    times: usize,
}

#[derive(Default)]
struct State {
    store: u16,
    rule: Mutex<Option<Rule>>,
    harmed: AtomicUsize,
    link: Mutex<Link>,
    busy: Mutex<HashMap<Verb, Busy>>,
    first_lists: Mutex<HashMap<String, Bytes>>,
}

pub struct Proxy {
    pub port: u16,
    state: Arc<State>,
    _runtime: tokio::runtime::Runtime,
}

/// What came to harm in the whole of this test run, by verb and harm.
static TALLY: Mutex<BTreeMap<Verb, BTreeMap<String, usize>>> = Mutex::new(BTreeMap::new());

fn tally() -> MutexGuard<'static, BTreeMap<Verb, BTreeMap<String, usize>>> {
    TALLY.lock().unwrap()
}

impl Drop for Proxy {
    /// The last one of the run tells all.
    fn drop(&mut self) {
        let tally = tally();
        let harms: BTreeSet<&String> = tally.values().flat_map(BTreeMap::keys).collect();
        let harms: Vec<&str> = harms.into_iter().map(String::as_str).collect();
        let sum = |harms: &BTreeMap<String, usize>| harms.values().sum::<usize>();
        let verbs: Vec<String> = tally.iter().map(|(verb, harms)| format!("{verb:?} {}", sum(harms))).collect();
        let what = format!(
            "requests harmed between the vault and a SeaweedFS: {}; × {}",
            verbs.join(", ").to_lowercase(),
            harms.join(", ").to_lowercase()
        );
        report(&Row { part: "s3", what, count: tally.values().map(sum).sum() });
    }
}

type Answer = Response<http_body_util::combinators::UnsyncBoxBody<Bytes, io::Error>>;

impl Proxy {
    /// In front of the store at this port.
    pub fn new(store: u16) -> Proxy {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let state = Arc::new(State { store, ..State::default() });
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        let serving = state.clone();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = serving.clone();
                tokio::spawn(async move {
                    let service = service_fn(|request| pass(state.clone(), request));
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Proxy { port, state, _runtime: runtime }
    }

    /// The next so many requests of this verb come to harm.
    pub fn harm(&self, verb: Verb, harm: Harm, times: usize) {
        self.harm_after(0, verb, harm, times);
    }

    /// So many pass, and those that follow come to harm.
    pub fn harm_after(&self, spared: usize, verb: Verb, harm: Harm, times: usize) {
        *self.state.rule.lock().unwrap() = Some(Rule { verb, harm, spared, times });
        self.state.harmed.store(0, Ordering::SeqCst);
    }

    /// All is well from now on. Gives how many requests came to harm.
    pub fn heal(&self) -> usize {
        *self.state.rule.lock().unwrap() = None;
        self.state.harmed.swap(0, Ordering::SeqCst)
    }

    /// From now on the store is further away.
    pub fn link(&self, link: Link) {
        *self.state.link.lock().unwrap() = link;
    }

    /// How many requests of this verb for packs were under way at once, at most.
    pub fn most_at_once(&self, verb: Verb) -> usize {
        self.state.busy.lock().unwrap().get(&verb).map_or(0, |busy| busy.times.len().saturating_sub(1))
    }

    /// How many requests of this verb there were for packs.
    pub fn count(&self, verb: Verb) -> usize {
        self.state.busy.lock().unwrap().get(&verb).map_or(0, |busy| busy.count)
    }

    /// From the first request of this verb for a pack to the last one's end: the share of the time in which so many were under
    /// way, or more.
    pub fn share_with(&self, verb: Verb, count: usize) -> f64 {
        let busy = self.state.busy.lock().unwrap();
        let times = busy.get(&verb).map_or(&[][..], |busy| &busy.times);
        let all: Duration = times.iter().sum();
        times.iter().skip(count).sum::<Duration>().as_secs_f64() / all.as_secs_f64().max(0.001)
    }
}

/// How far away the store is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Link {
    /// Each answer comes this much later.
    pub delay: Duration,
    /// Bytes a second of one connection; without bounds if it is 0.
    pub rate: u64,
}

impl Link {
    async fn carry(&self, bytes: usize) {
        if let Some(time) = (bytes as u64 * 1000).checked_div(self.rate) {
            tokio::time::sleep(Duration::from_millis(time)).await;
        }
    }
}

/// Requests of one verb for packs that are under way.
#[derive(Default)]
struct Busy {
    count: usize,
    now: usize,
    since: Option<Instant>,
    /// For how long there were so many, from none on.
    times: Vec<Duration>,
}

impl Busy {
    fn change(&mut self, count: usize) {
        if let Some(since) = self.since.replace(Instant::now()) {
            self.times.resize(self.times.len().max(self.now + 1), Duration::ZERO);
            self.times[self.now] += since.elapsed();
        }
        self.now = count;
    }
}

/// A request under way.
struct Under {
    state: Arc<State>,
    verb: Verb,
}

impl Under {
    fn way(state: &Arc<State>, verb: Verb) -> Under {
        let mut busy = state.busy.lock().unwrap();
        let busy = busy.entry(verb).or_default();
        busy.count += 1;
        busy.change(busy.now + 1);
        Under { state: state.clone(), verb }
    }
}

impl Drop for Under {
    fn drop(&mut self) {
        let mut busy = self.state.busy.lock().unwrap();
        let busy = busy.entry(self.verb).or_default();
        busy.change(busy.now - 1);
    }
}

fn verb(method: &Method, query: &str) -> Verb {
    let asks = |name: &str| query.split('&').any(|pair| pair == name || pair.starts_with(&format!("{name}=")));
    match *method {
        Method::PUT if asks("partNumber") => Verb::Part,
        Method::PUT => Verb::Put,
        Method::POST if asks("uploads") => Verb::Begin,
        Method::POST => Verb::Complete,
        Method::DELETE if asks("uploadId") => Verb::Abort,
        Method::DELETE => Verb::Delete,
        Method::HEAD => Verb::Head,
        _ if asks("list-type") => Verb::List,
        _ => Verb::Get,
    }
}

/// An error of this service ends the connection without an answer.
async fn pass(state: Arc<State>, request: Request<Incoming>) -> Result<Answer, io::Error> {
    let verb = verb(request.method(), request.uri().query().unwrap_or_default());
    let _under = request.uri().path().contains("/data/").then(|| Under::way(&state, verb));
    let harm = {
        let mut rule = state.rule.lock().unwrap();
        match &mut *rule {
            Some(rule) if rule.verb == verb && rule.spared > 0 => {
                rule.spared -= 1;
                None
            }
            Some(rule) if rule.verb == verb && rule.times > 0 => {
                rule.times -= 1;
                state.harmed.fetch_add(1, Ordering::SeqCst);
                tally().entry(verb).or_default().entry(format!("{:?}", rule.harm)).and_modify(|n| *n += 1).or_insert(1);
                Some(rule.harm)
            }
            _ => None,
        }
    };
    let up = matches!(verb, Verb::Put | Verb::Part | Verb::Complete);
    match harm {
        Some(Harm::Timeout) => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            return Err(io::ErrorKind::TimedOut.into());
        }
        Some(Harm::Status(status)) => {
            let _ = request.into_body().collect().await;
            return Ok(refusal(status, verb));
        }
        Some(Harm::Reset) if up => {
            let mut body = request.into_body();
            let _ = body.frame().await;
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        _ => {}
    }
    let name = request.uri().to_string();
    let (parts, body) = request.into_parts();
    let mut body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    if up {
        body = bend(harm, body);
    }
    let link = *state.link.lock().unwrap();
    link.carry(body.len()).await;
    let answer = forward(state.store, parts, body).await;
    tokio::time::sleep(link.delay).await;
    if let Ok((_, body)) = &answer {
        link.carry(body.len()).await;
    }
    let (mut parts, mut body) = answer?;
    if harm == Some(Harm::Lost) {
        return Err(io::ErrorKind::ConnectionReset.into());
    }
    if verb == Verb::Head {
        return Ok(Response::from_parts(parts, whole(Bytes::new())));
    }
    if verb == Verb::List && parts.status.is_success() {
        let first = state.first_lists.lock().unwrap().entry(name).or_insert_with(|| body.clone()).clone();
        match harm {
            Some(Harm::Stale) => body = first,
            Some(Harm::Lacking) => body = without_last(&body),
            Some(Harm::Bent) => body = Bytes::from_static(b"<html><body>Please log in</body></html>"),
            _ => {}
        }
    } else if !up {
        body = bend(harm, body);
    }
    if verb == Verb::List && harm == Some(Harm::Short) {
        body.truncate(body.len() / 2);
    }
    parts.headers.remove(header::TRANSFER_ENCODING);
    parts.headers.insert(header::CONTENT_LENGTH, body.len().into());
    if harm == Some(Harm::Reset) {
        let half = Frame::data(body.slice(..body.len() / 2));
        let frames = [Ok(half), Err(io::Error::from(io::ErrorKind::ConnectionReset))];
        let broken = StreamBody::new(tokio_stream::iter(frames));
        return Ok(Response::from_parts(parts, broken.boxed_unsync()));
    }
    Ok(Response::from_parts(parts, whole(body)))
}

fn bend(harm: Option<Harm>, body: Bytes) -> Bytes {
    match harm {
        Some(Harm::Short) => body.slice(..body.len() / 2),
        Some(Harm::Bent) if !body.is_empty() => {
            let mut bytes = body.to_vec();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 4;
            bytes.into()
        }
        _ => body,
    }
}

async fn forward(
    store: u16,
    mut parts: hyper::http::request::Parts,
    body: Bytes,
) -> io::Result<(hyper::http::response::Parts, Bytes)> {
    let stream = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], store))).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    tokio::spawn(connection);
    parts.headers.insert(header::CONTENT_LENGTH, body.len().into());
    parts.headers.remove(header::EXPECT);
    let answer = sender.send_request(Request::from_parts(parts, Full::new(body))).await.map_err(io::Error::other)?;
    let (parts, body) = answer.into_parts();
    Ok((parts, body.collect().await.map_err(io::Error::other)?.to_bytes()))
}

fn whole(body: Bytes) -> http_body_util::combinators::UnsyncBoxBody<Bytes, io::Error> {
    Full::new(body).map_err(|never: Infallible| match never {}).boxed_unsync()
}

fn refusal(status: u16, verb: Verb) -> Answer {
    let code = match status {
        403 => "AccessDenied",
        503 => "SlowDown",
        507 => "InsufficientStorage",
        _ => "InternalError",
    };
    let text = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>as told</Message></Error>");
    let body = if verb == Verb::Head { String::new() } else { text };
    let mut answer = Response::new(whole(body.into()));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    answer
}

/// The list as a store gives it that has not heard of its newest object yet.
fn without_last(list: &Bytes) -> Bytes {
    let text = String::from_utf8(list.to_vec()).unwrap();
    let (Some(from), Some(to)) = (text.rfind("<Contents>"), text.rfind("</Contents>")) else { return list.clone() };
    let count = text.matches("<Contents>").count();
    let text = format!("{}{}", &text[..from], &text[to + "</Contents>".len()..]);
    text.replace(&format!("<KeyCount>{count}<"), &format!("<KeyCount>{}<", count - 1)).into()
}

//! Watches a run to its end: the stream of its events, taken up again behind the last one seen when it breaks, and
//! the run itself asked for where the stream stays silent. Ctrl-C cancels the run; a second one leaves it alone.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use eventsource_stream::{Event as Message, EventStreamError, Eventsource};
use holdfast_model::{
    event::Event,
    event::EventBody,
    view::{RunView, Subject},
};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_stream::{Stream, StreamExt};

use super::{client::Client, confirm, failure::Failure, output::Output, print::steps::Steps};

/// A restarting server is waited for so long.
const PATIENCE: Duration = Duration::from_secs(90);
/// After so much silence the run itself is asked for: a proxy may hold the stream back.
const SILENCE: Duration = Duration::from_secs(10);

/// How the watching ended.
#[derive(Debug)]
pub enum Followed {
    /// The run has ended.
    Ended(Box<RunView>),
    /// The person left; the run goes on.
    Left,
}

/// Watches `run` and shows its steps. `interrupts` are listened to since before the run was asked for, so that there
/// is no moment in which Ctrl-C would leave a run behind.
///
/// # Errors
/// When the server stays away for longer than a restart takes, or refuses.
pub async fn follow(
    client: &Client,
    output: &Output,
    run: RunView,
    steps: &mut Steps<'_>,
    mut interrupts: Interrupts,
) -> Result<Followed, Failure> {
    let mut events = Events::new(client, run);
    let mut cancelled = false;
    loop {
        tokio::select! {
            event = events.next() => match event? {
                Some(event) => steps.event(&event)?,
                None => break,
            },
            () = interrupts.next() => {
                if cancelled {
                    return leave(&events.run, steps);
                }
                let run = events.run.id.clone();
                if output.can_ask() && !interrupts.terminated {
                    steps.rest();
                    let question = format!("\nCancel {run}? (Ctrl-C again leaves it to the server.)");
                    let yes = tokio::select! {
                        answer = confirm::yes_or_no(&question, true) => answer?,
                        () = interrupts.next() => return leave(&events.run, steps),
                    };
                    if !yes {
                        continue;
                    }
                }
                steps.note(format!("Cancelling {run}; Ctrl-C again leaves it to the server."))?;
                cancelled = true;
                match client.cancel(&run).await {
                    // It ended a moment earlier: its own end is what counts.
                    Err(Failure::Problem(problem)) if problem.status == 409 => {}
                    other => other?,
                }
            }
        }
    }
    steps.rest();
    events.settled().await.map(|run| Followed::Ended(Box::new(run)))
}

fn leave(run: &RunView, steps: &mut Steps<'_>) -> Result<Followed, Failure> {
    steps.rest();
    steps.note(format!(
        "\n{} goes on without you; {}",
        run.id,
        match &run.subject {
            Subject::Environment(e) => format!("see it with: holdfast env status {}/{}", e.project, e.name),
            Subject::Vault(_) => "see it with: holdfast vault list".into(),
        }
    ))?;
    Ok(Followed::Left)
}

/// Whether Ctrl-C no longer ends this process by itself: once listened to, a signal never does again.
static LISTENED_TO: AtomicBool = AtomicBool::new(false);

/// Ctrl-C while something is waited for that may be left at any time. Where nobody listens it ends the process by itself.
#[derive(Debug)]
pub struct Left(Option<Interrupts>);

impl Left {
    /// From now on.
    ///
    /// # Errors
    /// When the system does not let us listen.
    pub fn new() -> Result<Self, Failure> {
        LISTENED_TO.load(Ordering::Relaxed).then(Interrupts::new).transpose().map(Self)
    }

    /// Waits for it.
    pub async fn heard(&mut self) {
        match &mut self.0 {
            Some(interrupts) => interrupts.heard().await,
            None => std::future::pending().await,
        }
    }
}

/// Ctrl-C, and the polite signal to end.
#[derive(Debug)]
pub struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
    terminated: bool,
    kept: bool,
}

impl Interrupts {
    /// From now on they no longer end this process.
    ///
    /// # Errors
    /// When the system does not let us listen.
    pub fn new() -> Result<Self, Failure> {
        LISTENED_TO.store(true, Ordering::Relaxed);
        let listen = |kind| signal(kind).map_err(|source| Failure::Io { what: "listening for Ctrl-C".into(), source });
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            terminated: false,
            kept: false,
        })
    }

    /// Waits for the answer to a request that starts a run. One interrupt is kept for the run, because it may have
    /// been started already; none when a second one came.
    ///
    /// # Errors
    /// As the request.
    pub async fn during<T>(&mut self, request: impl Future<Output = Result<T, Failure>>) -> Result<Option<T>, Failure> {
        tokio::pin!(request);
        loop {
            tokio::select! {
                answer = &mut request => return answer.map(Some),
                () = self.heard() => {
                    if self.kept {
                        return Ok(None);
                    }
                    self.kept = true;
                }
            }
        }
    }

    async fn next(&mut self) {
        if !std::mem::take(&mut self.kept) {
            self.heard().await;
        }
    }

    async fn heard(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => self.terminated = true,
        }
    }
}

type Messages = std::pin::Pin<Box<dyn Stream<Item = Result<Message, EventStreamError<reqwest::Error>>> + Send>>;

/// The events of one run, each once and in order, over as many connections as it takes.
struct Events<'a> {
    client: &'a Client,
    run: RunView,
    last: u64,
    over: bool,
    messages: Option<Messages>,
    lost_since: Option<Instant>,
    pause: Duration,
}

impl<'a> Events<'a> {
    const fn new(client: &'a Client, run: RunView) -> Self {
        Self { client, run, last: 0, over: false, messages: None, lost_since: None, pause: Duration::ZERO }
    }

    /// The next event; none when the run is over. Nothing is lost when the future is dropped while it waits.
    async fn next(&mut self) -> Result<Option<Event>, Failure> {
        while !self.over {
            let Some(messages) = &mut self.messages else {
                self.connect().await?;
                continue;
            };
            match tokio::time::timeout(SILENCE, messages.next()).await {
                Ok(Some(Ok(message))) => {
                    if let Some(event) = self.take(&message) {
                        return Ok(Some(event));
                    }
                }
                Ok(Some(Err(_)) | None) => {
                    self.messages = None;
                    self.look().await?;
                }
                Err(_) => self.look().await?,
            }
        }
        Ok(None)
    }

    /// An event that was not seen before. One of a kind that only a newer server knows is passed over.
    fn take(&mut self, message: &Message) -> Option<Event> {
        self.lost_since = None;
        self.pause = Duration::ZERO;
        let sequence = message.id.parse::<u64>().ok();
        let event = serde_json::from_str::<Event>(&message.data).ok();
        let sequence = event.as_ref().map(|event| event.sequence).or(sequence)?;
        if sequence <= self.last {
            return None;
        }
        self.last = sequence;
        let ended = |event: &Event| matches!(event.body, EventBody::State { state, .. } if state.is_final());
        self.over = event.as_ref().is_some_and(ended);
        event
    }

    async fn connect(&mut self) -> Result<(), Failure> {
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).clamp(Duration::from_millis(200), Duration::from_secs(3));
        match self.client.events(&self.run.id, self.last).await {
            Ok(Some(response)) => self.messages = Some(Box::pin(response.bytes_stream().eventsource())),
            // Nothing lies behind the last event that was seen.
            Ok(None) => self.over = true,
            Err(failure) => self.lost(failure)?,
        }
        Ok(())
    }

    /// Asks for the run itself: over when it has ended and its last event was seen, or will never be streamed.
    async fn look(&mut self) -> Result<(), Failure> {
        match self.client.run(&self.run.id).await {
            Ok(run) => {
                self.over = run.state.is_final() && (self.last >= run.last_event || self.run.state.is_final());
                self.run = run;
                Ok(())
            }
            Err(failure) => self.lost(failure),
        }
    }

    fn lost(&mut self, failure: Failure) -> Result<(), Failure> {
        self.messages = None;
        let since = *self.lost_since.get_or_insert_with(Instant::now);
        if failure.is_passing() && since.elapsed() < PATIENCE { Ok(()) } else { Err(failure) }
    }

    /// The run as it ended.
    async fn settled(mut self) -> Result<RunView, Failure> {
        loop {
            match self.client.run(&self.run.id).await {
                Ok(run) if run.state.is_final() => return Ok(run),
                Ok(_) => {}
                Err(failure) => self.lost(failure)?,
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

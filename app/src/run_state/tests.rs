//! The reducer by what a person sees of it.
#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;

fn event(sequence: u64, body: EventBody) -> Event {
    let at = OffsetDateTime::from_unix_timestamp(1_795_252_500 + i64::try_from(sequence).unwrap()).unwrap();
    Event { sequence, at, body }
}

fn state(state: RunState, message: Option<&str>) -> EventBody {
    EventBody::State { state, message: message.map(str::to_owned) }
}

fn step(step: &str, state: StepState, detail: Option<&str>) -> EventBody {
    EventBody::Step {
        step: step.to_owned(),
        title: format!("Title of {step}"),
        state,
        component: step.split_once(':').map(|(_, name)| name.to_owned()),
        detail: detail.map(str::to_owned),
    }
}

fn progress(step: &str, bytes: u64, total: Option<u64>) -> EventBody {
    EventBody::Progress {
        step: step.to_owned(),
        component: None,
        files: 3,
        bytes,
        total,
        stored: bytes / 2,
        tables: 0,
        current: Some("a/b.png".to_owned()),
    }
}

fn create() -> Vec<Event> {
    [
        state(RunState::Queued, None),
        state(RunState::Running, None),
        step("prepare", StepState::Started, None),
        step("prepare", StepState::Done, None),
        step("hold", StepState::Started, None),
        step("hold", StepState::Done, Some("12 ms apart")),
        step("capture:uploads", StepState::Started, None),
        progress("capture:uploads", 1_000, Some(5_000)),
        progress("capture:uploads", 2_000, Some(5_000)),
    ]
    .into_iter()
    .enumerate()
    .map(|(index, body)| event(u64::try_from(index).unwrap() + 1, body))
    .collect()
}

fn marks(progress: &Progress) -> Vec<(&str, Mark)> {
    progress.steps.iter().map(|s| (s.step.as_str(), s.mark)).collect()
}

#[test]
fn steps_that_are_to_come_stand_last() {
    let now = run_state(RunKind::Create, &create());
    assert_eq!(
        marks(&now),
        [("prepare", Mark::Done), ("hold", Mark::Done), ("capture:uploads", Mark::Running), ("seal", Mark::Pending)]
    );
    assert_eq!(now.steps[1].detail.as_deref(), Some("12 ms apart"));
    assert_eq!(now.state, RunState::Running);
    assert_eq!(now.spoken(), "Title of capture:uploads; 2 steps done.");
}

#[test]
fn speed_and_what_is_left_follow_from_the_events_alone() {
    let now = run_state(RunKind::Create, &create());
    let meter = now.steps[2].meter.as_ref().unwrap();
    assert_eq!((meter.bytes, meter.speed), (2_000, Some(1_000)));
    assert_eq!(meter.left(), Some(3_000));
    assert_eq!(now.steps[2].elapsed(now.latest_at), Some(2_000));
}

#[test]
fn an_event_that_comes_twice_counts_once() {
    let events = create();
    let mut twice = run_state(RunKind::Create, &events);
    for event in &events {
        twice.apply(event);
    }
    assert_eq!(twice, run_state(RunKind::Create, &events));
}

#[test]
fn going_on_from_the_servers_state_gives_the_same_as_starting_over() {
    let mut events = create();
    events.push(event(10, EventBody::Log { level: Level::Info, component: None, message: "hello".to_owned() }));
    for split in 0..events.len() {
        let mut resumed = run_state(RunKind::Create, &events[..split]);
        for event in &events[split..] {
            resumed.apply(event);
        }
        assert_eq!(resumed, run_state(RunKind::Create, &events), "split at {split}");
    }
}

#[test]
fn a_failure_marks_the_step_that_it_happened_in_and_keeps_what_was_not_reached() {
    let mut events = create();
    events.push(event(10, state(RunState::Failed, Some("pg_dump: wrong password"))));
    let ended = run_state(RunKind::Create, &events);
    assert_eq!(ended.steps[2].mark, Mark::Failed);
    assert_eq!(ended.steps[3].mark, Mark::Pending);
    assert_eq!(ended.spoken(), "The run has ended: failed. pg_dump: wrong password");
}

#[test]
fn success_leaves_no_step_open() {
    let mut events = create();
    events.push(event(10, step("capture:uploads", StepState::Done, None)));
    events.push(event(11, state(RunState::Succeeded, None)));
    let ended = run_state(RunKind::Create, &events);
    assert_eq!(marks(&ended), [("prepare", Mark::Done), ("hold", Mark::Done), ("capture:uploads", Mark::Done)]);
}

#[test]
fn a_restore_names_its_nine_steps_before_it_begins() {
    let now = run_state(RunKind::Restore, &[]);
    assert_eq!(now.steps.len(), 9);
    assert!(now.steps.iter().all(|s| s.mark == Mark::Pending));
}

#[test]
fn checks_are_counted_by_component() {
    let check = |name: &str, passed| Check {
        component: "postgres".to_owned(),
        name: name.to_owned(),
        passed,
        expected: None,
        found: None,
        message: None,
        duration_ms: 1,
    };
    let now = run_state(
        RunKind::Drill,
        &[
            event(1, EventBody::Check { check: check("rows public.orders", true) }),
            event(2, EventBody::Check { check: check("rows public.items", false) }),
        ],
    );
    assert_eq!(now.tally().get("postgres"), Some(&(2, 1)));
    assert_eq!(now.failed_checks().count(), 1);
}

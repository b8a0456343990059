//! A run's stream: an EventSource that goes on where it stopped.

use std::{cell::RefCell, rc::Rc, time::Duration};

use holdfast_model::event::Event;
use leptos::prelude::*;
use wasm_bindgen::{JsCast, closure::Closure};
use web_sys::{EventSource, MessageEvent};

use crate::run_state::Progress;

/// How long it waits before it opens a stream again that the browser has given up.
const PAUSE: Duration = Duration::from_secs(2);

/// What belongs to one open stream; dropping it closes the stream before its callbacks go.
struct Open {
    source: EventSource,
    _message: Closure<dyn FnMut(MessageEvent)>,
    _error: Closure<dyn FnMut(web_sys::Event)>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.source.set_onmessage(None);
        self.source.set_onerror(None);
        self.source.close();
    }
}

type Slot = Rc<RefCell<Option<Open>>>;

/// Opens the stream behind the newest event that is known, and keeps it open until the run or its owner ends.
/// `ended` is called once, when the run ends while somebody watches.
pub fn follow(run: &str, progress: RwSignal<Progress>, ended: impl Fn() + Clone + 'static) {
    let slot: Slot = Rc::default();
    open(&slot, run.to_owned(), progress, ended);
    // Disposed of with its owner, and the stream with it.
    StoredValue::new_local(slot);
}

fn open(slot: &Slot, run: String, progress: RwSignal<Progress>, ended: impl Fn() + Clone + 'static) {
    let known = progress.try_with_untracked(|p| (p.last, p.state.is_final()));
    let Some((last, false)) = known else { return };
    let Ok(source) = EventSource::new(&format!("/ui/runs/{run}/events?after={last}")) else { return };
    let (handle, end) = (source.clone(), ended.clone());
    let message = Closure::<dyn FnMut(MessageEvent)>::new(move |message: MessageEvent| {
        let event = message.data().as_string().and_then(|text| serde_json::from_str::<Event>(&text).ok());
        let Some(event) = event else { return };
        let over = progress.try_update(|p| {
            let was_going = !p.state.is_final();
            p.apply(&event);
            was_going && p.state.is_final()
        });
        if over != Some(false) {
            handle.close();
        }
        if over == Some(true) {
            end();
        }
    });
    let weak = Rc::downgrade(slot);
    let error = Closure::<dyn FnMut(web_sys::Event)>::new(move |_: web_sys::Event| {
        // A broken connection the browser opens again by itself, naming the last event; what it has given up, we open.
        let Some(slot) = weak.upgrade() else { return };
        let given_up = |o: &Open| o.source.ready_state() == EventSource::CLOSED;
        if slot.try_borrow().is_ok_and(|open| open.as_ref().is_none_or(given_up)) {
            let (weak, run, ended) = (Rc::downgrade(&slot), run.clone(), ended.clone());
            let again = move || {
                if let Some(slot) = weak.upgrade() {
                    open(&slot, run, progress, ended);
                }
            };
            set_timeout(again, PAUSE);
        }
    });
    source.set_onmessage(Some(message.as_ref().unchecked_ref()));
    source.set_onerror(Some(error.as_ref().unchecked_ref()));
    *slot.borrow_mut() = Some(Open { source, _message: message, _error: error });
}

//! Workers' common stack of tasks. It is done when it is empty and nobody is working on anything that could fill it.

use std::sync::{Condvar, Mutex, PoisonError};

/// A stack that several workers share.
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    workers: usize,
}

struct State<T> {
    tasks: Vec<T>,
    idle: usize,
    ended: bool,
}

impl<T> Queue<T> {
    pub(crate) fn new(workers: usize, first: T) -> Queue<T> {
        let state = State { tasks: vec![first], idle: 0, ended: false };
        Queue { state: Mutex::new(state), changed: Condvar::new(), workers }
    }

    /// Puts tasks on top; the last one is taken first.
    pub(crate) fn push(&self, tasks: Vec<T>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.tasks.extend(tasks);
        let wake = state.idle > 0;
        drop(state);
        if wake {
            self.changed.notify_all();
        }
    }

    /// The next task, or `None` when all are done.
    pub(crate) fn pop(&self) -> Option<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if state.ended {
                return None;
            }
            if let Some(task) = state.tasks.pop() {
                return Some(task);
            }
            state.idle += 1;
            if state.idle == self.workers {
                state.ended = true;
                self.changed.notify_all();
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    /// Lets every worker go home.
    pub(crate) fn end(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.ended = true;
        state.tasks.clear();
        self.changed.notify_all();
    }
}

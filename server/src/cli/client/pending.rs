//! The wait for a person who signs in anew in a browser and says yes or no.

use std::time::Duration;

use holdfast_model::pending::{PendingNote, PendingState, PendingView};
use time::OffsetDateTime;

use super::Client;
use crate::cli::{
    failure::Failure,
    follow::Left,
    output::Output,
    print::{text::plain, times},
};

/// How often the server is asked whether somebody has decided.
const EVERY: Duration = Duration::from_secs(2);
/// A server that stays away is waited for so long after the action's end.
const BEYOND: time::Duration = time::Duration::minutes(1);

impl Client {
    /// Says where to confirm it, and waits until that is done. All words go to stderr.
    ///
    /// # Errors
    /// [`Failure::NotConfirmed`] when it was refused, its time is over, or the person left.
    pub(super) async fn wait_for_word(&self, note: &PendingNote) -> Result<(), Failure> {
        let (output, until) = (Output::new(true), times::moment(note.expires_at));
        output.note(format!(
            "This asks you to sign in once more. Open\n  {}\nand confirm it there until {until}. Ctrl-C stops waiting.",
            plain(&note.page)
        ))?;
        let mut left = Left::new()?;
        loop {
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                () = left.heard() => {
                    let message = format!("you stopped waiting; nothing was done, and {} ends by itself", note.id);
                    return Err(Failure::NotConfirmed { message, left: true });
                }
            }
            let url = self.url(&["pending", note.id.as_str()])?;
            let found = match self.exchange(self.http.get(url).timeout(super::ANSWER_WITHIN)).await {
                Ok(response) => self.parsed::<PendingView>(response).await,
                Err(failure) => Err(failure),
            };
            let message = match found.map(|view| view.state) {
                Ok(PendingState::Waiting) => continue,
                Ok(PendingState::Confirmed) => return output.note("Confirmed."),
                Ok(PendingState::Refused) => "it was refused on its page; nothing was done",
                Ok(PendingState::Expired) => "nobody confirmed it within ten minutes; nothing was done",
                Ok(PendingState::Used) => "another command has carried it out",
                Err(failure) if failure.is_passing() && OffsetDateTime::now_utc() < note.expires_at + BEYOND => {
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            return Err(Failure::NotConfirmed { message: message.into(), left: false });
        }
    }
}

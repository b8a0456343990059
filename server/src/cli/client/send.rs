//! One request and its answer: the token of now, the failure behind what went wrong, and the wait for a person's word
//! where somebody who has signed in at this terminal must sign in anew.

use std::time::Duration;

use holdfast_model::{pending::PendingNote, problem::Problem};
use reqwest::{RequestBuilder, Response, header::HeaderValue};
use serde::de::DeserializeOwned;

use super::{ANSWER_WITHIN, Client};
use crate::cli::{credential::Credential, failure::Failure};

/// Asks for a page on which what needs a new sign-in can be confirmed, and later names it.
const PENDING: &str = "holdfast-pending";

impl Client {
    pub(super) async fn read<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Failure> {
        let response = self.send(request.timeout(ANSWER_WITHIN)).await?;
        self.parsed(response).await
    }

    /// For what may take hours: only the connection's end is the end.
    pub(super) async fn read_late<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Failure> {
        let response = self.send(request.timeout(Duration::from_secs(24 * 3600))).await?;
        self.parsed(response).await
    }

    pub(super) async fn parsed<T: DeserializeOwned>(&self, response: Response) -> Result<T, Failure> {
        let bytes = response.bytes().await.map_err(|error| self.broken(&error))?;
        serde_json::from_slice(&bytes).map_err(|error| self.odd(format!("its answer: {error}")))
    }

    /// Sends it. What asks somebody who has signed in at a terminal for a new sign-in waits until they have confirmed it
    /// in a browser, and is sent once more; a body that is a stream cannot be, and is refused as it was.
    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let again = match self.credential {
            Credential::Login(_) => request.try_clone(),
            Credential::Token(_) => None,
        };
        let Some(again) = again else { return self.exchange(request).await };
        match self.exchange(request.header(PENDING, HeaderValue::from_static("wanted"))).await {
            Err(Failure::Problem(problem)) if problem.pending.is_some() => {
                let Some(note) = problem.pending.as_deref() else { return Err(Failure::Problem(problem)) };
                let PendingNote { id, .. } = note;
                self.wait_for_word(note).await?;
                self.exchange(again.header(PENDING, id.as_str())).await
            }
            other => other,
        }
    }

    /// One request, as it is.
    pub(super) async fn exchange(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let token = self.credential.token().await?;
        let response = request.bearer_auth(token.expose()).send().await.map_err(|error| self.broken(&error))?;
        if response.status().is_success() { Ok(response) } else { Err(self.refused(response).await) }
    }

    /// The failure behind an error of the connection.
    pub fn broken(&self, error: &reqwest::Error) -> Failure {
        let (url, reason) = (self.base.to_string(), root_cause(error));
        let url = url.trim_end_matches('/').to_owned();
        if error.is_connect() {
            Failure::NoAnswer { url, reason }
        } else if error.is_timeout() {
            Failure::NoAnswer { url, reason: "it was given three minutes".into() }
        } else {
            Failure::BrokenOff { url, reason }
        }
    }

    async fn refused(&self, response: Response) -> Failure {
        let status = response.status();
        let bytes = match response.bytes().await {
            Ok(bytes) => bytes,
            Err(error) => return self.broken(&error),
        };
        match (serde_json::from_slice::<Problem>(&bytes), &self.credential) {
            // No file of the server's is the mend for whoever has signed in.
            (Ok(problem), Credential::Login(_)) if problem.status == 401 => Failure::Login {
                message: problem.detail.unwrap_or(problem.title),
                mend: "sign in again: holdfast login".into(),
            },
            (Ok(problem), _) => Failure::Problem(Box::new(problem)),
            (Err(_), _) => self.odd(format!("it answered {status}")),
        }
    }

    fn odd(&self, reason: String) -> Failure {
        Failure::NotHoldfast { url: self.base.to_string().trim_end_matches('/').to_owned(), reason }
    }
}

/// The innermost reason: "Connection refused (os error 111)" and not four layers around it.
pub fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

//! Large objects go up in parts: each is tried by itself, and what does not end well leaves nothing that costs money.

use std::cell::Cell;

use bytes::Bytes;

use super::S3Backend;
use super::fault::Fault;
use super::hold::Retention;
use super::store::within;

impl S3Backend {
    pub(super) async fn put_in_parts(
        &self,
        key: &str,
        body: Bytes,
        size: usize,
        hold: Option<Retention>,
    ) -> Result<(), Fault> {
        let begun = Cell::new(0);
        let upload = self
            .brief(|| {
                begun.set(begun.get() + 1);
                self.store.begin(key, hold)
            })
            .await;
        let outcome = match &upload {
            Ok(upload) => self.put_all(key, upload, &body, size).await,
            Err(fault) => Err(fault.clone()),
        };
        if let (Ok(upload), Err(_)) = (&upload, &outcome) {
            self.abandon(key, upload).await;
        }
        // An upload whose beginning was not acknowledged has an id that we were never told.
        if begun.get() > 1
            && let Ok(Ok(unknown)) = within(self.store.options.timeout, self.store.uploads(key)).await
        {
            for upload in unknown {
                self.abandon(key, &upload).await;
            }
        }
        outcome
    }

    async fn put_all(&self, key: &str, upload: &str, body: &Bytes, size: usize) -> Result<(), Fault> {
        let mut parts = Vec::new();
        for (number, start) in (1..).zip((0..body.len()).step_by(size)) {
            let part = body.slice(start..body.len().min(start + size));
            let sent = self.tries(self.time_for(part.len()), || self.store.part(key, upload, number, part.clone()));
            parts.push(sent.await?);
        }
        match self.brief(|| self.store.complete(key, upload, parts.clone())).await {
            // Gone, because it was completed and the answer lost? Then the object is there.
            Err(Fault::Missing) => match self.brief(|| self.store.head(key)).await {
                Ok(length) if length == body.len() as u64 => Ok(()),
                Err(fault) if fault.passes() => Err(fault),
                _ => Err(Fault::passing("the store has lost an upload before its end")),
            },
            other => other,
        }
    }

    pub(super) async fn abandon(&self, key: &str, upload: &str) {
        let aborted = self.brief(|| self.store.abort(key, upload)).await;
        if let Err(fault) = aborted {
            tracing::warn!(key, why = fault.text(), "the parts of an upload that failed were not removed");
        }
    }
}

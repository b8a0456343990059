//! The request of a restore as it waits in the queue: what of it is secret is wrapped by the server's key.

use holdfast_model::request::RestoreCheckpoint;
use serde_json::Value;

use crate::keys::{KeyError, ServerKey};

/// What the wrapped part is for; bound into it.
const PURPOSE: &str = "restore-request";
/// Where it stands in the stored request.
const WRAPPED: &str = "wrapped";

/// Why a request could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    /// The server's key is another one than before.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// It is not what this version writes. Ask for the restore again.
    #[error("the stored request cannot be read; ask for the restore again")]
    Odd,
}

/// For the queue: the URL is wrapped, and the places of a clone are left out, for its definition has them by now.
pub(crate) fn keep(key: &ServerKey, request: &RestoreCheckpoint) -> Result<Value, RequestError> {
    let plain = RestoreCheckpoint { to_url: None, map: Default::default(), ..request.clone() };
    let mut value = serde_json::to_value(&plain).map_err(|_| RequestError::Odd)?;
    if let (Some(url), Some(fields)) = (&request.to_url, value.as_object_mut()) {
        fields.insert(WRAPPED.to_owned(), Value::String(key.wrap(PURPOSE, url.expose().as_bytes())?));
    }
    Ok(value)
}

/// The opposite.
pub(crate) fn read(key: &ServerKey, mut value: Value) -> Result<RestoreCheckpoint, RequestError> {
    let wrapped = value.as_object_mut().and_then(|fields| fields.remove(WRAPPED));
    let mut request: RestoreCheckpoint = serde_json::from_value(value).map_err(|_| RequestError::Odd)?;
    if let Some(wrapped) = wrapped {
        let bytes = key.unwrap(PURPOSE, wrapped.as_str().ok_or(RequestError::Odd)?)?;
        request.to_url = Some(std::str::from_utf8(&bytes).map_err(|_| RequestError::Odd)?.into());
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_url_waits_wrapped_and_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let key = ServerKey::load_or_create(&folder.path().join("key")).unwrap();
        let map = [("db".parse().unwrap(), "postgres://u:canary-map@h/d".into())].into();
        let to_url = Some("postgres://u:canary-url@h/d".into());
        let request = RestoreCheckpoint { to_url, map, components: vec!["db".into()], ..Default::default() };
        let kept = keep(&key, &request).unwrap();
        assert!(!kept.to_string().contains("canary"), "{kept}");
        let back = read(&key, kept).unwrap();
        assert_eq!(back, RestoreCheckpoint { map: Default::default(), ..request.clone() });
        assert!(!format!("{request:?}").contains("canary"));
        // One that holds no secret, as earlier versions kept all of them.
        let plain = serde_json::json!({"components": ["db"], "backup": false});
        assert!(!read(&key, plain).unwrap().backup);
    }
}

//! What the server answers to a request of the page.

use leptos::prelude::window;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Request, Response};

/// One request.
pub(super) async fn fetch(request: &Request) -> Result<Response, JsValue> {
    JsFuture::from(window().fetch_with_request(request)).await?.dyn_into()
}

/// The text of an answer.
pub(super) async fn text(response: &Response) -> Result<String, JsValue> {
    JsFuture::from(response.text()?).await?.as_string().ok_or(JsValue::UNDEFINED)
}

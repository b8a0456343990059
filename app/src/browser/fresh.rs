//! Reading parts of the page again: what is marked `data-fresh` is replaced by what the server draws now.

use leptos::prelude::{document, window};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{DomParser, Element, Request, SupportedType};

use super::answer::{fetch, text};

/// Reads this page again and replaces the parts that match. Where it cannot be read, the page stays as it is.
pub async fn read_again(parts: &'static str) {
    // A page that cannot be read again is still true; the next click shows the rest.
    let _ = replace(parts).await;
}

async fn replace(parts: &str) -> Result<(), JsValue> {
    let place = window().location();
    let request = Request::new_with_str(&(place.pathname()? + &place.search()?))?;
    request.headers().set("accept", "text/html")?;
    let response = fetch(&request).await?;
    if !response.ok() {
        return Ok(());
    }
    let page = DomParser::new()?.parse_from_string(&text(&response).await?, SupportedType::TextHtml)?;
    let now = document().query_selector_all(parts)?;
    for index in 0..now.length() {
        let Some(old) = now.item(index).and_then(|n| n.dyn_into::<Element>().ok()) else { continue };
        let name = old.get_attribute("data-fresh").unwrap_or_default();
        if let Some(new) = page.query_selector(&format!("[data-fresh={name}]"))? {
            old.set_inner_html(&new.inner_html());
        }
    }
    Ok(())
}

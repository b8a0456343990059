//! Forms with `data-live`: sent without leaving the page, and answered in place. All others are the browser's own.

use holdfast_model::view::RunView;
use leptos::prelude::{document, window};
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use wasm_bindgen_futures::spawn_local;
use web_sys::{FormData, HtmlButtonElement, HtmlFormElement, Request, RequestInit, SubmitEvent, UrlSearchParams};

use super::{
    answer::{fetch, text},
    fresh, panel,
};
use crate::error::AppError;

/// Listens to the whole document.
pub fn listen() {
    let submit = Closure::<dyn Fn(SubmitEvent)>::new(|event: SubmitEvent| {
        let form = event.target().and_then(|t| t.dyn_into::<HtmlFormElement>().ok());
        if let Some(form) = form.filter(|form| form.has_attribute("data-live")) {
            event.prevent_default();
            spawn_local(send(form));
        }
    });
    let _ = document().add_event_listener_with_callback("submit", submit.as_ref().unchecked_ref());
    submit.forget();
}

/// Sends a form and shows what came back; its button is off meanwhile, so that one click asks once.
async fn send(form: HtmlFormElement) {
    let button = form
        .query_selector("button:not([type=button])")
        .ok()
        .flatten()
        .and_then(|b| b.dyn_into::<HtmlButtonElement>().ok());
    let off = |off: bool| button.iter().for_each(|b| b.set_disabled(off));
    off(true);
    let answer = ask(&form).await;
    off(false);
    let said = match answer {
        Ok(text) if form.get_attribute("data-live").as_deref() == Some("run") => {
            match serde_json::from_str::<RunView>(&text) {
                Ok(run) => {
                    panel::open(run, &[]);
                    spawn_local(fresh::read_again("[data-fresh=work]"));
                    String::new()
                }
                Err(_) => "The server's answer could not be read. Reload the page.".to_owned(),
            }
        }
        Ok(_) => String::new(),
        Err(AppError::SignedOut) => {
            let _ = window().location().set_href("/sign-in");
            String::new()
        }
        Err(AppError::SignInAgain) => {
            let location = window().location();
            let page = location.pathname().unwrap_or_default() + &location.search().unwrap_or_default();
            let page = String::from(js_sys::encode_uri_component(&page));
            let _ = location.set_href(&format!("/sign-in/again?next={page}"));
            String::new()
        }
        Err(error) => error.to_string(),
    };
    if let Ok(Some(place)) = form.query_selector(".refusal") {
        place.set_text_content(Some(&said));
    }
}

/// The server's answer to a form.
async fn ask(form: &HtmlFormElement) -> Result<String, AppError> {
    let silent = |_: JsValue| {
        AppError::Unavailable("The server did not answer. Check that it is running, then try again.".into())
    };
    let fields = FormData::new_with_form(form).map_err(silent)?;
    let body = UrlSearchParams::new_with_str_sequence_sequence(&fields).map_err(silent)?;
    let init = RequestInit::new();
    init.set_method("POST");
    init.set_body(&body);
    let action = form.get_attribute("action").unwrap_or_default();
    let request = Request::new_with_str_and_init(&action, &init).map_err(silent)?;
    request.headers().set("accept", "application/json").map_err(silent)?;
    let response = fetch(&request).await.map_err(silent)?;
    let text = text(&response).await.map_err(silent)?;
    if response.ok() {
        return Ok(text);
    }
    Err(serde_json::from_str(&text)
        .unwrap_or_else(|_| AppError::Unavailable(format!("The server answered with status {}.", response.status()))))
}

//! The same document as its page shows it: types by name instead of nested schemas.

use holdfast_app::backend::{ApiAnswer, ApiField, ApiGroup, ApiOperation, ApiReference, ApiType};
use holdfast_model::access::Permission;
use serde_json::{Map, Value};
use url::Url;

/// From the document; `base` is the address by which people reach the server.
pub(in crate::http) fn reference(document: &Value, base: &Url) -> ApiReference {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut operations: Vec<(String, ApiOperation)> = Vec::new();
    for (path, item) in entries(&document["paths"]) {
        for (method, told) in entries(item) {
            if told.is_object() {
                operations.push((text(&told["tags"][0]), operation(path, method, told, base)));
            }
        }
    }
    let tags = document["tags"].as_array().into_iter().flatten().map(|tag| text(&tag["name"]));
    let groups = tags.map(|name| {
        let of_it = operations.iter().filter(|(group, _)| *group == name).map(|(_, operation)| operation.clone());
        ApiGroup { operations: of_it.collect(), name }
    });
    ApiReference {
        about: text(&document["info"]["description"]).split("\n\n").map(str::to_owned).collect(),
        groups: groups.collect(),
        types: entries(&document["components"]["schemas"]).map(|(name, schema)| shape(name, schema)).collect(),
    }
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn operation(path: &str, method: &str, told: &Value, base: &Url) -> ApiOperation {
    let method = method.to_ascii_uppercase();
    let permission: Option<Permission> =
        told["security"][0]["bearer"][0].as_str().and_then(|permission| permission.parse().ok());
    let parameters: Vec<ApiField> = told["parameters"].as_array().into_iter().flatten().map(parameter).collect();
    let content = |holder: &Value| entries(&holder["content"]).next().map(|(media, content)| body(media, content));
    let body = content(&told["requestBody"]);
    let answers = entries(&told["responses"]).map(|(status, answer)| ApiAnswer {
        status: if status == "default" { "else".into() } else { status.clone() },
        says: answer["description"].as_str().unwrap_or_default().to_owned(),
        shape: content(answer),
    });
    ApiOperation {
        id: told["operationId"].as_str().unwrap_or_default().to_owned(),
        says: told["summary"].as_str().unwrap_or_default().to_owned(),
        takes: permission.map(|permission| (permission.to_string(), permission.role().to_string())),
        for_programs: permission.is_some_and(Permission::for_programs),
        fresh: permission.is_some_and(Permission::needs_fresh_sign_in),
        example: example(&method, path, &parameters, body.as_deref(), base),
        answers: answers.collect(),
        path: path.to_owned(),
        method,
        parameters,
        body,
    }
}

/// The type of a body, or its media type where it is bytes.
fn body(media: &str, content: &Value) -> String {
    if content["schema"].is_object() { name(&content["schema"]) } else { media.to_owned() }
}

fn parameter(told: &Value) -> ApiField {
    let text = |key: &str| told[key].as_str().unwrap_or_default().to_owned();
    ApiField {
        name: text("name"),
        place: text("in"),
        shape: name(&told["schema"]),
        required: told["required"].as_bool().unwrap_or(false),
        says: text("description"),
    }
}

/// A schema in a word or two: `text`, `CheckpointView`, `list of Name`.
fn name(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        return reference.rsplit('/').next().unwrap_or_default().to_owned();
    }
    for key in ["oneOf", "anyOf", "allOf"] {
        if let Some(forms) = schema[key].as_array() {
            let named: Vec<String> = forms.iter().filter(|form| form["type"] != "null").map(name).collect();
            return named.join(" or ");
        }
    }
    let kinds = match &schema["type"] {
        Value::String(kind) => vec![kind.as_str()],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null").collect(),
        _ => Vec::new(),
    };
    match kinds.first() {
        Some(&"array") if schema["items"].is_object() => format!("list of {}", name(&schema["items"])),
        Some(&"array") => "list".into(),
        Some(&"object") if schema["additionalProperties"].is_object() => {
            format!("map to {}", name(&schema["additionalProperties"]))
        }
        Some(&"string") => match schema["format"].as_str() {
            Some("date-time") => "time".into(),
            _ => "text".into(),
        },
        Some(&"boolean") => "yes or no".into(),
        Some(&"integer" | &"number") => "number".into(),
        Some(&other) => other.to_owned(),
        None => "any".into(),
    }
}

fn shape(name_of_it: &str, schema: &Value) -> ApiType {
    let mut fields = Vec::new();
    let mut forms: Vec<String> = schema["enum"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|word| format!("\"{}\"", word.as_str().unwrap_or("…")))
        .collect();
    properties(schema, &mut fields);
    for part in schema["allOf"].as_array().into_iter().flatten() {
        match part["$ref"].as_str() {
            Some(_) => forms.push(format!("all of {}", name(part))),
            None => properties(part, &mut fields),
        }
    }
    for form in ["oneOf", "anyOf"].iter().flat_map(|key| schema[*key].as_array()).flatten() {
        let mut of_form = Vec::new();
        properties(form, &mut of_form);
        let keys: Vec<String> = of_form.iter().map(|field| format!("{}: {}", field.name, field.shape)).collect();
        let words: Vec<&str> = form["enum"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        forms.push(match (keys.is_empty(), words.is_empty()) {
            (false, _) => format!("{{ {} }}", keys.join(", ")),
            (true, false) => format!("\"{}\"", words.join("\", \"")),
            (true, true) => name(form),
        });
    }
    if fields.is_empty() && forms.is_empty() {
        forms.push(match schema["pattern"].as_str() {
            Some(pattern) => format!("text that matches {pattern}"),
            None => name(schema),
        });
    }
    ApiType {
        name: name_of_it.to_owned(),
        says: schema["description"].as_str().unwrap_or_default().to_owned(),
        fields,
        forms,
    }
}

/// What a property is; one that may be null says it of its other form.
fn said(value: &Value) -> String {
    let forms = value["oneOf"].as_array().into_iter().flatten();
    let says = forms.chain([value]).find_map(|form| form["description"].as_str());
    says.unwrap_or_default().to_owned()
}

fn properties(schema: &Value, fields: &mut Vec<ApiField>) {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    fields.extend(entries(&schema["properties"]).map(|(key, value)| ApiField {
        name: key.clone(),
        place: String::new(),
        shape: name(value),
        required: required.contains(&key.as_str()),
        says: said(value),
    }));
}

/// A call that can be copied: parts of the path stay in braces, for the reader to fill in.
fn example(method: &str, path: &str, parameters: &[ApiField], body: Option<&str>, base: &Url) -> String {
    let needed = parameters.iter().filter(|parameter| parameter.place == "query" && parameter.required);
    let query: Vec<String> = needed.map(|parameter| format!("{0}={{{0}}}", parameter.name)).collect();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    let mut words = vec!["curl --fail-with-body".to_owned()];
    if method != "GET" {
        words.push(format!("-X {method}"));
    }
    words.push("-H \"authorization: Bearer $HOLDFAST_KEY\"".into());
    match body {
        Some("application/octet-stream") => words.push("--data-binary @archive.tar.gz".into()),
        Some(_) => words.push("--json @request.json".into()),
        None => {}
    }
    words.push(format!("'{}{path}{query}'", base.as_str().trim_end_matches('/')));
    words.join(" ")
}

//! The REST API as OpenAPI 3.1 tells it: for programs as a document, for people as a page. Addresses and rules come from
//! the table of routes, shapes from the types that the handlers read and write; only the words stand here, in
//! `operations`. A route without words fails a test.

use std::collections::BTreeMap;

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use holdfast_model::problem::Problem;
use serde_json::Value;
use utoipa::openapi::{
    Components, Content, Info, License, OpenApi, PathItem, Paths, RefOr, Required, ResponseBuilder, ResponsesBuilder,
    Schema, SecurityRequirement, Server, Tag,
    path::{Operation as Told, OperationBuilder, Parameter, ParameterBuilder, ParameterIn},
    request_body::RequestBodyBuilder,
    schema::{ObjectBuilder, Type},
    security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use super::{Route, Rule, Web, problem, routes::for_programs};

mod operation;
mod operations;
mod reference;

use operation::{Operation, Shape};
pub(super) use reference::reference;

/// `GET /v1/openapi.json`, `GET /ui/openapi.json`
pub(super) async fn document(State(web): State<Web>) -> Response {
    let text = web.0.api.get().map(ToString::to_string).unwrap_or_default();
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], text).into_response()
}

/// The document for these routes. What nobody has words for is left out; a test finds it.
pub(super) fn describe(routes: &[Route]) -> Value {
    let operations = operations::all();
    let mut schemas = BTreeMap::new();
    let mut items: BTreeMap<&str, PathItem> = BTreeMap::new();
    let mut paths = Paths::new();
    keep(&mut schemas, Shape::of::<Problem>());
    for route in routes.iter().filter(|route| for_programs(&route.path)) {
        let known = operations.iter().find(|known| known.method == route.method && known.path == route.path);
        let Some(operation) = known else { continue };
        let told = tell(operation, route.rule, &mut schemas);
        let item = items.entry(operation.path).or_default();
        match operation.method.as_str() {
            "GET" => item.get = Some(told),
            "POST" => item.post = Some(told),
            "DELETE" => item.delete = Some(told),
            other => tracing::error!(other, path = operation.path, "the API's description knows no such method"),
        }
    }
    for (path, item) in items {
        // A part that takes slashes is a part like others here.
        paths.paths.insert(path.replace("{*", "{"), item);
    }
    let mut components = Components::new();
    components.schemas.extend(schemas);
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(
        "A key (`hfk_…`), an access token of the identity provider, or the token in client.json. Each operation names \
         the permission that it takes.",
    ));
    components.security_schemes.insert("bearer".into(), RefOr::T(SecurityScheme::Http(bearer.build())));
    let mut info = Info::new("Holdfast", env!("CARGO_PKG_VERSION"));
    info.description = Some(ABOUT.into());
    info.license = Some(License::new("Apache-2.0"));
    let mut whole = OpenApi::new(info, paths);
    whole.components = Some(components);
    whole.servers = Some(vec![Server::new("/")]);
    whole.tags = Some(operations::GROUPS.iter().map(|group| Tag::new(*group)).collect());
    serde_json::to_value(whole).unwrap_or_default()
}

const ABOUT: &str = "\
Checkpoints of whole applications: taken, proven, compared and put back.

Errors are `application/problem+json` (RFC 9457) with a stable `type`, and say what to do. Lists come a page at a time, \
newest first: send `next` of one page as `before` of the following one. A POST that starts a run takes an \
`Idempotency-Key`: sent again with the same key within 24 hours, the same request is answered with the same run. \
Environments are named `name`, `project/name` or by id; in an address `project~name`. \
A person whose access token is refused with `sign-in-again` sends the request with `Holdfast-Pending: wanted`, confirms it \
on the page that the refusal names, and sends it once more with `Holdfast-Pending: pnd_…`.";

fn tell(operation: &Operation, rule: Rule, schemas: &mut BTreeMap<String, RefOr<Schema>>) -> Told {
    let mut told = OperationBuilder::new()
        .operation_id(Some(operation.id()))
        .tag(operation.group)
        .summary(Some(operation.says))
        .security(SecurityRequirement::new("bearer", scopes(rule)));
    for parameter in path_parameters(operation.path) {
        told = told.parameter(parameter);
    }
    if let Some(query) = &operation.asks {
        for parameter in query_parameters(query) {
            told = told.parameter(parameter);
        }
        keep_parts(schemas, query);
    }
    if operation.starts_run {
        told = told.parameter(header_parameter(
            "Idempotency-Key",
            "Any text of your choice, up to 255 characters: a repeat starts nothing, and is answered with the same run.",
        ));
    }
    for (name, says) in operation.headers {
        told = told.parameter(header_parameter(name, says));
    }
    if let Some((media, shape)) = &operation.takes {
        let body = RequestBodyBuilder::new()
            .content(*media, Content::new(shape.as_ref().map(Shape::named)))
            .required(Some(if operation.body_needed { Required::True } else { Required::False }));
        told = told.request_body(Some(body.build()));
        if let Some(shape) = shape {
            keep(schemas, shape.clone());
        }
    }
    let mut responses = ResponsesBuilder::new();
    for answer in &operation.gives {
        let mut response = ResponseBuilder::new().description(answer.says);
        if let Some(media) = answer.media {
            response = response.content(media, Content::new(answer.shape.as_ref().map(Shape::named)));
        }
        if let Some(shape) = &answer.shape {
            keep(schemas, shape.clone());
        }
        responses = responses.response(answer.status.to_string(), response.build());
    }
    let refused = ResponseBuilder::new()
        .description("What went wrong, and what to do about it.")
        .content(problem::MEDIA_TYPE, Content::new(Some(Shape::of::<Problem>().named())));
    told.responses(responses.response("default", refused.build()).build()).build()
}

/// The permission that a route takes, as the security requirement names it.
fn scopes(rule: Rule) -> Vec<&'static str> {
    match rule {
        Rule::Open => Vec::new(),
        Rule::May(permission) => vec![permission.as_str()],
        Rule::Host => vec!["host"],
    }
}

/// What a part of a path stands for.
fn part(path: &str, name: &str) -> &'static str {
    match name {
        "env" => "The environment: its name, `project~name`, or `env_…`.",
        "project" => "The project's name.",
        "other" => "The checkpoint to compare with, in the same words; `live` is none here.",
        "path" => "The path as it stands in the checkpoint's tree.",
        _ if path.starts_with("/v1/runs") => "The run: `run_…`, or the beginning of it.",
        _ if path.starts_with("/v1/pending") => "The pending action: `pnd_…`.",
        _ if path.starts_with("/v1/keys") => "The key: `key_…`.",
        _ if path.starts_with("/v1/checkpoints") => {
            "The checkpoint: `chk_…` or the beginning of it, its name, `latest`, or `ENV@latest`."
        }
        _ => "Its id.",
    }
}

fn text() -> Schema {
    ObjectBuilder::new().schema_type(Type::String).into()
}

fn path_parameters(path: &str) -> Vec<Parameter> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names
        .map(|name| {
            let name = name.trim_start_matches('*');
            ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Path)
                .required(Required::True)
                .description(Some(part(path, name)))
                .schema(Some(text()))
                .build()
        })
        .collect()
}

fn header_parameter(name: &str, says: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(says))
        .schema(Some(text()))
        .build()
}

/// Each property of the type that a query is read into.
fn query_parameters(shape: &Shape) -> Vec<Parameter> {
    let RefOr::T(Schema::Object(object)) = &shape.schema else { return Vec::new() };
    let one = |(name, schema): (&String, &RefOr<Schema>)| {
        let (says, schema) = described(schema);
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Query)
            .required(if object.required.contains(name) { Required::True } else { Required::False })
            .description(says)
            .schema(Some(schema))
            .build()
    };
    object.properties.iter().map(one).collect()
}

/// A parameter says itself what its type would say.
fn described(schema: &RefOr<Schema>) -> (Option<String>, RefOr<Schema>) {
    match schema {
        RefOr::T(Schema::Object(object)) => {
            let mut bare = object.clone();
            let says = bare.description.take();
            (says, RefOr::T(Schema::Object(bare)))
        }
        other => (None, other.clone()),
    }
}

fn keep(schemas: &mut BTreeMap<String, RefOr<Schema>>, shape: Shape) {
    keep_parts(schemas, &shape);
    schemas.entry(shape.name).or_insert(shape.schema);
}

fn keep_parts(schemas: &mut BTreeMap<String, RefOr<Schema>>, shape: &Shape) {
    for (name, schema) in &shape.parts {
        schemas.entry(name.clone()).or_insert_with(|| schema.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Types are known by their bare names in the document, so two of them with one name would be told as one.
    #[test]
    fn no_two_types_share_a_name() {
        let mut seen: BTreeMap<String, RefOr<Schema>> = BTreeMap::new();
        for operation in operations::all() {
            let given = operation.gives.into_iter().filter_map(|answer| answer.shape);
            let taken = operation.takes.into_iter().filter_map(|(_, shape)| shape);
            for shape in given.chain(taken).chain(operation.asks) {
                let Shape { name, schema, parts, .. } = shape;
                for (name, schema) in parts.into_iter().chain([(name, schema)]) {
                    let before = seen.entry(name.clone()).or_insert_with(|| schema.clone());
                    assert!(*before == schema, "two types are called {name}");
                }
            }
        }
        assert!(seen.len() > 60, "{}", seen.len());
    }
}

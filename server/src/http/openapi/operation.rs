//! One operation of the REST API in words and shapes.

use axum::http::Method;
use holdfast_model::view::RunView;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{Ref, RefOr, Schema, schema::ArrayBuilder},
};

/// A type as OpenAPI tells it, with all types that it is made of.
#[derive(Clone)]
pub(super) struct Shape {
    pub name: String,
    pub schema: RefOr<Schema>,
    pub parts: Vec<(String, RefOr<Schema>)>,
    many: bool,
}

impl Shape {
    pub fn of<T: ToSchema>() -> Self {
        let mut parts = Vec::new();
        T::schemas(&mut parts);
        Self { name: T::name().into_owned(), schema: <T as PartialSchema>::schema(), parts, many: false }
    }

    /// A list of it.
    pub fn list_of<T: ToSchema>() -> Self {
        Self { many: true, ..Self::of::<T>() }
    }

    /// By its name alone.
    pub fn named(&self) -> RefOr<Schema> {
        let one = RefOr::Ref(Ref::from_schema_name(&self.name));
        if self.many { RefOr::T(Schema::Array(ArrayBuilder::new().items(one).build())) } else { one }
    }
}

/// One answer.
pub(super) struct Answer {
    pub status: u16,
    pub says: &'static str,
    pub media: Option<&'static str>,
    pub shape: Option<Shape>,
}

/// One address and method.
pub(super) struct Operation {
    pub method: Method,
    pub path: &'static str,
    pub group: &'static str,
    /// One sentence.
    pub says: &'static str,
    /// The query.
    pub asks: Option<Shape>,
    /// Headers beside those that all take.
    pub headers: &'static [(&'static str, &'static str)],
    /// The body.
    pub takes: Option<(&'static str, Option<Shape>)>,
    pub body_needed: bool,
    pub starts_run: bool,
    pub gives: Vec<Answer>,
}

const JSON: &str = "application/json";

impl Operation {
    pub fn new(method: Method, path: &'static str, group: &'static str, says: &'static str) -> Self {
        Self {
            method,
            path,
            group,
            says,
            asks: None,
            headers: &[],
            takes: None,
            body_needed: true,
            starts_run: false,
            gives: Vec::new(),
        }
    }

    /// `get_checkpoints_id_diff_other`
    pub fn id(&self) -> String {
        let words =
            self.path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty() && *word != "v1");
        let words: Vec<&str> = words.collect();
        format!("{}_{}", self.method.as_str().to_ascii_lowercase(), words.join("_"))
    }

    pub fn asks<T: ToSchema>(self) -> Self {
        Self { asks: Some(Shape::of::<T>()), ..self }
    }

    pub fn headers(self, headers: &'static [(&'static str, &'static str)]) -> Self {
        Self { headers, ..self }
    }

    pub fn takes<T: ToSchema>(self) -> Self {
        Self { takes: Some((JSON, Some(Shape::of::<T>()))), ..self }
    }

    /// A body that may be left out.
    pub fn may_take<T: ToSchema>(self) -> Self {
        Self { body_needed: false, ..self.takes::<T>() }
    }

    pub fn takes_bytes(self) -> Self {
        Self { takes: Some(("application/octet-stream", None)), ..self }
    }

    pub fn gives<T: ToSchema>(self, says: &'static str) -> Self {
        self.answer(200, says, Some(JSON), Some(Shape::of::<T>()))
    }

    pub fn gives_list<T: ToSchema>(self, says: &'static str) -> Self {
        self.answer(200, says, Some(JSON), Some(Shape::list_of::<T>()))
    }

    pub fn makes<T: ToSchema>(self, says: &'static str) -> Self {
        self.answer(201, says, Some(JSON), Some(Shape::of::<T>()))
    }

    pub fn gives_bytes(self, media: &'static str, says: &'static str) -> Self {
        self.answer(200, says, Some(media), None)
    }

    pub fn gives_nothing(self, says: &'static str) -> Self {
        self.answer(204, says, None, None)
    }

    /// 202, with the run that was queued.
    pub fn starts_run(self) -> Self {
        let told =
            self.answer(202, "The run, queued. Follow it by its events.", Some(JSON), Some(Shape::of::<RunView>()));
        Self { starts_run: true, ..told }
    }

    pub fn answer(
        mut self,
        status: u16,
        says: &'static str,
        media: Option<&'static str>,
        shape: Option<Shape>,
    ) -> Self {
        self.gives.push(Answer { status, says, media, shape });
        self
    }
}

//! The REST API as its page shows it.

/// All of it. Put into leptos' context by the server: it is the same for everybody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApiReference {
    /// What holds for every operation, a paragraph each.
    pub about: Vec<String>,
    /// In the order in which they are shown.
    pub groups: Vec<ApiGroup>,
    /// Every type that is sent or answered, by name.
    pub types: Vec<ApiType>,
}

/// Operations that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiGroup {
    /// Its name.
    pub name: String,
    /// Its operations.
    pub operations: Vec<ApiOperation>,
}

/// One address and method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiOperation {
    /// Its place on the page.
    pub id: String,
    /// `GET`, …
    pub method: String,
    /// With its parts in braces.
    pub path: String,
    /// One sentence.
    pub says: String,
    /// The permission that it takes, and the least role that brings it; none for the owner of the host alone.
    pub takes: Option<(String, String)>,
    /// Whether a key or a service account may ever do it.
    pub for_programs: bool,
    /// Whether a person must have signed in anew.
    pub fresh: bool,
    /// Parts of the path, of the query, headers.
    pub parameters: Vec<ApiField>,
    /// The type of its body, where it takes one.
    pub body: Option<String>,
    /// Status, words, and the type of each answer.
    pub answers: Vec<ApiAnswer>,
    /// A call by curl.
    pub example: String,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiAnswer {
    /// The HTTP status, or `default`.
    pub status: String,
    /// When.
    pub says: String,
    /// The type of its body.
    pub shape: Option<String>,
}

/// A parameter, or a property of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiField {
    /// Its name.
    pub name: String,
    /// `path`, `query`, `header`; empty for a property.
    pub place: String,
    /// Its type.
    pub shape: String,
    /// Whether it must be there.
    pub required: bool,
    /// What it is.
    pub says: String,
}

/// A type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiType {
    /// Its name.
    pub name: String,
    /// What it is.
    pub says: String,
    /// Its properties, for an object.
    pub fields: Vec<ApiField>,
    /// Its words, or its forms.
    pub forms: Vec<String>,
}

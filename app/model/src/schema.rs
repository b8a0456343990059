//! How OpenAPI names the values that are texts of a certain form. Everything else derives its schema.

/// A type that is written as a text: by a pattern, where it has one, with an example.
macro_rules! text {
    ($name:ident, $pattern:expr, $example:expr) => {
        impl ::utoipa::PartialSchema for $name {
            fn schema() -> ::utoipa::openapi::RefOr<::utoipa::openapi::Schema> {
                let pattern: &str = $pattern;
                ::utoipa::openapi::ObjectBuilder::new()
                    .schema_type(::utoipa::openapi::schema::Type::String)
                    .pattern(Some(pattern).filter(|pattern| !pattern.is_empty()))
                    .examples([::serde_json::Value::from($example)])
                    .into()
            }
        }

        impl ::utoipa::ToSchema for $name {}
    };
}

/// A closed list of words.
macro_rules! words {
    ($name:ident, $what:literal) => {
        impl ::utoipa::PartialSchema for $name {
            fn schema() -> ::utoipa::openapi::RefOr<::utoipa::openapi::Schema> {
                ::utoipa::openapi::ObjectBuilder::new()
                    .schema_type(::utoipa::openapi::schema::Type::String)
                    .description(Some(concat!("A closed list of words: ", $what, ".")))
                    .enum_values(Some(Self::ALL.iter().map(|word| word.as_str())))
                    .into()
            }
        }

        impl ::utoipa::ToSchema for $name {}
    };
}

pub(crate) use {text, words};
